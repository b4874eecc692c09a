"""Networks that the project trains: multi-layer perceptrons, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Literal

from torch import Tensor, nn

from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.methods import Method
from hwbnn.nn.activation import BinaryActivation, Scale
from hwbnn.nn.linear import BinaryLinear

Last = Literal["batch_norm", "scale"]


class Mlp(nn.Module):
    """Binary dense layers with BatchNorm and a binary activation between them.

    Attributes:
        input: what the network reads.
        layers: the layers, in order.
    """

    def __init__(self, source: Input, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.input = source
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            x: floats ``(batch, *input.shape)``, or flat: ``input.scale * u + input.offset`` for the
                integers ``u`` of the input; for bits -1 and +1.

        Returns:
            ``(batch, classes)``.
        """
        logits: Tensor = self.layers(x.flatten(1))
        return logits


def mlp(
    source: Input,
    widths: Sequence[int],
    classes: int,
    method: Method,
    *,
    last: Last = "batch_norm",
) -> Mlp:
    """A multi-layer perceptron with binary weights in every layer.

    Args:
        source: what the network reads.
        widths: channels of the hidden layers; may be empty.
        classes: number of logits.
        method: how it is trained.
        last: what makes logits of the last sums: a BatchNorm, whose gains differ by class (exact in
            hardware by a table of ranks), or one learned scale (hardware compares the sums).

    Raises:
        InputError: if a width is not positive or ``last`` is unknown.
    """
    if last not in ("batch_norm", "scale"):
        raise InputError(f"mlp: last: expected 'batch_norm' or 'scale', found {last!r}")
    layers: list[nn.Module] = []
    sizes = [prod(source.shape), *widths, classes]
    for position, (n, m) in enumerate(pairwise(sizes)):
        is_last = position == len(widths)
        read: Input | BinaryActivation | None = source if position == 0 else None
        if layers and isinstance(layers[-1], BinaryActivation) and layers[-1].form.is_mapped:
            read = layers[-1]
        layers.append(BinaryLinear(n, m, method.logits() if is_last else method, source=read))
        if not is_last:
            between = method.make_nonlinearity(m)
            layers += [nn.BatchNorm1d(m), *([] if between is None else [between])]
            layers.append(BinaryActivation(m, method))
    # Sums of n random signs spread by sqrt(n); the scale brings them to the size of 1.
    spread = sizes[-2] ** 0.5
    layers.append(nn.BatchNorm1d(classes) if last == "batch_norm" else Scale(1 / spread))
    return Mlp(source, layers)


NETWORKS: Mapping[str, tuple[int, ...]] = {
    "digits": (64, 64),
    "tfc": (64, 64, 64),
    "sfc": (256, 256, 256),
    "lfc": (1024, 1024, 1024),
}
"""Widths of the hidden layers of the networks known by name.

``digits`` is for 8x8 images, 64-64-64-10; the others, 784-w-w-w-10 on MNIST, are those that FINN
(Umuroglu et al., FPGA 2017) measured hardware with.
"""


def network(
    name: str, source: Input, classes: int, method: Method, *, last: Last = "batch_norm"
) -> Mlp:
    """A network known by name, with new weights.

    Args:
        name: one of :data:`NETWORKS`.
        source: what it reads, for example ``Input.bits(784)`` or ``Input.pixels(784)``.
        classes: number of logits.
        method: how it is trained.
        last: see :func:`mlp`.

    Raises:
        InputError: if no network has this name.
    """
    if name not in NETWORKS:
        raise InputError(f"network {name!r}: expected one of {', '.join(NETWORKS)}")
    return mlp(source, NETWORKS[name], classes, method, last=last)

"""Networks that the project trains: multi-layer perceptrons, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal

from torch import Tensor, nn

from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.methods import Method
from hwbnn.nn.layers import BinaryActivation, BinaryLinear, Scale

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
        layers.append(BinaryLinear(n, m, method, source=source if position == 0 else None))
        if position < len(widths):
            layers += [nn.BatchNorm1d(m), BinaryActivation(m, method)]
    # Sums of n random signs spread by sqrt(n); the scale brings them to the size of 1.
    spread = sizes[-2] ** 0.5
    layers.append(nn.BatchNorm1d(classes) if last == "batch_norm" else Scale(1 / spread))
    return Mlp(source, layers)


@dataclass(frozen=True)
class Network:
    """A network known by name.

    Attributes:
        widths: channels of the hidden layers.
        classes: number of logits.
        inputs: the inputs that it is trained on, by name; the first is the usual one.
    """

    widths: tuple[int, ...]
    classes: int
    inputs: Mapping[str, Input]

    def build(self, method: Method, source: str | None = None, *, last: Last = "batch_norm") -> Mlp:
        """A new network, its weights drawn from torch's generator.

        Args:
            method: how it is trained.
            source: a name in ``inputs``; the first without it.
            last: see :func:`mlp`.

        Raises:
            InputError: if there is no such input.
        """
        name = next(iter(self.inputs)) if source is None else source
        if name not in self.inputs:
            raise InputError(f"input {name!r}: expected one of {', '.join(self.inputs)}")
        return mlp(self.inputs[name], self.widths, self.classes, method, last=last)


def _mnist(width: int) -> Network:
    inputs = {"bits": Input.bits(784), "pixels": Input.pixels(784)}
    return Network((width,) * 3, 10, inputs)


NETWORKS: Mapping[str, Network] = {
    "digits": Network(
        (64, 64),
        10,
        {"pixels": Input("x", (64,), 0, 16, scale=1 / 16), "bits": Input.bits(64)},
    ),
    "tfc": _mnist(64),
    "sfc": _mnist(256),
    "lfc": _mnist(1024),
}
"""Networks by name: ``digits`` is 64-64-64-10; the others, 784-w-w-w-10, are those that FINN
(Umuroglu et al., FPGA 2017) measured hardware with."""

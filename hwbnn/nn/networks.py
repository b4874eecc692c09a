"""Networks that the project trains: what they have in common, and multi-layer perceptrons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Literal, get_args

from torch import Tensor, nn

from hwbnn.errors import InputError, nearest
from hwbnn.graph import Input
from hwbnn.methods import Method
from hwbnn.nn.activation import BinaryActivation, Scale
from hwbnn.nn.linear import BinaryLinear
from hwbnn.nn.select import Select
from hwbnn.nn.source import Source

Last = Literal["batch_norm", "scale"]


class Network(nn.Module):
    """Binary layers with BatchNorm and a binary activation between them.

    Attributes:
        input: what the network reads.
        layers: the layers, in order.
    """

    def __init__(self, source: Input, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.input = source
        self.layers = nn.Sequential(*layers)


class Mlp(Network):
    """A network of dense layers, which takes any shape as a row."""

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
    reads: Sequence[int] | None = None,
) -> Mlp:
    """A multi-layer perceptron with binary weights in every layer.

    Args:
        source: what the network reads.
        widths: channels of the hidden layers; may be empty.
        classes: number of logits.
        method: how it is trained.
        last: what makes logits of the last sums: a BatchNorm, whose gains differ by class (exact in
            hardware by a table of ranks), or one learned scale (hardware compares the sums).
        reads: positions of the elements of a sample that it reads; None for all.

    Raises:
        InputError: if a width is not positive, ``last`` is unknown or a position is none.
    """
    size = prod(source.shape)
    front: list[nn.Module] = [] if reads is None else [Select(size, reads)]
    sizes = (size if reads is None else len(reads), *widths)
    return Mlp(source, dense(front, source, sizes, classes, method, last))


def dense(
    layers: Sequence[nn.Module],
    source: Input,
    sizes: Sequence[int],
    classes: int,
    method: Method,
    last: Last,
) -> list[nn.Module]:
    """Layers with dense ones appended: the hidden ones, and the one that makes logits.

    Args:
        layers: those in front.
        source: what the network reads.
        sizes: elements that the first of them reads, then channels of the hidden layers.
        classes: number of logits.
        method: how they are trained.
        last: see :func:`mlp`.

    Raises:
        InputError: if a width is not positive or ``last`` is unknown.
    """
    layers = list(layers)
    for n, m in pairwise(sizes):
        layers.append(BinaryLinear(n, m, method, source=reads(layers, source)))
        between = method.make_nonlinearity(m)
        layers += [nn.BatchNorm1d(m), *([] if between is None else [between])]
        layers.append(BinaryActivation(m, method))
    return layers + ending(sizes[-1], classes, method, last, reads(layers, source))


def ending(
    n: int, classes: int, method: Method, last: Last, source: Source = None
) -> list[nn.Module]:
    """The layer that makes logits of ``n`` elements, and what brings its sums to their size.

    Args:
        n: elements that arrive.
        classes: number of logits.
        method: how the network is trained.
        last: see :func:`mlp`.
        source: what arrives, see :class:`~hwbnn.nn.binary.BinaryLayer`.

    Raises:
        InputError: if ``last`` is unknown.
    """
    if last not in get_args(Last):
        raise InputError(f"last: expected one of {nearest(last, get_args(Last))}, found {last!r}")
    layer = BinaryLinear(n, classes, method.logits(), source=source)
    # Sums of n random signs spread by sqrt(n); the scale brings them to the size of 1.
    return [layer, nn.BatchNorm1d(classes) if last == "batch_norm" else Scale(1 / n**0.5)]


def reads(layers: Sequence[nn.Module], source: Input) -> Source:
    """What a layer behind these must be told that it reads."""
    activations = [layer for layer in layers if isinstance(layer, BinaryActivation)]
    if not activations:
        return source
    return activations[-1] if activations[-1].form.is_mapped else None


NETWORKS: Mapping[str, tuple[int, ...]] = {
    "digits": (64, 64),
    "tfc": (64, 64, 64),
    "sfc": (256, 256, 256),
    "lfc": (1024, 1024, 1024),
}
"""Widths of the hidden layers of the multi-layer perceptrons known by name.

``digits`` is for 8x8 images, 64-64-64-10; the others, 784-w-w-w-10 on MNIST, are those that FINN
(Umuroglu et al., FPGA 2017) measured hardware with.
"""

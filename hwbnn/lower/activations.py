"""What binary activations say: thresholds, or a table where a channel is not monotone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hwbnn.errors import CannotLower
from hwbnn.graph import Dot, Threshold, ValueType, infer
from hwbnn.lower.planes import certify, find, tabulate
from hwbnn.lower.tables import Cuts, Integers, Stream, read_cuts, read_table
from hwbnn.nn import BinaryActivation


@dataclass(frozen=True, eq=False)
class Table:
    """An activation as a table, where a channel is not monotone.

    Attributes:
        codes: int64 ``(channels, count)``.
        bit: whether they are codes of -1 and +1.
        tangled: how many channels need it.
    """

    codes: Integers
    bit: bool
    tangled: int

    def __str__(self) -> str:
        channels, count = self.codes.shape
        return f"tables of {count} entries: {self.tangled} of {channels} channels rise and fall"


@dataclass(frozen=True, eq=False)
class Thresholds:
    """An activation as thresholds.

    Attributes:
        thresholds: int64 ``(channels, levels)``.
        falling: bool ``(channels,)``.
        counts: how many channels are of which sort.
    """

    thresholds: Integers
    falling: NDArray[np.bool_]
    counts: dict[str, int]

    def __str__(self) -> str:
        found = ", ".join(f"{n} {what}" for what, n in self.counts.items() if n)
        return f"thresholds: {found}"


@dataclass(frozen=True, eq=False)
class Certified:
    """The two nodes of a layer with real offsets, and what was shown of them.

    Attributes:
        dot: the sums, with the scale and offset that were found.
        thresholds: of the activation.
        text: the certificate, for people.
    """

    dot: Dot
    thresholds: Thresholds
    text: str


def read_activation(label: str, layer: BinaryActivation, stream: Stream) -> Table | Thresholds:
    """What an activation makes of a stream: thresholds if every channel is monotone, else tables.

    Raises:
        CannotLower: if its method has no exact form, or the tables would be too large.
    """
    check_method(label, layer.form.obstacle())
    if stream.type.bit or len(stream.type.shape) > 1:
        raise CannotLower(
            f"{label}: expected flat integers before it, found {stream.type}; flatten the input, "
            "and put a BinaryLinear between two activations"
        )
    levels = layer.form.levels
    cuts = read_cuts(stream, layer.codes, levels)
    if cuts.tangled.any():
        return Table(read_table(stream, layer.codes), levels == 1, int(cuts.tangled.sum()))
    return Thresholds(cuts.thresholds, cuts.falling, _counts(cuts, stream.type))


def read_plane(
    label: str, layer: BinaryActivation, stream: Stream, dot: Dot, source: ValueType
) -> Certified:
    """What an activation makes of two sums: integers that say the same of all that can occur.

    Args:
        label: the activation in messages.
        layer: the activation.
        stream: what it reads, with :attr:`Stream.pending`.
        dot: the plain sums.
        source: the type that these read.

    Raises:
        CannotLower: if its method has no exact form, or there are no such integers.
    """
    check_method(label, layer.form.obstacle())
    assert stream.pending is not None
    where = f"layer '{stream.layer}'"
    coded = tabulate(stream.pending, stream.steps, layer.codes, layer.form.levels)
    plane = find(where, stream.pending, coded.stairs)
    scale = np.full(len(dot.weights), 1 << plane.fraction)
    dot = replace(dot, scale=scale, offset=plane.ratio)
    t = infer(dot, source)
    threshold = Threshold("test", dot.name, plane.thresholds(t.low, t.high), plane.falling)
    count = certify(where, stream.pending.pairs, coded, dot, threshold)
    constant = np.array((plane.always | plane.never).all(axis=1))
    tangled = np.zeros(len(constant), np.bool_)
    cuts = Cuts(threshold.thresholds, plane.falling, tangled, constant)
    text = (
        f"2^{plane.fraction} D + R S, certified on all {count} pairs (D, S), least gap "
        f"{plane.gap:.3g}"
    )
    return Certified(dot, Thresholds(cuts.thresholds, cuts.falling, _counts(cuts, t)), text)


def stands_for(layer: BinaryActivation, bit: bool, codes: Tensor) -> Tensor:
    """The floats that an activation returns for its codes."""
    scale, centre = layer.form.affine()
    return (codes * 2 - 1 if bit else codes) * scale + centre


def check_method(label: str, obstacle: str | None) -> None:
    """Refuse a part whose method has no exact form.

    Raises:
        CannotLower: naming the layer, with what the method says.
    """
    if obstacle is not None:
        raise CannotLower(f"{label}: {obstacle}")


def _counts(cuts: Cuts, t: ValueType) -> dict[str, int]:
    moving = ~cuts.constant
    lowest = cuts.constant & (cuts.thresholds > t.high).all(axis=1)
    return {
        "rising": int((moving & ~cuts.falling).sum()),
        "falling": int((moving & cuts.falling).sum()),
        "always": int((cuts.constant & ~lowest).sum()),
        "never": int(lowest.sum()),
    }

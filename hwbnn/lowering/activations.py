"""What binary activations say: thresholds, or a table where a channel is not monotone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwbnn.errors import CannotLower
from hwbnn.graph import Conv2d, Dot, Threshold, ValueType, infer
from hwbnn.graph.arrays import Ints
from hwbnn.lowering.planes import certify, find
from hwbnn.lowering.spans import Span
from hwbnn.lowering.stairs import tabulate
from hwbnn.lowering.streams import Stream
from hwbnn.lowering.tables import Cuts, read_cuts, read_table
from hwbnn.nn import BinaryActivation


@dataclass(frozen=True, eq=False)
class Table:
    """An activation as a table, where a channel is not monotone.

    Attributes:
        codes: int64 ``(channels, count)``.
        bit: whether they are codes of -1 and +1.
        tangled: how many channels need it.
    """

    codes: Ints
    bit: bool
    tangled: int

    def __str__(self) -> str:
        channels, count = self.codes.shape
        return f"tables of {count} entries: {self.tangled} of {channels} channels rise and fall"


@dataclass(frozen=True, eq=False)
class Thresholds:
    """An activation as thresholds.

    Attributes:
        thresholds: int64 ``(channels, levels)``, with ``places`` ``(classes, channels, levels)``.
        falling: bool ``(channels,)``.
        counts: how many channels are of which sort.
        places: the border class of each position, or None.
    """

    thresholds: Ints
    falling: NDArray[np.bool_]
    counts: dict[str, int]
    places: Ints | None = None

    def __str__(self) -> str:
        found = ", ".join(f"{n} {what}" for what, n in self.counts.items() if n)
        border = "" if self.places is None else f", in {len(self.thresholds)} border classes"
        return f"thresholds: {found}{border}"


@dataclass(frozen=True, eq=False)
class Certified:
    """The two nodes of a layer with real offsets, and what was shown of them.

    Attributes:
        dot: the sums, with the scale and offset that were found.
        thresholds: of the activation.
        text: the certificate, for people.
    """

    dot: Dot | Conv2d
    thresholds: Thresholds
    text: str


def read_activation(label: str, layer: BinaryActivation, stream: Stream) -> Table | Thresholds:
    """What an activation makes of a stream: thresholds if every channel is monotone, else tables.

    A max pool that waits is left out: these are the codes of what it compares.

    Raises:
        CannotLower: if its method has no exact form, or the tables would be too large.
    """
    check_method(label, layer.form.obstacle())
    if stream.type.bit or len(stream.type.shape) not in (1, 3):
        raise CannotLower(
            f"{label}: expected integers before it, flat or of an image, found {stream.type}; "
            "flatten the input, and put a binary layer between two activations"
        )
    levels, codes = layer.form.levels, codes_of(layer, stream)
    cuts = read_cuts(stream, codes, levels)
    if not cuts.tangled.any():
        classes = None if stream.places is None else stream.places.classes
        return _thresholds(cuts, classes, stream.type)
    if stream.places is not None:
        raise CannotLower(
            f"{label}: channel {int(cuts.tangled.argmax())} rises and falls and differs at the "
            "border of the image, which no table says; use slopes above 0, or pad=-1 in the "
            f"convolution '{stream.layer}'"
        )
    return Table(read_table(stream, codes), levels == 1, int(cuts.tangled.sum()))


def read_plane(
    label: str,
    layer: BinaryActivation,
    stream: Stream,
    dot: Dot | Conv2d,
    source: ValueType,
    span: Span | None = None,
) -> Certified:
    """What an activation makes of two sums: integers that say the same of all that can occur.

    Args:
        label: the activation in messages.
        layer: the activation.
        stream: what it reads, with :attr:`Stream.pending`.
        dot: the plain sums.
        source: the type that these read.
        span: where a max pool waits: is told how codes go with what it compares.

    Raises:
        CannotLower: if its method has no exact form, or there are no such integers.
    """
    check_method(label, layer.form.obstacle())
    where, codes = f"layer '{stream.layer}'", codes_of(layer, stream)
    coded = [
        tabulate(pending, stream.steps, codes, layer.form.levels, span)
        for pending in stream.pending
    ]
    plane = find(where, stream.pending, coded)
    scale = np.full(len(dot.weights), 1 << plane.fraction)
    dot = replace(dot, scale=scale, offset=plane.ratio)
    t = infer(dot, source)
    thresholds = plane.thresholds(t.low, t.high)
    constant = np.array((plane.always | plane.never).all(axis=(0, 2)))
    classes = None if stream.places is None else stream.places.classes
    if classes is None:
        thresholds = thresholds[0]
    test = Threshold("test", dot.name, thresholds, plane.falling, classes)
    count = sum(
        certify(where, pending.pairs, found, dot, test, place)
        for place, (pending, found) in enumerate(zip(stream.pending, coded, strict=True))
    )
    cuts = Cuts(test.thresholds, plane.falling, np.zeros(len(constant), np.bool_), constant)
    text = (
        f"2^{plane.fraction} D + R S, certified on all {count} pairs (D, S), least gap "
        f"{plane.gap:.3g}"
    )
    return Certified(dot, _thresholds(cuts, classes, t), text)


def codes_of(layer: BinaryActivation, stream: Stream) -> Callable[[Tensor], Tensor]:
    """An activation on tables whose columns are in the Graph's order."""
    if stream.is_image:
        return lambda x: layer.codes(x[:, :, None, None])[:, :, 0, 0]
    if stream.order is None:
        return layer.codes
    there = torch.from_numpy(stream.order)
    back = torch.argsort(there)
    return lambda x: layer.codes(x[:, there].contiguous())[:, back]


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


def _thresholds(cuts: Cuts, classes: Ints | None, t: ValueType) -> Thresholds:
    """The thresholds of monotone channels, border classes told apart only where they differ."""
    thresholds = cuts.thresholds
    if classes is not None and (thresholds == thresholds[:1]).all():
        thresholds, classes = thresholds[0], None
    moving = ~cuts.constant
    never = (thresholds > t.high) | (thresholds < t.low)
    lowest = cuts.constant & never.reshape(-1, *thresholds.shape[-2:]).all(axis=(0, 2))
    counts = {
        "rising": int((moving & ~cuts.falling).sum()),
        "falling": int((moving & cuts.falling).sum()),
        "always": int((cuts.constant & ~lowest).sum()),
        "never": int(lowest.sum()),
    }
    return Thresholds(thresholds, cuts.falling, counts, classes)

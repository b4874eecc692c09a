"""Fixed-point streams: what shortcuts add, and what layers read of them.

Where two streams of real numbers meet there is no integer that says their sum exactly. Each side
becomes integers in units of ``2^-fraction``, by a ``Rescale`` that is tried on all integers of its
source (:mod:`hwbnn.lowering.rescale`); their sum is exact again. What follows the sum is tabulated
on these integers, as anywhere else: an activation's thresholds are exactly those of the trained
modules *on fixed-point numbers*. So a stream is as far from the network's floats as its sides were,
which :class:`~hwbnn.lowering.streams.Fixed` keeps, and bits may differ where a float lies nearer
than that to its threshold: how many do is measured (:mod:`hwbnn.lowering.measure`), not assumed.

Ranges are intervals, channel by channel, from the inputs on, so nothing overflows and nothing
saturates but where the network does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from torch import Tensor

from hwbnn.errors import CannotLower
from hwbnn.graph import Add, ChannelPad, MaxPool, Rescale, SumPool
from hwbnn.lowering.builder import Builder
from hwbnn.lowering.knees import knees
from hwbnn.lowering.pools import settle
from hwbnn.lowering.rescale import ALLOWED, GUARD, Fit, fit
from hwbnn.lowering.steps import Step
from hwbnn.lowering.streams import Fixed, Stream
from hwbnn.lowering.tables import evaluate_at, is_identity
from hwbnn.nn import OptionA
from hwbnn.nn.binary import EXACT

FLOAT32 = 2.0**-24
"""Relative error of a float32 operation."""


@dataclass(frozen=True)
class Sum:
    """A sum of two streams: which node has it, and how far it may be from the network's.

    Attributes:
        node: its name.
        fraction: an integer ``v`` stands for ``v / 2^fraction``.
        error: at most, in units, where the two streams' own activations and sums agree.
    """

    node: str
    fraction: int
    error: float


def fixed_value(fraction: int, x: Tensor) -> Tensor:
    """What integers stand for."""
    return x * 2.0**-fraction


def reading(fraction: int) -> tuple[Step, ...]:
    """The step from integers to what they stand for."""
    value = partial(fixed_value, fraction)
    return (Step(f"fixed point of {fraction} bits", value, is_elementwise=True, is_monotone=True),)


def is_plain(stream: Stream, fraction: int) -> bool:
    """Whether a stream's integers stand for ``v / 2^fraction`` and nothing follows."""
    if stream.fixed is None or len(stream.steps) != 1 or stream.pool is not None:
        return False
    value = stream.steps[0].apply
    return isinstance(value, partial) and value.func is fixed_value and value.args == (fraction,)


def fix(build: Builder, stream: Stream, fraction: int | None = None) -> Stream:
    """A stream as integers in units of ``2^-fraction``, and nothing behind them.

    Args:
        build: the Graph so far, which says how many bits stand behind the point.
        stream: any stream but one with real offsets.
        fraction: how many stand there, if not so many.

    Raises:
        CannotLower: naming the step that is neither a line nor two, or the layer whose numbers grow
            too large.
    """
    if stream.pending:
        raise CannotLower(
            f"layer '{stream.layer}': its weights have real offsets, whose sums no fixed-point "
            "number says; train it with mode 'qat' or 'drop'"
        )
    bits = build.fraction if fraction is None else fraction
    if (stream, bits) not in build.fixes:
        found = _of_integers(build, settle(build, stream))
        while not is_plain(found, bits):
            found = _advanced(build, found, bits)
        build.fixes[stream, bits] = found
    return build.fixes[stream, bits]


def summed(build: Builder, stream: Stream, terms: int) -> Stream:
    """:func:`fix`, for sums of so many: with fewer bits where float32 would not hold these either.

    No activation follows soon on such sums: they are behind the last shortcut.
    """
    ends = np.linspace(stream.type.low, stream.type.high, 65).astype(np.int64)
    largest = terms * float(np.abs(evaluate_at(stream, ends)).max())
    bits = build.fraction
    while bits > 0 and largest * 2.0**bits > EXACT:
        bits -= 1
    return fix(build, stream, bits)


def fraction_of(stream: Stream) -> int:
    """How many bits stand behind the point of a stream that :func:`fix` made."""
    value = stream.steps[0].apply
    assert isinstance(value, partial)
    bits: int = value.args[0]
    return bits


def _of_integers(build: Builder, stream: Stream) -> Stream:
    """Bits as the integers -1 and +1."""
    if not stream.type.bit:
        return stream
    if not stream.is_image:
        raise CannotLower(
            f"layer '{stream.layer}': its bits are added to other numbers, which flat values are "
            "not lowered for; take the shortcut before the activation"
        )
    node = SumPool(build.name("sum"), stream.name, (1, 1), (1, 1))
    t = build.add(node)
    first = stream.steps[0]
    # The step reads codes, 0 and 1.
    steps = (replace(first, apply=lambda x: first.apply((x + 1) / 2)), *stream.steps[1:])
    ends = 2 * stream.low - 1, 2 * stream.high - 1
    return replace(stream, name=node.name, type=t, low=ends[0], high=ends[1], steps=steps)


def _advanced(build: Builder, stream: Stream, fraction: int) -> Stream:
    """A stream with as many of its steps as one node can say turned into that node."""
    for cut in range(len(stream.steps), -1, -1):
        if cut == 0 and stream.fixed is not None:
            break
        head = replace(stream, steps=stream.steps[:cut])
        if is_plain(head, fraction):
            break  # nothing to be done so far; what follows bends
        for bent in (False, True):
            found = fit(head, fraction, bent=bent)
            if found is not None:
                return _rescaled(build, stream, found, cut, fraction)
    if stream.fixed is not None and len(stream.steps) > 1:
        return _bent(build, stream, fraction)
    raise CannotLower(_refusal(stream, fraction))


def _bent(build: Builder, stream: Stream, fraction: int) -> Stream:
    """Two lines that meet anywhere: the integers are moved so that they meet at 0, then bent."""
    for cut in range(len(stream.steps), 1, -1):
        head = replace(stream, steps=stream.steps[:cut])
        at = knees(head, 1 << GUARD)
        found = fit(head, fraction, at=at, bent=True)
        if found is None:
            continue
        finer = np.full(len(at), 1 << GUARD, np.int64)
        ends = (stream.low << GUARD) - at, (stream.high << GUARD) - at
        none = np.zeros(len(at), np.int64)
        within = int(ends[0].min()), int(ends[1].max())
        node = Rescale(build.name("rescale"), stream.name, finer, -at, none, *within)
        t = build.add(node)
        build.remark(stream.layer, node, f"moved by where two lines meet, {GUARD} bits finer")
        moved = replace(stream, name=node.name, type=t)
        return _rescaled(build, moved, found, cut, fraction)
    raise CannotLower(_refusal(stream, fraction))


def _rescaled(build: Builder, stream: Stream, found: Fit, cut: int, fraction: int) -> Stream:
    """The stream behind a node that says its first steps."""
    classes = None if stream.places is None else stream.places.classes
    node = found.node(build.name("rescale"), stream.name, classes)
    t = build.add(node)
    assert found.ends is not None
    old = stream.fixed or Fixed(0.0, 0.0)
    # Between two integers the modules go on as they do from one to the next.
    made = Fixed(old.error * found.slope + found.error, old.local * found.slope + found.error)
    held = f"saturates at {found.low} and {found.high}" if found.saturates else "never saturates"
    tried = f"all {found.count} integers"
    if found.count < stream.type.count:
        tried = f"{found.count} integers, its ends and bends among them"
    text = (
        f"fixed point, {t.width} bits of which {fraction} behind the point, at most "
        f"{found.error:.2f} units off on {tried}, {held}"
    )
    build.remark(stream.layer, node, text)
    build.fixed[node.name] = text
    return Stream(
        node.name,
        t,
        *found.ends,
        stream.layer,
        (*reading(fraction), *stream.steps[cut:]),
        order=stream.order,
        fixed=made,
    )


def add(build: Builder, label: str, sides: tuple[Stream, Stream]) -> tuple[Stream, Sum | None]:
    """The sum of two streams.

    Args:
        build: the Graph so far.
        label: the call, for messages.
        sides: what is added.

    Returns:
        The sum; and what to hold it to, where it is in fixed point.

    Raises:
        CannotLower: as :func:`fix`, or if the sides have different shapes.
    """
    one, other = (settle(build, side) for side in sides)
    if one.shape != other.shape or not _same_order(one, other):
        raise CannotLower(
            f"{label}: adds values of shapes {one.shape} and {other.shape}; expected one shape, "
            "and images flattened behind their sum"
        )
    exact = not any(s.type.bit or s.fixed or s.pending for s in (one, other))
    exact = exact and is_identity(one) and is_identity(other)
    if not exact:
        one, other = fix(build, one), fix(build, other)
    node = Add(build.name("add"), one.name, other.name)
    t = build.add(node)
    ends = one.low + other.low, one.high + other.high
    layer = f"{one.layer} + {other.layer}" if one.layer != other.layer else one.layer
    made = Stream(node.name, t, *ends, one.layer, order=one.order)
    if exact:
        build.remark(one.layer, node, f"exact, {t}")
        return made, None
    assert one.fixed is not None
    assert other.fixed is not None
    rounding = max(-t.low, t.high) * FLOAT32
    error = one.fixed.error + other.fixed.error + rounding
    local = one.fixed.local + other.fixed.local + rounding
    text = f"{layer}: {t.width} bits, at most {error:.2f} units of 2^-{build.fraction} off"
    build.remark(one.layer, node, text)
    build.fixed[node.name] = text
    made = replace(made, steps=reading(build.fraction), fixed=Fixed(error, 0.0))
    return made, Sum(node.name, build.fraction, local)


def resolution(stream: Stream) -> float:
    """How far apart two of the network's numbers must be to be ordered as the integers are.

    Args:
        stream: fixed-point numbers that rise alike in all channels.
    """
    assert stream.fixed is not None
    t = stream.type
    ends = evaluate_at(stream, np.array([t.low, t.high]), held=False)[:, 0].astype(np.float64)
    slope = float(ends[1] - ends[0]) / max(t.high - t.low, 1)
    return 2 * slope * (stream.fixed.local + 1) + 4 * FLOAT32 * float(np.abs(ends).max())


def _same_order(one: Stream, other: Stream) -> bool:
    if one.order is None or other.order is None:
        return one.order is other.order
    return np.array_equal(one.order, other.order)


def shortcut(build: Builder, name: str, layer: OptionA, stream: Stream) -> Stream:
    """Every so many rows and columns, and channels of zeros around.

    Args:
        build: the Graph so far.
        name: the layer's in the network.
        layer: the layer.
        stream: what it reads, an image.
    """
    stream = fix(build, stream)
    if layer.stride > 1:
        step = (layer.stride, layer.stride)
        pool = MaxPool(build.name("pool"), stream.name, (1, 1), step)
        t = build.add(pool)
        build.remark(name, pool, f"every {layer.stride} rows and columns")
        stream = replace(stream, name=pool.name, type=t)
    if layer.before or layer.after:
        pad = ChannelPad(build.name("pad"), stream.name, layer.before, layer.after)
        t = build.add(pad)
        build.remark(name, pad, f"{layer.before} channels of 0 before, {layer.after} behind")
        zeros = [np.zeros(n, np.int64) for n in (layer.before, layer.after)]
        low, high = (np.concatenate((zeros[0], end, zeros[1])) for end in (stream.low, stream.high))
        stream = replace(stream, name=pad.name, type=t, low=low, high=high)
    return stream


def _refusal(stream: Stream, fraction: int) -> str:
    steps = ", ".join(step.label for step in stream.steps) or f"layer '{stream.layer}'"
    return (
        f"{steps}: before a shortcut's sum; no fixed-point line, or two lines that meet, with "
        f"{fraction} bits behind the point says it within {ALLOWED:g} unit of all integers "
        "from "
        f"{stream.type.low} to {stream.type.high} of layer '{stream.layer}'; use BatchNorm, PReLU, "
        "Maxout, RPReLU or Hardtanh there, and gains that keep the numbers small"
    )

"""Shortcuts: sums of real numbers in fixed point, and whatever else has no exact integer form.

The sum of two real-valued branches has no exact integer form. Each side becomes integers in units
of ``2^-fraction``, by a ``Rescale`` that is compared with the network's functions on all integers
of its source (:mod:`hwbnn.lowering.line_fit`); the sum of these integers is exact. Functions after
the sum are tabulated on these integers, as anywhere else: an activation's thresholds are exactly
those of the trained modules *on fixed-point numbers*. The sum therefore differs from the network's
by the errors of its two sides, which :class:`~hwbnn.lowering.value.FixedPointError` bounds. A bit
may differ where the float is closer to its threshold than that. How many bits differ is measured
(:func:`hwbnn.lowering.measure`), not assumed.

Ranges are intervals, channel by channel, from the inputs on, so nothing overflows, and a value
saturates only where the network's own value does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph import (
    Add,
    ChannelPad,
    Conv2d,
    Dot,
    MaxPool,
    Rescale,
    SumPool,
    ValueType,
    infer,
)
from hwbnn.graph.arrays import Float32s, Ints
from hwbnn.lowering import pools
from hwbnn.lowering.line_fit import ALLOWED, GUARD, LineFit, fit, kinks
from hwbnn.lowering.ops import FLOAT32_INTEGERS, ChannelwiseOp, FixedPointReading, TableFunction
from hwbnn.lowering.pools import NoOrder
from hwbnn.lowering.tables import evaluate_at, is_identity
from hwbnn.lowering.two_sums import MAX_FRACTION, Pending, check_steepness
from hwbnn.lowering.value import BorderClasses, FixedPointError, GraphBuilder, TracedValue

FLOAT32 = 2.0**-24
"""Relative error of a float32 operation."""


@dataclass(frozen=True)
class Sum:
    """A sum of two values: its node, and how far it may be from the network's.

    Attributes:
        node: the node's name.
        fraction: an integer ``v`` stands for ``v / 2^fraction``.
        error: upper bound of the distance from the network's sum, in units of ``2^-fraction``, if
            the earlier activations and sums of both sides agree.
    """

    node: str
    fraction: int
    error: float


def reading(fraction: int) -> FixedPointReading:
    """The function from integers with so many fraction bits to the numbers that they stand for."""
    label = f"fixed point of {fraction} bits"
    return FixedPointReading(label, fraction, is_elementwise=True, is_monotone=True)


def is_plain(value: TracedValue, fraction: int) -> bool:
    """Whether a value's integers stand for ``v / 2^fraction`` and no other function follows."""
    if value.fixed is None or len(value.ops) != 1 or value.pool is not None:
        return False
    if value.border is not None:
        return False
    first = value.ops[0]
    return isinstance(first, FixedPointReading) and first.fraction == fraction


def fix(build: GraphBuilder, value: TracedValue, fraction: int | None = None) -> TracedValue:
    """A value as integers in units of ``2^-fraction``, with no other function after them.

    Args:
        build: the Graph so far, with its number of fraction bits.
        value: any value.
        fraction: another number of fraction bits.

    Raises:
        CannotLower: naming the function that is neither one line nor two, or the layer whose
            numbers grow too large.
    """
    bits = build.fraction if fraction is None else fraction
    if (value, bits) not in build.fixes:
        settled = settle(build, value)
        plain = _of_two_sums(build, settled, bits) if settled.pending else settled
        plain = _of_integers(build, plain)
        while not is_plain(plain, bits):
            plain = _advanced(build, plain, bits)
        build.fixes[value, bits] = plain
    return build.fixes[value, bits]


WIDE_SUMS = 1 << 30
"""Bound of sums of fixed-point numbers with weights of several bits; the Graph's own is 2^31."""


def summed(
    build: GraphBuilder, value: TracedValue, terms: int, limit: int = FLOAT32_INTEGERS
) -> TracedValue:
    """:func:`fix` for the terms of sums: with fewer fraction bits if the sums would reach a limit.

    Such sums come after the last shortcut, where few activations follow.

    Args:
        build: the Graph so far.
        value: the terms.
        terms: how many terms a sum has, each counted by the magnitude of its weight.
        limit: bound of the sums; by default that of integers which float32 holds exactly.
    """
    if value.pending:
        value = _of_two_sums(build, settle(build, value), build.fraction)
    ends = np.linspace(value.type.low, value.type.high, 65).astype(np.int64)
    largest = terms * float(np.abs(evaluate_at(value, ends)).max())
    bits = build.fraction
    while bits > 0 and largest * 2.0**bits > limit:
        bits -= 1
    return fix(build, value, bits)


def fraction_below(build: GraphBuilder, value: TracedValue, limit: int = 1 << 15) -> int:
    """The most fraction bits, up to the builder's, for which a value's integers are below a limit.

    Args:
        build: the Graph so far.
        value: any value without undecided sums.
        limit: bound of the integers' magnitude; by default that of 16-bit words.
    """
    ends = np.linspace(value.type.low, value.type.high, 65).astype(np.int64)
    classes = range(len(value.variants))
    largest = max(float(np.abs(evaluate_at(value, ends, c)).max()) for c in classes)
    bits = build.fraction
    while bits > 0 and largest * 2.0**bits >= limit:
        bits -= 1
    return bits


def fraction_of(value: TracedValue) -> int:
    """The fraction bits of a result of :func:`fix`."""
    first = value.ops[0]
    assert isinstance(first, FixedPointReading)
    return first.fraction


def settle(build: GraphBuilder, value: TracedValue) -> TracedValue:
    """The value with its waiting pool, if any, as a node on its integers or on fixed point.

    Sums whose integers cannot be compared (real offsets, constants that differ at the border of the
    image, channels that rise and fall before the pool) are compared as fixed-point numbers.

    Raises:
        CannotLower: as :func:`fix`.
    """
    if value.pool is None:
        return value
    if not (value.pending or value.border is not None):
        try:
            return pools.settle(build, value)
        except NoOrder:
            pass
    cut = value.pool.cut
    before = fix(build, replace(value, ops=value.ops[:cut], pool=None))
    pool = replace(value.pool, cut=len(before.ops))
    pooled = pools.settle(build, replace(before, pool=pool))
    return replace(pooled, ops=(*pooled.ops, *value.ops[cut:]))


def _of_integers(build: GraphBuilder, value: TracedValue) -> TracedValue:
    """Bits as the integers -1 and +1."""
    if not value.type.bit:
        return value
    if not value.is_image:
        raise CannotLower(
            f"layer '{value.layer}': its bits are added to other numbers, which works "
            "for images only; take the shortcut before the activation"
        )
    node = SumPool(build.name("sum"), value.name, (1, 1), (1, 1))
    t = build.add(node)
    first = value.ops[0]
    # The function reads codes, 0 and 1.
    of_signs = TableFunction(
        first.label,
        lambda x: first((x + np.float32(1)) / np.float32(2)),
        is_elementwise=first.is_elementwise,
        is_monotone=first.is_monotone,
    )
    ops: tuple[ChannelwiseOp, ...] = (of_signs, *value.ops[1:])
    ends = 2 * value.low - 1, 2 * value.high - 1
    return replace(value, name=node.name, type=t, low=ends[0], high=ends[1], ops=ops)


_TWO_SUMS_LIMIT = 1 << 30
"""Bound of ``2^F D + R S`` where no activation reads the sums."""


def _of_two_sums(build: GraphBuilder, value: TracedValue, fraction: int) -> TracedValue:
    """Two sums ``D`` and ``S`` of real offsets as one integer, ``2^F D + R S``.

    ``R / 2^F`` is ``beta / alpha`` rounded. The layer's output is then a function of this integer,
    but for an error of at most half of ``S / 2^F``, which is added to the bounds of the error.
    ``F`` is the smallest number for which this error moves the result by at most half a unit, or
    the largest one that the bound of the sums permits.
    """
    node = next(n for n in build.nodes if n.name == value.name)
    assert isinstance(node, Dot | Conv2d)
    ratio = value.pending[0].ratio
    check_steepness(f"layer '{value.layer}'", ratio)
    terms = node.weights[0].size
    most = terms * max(abs(end) for end in build.types[node.source].numbers[:2])
    reach = most * (1 + float(np.abs(ratio).max()))
    steepest = _steepness(value) * 2.0**fraction
    bits = 0
    while (reach * 2.0 ** (bits + 1) < _TWO_SUMS_LIMIT and bits < MAX_FRACTION) and (
        steepest * most * 2.0**-bits > 1
    ):
        bits += 1
    unit = 1 << bits
    scale = np.full(len(ratio), unit, np.int64)
    offset = np.rint(ratio * unit).astype(np.int64)
    is_free = node.scale_offset is None and not any(node.name in n.sources for n in build.nodes)
    held = replace(node, scale=scale, offset=offset)
    if is_free:
        t = build.replace(held)
    else:
        held = replace(held, name=build.name("conv" if isinstance(node, Conv2d) else "dot"))
        t = build.add(held)
    build.remark(
        value.layer, held, f"two sums as one, 2^{bits} D + R S, at most {most / 2:.0f} units off"
    )
    low, high = _ends_by_channel(held, build.types[held.source])
    first = tuple(_of_pair(p, unit) for p in value.pending)
    rounding = most / 2 + float(max(-t.low, t.high)) * FLOAT32
    fixed = FixedPointError(rounding, rounding)
    sums = replace(value, name=held.name, type=t, low=low, high=high, pending=(), fixed=fixed)
    if value.border is None:
        return replace(sums, ops=(first[0], *value.ops))
    return replace(sums, border=BorderClasses(value.border.classes, first))


def _ends_by_channel(node: Dot | Conv2d, source: ValueType) -> tuple[Ints, Ints]:
    """The lowest and the highest sum of each channel."""
    assert node.scale_offset is not None
    own = replace(source, shape=(*source.shape[:-1], node.weights.shape[-1]))
    ends = []
    for channel, weights in enumerate(node.weights):
        alone = {
            "weights": weights[None],
            "scale": node.scale_offset[0][channel : channel + 1],
            "offset": node.scale_offset[1][channel : channel + 1],
            **({"groups": 1} if isinstance(node, Conv2d) else {}),
        }
        t = infer(replace(node, **alone), own)
        ends.append((t.low, t.high))
    low, high = np.array(ends, np.int64).T
    return low, high


def _of_pair(pending: Pending, unit: int) -> TableFunction:
    """The layer's output from ``unit * (D + ratio * S)``."""

    def finish(x: Float32s) -> Float32s:
        return pending.finish(x / np.float32(unit), np.zeros((len(x), 1), np.float32))

    return TableFunction("two sums", finish, is_monotone=True)


def _steepness(value: TracedValue) -> float:
    """The largest change of the value, over its channels, when ``D`` changes by 1."""
    channels = len(value.pending[0].ratio)
    x = np.linspace(-1024, 1024, 65).astype(np.float32)[:, None].repeat(channels, axis=1)
    y = value.pending[0].finish(x, np.zeros((len(x), 1), np.float32))
    for op in value.ops:
        y = op(y)
    return float(np.abs(np.diff(y.astype(np.float64), axis=0)).max()) / 32


def _advanced(build: GraphBuilder, value: TracedValue, fraction: int) -> TracedValue:
    """Replace as many of the value's first functions as possible by one node."""
    for cut in range(len(value.ops), -1, -1):
        if cut == 0 and value.fixed is not None and value.border is None:
            break
        head = replace(value, ops=value.ops[:cut])
        if is_plain(head, fraction):
            break  # fixed point already; the next function has a kink
        for bent in (False, True):
            line = fit(head, fraction, bent=bent)
            if line is not None:
                return _rescaled(build, value, line, cut, fraction)
    if value.fixed is not None and len(value.ops) > 1:
        return _bent(build, value, fraction)
    raise CannotLower(_refusal(value, fraction))


def _bent(build: GraphBuilder, value: TracedValue, fraction: int) -> TracedValue:
    """Fit two lines that meet anywhere: the integers are shifted so that the lines meet at 0."""
    for cut in range(len(value.ops), 1, -1):
        head = replace(value, ops=value.ops[:cut])
        at = kinks(head, 1 << GUARD)
        lines = fit(head, fraction, at=at, bent=True)
        if lines is None:
            continue
        finer = np.full(len(at), 1 << GUARD, np.int64)
        ends = (value.low << GUARD) - at, (value.high << GUARD) - at
        none = np.zeros(len(at), np.int64)
        within = int(ends[0].min()), int(ends[1].max())
        node = Rescale(build.name("rescale"), value.name, finer, -at, none, *within)
        t = build.add(node)
        build.remark(
            value.layer, node, f"shifted to where two lines meet, {GUARD} fraction bits more"
        )
        moved = replace(value, name=node.name, type=t)
        return _rescaled(build, moved, lines, cut, fraction)
    raise CannotLower(_refusal(value, fraction))


def _rescaled(
    build: GraphBuilder, value: TracedValue, line: LineFit, cut: int, fraction: int
) -> TracedValue:
    """The value after a node that replaces its first ``cut`` functions."""
    classes = None if value.border is None else value.border.classes
    node = line.node(build.name("rescale"), value.name, classes)
    t = build.add(node)
    assert line.ends is not None
    old = value.fixed or FixedPointError(0.0, 0.0)
    # Between two integers, the modules are taken to change as from one integer to the next.
    # Sample points include the ends and kinks, where lines are farthest apart; but rounding can be
    # largest between them: half a unit more.
    own = line.error + (0.5 if line.count < value.type.count else 0.0)
    error = FixedPointError(old.total * line.slope + own, old.local * line.slope + own)
    ends = f"saturates at {line.low} and {line.high}" if line.saturates else "never saturates"
    tried = f"all {line.count} integers"
    if line.count < value.type.count:
        tried = f"{line.count} integers, its ends and kinks among them"
    text = (
        f"fixed point, {t.width} bits of which {fraction} are fraction bits, at most "
        f"{line.error:.2f} units off on {tried}, {ends}"
    )
    build.remark(value.layer, node, text)
    build.fixed[node.name] = text
    return TracedValue(
        node.name,
        t,
        *line.ends,
        value.layer,
        (reading(fraction), *value.ops[cut:]),
        order=value.order,
        fixed=error,
    )


def add(
    build: GraphBuilder, label: str, sides: tuple[TracedValue, TracedValue]
) -> tuple[TracedValue, Sum | None]:
    """The sum of two values.

    Args:
        build: the Graph so far.
        label: the call, for messages.
        sides: the terms.

    Returns:
        The sum; and the bound of its error if it is in fixed point, else None.

    Raises:
        CannotLower: as :func:`fix`, or if the sides have different shapes.
    """
    one, other = (settle(build, side) for side in sides)
    if one.shape != other.shape or not _same_order(one, other):
        raise CannotLower(
            f"{label}: adds values of shapes {one.shape} and {other.shape}; expected equal shapes; "
            "flatten images after their sum, not before"
        )
    exact = not any(s.type.bit or s.fixed or s.pending for s in (one, other))
    exact = exact and is_identity(one) and is_identity(other)
    if not exact:
        one, other = fix(build, one), fix(build, other)
    node = Add(build.name("add"), one.name, other.name)
    t = build.add(node)
    ends = one.low + other.low, one.high + other.high
    layer = f"{one.layer} + {other.layer}" if one.layer != other.layer else one.layer
    total = TracedValue(node.name, t, *ends, one.layer, order=one.order)
    if exact:
        build.remark(one.layer, node, f"exact, {t}")
        return total, None
    assert one.fixed is not None
    assert other.fixed is not None
    rounding = max(-t.low, t.high) * FLOAT32
    error = one.fixed.total + other.fixed.total + rounding
    local = one.fixed.local + other.fixed.local + rounding
    text = f"{layer}: {t.width} bits, at most {error:.2f} units of 2^-{build.fraction} off"
    build.remark(one.layer, node, text)
    build.fixed[node.name] = text
    reads = (reading(build.fraction),)
    return replace(total, ops=reads, fixed=FixedPointError(error, 0.0)), Sum(
        node.name, build.fraction, local
    )


def resolution(value: TracedValue) -> float:
    """The distance beyond which two of the network's numbers have the order of their integers.

    Args:
        value: fixed-point numbers that rise alike in all channels.
    """
    assert value.fixed is not None
    t = value.type
    ends = evaluate_at(value, np.array([t.low, t.high]), held=False)[:, 0].astype(np.float64)
    slope = float(ends[1] - ends[0]) / max(t.high - t.low, 1)
    return 2 * slope * (value.fixed.local + 1) + 4 * FLOAT32 * float(np.abs(ends).max())


def _same_order(one: TracedValue, other: TracedValue) -> bool:
    if one.order is None or other.order is None:
        return one.order is other.order
    return np.array_equal(one.order, other.order)


def subsampled(
    build: GraphBuilder, name: str, value: TracedValue, stride: int, before: int, after: int
) -> TracedValue:
    """Every ``stride``-th row and column of an image, with channels of zeros added.

    Args:
        build: the Graph so far.
        name: the layer's name in the network.
        value: an image.
        stride: from 1.
        before: number of channels of zeros before the image's own.
        after: number of channels of zeros after them.
    """
    value = fix(build, value)
    if stride > 1:
        step = (stride, stride)
        pool = MaxPool(build.name("pool"), value.name, (1, 1), step)
        t = build.add(pool)
        build.remark(name, pool, f"one of {stride} rows and columns")
        value = replace(value, name=pool.name, type=t)
    if before or after:
        pad = ChannelPad(build.name("pad"), value.name, before, after)
        t = build.add(pad)
        build.remark(name, pad, f"{before} channels of 0 before, {after} behind")
        zeros = [np.zeros(n, np.int64) for n in (before, after)]
        low, high = (np.concatenate((zeros[0], end, zeros[1])) for end in (value.low, value.high))
        value = replace(value, name=pad.name, type=t, low=low, high=high)
    return value


def _refusal(value: TracedValue, fraction: int) -> str:
    ops = ", ".join(op.label for op in value.ops) or f"layer '{value.layer}'"
    return (
        f"{ops}: has no fixed-point form: neither one line nor two lines that meet, with "
        f"{fraction} fraction bits, come within {ALLOWED:g} unit of it on all integers from "
        f"{value.type.low} to {value.type.high} of layer '{value.layer}'; use BatchNorm, PReLU, "
        "Maxout, RPReLU or Hardtanh there, and gains that keep the numbers small"
    )

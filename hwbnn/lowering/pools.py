"""Pooling: the maximum and the mean of floats, as maxima, minima and sums of integers.

A max pool after sums waits: it gets no node until the next activation is reached. Where the codes
rise or fall with the floats that the pool compares, the codes are pooled: thresholds first, then OR
or AND of bits, which takes the least hardware. Otherwise (a channel rises and falls after the pool)
the integers are pooled, by their maximum where the floats rise with them and by their minimum where
the floats fall, and a table follows. Whether a channel rises or falls is tried on all integers that
can occur; nothing is derived from gains.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph import MaxPool, SumPool, Window
from hwbnn.graph.arrays import Array, Bools, Ints
from hwbnn.lowering.ops import FixedPointReading, MonotoneCheck, StepActivation, TableFunction
from hwbnn.lowering.tables import batches, evaluate_at, merged
from hwbnn.lowering.value import FixedPointError, GraphBuilder, TracedValue, WaitingPool


class NoOrder(CannotLower):
    """Floats neither rise nor fall with their integers, so these cannot be compared instead."""


@dataclass(frozen=True)
class PoolWindow:
    """The window of a pooling layer, as torch defines it.

    Attributes:
        name: the layer's name in the network.
        label: the layer, for messages.
        kernel: rows and columns.
        stride: rows and columns.
        padding: rows above and below, columns left and right.
        divisor: for a mean, the number that the sum is divided by.
    """

    name: str
    label: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)
    divisor: int = 1

    def border(self, size: tuple[int, ...], result: tuple[int, ...]) -> tuple[int, int, int, int]:
        """The padding (top, bottom, left, right) for which ``size`` gives a result of ``result``.

        With ``ceil_mode`` the last windows reach beyond torch's own padding.
        """
        ends = []
        for i in range(2):
            reach = (result[i] - 1) * self.stride[i] + self.kernel[i] - size[i] - self.padding[i]
            ends += [self.padding[i], max(self.padding[i], reach)]
        return ends[0], ends[1], ends[2], ends[3]


def max_pool(
    build: GraphBuilder, shape: PoolWindow, value: TracedValue, result: tuple[int, ...]
) -> TracedValue:
    """The maximum of each window.

    Args:
        build: the Graph so far.
        shape: the layer's window.
        value: its argument, without a waiting pool.
        result: height, width and channels of its result.

    Raises:
        CannotLower: if the floats neither rise nor fall with the integers.
    """
    _expect_image(shape, value)
    padding = shape.border(value.type.shape, result)
    return bordered_max_pool(build, shape, padding, value, result)


def bordered_max_pool(
    build: GraphBuilder,
    shape: PoolWindow,
    padding: tuple[int, int, int, int],
    value: TracedValue,
    result: tuple[int, ...],
) -> TracedValue:
    """:func:`max_pool` with given padding: top, bottom, left, right."""
    size = (result[0], result[1], result[2])
    pool = WaitingPool(
        shape.name, shape.label, shape.kernel, shape.stride, padding, size, len(value.ops)
    )
    waiting = replace(value, pool=pool)
    if value.type.bit or value.is_input or value.fixed or value.is_coded:
        return settle(build, waiting)
    return waiting


def settle(build: GraphBuilder, value: TracedValue) -> TracedValue:
    """The value, with its waiting pool, if any, as a node on the integers.

    Raises:
        NoOrder: if the floats before the pool neither rise nor fall with the integers.
    """
    pool = value.pool
    if pool is None:
        return value
    if value.pending or value.border is not None:
        raise NoOrder(
            f"{pool.label}: the sums of layer '{value.layer}' are not compared as integers, as "
            "they differ at the border of the image or have real offsets; put a BinaryActivation "
            "behind the pool, with nothing between them that rises and falls"
        )
    falls = _falls(replace(value, ops=value.ops[: pool.cut], pool=None), pool.label)
    node = pool_node(build, value.name, pool, falls)
    t = build.add(node)
    kind = "codes" if value.is_coded else "integers"
    build.remark(pool.name, node, f"maximum of {kind}{_minimum(falls)}")
    return replace(value, name=node.name, type=t, pool=None)


def pool_node(build: GraphBuilder, source: str, pool: WaitingPool, smallest: Bools) -> MaxPool:
    """The node of a pool, not yet added; ``smallest`` marks channels that take the minimum."""
    chosen = smallest if smallest.any() else None
    return MaxPool(build.name("pool"), source, pool.kernel, pool.stride, pool.padding, chosen)


def _minimum(smallest: Bools) -> str:
    """The part of a remark about channels whose order is reversed."""
    count = int(smallest.sum())
    return f", in {count} of {len(smallest)} channels the minimum" if count else ""


def pool_codes(
    build: GraphBuilder, value: TracedValue, codes: str, check: MonotoneCheck
) -> MaxPool:
    """Add a waiting pool as a node on the codes of the floats that it compares."""
    assert value.pool is not None
    smallest: Bools = ~check.rising
    node = pool_node(build, codes, value.pool, smallest)
    build.add(node)
    build.remark(value.pool.name, node, f"maximum of codes{_minimum(smallest)}")
    return node


def monotone_check(value: TracedValue, layer: StepActivation) -> MonotoneCheck:
    """An empty check of the codes against the floats that a waiting pool compares."""
    assert value.pool is not None
    return MonotoneCheck(value.pool.cut, layer.levels, len(value.low))


def fill_check(check: MonotoneCheck, value: TracedValue, layer: StepActivation) -> None:
    """Record the floats and codes of all integers, in all border classes."""
    before, layer = replace(value, ops=value.ops[: check.cut]), layer.in_order(value.order)
    for border_class in range(len(value.variants)):
        for y in _telling(before, border_class):
            x = y
            for op in value.ops[check.cut :]:
                x = op(x)
            check.add(y, layer.codes(x))


def _telling(value: TracedValue, border_class: int = 0) -> Iterator[Array]:
    """Floats that show whether a channel rises or falls: two ends suffice for monotone functions.

    All functions of a network from a file are monotone, and its sums of 8-bit codes take millions
    of integers.
    """
    if value.is_double and all(op.is_monotone for op in value.variants[border_class]):
        yield evaluate_at(value, np.stack([value.low, value.high]), border_class)
        return
    for _, x in batches(value, border_class=border_class):
        yield x


def _falls(value: TracedValue, label: str) -> Bools:
    """Channels whose floats fall with the integers."""
    if all(isinstance(op, FixedPointReading) for op in value.ops):
        return np.zeros(len(value.low), np.bool_)
    rises = np.zeros(len(value.low), np.bool_)
    falls = rises.copy()
    last: Array | None = None
    for x in _telling(value):
        joined = x if last is None else np.concatenate((last, x))
        rises |= (joined[1:] > joined[:-1]).any(axis=0)
        falls |= (joined[1:] < joined[:-1]).any(axis=0)
        last = x[-1:]
    if (rises & falls).any():
        where = "" if len(value.ops) < 2 else ", or put the pool right behind the layer that sums"
        raise NoOrder(
            f"{label}: channel {int((rises & falls).argmax())} rises and falls before it; use "
            f"slopes above 0{where}"
        )
    return falls


def mean_pool(
    build: GraphBuilder, shape: PoolWindow, value: TracedValue, result: tuple[int, ...]
) -> TracedValue:
    """The mean of each window: the sum of its integers, followed by a division.

    Args:
        build: the Graph so far.
        shape: the layer's window.
        value: its argument.
        result: height, width and channels of its result.

    Raises:
        CannotLower: if it averages floats whose sum torch would round.
    """
    _expect_image(shape, value)
    unit = _unit(value)
    if unit is None:
        ops = ", ".join(op.label for op in value.ops)
        first = replace(value, ops=value.ops[:1], pool=None)
        helps = len(value.ops) > 1 and _unit(first) is not None
        where = f"right behind layer '{value.layer}', or " if helps else ""
        raise CannotLower(
            f"{shape.label}: it averages real numbers, from {ops}, whose sum is rounded; put it "
            f"{where}behind a BinaryActivation"
        )
    size = (value.type.shape[0], value.type.shape[1])
    padding = shape.border(size, result)
    if (padding[1], padding[3]) != (shape.padding[0], shape.padding[1]):
        raise CannotLower(f"{shape.label}: windows of other sizes at the border; use no ceil_mode")
    node = SumPool(build.name("sum"), value.name, shape.kernel, shape.stride, padding)
    t = build.add(node)
    window = Window(size, shape.kernel, shape.stride, padding)
    low, high = sum_ends(value, window)
    factor, divisor = np.float32(unit), np.float32(shape.divisor)

    size_text = "x".join(map(str, shape.kernel))
    text = f"sums of {size_text}; divided by {shape.divisor} before the next threshold"
    build.remark(shape.name, node, text)
    divide = TableFunction(
        shape.label, lambda x: x * factor / divisor, is_elementwise=True, is_monotone=True
    )
    fixed = value.fixed
    if fixed is not None:
        terms = shape.kernel[0] * shape.kernel[1]
        fixed = FixedPointError(fixed.total * terms, fixed.local * terms)
    return TracedValue(node.name, t, low, high, value.layer, (divide,), fixed=fixed)


def sum_ends(value: TracedValue, window: Window) -> tuple[Ints, Ints]:
    """The lowest and highest sum of each channel, int64 ``(channels,)`` each."""
    low, high = value.low, value.high
    if value.type.bit:
        low, high = 2 * low - 1, 2 * high - 1
    counts = [int(taps.sum()) for taps in window.classes]
    return np.min([n * low for n in counts], axis=0), np.max([n * high for n in counts], axis=0)


def is_summable(value: TracedValue) -> bool:
    """Whether torch's sums of a value's floats are exact, and so are sums of its integers."""
    return value.pool is None and _unit(value) is not None


def _unit(value: TracedValue) -> float | None:
    """The power of two, of either sign, that times the integers gives the floats; or None."""
    if value.pending or value.border is not None:
        return None
    unit = None
    value = merged(value)
    for integers, x in batches(value):
        held = np.clip(integers[:, None], value.low, value.high)
        wanted = held * 2 - 1 if value.type.bit else held
        moving = wanted != 0
        if unit is None and moving.any():
            row, column = (int(i) for i in np.argwhere(moving)[0])
            unit = float(x[row, column]) / int(wanted[row, column])
            if unit == 0 or math.frexp(abs(unit))[0] != 0.5:
                return None
        # In torch, fixed-point numbers beyond 2^24 are rounded to float32.
        if not np.array_equal(x, wanted.astype(np.float32) * np.float32(unit or 1.0)):
            return None
    return unit


def _expect_image(shape: PoolWindow, value: TracedValue) -> None:
    if not value.is_image:
        raise CannotLower(f"{shape.label}: expected an image, found {value.type}")

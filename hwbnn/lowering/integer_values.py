"""Floats that are integers: ReLU of sums, rounded numbers, 0 and 1, and multiples of codes.

A layer without ``source=`` sums its argument as it is. If the argument's floats are integers,
whatever functions computed them, the sums are exact, in floats and in the Graph: the functions
become one node that computes the same integers. This node is a ``Rescale`` for a line that may end
in plateaus (ReLU of a sum), a ``Threshold`` with a base for a few integers, and a table for a
function that rises and falls.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwbnn.graph import Lookup, Node, Threshold
from hwbnn.graph.arrays import Bytes, Float32s, Ints
from hwbnn.lowering.activations import MOST_THRESHOLDS, SMALL_TABLE, activation
from hwbnn.lowering.line_fit import fit
from hwbnn.lowering.ops import FLOAT32_INTEGERS, StepActivation, TableFunction
from hwbnn.lowering.tables import (
    COUNT_LIMIT,
    LONG,
    batches,
    evaluate_at,
    is_identity,
    merged,
    read_thresholds,
)
from hwbnn.lowering.value import GraphBuilder, TracedValue

_UNIT = 12
"""Most fraction bits of the scale and offset of floats that are summed as codes."""
_SAME = 2.0**-22
"""Difference of multiples that float32's rounding may cause, relative to the largest."""
_OFF_LINE = 1 / 64
"""Largest distance from a line, in units of the integers, that is taken for float32's rounding."""


def as_integers(build: GraphBuilder, value: TracedValue) -> TracedValue | None:
    """A value whose floats are integers, as a value of the Graph with these integers.

    Args:
        build: the Graph so far.
        value: any value.

    Returns:
        The value after one more node, or the value itself if it has these integers already; None
        if the floats are not integers, no node of a permitted size computes them, or the value is
        undecided, in fixed point or has a waiting pool.
    """
    if value.pending or value.pool is not None or value.fixed is not None:
        return None
    if value.type.count > COUNT_LIMIT:
        return None
    if is_identity(value):
        return value
    ends = None if value.type.bit else _ends(value)
    if ends is None:
        return None
    low, high = ends
    if (int(low.min()), int(high.max())) == (-1, 1) and _are_signs(value):
        return _bits(build, value)
    node = _node(build, value, int(low.min()), int(high.max()))
    if node is None:
        return None
    t = build.add(node)
    kind = {"Rescale": "a line", "Threshold": "counted", "Lookup": "a table"}[type(node).__name__]
    ops = ", ".join(op.label for op in value.ops[1:]) or "sums"
    build.remark(value.layer, node, f"integers {t.low} to {t.high} of {ops}, {kind}")
    return TracedValue(node.name, t, low, high, value.layer, (_AS_IT_IS,), order=value.order)


def as_levels(build: GraphBuilder, value: TracedValue) -> TracedValue | None:
    """A value whose floats are few and multiples of one number, as these multiples.

    Such are the levels ``k / 3`` of a quantizer that is written as functions: ``round(3 * x) / 3``.

    Args:
        build: the Graph so far.
        value: any value.

    Returns:
        The value after one more node, whose integers stand for the same floats; None if it takes
        more than 256 floats, or they are no multiples of one number, or as for :func:`as_integers`.
    """
    if not is_tabulated(value) or value.type.bit or value.is_coded:
        return None
    found = np.zeros(0, np.float32)
    for border_class in range(len(value.variants)):
        for _, x in batches(value, border_class=border_class):
            found = np.unique(np.concatenate((found, x.ravel().astype(np.float32))))
            if found.size > MOST_THRESHOLDS + 1:
                return None
    if found.size < 2 or found.size == value.type.count:
        return None
    step = float(np.diff(found.astype(np.float64)).min())
    reach = float(np.abs(found).max())
    step = reach / max(1, round(reach / step))
    multiples = np.rint(found / step)
    if np.abs(multiples * step - found).max() > reach * _SAME or multiples[-1] - multiples[0] > 255:
        return None
    low = int(multiples[0])
    floats = (np.arange(low, int(multiples[-1]) + 1) * step).astype(np.float32)
    floats[multiples.astype(np.int64) - low] = found

    def code(x: Float32s) -> Float32s:
        codes: Float32s = multiples[np.searchsorted(found, x)].astype(np.float32)
        return codes

    def level(x: Float32s) -> Float32s:
        return np.asarray(
            floats[np.rint(x).astype(np.int64).clip(low, low + floats.size - 1) - low]
        )

    known = all(op.is_monotone for ops in value.variants for op in ops)
    label = f"{found.size} multiples of {step:g}"
    integers = as_integers(
        build, value.after(TableFunction(label, code, is_elementwise=True, is_monotone=known))
    )
    return (
        None
        if integers is None
        else integers.after(TableFunction(label, level, is_elementwise=True))
    )


def is_integers(value: TracedValue) -> bool:
    """Whether a layer without ``source=`` has no need of :func:`as_integers`.

    Its argument then is the Graph's integers already, or is read in another way: numbers in fixed
    point, undecided sums, and values of too many integers.
    """
    if value.pending or value.fixed is not None or value.type.count > COUNT_LIMIT:
        return True
    return is_identity(value)


def is_tabulated(value: TracedValue) -> bool:
    """Whether :func:`as_integers` may take a value, and evaluates few integers for it."""
    if value.pending or value.pool is not None or value.fixed is not None:
        return False
    return value.type.count * len(merged(value).low) <= LONG


def is_shifted(value: TracedValue) -> bool:
    """Whether the floats are the Graph's integers plus one constant, in all channels."""
    if value.type.bit or value.border is not None or value.type.count > SMALL_TABLE:
        return False
    shift: np.float32 | None = None
    for integers, x in batches(value, reachable=False):
        apart = x - integers[:, None].astype(np.float32)
        shift = apart[0, 0] if shift is None else shift
        if not (apart == shift).all():
            return False
    return True


_AS_IT_IS = TableFunction("integers", lambda x: x, is_elementwise=True, is_monotone=True)


def _are_signs(value: TracedValue) -> bool:
    """Whether every float is -1 or +1."""
    return all(
        (np.abs(x) == 1).all()
        for border_class in range(len(value.variants))
        for _, x in batches(value, border_class=border_class)
    )


def _bits(build: GraphBuilder, value: TracedValue) -> TracedValue:
    """Floats that are -1 and +1, as bits."""
    step = StepActivation(value.layer, value.layer, 1, 1.0, 0.0, lambda x: (x > 0).astype(np.uint8))
    bits = activation(build, step, value)
    signs = TableFunction("signs", lambda x: 2 * x - np.float32(1), is_elementwise=True)
    return replace(bits, ops=(signs,))


def _ends(value: TracedValue) -> tuple[Ints, Ints] | None:
    """The lowest and highest float of each channel, if all are integers that float32 holds."""
    low = np.full(len(value.low), np.inf)
    high = np.full(len(value.low), -np.inf)
    for border_class in range(len(value.variants)):
        for _, x in batches(value, border_class=border_class):
            if not (np.abs(x) < FLOAT32_INTEGERS).all() or (x != np.rint(x)).any():
                return None
            low, high = np.minimum(low, x.min(axis=0)), np.maximum(high, x.max(axis=0))
    if low.min() == high.max():
        return None
    return low.astype(np.int64), high.astype(np.int64)


def _node(build: GraphBuilder, value: TracedValue, low: int, high: int) -> Node | None:
    """The node that computes the floats as integers; None if it would be too large."""
    classes = None if value.border is None else value.border.classes
    if high - low <= MOST_THRESHOLDS:

        def codes(x: Float32s) -> Bytes:
            return (x - np.float32(low)).astype(np.uint8)

        step = StepActivation(value.layer, value.layer, high - low, 1.0, 0.0, codes)
        table = read_thresholds(value, step)
        # A long count takes more hardware than a line.
        if not table.non_monotone.any() and (high - low <= 7 or _line(build, value) is None):
            thresholds = table.thresholds, table.falling, classes
            return Threshold(build.name("count"), value.name, *thresholds, low)
    line = _line(build, value)
    if line is not None:
        return line
    if classes is None and value.type.count <= SMALL_TABLE:
        entries = np.concatenate([x for _, x in batches(value)]).T.astype(np.int64)
        return Lookup(build.name("lookup"), value.name, entries)
    return None


def _line(build: GraphBuilder, value: TracedValue) -> Node | None:
    """A ``Rescale`` whose results equal the floats on every integer; None if there is none."""
    line = fit(value, 0)
    if line is None or line.error or line.count < merged(value).type.count:
        return None
    # Whole slopes need no shift.
    unit = 1 << line.shift
    if not (line.multiplier % unit).any() and not (line.bias % unit).any():
        line = replace(line, multiplier=line.multiplier // unit, bias=line.bias // unit, shift=0)
    classes = None if value.border is None else value.border.classes
    return line.node(build.name("rescale"), value.name, classes)


def exact_multiple(value: TracedValue, terms: int) -> tuple[float, float] | None:
    """Scale and offset of floats ``scale * u + offset`` whose sums are exact in float32.

    Args:
        value: its integers are ``u``; for bits, ``u`` is -1 and +1.
        terms: how many floats are summed.

    Returns:
        Scale and offset; None where the floats are not on such a line, channels differ, or float32
        would round a sum of the floats.
    """
    if value.pending or value.border is not None or value.pool is not None:
        return None
    if value.fixed is not None or not 2 <= value.type.count <= SMALL_TABLE:
        return None
    numbers: list[Ints] = []
    floats: list[Float32s] = []
    for integers, x in batches(value, reachable=False):
        if not (x == x[:, :1]).all():
            return None
        numbers.append(integers * 2 - 1 if value.type.bit else integers)
        floats.append(x[:, 0])
    u, x = np.concatenate(numbers), np.concatenate(floats).astype(np.float64)
    scale = float((x[-1] - x[0]) / (u[-1] - u[0]))
    offset = float(x[0] - scale * u[0])
    largest = float(np.abs(x).max()) + abs(offset)
    unit = float(1 << _UNIT)
    whole = all((part * unit).is_integer() for part in (scale, offset))
    if not scale or not whole or not np.array_equal(scale * u + offset, x):
        return None
    return (scale, offset) if largest * terms * unit < FLOAT32_INTEGERS else None


def common_line(value: TracedValue) -> tuple[float, float, float] | None:
    """Scale and offset by which all channels' integers stand for the floats, and their error.

    Args:
        value: any value.

    Returns:
        Scale, offset, and the largest distance of a float from the line, in units of the integers,
        on every integer; None where the floats are not on one line for all channels, or the value
        is undecided, in fixed point or has border classes or a waiting pool.
    """
    if value.pending or value.border is not None or value.pool is not None:
        return None
    if value.fixed is not None or not 2 <= value.type.count <= COUNT_LIMIT:
        return None
    ends = evaluate_at(value, np.array([value.type.low, value.type.high]), held=False)
    first, last = ends[:, 0].astype(np.float64)
    scale = float(last - first) / (value.type.high - value.type.low)
    offset = float(first) - scale * value.type.low
    if not scale or not np.isfinite((scale, offset)).all():
        return None
    worst = 0.0
    for integers, x in batches(value, reachable=False):
        if not (x == x[:, :1]).all():
            return None
        wanted = (x[:, 0].astype(np.float64) - offset) / scale
        worst = max(worst, float(np.abs(wanted - integers).max()))
        if worst > _OFF_LINE:
            return None
    return scale, offset, worst

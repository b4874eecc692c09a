"""Activations as nodes: how BatchNorm becomes thresholds, or a table if it is not monotone.

The functions between a sum and the activation are evaluated on every integer of the sum
(:mod:`hwbnn.lowering.tables`); the threshold of a channel is the integer at which its code changes.
A waiting max pool before the activation is moved after it, if the codes are monotone in the floats
that the pool compares (:mod:`hwbnn.lowering.pools`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph import Conv2d, Dot, Lookup, Node, Threshold, ValueType, infer
from hwbnn.graph.arrays import Bools, Ints
from hwbnn.lowering import pools
from hwbnn.lowering.layers import check_exact, check_pairs, describe
from hwbnn.lowering.ops import CodeReading, MonotoneCheck, StepActivation
from hwbnn.lowering.shortcuts import settle
from hwbnn.lowering.tables import (
    COUNT_LIMIT,
    FIXED_LIMIT,
    LONG,
    ThresholdTable,
    read_intervals,
    read_table,
    read_thresholds,
)
from hwbnn.lowering.two_sums import certify, find, tabulate
from hwbnn.lowering.value import GraphBuilder, TracedValue


class NoExactForm(CannotLower):
    """An activation needs more thresholds than permitted; a fixed-point argument may need fewer."""


def activation(
    build: GraphBuilder, layer: StepActivation, value: TracedValue, *, is_shared: bool = False
) -> TracedValue:
    """Add the nodes that compute the codes of an activation.

    Args:
        build: the Graph so far.
        layer: the activation, its codes in the order of the network's channels.
        value: its argument.
        is_shared: whether other calls read the argument too.

    Returns:
        A value whose node computes the codes.

    Raises:
        CannotLower: if the argument has no integers that thresholds can be compared with.
        NoExactForm: if no thresholds or tables of a permitted size describe the activation; or if
            channels rise and fall, and the argument is in fixed point and shared.
    """
    check = None if value.pool is None else pools.monotone_check(value, layer)
    reading: Table | Intervals | Thresholds
    if value.pending:
        try:
            reading, value = _decided(build, layer, value, check)
        except CannotLower as error:
            raise NoExactForm(str(error)) from None
    else:
        if check is not None:
            pools.fill_check(check, value, layer)
            if not check.is_monotone:
                value, check = settle(build, value), None
        reading = tabulate_activation(layer, value, is_shared=is_shared)
    node: Node
    if isinstance(reading, Table):
        node = Lookup(
            build.name("lookup"), value.name, reading.codes + (layer.base or 0), reading.bit
        )
    elif isinstance(reading, Intervals):
        parts = reading.thresholds, reading.falling, reading.border_class
        counted = Threshold(build.name("count"), value.name, *parts, 0)
        build.add(counted)
        codes, is_bit = reading.codes + (layer.base or 0), layer.levels == 1
        node = Lookup(build.name("lookup"), counted.name, codes, is_bit)
    else:
        thresholds = reading.thresholds, reading.falling, reading.border_class
        node = Threshold(build.name("threshold"), value.name, *thresholds, layer.base)
    t = build.add(node)
    build.remark(layer.name, node, str(reading))
    if check is not None:
        node = pools.pool_codes(build, value, node.name, check)
        t = build.types[node.name]
    read = CodeReading(layer.label, layer, t.bit, is_elementwise=True)
    ends = np.full(len(value.low), t.low), np.full(len(value.low), t.high)
    return TracedValue(node.name, t, *ends, layer.name, (read,), is_coded=True, order=value.order)


@dataclass(frozen=True, eq=False)
class Table:
    """An activation as a table, where a channel is not monotone and its integers are few.

    Attributes:
        codes: int64 ``(channels, count)``.
        bit: whether they are codes of -1 and +1.
        non_monotone: how many channels need it.
    """

    codes: Ints
    bit: bool
    non_monotone: int

    def __str__(self) -> str:
        channels, count = self.codes.shape
        why = f": {self.non_monotone} of {channels} channels rise and fall"
        return f"tables of {count} entries{why if self.non_monotone else ''}"


@dataclass(frozen=True, eq=False)
class Intervals:
    """An activation as the number of thresholds that are reached, and the code of each number.

    A channel that rises and falls has a code for each interval between its thresholds.

    Attributes:
        thresholds: int64 ``(channels, count)``, rising, with ``border_class`` ``(classes, channels,
            count)``.
        codes: int64 ``(channels, count + 1)``.
        non_monotone: how many channels rise and fall.
        border_class: of each position, or None.
    """

    thresholds: Ints
    codes: Ints
    non_monotone: int
    border_class: Ints | None = None

    @property
    def falling(self) -> Bools:
        """False for every channel: thresholds are counted from below."""
        return np.zeros(len(self.codes), np.bool_)

    def __str__(self) -> str:
        channels, count = self.codes.shape
        return (
            f"intervals between {count - 1} thresholds a channel: {self.non_monotone} of "
            f"{channels} channels rise and fall"
        )


@dataclass(frozen=True, eq=False)
class Thresholds:
    """An activation as thresholds.

    Attributes:
        thresholds: int64 ``(channels, levels)``, with ``border_class`` ``(classes, channels,
            levels)``.
        falling: bool ``(channels,)``.
        counts: how many channels are ``rising``, ``falling``, ``always`` or ``never``.
        border_class: of each position, or None.
    """

    thresholds: Ints
    falling: Bools
    counts: dict[str, int]
    border_class: Ints | None = None

    def __str__(self) -> str:
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.counts.items() if n)
        border = "" if self.border_class is None else f", in {len(self.thresholds)} border classes"
        return f"thresholds: {kinds}{border}"


def tabulate_activation(
    layer: StepActivation, value: TracedValue, *, is_shared: bool = False
) -> Table | Intervals | Thresholds:
    """An activation as thresholds if every channel is monotone, otherwise as tables or intervals.

    A waiting max pool is left out: the result has the codes of the numbers that the pool compares.

    Raises:
        CannotLower: if the argument is bits, or neither flat nor an image.
        NoExactForm: if a channel needs more than :data:`MOST_THRESHOLDS` thresholds; if the
            argument has too many integers and may rise and fall; or if channels rise and fall, and
            the argument is in fixed point and shared.
    """
    if value.type.bit or len(value.type.shape) not in (1, 3):
        raise CannotLower(
            f"{layer.label}: expected integers before it, flat or of an image, found {value.type}; "
            "flatten the input, and put a binary layer between two activations"
        )
    layer = layer.in_order(value.order)
    if not all(op.is_monotone for ops in value.variants for op in ops):
        every = value.type.count * len(value.low)
        most = LONG if is_shared else FIXED_LIMIT
        if value.type.count > COUNT_LIMIT if value.fixed is None else every > most:
            raise NoExactForm(
                f"{layer.label}: its argument takes {value.type.count} integers and may rise and "
                "fall; lower with a smaller fraction, or use a smaller input range"
            )
    table = read_thresholds(value, layer)
    if layer.certify is not None:
        table = layer.certify(value, table)
    if not table.non_monotone.any():
        small = value.type.count <= SMALL_TABLE and value.border is None
        if value.is_double and layer.levels >= TABLE_LEVELS and small:
            return Table(_table_of(table, value.type), False, 0)
        classes = None if value.border is None else value.border.classes
        return _thresholds(table, classes, value.type)
    wrong = int(table.non_monotone.sum())
    if value.type.count <= SMALL_TABLE and value.border is None:
        return Table(read_table(value, layer), layer.levels == 1, wrong)
    if value.fixed is not None and is_shared:
        raise NoExactForm(f"{layer.label}: {wrong} channels rise and fall")
    intervals = read_intervals(value, layer, MOST_THRESHOLDS)
    if intervals is None:
        raise NoExactForm(
            f"{layer.label}: channel {int(table.non_monotone.argmax())} rises and falls more than "
            f"{MOST_THRESHOLDS} times; use slopes above 0"
        )
    border = None if value.border is None else value.border.classes
    thresholds = intervals.thresholds if border is not None else intervals.thresholds[0]
    return Intervals(thresholds, intervals.codes, wrong, border)


TABLE_LEVELS = 16
"""With so many levels or more, a small table takes less hardware than comparisons."""
SMALL_TABLE = 1024
"""Most integers of a table; beyond, intervals between thresholds take less hardware."""
MOST_THRESHOLDS = 255
"""Most thresholds of a channel that rises and falls."""


@dataclass(frozen=True, eq=False)
class Certified:
    """The two nodes of a layer with real offsets, and the proof.

    Attributes:
        dot: the sums, with scale and offset.
        thresholds: of the activation.
        text: the certificate, for people.
    """

    dot: Dot | Conv2d
    thresholds: Thresholds
    text: str


def certified_test(
    layer: StepActivation,
    value: TracedValue,
    dot: Dot | Conv2d,
    source: ValueType,
    check: MonotoneCheck | None = None,
) -> Certified:
    """An activation of two sums ``(D, S)`` as an integer test, certified on all pairs.

    Args:
        layer: the activation.
        value: its argument, with :attr:`TracedValue.pending`.
        dot: the plain sums.
        source: the type of the value that ``dot`` reads.
        check: for a waiting max pool: records the floats that it compares, with their codes.

    Raises:
        CannotLower: if there is no such test.
    """
    where, layer = f"layer '{value.layer}'", layer.in_order(value.order)
    check_exact(where, infer(dot, source))
    check_pairs(where, [pending.pairs for pending in value.pending])
    coded = [tabulate(pending, value.ops, layer, check) for pending in value.pending]
    planes = find(where, value.pending, coded)
    scale = np.full(len(dot.weights), 1 << planes.fraction)
    dot = replace(dot, scale=scale, offset=planes.ratio)
    t = infer(dot, source)
    thresholds = planes.thresholds(t.low, t.high)
    constant = np.array((planes.always | planes.never).all(axis=(0, 2)))
    classes = None if value.border is None else value.border.classes
    if classes is None:
        thresholds = thresholds[0]
    test = Threshold("test", dot.name, thresholds, planes.falling, classes)
    count = sum(
        certify(where, pending.pairs, codes, dot, test, border_class)
        for border_class, (pending, codes) in enumerate(zip(value.pending, coded, strict=True))
    )
    none = np.zeros(len(constant), np.bool_)
    table = ThresholdTable(test.thresholds, planes.falling, none, constant)
    text = (
        f"2^{planes.fraction} D + R S, certified on all {count} pairs (D, S), least gap "
        f"{planes.gap:.3g}"
    )
    return Certified(dot, _thresholds(table, classes, t), text)


def _decided(
    build: GraphBuilder, layer: StepActivation, value: TracedValue, check: MonotoneCheck | None
) -> tuple[Thresholds, TracedValue]:
    """Replace the plain sums before an activation by integer sums that decide it."""
    sums = next(n for n in build.nodes if n.name == value.name)
    assert isinstance(sums, Dot | Conv2d)
    if sums.scale_offset is not None or any(sums.name in n.sources for n in build.nodes):
        raise CannotLower(
            f"{layer.label}: another activation reads the sums of layer '{value.layer}', whose "
            "weights have real offsets; give each activation a layer of its own"
        )
    test = certified_test(layer, value, sums, build.types[sums.source], check)
    if check is not None and not check.is_monotone:
        raise CannotLower(
            f"{layer.label}: a channel rises and falls between the max pool before it and the "
            f"activation, and the weights of layer '{value.layer}' have real offsets; use slopes "
            "above 0, or train with mode 'qat' or 'drop'"
        )
    t = build.replace(test.dot)
    build.certificates[sums.name] = test.text
    build.remark(value.layer, sums, f"{describe(test.dot, t)}: {test.text}")
    return test.thresholds, replace(value, type=t, pending=())


def _table_of(table: ThresholdTable, t: ValueType) -> Ints:
    """The table of codes that equals these thresholds, int64 ``(channels, count)``."""
    x = np.arange(t.low, t.high + 1, t.step)
    # By search: comparing every integer with every threshold takes much memory for many levels.
    rows = [
        len(row) - np.searchsorted(row, x, "left") if falling else np.searchsorted(row, x, "right")
        for row, falling in zip(np.sort(table.thresholds), table.falling, strict=True)
    ]
    return np.array(rows, np.int64)


def _thresholds(table: ThresholdTable, classes: Ints | None, t: ValueType) -> Thresholds:
    """The thresholds of monotone channels, with border classes only where these differ."""
    thresholds = table.thresholds
    if classes is not None and (thresholds == thresholds[:1]).all():
        thresholds, classes = thresholds[0], None
    moving = ~table.constant
    never = (thresholds > t.high) | (thresholds < t.low)
    lowest = table.constant & never.reshape(-1, *thresholds.shape[-2:]).all(axis=(0, 2))
    counts = {
        "rising": int((moving & ~table.falling).sum()),
        "falling": int((moving & table.falling).sum()),
        "always": int((table.constant & ~lowest).sum()),
        "never": int(lowest.sum()),
    }
    return Thresholds(thresholds, table.falling, counts, classes)

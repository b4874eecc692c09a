"""From the nodes of a Graph to the stages of its circuit, one method a kind of node."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import singledispatchmethod

import numpy as np

from hwbnn.circuits import Form, latency
from hwbnn.errors import PlanError
from hwbnn.graph import (
    ArgMax,
    Dot,
    Encode,
    Flatten,
    Graph,
    Input,
    Lookup,
    Node,
    Output,
    Select,
    Threshold,
    ValueType,
)
from hwbnn.plan import blocks, constants, netlists
from hwbnn.plan.constants import Bools, Combination, Ints, RawSums, per_element
from hwbnn.plan.plan import Folded, Plan
from hwbnn.plan.stages import AxisIn, AxisOut, Down, Segment, Stage, Up
from hwbnn.plan.streams import Stream
from hwbnn.plan.taps import Tap


@dataclass
class Builder:
    """Stages so far, and the pipeline that is still open for more blocks."""

    graph: Graph
    plan: Plan
    stages: list[Stage] = field(default_factory=list)
    open: list[blocks.Block] = field(default_factory=list)
    taps: dict[str, Tap] = field(default_factory=dict)
    fused: dict[str, str] = field(default_factory=dict)
    last: tuple[str, ...] = ()
    """Name of the last node; none before the first."""

    @property
    def stream(self) -> Stream:
        """What the next part takes."""
        return (self.open or self.stages)[-1].result

    def type(self, node: Node) -> ValueType:
        """The type of a node's value."""
        return self.graph.types[node.name]

    def source_type(self, node: Node) -> ValueType:
        """The type of what a node reads."""
        return self.graph.types[node.sources[0]]

    def result(self, node: Node, lanes: int) -> Stream:
        """A node's value as a stream of at most so many lanes."""
        return Stream.of(self.type(node), lanes)

    # ---- Stages ----

    def close(self) -> None:
        """End the open pipeline, if there is one."""
        if not self.open:
            return
        first, last = self.open[0], self.open[-1]
        name = f"q{len(self.stages)}"
        self.stages.append(Segment(name, first.source, last.result, tuple(self.open), 1))
        self.open.clear()

    def resize(self, lanes: int) -> None:
        """Bring the stream to tokens of this many lanes."""
        for target in self.stream.resized(lanes):
            self.close()
            kind = Up if target.lanes > self.stream.lanes else Down
            self.stages.append(kind(f"r{len(self.stages)}", self.stream, target))

    def tap(self, node: Node, signal: str, *, handshake: bool) -> None:
        """A node's value is what the stream now carries, on these signals."""
        self.taps[node.name] = Tap(node.name, self.stream, self.type(node), signal, handshake)

    def append(self, block: blocks.Block) -> None:
        """Add a block to the open pipeline; its value, if it has one, is seen behind it."""
        self.open.append(block)
        if block.value is not None:
            self.tap(self.graph.node(block.value), block.name, handshake=False)

    # ---- Nodes ----

    def place(self, node: Node) -> None:
        """Add the next node's hardware.

        Raises:
            PlanError: if there is none for it, or it does not read the node before it alone.
        """
        if node.sources != self.last:
            raise PlanError(
                f"node '{node.name}' reads {', '.join(node.sources)}: hardware is made of chains "
                f"so far, where each node reads the one before it, here {', '.join(self.last)}"
            )
        self.add(node)
        self.last = (node.name,)

    @singledispatchmethod
    def add(self, node: Node) -> None:
        """The hardware of a node, by its kind."""
        raise PlanError(f"node '{node.name}': there is no hardware for {type(node).__name__}")

    @add.register
    def _input(self, node: Input) -> None:
        lanes = _lanes(node, self.type(node), "input_beat", self.plan.input_beat)
        stream = self.result(node, lanes)
        self.stages.append(AxisIn(f"v_{node.name}", stream, stream, self.plan.input_beat))
        self.tap(node, f"v_{node.name}", handshake=True)

    @add.register
    def _flatten(self, node: Flatten) -> None:
        source = self.taps[node.source]
        self.taps[node.name] = replace(
            source, value=node.name, type=self.type(node), alias=source.alias or source.value
        )

    @add.register
    def _select(self, node: Select) -> None:
        self.resize(self.stream.size)
        result = self.result(node, len(node.index))
        self.append(blocks.Select(f"v_{node.name}", node.name, self.stream, result, node.index))

    @add.register
    def _encode(self, node: Encode) -> None:
        cuts = constants.encoded(node, self.source_type(node))
        result = self.result(node, self.stream.lanes * cuts.shape[1])
        rising = np.zeros(len(cuts), np.bool_)
        block = blocks.Compare(f"v_{node.name}", node.name, self.stream, result, cuts, rising)
        self.append(block)

    @add.register
    def _dot(self, node: Dot) -> None:
        if node.factors is not None:
            self.scaled(node, *node.factors)
            return
        x = self.source_type(node)
        threshold = self.fuses(node)
        if threshold is not None:
            raw, cuts = constants.fused(node, threshold, x)
            if self.made(node) is not None and cuts.shape[1] == 1:
                self.resize(self.stream.size)
                name, result = f"v_{threshold.name}", self.result(threshold, len(cuts))
                self.append(self.netlist(name, threshold.name, node, raw, cuts[:, 0] + 1, result))
                self.fused[node.name] = threshold.name
                return
            self.product(node, raw)
            self.fused[node.name] = threshold.name
            self.thresholds(threshold, cuts, np.zeros(len(cuts), np.bool_))
            return
        raw = constants.raw_sums(node.weights, x)
        self.product(node, raw)
        result, name = self.result(node, self.stream.lanes), f"v_{node.name}"
        self.append(blocks.Affine(name, node.name, self.stream, result, raw.shift, raw.constants))

    def scaled(self, node: Dot, scale: Ints, offset: Ints) -> None:
        """A Dot with scale and offset: raw sums and their total, combined."""
        x, threshold = self.source_type(node), self.fuses(node)
        name, lanes = f"v_{node.name}", self.lanes(node)
        if threshold is None:
            made = constants.combination(node.weights, scale, offset, x)
            self.product(node, made.raw, total=True)
            result = self.result(node, lanes)
            self.append(self.combined(name, node.name, result, made, made.constants))
            return
        made, cuts = constants.scaled_thresholds(threshold, scale, offset, node, x)
        self.product(node, made.raw, total=True)
        # What shifts and adders leave out goes into the thresholds, not into adders.
        missing = self.combined(name, None, self.stream, made, made.constants).missing
        lows, highs = made.lows - missing, made.highs - missing
        t = ValueType((len(scale),), int(lows.min()), int(highs.max()))
        cuts = np.clip(cuts - missing[:, None], t.low - 1, t.high)
        self.append(self.combined(name, None, Stream.of(t, lanes), made, -missing))
        self.fused[node.name] = threshold.name
        self.thresholds(threshold, cuts, np.zeros(len(cuts), np.bool_))

    def combined(
        self, name: str, value: str | None, result: Stream, made: Combination, added: Ints
    ) -> blocks.Scaled:
        """The block that combines raw sums with their total."""
        levels = self.plan.levels
        return blocks.Scaled(
            name, value, self.stream, result, made.scale, made.offset, added, levels
        )

    def lanes(self, node: Dot) -> int:
        """Channels at a time."""
        layout = self.plan.layout(node.name)
        return layout.pe if isinstance(layout, Folded) else len(node.weights)

    def product(self, node: Dot, raw: RawSums, *, total: bool = False) -> None:
        """The raw sums of a Dot, unrolled or folded; with ``total`` that of the inputs too."""
        layout, weights, levels = self.plan.layout(node.name), raw.weights, self.plan.levels
        # Bits have one plane: it makes no difference how that is summed.
        sums = layout.sums if self.stream.width > 1 else "planes"
        name = f"raw_{node.name}"
        if isinstance(layout, Folded):
            self.close()
            self.resize(layout.simd)
            lanes = layout.pe + total
            result = Stream(len(weights) // layout.pe * lanes, lanes, raw.width)
            folded = blocks.DotFolded(
                name, None, self.stream, result, node.name, weights, levels, sums,
                layout.pe, layout.simd, total,
            )  # fmt: skip
            self.append(folded)
        else:
            self.resize(self.stream.size)
            if total:
                weights = np.concatenate([weights, np.ones_like(weights[:1])])
            result = Stream(len(weights), len(weights), raw.width)
            if self.made(node) is not None:
                raw = replace(raw, weights=weights)
                self.append(self.netlist(name, None, node, raw, None, result))
                return
            unrolled = blocks.DotUnrolled(
                name, None, self.stream, result, node.name, weights, levels, sums
            )
            self.append(unrolled)

    def made(self, node: Dot) -> Form | None:
        """The form of the netlist that a Dot becomes, if it becomes one."""
        layout = self.plan.layout(node.name)
        if isinstance(layout, Folded) or layout.made == "modules":
            return None
        return layout.made

    def netlist(
        self, name: str, value: str | None, node: Dot, raw: RawSums, wanted: Ints | None,
        result: Stream,
    ) -> blocks.DotNetlist:  # fmt: skip
        """The block of a Dot, and of the Threshold behind it where ``wanted`` is given."""
        form, levels = self.made(node), self.plan.levels
        assert form is not None
        netlist = netlists.netlist(raw.weights, wanted, self.stream)
        return blocks.DotNetlist(
            name, value, self.stream, result, node.name, raw.weights, wanted, netlist, form, levels,
            latency(netlist, levels),
        )  # fmt: skip

    def fuses(self, node: Dot) -> Threshold | None:
        """The Threshold that becomes one circuit with this Dot, if the Plan wants that."""
        readers = self.graph.readers(node.name)
        if self.plan.fuse and len(readers) == 1 and isinstance(readers[0], Threshold):
            return readers[0]
        return None

    @add.register
    def _threshold(self, node: Threshold) -> None:
        if node.source not in self.fused:  # else it stands behind the raw sums already
            self.thresholds(node, constants.compared(node, self.source_type(node)), node.falling)

    def thresholds(self, node: Threshold, cuts: Ints, falling: Bools) -> None:
        """Compare what comes, by these constants of each channel."""
        size, result = self.stream.size, self.result(node, self.stream.lanes)
        self.append(
            blocks.Threshold(
                f"v_{node.name}",
                node.name,
                self.stream,
                result,
                per_element(cuts, size),
                per_element(falling, size),
                self.plan.levels,
            )
        )

    @add.register
    def _lookup(self, node: Lookup) -> None:
        x = self.source_type(node)
        shift, table = constants.table(node, x)
        self.append(
            blocks.Lookup(
                f"v_{node.name}",
                node.name,
                self.stream,
                self.result(node, self.stream.lanes),
                x.low,
                shift,
                per_element(table, x.size),
            )
        )

    @add.register
    def _argmax(self, node: ArgMax) -> None:
        name = f"v_{node.name}"
        levels = self.plan.levels
        self.append(blocks.ArgMax(name, node.name, self.stream, self.result(node, 1), levels))

    @add.register
    def _output(self, node: Output) -> None:
        lanes = _lanes(node, self.type(node), "output_beat", self.plan.output_beat)
        self.resize(lanes)
        self.close()
        self.tap(node, self.stages[-1].name, handshake=True)
        stream = self.stream
        self.stages.append(AxisOut("m_axis", stream, stream, self.plan.output_beat))


def _lanes(node: Node, t: ValueType, name: str, beat: int) -> int:
    """Elements of a beat.

    Raises:
        PlanError: if the beat is narrower than one.
    """
    if beat < t.width:
        raise PlanError(
            f"plan: {name} {beat} is narrower than an element of '{node.name}', which has "
            f"{t.width} bits; take at least {-(-t.width // 8) * 8}"
        )
    return beat // t.width

"""Lines: streams on their way from the node that made them to the nodes that read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from hwbnn.graph import Graph, Node, ValueType
from hwbnn.plan import blocks
from hwbnn.plan.images import Fork
from hwbnn.plan.plan import Plan
from hwbnn.plan.stages import Down, Segment, Stage, Up
from hwbnn.plan.streams import Stream
from hwbnn.plan.taps import Tap

S = TypeVar("S", bound=Stage)


@dataclass
class Line:
    """A stream, and the pipeline at its end that is still open for more blocks.

    Attributes:
        name: of the stream, as the last stage drives it.
        driven: that stream.
        open: blocks that take it, one after the other.
    """

    name: str
    driven: Stream
    open: list[blocks.Block] = field(default_factory=list)

    @property
    def stream(self) -> Stream:
        """What the next part takes."""
        return self.open[-1].result if self.open else self.driven


@dataclass
class Lines:
    """The stages so far and the lines that end in the open.

    Attributes:
        graph: the network.
        plan: how it is laid out.
        stages: each behind those that drive its streams.
        taps: by value, where it can be seen.
        fused: by value, what it went into.
        drivers: by value, the literals that drive its bits in the netlist that gives them.
        ends: by value, a line for each reader that has not come yet.
        line: the one that is worked on.
    """

    graph: Graph
    plan: Plan
    stages: list[Stage] = field(default_factory=list)
    taps: dict[str, Tap] = field(default_factory=dict)
    fused: dict[str, str] = field(default_factory=dict)
    drivers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ends: dict[str, list[Line]] = field(default_factory=dict)
    line: Line = field(init=False)

    @property
    def stream(self) -> Stream:
        """What the next part of the line takes."""
        return self.line.stream

    def type(self, node: Node) -> ValueType:
        """The type of a node's value."""
        return self.graph.types[node.name]

    def source_type(self, node: Node) -> ValueType:
        """The type of the first value that a node reads."""
        return self.graph.types[node.sources[0]]

    def result(self, node: Node, lanes: int) -> Stream:
        """A node's value as a stream of at most so many lanes."""
        return Stream.of(self.type(node), lanes)

    # ---- Values and their readers ----

    def take(self, value: str) -> Line:
        """The line that brings a value to its next reader."""
        return self.ends[value].pop(0)

    def give(self, value: str) -> None:
        """The line now brings this value, to everyone who reads it."""
        readers = sum(node.sources.count(value) for node in self.graph.nodes)
        if readers < 2:
            self.ends[value] = [self.line] * readers
            return
        self.close()
        depths = self.plan.depths.get(value, (2,) * readers)
        fork = self.stage(Fork, f"f{len(self.stages)}", self.stream, value, depths)
        self.ends[value] = [Line(name, fork.result) for name in fork.outputs]

    # ---- Stages ----

    def stage(
        self,
        kind: Callable[..., S],
        name: str,
        result: Stream,
        *more: object,
        also: Iterable[Line] = (),
    ) -> S:
        """Add a stage that takes the line, and others; the line goes on behind it."""
        self.close()
        inputs = (self.line.name, *(line.name for line in also))
        made = kind(name, self.stream, result, *more, inputs=inputs)
        self.stages.append(made)
        self.line = Line(name, result)
        return made

    def close(self) -> None:
        """End the open pipeline, if there is one."""
        if not self.line.open:
            return
        line, name = self.line, f"q{len(self.stages)}"
        made = Segment(name, line.driven, line.stream, tuple(line.open), 1, inputs=(line.name,))
        self.stages.append(made)
        # The same line may be waiting for a reader.
        line.name, line.driven = name, line.stream
        line.open.clear()

    def resize(self, lanes: int) -> None:
        """Bring the stream to tokens of this many lanes."""
        for target in self.stream.resized(lanes):
            kind: Callable[..., Stage] = Up if target.lanes > self.stream.lanes else Down
            self.close()
            self.stage(kind, f"r{len(self.stages)}", target)

    def align(self, channels: int) -> None:
        """Bring the stream to tokens of one position each, and lanes that divide its channels."""
        if channels % self.stream.lanes:
            self.resize(largest_divisor(channels, self.stream.lanes))

    def tap(self, node: Node, signal: str, *, handshake: bool) -> None:
        """A node's value is what the stream now carries, on these signals."""
        self.taps[node.name] = Tap(node.name, self.stream, self.type(node), signal, handshake)

    def append(self, block: blocks.Block) -> None:
        """Add a block to the open pipeline; its value, if it has one, is seen behind it.

        Tokens are put together at the head of a pipeline alone, or behind a folded product of
        which a whole frame becomes one token.
        """
        inner = self.line.open
        if block.group > 1 and inner:
            head = inner[0]
            if not (isinstance(head, blocks.DotFolded) and head.vectors == 1):
                self.close()
        self.line.open.append(block)
        if block.value is not None:
            self.tap(self.graph.node(block.value), block.name, handshake=False)


def largest_divisor(n: int, most: int) -> int:
    """The largest divisor of a number that is at most this.

    >>> largest_divisor(12, 5), largest_divisor(3, 8)
    (4, 3)
    """
    return max(d for d in range(1, min(n, most) + 1) if n % d == 0)

"""A circuit under construction: its stages so far, and the streams that no stage takes yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from hwbnn.graph import Graph, Node, ValueType
from hwbnn.plan.blocks import Block
from hwbnn.plan.plan import Plan
from hwbnn.plan.products import DotFolded
from hwbnn.plan.stages import Fork, Narrow, Pipeline, Stage, Widen
from hwbnn.plan.tokens import Tap, TokenStream

S = TypeVar("S", bound=Stage)


@dataclass
class OpenStream:
    """A stream that no stage takes yet, and a pipeline behind it that still takes blocks.

    Attributes:
        name: name of the stream that the last stage drives.
        driven: the layout of that stream.
        blocks: blocks of the pipeline behind it, in order; empty while there is no pipeline.
    """

    name: str
    driven: TokenStream
    blocks: list[Block] = field(default_factory=list)

    @property
    def stream(self) -> TokenStream:
        """The stream that the next block or stage takes."""
        return self.blocks[-1].result if self.blocks else self.driven


@dataclass
class Datapath:
    """Stages built so far, and streams not yet consumed.

    :mod:`hwbnn.plan.circuits` adds the nodes of a Graph to it, in program order: each takes a
    stream of its source, extends it, and gives it to the readers of its own value.

    Attributes:
        graph: the network.
        plan: how it is laid out.
        stages: each after the stages that drive its streams.
        taps: by value, the signals on which it can be observed.
        fused: values that cannot be observed, each with the value whose circuit includes it.
        drivers: by value, the literals that drive its bits in the netlist that computes it.
        pending: by value, a stream for each reader that has not been added yet.
        current: the stream that is being extended.
        readers: by value, how often it is read.
    """

    graph: Graph
    plan: Plan
    stages: list[Stage] = field(default_factory=list)
    taps: dict[str, Tap] = field(default_factory=dict)
    fused: dict[str, str] = field(default_factory=dict)
    drivers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    pending: dict[str, list[OpenStream]] = field(default_factory=dict)
    current: OpenStream = field(init=False)
    readers: Counter[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.readers = Counter(value for node in self.graph.nodes for value in node.sources)

    @property
    def stream(self) -> TokenStream:
        """The current stream, as the next block or stage takes it."""
        return self.current.stream

    def type(self, node: Node) -> ValueType:
        """The type of a node's value."""
        return self.graph.types[node.name]

    def source_type(self, node: Node) -> ValueType:
        """The type of the first value that a node reads."""
        return self.graph.types[node.sources[0]]

    def result(self, node: Node, lanes: int) -> TokenStream:
        """A node's value as a stream of at most ``lanes`` lanes."""
        return TokenStream.of(self.type(node), lanes)

    # ---- Values and their readers ----

    def take(self, value: str) -> OpenStream:
        """The stream that brings a value to its next reader."""
        return self.pending[value].pop(0)

    def give(self, value: str) -> None:
        """Pass the current stream, which is this value, to its readers; several need a fork."""
        readers = self.readers[value]
        if readers < 2:
            self.pending[value] = [self.current] * readers
            return
        self.close()
        depths = self.plan.depths.get(value, (2,) * readers)
        fork = self.stage(Fork, f"f{len(self.stages)}", self.stream, value, depths)
        self.pending[value] = [OpenStream(name, fork.result) for name in fork.outputs]

    def tap(self, value: str, signal: str, *, handshake: bool) -> None:
        """Note that a value can be observed in the current stream, on these signals."""
        self.taps[value] = Tap(value, self.stream, self.graph.types[value], signal, handshake)

    # ---- Stages and blocks ----

    def stage(
        self,
        kind: Callable[..., S],
        name: str,
        result: TokenStream,
        *more: object,
        also: Iterable[OpenStream] = (),
    ) -> S:
        """Add a stage that takes the current stream and ``also``; its result becomes current."""
        self.close()
        inputs = (self.current.name, *(stream.name for stream in also))
        stage = kind(name, self.stream, result, *more, inputs=inputs)
        self.stages.append(stage)
        self.current = OpenStream(name, result)
        return stage

    def append(self, block: Block) -> None:
        """Add a block to the open pipeline; its value, if any, can be observed at its output.

        A block that combines several tokens stands only at the head of a pipeline, or behind a
        folded product whose frames are single vectors.
        """
        blocks = self.current.blocks
        if block.tokens_per_result > 1 and blocks:
            head = blocks[0]
            if not (isinstance(head, DotFolded) and head.vectors == 1):
                self.close()
        self.current.blocks.append(block)
        if block.value is not None:
            self.tap(block.value, block.name, handshake=False)

    def close(self) -> None:
        """End the open pipeline, if there is one: it becomes a stage."""
        current = self.current
        if not current.blocks:
            return
        name = f"q{len(self.stages)}"
        self.stages.append(
            Pipeline(
                name, current.driven, current.stream, tuple(current.blocks), 1,
                inputs=(current.name,),
            )
        )  # fmt: skip
        # ``pending`` may hold this same object, so it is changed in place.
        current.name, current.driven = name, current.stream
        current.blocks.clear()

    # ---- Lanes ----

    def resize(self, lanes: int) -> None:
        """Bring the current stream to tokens of this many lanes."""
        for target in self.stream.resized(lanes):
            kind: Callable[..., Stage] = Widen if target.lanes > self.stream.lanes else Narrow
            self.close()
            self.stage(kind, f"r{len(self.stages)}", target)

    def align(self, channels: int) -> None:
        """Bring the current stream to a number of lanes that divides the channels."""
        if channels % self.stream.lanes:
            self.resize(largest_divisor(channels, self.stream.lanes))

    def align_channels(self, t: ValueType, *, single: bool = False) -> None:
        """Bring the current stream to lanes with which the constants of channels repeat.

        Args:
            t: type of its value.
            single: whether a token must not hold several positions.
        """
        several = not single and self.stream.lanes % t.channels == 0
        if len(t.shape) > 1 and not several:
            self.align(t.channels)

    def elements(self, t: ValueType, *, single: bool = False) -> int:
        """The number of elements for which a block behind the stream must hold constants.

        That is all elements of a flat value; for an image its channels, or the lanes if a token
        holds several positions.

        Args:
            t: type of the value.
            single: whether a token must not hold several positions.
        """
        lanes, channels = self.stream.lanes, t.channels
        if len(t.shape) == 1:
            return t.size
        return lanes if lanes % channels == 0 and not single else channels


def least_divisor(n: int, parts: int) -> int:
    """The least divisor of ``n`` such that ``n / divisor`` is at most ``parts``.

    >>> least_divisor(12, 5), least_divisor(7, 3)
    (3, 7)
    """
    return min(d for d in range(1, n + 1) if n % d == 0 and n // d <= parts)


def largest_divisor(n: int, most: int) -> int:
    """The largest divisor of ``n`` that is at most ``most``.

    >>> largest_divisor(12, 5), largest_divisor(3, 8)
    (4, 3)
    """
    return max(d for d in range(1, min(n, most) + 1) if n % d == 0)

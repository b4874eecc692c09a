"""A Call of a C++ function of ``hls/``, and the Site: the Graph, Plan and io type of all calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import gcd
from typing import Any

from hwbnn.errors import PlanError
from hwbnn.graph import (
    Add,
    Conv2d,
    Dot,
    Flatten,
    Graph,
    Lookup,
    MaxPool,
    Node,
    Output,
    Rescale,
    SumPool,
    Threshold,
    ValueType,
    WeightedSum,
    fused_threshold,
)
from hwbnn.plan import Folded, Plan
from hwbnn.targets.hls.layout import Constant, Fold, Packed, Plain, Scalar, ValueLayout

UNROLL_LIMIT = 4096
"""Limit of an unrolled loop's iterations and of an array's parts; ``hwbnn::unroll_limit``.

Releases that refuse more than 1,024 parts have an option for more, which ``build_prj.tcl`` gives.
"""

STREAM_BITS = 4096
"""Bits of the widest token of a stream that Vitis takes."""

TOKEN_BITS = 1024
"""Bits of the widest token of an image."""


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a function of ``hls/``.

    Attributes:
        value: name of the Graph's value that it computes; for a fork, of the value that it copies.
        reads: names of the values or streams that it reads; empty if it reads the input port.
        kind: kind of the node, ``"Neurons"`` for a ``Dot`` with its ``Threshold``.
        function: name of the C++ function template.
        source: layout of the value that it reads, or of the part of it that one run of the
            function reads (a token, a pixel or a window).
        out: layout of the value that it computes, or of such a part of it.
        shape: ``(tokens of a frame, words of a token)`` of its value; ``(words,)`` alone if the
            whole value is one token.
        numbers: integer members of its config struct.
        types: type members of its config struct, in C++.
        constants: arrays passed to the function, in order.
        fused: names of values that it computes inside, so that no trace shows them.
        reuse: cycles that it takes for one frame, or a convolution for one position of its window
            (hls4ml's reuse factor).
        writes: names of its output streams, for a fork; empty if ``value`` is the only one.
        weight: type of one weight, if the weights are integers other than -1 and +1.
    """

    value: str
    reads: tuple[str, ...]
    kind: str
    function: str
    source: ValueLayout
    out: ValueLayout
    shape: tuple[int, ...]
    numbers: Mapping[str, int] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    constants: tuple[Constant, ...] = ()
    fused: tuple[str, ...] = ()
    reuse: int = 1
    writes: tuple[str, ...] = ()
    weight: Scalar | None = None

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of its output streams: the value's own name, except for forks."""
        return self.writes or (self.value,)

    @property
    def tokens(self) -> int:
        """Tokens of its value in a frame."""
        return self.shape[0] if len(self.shape) > 1 else 1


@dataclass(frozen=True)
class Site:
    """The Graph, the Plan and the io type, from which the calls of nodes are derived."""

    graph: Graph
    plan: Plan
    io: str

    def type(self, name: str) -> ValueType:
        """The type of a value."""
        return self.graph.types[name]

    @cached_property
    def hidden(self) -> frozenset[str]:
        """Names of values that are fused into the circuit of their reader."""
        sums = (n for n in self.graph.nodes if isinstance(n, WeightedSum))
        return frozenset(n.name for n in sums if fusable(self, n) is not None)

    @cached_property
    def image_lanes(self) -> Mapping[str, int]:
        """Elements of a token, for each value that crosses a stream pixel by pixel."""
        return image_lanes(self.graph, self.hidden) if self.io == "io_stream" else {}

    def chunks(self, name: str) -> int:
        """Tokens of a pixel."""
        return self.channels(name) // self.image_lanes[name]

    def channels(self, name: str) -> int:
        """Channels of a pixel; behind a Flatten those of the image in front of it."""
        node = self.graph.node(name)
        return self.channels(node.source) if isinstance(node, Flatten) else self.type(name).channels

    def function(self, name: str) -> str:
        """The C++ function of this name; in io_stream, its wrapper with streams as arguments."""
        return name if self.io == "io_parallel" else f"{name}_stream"

    def call(self, node: Any, function: str, **rest: Any) -> Call:
        """The call of a node inside the network; ``rest`` are further fields of the Call.

        If the value of the node is an image, the C++ function runs once for each token.
        """
        if node.name in self.image_lanes:
            layouts = self.token(node.source), self.token(node.name)
            numbers = {**rest.pop("numbers", {}), **self.token_numbers(node.name)}
            rest, called = {**rest, "numbers": numbers}, f"{function}_tokens"
        else:
            layouts = self.layout(node.source), self.layout(node.name)
            called = self.function(function)
            numbers = {**rest.pop("numbers", {}), **self.interval(*node.sources, node.name)}
            rest = {**rest, "numbers": numbers}
        kind, shape = type(node).__name__, self.shape(node.name)
        return Call(node.name, node.sources, kind, called, *layouts, shape, **rest)

    def interval(self, *names: str) -> dict[str, int]:
        """The member of a config struct that says how often a function can take frames.

        Args:
            names: the values that the function reads and writes.
        """
        shapes = [self.shape(name) for name in names]
        return {"interval": max(shape[0] if len(shape) > 1 else 1 for shape in shapes)}

    def token_numbers(self, name: str) -> dict[str, int]:
        """The members of a config struct that say in which tokens an image comes."""
        return {"n_tokens": self.shape(name)[0], "n_chunks": self.chunks(name)}

    def layout(self, name: str) -> ValueLayout:
        """The layout of a whole value between calls, as its readers expect it."""
        t = self.type(name)
        if not t.bit:
            return Plain(t.size, Scalar(t.width, t.signed))
        node = self.graph.node(name)
        if self._keeps_words(node):
            return self.layout(node.sources[0]).part(t.size)
        return Packed(t.size, self._segment(name, self.image_lanes.get(name, t.size)))

    def _segment(self, name: str, segment: int) -> int:
        """Elements of a segment of a packed value: a divisor of every reader's steps."""
        for reader in self.graph.readers(name):
            if isinstance(reader, Dot | Conv2d):
                segment = gcd(segment, *_steps(self.plan, reader))
            elif self._keeps_words(reader):
                segment = self._segment(reader.name, segment)
        return segment

    def _keeps_words(self, node: Node) -> bool:
        """Whether a node works on words of bits, so that it keeps the segments of its source."""
        return isinstance(node, Flatten | MaxPool) and node.name in self.image_lanes

    def pixel(self, name: str) -> ValueLayout:
        """The layout of one pixel of an image."""
        return self.layout(name).part(self.channels(name))

    def token(self, name: str) -> ValueLayout:
        """The layout of one token of an image."""
        return self.layout(name).part(self.image_lanes[name])

    def shape(self, name: str) -> tuple[int, ...]:
        """The tokens and words that cross between two calls: see :attr:`Call.shape`."""
        if name in self.image_lanes:
            return self.type(name).size // self.image_lanes[name], self.token(name).words
        layout = self.layout(name)
        if self.io == "io_parallel" or layout.words * layout.word.width <= STREAM_BITS:
            return (layout.words,)
        # As even as it can be; the last token may end with words that carry nothing.
        tokens = -(-layout.words // (STREAM_BITS // layout.word.width))
        words = -(-layout.words // tokens)
        return -(-layout.words // words), words

    def port(self, name: str) -> Plain:
        """The layout of a value, or of its tokens, towards the ports, where each bit is a word."""
        t = self.type(name)
        return Plain(self.image_lanes.get(name, t.size), Scalar(t.width, t.signed))

    def fold(self, node: Dot | Conv2d) -> Fold:
        """The fold of a node; that of an unrolled node computes everything in one cycle."""
        outputs, inputs = len(node.weights), node.weights[0].size
        layout = self.plan.layout(node.name)
        pe, simd = outputs, inputs
        if isinstance(layout, Folded):
            layout = dividing(node, layout)
            pe, simd = layout.pe, layout.simd
        source = self.layout(node.source)
        segment = source.segment if isinstance(source, Packed) else simd
        return Fold(outputs, inputs, pe, simd, segment)


def dividing(node: Dot | Conv2d, folded: Folded) -> Folded:
    """The fold of a node in HLS: ``pe`` and ``simd`` rounded up to divisors of outputs and inputs.

    The loops of HLS have no remainder. The fold takes no more cycles than the Plan's.
    """
    groups = node.groups if isinstance(node, Conv2d) else 1
    outputs, inputs = len(node.weights) // groups, node.weights[0].size
    pe, simd = (
        next((d for d in range(least, size) if size % d == 0), size)
        for least, size in ((folded.pe, outputs), (folded.simd, inputs))
    )
    return replace(folded, pe=pe, simd=simd)


def _steps(plan: Plan, node: Dot | Conv2d) -> tuple[int, ...]:
    """Counts that a segment must divide for this reader: a step, the channels of a group."""
    layout = plan.layout(node.name)
    depth = (node.weights.shape[3],) if isinstance(node, Conv2d) else ()
    if isinstance(layout, Folded):
        return (dividing(node, layout).simd, *depth)
    return (node.weights[0].size, *depth)


def fusable(site: Site, sums: WeightedSum) -> Threshold | None:
    """The Threshold that is fused with a weighted sum; None if there is none or no fusion."""
    if not site.plan.fuse:
        return None
    # Accumulators are compared with one set of thresholds at all positions.
    return fused_threshold(site.graph, sums, by_border_class=False)


def within_limit(name: str, count: int, what: str, advice: str) -> None:
    """Check that Vitis can unroll ``count`` iterations or parts.

    Raises:
        PlanError: if there are too many; ``what`` and ``advice`` stand in the message.
    """
    if count > UNROLL_LIMIT:
        raise PlanError(
            f"node '{name}': HLS unrolls up to {UNROLL_LIMIT}, found {count} {what}; {advice}"
        )


def needs_stream(node: Node) -> bool:
    """Whether a node reads an image position by position, so that it needs it as a stream."""
    return (
        isinstance(node, Conv2d | MaxPool | SumPool)
        or getattr(node, "border_classes", None) is not None
    )


def image_lanes(graph: Graph, hidden: Collection[str]) -> dict[str, int]:
    """Elements of a token, for each value that crosses a stream pixel by pixel.

    If some node of the Graph needs a stream, these values are its images, and each flattened image
    that only dense layers read. If no node does, there are none. A token holds the channels of a
    pixel, or the largest equal part of them that fits :data:`TOKEN_BITS`. The values of
    element-wise nodes and pools have tokens as large as their sources'.

    Args:
        graph: the network.
        hidden: values that cross no stream.
    """
    if not any(needs_stream(node) for node in graph.nodes):
        return {}
    images = {name for name, t in graph.types.items() if len(t.shape) == 3} - set(hidden)
    for flat in graph.of_type(Flatten):
        only_dense = all(isinstance(r, Dot) for r in graph.readers(flat.name))
        if flat.source in images and only_dense:
            images.add(flat.name)
    together: dict[str, set[str]] = {name: {name} for name in images}
    for node in graph.nodes:
        if node.name not in images or not isinstance(
            node, Threshold | Lookup | Rescale | MaxPool | SumPool | Flatten | Output | Add
        ):
            continue
        for source in node.sources:
            # One channel that is added to many has tokens of its own. A hidden source has none.
            alike = isinstance(node, Flatten) or (
                graph.types[source].channels == graph.types[node.name].channels
            )
            if source in images and alike:
                joined = together[source] | together[node.name]
                together.update(dict.fromkeys(joined, joined))
    return {name: _lanes(graph, together[name]) for name in images}


def _lanes(graph: Graph, names: set[str]) -> int:
    """The elements of a token, the same for all of these values."""
    types = [graph.types[name] for name in names]
    channels = next(t.channels for t in types if len(t.shape) == 3)
    widest = max(t.width for t in types)
    return max(
        n
        for n in range(1, channels + 1)
        if channels % n == 0 and (n == 1 or n * widest <= TOKEN_BITS)
    )

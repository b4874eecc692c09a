"""From a Graph and a Plan to a circuit, node by node: one function for each kind of node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from math import gcd, prod
from types import MappingProxyType

import numpy as np

from hwbnn.arguments import checked_call
from hwbnn.errors import PlanError
from hwbnn.graph import (
    Add,
    ArgMax,
    ChannelPad,
    Concat,
    Conv2d,
    Dot,
    Encode,
    Flatten,
    Graph,
    Input,
    Lookup,
    MaxPool,
    Node,
    Output,
    Rescale,
    Select,
    SumPool,
    Threshold,
    ValueType,
    Window,
    window_of,
)
from hwbnn.graph.window import joined_classes
from hwbnn.plan import blocks, constants
from hwbnn.plan.constants import ThresholdConstants, per_element
from hwbnn.plan.datapath import Datapath, OpenStream, largest_divisor
from hwbnn.plan.fifos import settled, with_depths
from hwbnn.plan.plan import BEAT_LIMIT, Plan
from hwbnn.plan.product_stages import add_product, add_thresholds, add_windows
from hwbnn.plan.stages import AddStreams, AxisIn, AxisOut, Pipeline, Stage
from hwbnn.plan.tokens import Tap


@dataclass(frozen=True, eq=False, repr=False)
class Circuit:
    """A Graph under a Plan, as hardware.

    Attributes:
        graph: the network that it computes.
        plan: how it is laid out.
        stages: from input to output, each after the stages that drive its streams.
        taps: by value, the signals of the values that can be observed.
        fused: values that cannot be observed, each with the value whose circuit includes it.
        interval: cycles for which a frame keeps the busiest stage busy. Without windows this is the
            initiation interval, from the first beat of a frame to the first beat of the next at
            full rate. With windows that can be longer: see :func:`hwbnn.estimate.cycles`.
        latency: cycles from the first input beat of a frame to its last output beat, if no storage
            is ever full; exact without windows.
    """

    graph: Graph
    plan: Plan
    stages: tuple[Stage, ...]
    taps: Mapping[str, Tap]
    fused: Mapping[str, str]
    interval: int
    latency: int

    def __repr__(self) -> str:
        return (
            f"<Circuit: graph {self.graph.digest[:12]}, {len(self.stages)} stages, "
            f"interval {self.interval}, {self.plan!r}>"
        )

    @property
    def pipelines(self) -> tuple[Pipeline, ...]:
        """The free-running pipelines, in order."""
        return tuple(s for s in self.stages if isinstance(s, Pipeline))

    @property
    def blocks(self) -> tuple[blocks.Block, ...]:
        """The blocks of all pipelines, in order."""
        return tuple(block for pipeline in self.pipelines for block in pipeline.blocks)


@checked_call(classes=("Graph", "Plan"))
def circuit(graph: Graph, plan: Plan) -> Circuit:
    """The hardware for a Graph under a Plan.

    Raises:
        PlanError: if the Plan does not fit the Graph; the message says where, and what would fit.
    """
    plan.check(graph)
    datapath = Datapath(graph, plan)
    for node in graph.nodes:
        add_node(datapath, node)
    stages, latency = settled(with_depths(datapath.stages, plan))
    if plan.port == "minimal":
        _check_never_waits(stages)
    return Circuit(
        graph,
        plan,
        tuple(stages),
        MappingProxyType(datapath.taps),
        MappingProxyType(datapath.fused),
        max(stage.interval for stage in stages),
        latency,
    )


def _check_never_waits(stages: Sequence[Stage]) -> None:
    """Check that a frame may enter in every cycle and that nothing can wait.

    Raises:
        PlanError: if a stage waits, or a frame is more than one beat.
    """
    for stage, beat in ((stages[0], "input_beat"), (stages[-1], "output_beat")):
        stream = stage.source
        if stream.tokens > 1:
            bits = -(-stream.size * stream.width // 8) * 8
            most = f"; take {beat} {bits}" if bits <= BEAT_LIMIT else ""
            raise PlanError(
                f"plan: port minimal: a frame is {stream.tokens} beats by {beat}, expected one"
                f"{most}"
            )
    for stage in stages[1:-1]:
        waits = not isinstance(stage, Pipeline) or stage.head is not None or stage.interval > 1
        if waits or stage.result.tokens > 1:
            raise PlanError(
                f"plan: port minimal: '{stage.name.removeprefix('v_')}' does not take a frame in "
                "every cycle; unroll every layer (images and values with several readers cannot)"
            )


def add_node(datapath: Datapath, node: Node) -> None:
    """Add the next node's hardware, and pass its value on to the nodes that read it.

    Raises:
        PlanError: if there is no hardware for the node, or the Plan does not fit it.
    """
    if node.sources:
        datapath.current = datapath.take(node.sources[0])
    add(node, datapath)
    datapath.give(node.name)


@singledispatch
def add(node: Node, datapath: Datapath) -> None:
    """Extend the current stream of a datapath by the hardware of a node.

    Raises:
        PlanError: if there is no hardware for the node, or the Plan does not fit it.
    """
    raise PlanError(f"node '{node.name}': there is no hardware for {type(node).__name__}")


# ---- Borders ----


@add.register
def _input(node: Input, datapath: Datapath) -> None:
    plan = datapath.plan
    lanes = _lanes(node, datapath.type(node), "input_beat", plan.input_beat)
    stream, name = datapath.result(node, lanes), f"v_{node.name}"
    datapath.stages.append(AxisIn(name, stream, stream, plan.input_beat))
    datapath.current = OpenStream(name, stream)
    datapath.tap(node.name, name, handshake=True)


@add.register
def _output(node: Output, datapath: Datapath) -> None:
    plan = datapath.plan
    lanes = _lanes(node, datapath.type(node), "output_beat", plan.output_beat)
    datapath.resize(lanes)
    datapath.close()
    datapath.tap(node.name, datapath.current.name, handshake=True)
    datapath.stage(AxisOut, "m_axis", datapath.stream, plan.output_beat)


def _lanes(node: Node, t: ValueType, name: str, beat: int) -> int:
    """Elements of a beat.

    Raises:
        PlanError: if the beat is narrower than one element.
    """
    if beat < t.width:
        raise PlanError(
            f"plan: {name} {beat} is narrower than an element of '{node.name}', which has "
            f"{t.width} bits; take at least {-(-t.width // 8) * 8}"
        )
    return beat // t.width


# ---- Sums ----


@add.register
def _dot(node: Dot, datapath: Datapath) -> None:
    add_product(datapath, node)


@add.register
def _conv2d(node: Conv2d, datapath: Datapath) -> None:
    add_product(datapath, node)


# ---- Elementwise nodes, and selection of elements ----


@add.register
def _threshold(node: Threshold, datapath: Datapath) -> None:
    if node.source in datapath.fused:  # already added with the raw sums
        return
    x = datapath.source_type(node)
    datapath.align_channels(x, single=node.border_classes is not None)
    held = ThresholdConstants.of(node)
    limits = constants.compared(held, x)
    add_thresholds(datapath, node, limits, node.falling, held.border_classes)


@add.register
def _lookup(node: Lookup, datapath: Datapath) -> None:
    x = datapath.source_type(node)
    datapath.align_channels(x)
    result = datapath.result(node, datapath.stream.lanes)
    held = per_element(node.table[None], datapath.elements(x))
    name, spacing = f"v_{node.name}", constants.spacing(x)
    datapath.append(
        blocks.LookupBlock(name, node.name, datapath.stream, result, x.low, *spacing, held)
    )


@add.register
def _rescale(node: Rescale, datapath: Datapath) -> None:
    x = datapath.source_type(node)
    datapath.align_channels(x, single=node.border_classes is not None)
    if node.name in datapath.plan.lanes:
        datapath.resize(min(datapath.stream.lanes, datapath.plan.lanes[node.name]))
    own = None if node.border_classes is None else node.border_classes.ravel()
    border_classes, (classes,) = joined_classes(own)
    bias = node.bias.reshape(-1, len(node.multiplier))[classes] + node.half
    elements = datapath.elements(x, single=border_classes is not None)
    negative = node.negative
    datapath.append(
        blocks.RescaleBlock(
            f"v_{node.name}", node.name, datapath.stream,
            datapath.result(node, datapath.stream.lanes),
            per_element(node.multiplier[None], elements),
            None if negative is None else per_element(negative[None], elements),
            per_element(bias, elements), per_element(node.shift[None], elements),
            node.low, node.high, border_classes=border_classes,
        )
    )  # fmt: skip


@add.register
def _encode(node: Encode, datapath: Datapath) -> None:
    limits = constants.encoded(node, datapath.source_type(node))
    result = datapath.result(node, datapath.stream.lanes * limits.shape[1])
    rising = np.zeros(len(limits), np.bool_)
    name = f"v_{node.name}"
    datapath.append(blocks.Compare(name, node.name, datapath.stream, result, limits, rising))


@add.register
def _select(node: Select, datapath: Datapath) -> None:
    x = datapath.source_type(node)
    datapath.resize(x.channels)
    result = datapath.result(node, len(node.index))
    name = f"v_{node.name}"
    datapath.append(blocks.SelectBlock(name, node.name, datapath.stream, result, node.index))
    if len(x.shape) == 1 and (bits := datapath.drivers.get(node.source)) is not None:
        datapath.drivers[node.name] = tuple(bits[i] for i in node.index)


@add.register
def _argmax(node: ArgMax, datapath: Datapath) -> None:
    name, result = f"v_{node.name}", datapath.result(node, 1)
    per_register = datapath.plan.logic_levels_per_register
    datapath.append(blocks.ArgMaxBlock(name, node.name, datapath.stream, result, per_register))


@add.register
def _flatten(node: Flatten, datapath: Datapath) -> None:
    _alias(node, datapath)


def _alias(node: Node, datapath: Datapath) -> None:
    """Let the node's value be observed on the signals of its source."""
    source = datapath.taps[node.sources[0]]
    datapath.taps[node.name] = replace(
        source, value=node.name, type=datapath.type(node), alias=source.alias or source.value
    )


# ---- Pools ----


@add.register
def _max_pool(node: MaxPool, datapath: Datapath) -> None:
    if (node.kernel, node.stride) == ((1, 1), (1, 1)):
        _alias(node, datapath)
        return
    if node.kernel == (1, 1):
        _pool_windows(datapath, node, f"v_{node.name}", flag=False)
        datapath.tap(node.name, f"v_{node.name}", handshake=True)
        return
    _pool_windows(datapath, node, f"w_{node.name}", flag=True)
    channels, name = datapath.type(node).channels, f"v_{node.name}"
    smallest = node.smallest
    if smallest is None:
        smallest = np.zeros(channels, np.bool_)
    result, steps = datapath.result(node, datapath.stream.lanes), prod(node.kernel)
    datapath.append(blocks.PoolMax(name, node.name, datapath.stream, result, steps, smallest))


@add.register
def _sum_pool(node: SumPool, datapath: Datapath) -> None:
    _pool_windows(datapath, node, f"w_{node.name}", flag=True)
    result, steps = datapath.result(node, datapath.stream.lanes), prod(node.kernel)
    bit, name = datapath.source_type(node).bit, f"v_{node.name}"
    datapath.append(blocks.PoolSum(name, node.name, datapath.stream, result, steps, bit))


def _pool_windows(datapath: Datapath, node: MaxPool | SumPool, name: str, *, flag: bool) -> None:
    """Add the windows of a pool, which takes each chunk of a pixel separately."""
    x = datapath.source_type(node)
    datapath.align(x.channels)
    lanes = datapath.stream.lanes
    add_windows(datapath, name, window_of(node, x.shape), lanes, 0, 0, flag=flag)


# ---- Shortcuts ----


@add.register
def _add(node: Add, datapath: Datapath) -> None:
    one, other = datapath.current, datapath.take(node.other)
    types = [datapath.graph.types[name] for name in node.sources]
    if types[0].channels < types[1].channels:
        one, other, types = other, one, types[::-1]
    wide, narrow = types
    broadcast = narrow.channels < wide.channels
    lanes = one.stream.lanes if broadcast else max(one.stream.lanes, other.stream.lanes)
    if node.name in datapath.plan.lanes:
        lanes = min(lanes, datapath.plan.lanes[node.name])
    if len(wide.shape) > 1:
        lanes = largest_divisor(wide.channels, lanes)
    datapath.current = other
    datapath.resize(1 if broadcast else lanes)
    datapath.close()
    other, datapath.current = datapath.current, one
    datapath.resize(lanes)
    repeat = -(-wide.channels // lanes) if broadcast else 0
    name, result = f"v_{node.name}", datapath.result(node, lanes)
    datapath.stage(AddStreams, name, result, other.stream, repeat, also=[other])
    datapath.tap(node.name, name, handshake=True)


@add.register
def _channel_pad(node: ChannelPad, datapath: Datapath) -> None:
    x = datapath.source_type(node)
    common = gcd(node.before, x.channels, node.after)
    lanes = largest_divisor(common, datapath.stream.lanes)
    _pad_channels(datapath, f"v_{node.name}", x, (node.before, node.after), lanes)
    datapath.tap(node.name, f"v_{node.name}", handshake=True)


def _pad_channels(
    datapath: Datapath, name: str, x: ValueType, ends: tuple[int, int], lanes: int
) -> None:
    """Add channels of code 0 before and after the channels of the current stream."""
    size = x.size // x.channels, x.channels // lanes
    padding = (0, 0, ends[0] // lanes, ends[1] // lanes)
    # Pads an image that has a row for each position, with the channels as columns.
    add_windows(datapath, name, Window(size, (1, 1), (1, 1), padding), lanes, 0, 0)


@add.register
def _concat(node: Concat, datapath: Datapath) -> None:
    """Pad each value with zeros in place of the other's channels, then add the codes."""
    other = datapath.take(node.other)
    types = [datapath.graph.types[name] for name in node.sources]
    first, second = (t.channels for t in types)
    most = max(datapath.current.stream.lanes, other.stream.lanes)
    lanes = largest_divisor(gcd(first, second), most)
    _pad_channels(datapath, f"a_{node.name}", types[0], (0, second), lanes)
    one, datapath.current = datapath.current, other
    _pad_channels(datapath, f"b_{node.name}", types[1], (first, 0), lanes)
    other, datapath.current = datapath.current, one
    name, result = f"v_{node.name}", datapath.result(node, lanes)
    datapath.stage(AddStreams, name, result, other.stream, 0, also=[other])
    datapath.tap(node.name, name, handshake=True)

"""From the nodes of a Graph to the stages of its circuit, one method a kind of node."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatchmethod
from math import gcd, prod

import numpy as np

from hwbnn.errors import PlanError
from hwbnn.graph import (
    Add,
    ArgMax,
    ChannelPad,
    Conv2d,
    Dot,
    Encode,
    Flatten,
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
    window_of,
)
from hwbnn.graph import Window as Geometry
from hwbnn.graph.window import joined_classes
from hwbnn.plan import blocks, constants
from hwbnn.plan.constants import Cuts, per_element
from hwbnn.plan.dots import Dots
from hwbnn.plan.images import Join
from hwbnn.plan.lines import Line, largest_divisor
from hwbnn.plan.stages import AxisIn, AxisOut


@dataclass
class Builder(Dots):
    """Lines, and the nodes that they pass."""

    def place(self, node: Node) -> None:
        """Add the next node's hardware, and bring its value to those who read it.

        Raises:
            PlanError: if there is none for it.
        """
        if node.sources:
            self.line = self.take(node.sources[0])
        self.add(node)
        self.give(node.name)

    @singledispatchmethod
    def add(self, node: Node) -> None:
        """The hardware of a node, by its kind, at the end of the line."""
        raise PlanError(f"node '{node.name}': there is no hardware for {type(node).__name__}")

    # ---- Borders ----

    @add.register
    def _input(self, node: Input) -> None:
        lanes = _lanes(node, self.type(node), "input_beat", self.plan.input_beat)
        stream, name = self.result(node, lanes), f"v_{node.name}"
        self.stages.append(AxisIn(name, stream, stream, self.plan.input_beat))
        self.line = Line(name, stream)
        self.tap(node, name, handshake=True)

    @add.register
    def _output(self, node: Output) -> None:
        lanes = _lanes(node, self.type(node), "output_beat", self.plan.output_beat)
        self.resize(lanes)
        self.close()
        self.tap(node, self.line.name, handshake=True)
        self.stage(AxisOut, "m_axis", self.stream, self.plan.output_beat)

    # ---- Flat values ----

    @add.register
    def _flatten(self, node: Flatten) -> None:
        self.alias(node)

    def alias(self, node: Node) -> None:
        """The node's value is that of its source."""
        source = self.taps[node.sources[0]]
        self.taps[node.name] = replace(
            source, value=node.name, type=self.type(node), alias=source.alias or source.value
        )

    @add.register
    def _select(self, node: Select) -> None:
        self.resize(self.stream.size)
        result = self.result(node, len(node.index))
        self.append(blocks.Select(f"v_{node.name}", node.name, self.stream, result, node.index))
        if (bits := self.drivers.get(node.sources[0])) is not None:
            self.drivers[node.name] = tuple(bits[i] for i in node.index)

    @add.register
    def _encode(self, node: Encode) -> None:
        cuts = constants.encoded(node, self.source_type(node))
        result = self.result(node, self.stream.lanes * cuts.shape[1])
        rising = np.zeros(len(cuts), np.bool_)
        block = blocks.Compare(f"v_{node.name}", node.name, self.stream, result, cuts, rising)
        self.append(block)

    @add.register
    def _argmax(self, node: ArgMax) -> None:
        name = f"v_{node.name}"
        levels = self.plan.levels
        self.append(blocks.ArgMax(name, node.name, self.stream, self.result(node, 1), levels))

    # ---- Channels ----

    @add.register
    def _dot(self, node: Dot) -> None:
        self.dot(node)

    @add.register
    def _conv2d(self, node: Conv2d) -> None:
        self.dot(node)

    def positions(self, t: ValueType, *, one: bool = False) -> None:
        """Bring a value to tokens with which constants of channels go round.

        Args:
            t: its type.
            one: whether a token may not hold several positions.
        """
        several = not one and self.stream.lanes % t.channels == 0
        if len(t.shape) > 1 and not several:
            self.align(t.channels)

    @add.register
    def _threshold(self, node: Threshold) -> None:
        if node.source in self.fused:  # it stands behind the raw sums already
            return
        x = self.source_type(node)
        self.positions(x, one=node.places is not None)
        cuts = Cuts.of(node)
        self.thresholds(node, constants.compared(cuts, x), node.falling, cuts.places)

    @add.register
    def _lookup(self, node: Lookup) -> None:
        x = self.source_type(node)
        self.positions(x)
        result = self.result(node, self.stream.lanes)
        held = per_element(node.table[None], self.elements(x))
        name, spacing = f"v_{node.name}", constants.spacing(x)
        self.append(blocks.Lookup(name, node.name, self.stream, result, x.low, *spacing, held))

    @add.register
    def _rescale(self, node: Rescale) -> None:
        x = self.source_type(node)
        self.positions(x, one=node.places is not None)
        own = None if node.places is None else node.places.ravel()
        places, (classes,) = joined_classes(own)
        bias = node.bias.reshape(-1, len(node.multiplier))[classes] + node.half
        held = [node.multiplier, node.negative, node.shift]
        elements = self.elements(x, places)
        multiplier, negative, shift = (
            None if table is None else per_element(table[None], elements) for table in held
        )
        assert multiplier is not None
        assert shift is not None
        self.append(
            blocks.Rescale(
                f"v_{node.name}", node.name, self.stream, self.result(node, self.stream.lanes),
                multiplier, negative, per_element(bias, elements), shift, node.low, node.high,
                places=places,
            )
        )  # fmt: skip

    # ---- Images ----

    @add.register
    def _max_pool(self, node: MaxPool) -> None:
        if (node.kernel, node.stride) == ((1, 1), (1, 1)):
            self.alias(node)
            return
        if node.kernel == (1, 1):
            self.pool_windows(node, f"v_{node.name}", flag=False)
            self.tap(node, f"v_{node.name}", handshake=True)
            return
        self.pool_windows(node, f"w_{node.name}", flag=True)
        channels, name = self.type(node).channels, f"v_{node.name}"
        smallest = node.smallest
        if smallest is None:
            smallest = np.zeros(channels, np.bool_)
        result, steps = self.result(node, self.stream.lanes), prod(node.kernel)
        self.append(blocks.PoolMax(name, node.name, self.stream, result, steps, smallest))

    @add.register
    def _sum_pool(self, node: SumPool) -> None:
        self.pool_windows(node, f"w_{node.name}", flag=True)
        result, steps = self.result(node, self.stream.lanes), prod(node.kernel)
        bit = self.source_type(node).bit
        name = f"v_{node.name}"
        self.append(blocks.PoolSum(name, node.name, self.stream, result, steps, bit))

    def pool_windows(self, node: MaxPool | SumPool, name: str, *, flag: bool) -> None:
        """The windows of a pool, each chunk of a pixel by itself."""
        x = self.source_type(node)
        self.align(x.channels)
        self.windows(name, window_of(node, x.shape), self.stream.lanes, 0, 0, flag=flag)

    # ---- Shortcuts ----

    @add.register
    def _add(self, node: Add) -> None:
        one, other = self.line, self.take(node.other)
        types = [self.graph.types[name] for name in node.sources]
        if types[0].channels < types[1].channels:
            one, other, types = other, one, types[::-1]
        wide, narrow = types
        broadcast = narrow.channels < wide.channels
        lanes = one.stream.lanes if broadcast else max(one.stream.lanes, other.stream.lanes)
        if len(wide.shape) > 1:
            lanes = largest_divisor(wide.channels, lanes)
        self.line = other
        self.resize(1 if broadcast else lanes)
        self.close()
        other, self.line = self.line, one
        self.resize(lanes)
        repeat = -(-wide.channels // lanes) if broadcast else 0
        name, result = f"v_{node.name}", self.result(node, lanes)
        self.stage(Join, name, result, other.stream, repeat, also=[other])
        self.tap(node, name, handshake=True)

    @add.register
    def _channel_pad(self, node: ChannelPad) -> None:
        x = self.source_type(node)
        common = gcd(node.before, x.channels, node.after)
        lanes = largest_divisor(common, self.stream.lanes)
        size = x.size // x.channels, x.channels // lanes
        padding = (0, 0, node.before // lanes, node.after // lanes)
        # Channels are the columns of an image, a row of them for each position.
        name = f"v_{node.name}"
        self.windows(name, Geometry(size, (1, 1), (1, 1), padding), lanes, 0, 0)
        self.tap(node, name, handshake=True)


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

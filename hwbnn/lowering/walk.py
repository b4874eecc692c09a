"""From calls of the float network to nodes of a Graph, one call at a time.

The network is cut at its binary layers and activations. What stands between two cuts is collected
as steps and tabulated when the next cut is reached; so no method and no module has an exporter of
its own. Each call of the network leaves a :class:`~hwbnn.lowering.streams.Stream`, which any number
of later calls may read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, fx, nn

from hwbnn.errors import CannotLower
from hwbnn.graph import ArgMax, Input, Lookup, Node, Output
from hwbnn.lowering import fixed, pools, shapes, sums
from hwbnn.lowering.builder import Builder, Remark
from hwbnn.lowering.calls import (
    ADDS,
    MAX_POOLS,
    MEANS,
    SHAPES,
    check_add,
    function_pool,
    module_pool,
    target_name,
)
from hwbnn.lowering.decide import activation
from hwbnn.lowering.prepare import reference_mode
from hwbnn.lowering.steps import (
    Step,
    check_state,
    function_label,
    function_step,
    module_step,
    named,
)
from hwbnn.lowering.streams import Stream
from hwbnn.lowering.tables import read_ranks, rises_alike
from hwbnn.lowering.trace import LEAVES, Sample, mapped, sample
from hwbnn.lowering.weights import check_source
from hwbnn.nn import BinaryActivation, BinaryConv2d, BinaryLinear, OptionA, Select

OUTPUTS = ("class", "scores")


@dataclass
class Walk:
    """A network being lowered.

    Attributes:
        network: the prepared network.
        traced: its calls.
        source: the input contract.
        output: one of :data:`OUTPUTS`.
        build: the Graph so far, and what was done.
        codes: which call of the network makes the same codes as which node of the Graph.
        logits: the call that makes the logits, and the node whose integers are ordered as they
            are; None if the network ends in bits.
        streams: what each call left.
        sums: which calls make which fixed-point sums of two streams.
        scores: the stream whose floats are the logits.
        gap: how far apart two logits must be to be ordered alike; 0 without fixed-point numbers.
    """

    network: nn.Module
    traced: fx.GraphModule
    source: Input
    output: str
    build: Builder = field(default_factory=Builder)
    codes: dict[fx.Node, str] = field(default_factory=dict)
    logits: tuple[fx.Node, str] | None = None
    streams: dict[fx.Node, Stream] = field(default_factory=dict)
    sums: dict[fx.Node, fixed.Sum] = field(default_factory=dict)
    gap: float = 0.0
    scores: Stream | None = None
    _constants: dict[fx.Node, Tensor | int | float] = field(default_factory=dict)
    _sizes: set[fx.Node] = field(default_factory=set)
    _sample: Sample = field(init=False)

    @property
    def nodes(self) -> list[Node]:
        """The nodes of the Graph, so far."""
        return self.build.nodes

    @property
    def remarks(self) -> list[Remark]:
        """What was done, so far."""
        return self.build.remarks

    def run(self) -> None:
        """Walk all calls.

        Raises:
            CannotLower: naming the layer that has no exact form, and what to change.
        """
        for name, module in self._called_modules():
            check_state(name, module)
            if isinstance(module, BinaryLinear | BinaryConv2d):
                check_source(named(name, module), module, self.source)
        self._sample = sample(self.traced, self.source)
        with reference_mode():
            for call in self.traced.graph.nodes:
                self._visit(call)

    def _called_modules(self) -> list[tuple[str, nn.Module]]:
        names = [n.target for n in self.traced.graph.nodes if n.op == "call_module"]
        return [(str(name), self.traced.get_submodule(str(name))) for name in names]

    def _visit(self, call: fx.Node) -> None:
        if call.op == "placeholder":
            self._input(call)
        elif call.op == "get_attr":
            self._constants[call] = _attribute(self.traced, str(call.target))
        elif call.op == "call_module":
            self._module(call)
        elif call.op == "output":
            self._output(call)
        elif not self._is_fixed(call):
            self._function(call)

    def _is_fixed(self, call: fx.Node) -> bool:
        """Whether a call computes with sizes and constants alone; its value is then kept."""
        asks = call.target == "size" or (call.target is getattr and call.args[1:] == ("shape",))
        if not asks and not all(
            n in self._sizes or n in self._constants for n in call.all_input_nodes
        ):
            return False
        value = self._sample.constant(call)
        if value is None or asks:
            self._sizes.add(call)
        else:
            self._constants[call] = value
        return True

    # --- one kind of call each -------------------------------------------------------------------

    def _input(self, call: fx.Node) -> None:
        if self.streams:
            raise CannotLower(
                f"the model takes more than one argument ('{call.target}'); a Graph has one input"
            )
        node = self.source
        t = self.build.add(node)
        columns = t.channels if len(t.shape) == 3 else t.size
        ends = np.full(columns, t.low), np.full(columns, t.high)
        seen = Step(f"input '{node.name}'", partial(mapped, node), is_elementwise=True)
        self.streams[call] = Stream(node.name, t, *ends, node.name, (seen,), is_input=True)

    def _module(self, call: fx.Node) -> None:
        name, module = str(call.target), self.traced.get_submodule(str(call.target))
        label = named(name, module)
        stream = self._stream_of(call, label)
        if isinstance(module, LEAVES) and type(module) not in LEAVES:
            raise CannotLower(
                f"{label}: a subclass of a layer of hwbnn.nn may compute anything; "
                "use the layer itself"
            )
        if isinstance(module, BinaryLinear | BinaryConv2d):
            stream = pools.settle(self.build, stream)
            if isinstance(module, BinaryLinear):
                made = sums.linear(self.build, name, module, stream, self.source)
            else:
                made = sums.conv(self.build, name, module, stream, self.source)
        elif isinstance(module, BinaryActivation):
            made = activation(self.build, name, module, stream)
            self.codes[call] = made.name
        elif isinstance(module, nn.Flatten):
            made = shapes.flatten(self.build, stream, label, self._sample.shape(call))
        elif isinstance(module, Select):
            made = shapes.select(self.build, name, module, stream)
        elif isinstance(module, nn.MaxPool2d):
            shape = module_pool(name, label, module)
            made = pools.max_pool(self.build, shape, stream, self._made(call))
        elif isinstance(module, nn.AvgPool2d | nn.AdaptiveAvgPool2d):
            shape = module_pool(name, label, module, stream.shape)
            made = self._mean(call, shape, stream)
        elif isinstance(module, OptionA):
            made = fixed.shortcut(self.build, name, module, stream)
        else:
            made = self._after(stream, module_step(name, module))
        self.streams[call] = made

    def _function(self, call: fx.Node) -> None:
        label, target = function_label(call), target_name(call)
        if target in ADDS and sum(n in self.streams for n in call.all_input_nodes) == 2:
            self._add(call, label)
            return
        stream = self._stream_of(call, label)
        if target in SHAPES:
            self.streams[call] = shapes.flatten(self.build, stream, label, self._sample.shape(call))
        elif target in MAX_POOLS:
            shape = function_pool(label, call, stream.shape)
            self.streams[call] = pools.max_pool(self.build, shape, stream, self._made(call))
        elif target in MEANS and stream.is_image:
            shape = function_pool(label, call, stream.shape)
            made = self._mean(call, shape, stream)
            self.streams[call] = shapes.flatten(self.build, made, label, self._sample.shape(call))
        else:
            source = next(n for n in call.all_input_nodes if n in self.streams)
            step = function_step(call, source, self._constants)
            self.streams[call] = self._after(stream, step)

    def _add(self, call: fx.Node, label: str) -> None:
        """The sum of two streams, each of which others may read too."""
        one, other = check_add(call, label)
        sides = self.streams[one], self.streams[other]
        self.streams[call], found = fixed.add(self.build, label, sides)
        if found is not None:
            self.sums[call] = found

    def _mean(self, call: fx.Node, shape: pools.Shape, stream: Stream) -> Stream:
        if stream.fixed is not None:
            stream = fixed.summed(self.build, stream, shape.kernel[0] * shape.kernel[1])
        return pools.mean_pool(self.build, shape, stream, self._made(call))

    def _made(self, call: fx.Node) -> tuple[int, ...]:
        """What a call makes of an image, channels last."""
        shape = self._sample.shape(call)
        assert shape is not None
        if len(shape) == 2:  # a mean without its rows and columns
            return 1, 1, shape[1]
        return (*shape[2:], shape[1])

    def _after(self, stream: Stream, step: Step) -> Stream:
        if len(stream.shape) not in (1, 3):
            raise CannotLower(
                f"{step.label}: acts on shape {stream.shape}; flatten the input first"
            )
        return stream.after(step)

    def _output(self, call: fx.Node) -> None:
        (value,) = call.args
        if not isinstance(value, fx.Node) or value not in self.streams:
            raise CannotLower("the model returns something else than one tensor of logits")
        stream = self.streams[value]
        if stream.is_input:
            raise CannotLower("the model returns its input; expected logits of a binary layer")
        if len(stream.shape) > 1 and not stream.type.bit:
            raise CannotLower(f"the model returns {stream.shape}; expected logits in one axis")
        if stream.pending:
            raise CannotLower(f"the logits: {sums.UNDECIDED.format(stream.layer)}")
        stream = shapes.restore(self.build, stream)
        last = stream.name
        if stream.type.bit:
            if self.output == "class":
                raise CannotLower(
                    f"layer '{stream.layer}': the model ends in bits, which have no largest; end "
                    "it in a BinaryLinear, or lower with output='scores'"
                )
        else:
            last = self._scores(stream)
            self.logits = value, last
            if self.output == "class":
                last = self._append(ArgMax(self.build.name("argmax"), last))
        self._append(Output(self.build.name("y"), last))

    def _scores(self, stream: Stream) -> str:
        """The name of integers that are ordered as the logits are."""
        layer = stream.layer
        if stream.fixed is not None and not rises_alike(stream):
            stream = fixed.summed(self.build, stream, 1)
            bits = fixed.fraction_of(stream)
            self.gap = 2 * stream.fixed.local * 2.0**-bits if stream.fixed else 0.0
            self.scores = stream
            return stream.name
        self.scores = stream
        if stream.fixed is not None:
            self.gap = fixed.resolution(stream)
        if stream.fixed is not None or rises_alike(stream):
            text = "compared as integers: all channels rise alike"
            self.remarks.append(Remark(layer, stream.name, text))
            return stream.name
        ranks = read_ranks(stream)
        node = Lookup(self.build.name("ranks"), stream.name, ranks)
        self._append(node)
        text = f"ranks of {int(ranks.max()) + 1} logits, {ranks.shape[1]} entries a class"
        self.build.remark(layer, node, text)
        return node.name

    # --- bookkeeping -----------------------------------------------------------------------------

    def _stream_of(self, call: fx.Node, label: str) -> Stream:
        moving = [n for n in call.all_input_nodes if n in self.streams]
        if len(moving) == 1 and sum(a is moving[0] for a in call.args) > 1:
            raise CannotLower(f"{label}: takes the same value twice; write x + x as 2 * x")
        if len(moving) != 1 or moving[0] not in call.args:
            raise CannotLower(
                f"{label}: expected one value of the network as its argument, found "
                f"{len(moving)}; of values that meet only sums of two are lowered"
            )
        return self.streams[moving[0]]

    def _append(self, node: Node) -> str:
        self.build.add(node)
        return node.name


def _attribute(root: nn.Module, path: str) -> Any:
    value: Any = root
    for part in path.split("."):
        value = getattr(value, part)
    return value

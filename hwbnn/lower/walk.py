"""From calls of the float network to nodes of a Graph, one call at a time.

The network is cut at its binary layers and activations. What stands between two cuts is collected
as steps and tabulated when the next cut is reached; so no method and no module has an exporter of
its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np
from torch import Tensor, fx, nn

from hwbnn.errors import CannotLower, HwbnnError
from hwbnn.graph import (
    ArgMax,
    Dot,
    Flatten,
    Input,
    Lookup,
    Node,
    Output,
    Threshold,
    ValueType,
    infer,
)
from hwbnn.lower.activations import Table, Thresholds, read_activation, read_plane, stands_for
from hwbnn.lower.prepare import reference_mode
from hwbnn.lower.steps import Step, check_state, function_label, function_step, module_step, named
from hwbnn.lower.tables import Stream, read_ranks, rises_alike
from hwbnn.lower.trace import LEAVES, Sample, floats, sample
from hwbnn.lower.weights import check_exact, check_source, reachable, read_weights
from hwbnn.nn import BinaryActivation, BinaryLinear

OUTPUTS = ("class", "scores")
_UNDECIDED = (
    "layer '{}' has weights with real offsets, whose sums only an activation can decide; put one "
    "behind it, or make it with method.logits() or mode 'qat'"
)
_SHAPES = frozenset(("flatten", "view", "reshape", "squeeze", "unsqueeze"))


@dataclass(frozen=True)
class Remark:
    """What was done with one layer, for people.

    Attributes:
        layer: qualified name in the network.
        node: the node of the Graph that came of it.
        text: one sentence.
    """

    layer: str
    node: str
    text: str


@dataclass
class Walk:
    """A network being lowered.

    Attributes:
        network: the prepared network.
        traced: its calls.
        source: the input contract.
        output: one of :data:`OUTPUTS`.
        nodes: of the Graph, so far.
        remarks: what was done, so far.
        codes: which call of the network makes the same codes as which node of the Graph.
        logits: the call that makes the logits, and the node whose integers are ordered as they
            are; None if the network ends in bits.
        certificates: of each Dot whose integers were found by trying all sums: what was shown.
    """

    network: nn.Module
    traced: fx.GraphModule
    source: Input
    output: str
    nodes: list[Node] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    codes: dict[fx.Node, str] = field(default_factory=dict)
    logits: tuple[fx.Node, str] | None = None
    certificates: dict[str, str] = field(default_factory=dict)
    _types: dict[str, ValueType] = field(default_factory=dict)
    _streams: dict[fx.Node, Stream] = field(default_factory=dict)
    _constants: dict[fx.Node, Tensor | int | float] = field(default_factory=dict)
    _sizes: set[fx.Node] = field(default_factory=set)
    _sample: Sample = field(init=False)

    def run(self) -> None:
        """Walk all calls.

        Raises:
            CannotLower: naming the layer that has no exact form, and what to change.
        """
        for name, module in self._called_modules():
            check_state(name, module)
            if isinstance(module, BinaryLinear):
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
        if self._streams:
            raise CannotLower(
                f"the model takes more than one argument ('{call.target}'); a Graph has one input"
            )
        node = self.source
        t = self._add(node)
        size = prod(node.shape)
        low, high = np.full(size, t.low), np.full(size, t.high)
        seen = Step(f"input '{node.name}'", partial(floats, node))
        self._streams[call] = Stream(node.name, t, low, high, node.name, (seen,), is_input=True)

    def _module(self, call: fx.Node) -> None:
        name, module = str(call.target), self.traced.get_submodule(str(call.target))
        stream = self._stream_of(call, named(name, module))
        if isinstance(module, LEAVES) and type(module) not in LEAVES:
            raise CannotLower(
                f"{named(name, module)}: a subclass of a layer of hwbnn.nn may compute anything; "
                "use the layer itself"
            )
        if isinstance(module, BinaryLinear):
            self._linear(call, name, module, stream)
        elif isinstance(module, BinaryActivation):
            self._activation(call, name, module, stream)
        elif isinstance(module, nn.Flatten):
            self._flatten(call, stream, named(name, module))
        else:
            self._step(call, stream, module_step(name, module))

    def _function(self, call: fx.Node) -> None:
        label = function_label(call)
        stream = self._stream_of(call, label)
        target = call.target if isinstance(call.target, str) else call.target.__name__
        if target in _SHAPES:
            self._flatten(call, stream, label)
            return
        source = next(n for n in call.all_input_nodes if n in self._streams)
        self._step(call, stream, function_step(call, source, self._constants))

    def _step(self, call: fx.Node, stream: Stream, step: Step) -> None:
        if len(stream.type.shape) > 1:
            raise CannotLower(
                f"{step.label}: acts on shape {stream.type.shape}; flatten the input first"
            )
        self._streams[call] = stream.after(step)

    def _flatten(self, call: fx.Node, stream: Stream, label: str) -> None:
        shape = self._sample.shape(call)
        if shape == (2, *stream.type.shape):
            self._streams[call] = stream
            return
        if shape != (2, stream.type.size):
            raise CannotLower(
                f"{label}: makes shape {shape} of a batch of 2; expected all elements of a sample "
                f"in one axis, (2, {stream.type.size}): flatten(1)"
            )
        node = Flatten(self._name("flatten"), stream.name)
        t = self._add(node)
        self._streams[call] = replace(stream, name=node.name, type=t)
        self._remark(stream.layer, node, "elements in the order of the model's input, last fastest")

    def _linear(self, call: fx.Node, name: str, layer: BinaryLinear, stream: Stream) -> None:
        if stream.pending is not None:
            raise CannotLower(f"{named(name, layer)}: {_UNDECIDED.format(stream.layer)}")
        weights = read_weights(named(name, layer), layer, stream, self.source)
        node = weights.dot(self._name("dot"), stream.name)
        t = self._add(node)
        check_exact(named(name, layer), t)
        low, high = reachable(node, stream)
        finish = () if weights.pending else (Step(named(name, layer), layer.finish),)
        pending = weights.pending
        self._streams[call] = Stream(node.name, t, low, high, name, finish, pending=pending)
        if pending is None:  # else its activation will say what became of it
            self._remark(name, node, _sums(node, t))

    def _activation(
        self, call: fx.Node, name: str, layer: BinaryActivation, stream: Stream
    ) -> None:
        label = named(name, layer)
        if stream.pending is not None:
            reading, stream = self._settle(label, layer, stream)
        else:
            reading = read_activation(label, layer, stream)
        node: Node
        if isinstance(reading, Table):
            node = Lookup(self._name("lookup"), stream.name, reading.codes, reading.bit)
        else:
            thresholds, falling = reading.thresholds, reading.falling
            node = Threshold(self._name("threshold"), stream.name, thresholds, falling)
        t = self._add(node)
        form = Step(label, partial(stands_for, layer, t.bit))
        low, high = np.full(t.size, t.low), np.full(t.size, t.high)
        self._streams[call] = Stream(node.name, t, low, high, name, (form,))
        self.codes[call] = node.name
        self._remark(name, node, str(reading))

    def _settle(
        self, label: str, layer: BinaryActivation, stream: Stream
    ) -> tuple[Table | Thresholds, Stream]:
        """Give the sums before an activation the integers that decide it."""
        dot = self.nodes[-1]
        if not isinstance(dot, Dot) or dot.name != stream.name or dot.factors is not None:
            raise CannotLower(
                f"{label}: another activation reads the sums of layer '{stream.layer}', whose "
                "weights have real offsets; give each activation a layer of its own"
            )
        found = read_plane(label, layer, stream, dot, self._types[dot.source])
        self.nodes.pop()
        t = self._add(found.dot)
        self.certificates[dot.name] = found.text
        self._remark(stream.layer, dot, f"{_sums(found.dot, t)}: {found.text}")
        return found.thresholds, replace(stream, type=t)

    def _output(self, call: fx.Node) -> None:
        (value,) = call.args
        if not isinstance(value, fx.Node) or value not in self._streams:
            raise CannotLower("the model returns something else than one tensor of logits")
        stream = self._streams[value]
        if len(stream.type.shape) > 1 or stream.is_input:
            raise CannotLower("the model returns its input; expected logits of a binary layer")
        if stream.pending is not None:
            raise CannotLower(f"the logits: {_UNDECIDED.format(stream.layer)}")
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
                last = self._append(ArgMax(self._name("argmax"), last))
        self._append(Output(self._name("y"), last))

    def _scores(self, stream: Stream) -> str:
        """The name of integers that are ordered as the logits are."""
        layer = stream.layer
        if rises_alike(stream):
            text = "compared as integers: all channels rise alike"
            self.remarks.append(Remark(layer, stream.name, text))
            return stream.name
        ranks = read_ranks(stream)
        node = Lookup(self._name("ranks"), stream.name, ranks)
        self._append(node)
        text = f"ranks of {int(ranks.max()) + 1} logits, {ranks.shape[1]} entries a class"
        self._remark(layer, node, text)
        return node.name

    # --- bookkeeping -----------------------------------------------------------------------------

    def _stream_of(self, call: fx.Node, label: str) -> Stream:
        moving = [n for n in call.all_input_nodes if n in self._streams]
        if len(moving) != 1 or sum(a is moving[0] for a in call.args) != 1:
            raise CannotLower(
                f"{label}: expected one value of the network as its argument, found "
                f"{len(moving)}; shortcuts and branches are not lowered"
            )
        return self._streams[moving[0]]

    def _name(self, kind: str) -> str:
        """A free name: the kind and how many came before, from 1; single ones bare."""
        taken = {node.name for node in self.nodes}
        if kind in ("y", "argmax", "ranks", "flatten") and kind not in taken:
            return kind
        return next(n for i in range(1, 1 + 10**6) if (n := f"{kind}_{i}") not in taken)

    def _add(self, node: Node) -> ValueType:
        """Append a node; its type."""
        try:
            t = infer(node, *(self._types[s] for s in node.sources))
        except HwbnnError as error:
            raise CannotLower(str(error)) from None
        self.nodes.append(node)
        self._types[node.name] = t
        return t

    def _append(self, node: Node) -> str:
        self._add(node)
        return node.name

    def _remark(self, layer: str, node: Node, text: str) -> None:
        self.remarks.append(Remark(layer, node.name, text))


def _sums(dot: Dot, t: ValueType) -> str:
    """What a Dot makes, for people."""
    channels, n = dot.weights.shape
    unit = "" if dot.factors is None else f", 2^{int(dot.factors[0][0]).bit_length() - 1} D + R S"
    return f"{channels} sums of {n}{unit}, {t.low} to {t.high}"


def _attribute(root: nn.Module, path: str) -> Any:
    value: Any = root
    for part in path.split("."):
        value = getattr(value, part)
    return value

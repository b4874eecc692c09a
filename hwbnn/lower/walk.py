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
import torch
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
from hwbnn.lower.prepare import reference_mode
from hwbnn.lower.steps import Step, check_state, function_label, function_step, module_step, named
from hwbnn.lower.tables import (
    Cuts,
    Stream,
    chunks,
    is_identity,
    read_cuts,
    read_ranks,
    read_table,
    rises_alike,
)
from hwbnn.lower.trace import floats, sample_shapes
from hwbnn.nn import BinaryActivation, BinaryLinear
from hwbnn.nn.layers import EXACT

OUTPUTS = ("class", "scores")
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
    """

    network: nn.Module
    traced: fx.GraphModule
    source: Input
    output: str
    nodes: list[Node] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    codes: dict[fx.Node, str] = field(default_factory=dict)
    logits: tuple[fx.Node, str] | None = None
    _types: dict[str, ValueType] = field(default_factory=dict)
    _streams: dict[fx.Node, Stream] = field(default_factory=dict)
    _constants: dict[fx.Node, Tensor] = field(default_factory=dict)
    _shapes: dict[fx.Node, tuple[int, ...] | None] = field(default_factory=dict)

    def run(self) -> None:
        """Walk all calls.

        Raises:
            CannotLower: naming the layer that has no exact form, and what to change.
        """
        for name, module in self._called_modules():
            check_state(name, module)
        self._shapes = sample_shapes(self.traced, self.source)
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
        elif self._shapes[call] is not None:
            self._function(call)
        # What is left computes with shapes: sizes and tuples, used by a reshape, or by nothing.

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
        seen = Step(f"input '{node.name}'", partial(_seen, node))
        self._streams[call] = Stream(node.name, t, low, high, node.name, (seen,))

    def _module(self, call: fx.Node) -> None:
        name, module = str(call.target), self.traced.get_submodule(str(call.target))
        stream = self._stream_of(call, named(name, module))
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
        shape = self._shapes[call]
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
        self._streams[call] = Stream(
            node.name, t, stream.low, stream.high, stream.layer, stream.steps
        )
        self._remark(stream.layer, node, "elements in the order of the model's input, last fastest")

    def _linear(self, call: fx.Node, name: str, layer: BinaryLinear, stream: Stream) -> None:
        label = named(name, layer)
        _check_parts(label, layer)
        codes = _codes(label, layer)
        self._check_reads_integers(label, layer, stream)
        weights = (codes > 0).numpy()
        node = Dot(self._name("dot"), stream.name, weights)
        t = self._add(node)
        if max(-t.low, t.high) >= EXACT:
            raise CannotLower(
                f"{label}: sums from {t.low} to {t.high} reach 2^24, beyond which the float32 "
                "reference rounds; use a smaller input range or fewer inputs"
            )
        low, high = _bounds(weights, self._types[stream.name], stream)
        finish = Step(label, layer.finish)
        self._streams[call] = Stream(node.name, t, low, high, name, (finish,))
        self._remark(name, node, f"{len(weights)} sums of {weights.shape[1]}, {t.low} to {t.high}")

    def _check_reads_integers(self, label: str, layer: BinaryLinear, stream: Stream) -> None:
        """Refuse a layer that would sum anything but the integers of the Graph."""
        declared = layer.source
        if declared is None:
            if not is_identity(stream):
                raise CannotLower(f"{label}: {_not_integers(stream, self.source)}")
            return
        if stream.name not in self._before_dots():
            raise CannotLower(f"{label}: has source=, but does not read the network's input")
        if not _raw(stream):
            raise CannotLower(
                f"{label}: the input is changed before it; put its scale and offset into Input"
            )
        wanted = (declared.bit, declared.scale, declared.offset)
        given = (self.source.bit, self.source.scale, self.source.offset)
        within = declared.low <= self.source.low and self.source.high <= declared.high
        if wanted != given or not within:
            raise CannotLower(
                f"{label}: was made for {_contract(declared)}, but the input says "
                f"{_contract(self.source)}; lower with the Input that it was made with"
            )

    def _before_dots(self) -> set[str]:
        return {n.name for n in self.nodes if isinstance(n, Input | Flatten)}

    def _activation(
        self, call: fx.Node, name: str, layer: BinaryActivation, stream: Stream
    ) -> None:
        label = named(name, layer)
        _check_parts(label, layer)
        if stream.type.bit or len(stream.type.shape) > 1:
            raise CannotLower(f"{label}: expected flat integers before it, found {stream.type}")
        levels = layer.form.levels
        cuts = read_cuts(stream, layer.codes, levels)
        node: Node
        if cuts.tangled.any():
            table = read_table(stream, layer.codes)
            node = Lookup(self._name("lookup"), stream.name, table, bit=levels == 1)
            text = f"a table of {table.shape[1]} entries: {_some(cuts.tangled)} not monotone"
        else:
            node = Threshold(self._name("threshold"), stream.name, cuts.thresholds, cuts.falling)
            text = _cuts_text(cuts, stream.type)
        t = self._add(node)
        form = Step(label, partial(_stands_for, layer, t.bit))
        low, high = np.full(t.size, t.low), np.full(t.size, t.high)
        self._streams[call] = Stream(node.name, t, low, high, name, (form,))
        self.codes[call] = node.name
        self._remark(name, node, text)

    def _output(self, call: fx.Node) -> None:
        (value,) = call.args
        if not isinstance(value, fx.Node) or value not in self._streams:
            raise CannotLower("the model returns something else than one tensor of logits")
        stream = self._streams[value]
        if len(stream.type.shape) > 1 or stream.name == self.source.name:
            raise CannotLower("the model returns its input; expected logits of a binary layer")
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


def _attribute(root: nn.Module, path: str) -> Any:
    value: Any = root
    for part in path.split("."):
        value = getattr(value, part)
    return value


def _seen(source: Input, u: Tensor) -> Tensor:
    """What the network sees of integers, rounded once."""
    return floats(source, u)


def _stands_for(layer: BinaryActivation, bit: bool, codes: Tensor) -> Tensor:
    """The floats that an activation returns for its codes."""
    scale, centre = layer.form.affine()
    return (codes * 2 - 1 if bit else codes) * scale + centre


def _check_parts(label: str, layer: BinaryLinear | BinaryActivation) -> None:
    part = layer.weight if isinstance(layer, BinaryLinear) else layer.form
    reason = part.obstacle()
    if reason is not None:
        raise CannotLower(f"{label}: {reason}")


def _codes(label: str, layer: BinaryLinear) -> Tensor:
    """The weights as -1 and +1, checked to be just that."""
    codes = layer.weight.codes()
    if codes.offset is not None:
        raise CannotLower(
            f"{label}: its weights have an offset for each channel; a Graph's Dot has none"
        )
    if not bool((codes.signs.abs() == 1).all()):
        raise CannotLower(f"{label}: its weights are not all -1 or +1 in evaluation")
    if codes.scale is not None and not bool(torch.isfinite(codes.scale).all()):
        raise CannotLower(f"{label}: the scale of its weights is not finite")
    return codes.signs


def _bounds(weights: Any, t: ValueType, stream: Stream) -> tuple[Any, Any]:
    """The integers that each channel of a Dot can reach, from those of its source's elements."""
    low = stream.low * 2 - 1 if t.bit else stream.low
    high = stream.high * 2 - 1 if t.bit else stream.high
    signs = np.where(weights, 1, -1)
    ends = signs * low, signs * high
    return np.minimum(*ends).sum(axis=1), np.maximum(*ends).sum(axis=1)


def _raw(stream: Stream) -> bool:
    """Whether a stream of the input is still what the input contract says, bit for bit."""
    contract = replace(stream, steps=stream.steps[:1])
    pairs = zip(chunks(contract), chunks(stream), strict=True)
    return all(torch.equal(x, y) for (_, x), (_, y) in pairs)


def _contract(source: Input) -> str:
    integers = "bits" if source.bit else f"integers {source.low} to {source.high}"
    return f"x = {source.scale:g} * u + {source.offset:g} of {integers}"


def _not_integers(stream: Stream, source: Input) -> str:
    if stream.name == source.name or len(stream.steps) <= 1:
        return (
            f"it reads x = {source.scale:g} * u + {source.offset:g}, which are not integers; make "
            "it with source=input, so that it sums the integers first (no training is lost: set "
            "layer.source = input)"
        )
    steps = ", ".join(step.label for step in stream.steps[1:])
    return f"it reads real numbers, from {steps}; put a BinaryActivation before it"


def _some(channels: Any) -> str:
    n = int(channels.sum())
    return f"{n} of {len(channels)} channels"


def _cuts_text(cuts: Cuts, t: ValueType) -> str:
    """How many channels rise, fall, and never change."""
    moving = ~cuts.constant
    always = cuts.constant & (cuts.thresholds[:, 0] <= t.low)
    counts = {
        "rising": int((moving & ~cuts.falling).sum()),
        "falling": int((moving & cuts.falling).sum()),
        "always +1": int(always.sum()),
        "never +1": int((cuts.constant & ~always).sum()),
    }
    return "thresholds: " + ", ".join(f"{n} {what}" for what, n in counts.items() if n)

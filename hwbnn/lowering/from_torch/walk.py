"""From calls of the float network to nodes of a Graph, one call at a time.

The network is divided at its binary layers and activations. The functions between two of these are
collected, and tabulated when the next layer or activation is reached; so no method and no module
needs an exporter of its own. Each call of the network gives a
:class:`~hwbnn.lowering.value.TracedValue`, which any number of later calls may read.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from hwbnn.errors import CannotLower
from hwbnn.graph import ArgMax, Input, Lookup, Node, Output, Rescale, Threshold
from hwbnn.graph.arrays import Bytes, Float32s, Ints
from hwbnn.lowering import layers, pools, shapes, shortcuts
from hwbnn.lowering.activations import TABLE_LEVELS, NoExactForm, activation
from hwbnn.lowering.concatenation import concatenate
from hwbnn.lowering.encodings import encode
from hwbnn.lowering.from_torch.brevitas import check_kind, without_brevitas
from hwbnn.lowering.from_torch.coded import CodedActivation, CodedSum
from hwbnn.lowering.from_torch.layers import (
    check_source,
    coded_op,
    read_activation,
    read_coded,
    read_conv,
    read_linear,
)
from hwbnn.lowering.from_torch.ops import (
    ADDS,
    CHOICES,
    CONCATENATIONS,
    MAX_POOLS,
    MEANS,
    SHAPE_ALONE,
    SHAPES,
    SPLITS,
    UNCHANGED,
    WEIGHTED,
    check_add,
    check_concatenation,
    check_state,
    chosen_channels,
    function_label,
    function_op,
    function_pool,
    kind_of,
    module_op,
    module_pool,
    named,
    reference_mode,
    target_name,
)
from hwbnn.lowering.from_torch.real_weights import (
    PlainWeights,
    RationalScales,
    binary_weights,
    function_weights,
    lattice,
    module_weights,
    quantised,
    rational_scales,
)
from hwbnn.lowering.from_torch.reference import (
    LEAVES,
    Sample,
    floats,
    sample,
    takes_sequences,
    trace,
)
from hwbnn.lowering.from_torch.straight_through import without_straight_through
from hwbnn.lowering.integer_values import (
    as_integers,
    as_levels,
    common_line,
    exact_multiple,
    is_integers,
    is_shifted,
    is_tabulated,
)
from hwbnn.lowering.ops import FLOAT32_INTEGERS, StepActivation, TableFunction
from hwbnn.lowering.scaled_scores import scaled_scores
from hwbnn.lowering.tables import TABLE_LIMIT, read_ranks, rises_alike
from hwbnn.lowering.value import (
    FixedPointError,
    GraphBuilder,
    Remark,
    TracedValue,
    common_ops,
)
from hwbnn.nn import BinaryActivation, BinaryConv2d, BinaryLinear, OptionA, Select, Thermometer
from hwbnn.nn.binary import ScaledIntegers, SumLayer
from hwbnn.nn.conv import ConvLayer
from hwbnn.nn.linear import DenseLayer

_MAX_POOLS = nn.MaxPool1d | nn.MaxPool2d | nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d
_MEAN_POOLS = nn.AvgPool1d | nn.AvgPool2d | nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d
_ROUNDED = 2.0**-21
"""How far float32 may move the difference of two logits, relative to the largest that can occur."""
OUTPUTS = ("class", "scores", "logits")


@dataclass
class Walk:
    """A network being lowered.

    Attributes:
        network: the prepared network.
        traced: the calls of the network, as ``torch.fx`` traced them.
        source: the input contract.
        output: one of :data:`OUTPUTS`.
        build: the Graph so far.
        codes: by call of an activation, the node of the Graph with the same codes.
        logits: the call that returns the logits, and the node whose integers are ordered as the
            logits are; None if the network ends in bits.
        values: the value of each call.
        sums: the fixed-point sums of two values, by call.
        scores: the value whose floats are the logits.
        line: for an output of logits: scale and offset of its integers, and the largest distance of
            these from the network's logits, in units of the integers; else None.
        gap: the distance beyond which two logits surely have the order of their integers; 0 without
            fixed-point numbers.
        decision: for a network with one logit and output ``"class"``: the call that returns the
            logit, its value, and the node of the bit ``logit >= 0``; else None.
        constant: a sentence about an output that is the same for every input; else empty.
        original: the calls of the network before layers were replaced in ``traced``; None if none
            were.
    """

    network: nn.Module
    traced: fx.GraphModule
    source: Input
    output: str
    build: GraphBuilder = field(default_factory=GraphBuilder)
    codes: dict[fx.Node, str] = field(default_factory=dict)
    logits: tuple[fx.Node, str] | None = None
    values: dict[fx.Node, TracedValue] = field(default_factory=dict)
    sums: dict[fx.Node, shortcuts.Sum] = field(default_factory=dict)
    gap: float = 0.0
    line: tuple[float, float, float] | None = None
    scores: TracedValue | None = None
    decision: tuple[fx.Node, TracedValue, str] | None = None
    constant: str = ""
    original: fx.GraphModule | None = None
    _constants: dict[fx.Node, Any] = field(default_factory=dict)
    _sizes: set[fx.Node] = field(default_factory=set)
    _settled: dict[fx.Node, TracedValue] = field(default_factory=dict)
    _splits: dict[fx.Node, tuple[TracedValue, list[Ints]]] = field(default_factory=dict)
    _lines: dict[str, tuple[RationalScales, bool]] = field(default_factory=dict)
    _coded_sums: set[fx.Node] = field(default_factory=set)
    _sample: Sample = field(init=False)

    @property
    def nodes(self) -> list[Node]:
        """The nodes of the Graph, so far."""
        return self.build.nodes

    @property
    def remarks(self) -> list[Remark]:
        """The remarks on the layers lowered so far."""
        return self.build.remarks

    def run(self) -> None:
        """Lower all calls, in order.

        Raises:
            CannotLower: naming the layer that has no exact form, and what to change.
        """
        for name, module in self._called_modules():
            check_state(name, module)
            check_kind(named(name, module), module)
            if isinstance(module, SumLayer):
                check_source(named(name, module), module, self.source)
        if without_straight_through(self.traced):
            self.original = trace(self.network)
        self.build.is_sequence = takes_sequences(self.network, self.source)
        self._sample = self._sampled()
        lowest = np.full((2, *self.source.shape), self.source.low)
        x = floats(self.source, lowest, is_sequence=self.build.is_sequence)
        integers = without_brevitas(self.traced, x)
        if integers is not None:
            self.original, self.traced = self.original or self.traced, integers
            self._sample = self._sampled()
        with reference_mode():
            for call in self.traced.graph.nodes:
                self._visit(call)

    def _sampled(self) -> Sample:
        return sample(self.traced, self.source, is_sequence=self.build.is_sequence)

    def _called_modules(self) -> list[tuple[str, nn.Module]]:
        names = [n.target for n in self.traced.graph.nodes if n.op == "call_module"]
        return [(str(name), self.traced.get_submodule(str(name))) for name in names]

    def _visit(self, call: fx.Node) -> None:
        self.build.label = self._label(call)
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

    def _label(self, call: fx.Node) -> str:
        """The call, for messages."""
        if call.op == "call_module":
            return named(str(call.target), self.traced.get_submodule(str(call.target)))
        if call.op in ("call_function", "call_method"):
            return function_label(call)
        return "the model"

    def _is_fixed(self, call: fx.Node) -> bool:
        """Whether a call reads only sizes and constants; its value is then stored."""
        if target_name(call) in SHAPE_ALONE and self._is_of_shape(call):
            return True
        if call.target is getattr and call.args[1:] in (("dtype",), ("device",)):
            self._constants[call] = self._sample.small[call]
            return True
        asks = call.target == "size" or (call.target is getattr and call.args[1:] == ("shape",))
        if not asks and not all(
            n in self._sizes or n in self._constants for n in call.all_input_nodes
        ):
            return False
        value = self._sample.constant(call)
        if value is None and all(n in self._constants for n in call.all_input_nodes):
            value = _computed(call, self._constants)  # of constants that repeat over a shape
        if value is None or asks:
            self._sizes.add(call)
        else:
            self._constants[call] = value
        return True

    def _is_of_shape(self, call: fx.Node) -> bool:
        """Whether a call repeats a constant over a value's shape; the constant is then stored."""
        values = [self._sample.small[call], self._sample.large[call]]
        if not all(isinstance(v, Tensor) and v.ndim >= 2 for v in values):
            return False
        reads = call.args[0]
        if reads in self.values and target_name(call) in ("expand_as", "expand"):
            return False
        once = [v[(slice(0, 1), slice(None), *(slice(0, 1),) * (v.ndim - 2))] for v in values]
        if not torch.equal(*once) or not all(
            torch.equal(o.expand_as(v), v) for o, v in zip(once, values, strict=True)
        ):
            return False
        self._constants[call] = once[0]
        return True

    # --- one kind of call each -------------------------------------------------------------------

    def _input(self, call: fx.Node) -> None:
        if self.values:
            raise CannotLower(
                f"the model takes more than one argument ('{call.target}'); a Graph has one input"
            )
        node = self.source
        t = self.build.add(node)
        columns = t.channels if len(t.shape) == 3 else t.size
        ends = np.full(columns, t.low), np.full(columns, t.high)

        def floats(u: Float32s) -> Float32s:
            if node.is_uniform:  # then the table may have other columns than the input
                return node.reals(u).astype(np.float32)
            return node.reals(u.reshape(len(u), -1, t.channels)).astype(np.float32).reshape(u.shape)

        label = f"input '{node.name}'"
        read = TableFunction(label, floats, is_elementwise=node.is_uniform)
        self.values[call] = TracedValue(node.name, t, *ends, node.name, (read,), is_input=True)

    def _module(self, call: fx.Node) -> None:
        name, module = str(call.target), self.traced.get_submodule(str(call.target))
        label = named(name, module)
        value = self._value_of(call, label)
        if isinstance(module, LEAVES) and type(module) not in LEAVES:
            raise CannotLower(
                f"{label}: a subclass of a layer of hwbnn.nn may compute anything; "
                "use the layer itself"
            )
        if isinstance(module, DenseLayer | ConvLayer):
            result = self._layer(call, name, module)
        elif kind_of(module) in (nn.Linear, nn.Conv1d, nn.Conv2d):
            plain = module_weights(label, module)  # type: ignore[arg-type]
            result = self._plain(call, name, plain)
        elif isinstance(module, CodedSum):
            self._coded_sums.add(call)
            result = self._plain(call, name, replace(module.plain, label=label))
        elif isinstance(module, BinaryActivation):
            step = read_activation(name, module, value, self._axes(value))
            result = self._activation(call, step, value)
        elif isinstance(module, CodedActivation):
            result = self._coded(call, name, module)
        elif type(module) in UNCHANGED:
            result = value
        elif isinstance(module, nn.Flatten):
            result = shapes.flatten(self.build, value, label, self._sample.shape(call))
        elif isinstance(module, nn.ChannelShuffle):
            seen = self._sample.shape(call)
            assert seen is not None
            (index,) = chosen_channels(label, module, seen)
            result = shapes.channels(self.build, self._source(call)[1], index)
        elif isinstance(module, Thermometer):
            thresholds = module.thresholds.numpy()
            result = encode(self.build, name, label, thresholds, self._source(call)[1])
        elif isinstance(module, Select):
            result = shapes.select(self.build, name, label, module.index.numpy(), value)
        elif isinstance(module, _MAX_POOLS):
            is_sequence = self.build.is_sequence
            value = self._source(call)[1]
            shape = module_pool(name, label, module, value.shape, is_sequence=is_sequence)
            result = pools.max_pool(self.build, shape, value, self._image_shape(call))
        elif isinstance(module, _MEAN_POOLS):
            is_sequence = self.build.is_sequence
            shape = module_pool(name, label, module, value.shape, is_sequence=is_sequence)
            result = self._mean(call, shape)
        elif isinstance(module, OptionA):
            image = shortcuts.fix(self.build, value)
            sizes = module.stride, module.before, module.after
            result = shortcuts.subsampled(self.build, name, image, *sizes)
        else:
            result = self._after(value, module_op(name, module, axes=self._axes(value)))
        self.values[call] = result

    def _source(self, call: fx.Node) -> tuple[fx.Node, TracedValue]:
        """The call whose value ``call`` reads, and this value with its waiting pool as a node."""
        (source,) = [n for n in call.all_input_nodes if n in self.values]
        if source not in self._settled:
            self._settled[source] = shortcuts.settle(self.build, self.values[source])
        return source, self._settled[source]

    def _fixed(
        self, call: fx.Node, terms: int = 0, limit: int = shortcuts.WIDE_SUMS
    ) -> TracedValue:
        """The argument of a call as fixed-point numbers, with no other function after them.

        A call is inserted into the trace that stands for these numbers, so that the comparison of
        Graph and network can continue from them.

        Args:
            call: reads one value of the network.
            terms: how many numbers the call sums, each counted by the magnitude of its weight; 0 if
                it does not sum. The numbers have fewer fraction bits if the sums would reach
                ``limit``.
            limit: bound of the sums.
        """
        source, value = self._source(call)
        fixed = (
            shortcuts.summed(self.build, value, terms, limit)
            if terms
            else shortcuts.fix(self.build, value)
        )
        if fixed.name == value.name:
            return fixed
        assert fixed.fixed is not None
        with self.traced.graph.inserting_before(call):
            held = self.traced.graph.call_function(_same, (source,))
        call.replace_input_with(source, held)
        bits = shortcuts.fraction_of(fixed)
        self.sums[held] = shortcuts.Sum(fixed.name, bits, fixed.fixed.local)
        self.values[held] = replace(fixed, fixed=FixedPointError(fixed.fixed.total, 0.0))
        return self.values[held]

    def _activation(self, call: fx.Node, layer: StepActivation, value: TracedValue) -> TracedValue:
        """The codes of an activation: exact if possible, else those of fixed-point numbers."""
        is_shared = any(user is not call for user in call.all_input_nodes[0].users)
        try:
            result = activation(self.build, layer, value, is_shared=is_shared)
        except NoExactForm as error:
            try:
                value = self._fixed(call)
            except CannotLower:
                raise error from None
            result = activation(self.build, layer, value)
        self.codes[call] = result.name
        return result

    def _coded(self, call: fx.Node, name: str, module: CodedActivation) -> TracedValue:
        """The integers of a quantizer; no node where they follow from those that it reads."""
        value = self._value_of(call, module.label)
        op = coded_op(module, axes=self._axes(value))
        if value.type.bit:
            return self._source(call)[1].after(op)
        if is_tabulated(value):
            result = value.after(op)
            if is_shifted(result):
                self.remarks.append(Remark(name, value.name, "the integers that it reads"))
                return result
            if module.high - module.low >= TABLE_LEVELS:
                found = as_integers(self.build, result)
                if found is not None:
                    self.remarks[-1] = replace(self.remarks[-1], layer=name)
                    self.codes[call] = found.name
                    return replace(found, layer=name)
        return self._activation(call, read_coded(name, module, axes=self._axes(value)), value)

    def _layer(self, call: fx.Node, name: str, module: DenseLayer | ConvLayer) -> TracedValue:
        """The sums of a layer."""
        value = self._source(call)[1]
        is_binary = isinstance(module, BinaryLinear | BinaryConv2d)
        if module.source is None and not is_integers(value):
            multiple = exact_multiple(value, module.inputs)
            is_read = value.is_coded or (value.is_input and len(value.ops) > 1)
            if multiple is not None and is_binary and is_read:
                held = copy.deepcopy(module)
                low, high, _ = value.type.numbers
                held.source = ScaledIntegers(
                    "x", (1,), low, high, scale=multiple[0], offset=multiple[1]
                )
                self._replace(call, held)
                return self._layer(call, name, held)
            value = self._integers(call)
            is_mapped = len(value.ops) > 1 or not self.source.is_uniform
            if value.is_input and is_binary and is_mapped:
                return self._plain(call, name, binary_weights(named(name, module), module))
        if module.source is None and layers.is_real(value, is_binary=is_binary):
            most = module.inputs if is_binary else _most(module)
            limit = FLOAT32_INTEGERS if is_binary else shortcuts.WIDE_SUMS
            value = self._fixed(call, most, limit)
        if value.pending:
            label = named(name, module)
            raise CannotLower(f"{label}: {layers.UNDECIDED.format(value.layer)}")
        if isinstance(module, DenseLayer):
            weights = read_linear(name, module, value, self.source)
            result = layers.linear(self.build, weights, value)
            line = rational_scales(module) if value.fixed is None else None
            if line is not None:
                self._lines[result.name] = line, call in self._coded_sums
            return result
        weights, geometry = read_conv(name, module, value, self.source)
        return layers.conv(self.build, weights, geometry, value)

    def _integers(self, call: fx.Node, *, levels: bool = False) -> TracedValue:
        """The argument of a call as integers of the Graph, if its floats are integers.

        Args:
            call: reads one value of the network.
            levels: whether floats that are a few multiples of a number will do too.
        """
        source, value = self._source(call)
        found = None if value.type.bit else as_integers(self.build, value)
        if found is None and levels:
            found = as_levels(self.build, value)
        if found is not None:
            self._settled[source] = found
        return self._settled[source]

    def _plain(self, call: fx.Node, name: str, plain: PlainWeights) -> TracedValue:
        """The sums of a layer of real weights, which a layer of integer weights replaces."""
        value = self._source(call)[1]
        _expect_axes(plain, value)
        read = lattice(f"what {plain.label} reads", value)
        if read is None:
            read = lattice(f"what {plain.label} reads", self._integers(call, levels=True))
        layer = quantised(plain, read, self.build.weight_bits)
        self._replace(call, layer)
        text = layer.weight.text
        if layer.weight.is_rounded:
            self.build.rounded[name] = text
        if read is None:
            self._fixed(call, _most(layer))  # type: ignore[arg-type]
        return self._layer(call, name, layer)  # type: ignore[arg-type]

    def _replace(self, call: fx.Node, layer: nn.Module) -> None:
        """Replace a call of the trace by a layer; the network itself is not changed."""
        if self.original is None:
            self.original = trace(self.network)
        name = f"integer_weights_{sum(n.op == 'call_module' for n in self.traced.graph.nodes)}"
        while hasattr(self.traced, name):
            name += "_"
        self.traced.add_submodule(name, layer)
        (source,) = [n for n in call.all_input_nodes if n in self.values]
        call.op, call.target, call.args, call.kwargs = "call_module", name, (source,), {}

    def _weighted(self, call: fx.Node, label: str, target: str) -> TracedValue:
        """The sums of a call of a function in :data:`WEIGHTED`; its weights are evaluated once."""
        names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
        given = dict(zip(names, call.args, strict=False)) | dict(call.kwargs)
        known = {
            key: self._constants.get(part) if isinstance(part, fx.Node) else part
            for key, part in given.items()
            if key != "input"
        }
        missing = [k for k in ("weight", "bias") if given.get(k) is not None and known[k] is None]
        weight = None if missing else known.get("weight")
        plain = function_weights(label, target, weight, known.get("bias"), known)
        return self._plain(call, call.name, plain)

    def _function(self, call: fx.Node) -> None:
        label, target = function_label(call), target_name(call)
        if target in WEIGHTED:
            reads = [n for n in call.all_input_nodes if n in self.values]
            if len(reads) == 1 and (
                call.args[:1] == (reads[0],) or reads[0] is call.kwargs.get("input")
            ):
                self.values[call] = self._weighted(call, label, target)
                return
        if target in ADDS and sum(n in self.values for n in call.all_input_nodes) == 2:
            if self._are_of_one(call):
                self.values[call] = self._joined(call, label, list(call.all_input_nodes))
            else:
                self._add(call, label)
            return
        if call.args and call.args[0] in self._splits:
            held, indices = self._splits[call.args[0]]  # type: ignore[index]
            part = call.args[1]
            if target != "getitem" or not isinstance(part, int):
                raise CannotLower(f"{label}: expected one of the parts of a split, parts[0]")
            self.values[call] = shapes.channels(self.build, held, indices[part])
            return
        if target in CONCATENATIONS:
            self._concatenation(call, label)
            return
        moving = [n for n in call.all_input_nodes if n in self.values]
        if len(moving) > 1:
            self.values[call] = self._joined(call, label, moving)
            return
        value = self._value_of(call, label)
        if target in CHOICES | SPLITS:
            value = self._source(call)[1]
            indices = self._chosen(call, label)
            if target in SPLITS:
                self._splits[call] = value, indices
            else:
                self.values[call] = shapes.channels(self.build, value, indices[0])
            return
        if target in SHAPES:
            self.values[call] = shapes.flatten(self.build, value, label, self._sample.shape(call))
        elif target in MAX_POOLS:
            is_sequence = self.build.is_sequence
            value = self._source(call)[1]
            shape = function_pool(label, call, value.shape, is_sequence=is_sequence)
            self.values[call] = pools.max_pool(self.build, shape, value, self._image_shape(call))
        elif target in MEANS and value.is_image:
            is_sequence = self.build.is_sequence
            shape = function_pool(label, call, value.shape, is_sequence=is_sequence)
            mean = self._mean(call, shape)
            self.values[call] = shapes.flatten(self.build, mean, label, self._sample.shape(call))
        else:
            op = function_op(call, self._types(moving), self._constants)
            self.values[call] = self._after(value, op.op(self._axes(value)))

    def _types(self, calls: list[fx.Node]) -> dict[fx.Node, torch.dtype]:
        """The types of values in the network."""
        return {n: self._sample.small[n].dtype for n in calls}

    def _joined(self, call: fx.Node, label: str, moving: list[fx.Node]) -> TracedValue:
        """A function of several values that are functions of one, such as ``x.sign() * x``.

        The functions that all of them have in common come first; the rest is tabulated at once.
        """
        values = [self.values[n] for n in moving]
        common = common_ops(values)
        if common is None:
            raise CannotLower(
                f"{label}: expected one value of the network as its argument, found "
                f"{len(moving)}; only a sum of two values (a + b) and torch.cat may read several, "
                "or a function of values that are computed from the same sums, each alone"
            )
        op = function_op(call, self._types(moving), self._constants)
        axes = self._axes(values[0])
        parts = [value.ops[common:] for value in values]
        order = values[0].order
        if order is not None:  # `after` takes functions of the network's order
            parts = [
                tuple(o if o.is_elementwise else o.picked(order, len(order)) for o in ops)
                for ops in parts
            ]
        joined = op.joined(parts, axes)
        return self._after(replace(values[0], ops=values[0].ops[:common]), joined)

    def _are_of_one(self, call: fx.Node) -> bool:
        """Whether the two values that a call adds are exact functions of the same sums."""
        values = [self.values[n] for n in call.all_input_nodes]
        return values[0].fixed is None and common_ops(values) is not None

    def _add(self, call: fx.Node, label: str) -> None:
        """The sum of two values, each of which other calls may read too."""
        one, other = check_add(call, label)
        sides = self.values[one], self.values[other]
        names = " and ".join(f"layer '{side.layer}'" for side in sides)
        self.build.label = f"{label} (the sum of {names})"
        self.values[call], total = shortcuts.add(self.build, self.build.label, sides)
        if total is not None:
            self.sums[call] = total

    def _chosen(self, call: fx.Node, label: str) -> list[Ints]:
        """The channels that a call keeps, in each of its results."""
        source = self._source(call)[0]
        shape = self._sample.shape(source)
        assert shape is not None
        known = {n: self._constants.get(n, self._sample.small[n]) for n in call.all_input_nodes}

        def run(numbers: Tensor) -> Any:
            return _computed(call, {**known, source: numbers})

        return chosen_channels(label, run, shape)

    def _concatenation(self, call: fx.Node, label: str) -> None:
        """Values concatenated along the channels, each of which other calls may read too."""
        shape = self._sample.shape(call)
        assert shape is not None
        nodes = check_concatenation(call, label, len(shape))
        if not all(node in self.values for node in nodes):
            raise CannotLower(f"{label}: expected values of the network alone, found a constant")
        sources = []
        for node in nodes:
            # Waiting pools become nodes, which all readers share.
            if node not in self._settled:
                self._settled[node] = shortcuts.settle(self.build, self.values[node])
            sources.append(self._settled[node])
        self.values[call], total = concatenate(self.build, label, sources)
        if total is not None:
            self.sums[call] = total

    def _mean(self, call: fx.Node, shape: pools.PoolWindow) -> TracedValue:
        value = self._source(call)[1]
        if value.is_image and (value.fixed is not None or not pools.is_summable(value)):
            terms = shape.kernel[0] * shape.kernel[1]
            value = self._fixed(call, terms, FLOAT32_INTEGERS)
        return pools.mean_pool(self.build, shape, value, self._image_shape(call))

    def _image_shape(self, call: fx.Node) -> tuple[int, ...]:
        """The shape of a call's result for an image, channels last."""
        shape = self._sample.shape(call)
        assert shape is not None
        if len(shape) == 2:  # a mean without its rows and columns
            return 1, 1, shape[1]
        rows = (1,) if self.build.is_sequence else ()
        return (*rows, *shape[2:], shape[1])

    def _axes(self, value: TracedValue) -> int:
        """The number of axes after the channels of a value in the network."""
        if not value.is_image:
            return 0
        return 1 if self.build.is_sequence else 2

    def _after(self, value: TracedValue, op: TableFunction) -> TracedValue:
        if len(value.shape) not in (1, 3):
            raise CannotLower(f"{op.label}: acts on shape {value.shape}; flatten the input first")
        return value.after(op)

    def _output(self, call: fx.Node) -> None:
        (result,) = call.args
        if not isinstance(result, fx.Node) or result not in self.values:
            raise CannotLower(
                "the model returns something else than one tensor of logits; of several heads "
                "return torch.cat(heads, 1) and lower with output='logits', or lower each alone"
            )
        value = self.values[result]
        if value.is_input:
            raise CannotLower("the model returns its input; expected logits of a binary layer")
        if len(value.shape) > 1 and not value.type.bit:
            raise CannotLower(f"the model returns {value.shape}; expected logits in one axis")
        if self.output == "class" and value.shape == (1,) and not value.type.bit:
            last = self._decided(result, value)
            self._append(Output(self.build.name("y"), last, "decision"))
            return
        value = shortcuts.settle(self.build, value)
        if value.pending:
            value = shortcuts.fix(self.build, value)
        value = shapes.restore(self.build, value)
        last = value.name
        if self.output == "logits" and not value.type.bit:
            self._logits(result, value)
            return
        if value.type.bit:
            if self.output != "scores":
                raise CannotLower(
                    f"layer '{value.layer}': the model ends in bits, which have no largest; end "
                    "it in a BinaryLinear, or lower with output='scores'"
                )
        else:
            last = self._scores(value)
            self.logits = result, last
            if self.output == "class":
                self.constant = constant_class(value, self.nodes[-1])
                last = self._append(ArgMax(self.build.name("argmax"), last))
        self._append(Output(self.build.name("y"), last))

    def _logits(self, call: fx.Node, value: TracedValue) -> None:
        """Add the output as integers which one scale and one offset turn into the logits."""
        line = common_line(value)
        if line is None:
            value = shortcuts.fix(self.build, value, shortcuts.fraction_below(self.build, value))
            assert value.fixed is not None
            line = 2.0 ** -shortcuts.fraction_of(value), 0.0, value.fixed.local
        scale, offset, error = line
        self.line, self.scores = line, value
        self.gap = 2 * error * abs(scale)
        self.logits = call, value.name
        node = Output(self.build.name("y"), value.name, "logits", scale, offset)
        self.build.add(node)
        text = f"a logit is {scale:g} * y + {offset:g}, {error:.2g} units of y off at most"
        self.build.remark(value.layer, node, text)

    def _decided(self, call: fx.Node, value: TracedValue) -> str:
        """The name of a bit that is 1 if the only logit is at least 0.

        This is the decision of binary cross entropy: a probability of one half or more.
        """
        layer = value.layer
        sign = StepActivation(layer, f"the logit of layer '{layer}'", 1, 1.0, 0.0, _is_positive)
        bit = activation(self.build, sign, value)
        node = next(n for n in self.nodes if n.name == bit.name)
        if value.pool is None and not value.pending:
            self.scores = value
        self.decision = call, value, bit.name
        if isinstance(node, Threshold):
            t = self.build.types[node.source]
            at = int(node.thresholds.ravel()[0])
            never = at > t.high or at < t.low
            always = at == (t.high if node.falling[0] else t.low)
            if never or always:
                self.constant = f"the logit is never {'at least' if never else 'below'} 0"
        return bit.name

    def _scores(self, value: TracedValue) -> str:
        """The name of integers that are ordered as the logits are."""
        layer = value.layer
        if value.fixed is not None and not rises_alike(value):
            value = shortcuts.summed(self.build, value, 1)
            bits = shortcuts.fraction_of(value)
            self.gap = 2 * value.fixed.local * 2.0**-bits if value.fixed else 0.0
            self.scores = value
            return value.name
        self.scores = value
        if value.fixed is not None:
            self.gap = shortcuts.resolution(value)
        if value.fixed is not None or rises_alike(value):
            text = "compared as integers: all channels rise alike"
            self.remarks.append(Remark(layer, value.name, text))
            return value.name
        name = self._scaled(value)
        if name is not None:
            return name
        if value.type.count > TABLE_LIMIT:
            value = shortcuts.fix(self.build, value)
            assert value.fixed is not None
            self.gap = 2 * value.fixed.local * 2.0**-self.build.fraction
            self.scores = value
            return value.name
        ranks = read_ranks(value)
        node = Lookup(self.build.name("ranks"), value.name, ranks)
        self._append(node)
        text = f"ranks of {int(ranks.max()) + 1} logits, {ranks.shape[1]} entries a class"
        self.build.remark(layer, node, text)
        return node.name

    def _scaled(self, value: TracedValue) -> str | None:
        """Exact scores of a last layer whose scales and biases are known; None if there are none.

        In float32 the logits are rounded, so that equal and almost equal ones may change places.
        """
        known = self._lines.get(value.name)
        if known is None or len(value.ops) != 1 or value.border is not None:
            return None
        line, is_coded = known
        if not is_coded and value.type.count <= TABLE_LIMIT:
            return None
        name = scaled_scores(self.build, value.layer, value, *line)
        ends = max(-value.type.low, value.type.high)
        largest = max(abs(g) * ends + abs(o) for g, o in zip(*line, strict=True))
        self.gap = float(largest) * _ROUNDED if name is not None else 0.0
        return name

    # --- bookkeeping -----------------------------------------------------------------------------

    def _value_of(self, call: fx.Node, label: str) -> TracedValue:
        moving = [n for n in call.all_input_nodes if n in self.values]
        if len(moving) != 1 or moving[0] not in (*call.args, *call.kwargs.values()):
            raise CannotLower(
                f"{label}: expected one value of the network as its argument, found "
                f"{len(moving)}; only a sum of two values (a + b) and torch.cat may read several"
            )
        return self.values[moving[0]]

    def _append(self, node: Node) -> str:
        self.build.add(node)
        return node.name


def _same(x: Tensor) -> Tensor:
    """Stands in the trace for fixed-point numbers: those of the network, up to rounding."""
    return x


def _most(layer: DenseLayer | ConvLayer) -> int:
    """The largest sum of a layer's integer weights times inputs of magnitude 1."""
    return int(layer.weight.codes().integers.abs().flatten(1).sum(dim=1).max())


def _expect_axes(plain: PlainWeights, value: TracedValue) -> None:
    """Refuse a layer that does not fit the shape of its argument."""
    if value.is_image == (plain.window is None):
        wanted = "a row for each sample" if plain.window is None else "images"
        raise CannotLower(
            f"{plain.label}: expected {wanted}, found {value.type}; flatten in front of dense "
            "layers, and give Input a shape (height, width, channels) for images"
        )


def _is_positive(x: Float32s) -> Bytes:
    """The codes of ``x >= 0``."""
    return (x >= 0).astype(np.uint8)


def constant_class(value: TracedValue, last: Node) -> str:
    """The class that always has the largest score; empty if there is none.

    Args:
        value: the scores.
        last: the node whose integers are compared: the sums, or the table of ranks.
    """
    low, high = value.low, value.high
    if isinstance(last, Rescale) and last.source == value.name:
        ends = [last.multiplier * end + last.bias for end in (low, high)]
        low, high = np.minimum(*ends), np.maximum(*ends)
    if isinstance(last, Lookup) and last.source == value.name:
        t = value.type
        index = [(end - t.low) // t.step for end in (low, high)]
        rows = [row[a : b + 1] for row, a, b in zip(last.table, *index, strict=True)]
        low, high = (np.array([end(row) for row in rows]) for end in (min, max))
    best = int(low.argmax())
    others = np.delete(high, best)
    if len(low) < 2 or not (low[best] > others).all():
        return ""
    return f"class {best} always has the largest logit"


def _computed(call: fx.Node, known: Mapping[fx.Node, Any]) -> Any:
    """The result of a call of a function or method for known arguments."""
    args: Any = fx.node.map_arg(call.args, known.__getitem__)
    kwargs: Any = fx.node.map_arg(call.kwargs, known.__getitem__)
    if isinstance(call.target, str):
        return getattr(args[0], call.target)(*args[1:], **kwargs)
    assert callable(call.target)
    return call.target(*args, **kwargs)


def _attribute(root: nn.Module, path: str) -> Any:
    value: Any = root
    for part in path.split("."):
        value = getattr(value, part)
    return value

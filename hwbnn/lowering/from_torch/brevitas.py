"""Brevitas: layers and quantizers of a live model, read by calling them.

Brevitas itself is never imported; a model that has its modules has imported it. No rule of a
quantizer is written here: weights are what ``quant_weight()`` returns, biases what the bias
quantizer returns, and activations are evaluated on every integer that arrives, by the module
itself. The calls of the trace that Brevitas computes are replaced: a quantizer becomes one that
gives integers, a layer becomes one of integer weights that reads these integers. A scale stays
apart from its integers as long as calls keep it (pools, shapes, sums of equal scales), so that the
sums of integers are exact whatever the scale is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from hwbnn.errors import CannotLower
from hwbnn.lowering.from_torch.coded import CodedActivation, CodedSum, Quantized
from hwbnn.lowering.from_torch.ops import (
    named,
    plain_tensor,
    reference_mode,
    target_name,
)
from hwbnn.lowering.from_torch.real_weights import PlainWeights, function_weights, module_weights
from hwbnn.methods import Codes

_PACKAGE = "brevitas"
_LARGEST = (1 << 15) - 1


def is_brevitas(module: nn.Module) -> bool:
    """Whether a module is one of Brevitas, or of a class derived from one."""
    return _own(module) is not None


def _own(module: nn.Module) -> type[nn.Module] | None:
    """The class of Brevitas that a module is, or is derived from."""
    kinds = (k for k in type(module).__mro__ if k.__module__.partition(".")[0] == _PACKAGE)
    return next(kinds, None)


def check_kind(label: str, module: nn.Module) -> None:
    """Refuse a layer of Brevitas that is not read, before the network runs.

    Raises:
        CannotLower: naming the layer, and what to take in its place.
    """
    own = _own(module)
    if own is None:
        return
    if _reading_of(module) is None:
        instead = _INSTEAD.get(own.__name__, "")
        raise CannotLower(
            f"{label}: this layer of Brevitas is not taken; {instead}taken are "
            f"{', '.join(sorted(_READINGS))}"
        )
    if own is not type(module) and type(module).forward is not own.forward:
        raise CannotLower(
            f"{label}: a subclass with a forward of its own may compute anything; use "
            f"{own.__name__} itself"
        )


def _reading_of(module: nn.Module) -> _Reading | None:
    """The function that reads a layer of Brevitas, by its class or one that it is derived from."""
    kinds = (k.__name__ for k in type(module).__mro__)
    return next((_READINGS[kind] for kind in kinds if kind in _READINGS), None)


def without_brevitas(traced: fx.GraphModule, x: Tensor) -> fx.GraphModule | None:
    """The same network with integers and scales in place of Brevitas's modules.

    Args:
        traced: the calls of a prepared network.
        x: a batch that it takes.

    Returns:
        A new trace; None if the network has no module of Brevitas.

    Raises:
        CannotLower: naming the layer that has no exact integer form, and what to change.
    """
    called = [
        traced.get_submodule(str(n.target)) for n in traced.graph.nodes if n.op == "call_module"
    ]
    if not any(map(is_brevitas, called)):
        return None
    return _Rewriting(traced, x).run()


@dataclass(frozen=True, eq=False)
class _Value:
    """A value of the network as calls of the new trace.

    Attributes:
        node: the call that gives it, or its integers.
        scale: what the integers are multiplied by, float32 ``()`` or ``(channels,)``; None where
            ``node`` gives the value itself.
    """

    node: fx.Node
    scale: Tensor | None = None

    def has_scale_of(self, other: _Value) -> bool:
        """Whether both are integers times the same scale."""
        if self.scale is None or other.scale is None:
            return False
        return torch.equal(self.scale, other.scale)


class _QuantTensorRecorder(fx.Interpreter):
    """Runs the network once and keeps what every call returns, with its scales."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.extra_traceback = False
        self.results: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one call."""
        self.results[n] = super().run_node(n)
        return self.results[n]


class _Rewriting:
    """One pass over the calls of a network."""

    def __init__(self, traced: fx.GraphModule, x: Tensor) -> None:
        self.traced = traced
        recorder = _QuantTensorRecorder(traced)
        with reference_mode():
            recorder.run(x)
        self.results = recorder.results
        self.graph = fx.Graph()
        self.values: dict[fx.Node, _Value] = {}
        self.root: dict[str, Any] = {}
        self._products: dict[fx.Node, fx.Node] = {}

    def run(self) -> fx.GraphModule:
        """The new trace."""
        for call in self.traced.graph.nodes:
            self.values[call] = self._visited(call)
        return fx.GraphModule(self.root, self.graph)

    def _visited(self, call: fx.Node) -> _Value:
        if call.op == "call_module":
            name, module = str(call.target), self.traced.get_submodule(str(call.target))
            if is_brevitas(module):
                return self._brevitas(call, named(name, module), name, module)
            if isinstance(module, _KEPT_MODULES):
                return self._kept(call)
        elif call.op in ("call_function", "call_method"):
            kept = _unquantized(call)
            if kept is not None:
                return self.values[kept]
            if target_name(call) in _KEPT:
                return self._kept(call)
        return _Value(self._copied(call, self._real))

    def _copied(self, call: fx.Node, of: Callable[[fx.Node], fx.Node]) -> fx.Node:
        """A copy of a call in the new trace, and what it refers to."""
        new = self.graph.node_copy(call, of)
        target = str(call.target)
        if call.op == "call_module":
            self.root[target] = self.traced.get_submodule(target)
        elif call.op == "get_attr":
            value: Any = self.traced
            for part in target.split("."):
                value = getattr(value, part)
            self.root[target] = value
        return new

    def _real(self, call: fx.Node) -> fx.Node:
        """The call of the new trace that gives a value in real numbers."""
        value = self.values[call]
        if value.scale is None:
            return value.node
        if value.scale.ndim == 0 and float(value.scale) == 1.0:
            return value.node
        if value.node not in self._products:
            factor: Any = float(value.scale) if value.scale.ndim == 0 else None
            if factor is None:
                axes = _shape(self.results[call])[2:]
                name = f"scale_{len(self._products)}"
                self.root[name] = value.scale.reshape(1, -1, *(1,) * len(axes))
                factor = self.graph.get_attr(name)
            self._products[value.node] = self.graph.call_function(
                operator.mul, (value.node, factor)
            )
        return self._products[value.node]

    def _kept(self, call: fx.Node) -> _Value:
        """A call that commutes with the scale of what it reads, or one on real numbers."""
        reads = [
            n for n in call.all_input_nodes if isinstance(plain_tensor(self.results[n]), Tensor)
        ]
        first = self.values[reads[0]] if reads else None
        scale = None if first is None else first.scale
        good = first is not None and all(self.values[n].has_scale_of(first) for n in reads)
        if target_name(call) in ("add", "iadd"):  # a constant that is added has no scale
            good = good and len(reads) == len(call.args) == 2
        if not good or (scale is not None and scale.ndim and not _is_pool(call, self.traced)):
            return _Value(self._copied(call, self._real))
        return _Value(self._copied(call, lambda n: self.values[n].node), scale)

    # --- modules of Brevitas ---------------------------------------------------------------------

    def _brevitas(self, call: fx.Node, label: str, name: str, module: Any) -> _Value:
        reading = _reading_of(module)
        assert reading is not None  # check_kind
        return reading(self, call, label, name, module)

    def quantized(
        self, label: str, name: str, module: Any, proxy: Any, source: _Value, shape: tuple[int, ...]
    ) -> _Value:
        """The integers of a quantizer that reads a value in real numbers."""
        quantizer = CodedActivation(label, type(module).__name__, _calling(label, proxy), shape)
        return self.called(name, quantizer, source.node, quantizer.scale)

    def called(self, name: str, module: nn.Module, node: fx.Node, scale: Tensor | None) -> _Value:
        """A call of a new module; its name gets a number if an earlier call has it."""
        free = name
        number = 2
        while free in self.root:
            free, number = f"{name}_{number}", number + 1
        self.root[free] = module
        return _Value(self.graph.call_module(free, (node,)), scale)

    def argument(self, call: fx.Node, label: str, position: int = 0, key: str = "input") -> fx.Node:
        """The call whose value a call reads at this position."""
        given = call.args[position] if len(call.args) > position else call.kwargs.get(key)
        if not isinstance(given, fx.Node):
            raise CannotLower(f"{label}: expected a value of the network as its argument")
        return given


def _activation(r: _Rewriting, call: fx.Node, label: str, name: str, module: Any) -> _Value:
    """``QuantIdentity``, ``QuantReLU``, ``QuantHardTanh``, ``QuantTanh``, ``QuantSigmoid``."""
    source = r.argument(call, label)
    value = _Value(r._real(source))
    shape = _shape(r.results[source])
    if module.input_quant.is_quant_enabled:
        value = _quantized_first(r, label, name, module, value, shape)
    if not module.act_quant.is_quant_enabled:
        raise CannotLower(
            f"{label}: its quantizer is off (act_quant=None); use torch's own activation, such as "
            "nn.ReLU, or give it a quantizer"
        )
    return r.quantized(label, name, module, module.act_quant, value, shape)


def _quantized_first(
    r: _Rewriting, label: str, name: str, module: Any, value: _Value, shape: tuple[int, ...]
) -> _Value:
    """The real numbers of the quantizer in front of a layer."""
    first = r.quantized(label, f"{name}_input_quant", module, module.input_quant, value, shape)
    return _Value(r.graph.call_function(operator.mul, (first.node, _number(label, first))))


def _number(label: str, value: _Value) -> float:
    assert value.scale is not None
    if value.scale.ndim:
        raise CannotLower(f"{label}: a scale for each channel in front of it; expected one number")
    return float(value.scale)


def _weighted(r: _Rewriting, call: fx.Node, label: str, name: str, module: Any) -> _Value:
    """``QuantLinear``, ``QuantConv1d``, ``QuantConv2d``: sums, with quantizers at both ends."""
    source = r.argument(call, label)
    shape, value, read = _shape(r.results[source]), r.values[source], r.results[source]
    if module.input_quant.is_quant_enabled:
        real = _Value(r._real(source))
        value = r.quantized(label, f"{name}_input_quant", module, module.input_quant, real, shape)
        with reference_mode():
            read = module.input_quant(read)
    plain = _plain_weights(label, module, read)
    is_depthwise = plain.window is not None and plain.window.groups == shape[1]
    if value.scale is not None and (value.scale.ndim == 0 or is_depthwise):
        plain = _scaled(plain, value.scale)
        node = value.node
    else:
        node = r._real(source)
    result = r.called(name, CodedSum(type(module).__name__, plain), node, None)
    if module.output_quant.is_quant_enabled:
        wide = _shape(r.results[call])
        return r.quantized(label, f"{name}_output_quant", module, module.output_quant, result, wide)
    return result


def _plain_weights(label: str, module: Any, read: Any) -> PlainWeights:
    """The weights and bias of a layer, as its quantizers give them."""
    with reference_mode():
        weight = module.quant_weight(read) if _asks_input(module) else module.quant_weight()
        bias = module.bias
        if bias is not None:
            bias = plain_tensor(module.bias_quant(bias, read, weight)).detach().float().reshape(-1)
    value = plain_tensor(weight).detach().float()
    codes = _codes(label, weight) if module.weight_quant.is_quant_enabled else None
    if isinstance(module, nn.Linear):
        return PlainWeights(label, value, bias, codes=codes)
    if module.padding_mode != "zeros":
        return module_weights(label, module)  # which refuses it
    names = ("stride", "padding", "dilation", "groups")
    given = {key: getattr(module, key) for key in names}
    kind = "conv1d" if value.ndim == 3 else "conv2d"
    plain = function_weights(label, kind, value, bias, given)
    if codes is None:
        return plain
    spread = function_weights(label, kind, codes.integers, None, given).weight
    return PlainWeights(label, plain.weight, bias, plain.window, codes=Codes(spread, codes.scale))


def _asks_input(module: Any) -> bool:
    return bool(getattr(module.weight_quant, "requires_quant_input", False))


def _codes(label: str, weight: Any) -> Codes | None:
    """The integers of quantized weights, and their scale for each output channel.

    None if the scale differs within a channel: such weights are real numbers to a sum.
    """
    found = _checked(label, weight, "weights")
    if bool((weight.zero_point != 0).any()):
        raise CannotLower(
            f"{label}: its weights have a zero point; use a symmetric quantizer of weights"
        )
    value, scale = found.value, found.scale
    rows = len(value)
    if scale.numel() != 1 and scale.numel() != rows:
        return None
    if scale.numel() > 1 and scale.shape[0] != rows:
        return None
    integers = torch.round(value / scale)
    if not torch.equal(integers * scale, value):
        raise CannotLower(f"{label}: its weights are not integers times their scale")
    largest = int(integers.abs().max())
    if largest > _LARGEST:
        raise CannotLower(
            f"{label}: its weights take integers up to {largest}; expected at most 16 bits"
        )
    return Codes(integers, scale.reshape(-1).expand(rows).clone())


def _scaled(plain: PlainWeights, scale: Tensor) -> PlainWeights:
    """Weights of a layer that reads integers, times the scale of these integers."""
    if plain.window is not None and scale.ndim:
        scale = scale.repeat_interleave(len(plain.weight) // len(scale))
    per_row = scale.reshape(-1, *(1,) * (plain.weight.ndim - 1)) if scale.ndim else scale
    codes = plain.codes
    if codes is not None:
        assert codes.scale is not None
        codes = Codes(codes.integers, codes.scale * scale)
    return PlainWeights(plain.label, plain.weight * per_row, plain.bias, plain.window, codes=codes)


def _added(r: _Rewriting, call: fx.Node, label: str, name: str, module: Any) -> _Value:
    """``QuantEltwiseAdd``: both sides through one quantizer, their sum through another."""
    sources = [r.argument(call, label), r.argument(call, label, 1, "other")]
    one, other = (_side(r, label, name, module, source) for source in sources)
    scale = one.scale
    if scale is None or scale.ndim or not one.has_scale_of(other):
        raise CannotLower(
            f"{label}: expected values of one scale, found others; give it an input_quant, or let "
            "one quantizer with return_quant_tensor=True make both"
        )
    result = _Value(r.graph.call_function(operator.add, (one.node, other.node)), scale)
    if not module.output_quant.is_quant_enabled:
        return result
    real = _Value(r.graph.call_function(operator.mul, (result.node, float(scale))))
    shape = _shape(r.results[call])
    return r.quantized(label, f"{name}_output_quant", module, module.output_quant, real, shape)


def _side(r: _Rewriting, label: str, name: str, module: Any, source: fx.Node) -> _Value:
    if not module.input_quant.is_quant_enabled:
        return r.values[source]
    real, shape = _Value(r._real(source)), _shape(r.results[source])
    return r.quantized(label, f"{name}_input_quant", module, module.input_quant, real, shape)


def _truncated(r: _Rewriting, call: fx.Node, label: str, name: str, module: Any) -> _Value:
    """``TruncAvgPool2d``, ``TruncAdaptiveAvgPool2d``: sums of integers, shifted and rounded."""
    source = r.argument(call, label)
    value, read = r.values[source], r.results[source]
    if not module.is_trunc_quant_enabled or value.scale is None or value.scale.ndim:
        raise CannotLower(
            f"{label}: expected quantized numbers of one scale in front of it "
            "(return_quant_tensor=True) and a trunc_quant; else use nn.AvgPool2d"
        )
    with reference_mode():
        pool = next(k for k in type(module).__mro__ if k in (nn.AvgPool2d, nn.AdaptiveAvgPool2d))
        mean: Any = pool.forward(module, read)
    if pool is nn.AvgPool2d:
        keys = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
        given = {key: getattr(module, key) for key in keys}
        node = r.graph.call_function(
            functional.avg_pool2d, (value.node,), {**given, "divisor_override": 1}
        )
    else:
        sides = module.output_size
        if (sides if isinstance(sides, int) else max(sides)) != 1:
            raise CannotLower(f"{label}: expected a mean over the whole image, output size 1")
        kernel = tuple(_shape(read)[2:])
        node = r.graph.call_function(
            functional.avg_pool2d, (value.node, kernel), {"divisor_override": 1}
        )
    # The quantizer reads sums times the scale of the mean, and knows the width of the sums.
    real = r.graph.call_function(operator.mul, (node, float(mean.scale)))

    def cut(x: Tensor) -> Any:
        return module.trunc_quant(mean.set(value=x))

    shape = _shape(r.results[call])
    quantizer = CodedActivation(label, type(module).__name__, _calling(label, cut), shape)
    return r.called(name, quantizer, real, quantizer.scale)


_Reading = Callable[[_Rewriting, fx.Node, str, str, Any], _Value]
_READINGS: dict[str, _Reading] = {
    **dict.fromkeys(
        ("QuantIdentity", "QuantReLU", "QuantHardTanh", "QuantTanh", "QuantSigmoid"), _activation
    ),
    **dict.fromkeys(("QuantLinear", "QuantConv1d", "QuantConv2d"), _weighted),
    **dict.fromkeys(("TruncAvgPool2d", "TruncAdaptiveAvgPool2d"), _truncated),
    "QuantEltwiseAdd": _added,
}
"""The layers of Brevitas that are taken, by their class."""
_INSTEAD = {
    "QuantCat": "it fails in Brevitas 0.13.4 itself (QuantTensor.cat is missing): use torch.cat on "
    "the values of one shared quantizer; ",
}
"""Advice for some layers that are not taken."""

_KEPT_MODULES = (
    nn.MaxPool1d | nn.MaxPool2d | nn.AvgPool1d | nn.AvgPool2d | nn.AdaptiveAvgPool1d
    | nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d | nn.Flatten
    | nn.Identity | nn.Dropout | nn.Dropout2d | nn.ReLU | nn.ChannelShuffle
)  # fmt: skip
"""Modules that commute with a scale above 0."""
_KEPT = frozenset(
    [
        *("max_pool2d", "max_pool1d", "avg_pool2d", "avg_pool1d", "adaptive_avg_pool2d"),
        *("adaptive_avg_pool1d", "adaptive_max_pool2d", "adaptive_max_pool1d", "mean"),
        *("flatten", "view", "reshape", "squeeze", "unsqueeze"),
        *("dropout", "relu", "add", "iadd", "cat", "concat", "concatenate", "contiguous"),
        *("detach", "getitem", "narrow", "channel_shuffle", "flip"),
    ]
)
"""Functions that commute with a scale above 0; sums and concatenations where all scales agree."""


def _is_pool(call: fx.Node, traced: fx.GraphModule) -> bool:
    """Whether a call treats every channel by itself, whatever its scale."""
    if call.op == "call_module":
        module = traced.get_submodule(str(call.target))
        return not isinstance(module, nn.Flatten | nn.ChannelShuffle)
    return "pool" in target_name(call) or target_name(call) in ("relu", "dropout")


def _unquantized(call: fx.Node) -> fx.Node | None:
    """The value itself, where a call asks for ``x.value`` or ``x.tensor`` of it."""
    asks = call.op == "call_function" and call.target is getattr
    if asks and call.args[1] in ("value", "tensor") and isinstance(call.args[0], fx.Node):
        return call.args[0]
    return None


def _calling(label: str, proxy: Callable[[Tensor], Any]) -> Callable[[Tensor], Quantized]:
    """A quantizer of Brevitas as a function of tensors."""
    return lambda x: _checked(label, proxy(x), "activations")


def _checked(label: str, result: Any, what: str) -> Quantized:
    """A result of a quantizer of Brevitas that is integers times a scale."""
    if type(result).__name__ != "IntQuantTensor":
        found = type(result).__name__
        raise CannotLower(
            f"{label}: its quantizer of {what} gives {found}; expected integers times a scale "
            "(IntQuantTensor): use a quantizer of integers"
        )
    scale = result.scale.detach().float()
    return Quantized(result.value.detach().float(), scale, round(float(result.bit_width.max())))


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(plain_tensor(value).shape)

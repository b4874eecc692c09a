"""Layers of ``hwbnn.nn`` read from torch: their weights, source and scale.

A layer's ``source`` says which integers the floats that it reads stand for. The Graph must have
the same integers there, which is checked on every one of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Input
from hwbnn.graph.arrays import Float32s
from hwbnn.lowering.from_torch.coded import CodedActivation
from hwbnn.lowering.from_torch.ops import named, reference_mode, table_function
from hwbnn.lowering.from_torch.real_weights import EvaluatedWeight
from hwbnn.lowering.layers import Geometry, Weights
from hwbnn.lowering.ops import CodeReading, StepActivation, TableFunction
from hwbnn.lowering.tables import batches, is_identity
from hwbnn.lowering.value import TracedValue
from hwbnn.methods import Codes
from hwbnn.nn import BinaryActivation, BinaryConv2d, BinaryLinear, SumLayer
from hwbnn.nn.binary import Lattice, ScaledIntegers
from hwbnn.nn.conv import ConvLayer
from hwbnn.nn.linear import DenseLayer


def read_activation(
    name: str, layer: BinaryActivation, value: TracedValue, axes: int
) -> StepActivation:
    """An activation layer of torch as a :class:`~hwbnn.lowering.ops.StepActivation`.

    Args:
        name: the layer's name in the network.
        layer: the layer.
        value: its argument.
        axes: number of axes after the channels of its argument in the network.

    Raises:
        CannotLower: if its method has no exact form, or it was made for another number of channels.
    """
    label = named(name, layer)
    check_method(label, layer.quantizer.why_not_exact())
    channels = value.shape[-1]
    if layer.channels != channels:
        raise CannotLower(
            f"{label}: was made for {layer.channels} channels, but reads {channels}; make it with "
            f"BinaryActivation({channels}, method)"
        )
    scale, centre = layer.quantizer.affine()

    def codes(x: Float32s) -> Any:
        table = torch.from_numpy(np.ascontiguousarray(x))
        with reference_mode():
            return layer.codes(table.reshape(*table.shape, *(1,) * axes)).flatten(1).numpy()

    return StepActivation(name, label, layer.quantizer.levels, scale, centre, codes, layer)


def coded_op(module: CodedActivation, *, axes: int) -> TableFunction:
    """A quantizer as a function from real numbers to its integers; axes as for a module."""
    return table_function(
        module.label,
        module,
        axes=axes,
        is_elementwise=not module.scale.ndim,
        is_monotone=True,
    )


def read_coded(name: str, module: CodedActivation, *, axes: int) -> StepActivation:
    """A quantizer as an activation whose integers are those of the Graph."""
    op = coded_op(module, axes=axes)
    low, span = module.low, module.high - module.low
    levels, base = (1, None) if module.is_bit else (span, low)

    def codes(x: Float32s) -> Any:
        integers = op(np.ascontiguousarray(x, np.float32))
        return (integers > 0 if module.is_bit else integers - np.float32(low)).astype(np.uint8)

    return StepActivation(name, module.label, levels, 1.0, 0.0, codes, module, base)


def read_linear(name: str, layer: DenseLayer, value: TracedValue, source: Input) -> Weights:
    """The weights of a dense layer.

    Args:
        name: the layer's name in the network.
        layer: the layer.
        value: its argument.
        source: the input contract.

    Raises:
        CannotLower: if its method has no exact form, or it reads other numbers than the Graph's
            integers.
    """
    return _weights(name, layer, value, source)


def read_conv(
    name: str, layer: ConvLayer, value: TracedValue, source: Input
) -> tuple[Weights, Geometry]:
    """The weights and geometry of a convolution; arguments and errors as :func:`read_linear`."""
    height, width = value.type.shape[:2]
    weights = _weights(name, layer, value, source, size=(height, width))
    integers = np.ascontiguousarray(weights.integers.transpose(0, 2, 3, 1))
    classes, count = layer.border_classes(height, width)
    border = classes if count > 1 else None
    geometry = Geometry(layer.stride, layer.padding, layer.pad, layer.groups, border)
    return replace(weights, integers=integers), geometry


def check_method(label: str, reason: str | None) -> None:
    """Refuse a layer whose method has no exact form.

    Args:
        label: the layer, for messages.
        reason: the method's reason; None if it has an exact form.

    Raises:
        CannotLower: naming the layer, with the reason.
    """
    if reason is not None:
        raise CannotLower(f"{label}: {reason}")


def check_source(label: str, layer: SumLayer, source: Input) -> None:
    """Refuse a first layer that was made for an input other than the given one.

    Raises:
        CannotLower: naming the layer and both inputs.
    """
    declared = layer.source
    if not isinstance(declared, Input):
        return
    wanted = (declared.bit, declared.scale, declared.offset)
    given = (source.bit, source.scale, source.offset)
    within = declared.low <= source.low and source.high <= declared.high
    if wanted != given or not within:
        raise CannotLower(
            f"{label}: was made for {_contract(declared)}, but the input says {_contract(source)}; "
            "lower with the Input that it was made with"
        )


def _weights(name: str, layer: SumLayer, value: TracedValue, source: Input, **size: Any) -> Weights:
    label = named(name, layer)
    check_method(label, layer.weight.why_not_exact())
    codes = layer.weight.codes()
    is_binary = isinstance(layer, BinaryLinear | BinaryConv2d)
    if is_binary and not bool((codes.integers.abs() == 1).all()):
        raise CannotLower(
            f"{label}: its weights are not all -1 or +1 in evaluation: a defect of its method"
        )
    for part, array in (("scale", codes.scale), ("offset", codes.offset), ("ratio", codes.ratio)):
        if array is not None and not bool(torch.isfinite(array).all()):
            raise CannotLower(f"{label}: the {part} of its weights is not finite")
    _check_reads_integers(label, layer, value, source)
    integers = _matrix(layer, codes.integers).numpy().astype(np.int64)

    def finish(sums: Float32s, total: Float32s | None, border_class: int) -> Float32s:
        return _finished(layer, codes, sums, total, border_class, size)

    weights = Weights(name, label, integers, finish, text=getattr(layer.weight, "text", ""))
    chooses = isinstance(layer, DenseLayer) and layer.connections is not None
    if codes.ratio is not None:
        ratio = codes.ratio.numpy()
        if not np.array_equal(ratio, np.rint(ratio)):
            raise CannotLower(f"{label}: its ratios are not integers: a defect of its method")
        if chooses:
            # Neurons add up different inputs, so that each weight takes up its share of S.
            both = codes.integers * codes.unit + codes.ratio[:, None]
            return replace(weights, integers=_matrix(layer, both).numpy().astype(np.int64))
        unit = np.full(len(integers), codes.unit, np.int64)
        return replace(weights, scale_offset=(unit, ratio.astype(np.int64)))
    if codes.offset is None:
        return weights
    if chooses:
        raise CannotLower(
            f"{label}: its weights have real offsets, and each neuron reads inputs of its own "
            "(fan_in); train it with mode 'qat' or 'drop'"
        )
    offset = codes.offset.double().numpy()
    scale = np.ones_like(offset) if codes.scale is None else codes.scale.double().numpy()
    with np.errstate(divide="ignore", invalid="ignore"):  # refused once it is used
        return replace(weights, ratio=offset / scale)


def _matrix(layer: SumLayer, integers: Tensor) -> Tensor:
    """A layer's integers in their place: a neuron that reads few inputs has zeros elsewhere."""
    return layer.matrix(integers) if isinstance(layer, DenseLayer) else integers


def _finished(
    layer: Any,
    codes: Codes,
    sums: Float32s,
    total: Float32s | None,
    border_class: int,
    size: dict[str, Any],
) -> Float32s:
    """The layer's output for tables of its sums; ``codes`` are its weights, computed once."""
    where = {"place": border_class, **size} if size else {}
    both = [None if a is None else torch.from_numpy(np.ascontiguousarray(a)) for a in (sums, total)]
    with reference_mode():
        out: Tensor = layer.finish(*both, codes, **where)
    result: Float32s = out.numpy()
    return result


def _check_reads_integers(label: str, layer: SumLayer, value: TracedValue, source: Input) -> None:
    """Refuse a layer that would sum other numbers than the integers of the Graph."""
    declared = layer.source
    if declared is None:
        if value.fixed is None and not is_identity(value):
            raise CannotLower(f"{label}: {_not_integers(value, source)}")
        return
    if isinstance(declared, Lattice | ScaledIntegers) or isinstance(layer.weight, EvaluatedWeight):
        _check_invertible(label, layer, value)
        return
    if isinstance(declared, BinaryActivation):
        if _activation_of(value) is not declared or not _is_unchanged(value):
            raise CannotLower(
                f"{label}: its source= is not the activation whose output it reads; make it with "
                "the one right before it (a trained layer too: layer.source = activation)"
            )
        _check_invertible(label, layer, value)
        return
    if not value.is_input:
        raise CannotLower(
            f"{label}: was made with source=, but does not read the network's input; source is for "
            "the first layer alone, and for activations that stand for other numbers"
        )
    if not _is_unchanged(value):
        ops = ", ".join(op.label for op in value.ops[1:])
        raise CannotLower(
            f"{label}: {ops} changes the input before it; put scale and offset into Input "
            "instead, one of each for all channels (train with x = scale * u + offset)"
        )
    _check_invertible(label, layer, value)


def _check_invertible(label: str, layer: SumLayer, value: TracedValue) -> None:
    """Refuse a scale and offset whose floats, rounded to float32, lead back to other integers."""
    for integers, x in batches(value):
        wanted = np.clip(integers[:, None], value.low, value.high)
        wanted = wanted * 2 - 1 if value.type.bit else wanted
        try:
            back = layer.integers(torch.from_numpy(x)).numpy()
        except InputError:
            back = None
        if back is None or not np.array_equal(back, wanted):
            what = "input" if value.is_input else "activation"
            raise CannotLower(
                f"{label}: float32 does not tell the integers of the {what} apart "
                "under its scale and offset; use a smaller offset or a larger scale"
            )


def _activation_of(value: TracedValue) -> object:
    """The activation layer that computed a value; None for sums and the input."""
    first = value.ops[0] if value.ops else None
    return first.activation.layer if isinstance(first, CodeReading) else None


def _is_unchanged(value: TracedValue) -> bool:
    """Whether a value is still the result of its first function, bit for bit."""
    first = replace(value, ops=value.ops[:1])
    pairs = zip(batches(first), batches(value), strict=True)
    return all(np.array_equal(x, y) for (_, x), (_, y) in pairs)


def _contract(source: Input) -> str:
    integers = "bits" if source.bit else f"integers {source.low} to {source.high}"
    if not source.is_uniform:
        return f"x = scale * u + offset, channel by channel, of {integers}"
    return f"x = {source.scale:g} * u + {source.offset:g} of {integers}"


def _not_integers(value: TracedValue, source: Input) -> str:
    if value.is_input and len(value.ops) == 1:
        return (
            f"it reads {_contract(source)}, which are no integers; make it with source=input, so "
            "that it sums the integers first (a trained layer too: layer.source = input)"
        )
    ops = ", ".join(op.label for op in value.ops)
    if _activation_of(value) is not None and len(value.ops) == 1:
        return (
            f"it reads real numbers, from {ops}, whose codes stand for numbers other than -1 and "
            "+1 (or integers); make it with source=activation, so that it sums the codes first (a "
            "trained layer too: layer.source = activation)"
        )
    return f"it reads real numbers, from {ops}; put a BinaryActivation before it"

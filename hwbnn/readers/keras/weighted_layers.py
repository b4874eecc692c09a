"""Dense layers and convolutions: integer kernels, biases, padding and activations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph.arrays import Array, Floats, Ints
from hwbnn.program import Affine, Convolution, Dense, Layer, dilated
from hwbnn.readers.keras.activation_quantizers import activation
from hwbnn.readers.keras.architecture import LayerConfig
from hwbnn.readers.keras.padding import padding_of
from hwbnn.readers.keras.quantizer_config import quantizer
from hwbnn.readers.keras.translation import LayerValue, Translation
from hwbnn.readers.keras.weight_quantizers import (
    QuantizedWeights,
    binary_layer_codes,
    ternary_layer_codes,
)

_OLDER = {
    **dict.fromkeys(("BinaryDense", "BinaryConv2D"), True),
    **dict.fromkeys(("TernaryDense", "TernaryConv2D"), False),
}
"""Layers of BinaryNet for Keras, and whether their weights are binary."""
_FOLDED = ("QConv2DBatchnorm", "QDepthwiseConv2DBatchnorm", "QDenseBatchnorm")
"""Layers of QKeras that contain a BatchNorm."""


def dense(net: Translation, layer: LayerConfig) -> LayerValue:
    """A dense layer; for sequences and images it acts at each position, as a 1x1 convolution."""
    value = input_quantized(net, layer, net.source(layer))
    inputs, units = value.shape[-1], layer.integer("units")
    kernel, bias = _kernel_and_bias(net, layer, "kernel", (inputs, units))
    found = _kernel_codes(net, layer, "kernel_quantizer", kernel)
    weights, scale = found.codes.T, per_channel(found.scale, units)
    new: Layer
    if len(value.shape) == 1:
        new = Dense(layer.name, layer.kind, value.name, weights, scale)
    else:
        new = Convolution(layer.name, layer.kind, value.name, weights[:, None, None], scale)
    return _finish(net, layer, new, bias, units, (*value.shape[:-1], units))


def convolution(net: Translation, layer: LayerConfig) -> LayerValue:
    """A convolution of images, or of sequences as images of height 1."""
    value, channels, geometry = _window(net, layer)
    filters = layer.integer("filters")
    groups = layer.integer("groups", 1)
    if channels % groups:
        raise layer.damaged(f"groups: expected a divisor of {channels}, found {groups}")
    shape = (*layer.kernel_size, channels // groups, filters)
    kernel, bias = _kernel_and_bias(net, layer, "kernel", shape)
    found = _kernel_codes(net, layer, "kernel_quantizer", kernel)
    codes = _masked(layer, found.codes)
    codes = codes if len(shape) == 4 else codes[None]
    codes = _dilated(layer, np.moveaxis(codes, -1, 0))
    new = Convolution(
        *(layer.name, layer.kind, value.name),
        codes,
        per_channel(found.scale, filters),
        **geometry,
        groups=groups,
    )
    return _finish(net, layer, new, bias, filters)


def _dilated(layer: LayerConfig, codes: Ints) -> Ints:
    """Integers ``(filters, rows, columns, inputs)`` with the layer's dilation as zeros."""
    try:
        return dilated(codes, _rates(layer))
    except ValueError as error:
        raise layer.damaged(f"dilation_rate: expected {error}") from None


def _rates(layer: LayerConfig) -> tuple[int, int]:
    """The distance of two taps of the kernel, in rows and columns."""
    rates = layer.sizes("dilation_rate", 1, layer.rank)
    return (1, rates[0]) if layer.rank == 1 else (rates[0], rates[1])


def _masked(layer: LayerConfig, codes: Ints) -> Ints:
    """The kernel's integers, set to 0 where qkeras-v3's ``mask`` is 0."""
    given = layer.config.get("mask")
    if given is None:
        return codes
    try:
        mask = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        mask = np.zeros(())
    if mask.shape[:2] != codes.shape[:2] or mask.size != codes.shape[0] * codes.shape[1]:
        raise layer.damaged(f"mask: expected one number for each place of {codes.shape[:2]}")
    if not np.isin(mask, (0, 1)).all():
        raise layer.refuse("its mask has other numbers than 0 and 1; take those")
    return codes * mask.reshape(*codes.shape[:2], 1, 1).astype(np.int64)


def depthwise(net: Translation, layer: LayerConfig) -> LayerValue:
    """A depthwise convolution."""
    value, channels, geometry = _window(net, layer)
    multiplier = layer.integer("depth_multiplier", 1)
    count = channels * multiplier
    shape = (*layer.kernel_size, channels, multiplier)
    role = "depthwise_kernel"
    kernel, bias = _kernel_and_bias(net, layer, role, shape)
    found = _kernel_codes(net, layer, "depthwise_quantizer", kernel)
    new = Convolution(
        *(layer.name, layer.kind, value.name),
        _by_channel(layer, found.codes),
        np.tile(per_channel(found.scale, multiplier), channels),
        **geometry,
        groups=channels,
    )
    return _finish(net, layer, new, bias, count)


def _by_channel(layer: LayerConfig, codes: Ints) -> Ints:
    """A depthwise kernel as that of a convolution, one output channel after the other.

    Output channel ``c * multiplier + m`` reads input channel ``c``.
    """
    codes = codes if codes.ndim == 4 else codes[None]
    rows, columns, channels, multiplier = codes.shape
    ordered = codes.transpose(2, 3, 0, 1).reshape(channels * multiplier, rows, columns, 1)
    return _dilated(layer, ordered)


def separable(net: Translation, layer: LayerConfig) -> LayerValue:
    """A depthwise convolution, and one of single positions that reads its sums as they are."""
    value, channels, geometry = _window(net, layer)
    multiplier, filters = layer.integer("depth_multiplier", 1), layer.integer("filters")
    count = channels * multiplier
    roles = ["depthwise_kernel", "pointwise_kernel"]
    has_bias = layer.flag("use_bias", True)
    arrays = net.weights.of(layer, [*roles, "bias"] if has_bias else roles)
    layer.expect_shape(roles[0], arrays[0], (*layer.kernel_size, channels, multiplier))
    layer.expect_shape(roles[1], arrays[1], (*(1,) * layer.rank, count, filters))
    each = net.quantized(layer, "depthwise_quantizer", arrays[0])
    one = net.quantized(layer, "pointwise_quantizer", arrays[1])
    first = Convolution(
        *(f"{layer.name}/depthwise", layer.kind, value.name),
        _by_channel(layer, each.codes),
        np.tile(per_channel(each.scale, multiplier), channels),
        **geometry,
        groups=channels,
    )
    second = Convolution(
        *(layer.name, layer.kind, net.add(first)),
        one.codes.reshape(count, filters).T[:, None, None],
        per_channel(one.scale, filters),
    )
    return _finish(net, layer, second, arrays[2] if has_bias else None, filters)


def _finish(
    net: Translation,
    layer: LayerConfig,
    new: Dense | Convolution,
    bias: Array | None,
    channels: int,
    shape: tuple[int, ...] | None = None,
) -> LayerValue:
    """Add a weighted sum with its bias and activation; the result is the value behind them."""
    name = biased(net, layer, net.add(new), bias, channels)
    name = net.activated(layer, name, layer.config.get("activation"))
    if shape is None:
        found = net.shapes[new.name]
        shape = found[1:] if layer.kind.endswith("1D") else found
    return LayerValue(name, shape)


def _kernel_codes(
    net: Translation, layer: LayerConfig, key: str, kernel: Array
) -> QuantizedWeights:
    """The integers of a kernel, by its quantizer or by the fixed rule of a BinaryNet layer."""
    if layer.kind not in _OLDER:
        return net.quantized(layer, key, kernel)
    height = layer.config.get("H", 1.0)
    if isinstance(height, bool) or not isinstance(height, int | float) or not height > 0:
        raise layer.refuse(f"expected a number H above 0, found {ascii(height)[:40]}")
    scale = np.asarray(np.float32(min(height, 3e38)), np.float64)
    real = layer.reals("kernel", kernel) / scale
    codes = (binary_layer_codes if _OLDER[layer.kind] else ternary_layer_codes)(real)
    return QuantizedWeights(codes, scale)


def _kernel_and_bias(
    net: Translation, layer: LayerConfig, role: str, shape: tuple[int, ...]
) -> tuple[Array, Array | None]:
    """Kernel and bias as stored, or folded with the BatchNorm of the layer."""
    if layer.kind in _FOLDED:
        return _folded(net, layer, role, shape)
    use_bias = layer.flag("use_bias", True)
    arrays = net.weights.of(layer, (role, "bias") if use_bias else (role,))
    layer.expect_shape(role, arrays[0], shape)
    return arrays[0], arrays[1] if use_bias else None


def _folded(
    net: Translation, layer: LayerConfig, role: str, shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """Kernel and bias with the BatchNorm folded in, computed in float32 as in QKeras.

    ``inv = gamma / sqrt(variance + epsilon)``; kernel ``inv * kernel``, bias
    ``inv * (bias - mean) + beta``.
    """
    own = (role, *(("bias",) if layer.flag("use_bias", True) else ()))
    scaled = layer.flag("scale", True)
    if not layer.flag("center", True):
        raise layer.refuse("center=False is not read; build the layer with center=True")
    parts = (*(("gamma",) if scaled else ()), "beta", "moving_mean", "moving_variance")
    arrays = net.weights.of(layer, own, parts, counter="iteration")
    found = dict(zip((*own, *parts), arrays, strict=True))
    layer.expect_shape(role, found[role], shape)
    count = shape[-1] if role == "kernel" else shape[-1] * shape[-2]
    for name in (*own[1:], *parts):
        layer.expect_shape(name, found[name], (count,))
    single = {name: np.asarray(array, np.float32) for name, array in found.items()}
    epsilon = np.float32(layer.number("epsilon", 1e-3))
    variance = single["moving_variance"] + epsilon
    if not (variance > 0).all():
        raise layer.refuse("has a variance that is not above 0; train it on")
    with np.errstate(all="ignore"):
        inverse = np.float32(1) / np.sqrt(variance)
        if scaled:
            inverse = inverse * single["gamma"]
        bias = single.get("bias", np.float32(0))
        folded = inverse * (bias - single["moving_mean"]) + single["beta"]
        spread = inverse if role == "kernel" else inverse.reshape(shape[-2:])
        return spread * single[role], folded


def _window(net: Translation, layer: LayerConfig) -> tuple[LayerValue, int, dict[str, Any]]:
    """The value that a convolution reads, its channels, and its stride and padding."""
    value = input_quantized(net, layer, net.source(layer, pads=True))
    layer.expect_channels_last()
    if len(value.shape) != layer.rank + 1:
        raise layer.damaged(f"expected {layer.rank + 1} axes, found shape {value.shape}")
    kernel, stride = layer.kernel_size, layer.sizes("strides", 1, 2)
    if layer.rank == 1:
        kernel, stride = (1, *kernel), (1, stride[1])
    wide = [(k - 1) * rate + 1 for k, rate in zip(kernel, _rates(layer), strict=True)]
    padding = padding_of(net, layer, value, wide, stride)
    pad_value = layer.number("pad_values", 0.0)
    geometry = {"stride": stride, "padding": padding, "pad_value": pad_value}
    return value, value.shape[-1], geometry


def biased(
    net: Translation, layer: LayerConfig, name: str, bias: Array | None, channels: int
) -> str:
    """The value behind a bias, which is quantized if the layer has a quantizer for it."""
    if bias is None:
        return name
    if bias.shape != (channels,):
        raise layer.damaged(f"bias: expected shape ({channels},), found {bias.shape}")
    offset = layer.reals("bias", bias)
    if layer.config.get("bias_quantizer") is not None:
        found = net.quantized(layer, "bias_quantizer", bias, is_bias=True)
        offset = found.codes * found.scale
    return net.add(Affine(f"{layer.name}/bias", layer.kind, name, offset=offset))


def input_quantized(net: Translation, layer: LayerConfig, value: LayerValue) -> LayerValue:
    """The value behind Larq's ``input_quantizer``."""
    given = layer.config.get("input_quantizer")
    if given is None:
        return value
    try:
        config = quantizer(given)
        if config is None or config.name == "no_op":
            return value
        place = (f"{layer.name}/input_quantizer", layer.kind, value.name)
        return replace(value, name=net.add(activation(config, place)))
    except CannotLower as error:
        raise layer.refuse(str(error)) from None


def per_channel(scale: Floats, channels: int) -> Floats:
    """One scale for each channel."""
    return np.broadcast_to(np.asarray(scale, np.float64), (channels,))

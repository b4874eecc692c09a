"""Max and average pools, of windows and of whole images."""

from __future__ import annotations

from math import prod

import numpy as np

from hwbnn.program import Affine, AveragePooling, Flattening, MaxPooling
from hwbnn.readers.keras.architecture import LayerConfig
from hwbnn.readers.keras.padding import padding_of
from hwbnn.readers.keras.translation import NO_MARGINS, LayerValue, Translation


def max_pool(net: Translation, layer: LayerConfig) -> LayerValue:
    """A max pool; positions outside the image are left out."""
    value, kernel, stride = _pool(net, layer)
    padding = padding_of(net, layer, value, kernel, stride)
    new = MaxPooling(layer.name, layer.kind, value.name, kernel, stride, padding)
    return _pooled(net, layer, net.add(new))


def average_pool(net: Translation, layer: LayerConfig) -> LayerValue:
    """An average pool without padding; QKeras may quantize its factor ``1 / area``."""
    value, kernel, stride = _pool(net, layer)
    padding = padding_of(net, layer, value, kernel, stride)
    if padding != NO_MARGINS:
        raise layer.refuse(
            "divides by what lies inside the image, which differs at its border; take "
            "padding='valid'"
        )
    new = AveragePooling(layer.name, layer.kind, value.name, kernel, stride)
    return _pooled(net, layer, _factor(net, layer, net.add(new), prod(kernel)))


def _factor(net: Translation, layer: LayerConfig, name: str, area: int) -> str:
    """QKeras's ``average_quantizer``: the sum times the quantized ``1 / area``."""
    if layer.config.get("average_quantizer") is not None:
        one = np.asarray([1.0 / area], np.float32)
        found = net.quantized(layer, "average_quantizer", one, is_bias=True)
        factor = area * (found.codes * found.scale)
        name = net.add(Affine(f"{layer.name}/factor", layer.kind, name, scale=factor))
    return net.activated(layer, name, layer.config.get("activation"))


def _pool(
    net: Translation, layer: LayerConfig
) -> tuple[LayerValue, tuple[int, int], tuple[int, int]]:
    value = net.source(layer)
    layer.expect_channels_last()
    rank = layer.rank
    if len(value.shape) != rank + 1:
        raise layer.damaged(f"expected {rank + 1} axes, found shape {value.shape}")
    size = layer.sizes("pool_size", 2, rank)
    strides = layer.config.get("strides")
    step = size if strides is None else layer.sizes("strides", None, rank)
    if rank == 1:
        return value, (1, size[0]), (1, step[0])
    return value, (size[0], size[1]), (step[0], step[1])


def _pooled(net: Translation, layer: LayerConfig, name: str) -> LayerValue:
    shape = net.shapes[name]
    return LayerValue(name, shape[1:] if layer.rank == 1 else shape)


def global_pool(net: Translation, layer: LayerConfig) -> LayerValue:
    """A pool of the whole image, and a flatten unless ``keepdims``."""
    value = net.source(layer)
    layer.expect_channels_last()
    if len(value.shape) != layer.rank + 1:
        raise layer.damaged(f"expected {layer.rank + 1} axes, found shape {value.shape}")
    rows, columns, channels = net.shapes[value.name]
    kernel = (rows, columns)
    if "Max" in layer.kind:
        name = net.add(MaxPooling(layer.name, layer.kind, value.name, kernel, kernel))
    else:
        name = net.add(AveragePooling(layer.name, layer.kind, value.name, kernel, kernel))
        name = _factor(net, layer, name, rows * columns)
    if layer.flag("keepdims", False):
        return _pooled(net, layer, name)
    flat = Flattening(f"{layer.name}/flatten", layer.kind, name)
    return LayerValue(net.add(flat), (channels,))

"""Layers without a kernel: BatchNorm, activations, flattening, sums and joins of values."""

from __future__ import annotations

from dataclasses import replace
from math import inf, prod

import numpy as np

from hwbnn.program import Addition, BatchNorm, Clip, Concatenation, Flattening
from hwbnn.readers.keras.architecture import LayerConfig
from hwbnn.readers.keras.translation import NO_MARGINS, LayerValue, Translation, reshaped


def batch_norm(net: Translation, layer: LayerConfig) -> LayerValue:
    """A BatchNorm with its moving mean and variance."""
    value, new = normalized(net, layer)
    return replace(value, name=net.add(new))


def normalized(net: Translation, layer: LayerConfig) -> tuple[LayerValue, BatchNorm]:
    """The value that a BatchNorm reads, and the BatchNorm, which is not added yet."""
    value = net.source(layer)
    axis = layer.config.get("axis", -1)
    axes = axis if isinstance(axis, list) else [axis]
    if axes not in ([-1], [len(value.shape)]):
        raise layer.refuse(f"normalizes axis {ascii(axis)[:40]}; expected the last, channels")
    if layer.config.get("renorm"):
        raise layer.refuse("renorm is not read; build it with renorm=False")
    scaled, centred = layer.flag("scale", True), layer.flag("center", True)
    roles = [*(["gamma"] if scaled else []), *(["beta"] if centred else [])]
    roles += ["moving_mean", "moving_variance"]
    arrays = net.weights.of(layer, roles)
    channels = value.shape[-1]
    found = {"gamma": np.ones(channels), "beta": np.zeros(channels)}
    for role, array in zip(roles, arrays, strict=True):
        layer.expect_shape(role, array, (channels,))
        found[role] = layer.reals(role, array)
    new = BatchNorm(
        *(layer.name, layer.kind, value.name),
        gamma=found["gamma"],
        beta=found["beta"],
        mean=found["moving_mean"],
        variance=found["moving_variance"],
        epsilon=layer.number("epsilon", 1e-3),
    )
    return value, new


def activation(net: Translation, layer: LayerConfig) -> LayerValue:
    """An ``Activation`` or ``QActivation`` layer."""
    value = net.source(layer)
    key = next((key for key in ("activation", "quantizer") if key in layer.config), None)
    if key is None:
        raise layer.damaged("expected the option activation, which says what it computes")
    given = layer.config[key]
    return replace(value, name=net.activated(layer, value.name, given))


def larq_quantizer(net: Translation, layer: LayerConfig) -> LayerValue:
    """A quantizer of Larq used as a layer."""
    value = net.source(layer)
    given = {"class_name": layer.kind, "config": layer.config}
    return replace(value, name=net.activated(layer, value.name, given))


def relu(net: Translation, layer: LayerConfig) -> LayerValue:
    """``ReLU``, also with a bound."""
    value = net.source(layer)
    if any((layer.config.get(key) or 0) != 0 for key in ("negative_slope", "threshold")):
        raise layer.refuse("a slope or threshold is not read; take quantized_relu")
    high = inf if layer.config.get("max_value") is None else layer.number("max_value", inf)
    return replace(value, name=net.add(Clip(layer.name, layer.kind, value.name, high=high)))


def softmax(net: Translation, layer: LayerConfig) -> LayerValue:
    """The softmax at the end."""
    value = net.source(layer)
    return replace(value, name=net.activated(layer, value.name, "softmax"))


def identity(net: Translation, layer: LayerConfig) -> LayerValue:
    """A layer that does nothing in inference."""
    if len(layer.sources) != 1:
        raise layer.damaged(f"expected to read one value, found {len(layer.sources)}")
    return net.values[layer.sources[0]]


def flatten(net: Translation, layer: LayerConfig) -> LayerValue:
    """A flatten, in the order rows, columns, channels."""
    value = net.source(layer)
    layer.expect_channels_last()
    return _flattened(net, layer, value)


def _flattened(net: Translation, layer: LayerConfig, value: LayerValue) -> LayerValue:
    shape = (prod(value.shape),)
    if len(net.shapes[value.name]) == 1:
        return LayerValue(value.name, shape)
    name = layer.name if layer.name not in net.shapes else f"{layer.name}/flatten"
    return LayerValue(net.add(Flattening(name, layer.kind, value.name)), shape)


def reshape(net: Translation, layer: LayerConfig) -> LayerValue:
    """A reshape to one axis, or to the shape that the value has already."""
    value = net.source(layer)
    target = reshaped(layer, value.shape)
    if target == value.shape:
        return value
    if len(target) == 1:
        return _flattened(net, layer, value)
    raise layer.refuse(
        f"reshapes {value.shape} to {target}; only a reshape to one axis, or of the network's "
        "input, is read"
    )


def addition(net: Translation, layer: LayerConfig) -> LayerValue:
    """The sum of two or more values."""
    first, *others = _several(net, layer)
    name = first.name
    for i, other in enumerate(others):
        last = i == len(others) - 1
        new = Addition(
            layer.name if last else f"{layer.name}/{i + 1}", layer.kind, name, other.name
        )
        name = net.add(new)
    return replace(first, name=name)


def concatenation(net: Translation, layer: LayerConfig) -> LayerValue:
    """A concatenation of values along the channels."""
    values = _several(net, layer)
    rank = len(values[0].shape)
    if layer.config.get("axis", -1) not in (-1, rank):
        raise layer.refuse("joins another axis than the last; expected the channels")
    new = Concatenation(
        *(layer.name, layer.kind, values[0].name),
        others=tuple(value.name for value in values[1:]),
    )
    name = net.add(new)
    return LayerValue(name, (*values[0].shape[:-1], sum(v.shape[-1] for v in values)))


def _several(net: Translation, layer: LayerConfig) -> list[LayerValue]:
    values = [net.values[source] for source in layer.sources]
    if len(values) < 2 or len({len(v.shape) for v in values}) > 1:
        raise layer.damaged("expected to read two or more values of as many axes")
    if any(value.padding != NO_MARGINS for value in values):
        raise layer.refuse("reads a ZeroPadding2D; only a convolution may follow one")
    return values


def zero_padding(net: Translation, layer: LayerConfig) -> LayerValue:
    """Zeros around an image; they become padding of the convolution that follows."""
    value = net.source(layer)
    layer.expect_channels_last()
    if len(value.shape) != 3:
        raise layer.damaged(f"expected an image, found shape {value.shape}")
    given = layer.config.get("padding", 1)
    sides = given if isinstance(given, list) else [given, given]
    pairs = [side if isinstance(side, list) else [side, side] for side in sides]
    numbers = [n for pair in pairs for n in pair]
    if len(numbers) != 4 or not all(type(n) is int and 0 <= n < 1 << 15 for n in numbers):
        raise layer.damaged(f"padding: expected two pairs, found {ascii(given)[:60]}")
    top, bottom, left, right = numbers
    return replace(value, padding=(top, bottom, left, right))

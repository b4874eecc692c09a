"""Each layer of a Keras network as layers of a program, or a refusal that names it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from hwbnn.errors import CannotLower, nearest
from hwbnn.graph.arrays import Array, Floats
from hwbnn.program import (
    Addition,
    Affine,
    AveragePooling,
    BatchNorm,
    Concatenation,
    Convolution,
    Dense,
    Flattening,
    Layer,
    MaxPooling,
    Program,
    Relu,
)
from hwbnn.program.program import output_shape
from hwbnn.readers.keras.activation_quantizers import ACTIVATIONS, activation
from hwbnn.readers.keras.architecture import Architecture, LayerConfig
from hwbnn.readers.keras.quantizer_config import QuantizerConfig, quantizer
from hwbnn.readers.keras.stored_weights import StoredWeights
from hwbnn.readers.keras.weight_quantizers import (
    QuantizedWeights,
    bias_quantizer,
    binary_layer_codes,
    kernel_quantizer,
    ternary_layer_codes,
)

Margins = tuple[int, int, int, int]
_NONE: Margins = (0, 0, 0, 0)
_END = ("softmax", "sigmoid")
"""Functions that may stand at the end, where they do not change which class is largest."""


@dataclass(frozen=True)
class LayerValue:
    """The value of a Keras layer.

    Attributes:
        name: of the value in the program.
        shape: in Keras, without the batch: flat, ``(steps, channels)`` or an image.
        padding: zeros around it that a ``ZeroPadding2D`` puts there: top, bottom, left, right.
    """

    name: str
    shape: tuple[int, ...]
    padding: Margins = _NONE


class Translation:
    """The program of a Keras network, layer by layer.

    Args:
        network: its layers.
        weights: their arrays.
        generation: 2 for files of Keras 2, 3 for those of Keras 3.
    """

    def __init__(self, network: Architecture, weights: StoredWeights, generation: int) -> None:
        self.network = network
        self.weights = weights
        self.generation = generation
        self.layers: list[Layer] = []
        self.remarks: list[str] = []
        self.values: dict[str, LayerValue] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._readers: dict[str, list[str]] = {}
        for layer in network.layers:
            for source in layer.sources:
                self._readers.setdefault(source, []).append(layer.name)

    def program(self) -> Program:
        """The whole.

        Raises:
            InputError: if the file is damaged.
            CannotLower: naming a layer that has no exact form.
        """
        network = self.network
        shape, waiting = self._input()
        self.shapes[network.input] = shape
        for layer in network.layers:
            if layer.name in self.values:
                continue  # a reshape of the input, which is the input's own shape now
            translate = _LAYERS.get(layer.kind)
            if translate is None:
                raise layer.refuse(_refusal(layer.kind))
            self.values[layer.name] = translate(self, layer)
        output = self.values.get(network.output)
        if output is None:
            raise CannotLower("the network's output is its input; save one that computes something")
        if output.padding != _NONE:
            raise CannotLower("the network ends in a ZeroPadding2D; leave that out")
        self.remarks += waiting
        return Program(
            "Keras",
            network.input,
            shape,
            tuple(self.layers),
            output.name,
            remarks=tuple(self.remarks),
        )

    def _input(self) -> tuple[tuple[int, ...], list[str]]:
        """The input's shape in the program, and what to say of it."""
        network = self.network
        shape, name = network.shape, network.input
        reading = [layer for layer in network.layers if name in layer.sources]
        if reading and all(layer.kind == "Reshape" for layer in reading):
            targets = {_reshaped(layer, shape) for layer in reading}
            target = targets.pop()
            if not targets and target != shape and len(target) == 3:
                for layer in reading:
                    self.values[layer.name] = LayerValue(name, target)
                self.values[name] = LayerValue(name, target)
                return target, [f"the input is read as {target}, which the network reshapes it to"]
        self.values[name] = LayerValue(name, shape)
        if len(shape) != 2:
            return shape, []
        flat = reading and all(layer.kind in ("Flatten", "Reshape") for layer in reading)
        image = (*shape, 1) if flat else (1, *shape)
        return image, [f"the input of shape {shape} is read as an image {image}"]

    # -------------------------------------------------------------------------- building blocks

    def add(self, layer: Layer) -> str:
        """Append a layer of the program; the name of its value.

        Raises:
            InputError: if it does not fit what it reads.
        """
        self.shapes[layer.name] = output_shape(layer, [self.shapes[s] for s in layer.sources])
        self.layers.append(layer)
        return layer.name

    def source(self, layer: LayerConfig, *, pads: bool = False) -> LayerValue:
        """The one value that a layer reads.

        Args:
            layer: the layer.
            pads: whether it takes the zeros that a ``ZeroPadding2D`` before it asks for.
        """
        if len(layer.sources) != 1:
            raise layer.damaged(f"expected to read one value, found {len(layer.sources)}")
        value = self.values[layer.sources[0]]
        if value.padding != _NONE and not pads:
            raise layer.refuse(
                "reads a ZeroPadding2D; only a convolution with padding='valid' may follow one"
            )
        return value

    def quantized(
        self, layer: LayerConfig, key: str, array: Array, *, is_bias: bool = False
    ) -> QuantizedWeights:
        """Weights by the quantizer under a key of the layer's configuration."""
        try:
            config = quantizer(layer.config.get(key))
            if config is None or config.name in ("linear", "no_op"):
                raise CannotLower(
                    f"has real weights; expected a {key} such as 'binary(alpha=1)', "
                    "'quantized_bits(4,0,1,alpha=1)' or 'ste_sign'; retrain it as a quantized layer"
                )
            make = bias_quantizer if is_bias else kernel_quantizer
            found = make(config, settles=self.generation >= 3)(array)
        except CannotLower as error:
            raise layer.refuse(str(error)) from None
        if found.near:
            self.remarks.append(
                f"{layer.label}: {found.near} of its weights lie so close to the edge between two "
                "integers that float32 may take the other one"
            )
        return found

    def biased(self, layer: LayerConfig, name: str, bias: Array | None, channels: int) -> str:
        """The value behind a bias, which is quantized where the layer says so."""
        if bias is None:
            return name
        if bias.shape != (channels,):
            raise layer.damaged(f"bias: expected shape ({channels},), found {bias.shape}")
        offset = _real(layer, "bias", bias)
        if layer.config.get("bias_quantizer") is not None:
            found = self.quantized(layer, "bias_quantizer", bias, is_bias=True)
            offset = found.codes * found.scale
        return self.add(Affine(f"{layer.name}/bias", layer.kind, name, offset=offset))

    def activated(self, layer: LayerConfig, name: str, given: Any) -> str:
        """The value behind an activation: a name, text or an object in a configuration."""
        try:
            config = quantizer(given)
            if config is None or config.name == "linear":
                return name
            own = layer.name not in self.shapes
            place = (layer.name if own else f"{layer.name}/activation"), layer.kind
            return self._activation(layer, config, place, name)
        except CannotLower as error:
            message = str(error)
            if message.startswith("layer '"):
                raise
            raise layer.refuse(message) from None

    def _activation(
        self, layer: LayerConfig, config: QuantizerConfig, place: tuple[str, str], name: str
    ) -> str:
        if config.name in _END:
            if self._readers.get(layer.name) or layer.name != self.network.output:
                raise CannotLower(
                    f"activation {config.name!r} is real-valued; only at the end of a network may "
                    "it stand, where it does not change the class"
                )
            self.remarks.append(f"{layer.label}: the {config.name} at the end is left out")
            return name
        if config.name == "relu":
            if config.options:
                raise CannotLower("a relu with options is not read; take quantized_relu")
            return self.add(Relu(*place, name))
        if config.name not in ACTIVATIONS:
            raise CannotLower(
                f"activation {config.name!r} is real-valued or not known; take a quantized one, "
                f"such as {nearest(config.name, ACTIVATIONS)}"
            )
        return self.add(activation(config, (*place, name)))

    def input_quantized(self, layer: LayerConfig, value: LayerValue) -> LayerValue:
        """The value behind Larq's ``input_quantizer``."""
        given = layer.config.get("input_quantizer")
        if given is None:
            return value
        try:
            config = quantizer(given)
            if config is None or config.name == "no_op":
                return value
            place = (f"{layer.name}/input_quantizer", layer.kind, value.name)
            return replace(value, name=self.add(activation(config, place)))
        except CannotLower as error:
            raise layer.refuse(str(error)) from None

    # ------------------------------------------------------------------------------ kinds

    def dense(self, layer: LayerConfig) -> LayerValue:
        """A dense layer; of sequences and images, at each position: a convolution of one pixel."""
        value = self.input_quantized(layer, self.source(layer))
        inputs, units = value.shape[-1], _integer(layer, "units")
        kernel, bias = self._kernel_and_bias(layer, "kernel", (inputs, units))
        found = self._kernel_codes(layer, "kernel_quantizer", kernel)
        weights, scale = found.codes.T, _per_channel(found.scale, units)
        new: Layer
        if len(value.shape) == 1:
            new = Dense(layer.name, layer.kind, value.name, weights, scale)
        else:
            new = Convolution(layer.name, layer.kind, value.name, weights[:, None, None], scale)
        return self._finish(layer, new, bias, units, (*value.shape[:-1], units))

    def convolution(self, layer: LayerConfig) -> LayerValue:
        """A convolution of images, or of sequences as images of height 1."""
        value, channels, geometry = self._window(layer)
        filters = _integer(layer, "filters")
        groups = _integer(layer, "groups", 1)
        if channels % groups:
            raise layer.damaged(f"groups: expected a divisor of {channels}, found {groups}")
        shape = (*_kernel_size(layer), channels // groups, filters)
        if layer.kind in _FOLDED:
            kernel, folded = self._folded(layer, "kernel", shape)
            bias: Array | None = folded
        else:
            kernel, bias = self._kernel_and_bias(layer, "kernel", shape)
        found = self._kernel_codes(layer, "kernel_quantizer", kernel)
        codes = found.codes if len(shape) == 4 else found.codes[None]
        new = Convolution(
            *(layer.name, layer.kind, value.name),
            np.moveaxis(codes, -1, 0),
            _per_channel(found.scale, filters),
            **geometry,
            groups=groups,
        )
        return self._finish(layer, new, bias, filters)

    def depthwise(self, layer: LayerConfig) -> LayerValue:
        """A convolution of each channel by itself."""
        value, channels, geometry = self._window(layer)
        multiplier = _integer(layer, "depth_multiplier", 1)
        count = channels * multiplier
        shape = (*_kernel_size(layer), channels, multiplier)
        role = "depthwise_kernel"
        if layer.kind in _FOLDED:
            kernel, folded = self._folded(layer, role, shape)
            bias: Array | None = folded
        else:
            kernel, bias = self._kernel_and_bias(layer, role, shape)
        found = self._kernel_codes(layer, "depthwise_quantizer", kernel)
        rows, columns = shape[:2]
        new = Convolution(
            *(layer.name, layer.kind, value.name),
            # Output channel c * multiplier + m is of input channel c.
            found.codes.transpose(2, 3, 0, 1).reshape(count, rows, columns, 1),
            np.tile(_per_channel(found.scale, multiplier), channels),
            **geometry,
            groups=channels,
        )
        return self._finish(layer, new, bias, count)

    def _finish(
        self,
        layer: LayerConfig,
        new: Dense | Convolution,
        bias: Array | None,
        channels: int,
        shape: tuple[int, ...] | None = None,
    ) -> LayerValue:
        """The value behind the weights, the bias and the activation of a layer."""
        name = self.biased(layer, self.add(new), bias, channels)
        name = self.activated(layer, name, layer.config.get("activation"))
        if shape is None:
            found = self.shapes[new.name]
            shape = found[1:] if layer.kind.endswith("1D") else found
        return LayerValue(name, shape)

    def _kernel_codes(self, layer: LayerConfig, key: str, kernel: Array) -> QuantizedWeights:
        """The integers of a kernel, by its quantizer or by the rule of an older layer."""
        if layer.kind not in _OLDER:
            return self.quantized(layer, key, kernel)
        height = layer.config.get("H", 1.0)
        if isinstance(height, bool) or not isinstance(height, int | float) or not height > 0:
            raise layer.refuse(f"expected a number H above 0, found {ascii(height)[:40]}")
        scale = np.asarray(np.float32(min(height, 3e38)), np.float64)
        real = _real(layer, "kernel", kernel) / scale
        codes = (binary_layer_codes if _OLDER[layer.kind] else ternary_layer_codes)(real)
        return QuantizedWeights(codes, scale)

    def _kernel_and_bias(
        self, layer: LayerConfig, role: str, shape: tuple[int, ...]
    ) -> tuple[Array, Array | None]:
        use_bias = _flag(layer, "use_bias", True)
        arrays = self.weights.of(layer, (role, "bias") if use_bias else (role,))
        _expect_shape(layer, role, arrays[0], shape)
        return arrays[0], arrays[1] if use_bias else None

    def _folded(self, layer: LayerConfig, role: str, shape: tuple[int, ...]) -> tuple[Array, Array]:
        """Kernel and bias with the BatchNorm folded in, in float32 as QKeras does.

        ``inv = gamma / sqrt(variance + epsilon)``; kernel ``inv * kernel``, bias
        ``inv * (bias - mean) + beta``.
        """
        own = (role, *(("bias",) if _flag(layer, "use_bias", True) else ()))
        scaled = _flag(layer, "scale", True)
        if not _flag(layer, "center", True):
            raise layer.refuse("center=False is not read; build the layer with center=True")
        parts = (*(("gamma",) if scaled else ()), "beta", "moving_mean", "moving_variance")
        arrays = self.weights.of(layer, own, parts, counter="iteration")
        found = dict(zip((*own, *parts), arrays, strict=True))
        _expect_shape(layer, role, found[role], shape)
        count = shape[-1] if role == "kernel" else shape[-1] * shape[-2]
        for name in (*own[1:], *parts):
            _expect_shape(layer, name, found[name], (count,))
        single = {name: np.asarray(array, np.float32) for name, array in found.items()}
        epsilon = np.float32(_number(layer, "epsilon", 1e-3))
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

    def _window(self, layer: LayerConfig) -> tuple[LayerValue, int, dict[str, Any]]:
        """The value that a convolution reads, its channels, and its stride and padding."""
        value = self.input_quantized(layer, self.source(layer, pads=True))
        _channels_last(layer)
        if any(n != 1 for n in _pair(layer, layer.config.get("dilation_rate", 1), _rank(layer))):
            raise layer.refuse("dilation is not read; build it with dilation_rate=1")
        if len(value.shape) != _rank(layer) + 1:
            raise layer.damaged(f"expected {_rank(layer) + 1} axes, found shape {value.shape}")
        kernel, stride = _kernel_size(layer), _pair(layer, layer.config.get("strides", 1), 2)
        if _rank(layer) == 1:
            kernel, stride = (1, *kernel), (1, stride[1])
        padding = self._padding(layer, value, kernel, stride)
        pad_value = _number(layer, "pad_values", 0.0)
        geometry = {"stride": stride, "padding": padding, "pad_value": pad_value}
        return value, value.shape[-1], geometry

    def _padding(
        self, layer: LayerConfig, value: LayerValue, kernel: Sequence[int], stride: Sequence[int]
    ) -> Margins:
        said = layer.config.get("padding", "valid")
        if value.padding != _NONE:
            if said != "valid":
                raise layer.refuse("has padding of its own behind a ZeroPadding2D; take one")
            return value.padding
        if said == "valid":
            return _NONE
        if said == "causal" and _rank(layer) == 1:
            return (0, 0, kernel[1] - 1, 0)
        if said != "same":
            raise layer.refuse(f"expected padding 'valid' or 'same', found {ascii(said)[:40]}")
        image = self.shapes[value.name][:2]
        return same_padding(image, kernel, stride)

    def batch_norm(self, layer: LayerConfig) -> LayerValue:
        """A BatchNorm with its moving mean and variance."""
        value = self.source(layer)
        axis = layer.config.get("axis", -1)
        axes = axis if isinstance(axis, list) else [axis]
        if axes not in ([-1], [len(value.shape)]):
            raise layer.refuse(f"normalizes axis {ascii(axis)[:40]}; expected the last, channels")
        if layer.config.get("renorm"):
            raise layer.refuse("renorm is not read; build it with renorm=False")
        scaled, centred = _flag(layer, "scale", True), _flag(layer, "center", True)
        roles = [*(["gamma"] if scaled else []), *(["beta"] if centred else [])]
        roles += ["moving_mean", "moving_variance"]
        arrays = self.weights.of(layer, roles)
        channels = value.shape[-1]
        found = {"gamma": np.ones(channels), "beta": np.zeros(channels)}
        for role, array in zip(roles, arrays, strict=True):
            _expect_shape(layer, role, array, (channels,))
            found[role] = _real(layer, role, array)
        new = BatchNorm(
            *(layer.name, layer.kind, value.name),
            gamma=found["gamma"],
            beta=found["beta"],
            mean=found["moving_mean"],
            variance=found["moving_variance"],
            epsilon=_number(layer, "epsilon", 1e-3),
        )
        return replace(value, name=self.add(new))

    def activation(self, layer: LayerConfig) -> LayerValue:
        """An activation that is a layer."""
        value = self.source(layer)
        given = layer.config.get("activation", layer.config.get("quantizer"))
        return replace(value, name=self.activated(layer, value.name, given))

    def larq_quantizer(self, layer: LayerConfig) -> LayerValue:
        """A quantizer of Larq that is a layer by itself."""
        value = self.source(layer)
        given = {"class_name": layer.kind, "config": layer.config}
        return replace(value, name=self.activated(layer, value.name, given))

    def relu(self, layer: LayerConfig) -> LayerValue:
        """``ReLU`` without a bound."""
        value = self.source(layer)
        plain = {"max_value": None, "negative_slope": 0, "threshold": 0}
        if any((layer.config.get(key) or 0) != (want or 0) for key, want in plain.items()):
            raise layer.refuse("a bound, slope or threshold is not read; take quantized_relu")
        return replace(value, name=self.add(Relu(layer.name, layer.kind, value.name)))

    def softmax(self, layer: LayerConfig) -> LayerValue:
        """The softmax at the end."""
        value = self.source(layer)
        return replace(value, name=self.activated(layer, value.name, "softmax"))

    def identity(self, layer: LayerConfig) -> LayerValue:
        """A layer that does nothing in inference."""
        if len(layer.sources) != 1:
            raise layer.damaged(f"expected to read one value, found {len(layer.sources)}")
        return self.values[layer.sources[0]]

    def flatten(self, layer: LayerConfig) -> LayerValue:
        """A flatten: rows, columns, channels."""
        value = self.source(layer)
        _channels_last(layer)
        return self._flattened(layer, value)

    def _flattened(self, layer: LayerConfig, value: LayerValue) -> LayerValue:
        shape = (prod(value.shape),)
        if len(self.shapes[value.name]) == 1:
            return LayerValue(value.name, shape)
        name = layer.name if layer.name not in self.shapes else f"{layer.name}/flatten"
        return LayerValue(self.add(Flattening(name, layer.kind, value.name)), shape)

    def reshape(self, layer: LayerConfig) -> LayerValue:
        """A reshape that is a flatten, or changes nothing."""
        value = self.source(layer)
        target = _reshaped(layer, value.shape)
        if target == value.shape:
            return value
        if len(target) == 1:
            return self._flattened(layer, value)
        raise layer.refuse(
            f"reshapes {value.shape} to {target}; only a reshape to one axis, or of the network's "
            "input, is read"
        )

    def max_pool(self, layer: LayerConfig) -> LayerValue:
        """A max pool; what lies outside never wins."""
        value, kernel, stride = self._pool(layer)
        padding = self._padding(layer, value, kernel, stride)
        new = MaxPooling(layer.name, layer.kind, value.name, kernel, stride, padding)
        return self._pooled(layer, self.add(new))

    def average_pool(self, layer: LayerConfig) -> LayerValue:
        """An average pool without padding, of which QKeras may quantize the factor."""
        value, kernel, stride = self._pool(layer)
        padding = self._padding(layer, value, kernel, stride)
        if padding != _NONE:
            raise layer.refuse(
                "divides by what lies inside the image, which differs at its border; take "
                "padding='valid'"
            )
        new = AveragePooling(layer.name, layer.kind, value.name, kernel, stride)
        return self._pooled(layer, self._factor(layer, self.add(new), prod(kernel)))

    def _factor(self, layer: LayerConfig, name: str, area: int) -> str:
        """QKeras's ``average_quantizer``: the sum times the quantized ``1 / area``."""
        if layer.config.get("average_quantizer") is not None:
            one = np.asarray([1.0 / area], np.float32)
            found = self.quantized(layer, "average_quantizer", one, is_bias=True)
            factor = area * (found.codes * found.scale)
            name = self.add(Affine(f"{layer.name}/factor", layer.kind, name, scale=factor))
        return self.activated(layer, name, layer.config.get("activation"))

    def _pool(self, layer: LayerConfig) -> tuple[LayerValue, tuple[int, int], tuple[int, int]]:
        value = self.source(layer)
        _channels_last(layer)
        rank = _rank(layer)
        if len(value.shape) != rank + 1:
            raise layer.damaged(f"expected {rank + 1} axes, found shape {value.shape}")
        size = _pair(layer, layer.config.get("pool_size", 2), rank)
        strides = layer.config.get("strides")
        step = size if strides is None else _pair(layer, strides, rank)
        if rank == 1:
            return value, (1, size[0]), (1, step[0])
        return value, (size[0], size[1]), (step[0], step[1])

    def _pooled(self, layer: LayerConfig, name: str) -> LayerValue:
        shape = self.shapes[name]
        return LayerValue(name, shape[1:] if _rank(layer) == 1 else shape)

    def global_pool(self, layer: LayerConfig) -> LayerValue:
        """A pool of the whole image, and a flatten unless ``keepdims``."""
        value = self.source(layer)
        _channels_last(layer)
        if len(value.shape) != _rank(layer) + 1:
            raise layer.damaged(f"expected {_rank(layer) + 1} axes, found shape {value.shape}")
        rows, columns, channels = self.shapes[value.name]
        kernel = (rows, columns)
        if "Max" in layer.kind:
            name = self.add(MaxPooling(layer.name, layer.kind, value.name, kernel, kernel))
        else:
            name = self.add(AveragePooling(layer.name, layer.kind, value.name, kernel, kernel))
            name = self._factor(layer, name, rows * columns)
        if _flag(layer, "keepdims", False):
            return self._pooled(layer, name)
        flat = Flattening(f"{layer.name}/flatten", layer.kind, name)
        return LayerValue(self.add(flat), (channels,))

    def addition(self, layer: LayerConfig) -> LayerValue:
        """The sum of two or more values."""
        first, *others = self._several(layer)
        name = first.name
        for i, other in enumerate(others):
            last = i == len(others) - 1
            new = Addition(
                layer.name if last else f"{layer.name}/{i + 1}", layer.kind, name, other.name
            )
            name = self.add(new)
        return replace(first, name=name)

    def concatenation(self, layer: LayerConfig) -> LayerValue:
        """Values side by side along the channels."""
        values = self._several(layer)
        rank = len(values[0].shape)
        if layer.config.get("axis", -1) not in (-1, rank):
            raise layer.refuse("joins another axis than the last; expected the channels")
        new = Concatenation(
            *(layer.name, layer.kind, values[0].name),
            others=tuple(value.name for value in values[1:]),
        )
        name = self.add(new)
        return LayerValue(name, (*values[0].shape[:-1], sum(v.shape[-1] for v in values)))

    def _several(self, layer: LayerConfig) -> list[LayerValue]:
        values = [self.values[source] for source in layer.sources]
        if len(values) < 2 or len({len(v.shape) for v in values}) > 1:
            raise layer.damaged("expected to read two or more values of as many axes")
        if any(value.padding != _NONE for value in values):
            raise layer.refuse("reads a ZeroPadding2D; only a convolution may follow one")
        return values

    def zero_padding(self, layer: LayerConfig) -> LayerValue:
        """Zeros around an image, which the convolution behind puts there itself."""
        value = self.source(layer)
        _channels_last(layer)
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


def same_padding(size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> Margins:
    """TensorFlow's padding ``same``: the smaller half first.

    Args:
        size: rows and columns of the image.
        kernel: rows and columns of the window.
        stride: its steps.

    Returns:
        top, bottom, left, right.

    >>> same_padding((8, 8), (3, 3), (2, 2))
    (0, 1, 0, 1)
    """
    sides: list[int] = []
    for n, k, s in zip(size, kernel, stride, strict=True):
        whole = max((-(-n // s) - 1) * s + k - n, 0)
        sides += [whole // 2, whole - whole // 2]
    top, bottom, left, right = sides
    return (top, bottom, left, right)


# ------------------------------------------------------------------------------ configurations


def _rank(layer: LayerConfig) -> int:
    return 1 if "1D" in layer.kind else 2


def _kernel_size(layer: LayerConfig) -> tuple[int, ...]:
    return _pair(layer, layer.config.get("kernel_size"), _rank(layer))


def _pair(layer: LayerConfig, value: Any, rank: int) -> tuple[int, ...]:
    """One size for each axis, where one number may stand for both."""
    sizes = value if isinstance(value, list) else [value] * rank
    if len(sizes) == 1:
        sizes = sizes * rank
    if len(sizes) != rank or not all(type(n) is int and 0 < n < 1 << 15 for n in sizes):
        raise layer.damaged(f"expected {rank} sizes of a window, found {ascii(value)[:60]}")
    return tuple(sizes)


def _reshaped(layer: LayerConfig, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a ``Reshape`` gives."""
    target = layer.config.get("target_shape")
    if not isinstance(target, list) or not all(
        type(n) is int and -1 <= n < 1 << 24 and n for n in target
    ):
        raise layer.damaged(f"target_shape: expected a list of sizes, found {ascii(target)[:60]}")
    free = target.count(-1)
    known = prod(n for n in target if n > 0)
    count = prod(shape)
    if free > 1 or count % known or (not free and known != count):
        raise layer.damaged(f"cannot reshape {shape} to {ascii(target)[:60]}")
    return tuple(count // known if n == -1 else n for n in target)


def _channels_last(layer: LayerConfig) -> None:
    order = layer.config.get("data_format")
    if order not in (None, "channels_last"):
        raise layer.refuse(
            f"data_format={ascii(order)[:40]} is not read; build the network with channels_last"
        )


def _integer(layer: LayerConfig, key: str, default: int | None = None) -> int:
    value = layer.config.get(key, default)
    if type(value) is not int or not 0 < value < 1 << 24:
        raise layer.damaged(f"{key}: expected a number from 1, found {ascii(value)[:40]}")
    return value


def _number(layer: LayerConfig, key: str, default: float) -> float:
    value = layer.config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
        raise layer.damaged(f"{key}: expected a number, found {ascii(value)[:40]}")
    return float(value)


def _flag(layer: LayerConfig, key: str, default: bool) -> bool:
    value = layer.config.get(key, default)
    if not isinstance(value, bool):
        raise layer.damaged(f"{key}: expected true or false, found {ascii(value)[:40]}")
    return value


def _expect_shape(layer: LayerConfig, role: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise layer.damaged(f"{role}: expected shape {shape}, the file has {array.shape}")


def _real(layer: LayerConfig, role: str, array: Array) -> Floats:
    """Stored numbers as float32 holds them, in float64."""
    with np.errstate(over="ignore"):
        real = np.asarray(array, np.float32).astype(np.float64)
    if not np.isfinite(real).all():
        raise layer.refuse(f"{role}: expected finite numbers, found an infinite one or a NaN")
    return real


def _per_channel(scale: Floats, channels: int) -> Floats:
    return np.broadcast_to(np.asarray(scale, np.float64), (channels,))


# ------------------------------------------------------------------------------------- tables

Translate = Callable[[Translation, LayerConfig], LayerValue]
_T = Translation
_OLDER = {
    **dict.fromkeys(("BinaryDense", "BinaryConv2D"), True),
    **dict.fromkeys(("TernaryDense", "TernaryConv2D"), False),
}
"""Layers of BinaryNet for Keras, and whether their weights are binary."""
_FOLDED = ("QConv2DBatchnorm", "QDepthwiseConv2DBatchnorm")
_LAYERS: dict[str, Translate] = {
    **dict.fromkeys(
        ("Dense", "QDense", "QuantDense", "BinaryDense", "TernaryDense"),
        _T.dense,
    ),
    **dict.fromkeys(
        (
            *("Conv2D", "QConv2D", "QConv2DBatchnorm", "QuantConv2D", "BinaryConv2D"),
            *("TernaryConv2D", "Conv1D", "QConv1D", "QuantConv1D"),
        ),
        _T.convolution,
    ),
    **dict.fromkeys(
        (
            *("DepthwiseConv2D", "QDepthwiseConv2D", "QDepthwiseConv2DBatchnorm"),
            "QuantDepthwiseConv2D",
        ),
        _T.depthwise,
    ),
    **dict.fromkeys(("BatchNormalization", "BatchNormalizationV1"), _T.batch_norm),
    **dict.fromkeys(("Activation", "QActivation"), _T.activation),
    **dict.fromkeys(
        (
            "SteSign",
            "ApproxSign",
            "SwishSign",
            "SteHeaviside",
            "SteTern",
            "DoReFa",
            "DoReFaQuantizer",
        ),
        _T.larq_quantizer,
    ),
    "ReLU": _T.relu,
    "Softmax": _T.softmax,
    **dict.fromkeys(
        (
            *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise"),
            *("GaussianDropout", "AlphaDropout", "ActivityRegularization"),
        ),
        _T.identity,
    ),
    "Flatten": _T.flatten,
    "Reshape": _T.reshape,
    **dict.fromkeys(("MaxPooling2D", "MaxPooling1D"), _T.max_pool),
    **dict.fromkeys(("AveragePooling2D", "AveragePooling1D", "QAveragePooling2D"), _T.average_pool),
    **dict.fromkeys(
        (
            *("GlobalAveragePooling2D", "GlobalAveragePooling1D", "QGlobalAveragePooling2D"),
            *("GlobalMaxPooling2D", "GlobalMaxPooling1D"),
        ),
        _T.global_pool,
    ),
    "Add": _T.addition,
    "Concatenate": _T.concatenation,
    "ZeroPadding2D": _T.zero_padding,
}
LAYERS: tuple[str, ...] = ("InputLayer", *_LAYERS)
"""The classes of layers that are read."""
_INSTEAD = {
    "Lambda": "holds Python code, which is never run; replace it by layers",
    "QBatchNormalization": "quantizes its parameters, which is not read; take BatchNormalization",
    "SeparableConv2D": "is not read; take a depthwise convolution and one of one pixel",
    "QAdaptiveActivation": "is not read; take QActivation with the bits that it found",
    "UpSampling2D": "is not read; leave it out, or train on larger images",
}
_ALIKE = {
    "QSeparableConv2D": "SeparableConv2D",
    "QuantSeparableConv2D": "SeparableConv2D",
    "SeparableConv1D": "SeparableConv2D",
    "QSeparableConv1D": "SeparableConv2D",
    "TFOpLambda": "Lambda",
    "SlicingOpLambda": "Lambda",
}


def _refusal(kind: str) -> str:
    """Why a class of layers is not read, and what to do."""
    said = _INSTEAD.get(_ALIKE.get(kind, kind))
    if said is not None:
        return said
    if any(word in kind for word in ("LSTM", "GRU", "RNN", "Bidirectional", "TimeDistributed")):
        return "is recurrent, which has no form in hardware here; take dense or Conv1D layers"
    return f"is not read; known are {nearest(kind, LAYERS)}"

"""The translation of a Keras network to a program: its state, and steps that all layers share."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from hwbnn.errors import CannotLower, nearest
from hwbnn.graph.arrays import Array
from hwbnn.program import Clip, Layer
from hwbnn.program.program import counted_edges, output_shape
from hwbnn.readers.keras.activation_quantizers import ACTIVATIONS, activation
from hwbnn.readers.keras.architecture import Architecture, LayerConfig
from hwbnn.readers.keras.quantizer_config import QuantizerConfig, quantizer
from hwbnn.readers.keras.stored_weights import StoredWeights
from hwbnn.readers.keras.weight_quantizers import QuantizedWeights, bias_quantizer, kernel_quantizer

Margins = tuple[int, int, int, int]
NO_MARGINS: Margins = (0, 0, 0, 0)
_END = ("softmax", "sigmoid")
"""Functions allowed at the end of a network, where they do not change which class is largest."""


@dataclass(frozen=True)
class LayerValue:
    """The value of a Keras layer.

    Attributes:
        name: name of the value in the program.
        shape: shape in Keras, without the batch: flat, ``(steps, channels)`` or an image.
        padding: zeros that a ``ZeroPadding2D`` adds around it: top, bottom, left, right.
    """

    name: str
    shape: tuple[int, ...]
    padding: Margins = NO_MARGINS


class Translation:
    """The program of a Keras network, layer by layer.

    Args:
        network: the layers of the network.
        weights: the arrays of these layers.
        generation: 2 for files of Keras 2, 3 for files of Keras 3.
    """

    def __init__(self, network: Architecture, weights: StoredWeights, generation: int) -> None:
        self.network = network
        self.weights = weights
        self.generation = generation
        self.layers: list[Layer] = []
        self.remarks: list[str] = []
        self.values: dict[str, LayerValue] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._edges = 0
        self._readers: dict[str, list[str]] = {}
        for layer in network.layers:
            for source in layer.sources:
                self._readers.setdefault(source, []).append(layer.name)

    def read_input(self) -> tuple[tuple[int, ...], list[str]]:
        """The input's shape in the program, and remarks on it.

        If the network only reads its input reshaped to an image, the image becomes the input.
        """
        network = self.network
        shape, name = network.shape, network.input
        reading = [layer for layer in network.layers if name in layer.sources]
        if reading and all(layer.kind == "Reshape" for layer in reading):
            targets = {reshaped(layer, shape) for layer in reading}
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

    def add(self, layer: Layer) -> str:
        """Append a layer to the program, and return the name of its value.

        Raises:
            InputError: if the layer does not fit the values that it reads.
        """
        self.shapes[layer.name] = output_shape(layer, [self.shapes[s] for s in layer.sources])
        self._edges = counted_edges(self._edges, layer)
        self.layers.append(layer)
        return layer.name

    def source(self, layer: LayerConfig, *, pads: bool = False) -> LayerValue:
        """The only value that a layer reads.

        Args:
            layer: the layer.
            pads: whether the layer can add the zeros of a ``ZeroPadding2D`` in front of it.
        """
        if len(layer.sources) != 1:
            raise layer.damaged(f"expected to read one value, found {len(layer.sources)}")
        value = self.values[layer.sources[0]]
        if value.padding != NO_MARGINS and not pads:
            raise layer.refuse(
                "reads a ZeroPadding2D; only a convolution with padding='valid' may follow one"
            )
        return value

    def quantized(
        self, layer: LayerConfig, key: str, array: Array, *, is_bias: bool = False
    ) -> QuantizedWeights:
        """Weights quantized by the quantizer under the ``key`` of the layer's configuration."""
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

    def activated(self, layer: LayerConfig, name: str, given: Any) -> str:
        """The value behind an activation, ``given`` as a name, text or JSON object."""
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
            return self.add(Clip(*place, name))
        if config.name not in ACTIVATIONS:
            raise CannotLower(
                f"activation {config.name!r} is real-valued or not known; take a quantized one, "
                f"such as {nearest(config.name, ACTIVATIONS)}"
            )
        return self.add(activation(config, (*place, name)))


def reshaped(layer: LayerConfig, shape: tuple[int, ...]) -> tuple[int, ...]:
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

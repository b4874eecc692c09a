"""A program: the layers of a network read from a file, in order, and the shapes of their values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Input, Window
from hwbnn.program.layers import (
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
    Quantizer,
    shown_name,
)

MOST_LAYERS = 10_000
"""Most layers of a program."""
MOST_ELEMENTS = 1 << 23
"""Most elements of a value."""
MOST_EDGES = 1 << 24
"""Most edges of all quantizers of a program together."""


@dataclass(frozen=True, eq=False)
class Program:
    """A network: layers in an order in which each reads earlier values.

    Attributes:
        format: the kind of file that it comes from, such as ``"QONNX"``.
        input: the name of the input's value.
        shape: of the input, channels last, without a batch axis: ``(n,)`` or ``(height, width,
            channels)``.
        layers: in order.
        output: the name of the value whose elements are the logits, or bits if a sign computes it.
        contract: shape, range, scale and offset of the input's integers, where the file's format
            defines them; None where the user must give them.
        remarks: what the reader left out or assumed, a sentence each, for people.

    Raises:
        InputError: if a layer reads a value that no earlier layer computes, names repeat, or
            shapes do not fit.
        CannotLower: if the input is neither flat nor an image.
    """

    format: str
    input: str
    shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    output: str
    contract: Input | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.layers or len(self.layers) > MOST_LAYERS:
            raise InputError(
                f"{self.format}: expected 1 to {MOST_LAYERS} layers, found {len(self.layers)}"
            )
        known = {self.input}
        for layer in self.layers:
            for source in layer.sources:
                if source not in known:
                    raise InputError(
                        f"{layer.label}: reads '{shown_name(source)}', which no earlier layer "
                        "computes; the file is damaged, or the network has a loop"
                    )
            if layer.name in known:
                raise InputError(f"{layer.label}: another layer has this name; rename one")
            known.add(layer.name)
        if self.output not in known or self.output == self.input:
            raise InputError(
                f"{self.format}: expected an output that a layer computes, found "
                f"'{shown_name(self.output)}'"
            )
        _ = self.shapes

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each value, channels last, without a batch axis.

        Raises:
            InputError: naming the layer that does not fit the values that it reads.
            CannotLower: if the input is neither flat nor an image.
        """
        if len(self.shape) not in (1, 3) or not all(0 < n < 1 << 31 for n in self.shape):
            raise CannotLower(
                f"input '{shown_name(self.input)}': expected a flat input or an image (height, "
                f"width, channels), found shape {self.shape}; export the network so"
            )
        shapes = {self.input: tuple(self.shape)}
        for layer in self.layers:
            found = output_shape(layer, [shapes[source] for source in layer.sources])
            if prod(found) > MOST_ELEMENTS:
                raise InputError(f"{layer.label}: its {prod(found)} elements are too many")
            shapes[layer.name] = found
        return shapes

    @cached_property
    def by_name(self) -> dict[str, Layer]:
        """The layers by their names."""
        return {layer.name: layer for layer in self.layers}


def counted_edges(count: int, layer: Layer) -> int:
    """The edges of all quantizers so far, with those of one more layer.

    Readers count them while they make layers, as a small file can name thousands of quantizers of
    16 bits.

    Raises:
        InputError: if they are more than :data:`MOST_EDGES`.
    """
    count += layer.edges.size if isinstance(layer, Quantizer) else 0
    if count > MOST_EDGES:
        raise InputError(
            f"{layer.label}: the network's quantizers have more than {MOST_EDGES} edges; use fewer "
            "bits"
        )
    return count


def output_shape(layer: Layer, sources: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of a layer's result, from the shapes of the values that it reads.

    Raises:
        InputError: if the layer does not fit these shapes.
    """
    shape = sources[0]
    if isinstance(layer, Dense):
        _expect(layer, len(shape) == 1, "a flat value; flatten images in front of it", shape)
        inputs = layer.weights.shape[1]
        _expect(layer, shape[0] == inputs, f"{inputs} elements", shape)
        return (len(layer.weights),)
    if isinstance(layer, Convolution | MaxPooling | AveragePooling):
        _expect(layer, len(shape) == 3, "an image (height, width, channels)", shape)
        kernel, channels = (0, 0), shape[2]
        if isinstance(layer, Convolution):
            depth = layer.weights.shape[3] * layer.groups
            _expect(layer, shape[2] == depth, f"{depth} channels", shape)
            kernel, channels = (layer.weights.shape[1], layer.weights.shape[2]), len(layer.weights)
        else:
            kernel = (layer.kernel[0], layer.kernel[1])
        height, width = Window((shape[0], shape[1]), kernel, layer.stride, layer.padding).output
        _expect(layer, height > 0 and width > 0, f"an image of at least {kernel}", shape)
        return (height, width, channels)
    if isinstance(layer, Flattening):
        return (prod(shape),)
    if isinstance(layer, Addition):
        _expect(layer, sources[0] == sources[1], f"two values of shape {shape}", sources[1])
        return shape
    if isinstance(layer, Concatenation):
        for other in sources:
            _expect(layer, other[:-1] == shape[:-1], f"values of {shape[:-1]} positions", other)
        return (*shape[:-1], sum(s[-1] for s in sources))
    counts: list[int] = []
    if isinstance(layer, Affine):
        counts = [len(layer.scale), len(layer.offset), len(layer.divisor)]
    elif isinstance(layer, BatchNorm):
        counts = [len(p) for p in (layer.gamma, layer.beta, layer.mean, layer.variance)]
    elif isinstance(layer, Quantizer):
        counts = [len(layer.edges)]
    for count in counts:
        _expect(layer, count in (1, shape[-1]), f"{count} channels", shape)
    return shape


def _expect(layer: Layer, holds: bool, wanted: str, found: tuple[int, ...]) -> None:
    if not holds:
        raise InputError(f"{layer.label}: expected {wanted}, found shape {found}")

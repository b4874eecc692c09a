"""Networks that the project trains: multi-layer perceptrons, and chains of convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal

from torch import Tensor, nn

from hwbnn.arguments import checked_call
from hwbnn.errors import InputError, nearest
from hwbnn.graph import Input
from hwbnn.methods import Method, resolve
from hwbnn.nn.binary import BinaryActivation, Source
from hwbnn.nn.conv import BinaryConv2d
from hwbnn.nn.linear import BinaryLinear, GroupSum, Scale, Select
from hwbnn.nn.quant import KINDS, QuantConv2d, QuantLinear
from hwbnn.nn.thermometer import Thermometer

Last = str
"""The modules that make logits: ``"batch_norm"`` or ``"scale"`` behind a binary layer;
``"group_sum"``, votes of the last hidden layer, a group of it for each class; or the weights of a
quantised layer with a bias, one of :data:`hwbnn.nn.quant.KINDS`."""
LASTS = ("batch_norm", "scale", "group_sum", *KINDS)


class Network(nn.Module):
    """Binary layers with BatchNorm and a binary activation between them.

    Attributes:
        input: what the network reads.
        layers: the layers, in order.
    """

    def __init__(self, source: Input, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.input = source
        self.layers = nn.Sequential(*layers)


class Mlp(Network):
    """A network of dense layers, which flattens its input to a row."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            x: floats ``(batch, *input.shape)``, or flat: ``input.scale * u + input.offset`` for the
                integers ``u`` of the input; for bits -1 and +1.

        Returns:
            ``(batch, classes)``.
        """
        logits: Tensor = self.layers(x.flatten(1))
        return logits


@checked_call()
def mlp(
    source: Input,
    widths: Sequence[int],
    classes: int,
    method: Method | str,
    *,
    last: Last = "batch_norm",
    reads: Sequence[int] | None = None,
    first: str | None = None,
    fan_in: int | None = None,
    thermometer: Sequence[int] | None = None,
) -> Mlp:
    """A multi-layer perceptron with binary weights; ``first`` and ``last`` make exceptions.

    Args:
        source: what the network reads.
        widths: channels of the hidden layers; may be empty.
        classes: number of logits.
        method: how it is trained.
        last: the modules that make the logits. ``"batch_norm"``: a BatchNorm behind a binary layer;
            its gains differ by class, and hardware ranks the logits exactly by a table.
            ``"scale"``: one learned factor behind a binary layer; hardware compares the sums.
            ``"group_sum"``: the last hidden layer votes, a group of its channels for each class.
            Or the weights of a quantised last layer, one of :data:`hwbnn.nn.quant.KINDS`.
        reads: positions of the elements of a sample that the network reads; None for all.
        first: the weights of a quantised first layer, one of the same kinds; None for binary ones.
        fan_in: inputs that each hidden channel reads, see :mod:`hwbnn.nn.fan_in`; None for all.
        thermometer: integers with which each element of a sample is compared; the first layer reads
            the bits of these comparisons. None: it reads the elements themselves.

    Raises:
        InputError: if a width is not positive, ``last`` is unknown, a position is invalid, or the
            input is bits and has a thermometer.
    """
    method = resolve(method, "mlp")
    expect_input(source, "mlp")
    if not isinstance(widths, Sequence):
        raise InputError(
            f"mlp: widths: expected the channels of each hidden layer, such as (256, 256), found "
            f"{widths!r}"
        )
    size = prod(source.shape)
    front: list[nn.Module] = [] if reads is None else [Select(size, reads)]
    read = size if reads is None else len(reads)
    given: Source = source
    if thermometer is not None:
        front.append(Thermometer.at(source, read, thermometer))
        read, given = read * len(thermometer), None
    sizes = (read, *widths)
    return Mlp(source, dense(front, given, sizes, classes, method, last, first, fan_in))


def dense(
    layers: Sequence[nn.Module],
    source: Source,
    sizes: Sequence[int],
    classes: int,
    method: Method,
    last: Last,
    first: str | None = None,
    fan_in: int | None = None,
) -> list[nn.Module]:
    """The given layers, then the hidden dense layers and the layer that makes logits.

    Args:
        layers: the layers in front.
        source: what the network reads.
        sizes: elements that the first dense layer reads, then channels of the hidden layers.
        classes: number of logits.
        method: the training method.
        last: see :func:`mlp`.
        first: the weights of the first dense layer, see :func:`mlp`.
        fan_in: see :func:`mlp`.

    Raises:
        InputError: if a width is not positive or ``last`` is unknown.
    """
    layers, kind = list(layers), first
    for n, m in pairwise(sizes):
        read = reads(layers, source)
        layers.append(
            BinaryLinear(n, m, method, source=read, fan_in=fan_in)
            if kind is None
            else QuantLinear(n, m, kind, source=read, bias=False)
        )
        kind = None
        between = method.make_nonlinearity(m)
        layers += [nn.BatchNorm1d(m), *([] if between is None else [between])]
        layers.append(BinaryActivation(m, method))
    return layers + ending(sizes[-1], classes, method, last, reads(layers, source))


def ending(
    n: int, classes: int, method: Method, last: Last, source: Source = None
) -> list[nn.Module]:
    """The layer that makes logits of ``n`` elements, and the module that scales its sums.

    Args:
        n: elements of the layer's input.
        classes: number of logits.
        method: how the network is trained.
        last: see :func:`mlp`.
        source: what arrives, see :class:`~hwbnn.nn.binary.SumLayer`.

    Raises:
        InputError: if ``last`` is unknown.
    """
    if last not in LASTS:
        ends = nearest(last, ("batch_norm", "scale", "group_sum", "ternary", "int8"))
        raise InputError(
            f"last: expected one of {ends}, or another of 'int2' to 'int16', found {last!r}"
        )
    if last == "group_sum":
        votes = GroupSum(n, classes, source=source)
        return [votes, Scale((classes / n) ** 0.5)]
    if last in KINDS:
        return [QuantLinear(n, classes, last, source=source)]
    layer = BinaryLinear(n, classes, method.logits(), source=source)
    # The sum of n random signs has standard deviation sqrt(n); the factor brings it to 1.
    return [layer, nn.BatchNorm1d(classes) if last == "batch_norm" else Scale(1 / n**0.5)]


def reads(layers: Sequence[nn.Module], source: Source) -> Source:
    """The ``source`` argument of the layer that comes next."""
    activations = [layer for layer in layers if isinstance(layer, BinaryActivation)]
    if not activations:
        return source
    return activations[-1] if activations[-1].quantizer.is_mapped else None


NETWORKS: Mapping[str, tuple[int, ...]] = {
    "digits": (64, 64),
    "tfc": (64, 64, 64),
    "sfc": (256, 256, 256),
    "lfc": (1024, 1024, 1024),
}
"""Widths of the hidden layers of the multi-layer perceptrons known by name.

``digits`` is for 8x8 images, 64-64-64-10. The others are 784-w-w-w-10 for MNIST: FINN (Umuroglu et
al., FPGA 2017) measured its hardware with them.
"""

POOL: Literal["pool"] = "pool"


class ImageNetwork(Network):
    """A network on images; its input is ``(height, width, channels)``, in torch channels first.

    Attributes:
        input: the network's input, of three axes.
        layers: the layers, in order.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            x: floats ``(batch, channels, height, width)``: ``input.scale * u + input.offset`` for
                the integers ``u`` of the input; for bits -1 and +1.

        Returns:
            ``(batch, classes)``.
        """
        logits: Tensor = self.layers(x)
        return logits


@dataclass(frozen=True)
class ConvChain:
    """A chain of convolutions and max pools, then dense layers.

    Every convolution has stride 1 and every pool is 2x2 with stride 2. A convolution, with its pool
    if it has one, is followed by BatchNorm, the method's nonlinearity and its activation. The pool
    comes before the activation, so that it takes the maximum of sums and not of bits.

    Attributes:
        layout: channels of a convolution, or :data:`POOL` behind one.
        dense: channels of the hidden dense layers.
        kernel: rows and columns of every window.
        padding: rows and columns of zeros around every image.
    """

    layout: tuple[int | Literal["pool"], ...]
    dense: tuple[int, ...]
    kernel: int = 3
    padding: int = 0

    def __str__(self) -> str:
        """The hidden layers in the notation of the literature, such as ``32C5-P-64C5-P-512``."""
        convolutions = ("P" if n == POOL else f"{n}C{self.kernel}" for n in self.layout)
        return "-".join((*convolutions, *map(str, self.dense)))


CHAINS: Mapping[str, ConvChain] = {
    "lenet": ConvChain((32, POOL, 64, POOL), (512,), kernel=5),
    "cnv": ConvChain((64, 64, POOL, 128, 128, POOL, 256, 256), (512, 512)),
    "vgg_small": ConvChain((128, 128, POOL, 256, 256, POOL, 512, 512, POOL), (), padding=1),
}
"""Chains known by name.

``lenet`` is 32C5-P-64C5-P-512 without padding, for MNIST. ``cnv`` is FINN's (Umuroglu et al., FPGA
2017) for CIFAR-10, without padding. ``vgg_small`` is the network of that name in the literature on
binary networks (in the code of IR-Net and RBNN, for example), with one difference: its first
convolution and its classifier are binary here and real there.
"""


@checked_call()
def chain(
    source: Input,
    shape: ConvChain,
    classes: int,
    method: Method | str,
    *,
    last: Last = "batch_norm",
    first: str | None = None,
) -> ImageNetwork:
    """A chain of convolutions with binary weights; ``first`` and ``last`` make exceptions.

    Args:
        source: what the network reads, of shape ``(height, width, channels)``.
        shape: its layers.
        classes: number of logits.
        method: how it is trained.
        last: the modules that make the logits, see :func:`hwbnn.nn.mlp`.
        first: the weights of a quantised first layer, see :func:`hwbnn.nn.mlp`.

    Raises:
        InputError: if the input is no image, or too small for the layers.
    """
    method = resolve(method, "chain")
    height, width, channels = image_shape(source)
    layers: list[nn.Module] = []
    for position, n in enumerate(shape.layout):
        if n == POOL:
            continue
        read = reads(layers, source)
        conv = convolution(
            channels, n, shape.kernel, method, first, padding=shape.padding, source=read
        )
        layers.append(conv)
        first = None
        height, width = (s + 2 * shape.padding - shape.kernel + 1 for s in (height, width))
        if shape.layout[position + 1 : position + 2] == (POOL,):
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        if min(height, width) < 1:
            raise InputError(f"images of shape {source.shape}: too small for the layers {shape}")
        channels = n
        between = method.make_nonlinearity(n)
        layers += [nn.BatchNorm2d(n), *([] if between is None else [between])]
        layers.append(BinaryActivation(n, method))
    layers.append(nn.Flatten())
    sizes = (height * width * channels, *shape.dense)
    return ImageNetwork(source, dense(layers, source, sizes, classes, method, last))


def convolution(
    channels: int,
    out: int,
    kernel: int,
    method: Method,
    kind: str | None,
    *,
    stride: int = 1,
    padding: int = 0,
    source: Source = None,
) -> BinaryConv2d | QuantConv2d:
    """A binary convolution, or a quantised one.

    Args:
        channels: of the image.
        out: channels that it returns.
        kernel: rows and columns of the window.
        method: makes binary weights.
        kind: of quantised weights, one of :data:`hwbnn.nn.quant.KINDS`; None for binary ones.
        stride: rows and columns from window to window.
        padding: rows and columns of zeros around.
        source: what arrives, see :class:`~hwbnn.nn.binary.SumLayer`.
    """
    if kind is None:
        return BinaryConv2d(
            channels, out, kernel, method, stride=stride, padding=padding, source=source
        )
    return QuantConv2d(channels, out, kernel, kind, stride=stride, padding=padding, source=source)


def expect_input(source: object, who: str) -> None:
    """Refuse anything but an Input as what a network reads.

    Raises:
        InputError: naming the function that received it.
    """
    if not isinstance(source, Input):
        raise InputError(
            f"{who}: source: expected hwbnn.Input, what the network reads, such as "
            f"Input.bits(784), found {type(source).__name__}"
        )


def image_shape(source: Input) -> tuple[int, int, int]:
    """Height, width and channels of an input.

    Raises:
        InputError: if it is no input, or does not have three axes.
    """
    expect_input(source, "images")
    if len(source.shape) != 3:
        raise InputError(
            f"input '{source.name}': expected images (height, width, channels), found shape "
            f"{source.shape}"
        )
    height, width, channels = source.shape
    return height, width, channels

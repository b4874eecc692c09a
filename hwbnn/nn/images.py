"""Networks on images that the project trains: chains of convolutions, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.methods import Method
from hwbnn.nn.activation import BinaryActivation
from hwbnn.nn.conv import BinaryConv2d
from hwbnn.nn.networks import Last, Network, dense, reads

POOL: Literal["pool"] = "pool"


class ImageNetwork(Network):
    """A network on images of shape ``(height, width, channels)``, which torch sees channels first.

    Attributes:
        input: what the network reads, of three axes.
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
class Chain:
    """A chain of convolutions and max pools, then dense layers.

    Every convolution has stride 1 and every pool is 2x2 with stride 2. Behind a convolution, and
    its pool where it has one, stand BatchNorm, the method's nonlinearity and its activation:
    pooling comes first, so that the largest *sum* goes on and not the first bit.

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


CHAINS: Mapping[str, Chain] = {
    "lenet": Chain((32, POOL, 64, POOL), (512,), kernel=5),
    "cnv": Chain((64, 64, POOL, 128, 128, POOL, 256, 256), (512, 512)),
    "vgg_small": Chain((128, 128, POOL, 256, 256, POOL, 512, 512, POOL), (), padding=1),
}
"""Chains known by name.

``lenet`` is 32C5-P-64C5-P-512 without padding, for MNIST. ``cnv`` is FINN's (Umuroglu et al., FPGA
2017) for CIFAR-10, without padding. ``vgg_small`` is the one of the literature on binary networks
(as IR-Net's and RBNN's code have it), but for its first convolution and its classifier, which are
binary here and real there.
"""


def chain(
    source: Input, form: Chain, classes: int, method: Method, *, last: Last = "batch_norm"
) -> ImageNetwork:
    """A chain of convolutions with binary weights in every layer.

    Args:
        source: what the network reads, of shape ``(height, width, channels)``.
        form: its layers.
        classes: number of logits.
        method: how it is trained.
        last: what makes logits of the last sums, see :func:`hwbnn.nn.mlp`.

    Raises:
        InputError: if the input is no image, or too small for the layers.
    """
    height, width, channels = image_shape(source)
    layers: list[nn.Module] = []
    for position, n in enumerate(form.layout):
        if n == POOL:
            continue
        conv = BinaryConv2d(
            channels, n, form.kernel, method, padding=form.padding, source=reads(layers, source)
        )
        layers.append(conv)
        height, width = (s + 2 * form.padding - form.kernel + 1 for s in (height, width))
        if form.layout[position + 1 : position + 2] == (POOL,):
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        if min(height, width) < 1:
            raise InputError(f"images of shape {source.shape}: too small for the layers {form}")
        channels = n
        between = method.make_nonlinearity(n)
        layers += [nn.BatchNorm2d(n), *([] if between is None else [between])]
        layers.append(BinaryActivation(n, method))
    layers.append(nn.Flatten())
    sizes = (height * width * channels, *form.dense)
    return ImageNetwork(source, dense(layers, source, sizes, classes, method, last))


def image_shape(source: Input) -> tuple[int, int, int]:
    """Height, width and channels of an input.

    Raises:
        InputError: if it has not three axes.
    """
    if len(source.shape) != 3:
        raise InputError(
            f"input '{source.name}': expected images (height, width, channels), found shape "
            f"{source.shape}"
        )
    height, width, channels = source.shape
    return height, width, channels

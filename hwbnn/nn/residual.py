"""Networks with shortcuts: ResNet-20 and ResNet-18 for 32x32 images.

A stream ``h`` of real numbers runs through the network. A unit reads the activations of ``h``, and
its output is added to ``h``::

    unit(h) = BatchNorm(convolution(activation(h)))

    one shortcut per convolution   h' = f(unit(h) + shortcut(h))
    one shortcut per block         h' = f(unit(g(unit(h))) + shortcut(h))

``f`` and ``g`` are the method's nonlinearity (ReActNet's RPReLU, AdaBin's Maxout, both after the
sum as in their code) or, if the method has none, hardtanh (as in the code of IR-Net and RBNN). The
stem is ``f(BatchNorm(convolution(pixels)))``; after the last block the stream is averaged over the
image, and a dense layer makes logits of these real numbers.

Sources: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (shapes and shortcuts
of ResNet-20); Liu et al., "Bi-Real Net", ECCV 2018 (one shortcut per convolution); the code of
IR-Net, RBNN and AdaBin (order of the layers). Stem, classifier and 1x1 projections have binary
weights by default. Published networks keep stem and classifier real, and most of them the
projections too; quantised weights of 8 bits come close to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from hwbnn.arguments import checked_call
from hwbnn.graph import Input
from hwbnn.methods import Method, resolve
from hwbnn.nn.binary import BinaryActivation
from hwbnn.nn.conv import BinaryConv2d
from hwbnn.nn.networks import ImageNetwork, Last, convolution, ending, image_shape
from hwbnn.nn.quant import QuantConv2d

Shortcut = Literal["block", "conv"]


class OptionA(nn.Module):
    """A shortcut without weights: takes every ``stride``-th pixel and adds channels of zeros.

    He et al. call it option A. The zeros are real numbers 0, whose sign is +1.

    Args:
        stride: from 1.
        before: channels of zeros in front of those that arrive.
        after: channels of zeros behind them.
    """

    def __init__(self, stride: int, before: int, after: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = before
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        """The shortcut of ``x``, ``(batch, channels, height, width)``."""
        kept = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(kept, (0, 0, 0, 0, self.before, self.after))

    def extra_repr(self) -> str:
        """Stride and channels, for ``print(model)``."""
        return f"stride={self.stride}, before={self.before}, after={self.after}"


class Unit(nn.Module):
    """``BatchNorm(convolution(activation(x)))``: a convolution's term of the stream."""

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int, padding: int, method: Method
    ) -> None:
        super().__init__()
        self.activation = BinaryActivation(channels, method)
        read = self.activation if self.activation.quantizer.is_mapped else None
        self.conv = BinaryConv2d(
            channels, out, kernel, method, stride=stride, padding=padding, source=read
        )
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        """The unit's output for a stream ``(batch, channels, height, width)``."""
        added: Tensor = self.norm(self.conv(self.activation(x)))
        return added


class Projection(nn.Sequential):
    """A shortcut into more channels: ``BatchNorm(convolution(mean(x)))`` of real numbers.

    The mean over ``stride`` rows and columns, then a 1x1 convolution with quantised weights, as in
    the code of ReActNet and AdaBin for ImageNet.

    Args:
        channels: of the stream that arrives.
        out: channels of the stream that it is added to.
        stride: rows and columns that become one.
        kind: kind of the weights, one of :data:`hwbnn.nn.quant.KINDS`.
    """

    def __init__(self, channels: int, out: int, stride: int, kind: str) -> None:
        mean = [nn.AvgPool2d(stride)] if stride > 1 else []
        super().__init__(*mean, QuantConv2d(channels, out, 1, kind), nn.BatchNorm2d(out))


class Residual(nn.Module):
    """``after(body(x) + shortcut(x))``.

    Args:
        body: one unit, or two with a function between them.
        shortcut: the module on the way around the body.
        after: the module after the sum.
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        """The stream after this block, for ``x`` of shape ``(batch, channels, height, width)``."""
        out: Tensor = self.after(self.body(x) + self.shortcut(x))
        return out


@dataclass(frozen=True)
class ResidualStages:
    """Stages of blocks of two 3x3 convolutions; each stage but the first halves the image.

    Attributes:
        widths: channels of the stages.
        blocks: number of blocks in each stage.
        shortcut: one per ``"block"`` or one per ``"conv"``.
        projects: whether a shortcut into more channels is a :class:`Unit` of a 1x1 convolution;
            else it is :class:`OptionA`.
    """

    widths: tuple[int, ...]
    blocks: int
    shortcut: Shortcut
    projects: bool

    def __str__(self) -> str:
        """The hidden layers in words."""
        convolutions = "-".join(f"{2 * self.blocks}x{width}C3" for width in self.widths)
        return f"{self.widths[0]}C3-{convolutions}, a shortcut per {self.shortcut}"


RESIDUAL: Mapping[str, ResidualStages] = {
    "resnet20": ResidualStages((16, 32, 64), 3, "block", projects=False),
    "resnet20_conv": ResidualStages((16, 32, 64), 3, "conv", projects=False),
    "resnet18": ResidualStages((64, 128, 256, 512), 2, "block", projects=True),
    "resnet18_conv": ResidualStages((64, 128, 256, 512), 2, "conv", projects=True),
}
"""Networks with shortcuts known by name; those with ``_conv`` have one per convolution."""


@checked_call()
def residual(
    source: Input,
    stages: ResidualStages,
    classes: int,
    method: Method | str,
    *,
    last: Last = "batch_norm",
    first: str | None = None,
    downsample: str | None = None,
) -> ImageNetwork:
    """A network with shortcuts and binary weights; ``first``, ``last``, ``downsample`` excepted.

    Args:
        source: what the network reads, of shape ``(height, width, channels)``.
        stages: the stages of blocks.
        classes: number of logits.
        method: how it is trained.
        last: the modules that make the logits, see :func:`hwbnn.nn.mlp`.
        first: the weights of a quantised stem, see :func:`hwbnn.nn.mlp`.
        downsample: the weights of quantised 1x1 projections (:class:`Projection`) for shortcuts
            into more channels; None for the shortcuts that ``stages`` names.

    Raises:
        InputError: if the input is no image, or ``last`` or a kind of weights is unknown.
    """
    method = resolve(method, "residual")
    _, _, colours = image_shape(source)
    width = stages.widths[0]
    layers: list[nn.Module] = [
        convolution(colours, width, 3, method, first, padding=1, source=source),
        nn.BatchNorm2d(width),
        _function(width, method),
    ]
    for out in stages.widths:
        for position in range(stages.blocks):
            stride = 2 if position == 0 and len(layers) > 3 else 1
            layers += _block(width, out, stride, stages, method, downsample)
            width = out
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *ending(width, classes, method, last)]
    return ImageNetwork(source, layers)


def _block(
    width: int,
    out: int,
    stride: int,
    stages: ResidualStages,
    method: Method,
    downsample: str | None,
) -> list[nn.Module]:
    """Two convolutions, with their shortcuts."""
    first, second = Unit(width, out, 3, stride, 1, method), Unit(out, out, 3, 1, 1, method)
    around: nn.Module = nn.Identity()
    if stride != 1 or width != out:
        grown = out - width
        if downsample is not None:
            around = Projection(width, out, stride, downsample)
        elif stages.projects:
            around = Unit(width, out, 1, stride, 0, method)
        else:
            around = OptionA(stride, grown // 2, grown - grown // 2)
    if stages.shortcut == "block":
        body = nn.Sequential(first, _function(out, method), second)
        return [Residual(body, around, _function(out, method))]
    return [
        Residual(first, around, _function(out, method)),
        Residual(second, nn.Identity(), _function(out, method)),
    ]


def _function(channels: int, method: Method) -> nn.Module:
    """The method's nonlinearity, or hardtanh."""
    return method.make_nonlinearity(channels) or nn.Hardtanh()

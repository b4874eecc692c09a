"""Random convolutional Graphs, made as those of :mod:`tests.strategies` are.

With hypothesis::

    @given(st.data())
    def test_something(data):
        graph = data.draw(conv_graphs(max_side=6))
        x = data.draw(inputs(graph, 5))

From a seed: ``random_conv_graph(7)``, ``random_inputs(graph, 5, 7)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwbnn.graph import (
    Add,
    ChannelPad,
    Concat,
    Conv2d,
    Flatten,
    Graph,
    Input,
    MaxPool,
    Node,
    Output,
    Rescale,
    Select,
    SumPool,
    Threshold,
    Window,
)
from hwbnn.simulators import plain
from tests.strategies import Builder, Chooser, Drawn, Limits, Seeded

STREAM = 1 << 10
"""No Rescale of a random Graph makes larger integers: they stay small through several Adds."""


SEEN = 8
"""Inputs that go through a Graph while it is made."""


@dataclass(frozen=True)
class ConvLimits(Limits):
    """What a random convolutional Graph may be.

    Attributes:
        max_width: most elements of a value that is not an image.
        max_depth: most blocks of one to three convolutions each.
        max_side: most rows and columns of the input.
        max_channels: most channels of an image; the edges of machine words are favoured if allowed.
        shortcuts: whether there are blocks with shortcuts.
        concat: whether there are blocks whose channels stand behind those that they read, and
            whose channels are chosen and put in another order.
    """

    max_width: int = 40
    max_depth: int = 3
    max_side: int = 7
    max_channels: int = 6
    shortcuts: bool = True
    concat: bool = False


@dataclass
class ConvBuilder(Builder):
    """A convolutional Graph in the making; ``source`` is set back where a branch begins.

    A few inputs go through it as it grows: most thresholds are integers that were seen, so that
    what is behind them still varies.
    """

    limits: ConvLimits = field(default_factory=ConvLimits)
    seen: dict[str, NDArray[Any]] = field(default_factory=dict)

    def append(self, node: Node) -> None:
        super().append(node)
        if isinstance(node, Input):
            t, rng = self.type, self.choose.rng()
            x = rng.integers(t.low, t.high, (SEEN, *t.shape), endpoint=True)
            self.seen[node.name] = x.astype(np.bool_ if t.bit else np.int64)
            return
        values, types = [self.seen[s] for s in node.sources], [self.types[s] for s in node.sources]
        self.seen[node.name] = plain.evaluate(node, *values, *types)

    def cuts(self, shape: tuple[int, int]) -> NDArray[np.int64]:
        cuts = super().cuts(shape)
        if self.chance(4):
            return cuts
        rng, values = self.choose.rng(), self.seen[self.source].reshape(-1, self.type.channels)
        channel = np.arange(shape[0])[:, None] % self.type.channels
        seen = values[rng.integers(0, len(values), shape), channel]
        return np.where(rng.random(shape) < 0.8, seen, cuts)

    def channels(self, multiple: int = 1) -> int:
        """Channels of an image, a multiple of something."""
        most = max(1, self.limits.max_channels // multiple)
        favoured = [n for n in (1, 2, 4, 8, 63, 64, 65) if n <= most]
        if self.chance(3):
            return multiple * self.choose.choice(favoured)
        return multiple * self.choose.integer(1, most)

    def begin(self) -> None:
        least = 1 if self.chance(6) else min(3, self.limits.max_side)
        sides = [self.choose.integer(least, self.limits.max_side) for _ in range(2)]
        shape = (sides[0], sides[0] if self.chance(2) else sides[1], self.channels())
        self.append(Input(self.choose.choice(("x", "pixels")), shape, *self.input_range()))

    def window(self, kernels: tuple[int, ...], strides: tuple[int, ...]) -> Window:
        """A window that fits the image, with any padding on each side."""
        (height, width), choose = self.type.shape[:2], self.choose
        kernel, padding, stride = [], [], []
        for side in (height, width):
            size = choose.choice(kernels)
            if kernel and self.chance(2):
                size = kernel[0]
            kind = choose.choice(("valid", "same", "any"))
            if kind == "valid" and size <= side:
                before, after = 0, 0
            elif kind == "any":
                before, after = (choose.integer(0, size - 1) for _ in range(2))
                before = max(before, min(size - 1, size - side - after))
                after = max(after, size - side - before)
            else:
                before, after = (size - 1) // 2, size // 2
            if before + after + side < size or max(before, after) >= size:
                size, before, after = 1, 0, 0
            kernel.append(size)
            stride.append(choose.choice(strides))
            padding += [before, after]
        sides = (padding[0], padding[1], padding[2], padding[3])
        return Window((height, width), (kernel[0], kernel[1]), (stride[0], stride[1]), sides)

    def conv(self, window: Window | None = None, channels: int | None = None) -> None:
        """A convolution of the current value, which is brought to few bits first if it is wide."""
        window = window or self.window((1, 3, 3, 5), (1, 1, 2))
        size = window.kernel[0] * window.kernel[1]
        if self.wide(size * self.type.channels):
            self.threshold()
        depth, groups = self.type.channels, 1
        if self.chance(3):
            groups = self.choose.choice([n for n in range(1, depth + 1) if depth % n == 0])
            groups = 1 if channels is not None and channels % groups else groups
        channels = channels or self.channels(groups)
        rng, shape = self.choose.rng(), (channels, *window.kernel, depth // groups)
        weights = rng.random(shape) < self.choose.choice((0.5, 0.5, 0.5, 0.9, 1.0))
        factors = self.factors(channels, weights[0].size) if self.chance(3) else ()
        if self.limits.integer_weights and self.chance(2):
            weights, factors = self.integer_weights(shape), ()
        pad = self.choose.choice((-1, 0, 0, 1)) if self.type.bit else 0
        name, stride, padding = self.name("conv"), window.stride, window.padding
        self.append(Conv2d(name, self.source, weights, stride, padding, pad, groups, *factors))

    def wide(self, terms: int) -> bool:
        """Whether sums of so many terms could pass the widest value, factors of 8 bits included."""
        return not self.type.bit and (self.magnitude() * terms).bit_length() > 14

    def border_classes(self) -> tuple[NDArray[np.int64], int]:
        """Classes of the positions of an image and their number: of its border, or any."""
        rows, columns = self.type.shape[:2]
        window = Window((rows, columns), (3, 3), (1, 1), (1, 1, 1, 1))
        if self.chance(2):
            return window.border_classes, len(window.classes)
        count = self.choose.integer(1, 4)
        return self.choose.rng().integers(0, count, (rows, columns)), count

    def threshold(self) -> None:
        if len(self.type.shape) < 3 or not self.chance(3):
            super().threshold()
            return
        levels = self.levels()
        (border_classes, classes), channels = self.border_classes(), self.type.channels
        cuts = self.cuts((classes * channels, levels)).reshape(classes, channels, levels)
        falling = self.choose.rng().random(channels) < self.choose.choice((0.0, 0.5, 1.0))
        base = self.base(levels)
        self.append(
            Threshold(self.name("threshold"), self.source, cuts, falling, border_classes, base)
        )

    def pool(self) -> None:
        """A pool, overlapping or not, of what is there; or every second row and column of it."""
        window = self.window((1, 2, 2, 3), (1, 2, 2, 3))
        geometry = (window.kernel, window.stride, window.padding)
        if self.chance(3) and not self.wide(8 * window.kernel[0] * window.kernel[1]):
            self.append(SumPool(self.name("sum_pool"), self.source, *geometry))
            return
        smallest = None
        if self.chance(2):
            smallest = self.choose.rng().random(self.type.channels) < 0.5
        self.append(MaxPool(self.name("max_pool"), self.source, *geometry, smallest))

    def rescale(self) -> None:
        """Multipliers of any sign, shifts and saturation, one slope or two."""
        rng, channels, t = self.choose.rng(), self.type.channels, self.type
        scale = 1 << self.choose.integer(0, 12)
        bits = self.choose.integer(3, 10)
        least = max(0, (self.magnitude() * scale).bit_length() - bits)
        shift = least + rng.integers(0, 1, channels, endpoint=True)
        multiplier, negative = rng.integers(-scale, scale, (2, channels), endpoint=True)
        border_classes, shape = None, (channels,)
        if len(t.shape) == 3 and self.chance(4):
            border_classes, classes = self.border_classes()
            shape = (classes, channels)
        bias = rng.integers(-1 << bits, 1 << bits, shape, endpoint=True) << shift
        bias += rng.integers(0, 1 << shift, shape)
        low, high = -STREAM, STREAM - 1
        if self.chance(2):
            low, high = (self.choose.integer(-1 << bits, 0), self.choose.integer(0, 1 << bits))
        slopes = negative if self.chance(2) else None
        name = self.name("rescale")
        self.append(
            Rescale(name, self.source, multiplier, bias, shift, low, high, slopes, border_classes)
        )

    def plain_block(self) -> None:
        """Convolution, activation and perhaps a pool, in front of the activation or behind it."""
        self.conv()
        if self.chance(4):
            self.pool()
        self.activation()
        if self.chance(3):
            self.pool()

    def shortcut_block(self) -> None:
        """A stream goes through a convolution and past it; both are added."""
        if self.type.bit or self.wide(16):
            self.conv(channels=self.channels())
        self.rescale()
        stream, shape = self.source, self.type.shape
        self.threshold()
        size = (shape[0], shape[1])
        if self.chance(2):
            self.conv(self.same(size))
            self.threshold()
        own = self.same(size, self.choose.choice((1, 1, 2)))
        grown = shape[2] if self.chance(2) else shape[2] + self.choose.integer(1, 2)
        self.conv(own, grown)
        self.rescale()
        branch = self.source
        self.source = stream
        self.past(own, grown)
        names = [branch, self.source]
        self.append(Add(self.name("add"), *(names[::-1] if self.chance(2) else names)))

    def concat_block(self) -> None:
        """A value and what a convolution makes of it, the channels of both side by side."""
        if not self.type.bit and self.wide(16):
            self.threshold()
        value, t = self.source, self.type
        if len(t.shape) == 3:
            self.conv(self.same((t.shape[0], t.shape[1])), self.channels())
        else:
            self.dot()
        self.alike(t.bit)
        names = [value, self.source]
        if self.chance(6):
            names = [self.source, self.source]
        self.append(Concat(self.name("concat"), *(names[::-1] if self.chance(2) else names)))
        if self.chance(2):
            channels = self.type.channels
            index = self.choose.rng().permutation(channels)
            kept = channels if self.chance(2) else self.choose.integer(1, channels)
            self.append(Select(self.name("select"), self.source, index[:kept]))

    def alike(self, bit: bool) -> None:
        """Sums as bits, or as small integers of any sign."""
        if bit:
            channels = self.type.channels
            falling = self.choose.rng().random(channels) < 0.3
            self.append(
                Threshold(self.name("bits"), self.source, self.cuts((channels, 1)), falling)
            )
        else:
            self.rescale()

    def same(self, size: tuple[int, int], stride: int = 1) -> Window:
        """A window with as many positions as the image has rows and columns, over the stride."""
        side = self.choose.choice((1, 3, 3, 5))
        edge = side // 2
        return Window(size, (side, side), (stride, stride), (edge, edge, edge, edge))

    def past(self, window: Window, channels: int) -> None:
        """The shortcut: as it is, subsampled or pooled, with more channels, projected, or one."""
        missing = channels - self.type.channels
        if self.chance(5):
            self.threshold()
            point = Window(window.size, (1, 1), window.stride)
            self.conv(point, 1 if self.chance(2) else channels)
            self.rescale()
            return
        if window.stride != (1, 1):
            if self.chance(2):
                self.append(MaxPool(self.name("every"), self.source, (1, 1), window.stride))
            else:
                odd = (window.size[0] % 2, window.size[1] % 2)
                pads = (0, odd[0], 0, odd[1])
                self.append(SumPool(self.name("mean"), self.source, (2, 2), (2, 2), pads))
        if missing:
            before = self.choose.integer(0, missing)
            self.append(ChannelPad(self.name("channel_pad"), self.source, before, missing - before))

    def finish(self) -> Graph:
        """The image itself, or its sums or elements in a line and perhaps a dense layer."""
        if self.chance(5):
            if self.chance(2):
                self.pool()
            self.append(Output(self.name("y"), self.source))
            return Graph(tuple(self.nodes))
        if self.chance(3) and not self.wide(self.type.size // self.type.channels):
            whole = (self.type.shape[0], self.type.shape[1])
            self.append(SumPool(self.name("sum_pool"), self.source, whole, whole))
        if self.type.channels > 1 and not self.type.bit and self.chance(3):
            self.threshold()
        self.append(Flatten(self.name("flatten"), self.source))
        if self.limits.concat and self.chance(3) and (self.type.bit or not self.too_wide()):
            self.concat_block()
        if self.type.bit or not self.chance(3):
            if self.wide(self.type.size):
                self.threshold()
            self.dot()
        return super().finish()


def build_conv_graph(choose: Chooser, limits: ConvLimits) -> Graph:
    """One convolutional network: input, one to ``max_depth`` blocks, an ending."""
    builder = ConvBuilder(choose, limits=limits)
    builder.begin()
    for _ in range(choose.integer(1, limits.max_depth)):
        if limits.concat and builder.chance(2):
            builder.concat_block()
        elif limits.shortcuts and builder.chance(3):
            builder.shortcut_block()
        else:
            builder.plain_block()
    return builder.finish()


def random_conv_graph(seed: int, **limits: Any) -> Graph:
    """The Graph of this seed; ``limits`` are fields of :class:`ConvLimits`."""
    return build_conv_graph(Seeded(np.random.default_rng(seed)), ConvLimits(**limits))


@st.composite
def conv_graphs(draw: st.DrawFn, /, **limits: Any) -> Graph:
    """Graphs; ``limits`` are fields of :class:`ConvLimits`."""
    return build_conv_graph(Drawn(draw), ConvLimits(**limits))

"""Stages of images, and of networks whose values have several readers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import Window as Geometry
from hwbnn.graph.arrays import Ints
from hwbnn.plan.stages import Stage, spaced
from hwbnn.plan.streams import Stream


@dataclass(frozen=True, eq=False)
class Window(Stage):
    """The windows of a kernel that slides over an image, a tap's elements a token (``window``).

    Attributes:
        geometry: where the window stands.
        chunks: tokens of a pixel.
        outer: groups of chunks; a window's taps come group by group, in each row by row, in each
            tap chunk by chunk.
        pad: what stands outside, the code of an element.
        slots: tokens kept, counted from the first tap of the window at hand, whether that is
            inside the image or not.
    """

    geometry: Geometry
    chunks: int
    outer: int
    pad: int
    slots: int

    @property
    def least_slots(self) -> int:
        """Those without which it stands still: from a window's first tap to its last.

        More where padding is wider than the kernel: places above and left of the image count.
        """
        (_, columns), (rows, wide) = self.geometry.size, self.geometry.kernel
        top, _, left, _ = self.geometry.padding
        return max((rows - 1) * columns + wide, top * columns + left + 1) * self.chunks

    @property
    def full_slots(self) -> int:
        """Those that let the tokens of the next window in while one is given.

        The window moves farthest from one row of windows, or one image, to the next.
        """
        (rows, columns), (down, right) = self.geometry.size, self.geometry.stride
        out_rows, out_columns = self.geometry.output
        across = (out_columns - 1) * right
        moves = [(rows - (out_rows - 1) * down) * columns - across]
        moves += [right] if out_columns > 1 else []
        moves += [down * columns - across] if out_rows > 1 else []
        # Three cycles pass from the end of a window until a token that it made room for is a tap.
        return self.least_slots + max(moves) * self.chunks + 3

    @property
    def holds(self) -> int:
        """The slots, and a row: taps are given a row of windows at a time."""
        return self.slots + self.geometry.size[1] * self.chunks

    @cached_property
    def taps(self) -> NDArray[np.int64]:
        """The token of the image that each token of a frame's windows is, -1 outside."""
        (rows, columns), (tall, wide) = self.geometry.size, self.geometry.kernel
        tops, lefts = self.geometry.origins(0), self.geometry.origins(1)
        row = (tops[:, None] + np.arange(tall))[:, None, None, :, None, None]
        column = (lefts[:, None] + np.arange(wide))[None, :, None, None, :, None]
        chunk = np.arange(self.chunks).reshape(1, 1, self.outer, 1, 1, -1)
        token = (row * columns + column) * self.chunks + chunk
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        return np.where(inside, token, -1).ravel()

    @cached_property
    def origins(self) -> NDArray[np.int64]:
        """The token, inside the image or not, of each window's first tap, and of the next image."""
        rows, columns = self.geometry.size
        tops, lefts = self.geometry.origins(0), self.geometry.origins(1)
        first = tops[:, None] * columns + lefts
        return np.append(first, rows * columns + first[0, 0]) * self.chunks

    def times(self, *offered: Ints) -> Ints:
        """A cycle to write a token and one to read it; nothing is early outside the image."""
        inside = self.taps >= 0
        return spaced(np.where(inside, offered[0][self.taps] + 2, 0))


@dataclass(frozen=True, eq=False)
class WindowUnrolled(Stage):
    """Whole windows, each as one token (``window_unrolled``).

    Attributes:
        geometry: where the window stands.
        pad: what stands outside, the code of an element.
    """

    geometry: Geometry
    pad: int

    @cached_property
    def grid(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Of each place that is walked, row by row: whether it is inside, and ends a window."""
        inside, ends = [], []
        for axis in (0, 1):
            size, before = self.geometry.size[axis], self.geometry.padding[2 * axis]
            step, kernel = self.geometry.stride[axis], self.geometry.kernel[axis]
            last = (self.geometry.output[axis] - 1) * step + kernel - 1
            place = np.arange(max(before + size, last + 1))
            inside.append((place >= before) & (place < before + size))
            behind = place - (kernel - 1)
            ends.append((behind >= 0) & (behind % step == 0) & (place <= last))
        return np.outer(*inside).ravel(), np.outer(*ends).ravel()

    @property
    def interval(self) -> int:
        """A cycle for each place."""
        return len(self.grid[0])

    @property
    def holds(self) -> int:
        """Rows above a pixel, pixels left of it, and a row of windows."""
        return (self.geometry.kernel[0] + 1) * self.geometry.size[1] + 3

    def times(self, *offered: Ints) -> Ints:
        """A cycle in the FIFO, and one for the token."""
        inside, ends = self.grid
        arrived = np.zeros(len(inside), np.int64)
        arrived[inside] = offered[0] + 1
        return (spaced(arrived) + 1)[ends]


@dataclass(frozen=True, eq=False)
class Fork(Stage):
    """One stream becomes several of the same tokens (``fork``).

    Attributes:
        value: the value that has several readers.
        depths: tokens that each branch can lag behind.
    """

    value: str
    depths: tuple[int, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """A stream a branch."""
        return tuple(f"{self.name}_{i}" for i in range(len(self.depths)))

    def with_depths(self, depths: tuple[int, ...]) -> Fork:
        """The same with other depths."""
        return replace(self, depths=depths)

    def times(self, *offered: Ints) -> Ints:
        """A cycle in the FIFO of a branch."""
        return offered[0] + 1


@dataclass(frozen=True, eq=False)
class Join(Stage):
    """Sums of the elements of two streams (``add``).

    Attributes:
        other: the second stream that it takes.
        repeat: 0 where tokens meet one by one; else ``other`` has one element a token, which is
            added to all elements of so many tokens of the first.
    """

    other: Stream
    repeat: int

    def times(self, *offered: Ints) -> Ints:
        """Two cycles after the later token."""
        one, other = offered
        if self.repeat:
            other = other[np.arange(len(one)) // self.repeat]
        return spaced(np.maximum(one, other) + 2)

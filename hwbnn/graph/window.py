"""Sliding windows: their positions, the taps inside the image, border classes of positions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwbnn.graph.arrays import Bools, Ints


@dataclass(frozen=True)
class Window:
    """The positions of a window on an image.

    Attributes:
        size: height and width of the image.
        kernel: rows and columns of the window.
        stride: steps of the window, ``(rows, columns)``.
        padding: rows and columns added around the image, ``(top, bottom, left, right)``.
    """

    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def output(self) -> tuple[int, int]:
        """Numbers of positions along rows and columns; 0 or less where the window does not fit.

        >>> Window((5, 6), (3, 3), (2, 2), (1, 1, 1, 1)).output
        (3, 3)
        """
        (height, width), (rows, columns) = self.size, self.kernel
        top, bottom, left, right = self.padding
        return (
            (height + top + bottom - rows) // self.stride[0] + 1,
            (width + left + right - columns) // self.stride[1] + 1,
        )

    @cached_property
    def inside_rows(self) -> Bools:
        """Which kernel rows lie inside the image, bool ``(output rows, kernel rows)``."""
        return self._inside(0)

    @cached_property
    def inside_columns(self) -> Bools:
        """Which kernel columns lie inside the image, bool ``(output columns, kernel columns)``."""
        return self._inside(1)

    def origins(self, axis: int) -> Ints:
        """The row (axis 0) or column (axis 1) of each position's first tap; negative in padding."""
        return np.arange(self.output[axis]) * self.stride[axis] - self.padding[2 * axis]

    def spans(self, axis: int) -> tuple[Ints, Ints]:
        """The distinct ranges of taps inside the image along one axis: starts, and exclusive ends.

        >>> Window((4, 4), (3, 3), padding=(1, 1, 1, 1)).spans(0)
        (array([0, 0, 1]), array([2, 3, 3]))
        """
        kernel, first = self.kernel[axis], self.origins(axis)
        ends = (-first).clip(0, kernel), (self.size[axis] - first).clip(0, kernel)
        pairs = np.unique(ends[0] * (kernel + 1) + ends[1])
        return pairs // (kernel + 1), pairs % (kernel + 1)

    def _inside(self, axis: int) -> Bools:
        taps = self.origins(axis)[:, None] + np.arange(self.kernel[axis])
        return (taps >= 0) & (taps < self.size[axis])

    @cached_property
    def classes(self) -> Bools:
        """The taps inside, by border class: bool ``(classes, kernel rows, kernel columns)``.

        Positions are of one class when the same taps lie inside the image. Classes are numbered
        from 0 in the order of their first positions, row by row.

        >>> Window((4, 4), (3, 3), padding=(1, 1, 1, 1)).classes.shape
        (9, 3, 3)
        """
        rows, columns = _first(self.inside_rows)[0], _first(self.inside_columns)[0]
        taps = rows[:, None, :, None] & columns[None, :, None, :]
        return taps.reshape(-1, *self.kernel)

    @cached_property
    def border_classes(self) -> Ints:
        """The border class of each position, int64 of shape :attr:`output`.

        >>> Window((4, 4), (3, 3), padding=(1, 1, 1, 1)).border_classes.tolist()
        [[0, 1, 1, 2], [3, 4, 4, 5], [3, 4, 4, 5], [6, 7, 7, 8]]
        """
        (_, rows), (masks, columns) = _first(self.inside_rows), _first(self.inside_columns)
        return rows[:, None] * len(masks) + columns[None, :]


def joined_classes(*maps: Ints | None) -> tuple[Ints | None, list[Ints]]:
    """Classes by several maps at once: positions share a class if they do so in every map.

    Args:
        maps: int64 ``(positions,)`` each, or None for a single class.

    Returns:
        The new class of each position, or None if there is only one; and for each map an int64
        array ``(new classes,)`` with the map's own class for each new class.
    """
    known = [m for m in maps if m is not None]
    if not known:
        return None, [np.zeros(1, np.int64) for _ in maps]
    pairs, places = np.unique(np.stack(known), axis=1, return_inverse=True)
    rows = iter(pairs)
    none = np.zeros(pairs.shape[1], np.int64)
    columns = [none if m is None else next(rows) for m in maps]
    return (None if pairs.shape[1] == 1 else places.ravel()), columns


def _first(masks: Bools) -> tuple[Bools, Ints]:
    """The distinct rows in order of appearance, and for each row its index among them."""
    seen: dict[bytes, int] = {}
    index = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in masks], np.int64)
    first = [int(np.argmax(index == k)) for k in range(len(seen))]
    return masks[first], index

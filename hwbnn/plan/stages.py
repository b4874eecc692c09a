"""Stages: the parts of a circuit between two handshakes, and their timing without stalls.

Given the cycles in which a frame's tokens are offered to a stage, it computes the cycles in which
it offers its own. It assumes a single frame, and that everything behind it is ready. These times
give the credits that a free-running pipeline needs, and the latency where no storage is too small
for a frame; the token model in :mod:`hwbnn.estimate` is always exact.

Stages take the streams of other stages, by name, and drive streams of their own: a circuit is a
graph of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import Window
from hwbnn.graph.arrays import Ints
from hwbnn.plan.blocks import Block
from hwbnn.plan.products import DotFolded
from hwbnn.plan.tokens import TokenStream


def spaced(least: Ints, apart: int = 1) -> Ints:
    """The earliest cycles, none before those of ``least``, that are ``apart`` cycles or more apart.

    >>> spaced(np.array([0, 0, 5])).tolist(), spaced(np.array([0, 0, 5]), 2).tolist()
    ([0, 1, 5], [0, 2, 5])
    """
    even = apart * np.arange(len(least))
    return np.maximum.accumulate(least - even) + even


@dataclass(frozen=True, eq=False)
class Stage:
    """The base of all stages.

    Attributes:
        name: name of its instance and of the stream that it drives.
        source: layout of the first stream that it takes.
        result: layout of the streams that it drives.
        inputs: names of the streams that it takes.
    """

    name: str
    source: TokenStream
    result: TokenStream
    inputs: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the streams that it drives."""
        return (self.name,)

    @property
    def interval(self) -> int:
        """Cycles for which a frame keeps it busy."""
        return max(self.source.tokens, self.result.tokens)

    @property
    def holds(self) -> int:
        """The most tokens of its source that it can have taken and not yet given."""
        return 2

    def times(self, *offered: Ints) -> Ints:
        """The cycles in which it offers its tokens, if its sources offer theirs in ``offered``."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class AxisIn(Stage):
    """The border where frames arrive, a token a beat (``axis_in``).

    Attributes:
        beat: bits of ``s_axis_tdata``.
    """

    beat: int

    def times(self, *offered: Ints) -> Ints:
        """One cycle after each beat."""
        return offered[0] + 1


@dataclass(frozen=True, eq=False)
class AxisOut(Stage):
    """The border where frames leave, a beat a token (``axis_out``).

    Attributes:
        beat: bits of ``m_axis_tdata``.
    """

    beat: int

    @property
    def outputs(self) -> tuple[str, ...]:
        """None: frames leave the circuit."""
        return ()

    def times(self, *offered: Ints) -> Ints:
        """In the same cycle."""
        return offered[0]


def parts_of(narrow: TokenStream, wide: TokenStream, ratio: int) -> Ints:
    """For each narrow token of a frame, the wide token that it is a part of."""
    unit, part = np.divmod(np.arange(narrow.tokens), narrow.unit_tokens)
    return np.asarray(unit * wide.unit_tokens + part // ratio)


@dataclass(frozen=True, eq=False)
class Widen(Stage):
    """Narrow tokens become wide ones (``stream_up``)."""

    @property
    def ratio(self) -> int:
        """Narrow tokens in a wide one; the last of a frame or vector may have fewer."""
        return min(-(-self.result.lanes // self.source.lanes), self.tokens)

    @property
    def tokens(self) -> int:
        """Narrow tokens of a frame, or of each vector of it."""
        return self.source.unit_tokens

    @property
    def wide(self) -> Ints:
        """For each narrow token of a frame, the wide one that it becomes part of."""
        return parts_of(self.source, self.result, self.ratio)

    @property
    def ends(self) -> Ints:
        """The last narrow token in each wide one."""
        return np.append(np.flatnonzero(np.diff(self.wide)), self.source.tokens - 1)

    @property
    def holds(self) -> int:
        """One wide token and one narrow token kept aside."""
        return self.ratio + 1

    def times(self, *offered: Ints) -> Ints:
        """One cycle after the last narrow token of each wide token."""
        return np.asarray(offered[0][self.ends] + 1)


@dataclass(frozen=True, eq=False)
class Narrow(Stage):
    """Wide tokens become narrow ones (``stream_down``)."""

    @property
    def ratio(self) -> int:
        """Narrow tokens in a wide one; the last of a frame or vector may have fewer."""
        return min(-(-self.source.lanes // self.result.lanes), self.tokens)

    @property
    def tokens(self) -> int:
        """Narrow tokens of a frame, or of each vector of it."""
        return self.result.unit_tokens

    @property
    def wide(self) -> Ints:
        """For each narrow token of a frame, the wide one that it is part of."""
        return parts_of(self.result, self.source, self.ratio)

    @property
    def begins(self) -> Ints:
        """The first narrow token in each wide one."""
        return np.append(0, np.flatnonzero(np.diff(self.wide)) + 1)

    def times(self, *offered: Ints) -> Ints:
        """One a cycle; a wide token is taken when at most one narrow token is still to be given."""
        return spaced(offered[0][self.wide] + 1)


@dataclass(frozen=True, eq=False)
class Pipeline(Stage):
    """A free-running pipeline: its head, blocks, and a FIFO as deep as the head's credits.

    The head is a folded product, or else a gate (``credit_gate``) in front of the first block.

    Attributes:
        blocks: in order; only the first can be a folded product.
        credits: results that may be under way or wait in the FIFO.
    """

    blocks: tuple[Block, ...]
    credits: int

    @property
    def head(self) -> DotFolded | None:
        """The folded product that lets tokens in, if there is one."""
        first = self.blocks[0]
        return first if isinstance(first, DotFolded) else None

    @property
    def latency(self) -> int:
        """Cycles from the entry of a token until its result reaches the FIFO."""
        return sum(block.latency for block in self.blocks)

    @property
    def tokens_per_result(self) -> int:
        """Tokens, or passes of a folded product, that are combined into one result."""
        return int(np.prod([block.tokens_per_result for block in self.blocks]))

    @property
    def reduces(self) -> bool:
        """Whether several tokens are combined into one."""
        return self.tokens_per_result > 1

    @property
    def interval(self) -> int:
        """Cycles of a folded product at the head, or else tokens of a frame."""
        return self.head.cycles if self.head else self.source.tokens

    @property
    def holds(self) -> int:
        """Tokens in the buffer of a folded product, and tokens whose results are under way."""
        results = self.credits * -(-self.source.tokens // self.result.tokens)
        return results + (self.head.buffer_tokens if self.head else 0)

    def entries(self, offered: Ints) -> Ints:
        """The cycles in which tokens, or the last steps of passes, enter the pipeline."""
        if self.head is None:
            return offered
        steps, rounds, passes = self.head.steps, self.head.rounds, self.head.passes
        # The first round reads tokens as they arrive; the next vector waits for the last round.
        lags = np.arange(steps, 0, -1)
        arrived = (offered.reshape(-1, steps) + lags).max(axis=1)
        first = spaced(arrived, passes * rounds * steps)
        ends = ((np.arange(passes) + 1) * rounds - 1) * steps
        return np.asarray(first[:, None] + ends).ravel()

    def times(self, *offered: Ints) -> Ints:
        """After the pipeline's latency, and one cycle in the FIFO."""
        return (
            self.entries(offered[0])[self.tokens_per_result - 1 :: self.tokens_per_result]
            + self.latency
            + 1
        )

    def with_credits(self, offered: Ints, interval: int) -> Pipeline:
        """The Pipeline with the fewest credits that let every token in at once.

        A credit is taken when a result's first token enters, and is free again in the cycle after
        the result left the FIFO. So it needs as many credits as such times overlap.

        Args:
            offered: cycles in which the tokens of a single frame are offered.
            interval: cycles between frames.
        """
        taken = self.entries(offered)[:: self.tokens_per_result]
        return replace(self, credits=_overlaps(taken, self.times(offered) + 1, interval))


def _overlaps(starts: Ints, ends: Ints, interval: int) -> int:
    """The most times ``[start, end)`` that overlap, if all repeat every ``interval`` cycles."""
    longest = int((ends - starts).max())
    frames = -(-(longest + int(starts[-1] - starts[0])) // interval) + 1
    later = interval * np.arange(frames)[:, None]
    begun = np.sort((starts + later).ravel())
    ended = np.sort((ends + later).ravel())
    still = np.arange(1, len(begun) + 1) - np.searchsorted(ended, begun, side="right")
    return int(still.max())


# ---- Images, and values with several readers ----


@dataclass(frozen=True, eq=False)
class SlidingWindow(Stage):
    """The windows of a kernel that slides over an image, one chunk of a tap a token (``window``).

    Attributes:
        geometry: the windows.
        chunks: tokens of a pixel.
        outer: groups of chunks; the taps of a window come group by group, in each group row by row,
            and in each tap chunk by chunk.
        pad: the code of elements outside the image.
        buffer_tokens: tokens that are kept, counted from the first tap of the current window, or of
            a later window that begins before it, even where that tap is outside the image.
    """

    geometry: Window
    chunks: int
    outer: int
    pad: int
    buffer_tokens: int

    @property
    def least_buffer_tokens(self) -> int:
        """The fewest buffer tokens without a deadlock: from a window's first tap to its last.

        More are needed where padding is wider than the kernel: positions above and left of the
        image count too, and so do tokens kept for later windows that begin earlier.
        """
        (_, columns), (rows, wide) = self.geometry.size, self.geometry.kernel
        top, _, left, _ = self.geometry.padding
        least = max((rows - 1) * columns + wide, top * columns + left + 1) * self.chunks
        return least + int((self.origins - self.kept).max())

    @property
    def full_buffer_tokens(self) -> int:
        """The buffer tokens with which the next window's tokens enter while a window is given.

        The window moves farthest from one row of windows, or one image, to the next.
        """
        (rows, columns), (down, right) = self.geometry.size, self.geometry.stride
        out_rows, out_columns = self.geometry.output
        across = (out_columns - 1) * right
        moves = [(rows - (out_rows - 1) * down) * columns - across]
        moves += [right] if out_columns > 1 else []
        moves += [down * columns - across] if out_rows > 1 else []
        # A token that gets room at the end of a window can be a tap three cycles later.
        return self.least_buffer_tokens + max(moves) * self.chunks + 3

    @property
    def holds(self) -> int:
        """The buffer, and a row of the image, since taps are given a row of windows at a time."""
        return self.buffer_tokens + self.geometry.size[1] * self.chunks

    @cached_property
    def taps(self) -> NDArray[np.int64]:
        """For each token of a frame's windows, the token of the image; -1 outside the image."""
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
        """The token of each window's first tap, and of the next image's; it may be outside."""
        rows, columns = self.geometry.size
        tops, lefts = self.geometry.origins(0), self.geometry.origins(1)
        first = tops[:, None] * columns + lefts
        return np.append(first, rows * columns + first[0, 0]) * self.chunks

    @cached_property
    def kept(self) -> NDArray[np.int64]:
        """The first token that is kept during each window, and during the next image's first.

        That is the first tap of the window, or of a later window that begins before it: windows go
        back where padding is wider than the kernel.
        """
        images = 2 + int(np.ptp(self.origins)) // self.source.tokens
        later = self.origins[:-1] + np.arange(images)[:, None] * self.source.tokens
        earliest = np.minimum.accumulate(later.ravel()[::-1])[::-1]
        return np.asarray(earliest[: len(self.origins)])

    def times(self, *offered: Ints) -> Ints:
        """One cycle to write a token and one to read it; taps outside the image do not wait."""
        inside = self.taps >= 0
        return spaced(np.where(inside, offered[0][self.taps] + 2, 0))


@dataclass(frozen=True, eq=False)
class WindowUnrolled(Stage):
    """Whole windows, each as one token (``window_unrolled``).

    Attributes:
        geometry: the windows.
        pad: the code of elements outside the image.
    """

    geometry: Window
    pad: int

    @cached_property
    def grid(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """For each position visited, row by row: is it inside the image, does it end a window?"""
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
        """One cycle for each position visited."""
        return len(self.grid[0])

    @property
    def holds(self) -> int:
        """Rows above a pixel, pixels left of it, and a row of windows."""
        return (self.geometry.kernel[0] + 1) * self.geometry.size[1] + 3

    def times(self, *offered: Ints) -> Ints:
        """One cycle in the FIFO, and one for the register of the window."""
        inside, ends = self.grid
        arrived = np.zeros(len(inside), np.int64)
        arrived[inside] = offered[0] + 1
        return (spaced(arrived) + 1)[ends]


@dataclass(frozen=True, eq=False)
class Fork(Stage):
    """One stream becomes several of the same tokens (``fork``).

    Attributes:
        value: the value that has several readers.
        depths: tokens that the FIFO of each branch holds.
    """

    value: str
    depths: tuple[int, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """One stream for each branch."""
        return tuple(f"{self.name}_{i}" for i in range(len(self.depths)))

    def with_depths(self, depths: tuple[int, ...]) -> Fork:
        """The same with other depths."""
        return replace(self, depths=depths)

    def times(self, *offered: Ints) -> Ints:
        """One cycle in the FIFO of a branch."""
        return offered[0] + 1


@dataclass(frozen=True, eq=False)
class AddStreams(Stage):
    """Sums of the elements of two streams (``add``).

    Attributes:
        other: the second stream that it takes.
        repeat: 0 if tokens are added one to one; otherwise ``other`` has one element a token, which
            is added to all elements of ``repeat`` tokens of the first stream.
    """

    other: TokenStream
    repeat: int

    def times(self, *offered: Ints) -> Ints:
        """Two cycles after the later token."""
        one, other = offered
        if self.repeat:
            other = other[np.arange(len(one)) // self.repeat]
        return spaced(np.maximum(one, other) + 2)

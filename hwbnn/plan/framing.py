"""The model of a core's input: how the beats that are sent to it are divided into frames.

For any sequence of packets, of right or wrong length, it says how many frames come out, which of
them are complete, where ``tlast`` is at the output, and how often ``error_o`` is high. The rules
are those of ``rtl/hwbnn_axis_in.sv``, ``hwbnn_axis_in_counted.sv`` and ``hwbnn_axis_in_batch.sv``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph.arrays import Ints
from hwbnn.plan.plan import Framing


@dataclass(frozen=True)
class Frames:
    """The frames of a sequence of beats.

    Attributes:
        begins: int64 array ``(frames,)``: the number of each frame's first beat.
        lengths: int64 array ``(frames,)``: beats of each frame that were sent; a core fills up
            frames with fewer than ``tokens`` beats with zero beats.
        last: bool array ``(frames,)``: whether ``tlast`` is on the frame's last beat at the output.
        errors: the number of cycles in which ``error_o`` is high.
        tokens: beats of a whole frame.
    """

    begins: Ints
    lengths: Ints
    last: NDArray[np.bool_]
    errors: int
    tokens: int

    def __len__(self) -> int:
        """The number of frames that come out."""
        return len(self.begins)

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Bool array ``(frames,)``: whether all beats of a frame were sent."""
        return np.asarray(self.lengths == self.tokens)

    def firsts(self, beats: int) -> NDArray[np.uint8]:
        """uint8 array ``(beats,)``: 1 where a beat begins a frame."""
        firsts = np.zeros(beats, np.uint8)
        firsts[self.begins] = 1
        return firsts

    def beats(self, sent: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The beats of each frame as the core computes it.

        Args:
            sent: uint8 array ``(beats, bytes)``.

        Returns:
            uint8 array ``(frames, tokens, bytes)``, zero where a beat is missing.
        """
        offsets = np.arange(self.tokens)
        own = offsets < self.lengths[:, None]
        numbers = np.where(own, self.begins[:, None] + offsets, 0)
        padded = np.concatenate([sent, np.zeros((1, sent.shape[1]), np.uint8)])
        return np.where(own[..., None], padded[numbers], np.uint8(0))


def frames_of(framing: Framing, last: NDArray[np.uint8], tokens: int) -> Frames:
    """The frames into which a core divides a sequence of beats.

    - ``packet``: each packet gives one frame. A short packet is filled up, and the surplus beats of
      a long packet are dropped; both are errors.
    - ``counted``: each ``tokens`` beats are a frame; there are no errors.
    - ``batch``: a packet gives as many frames as it has beats for. If its last frame lacks beats,
      the frame is filled up, which is an error. ``tlast`` is on the packet's last frame alone.

    Beats behind the last ``tlast`` give only whole frames, with ``packet`` at most one.

    Args:
        framing: how the core tells frames apart.
        last: uint8 array ``(beats,)``: ``tlast`` of each beat.
        tokens: beats of a frame.
    """
    if framing == "counted":
        begins = tokens * np.arange(len(last) // tokens)
        return Frames(begins, np.full_like(begins, tokens), np.ones(len(begins), bool), 0, tokens)
    ends = np.flatnonzero(last) + 1
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(ends)]
    sizes = ends - starts
    open_at = int(ends[-1]) if len(ends) else 0
    rest = len(last) - open_at
    if framing == "packet":
        errors = int((sizes != tokens).sum())
        if rest >= tokens:  # tlast is missing on the last beat of the frame
            starts, sizes = np.append(starts, open_at), np.append(sizes, tokens)
            errors += 1
        return Frames(starts, np.minimum(sizes, tokens), np.ones(len(starts), bool), errors, tokens)
    counts = -(-sizes // tokens)
    ended = np.cumsum(counts)
    within = np.arange(int(counts.sum())) - np.repeat(ended - counts, counts)
    begins = np.repeat(starts, counts) + tokens * within
    lengths = np.minimum(np.repeat(starts + sizes, counts) - begins, tokens)
    closing = np.zeros(len(begins), bool)
    closing[ended - 1] = True
    more = open_at + tokens * np.arange(rest // tokens)
    return Frames(
        np.concatenate([begins, more]),
        np.concatenate([lengths, np.full_like(more, tokens)]),
        np.concatenate([closing, np.zeros(len(more), bool)]),
        int((sizes % tokens != 0).sum()),
        tokens,
    )


def packed(framing: Framing, frames: int, tokens: int, seed: int) -> NDArray[np.uint8]:
    """``tlast`` of each beat, uint8 ``(frames * tokens,)``, for a source that sends whole frames.

    A packet has one frame, or with ``batch`` a random number of frames; with ``counted`` it ends
    at random beats. The last beat always ends a packet.
    """
    last = np.zeros(frames * tokens, np.uint8)
    rng = np.random.default_rng(seed)
    if framing == "counted":
        last[:] = rng.random(len(last)) < rng.choice((0.0, 0.1, 0.9))
    elif framing == "batch":
        last[tokens - 1 :: tokens] = rng.random(frames) < rng.choice((0.2, 0.5, 1.0))
    else:
        last[tokens - 1 :: tokens] = 1
    last[-1:] = 1
    return last

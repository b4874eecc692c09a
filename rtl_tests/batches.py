"""Packets of several frames for the border of batches, and what must come out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwbnn.plan.framing import frames_of
from rtl_tests.bench import Found, ModuleBench, random_tokens

BENCH = {"axis": ("source", "sink"), "error": True}


@dataclass(frozen=True)
class Batch:
    """Packets of these lengths in beats.

    Attributes:
        lengths: beats of each packet.
        beats: of a frame.
        beat: bits of ``tdata``.
        width: low bits of it that carry elements.
        last_used: the same of a frame's last beat, at the output.
    """

    lengths: Sequence[int]
    beats: int
    beat: int
    width: int
    last_used: int = 5

    def parameters(self, frames: int) -> dict[str, int]:
        """Those of the wrapper; ``frames`` is how many the output can know of."""
        return {
            "Beat": self.beat,
            "Width": self.width,
            "LastUsed": self.last_used,
            "Beats": self.beats,
            "Frames": frames,
        }

    def check(self, border: ModuleBench, **options: Any) -> Found:
        """Run it, and require the frames, ``tlast`` and ``tkeep`` that there must be."""
        sent = random_tokens(3, sum(self.lengths), self.beat)
        last = [int(i == n - 1) for n in self.lengths for i in range(n)]
        frames = frames_of("batch", np.array(last, np.uint8), self.beats)
        size = -(-self.beat // 8)
        data = np.frombuffer(b"".join(t.to_bytes(size, "little") for t in sent), np.uint8)
        tokens = frames.beats(data.reshape(-1, size)).reshape(-1, size)
        used = [self.width] * (self.beats - 1) + [self.last_used]
        expected = [
            int.from_bytes(t.tobytes(), "little") % (1 << used[i % self.beats])
            for i, t in enumerate(tokens)
        ]
        # All bits of a beat are compared: unused ones are zero.
        found = border.check(sent, expected, (self.beat, self.beat), last=last, **options)
        ends = [False] * (self.beats - 1) + [True]
        assert found.last == [end and closing for closing in frames.last for end in ends]
        kept = [self.beat // 8] * (self.beats - 1) + [-(-self.last_used // 8)]
        assert found.keep == [(1 << n) - 1 for n in kept] * len(frames)
        return found

"""The input and the record of a bench, the same for all simulators.

The C++ driver and the cocotb bench read the same files (beats, ends of packets, stall patterns) and
write the same files (tokens of every tap, beats of the output, cycles). This module writes the
former and reads the latter, so that the same code checks both benches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import ValueType
from hwbnn.graph.arrays import Array, Bools
from hwbnn.plan.framing import Frames, frames_of, packed
from hwbnn.verification.core import Core

_ALWAYS: Bools = np.ones(1, np.bool_)


@dataclass(frozen=True)
class Stalls:
    """Patterns of the cycles in which source and sink do not stall; both repeat for ever.

    The source offers its next beat in the first True cycle after the core took the last one, and
    holds it until the core takes it. The sink is ready in exactly the True cycles.

    Attributes:
        source: bool array ``(cycles,)``, at least one True.
        sink: bool array ``(cycles,)``, at least one True.
    """

    source: Bools = field(default_factory=_ALWAYS.copy)
    sink: Bools = field(default_factory=_ALWAYS.copy)

    @classmethod
    def random(cls, seed: int) -> Stalls:
        """Bursts and gaps of random mean lengths; the lengths of the patterns are coprime."""
        rng = np.random.default_rng(seed)
        return cls(_bursts(rng, 1009), _bursts(rng, 997))

    @property
    def none(self) -> bool:
        """Whether neither side ever stalls."""
        return bool(self.source.all() and self.sink.all())


def _bursts(rng: np.random.Generator, length: int) -> Bools:
    willing, idle = rng.choice((1, 2, 4, 16), 2)
    runs = rng.geometric((1 / willing, 1 / idle), (length, 2)).ravel()
    pattern = np.repeat(np.arange(len(runs)) % 2 == 0, runs)[:length]
    return np.asarray(np.roll(pattern, rng.integers(length)))


@dataclass(frozen=True)
class Stimulus:
    """The inputs of one run of a bench.

    Attributes:
        beats: uint8 array ``(n, bytes of a beat)``.
        last: uint8 array ``(n,)``: 1 where a beat ends a packet.
        stalls: when source and sink stall.
        cut: if not 0, the beats are first sent for this many cycles, and a reset follows.
        seed: seed of the values that registers have before reset.
        keep: uint8 array ``(n, ceil(bytes / 8))``: ``tkeep`` of each beat; all ones by default.
    """

    beats: NDArray[np.uint8]
    last: NDArray[np.uint8]
    stalls: Stalls = field(default_factory=Stalls)
    cut: int = 0
    seed: int = 1
    keep: NDArray[np.uint8] | None = None

    @classmethod
    def of_frames(cls, core: Core, x: Array, **options: Any) -> Stimulus:
        """The frames of inputs ``(frames, *shape)``, back to back, in packets of right length."""
        beats = core.input.pack(x).reshape(-1, core.input.bytes)
        seed = options.get("seed", 1)
        last = packed(core.plan.framing, len(x), core.input.tokens, seed)
        return cls(beats, last, **options)

    def frames(self, core: Core) -> Frames:
        """The frames into which the core divides the beats."""
        return frames_of(core.plan.framing, self.last, core.input.tokens)

    def write(self, folder: Path, frame: int, frames: Frames | None = None) -> dict[str, int]:
        """Write the arrays into ``folder``, one file each.

        Args:
            folder: where the bench reads them.
            frame: cycles within which a correct core makes a transfer, if nothing stalls it.
            frames: the frames of the beats; by default each packet is one.

        Returns:
            The numbers that a bench takes besides the files, by name.
        """
        sent = len(self.beats)
        frames = frames or frames_of("packet", self.last, 1)
        arrays = {
            "beats": self.beats,
            "last": self.last,
            "first": frames.firsts(sent),
            "keep": _all_kept(self.beats.shape) if self.keep is None else self.keep,
            "source": self.stalls.source,
            "sink": self.stalls.sink,
        }
        for name, array in arrays.items():
            array.astype(np.uint8).tofile(folder / f"{name}.bin")
        pause = len(self.stalls.source) + len(self.stalls.sink)
        frame += pause
        numbers = {"frames": len(frames), "cut": self.cut, "seed": self.seed}
        # The bench stops after `limit` cycles without a transfer, longer than in any correct core.
        # After the last frame it runs for `drain` more cycles, to see that nothing else comes out.
        return numbers | {"limit": 1000 + 4 * frame, "drain": 64 + frame}


@dataclass(frozen=True)
class Record:
    """The record of one run of a bench.

    Attributes:
        values: each tapped value and the output, ``(frames, *shape)``; fewer frames than were sent
            if tokens are missing.
        starts: int64 ``(frames,)``: cycle in which the core took the first beat of each frame,
            counted from the end of reset.
        ends: int64 ``(frames,)``: cycle in which the sink took the last beat of each output frame.
        cycles: the number of cycles simulated.
        error: the first cycle in which ``error_o`` was high; None if never.
        errors: the number of cycles in which ``error_o`` was high.
        faults: violations of the stream rules, in words; none for a correct core.
        most: the most words that each FIFO held, by the stream that it drives.
        seconds: wall-clock time of the simulation.
    """

    values: Mapping[str, Array]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    cycles: int
    error: int | None
    faults: tuple[str, ...]
    most: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    errors: int = 0


def _all_kept(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.packbits(np.ones(shape, np.uint8), axis=1, bitorder="little")


def read_record(folder: Path, core: Core, frames: Frames) -> Record:
    """Read the files that a bench wrote into ``folder`` in a run on ``frames`` frames."""
    sent = len(frames)
    result, types = read_result(folder), core.graph.types
    faults = list(result.faults)
    values: dict[str, Array] = {}
    for tap in core.taps:
        name = f"tap_{tap.value}"
        tokens = read_tokens(folder / f"{name}.bin", tap.bytes, tap.tokens)
        values[tap.value] = tap.unpack(tokens, types[tap.value])
        if result.counts[name] != sent * tap.tokens:
            faults.append(
                f"{name}: expected {sent * tap.tokens} tokens, found {result.counts[name]}"
            )
    out, t = core.output, types[core.output.value]
    tokens = read_tokens(folder / "m_axis.bin", out.bytes, out.tokens)
    values[out.value] = out.unpack(tokens, t)
    if result.counts["m_axis"] != sent * out.tokens:
        faults.append(
            f"m_axis: expected {sent * out.tokens} beats, found {result.counts['m_axis']}"
        )
    faults += _check_border(folder, core, tokens, t, frames.last)
    starts, ends = (np.fromfile(folder / f"{n}.bin", "<i8") for n in ("starts", "ends"))
    return Record(
        values, starts, ends, result.cycles, result.error, tuple(faults), result.most,
        errors=result.errors,
    )  # fmt: skip


@dataclass(frozen=True)
class Result:
    """The contents of ``result.txt``: cycles, tokens of each stream, fills, errors, faults."""

    cycles: int
    error: int | None
    counts: Mapping[str, int]
    most: Mapping[str, int]
    faults: tuple[str, ...]
    errors: int = 0


def read_result(folder: Path) -> Result:
    """Read ``result.txt``, which the bench wrote into ``folder``."""
    lines = (folder / "result.txt").read_text().splitlines()
    words = [line.split() for line in lines]
    counts, most = ({w[1]: int(w[2]) for w in words if w[0] == k} for k in ("tokens", "most"))
    where = next(i for i, w in enumerate(words) if w[0] == "faults")
    faults = lines[where + 1 :]
    unlisted = int(words[where][1]) - len(faults)
    if unlisted:
        faults.append(f"and {unlisted} more")
    error, errors = (int(word) for word in words[1][1:])
    first = None if error < 0 else error
    return Result(int(words[0][1]), first, counts, most, tuple(faults), errors)


def read_tokens(path: Path, size: int, a_frame: int = 1) -> NDArray[np.uint8]:
    """The recorded tokens of whole frames, uint8 ``(tokens, bytes)``, as a memory map of the file.

    Args:
        path: the file.
        size: bytes of a token.
        a_frame: tokens of a frame.
    """
    count = path.stat().st_size // size // a_frame * a_frame
    if count == 0:
        return np.zeros((0, size), np.uint8)
    return np.memmap(path, np.uint8, "r", shape=(count, size))


def _check_border(
    folder: Path, core: Core, tokens: Array, t: ValueType, ended: NDArray[np.bool_]
) -> list[str]:
    """Check tlast and tkeep (if the core has them) and unused bits; returns the faults."""
    out = core.output
    frames = len(tokens) // out.tokens
    last = np.zeros((frames, out.tokens, 1), np.uint8)
    last[:, -1, 0] = ended[:frames]
    # All beats are full, except that the last beat keeps only the bytes that hold elements.
    kept = np.ones((out.tokens, out.bytes), np.uint8)
    kept[-1, -(-out.used[-1] // 8) :] = 0
    keep = np.packbits(kept, axis=1, bitorder="little")
    wrong = {"unused bits": out.stray(tokens, t)}
    for what, wanted in (("tlast", last), ("tkeep", keep[None])):
        path = folder / f"m_axis_{what}.bin"
        if path.exists():
            size = wanted[0].size if len(wanted) else 1
            bits = np.fromfile(path, np.uint8)[: frames * size]
            wrong[what] = (bits.reshape(frames, *wanted.shape[1:]) != wanted).any(axis=(1, 2))
    return [
        f"m_axis: {what} wrong in frame {int(np.argmax(bad))}"
        for what, bad in wrong.items()
        if bad.any()
    ]

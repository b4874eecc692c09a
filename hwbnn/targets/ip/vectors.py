"""The vectors of a core: input beats, and what must come out, as its benches read them.

The samples are corner values, the frame that the README shows, and random numbers made from the
Graph's digest. They test a core; they are no data set. Behind them stand packets of wrong lengths
(see :mod:`hwbnn.plan.framing`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import InputError
from hwbnn.graph import Conv2d, Dot, Graph, Node, ValueType
from hwbnn.graph.arrays import Array
from hwbnn.graph.fields import shown
from hwbnn.plan import Framing, Tap
from hwbnn.plan.framing import Frames, frames_of
from hwbnn.plan.stages import AxisIn, AxisOut
from hwbnn.plan.wire import WireLayout
from hwbnn.simulators import simulate
from hwbnn.targets.rtl import Design

FORMAT = 1
SAMPLES = 32
"""Samples of a core, if it is not too large for the slowest simulator."""
LEAST = 4
CYCLES = 20_000
WEIGHTS = 4_000_000
"""Limits of cycles and of weights times samples in a run of a bench, unless LEAST is above them."""
LIMIT = 4096
"""The most samples that can be asked for."""
_MULTIPLIER = np.uint32(0x9E3779B1)


@dataclass(frozen=True)
class Vectors:
    """The vectors of one core.

    Attributes:
        design: the core.
        samples: bool or int64 array ``(samples, *shape)``: frames in packets of right length.
    """

    design: Design
    samples: Array

    @classmethod
    def of(cls, design: Design, samples: int | None = None) -> Vectors:
        """The vectors of a core.

        Args:
            design: the core.
            samples: how many samples; by default SAMPLES, fewer if the core is large or slow.

        Raises:
            InputError: if ``samples`` is not from 1 to LIMIT.
        """
        if samples is None:
            interval = design.predicted.interval or design.predicted.latency
            weights = sum(n.weights.size for n in design.circuit.graph.nodes if _weighs(n))
            most = min(CYCLES / interval, WEIGHTS / max(1, weights))
            samples = max(LEAST, min(SAMPLES, int(most)))
        if isinstance(samples, bool) or not isinstance(samples, int) or not 0 < samples <= LIMIT:
            raise InputError(f"vectors: expected 1 to {LIMIT} samples, found {shown(samples)}")
        graph = design.circuit.graph
        return cls(design, _samples(graph, samples))

    @cached_property
    def input(self) -> WireLayout:
        """The layout of a frame on ``s_axis``."""
        stage = self.design.circuit.stages[0]
        assert isinstance(stage, AxisIn)
        return layout(stage, self.design.circuit.graph.input.name)

    @cached_property
    def output(self) -> WireLayout:
        """The layout of a frame on ``m_axis``."""
        stage = self.design.circuit.stages[-1]
        assert isinstance(stage, AxisOut)
        return layout(stage, self.design.circuit.graph.output.name)

    @cached_property
    def taps(self) -> tuple[Tap, ...]:
        """The values inside the core that a bench can see, the output left out."""
        circuit = self.design.circuit
        return tuple(t for v, t in circuit.taps.items() if v != circuit.graph.output.name)

    @cached_property
    def sent(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The beats, uint8 ``(beats, bytes)``, and ``tlast`` of each, uint8 ``(beats,)``."""
        framing, tokens = self.design.circuit.plan.framing, self.input.tokens
        lengths = [*_right(framing, len(self.samples), tokens), *_wrong(framing, tokens)]
        last = np.zeros(sum(lengths), np.uint8)
        last[np.cumsum(lengths) - 1] = 1
        if framing == "counted":  # tlast may be anything
            last = np.resize(np.array([0, 1, 0, 0, 1, 1, 1, 0, 0], np.uint8), len(last))
        # Each packet begins with the first beat of a sample.
        counts = [-(-length // tokens) for length in lengths]
        frames = np.resize(self.samples, (sum(counts), *self.samples.shape[1:]))
        beats = self.input.pack(frames).reshape(-1, self.input.bytes)
        ends = np.cumsum(counts) * tokens
        kept = [
            beats[end - count * tokens :][:length]
            for end, count, length in zip(ends, counts, lengths, strict=True)
        ]
        return np.concatenate(kept), last

    @cached_property
    def frames(self) -> Frames:
        """The frames into which the core divides all beats."""
        return frames_of(self.design.circuit.plan.framing, self.sent[1], self.input.tokens)

    @cached_property
    def values(self) -> dict[str, Array]:
        """Every value of each frame by name; a frame that is not whole has those of a sample."""
        circuit = self.design.circuit
        t = circuit.graph.types[circuit.graph.input.name]
        beats = self.frames.beats(self.sent[0])
        x = self.input.unpack(beats.reshape(-1, self.input.bytes), t)
        x[~self.frames.whole] = self.samples[0]
        return simulate(circuit.graph, x, trace=True)

    @property
    def cut(self) -> int:
        """Beats after which a bench resets the core in the middle of a frame, if it has several."""
        return self.input.tokens + (self.input.tokens + 1) // 2

    @property
    def timed(self) -> int:
        """Samples whose end a bench compares with the predicted cycle."""
        return min(len(self.samples), len(self.design.predicted.ends))

    def files(self) -> dict[str, bytes]:
        """``input.hex``, ``output.hex``, ``taps.hex`` and ``vectors.json``, in ``sim/vectors/``."""
        texts = {
            "input.hex": self._input(),
            "output.hex": self._output(),
            "taps.hex": self._taps(),
        }
        head = f"// hwbnn vectors, build {self.design.build}\n"
        contents = {name: (head + text).encode() for name, text in texts.items()}
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        described = json.dumps({**self._described(), "sha256": sums}, indent=2)
        contents["vectors.json"] = f"{described}\n".encode()
        return {f"sim/vectors/{name}": content for name, content in contents.items()}

    def _input(self) -> str:
        beats, last = self.sent
        return "".join(f"{e}_{_hex(b)}\n" for b, e in zip(beats, last.tolist(), strict=True))

    def _output(self) -> str:
        name, tokens = self.design.circuit.graph.output.name, self.output.tokens
        beats = self.output.pack(self.values[name])
        keep = [(1 << self.output.bytes) - 1] * tokens
        keep[-1] = (1 << -(-self.output.used[-1] // 8)) - 1
        digits = -(-self.output.bytes // 4)
        lines = []
        for frame, whole, closes in zip(beats, self.frames.whole, self.frames.last, strict=True):
            for k, beat in enumerate(frame):
                last = bool(closes) and k + 1 == tokens
                lines.append(f"{2 * int(whole) + last}_{keep[k]:0{digits}x}_{_hex(beat)}\n")
        return "".join(lines)

    def _taps(self) -> str:
        lines = []
        for tap in self.taps:
            tokens = tap_layout(tap).pack(self.values[tap.value])
            pairs = zip(signatures(tokens).tolist(), self.frames.whole, strict=True)
            lines += [f"{int(whole)}_{signature:08x}\n" for signature, whole in pairs]
        return "".join(lines)

    def _described(self) -> dict[str, object]:
        circuit = self.design.circuit
        return {
            "hwbnn vectors": FORMAT,
            "build": self.design.build,
            "graph": circuit.graph.digest,
            "samples": len(self.samples),
            "frames": len(self.frames),
            "whole": [int(whole) for whole in self.frames.whole],
            "errors": self.frames.errors,
            "begins": self.frames.begins.tolist(),
            "cut": self.cut,
            "input": {"beat": self.input.bits, "beats": len(self.sent[0])},
            "output": {
                "beat": self.output.bits,
                "beats": len(self.frames) * self.output.tokens,
                "beats of a frame": self.output.tokens,
            },
            "taps": [tap.value for tap in self.taps],
            "lines of input.hex": "tlast, tdata",
            "lines of output.hex": "1 if tlast, plus 2 if the data matter; tkeep; tdata",
            "lines of taps.hex": "for each value, for each frame: 1 if it matters, signature",
        }


def _weighs(node: Node) -> TypeGuard[Dot | Conv2d]:
    return isinstance(node, Dot | Conv2d)


def layout(stage: AxisIn | AxisOut, value: str) -> WireLayout:
    """The layout of a frame at the border."""
    s = stage.source
    return WireLayout(value, s.size, s.lanes, s.tokens, s.width, stage.beat)


def tap_layout(tap: Tap) -> WireLayout:
    """The layout of a value on the signals inside the core, flags above its elements left out."""
    s = tap.stream
    return WireLayout(tap.value, s.size, s.lanes, s.tokens, s.width, s.lanes * s.width)


def signatures(tokens: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """The signature of each frame as ``hwbnn_bench_tap.sv`` computes it.

    Args:
        tokens: uint8 array ``(frames, tokens, bytes)``, little-endian.

    Returns:
        uint32 array ``(frames,)``: for each word of 32 bits, the lowest of a token first, the
        signature so far is rotated by 13, the word is added by exclusive or, the result is
        multiplied by an odd constant, and its own high bits are added by exclusive or.
    """
    frames, count, size = tokens.shape
    padded = np.zeros((frames, count, -(-size // 4) * 4), np.uint8)
    padded[..., :size] = tokens
    words = np.ascontiguousarray(padded).view("<u4").reshape(frames, -1).astype(np.uint32)
    state = np.full(frames, 0xFFFFFFFF, np.uint32)
    for word in words.T:
        state = ((state << np.uint32(13) | state >> np.uint32(19)) ^ word) * _MULTIPLIER
        state ^= state >> np.uint32(15)
    return state


def example(graph: Graph) -> NDArray[Any]:
    """One frame of varying elements, as an example of their order; ``(1, *shape of the input)``."""
    t = graph.types[graph.input.name]
    counted = t.low + np.arange(t.size) * 7 % 11 % (t.high - t.low + 1)
    return counted.reshape(1, *t.shape).astype(np.bool_ if t.bit else np.int64)


def _samples(graph: Graph, count: int) -> Array:
    """The example, all lowest, all highest, then random elements; the same in every version."""
    t = graph.types[graph.input.name]
    corners = np.array([t.low, t.high]).reshape(2, *([1] * len(t.shape)))
    first = [example(graph), np.broadcast_to(corners, (2, *t.shape))]
    rest = max(0, count - 3)
    joined = np.concatenate([*(part.astype(np.int64) for part in first), _random(graph, t, rest)])
    return joined[:count].astype(np.bool_ if t.bit else np.int64)


def _random(graph: Graph, t: ValueType, count: int) -> Array:
    stream = hashlib.shake_128(f"hwbnn vectors {graph.digest}".encode())
    drawn = np.frombuffer(stream.digest(8 * count * t.size), "<u8")
    span = t.high - t.low + 1
    numbers = (drawn >> np.uint64(1)).astype(np.int64)
    return t.low + (numbers % span).reshape(count, *t.shape)


def _right(framing: Framing, samples: int, tokens: int) -> list[int]:
    """Beats of each packet that carries samples, whole frames; with ``batch`` 1, 2, 3, 1, ..."""
    if framing != "batch":
        return [tokens] * samples
    sizes: list[int] = []
    while (left := samples - sum(sizes)) > 0:
        sizes.append(min(len(sizes) % 3 + 1, left))
    return [size * tokens for size in sizes]


def _wrong(framing: Framing, tokens: int) -> list[int]:
    """Beats of further packets, of wrong and right lengths in turn; only right ones if counted."""
    if framing == "counted":
        return [tokens] * 2
    short = [tokens - 1, tokens, 1] if tokens > 1 else []
    long = [tokens + 1, tokens, 2 * tokens, 3 * tokens + tokens // 2]
    return [*short, tokens, *long, tokens]


def _hex(beat: NDArray[np.uint8]) -> str:
    """A beat as hexadecimal digits, its last byte first."""
    return beat[::-1].tobytes().hex()

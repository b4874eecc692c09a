"""What a generated core says of itself, in its ``core.json``: ports, layouts, taps, cycles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwbnn.verify.streams import Stream


@dataclass(frozen=True)
class Core:
    """A core as its benches see it.

    Attributes:
        input: the Graph's input on ``s_axis``.
        output: the Graph's output on ``m_axis``.
        taps: the streams that carry the values between them, in program order.
        fused: values that no stream carries, and the value that they went into.
        latency: predicted cycles from the first input beat to the last output beat of one frame.
        interval: predicted cycles between the first beats of successive frames at full rate.
    """

    input: Stream
    output: Stream
    taps: tuple[Stream, ...]
    fused: Mapping[str, str]
    latency: int
    interval: int

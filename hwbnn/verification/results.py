"""What a verification came to: for each way of computing a Graph, what was compared and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hwbnn.errors import Mismatch
from hwbnn.verification.compare import Difference, NodeResult, first_difference


@dataclass(frozen=True)
class CycleCheck:
    """Cycles predicted by the token model and counted in a run without stalls.

    Attributes:
        latency: predicted cycles from the first input beat taken to the last output beat taken, of
            a frame that meets an empty core.
        interval: predicted cycles between the first beats of successive frames at full rate.
        counted_latency: the same, counted for the first frame.
        counted_interval: the same, counted between the last two frames; None below three frames.
        frames: frames whose every start and end was held to the prediction.
        first: the first start or end that is not as predicted, in words.
    """

    latency: int
    interval: int
    counted_latency: int | None
    counted_interval: int | None
    frames: int
    first: str | None = None

    @property
    def ok(self) -> bool:
        """Whether every counted cycle is the predicted one."""
        return self.first is None


@dataclass(frozen=True)
class WayResult:
    """What one way of computing the Graph came to.

    Attributes:
        way: ``fast``, ``hls io_parallel``, ``rtl`` and so on.
        nodes: one comparison for each value that this way shows, in program order.
        frames: inputs computed.
        seconds: what computing them took, without compilation and comparison.
        build_seconds: what generating and compiling took.
        cycles: cycles predicted and counted; None where there are none.
        fused: values that this way does not show, and the value that they went into.
        faults: breaches of the protocol, in words.
        notes: what else there is to know, such as the simulator and its version.
        ran: of a core with netlists, what ran of these, in words; "" of all others.
    """

    way: str
    nodes: tuple[NodeResult, ...]
    frames: int
    seconds: float
    build_seconds: float = 0.0
    cycles: CycleCheck | None = None
    fused: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    ran: str = ""

    @property
    def bits(self) -> int:
        """Bits compared, over all values."""
        return sum(node.bits for node in self.nodes)

    @property
    def mismatches(self) -> int:
        """Bits that differ, over all values."""
        return sum(node.mismatches for node in self.nodes)

    @property
    def first(self) -> Difference | None:
        """The first difference of the first node, in program order, that has one."""
        return first_difference(self.nodes)

    @property
    def frames_per_second(self) -> float:
        """Frames computed in a second of running."""
        return self.frames / self.seconds if self.seconds else 0.0

    @property
    def ok(self) -> bool:
        """Whether something was compared, all of it was equal, and the protocol was kept."""
        timed = self.cycles is None or self.cycles.ok
        return bool(self.bits) and not self.mismatches and not self.faults and timed

    @property
    def failure(self) -> str | None:
        """What is wrong first, in one line."""
        if self.first is not None:
            return f"{self.way}: {self.first}"
        if self.faults:
            return f"{self.way}: {self.faults[0]}"
        if self.cycles is not None and not self.cycles.ok:
            return f"{self.way}: {self.cycles.first}"
        return None if self.bits else f"{self.way}: nothing was compared"


@dataclass(frozen=True)
class Verification:
    """What all ways came to.

    Attributes:
        ways: one result for each, in the order asked for.
    """

    ways: tuple[WayResult, ...]

    @property
    def ok(self) -> bool:
        """Whether every way is right, and there is one."""
        return bool(self.ways) and all(way.ok for way in self.ways)

    def raise_for_mismatch(self) -> Verification:
        """The verification itself, if every way is right.

        Raises:
            Mismatch: naming the way and the first difference.
        """
        for way in self.ways:
            if not way.ok:
                raise Mismatch(f"verify: {way.failure}")
        return self

    def to_json(self) -> dict[str, object]:
        """The results as plain values for a JSON file."""
        return {"ok": self.ok, "ways": [_way_json(way) for way in self.ways]}


def _way_json(way: WayResult) -> dict[str, object]:
    cycles = way.cycles
    return {
        "way": way.way,
        "ok": way.ok,
        "failure": way.failure,
        "frames": way.frames,
        "bits": way.bits,
        "mismatches": way.mismatches,
        "seconds": round(way.seconds, 6),
        "build_seconds": round(way.build_seconds, 3),
        "frames_per_second": round(way.frames_per_second, 1),
        "nodes": {node.value: [node.bits, node.mismatches] for node in way.nodes},
        "fused": dict(way.fused),
        "faults": list(way.faults),
        "notes": dict(way.notes),
        "ran": way.ran,
        "cycles": None
        if cycles is None
        else {
            "latency": {"predicted": cycles.latency, "counted": cycles.counted_latency},
            "interval": {"predicted": cycles.interval, "counted": cycles.counted_interval},
            "frames": cycles.frames,
            "first": cycles.first,
        },
    }

"""The results of a verification: exact comparison of values, cycles, and the first failure.

Every element of a backend's values must equal that of the plain simulator; there is no tolerance.
The first difference is the one of the first node in program order, then of the first frame, then of
the first element.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hwbnn.errors import InputError, Mismatch
from hwbnn.estimate import Cycles
from hwbnn.graph import Graph, ValueType
from hwbnn.graph.arrays import Array
from hwbnn.plan import Circuit
from hwbnn.report import Prediction


@dataclass(frozen=True)
class Difference:
    """The first element of a value that is not as expected.

    Attributes:
        value: name of the node that computes the value.
        frame: index of the sample among all inputs.
        element: index in the flattened value.
        expected: the integer, or 0 or 1 for a bit, of the plain simulator.
        found: the integer or bit of the backend; None if the frame never came.
    """

    value: str
    frame: int
    element: int
    expected: int
    found: int | None

    def __str__(self) -> str:
        found = "no frame" if self.found is None else f"{self.found}"
        return (
            f"node '{self.value}': frame {self.frame}, element {self.element}: "
            f"expected {self.expected}, found {found}"
        )


@dataclass(frozen=True)
class NodeResult:
    """The result of comparing one value.

    Attributes:
        value: name of the node that computes the value.
        frames: the number of frames compared, including those that never came.
        bits: the number of bits compared, with elements as wide as in hardware.
        mismatches: the number of bits that differ, including all bits of frames that never came.
        first: the first difference; None if there is none.
    """

    value: str
    frames: int = 0
    bits: int = 0
    mismatches: int = 0
    first: Difference | None = None

    def __add__(self, later: NodeResult) -> NodeResult:
        """Both results as one; ``later`` is the result of the frames that follow."""
        return NodeResult(
            self.value,
            self.frames + later.frames,
            self.bits + later.bits,
            self.mismatches + later.mismatches,
            self.first or later.first,
        )


class Comparison:
    """A comparison fed batch by batch, so that traces need not be kept."""

    def __init__(self, graph: Graph) -> None:
        """Begin with nothing compared; ``graph`` gives the widths and the program order."""
        self._graph = graph
        self._results: dict[str, NodeResult] = {}
        self._frames = 0

    def add(self, expected: Mapping[str, Array], found: Mapping[str, Array]) -> None:
        """Compare the next batch of frames.

        Args:
            expected: arrays ``(frames, *shape)`` by value name, as ``simulate(..., trace=True)``
                gives them.
            found: integer or bool arrays by value name, each of the expected shape or flat
                ``(frames, size)``. Values that are missing here are not compared. If an array has
                fewer frames, the last frames are missing.

        Raises:
            InputError: if ``found`` has a name that is not a value of the Graph, or an array of
                another shape or type.
        """
        for name in found:
            if name not in expected:
                raise InputError(f"compare: '{name}' is no value of the graph")
        for name, array in found.items():
            result = _compare(name, self._graph.types[name], expected[name], array, self._frames)
            before = self._results.get(name)
            self._results[name] = result if before is None else before + result
        self._frames += len(next(iter(expected.values())))

    @property
    def results(self) -> tuple[NodeResult, ...]:
        """One result for each value compared, in program order."""
        names = [node.name for node in self._graph.nodes]
        return tuple(self._results[name] for name in names if name in self._results)


def compare_batch(
    graph: Graph, expected: Mapping[str, Array], found: Mapping[str, Array]
) -> tuple[NodeResult, ...]:
    """Compare one batch; see :meth:`Comparison.add`."""
    comparison = Comparison(graph)
    comparison.add(expected, found)
    return comparison.results


def first_difference(results: tuple[NodeResult, ...]) -> Difference | None:
    """The first difference of the first node, in program order, that has one."""
    return next((r.first for r in results if r.first is not None), None)


def _compare(name: str, t: ValueType, expected: Array, found: Array, offset: int) -> NodeResult:
    """Compare one value; frames are counted from ``offset``."""
    frames = len(expected)
    wanted = expected.reshape(frames, t.size).astype(np.int64)
    if found.dtype.kind not in "biu":
        raise InputError(f"compare: '{name}': expected integers, found {found.dtype}")
    if found.ndim < 2 or len(found) > frames or found.size != len(found) * t.size:
        raise InputError(
            f"compare: '{name}': expected at most {frames} frames of {t.size} elements, "
            f"found shape {found.shape}"
        )
    given = found.reshape(len(found), t.size).astype(np.int64)
    missing = frames - len(given)
    differs = wanted[: len(given)] != given
    mismatches = missing * t.size * t.width
    first = None
    if missing:
        first = Difference(name, offset + len(given), 0, int(wanted[len(given), 0]), None)
    if differs.any():
        mismatches += _differing_bits(wanted[: len(given)][differs], given[differs], t.width)
        frame, element = (int(i) for i in np.argwhere(differs)[0])
        pair = int(wanted[frame, element]), int(given[frame, element])
        first = Difference(name, offset + frame, element, *pair)
    return NodeResult(name, frames, frames * t.size * t.width, mismatches, first)


def _differing_bits(expected: Array, found: Array, width: int) -> int:
    """Bits that differ in two's complement of ``width`` bits, at least one for each element."""
    bits = np.bitwise_count((expected ^ found) & ((1 << width) - 1))
    return int(np.maximum(bits, 1).sum())


@dataclass(frozen=True)
class CycleCheck:
    """Cycles predicted by the token model and counted in a run without stalls.

    Attributes:
        latency: cycles from the first input beat of a frame to its last output beat, if the core is
            empty before; measured on the first frame.
        interval: cycles between the first beats of successive frames at full rate (initiation
            interval); measured on the last frames, and not measured if there are too few frames.
        frames: the number of frames whose starts and ends were compared with the prediction.
        first: the first difference from the prediction, in words; None if there is none.
        circuit: the circuit whose cycles were predicted; None if it was not kept.
        predicted: its cycles to a steady state; None if they were not kept.
    """

    latency: Prediction
    interval: Prediction
    frames: int
    first: str | None = None
    circuit: Circuit | None = field(default=None, compare=False, repr=False)
    predicted: Cycles | None = field(default=None, compare=False, repr=False)

    @property
    def ok(self) -> bool:
        """Whether all counted cycles are as predicted."""
        return self.first is None


@dataclass(frozen=True)
class BackendResult:
    """The result of one backend.

    Attributes:
        name: ``fast``, ``hls io_parallel``, ``rtl`` and so on.
        nodes: one comparison for each value that this backend shows, in program order.
        frames: the number of inputs computed.
        seconds: wall-clock time of computing them, without compilation and comparison.
        build_seconds: wall-clock time of generating and compiling.
        cycles: cycles predicted and counted; None if the backend counts no cycles.
        fused: values that this backend does not show, each with the value into which it is fused.
        faults: violations of the protocol, in words.
        notes: further information, such as the simulator and its version.
        ran: for a core with netlists, which form of them was simulated, in words; else "".
    """

    name: str
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
        """Frames computed per second, without compilation and comparison."""
        return self.frames / self.seconds if self.seconds else 0.0

    @property
    def ok(self) -> bool:
        """Whether values were compared, all were equal, and protocol and cycles were right."""
        timed = self.cycles is None or self.cycles.ok
        return bool(self.bits) and not self.mismatches and not self.faults and timed

    @property
    def failure(self) -> str | None:
        """The first failure, in one line; None if the backend is right."""
        if self.first is not None:
            return f"{self.name}: {self.first}"
        if self.faults:
            return f"{self.name}: {self.faults[0]}"
        if self.cycles is not None and not self.cycles.ok:
            return f"{self.name}: {self.cycles.first}"
        return None if self.bits else f"{self.name}: nothing was compared"


@dataclass(frozen=True)
class Verification:
    """The results of all backends.

    Attributes:
        backends: the results of the backends in the given order; RTL has several.
    """

    backends: tuple[BackendResult, ...]

    @property
    def ok(self) -> bool:
        """Whether there is at least one backend, and all of them are right."""
        return bool(self.backends) and all(backend.ok for backend in self.backends)

    def raise_for_mismatch(self) -> Verification:
        """The verification itself, if every backend is right.

        Raises:
            Mismatch: if one is not; the message names the backend and its first failure.
        """
        for backend in self.backends:
            if not backend.ok:
                raise Mismatch(f"verify: {backend.failure}")
        return self

    def to_json(self) -> dict[str, object]:
        """The results as plain values for a JSON file."""
        return {"ok": self.ok, "backends": [_backend_json(backend) for backend in self.backends]}


def _backend_json(backend: BackendResult) -> dict[str, object]:
    cycles = backend.cycles
    return {
        "name": backend.name,
        "ok": backend.ok,
        "failure": backend.failure,
        "frames": backend.frames,
        "bits": backend.bits,
        "mismatches": backend.mismatches,
        "seconds": round(backend.seconds, 6),
        "build_seconds": round(backend.build_seconds, 3),
        "frames_per_second": round(backend.frames_per_second, 1),
        "nodes": {node.value: [node.bits, node.mismatches] for node in backend.nodes},
        "fused": dict(backend.fused),
        "faults": list(backend.faults),
        "notes": dict(backend.notes),
        "ran": backend.ran,
        "cycles": None
        if cycles is None
        else {
            "latency": _prediction_json(cycles.latency),
            "interval": _prediction_json(cycles.interval),
            "frames": cycles.frames,
            "first": cycles.first,
        },
    }


def _prediction_json(cycles: Prediction) -> dict[str, float | None]:
    figures = {"predicted": cycles.predicted, "counted": cycles.measured}
    return {name: None if figure is None else figure.value for name, figure in figures.items()}

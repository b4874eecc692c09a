"""RTL as a backend: at full rate with its cycles counted, then under stalls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from hwbnn import tools
from hwbnn.errors import InputError, Mismatch
from hwbnn.graph.arrays import Array
from hwbnn.plan import Circuit
from hwbnn.plan.products import DotNetlist
from hwbnn.verification import cocotb_run, exported, verilator
from hwbnn.verification.backends import Backend, Job, Values
from hwbnn.verification.bench import Record, Stalls, Stimulus
from hwbnn.verification.results import BackendResult, Comparison
from hwbnn.verification.timing import Timing, check_stalled

SLOW_CYCLES = 20_000
"""About the most cycles of a run under cocotb, and of any run under stalls."""
LEAST_FRAMES = 4
MANY_FRAMES = 300
"""Above this number of frames, optimisation saves more time than it costs in compilation."""
WAVE_FRAMES = 3
NETLIST_FRAMES = 200
"""The most frames that a netlist computes; its behavioural model, which counts ones, computes all
frames. The netlist of a large layer simulates about a hundred times slower."""
RAN = {
    "behavioural": "models that count ones in their place",
    "structural": "the netlists themselves",
}
"""The form of a core's netlists that is simulated, in words, by the form of popcounts."""


class Rtl(Backend):
    """A core in a simulator, driven by the C++ bench or by cocotb."""

    def __init__(self, name: str, job: Job, simulator: str, cocotb: bool) -> None:
        """Choose a simulator and a bench: cocotb if ``cocotb``, else the C++ bench of Verilator."""
        super().__init__(name, job)
        self.simulator, self.cocotb = simulator, cocotb
        self.timing: Timing | None = None
        self.first: tuple[Array, Values] | None = None
        self.batches = 0
        self.total = 0
        self.netlist: verilator.VerilatorSimulation | None = None

    def prepare(self) -> None:
        """Compile the core."""
        project, waves = self.job.project("rtl"), self.job.wave is not None
        place = self.job.folder / self.name.replace(" ", "-")
        self.simulation: verilator.VerilatorSimulation | cocotb_run.CocotbSimulation
        if self.cocotb:
            self.simulation = cocotb_run.build(
                project, place, simulator=self.simulator, popcount=self.job.popcount, waves=waves
            )
        else:
            self.simulation = verilator.build(
                project,
                place,
                popcount=self.job.popcount,
                waves=waves,
                optimise=self._most(self.job.frames) > MANY_FRAMES,
            )
        self._compiled()
        self.timing = Timing(self.core)
        counted = not self.cocotb and self.job.popcount == "behavioural"
        if counted and has_netlists(self.timing.circuit):
            self.netlist = verilator.build(project, place, popcount="structural", optimise=False)

    def _compiled(self) -> None:
        self.build_seconds = self.simulation.build_seconds
        self.core = self.simulation.core
        self.fused = self.core.fused

    def wanted(self, frames: int) -> int:
        """All frames, at most ``rtl_frames``; with cocotb so few that they take about SLOW_CYCLES.

        But with cocotb it is at least LEAST_FRAMES, if there are so many.
        """
        self.total = self._most(frames)
        if self.cocotb:
            self.total = min(self.total, self._few())
        return self.total

    def _most(self, frames: int) -> int:
        return min(frames, self.job.rtl_frames or frames)

    def _few(self) -> int:
        return max(LEAST_FRAMES, SLOW_CYCLES // max(1, self.core.interval))

    def batch(self, x: Array, expected: Values) -> None:
        """Run at full rate, compare every tap, and compare the cycles with the prediction."""
        self.first = self.first or (x, expected)
        stimulus = Stimulus.of_frames(self.core, x, seed=self.job.seed + self.batches)
        self.batches += 1
        record = self._run(stimulus, self.faults, self._progress())
        if record is None:
            return
        self.compared(expected, record.values, record.seconds)
        if self.timing is not None:
            self.timing.add(record, len(x))

    def _progress(self) -> verilator.OnFrames | None:
        if self.job.progress is None:
            return None
        return partial(_report, self.job.progress, self.name, self.frames, self.total)

    def _run(
        self,
        stimulus: Stimulus,
        faults: list[str],
        progress: verilator.OnFrames | None = None,
        **more: Any,
    ) -> Record | None:
        """Run the core once; add its faults to ``faults``. None if an assertion in RTL failed."""
        if isinstance(self.simulation, verilator.VerilatorSimulation):
            more["progress"] = progress
        try:
            record = self.simulation.run(stimulus, **more)
        except Mismatch as error:
            faults.append(str(error))
            return None
        faults += record.faults
        if record.error is not None:
            faults.append(f"error_o: high in cycle {record.error} although every packet is whole")
        return record

    def results(self) -> list[BackendResult]:
        """The results at full rate, under stalls after a reset within a frame, and of netlists."""
        if self.first is None:
            return [self.result(ran=self.ran)]
        x, expected = self.first
        if self.timing is not None and self.timing.interval is None and not self.faults:
            self._settle(x, self.timing)
        if self.job.wave is not None:
            stimulus = Stimulus.of_frames(self.core, x[:WAVE_FRAMES], seed=self.job.seed)
            self._run(stimulus, self.faults, wave=self.job.wave.resolve())
        cycles = None if self.timing is None else self.timing.result(self.programs)
        results = [self.result(cycles=cycles, ran=self.ran), self._stalled(x, expected)]
        return results if self.netlist is None else [*results, self._sampled(x, expected)]

    def _sampled(self, x: Array, expected: Values) -> BackendResult:
        """Values and cycles of the netlist itself, on the first frames."""
        assert self.netlist is not None
        self.simulation = self.netlist
        n = min(len(x), NETLIST_FRAMES)
        faults: list[str] = []
        record = self._run(Stimulus.of_frames(self.core, x[:n], seed=self.job.seed), faults)
        comparison, timing = Comparison(self.job.graph), Timing(self.core)
        if record is not None:
            comparison.add({name: value[:n] for name, value in expected.items()}, record.values)
            timing.add(record, n)
        return BackendResult(
            f"{self.name}, netlist",
            comparison.results,
            n,
            record.seconds if record is not None else 0.0,
            build_seconds=self.netlist.build_seconds,
            fused=self.fused,
            faults=tuple(faults),
            notes={**self.notes(), "popcount": "structural"},
            ran=RAN["structural"],
            cycles=timing.result(self.programs),
        )

    def _settle(self, x: Array, timing: Timing) -> None:
        """Run with repeated inputs, enough to fill the core, so that its interval is measured."""
        frames = np.resize(x, (timing.settled, *x.shape[1:]))
        record = self._run(Stimulus.of_frames(self.core, frames, seed=self.job.seed), self.faults)
        if record is not None:
            timing.add(record, len(frames))

    def _stalled(self, x: Array, expected: Values) -> BackendResult:
        """Values under random stalls; a reset cuts off a first part in the middle of a frame."""
        n = min(len(x), self._few())
        seed = self.job.seed + self.batches
        stalls = Stalls.random(seed)
        span = self.core.latency + 3 * self.core.interval
        cut = 1 + int(np.random.default_rng(seed).integers(span))
        stimulus = Stimulus.of_frames(self.core, x[:n], stalls=stalls, cut=cut, seed=seed)
        faults: list[str] = []
        record = self._run(stimulus, faults)
        comparison = Comparison(self.job.graph)
        if record is not None:
            comparison.add({name: value[:n] for name, value in expected.items()}, record.values)
            # Pauses of cocotbext-axi may begin a cycle late; those of the C++ bench are exact.
            late = None if self.cocotb else check_stalled(self.core, record, stalls, n)
            faults += [late] if late is not None else []
        seconds = record.seconds if record is not None else 0.0
        result = BackendResult(f"{self.name}, stalled", comparison.results, n, seconds)
        return replace(
            result, fused=self.fused, faults=tuple(faults), notes=self.notes(), ran=self.ran
        )

    @property
    def ran(self) -> str:
        """The form of the core's netlists that is simulated, in words; "" if it has none."""
        if self.timing is None or not has_netlists(self.timing.circuit):
            return ""
        return RAN[self.job.popcount]

    def _versions(self) -> dict[str, str]:
        names = ("cocotb", "iverilog") if self.simulator == "icarus" else ("verilator",)
        names = ("cocotb", *names) if self.cocotb and "cocotb" not in names else names
        return tools.versions(*names)

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs that count cycles, each with its version."""
        return tuple(f"{name} {version}" for name, version in self._versions().items())

    def notes(self) -> dict[str, str]:
        """The simulator and its options."""
        return {"popcount": self.job.popcount, **self._versions()}


class HlsRtl(Rtl):
    """The RTL that Vitis HLS exported from a project; only its output is compared, no cycles."""

    def __init__(self, name: str, job: Job, simulator: str) -> None:
        """Choose a simulator of cocotb."""
        super().__init__(name, job, simulator, cocotb=True)

    def prepare(self) -> None:
        """Compile the RTL."""
        given = self.job.given
        if given is None:
            raise InputError(
                f"backend '{self.name}': expected a project in whose folder Vitis HLS has run, "
                "found a Graph; 'hwbnn generate --target hls --io io_stream' makes one"
            )
        place, waves = self.job.folder / self.name, self.job.wave is not None
        self.simulation = exported.build(given, place, simulator=self.simulator, waves=waves)
        self._compiled()

    def notes(self) -> dict[str, str]:
        """The simulator and its options."""
        return {name: said for name, said in super().notes().items() if name != "popcount"}


def has_netlists(circuit: Circuit) -> bool:
    """Whether a core has layers that are netlists, each with a behavioural model."""
    return any(isinstance(block, DotNetlist) for block in circuit.blocks)


def _report(
    progress: Callable[[str, int, int], None], name: str, before: int, total: int, frames: int
) -> None:
    progress(name, before + frames, total)

"""The stream bench that runs inside a simulator, for a single module or a whole network.

Like the C++ driver, it reads the files of :class:`hwbnn.verification.bench.Stimulus` and writes the
files for :func:`hwbnn.verification.bench.read_record`. The plusarg ``hwbnn_job`` names a JSON file
with the folder of these files and the names of the ports. The bench itself checks only two rules of
each stream: valid and data stay unchanged until ready, and data that is taken has no X.

This module is imported by the Python inside the simulator and needs only cocotb and cocotbext-axi.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge


def _bare(package: str) -> None:
    """Let modules of a package be imported without the package's ``__init__``.

    The ``__init__`` imports all modules, which takes half the time of a short run.
    """
    spec = importlib.util.find_spec(package)
    if spec is not None and package not in sys.modules:
        sys.modules[package] = importlib.util.module_from_spec(spec)


_bare("cocotbext.axi")

from cocotbext.axi.axis import (  # noqa: E402
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)
from cocotbext.axi.stream import define_stream  # noqa: E402

_FAULTS_LISTED = 8


@cocotb.test()  # type: ignore[untyped-decorator]
async def stream_bench(dut: Any) -> None:
    """Run the job that the plusarg names."""
    await drive(dut, json.loads(Path(cocotb.plusargs["hwbnn_job"]).read_text()))


async def drive(dut: Any, job: dict[str, Any]) -> None:
    """Drive the packets of the job and record every stream."""
    bench = _Bench(dut, job)
    await bench.reset()
    if job["cut"]:
        # First send for some cycles, and reset within a frame: no data may survive the reset.
        bench.send()
        await ClockCycles(bench.clock, job["cut"])
        # One cycle: during a longer reset, old data would leave the pipelines unnoticed.
        await bench.reset(1)
    run = _Run(bench, job)
    bench.send()
    await run.go()
    run.write()


class _Bench:
    """The module with a source and a sink at its ports."""

    def __init__(self, dut: Any, job: dict[str, Any]) -> None:
        self.dut, self.job = dut, job
        self.clock = getattr(dut, job["clock"])
        self._reset = getattr(dut, job["reset"])
        for name in job.get("high", ()):
            getattr(dut, name).value = 1
        folder = Path(job["folder"])
        self._size = job["source"]["bytes"]
        self._beats = (folder / "beats.bin").read_bytes()
        self._last = (folder / "last.bin").read_bytes()
        self._first = (folder / "first.bin").read_bytes()
        self._keep = (folder / "keep.bin").read_bytes()
        self.source = _end(dut, job["source"], self.clock, self._reset, AxiStreamSource, 0)
        self.sink = _end(dut, job["sink"], self.clock, self._reset, AxiStreamSink, 1)
        for end, name in ((self.source, "source"), (self.sink, "sink")):
            pattern = (folder / f"{name}.bin").read_bytes()
            if end is not None and not all(pattern):
                end.set_pause_generator(not willing for willing in itertools.cycle(pattern))
        cocotb.start_soon(Clock(self.clock, 10, unit="ns").start())

    async def reset(self, cycles: int = 8) -> None:
        self._reset.value = 0
        self.source.clear()
        await ClockCycles(self.clock, cycles)
        self._reset.value = 1

    def send(self) -> None:
        """Queue every packet, back to back."""
        begin = 0
        for index, last in enumerate(self._last):
            if "axis" not in self.job["source"]:
                self.source.send_nowait(self._token(index))
            elif last:
                packet = self._beats[begin * self._size : (index + 1) * self._size]
                self.source.send_nowait(AxiStreamFrame(packet, self._kept(begin, index + 1)))
                begin = index + 1

    def _token(self, index: int) -> Any:
        data = self._beats[index * self._size : (index + 1) * self._size]
        transaction = self.source._transaction_obj()
        for name in transaction._signals:
            setattr(transaction, name, self._last[index])
        setattr(transaction, self.job["source"]["data"], int.from_bytes(data, "little"))
        return transaction

    def _kept(self, begin: int, end: int) -> list[int]:
        """The bits of tkeep for each byte of the beats ``begin`` to ``end - 1``."""
        size = -(-self._size // 8)
        beats = (
            int.from_bytes(self._keep[k * size : (k + 1) * size], "little")
            for k in range(begin, end)
        )
        return [beat >> i & 1 for beat in beats for i in range(self._size)]

    def firsts(self) -> Iterator[bool]:
        """For each beat, whether it is the first of its frame."""
        return map(bool, self._first)


def _end(dut: Any, port: dict[str, Any], clock: Any, reset: Any, axis: Any, side: int) -> Any:
    """A source (side 0) or sink (side 1) of cocotbext-axi; no sink (None) if there is no ready."""
    polarity = {"reset_active_level": False}
    if "axis" in port:
        end = axis(AxiStreamBus.from_prefix(dut, port["axis"]), clock, reset, **polarity)
    else:
        if side and port["ready"] is None:
            return None
        names = [port[key] for key in ("data", "valid", "ready", "last") if port.get(key)]
        bus, _, *ends, _ = define_stream(
            "Token", names, valid_signal=port["valid"], ready_signal=port["ready"]
        )
        end = ends[side](bus.from_entity(dut), clock, reset, **polarity)
    end.log.setLevel(logging.WARNING)
    return end


class _Recorder:
    """Records the transfers of one stream."""

    def __init__(self, dut: Any, port: dict[str, Any]) -> None:
        self.name: str = port["name"]
        self.count = 0
        self.faults: list[str] = []
        self._valid, self._data = getattr(dut, port["valid"]), getattr(dut, port["data"])
        self._ready = getattr(dut, port["ready"]) if port["ready"] else None
        also = port.get("also", {})
        self._also = {name: getattr(dut, signal) for name, signal in also.items()}
        self._files = {name: bytearray() for name in ("", *also)}
        self._bytes, self._used = port["bytes"], port["used"]
        self._expected = port["expected"]
        self._held: str | None = None

    def sample(self, cycle: int) -> bool:
        """Sample the signals in one cycle; returns whether an expected transfer takes place."""
        if not self._high(self._valid, cycle):
            if self._held is not None:
                self._fault("valid fell before ready", cycle)
                self._held = None
            return False
        data = str(self._data.value)
        if self._held not in (None, data):
            self._fault("data changed before ready", cycle)
        ready = self._ready is None or self._high(self._ready, cycle)
        self._held = None if ready else data
        expected = ready and self.count < self._expected
        if expected:
            self._keep(data, cycle)
        self.count += ready
        return expected

    def write(self, folder: Path) -> None:
        for name, data in self._files.items():
            (folder / f"{self.name}{name and '_'}{name}.bin").write_bytes(data)

    def _keep(self, data: str, cycle: int) -> None:
        # Lanes beyond the end of a frame may have any value, even X.
        used = self._used[self.count % len(self._used)]
        if not set(data[len(data) - used :]) <= set("01"):
            self._fault("X among the data", cycle)
        self._files[""] += _number(data).to_bytes(self._bytes, "little")
        for name, signal in self._also.items():
            value = str(signal.value)
            if not set(value) <= set("01"):
                self._fault(f"X on {name}", cycle)
            self._files[name] += _number(value).to_bytes(-(-len(value) // 8), "little")

    def _high(self, signal: Any, cycle: int) -> bool:
        value = str(signal.value)
        if value not in "01":
            self._fault(f"{value} on {signal._name}", cycle)
        return value == "1"

    def _fault(self, what: str, cycle: int) -> None:
        self.faults.append(f"{self.name}: {what} in cycle {cycle}")


def _number(digits: str) -> int:
    """The number of a string of binary digits; digits other than 0 and 1 count as 0."""
    try:
        return int(digits, 2)
    except ValueError:
        return int("".join(c if c in "01" else "0" for c in digits), 2)


class _Run:
    """The recorded part of a run.

    It ends ``drain`` cycles after the last expected output beat, or after ``limit`` cycles without
    a transfer.
    """

    def __init__(self, bench: _Bench, job: dict[str, Any]) -> None:
        self._bench, self._job = bench, job
        self._recorders = [_Recorder(bench.dut, port) for port in job["streams"]]
        self._output = self._recorders[0]
        port = job["source"]
        self._source = [getattr(bench.dut, port[k]) for k in ("valid", "ready") if port[k]]
        self._error = getattr(bench.dut, job["error"]) if job["error"] else None
        self._firsts = bench.firsts()
        self._cycles = 0
        self._error_cycle, self._errors = -1, 0
        self._starts: list[int] = []
        self._ends: list[int] = []

    async def go(self) -> None:
        edge = RisingEdge(self._bench.clock)
        quiet = drained = 0
        while quiet < self._job["limit"] and drained < self._job["drain"]:
            await edge
            full = self._output.count >= self._job["streams"][0]["expected"]
            moved = self._sample(self._cycles) and not full
            quiet = 0 if moved else quiet + 1
            drained += full
            self._cycles += 1

    def _sample(self, cycle: int) -> bool:
        """Sample all signals in one cycle; returns whether there is any transfer."""
        taken = all(str(signal.value) == "1" for signal in self._source)
        if taken and next(self._firsts):
            self._starts.append(cycle)
        moved = [recorder.sample(cycle) for recorder in self._recorders]
        port = self._job["streams"][0]
        if moved[0] and self._output.count % port["tokens"] == 0:
            self._ends.append(cycle)
        if self._error is not None and str(self._error.value) != "0":
            self._error_cycle = cycle if self._errors == 0 else self._error_cycle
            self._errors += 1
        return taken or any(moved)

    def write(self) -> None:
        folder = Path(self._job["folder"])
        lines = [f"cycles {self._cycles}", f"error {self._error_cycle} {self._errors}"]
        for recorder in self._recorders:
            recorder.write(folder)
            lines.append(f"tokens {recorder.name} {recorder.count}")
        for name in self._job.get("fifos", ()):
            most = int(getattr(self._bench.dut, f"most_{name}").value)
            lines.append(f"most {name} {most}")
        faults = [fault for recorder in self._recorders for fault in recorder.faults]
        lines += [f"faults {len(faults)}", *faults[:_FAULTS_LISTED]]
        (folder / "result.txt").write_text("\n".join(lines) + "\n")
        for name, cycles in (("starts", self._starts), ("ends", self._ends)):
            data = b"".join(cycle.to_bytes(8, "little") for cycle in cycles)
            (folder / f"{name}.bin").write_bytes(data)

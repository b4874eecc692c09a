"""The drivers of a generated core against its RTL, through a model of memory and DMA.

A job names the folder of the core, and files with inputs and expected outputs; see
:mod:`tests.targets.test_drivers`. The drivers run in threads, which stop while the simulation
advances.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.task import bridge
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from rtl_tests.dma_model import CONTROL, DMA, MEMORY, System

JOB = json.loads(Path(str(cocotb.plusargs["hwbnn_job"])).read_text())
FOLDER = Path(JOB["folder"])
ABOUT = json.loads((FOLDER / "core.json").read_text())
X, Y = np.load(JOB["x"]), np.load(JOB["y"])
REGISTERS = ABOUT.get("control", {}).get("registers", {})


def driver():
    """The Python driver of the folder."""
    spec = importlib.util.spec_from_file_location(
        "hwbnn_core", FOLDER / "drivers" / "hwbnn_core.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def system(dut, seed=1, stalls=None):
    """A core out of reset, in a system."""
    cocotb.start_soon(Clock(dut.aclk, 10, "ns").start())
    dut.aresetn.value = 0
    dut.s_axis_tvalid.value = 0
    dut.m_axis_tready.value = 0
    control = None
    if REGISTERS:
        bus = AxiLiteBus.from_prefix(dut, "s_axi_control")
        control = AxiLiteMaster(bus, dut.aclk, dut.aresetn, reset_active_level=False)
        for channel in (control.write_if.aw_channel, control.read_if.ar_channel):
            channel.log.setLevel("WARNING")
        control.write_if.log.setLevel("WARNING")
        control.read_if.log.setLevel("WARNING")
    await ClockCycles(dut.aclk, 4)
    dut.aresetn.value = 1
    return System(dut, control, JOB["stalls"] if stalls is None else stalls, seed)


def opened(board, module, **options):
    overlay, allocate = board.pynq()
    return module.Accelerator(overlay, FOLDER / "core.json", allocate=allocate, **options)


@cocotb.test()
async def python_gives_every_result(dut):
    board, module = await system(dut), driver()

    @bridge
    def used():
        core = opened(board, module, batch=JOB["batch"], timeout=600)
        found = core.run(X)
        assert found.shape == Y.shape
        wrong = int((found.reshape(len(Y), -1) != Y.reshape(len(Y), -1)).any(axis=1).sum())
        print(f"python: {wrong} of {len(Y)} frames differ, {core.batch} frames in a transfer")
        assert wrong == 0
        if REGISTERS:
            assert core.read("FRAMES") == len(Y)
            assert core.errors == 0

    await used()


class Layout(ctypes.Structure):
    _fields_ = (
        *(
            (name, ctypes.c_uint32)
            for name in ("elements", "lanes", "beats", "width", "beat_bytes")
        ),
        *((name, ctypes.c_int32) for name in ("low", "high", "is_signed")),
    )


class Description(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("build_high", "build_low")),
        *((name, ctypes.c_int) for name in ("has_control", "several_frames")),
        *((name, Layout) for name in ("input", "output")),
    )


READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint64)
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32)
CACHE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class Platform(ctypes.Structure):
    _fields_ = (
        ("context", ctypes.c_void_p),
        ("read32", READ),
        ("write32", WRITE),
        ("flush", CACHE),
        ("invalidate", CACHE),
    )


class Buffer(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("address", ctypes.c_uint64),
        ("bytes", ctypes.c_size_t),
    )


class Handle(ctypes.Structure):
    _fields_ = (
        ("core", ctypes.POINTER(Description)),
        ("platform", Platform),
        *((name, ctypes.c_uint64) for name in ("dma", "control")),
        *((name, Buffer) for name in ("send", "receive")),
        ("polls", ctypes.c_uint32),
    )


class CDriver:
    """The C library of the folder, with its register accesses in the simulation."""

    def __init__(self, board, batch):
        self.board, self.buffers = board, []
        self.library = ctypes.CDLL(JOB["library"])
        self.library.hwbnn_text.restype = ctypes.c_char_p
        self.library.hwbnn_errors.restype = ctypes.c_uint32
        self.about = Description.in_dll(self.library, "described")
        self.handle = Handle(
            ctypes.pointer(self.about),
            Platform(
                None,
                READ(lambda _, address: board.read(address)),
                WRITE(lambda _, address, value: board.write(address, value)),
                CACHE(lambda _, data, size: self.moved(data, size, True)),
                CACHE(lambda _, data, size: self.moved(data, size, False)),
            ),
            DMA,
            CONTROL,
            self.buffer(batch * self.about.input.beats * self.about.input.beat_bytes),
            self.buffer(batch * self.about.output.beats * self.about.output.beat_bytes),
            2000,
        )

    def buffer(self, size):
        data = ctypes.create_string_buffer(size)
        address = self.board.reserve(size)
        self.buffers.append((ctypes.addressof(data), address, size, data))
        return Buffer(ctypes.addressof(data), address, size)

    def moved(self, data, size, out):
        (at, address) = next((d, a) for d, a, n, _ in self.buffers if d <= data < d + n)
        offset = address - MEMORY + data - at
        if out:
            self.board.memory[offset : offset + size] = ctypes.string_at(data, size)
        else:
            ctypes.memmove(data, bytes(self.board.memory[offset : offset + size]), size)

    def call(self, name, *arguments):
        status = getattr(self.library, name)(ctypes.byref(self.handle), *arguments)
        return self.library.hwbnn_text(status).decode()

    def run(self, x):
        x = np.ascontiguousarray(x.reshape(len(x), self.about.input.elements), np.int32)
        y = np.full((len(x), self.about.output.elements), -99, np.int32)
        pointers = (a.ctypes.data_as(ctypes.c_void_p) for a in (x, y))
        said = self.call("hwbnn_run", *pointers, ctypes.c_size_t(len(x)))
        return said, y


@cocotb.test()
async def c_gives_every_result(dut):
    board = await system(dut, 2)

    @bridge
    def used():
        core = CDriver(board, JOB["batch"])
        core.handle.polls = 1_000_000
        assert core.call("hwbnn_open") == "no error"
        said, found = core.run(X)
        assert said == "no error"
        wrong = int((found != Y.reshape(len(Y), -1)).any(axis=1).sum())
        print(f"c: {wrong} of {len(Y)} frames differ")
        assert wrong == 0

    await used()


@cocotb.test(skip=not JOB["faults"])
async def batches_of_any_size_are_right(dut):
    board, module = await system(dut, 3), driver()

    @bridge
    def used():
        for batch in (1, 3, 64):
            core = opened(board, module, batch=batch)
            for frames in (0, 1, 2, 3, 4, 7):
                assert np.array_equal(core.run(X[:frames]), Y[:frames])
            c = CDriver(board, batch)
            assert c.call("hwbnn_open") == "no error"
            for frames in (0, 1, 2, 3, 4, 7):
                said, found = c.run(X[:frames])
                assert said == "no error"
                assert np.array_equal(found, Y.reshape(len(Y), -1)[:frames])

    await used()


@cocotb.test(skip=not JOB["faults"])
async def arrays_that_do_not_fit_are_refused(dut):
    board, module = await system(dut, 4), driver()

    @bridge
    def used():
        core = opened(board, module)
        for x, said in (
            (X[:, :-1], "input: expected an array"),
            (X.astype(float), "input: expected integers"),
            (X + core.input.high + 1, "input: expected values from"),
        ):
            with pytest.raises(module.CoreError, match=said):
                core.run(x)
        with pytest.raises(module.CoreError, match="batch: expected at least 1"):
            opened(board, module, batch=0)
        c = CDriver(board, 4)
        assert c.call("hwbnn_open") == "no error"
        assert "not in the range" in c.run(X + core.input.high + 1)[0]

    await used()


@cocotb.test(skip=not JOB["faults"])
async def another_build_is_found_out(dut):
    board, module = await system(dut, 5, stalls=0), driver()
    other = FOLDER / "other.json"

    @bridge
    def used():
        overlay, allocate = board.pynq()
        about = {**ABOUT, "build": f"{int(ABOUT['build'], 16) ^ 1:016x}"}
        other.write_text(json.dumps(about))
        if REGISTERS:
            with pytest.raises(module.CoreError, match="bitstream has the core of build"):
                module.Accelerator(overlay, other, allocate=allocate)
            c = CDriver(board, 4)
            c.about.build_low ^= 1
            assert "another build" in c.call("hwbnn_open")
            c.about.build_low ^= 1
        overlay.dma.description["parameters"]["c_m_axis_mm2s_tdata_width"] = "128"
        with pytest.raises(module.CoreError, match="DMA has 128 bits at the input"):
            module.Accelerator(overlay, FOLDER / "core.json", allocate=allocate)
        overlay.dma.description["parameters"].clear()
        # Frames of another size, in a core without registers.
        wrong = dict(ABOUT)
        wrong.pop("control", None)
        tokens, lanes = ABOUT["output"]["tokens"], ABOUT["output"]["lanes"]
        more = {"tokens": tokens + 1, "elements": (tokens + 1) * lanes}
        wrong["output"] = {**ABOUT["output"], **more, "shape": [more["elements"]]}
        other.write_text(json.dumps(wrong))
        core = module.Accelerator(overlay, other, allocate=allocate)
        with pytest.raises(module.CoreError, match=r"output: \d+ bytes arrived, expected"):
            core.run(X[:1])
        c = CDriver(board, 4)
        assert c.call("hwbnn_open") == "no error"
        c.about.output.beats += 1
        c.about.output.elements += c.about.output.lanes
        assert "less arrived" in c.run(X[:1])[0]
        c.about.output.beats -= 2
        c.about.output.elements -= 2 * c.about.output.lanes
        if tokens > 1:
            assert "DMA reports an error" in c.run(X[:1])[0]
        c.about.output.beats += 1
        c.about.output.elements += c.about.output.lanes

    await used()


@cocotb.test(skip=not (JOB["faults"] and REGISTERS))
async def an_error_stays_until_it_is_cleared(dut):
    board, module = await system(dut, 6), driver()

    @bridge
    def used():
        core = opened(board, module)
        dma = core._dma
        for _ in range(2):
            # Somebody else sends a packet that ends within a frame.
            dma.recvchannel.transfer(core._receive, 0, core.output.frame_bytes)
            dma.sendchannel.transfer(core._send, 0, core.input.beat_bytes)
            dma.sendchannel.wait()
            dma.recvchannel.wait()
            with pytest.raises(module.CoreError, match="1 packets of a wrong length"):
                core.run(X[:2])
            core.clear_errors()
            assert core.errors == 0
            assert np.array_equal(core.run(X[:3]), Y[:3])
        c = CDriver(board, 2)
        assert c.call("hwbnn_open") == "no error"  # which resets the DMA
        core = opened(board, module)
        dma = core._dma
        dma.recvchannel.transfer(core._receive, 0, core.output.frame_bytes)
        dma.sendchannel.transfer(core._send, 0, core.input.beat_bytes)
        dma.recvchannel.wait()
        assert "packet of a wrong length" in c.run(X[:1])[0]
        c.library.hwbnn_clear_errors(ctypes.byref(c.handle))
        assert c.library.hwbnn_errors(ctypes.byref(c.handle)) == 0
        said, found = c.run(X[:3])
        assert said == "no error"
        assert np.array_equal(found, Y[:3].reshape(3, -1))

    await used()


@cocotb.test(skip=not JOB["faults"])
async def a_transfer_that_does_not_end_is_given_up(dut):
    board, module = await system(dut, 7), driver()

    @bridge
    def held():
        return opened(board, module, timeout=0.2)

    @bridge
    def used(core):
        with pytest.raises(module.CoreError, match=r"not done after 0.2 s"):
            core.run(X[:1])
        c = CDriver(board, 2)
        c.handle.core.contents.has_control = 0  # its registers are in reset too
        assert c.call("hwbnn_open") == "no error"
        c.handle.polls = 20
        assert "did not end" in c.run(X[:1])[0]
        c.handle.core.contents.has_control = int(bool(REGISTERS))

    core = await held()
    core._registers = {}
    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, 3)
    await used(core)

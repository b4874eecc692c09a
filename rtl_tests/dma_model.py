"""A model of a system around a core: memory, AXI DMA in simple mode, and a stand-in for pynq.

The DMA has the registers of Xilinx's AXI DMA (its product guide, PG021) as far as drivers use them.
The processor's cache does not see what the DMA writes, nor the DMA what the cache holds: only
``flush`` and ``invalidate`` move bytes between them, so that a driver that forgets one of them
fails.
"""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
from cocotb.task import resume
from cocotb.triggers import RisingEdge

MEMORY, DMA, CONTROL = 0x1000_0000, 0x4040_0000, 0x4000_0000
SIZE = 1 << 20
CR, SR, ADDRESS, ADDRESS_HIGH, LENGTH = 0x00, 0x04, 0x18, 0x1C, 0x28
RECEIVE = 0x30
HALTED, IDLE, INTERNAL = 1, 2, 1 << 4


class Dma:
    """AXI DMA in simple mode at the streams of a core."""

    def __init__(self, dut, memory, stalls, seed):
        self.dut, self.memory, self.stalls = dut, memory, stalls
        self.rng = random.Random(seed)
        self.tasks = {}
        self.clear()

    def clear(self):
        for task in self.tasks.values():
            task.cancel()
        self.tasks = {}
        self.registers = {channel: {CR: 0, SR: HALTED, LENGTH: 0} for channel in (0, RECEIVE)}
        self.dut.s_axis_tvalid.value = 0
        self.dut.m_axis_tready.value = 0

    def read(self, offset):
        channel = RECEIVE if offset >= RECEIVE else 0
        return self.registers[channel].get(offset - channel, 0)

    def write(self, offset, value):
        import cocotb

        channel = RECEIVE if offset >= RECEIVE else 0
        registers, at = self.registers[channel], offset - channel
        if at == CR and value & 4:  # a reset of either channel resets both
            self.clear()
            return
        if at == CR:
            registers[CR] = value
            registers[SR] = registers[SR] & ~HALTED if value & 1 else registers[SR] | HALTED
            return
        registers[at] = value
        if at != LENGTH or value == 0 or registers[SR] & HALTED:
            return
        registers[SR] &= ~IDLE
        address = registers[ADDRESS] - MEMORY
        assert 0 <= address <= address + value <= SIZE, "the DMA is sent out of the memory"
        run = self.receive if channel else self.send
        self.tasks[channel] = cocotb.start_soon(run(registers, address, value))

    async def send(self, registers, address, length):
        dut, size = self.dut, len(self.dut.s_axis_tkeep)
        for at in range(0, length, size):
            part = bytes(self.memory[address + at : address + min(at + size, length)])
            while self.rng.random() < self.stalls:
                await RisingEdge(dut.aclk)
            dut.s_axis_tdata.value = int.from_bytes(part, "little")
            dut.s_axis_tkeep.value = (1 << len(part)) - 1
            dut.s_axis_tlast.value = int(at + size >= length)
            dut.s_axis_tvalid.value = 1
            await RisingEdge(dut.aclk)
            while dut.s_axis_tready.value != 1:
                await RisingEdge(dut.aclk)
            dut.s_axis_tvalid.value = 0
        registers[SR] |= IDLE

    async def receive(self, registers, address, length):
        dut, size = self.dut, len(self.dut.m_axis_tkeep)
        count = 0
        while True:
            dut.m_axis_tready.value = int(self.rng.random() >= self.stalls)
            await RisingEdge(dut.aclk)
            if dut.m_axis_tvalid.value != 1 or dut.m_axis_tready.value != 1:
                continue
            keep, last = int(dut.m_axis_tkeep.value), int(dut.m_axis_tlast.value)
            kept = keep.bit_count()
            assert keep == (1 << kept) - 1, "tkeep has a gap"
            assert last or kept == size, "tkeep within a packet, which AXI DMA does not take"
            data = int(dut.m_axis_tdata.value).to_bytes(size, "little")[:kept]
            if count + kept > length:  # more than was asked for: an internal error, until reset
                registers[SR] |= INTERNAL | HALTED
                break
            self.memory[address + count : address + count + kept] = data
            count += kept
            if last:
                registers[LENGTH] = count
                registers[SR] |= IDLE
                break
        dut.m_axis_tready.value = 0


class System:
    """Memory, DMA and the core's registers, as a processor reaches them from a thread."""

    def __init__(self, dut, control=None, stalls=0.0, seed=1):
        self.memory = bytearray(SIZE)
        self.dma = Dma(dut, self.memory, stalls, seed)
        self.next = MEMORY

        async def read(address):
            await RisingEdge(dut.aclk)
            await RisingEdge(dut.aclk)
            if control is not None and CONTROL <= address < CONTROL + 0x1000:
                return await control.read_dword(address - CONTROL)
            return self.dma.read(address - DMA)

        async def write(address, value):
            await RisingEdge(dut.aclk)
            if control is not None and CONTROL <= address < CONTROL + 0x1000:
                await control.write_dword(address - CONTROL, value)
            else:
                self.dma.write(address - DMA, value)

        self.read, self.write = resume(read), resume(write)

    def reserve(self, size):
        """The address of a new piece of memory."""
        address, self.next = self.next, self.next + (size + 63) // 64 * 64
        assert self.next <= MEMORY + SIZE
        return address

    def pynq(self):
        """What a driver takes from pynq: an overlay with a DMA and the core, and ``allocate``."""
        system = self

        class Buffer(np.ndarray):
            physical_address = 0

            def flush(self):
                at = self.physical_address - MEMORY
                system.memory[at : at + self.nbytes] = self.tobytes()

            def invalidate(self):
                at = self.physical_address - MEMORY
                self.view(np.uint8).ravel()[:] = np.frombuffer(
                    system.memory[at : at + self.nbytes], np.uint8
                )

        def allocate(shape, dtype=np.uint32):
            buffer = np.zeros(shape, dtype).view(Buffer)
            buffer.physical_address = system.reserve(buffer.nbytes)
            return buffer

        ip = SimpleNamespace(
            read=lambda offset: self.read(DMA + offset),
            write=lambda offset, value: self.write(DMA + offset, value),
            sendchannel=Channel(self, 0),
            recvchannel=Channel(self, RECEIVE),
            description={"parameters": {}},
        )
        core = SimpleNamespace(
            read=lambda offset: self.read(CONTROL + offset),
            write=lambda offset, value: self.write(CONTROL + offset, value),
        )
        return SimpleNamespace(dma=ip, core=core), allocate


class Channel:
    """A channel of the DMA as pynq's driver shows it."""

    def __init__(self, system, offset):
        self.system, self.base, self.sends = system, DMA + offset, offset == 0
        self.first, self.buffer = True, None
        self.started = False

    def status(self):
        return self.system.read(self.base + SR)

    @property
    def running(self):
        return not self.status() & HALTED

    @property
    def idle(self):
        return bool(self.status() & IDLE)

    @property
    def error(self):
        return bool(self.status() & 0x70)

    @property
    def transferred(self):
        return self.system.read(self.base + LENGTH)

    def start(self):
        self.system.write(self.base + CR, 1)
        self.first = True

    def stop(self):
        self.system.write(self.base + CR, 0)

    def transfer(self, array, start=0, nbytes=0):
        if not self.started:  # pynq starts its channels when the overlay is loaded
            self.start()
            self.started = True
        if not self.running:
            raise RuntimeError("DMA channel not started")
        if not self.idle and not self.first:
            raise RuntimeError("DMA channel not idle")
        if self.sends:
            array.flush()
        self.buffer, self.first = array, False
        self.system.write(self.base + ADDRESS, array.physical_address + start)
        self.system.write(self.base + LENGTH, nbytes or array.nbytes - start)

    def wait(self):
        while not self.idle:
            if self.error:
                raise RuntimeError("DMA error")
        if not self.sends:
            self.buffer.invalidate()

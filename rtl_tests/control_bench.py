"""The cocotb bench of hwbnn_control: traffic, and every order of AXI4-Lite's channels."""

from __future__ import annotations

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from hwbnn.targets.ip.registers import registers

AT = {register.name: register.offset for register in registers()}
BUILD, FRAMING, RESULT, BEATS = 0x0123456789ABCDEF, 2, 1, 3
OKAY, SLVERR = 0, 2
INPUTS = {"aw": ("awaddr", "awprot", "awvalid"), "w": ("wdata", "wstrb", "wvalid")}
INPUTS |= {"ar": ("araddr", "arprot", "arvalid"), "b": ("bready",), "r": ("rready",)}


class Bench:
    """The module with a model of its counters beside it, cycle by cycle."""

    def __init__(self, dut, seed=1):
        self.dut, self.rng = dut, random.Random(seed)
        self.busy, self.expected, self.beat, self.open, self.most = True, {}, 0, 0, 0
        cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
        cocotb.start_soon(self.traffic())
        cocotb.start_soon(self.model())

    def port(self, name):
        return getattr(self.dut, f"s_axi_control_{name}")

    async def reset(self, cycles=3):
        self.dut.rst_ni.value = 0
        for names in INPUTS.values():
            for name in names:
                self.port(name).value = 0
        await ClockCycles(self.dut.clk_i, cycles)
        self.dut.rst_ni.value = 1

    async def traffic(self):
        """Beats, stalls and errors at random; nothing while it is not busy."""
        dut = self.dut
        while True:
            for name, share in (
                ("s_axis_tvalid", 0.6),
                ("s_axis_tready", 0.6),
                ("m_axis_tvalid", 0.7),
                ("m_axis_tready", 0.7),
                ("m_axis_tlast", 0.3),
                ("error_i", 0.1),
            ):
                getattr(dut, name).value = int(self.busy and self.rng.random() < share)
            await RisingEdge(dut.clk_i)

    async def model(self):
        """What the registers must say, from what is at the ports and when they are cleared."""
        dut = self.dut
        names = ("FRAMES", "ERRORS", "INPUT_STALLS", "OUTPUT_STALLS", "PACKET_FRAMES", "STATUS")
        while True:
            await ReadOnly()
            seen = {
                name: int(getattr(dut, name).value)
                for name in ("s_axis_tvalid", "s_axis_tready", "m_axis_tvalid", "m_axis_tready")
            }
            error, last = int(dut.error_i.value), int(dut.m_axis_tlast.value)
            in_reset = int(dut.rst_ni.value) == 0
            clear = {
                name: 0 if in_reset else int(getattr(dut, f"clear_{name}").value)
                for name in ("error", "counters")
            }
            await RisingEdge(dut.clk_i)
            if in_reset:
                self.expected = dict.fromkeys(names, 0)
                self.beat = self.open = 0
                continue
            e = self.expected
            if clear["error"]:
                e["ERRORS"] = e["STATUS"] = 0
            if clear["counters"]:
                e["FRAMES"] = e["INPUT_STALLS"] = e["OUTPUT_STALLS"] = 0
            e["ERRORS"] += error
            e["STATUS"] |= error
            e["INPUT_STALLS"] += seen["s_axis_tvalid"] & (1 - seen["s_axis_tready"])
            e["OUTPUT_STALLS"] += seen["m_axis_tvalid"] & (1 - seen["m_axis_tready"])
            if seen["m_axis_tvalid"] & seen["m_axis_tready"]:
                ends = self.beat == BEATS - 1
                self.beat = 0 if ends else self.beat + 1
                e["FRAMES"] += ends
                self.open += ends
                if last:
                    self.most = max(self.most, self.open)
                    e["PACKET_FRAMES"], self.open = self.open, 0

    async def offered(self, channel, wait=0):
        """Offer what stands on a channel, after some cycles, until it is taken."""
        for _ in range(wait):
            await RisingEdge(self.dut.clk_i)
        self.port(f"{channel}valid").value = 1
        await RisingEdge(self.dut.clk_i)
        while self.port(f"{channel}ready").value != 1:
            await RisingEdge(self.dut.clk_i)
        self.port(f"{channel}valid").value = 0

    async def answered(self, channel, wait=0):
        """Take an answer some cycles after it was offered; it must stay as it is until then."""
        while self.port(f"{channel}valid").value != 1:
            await RisingEdge(self.dut.clk_i)
        held = ("rdata", "rresp") if channel == "r" else ("bresp",)
        first = [int(self.port(name).value) for name in held]
        for _ in range(wait):
            await RisingEdge(self.dut.clk_i)
            assert self.port(f"{channel}valid").value == 1, "an answer was withdrawn"
            assert [int(self.port(name).value) for name in held] == first, "an answer changed"
        self.port(f"{channel}ready").value = 1
        await RisingEdge(self.dut.clk_i)
        self.port(f"{channel}ready").value = 0
        await RisingEdge(self.dut.clk_i)
        return first

    async def read(self, address, waits=(0, 0)):
        """Status and value."""
        self.port("araddr").value = address
        await self.offered("ar", waits[0])
        value, status = await self.answered("r", waits[1])
        return status, value

    async def write(self, address, value, strobes=15, waits=(0, 0, 0)):
        """The status; the waits are those of the address, the data and the answer."""
        self.port("awaddr").value = address
        self.port("wdata").value = value
        self.port("wstrb").value = strobes
        channels = [cocotb.start_soon(self.offered(c, waits[i])) for i, c in enumerate(("aw", "w"))]
        for channel in channels:
            await channel
        (status,) = await self.answered("b", waits[2])
        return status

    async def compared(self):
        """Stop the traffic; every register must say what the model says."""
        self.busy = False
        await ClockCycles(self.dut.clk_i, 3)
        for name, value in self.expected.items():
            assert await self.read(AT[name]) == (OKAY, value), name
        self.busy = True


@cocotb.test(timeout_time=100, timeout_unit="us")
async def the_identity_is_fixed(dut):
    bench = Bench(dut)
    await bench.reset()
    wanted = {
        "IDENTITY": 0x4857424E,
        "VERSION": 1 << 16,
        "BUILD_HIGH": BUILD >> 32,
        "BUILD_LOW": BUILD & 0xFFFFFFFF,
        "CORE": RESULT << 4 | FRAMING,
        "CONTROL": 0,
    }
    for name, value in wanted.items():
        assert await bench.read(AT[name]) == (OKAY, value), name


@cocotb.test(timeout_time=100, timeout_unit="us")
async def every_order_of_the_channels_is_answered(dut):
    bench = Bench(dut, 2)
    await bench.reset()
    for address_wait in (0, 1, 5):
        for data_wait in (0, 1, 5):
            for answer_wait in (0, 1, 7):
                waits = (address_wait, data_wait, answer_wait)
                assert await bench.write(AT["CONTROL"], 3, waits=waits) == OKAY
                assert await bench.write(AT["ERRORS"], 3, waits=waits) == SLVERR
                status, _ = await bench.read(AT["FRAMES"], (address_wait, answer_wait))
                assert status == OKAY
    await bench.compared()


@cocotb.test(timeout_time=100, timeout_unit="us")
async def counters_are_right_during_traffic_and_behind_it(dut):
    bench = Bench(dut, 3)
    await bench.reset()
    for _ in range(6):
        last = -1
        for _ in range(20):
            status, value = await bench.read(AT["FRAMES"])
            assert status == OKAY
            assert value >= last
            last = value
        await bench.compared()
        assert bench.expected["ERRORS"] > 0
        assert bench.expected["FRAMES"] > 0
    assert bench.most > 1
    await bench.write(AT["CONTROL"], 1)
    await bench.compared()
    await bench.write(AT["CONTROL"], 2)
    await bench.compared()


@cocotb.test(timeout_time=100, timeout_unit="us")
async def an_error_in_the_cycle_that_clears_is_kept(dut):
    bench = Bench(dut, 4)
    bench.busy = False
    await bench.reset()
    both = 0
    for wait in range(12):
        writing = cocotb.start_soon(bench.write(AT["CONTROL"], 1))
        for _ in range(wait):
            await RisingEdge(dut.clk_i)
        dut.error_i.value = 1
        await ReadOnly()
        both += int(dut.clear_error.value)
        await RisingEdge(dut.clk_i)
        dut.error_i.value = 0
        await writing
        for name in ("ERRORS", "STATUS"):
            assert await bench.read(AT[name]) == (OKAY, bench.expected[name]), (wait, name)
    assert both, "no error came in the cycle that clears"


@cocotb.test(timeout_time=100, timeout_unit="us")
async def strobes_say_which_bytes_are_written(dut):
    bench = Bench(dut, 5)
    await bench.reset()
    await ClockCycles(dut.clk_i, 200)
    await bench.compared()
    bench.busy = False
    await ClockCycles(dut.clk_i, 3)
    before = bench.expected["ERRORS"]
    assert before > 0
    for strobes in (0, 2, 4, 8, 14):
        assert await bench.write(AT["CONTROL"], 0xFFFFFFFF, strobes) == OKAY
        assert await bench.read(AT["ERRORS"]) == (OKAY, before)
    assert await bench.write(AT["CONTROL"], 1, 1) == OKAY
    assert await bench.read(AT["ERRORS"]) == (OKAY, 0)


@cocotb.test(timeout_time=100, timeout_unit="us")
async def unknown_addresses_and_wrong_writes_are_errors(dut):
    bench = Bench(dut, 6)
    bench.busy = False
    await bench.reset()
    known = set(AT.values())
    for address in (*range(0x30, 0x60, 4), 0x100, 0x800, 0xFFC):
        assert address not in known
        assert await bench.read(address) == (SLVERR, 0), hex(address)
        assert await bench.write(address, 3) == SLVERR, hex(address)
    for name, address in AT.items():
        status = await bench.write(address, 0)
        assert status == (OKAY if name == "CONTROL" else SLVERR), name
    for below in (1, 2, 3):  # the two lowest bits are not read
        assert await bench.read(AT["IDENTITY"] + below) == (OKAY, 0x4857424E)


@cocotb.test(timeout_time=100, timeout_unit="us")
async def a_reset_within_an_access_leaves_nothing_behind(dut):
    bench = Bench(dut, 7)
    for channel in ("aw", "w", "ar"):
        await bench.reset()
        await ClockCycles(dut.clk_i, 50)
        bench.port("awaddr").value = AT["CONTROL"]
        bench.port("wdata").value = 3
        bench.port("wstrb").value = 15
        await bench.offered(channel)
        await bench.reset(1)
        await ClockCycles(dut.clk_i, 8)
        assert dut.s_axi_control_bvalid.value == 0
        assert dut.s_axi_control_rvalid.value == 0
        await ClockCycles(dut.clk_i, 30)
        await bench.compared()
        assert bench.expected["FRAMES"] > 0
        assert await bench.write(AT["CONTROL"], 2) == OKAY


@cocotb.test(timeout_time=100, timeout_unit="us")
async def the_master_of_cocotbext_axi_is_served_under_stalls(dut):
    bench = Bench(dut, 8)
    await bench.reset()
    bus = AxiLiteBus.from_prefix(dut, "s_axi_control")
    master = AxiLiteMaster(bus, dut.clk_i, dut.rst_ni, reset_active_level=False)
    for number, channel in enumerate(
        (
            master.write_if.aw_channel,
            master.write_if.w_channel,
            master.write_if.b_channel,
            master.read_if.ar_channel,
            master.read_if.r_channel,
        )
    ):
        rng = random.Random(number)
        channel.set_pause_generator(iter(lambda rng=rng: rng.random() < 0.5, None))
    for _ in range(3):
        reads = [cocotb.start_soon(master.read_dword(a)) for a in AT.values()]
        writes = [cocotb.start_soon(master.write_dword(AT["CONTROL"], 2)) for _ in range(4)]
        values = dict(zip(AT, [await read for read in reads], strict=True))
        for write in writes:
            await write
        assert values["IDENTITY"] == 0x4857424E
        assert values["BUILD_LOW"] == BUILD & 0xFFFFFFFF

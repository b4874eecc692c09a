"""The text of a netlist, read back, is the netlist, and is proved as it stands there."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from hwbnn.circuits import latency, prove_thresholds, sums, system_verilog, thresholds
from hwbnn.circuits.netlist import Chain, Lut
from hwbnn.circuits.pipeline import reads, registers, schedule
from hwbnn.errors import Mismatch

RNG = np.random.default_rng(8)
WEIGHTS = RNG.integers(0, 2, (9, 50)).astype(np.bool_)
WANTED = RNG.integers(18, 33, 9)

INSTANCE = re.compile(r"^  (LUT\w+|CARRY\d) (?:#\(.INIT\(\d+'h(\w+)\)\) )?u(\w+) \((.*)\);$", re.M)
ASSIGN = re.compile(r"^  (?:assign|wire) (n\d+) = (\S+);$", re.M)


def literal(name):
    if name.startswith("1'b"):
        return int(name[3:])
    return 2 * int(name.strip("~n")) + name.startswith("~")


def ports(text):
    found = dict(re.findall(r"\.(\w+)\(([^()]*)\)", text))
    return {k: v.strip("{}").split(", ")[::-1] for k, v in found.items()}


def table(kind, init, given):
    inputs = [literal(given[f"I{i}"][0]) for i in range(6) if f"I{i}" in given]
    if kind != "LUT6_2":
        return Lut(tuple(x >> 1 for x in inputs), int(init, 16), literal(given["O"][0]) >> 1)
    while inputs and inputs[-1] in (0, 1):  # tied
        inputs.pop()
    first, second = literal(given["O6"][0]) >> 1, literal(given["O5"][0]) >> 1
    return Lut(tuple(x >> 1 for x in inputs), int(init, 16), first, second)


def read_back(text, netlist):
    """The cells as the text has them; what a chain is said to add is taken from the netlist."""
    aliases = dict(ASSIGN.findall(text))
    cells = list(netlist.cells)
    parts: dict[int, list[dict[str, list[str]]]] = {}
    for kind, init, name, given in INSTANCE.findall(text):
        if kind.startswith("CARRY"):
            parts.setdefault(int(name.split("_")[0]), []).append(ports(given))
        else:
            cells[int(name)] = table(kind, init, ports(given))
    back = {v: k for k, v in aliases.items()}
    for index, cell in enumerate(netlist.cells):
        if not isinstance(cell, Chain):
            continue
        if cell.wires:
            s = (literal(aliases[f"n{cell.sums[0]}"]),) if cell.sums[0] else cell.s
            d = (literal(aliases[f"n{cell.carry}"]),) if cell.carry else cell.d
            cells[index] = replace(cell, s=s, d=d)
            continue
        size, got = len(cell.s), parts[index]
        s, d = ([literal(x) for part in got for x in part[p]][:size] for p in ("S", "DI"))
        sums = tuple(literal(back.get(f"o{index}[{i}]", "1'b0")) >> 1 for i in range(size))
        carry = literal(back.get(f"c{index}[{size - 1}]", "1'b0")) >> 1
        first = got[0].get("CYINIT", got[0]["CI"])[0]
        cells[index] = replace(
            cell, cin=literal(first), s=tuple(s), d=tuple(d), sums=sums, carry=carry
        )
        for k, part in enumerate(got[1:], start=1):
            assert part["CI"] == [f"c{index}[{len(part['S']) * k - 1}]"]
    outputs = re.search(r"assign y_o = {(.*)};", text).group(1).split(", ")[::-1]
    return replace(netlist, cells=tuple(cells), outputs=tuple(map(literal, outputs)))


@pytest.mark.parametrize("form", ["xc7", "xcup"])
def test_the_text_read_back_is_the_netlist_and_proved(form):
    netlist = thresholds(WEIGHTS, WANTED)
    text = system_verilog(netlist, "layer", form)
    found = read_back(text, netlist)
    assert found == netlist
    prove_thresholds(found, WEIGHTS, WANTED)


def test_a_broken_constant_in_the_text_is_caught():
    netlist = thresholds(WEIGHTS, WANTED)
    text = system_verilog(netlist, "layer", "xc7")
    inits = list(re.finditer(r"LUT6_2 #\(.INIT\(64'h(\w+)", text))
    for match in inits[:: len(inits) // 12]:
        # The lowest row: all inputs 0, where every table is read.
        digit = int(text[match.end() - 1], 16) ^ 1
        broken = f"{text[: match.end() - 1]}{digit:x}{text[match.end() :]}"
        with pytest.raises(Mismatch, match="netlist: cell"):
            prove_thresholds(read_back(broken, netlist), WEIGHTS, WANTED)


def test_registers_stand_between_all_stages():
    netlist = thresholds(WEIGHTS, WANTED)
    cycles = [latency(netlist, levels) for levels in (None, 64, 4, 2, 1)]
    assert cycles[:2] == [0, 1]
    assert cycles == sorted(cycles)
    plan = schedule(netlist, 2)
    for cell, stage in zip(netlist.cells, plan.cells, strict=True):
        reads = cell.inputs if isinstance(cell, Lut) else [x >> 1 for x in (*cell.s, *cell.d)]
        assert all(plan.signals[signal] <= stage for signal in reads)
    text = system_verilog(netlist, "layer", "portable", levels=2)
    assert len(re.findall(r"<=", text)) == sum(registers(netlist, plan).values())
    assert "clk_i" not in system_verilog(netlist, "layer")


def early(netlist, plan):
    """Cells that read what is made in a later stage."""
    return [
        cell
        for cell, stage in zip(netlist.cells, plan.cells, strict=True)
        if any(plan.signals[signal] > stage for signal in reads(cell))
    ]


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_no_cell_reads_what_a_later_stage_makes(levels):
    """Tables that feed a chain move to its stage, but not those that a table before it reads."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        netlist = sums(rng.random((2, 45)) < 0.5, width=5, signed=True)
        plan = schedule(netlist, levels)
        assert early(netlist, plan) == []
        assert max(plan.cells) < plan.stages


def test_a_cell_in_a_stage_too_early_is_seen():
    netlist = sums(np.random.default_rng(0).random((2, 45)) < 0.5, width=5, signed=True)
    plan = schedule(netlist, 2)
    assert early(netlist, replace(plan, cells=(*plan.cells[:-1], 0)))

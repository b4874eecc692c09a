"""The text of a netlist, read back, is the netlist, and is proved as it stands there."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from hwbnn.errors import Mismatch
from hwbnn.netlists import evaluate, latency, prove_thresholds, sums, system_verilog, thresholds
from hwbnn.netlists.netlist import CarryChain, Lut
from hwbnn.netlists.pipelining import pipelining, reads, registers

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


def positions(text):
    """Propagate and generate inputs of each run of carry cells, and its carry in, by its name."""
    runs = {}
    for kind, _, name, given in INSTANCE.findall(text):
        if not kind.startswith("CARRY"):
            continue
        run, place = name.split("_")
        part, bits = ports(given), int(kind[5:])
        below = part["CI"] if int(place) or bits == 8 else part["CYINIT"]
        s, d, _ = runs.setdefault(run, ([], [], literal(below[0]) if place == "0" else None))
        if place != "0":
            assert below == [f"c{run}[{len(s) - 1}]"]
        s += [literal(x) for x in part["S"]]
        d += [literal(x) for x in part["DI"]]
        assert len(part["S"]) == len(part["DI"]) == bits
    return runs


def placed(chain, found, runs):
    """A chain as it stands in its run; ``found`` names the outputs of its signals."""
    names = [found[o] for o in (*chain.sums, chain.carry) if o]
    (run,) = {name[1:].split("[")[0] for name in names}
    s, d, cin = runs[run]
    at = {o: (found[o][0], int(found[o].split("[")[1][:-1])) for o in found if found[o] in names}
    end = at[chain.carry][1] if chain.carry else at[chain.sums[-1]][1] + 1
    if chain.carry and at[chain.carry][0] == "c":
        # A slice gives out a sum or a carry of a position.
        assert not any(chain.sums)
        end += 1
    elif chain.carry:
        assert s[end] == 0
    start = end - len(chain.s)
    assert start == 0 or s[start - 1] == 0
    return replace(
        chain,
        cin=d[start - 1] if start else cin,
        s=tuple(s[start:end]),
        d=tuple(d[start:end]),
        sums=tuple(next((o for o in at if at[o] == ("o", i)), 0) for i in range(start, end)),
    )


def read_back(text, netlist):
    """The cells as the text has them; what a chain is said to add is taken from the netlist."""
    aliases = dict(ASSIGN.findall(text))
    cells = list(netlist.cells)
    for kind, init, name, given in INSTANCE.findall(text):
        if not kind.startswith("CARRY"):
            cells[int(name)] = table(kind, init, ports(given))
    runs = positions(text)
    found = {int(name[1:]): out for name, out in aliases.items() if "[" in out}
    for index, cell in enumerate(netlist.cells):
        if not isinstance(cell, CarryChain):
            continue
        if cell.wires:
            s = (literal(aliases[f"n{cell.sums[0]}"]),) if cell.sums[0] else cell.s
            d = (*cell.d[:-1], literal(aliases[f"n{cell.carry}"])) if cell.carry else cell.d
            cells[index] = replace(cell, s=s, d=d)
            continue
        cells[index] = placed(cell, found, runs)
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
    x = RNG.integers(0, 2, (500, 50)).astype(np.bool_)
    x[0] = False
    caught = []
    for match in inits[:: len(inits) // 16]:
        # The lowest row: all inputs 0.
        digit = int(text[match.end() - 1], 16) ^ 1
        found = read_back(f"{text[: match.end() - 1]}{digit:x}{text[match.end() :]}", netlist)
        try:
            prove_thresholds(found, WEIGHTS, WANTED)
        except Mismatch as error:
            caught.append(str(error))
        else:  # nothing reads a generate bit where the carry passes
            assert np.array_equal(evaluate(found, x), evaluate(netlist, x))
    assert len(caught) >= 10
    assert all(said.startswith("netlist: cell") for said in caught)


def test_registers_stand_between_all_stages():
    netlist = thresholds(WEIGHTS, WANTED)
    cycles = [latency(netlist, levels) for levels in (None, 64, 4, 2, 1)]
    assert cycles[:2] == [0, 1]
    assert cycles == sorted(cycles)
    plan = pipelining(netlist, 2)
    for cell, stage in zip(netlist.cells, plan.cells, strict=True):
        reads = cell.inputs if isinstance(cell, Lut) else [x >> 1 for x in (*cell.s, *cell.d)]
        assert all(plan.signals[signal] <= stage for signal in reads)
    text = system_verilog(netlist, "layer", "portable", per_register=2)
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
        plan = pipelining(netlist, levels)
        assert early(netlist, plan) == []
        assert max(plan.cells) < plan.stages


def test_a_cell_in_a_stage_too_early_is_seen():
    netlist = sums(np.random.default_rng(0).random((2, 45)) < 0.5, width=5, signed=True)
    plan = pipelining(netlist, 2)
    assert early(netlist, replace(plan, cells=(*plan.cells[:-1], 0)))

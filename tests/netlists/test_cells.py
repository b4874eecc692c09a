"""Carry cells are shared by chains that cannot read each other, and counted as they are written."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from hwbnn.netlists import sums, system_verilog, thresholds
from hwbnn.netlists.cells import LONGEST, ChainStack, carries, stacks
from hwbnn.netlists.netlist import CarryChain, Netlist
from hwbnn.netlists.pipelining import drives, pipelining, reads

RNG = np.random.default_rng(5)
WEIGHTS = RNG.integers(0, 2, (10, 70)).astype(np.bool_)
NETLISTS = (
    thresholds(WEIGHTS, RNG.integers(28, 42, 10)),
    thresholds(WEIGHTS, RNG.integers(28, 42, 10), cluster_size=1),
    sums(WEIGHTS[:4, :30], width=3, signed=True),
)


def ancestors(netlist):
    """For each cell the indices of all cells that it depends on."""
    drivers: dict[int, int] = {}
    found: list[set[int]] = []
    for index, cell in enumerate(netlist.cells):
        below = {drivers[signal] for signal in reads(cell) if signal in drivers}
        found.append(below.union(*(found[i] for i in below)))
        drivers |= {signal: index for signal in drives(cell) if signal}
    return found


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("levels", [None, 1, 2, 3])
@pytest.mark.parametrize("netlist", NETLISTS)
def test_chains_of_a_run_stand_apart_and_do_not_read_each_other(netlist, levels, bits):
    plan, depends = pipelining(netlist, levels), ancestors(netlist)
    made = stacks(netlist, plan, bits)
    for run in made:
        assert len({plan.cells[index] for index in run.chains}) == 1
        assert not any(depends[index] & set(run.chains) for index in run.chains)
        ends = [
            start + len(netlist.cells[index].s)
            for index, start in zip(run.chains, run.starts, strict=True)
        ]
        assert run.starts == (run.starts[0], *(end + 1 for end in ends[:-1]))
        assert run.starts[0] <= 1
        top = netlist.cells[run.chains[-1]]
        least = ends[-1] + bool(top.carry and top.sums[-1])
        assert least <= run.positions < least + bits
        assert run.positions % bits == 0
        assert run.positions <= LONGEST or len(run.chains) == 1
    chains = [i for i, c in enumerate(netlist.cells) if isinstance(c, CarryChain) and not c.wires]
    assert sorted(index for run in made for index in run.chains) == chains


@pytest.mark.parametrize(("form", "bits"), [("xc7", 4), ("xcup", 8)])
@pytest.mark.parametrize("netlist", NETLISTS)
def test_as_many_cells_are_written_as_are_counted(netlist, form, bits):
    for levels in (None, 2):
        text = system_verilog(netlist, "layer", form, per_register=levels)
        written = len(re.findall(rf"^  CARRY{bits} ", text, re.M))
        assert written == carries(netlist, bits, levels)
    assert "CARRY" not in system_verilog(netlist, "layer")


def chain(positions, signal, *, compares=False):
    """A chain as far as its place in a run goes."""
    wide = (2,) * positions
    return CarryChain(0, wide, wide, (0 if compares else signal,) * positions, signal, ())


def joined(*chains):
    """The runs of chains that are all independent, in cells of four."""
    netlist = Netlist(1, 2 + len(chains), chains, ())
    return stacks(netlist, pipelining(netlist, None), 4)


def test_runs_that_are_known():
    """Four counters of seven bits fill three cells; a comparison at the top needs no way out."""
    assert joined(*(chain(2, 2 + i) for i in range(4))) == (
        ChainStack((0, 1, 2, 3), (0, 3, 6, 9), 12),
    )
    two = (chain(2, 2, compares=True), chain(1, 3))
    assert joined(*two) == (ChainStack((1, 0), (0, 2), 4),)
    assert [run.positions for run in joined(chain(4, 2), chain(2, 3), chain(3, 4))] == [8, 4]
    assert [run.positions for run in joined(chain(4, 2, compares=True))] == [4]
    assert [run.positions for run in joined(chain(4, 2), chain(2, 3))] == [8]


def test_a_generate_input_from_outside_leaves_no_way_for_the_carry_in():
    """The position below is the carry in's way then, at the bottom of a run too."""
    entering = replace(chain(1, 2), cin=2, d=(2,))
    assert joined(entering) == (ChainStack((0,), (1,), 4),)
    assert joined(entering, chain(1, 3)) == (ChainStack((1, 0), (0, 2), 4),)


def test_comparisons_of_few_bits_take_no_carry_cell():
    for inputs, luts in ((6, 1), (9, 3)):
        for least in range(1, inputs + 1):
            netlist = thresholds(np.ones((1, inputs), np.bool_), np.array([least]))
            assert netlist.luts == luts
            compares = [c for c in netlist.cells if isinstance(c, CarryChain) and not any(c.sums)]
            assert all(cell.wires for cell in compares)


def test_sharing_saves_cells():
    alone = sum(
        -(-(len(cell.s) + bool(cell.sums[-1])) // 4)
        for netlist in NETLISTS
        for cell in netlist.cells
        if isinstance(cell, CarryChain) and not cell.wires
    )
    assert sum(map(carries, NETLISTS)) <= 0.85 * alone

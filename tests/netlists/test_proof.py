"""Proofs of netlists catch planted faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwbnn.errors import Mismatch
from hwbnn.netlists import evaluate, prove_sums, prove_thresholds, sums, thresholds
from hwbnn.netlists.netlist import CarryChain, Lut, Netlist

RNG = np.random.default_rng(3)
WEIGHTS = RNG.integers(0, 2, (6, 11)).astype(np.bool_)
WANTED = np.array([3, 5, 6, 6, 7, 9])
EVERY_INPUT = (np.arange(1 << 11)[:, None] >> np.arange(11) & 1).astype(np.bool_)
RAW = (EVERY_INPUT[:, None, :] == WEIGHTS).sum(axis=2)


def with_cell(netlist, index, cell):
    cells = (*netlist.cells[:index], cell, *netlist.cells[index + 1 :])
    return replace(netlist, cells=cells)


def used_rows(lut):
    rows = range(1 << len(lut.inputs))
    if not lut.second or len(lut.inputs) == 6:
        return list(rows)
    return [*rows, *(32 + row for row in rows)]


def test_every_broken_bit_of_a_table_that_changes_an_output_is_caught():
    netlist = thresholds(WEIGHTS, WANTED)
    assert np.array_equal(evaluate(netlist, EVERY_INPUT), RAW >= WANTED)
    caught = harmless = 0
    for index, cell in enumerate(netlist.cells):
        if not isinstance(cell, Lut):
            continue
        for row in used_rows(cell):
            broken = with_cell(netlist, index, replace(cell, init=cell.init ^ 1 << row))
            if np.array_equal(evaluate(broken, EVERY_INPUT), RAW >= WANTED):
                harmless += 1  # nothing reads a generate bit where the carry passes
                continue
            with pytest.raises(Mismatch, match="netlist"):
                prove_thresholds(broken, WEIGHTS, WANTED)
            caught += 1
    assert caught > 300 > harmless > 0


def test_another_weight_threshold_or_order_is_caught():
    netlist = thresholds(WEIGHTS, WANTED)
    other = WEIGHTS.copy()
    other[4, 7] ^= True
    with pytest.raises(Mismatch, match="neuron 4 does not compare"):
        prove_thresholds(netlist, other, WANTED)
    with pytest.raises(Mismatch, match="neuron 2 does not compare"):
        prove_thresholds(netlist, WEIGHTS, WANTED + np.eye(6, dtype=np.int64)[2])
    swapped = replace(netlist, outputs=(*netlist.outputs[:4], *netlist.outputs[:3:-1]))
    with pytest.raises(Mismatch, match="neuron 4"):
        prove_thresholds(swapped, WEIGHTS, WANTED)
    counted = sums(WEIGHTS)
    with pytest.raises(Mismatch, match="neuron 4 does not give its sum"):
        prove_sums(counted, other)


def test_a_sum_bit_that_is_left_out_is_caught():
    netlist = sums(WEIGHTS)
    faults = 0
    for index, cell in enumerate(netlist.cells):
        for place, signal in enumerate(cell.sums if isinstance(cell, CarryChain) else ()):
            left = (*cell.sums[:place], 0, *cell.sums[place + 1 :])
            broken = with_cell(netlist, index, replace(cell, sums=left))
            outputs = (literal * (literal >> 1 != signal) for literal in netlist.outputs)
            with pytest.raises(Mismatch, match="netlist"):
                prove_sums(replace(broken, outputs=tuple(outputs)), WEIGHTS)
            faults += 1
    assert faults > 20


@pytest.mark.parametrize("init", [0b00, 0b11])
def test_a_table_that_passes_nothing_on_is_caught(init):
    one = np.ones((1, 1), np.bool_)
    prove_sums(Netlist(1, 3, (Lut((1,), 0b10, 2),), (4,)), one)
    with pytest.raises(Mismatch, match="neuron 0 does not give its sum"):
        prove_sums(Netlist(1, 3, (Lut((1,), init, 2),), (4,)), one)


def test_a_link_that_is_not_added_as_it_comes_is_caught():
    weights = np.ones((1, 40), np.bool_)
    netlist = sums(weights)
    faults = 0
    for index, cell in enumerate(netlist.cells):
        links = (
            [atom.link for atom in cell.atoms if atom.link] if isinstance(cell, CarryChain) else []
        )
        for link in links:
            for turned in ((2 * link + 1, 1), (2 * link, 2)):
                atoms = tuple(
                    replace(a, terms=tuple(turned if t[0] == 2 * link else t for t in a.terms))
                    for a in cell.atoms
                )
                if atoms == cell.atoms:  # it leaves the chain
                    continue
                with pytest.raises(Mismatch, match="netlist"):
                    prove_sums(with_cell(netlist, index, replace(cell, atoms=atoms)), weights)
                faults += 1
    assert faults > 4


def test_a_broken_chain_is_caught():
    rng = np.random.default_rng(4)
    weights = rng.integers(0, 2, (4, 40)).astype(np.bool_)
    wanted = np.full(4, 20)
    netlist = thresholds(weights, wanted)
    prove_thresholds(netlist, weights, wanted)
    faults = 0
    for index, cell in enumerate(netlist.cells):
        if not isinstance(cell, CarryChain) or cell.wires:
            continue
        made = [replace(cell, s=cell.s[::-1]), replace(cell, cin=cell.cin ^ 1)]
        if any(cell.sums):
            made.append(replace(cell, carry=0))  # the top bit dropped
            made.append(replace(cell, sums=(0, *cell.sums[1:])))
        for fault in made:
            if fault == cell or (len(cell.s) == 1 and fault.s == cell.s[::-1] != cell.s):
                continue
            if not cell.carry and fault == replace(cell, carry=0):
                continue
            with pytest.raises(Mismatch, match="netlist"):
                prove_thresholds(with_cell(netlist, index, fault), weights, wanted)
            faults += 1
    assert faults > 40

"""Evaluation of a netlist for many frames at a time, one bit of a word for each frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import InputError
from hwbnn.graph.arrays import Words
from hwbnn.graph.bits import pack_words, unpack_bits
from hwbnn.netlists.netlist import CarryChain, Cell, Lut, Netlist

ONES = np.uint64(0xFFFFFFFFFFFFFFFF)
BATCH = 4096
"""Frames evaluated at a time: few enough for the words of all signals to fit the caches."""


def evaluate(netlist: Netlist, x: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The outputs of a netlist.

    Args:
        netlist: the netlist.
        x: bool ``(frames, inputs)``.

    Returns:
        bool ``(frames, outputs)``.

    Raises:
        InputError: for an array that does not fit.
    """
    if x.ndim != 2 or x.shape[1] != netlist.inputs or x.dtype != np.bool_:
        raise InputError(
            f"netlist: expected bool (frames, {netlist.inputs}), found {x.dtype} {x.shape}"
        )
    steps = list(_steps(netlist))
    parts = [x[i : i + BATCH] for i in range(0, len(x), BATCH)]
    if not parts:
        return np.zeros((0, len(netlist.outputs)), np.bool_)
    return np.concatenate([_batch(netlist, steps, part) for part in parts])


def _batch(netlist: Netlist, steps: list[_Step], x: NDArray[np.bool_]) -> NDArray[np.bool_]:
    words = pack_words(np.ascontiguousarray(x.T))
    # Unused outputs are written to the last row.
    values = np.zeros((netlist.signals + 1, words.shape[1]), np.uint64)
    values[1 : netlist.inputs + 1] = words
    for step in steps:
        step.run(values)
    outputs = np.array(netlist.outputs, np.int64)
    bits = values[outputs >> 1] ^ np.where(outputs & 1, ONES, np.uint64(0))[:, None]
    return unpack_bits(bits.astype("<u8", copy=False).view(np.uint8), len(x)).T


class _Step(ABC):
    """Cells of one kind that do not read each other."""

    @abstractmethod
    def run(self, values: Words) -> None:
        """Compute the signals that the cells drive."""


class _Luts(_Step):
    def __init__(self, luts: list[Lut]) -> None:
        count = len(luts)
        self.inputs = np.zeros((6, count), np.int64)
        self.tied = np.zeros((6, count), np.uint64)
        tables = np.zeros((64, count), np.bool_)
        for i, lut in enumerate(luts):
            self.inputs[: len(lut.inputs), i] = lut.inputs
            rows = 1 << len(lut.inputs)
            init = lut.init
            if lut.second and rows < 64:
                self.tied[5, i] = ONES  # two outputs: the first is the upper half
            elif rows < 64:
                init *= ((1 << 64) - 1) // ((1 << rows) - 1)
            tables[:, i] = [bool(init >> row & 1) for row in range(64)]
        self.tables = np.where(tables, ONES, np.uint64(0))[:, :, None]
        self.first = np.array([lut.first or -1 for lut in luts], np.int64)
        self.double = np.array([i for i, lut in enumerate(luts) if lut.second], np.int64)
        self.second = np.array([lut.second for lut in luts if lut.second], np.int64)

    def run(self, values: Words) -> None:
        """Select half of each table by each input in turn, the sixth last."""
        rows: list[Words] = list(self.tables)
        for bit in range(6):
            select = values[self.inputs[bit]] | self.tied[bit][:, None]
            if bit == 5 and len(self.second):
                values[self.second] = np.broadcast_to(rows[0], select.shape)[self.double]
            rows = [
                low ^ ((low ^ high) & select)
                for low, high in zip(rows[::2], rows[1::2], strict=True)
            ]
        values[self.first] = rows[0]


class _Chains(_Step):
    def __init__(self, chains: list[CarryChain]) -> None:
        self.cin = np.array([chain.cin for chain in chains], np.int64)
        self.s = np.array([chain.s for chain in chains], np.int64).T
        self.d = np.array([chain.d for chain in chains], np.int64).T
        self.sums = np.array([chain.sums for chain in chains], np.int64).T
        self.sums[self.sums == 0] = -1
        self.carry = np.array([chain.carry or -1 for chain in chains], np.int64)

    def run(self, values: Words) -> None:
        """Ripple the carries from position to position."""
        carry = _literals(values, self.cin)
        for s, d, sums in zip(self.s, self.d, self.sums, strict=True):
            passes = _literals(values, s)
            values[sums] = passes ^ carry
            generated = _literals(values, d)
            carry = generated ^ ((generated ^ carry) & passes)
        values[self.carry] = carry


def _literals(values: Words, literals: NDArray[np.int64]) -> Words:
    words: Words = values[literals >> 1] ^ np.where(literals & 1, ONES, np.uint64(0))[:, None]
    return words


def _steps(netlist: Netlist) -> Iterator[_Step]:
    """The cells level by level: LUTs, then chains by their lengths."""
    level = [0] * netlist.signals
    at: dict[int, list[Cell]] = {}
    for cell in netlist.cells:
        drives: tuple[int, ...]
        if isinstance(cell, Lut):
            reads, drives = cell.inputs, (cell.first, cell.second)
        else:
            reads = tuple(literal >> 1 for literal in (cell.cin, *cell.s, *cell.d))
            drives = (*cell.sums, cell.carry)
        here = 1 + max((level[signal] for signal in reads), default=0)
        for signal in drives:
            level[signal] = here
        level[0] = 0
        at.setdefault(here, []).append(cell)
    for here in sorted(at):
        if luts := [cell for cell in at[here] if isinstance(cell, Lut)]:
            yield _Luts(luts)
        chains = [cell for cell in at[here] if isinstance(cell, CarryChain)]
        for length in sorted({len(chain.s) for chain in chains}):
            yield _Chains([chain for chain in chains if len(chain.s) == length])

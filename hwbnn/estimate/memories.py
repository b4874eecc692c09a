"""What yosys makes of a memory on Xilinx 7-series: block RAM, LUTs as memory, logic or registers.

The rules are those of yosys 0.70's ``memory_libmap`` with its library for ``xc7``: each form has a
cost and the cheapest is taken. A block RAM of 18 Kbit costs 129 and one of 36 Kbit 257, a cell of
four LUTs that hold 6 x 32 or 3 x 64 bits costs 8, a bit of a ROM in logic 1/64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]

_HALF, _FULL, _CELL = 129, 257, 8
_SHAPES = {
    _HALF: ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384)),
    _FULL: ((72, 512), (36, 1024), (18, 2048), (9, 4096), (4, 8192), (2, 16384), (1, 32768)),
}
"""Width and depth of block RAMs, by cost."""
_CELLS = ((6, 32), (3, 64))
"""Width and depth of a cell of four LUTs with one write and one read port."""
_REGISTER_BITS = 8
"""A RAM of fewer bits becomes registers."""


@dataclass(frozen=True)
class Memory:
    """What a memory takes.

    Attributes:
        lut: LUTs of all kinds.
        ff: flip-flops.
        bram18: block RAMs of 18 Kbit.
        bram36: block RAMs of 36 Kbit.
    """

    lut: float = 0
    ff: int = 0
    bram18: int = 0
    bram36: int = 0


def rom(rows: Bools) -> Memory:
    """A ROM with a register behind it.

    Args:
        rows: contents, bool ``(depth, width)``.
    """
    depth, width = rows.shape
    cost, block = _block(depth, width)
    if cost < depth * width / 64:
        return block
    made = columns(rows)
    # A LUT holds 64 entries of a bit; MUXF7 and MUXF8 join four, LUTs select among more.
    luts = -(-depth // 64) if depth > 2 else 0
    selecting = luts / 3 if luts > 4 else 0
    return Memory(lut=made * (luts + selecting), ff=made)


def columns(rows: Bools) -> int:
    """Bits of a ROM that differ from one another and vary; equal ones are made once.

    >>> columns(np.array([[0, 1, 0, 1], [1, 1, 1, 0]], np.bool_))
    2
    """
    varying = rows[:, (rows != rows[:1]).any(axis=0)]
    if not varying.size:
        return 0
    return int(np.unique(np.packbits(varying, axis=0), axis=1).shape[1])


def ram(depth: int, width: int, *, registered: bool) -> Memory:
    """A RAM with one write and one read port.

    Args:
        depth: words.
        width: bits of a word.
        registered: whether the read port has a register, without which it can be no block RAM.
    """
    behind = width if registered else 0
    if depth == 1 or depth * width < _REGISTER_BITS:
        # Words in registers, and LUTs to select the one that is read and the one that is written.
        return Memory(lut=width * (depth - 1), ff=depth * width + behind)
    cells, deep = min(
        ((-(-width // w) * -(-depth // d), d) for w, d in _CELLS),
        key=lambda each: (each[0], -each[1]),
    )
    cost, block = _block(depth, width)
    if registered and cost < _CELL * cells:
        return block
    selecting = width * (-(-depth // deep) - 1) / 2
    return Memory(lut=4 * cells + selecting, ff=behind)


def _block(depth: int, width: int) -> tuple[int, Memory]:
    """The cheapest block RAMs that hold it, and their cost."""
    best = min(
        (cost * -(-width // w) * -(-depth // d), cost, -(-width // w) * -(-depth // d))
        for cost, shapes in _SHAPES.items()
        for w, d in shapes
    )
    cost, kind, count = best
    return cost, Memory(bram18=count) if kind == _HALF else Memory(bram36=count)

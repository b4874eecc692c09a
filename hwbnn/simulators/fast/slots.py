"""Slots, the arrays in which the fast simulator keeps values, and the steps that fill them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from hwbnn.graph import ValueType
from hwbnn.graph.arrays import Array

Encoding = Literal["words", "shorts", "bytes", "pairs", "integers"]


class Slot(NamedTuple):
    """The array of one value in one form (:mod:`.kernels`)."""

    value: str
    form: Encoding


Buffers = Mapping[Slot, Array]
Run = Callable[[Array, Buffers], None]


class Step(NamedTuple):
    """One call of a kernel.

    Attributes:
        reads: slots that must be filled before.
        run: takes the samples of a block and the buffers; fills the step's own slot.
    """

    reads: tuple[Slot, ...]
    run: Run


class Coding(NamedTuple):
    """How a value's integers are bit planes: ``x = base + gain * u``, ``u`` of ``planes`` bits."""

    base: int
    gain: int
    planes: int


def coding(t: ValueType) -> Coding:
    """The coding of a value of this type; bits are -1 and +1."""
    if t.bit:
        return Coding(-1, 2, 1)
    return Coding(t.low, 1, max(1, (t.high - t.low).bit_length()))


def item(slot: Slot) -> np.dtype[Any]:
    """The dtype of a slot's array."""
    own = {"words": np.uint64, "shorts": np.int16}
    return np.dtype(own.get(slot.form, np.int32))


def rows(slot: Slot, t: ValueType) -> int:
    """Rows of a slot's array; shorts, bytes and pairs end with a row of 0."""
    if slot.form == "words":
        return coding(t).planes * -(-t.size // 64)
    if slot.form in ("bytes", "pairs"):
        words = -(-t.channels // (4 if slot.form == "bytes" else 2))
        return t.size // t.channels * words + 1
    return t.size + (slot.form == "shorts")

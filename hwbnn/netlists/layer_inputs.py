"""The inputs of a layer as literals of its netlist, and the ranges of sums over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import index

import numpy as np

from hwbnn.errors import InputError
from hwbnn.graph.arrays import Ints
from hwbnn.netlists.bit_heap import BitHeap
from hwbnn.netlists.digits import Digits
from hwbnn.netlists.netlist import TRUE


@dataclass(frozen=True)
class LayerInputs:
    """Inputs of ``width`` bits; input ``i`` begins at signal ``1 + i * width``, lowest bit first.

    Attributes:
        count: how many there are.
        width: bits of an input.
        signed: whether they are two's complement: then half of the range is added to each.
        drivers: if inputs are single bits that another netlist drives, its output literals. Then
            constant inputs need no counting, and equal or opposite inputs are counted once. None if
            nothing is known of the inputs.

    Raises:
        InputError: for drivers that are not one literal for each input of one bit.
    """

    count: int
    width: int = 1
    signed: bool = False
    drivers: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if self.drivers is None:
            return
        object.__setattr__(self, "drivers", tuple(map(index, self.drivers)))
        if (self.width, len(self.drivers)) != (1, self.count) or min(self.drivers, default=0) < 0:
            raise InputError(
                f"layer: expected a driver, a literal from 0, for each of {self.count} inputs of "
                f"one bit; found {len(self.drivers)} from {min(self.drivers, default=0)} on, and "
                f"inputs of {self.width} bits"
            )

    @property
    def high(self) -> int:
        """The largest value of an input."""
        return (1 << self.width) - 1

    @cached_property
    def literals(self) -> tuple[int, ...]:
        """For each bit, a constant, or the literal of the first bit equal or opposite to it."""
        literals = [2 * (1 + i) for i in range(self.count * self.width)]
        first: dict[int, int] = {}
        for i, driver in enumerate(self.drivers or ()):
            turned = driver & 1
            if driver <= TRUE:
                literals[i] = driver
            else:
                literals[i] = first.setdefault(driver >> 1, literals[i] ^ turned) ^ turned
        return tuple(literals)

    @property
    def told(self) -> tuple[int, ...] | None:
        """The drivers in a unique form, usable as a key; None if they carry no information."""
        nothing = tuple(range(2, 2 * (1 + self.count * self.width), 2))
        return None if self.literals == nothing else self.literals

    def bits(self, i: int) -> Iterator[tuple[int, int]]:
        """Literals of an input, plus half of the range if it is signed, each with its column."""
        for bit in range(self.width):
            turned = self.signed and bit == self.width - 1
            yield self.literals[i * self.width + bit] ^ turned, bit

    def total(self) -> BitHeap:
        """The sum of all inputs."""
        heap = BitHeap()
        for i in range(self.count):
            for literal, bit in self.bits(i):
                heap.add(literal, bit)
        heap.cancelled()
        return heap

    def ends(self, digits: Digits, scale: Ints, offset: Ints) -> tuple[Ints, Ints]:
        """The lowest and the highest ``scale * raw + offset * total`` of each neuron.

        Args:
            digits: the weights, ``(neurons, inputs)``.
            scale: int64 ``(neurons,)``.
            offset: int64 ``(neurons,)``.
        """
        factors = scale[:, None] * digits.weights + offset[:, None]
        constant = self.high * scale * digits.minus.sum(axis=1)
        if self.drivers is not None:
            literals = np.array(self.literals)
            # ~x == 1 - x
            constant += factors[:, literals & 1 == 1].sum(axis=1)
            signs = np.where(literals & 1, -1, 1) * (literals > TRUE)
            merged = np.zeros_like(factors)
            np.add.at(merged.T, np.maximum(literals >> 1, 1) - 1, (factors * signs).T)
            factors = merged
        low = self.high * np.minimum(factors, 0).sum(axis=1)
        high = self.high * np.maximum(factors, 0).sum(axis=1)
        return constant + low, constant + high

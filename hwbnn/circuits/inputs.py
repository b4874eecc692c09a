"""The inputs of a layer as literals of its netlist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from hwbnn.circuits.heap import Heap
from hwbnn.circuits.netlist import TRUE
from hwbnn.errors import InputError


@dataclass(frozen=True)
class Inputs:
    """Inputs of so many bits, input ``i`` on signals ``1 + i * width`` on, lowest bit first.

    Attributes:
        count: how many there are.
        width: bits of an input.
        signed: whether they are two's complement: then half of the range is added to each.
        drivers: where inputs are bits that another netlist drives, the literals there, so that
            constants need no counting, and equal and opposite ones are counted once; None if
            nothing is known of them.

    Raises:
        InputError: for drivers that are not one for each input of one bit.
    """

    count: int
    width: int = 1
    signed: bool = False
    drivers: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if self.drivers is not None and (self.width, len(self.drivers)) != (1, self.count):
            raise InputError(
                f"layer: expected a driver for each of {self.count} inputs of one bit, "
                f"found {len(self.drivers)}, and inputs of {self.width} bits"
            )

    @property
    def high(self) -> int:
        """The largest value of one."""
        return (1 << self.width) - 1

    def bits(self, index: int) -> Iterator[tuple[int, int]]:
        """The literals of an input that is never negative, each with its column."""
        for bit in range(self.width):
            turned = self.signed and bit == self.width - 1
            yield self._literals[index * self.width + bit] ^ turned, bit

    def total(self) -> Heap:
        """Their sum."""
        heap = Heap()
        for index in range(self.count):
            for literal, bit in self.bits(index):
                heap.add(literal, bit)
        return heap

    @cached_property
    def _literals(self) -> tuple[int, ...]:
        """A constant for each bit, or the literal of the first that is equal or opposite."""
        own = [2 * (1 + i) for i in range(self.count * self.width)]
        first: dict[int, int] = {}
        for i, driver in enumerate(self.drivers or ()):
            if driver <= TRUE:
                own[i] = driver
            else:
                own[i] = first.setdefault(driver ^ (driver & 1), own[i] ^ (driver & 1))
                own[i] ^= driver & 1
        return tuple(own)

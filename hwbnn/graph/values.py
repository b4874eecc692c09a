"""What is known of a value before any input is seen: its shape and its possible integers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True, slots=True)
class ValueType:
    """The type of one value of a Graph.

    Every element is an integer in ``{low, low + step, ..., high}``. A *bit* is kept as its code, 0
    or 1, and stands for -1 or +1 wherever a weight multiplies it.

    Attributes:
        shape: shape of one sample, channels last, without a batch axis.
        low: smallest integer that can occur.
        high: largest integer that can occur.
        step: distance of neighbouring integers (2 behind a sum of an even number of odd terms).
        bit: whether the elements are codes of -1 and +1.
    """

    shape: tuple[int, ...]
    low: int
    high: int
    step: int = 1
    bit: bool = False

    @property
    def size(self) -> int:
        """Elements of one sample."""
        return prod(self.shape)

    @property
    def channels(self) -> int:
        """Length of the last axis."""
        return self.shape[-1]

    @property
    def count(self) -> int:
        """How many integers an element can take."""
        return (self.high - self.low) // self.step + 1

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Lowest, highest and step of what the elements stand for in a sum: a bit for -1 or +1."""
        return (-1, 1, 2) if self.bit else (self.low, self.high, self.step)

    @property
    def signed(self) -> bool:
        """Whether hardware keeps the element in two's complement."""
        return self.low < 0

    @property
    def width(self) -> int:
        """Bits of one element in hardware: the fewest that hold ``low`` and ``high``.

        >>> ValueType((4,), -8, 7).width, ValueType((4,), 0, 255).width, ValueType((1,), 3, 3).width
        (4, 8, 2)
        """
        if self.signed:
            return max((~self.low).bit_length(), self.high.bit_length()) + 1
        return max(1, self.high.bit_length())

    def __str__(self) -> str:
        what = "bits" if self.bit else f"integers {self.low} to {self.high}"
        return f"{'x'.join(map(str, self.shape))} {what}"


def bit_type(shape: tuple[int, ...]) -> ValueType:
    """The type of an array of bits of this shape."""
    return ValueType(shape, 0, 1, 1, bit=True)

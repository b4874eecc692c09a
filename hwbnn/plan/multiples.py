"""Multiplication by shifts and adders: a constant as a sum of few signed powers of two.

To subtract a number, hardware adds its bitwise complement, which is too small by 1. These missing
1s are added to a constant that exists anyway (``rtl/hwbnn_multiple.sv``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """One signed power of two.

    Attributes:
        place: its exponent.
        complement: whether it is subtracted.
    """

    place: int
    complement: bool


def terms(factor: int) -> tuple[Term, ...]:
    """The fewest terms whose sum is a non-negative factor (its non-adjacent form).

    >>> terms(7)
    (Term(place=0, complement=True), Term(place=3, complement=False))
    """
    thrice = 3 * factor
    plus, minus = (thrice & ~factor) >> 1, (factor & ~thrice) >> 1
    return tuple(
        Term(place, bool(minus >> place & 1))
        for place in range((plus | minus).bit_length())
        if (plus | minus) >> place & 1
    )


def shortfall(factor: int) -> int:
    """By how much the multiple in hardware is too small: 1 for each complement."""
    return sum(term.complement for term in terms(factor))


@dataclass(frozen=True, slots=True)
class Offset:
    """An offset as the multiple of an odd factor (or 0), shifted, perhaps complemented."""

    odd: int
    shift: int
    complement: bool

    @classmethod
    def of(cls, value: int) -> Offset:
        """The only representation of an offset.

        >>> Offset.of(-12)
        Offset(odd=3, shift=2, complement=True)
        """
        size = abs(value)
        shift = (size & -size).bit_length() - 1 if size else 0
        return cls(size >> shift, shift, value < 0)

    @property
    def shortfall(self) -> int:
        """By how much the multiple in hardware is too small."""
        missing = shortfall(self.odd) << self.shift
        return 1 - missing if self.complement else missing

"""Real numbers as BatchNorm computes them: sums of rationals times square roots.

Thresholds that float64 cannot decide are decided here. The sign of such a number is found by
rational arithmetic, with squares if there is one root, and by decimals of 200 digits if there are
several.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from fractions import Fraction

from hwbnn.errors import CannotLower

_DIGITS = 200
_ZERO = Decimal(10) ** -120
_NONE: frozenset[Fraction] = frozenset()


def rational(x: float) -> Fraction:
    """The rational that a float stands for, if possible one with a denominator up to 2^16.

    >>> rational(1 / 255), rational(0.5), rational(1 / 127.5)
    (Fraction(1, 255), Fraction(1, 2), Fraction(2, 255))
    """
    near = Fraction(x).limit_denominator(1 << 16)
    return near if float(near) == x else Fraction(x)


@dataclass(frozen=True)
class RealNumber:
    """A sum of rationals times square roots of products of rationals.

    Attributes:
        terms: for each set of numbers, the rational factor of the square root of their product;
            the factor of the empty set is the rational part.
    """

    terms: Mapping[frozenset[Fraction], Fraction] = field(default_factory=dict)

    @classmethod
    def of(cls, x: Fraction | int) -> RealNumber:
        """A rational."""
        return cls({_NONE: Fraction(x)})

    def plus(self, x: RealNumber | Fraction) -> RealNumber:
        """The sum."""
        other = x if isinstance(x, RealNumber) else RealNumber.of(x)
        terms = dict(self.terms)
        for roots, factor in other.terms.items():
            terms[roots] = terms.get(roots, Fraction(0)) + factor
        return RealNumber(terms)

    def times(self, x: Fraction | int) -> RealNumber:
        """The product with a rational."""
        return RealNumber({roots: factor * x for roots, factor in self.terms.items()})

    def over_root(self, x: Fraction) -> RealNumber:
        """This number divided by the square root of a positive rational."""
        terms: dict[frozenset[Fraction], Fraction] = {}
        for roots, factor in self.terms.items():
            if x in roots:
                terms[roots - {x}] = terms.get(roots - {x}, Fraction(0)) + factor
            else:
                terms[roots | {x}] = terms.get(roots | {x}, Fraction(0)) + factor / x
        return RealNumber(terms)

    @property
    def sign(self) -> int:
        """-1, 0 or +1.

        Raises:
            CannotLower: if sums of several roots cancel beyond 120 digits.

        >>> RealNumber.of(2).over_root(Fraction(2)).plus(Fraction(-3, 2)).sign
        -1
        >>> RealNumber.of(3).over_root(Fraction(9, 4)).plus(Fraction(-2)).sign
        0
        """
        terms = {roots: factor for roots, factor in self.terms.items() if factor}
        if not terms:
            return 0
        if len(terms) == 1:
            (factor,) = terms.values()
            return _sign(factor)
        rest = [(roots, factor) for roots, factor in terms.items() if roots]
        if len(rest) == 1:
            ((roots, factor),) = rest
            whole = terms[_NONE]
            if _sign(whole) == _sign(factor):
                return _sign(whole)
            size = _sign(whole * whole - factor * factor * math.prod(roots, start=Fraction(1)))
            return size * _sign(whole)
        return self._by_decimals()

    def _by_decimals(self) -> int:
        with localcontext() as context:
            context.prec = _DIGITS
            total, size = Decimal(0), Decimal(0)
            for roots, factor in self.terms.items():
                under = factor * factor * math.prod(roots, start=Fraction(1))
                term = (Decimal(under.numerator) / Decimal(under.denominator)).sqrt()
                total += term if factor > 0 else -term
                size += term
            if abs(total) <= size * _ZERO:
                raise CannotLower(
                    "a sum of several square roots cannot be told from 0; merge the BatchNorms "
                    "that follow each other"
                )
            return 1 if total > 0 else -1


def _sign(x: Fraction) -> int:
    return (x > 0) - (x < 0)

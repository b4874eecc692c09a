"""Blocks of convolutional networks: pools, and the fixed-point numbers of shortcuts."""

from __future__ import annotations

from dataclasses import dataclass

from hwbnn.graph.arrays import Bools, Ints
from hwbnn.plan.block import Block, ByElement


@dataclass(frozen=True, eq=False)
class Pool(Block):
    """The taps of a window, one a token, become one token; each has a flag whether it is inside.

    Attributes:
        steps: taps of a window.
    """

    steps: int

    @property
    def group(self) -> int:
        """The taps of a window."""
        return self.steps


@dataclass(frozen=True, eq=False)
class PoolMax(ByElement, Pool):
    """The largest element of each window, or the smallest (``pool_max``).

    Attributes:
        smallest: bool ``(elements,)``.
    """

    smallest: Bools

    @property
    def elements(self) -> int:
        """Those of a position."""
        return len(self.smallest)


@dataclass(frozen=True, eq=False)
class PoolSum(Pool):
    """The sum of each window (``pool_sum``).

    Attributes:
        bit: whether elements are codes of -1 and +1.
    """

    bit: bool


@dataclass(frozen=True, eq=False)
class Rescale(ByElement):
    """``clip((x * m + bias) >> shift, low, high)`` (``rescale``).

    Attributes:
        multiplier: int64 ``(elements,)``.
        negative: int64 ``(elements,)``, the ``m`` where ``x < 0``; None for the multiplier.
        bias: int64 ``(elements,)``, what rounds included; class by class where there are places.
        shift: int64 ``(elements,)``.
        low: the smallest result.
        high: the largest result.
    """

    multiplier: Ints
    negative: Ints | None
    bias: Ints
    shift: Ints
    low: int
    high: int

    @property
    def elements(self) -> int:
        """Those of the bias: the other constants are the same in all classes."""
        return len(self.bias)

    @property
    def latency(self) -> int:
        """Product, sum, and shift with saturation."""
        return 3

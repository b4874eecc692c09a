"""Checks of hyper-parameters: one line that names method, hyper-parameter and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from hwbnn.errors import InputError


def flag(method: str, name: str, value: object) -> None:
    """Refuse what is neither true nor false.

    Raises:
        InputError: naming method, hyper-parameter and value.
    """
    if not isinstance(value, bool):
        raise InputError(f"{method}: {name}: expected true or false, found {value!r}")


def one_of(method: str, name: str, value: object, known: Sequence[str]) -> None:
    """Refuse a name that is not known.

    Raises:
        InputError: as :func:`flag`.
    """
    if value not in known:
        raise InputError(f"{method}: {name}: expected one of {', '.join(known)}, found {value!r}")


def number(method: str, name: str, value: object, low: float, high: float) -> None:
    """Refuse what is no number from ``low`` to ``high``.

    Raises:
        InputError: as :func:`flag`.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not isfinite(value) or not low <= value <= high:  # type: ignore[arg-type,operator]
        raise InputError(
            f"{method}: {name}: expected a number from {low:g} to {high:g}, found {value!r}"
        )


def integer(method: str, name: str, value: object, low: int, high: int) -> None:
    """Refuse what is no integer from ``low`` to ``high``.

    Raises:
        InputError: as :func:`flag`.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(
            f"{method}: {name}: expected an integer from {low} to {high}, found {value!r}"
        )

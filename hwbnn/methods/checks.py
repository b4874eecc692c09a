"""Checks of hyper-parameters; an error names method, hyper-parameter and value in one line."""

from __future__ import annotations

from collections.abc import Sequence

from hwbnn.errors import InputError, nearest
from hwbnn.graph.fields import shown


def flag(method: str, name: str, value: object) -> None:
    """Refuse anything but true and false.

    Raises:
        InputError: naming method, hyper-parameter and value.
    """
    if not isinstance(value, bool):
        raise InputError(f"{method}: {name}: expected true or false, found {shown(value)}")


def one_of(method: str, name: str, value: object, known: Sequence[str]) -> None:
    """Refuse a name that is not known.

    Raises:
        InputError: as :func:`flag`.
    """
    if value not in known:
        raise InputError(
            f"{method}: {name}: expected one of {nearest(value, known)}, found {shown(value)}"
        )


def number(method: str, name: str, value: object, low: float, high: float) -> None:
    """Refuse anything but a number from ``low`` to ``high``.

    Raises:
        InputError: as :func:`flag`.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # A comparison with NaN is false; Python compares integers of any size exactly.
    if not is_number or not low <= value <= high:  # type: ignore[operator]
        raise InputError(
            f"{method}: {name}: expected a number from {low:g} to {high:g}, found {shown(value)}"
        )


def integer(method: str, name: str, value: object, low: int, high: int) -> None:
    """Refuse anything but an integer from ``low`` to ``high``.

    Raises:
        InputError: as :func:`flag`.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(
            f"{method}: {name}: expected an integer from {low} to {high}, found {shown(value)}"
        )


def at_least(method: str, name: str, value: float, other: str, bound: float) -> None:
    """Refuse a hyper-parameter below another one of its method.

    Raises:
        InputError: as :func:`flag`, and naming the other hyper-parameter.
    """
    if value < bound:
        raise InputError(f"{method}: {name}: expected at least {other} = {bound}, found {value}")

"""The errors that hwbnn raises where a user can remove the cause.

Every message is one line that says what, where, what was expected, what was found and what to do.
Any other exception that reaches a user is a defect of hwbnn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import NoReturn

_NAME = 60
"""Longer names are compared and shown by this many first characters."""
_LISTED = 40
"""Names that a message lists at most."""


class HwbnnError(Exception):
    """Base class of these errors; the command line prints the message and exits with status 2.

    Messages can be printed and written as UTF-8, whatever a file's name holds.
    """

    def __str__(self) -> str:
        return super().__str__().encode(errors="backslashreplace").decode()


class GraphError(HwbnnError):
    """A Graph, or a file said to hold one, is malformed."""


class InputError(HwbnnError):
    """An array, an option or a path given by the user does not fit."""


class ArgumentError(InputError, TypeError):
    """A call has an argument that the function does not take, or lacks one; a TypeError too."""


class CannotLower(HwbnnError):
    """A model has no exact integer form; the message names the layer and what to change."""


class PlanError(HwbnnError):
    """A Plan does not fit its Graph, or asks for hardware over budget."""


class GoalMissed(PlanError):
    """No Plan that was found meets a goal; the message says by what it misses, and the nearest.

    The command line exits with status 1, since the input was good.
    """


class ToolNotFound(HwbnnError):
    """A tool or an optional Python package is missing; the message says how to get it."""


class ToolFailed(HwbnnError):
    """An external tool ended with an error; the message names its log."""


class HwbnnWarning(UserWarning):
    """A warning: the input may be a mistake, but is not refused."""


class ConstantOutput(HwbnnWarning):
    """A network gives the same output for every input: it is lowered, but probably a mistake."""


class TrainingMode(HwbnnWarning):
    """A model is in training mode; it is lowered as it computes in evaluation mode."""


class Mismatch(HwbnnError):
    """Two backends differ, or a counted number of cycles differs from the predicted one.

    The command line exits with status 1, since the input was good and the hardware is not.
    """


def nearest(found: object, known: Iterable[object]) -> str:
    """The known names as a message lists them: first those similar to ``found``, then the others.

    Args:
        found: the unknown name, of any length; an object that is no string is similar to none.
        known: the names that exist; names that are not similar are listed in this order.

    Returns:
        The names separated by commas, at most 40 of them; "none" if there are none.

    >>> nearest("bnn_st", ["adabin", "bnn_pp", "bnn_ste"])
    'bnn_ste, bnn_pp, adabin'
    """
    names = [str(name)[:_NAME] for name in known]
    given = found if isinstance(found, str) else ""
    by_key = {name.casefold(): name for name in reversed(names)}
    like = get_close_matches(given[:_NAME].casefold(), by_key, 5)
    order = list(dict.fromkeys([*(by_key[key] for key in like), *names]))
    more = f" and {len(order) - _LISTED} more" if len(order) > _LISTED else ""
    return ", ".join(order[:_LISTED]) + more or "none"


def unknown_attribute(module: str, names: Iterable[str], name: str) -> AttributeError:
    """The error of a name that a module lacks; it lists the public ones, nearest first."""
    known = "" if name.startswith("__") else f"; it has {nearest(name, names)}"
    return AttributeError(f"module {module!r} has no attribute {name[:_NAME]!r}{known}")


def refuses_others(module: str, names: Iterable[str]) -> Callable[[str], NoReturn]:
    """The ``__getattr__`` of a package that has everything at once.

    Args:
        module: its ``__name__``.
        names: its public names.
    """

    def refuse(name: str) -> NoReturn:
        raise unknown_attribute(module, names, name)

    return refuse

"""The family of errors that hwbnn raises for what a user can mend.

Every message is one line that says what, where, what was expected, what was found and what to do.
Anything else that escapes is a defect of hwbnn.
"""

from __future__ import annotations


class HwbnnError(Exception):
    """Root of the family; the command line prints its message and exits with status 2."""


class GraphError(HwbnnError):
    """A Graph, or a file said to hold one, is malformed."""


class InputError(HwbnnError):
    """An array, an option or a path given by the user does not fit."""


class CannotLower(HwbnnError):
    """A model has no exact integer form; the message names the layer and what to change."""


class PlanError(HwbnnError):
    """A Plan does not fit its Graph, or asks for hardware over budget."""


class ToolNotFound(HwbnnError):
    """A tool or an optional Python package is missing; the message says how to get it."""


class ToolFailed(HwbnnError):
    """An external tool ended with an error; the message names its log."""


class Mismatch(HwbnnError):
    """Two backends differ, or a counted cycle differs from its prediction.

    The command line exits with status 1, since the input was good and the hardware is not.
    """

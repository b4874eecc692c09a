"""Messages for imports that fail because an optional package is missing."""

from __future__ import annotations

from hwbnn.errors import ToolNotFound
from hwbnn.tools.catalogue import CATALOGUE
from hwbnn.tools.find import require


def explained(error: ModuleNotFoundError) -> Exception:
    """The error to raise for a failed import, which says how to get an optional package.

    Returns:
        A :class:`~hwbnn.errors.ToolNotFound` for a missing package of the catalogue, or ``error``
        itself for any other module.
    """
    missing = (error.name or "").partition(".")[0]
    for entry in CATALOGUE:
        if missing and entry.module.partition(".")[0] == missing:
            try:
                require(entry.name)
            except ToolNotFound as found:
                return found
    return error

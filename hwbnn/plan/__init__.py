"""How a Graph becomes hardware: the Plan that a user chooses, and the circuit that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwbnn.errors import refuses_others
from hwbnn.plan.circuits import Circuit, circuit
from hwbnn.plan.plan import (
    Control,
    CorePort,
    Folded,
    Form,
    Framing,
    Layout,
    Multipliers,
    Plan,
    Sums,
    Unrolled,
    fold_candidates,
)
from hwbnn.plan.tokens import Tap, TokenStream

__all__ = [
    "Circuit",
    "Control",
    "CorePort",
    "Folded",
    "Form",
    "Framing",
    "Layout",
    "Multipliers",
    "Plan",
    "Sums",
    "Tap",
    "TokenStream",
    "Unrolled",
    "circuit",
    "fold_candidates",
]

if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, __all__)

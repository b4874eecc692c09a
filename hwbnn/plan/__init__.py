"""How a Graph becomes hardware: the Plan that a user chooses, and the circuit that follows."""

from __future__ import annotations

from hwbnn.plan.circuits import Circuit, circuit
from hwbnn.plan.plan import (
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

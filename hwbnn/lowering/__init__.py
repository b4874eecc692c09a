"""Lowering: from a trained float network to the Graph, exactly or not at all.

Where to look: :mod:`~hwbnn.lowering.activations` turns BatchNorm and activation into thresholds,
:mod:`~hwbnn.lowering.tables` evaluates the network on every integer,
:mod:`~hwbnn.lowering.two_sums` certifies AdaBin's test of two sums,
:mod:`~hwbnn.lowering.shortcuts` and :mod:`~hwbnn.lowering.line_fit` compute in fixed point,
:mod:`~hwbnn.lowering.ops` is the interface for readers of networks. Torch is one of these readers
(:mod:`hwbnn.lowering.from_torch`) and is imported when one of the names below is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hwbnn.errors import unknown_attribute

if TYPE_CHECKING:
    from hwbnn.lowering.explanation import Explanation, LayerExplanation
    from hwbnn.lowering.from_file import explain_file, read
    from hwbnn.lowering.from_torch.accuracy import (
        FRACTIONS,
        FixedPointResult,
        check_accuracy,
        measure,
    )
    from hwbnn.lowering.from_torch.comparison import (
        CodeDifference,
        ModelComparison,
        NodeComparison,
        compare,
    )
    from hwbnn.lowering.from_torch.lower_model import explain, lower
    from hwbnn.lowering.from_torch.reference import floats, prepare, takes_sequences

_MODULES = {
    "FRACTIONS": "from_torch.accuracy",
    "ModelComparison": "from_torch.comparison",
    "CodeDifference": "from_torch.comparison",
    "Explanation": "explanation",
    "LayerExplanation": "explanation",
    "FixedPointResult": "from_torch.accuracy",
    "NodeComparison": "from_torch.comparison",
    "check_accuracy": "from_torch.accuracy",
    "compare": "from_torch.comparison",
    "explain": "from_torch.lower_model",
    "explain_file": "from_file",
    "floats": "from_torch.reference",
    "lower": "from_torch.lower_model",
    "measure": "from_torch.accuracy",
    "prepare": "from_torch.reference",
    "read": "from_file",
    "takes_sequences": "from_torch.reference",
}

__all__ = [
    "FRACTIONS",
    "CodeDifference",
    "Explanation",
    "FixedPointResult",
    "LayerExplanation",
    "ModelComparison",
    "NodeComparison",
    "check_accuracy",
    "compare",
    "explain",
    "explain_file",
    "floats",
    "lower",
    "measure",
    "prepare",
    "read",
    "takes_sequences",
]


def __getattr__(name: str) -> Any:
    """Import a public name at first use."""
    if name not in _MODULES:
        raise unknown_attribute(__name__, __all__, name)
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value

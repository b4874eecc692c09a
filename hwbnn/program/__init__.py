"""A network as a file describes it: typed layers with real scales, channels last, in numpy only.

Readers of files (:mod:`hwbnn.readers`) produce a :class:`Program`; a single lowering
(:mod:`hwbnn.lowering.from_program`) turns every Program into a Graph.
:mod:`~hwbnn.program.layers` has the layers, :mod:`~hwbnn.program.quantizers` the rounding rules,
:mod:`~hwbnn.program.program` the Program itself and the shapes of its values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwbnn.errors import refuses_others
from hwbnn.program.layers import (
    LAYERS,
    Addition,
    Affine,
    AveragePooling,
    BatchNorm,
    Clip,
    Concatenation,
    Convolution,
    Dense,
    Flattening,
    Layer,
    MaxPooling,
    Quantizer,
    WeightedLayer,
    dilated,
    shown_name,
)
from hwbnn.program.program import Program

__all__ = [
    "LAYERS",
    "Addition",
    "Affine",
    "AveragePooling",
    "BatchNorm",
    "Clip",
    "Concatenation",
    "Convolution",
    "Dense",
    "Flattening",
    "Layer",
    "MaxPooling",
    "Program",
    "Quantizer",
    "WeightedLayer",
    "dilated",
    "shown_name",
]

if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, __all__)

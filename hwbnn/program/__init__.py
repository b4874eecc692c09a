"""A network as a file says it: typed layers with real scales, channels last, numpy alone.

Readers of files (:mod:`hwbnn.readers`) produce a :class:`Program`; one lowering
(:mod:`hwbnn.lowering.from_program`) makes the Graph of it. :mod:`~hwbnn.program.layers` has the
layers, :mod:`~hwbnn.program.quantizers` the rules of rounding,
:mod:`~hwbnn.program.program` the whole and its shapes.
"""

from __future__ import annotations

from hwbnn.program.layers import (
    LAYERS,
    Addition,
    Affine,
    AveragePooling,
    BatchNorm,
    Concatenation,
    Convolution,
    Dense,
    Flattening,
    Layer,
    MaxPooling,
    Quantizer,
    Relu,
    WeightedLayer,
    shown_name,
)
from hwbnn.program.program import Program

__all__ = [
    "LAYERS",
    "Addition",
    "Affine",
    "AveragePooling",
    "BatchNorm",
    "Concatenation",
    "Convolution",
    "Dense",
    "Flattening",
    "Layer",
    "MaxPooling",
    "Program",
    "Quantizer",
    "Relu",
    "WeightedLayer",
    "shown_name",
]

"""From a program (a network read from a file) to the Graph: exactly, or an error names the layer.

The lowering goes through the layers as it does for torch. Sums become nodes. The functions between
a sum and the next quantizer are collected (:mod:`~hwbnn.lowering.from_program.real_ops`), and the
quantizer is then tabulated in float64 on every integer that the sum can reach. Where a number is
too near to an edge for floats, rational arithmetic decides
(:mod:`~hwbnn.lowering.from_program.certificate`).
:mod:`~hwbnn.lowering.from_program.dispatch` names the function of each kind of layer.
"""

from __future__ import annotations

from hwbnn.lowering.from_program.dispatch import explain_program, lower_program

__all__ = ["explain_program", "lower_program"]

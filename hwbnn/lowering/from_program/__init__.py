"""From a program (a network out of a file) to the Graph: exactly, or refused by the layer's name.

Values go through the layers as on the torch way: sums become nodes, and the functions between a
sum and the next quantizer wait (:mod:`~hwbnn.lowering.from_program.real_ops`) until the quantizer
is tabulated on every integer that the sum can reach, in float64; near pairs are decided by rational
arithmetic (:mod:`~hwbnn.lowering.from_program.certificate`).
:mod:`~hwbnn.lowering.from_program.dispatch` names the function of each kind of layer.
"""

from __future__ import annotations

from hwbnn.lowering.from_program.dispatch import explain_program, lower_program

__all__ = ["explain_program", "lower_program"]

"""Layers of binary neurons as netlists of look-up tables and carry chains.

:func:`thresholds` and :func:`sums` make one from weights; :func:`prove_thresholds` and
:func:`prove_sums` prove it, :func:`evaluate` computes it, :func:`system_verilog` writes it.
"""

from __future__ import annotations

from hwbnn.circuits.emit import Form, latency, system_verilog
from hwbnn.circuits.evaluate import evaluate
from hwbnn.circuits.layer import sums, thresholds
from hwbnn.circuits.netlist import Netlist
from hwbnn.circuits.proof import prove_sums, prove_thresholds

__all__ = [
    "Form",
    "Netlist",
    "evaluate",
    "latency",
    "prove_sums",
    "prove_thresholds",
    "sums",
    "system_verilog",
    "thresholds",
]

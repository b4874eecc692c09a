"""Layers of binary neurons as netlists of look-up tables and carry chains.

:func:`thresholds` and :func:`sums` build netlists from weights, :func:`prove_thresholds` and
:func:`prove_sums` prove them correct, :func:`evaluate` simulates them, and :func:`system_verilog`
writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwbnn.errors import refuses_others
from hwbnn.netlists.emit import NetlistForm, latency, system_verilog
from hwbnn.netlists.layer import sums, thresholds
from hwbnn.netlists.netlist import Netlist
from hwbnn.netlists.proof import prove_sums, prove_thresholds
from hwbnn.netlists.simulation import evaluate

__all__ = [
    "Netlist",
    "NetlistForm",
    "evaluate",
    "latency",
    "prove_sums",
    "prove_thresholds",
    "sums",
    "system_verilog",
    "thresholds",
]

if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, __all__)

"""Layers, networks by name, and the hooks of a training loop."""

from __future__ import annotations

from hwbnn.nn.layers import BinaryActivation, BinaryLinear, Scale
from hwbnn.nn.loop import (
    after_step,
    parameter_groups,
    parts,
    penalty,
    reestimates,
    set_progress,
    start_epoch,
)
from hwbnn.nn.networks import NETWORKS, Last, Mlp, mlp, network

__all__ = [
    "NETWORKS",
    "BinaryActivation",
    "BinaryLinear",
    "Last",
    "Mlp",
    "Scale",
    "after_step",
    "mlp",
    "network",
    "parameter_groups",
    "parts",
    "penalty",
    "reestimates",
    "set_progress",
    "start_epoch",
]

"""Layers, networks by name, and the hooks of a training loop."""

from __future__ import annotations

from hwbnn.nn.activation import BinaryActivation, Scale
from hwbnn.nn.binary import BinaryLayer
from hwbnn.nn.conv import BinaryConv2d
from hwbnn.nn.linear import BinaryLinear
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
    "BinaryConv2d",
    "BinaryLayer",
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

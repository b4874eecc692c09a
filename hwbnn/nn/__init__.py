"""Layers, networks by name, and the hooks of a training loop."""

from __future__ import annotations

from hwbnn.nn.activation import BinaryActivation, Scale
from hwbnn.nn.binary import BinaryLayer
from hwbnn.nn.conv import BinaryConv2d
from hwbnn.nn.images import CHAINS, Chain, ImageNetwork, chain
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
from hwbnn.nn.named import NAMES, network, takes_images
from hwbnn.nn.networks import NETWORKS, Last, Mlp, Network, mlp
from hwbnn.nn.residual import RESIDUAL, OptionA, Residual, Unit, residual
from hwbnn.nn.select import Select

__all__ = [
    "CHAINS",
    "NAMES",
    "NETWORKS",
    "RESIDUAL",
    "BinaryActivation",
    "BinaryConv2d",
    "BinaryLayer",
    "BinaryLinear",
    "Chain",
    "ImageNetwork",
    "Last",
    "Mlp",
    "Network",
    "OptionA",
    "Residual",
    "Scale",
    "Select",
    "Unit",
    "after_step",
    "chain",
    "mlp",
    "network",
    "parameter_groups",
    "parts",
    "penalty",
    "reestimates",
    "residual",
    "set_progress",
    "start_epoch",
    "takes_images",
]

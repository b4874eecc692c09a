"""Layers, networks by name, and the hooks of a training loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwbnn.errors import refuses_others
from hwbnn.nn.binary import BinaryActivation, SumLayer
from hwbnn.nn.conv import BinaryConv1d, BinaryConv2d
from hwbnn.nn.fan_in import Connections
from hwbnn.nn.hooks import (
    after_step,
    parameter_groups,
    parts,
    penalty,
    reestimates,
    set_progress,
    start_epoch,
)
from hwbnn.nn.linear import BinaryLinear, GroupSum, Scale, Select
from hwbnn.nn.named import NAMES, network, takes_images
from hwbnn.nn.networks import (
    CHAINS,
    NETWORKS,
    ConvChain,
    ImageNetwork,
    Last,
    Mlp,
    Network,
    chain,
    mlp,
)
from hwbnn.nn.quant import QuantConv2d, QuantLinear
from hwbnn.nn.residual import RESIDUAL, OptionA, Residual, ResidualStages, Unit, residual
from hwbnn.nn.thermometer import Thermometer

__all__ = [
    "CHAINS",
    "NAMES",
    "NETWORKS",
    "RESIDUAL",
    "BinaryActivation",
    "BinaryConv1d",
    "BinaryConv2d",
    "BinaryLinear",
    "Connections",
    "ConvChain",
    "GroupSum",
    "ImageNetwork",
    "Last",
    "Mlp",
    "Network",
    "OptionA",
    "QuantConv2d",
    "QuantLinear",
    "Residual",
    "ResidualStages",
    "Scale",
    "Select",
    "SumLayer",
    "Thermometer",
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

if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, __all__)

"""The Graph: the function of integers that a binary network computes, without its hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwbnn.errors import refuses_others
from hwbnn.graph.fields import check_name
from hwbnn.graph.fusion import fused_threshold
from hwbnn.graph.graph import Graph, check_graph
from hwbnn.graph.infer import infer
from hwbnn.graph.nodes import (
    NODE_TYPES,
    Add,
    ArgMax,
    ChannelPad,
    Concat,
    Conv2d,
    Dot,
    Encode,
    Flatten,
    Input,
    Lookup,
    MaxPool,
    Node,
    Output,
    Rescale,
    Select,
    SumPool,
    Threshold,
    WeightedSum,
    window_of,
)
from hwbnn.graph.store import from_bytes, load, save, to_bytes
from hwbnn.graph.values import ValueType, bit_type, to_integers
from hwbnn.graph.window import Window

__all__ = [
    "NODE_TYPES",
    "Add",
    "ArgMax",
    "ChannelPad",
    "Concat",
    "Conv2d",
    "Dot",
    "Encode",
    "Flatten",
    "Graph",
    "Input",
    "Lookup",
    "MaxPool",
    "Node",
    "Output",
    "Rescale",
    "Select",
    "SumPool",
    "Threshold",
    "ValueType",
    "WeightedSum",
    "Window",
    "bit_type",
    "check_graph",
    "check_name",
    "from_bytes",
    "fused_threshold",
    "infer",
    "load",
    "save",
    "to_bytes",
    "to_integers",
    "window_of",
]

if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, __all__)

"""The Graph: what a binary network computes, in integers, and nothing about how."""

from __future__ import annotations

from hwbnn.graph.affine import to_integers
from hwbnn.graph.graph import Graph
from hwbnn.graph.images import Conv2d, MaxPool, SumPool, window_of
from hwbnn.graph.infer import infer
from hwbnn.graph.kinds import NODE_TYPES
from hwbnn.graph.node import Node, check_name
from hwbnn.graph.nodes import (
    ArgMax,
    Dot,
    Encode,
    Flatten,
    Input,
    Lookup,
    Output,
    Select,
    Threshold,
)
from hwbnn.graph.store import from_bytes, load, save, to_bytes
from hwbnn.graph.streams import Add, ChannelPad, Rescale
from hwbnn.graph.values import ValueType, bit_type
from hwbnn.graph.window import Window

__all__ = [
    "NODE_TYPES",
    "Add",
    "ArgMax",
    "ChannelPad",
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
    "Window",
    "bit_type",
    "check_name",
    "from_bytes",
    "infer",
    "load",
    "save",
    "to_bytes",
    "to_integers",
    "window_of",
]

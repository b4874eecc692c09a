"""The Graph: what a binary network computes, in integers, and nothing about how."""

from __future__ import annotations

from hwbnn.graph.affine import to_integers
from hwbnn.graph.graph import Graph
from hwbnn.graph.infer import infer
from hwbnn.graph.nodes import (
    NODE_TYPES,
    ArgMax,
    Dot,
    Encode,
    Flatten,
    Input,
    Lookup,
    Node,
    Output,
    Select,
    Threshold,
    check_name,
)
from hwbnn.graph.store import from_bytes, load, save, to_bytes
from hwbnn.graph.values import ValueType, bit_type

__all__ = [
    "NODE_TYPES",
    "ArgMax",
    "Dot",
    "Encode",
    "Flatten",
    "Graph",
    "Input",
    "Lookup",
    "Node",
    "Output",
    "Select",
    "Threshold",
    "ValueType",
    "bit_type",
    "check_name",
    "from_bytes",
    "infer",
    "load",
    "save",
    "to_bytes",
    "to_integers",
]

"""All kinds of nodes; a completeness test holds every room to this tuple."""

from __future__ import annotations

from hwbnn.graph.images import Conv2d, MaxPool, SumPool
from hwbnn.graph.node import Node
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
from hwbnn.graph.streams import Add, ChannelPad, Rescale

NODE_TYPES: tuple[type[Node], ...] = (
    Input,
    Select,
    Encode,
    Dot,
    Conv2d,
    Threshold,
    Lookup,
    MaxPool,
    SumPool,
    Add,
    Rescale,
    ChannelPad,
    Flatten,
    ArgMax,
    Output,
)

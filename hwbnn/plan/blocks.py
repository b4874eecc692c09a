"""Blocks: the parts of a free-running pipeline, one class for each module of ``rtl/``."""

from __future__ import annotations

from hwbnn.graph.arrays import Bools, Ints
from hwbnn.plan.block import (
    Block,
    ByElement,
    popcount_latency,
    row_latency,
    signed_width,
    stages,
    tree_depth,
)
from hwbnn.plan.channels import Pool, PoolMax, PoolSum, Rescale
from hwbnn.plan.elements import Affine, ArgMax, Compare, Lookup, Scaled, Select, Threshold
from hwbnn.plan.products import DotFolded, DotNetlist, DotUnrolled

__all__ = [
    "Affine",
    "ArgMax",
    "Block",
    "Bools",
    "ByElement",
    "Compare",
    "DotFolded",
    "DotNetlist",
    "DotUnrolled",
    "Ints",
    "Lookup",
    "Pool",
    "PoolMax",
    "PoolSum",
    "Rescale",
    "Scaled",
    "Select",
    "Threshold",
    "popcount_latency",
    "row_latency",
    "signed_width",
    "stages",
    "tree_depth",
]

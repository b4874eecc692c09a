"""A sample of every kind of node, and the smallest network around it: the one registry of tests."""

from __future__ import annotations

import numpy as np

from hwbnn.graph import (
    Add,
    ArgMax,
    ChannelPad,
    Concat,
    Conv2d,
    Dot,
    Encode,
    Flatten,
    Graph,
    Input,
    Lookup,
    MaxPool,
    Node,
    Output,
    Rescale,
    Select,
    SumPool,
    Threshold,
)

CUTS = np.array([[0], [1]])
RISING = np.array([False, False])
ONES = np.array([1, 1])
PLACES = np.array([[0, 1], [1, 0]])
KERNELS = np.array([[[[True, False]]], [[[True, True]]]])
SAMPLES: dict[type[Node], tuple[Node, ...]] = {
    Select: (
        Select("node", "sums", np.array([1, 0])),
        Select("node", "image", np.array([1])),
        Select("node", "image_bits", np.array([1, 0])),
    ),
    Encode: (Encode("node", "sums", CUTS),),
    Dot: (
        Dot("node", "bits", np.array([[True, False]])),
        Dot("node", "bits", np.array([[True, False]]), np.array([4]), np.array([-1])),
    ),
    Conv2d: (
        Conv2d("node", "image_bits", np.repeat(KERNELS, 2, axis=1), (1, 1), (1, 0, 0, 0)),
        Conv2d("node", "image", KERNELS[..., :1], groups=2, scale=2 * ONES, offset=-ONES),
    ),
    Threshold: (
        Threshold("node", "sums", CUTS, np.array([True, False])),
        Threshold("node", "image", np.stack((CUTS, CUTS + 1)), RISING, PLACES),
    ),
    Lookup: (Lookup("node", "sums", np.array([[3, 1, 2], [0, 5, 0]])),),
    MaxPool: (
        MaxPool("node", "image", (2, 1), (1, 1), (1, 0, 0, 0)),
        MaxPool("node", "image_bits", (2, 2), (1, 1), smallest=np.array([True, False])),
    ),
    SumPool: (SumPool("node", "image_bits", (2, 2), (1, 1)),),
    Add: (Add("node", "image", "image_sums"),),
    Rescale: (
        Rescale("node", "image", ONES, ONES, ONES, -2, 2),
        Rescale("node", "image", ONES, np.array([[0, 1], [2, 3]]), ONES, -2, 9, -ONES, PLACES),
    ),
    ChannelPad: (ChannelPad("node", "image", 1, 2),),
    Concat: (
        Concat("node", "image", "image_sums"),
        Concat("node", "image_bits", "image_bits"),
        Concat("node", "sums", "sums"),
    ),
    Flatten: (Flatten("node", "sums"), Flatten("node", "image_bits")),
    ArgMax: (ArgMax("node", "sums"),),
}
"""Nodes of each kind, also with the fields that may be left out."""

WEIGHTS = np.array([[[[-3, 0]]], [[[0, 0]]], [[[1, 127]]]])
INTEGER_SAMPLES: tuple[Node, ...] = (
    Dot("node", "bits", np.array([[-3, 0], [0, 0], [1, 127]])),
    Dot("node", "sums", np.array([[-1, 0], [0, 1]])),
    Conv2d("node", "image_bits", np.repeat(WEIGHTS, 2, axis=1), (1, 1), (1, 0, 0, 0), -1),
    Conv2d("node", "image", np.repeat(WEIGHTS[1:, ..., 1:], 2, axis=2), groups=2),
    Threshold("node", "sums", CUTS, np.array([True, False]), base=0),
    Threshold("node", "image", np.stack((CUTS, CUTS + 1)), RISING, PLACES, base=-1),
)
"""Nodes with weights other than -1 and +1, and thresholds that count from a base."""

DENSE = (
    Input.bits(2),
    Dot("sums", "x", np.array([[True, True], [True, False]])),
    Threshold("bits", "sums", CUTS, RISING),
)
IMAGES = (
    Input("x", (2, 2, 2), -4, 3),
    Conv2d("image", "x", KERNELS),
    Threshold("image_bits", "image", CUTS, RISING),
    Conv2d("image_sums", "image_bits", KERNELS),
)


def network(node: Node) -> Graph:
    """The smallest network with this node behind what it reads."""
    front: tuple[Node, ...] = DENSE if set(node.sources) & {n.name for n in DENSE} else IMAGES
    needed = set(node.sources)
    kept: list[Node] = []
    for earlier in reversed(front):
        if earlier.name in needed:
            kept.insert(0, earlier)
            needed |= set(earlier.sources)
    return Graph((*kept, node, Output("y", "node")))

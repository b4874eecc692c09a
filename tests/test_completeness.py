"""Every kind of node has all its readings, and random networks have every kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwbnn.graph import (
    NODE_TYPES,
    Add,
    ArgMax,
    ChannelPad,
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
    from_bytes,
    to_bytes,
)
from hwbnn.plan import Folded, Plan, Unrolled
from hwbnn.simulators import ENGINES, simulate
from hwbnn.targets import TARGETS, generate
from tests.conv_strategies import random_conv_graph
from tests.strategies import random_graph, random_inputs, random_plan

CUTS = np.array([[0], [1]])
RISING = np.array([False, False])
ONES = np.array([1, 1])
PLACES = np.array([[0, 1], [1, 0]])
KERNELS = np.array([[[[True, False]]], [[[True, True]]]])
SAMPLES: dict[type[Node], tuple[Node, ...]] = {
    Select: (Select("node", "sums", np.array([1, 0])),),
    Encode: (Encode("node", "sums", CUTS),),
    Dot: (
        Dot("node", "bits", np.array([[True, False]])),
        Dot("node", "bits", np.array([[True, False]]), np.array([4]), np.array([-1])),
    ),
    Conv2d: (
        Conv2d("node", "image_bits", np.repeat(KERNELS, 2, axis=1), (1, 1), (1, 0, 0, 0)),
        Conv2d("node", "image", KERNELS[..., :1], groups=2, scale=ONES, offset=-ONES),
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
    Flatten: (Flatten("node", "sums"), Flatten("node", "image_bits")),
    ArgMax: (ArgMax("node", "sums"),),
}
"""Nodes of each kind, also with the fields that may be left out."""
READINGS: dict[str, Callable[[Graph], object]] = {
    "store": lambda graph: from_bytes(to_bytes(graph)),
    **{
        f"engine {engine}": lambda graph, engine=engine: simulate(
            graph, random_inputs(graph, 4, 0), engine=engine, trace=True
        )
        for engine in ENGINES
    },
    **{
        f"target {target}": lambda graph, target=target: generate(graph, target, Plan())
        for target in TARGETS
    },
}
"""What is made of a Graph, by name; new engines and targets join by being in their tables."""


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


def test_every_kind_of_node_has_every_reading() -> None:
    missing = []
    for kind in NODE_TYPES:
        if kind not in (*SAMPLES, Input, Output):
            missing.append(f"{kind.__name__}: a sample in this file")
            continue
        for sample in SAMPLES.get(kind, ()):
            for name, read in READINGS.items():
                try:
                    read(network(sample))
                except Exception as error:  # whatever it is, it belongs in the list
                    missing.append(f"{kind.__name__}: {name}: {type(error).__name__}: {error}")
    assert not missing, "\n".join(["missing:", *missing])


def test_random_networks_have_every_kind_of_node_and_layout() -> None:
    made: set[object] = set()
    for seed in range(200):
        graph = random_graph(seed)
        plan = random_plan(seed, graph)
        made |= {type(node) for node in graph.nodes} | {graph.input.bit, "fused" * plan.fuse}
        made |= {type(layout) for layout in plan.dots.values()}
        for threshold in graph.of_type(Threshold):
            source = graph.types[threshold.source]
            made.add(f"{min(threshold.thresholds.shape[1], 2)} cuts")
            made |= {"falling" if falling else "rising" for falling in threshold.falling}
            made |= {"never" for cut in threshold.thresholds.ravel() if cut > source.high}
            made |= {"always" for cut in threshold.thresholds.ravel() if cut <= source.low}
        for dot in graph.of_type(Dot):
            made |= {"sums of integers"} - {"sums of integers" * graph.types[dot.source].bit}
            made |= {"scaled"} - {"scaled" * (dot.scale_offset is None)}
            made.add(f"{plan.layout(dot.name).sums} of {min(2, graph.types[dot.source].width)}")
            made |= {("inputs", dot.weights.shape[1]), ("outputs", len(dot.weights))}
        made |= {"bits of tables" for lookup in graph.of_type(Lookup) if lookup.bit}
    for seed in range(100):
        made |= {type(node) for node in random_conv_graph(seed).nodes}
    expected = {*NODE_TYPES, Folded, Unrolled, True, False, "fused", "", "1 cuts", "2 cuts"}
    expected |= {"falling", "rising", "never", "always", "sums of integers", "bits of tables"}
    expected |= {"scaled", "planes of 2", "adders of 2", "serial of 2"}
    expected |= {(side, width) for side in ("inputs", "outputs") for width in (1, 63, 64, 65)}
    assert not expected - made

"""Random convolutional networks have all that they are meant to have."""

from __future__ import annotations

import numpy as np

from hwbnn.graph import Add, Concat, Conv2d, Graph, MaxPool, Rescale, Select, SumPool, Threshold
from tests.conv_strategies import random_conv_graph
from tests.strategies import random_graph

SEEDS = range(150)
FEATURES = frozenset(
    {
        *("Conv2d", "MaxPool", "SumPool", "Add", "Rescale", "ChannelPad", "Threshold", "Lookup"),
        *("Flatten", "Dot", "ArgMax", "kernel 1", "kernel 3", "kernel 5", "stride 1", "stride 2"),
        *("bits padded with -1", "bits padded with 0", "bits padded with 1"),
        *("integers padded with 0", "own padding on each side", "groups", "depthwise"),
        *("factors of bits", "factors of integers", "threshold places", "rescale places"),
        *("MaxPool of bits", "MaxPool of integers", "SumPool of bits", "SumPool of integers"),
        *("MaxPool of bits, overlapping", "SumPool of bits, overlapping", "smallest"),
        *("subsampling", "two slopes", "one channel added", "added", "several readers"),
    }
)
"""What the random networks must have among them."""


def features(graph: Graph) -> set[str]:
    """What a network has of what is worth seeing in one."""
    found = {type(node).__name__ for node in graph.nodes}
    for conv in graph.of_type(Conv2d):
        t, padded = graph.types[conv.source], any(conv.padding)
        kind = "bits" if t.bit else "integers"
        found |= {f"kernel {n}" for n in conv.kernel} | {f"stride {n}" for n in conv.stride}
        found |= {f"{kind} padded with {conv.pad}"} if padded else set()
        found |= {"own padding on each side"} if len(set(conv.padding)) > 2 else set()
        found |= {"groups"} if 1 < conv.groups < t.channels else set()
        found |= {"depthwise"} if 1 < conv.groups == t.channels else set()
        found |= {f"factors of {kind}"} if conv.scale_offset else set()
    for pool in (*graph.of_type(MaxPool), *graph.of_type(SumPool)):
        what = f"{type(pool).__name__} of {'bits' if graph.types[pool.source].bit else 'integers'}"
        found |= {what, f"{what}, overlapping"} if pool.stride < pool.kernel else {what}
    for pool in graph.of_type(MaxPool):
        found |= {"smallest"} if pool.smallest is not None else set()
        found |= {"subsampling"} if pool.kernel == (1, 1) and pool.stride > (1, 1) else set()
    for threshold in graph.of_type(Threshold):
        found |= {"threshold places"} if threshold.border_classes is not None else set()
    for rescale in graph.of_type(Rescale):
        found |= {"rescale places"} if rescale.border_classes is not None else set()
        found |= {"two slopes"} if rescale.negative is not None else set()
    for add in graph.of_type(Add):
        channels = {graph.types[name].channels for name in add.sources}
        found |= {"one channel added"} if len(channels) == 2 else {"added"}
    readers = [len(graph.readers(node.name)) for node in graph.nodes]
    return found | ({"several readers"} if max(readers) > 1 else set())


def test_networks_have_every_feature_and_stay_narrow() -> None:
    graphs = [random_conv_graph(seed) for seed in SEEDS]
    assert max(t.width for graph in graphs for t in graph.types.values()) <= 24
    assert set().union(*map(features, graphs)) >= FEATURES


def test_a_seed_makes_one_network() -> None:
    assert random_conv_graph(3) == random_conv_graph(3) != random_conv_graph(4)


def test_values_side_by_side_are_of_every_sort() -> None:
    found: set[str] = set()
    for seed in range(80):
        graph = random_conv_graph(seed, concat=True)
        assert max(t.width for t in graph.types.values()) <= 24
        for node in graph.of_type(Concat):
            types = [graph.types[name] for name in node.sources]
            found.add("bits" if types[0].bit else "integers")
            found.add("images" if len(types[0].shape) == 3 else "rows")
            found |= {"a value twice"} if node.source == node.other else set()
            found |= {"of two signs"} if types[0].signed != types[1].signed else set()
            found |= {"of two widths"} if types[0].width != types[1].width else set()
            found |= {"of unlike channels"} if types[0].channels != types[1].channels else set()
            found |= {"several readers"} if len(graph.readers(node.name)) > 1 else set()
        for node in graph.of_type(Select):
            t = graph.types[node.source]
            kind = "some" if len(node.index) < t.channels else "all in another order"
            found.add(f"{kind} of {'images' if len(t.shape) == 3 else 'rows'}")
    assert found == {
        *(
            f"{kind} of {of}"
            for kind in ("some", "all in another order")
            for of in ("images", "rows")
        ),
        *("bits", "integers", "images", "rows", "a value twice", "of two signs"),
        *("of two widths", "of unlike channels", "several readers"),
    }


def test_networks_with_integer_weights_have_what_rooms_may_get_wrong() -> None:
    found: set[str] = set()
    for seed in SEEDS:
        for make in (random_graph, random_conv_graph):
            graph = make(seed, integer_weights=True, based=True)
            assert max(t.width for t in graph.types.values()) <= 24
            for sums in graph.integer_layers:
                rows = sums.weights.reshape(len(sums.weights), -1)
                bits = int(np.abs(rows).max()).bit_length() + 1
                found |= {
                    f"{bits} bits of {'bits' if graph.types[sums.sources[0]].bit else 'integers'}"
                }
                found |= {"a row of zeros"} if not rows.any(axis=1).all() else set()
                found |= {"groups"} if isinstance(sums, Conv2d) and sums.groups > 1 else set()
                found |= {f"padded with {sums.pad}"} if isinstance(sums, Conv2d) else set()
            for threshold in graph.of_type(Threshold):
                kind = "bit" if threshold.bit else "integers"
                places = " by position" if threshold.border_classes is not None else ""
                found |= {f"{kind} from {np.sign(threshold.base or 0)}{places}"}
                found |= {f"{graph.types[threshold.name].width} bits wide"}
    expected = {f"{n} bits of {kind}" for n in range(2, 9) for kind in ("bits", "integers")}
    expected |= {"16 bits of bits", "a row of zeros", "groups"} | {
        f"padded with {n}" for n in (-1, 0, 1)
    }
    expected |= {f"integers from {n}{p}" for n in (-1, 0, 1) for p in ("", " by position")}
    expected |= {f"{n} bits wide" for n in range(1, 9)}
    assert found >= expected

"""Plans from strangers: read, and made a circuit of the network that they are for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hwbnn.graph import Graph
from hwbnn.plan import Plan, circuit
from hwbnn.plan.stages import Fork, SlidingWindow
from hwbnn.targets.ip import generate
from tests.conv_strategies import random_conv_graph
from tests.fuzz.kinds import FileKind, flipped, json_change
from tests.strategies import random_plan

SEEDS = (2, 69, 11, 97)
"""Networks with windows, of which some have shortcuts."""
STANDING_STILL = (69, 97)
"""Those that stand still for ever behind FIFOs of one word."""
MOST_CYCLES = 3000
"""Longest interval of circuits whose cycles are counted."""


def whole(graph: Graph, seed: int) -> bytes:
    """A Plan with every key that there is."""
    plain: dict[str, Any] = json.loads(random_plan(seed, graph, max_cycles=300).to_json())
    made = circuit(graph, Plan.from_json(json.dumps(plain)))
    forks = [stage for stage in made.stages if isinstance(stage, Fork)]
    windows = [stage for stage in made.stages if isinstance(stage, SlidingWindow)]
    plain["depths"] = {fork.value: list(fork.depths) for fork in forks}
    plain["buffer_tokens"] = {w.name.partition("_")[2]: w.buffer_tokens for w in windows}
    # A part of the catalogue would be held to the forms of the layers, which are random.
    plain |= {
        "part": "not-in-the-catalogue-1",
        "framing": "packet",
        "default": {"pe": 3, "simd": 5},
    }
    return json.dumps(plain).encode()


def reader(graph: Graph) -> Callable[[bytes], object]:
    """Reads a Plan, and makes the files of the network under it."""

    def read(data: bytes) -> Plan:
        plan = Plan.from_json(data)
        if circuit(graph, plan).interval < MOST_CYCLES:
            generate(graph, plan)
        return plan

    return read


def kind(seed: int) -> FileKind:
    """The Plans of one network."""
    graph = random_conv_graph(seed)
    sample = whole(graph, seed)

    def changed(**more: object) -> bytes:
        return json.dumps({**json.loads(sample), **more}).encode()

    corpus = {
        "a lone surrogate that names a value": changed(depths={"\ud800": [2, 2]}),
        "a name of an earlier version": changed(dots={}),
    }
    if seed in STANDING_STILL:
        depths = {name: [1] * len(each) for name, each in json.loads(sample)["depths"].items()}
        corpus["FIFOs too shallow for anything to move"] = changed(
            depths=depths, default="unrolled", layers={}, buffer_tokens={}, lanes={}
        )
    changes = (json_change, json_change, json_change, flipped)
    return FileKind(
        f"plan{seed}", (sample,), reader(graph), changes, corpus, same=False, share=0.25
    )


KINDS = tuple(kind(seed) for seed in SEEDS)

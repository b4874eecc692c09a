"""Digests of everything that a Graph becomes: generated files, simulated values, estimates.

A section is one thing that is made of a network; it has digests by name, so that a comparison says
which file of which project differs, or which node's values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np

import hwbnn
from hwbnn.errors import HwbnnError
from hwbnn.estimate import area, cycles
from hwbnn.graph import Graph
from hwbnn.plan import Plan, circuit
from tests.unchanged import plans

Section = dict[str, Any]

SAMPLES = 200
SEED = 20260
LENGTH = 8
"""Hexadecimal digits of a digest that are kept: enough to see a change, and small."""
REFUSED = "refused"
"""Name under which a section holds the class of the error that it ended in."""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:LENGTH]


def inputs(graph: Graph) -> np.ndarray[Any, Any]:
    t = graph.types[graph.input.name]
    rng = np.random.default_rng(SEED)
    return rng.integers(t.low, t.high + 1, size=(SAMPLES, *t.shape))


def simulated(graph: Graph, engine: str) -> Section:
    """Every node's values on seeded inputs, with their type and shape."""
    values = hwbnn.simulate(graph, inputs(graph), engine=engine, trace=True)
    return {
        name: digest(f"{v.dtype} {v.shape}".encode() + np.ascontiguousarray(v).tobytes())
        for name, v in values.items()
    }


def estimated(graph: Graph, plan: Plan) -> Section:
    """Predicted cycles and areas; digests of what they are made of."""
    hardware = circuit(graph, plan)
    seen, size = cycles(hardware), area(hardware)
    kinds = ("lut", "ff", "bram18", "bram36", "dsp")
    stages = [[getattr(a, kind) for kind in kinds] for a in size.stages.values()]
    return {
        "interval": str(seen.interval),
        "latency": seen.latency,
        "period": seen.period,
        **{kind: getattr(size, kind) for kind in kinds},
        "starts and ends": digest(json.dumps([seen.starts[:3], seen.ends[:3]]).encode()),
        "fill of each stream": digest(json.dumps(list(seen.fills.values())).encode()),
        "area of each stage": digest(json.dumps(stages).encode()),
    }


def generated(graph: Graph, target: str, plan: Plan, **options: str) -> Section:
    """Every file of a project."""
    files = hwbnn.generate(graph, target, plan, **options).files
    return {name: digest(content) for name, content in files.items()}


def netlist_sections() -> set[str]:
    """Names of the sections that :func:`sections` leaves out without netlists."""
    return {f"{kind} {form}" for kind in ("rtl", "estimate") for form in plans.FORMS}


def sections(graph: Graph, *, netlists: bool = True) -> dict[str, Callable[[], Section]]:
    """The sections of a network, each of them computed when it is called."""
    ways: dict[str, Callable[[], Section]] = {}
    for engine in ("plain", "fast"):
        ways[f"simulate {engine}"] = lambda engine=engine: simulated(graph, engine)
    laid: dict[str, Callable[[], Plan]] = {
        "unrolled": plans.default,
        "unfused": plans.unfused,
        "folded": lambda: plans.folded(graph),
        "folded adders": lambda: plans.folded(graph, "adders"),
        "folded serial": lambda: plans.folded(graph, "serial"),
    }
    for name, plan in laid.items():
        ways[f"estimate {name}"] = lambda plan=plan: estimated(graph, plan())
        ways[f"rtl {name}"] = lambda plan=plan: generated(graph, "rtl", plan())
    for name in ("unrolled", "folded"):
        for io in ("io_parallel", "io_stream"):
            ways[f"hls {name} {io}"] = lambda plan=laid[name], io=io: generated(
                graph, "hls", plan(), io=io
            )
    for form in plans.FORMS if netlists else ():
        ways[f"rtl {form}"] = lambda form=form: generated(graph, "rtl", plans.netlist(form))
        ways[f"estimate {form}"] = lambda form=form: estimated(graph, plans.netlist(form))
    return {name: lambda make=make: _or_refused(make) for name, make in ways.items()}


def _or_refused(make: Callable[[], Section]) -> Section:
    try:
        return make()
    except HwbnnError as error:
        return {REFUSED: type(error).__name__}

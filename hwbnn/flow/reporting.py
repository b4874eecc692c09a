"""Sections of a report, each from the results of one package."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hwbnn.devices import known_part
from hwbnn.graph import Encode, Graph, Output, Threshold
from hwbnn.graph.arrays import Array
from hwbnn.graph.nodes import Node, WeightedSum
from hwbnn.plan import Plan, circuit
from hwbnn.plan.plan import WINDOWED
from hwbnn.plan.products import weight_width
from hwbnn.report import (
    CLASS_LIMIT,
    Accuracy,
    Agreement,
    BackendFigures,
    CoreFigures,
    Depth,
    Figure,
    FixedPointFigures,
    NodeFigures,
    Prediction,
    Report,
    StageTable,
)
from hwbnn.simulators.decisions import class_count
from hwbnn.simulators.roc import roc
from hwbnn.verification import BackendResult

if TYPE_CHECKING:
    from hwbnn.lowering import FixedPointResult, ModelComparison

TIMING = ("logic_delay", "Fmax")
"""Figures of synthesis and placement that are timing, not resources."""
LEVELS = (1, 2, 3, 4, 6, 8)
"""Numbers of logic levels between registers for which a report gives the latency."""


def accuracy(
    graph: Graph, x: Array, floats: Array | None, integer: Array, classes: Array, name: str
) -> Accuracy:
    """The accuracy of the Graph, and of the float network, on labelled frames.

    Args:
        graph: the Graph.
        x: the frames, integers of its input.
        floats: classes by the float network, ``(frames,)``; None where there is no network.
        integer: classes by the Graph, ``(frames,)``.
        classes: the correct classes, ``(frames,)``.
        name: name of the data in the report.
    """
    network = None
    if floats is not None:
        source = f"torch {importlib.metadata.version('torch')}, eager, CPU, float32"
        network = Figure(100 * float((floats == classes).mean()), "%", source)
    right = Figure(100 * float((integer == classes).mean()), "%", "plain simulator")
    curve = roc(graph, x, integer, classes)
    return Accuracy(name, len(classes), network, right, _confusion(graph, integer, classes), curve)


def _confusion(graph: Graph, given: Array, classes: Array) -> tuple[tuple[int, ...], ...]:
    """Frames by correct class and by the class that the Graph gives; empty for many classes."""
    count = class_count(graph)
    if count > CLASS_LIMIT:
        return ()
    table = np.bincount(classes * count + given.astype(np.int64), minlength=count * count)
    return tuple(map(tuple, table.reshape(count, count).tolist()))


def nodes(graph: Graph) -> tuple[NodeFigures, ...]:
    """The nodes of a Graph, for the report."""
    return tuple(_node(graph, node) for node in graph.nodes)


def with_nodes(report: Report, graph: Graph) -> Report:
    """A report with the nodes of its Graph; the same report where the Graph is another."""
    if report.digest != graph.digest:
        return report
    return replace(report, nodes=nodes(graph))


def _node(graph: Graph, node: Node) -> NodeFigures:
    t = graph.types[node.name]
    size = (t.shape, t.low, t.high, t.width)
    layer = graph.layer_names.get(node.name, "")
    more: dict[str, Any] = {}
    if isinstance(node, WeightedSum):
        zeros = int((node.weights == 0).sum())
        bits = 1 if node.binary else weight_width(node.weights.astype(np.int64))
        more |= {"weights": node.weights.size, "zeros": zeros, "weight_bits": bits}
    if isinstance(node, Threshold | Encode):
        more["thresholds"] = node.thresholds.shape[-1]
    for field in ("kernel", "stride", "groups"):
        if hasattr(node, field):
            more[field] = getattr(node, field)
    if isinstance(node, Output):
        more["meaning"] = graph.meaning
    return NodeFigures(
        node.name, type(node).__name__, node.sources, *size, bit=t.bit, layer=layer, **more
    )


def agreement(comparison: ModelComparison) -> list[Agreement]:
    """The comparison of the Graph with the float network, value by value."""
    return [
        Agreement(
            node.node,
            node.layer,
            node.compared,
            node.differing,
            tuple(str(difference) for difference in node.differences),
        )
        for node in comparison.nodes
    ]


def fixed_point(measured: FixedPointResult, fraction: int, data: str) -> FixedPointFigures:
    """The effect of fixed point at one word length, for the report.

    Args:
        measured: the results at this word length.
        fraction: fraction bits of the Graph of the report.
        data: name of the data in the report.
    """
    assert measured.fraction is not None
    source = f"simulators against torch {importlib.metadata.version('torch')}, eager, CPU, float32"
    named = {
        "largest": (measured.largest, ""),
        "mean": (measured.mean, ""),
        "spread": (measured.spread, ""),
        "agreement": (100 * measured.agreement, "%"),
        "float_network": (100 * measured.accuracy_float, "%"),
        "integers": (100 * measured.accuracy_integer, "%"),
    }
    figures = {name: Figure(value, unit, source) for name, (value, unit) in named.items()}
    chosen = measured.fraction == fraction
    return FixedPointFigures(
        data, measured.frames, measured.fraction, measured.width, chosen, **figures
    )


def lowered_backend(comparison: ModelComparison) -> BackendFigures:
    """The comparison of the Graph with the float network, as an entry among the backends."""
    first = next((str(node) for node in comparison.nodes if node.differing), "")
    return BackendFigures(
        "float network",
        comparison.frames,
        comparison.compared,
        comparison.differing,
        failure=first,
        bits_by_node={node.node: node.compared for node in comparison.nodes},
        differing_by_node={
            node.node: node.differing for node in comparison.nodes if node.differing
        },
    )


def backend(result: BackendResult) -> BackendFigures:
    """A backend's results, for the report."""
    how = [f"popcount {result.notes['popcount']}"] if "popcount" in result.notes else []
    source = ", ".join(["timed on this machine", *_programs(result), *how])
    rate = Figure(result.frames_per_second, "frames/s", source) if result.seconds else None
    failure = "" if result.ok else (result.failure or "")
    return BackendFigures(
        result.name,
        result.frames,
        result.bits,
        result.mismatches,
        rate,
        failure,
        result.fused,
        result.ran,
        {node.value: node.bits for node in result.nodes},
        {node.value: node.mismatches for node in result.nodes if node.mismatches},
    )


def core(
    name: str,
    digest: str,
    plan: Plan,
    counted: BackendResult | None,
    measured: Mapping[str, Figure],
    depths: tuple[Depth, ...] = (),
    stages: StageTable | None = None,
) -> CoreFigures:
    """A core's cycles and resources.

    Args:
        name: name of the core in the report.
        digest: digest of its project.
        plan: its Plan.
        counted: results of the backend that counted its cycles; None if none did.
        measured: figures of synthesis and placement by name.
        depths: the result of :func:`depths_of`.
        stages: its stages.
    """
    check = counted.cycles if counted else None
    cycles = (
        {} if check is None else {"latency": check.latency, "initiation_interval": check.interval}
    )
    return CoreFigures(
        name,
        digest,
        cycles,
        {key: Prediction(None, figure) for key, figure in measured.items() if key not in TIMING},
        {key: Prediction(None, figure) for key, figure in measured.items() if key in TIMING},
        depths,
        stages,
        plan.device,
        Figure(plan.clock_ns, "ns", "asked for by the Plan"),
        _available(plan),
    )


def _available(plan: Plan) -> dict[str, Figure]:
    """The resources of the part that was stated; none of a part that nobody chose."""
    part = known_part(plan.part or "")
    if part is None:
        return {}
    device = part.device
    units = {"BRAM_18K": "BRAM"}
    return {
        name: Figure(count, units.get(name, name), device.source)
        for name, count in device.resources().items()
    }


def depths_of(graph: Graph, plan: Plan, delay: Figure | None) -> tuple[Depth, ...]:
    """The latency of a core for several numbers of logic levels per register in unrolled layers.

    Args:
        graph: the network of the core.
        plan: the Plan of the core.
        delay: the longest delay of its logic; None if it was not measured.

    Returns:
        An entry for each number of levels. Empty if the latency does not depend on it, or if the
        Graph has windows, where the stages alone do not give the latency exactly.
    """
    if any(isinstance(node, WINDOWED) for node in graph.nodes):
        return ()
    source = "predicted from the stages"
    depths = []
    for per_register in sorted({*LEVELS, plan.logic_levels_per_register}):
        cycles = circuit(graph, replace(plan, logic_levels_per_register=per_register)).latency
        chosen = per_register == plan.logic_levels_per_register
        latency = Figure(cycles, "cycles", source)
        depths.append(Depth(per_register, chosen, latency, delay if chosen else None))
    return tuple(depths) if len({each.latency.value for each in depths}) > 1 else ()


def _programs(result: BackendResult) -> list[str]:
    """The programs that a backend ran, each with its version."""
    return [f"{n} {v}" for n, v in result.notes.items() if n not in ("io", "popcount")]

"""A Graph and a Plan as the functions of ``hls/`` that compute it, one stage a function call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import InputError, PlanError
from hwbnn.graph import (
    ArgMax,
    Dot,
    Encode,
    Flatten,
    Graph,
    Input,
    Lookup,
    Node,
    Output,
    Select,
    Threshold,
    ValueType,
)
from hwbnn.plan import Folded, Plan
from hwbnn.targets.hls.layout import Constant, Fold, Layout, Packed, Plain, Scalar

UNROLL_LIMIT = 4096
"""Most iterations of an unrolled loop and most parts of an array; ``hwbnn::unroll_limit``."""
TOP = "hwbnn_top"
"""Name of the top function."""
PORTS = {"io_parallel": ("frame_in", "frame_out"), "io_stream": ("s_axis", "m_axis")}
"""Names of the top function's ports for each of hls4ml's io types."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One call of a function of ``hls/``.

    Attributes:
        value: name of the Graph's value that it makes.
        reads: name of the value that it reads, "" for what arrives at the port.
        kind: kind of the node, ``"Neurons"`` for a ``Dot`` with its ``Threshold``.
        function: name of the C++ function template.
        source: layout of the value that it reads.
        out: layout of the value that it makes.
        numbers: integer members of its config struct.
        types: type members of its config struct, in C++.
        constants: arrays passed to the function, in order.
        fused: values that it computes and does not show.
        reuse: cycles in which it takes one frame (hls4ml's reuse factor).
    """

    value: str
    reads: str
    kind: str
    function: str
    source: Layout
    out: Layout
    numbers: Mapping[str, int] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    constants: tuple[Constant, ...] = ()
    fused: tuple[str, ...] = ()
    reuse: int = 1


@dataclass(frozen=True)
class Site:
    """What the functions below know of the place of a node: Graph, Plan and kind of ports."""

    graph: Graph
    plan: Plan
    io: str

    def type(self, name: str) -> ValueType:
        """The type of a value."""
        return self.graph.types[name]

    def function(self, name: str) -> str:
        """The C++ function of a node: in io_stream the one around it that has streams."""
        return name if self.io == "io_parallel" else f"{name}_stream"

    def stage(self, node: Any, function: str, **rest: Any) -> Stage:
        """The stage of a node inside the network; ``rest`` are further fields of it."""
        layouts = self.layout(node.source), self.layout(node.name)
        kind, called = type(node).__name__, self.function(function)
        return Stage(node.name, node.source, kind, called, *layouts, **rest)

    def layout(self, name: str) -> Layout:
        """How a value lies between two stages: as the Dot that reads it takes it."""
        t = self.type(name)
        if not t.bit:
            return Plain(t.size, Scalar(t.width, t.signed))
        for reader in self.graph.readers(name):
            if isinstance(reader, Dot):
                return Packed(t.size, fold_of(self.plan, reader).simd)
        return Packed(t.size, t.size)

    def port(self, name: str) -> Plain:
        """How a value lies at the border, where bits have a word each."""
        t = self.type(name)
        return Plain(t.size, Scalar(t.width, t.signed))

    def lanes(self, name: str, beat: int) -> int:
        """Elements of a beat: in io_stream the most that divide the frame and fit ``beat`` bits."""
        t = self.type(name)
        if self.io == "io_parallel":
            return t.size
        fits = [n for n in range(1, min(t.size, beat // t.width) + 1) if t.size % n == 0]
        if not fits:
            raise PlanError(
                f"plan: a beat of {beat} bits is narrower than an element of '{name}', which has "
                f"{t.width} bits; take at least {-(-t.width // 8) * 8}"
            )
        return fits[-1]


def fold_of(plan: Plan, dot: Dot) -> Fold:
    """The fold of a Dot; unrolled is the one that takes all in one cycle."""
    layout = plan.layout(dot.name)
    outputs, inputs = dot.weights.shape
    if isinstance(layout, Folded):
        return Fold(outputs, inputs, layout.pe, layout.simd)
    return Fold(outputs, inputs, outputs, inputs)


def fusable(site: Site, dot: Dot) -> Threshold | None:
    """The Threshold that becomes one circuit with a Dot: its only reader, if the Plan fuses."""
    readers = site.graph.readers(dot.name)
    if site.plan.fuse and len(readers) == 1 and isinstance(readers[0], Threshold):
        return readers[0]
    return None


def stages(graph: Graph, plan: Plan, io: str) -> tuple[Stage, ...]:
    """The stages of a Graph in program order.

    Raises:
        PlanError: if the Plan does not fit the Graph, or asks for more than HLS unrolls.
        InputError: if there is no such io type.
    """
    if io not in PORTS:
        raise InputError(f"io {io!r}: expected one of {', '.join(PORTS)}")
    plan.check(graph)
    site = Site(graph, plan, io)
    for name, t in graph.types.items():
        _within_limit(name, t.size, "elements of its value", "use the target 'rtl'")
    made: list[Stage] = []
    for node in graph.nodes:
        if isinstance(node, Dot) and fusable(site, node) is not None:
            continue
        made.append(stage(node, site))
    return tuple(made)


@singledispatch
def stage(node: Node, site: Site) -> Stage:
    """The stage that makes a node's value."""
    raise PlanError(f"node '{node.name}': HLS has no {type(node).__name__}; use the target 'rtl'")


@stage.register
def _input(node: Input, site: Site) -> Stage:
    function = "pass" if site.io == "io_parallel" else "from_beats"
    return Stage(node.name, "", "Input", function, site.port(node.name), site.layout(node.name))


@stage.register
def _output(node: Output, site: Site) -> Stage:
    function = "pass" if site.io == "io_parallel" else "to_beats"
    layouts = site.layout(node.source), site.port(node.name)
    return Stage(node.name, node.source, "Output", function, *layouts)


@stage.register
def _flatten(node: Flatten, site: Site) -> Stage:
    return site.stage(node, "pass")


@stage.register
def _argmax(node: ArgMax, site: Site) -> Stage:
    return site.stage(node, "argmax")


@stage.register
def _select(node: Select, site: Site) -> Stage:
    position = Scalar.holding(0, site.type(node.source).size - 1)
    return site.stage(node, "select", constants=(Constant("positions", position, node.index),))


@stage.register
def _encode(node: Encode, site: Site) -> Stage:
    return site.stage(
        node,
        "encode",
        numbers=_levels(node.name, *node.thresholds.shape),
        constants=(_reachable("thresholds", node.thresholds, site.type(node.source)),),
    )


@stage.register
def _lookup(node: Lookup, site: Site) -> Stage:
    x, y = site.type(node.source), site.type(node.name)
    return site.stage(
        node,
        "lookup",
        numbers={
            "n_channels": x.channels,
            "n_entries": x.count,
            "n_table": node.table.size,
            "low": x.low,
            "step": x.step,
        },
        types={"offset_t": Scalar.holding(0, x.high - x.low).cpp},
        constants=(Constant("table", Scalar(y.width, y.signed), node.table.reshape(-1)),),
    )


@stage.register
def _dot(node: Dot, site: Site) -> Stage:
    weights = fold_of(site.plan, node).weights(node.weights)
    factors = () if node.factors is None else (_factors(*node.factors),)
    members = _dot_members(node, site)
    function = _dot_function("dot", node, site)
    return site.stage(node, function, constants=(weights, *factors), **members)


@stage.register
def _threshold(node: Threshold, site: Site) -> Stage:
    source = site.graph.node(node.source)
    if isinstance(source, Dot) and fusable(site, source) is node:
        return _neurons(source, node, site)
    x = site.type(node.source)
    # x <= t is not x >= t + 1: falling channels share the comparator of rising ones.
    reaching = node.thresholds + node.falling[:, None]
    falling = Constant("falling", Scalar(1), node.falling.astype(np.int64))
    return site.stage(
        node,
        "threshold",
        numbers={"n_channels": x.channels, **_levels(node.name, *reaching.shape)},
        constants=(_reachable("thresholds", reaching, x), falling),
    )


def _neurons(dot: Dot, threshold: Threshold, site: Site) -> Stage:
    """A Dot and its Threshold: rows of falling channels negated, thresholds on the accumulator."""
    t, falling = site.type(dot.name), threshold.falling[:, None]
    thresholds = np.where(falling, -threshold.thresholds, threshold.thresholds)
    inputs, weights = dot.weights.shape[1], dot.weights ^ falling
    members = _dot_members(dot, site)
    factors: tuple[Constant, ...] = ()
    if dot.factors is not None:
        # Not the weights but the factors change their sign.
        weights, sign = dot.weights, np.where(threshold.falling, -1, 1)
        factors = (_factors(*(sign * factor for factor in dot.factors)),)
    if site.type(dot.source).bit and dot.factors is None:
        # Of n inputs d differ: n - 2 d >= t just where d < floor((n - t) / 2) + 1.
        limits = np.clip((inputs - thresholds) // 2 + 1, 0, inputs + 1)
        constant = Constant("thresholds", Scalar.holding(0, inputs + 1), limits.reshape(-1))
    else:
        bound = max(-t.low, t.high)
        clipped = np.clip(thresholds, -bound, bound + 1)
        constant = Constant("thresholds", Scalar.holding(-bound, bound + 1), clipped.reshape(-1))
    members["numbers"] |= _levels(threshold.name, *threshold.thresholds.shape)
    return Stage(
        threshold.name,
        dot.source,
        "Neurons",
        site.function(_dot_function("neurons", dot, site)),
        site.layout(dot.source),
        site.layout(threshold.name),
        constants=(fold_of(site.plan, dot).weights(weights), *factors, constant),
        fused=(dot.name,),
        **members,
    )


def _factors(scale: NDArray[np.int64], offset: NDArray[np.int64]) -> Constant:
    """Scale and offset of each output, one behind the other."""
    both = np.stack([scale, offset], axis=1).reshape(-1)
    return Constant("factors", Scalar.holding(int(both.min()), int(both.max())), both)


def _dot_function(name: str, dot: Dot, site: Site) -> str:
    name = name if dot.factors is None else f"scaled_{name}"
    return name if isinstance(site.plan.layout(dot.name), Folded) else f"{name}_unrolled"


def _dot_members(dot: Dot, site: Site) -> dict[str, Any]:
    """What the config structs of ``dot`` and ``neurons`` have in common."""
    fold = fold_of(site.plan, dot)
    advice = "fold it with a smaller pe or simd"
    _within_limit(dot.name, fold.step_words, "words of weights read in one cycle", advice)
    numbers, types = fold.numbers(), {}
    if dot.factors is not None:
        _within_limit(dot.name, 2 * fold.pe, "scales and offsets read in one cycle", advice)
        numbers["n_factors"] = 2 * fold.outputs
        t = site.type(dot.name)
        largest = max(-t.low, t.high)
        types["sum_t"] = Scalar.holding(-largest, largest).cpp  # of either sign: see _neurons
    x = site.type(dot.source)
    # Wide enough for every partial sum, in whatever order.
    bound = fold.inputs * max(abs(x.low), abs(x.high), 1)
    accum = Scalar.holding(0, fold.inputs) if x.bit else Scalar.holding(-bound, bound)
    return {
        "numbers": numbers,
        "types": types
        | {
            "accum_t": accum.cpp,
            "terms": f"hwbnn::{'bit' if x.bit else 'integer'}_terms",
        },
        "reuse": fold.folds * fold.steps,
    }


def _reachable(name: str, thresholds: NDArray[np.int64], x: ValueType) -> Constant:
    """Thresholds of ``x >= t``, those out of range moved to its ends, where they mean the same."""
    clipped = np.clip(thresholds, x.low, x.high + 1)
    return Constant(name, Scalar.holding(x.low, x.high + 1), clipped.reshape(-1))


def _levels(name: str, rows: int, levels: int) -> dict[str, int]:
    """The members of a config struct that say how many thresholds there are."""
    _within_limit(name, rows * levels, "thresholds read at once", "use the target 'rtl'")
    return {"n_levels": levels, "n_thresholds": rows * levels}


def _within_limit(name: str, found: int, what: str, advice: str) -> None:
    if found > UNROLL_LIMIT:
        raise PlanError(
            f"node '{name}': HLS unrolls up to {UNROLL_LIMIT}, found {found} {what}; {advice}"
        )

"""The calls of C++ functions of ``hls/`` that compute a Graph under a Plan."""

from __future__ import annotations

from dataclasses import replace

from hwbnn.errors import InputError, nearest
from hwbnn.graph import Graph, WeightedSum
from hwbnn.plan import Folded, Plan
from hwbnn.targets.hls.nodes import call_of
from hwbnn.targets.hls.site import UNROLL_LIMIT, Call, Site, needs_stream, within_limit

__all__ = ["FORK", "NETWORK", "PIPELINE_SYNAPSES", "TOP", "Call", "Site", "calls_of", "default_io"]

TOP = "hwbnn_top"
"""Name of the top function."""
NETWORK = "hwbnn_network"
"""Name of hls4ml's function, which computes the network and which the top function calls."""
PIPELINE_SYNAPSES = 200_000
"""The most synapses that a Graph may have to be one pipelined function by default."""
IOS = ("io_parallel", "io_stream")
"""hls4ml's io types."""
FORK = "Fork"
"""Kind of the calls that copy a stream and compute no value of their own."""


def default_io(graph: Graph, plan: Plan | None = None) -> str:
    """The default io type of a Graph under a Plan.

    ``io_stream`` if a node needs it, if a frame is too large to cross a port at once, or if the
    whole network, unrolled, would be one pipeline of more than :data:`PIPELINE_SYNAPSES` synapses,
    which Vitis may not finish scheduling; else ``io_parallel``.
    """
    plan = plan or Plan.default_of(graph)
    ends = (graph.types[graph.input.name], graph.types[graph.output.name])
    sums = [n for n in graph.nodes if isinstance(n, WeightedSum)]
    unrolled = not any(isinstance(plan.layout(n.name), Folded) for n in sums)
    streamed = (
        any(needs_stream(n) for n in graph.nodes)
        or any(t.size > UNROLL_LIMIT for t in ends)
        or (unrolled and sum(n.weights.size for n in sums) > PIPELINE_SYNAPSES)
    )
    return "io_stream" if streamed else "io_parallel"


def calls_of(graph: Graph, plan: Plan, io: str) -> tuple[Call, ...]:
    """The calls of a Graph in program order; in ``io_stream``, values with several readers fork.

    Raises:
        PlanError: if the Plan does not fit the Graph, or asks for more than HLS unrolls.
        InputError: if there is no such io type, or the Graph has nodes that need another.
    """
    if io not in IOS:
        raise InputError(f"io {io!r}: expected one of {nearest(io, IOS)}")
    for node in graph.nodes:
        if io != "io_stream" and needs_stream(node):
            raise InputError(
                f"io {io!r}: node '{node.name}' ({type(node).__name__}) reads an image place by "
                "place; take io_stream"
            )
    plan.check(graph)
    site = Site(graph, plan, io)
    for name, t in graph.types.items():
        if name not in site.image_lanes and (name not in site.hidden or len(t.shape) < 3):
            within_limit(name, t.size, "elements of its value", "use the target 'rtl'")
    calls = tuple(call_of(node, site) for node in graph.nodes if node.name not in site.hidden)
    return forked(calls) if io == "io_stream" else calls


def forked(calls: tuple[Call, ...]) -> tuple[Call, ...]:
    """The calls, with forks behind each value that several calls read: a stream has one reader.

    A fork has two output streams; for n readers, a chain of n - 1 forks follows the value.
    """
    readers: dict[str, list[tuple[int, int]]] = {}
    for i, each in enumerate(calls):
        for j, name in enumerate(each.reads):
            readers.setdefault(name, []).append((i, j))
    read = [list(each.reads) for each in calls]
    sources = {each.value: each for each in calls}
    forks: dict[str, list[Call]] = {}
    for name, places in readers.items():
        left = name
        for k, (i, j) in enumerate(places[:-1]):
            # No value has a blank in its name, so these names are new.
            taken, rest = f"{name} {k}", f"{name} {k} rest"
            forks.setdefault(name, []).append(_fork(sources[name], left, (taken, rest)))
            read[i][j], left = taken, rest
        i, j = places[-1]
        read[i][j] = left
    with_forks: list[Call] = []
    for each, reads in zip(calls, read, strict=True):
        with_forks += [replace(each, reads=tuple(reads)), *forks.get(each.value, ())]
    return tuple(with_forks)


def _fork(source: Call, left: str, writes: tuple[str, str]) -> Call:
    return Call(
        source.value,
        (left,),
        FORK,
        "fork_tokens",
        source.out,
        source.out,
        source.shape,
        numbers={"n_tokens": source.tokens},
        writes=writes,
    )

"""Targets: the kinds of project that a Graph can become. Each is a pure function to a Project."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hwbnn.arguments import checked_call
from hwbnn.errors import InputError, nearest, refuses_others
from hwbnn.graph import Graph, check_graph
from hwbnn.plan import Plan
from hwbnn.plan.plan import expect_plan
from hwbnn.project import Project

__all__ = ["TARGETS", "generate"]


# A target is imported only when it is used: it may need packages that the others do not.
def _rtl(graph: Graph, plan: Plan | None = None, **options: Any) -> Project:
    """SystemVerilog with AXI4-Stream ports, for every FPGA; options: name, vectors."""
    from hwbnn.targets.ip import generate as made

    return made(graph, plan or Plan.default_of(graph), **options)


def _hls(graph: Graph, plan: Plan | None = None, **options: Any) -> Project:
    """An hls4ml project in HLS C++, for Vitis HLS; options: io."""
    from hwbnn.targets.hls import generate as made

    return made(graph, plan or Plan.default_of(graph), **options)


TARGETS: dict[str, Callable[..., Project]] = {"rtl": _rtl, "hls": _hls}
"""The function of each target by name."""


@checked_call()
def generate(graph: Graph, target: str, plan: Plan | None = None, **options: Any) -> Project:
    """Generate the project of a Graph for a target, in memory; equal arguments give equal files.

    Args:
        graph: the network.
        target: one of :data:`TARGETS`.
        plan: how the network is laid out in hardware; by default all layers are unrolled.
        **options: further options of the target: ``name`` and ``vectors`` of ``"rtl"``, ``io`` of
            ``"hls"``.

    Raises:
        GraphError: if ``graph`` is not a Graph.
        InputError: if there is no such target, or an option has a value that is not allowed.
        PlanError: if the Plan does not fit the Graph or the target.
        ToolNotFound: if a package that the target needs is not installed.
    """
    check_graph(graph, "generate")
    if target not in TARGETS:
        raise InputError(f"target {target!r}: expected one of {nearest(target, TARGETS)}")
    expect_plan(plan, "generate")
    return TARGETS[target](graph, plan, **options)


if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, __all__)

"""Makes the Plan that the options of a command describe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from hwbnn.cli.inputs import read_graph, read_plan, read_project
from hwbnn.cli.output import note
from hwbnn.errors import InputError
from hwbnn.graph import Graph
from hwbnn.plan import Form, Framing, Plan, Unrolled
from hwbnn.project import Project


def of_rate(interval: int | None, fps: float | None, mhz: float) -> int | None:
    """The given interval in cycles, or the interval for a rate in frames per second.

    Raises:
        InputError: if both are given, or the rate is above one frame per cycle.
    """
    if fps is None:
        return interval
    if interval is not None:
        raise InputError("plan: expected one of --interval and --fps, found both")
    if not (fps > 0 and mhz > 0 and 1 <= mhz * 1e6 / fps < 2**31):
        raise InputError(
            f"plan: --fps {fps:g} --mhz {mhz:g}: expected positive numbers and at least a cycle a "
            "frame"
        )
    return int(mhz * 1e6 / fps)


def planner(
    plan: Path | None,
    interval: int | None,
    luts: int | None,
    form: str | None = None,
    framing: str | None = None,
) -> Callable[[Graph], Plan]:
    """A function from a Graph to its Plan: read from a file, found for a goal, or unrolled.

    Everything that does not depend on the Graph is checked immediately.

    Args:
        plan: a Plan's JSON file.
        interval: largest interval, in cycles.
        luts: largest number of LUTs.
        framing: how AXI4-Stream packets carry frames (:data:`hwbnn.plan.Framing`); allowed with a
            file too.
        form: form of unrolled layers (:data:`hwbnn.plan.plan.Form`); not allowed with a file.

    Raises:
        InputError: if more than one of file, interval and LUTs is given, or a form with a file.
        PlanError: if the file holds no Plan, or ``form`` is unknown; the returned function raises
            it if no Plan meets the goal.
    """
    given = [x for x in (plan, interval, luts) if x is not None]
    if len(given) > 1:
        raise InputError("plan: expected one of --plan, --interval and --luts, found several")
    if form is not None and plan is not None:
        raise InputError(
            f"plan: --form has no effect on --plan {plan}, whose layouts say it themselves; "
            "leave one of them out"
        )
    base = read_plan(plan)
    if form is not None:
        base = replace(base, default=Unrolled(form=cast(Form, form)))
    if framing is not None:
        base = replace(base, framing=cast(Framing, framing))

    def chosen(graph: Graph) -> Plan:
        from hwbnn.estimate import plan_for_ii, plan_for_luts

        if interval is not None:
            return plan_for_ii(graph, interval, base, note)
        return base.check(graph) if luts is None else plan_for_luts(graph, luts, base, note)

    return chosen


def read_core(
    given: str,
    plan: Path | None,
    interval: int | None,
    luts: int | None,
    form: str | None,
    framing: str | None = None,
) -> Project:
    """A project in a folder as it is, or a core of a Graph with the Plan of these options."""
    if plan is None and interval is None and luts is None and form is None and framing is None:
        return read_project(given, None)
    find = planner(plan, interval, luts, form, framing)
    return read_project(given, find(read_graph(given)))

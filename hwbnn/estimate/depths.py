"""Shorter FIFOs behind forks than plan/fifos.py gives: the fewest words that keep the rate."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hwbnn.arguments import checked_call
from hwbnn.estimate.cycles import Deadlock, cycles
from hwbnn.graph import Graph
from hwbnn.plan import Circuit, Plan, circuit
from hwbnn.plan.stages import Fork

LEAST = 2
"""Words of a FIFO that passes a token in every cycle."""


@checked_call(classes=("Graph", "Plan"))
def used_depths(graph: Graph, plan: Plan) -> Plan:
    """The Plan with FIFOs behind forks only as deep as they are ever filled, at the same rate.

    This takes two or three runs of the token model, for any number of forks.
    """
    hardware = circuit(graph, plan)
    forks = _forks(hardware)
    if not forks:
        return plan
    predicted = cycles(hardware)
    for spare in (0, 1):
        depths = {
            fork.value: tuple(max(LEAST, predicted.fills[name] + spare) for name in fork.outputs)
            for fork in forks
        }
        tried = replace(plan, depths=depths)
        if _interval(graph, tried) == predicted.interval:
            return tried
    return plan


@checked_call(classes=("Graph", "Plan"))
def least_depths(graph: Graph, plan: Plan) -> Plan:
    """The Plan with the fewest words behind each fork that keep its rate, found FIFO by FIFO.

    With one word less in any FIFO of more than two words the interval would be longer, or the
    circuit would deadlock. This takes several runs of the token model for each FIFO.
    """
    wanted = _interval(graph, plan)
    plan = used_depths(graph, plan)
    for fork in _forks(circuit(graph, plan)):
        depths = list(plan.depths[fork.value])
        for branch, enough in enumerate(depths):
            low, high = LEAST, enough
            while low < high:
                middle = (low + high) // 2
                depths[branch] = middle
                tried = replace(plan, depths={**plan.depths, fork.value: tuple(depths)})
                if _interval(graph, tried) == wanted:
                    high = middle
                else:
                    low = middle + 1
            depths[branch] = high
        plan = replace(plan, depths={**plan.depths, fork.value: tuple(depths)})
    return plan


def _forks(hardware: Circuit) -> list[Fork]:
    return [stage for stage in hardware.stages if isinstance(stage, Fork)]


def _interval(graph: Graph, plan: Plan) -> Fraction | None:
    """Cycles from frame to frame; None for a deadlock."""
    try:
        return cycles(circuit(graph, plan)).interval
    except Deadlock:
        return None

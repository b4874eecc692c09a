"""Depths of FIFOs: credits of pipelines, and what branches of a fork may lag behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil

import numpy as np

from hwbnn.errors import PlanError
from hwbnn.graph.arrays import Ints
from hwbnn.plan.plan import Plan
from hwbnn.plan.stages import AddStreams, Fork, Pipeline, Stage


def settled(stages: Sequence[Stage]) -> tuple[list[Stage], int]:
    """The stages with the fewest credits that keep the full rate, and when the last token leaves.

    The first beats of a frame are offered in cycles 0, 1, ...

    Args:
        stages: each behind those that drive its streams; what none of them drives is offered a
            token a cycle.
    """
    interval = max(stage.interval for stage in stages)
    times: dict[str, Ints] = {}
    made: list[Stage] = []
    last = 0
    for stage in stages:
        border = np.arange(stage.source.tokens)
        offered = [times.get(name, border) for name in stage.inputs] or [border]
        settled = stage
        if isinstance(stage, Pipeline):
            settled = stage.with_credits(offered[0], interval)
        made.append(settled)
        given = settled.times(*offered)
        times |= dict.fromkeys(stage.outputs, given)
        last = int(given[-1])
    return made, last


def with_depths(stages: Sequence[Stage], plan: Plan) -> list[Stage]:
    """The stages with the depths of a Plan behind their forks, or else ones that always do.

    Where branches come together again, a branch that arrives early must hold back what the others
    have taken and not yet given. It never needs to hold more than these can hold, all together:
    when they are full, they give. That is what a FIFO gets here; fewer words may do as well, which
    the token model can tell.

    Raises:
        PlanError: if the Plan has depths for a value that has not so many readers.
    """
    forks = {stage.value: stage for stage in stages if isinstance(stage, Fork)}
    for value, depths in plan.depths.items():
        found = len(forks[value].depths) if value in forks else 1
        if found != len(depths):
            raise PlanError(
                f"plan: depths: '{value}' has {found} readers, found {len(depths)} depths"
            )
    if all(fork.value in plan.depths for fork in forks.values()):
        return list(stages)
    held = {stage.name: _held(stage) for stage in settled(stages)[0]}
    behind = {s.name: i for i, s in enumerate(stages)}
    return [
        _deep(stage, stages[behind[stage.name] + 1 :], held)
        if isinstance(stage, Fork) and stage.value not in plan.depths
        else stage
        for stage in stages
    ]


def _held(stage: Stage) -> Fraction:
    """What part of a frame a stage can hold."""
    return Fraction(stage.holds, stage.source.tokens)


def _deep(fork: Fork, stages: Sequence[Stage], held: dict[str, Fraction]) -> Fork:
    """A fork with enough depth in every branch, given the stages behind it."""
    reached = [_reached(branch, stages) for branch in fork.outputs]
    depths = []
    for i, own in enumerate(reached):
        most = Fraction(0)
        for j, other in enumerate(reached):
            meet = [s for s in stages if isinstance(s, AddStreams) and s.name in own & other]
            if i != j and meet:
                alone = other - own
                # What the other branch leads to without ever coming back holds nothing up.
                back = {name for join in meet for name in _leading(join, stages)}
                most = max(most, sum((held[name] for name in alone & back), Fraction(0)))
        depths.append(ceil(most * fork.source.tokens) + 2)
    return replace(fork, depths=tuple(depths))


def _reached(stream: str, stages: Sequence[Stage]) -> set[str]:
    """Names of the stages that a stream leads to."""
    streams, names = {stream}, set()
    for stage in stages:
        if streams & set(stage.inputs):
            streams |= set(stage.outputs)
            names.add(stage.name)
    return names


def _leading(to: Stage, stages: Sequence[Stage]) -> set[str]:
    """Names of the stages that lead to a stage."""
    streams, names = set(to.inputs), set()
    for stage in reversed(stages):
        if streams & set(stage.outputs):
            streams |= set(stage.inputs)
            names.add(stage.name)
    return names

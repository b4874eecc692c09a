"""Depths of FIFOs that always suffice: credits of each pipeline, words behind each fork."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from math import ceil

import numpy as np

from hwbnn.graph.arrays import Ints
from hwbnn.plan.plan import Plan
from hwbnn.plan.stages import AddStreams, Fork, Pipeline, Stage


def settled(stages: Sequence[Stage]) -> tuple[list[Stage], int]:
    """The stages with the fewest credits for the full rate, and the cycle of the last token.

    The first beats of a frame are offered in cycles 0, 1, ...

    Args:
        stages: each after the stages that drive its streams. A stream that none of them drives
            gets a token a cycle.
    """
    interval = max(stage.interval for stage in stages)
    times: dict[str, Ints] = {}
    sized: list[Stage] = []
    last = 0
    for stage in stages:
        border = np.arange(stage.source.tokens)
        offered = [times.get(name, border) for name in stage.inputs] or [border]
        settled = stage
        if isinstance(stage, Pipeline):
            settled = stage.with_credits(offered[0], interval)
        sized.append(settled)
        given = settled.times(*offered)
        times |= dict.fromkeys(stage.outputs, given)
        last = int(given[-1])
    return sized, last


def with_depths(stages: Sequence[Stage], plan: Plan) -> list[Stage]:
    """The stages with the Plan's depths of FIFOs behind forks, or depths that are always enough.

    Where branches join again, the FIFO of an early branch must hold the tokens that another branch
    has taken and not yet given. These are never more than the stages of the other branch can hold
    together, so the FIFO gets that depth. Fewer words may be enough, which the token model of
    :mod:`hwbnn.estimate` finds out.
    """
    forks = [stage for stage in stages if isinstance(stage, Fork)]
    if all(fork.value in plan.depths for fork in forks):
        return list(stages)
    held = {stage.name: _held(stage) for stage in settled(stages)[0]}
    behind = {s.name: i for i, s in enumerate(stages)}
    return [
        _deep(stage, islice(stages, behind[stage.name] + 1, None), held)
        if isinstance(stage, Fork) and stage.value not in plan.depths
        else stage
        for stage in stages
    ]


def _held(stage: Stage) -> Fraction:
    """The fraction of a frame that a stage can hold."""
    return Fraction(stage.holds, stage.source.tokens)


def _deep(fork: Fork, stages: Iterable[Stage], held: dict[str, Fraction]) -> Fork:
    """A fork with enough depth in every branch, given the stages behind it."""
    region, branches = _until_joined(fork, stages)
    depths = []
    for i in range(len(fork.depths)):
        most = Fraction(0)
        for j in range(len(fork.depths)):
            meet = [s for s in region if isinstance(s, AddStreams) and {i, j} <= branches[s.name]]
            if i != j and meet:
                # Stages of the other branch that do not lead to the join delay nothing.
                back = _leading(meet, region)
                alone = (name for name in back if j in branches[name] and i not in branches[name])
                most = max(most, sum((held[name] for name in alone), Fraction(0)))
        depths.append(ceil(most * fork.source.tokens) + 2)
    return replace(fork, depths=tuple(depths))


def _until_joined(
    fork: Fork, stages: Iterable[Stage]
) -> tuple[list[Stage], dict[str, frozenset[int]]]:
    """The stages behind a fork up to where all its branches have come together, in order.

    Returns:
        The stages, and by name the branches that lead to each.
    """
    everything = frozenset(range(len(fork.depths)))
    streams = {name: frozenset({i}) for i, name in enumerate(fork.outputs)}
    region, branches = [], {}
    for stage in stages:
        if all(led == everything for led in streams.values()):
            break
        taken = [streams.pop(name) for name in stage.inputs if name in streams]
        if taken:
            region.append(stage)
            branches[stage.name] = frozenset[int]().union(*taken)
            streams |= dict.fromkeys(stage.outputs, branches[stage.name])
    return region, branches


def _leading(to: Sequence[Stage], stages: Sequence[Stage]) -> set[str]:
    """Names of those ``stages`` whose streams lead to a stage of ``to``."""
    streams, names = {name for stage in to for name in stage.inputs}, set()
    for stage in reversed(stages):
        if streams & set(stage.outputs):
            streams |= set(stage.inputs)
            names.add(stage.name)
    return names

"""Depths of FIFOs behind forks: their definition, and how long it takes to find them."""

from __future__ import annotations

import time
from fractions import Fraction
from math import ceil

import numpy as np
import pytest

from hwbnn.graph import Add, Dot, Graph, Input, Output, Threshold
from hwbnn.plan import Plan, circuit
from hwbnn.plan.fifos import settled
from hwbnn.plan.stages import AddStreams, Fork
from tests.conv_strategies import random_conv_graph
from tests.strategies import random_plan


def reached(stream, stages):
    """Names of the stages that a stream leads to."""
    streams, names = {stream}, set()
    for stage in stages:
        if streams & set(stage.inputs):
            streams |= set(stage.outputs)
            names.add(stage.name)
    return names


def leading(to, stages):
    """Names of the stages that lead to a stage."""
    streams, names = set(to.inputs), set()
    for stage in reversed(stages):
        if streams & set(stage.outputs):
            streams |= set(stage.inputs)
            names.add(stage.name)
    return names


def by_definition(fork, stages, held):
    """What all that other branches can hold before they meet this one, of the whole circuit."""
    sets = [reached(branch, stages) for branch in fork.outputs]
    depths = []
    for i, own in enumerate(sets):
        most = Fraction(0)
        for j, other in enumerate(sets):
            meet = [s for s in stages if isinstance(s, AddStreams) and s.name in own & other]
            if i != j and meet:
                back = {name for join in meet for name in leading(join, stages)}
                most = max(most, sum((held[name] for name in (other - own) & back), Fraction(0)))
        depths.append(ceil(most * fork.source.tokens) + 2)
    return tuple(depths)


def test_a_branch_can_hold_back_what_the_others_hold():
    forks = 0
    for seed in range(40):
        graph = random_conv_graph(seed)
        made = circuit(graph, random_plan(seed, graph, max_cycles=500))
        shallow = [
            s.with_depths((2,) * len(s.depths)) if isinstance(s, Fork) else s for s in made.stages
        ]
        held = {s.name: Fraction(s.holds, s.source.tokens) for s in settled(shallow)[0]}
        for k, stage in enumerate(made.stages):
            if isinstance(stage, Fork):
                assert stage.depths == by_definition(stage, made.stages[k + 1 :], held)
                forks += 1
    assert forks > 20


def ladder(rungs, shortcuts):
    """Small layers one behind the other, perhaps two of each added."""
    rng, now = np.random.default_rng(0), "x"
    nodes = [Input("x", (8,), 0, 1)]
    for i in range(rungs):
        weights = [rng.integers(0, 2, (8, 8)).astype(np.bool_) for _ in range(2)]
        nodes.append(Dot(f"d{i}", now, weights[0]))
        if shortcuts:
            nodes += [Dot(f"e{i}", now, weights[1]), Add(f"a{i}", f"d{i}", f"e{i}")]
        cuts = np.zeros((8, 1), np.int64)
        nodes.append(Threshold(f"t{i}", nodes[-1].name, cuts, np.zeros(8, np.bool_)))
        now = f"t{i}"
    return Graph((*nodes, Output("y", now)))


@pytest.mark.parametrize("shortcuts", [False, True])
def test_the_time_of_a_circuit_grows_with_the_nodes_and_not_with_their_square(shortcuts):
    def seconds(rungs):
        graph = ladder(rungs, shortcuts)
        times = []
        for _ in range(3):
            start = time.process_time()
            circuit(graph, Plan(output_beat=64))
            times.append(time.process_time() - start)
        return min(times)

    # Eight times the nodes: about 8 times as long; 64 times if the square counted.
    assert seconds(320) < 24 * seconds(40)

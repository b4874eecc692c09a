"""Circuits of convolutional networks: computed through stage by stage, and their storage."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.plan import blocks, circuit, products
from hwbnn.plan.stages import (
    AddStreams,
    AxisIn,
    AxisOut,
    Fork,
    Narrow,
    Pipeline,
    SlidingWindow,
    Widen,
    WindowUnrolled,
)
from hwbnn.simulators import simulate
from tests.conv_strategies import conv_graphs
from tests.plan.test_circuit import same
from tests.plan.through import through
from tests.strategies import inputs, plans


class Frames:
    """The elements on every stream of a circuit, and what pools need: which taps are inside."""

    def __init__(self, made, x):
        self.made, self.frames = made, len(x)
        self.values = {}
        self.streams = {}
        self.inside = {}
        for stage in made.stages:
            self.stage(stage, x)

    def stage(self, stage, x):
        taken = [self.streams[name] for name in stage.inputs]
        if isinstance(stage, AxisIn):
            given = x.reshape(len(x), -1).astype(np.int64)
        elif isinstance(stage, SlidingWindow):
            given = self.window(stage, taken[0])
        elif isinstance(stage, WindowUnrolled):
            given = self.whole(stage, taken[0])
        elif isinstance(stage, Pipeline):
            given = self.segment(stage, taken[0])
        elif isinstance(stage, AddStreams):
            other = taken[1]
            if stage.repeat:
                other = np.repeat(other, stage.repeat * stage.source.lanes, axis=1)
            given = taken[0] + other[:, : stage.source.size]
        else:
            assert isinstance(stage, Widen | Narrow | Fork | AxisOut)
            given = taken[0]
        assert given.shape[1] == stage.result.size
        for name in stage.outputs:
            self.streams[name] = given
        self.values[stage.name] = given

    def window(self, stage, x):
        lanes = stage.source.lanes
        tokens = x.reshape(len(x), -1, lanes)
        tokens = np.concatenate([tokens, np.full((len(x), 1, lanes), stage.pad)], axis=1)
        self.inside[stage.name] = np.repeat(stage.taps >= 0, lanes)
        return tokens[:, stage.taps].reshape(len(x), -1)

    def whole(self, stage, x):
        """As a window tap by tap whose tokens are whole pixels."""
        (rows, columns), channels = stage.geometry.size, stage.source.lanes
        assert stage.source.size == rows * columns * channels
        tap = SlidingWindow("tap", stage.source, stage.result, stage.geometry, 1, 1, stage.pad, 0)
        return self.window(tap, x)

    def segment(self, stage, x):
        inside = self.inside.get(stage.inputs[0])
        for block in stage.blocks:
            if isinstance(block, blocks.Pool):
                x = pooled(block, x, inside)
            else:
                x = through(block, x).astype(np.int64)
            low, high = -(1 << (block.result.width - 1)), 1 << (block.result.width - 1)
            low, high = (low, high) if block.result.signed else (0, 1 << block.result.width)
            assert x.shape[1] == block.result.size
            assert low <= x.min()
            assert x.max() < high
            self.values[block.name] = x
        return x


def pooled(block, x, inside):
    shape = (len(x), -1, block.steps, block.source.lanes)
    taps, inside = x.reshape(shape), np.broadcast_to(inside, x.shape).reshape(shape)
    if isinstance(block, blocks.PoolSum):
        numbers = 2 * taps - 1 if block.bit else taps
        return np.where(inside, numbers, 0).sum(axis=2).reshape(len(x), -1)
    far = 1 << 40
    largest = np.where(inside, taps, -far).max(axis=2).reshape(len(x), -1)
    smallest = np.where(inside, taps, far).min(axis=2).reshape(len(x), -1)
    chosen = np.resize(block.smallest, largest.shape[1])
    return np.where(chosen, smallest, largest)


@given(st.data())
def test_stages_compute_every_value(data):
    graph = data.draw(conv_graphs(concat=True))
    made = circuit(graph, data.draw(plans(graph)))
    x = data.draw(inputs(graph, 4))
    found = Frames(made, x)
    values = simulate(graph, x, trace=True)
    for value, tap in made.taps.items():
        seen = found.values[tap.signal]
        assert np.array_equal(seen, values[value].reshape(len(x), -1)), value
    assert made.taps.keys() | made.fused.keys() == values.keys()


@given(st.data())
def test_streams_lead_from_stage_to_stage(data):
    graph = data.draw(conv_graphs(concat=True))
    made = circuit(graph, data.draw(plans(graph)))
    streams = {}
    for stage in made.stages:
        taken = [stage.source, stage.other] if isinstance(stage, AddStreams) else [stage.source]
        driven = [streams.pop(name) for name in stage.inputs]
        assert not driven or all(map(same, driven, taken))
        for name in stage.outputs:
            assert name not in streams
            streams[name] = stage.result
        if isinstance(stage, Pipeline):
            for before, after in pairwise(stage.blocks):
                assert before.result == after.source
            for block in stage.blocks:
                assert (
                    block.source.tokens == block.result.tokens * block.tokens_per_result
                    or isinstance(block, products.DotFolded)
                )
    assert not streams  # each has a reader
    assert len({stage.name for stage in made.stages}) == len(made.stages)

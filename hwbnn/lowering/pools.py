"""Pooling: the largest and the mean of floats, as the largest, the smallest and sums of integers.

A max pool behind sums waits for the activation that follows, whichever steps stand between. Where
the codes rise or fall with what the pool compares, the codes are pooled: thresholds first, then OR
or AND of bits, which is least hardware. Else (a channel that rises and falls behind the pool) the
integers are pooled, the largest where the floats rise with them and the smallest where they fall,
and a table follows. Both are read off all integers that can occur; nothing is derived of gains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hwbnn.errors import CannotLower
from hwbnn.graph import MaxPool, SumPool, Window
from hwbnn.graph.arrays import Bools, Ints
from hwbnn.lowering.activations import codes_of
from hwbnn.lowering.builder import Builder
from hwbnn.lowering.spans import Span
from hwbnn.lowering.steps import Step
from hwbnn.lowering.streams import Fixed, Pool, Stream
from hwbnn.lowering.tables import chunks, merged
from hwbnn.nn import BinaryActivation


@dataclass(frozen=True)
class Shape:
    """A pooling layer as torch has it.

    Attributes:
        name: the layer's name in the network.
        label: the layer, for messages.
        kernel: rows and columns.
        stride: rows and columns.
        padding: rows above and below, columns left and right.
        divisor: what sums are divided by, for a mean.
    """

    name: str
    label: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)
    divisor: int = 1

    def border(self, size: tuple[int, ...], made: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Four-sided padding, so that an image of ``size`` gives one of ``made``.

        With ``ceil_mode`` the last windows reach further out than the padding.
        """
        ends = []
        for i in range(2):
            reach = (made[i] - 1) * self.stride[i] + self.kernel[i] - size[i] - self.padding[i]
            ends += [self.padding[i], max(self.padding[i], reach)]
        return ends[0], ends[1], ends[2], ends[3]


def max_pool(build: Builder, shape: Shape, stream: Stream, made: tuple[int, ...]) -> Stream:
    """The largest of each window.

    Args:
        build: the Graph so far.
        shape: the layer.
        stream: what it reads.
        made: height, width and channels of what it returns.

    Raises:
        CannotLower: if the floats neither rise nor fall with the integers.
    """
    _expect_image(shape, stream)
    stream = settle(build, stream)
    padding = shape.border(stream.type.shape, made)
    size = (made[0], made[1], made[2])
    pool = Pool(
        shape.name, shape.label, shape.kernel, shape.stride, padding, size, len(stream.steps)
    )
    waiting = replace(stream, pool=pool)
    if stream.type.bit or stream.is_input or stream.fixed or stream.is_coded:
        return settle(build, waiting)
    return waiting


def settle(build: Builder, stream: Stream) -> Stream:
    """A stream whose pool, if one waits, has become a node on the integers.

    Raises:
        CannotLower: if the floats before it neither rise nor fall with the integers.
    """
    pool = stream.pool
    if pool is None:
        return stream
    if stream.pending or stream.places is not None:
        raise CannotLower(
            f"{pool.label}: the sums of layer '{stream.layer}' are not compared as integers, as "
            "they differ at the border of the image or have real offsets; put a BinaryActivation "
            "behind the pool, with nothing between them that rises and falls"
        )
    falls = _falls(replace(stream, steps=stream.steps[: pool.cut], pool=None), pool.label)
    node = pool_node(build, stream.name, pool, falls)
    t = build.add(node)
    what = "codes" if stream.is_coded else "integers"
    build.remark(pool.name, node, f"largest of {what}{_smallest(falls)}")
    return replace(stream, name=node.name, type=t, pool=None)


def pool_node(build: Builder, source: str, pool: Pool, smallest: Bools) -> MaxPool:
    """The node of a pool, not yet added."""
    chosen = smallest if smallest.any() else None
    return MaxPool(build.name("pool"), source, pool.kernel, pool.stride, pool.padding, chosen)


def _smallest(smallest: Bools) -> str:
    """What a remark says of channels whose order is turned round."""
    count = int(smallest.sum())
    return f", in {count} of {len(smallest)} channels the smallest" if count else ""


def pool_codes(build: Builder, stream: Stream, codes: str, span: Span) -> MaxPool:
    """The pool that waited, on the codes of what it compares; added."""
    assert stream.pool is not None
    smallest: Bools = ~span.rising
    node = pool_node(build, codes, stream.pool, smallest)
    build.add(node)
    build.remark(stream.pool.name, node, f"largest of codes{_smallest(smallest)}")
    return node


def span_of(stream: Stream, layer: BinaryActivation) -> Span:
    """How codes go with what a waiting pool compares, empty where pairs are still to be tried."""
    assert stream.pool is not None
    return Span(stream.pool.cut, layer.form.levels, len(stream.low))


def fill_span(span: Span, stream: Stream, layer: BinaryActivation) -> None:
    """Run all integers, of all border classes, through the network's steps."""
    before, codes = replace(stream, steps=stream.steps[: span.cut]), codes_of(layer, stream)
    for place in range(len(stream.variants)):
        for _, y in chunks(before, place=place):
            x = y
            for step in stream.steps[span.cut :]:
                x = step(x)
            span.add(y.numpy(), codes(x).numpy())


def _falls(stream: Stream, label: str) -> Bools:
    """Channels whose floats fall with the integers."""
    rises = np.zeros(len(stream.low), np.bool_)
    falls = rises.copy()
    last: Tensor | None = None
    for _, x in chunks(stream):
        joined = x if last is None else torch.cat((last, x))
        rises |= (joined[1:] > joined[:-1]).any(dim=0).numpy()
        falls |= (joined[1:] < joined[:-1]).any(dim=0).numpy()
        last = x[-1:]
    if (rises & falls).any():
        raise CannotLower(
            f"{label}: channel {int((rises & falls).argmax())} rises and falls before it; use "
            "slopes above 0, or put the pool right behind the layer that sums"
        )
    return falls


def mean_pool(build: Builder, shape: Shape, stream: Stream, made: tuple[int, ...]) -> Stream:
    """The mean of each window: the sum of its integers, and the division as a step.

    Args:
        build: the Graph so far.
        shape: the layer.
        stream: what it reads.
        made: height, width and channels of what it returns.

    Raises:
        CannotLower: if it averages floats whose sum torch would round.
    """
    _expect_image(shape, stream)
    stream = settle(build, stream)
    unit = _unit(stream)
    if unit is None:
        raise CannotLower(
            f"{shape.label}: it averages real numbers, whose sum is rounded; put it right behind "
            "a layer that sums, or behind a BinaryActivation"
        )
    size = (stream.type.shape[0], stream.type.shape[1])
    padding = shape.border(size, made)
    if (padding[1], padding[3]) != (shape.padding[0], shape.padding[1]):
        raise CannotLower(f"{shape.label}: windows of other sizes at the border; use no ceil_mode")
    node = SumPool(build.name("sum"), stream.name, shape.kernel, shape.stride, padding)
    t = build.add(node)
    window = Window(size, shape.kernel, shape.stride, padding)
    low, high = _summed(stream, window)
    divisor = shape.divisor

    def divide(x: Tensor) -> Tensor:
        return x * unit / divisor

    text = f"sums of {'x'.join(map(str, shape.kernel))}; divided by {divisor} in what follows"
    build.remark(shape.name, node, text)
    step = Step(shape.label, divide, is_elementwise=True, is_monotone=True)
    fixed = stream.fixed
    if fixed is not None:
        places = shape.kernel[0] * shape.kernel[1]
        fixed = Fixed(fixed.error * places, fixed.local * places)
    return Stream(node.name, t, low, high, stream.layer, (step,), fixed=fixed)


def _summed(stream: Stream, window: Window) -> tuple[Ints, Ints]:
    """The range of the sums of each channel."""
    low, high = stream.low, stream.high
    if stream.type.bit:
        low, high = 2 * low - 1, 2 * high - 1
    counts = [int(taps.sum()) for taps in window.classes]
    return np.min([n * low for n in counts], axis=0), np.max([n * high for n in counts], axis=0)


def _unit(stream: Stream) -> float | None:
    """The power of two that torch's floats are times the integers here; None if there is none."""
    if stream.pending or stream.places is not None:
        return None
    unit = None
    stream = merged(stream)
    for integers, x in chunks(stream):
        held = np.clip(integers[:, None], stream.low, stream.high)
        wanted = held * 2 - 1 if stream.type.bit else held
        moving = wanted != 0
        if unit is None and moving.any():
            row, column = (int(i) for i in np.argwhere(moving)[0])
            unit = float(x[row, column]) / int(wanted[row, column])
            if unit == 0 or math.frexp(abs(unit))[0] != 0.5:
                return None
        # Torch has fixed-point numbers beyond 2^24 rounded to float32.
        if not np.array_equal(x.numpy(), wanted.astype(np.float32) * np.float32(unit or 1.0)):
            return None
    return unit


def _expect_image(shape: Shape, stream: Stream) -> None:
    if not stream.is_image:
        raise CannotLower(f"{shape.label}: expected an image, found {stream.type}")

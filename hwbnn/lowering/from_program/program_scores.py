"""The order of a program's logits as integers: exactly, or refused.

Logits are ``gain[c] * D + offset[c]`` with rational numbers, or results of BatchNorm. Where the
first have no common unit (:mod:`hwbnn.lowering.scaled_scores`) and the sums take few values, the
Graph has a table with the rank of each logit among all that can occur.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cmp_to_key
from itertools import pairwise
from math import gcd, lcm

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph import Lookup, Output
from hwbnn.graph.arrays import Ints
from hwbnn.lowering.from_program.readings import LinearReading
from hwbnn.lowering.from_program.real_numbers import RealNumber
from hwbnn.lowering.from_program.real_ops import RealOp, of_channel
from hwbnn.lowering.scaled_scores import rescaled, scaled_scores
from hwbnn.lowering.tables import TABLE_LIMIT, batches
from hwbnn.lowering.value import GraphBuilder, TracedValue
from hwbnn.program import Layer

_NEAR = 1e-9
"""Relative distance within which two logits are compared exactly."""


def scores(
    build: GraphBuilder, layer: Layer, value: TracedValue, reading: LinearReading | None
) -> str:
    """The node of integers that are ordered as the logits are, ties included.

    Args:
        build: the Graph so far.
        layer: the last layer, for messages.
        value: the logits, flat.
        reading: their linear map; None after BatchNorm or ReLU.

    Raises:
        CannotLower: if there are no such integers of a permitted size.
    """
    found = None if reading is None else _scaled(build, layer, value, reading)
    return _ranked(build, layer, value) if found is None else found


def _scaled(
    build: GraphBuilder, layer: Layer, value: TracedValue, reading: LinearReading
) -> str | None:
    channels = range(value.type.size)
    gains = [of_channel(reading.unit, c) for c in channels]
    offsets = [of_channel(reading.centre, c) for c in channels]
    return scaled_scores(build, layer.name, value, gains, offsets)


def logits(
    build: GraphBuilder, layer: Layer, value: TracedValue, reading: LinearReading | None
) -> Output:
    """The output as integers; one scale and one offset give the logits, exactly.

    The returned node is not added to the Graph yet; arguments and errors as for :func:`scores`.
    """
    if reading is None:
        raise CannotLower(
            f"{layer.label}: its logits are results of BatchNorm or ReLU, which no single scale "
            "turns into integers; use output='scores' or 'class'"
        )
    count = value.type.size
    gains = [of_channel(reading.unit, c) for c in range(count)]
    offsets = [of_channel(reading.centre, c) for c in range(count)]
    parts = [*gains, *(o - offsets[0] for o in offsets)]
    below = lcm(*(p.denominator for p in parts))
    unit = Fraction(gcd(*(int(p * below) for p in parts)), below)
    name = value.name
    factors, bias = ([int(p / unit) for p in numbers] for numbers in (gains, parts[count:]))
    if set(factors) != {1} or any(bias):
        node = rescaled(build, value, factors, bias)
        if node is None:
            raise CannotLower(
                f"{layer.label}: its logits have no common unit of a fitting size; use "
                "output='scores' or 'class', or scales and biases that are powers of two"
            )
        name = node.name
        build.remark(layer.name, node, f"logits in units of {float(unit):g}")
    scale, offset = float(unit), float(offsets[0])
    return Output(build.name("y"), name, "logits", scale, offset)


def _ranked(build: GraphBuilder, layer: Layer, value: TracedValue) -> str:
    if value.type.count > TABLE_LIMIT:
        raise CannotLower(
            f"{layer.label}: its logits have scales or offsets without a common unit, and its sums "
            f"take {value.type.count} values, more than the {TABLE_LIMIT} of a table of ranks; "
            "give the last layer one scale (a power of two, alpha='auto_po2' or per-tensor), or "
            "fewer bits"
        )
    ranks, close = _ranks(value)
    node = Lookup(build.name("ranks"), value.name, ranks)
    build.add(node)
    text = f"ranks of {int(ranks.max()) + 1} logits, {ranks.shape[1]} entries a class"
    text += f", {close} near pairs ordered by rationals" if close else ""
    build.remark(layer.name, node, text)
    return node.name


def _ranks(value: TracedValue) -> tuple[Ints, int]:
    """The dense rank of each logit, int64 ``(channels, count)``; how many pairs rationals decided.

    Logits that differ by less than :data:`_NEAR` are ordered by exact arithmetic.
    """
    pieces = list(batches(value))
    logits = np.concatenate([x for _, x in pieces]).T
    integers = np.concatenate([n for n, _ in pieces])
    held = integers[None].clip(value.low[:, None], value.high[:, None])
    flat = logits.ravel()
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    size = np.abs(ordered)
    near = np.diff(ordered) <= _NEAR * np.maximum(np.maximum(size[1:], size[:-1]), 1e-300)
    ranks = np.zeros(flat.size, np.int64)
    rank, close, start = 0, 0, 0
    ends = np.append(np.flatnonzero(~near), len(order) - 1)
    for end in ends.tolist():
        together = order[start : end + 1]
        if len(together) > 1:
            numbers = _distinct(value, together, held)
            near_ranks, steps = _near_ranks(numbers)
            close += len(numbers) - 1
            ranks[together] = [rank + near_ranks[key] for key in _keys(value, together, held)]
            rank += steps
        else:
            ranks[together] = rank
        rank += 1
        start = end + 1
    return ranks.reshape(logits.shape), close


def _keys(value: TracedValue, together: Ints, held: Ints) -> list[tuple[int, int]]:
    """Channel and integer of each of these positions in the flat table."""
    channels, columns = np.divmod(together, held.shape[1])
    return list(zip(channels.tolist(), held[channels, columns].tolist(), strict=True))


def _distinct(value: TracedValue, together: Ints, held: Ints) -> dict[tuple[int, int], RealNumber]:
    """The exact logits at these positions of the flat table, by channel and integer."""
    numbers = {}
    for channel, integer in _keys(value, together, held):
        if (channel, integer) not in numbers:
            x = RealNumber.of(integer)
            for op in value.ops:
                assert isinstance(op, RealOp)
                x = op.exact(channel, x)
            numbers[channel, integer] = x
    return numbers


def _near_ranks(
    numbers: dict[tuple[int, int], RealNumber],
) -> tuple[dict[tuple[int, int], int], int]:
    """The rank of each number, counted from 0, and the highest rank."""

    def compare(a: tuple[int, int], b: tuple[int, int]) -> int:
        return numbers[a].plus(numbers[b].times(-1)).sign

    keys = sorted(numbers, key=cmp_to_key(compare))
    ranks, rank = {keys[0]: 0}, 0
    for before, key in pairwise(keys):
        rank += compare(key, before) > 0
        ranks[key] = rank
    return ranks, rank

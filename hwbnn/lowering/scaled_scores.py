"""Logits that are ``gain[c] * D + offset[c]`` in rational numbers, as integers of the same order.

Where one ``unit`` divides all gains, ``D * gain / unit`` is an integer, and ``offset / unit`` is
the sum of a whole part and a rest in [0, 1). For the order of the logits only the rank of the rest
matters: with ``N`` different rests the scores are ``N * (D * gain / unit + whole) + rank``.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor, gcd, lcm

import numpy as np

from hwbnn.graph import Rescale
from hwbnn.graph.fields import LIMIT
from hwbnn.lowering.value import GraphBuilder, TracedValue


def scaled_scores(
    build: GraphBuilder,
    layer: str,
    value: TracedValue,
    gains: Sequence[Fraction],
    offsets: Sequence[Fraction],
) -> str | None:
    """The node of integers that are ordered as the logits are, ties included.

    Args:
        build: the Graph so far.
        layer: the last layer's name, for the explanation.
        value: the sums ``D``, flat.
        gains: of each channel.
        offsets: of each channel.

    Returns:
        The node's name, ``value.name`` where the sums are ordered so themselves; None if a gain is
        0 or the integers would be too large.
    """
    below = lcm(*(g.denominator for g in gains))
    unit = Fraction(gcd(*(int(g * below) for g in gains)), below)
    if not unit:
        return None
    factors = [int(g / unit) for g in gains]
    parts = [o / unit for o in offsets]
    whole = [floor(o) for o in parts]
    least = min(whole)
    rests = sorted({o - w for o, w in zip(parts, whole, strict=True)})
    n = len(rests)
    bias = [n * (w - least) + rests.index(o - w) for o, w in zip(parts, whole, strict=True)]
    node = build.nodes[-1] if build.nodes[-1].name == value.name else None
    if set(factors) == {1} and not any(bias):
        text = "compared as integers: all channels have one scale and one offset"
        if node is not None:
            build.remark(layer, node, text)
        return value.name
    scaled = rescaled(build, value, [n * f for f in factors], bias)
    if scaled is None:
        return None
    least, most = n * min(factors), n * max(factors)
    times = f"{least}" if least == most else f"{least} to {most}"
    text = f"scores: sums times {times}, plus 0 to {max(bias)}"
    build.remark(layer, scaled, f"{text}; ordered exactly as the logits")
    return scaled.name


def rescaled(
    build: GraphBuilder, value: TracedValue, factors: list[int], bias: list[int]
) -> Rescale | None:
    """A node that computes ``factor * integer + bias``; None if these numbers are too large."""
    # The Graph's own bounds assume that every channel takes the whole range of the value.
    ends = [
        f * end + b
        for f, b in zip(factors, bias, strict=True)
        for end in (value.type.low, value.type.high)
    ]
    if max(map(abs, (*ends, *factors, *bias))) >= LIMIT:
        return None
    zeros = np.zeros(len(factors), np.int64)
    node = Rescale(
        build.name("scores"),
        value.name,
        np.array(factors),
        np.array(bias),
        zeros,
        min(ends),
        max(ends),
    )
    build.add(node)
    return node

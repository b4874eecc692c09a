"""Thermometer codes: comparisons of real inputs become comparisons of integers."""

from __future__ import annotations

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph import Encode
from hwbnn.graph.arrays import Float32s
from hwbnn.lowering.ops import TableFunction
from hwbnn.lowering.tables import batches
from hwbnn.lowering.value import GraphBuilder, TracedValue


def encode(
    build: GraphBuilder, name: str, label: str, thresholds: Float32s, value: TracedValue
) -> TracedValue:
    """Bits that say which thresholds each element of a flat value reaches.

    Args:
        build: the Graph so far.
        name: the layer's name in the network.
        label: the layer, for messages.
        thresholds: of the real numbers, float32 ``(elements, bits)`` in the network's order.
        value: the layer's argument.

    Raises:
        CannotLower: if the value is not flat, is bits or undecided, or its real numbers fall as
            the integers rise.
    """
    if value.pending or value.type.bit or len(value.shape) != 1:
        raise CannotLower(f"{label}: expected a row of integers, found {value.type}")
    held = thresholds if value.order is None else thresholds[np.argsort(value.order)]
    t, (elements, bits) = value.type, thresholds.shape
    # A threshold that no integer reaches is set above all integers.
    first = np.full((elements, bits), t.high + 1, np.int64)
    before: Float32s | None = None
    for integers, x in batches(value, reachable=False):
        joined = x if before is None else np.concatenate((before, x))
        if (joined[1:] < joined[:-1]).any():
            element = int((joined[1:] < joined[:-1]).any(axis=0).argmax())
            raise CannotLower(
                f"{label}: element {element}: its numbers fall as the integers rise; give the "
                "input a scale above 0"
            )
        for bit in range(bits):
            reached = x >= held[:, bit]
            start = integers[reached.argmax(axis=0)]
            start = np.where(reached.any(axis=0), start, t.high + 1)
            first[:, bit] = np.minimum(first[:, bit], start)
        before = x[-1:]
    node = Encode(build.name("encode"), value.name, first)
    encoded = build.add(node)
    build.remark(name, node, f"{elements} integers compared with {bits} thresholds each")
    order = None
    if value.order is not None:
        order = (value.order[:, None] * bits + np.arange(bits)).ravel()
    ends = np.zeros(encoded.size, np.int64), np.ones(encoded.size, np.int64)
    signs = TableFunction(label, lambda c: 2 * c - np.float32(1), is_elementwise=True)
    return TracedValue(node.name, encoded, *ends, name, (signs,), is_coded=True, order=order)

"""A Graph against the program that it was lowered from: every code, and the order of the logits.

The program is evaluated independently in float64 (:mod:`hwbnn.program.evaluate`), each layer on the
Graph's values of its arguments. A code may differ only where a number is as near to an edge as
float64's rounding: there the lowering decided by rational arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwbnn.errors import Mismatch
from hwbnn.graph import Graph
from hwbnn.graph.arrays import Array, Floats, Ints
from hwbnn.program import Convolution, Dense, Program, Quantizer
from hwbnn.program.evaluate import evaluate
from hwbnn.simulators import simulate

_NEAR = 1e-9
"""Relative distance, to an edge or of two logits, below which float64 is too coarse to decide."""
_OPERATIONS = 1 << 31
"""Most multiplications of a comparison: a few seconds."""


@dataclass(frozen=True)
class CodeNode:
    """The node whose integers are the counts of a quantizer: ``factor * integer + start``.

    Attributes:
        node: the node's name.
        factor: multiplies the node's integers.
        start: is added to the product.
        has_near: whether some numbers are so near to edges that rational arithmetic decided them.
    """

    node: str
    factor: int = 1
    start: int = 0
    has_near: bool = False


def check_program(program: Program, graph: Graph, codes: Mapping[str, CodeNode], x: Ints) -> int:
    """Compare a Graph with its program on a batch.

    Args:
        program: the network.
        graph: lowered from it.
        codes: by quantizer, the node of the Graph that has its counts.
        x: integers of the input, ``(frames, *shape)``; large networks are compared on the first
            frames only.

    Returns:
        How many codes were compared.

    Raises:
        Mismatch: naming the first layer that differs: a defect of hwbnn.
    """
    each = operations(program) + sum(int(np.prod(s)) for s in program.shapes.values())
    batch = x[: max(2, min(len(x), _OPERATIONS // each))]
    found = simulate(graph, batch, engine="auto", trace=True)
    counts = {
        name: (found[at.node].astype(np.int64) * at.factor + at.start).reshape(
            len(batch), *program.shapes[name]
        )
        for name, at in codes.items()
    }
    shaped = batch.reshape(len(batch), *program.shape)
    values = evaluate(program, graph.input, shaped, counts)
    compared = 0
    for layer in program.layers:
        if isinstance(layer, Quantizer) and layer.name in counts:
            y = values[layer.source].real
            wanted, got = layer.counts(y), counts[layer.name]
            compared += got.size
            wrong = wanted != got
            if wrong.any():
                near = _NEAR if codes[layer.name].has_near else 0.0
                _refuse_codes(layer, y, (wanted, got), wrong, near)
    last = values[program.output].real.reshape(len(batch), -1)
    _check_output(program, graph, last, found[graph.output.name].reshape(len(batch), -1))
    return compared


def operations(program: Program) -> int:
    """Multiplications of one frame."""
    total = 0
    for layer in program.layers:
        if isinstance(layer, Dense | Convolution):
            shape = program.shapes[layer.name]
            total += layer.weights.size * int(np.prod(shape[:-1], dtype=np.int64))
    return total


def _refuse_codes(
    layer: Quantizer, y: Floats, codes: tuple[Ints, Ints], wrong: Array, near: float
) -> None:
    """Refuse differing codes, unless the number is so near to an edge that both may be right."""
    wanted, got = codes
    edges = np.broadcast_to(layer.edges, (y.shape[-1], layer.steps))
    size = np.abs(y).max() + np.abs(layer.edges).max()
    for place in np.argwhere(wrong).tolist():
        at = tuple(place)
        crossed = edges[at[-1], min(wanted[at], got[at]) : max(wanted[at], got[at])]
        if not near or not (np.abs(crossed - y[at]) <= near * size).all():
            raise Mismatch(
                f"{layer.label}: element {at[1:]}: the file gives code {wanted[at]} at {y[at]:g}, "
                f"the Graph {got[at]}; please report this defect"
            )


def _check_output(program: Program, graph: Graph, logits: Floats, output: Array) -> None:
    near = _NEAR * np.abs(logits).max(initial=1e-300)
    if graph.meaning == "bits":
        return
    if graph.meaning == "decision":
        clear = np.abs(logits) > near
        good = not (clear & ((logits >= 0) != (output == 1))).any()
    elif graph.meaning == "class":
        chosen = np.take_along_axis(logits, output.astype(np.int64), axis=1)
        good = bool((chosen >= logits.max(axis=1, keepdims=True) - near).all())
    elif graph.meaning == "logits":
        good = bool((np.abs(graph.output.reals(output) - logits) <= near).all())
    else:
        order = np.argsort(output, axis=1, kind="stable")
        good = bool((np.diff(np.take_along_axis(logits, order, axis=1)) >= -near).all())
    if not good:
        raise Mismatch(
            f"{program.format}: the Graph's {graph.meaning} is not that of the file's logits; "
            "please report this defect"
        )

"""The Graph against the float network: every code of every activation, and the class."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import fx, nn

from hwbnn.arguments import checked_call
from hwbnn.errors import CannotLower, ConstantOutput, InputError
from hwbnn.graph import ArgMax, Graph
from hwbnn.graph.arrays import Array
from hwbnn.lowering.from_torch.ops import plain_tensor, reference_mode
from hwbnn.lowering.from_torch.reference import (
    Recorder,
    floats,
    prepare,
    trace,
    warn_of_training_mode,
)
from hwbnn.lowering.from_torch.walk import Walk
from hwbnn.lowering.ops import CodeReading
from hwbnn.lowering.shapes import in_graph_order, in_torch_order
from hwbnn.lowering.tables import evaluate_at
from hwbnn.lowering.value import FRACTION, WEIGHT_BITS, GraphBuilder
from hwbnn.simulators import check_input, simulate

_BATCH = 256
_KEPT = 16
_SHOWN = 1
_ROUNDING = 2.0**-10
"""Tolerance for the rounding of logits, in units of the integers; a real error is half a unit."""


@dataclass(frozen=True)
class CodeDifference:
    """One element in which Graph and network differ.

    Attributes:
        frame: index of the input.
        element: index of the element in the flat value.
        integer: the integer that the activation's node read; None for sums, logits and classes, or
            if the node's source has another size.
        network: the float network's code.
        graph: the Graph's code.
    """

    frame: int
    element: int
    integer: int | None
    network: int
    graph: int


@dataclass(frozen=True)
class NodeComparison:
    """One value of the Graph against the float network.

    Attributes:
        node: its name in the Graph.
        layer: the layer of the network that computes the same.
        compared: number of elements compared.
        differing: number of elements that differ.
        differences: the first elements that differ.
    """

    node: str
    layer: str
    compared: int
    differing: int
    differences: tuple[CodeDifference, ...] = ()

    def __str__(self) -> str:
        text = f"{self.node} ({self.layer}): {self.differing} of {self.compared} differ"
        if self.differences:
            d = self.differences[0]
            at = "" if d.integer is None else f" at integer {d.integer}"
            text += (
                f", first in frame {d.frame}, element {d.element}{at}: network {d.network}, "
                f"Graph {d.graph}"
            )
        return text


@dataclass(frozen=True)
class ModelComparison:
    """A Graph against its float network on a batch of inputs.

    Attributes:
        frames: number of inputs compared.
        nodes: every activation in order, then the order of the logits and the class.
        constant: says which output, if it is the same for two or more different inputs; else empty.
    """

    frames: int
    nodes: tuple[NodeComparison, ...]
    constant: str = ""

    @property
    def differing(self) -> int:
        """Elements that differ, over all nodes."""
        return sum(node.differing for node in self.nodes)

    @property
    def compared(self) -> int:
        """Elements compared, over all nodes."""
        return sum(node.compared for node in self.nodes)

    def __str__(self) -> str:
        head = f"{self.differing} of {self.compared} differ in {self.frames} frames"
        tail = [f"warning: the output is {self.constant}"] if self.constant else []
        return "\n".join([head, *map(str, self.nodes), *tail])


@checked_call()
def compare(
    model: nn.Module, graph: Graph, x: ArrayLike, *, engine: str = "plain"
) -> ModelComparison:
    """Compare a Graph with the float network that it was lowered from, input by input.

    With fixed-point numbers, some bits of the network may differ from the Graph's without a defect.
    Each layer is therefore run on the Graph's values of its arguments: activations must be equal on
    these, and sums as near as lowering promises. How far Graph and network drift apart from the
    input to the logits is another question, which :func:`hwbnn.lowering.measure` answers.

    Args:
        model: the network; it is copied, not changed.
        graph: the result of :func:`hwbnn.lower` for it, or a Graph with the same nodes.
        x: integers of the Graph's input, ``(frames, *shape)``.
        engine: which simulator runs the Graph, one of :data:`hwbnn.simulators.ENGINES`.

    Returns:
        For every activation how many codes differ; for the logits in how many frames the Graph's
        scores are ordered differently; for the class in how many frames it differs.

    Warns:
        TrainingMode: if the model is in training mode; it is compared in evaluation mode.
        ConstantOutput: if the output is the same for two or more different inputs.

    Raises:
        InputError: if ``x`` does not fit, or the Graph is not one of this model.
        CannotLower: if the model has no exact integer form.
    """
    network = prepare(model)
    warn_of_training_mode(model)
    output = graph.meaning if graph.meaning == "logits" else "scores"
    output = "class" if graph.meaning in ("class", "decision") else output
    fraction = FRACTION if graph.fraction is None else graph.fraction
    bits = WEIGHT_BITS if graph.weight_bits is None else graph.weight_bits
    walk = Walk(network, trace(network), graph.input, output, GraphBuilder(fraction, bits))
    walk.run()
    kinds = [(type(node), node.name) for node in walk.nodes]
    if kinds != [(type(node), node.name) for node in graph.nodes]:
        raise InputError(
            f"the Graph does not belong to this model: it has {len(graph.nodes)} nodes "
            f"({', '.join(n.name for n in graph.nodes)}), the model gives {len(kinds)} "
            f"({', '.join(name for _, name in kinds)})"
        )
    comparison = compare_walk(walk, graph, x, engine)
    if comparison.constant:
        warnings.warn(
            f"{type(network).__name__}: the output is {comparison.constant}; look at the samples, "
            "and at the training of the last layers",
            ConstantOutput,
            stacklevel=3,
        )
    return comparison


def compare_walk(walk: Walk, graph: Graph, x: ArrayLike, engine: str = "plain") -> ModelComparison:
    """:func:`compare`, for a network whose walk has been run already."""
    frames = check_input(graph, x)
    counts: dict[str, _Count] = {}
    outputs: list[Array] = []
    for start in range(0, len(frames), _BATCH):
        batch = frames[start : start + _BATCH]
        values = simulate(graph, batch, engine=engine, trace=True)
        for node, layer, integers, wanted, found in _pairs(walk, graph, batch, values):
            counts.setdefault(node, _Count(node, layer)).add(start, integers, wanted, found)
        outputs.append(values[graph.output.source].reshape(len(batch), -1)[:, :_SHOWN])
    nodes = tuple(count.result() for count in counts.values())
    return ModelComparison(len(frames), nodes, _constant(graph, frames, outputs))


def _constant(graph: Graph, frames: Array, outputs: list[Array]) -> str:
    """A text about the output, if it is the same for two or more different inputs; else empty."""
    if graph.meaning not in ("class", "decision") or not (frames != frames[:1]).any():
        return ""
    every = np.concatenate(outputs)
    if (every != every[:1]).any():
        return ""
    return f"always {int(every[0, 0])}, for all of {len(frames)} samples"


class _Count:
    """Differences of one node, batch after batch."""

    def __init__(self, node: str, layer: str) -> None:
        self.node, self.layer = node, layer
        self.compared = self.differing = 0
        self.kept: list[CodeDifference] = []

    def add(self, start: int, integers: Array | None, wanted: Array, found: Array) -> None:
        wrong = np.argwhere(wanted != found)
        self.compared += wanted.size
        self.differing += len(wrong)
        for frame, element in wrong[: _KEPT - len(self.kept)].tolist():
            self.kept.append(
                CodeDifference(
                    start + frame,
                    element,
                    None if integers is None else int(integers[frame, element]),
                    int(wanted[frame, element]),
                    int(found[frame, element]),
                )
            )

    def result(self) -> NodeComparison:
        return NodeComparison(
            self.node, self.layer, self.compared, self.differing, tuple(self.kept)
        )


_Pair = tuple[str, str, Array | None, Array, Array]


def _pairs(walk: Walk, graph: Graph, batch: Array, values: dict[str, Array]) -> Iterator[_Pair]:
    """For each comparison: node, layer, node's source, codes of the network and of the Graph."""
    recorder = Recorder(walk.traced)
    x = floats(walk.source, batch.astype(np.int64), is_sequence=walk.build.is_sequence)
    logits = recorder.record(x)
    # Layers of real weights are replaced in the trace.
    as_traced = logits if walk.original is None else Recorder(walk.original).record(x)
    with reference_mode():
        eager = plain_tensor(walk.network(x))
    if not torch.equal(plain_tensor(as_traced), eager):
        raise CannotLower(
            f"{type(walk.network).__name__}: the model and its torch.fx trace give different "
            "numbers; its forward depends on something besides its input (chance, a counter, a "
            "global), or adds in place (+=) to a value that is read again: take that out"
        )
    if walk.sums:
        recorder.instead = _instead(walk, values)
        recorder.record(x)
    for call, name in walk.codes.items():
        source = values[graph.node(name).sources[0]]
        wanted = _codes_of(walk, call, recorder)
        codes = values[name].reshape(wanted.shape)
        integers = source.reshape(wanted.shape) if source.size == wanted.size else None
        yield name, str(call.target), integers, wanted, codes
    for call, held in walk.sums.items():
        real = in_graph_order(recorder.values[call].numpy(), walk.values[call])
        sums = values[held.node].reshape(len(real), -1)
        exact = real.reshape(sums.shape).astype(np.float64) * 2.0**held.fraction
        least, most = np.ceil(exact - held.error), np.floor(exact + held.error)
        yield held.node, "sum", None, np.clip(sums, least, most).astype(np.int64), sums
    if walk.logits is not None:
        yield from _ends(walk, graph, values, recorder)
    if walk.decision is not None:
        yield _decision(walk, values, recorder)


def _ends(
    walk: Walk, graph: Graph, values: dict[str, Array], recorder: Recorder
) -> Iterator[_Pair]:
    """The order of the logits, and the class."""
    assert walk.logits is not None
    call, name = walk.logits
    real = recorder.values[call].numpy()
    if walk.line is not None:
        yield _on_line(name, walk.line, real, values[name])
        return
    same = _same_order(real, values[name], walk.gap)
    yield f"{name} order", "logits", None, np.ones_like(same), same
    for node in graph.of_type(ArgMax):
        best: Array = real.argmax(axis=1)[:, None]
        scores = values[node.name]
        if walk.gap:
            near = real.max(axis=1)[:, None] - np.take_along_axis(real, scores, axis=1) <= walk.gap
            best = np.where(near, scores, best)
        yield node.name, "class", None, best, scores


def _on_line(name: str, line: tuple[float, float, float], real: Array, found: Array) -> _Pair:
    """Integers that stand for logits, against the logits in units of these integers."""
    scale, offset, error = line
    exact = (real.astype(np.float64) - offset) / scale
    least, most = np.ceil(exact - error - _ROUNDING), np.floor(exact + error + _ROUNDING)
    return f"{name} logits", "logits", None, np.clip(found, least, most).astype(np.int64), found


def _decision(walk: Walk, values: dict[str, Array], recorder: Recorder) -> _Pair:
    """The bit of a network with one logit; left out where a fixed-point error may change it."""
    assert walk.decision is not None
    call, value, name = walk.decision
    bits = values[name].reshape(len(values[name]), -1).astype(np.int64)
    wanted: Array = (recorder.values[call].numpy().reshape(bits.shape) >= 0).astype(np.int64)
    if value.fixed is not None:
        integers = values[value.name].reshape(bits.shape)
        reach = int(np.ceil(value.fixed.local + 1))
        ends = [
            evaluate_at(value, (integers + side).clip(value.low, value.high)) >= 0
            for side in (-reach, reach)
        ]
        wanted = np.where(ends[0] == ends[1], wanted, bits)
    return name, "class", None, wanted, bits


def _instead(walk: Walk, values: dict[str, Array]) -> dict[fx.Node, torch.Tensor]:
    """By call, the Graph's values of activations and sums, as the network's floats."""
    values_of = {}
    for call, name in [*walk.codes.items(), *((c, s.node) for c, s in walk.sums.items())]:
        value = walk.values[call]
        numbers = in_torch_order(
            values[name].astype(np.float32), value, is_sequence=walk.build.is_sequence
        )
        values_of[call] = torch.from_numpy(value.ops[0].compute(numbers))
    return values_of


def _codes_of(walk: Walk, call: fx.Node, recorder: Recorder) -> Array:
    """The codes for the numbers that an activation of the float network returned."""
    value = walk.values[call]
    seen = in_graph_order(recorder.values[call].numpy(), value)
    numbers: Array = seen.reshape(len(seen), -1).astype(np.float64)
    reading = value.ops[0]
    if not isinstance(reading, CodeReading):  # the numbers are the Graph's integers
        return np.rint(numbers).astype(np.int64)
    numbers = (numbers - reading.activation.centre) / reading.activation.scale
    codes: Array = numbers > 0 if reading.is_bit else np.rint(numbers).astype(np.int64)
    return codes


def _same_order(real: Array, scores: Array, gap: float = 0.0) -> Array:
    """Whether scores are ordered as the logits are, bool ``(frames, 1)``.

    Without a gap, ties must agree too; with a gap, only logits that differ by more are compared.
    """
    if gap:
        apart: Array = real[:, :, None] - real[:, None, :] > gap
        above: Array = scores[:, :, None] > scores[:, None, :]
        every: Array = np.asarray((above | ~apart).all(axis=(1, 2)))
        return every[:, None]
    order = np.argsort(real, axis=1, kind="stable")
    steps = np.diff(np.take_along_axis(real, order, axis=1), axis=1) > 0
    gaps = np.diff(np.take_along_axis(scores, order, axis=1), axis=1)
    same: Array = np.asarray(np.where(steps, gaps > 0, gaps == 0).all(axis=1))
    return same[:, None]

"""A network's floats against its integers on the user's own data: classes, accuracy, logits.

An exact Graph gives the network's class for every sample (:func:`check_accuracy`). Shortcuts are in
fixed point: a number may be about a unit off, and a bit near its threshold may flip. The effect is
measured on a whole test set, at several word lengths (:func:`measure`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from torch import nn

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Graph, Input, Lookup, Output, Rescale
from hwbnn.graph.arrays import Floats, Ints
from hwbnn.lowering.from_torch.lower_model import begin
from hwbnn.lowering.from_torch.ops import plain_tensor, reference_mode
from hwbnn.lowering.from_torch.reference import floats, prepare, takes_sequences
from hwbnn.lowering.from_torch.walk import Walk
from hwbnn.lowering.tables import evaluate_at
from hwbnn.lowering.value import WEIGHT_BITS, TracedValue
from hwbnn.simulators import FrameProgress, check_input, simulate
from hwbnn.simulators.decisions import (
    TOLERANCE,
    AccuracyCheck,
    check_labels,
    class_count,
    compare_decisions,
)

FRACTIONS = (10, 12, 14, 16, 18)
"""Word lengths to measure: fraction bits."""
_BATCH = 200


def check_accuracy(
    model: nn.Module,
    graph: Graph,
    x: ArrayLike,
    labels: ArrayLike,
    *,
    tolerance: float = TOLERANCE,
    engine: str = "auto",
    progress: FrameProgress | None = None,
) -> AccuracyCheck:
    """Compare the classes of a float network and its Graph on the user's own labelled data.

    Args:
        model: the network; it is copied, not changed.
        graph: lowered from it with ``output="class"``.
        x: integers of the input, ``(frames, *shape)``.
        labels: the class of each sample, integers ``(frames,)``.
        tolerance: for a Graph with fixed-point numbers or rounded weights: the largest permitted
            difference of the two accuracies, 0 to 1. An exact Graph has no tolerance: every class
            must be equal.
        engine: which simulator runs the Graph, see :func:`hwbnn.simulate`.
        progress: called with the current task, the frames done and the number of frames.

    Returns:
        Both accuracies.

    Warns:
        ConstantOutput: if the Graph gives the same class for all samples.

    Raises:
        InputError: if the Graph does not end in a class, or ``x`` or ``labels`` do not fit.
        Mismatch: if a class differs and the Graph is exact; or if the accuracies of another Graph
            differ by more than ``tolerance``.
    """
    classes = class_count(graph)
    frames = check_input(graph, x)
    network, told = prepare(model), progress or _silent
    real = _floats(network, graph.input, frames, told)
    truth = check_labels(labels, len(frames), classes)
    parts = []
    for start in range(0, len(frames), _BATCH):
        told("integers", start, len(frames))
        outputs = simulate(graph, frames[start : start + _BATCH], engine=engine)
        parts.append(outputs.reshape(len(outputs), -1)[:, 0].astype(np.int64))
    return compare_decisions(
        graph, _classes(real), np.concatenate(parts), truth, tolerance=tolerance
    )


def _classes(real: Floats) -> Ints:
    """The class of each row of logits; for a single logit ``z`` the decision ``z >= 0``."""
    if real.shape[1] == 1:
        return (real[:, 0] >= 0).astype(np.int64)
    best: Ints = real.argmax(axis=1)
    return best


@dataclass(frozen=True)
class FixedPointResult:
    """A network's floats against its integers on a data set, at one word length.

    Attributes:
        fraction: fraction bits of the fixed-point numbers; None for a network without them.
        width: bits of the widest of these numbers; 0 for a network without them.
        frames: number of inputs.
        largest: largest distance of a logit from the network's.
        mean: mean distance of the logits.
        spread: standard deviation of the network's logits, to compare the distances with.
        agreement: part of the frames with the same class, 0 to 1.
        accuracy_float: part of the frames whose class is right in floats, 0 to 1.
        accuracy_integer: part of the frames whose class is right in integers, 0 to 1.
        weight_bits: the bits that real weights were rounded to; None where none were rounded.
    """

    fraction: int | None
    width: int
    frames: int
    largest: float
    mean: float
    spread: float
    agreement: float
    accuracy_float: float
    accuracy_integer: float
    weight_bits: int | None = None

    @property
    def lost(self) -> float:
        """The loss of accuracy by the integers, in percentage points; negative for a gain."""
        return 100 * (self.accuracy_float - self.accuracy_integer)

    def __str__(self) -> str:
        exact = "no fixed-point numbers"
        bits = f"{self.fraction} fraction bits, {self.width} in all"
        rounded = f", weights of {self.weight_bits} bits" if self.weight_bits else ""
        return (
            f"{exact if self.fraction is None else bits}{rounded}: logits {self.mean:.3g} off on "
            f"average, at most {self.largest:.3g} (they spread by {self.spread:.3g}); class as in "
            f"floats for {self.agreement:.2%} of {self.frames:,}; accuracy "
            f"{self.accuracy_integer:.2%}, in floats {self.accuracy_float:.2%}"
        )


def measure(
    model: nn.Module,
    input: Input,
    x: ArrayLike,
    labels: ArrayLike,
    *,
    fractions: Sequence[int] = FRACTIONS,
    weight_bits: int = WEIGHT_BITS,
    engine: str = "auto",
    progress: FrameProgress | None = None,
) -> tuple[FixedPointResult, ...]:
    """Lower a network at several word lengths and compare it with its floats on a data set.

    The floats are computed once, the integers of each word length by a simulator, both batch by
    batch: memory does not grow with the data. Graphs are those that :func:`hwbnn.lower` returns.

    Args:
        model: as for :func:`hwbnn.lower`.
        input: as for :func:`hwbnn.lower`.
        x: integers of the input, ``(frames, *shape)``.
        labels: classes, ``(frames,)``.
        fractions: word lengths to try, in fraction bits.
        weight_bits: as for :func:`hwbnn.lower`.
        engine: which simulator runs the Graphs, see :func:`hwbnn.simulate`.
        progress: called with the current task, the frames done and the number of frames.

    Returns:
        One result for each word length; a single one for a network without fixed-point numbers.

    Raises:
        CannotLower: as for :func:`hwbnn.lower`, naming the word length.
        InputError: if ``x`` or ``labels`` do not fit, or the only logit is decided by two sums.
    """
    network = prepare(model)
    frames = np.asarray(x)
    truth = check_labels(labels, len(frames))
    told = progress or _silent
    real: Floats | None = None
    results: list[FixedPointResult] = []
    for fraction in fractions:
        told(f"lower with {fraction} fraction bits", 0, len(frames))
        walk = begin(network, input, "class", fraction, weight_bits)
        try:
            walk.run()
        except CannotLower as error:
            raise CannotLower(f"with {fraction} fraction bits: {error}") from error
        logits, classes = _integers(walk, frames, engine, told)
        if real is None:
            real = _floats(network, input, frames, told)
        results.append(_compared(walk, real, logits, classes, truth))
        if not walk.build.fixed:
            break
    return tuple(results)


def _compared(
    walk: Walk, real: Floats, logits: Floats, classes: Ints, truth: Ints
) -> FixedPointResult:
    distance = np.abs(logits - real)
    same = _classes(real)
    widths = [walk.build.types[name].width for name in walk.build.fixed]
    return FixedPointResult(
        walk.build.fraction if walk.build.fixed else None,
        max(widths, default=0),
        len(truth),
        float(distance.max()),
        float(distance.mean()),
        float(real.std()),
        float((classes == same).mean()),
        float((same == truth).mean()),
        float((classes == truth).mean()),
        walk.build.weight_bits if walk.build.rounded else None,
    )


def _integers(walk: Walk, frames: Ints, engine: str, told: FrameProgress) -> tuple[Floats, Ints]:
    """The logits that a Graph's integers stand for, and its classes."""
    if walk.scores is None:
        raise InputError(
            "measure: the logit of this model is decided by two sums and has no integer of its "
            "own to compare; `hwbnn lower --samples --labels` compares the decisions"
        )
    name = walk.scores.name
    place = next(i for i, node in enumerate(walk.nodes) if node.name == name)
    graph = Graph((*walk.nodes[: place + 1], Output(walk.nodes[-1].name, name)))
    logits, classes = [], []
    what = f"integers with {walk.build.fraction} fraction bits"
    for start in range(0, len(frames), _BATCH):
        told(what, start, len(frames))
        sums = simulate(graph, frames[start : start + _BATCH], engine=engine)
        logits.append(_stood_for(walk.scores, sums))
        classes.append(_ranked(walk, name, sums).argmax(axis=1))
    return np.concatenate(logits), np.concatenate(classes)


def _ranked(walk: Walk, name: str, sums: Ints) -> Ints:
    """Integers of which the largest is the class: the sums, or their ranks."""
    if walk.decision is not None:
        assert walk.scores is not None
        logit: Ints = (evaluate_at(walk.scores, sums) >= 0).astype(np.int64)
        return np.concatenate((1 - logit, logit), axis=1)
    for node in walk.nodes:
        if isinstance(node, Lookup) and node.source == name:
            t = walk.build.types[name]
            ranks: Ints = node.table[np.arange(sums.shape[1]), (sums - t.low) // t.step]
            return ranks
        if isinstance(node, Rescale) and node.source == name:
            scores: Ints = sums.astype(np.int64) * node.multiplier + node.bias
            return scores
    return sums


def _floats(network: nn.Module, source: Input, frames: Ints, told: FrameProgress) -> Floats:
    """The network's own logits."""
    parts, is_sequence = [], takes_sequences(network, source)
    for start in range(0, len(frames), _BATCH):
        told("floats", start, len(frames))
        x = floats(source, frames[start : start + _BATCH], is_sequence=is_sequence)
        with reference_mode():
            parts.append(plain_tensor(network(x)).numpy())
    return np.concatenate(parts).astype(np.float64)


def _stood_for(value: TracedValue, sums: Ints) -> Floats:
    """The network's floats for a Graph's integers."""
    x = sums.astype(np.float32)
    for op in value.ops:
        x = op(x)
    return x.astype(np.float64)


def _silent(what: str, done: int, of: int) -> None:
    """Ignore the progress."""

"""A network as a report holds it: its nodes without their constants, and margins of its sums."""

from __future__ import annotations

from dataclasses import dataclass

from hwbnn.errors import InputError
from hwbnn.report.figure import Figure

NODE_LIMIT = 4096
"""The most nodes of a network in a report."""
BIN_LIMIT = 64
"""The most bins of a histogram in a report."""


@dataclass(frozen=True)
class NodeFigures:
    """A node of the Graph, without its constants.

    Attributes:
        name: name of the node and of its value.
        kind: kind of the node, such as ``"Conv2d"``.
        sources: the values that it reads, in order.
        shape: shape of its value for one frame, channels last.
        low: the smallest integer that can occur.
        high: the largest.
        width: bits of one element in hardware.
        bit: whether the elements are bits that stand for -1 and +1.
        layer: the layer of the user's network that it comes from; "" if it is not known.
        weights: the number of its weights.
        zeros: how many of them are 0.
        weight_bits: bits of a weight: 1 if all are -1 or +1; 0 if there are no weights.
        thresholds: thresholds of each channel; 0 if it is no ``Threshold`` or ``Encode``.
        kernel: rows and columns of its window; empty if it has none.
        stride: steps of the window.
        groups: groups of channels of a convolution.
        meaning: of an ``Output``, the meaning of its integers; else "".
    """

    name: str
    kind: str
    sources: tuple[str, ...]
    shape: tuple[int, ...]
    low: int
    high: int
    width: int
    bit: bool = False
    layer: str = ""
    weights: int = 0
    zeros: int = 0
    weight_bits: int = 0
    thresholds: int = 0
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    groups: int = 1
    meaning: str = ""

    def __post_init__(self) -> None:
        counts = (
            self.width,
            self.weights,
            self.zeros,
            self.weight_bits,
            self.thresholds,
            self.groups,
        )
        sizes = (*self.shape, *self.kernel, *self.stride)
        if not self.shape or min(sizes) < 1 or min(counts) < 0 or self.zeros > self.weights:
            raise InputError(f"node {self.name[:60]!a}: expected sizes from 1 and counts from 0")


@dataclass(frozen=True)
class MarginHistogram:
    """How far the sums in front of thresholds are from flipping a result.

    A *step* is the distance of neighbouring values of a sum; where inputs are bits and weights -1
    and +1, one input that flips moves the sum by one step. A margin is the number of steps to the
    nearest other result, at least 1.

    Attributes:
        node: the ``Threshold``.
        layer: the layer of the user's network; "" if it is not known.
        frames: the number of frames measured, the first of the data.
        width: steps in each bin.
        counts: elements by margin: bin ``i`` has those of ``1 + i * width`` to
            ``(i + 1) * width`` steps.
        nearest: elements with a margin of one step.
        constant: elements whose result can never change, because no sum reaches their thresholds,
            or every sum does; they are in no bin.
    """

    node: str
    layer: str
    frames: int
    width: int
    counts: tuple[int, ...]
    nearest: int
    constant: int

    def __post_init__(self) -> None:
        numbers = (self.frames, self.width, *self.counts, self.nearest, self.constant)
        if len(self.counts) > BIN_LIMIT or min(numbers) < 0:
            raise InputError(
                f"margins of {self.node[:60]!a}: expected at most {BIN_LIMIT} counts from 0"
            )

    @property
    def measured(self) -> int:
        """Elements in all bins."""
        return sum(self.counts)


@dataclass(frozen=True)
class RocCurve:
    """A receiver operating characteristic: what a cut on the score of class 1 gives.

    Attributes:
        score: the score, in words.
        positives: frames of class 1.
        negatives: frames of class 0.
        auc: area under the curve, of all cuts.
        false_positives: frames of class 0 above the cut, from none to all; not all cuts are kept.
        true_positives: frames of class 1 above the same cuts.
        chosen_false: frames of class 0 to which the network gives class 1: its working point.
        chosen_true: frames of class 1 to which the network gives class 1.
    """

    score: str
    positives: int
    negatives: int
    auc: Figure
    false_positives: tuple[int, ...]
    true_positives: tuple[int, ...]
    chosen_false: int
    chosen_true: int

    def __post_init__(self) -> None:
        pairs = (
            ((*self.false_positives, self.chosen_false), self.negatives),
            ((*self.true_positives, self.chosen_true), self.positives),
        )
        if len(self.false_positives) != len(self.true_positives) or not all(
            most > 0 and min(counts) >= 0 and max(counts) <= most for counts, most in pairs
        ):
            raise InputError("roc: expected counts from 0 to the frames of each class")

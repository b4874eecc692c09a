"""Comparison of a Graph's classes with the float network's classes and with the user's labels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hwbnn.errors import ConstantOutput, InputError, Mismatch
from hwbnn.graph import ArgMax, Graph
from hwbnn.graph.arrays import Array, Ints

TOLERANCE = 0.01
"""How much the accuracies of a fixed-point Graph and its float network may differ, from 0 to 1."""


@dataclass(frozen=True)
class AccuracyCheck:
    """The classes of a float network and of its Graph on labelled samples.

    Attributes:
        frames: the number of samples.
        accuracy_float: the part of them that the float network classifies right, 0 to 1.
        accuracy_integer: the part of them that the Graph classifies right, 0 to 1.
        differing: the number of samples to which the two give different classes.
        fraction: fraction bits of a fixed-point Graph; None for a Graph that has no such numbers.
        constant: the class, if the Graph gives the same class for all samples; otherwise None.
    """

    frames: int
    accuracy_float: float
    accuracy_integer: float
    differing: int
    fraction: int | None
    constant: int | None

    @property
    def agreement(self) -> float:
        """The part of the samples with the same class in both, 0 to 1."""
        return 1 - self.differing / self.frames

    def __str__(self) -> str:
        same = f"class as in floats for {self.agreement:.2%} of {self.frames:,} samples"
        constant = "" if self.constant is None else f"; it always answers {self.constant}"
        return (
            f"accuracy {self.accuracy_integer:.2%}, in floats {self.accuracy_float:.2%}; "
            f"{same}{constant}"
        )


def class_count(graph: Graph) -> int:
    """The number of classes that a Graph decides between; 2 where it decides on one logit.

    Raises:
        InputError: if its output is not a class.
    """
    if graph.meaning == "decision":
        return 2
    last = graph.node(graph.output.source)
    if isinstance(last, ArgMax):
        return graph.types[last.source].size
    raise InputError(
        f"labels: the Graph gives {graph.meaning}, no class to compare with labels; lower it with "
        'output="class", or leave the labels out'
    )


def check_labels(
    labels: ArrayLike, frames: int, classes: int | None = None, where: str = "labels"
) -> Ints:
    """Labels as int64 ``(frames,)``.

    Args:
        labels: one integer from 0 for each sample, ``(frames,)`` or ``(frames, 1)``; bools and
            floats that are whole numbers are taken too.
        frames: how many samples there are.
        classes: how many classes the network has; None where it is not known yet.
        where: the name of the labels in messages.

    Raises:
        InputError: if the labels are not one class from 0 to ``classes - 1`` for each sample.
    """
    try:
        array = np.asarray(labels)
    except ValueError:  # rows of different lengths
        array = np.empty(0, object)
    if array.dtype == np.bool_:
        array = array.astype(np.int64)
    if array.dtype.kind == "f" and np.isfinite(array).all() and (array == np.rint(array)).all():
        array = np.rint(array).astype(np.int64)
    if (
        array.dtype.kind not in "iu"
        or array.ndim not in (1, 2)
        or array.shape[1:] not in ((), (1,))
    ):
        scores = "; scores are no labels" if array.ndim > 1 and array.size > len(array) else ""
        raise InputError(
            f"{where}: expected {frames} integers, the class of each sample, found {array.dtype} "
            f"of shape {array.shape}{scores}"
        )
    if len(array) != frames or not frames:
        raise InputError(
            f"{where}: expected a label for each of one or more samples, found {len(array)} labels "
            f"and {frames} samples"
        )
    wrong = array.reshape(-1) < 0
    if classes is not None:
        wrong |= array.reshape(-1) >= classes
    if wrong.any():
        at = int(wrong.argmax())
        allowed = "from 0" if classes is None else f"from 0 to {classes - 1}"
        raise InputError(
            f"{where}: expected classes {allowed}, found {array.reshape(-1)[at]} for sample {at}; "
            "number the classes from 0, in the order of the logits"
        )
    return array.reshape(-1).astype(np.int64)


def check_tolerance(tolerance: float) -> None:
    """Refuse a tolerance that is not between 0 and 1.

    Raises:
        InputError: if it is not.
    """
    if not 0 <= tolerance <= 1:  # NaN too
        raise InputError(
            f"tolerance: expected a part of the samples, from 0 to 1, found {tolerance}"
        )


def _closeness(graph: Graph) -> str:
    """How closely the integers follow the floats, for messages."""
    parts = [] if graph.fraction is None else [f"{graph.fraction} fraction bits"]
    parts += [] if graph.weight_bits is None else [f"weights rounded to {graph.weight_bits} bits"]
    return " and ".join(parts)


def compare_decisions(
    graph: Graph,
    floats: Array,
    integers: Array,
    labels: Array,
    *,
    tolerance: float = TOLERANCE,
) -> AccuracyCheck:
    """Compare the classes of a float network with those of its Graph, and both with the labels.

    Args:
        graph: the Graph; if it is exact, every class must be equal.
        floats: classes of the float network, ``(frames,)``.
        integers: classes of the Graph, ``(frames,)``.
        labels: right classes, ``(frames,)``, as :func:`check_labels` returns them.
        tolerance: by how much the two accuracies may differ, 0 to 1, if the Graph is fixed point.

    Returns:
        Both accuracies. If the Graph gives the same class for all samples, it also warns with
        :class:`~hwbnn.errors.ConstantOutput`.

    Raises:
        InputError: if ``tolerance`` is not a number from 0 to 1.
        Mismatch: if a class of an exact Graph differs, or the accuracies of a fixed-point Graph
            differ by more than ``tolerance``.
    """
    check_tolerance(tolerance)
    differs = floats != integers
    constant = len(integers) > 1 and bool((integers == integers[0]).all())
    check = AccuracyCheck(
        len(labels),
        float((floats == labels).mean()),
        float((integers == labels).mean()),
        int(differs.sum()),
        graph.fraction,
        int(integers[0]) if constant else None,
    )
    both = f"accuracy {check.accuracy_float:.2%} in floats and {check.accuracy_integer:.2%} in"
    if graph.is_exact and check.differing:
        at = int(differs.argmax())
        raise Mismatch(
            f"{both} integers: their classes differ for {check.differing} of {check.frames} "
            f"samples, first for sample {at}: class {floats[at]} and class {integers[at]}; the "
            "Graph is exact, so it was lowered from another model, or this is a defect of hwbnn"
        )
    apart = abs(check.accuracy_float - check.accuracy_integer)
    if apart > tolerance:
        raise Mismatch(
            f"{both} integers of {_closeness(graph)}: {100 * apart:.2f} percentage "
            f"points apart, more than {100 * tolerance:g}; lower with a larger "
            f"{'fraction' if graph.weight_bits is None else 'fraction or weight_bits'}, or allow "
            "more by tolerance"
        )
    if constant:
        warnings.warn(
            f"the output is class {check.constant} for all of {check.frames} samples; look at the "
            "samples, and at the training of the last layers",
            ConstantOutput,
            stacklevel=3,
        )
    return check

"""What binary layers say: the bits of their weights, once they are sure to sum integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Input, ValueType
from hwbnn.graph.arrays import Ints
from hwbnn.lowering.activations import check_method, stands_for
from hwbnn.lowering.pairs import PAIR_LIMIT, Pairs
from hwbnn.lowering.streams import Stream
from hwbnn.lowering.tables import chunks, is_identity
from hwbnn.methods import Codes
from hwbnn.nn import BinaryActivation
from hwbnn.nn.binary import EXACT, BinaryLayer


@dataclass(frozen=True, eq=False)
class Weights:
    """What a layer's weights are.

    Attributes:
        bits: bool, of the shape and in the order of torch's weights, True for +1.
        scale_offset: scale and offset of the sums, int64 ``(channels,)`` each; None for plain sums.
        ratio: where the offsets are real numbers: offset over scale, float64 ``(channels,)``.
        finish: from the sums (and ``S``) to the layer's output, its codes not found anew for each
            piece of a table.
    """

    bits: NDArray[np.bool_]
    finish: Callable[..., Tensor]
    scale_offset: tuple[Ints, Ints] | None = None
    ratio: NDArray[np.float64] | None = None


def check_source(label: str, layer: BinaryLayer, source: Input) -> None:
    """Refuse a first layer that was made for another input than the one given.

    Raises:
        CannotLower: naming the layer and both inputs.
    """
    declared = layer.source
    if not isinstance(declared, Input):
        return
    wanted = (declared.bit, declared.scale, declared.offset)
    given = (source.bit, source.scale, source.offset)
    within = declared.low <= source.low and source.high <= declared.high
    if wanted != given or not within:
        raise CannotLower(
            f"{label}: was made for {_contract(declared)}, but the input says {_contract(source)}; "
            "lower with the Input that it was made with"
        )


def read_weights(label: str, layer: BinaryLayer, stream: Stream, source: Input) -> Weights:
    """The weights of a layer, once it is sure to sum integers.

    Args:
        label: the layer in messages.
        layer: the layer.
        stream: what it reads.
        source: the input contract.

    Raises:
        CannotLower: if its method has no exact form, or it reads anything but the Graph's integers.
    """
    check_method(label, layer.weight.obstacle())
    codes = layer.weight.codes()
    if not bool((codes.signs.abs() == 1).all()):
        raise CannotLower(
            f"{label}: its weights are not all -1 or +1 in evaluation: a defect of its method"
        )
    for what, part in (("scale", codes.scale), ("offset", codes.offset), ("ratio", codes.ratio)):
        if part is not None and not bool(torch.isfinite(part).all()):
            raise CannotLower(f"{label}: the {what} of its weights is not finite")
    _check_reads_integers(label, layer, stream, source)
    bits: NDArray[np.bool_] = (codes.signs > 0).numpy()
    finish = partial(_finish, layer, codes)
    if codes.ratio is not None:
        ratio = codes.ratio.numpy()
        if not np.array_equal(ratio, np.rint(ratio)):
            raise CannotLower(f"{label}: its ratios are not integers: a defect of its method")
        unit = np.full(len(bits), codes.unit, np.int64)
        return Weights(bits, finish, (unit, ratio.astype(np.int64)))
    if codes.offset is None:
        return Weights(bits, finish)
    offset = codes.offset.double().numpy()
    scale = np.ones_like(offset) if codes.scale is None else codes.scale.double().numpy()
    with np.errstate(divide="ignore", invalid="ignore"):  # refused once it is looked at
        return Weights(bits, finish, None, offset / scale)


def _finish(
    layer: Any, codes: Codes, sums: Tensor, total: Tensor | None = None, **where: Any
) -> Tensor:
    out: Tensor = layer.finish(sums, total, codes, **where)
    return out


def pairs_of(plus: Ints, count: int, stream: Stream) -> Pairs:
    """The pairs of sums over ``count`` terms of a stream, ``plus`` of them of weight +1."""
    low, high, step = stream.type.numbers
    return Pairs(plus, count, low, step, (high - low) // step)


def check_pairs(label: str, pairs: Sequence[Pairs]) -> None:
    """Refuse more pairs of sums than can be tried.

    Raises:
        CannotLower: naming the layer.
    """
    if sum(p.evaluations for p in pairs) > PAIR_LIMIT:
        raise CannotLower(
            f"{label}: its weights have real offsets, and its two sums make "
            f"{sum(p.count for p in pairs):.2g} pairs, too many to certify; train it with mode "
            "'qat' or 'drop', or with an input of bits"
        )


def check_exact(label: str, sums: ValueType) -> None:
    """Refuse sums that the float reference itself would round.

    Raises:
        CannotLower: naming the layer.
    """
    if max(-sums.low, sums.high) >= EXACT:
        raise CannotLower(
            f"{label}: sums from {sums.low} to {sums.high} reach 2^24, beyond which the float32 "
            "reference rounds; use a smaller input range or fewer inputs"
        )


def _check_reads_integers(label: str, layer: BinaryLayer, stream: Stream, source: Input) -> None:
    """Refuse a layer that would sum anything but the integers of the Graph."""
    declared = layer.source
    if declared is None:
        if stream.fixed is None and not is_identity(stream):
            raise CannotLower(f"{label}: {_not_integers(stream, source)}")
        return
    if isinstance(declared, BinaryActivation):
        if _activation_of(stream) is not declared or not _is_unchanged(stream):
            raise CannotLower(
                f"{label}: its source= is not the activation whose output it reads; make it with "
                "the one right before it (a trained layer too: layer.source = activation)"
            )
        _check_invertible(label, layer, stream)
        return
    if not stream.is_input:
        raise CannotLower(
            f"{label}: was made with source=, but does not read the network's input; source is for "
            "the first layer alone, and for activations that stand for other numbers"
        )
    if not _is_unchanged(stream):
        steps = ", ".join(step.label for step in stream.steps[1:])
        raise CannotLower(
            f"{label}: {steps} changes the input before it; put scale and offset into Input "
            "instead, one of each for all channels (train with x = scale * u + offset)"
        )
    _check_invertible(label, layer, stream)


def _check_invertible(label: str, layer: BinaryLayer, stream: Stream) -> None:
    """Refuse a map whose floats, once rounded to float32, lead back to other integers."""
    for integers, x in chunks(stream):
        wanted = np.clip(integers[:, None], stream.low, stream.high)
        wanted = wanted * 2 - 1 if stream.type.bit else wanted
        try:
            found = layer.integers(x).numpy()
        except InputError:
            found = None
        if found is None or not np.array_equal(found, wanted):
            what = "input" if stream.is_input else "activation"
            raise CannotLower(
                f"{label}: float32 does not tell the integers of the {what} apart "
                "under its scale and offset; use a smaller offset or a larger scale"
            )


def _activation_of(stream: Stream) -> BinaryActivation | None:
    """The activation that made a stream; None for sums and the input."""
    if not stream.steps:
        return None
    made = stream.steps[0].apply
    if not isinstance(made, partial) or made.func is not stands_for:
        return None
    layer: BinaryActivation = made.args[0]
    return layer


def _is_unchanged(stream: Stream) -> bool:
    """Whether a stream is still what its first step made, bit for bit."""
    made = replace(stream, steps=stream.steps[:1])
    pairs = zip(chunks(made), chunks(stream), strict=True)
    return all(torch.equal(x, y) for (_, x), (_, y) in pairs)


def _contract(source: Input) -> str:
    integers = "bits" if source.bit else f"integers {source.low} to {source.high}"
    return f"x = {source.scale:g} * u + {source.offset:g} of {integers}"


def _not_integers(stream: Stream, source: Input) -> str:
    if stream.is_input and len(stream.steps) == 1:
        return (
            f"it reads {_contract(source)}, which are no integers; make it with source=input, so "
            "that it sums the integers first (a trained layer too: layer.source = input)"
        )
    steps = ", ".join(step.label for step in stream.steps)
    if _activation_of(stream) is not None and len(stream.steps) == 1:
        return (
            f"it reads real numbers, from {steps}, whose codes stand for others than -1 and +1 (or "
            "integers); make it with source=activation, so that it sums the codes first (a trained "
            "layer too: layer.source = activation)"
        )
    return f"it reads real numbers, from {steps}; put a BinaryActivation before it"

"""Operations of ONNX on channels: BatchNorm, arithmetic with constants, sums, concatenation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hwbnn.errors import CannotLower, InputError
from hwbnn.program import Addition, Affine, BatchNorm, Concatenation, Layer
from hwbnn.readers.onnx.onnx_translation import CHANNELS_LAST, OnnxTranslation
from hwbnn.readers.onnx.protobuf import OnnxNode


def batch_norm(work: OnnxTranslation, node: OnnxNode) -> None:
    """``BatchNormalization`` in inference."""
    value = work.value(node)
    if len([o for o in node.outputs if o]) > 1 or node.attributes.get("training_mode"):
        raise CannotLower(f"{node.label}: is in training mode; export the network in eval mode")
    last = node.domain == CHANNELS_LAST
    axis = len(value.axes) - 1 if last else 1
    if axis >= len(value.axes) or value.axes[axis] not in "cf":
        raise CannotLower(
            f"{node.label}: expected the channels on axis {axis} of shape {work.shape(value)}"
        )
    count = work.shape(value)[axis]
    parts = []
    for i, what in enumerate(("gamma", "beta", "mean", "variance")):
        numbers = work.constant(node, i + 1, what).array.astype(np.float64).ravel()
        if len(numbers) != count:
            raise InputError(
                f"{node.label}: {what}: expected {count} numbers, found {len(numbers)}"
            )
        parts.append(work.in_order(value, numbers))
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    gamma, beta, mean, variance = parts
    layer = BatchNorm(
        work.name(node),
        node.op,
        value.name,
        gamma=gamma,
        beta=beta,
        mean=mean,
        variance=variance,
        epsilon=epsilon,
    )
    work.append(node, layer, value)


def elementwise(work: OnnxTranslation, node: OnnxNode) -> None:
    """``Add``, ``Sub``, ``Mul`` and ``Div``: with a constant, or a sum of two values."""
    moving = [i for i, name in enumerate(node.inputs[:2]) if name in work.values]
    if len(moving) == 2:
        one, other = work.value(node), work.value(node, 1)
        if node.op != "Add" or one.axes != other.axes or work.shape(one) != work.shape(other):
            raise CannotLower(
                f"{node.label}: of two values of the network only sums of one shape are taken"
            )
        if one.order is not None or other.order is not None:
            raise CannotLower(f"{node.label}: add in front of the flatten, not behind it")
        layer: Layer = Addition(work.name(node), node.op, one.name, other.name)
        work.append(node, layer, one)
        return
    at = moving[0]
    value = work.value(node, at)
    given = work.constant(node, 1 - at, "argument").array
    numbers = work.per_channel(node, value, given, "argument")
    parts: dict[str, Any] = {
        "Add": {"offset": numbers},
        "Sub": {"offset": numbers, "scale": -np.ones(1)} if at else {"offset": -numbers},
        "Mul": {"scale": numbers},
        "Div": {"divisor": numbers},
    }[node.op]
    if node.op == "Div" and at:
        raise CannotLower(f"{node.label}: divides by a value of the network")
    work.append(node, Affine(work.name(node), node.op, value.name, **parts), value)


def concat(work: OnnxTranslation, node: OnnxNode) -> None:
    """``Concat`` of values of the network, along their channels."""
    values = [work.value(node, i) for i in range(len(node.inputs))]
    first = values[0]
    axis = int(node.attributes.get("axis", 1))
    if any(v.axes != first.axes for v in values) or (
        first.axes[axis % len(first.axes)] not in "cf"
    ):
        raise CannotLower(
            f"{node.label}: expected values side by side along their channels, found axis "
            f"{axis} of {', '.join(v.axes for v in values[:4])}"
        )
    orders, start = [], 0
    for value in values:
        size = work.shapes[value.name][-1]
        orders.append(start + (np.arange(size) if value.order is None else value.order))
        start += size
    if len(values) == 1:
        work.values[node.outputs[0]] = first
        return
    names = tuple(v.name for v in values[1:])
    layer = Concatenation(work.name(node), node.op, first.name, names)
    made = work.append(node, layer, first)
    if any(v.order is not None for v in values):
        work.values[node.outputs[0]] = replace(made, order=np.concatenate(orders))

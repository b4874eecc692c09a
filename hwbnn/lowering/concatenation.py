"""Concatenation: the channels of several values in one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph import Concat
from hwbnn.graph.arrays import Float32s, Ints
from hwbnn.lowering.ops import ChannelwiseOp, TableFunction
from hwbnn.lowering.shortcuts import Sum, fix, reading, settle
from hwbnn.lowering.value import FixedPointError, GraphBuilder, TracedValue


def concatenate(
    build: GraphBuilder, label: str, values: Sequence[TracedValue]
) -> tuple[TracedValue, Sum | None]:
    """Concatenate values along their channels, or flat values along their elements.

    Values of bits stay bits and values of integers stay integers, each channel with its own
    functions: that is exact. All values become fixed-point numbers if bits and integers are mixed,
    or if a value is in fixed point, undecided or dependent on the border class.

    Args:
        build: the Graph so far.
        label: the call, for messages.
        values: two or more.

    Returns:
        The value; and the bound of its error if it is in fixed point, else None.

    Raises:
        CannotLower: as :func:`~hwbnn.lowering.shortcuts.fix`, or if their rows and columns differ.
    """
    parts = [settle(build, value) for value in values]
    if len({part.shape[:-1] for part in parts}) > 1 or len(parts) < 2:
        shapes = " and ".join(str(part.shape) for part in parts)
        raise CannotLower(
            f"{label}: expected two or more values of the same rows and columns, found {shapes}"
        )
    whole = all(part.fixed is None and not part.pending and part.border is None for part in parts)
    is_exact = whole and len({part.type.bit for part in parts}) == 1
    if not is_exact:
        parts = [fix(build, part) for part in parts]
    joined = parts[0]
    for part in parts[1:]:
        node = Concat(build.name("concat"), joined.name, part.name)
        t = build.add(node)
        channels = len(joined.low), len(part.low)
        joined = replace(
            joined,
            name=node.name,
            type=t,
            low=np.concatenate((joined.low, part.low)),
            high=np.concatenate((joined.high, part.high)),
            ops=(_apart(joined.ops, part.ops, channels),),
            is_input=False,
            is_coded=joined.is_coded and part.is_coded,
            order=_order(joined, part),
        )
    text = f"{' and '.join(str(len(p.low)) for p in parts)} channels side by side"
    build.remark(joined.layer, node, text)
    if is_exact:
        return joined, None
    errors = [part.fixed for part in parts if part.fixed is not None]
    total, local = max(e.total for e in errors), max(e.local for e in errors)
    text = f"{t.width} bits, at most {total:.2f} units of 2^-{build.fraction} off"
    build.fixed[node.name] = text
    held = replace(
        joined, ops=(reading(build.fraction),), fixed=FixedPointError(total, 0.0), is_coded=False
    )
    return held, Sum(node.name, build.fraction, local)


def _apart(
    first: tuple[ChannelwiseOp, ...], second: tuple[ChannelwiseOp, ...], channels: tuple[int, int]
) -> TableFunction:
    """The functions of two values, each on its own channels."""

    def compute(x: Float32s) -> Float32s:
        parts = [x[:, : channels[0]], x[:, channels[0] :]]
        for k, ops in enumerate((first, second)):
            for op in ops:
                parts[k] = op(parts[k])
        return np.concatenate(parts, axis=1)

    ops = (*first, *second)
    label = ", ".join(dict.fromkeys(op.label for op in ops)) or "values side by side"
    return TableFunction(
        label,
        compute,
        is_monotone=all(op.is_monotone for op in ops),
        has_few_lines=all(op.is_piecewise_linear for op in ops),
    )


def _order(first: TracedValue, second: TracedValue) -> Ints | None:
    """The order of the elements of two flat values together; None where it is the network's."""
    if first.order is None and second.order is None:
        return None
    orders = [np.arange(len(v.low)) if v.order is None else v.order for v in (first, second)]
    return np.concatenate((orders[0], orders[1] + len(orders[0])))

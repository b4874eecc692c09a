"""HLS calls of Dot and Conv2d: what dense and windowed sums share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import Conv2d, Dot, Threshold
from hwbnn.plan import Folded
from hwbnn.targets.hls.layout import Constant, Fold, Scalar
from hwbnn.targets.hls.site import Site, within_limit


def sum_function(sums: Dot | Conv2d, site: Site, threshold: Threshold | None) -> str:
    """The C++ function of a dense layer."""
    name = "dot" if threshold is None else "neurons"
    name = name if sums.scale_offset is None else f"scaled_{name}"
    return name if isinstance(site.plan.layout(sums.name), Folded) else f"{name}_unrolled"


def sum_members(
    sums: Dot | Conv2d, site: Site, threshold: Threshold | None, masked: bool = False
) -> dict[str, Any]:
    """The fields that all calls of weighted sums share: numbers, types, constants, reuse.

    With a Threshold, rows of falling channels are negated and thresholds are on the accumulator.

    Args:
        sums: the node.
        site: its place.
        threshold: the Threshold that is fused with it, if any.
        masked: whether not all inputs of an output count.
    """
    fold = site.fold(sums)
    weights = sums.signs.reshape(fold.outputs, fold.inputs)
    numbers, types = _sum_types(sums, site, fold, masked)
    sign = np.ones(fold.outputs, np.int64)
    if threshold is not None:
        sign[threshold.falling] = -1
    constants: list[Constant] = []
    if sums.scale_offset is None:
        constants.append(fold.weights(weights ^ (sign < 0)[:, None]))
    else:  # not the weights but the factors change their sign
        constants += [fold.weights(weights), _factors(*(sign * f for f in sums.scale_offset))]
    if threshold is not None:
        constants.append(_accumulated(sums, threshold, site, fold.inputs, masked))
        numbers |= levels(threshold.name, *threshold.thresholds.shape)
    return {
        "numbers": numbers,
        "types": types,
        "constants": tuple(constants),
        "reuse": fold.folds * fold.steps,
    }


def _accumulated(
    sums: Dot | Conv2d, threshold: Threshold, site: Site, inputs: int, masked: bool
) -> Constant:
    """The thresholds of a fused Threshold, on what the accumulator holds."""
    t, falling = site.type(sums.name), threshold.falling[:, None]
    thresholds = np.where(falling, -threshold.thresholds, threshold.thresholds)
    if site.type(sums.source).bit and sums.scale_offset is None and not masked:
        # Of n inputs d differ: n - 2 d >= t just where d < floor((n - t) / 2) + 1.
        limits = np.clip((inputs - thresholds) // 2 + 1, 0, inputs + 1)
        return Constant("thresholds", Scalar.holding(0, inputs + 1), limits.reshape(-1))
    bound = max(-t.low, t.high)
    clipped = np.clip(thresholds, -bound, bound + 1)
    return Constant("thresholds", Scalar.holding(-bound, bound + 1), clipped.reshape(-1))


def _sum_types(
    sums: Dot | Conv2d, site: Site, fold: Fold, masked: bool
) -> tuple[dict[str, int], dict[str, str]]:
    """Numbers and types of a config struct that say the fold and what is summed."""
    advice = "fold it with a smaller pe or simd"
    within_limit(sums.name, fold.step_words, "words of weights read in one cycle", advice)
    numbers, types = fold.numbers(), {}
    if sums.scale_offset is not None:
        within_limit(sums.name, 2 * fold.pe, "scales and offsets read in one cycle", advice)
        numbers["n_factors"] = 2 * fold.outputs
        t = site.type(sums.name)
        largest = max(-t.low, t.high)
        types["sum_t"] = Scalar.holding(-largest, largest).cpp  # of either sign: see sum_members
    x = site.type(sums.source)
    # Wide enough for every partial sum, in whatever order.
    bound = fold.inputs * max(abs(x.low), abs(x.high), 1)
    accum = Scalar.holding(0, fold.inputs) if x.bit else Scalar.holding(-bound, bound)
    terms = "masked" if masked else "bit" if x.bit else "integer"
    types |= {"accum_t": accum.cpp, "terms": f"hwbnn::{terms}_terms"}
    return numbers, types


def _factors(scale: NDArray[np.int64], offset: NDArray[np.int64]) -> Constant:
    """Scale and offset of each output, one behind the other."""
    return integers("factors", np.stack([scale, offset], axis=1))


def integers(name: str, values: NDArray[np.int64]) -> Constant:
    """Constants of any shape, flat, in the narrowest type that holds them."""
    scalar = Scalar.holding(int(values.min()), int(values.max()))
    return Constant(name, scalar, values.reshape(-1))


def levels(name: str, rows: int, count: int) -> dict[str, int]:
    """The members of a config struct that say how many thresholds there are.

    Raises:
        PlanError: if these are too many to be read at once.
    """
    within_limit(name, rows * count, "thresholds read at once", "use the target 'rtl'")
    return {"n_levels": count, "n_thresholds": rows * count}

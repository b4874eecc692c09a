"""HLS calls of Dot and Conv2d: the accumulators and constants that dense and windowed sums share.

The *terms*, structs of ``hls/hwbnn_dot.h`` and ``hls/hwbnn_weighted.h``, define what an accumulator
counts or sums. :class:`Accumulator` says how the weighted sum follows from it, and converts
thresholds on the sum to thresholds on the accumulator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwbnn.graph import Conv2d, Dot, Threshold, ValueType
from hwbnn.graph.arrays import Ints
from hwbnn.plan import Folded, Layout
from hwbnn.plan.products import is_ternary, weight_width
from hwbnn.targets.hls import weights as pack
from hwbnn.targets.hls.layout import Constant, Fold, Scalar
from hwbnn.targets.hls.site import Site, within_limit
from hwbnn.targets.hls.weights import WeightWords

ADVICE = "fold it with a smaller pe or simd"


@dataclass(frozen=True, eq=False)
class Accumulator:
    """The content of the accumulators of a layer, and how thresholds on the sum apply to it.

    If both ``differing`` and ``row`` are None, thresholds are compared with the sum itself.

    Attributes:
        terms: name of the C++ struct that adds a step.
        low: lower bound of every partial sum, in whatever order the terms are added.
        high: upper bound of every partial sum.
        differing: int64 ``(channels,)``, the nonzero weights of a channel, if the accumulator
            counts the inputs that differ from their weights.
        row: int64 ``(channels,)``, the sum of a channel's weights, if the accumulator adds the
            weights whose input bit is +1.
        more_types: further types of the config struct.
    """

    terms: str
    low: int
    high: int
    differing: Ints | None = None
    row: Ints | None = None
    more_types: Mapping[str, str] = field(default_factory=dict)

    @property
    def types(self) -> dict[str, str]:
        """The members of the config struct that describe the accumulator."""
        accum = Scalar.holding(self.low, self.high)
        return {"accum_t": accum.cpp, "terms": f"hwbnn::{self.terms}", **self.more_types}

    @property
    def row_constants(self) -> Ints:
        """The constant of each channel that turns its accumulator into the sum, int64."""
        constants = self.differing if self.row is None else self.row
        assert constants is not None
        return constants

    def thresholds(self, t: ValueType, thresholds: Ints) -> Constant:
        """Thresholds on the accumulator that decide as the given thresholds on the sum decide.

        Args:
            t: type of the sum.
            thresholds: int64 array ``(channels, k)``; the sum reaches one where it is at least it.
        """
        if self.differing is not None:
            # If d of n terms differ: n - 2 d >= t exactly where d < floor((n - t) / 2) + 1.
            n = self.differing[:, None]
            limits = np.clip((n - thresholds) // 2 + 1, 0, n + 1)
            low, high = 0, int(n.max()) + 1
        elif self.row is not None:
            # If the weights of +1 bits sum to r: 2 r - row >= t exactly where r >= (t + row) / 2.
            low, high = self.low, self.high + 1
            limits = np.clip(-(-(thresholds + self.row[:, None]) // 2), low, high)
        else:
            bound = max(-t.low, t.high)
            low, high = -bound, bound + 1
            limits = np.clip(thresholds, low, high)
        return Constant("thresholds", Scalar.holding(low, high), limits.reshape(-1))


def masked(sums: Dot | Conv2d, site: Site) -> bool:
    """Whether windows of bits reach outside the image, where inputs must add nothing."""
    inside = isinstance(sums, Dot) or sums.pad != 0 or not any(sums.padding)
    return not inside and site.type(sums.source).bit


def sum_function(sums: Dot | Conv2d, site: Site, threshold: Threshold | None) -> str:
    """The C++ function of a dense layer, or of the products of a convolution."""
    name = "dot" if threshold is None else "neurons"
    if sums.scale_offset is not None:
        name = f"scaled_{name}"
    elif threshold is None and _has_row_constants(sums, site):
        name = f"weighted_{name}"
    return name if isinstance(site.plan.layout(sums.name), Folded) else f"{name}_unrolled"


def _has_row_constants(sums: Dot | Conv2d, site: Site) -> bool:
    """Whether a constant of each channel turns its accumulator into the sum."""
    return not sums.binary and site.type(sums.source).bit and not masked(sums, site)


def sum_members(sums: Dot | Conv2d, site: Site, threshold: Threshold | None) -> dict[str, Any]:
    """The fields that all calls of weighted sums share: numbers, types, constants, reuse, weight.

    With a Threshold, rows of falling channels are negated, and thresholds are converted to
    thresholds on the accumulator.

    Args:
        sums: the node.
        site: the Graph, the Plan and the io type.
        threshold: the Threshold that is fused with it, if any.
    """
    fold, t = site.fold(sums), site.type(sums.name)
    sign = np.ones(fold.outputs, np.int64)
    if threshold is not None:
        sign[threshold.falling] = -1
    weights = sums.weights.reshape(fold.outputs, fold.inputs).astype(np.int64)
    if sums.scale_offset is None:  # else not the weights but the factors change their sign
        weights *= sign[:, None]
    accumulator = _accumulator(sums, site, weights)
    packed = _packed(sums, site, fold, weights)
    numbers, types = {**fold.numbers(), **packed.numbers}, {}
    within_limit(sums.name, numbers["step_words"], "words of weights read in one cycle", ADVICE)
    # What an unrolled layer reads at fixed places is part of its logic: one bank.
    folded = fold.cycles > 1
    numbers["weight_banks"] = numbers["step_words"] if folded else 1
    constants = [packed.constant]
    if sums.scale_offset is not None:
        within_limit(sums.name, 2 * fold.pe, "scales and offsets read in one cycle", ADVICE)
        largest = max(-t.low, t.high)
        types["sum_t"] = Scalar.holding(-largest, largest).cpp  # of either sign, as the factors
        factors = np.stack([sign * f for f in sums.scale_offset], axis=1)
        constants.append(integers("factors", factors))
        numbers["n_factors"] = factors.size
        numbers["factor_banks"] = 2 * fold.pe if folded else 1
        accumulator = replace(accumulator, differing=None)
    elif threshold is None and _has_row_constants(sums, site):
        constants.append(integers("factors", accumulator.row_constants))
        numbers["n_factors"] = fold.outputs
        numbers["factor_banks"] = fold.pe if folded else 1
    types |= accumulator.types
    if threshold is not None:
        constants.append(accumulator.thresholds(t, sign[:, None] * threshold.thresholds))
        numbers |= threshold_sizes(threshold.name, *threshold.thresholds.shape)
        numbers["threshold_banks"] = fold.pe * numbers["n_levels"] if folded else 1
    return {
        "numbers": numbers,
        "types": types,
        "constants": tuple(constants),
        "reuse": fold.cycles,
        "weight": None if sums.binary else _weight(weights),
    }


def _packed(sums: Dot | Conv2d, site: Site, fold: Fold, weights: Ints) -> WeightWords:
    """A layer's weights, int64 ``(outputs, inputs)``, packed into the words that it reads."""
    if sums.binary:
        return pack.signs(fold, weights > 0)
    if site.type(sums.source).bit and is_ternary(weights):
        return pack.ternary(fold, weights)
    within_limit(sums.name, fold.simd, "weights of an output read in one cycle", ADVICE)
    return pack.integers(fold, weights, _weight(weights))


def _accumulator(sums: Dot | Conv2d, site: Site, weights: Ints) -> Accumulator:
    """The accumulators of a layer with these weights, int64 ``(outputs, inputs)``."""
    x, outside = site.type(sums.source), masked(sums, site)
    inputs = weights.shape[1]
    if not x.bit and sums.binary:
        # Wide enough for every partial sum, in whatever order.
        bound = inputs * max(abs(x.low), abs(x.high), 1)
        return Accumulator("integer_terms", -bound, bound)
    if not x.bit:
        ends = np.stack([weights * x.low, weights * x.high])
        low = int(ends.min(axis=0).clip(max=0).sum(axis=1).min())
        high = int(ends.max(axis=0).clip(min=0).sum(axis=1).max())
        product = Scalar.holding(min(0, int(ends.min())), max(0, int(ends.max())))
        kind = _product(site.plan.layout(sums.name), weights, x)
        types = {"product_t": product.cpp, "product": f"hwbnn::{kind}_product"}
        return Accumulator("weighted_integer_terms", low, high, more_types=types)
    counting = np.count_nonzero(weights, axis=1)
    most = int(counting.max())
    if sums.binary and outside:
        return Accumulator("masked_terms", 0, most)
    if sums.binary:
        return Accumulator("bit_terms", 0, most, differing=counting)
    if is_ternary(weights) and outside:
        return Accumulator("masked_ternary_terms", -most, most)
    if is_ternary(weights):
        return Accumulator("ternary_terms", 0, most, differing=counting)
    if outside:
        bound = int(np.abs(weights).sum(axis=1).max())
        return Accumulator("masked_weighted_terms", -bound, bound)
    low = int(weights.clip(max=0).sum(axis=1).min())
    high = int(weights.clip(min=0).sum(axis=1).max())
    return Accumulator("weighted_bit_terms", low, high, row=weights.sum(axis=1))


def _weight(weights: Ints) -> Scalar:
    """The narrowest type of a weight."""
    return Scalar.holding(int(weights.min()), int(weights.max()))


def _product(layout: Layout, weights: Ints, x: ValueType) -> str:
    """How weights and integers are multiplied: the name of a C++ struct without ``_product``."""
    ternary, width = is_ternary(weights), weight_width(weights)
    if isinstance(layout, Folded) and layout.multiplies(x.width, width, ternary=ternary):
        return "dsp"
    if ternary:
        return "ternary"
    return "lut" if isinstance(layout, Folded) else "constant"


def integers(name: str, values: Ints) -> Constant:
    """A Constant of integers of any shape, flattened, in the narrowest type that holds them."""
    scalar = Scalar.holding(int(values.min()), int(values.max()))
    return Constant(name, scalar, values.reshape(-1))


def threshold_sizes(name: str, rows: int, count: int) -> dict[str, int]:
    """The members of a config struct that say how many thresholds there are.

    Raises:
        PlanError: if there are too many thresholds to be read at once.
    """
    within_limit(name, rows * count, "thresholds read at once", "use the target 'rtl'")
    return {"n_levels": count, "n_thresholds": rows * count}

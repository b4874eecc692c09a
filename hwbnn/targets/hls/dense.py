"""The stages of the nodes that dense networks have; those of images are in ``images.py``."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import PlanError
from hwbnn.graph import (
    Add,
    ArgMax,
    ChannelPad,
    Conv2d,
    Dot,
    Encode,
    Flatten,
    Input,
    Lookup,
    Node,
    Output,
    Rescale,
    Select,
    Threshold,
    ValueType,
)
from hwbnn.plan import Folded
from hwbnn.targets.hls.layout import Constant, Fold, Layout, Scalar
from hwbnn.targets.hls.site import Site, Stage, fusable, within_limit


@singledispatch
def stage(node: Node, site: Site) -> Stage:
    """The stage that makes a node's value."""
    raise PlanError(f"node '{node.name}': HLS has no {type(node).__name__}; use the target 'rtl'")


@stage.register
def _input(node: Input, site: Site) -> Stage:
    port, shape = site.port(node.name), site.shape(node.name)
    if node.name in site.image_lanes:
        numbers = site.token_numbers(node.name)
        layouts = port, site.token(node.name)
        return Stage(node.name, (), "Input", "from_beats_tokens", *layouts, shape, numbers)
    function = "pass" if site.io == "io_parallel" else "from_beats"
    return Stage(node.name, (), "Input", function, port, site.layout(node.name), shape)


@stage.register
def _output(node: Output, site: Site) -> Stage:
    t, port = site.type(node.name), site.port(node.name)
    lanes = site.lanes(node.name, site.plan.output_beat)
    # io_stream: beats of lanes, in hls4ml the last axis of a tensor; io_parallel: one beat.
    shape = (t.size,) if lanes == t.size else (t.size // lanes, lanes)
    if node.name in site.image_lanes:
        numbers = site.token_numbers(node.name)
        layouts = site.token(node.source), port
        return Stage(node.name, node.sources, "Output", "to_beats_tokens", *layouts, shape, numbers)
    function = "pass" if site.io == "io_parallel" else "to_beats"
    layout = site.layout(node.source)
    return Stage(node.name, node.sources, "Output", function, layout, port, shape)


@stage.register
def _flatten(node: Flatten, site: Site) -> Stage:
    gathers = node.source in site.image_lanes and node.name not in site.image_lanes
    made = site.stage(node, "pass")
    return replace(made, function="from_beats") if gathers else made


@stage.register
def _argmax(node: ArgMax, site: Site) -> Stage:
    return site.stage(node, "argmax")


@stage.register
def _select(node: Select, site: Site) -> Stage:
    position = Scalar.holding(0, site.type(node.source).size - 1)
    return site.stage(node, "select", constants=(Constant("positions", position, node.index),))


@stage.register
def _encode(node: Encode, site: Site) -> Stage:
    return site.stage(
        node,
        "encode",
        numbers=_levels(node.name, *node.thresholds.shape),
        constants=(_reachable("thresholds", node.thresholds, site.type(node.source)),),
    )


@stage.register
def _lookup(node: Lookup, site: Site) -> Stage:
    x, y = site.type(node.source), site.type(node.name)
    return site.stage(
        node,
        "lookup",
        numbers={
            "n_channels": x.channels,
            "n_entries": x.count,
            "n_table": node.table.size,
            "low": x.low,
            "step": x.step,
        },
        types={"offset_t": Scalar.holding(0, x.high - x.low).cpp},
        constants=(Constant("table", Scalar(y.width, y.signed), node.table.reshape(-1)),),
    )


@stage.register
def _threshold(node: Threshold, site: Site) -> Stage:
    source = site.graph.node(node.source)
    if isinstance(source, Dot | Conv2d) and fusable(site, source) is node:
        return summed(source, site, node)
    x = site.type(node.source)
    # x <= t is not x >= t + 1: falling channels share the comparator of rising ones.
    reaching = node.thresholds + node.falling[:, None]
    falling = Constant("falling", Scalar(1), node.falling.astype(np.int64))
    numbers = {"n_channels": x.channels, "n_levels": reaching.shape[-1]}
    numbers["n_thresholds"] = reaching.size
    lanes = site.image_lanes.get(node.name, x.channels)
    advice = "use the target 'rtl'"
    within_limit(node.name, lanes * reaching.shape[-1], "thresholds read at once", advice)
    constants = (_reachable("thresholds", reaching, x), falling)
    return site.stage(node, "threshold", **_placed(node, site, numbers, constants))


@stage.register
def _rescale(node: Rescale, site: Site) -> Stage:
    x, y = site.type(node.source), site.type(node.name)
    negative = node.multiplier if node.negative is None else node.negative
    offsets = (node.bias + node.half).reshape(-1)
    ends = [m.astype(object) * end for m in (node.multiplier, negative) for end in (x.low, x.high)]
    sums = [int(v) for end in ends for v in (end + node.bias + node.half).reshape(-1)]
    held = Scalar.holding(min(*sums, y.low), max(*sums, y.high))
    # A shift by its width or more would be undefined.
    product = Scalar(max(held.width + 1, int(node.shift.max()) + 2), signed=True)
    numbers = {"n_channels": x.channels, "n_offsets": offsets.size, "low": y.low, "high": y.high}
    numbers["two_slopes"] = int(node.negative is not None)
    constants = (
        _integers("multipliers", node.multiplier),
        _integers("negatives", negative),
        _integers("offsets", offsets),
        _integers("shifts", node.shift),
    )
    types = {"product_t": product.cpp}
    return site.stage(node, "rescale", types=types, **_placed(node, site, numbers, constants))


def _placed(
    node: Threshold | Rescale, site: Site, numbers: dict[str, int], constants: tuple[Constant, ...]
) -> dict[str, Any]:
    """The fields of a stage whose constants may differ by border class."""
    if node.name not in site.image_lanes:
        return {"numbers": numbers, "constants": constants}
    places = np.zeros(1, np.int64) if node.places is None else node.places.reshape(-1)
    classes = Constant("places", Scalar.holding(0, int(places.max())), places)
    return {"numbers": {**numbers, "n_places": len(places)}, "constants": (*constants, classes)}


@stage.register
def _add(node: Add, site: Site) -> Stage:
    other: Layout = site.layout(node.other)
    channels = site.type(node.name).channels
    if node.name in site.image_lanes:
        other, channels = site.token(node.other), site.image_lanes[node.name]
    return site.stage(node, "add", numbers={"n_channels": channels}, types={"other": other.cpp})


@stage.register
def _channel_pad(node: ChannelPad, site: Site) -> Stage:
    x, y = site.type(node.source), site.type(node.name)
    numbers = {"n_channels": x.channels, "n_padded": y.channels, "before": node.before}
    made = site.stage(node, "channel_pad", numbers=numbers)
    if node.name not in site.image_lanes:
        return made
    numbers["n_pixels"] = y.size // y.channels
    numbers["interval"] = max(site.chunks(node.source), site.chunks(node.name))
    layouts = site.pixel(node.source), site.pixel(node.name)
    return replace(made, source=layouts[0], out=layouts[1], numbers=numbers)


@stage.register
def _dot(node: Dot, site: Site) -> Stage:
    return summed(node, site)


def summed(sums: Dot | Conv2d, site: Site, threshold: Threshold | None = None) -> Stage:
    """The stage of a node that sums, perhaps with the Threshold that alone reads it."""
    node = sums if threshold is None else threshold
    members = sum_members(sums, site, threshold)
    source = site.layout(sums.source)
    within_limit(sums.name, source.words, "words of its source", "use the target 'rtl'")
    return Stage(
        node.name,
        sums.sources,
        type(node).__name__ if threshold is None else "Neurons",
        site.function(sum_function(sums, site, threshold)),
        source,
        site.layout(node.name),
        site.shape(node.name),
        fused=() if threshold is None else (sums.name,),
        **members,
    )


def sum_function(sums: Dot | Conv2d, site: Site, threshold: Threshold | None) -> str:
    """The C++ function of a dense layer."""
    name = "dot" if threshold is None else "neurons"
    name = name if sums.factors is None else f"scaled_{name}"
    return name if isinstance(site.plan.layout(sums.name), Folded) else f"{name}_unrolled"


def sum_members(
    sums: Dot | Conv2d, site: Site, threshold: Threshold | None, masked: bool = False
) -> dict[str, Any]:
    """What the stages of nodes that sum have in common: numbers, types, constants, reuse.

    With a Threshold, rows of falling channels are negated and thresholds are on the accumulator.

    Args:
        sums: the node.
        site: its place.
        threshold: the Threshold that is fused with it, if any.
        masked: whether not all inputs of an output count.
    """
    fold = site.fold(sums)
    weights = sums.weights.reshape(fold.outputs, fold.inputs)
    numbers, types = _sum_types(sums, site, fold, masked)
    sign = np.ones(fold.outputs, np.int64)
    if threshold is not None:
        sign[threshold.falling] = -1
    constants: list[Constant] = []
    if sums.factors is None:
        constants.append(fold.weights(weights ^ (sign < 0)[:, None]))
    else:  # not the weights but the factors change their sign
        constants += [fold.weights(weights), _factors(*(sign * f for f in sums.factors))]
    if threshold is not None:
        constants.append(_accumulated(sums, threshold, site, fold.inputs, masked))
        numbers |= _levels(threshold.name, *threshold.thresholds.shape)
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
    if site.type(sums.source).bit and sums.factors is None and not masked:
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
    if sums.factors is not None:
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
    return _integers("factors", np.stack([scale, offset], axis=1))


def _integers(name: str, values: NDArray[np.int64]) -> Constant:
    """Constants in the narrowest type that holds them."""
    scalar = Scalar.holding(int(values.min()), int(values.max()))
    return Constant(name, scalar, values.reshape(-1))


def _reachable(name: str, thresholds: NDArray[np.int64], x: ValueType) -> Constant:
    """Thresholds of ``x >= t``, those out of range moved to its ends, where they mean the same."""
    clipped = np.clip(thresholds, x.low, x.high + 1)
    return Constant(name, Scalar.holding(x.low, x.high + 1), clipped.reshape(-1))


def _levels(name: str, rows: int, levels: int) -> dict[str, int]:
    """The members of a config struct that say how many thresholds there are."""
    within_limit(name, rows * levels, "thresholds read at once", "use the target 'rtl'")
    return {"n_levels": levels, "n_thresholds": rows * levels}

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
from hwbnn.targets.hls.layout import Constant, Layout, Scalar
from hwbnn.targets.hls.site import Site, Stage, fusable, within_limit
from hwbnn.targets.hls.sums import integers, levels, sum_function, sum_members


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
        return Stage(node.name, (), "Input", "cut_tokens", *layouts, shape, numbers)
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
        return Stage(node.name, node.sources, "Output", "cut_tokens", *layouts, shape, numbers)
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
        numbers=levels(node.name, *node.thresholds.shape),
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
        integers("multipliers", node.multiplier),
        integers("negatives", negative),
        integers("offsets", offsets),
        integers("shifts", node.shift),
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


def _reachable(name: str, thresholds: NDArray[np.int64], x: ValueType) -> Constant:
    """Thresholds of ``x >= t``, those out of range moved to its ends, where they mean the same."""
    clipped = np.clip(thresholds, x.low, x.high + 1)
    return Constant(name, Scalar.holding(x.low, x.high + 1), clipped.reshape(-1))

"""The call of each kind of node: the function of ``hls/`` that computes it, with its constants."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np

from hwbnn.errors import PlanError
from hwbnn.graph import (
    Add,
    ArgMax,
    ChannelPad,
    Concat,
    Conv2d,
    Dot,
    Encode,
    Flatten,
    Input,
    Lookup,
    MaxPool,
    Node,
    Output,
    Rescale,
    Select,
    SumPool,
    Threshold,
    ValueType,
    WeightedSum,
    window_of,
)
from hwbnn.graph.arrays import Ints
from hwbnn.plan import Folded
from hwbnn.targets.hls.layout import Constant, Packed, Plain, Scalar, ValueLayout
from hwbnn.targets.hls.packed_ports import output_port
from hwbnn.targets.hls.site import Call, Site, fusable, within_limit
from hwbnn.targets.hls.sums import integers, masked, sum_function, sum_members, threshold_sizes


@singledispatch
def call_of(node: Node, site: Site) -> Call:
    """The call that computes a node's value.

    Raises:
        PlanError: if HLS has no such node, or the node asks for more than HLS unrolls.
    """
    raise PlanError(f"node '{node.name}': HLS has no {type(node).__name__}; use the target 'rtl'")


@call_of.register
def _input(node: Input, site: Site) -> Call:
    port, shape = site.port(node.name), site.shape(node.name)
    if node.name in site.image_lanes:
        numbers = site.token_numbers(node.name)
        layouts = port, site.token(node.name)
        return Call(node.name, (), "Input", "cut_tokens", *layouts, shape, numbers)
    function = "pass" if site.io == "io_parallel" else "from_elements"
    return Call(node.name, (), "Input", function, port, site.layout(node.name), shape)


@call_of.register
def _output(node: Output, site: Site) -> Call:
    port, token, size = site.port(node.name), output_port(site).token, site.type(node.name).size
    # hls4ml takes the last axis for a token.
    shape = (size,) if token == size else (size // token, token)
    if node.name in site.image_lanes:
        numbers = site.token_numbers(node.name)
        layouts = site.token(node.source), port
        return Call(node.name, node.sources, "Output", "cut_tokens", *layouts, shape, numbers)
    function = "pass" if site.io == "io_parallel" else "to_elements"
    layout = site.layout(node.source)
    return Call(node.name, node.sources, "Output", function, layout, port, shape)


@call_of.register
def _flatten(node: Flatten, site: Site) -> Call:
    gathers = node.source in site.image_lanes and node.name not in site.image_lanes
    call = site.call(node, "pass")
    return replace(call, function="gather") if gathers else call


@call_of.register
def _argmax(node: ArgMax, site: Site) -> Call:
    return site.call(node, "argmax")


@call_of.register
def _select(node: Select, site: Site) -> Call:
    x = site.type(node.source)
    if node.name not in site.image_lanes:
        elements = (np.arange(0, x.size, x.channels)[:, None] + node.index).ravel()
        position = Scalar.holding(0, x.size - 1)
        return site.call(node, "select", constants=(Constant("positions", position, elements),))
    position = Scalar.holding(0, max(1, x.channels - 1))
    numbers = {"n_pixels": x.size // x.channels}
    numbers["interval"] = max(site.chunks(node.source), site.chunks(node.name))
    constants = (Constant("positions", position, node.index),)
    call = site.call(node, "select", numbers=numbers, constants=constants)
    return replace(call, source=site.pixel(node.source), out=site.pixel(node.name), numbers=numbers)


@call_of.register
def _encode(node: Encode, site: Site) -> Call:
    return site.call(
        node,
        "encode",
        numbers=threshold_sizes(node.name, *node.thresholds.shape),
        constants=(_reachable("thresholds", node.thresholds, site.type(node.source)),),
    )


@call_of.register
def _lookup(node: Lookup, site: Site) -> Call:
    x, y = site.type(node.source), site.type(node.name)
    return site.call(
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


@call_of.register
def _threshold(node: Threshold, site: Site) -> Call:
    source = site.graph.node(node.source)
    if isinstance(source, WeightedSum) and fusable(site, source) is node:
        if isinstance(source, Conv2d):
            return _convolution(source, site, node)
        assert isinstance(source, Dot)
        return _dense(source, site, node)
    x = site.type(node.source)
    # x <= t is the negation of x >= t + 1: rising and falling channels share a comparator.
    reaching = node.thresholds + node.falling[:, None]
    falling = Constant("falling", Scalar(1), node.falling.astype(np.int64))
    numbers = {"n_channels": x.channels, "n_levels": reaching.shape[-1]}
    numbers["n_thresholds"] = reaching.size
    lanes = site.image_lanes.get(node.name, x.channels)
    advice = "use the target 'rtl'"
    banks = _banks(node, site)
    within_limit(node.name, lanes * reaching.shape[-1], "thresholds read at once", advice)
    constants = (_reachable("thresholds", reaching, x), falling)
    numbers["threshold_banks"] = 1 if banks == 1 else banks * reaching.shape[-1]
    call = site.call(node, "threshold", **_placed(node, site, numbers, constants))
    return _counted(call, node)


def _counted(call: Call, threshold: Threshold | None) -> Call:
    """The call, with the base of its Threshold added to each element if there is a base."""
    if threshold is None or not threshold.base:
        return call
    assert isinstance(call.out, Plain)
    return replace(call, out=replace(call.out, base=threshold.base))


@call_of.register
def _rescale(node: Rescale, site: Site) -> Call:
    x, y = site.type(node.source), site.type(node.name)
    negative = node.multiplier if node.negative is None else node.negative
    offsets = (node.bias + node.half).reshape(-1)
    ends = [m.astype(object) * end for m in (node.multiplier, negative) for end in (x.low, x.high)]
    sums = [int(v) for end in ends for v in (end + node.bias + node.half).reshape(-1)]
    sum_type = Scalar.holding(min(*sums, y.low), max(*sums, y.high))
    # A shift by its width or more would be undefined.
    product = Scalar(max(sum_type.width + 1, int(node.shift.max()) + 2), signed=True)
    numbers = {"n_channels": x.channels, "n_offsets": offsets.size, "low": y.low, "high": y.high}
    numbers["two_slopes"] = int(node.negative is not None)
    constants = (
        integers("multipliers", node.multiplier),
        integers("negatives", negative),
        integers("offsets", offsets),
        integers("shifts", node.shift),
    )
    types = {"product_t": product.cpp}
    return site.call(node, "rescale", types=types, **_placed(node, site, numbers, constants))


def _placed(
    node: Threshold | Rescale, site: Site, numbers: dict[str, int], constants: tuple[Constant, ...]
) -> dict[str, Any]:
    """The fields of a call whose constants may differ by border class."""
    numbers["banks"] = _banks(node, site)
    if node.name not in site.image_lanes:
        return {"numbers": numbers, "constants": constants}
    classes = (
        np.zeros(1, np.int64) if node.border_classes is None else node.border_classes.reshape(-1)
    )
    of_place = Constant("places", Scalar.holding(0, int(classes.max())), classes)
    return {"numbers": {**numbers, "n_places": len(classes)}, "constants": (*constants, of_place)}


def _banks(node: Threshold | Rescale, site: Site) -> int:
    """Banks of a node's constants: one if all tokens and places have the same ones."""
    if node.name not in site.image_lanes:
        return 1
    same = site.chunks(node.name) == 1 and node.border_classes is None
    return 1 if same else site.image_lanes[node.name]


@call_of.register
def _add(node: Add, site: Site) -> Call:
    other: ValueLayout = site.layout(node.other)
    channels = site.type(node.name).channels
    if node.name in site.image_lanes:
        other, channels = site.token(node.other), site.image_lanes[node.name]
    return site.call(node, "add", numbers={"n_channels": channels}, types={"other": other.cpp})


@call_of.register
def _channel_pad(node: ChannelPad, site: Site) -> Call:
    x, y = site.type(node.source), site.type(node.name)
    numbers = {"n_channels": x.channels, "n_padded": y.channels, "before": node.before}
    call = site.call(node, "channel_pad", numbers=numbers)
    if node.name not in site.image_lanes:
        return call
    numbers["n_pixels"] = y.size // y.channels
    numbers["interval"] = max(site.chunks(node.source), site.chunks(node.name))
    layouts = site.pixel(node.source), site.pixel(node.name)
    return replace(call, source=layouts[0], out=layouts[1], numbers=numbers)


@call_of.register
def _concat(node: Concat, site: Site) -> Call:
    other: ValueLayout = site.layout(node.other)
    first, channels = site.type(node.source).channels, site.type(node.name).channels
    numbers = {"n_channels": channels, "n_first": first}
    call = site.call(node, "concat", numbers=numbers, types={"other": other.cpp})
    if node.name not in site.image_lanes:
        return call
    numbers["n_pixels"] = site.type(node.name).size // channels
    numbers["interval"] = max(site.chunks(name) for name in (*node.sources, node.name))
    types = {"other": site.pixel(node.other).cpp}
    layouts = site.pixel(node.source), site.pixel(node.name)
    return replace(call, source=layouts[0], out=layouts[1], numbers=numbers, types=types)


@call_of.register
def _dot(node: Dot, site: Site) -> Call:
    return _dense(node, site)


def _dense(sums: Dot, site: Site, threshold: Threshold | None = None) -> Call:
    """The call of a dense layer, and of the Threshold that is fused with it, if there is one."""
    node = sums if threshold is None else threshold
    members = sum_members(sums, site, threshold)
    members["numbers"] |= site.interval(sums.source, node.name)
    source = site.layout(sums.source)
    within_limit(sums.name, source.words, "words of its source", "use the target 'rtl'")
    call = Call(
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
    return _counted(call, threshold)


@call_of.register
def _conv2d(node: Conv2d, site: Site) -> Call:
    return _convolution(node, site)


def _convolution(node: Conv2d, site: Site, threshold: Threshold | None = None) -> Call:
    """The call of a convolution, and of the Threshold that is fused with it, if there is one."""
    x = site.type(node.source)
    outside = masked(node, site)
    members = sum_members(node, site, threshold)
    pixel, depth = site.pixel(node.source), node.weights.shape[3]
    tap = pixel.part(depth)
    row = pixel.part(node.kernel[0] * node.kernel[1] * x.channels * (2 if outside else 1))
    advice = "use the target 'rtl'"
    within_limit(node.name, row.words, "words of a window", advice)
    value = node if threshold is None else threshold
    unrolled = not isinstance(site.plan.layout(node.name), Folded)
    # The function takes all kinds of constants; for kinds that this layer lacks, a single zero.
    none = {"factors": "n_factors", "thresholds": "n_thresholds"}
    constants = {constant.name: constant for constant in members["constants"]}
    for name, number in none.items():
        if name not in constants:
            constants[name] = Constant(name, Scalar(1), np.zeros(1, np.int64))
            members["numbers"][number] = 1
    fill = np.full(x.channels, int(node.pad == 1), np.int64)
    constants["fills"] = Constant("fills", pixel.word, pixel.pack(fill))
    constants["masks"] = Constant("masks", tap.word, tap.pack(np.ones(depth, np.int64)))
    layer = sum_function(node, site, threshold).removesuffix("_unrolled")
    members["numbers"] |= {
        **_window_numbers(node, value.name, site),
        "n_groups": node.groups,
        "n_depth": depth,
        "tap_words": tap.words,
        "masked": int(outside),
    }
    members["types"]["layer"] = f"hwbnn::{layer}_layer"
    names = ("weights", "factors", "thresholds", "fills", "masks")
    members["constants"] = tuple(constants[name] for name in names)
    call = Call(
        value.name,
        node.sources,
        "Conv2d" if threshold is None else "ConvNeurons",
        "conv_unrolled_stream" if unrolled else "conv_stream",
        row,
        site.pixel(value.name),
        site.shape(value.name),
        fused=() if threshold is None else (node.name,),
        **members,
    )
    return _counted(call, threshold)


@call_of.register
def _max_pool(node: MaxPool, site: Site) -> Call:
    x = site.type(node.source)
    smallest = np.zeros(x.channels, np.int64)
    if node.smallest is not None:
        smallest = node.smallest.astype(np.int64)
    # The padding never wins. For bits, it is `smallest` itself: 1 where 0 wins, 0 where 1 wins.
    fill = smallest if x.bit else np.where(smallest == 1, x.high, x.low)
    return _pool(node, site, "bit_max_pool" if x.bit else "max_pool", fill, smallest)


@call_of.register
def _sum_pool(node: SumPool, site: Site) -> Call:
    x, y = site.type(node.source), site.type(node.name)
    taps = node.kernel[0] * node.kernel[1]
    bound = taps * max(abs(x.low), abs(x.high), 1)
    sum_type = Scalar.holding(0, taps) if x.bit else Scalar.holding(min(-bound, y.low), bound)
    zeros = np.zeros(x.channels, np.int64)
    name = "bit_sum_pool" if x.bit else "sum_pool"
    return _pool(node, site, name, zeros, zeros, sum_t=sum_type.cpp)


def _pool(
    node: MaxPool | SumPool,
    site: Site,
    name: str,
    fill: Ints,
    smallest: Ints,
    **types: str,
) -> Call:
    pixel: ValueLayout = site.pixel(node.source)
    flags = pixel.word if isinstance(pixel, Packed) else Scalar(1)
    within_limit(
        node.name,
        node.kernel[0] * node.kernel[1] * pixel.words,
        "words of a window",
        "use the target 'rtl'",
    )
    return Call(
        node.name,
        node.sources,
        type(node).__name__,
        "pool_stream",
        pixel,
        site.pixel(node.name),
        site.shape(node.name),
        numbers=_window_numbers(node, node.name, site),
        types={"pool": f"hwbnn::{name}", **types},
        constants=(
            Constant("fills", pixel.word, pixel.pack(fill)),
            Constant("smallest", flags, pixel.pack(smallest)),
        ),
    )


def _window_numbers(node: Conv2d | MaxPool | SumPool, value: str, site: Site) -> dict[str, int]:
    """The members of a config struct that describe a sliding window; ``value`` is the call's."""
    window = window_of(node, site.type(node.source).shape)
    (height, width), (top, _, left, _) = window.size, window.padding
    # The grid covers every pixel, and reaches as far as the window of the last output.
    last = [
        (n - 1) * s + k for n, s, k in zip(window.output, node.stride, node.kernel, strict=True)
    ]
    words = site.pixel(node.source).words
    taps = node.kernel[0] * node.kernel[1]
    return {
        "rows": height,
        "columns": width,
        "top": top,
        "left": left,
        "kernel_rows": node.kernel[0],
        "kernel_columns": node.kernel[1],
        "stride_rows": node.stride[0],
        "stride_columns": node.stride[1],
        "grid_rows": max(top + height, last[0]),
        "grid_columns": max(left + width, last[1]),
        "n_lines": max(1, node.kernel[0] - 1),
        "n_taps": taps,
        "pixel_words": words,
        "window_words": taps * words,
        "interval": max(site.chunks(node.source), site.chunks(value)),
    }


def _reachable(name: str, thresholds: Ints, x: ValueType) -> Constant:
    """Thresholds of ``x >= t``, clipped to ``x.low .. x.high + 1``, which changes no decision."""
    clipped = np.clip(thresholds, x.low, x.high + 1)
    return Constant(name, Scalar.holding(x.low, x.high + 1), clipped.reshape(-1))

"""The stages of the nodes that look at an image through a window."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwbnn.graph import Conv2d, MaxPool, SumPool, Threshold, window_of
from hwbnn.plan import Folded
from hwbnn.targets.hls.dense import stage
from hwbnn.targets.hls.layout import Constant, Layout, Packed, Scalar
from hwbnn.targets.hls.site import Site, Stage, within_limit
from hwbnn.targets.hls.sums import sum_function, sum_members


@stage.register
def _conv2d(node: Conv2d, site: Site) -> Stage:
    return convolved(node, site)


def convolved(node: Conv2d, site: Site, threshold: Threshold | None = None) -> Stage:
    """The stage of a convolution, perhaps with the Threshold that alone reads it."""
    x = site.type(node.source)
    masked = x.bit and node.pad == 0 and any(node.padding)
    members = sum_members(node, site, threshold, masked)
    pixel, depth = site.pixel(node.source), node.weights.shape[3]
    tap = pixel.part(depth)
    row = pixel.part(node.kernel[0] * node.kernel[1] * x.channels * (2 if masked else 1))
    advice = "use the target 'rtl'"
    within_limit(node.name, row.words, "words of a window", advice)
    value = node if threshold is None else threshold
    unrolled = not isinstance(site.plan.layout(node.name), Folded)
    # The function takes constants of every layer; those that its layer has not are one zero.
    none = {"factors": "n_factors", "thresholds": "n_thresholds"}
    given = {constant.name: constant for constant in members["constants"]}
    for name, number in none.items():
        if name not in given:
            given[name] = Constant(name, Scalar(1), np.zeros(1, np.int64))
            members["numbers"][number] = 1
    fill = np.full(x.channels, int(node.pad == 1), np.int64)
    given["fills"] = Constant("fills", pixel.word, pixel.pack(fill))
    given["masks"] = Constant("masks", tap.word, tap.pack(np.ones(depth, np.int64)))
    layer = sum_function(node, site, threshold).removesuffix("_unrolled")
    members["numbers"] |= {
        **_window_numbers(node, value.name, site),
        "n_groups": node.groups,
        "n_depth": depth,
        "tap_words": tap.words,
        "masked": int(masked),
    }
    members["types"]["layer"] = f"hwbnn::{layer}_layer"
    names = ("weights", "factors", "thresholds", "fills", "masks")
    members["constants"] = tuple(given[name] for name in names)
    return Stage(
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


@stage.register
def _max_pool(node: MaxPool, site: Site) -> Stage:
    x = site.type(node.source)
    smallest = np.zeros(x.channels, np.int64)
    if node.smallest is not None:
        smallest = node.smallest.astype(np.int64)
    # Outside is what never wins: of bits the codes of `smallest` themselves.
    fill = smallest if x.bit else np.where(smallest == 1, x.high, x.low)
    return _pool(node, site, "bit_max_pool" if x.bit else "max_pool", fill, smallest)


@stage.register
def _sum_pool(node: SumPool, site: Site) -> Stage:
    x, y = site.type(node.source), site.type(node.name)
    taps = node.kernel[0] * node.kernel[1]
    bound = taps * max(abs(x.low), abs(x.high), 1)
    held = Scalar.holding(0, taps) if x.bit else Scalar.holding(min(-bound, y.low), bound)
    zeros = np.zeros(x.channels, np.int64)
    name = "bit_sum_pool" if x.bit else "sum_pool"
    return _pool(node, site, name, zeros, zeros, sum_t=held.cpp)


def _pool(
    node: MaxPool | SumPool,
    site: Site,
    name: str,
    fill: np.ndarray[Any, np.dtype[np.int64]],
    smallest: np.ndarray[Any, np.dtype[np.int64]],
    **types: str,
) -> Stage:
    pixel: Layout = site.pixel(node.source)
    flags = pixel.word if isinstance(pixel, Packed) else Scalar(1)
    within_limit(
        node.name,
        node.kernel[0] * node.kernel[1] * pixel.words,
        "words of a window",
        "use the target 'rtl'",
    )
    return Stage(
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


def _window_numbers(node: Conv2d | MaxPool | SumPool, made: str, site: Site) -> dict[str, int]:
    """The members of a config struct that say how a window walks; ``made`` is the stage's value."""
    window = window_of(node, site.type(node.source).shape)
    (height, width), (top, _, left, _) = window.size, window.padding
    # The window takes every pixel, and goes as far as the last place of the output.
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
        "interval": max(site.chunks(node.source), site.chunks(made)),
    }

"""Constants of pools and of fixed-point formats, as ``pool_max`` and ``rescale`` take them."""

from __future__ import annotations

import numpy as np

from hwbnn.graph.arrays import Ints
from hwbnn.plan import TokenStream
from hwbnn.plan.blocks import PoolMax, Rescale, signed_width
from hwbnn.targets.rtl.verilog import constant, literal
from hwbnn.targets.rtl.wrapped import Wrapped, by_element, in_order, places


def pool_max(block: PoolMax) -> Wrapped:
    """The instance for a pool of largest or smallest elements."""
    smallest = in_order(block.smallest.astype(np.int64), block)
    parameters: dict[str, object] = {
        **by_element(block),
        "Steps": block.steps,
        "Width": block.source.width,
        "Signed": block.source.signed,
        "Smallest": "Smallest",
    }
    comment = f"Node '{block.value}': the largest of {block.steps} elements, or the smallest."
    return Wrapped("pool_max", comment, constant("Smallest", smallest, 1), parameters)


def rescale(block: Rescale) -> Wrapped:
    """The instance for a change of format."""
    slopes = [block.multiplier] if block.negative is None else [block.multiplier, block.negative]
    shift = int(block.shift.min())
    more = block.shift - shift
    low, high = _sums(block, slopes)
    sum_width, factor_width = signed_width(low, high), _factor_width(slopes)
    shift_width = int(more.max()).bit_length()
    least, most = _ends(block.result)
    ends = max(block.low, least), min(block.high, most)
    clip = low >> shift < ends[0] or high >> shift > ends[1]
    out = block.result.width + 1
    element = len(slopes) * factor_width + shift_width
    body = constant("Factors", _factors(block, slopes, more, factor_width), element)
    body += constant("Biases", in_order(block.bias, block), sum_width)
    parameters: dict[str, object] = {
        **by_element(block),
        **places(block),
        "Width": block.source.width,
        "Signed": block.source.signed,
        "Slopes": len(slopes),
        "FactorWidth": factor_width,
        "SumWidth": sum_width,
        "OutWidth": block.result.width,
        "Shift": shift,
        "ShiftWidth": shift_width,
        "Clip": clip,
        "Low": literal(ends[0], out),
        "High": literal(ends[1], out),
        "Factors": "Factors",
        "Biases": "Biases",
    }
    comment = f"Node '{block.value}': multiplied, shifted and rounded, channel by channel."
    return Wrapped("rescale", comment, body, parameters)


def _ends(stream: TokenStream) -> tuple[int, int]:
    """The least and the largest number that an element's bits can say."""
    if stream.signed:
        return -(1 << (stream.width - 1)), (1 << (stream.width - 1)) - 1
    return 0, (1 << stream.width) - 1


def _sums(block: Rescale, slopes: list[Ints]) -> tuple[int, int]:
    """Bounds of ``x * factor + bias`` over all elements, in integers of any size."""
    ends = _ends(block.source)
    factors = [int(factor) for slope in slopes for factor in slope]
    products = [x * factor for x in ends for factor in factors]
    biases = [int(bias) for bias in (block.bias.min(), block.bias.max())]
    return min(0, *products) + biases[0], max(0, *products) + biases[1]


def _factor_width(slopes: list[Ints]) -> int:
    return signed_width(
        min(int(slope.min()) for slope in slopes), max(int(slope.max()) for slope in slopes)
    )


def _factors(block: Rescale, slopes: list[Ints], more: Ints, factor_width: int) -> list[int]:
    """Element by element: the factors, above them how many places more it is shifted."""
    mask = (1 << factor_width) - 1
    above = len(slopes) * factor_width
    rows = [
        sum((int(f) & mask) << i * factor_width for i, f in enumerate(factors)) | int(m) << above
        for *factors, m in zip(*slopes, more, strict=True)
    ]
    return in_order(np.array(rows, object), block, classes=1)

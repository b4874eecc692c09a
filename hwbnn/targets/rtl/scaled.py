"""Constants of sums with scale and offset, as ``scaled`` and ``scaled_fixed`` take them."""

from __future__ import annotations

import numpy as np

from hwbnn.plan.blocks import Scaled
from hwbnn.plan.multiples import terms
from hwbnn.targets.rtl.verilog import constant
from hwbnn.targets.rtl.wrapped import Wrapped, by_element, in_order, places


def scaled(block: Scaled) -> Wrapped:
    """The instance for a block."""
    return _fixed(block) if block.fixed else _from_memory(block)


def _fixed(block: Scaled) -> Wrapped:
    width, lanes = block.result.width, block.result.lanes
    multiples, offsets = block.multiples, block.offsets
    body = constant("Terms", _terms(multiples, block.count), 8)
    scales = [int(scale) for scale in block.scale]
    body += constant("ScaleTerms", _terms(scales, block.scale_count), 8)
    body += constant("Which", [multiples.index(offset.odd) for offset in offsets], 16)
    body += constant("Shifts", [offset.shift for offset in offsets], 8)
    body += constant("Complements", [int(offset.complement) for offset in offsets], 1)
    body += constant("Constants", [int(value) for value in block.added], width)
    shared = {"Lanes": lanes, "Width": block.source.width, "OutWidth": width}
    counts = {
        "Multiples": len(multiples),
        "Count": block.count,
        "ScaleCount": block.scale_count,
        "Constant": bool(block.added.any()),
    }
    names = ("Terms", "ScaleTerms", "Which", "Shifts", "Complements", "Constants")
    comment = _comment(block) + f"\n{_count(len(multiples), 'multiple')} of the total, as wires."
    parameters = {**shared, "Levels": block.levels, **counts, **{name: name for name in names}}
    return Wrapped("scaled_fixed", comment, body, parameters)


def _terms(factors: list[int] | tuple[int, ...], count: int) -> list[int]:
    """The bytes that stand for the terms of each factor, filled up to the same number."""
    made: list[int] = []
    for factor in factors:
        found = [128 + 64 * term.complement + term.place for term in terms(factor)]
        made += found + [0] * (count - len(found))
    return made


def _from_memory(block: Scaled) -> Wrapped:
    scale_width, offset_width, constant_width = block.widths
    below = offset_width + constant_width
    element = below + scale_width
    mask_offset, mask_constant = (1 << offset_width) - 1, (1 << constant_width) - 1
    # The same scales and offsets in all classes of positions.
    again = len(block.constants) // len(block.scale)
    scales, offsets = np.tile(block.scale, again), np.tile(block.offset, again)
    rows = [
        (int(o) & mask_offset)
        | (int(c) & mask_constant) << offset_width
        | (int(s) << below if scale_width else 0)
        for s, o, c in zip(scales, offsets, block.added, strict=True)
    ]
    parameters: dict[str, object] = {
        **by_element(block),
        **places(block),
        "Width": block.source.width,
        "OutWidth": block.result.width,
        "Shift": block.shift or 0,
        "ScaleWidth": scale_width,
        "OffsetWidth": offset_width,
        "ConstantWidth": constant_width,
        "Rows": "Rows",
    }
    return Wrapped(
        "scaled",
        _comment(block),
        constant("Rows", in_order(np.array(rows, object), block), element),
        parameters,
    )


def _comment(block: Scaled) -> str:
    node = (block.value or block.name).removeprefix("v_")
    end = " + constant" if block.added.any() else ""
    what = "Values" if block.value else "Comparable sums"
    return f"{what} of layer '{node}': scale * raw sum + offset * total{end}."


def _count(n: int, what: str) -> str:
    return f"one {what}" if n == 1 else f"{n} {what}s"

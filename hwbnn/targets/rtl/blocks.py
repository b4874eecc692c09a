"""Blocks as modules: each wraps a hand-written module and holds its constants."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from hwbnn.graph.arrays import Ints
from hwbnn.plan import TokenStream, blocks
from hwbnn.plan.blocks import Block, PoolMax, RescaleBlock, Scaled, signed_width
from hwbnn.plan.multiples import terms
from hwbnn.plan.products import DotFolded, DotNetlist, DotUnrolled, WeightedUnrolled
from hwbnn.plan.stages import Pipeline
from hwbnn.targets.rtl import products
from hwbnn.targets.rtl.verilog import constant, literal, module
from hwbnn.targets.rtl.wrapped import (
    Wrapped,
    border_classes,
    by_element,
    in_order,
    module_name,
    ports,
    text,
)


def modules(core: str, pipeline: Pipeline) -> dict[str, str]:
    """The generated modules of a pipeline in the core of this name, by their names."""
    texts: dict[str, str] = {}
    for block in pipeline.blocks:
        name = module_name(core, block)
        if isinstance(block, DotFolded):
            texts |= products.folded(block, core, pipeline)
        elif isinstance(block, DotNetlist):
            texts |= products.netlist(block, core)
        elif isinstance(block, WeightedUnrolled):
            texts |= products.weighted_unrolled(block, core)
        elif isinstance(block, blocks.SelectBlock):
            texts[name] = _select(block, name)
        elif library_module(block) is None:
            texts[name] = text(block, name, wrapped(block))
    return texts


def library_module(block: Block) -> tuple[str, dict[str, object]] | None:
    """The hand-written module of a block without constants, and its parameters; None for others.

    The top module instantiates it directly.
    """
    elements = {
        "Lanes": block.source.lanes,
        "Width": block.source.width,
        "Signed": block.source.signed,
    }
    if isinstance(block, blocks.ArgMaxBlock):
        own = {
            "Size": block.source.size,
            "IndexWidth": block.result.width,
            "Levels": block.logic_levels_per_register,
        }
        return "hwbnn_argmax", {**elements, **own}
    if isinstance(block, blocks.PoolSum):
        own = {"Steps": block.steps, "Bits": block.bit, "OutWidth": block.result.width}
        return "hwbnn_pool_sum", {**elements, **own}
    return None


@singledispatch
def wrapped(block: Block) -> Wrapped:
    """The hand-written module of a block, and its constants."""
    raise TypeError(f"no module for {type(block).__name__}")


@wrapped.register
def _dot_unrolled(block: DotUnrolled) -> Wrapped:
    return products.unrolled(block)


@wrapped.register
def _affine(block: blocks.AffineBlock) -> Wrapped:
    comment = (
        f"Values of layer '{block.value}' from its raw sums: (raw << {block.shift}) - constant."
    )
    parameters: dict[str, object] = {
        **by_element(block),
        **border_classes(block),
        "Width": block.source.width,
        "OutWidth": block.result.width,
        "Shift": block.shift,
        "Constants": "Constants",
    }
    body = constant("Constants", in_order(block.constants, block), block.result.width)
    return Wrapped("affine", comment, body, parameters)


@wrapped.register
def _compare(block: blocks.Compare) -> Wrapped:
    count = block.constants.shape[1]
    body = constant("Constants", in_order(block.constants, block), block.source.width + 1)
    falling = block.falling[: len(block.constants) // block.classes].astype(np.int64)
    body += constant("Falling", in_order(falling, block, classes=1), 1)
    parameters: dict[str, object] = {
        **by_element(block),
        **border_classes(block),
        "Width": block.source.width,
        "Signed": block.source.signed,
        "Count": count,
        "Constants": "Constants",
        "Falling": "Falling",
    }
    if isinstance(block, blocks.ThresholdBlock):
        parameters["Levels"] = block.logic_levels_per_register
        comment = f"Node '{block.value}': how many of {count} thresholds each element reaches."
        if block.base:
            width = block.result.width
            parameters |= {"OutWidth": width, "Base": literal(block.base, width)}
            comment += f"\n{block.base} is added."
            return Wrapped("threshold_base", comment, body, parameters)
        return Wrapped("threshold", comment, body, parameters)
    comment = f"Node '{block.value}': each element compared with {count} constants."
    return Wrapped("compare", comment, body, parameters)


@wrapped.register
def _lookup(block: blocks.LookupBlock) -> Wrapped:
    entries = block.table.shape[1]
    tables = np.array(in_order(block.table, block))
    by_lane = tables.reshape(block.tokens, block.lanes, entries).transpose(1, 0, 2)
    parameters: dict[str, object] = {
        **by_element(block),
        "Width": block.source.width,
        "Low": block.low,
        "Shift": block.shift,
        "Inverse": block.inverse,
        "Entries": entries,
        "OutWidth": block.result.width,
        "Table": "Table",
    }
    comment = f"Node '{block.value}': a table of {entries} entries for each element."
    body = constant("Table", [int(v) for v in by_lane.ravel()], block.result.width)
    return Wrapped("lookup", comment, body, parameters)


def _select(block: blocks.SelectBlock, name: str) -> str:
    width = block.source.width
    lines = [
        f"  assign data_o[{i * width} +: {width}] = data_i[{int(j) * width} +: {width}];\n"
        for i, j in enumerate(block.index)
    ]
    body = "  logic unused;\n\n"
    body += "  assign unused = clk_i ^ rst_ni ^ (^data_i);\n  assign valid_o = valid_i;\n"
    comment = f"Node '{block.value}': some of the elements, wires alone."
    return module(name, comment, ports(block), body + "".join(lines))


# ---- Pools and formats ----


@wrapped.register
def _pool_max(block: PoolMax) -> Wrapped:
    """The module of a pool that takes the largest or the smallest elements."""
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


@wrapped.register
def _rescale(block: RescaleBlock) -> Wrapped:
    """The module of a Rescale."""
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
        **border_classes(block),
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
    """The least and the largest number that an element's bits can represent."""
    if stream.signed:
        return -(1 << (stream.width - 1)), (1 << (stream.width - 1)) - 1
    return 0, (1 << stream.width) - 1


def _sums(block: RescaleBlock, slopes: list[Ints]) -> tuple[int, int]:
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


def _factors(block: RescaleBlock, slopes: list[Ints], more: Ints, factor_width: int) -> list[int]:
    """An integer for each element: its factors, and above them its additional right shift."""
    mask = (1 << factor_width) - 1
    above = len(slopes) * factor_width
    rows = [
        sum((int(f) & mask) << i * factor_width for i, f in enumerate(factors)) | int(m) << above
        for *factors, m in zip(*slopes, more, strict=True)
    ]
    return in_order(np.array(rows, object), block, classes=1)


# ---- Scale and offset ----


@wrapped.register
def _scaled(block: Scaled) -> Wrapped:
    """The module of a scale and an offset, with factors as wires or in a memory."""
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
    parameters = {
        **shared,
        "Levels": block.logic_levels_per_register,
        **counts,
        **{name: name for name in names},
    }
    return Wrapped("scaled_fixed", comment, body, parameters)


def _terms(factors: list[int] | tuple[int, ...], count: int) -> list[int]:
    """The terms of each factor as one byte each, filled up with zeros to ``count`` a factor."""
    row: list[int] = []
    for factor in factors:
        codes = [128 + 64 * term.complement + term.place for term in terms(factor)]
        row += codes + [0] * (count - len(codes))
    return row


def _from_memory(block: Scaled) -> Wrapped:
    scale_width, offset_width, constant_width = block.widths
    below = offset_width + constant_width
    element = below + scale_width
    mask_offset, mask_constant = (1 << offset_width) - 1, (1 << constant_width) - 1
    # All border classes have the same scales and offsets.
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
        **border_classes(block),
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

"""The blocks of a circuit as modules: each wraps a hand-written one and holds its constants."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from hwbnn.graph.bits import row_integer
from hwbnn.plan import blocks, products
from hwbnn.plan.blocks import Block
from hwbnn.plan.stages import Pipeline
from hwbnn.targets.rtl import channels, netlists
from hwbnn.targets.rtl.scaled import scaled
from hwbnn.targets.rtl.verilog import constant, instance, literal, module, vector
from hwbnn.targets.rtl.wrapped import Wrapped, by_element, in_order, places

_PASSED = {
    "clk_i": "clk_i",
    "rst_ni": "rst_ni",
    "valid_i": "valid_i",
    "data_i": "data_i",
    "valid_o": "valid_o",
    "data_o": "data_o",
}


def module_name(core: str, block: Block) -> str:
    """The generated module of a block in the core of this name."""
    return f"{core}_{block.name}"


def ports(block: Block) -> list[str]:
    """The ports of a block's module, those of the wrapped one."""
    return [
        "input  logic clk_i",
        "input  logic rst_ni",
        "input  logic valid_i",
        f"input  logic {vector(block.source.bits)} data_i",
        "output logic valid_o",
        f"output logic {vector(block.result.bits)} data_o",
    ]


def modules(core: str, segment: Pipeline) -> dict[str, str]:
    """The generated modules of a segment in the core of this name, by their names."""
    made: dict[str, str] = {}
    for block in segment.blocks:
        if isinstance(block, products.DotFolded):
            made |= _folded(block, core, segment)
        elif isinstance(block, products.DotNetlist):
            made |= _netlist(block, core)
        elif plain(block) is None:
            name = module_name(core, block)
            made[name] = _module(block, name)
    return made


def plain(block: Block) -> tuple[str, dict[str, object]] | None:
    """The hand-written module of a block without constants, which stands in the top itself."""
    elements = {
        "Lanes": block.source.lanes,
        "Width": block.source.width,
        "Signed": block.source.signed,
    }
    if isinstance(block, blocks.ArgMax):
        own = {"Size": block.source.size, "IndexWidth": block.result.width, "Levels": block.levels}
        return "hwbnn_argmax", {**elements, **own}
    if isinstance(block, blocks.PoolSum):
        own = {"Steps": block.steps, "Bits": block.bit, "OutWidth": block.result.width}
        return "hwbnn_pool_sum", {**elements, **own}
    return None


def _netlist(block: products.DotNetlist, core: str) -> dict[str, str]:
    """The netlist of a layer, and the module around it."""
    name, inner = module_name(core, block), f"{core}_net_{block.node}"
    channels, inputs = block.weights.shape
    comment = (
        f"Layer '{block.node}', unrolled: {channels} channels over {inputs} inputs, as a netlist.\n"
        "With HWBNN_COUNTONES defined, counted instead, cycle for cycle the same."
    )
    return {
        inner: netlists.netlist(block, inner),
        name: module(name, comment, ports(block), netlists.body(block, inner)),
    }


@singledispatch
def _module(block: Block, name: str) -> str:
    raise TypeError(f"no module for {type(block).__name__}")


def _wrapped(
    block: Block, name: str, comment: str, kind: str, body: str, **parameters: object
) -> str:
    body += "\n" + instance(f"hwbnn_{kind}", f"u_{kind}", parameters, _PASSED)
    return module(name, comment, ports(block), body)


def _given(block: Block, name: str, made: Wrapped) -> str:
    return _wrapped(block, name, made.comment, made.kind, made.body, **made.parameters)


@_module.register
def _dot_unrolled(block: products.DotUnrolled, name: str) -> str:
    channels, inputs = block.weights.shape
    rows = [row_integer(row) for row in block.weights]
    groups = f", {block.groups} groups" if block.groups > 1 else ""
    return _wrapped(
        block,
        name,
        f"Layer '{block.node}', unrolled: raw sums of {channels} channels over {inputs} "
        f"inputs{groups}.\n"
        "Weights channel by channel, the first in the lowest bits; input 0 is bit 0 of its row.",
        "dot_unrolled",
        constant("Weights", rows, inputs),
        Inputs=inputs,
        Channels=channels,
        Groups=block.groups,
        Width=block.source.width,
        Signed=block.source.signed,
        SumWidth=block.result.width,
        Levels=block.levels,
        Adders=block.sums == "adder_tree",
        Weights="Weights",
    )


@_module.register
def _affine(block: blocks.Affine, name: str) -> str:
    return _wrapped(
        block,
        name,
        f"Values of layer '{block.value}' from its raw sums: (raw << {block.shift}) - constant.",
        "affine",
        constant("Constants", in_order(block.constants, block), block.result.width),
        **by_element(block),
        **places(block),
        Width=block.source.width,
        OutWidth=block.result.width,
        Shift=block.shift,
        Constants="Constants",
    )


@_module.register
def _scaled(block: blocks.Scaled, name: str) -> str:
    return _given(block, name, scaled(block))


@_module.register
def _pool_max(block: blocks.PoolMax, name: str) -> str:
    return _given(block, name, channels.pool_max(block))


@_module.register
def _rescale(block: blocks.Rescale, name: str) -> str:
    return _given(block, name, channels.rescale(block))


@_module.register
def _compare(block: blocks.Compare, name: str) -> str:
    count = block.constants.shape[1]
    body = constant("Constants", in_order(block.constants, block), block.source.width + 1)
    falling = block.falling[: len(block.constants) // block.classes].astype(np.int64)
    body += constant("Falling", in_order(falling, block, classes=1), 1)
    parameters: dict[str, object] = {
        **by_element(block),
        **places(block),
        "Width": block.source.width,
        "Signed": block.source.signed,
        "Count": count,
        "Constants": "Constants",
        "Falling": "Falling",
    }
    if isinstance(block, blocks.Threshold):
        parameters["Levels"] = block.levels
        comment = f"Node '{block.value}': how many of {count} thresholds each element reaches."
        return _wrapped(block, name, comment, "threshold", body, **parameters)
    comment = f"Node '{block.value}': each element compared with {count} constants."
    return _wrapped(block, name, comment, "compare", body, **parameters)


@_module.register
def _lookup(block: blocks.Lookup, name: str) -> str:
    entries = block.table.shape[1]
    tables = np.array(in_order(block.table, block))
    by_lane = tables.reshape(block.tokens, block.lanes, entries).transpose(1, 0, 2)
    return _wrapped(
        block,
        name,
        f"Node '{block.value}': a table of {entries} entries for each element.",
        "lookup",
        constant("Table", [int(v) for v in by_lane.ravel()], block.result.width),
        **by_element(block),
        Width=block.source.width,
        Low=block.low,
        Shift=block.shift,
        Inverse=block.inverse,
        Entries=entries,
        OutWidth=block.result.width,
        Table="Table",
    )


@_module.register
def _select(block: blocks.Select, name: str) -> str:
    width = block.source.width
    lines = [
        f"  assign data_o[{i * width} +: {width}] = data_i[{int(j) * width} +: {width}];\n"
        for i, j in enumerate(block.index)
    ]
    body = "  logic unused;\n\n"
    body += "  assign unused = clk_i ^ rst_ni ^ (^data_i);\n  assign valid_o = valid_i;\n"
    comment = f"Node '{block.value}': some of the elements, wires alone."
    return module(name, comment, ports(block), body + "".join(lines))


def _folded(block: products.DotFolded, core: str, segment: Pipeline) -> dict[str, str]:
    """The folded product and the memory of its weights."""
    size, inputs = block.weights.shape
    name, memory = module_name(core, block), f"{core}_rom_{block.node}"
    address = max(1, (block.rows - 1).bit_length())
    row = block.pe * block.simd
    body = f"  logic [{address - 1}:0] row;\n  logic [{row - 1}:0] weights;\n\n"
    body += instance(
        "hwbnn_dot_folded",
        "u_dot_folded",
        {
            "Inputs": inputs,
            "Channels": size // block.groups,
            "Groups": block.groups,
            "Pe": block.pe,
            "Simd": block.simd,
            "Width": block.source.width,
            "Signed": block.source.signed,
            "SumWidth": block.result.width,
            "Levels": block.levels,
            "Adders": block.sums == "adder_tree",
            "Serial": block.sums == "bit_serial",
            "Totals": int(block.total),
            "Slots": block.buffer_tokens,
            "Credits": segment.credits,
            "OnePerFrame": segment.reduces,
            "AddressWidth": address,
        },
        {
            **_PASSED,
            "ready_o": "ready_o",
            "row_o": "row",
            "weights_i": "weights",
            "credit_i": "credit_i",
        },
    )
    body += "\n" + instance(
        memory, "u_weights", {}, {"clk_i": "clk_i", "row_i": "row", "weights_o": "weights"}
    )
    comment = (
        f"Layer '{block.node}', folded: raw sums of {size} channels over {inputs} inputs,\n"
        f"{block.pe} channels times {block.simd} inputs a cycle"
        f"{', one bit plane at a time' if block.sums == 'bit_serial' else ''}."
    )
    declared = [*ports(block), "output logic ready_o", "input  logic credit_i"]
    return {
        memory: _memory(memory, block, address),
        name: module(name, comment, declared, body),
    }


def _memory(name: str, block: products.DotFolded, address: int) -> str:
    """The weights in the order in which the passes read them, a register behind the memory."""
    width = block.pe * block.simd
    filled = "".join(
        f"    rows[{i}] = {literal(row_integer(row), width)};\n"
        for i, row in enumerate(block.memory)
    )
    body = (
        f"  logic [{width - 1}:0] rows [0:{block.rows - 1}];\n\n"
        f"  initial begin\n{filled}  end\n\n"
        "  always_ff @(posedge clk_i) weights_o <= rows[row_i];\n"
    )
    if block.rows == 1:
        body = body.replace("rows[row_i]", "rows[0]")
        body += "\n  logic unused_row;\n  assign unused_row = row_i[0];\n"
    comment = (
        f"Weights of layer '{block.node}': row (pass * {block.steps} + token), "
        f"{block.pe} channels of {block.simd} bits each."
    )
    declared = [
        "input  logic clk_i",
        f"input  logic [{address - 1}:0] row_i",
        f"output logic [{width - 1}:0] weights_o",
    ]
    # Mapped together with the adders, which leave it slack, yosys's ABC shares so much between the
    # columns of a deep table that it takes three times the LUTs (128 rows of 512 bits: 1,024 apart,
    # about 4,300 together). In a shallow one, constant columns should reach the products.
    return module(name, comment, declared, body, apart=block.rows > 8)

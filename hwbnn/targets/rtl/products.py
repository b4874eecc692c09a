"""Modules of weighted sums: weights as wires, folded with a memory of weights, or a netlist."""

from __future__ import annotations

from hwbnn.graph.bits import row_integer
from hwbnn.plan.products import (
    Digit,
    DotFolded,
    DotNetlist,
    DotUnrolled,
    WeightedFolded,
    WeightedUnrolled,
)
from hwbnn.plan.stages import Pipeline
from hwbnn.targets.rtl import netlists
from hwbnn.targets.rtl.verilog import concatenation, constant, instance, joined, literal, module
from hwbnn.targets.rtl.wrapped import PASSED, Wrapped, digit_bits, module_name, ports


def unrolled(block: DotUnrolled) -> Wrapped:
    """The module of an unrolled layer with weights of -1 and +1: all channels at once."""
    channels, inputs = block.weights.shape
    rows = [row_integer(row) for row in block.weights]
    groups = f", {block.groups} groups" if block.groups > 1 else ""
    comment = (
        f"Layer '{block.node}', unrolled: raw sums of {channels} channels over {inputs} "
        f"inputs{groups}.\n"
        "Weights channel by channel, the first in the lowest bits; input 0 is bit 0 of its row."
    )
    parameters: dict[str, object] = {
        "Inputs": inputs,
        "Channels": channels,
        "Groups": block.groups,
        "Width": block.source.width,
        "Signed": block.source.signed,
        "SumWidth": block.result.width,
        "Levels": block.logic_levels_per_register,
        "Adders": block.sums == "adder_tree",
        "Weights": "Weights",
    }
    return Wrapped("dot_unrolled", comment, constant("Weights", rows, inputs), parameters)


def weighted_unrolled(block: WeightedUnrolled, core: str) -> dict[str, str]:
    """The module of an unrolled layer with integer weights: its name and its text.

    It computes all channels at once. The digits of weights are wires; each channel has an instance
    that adds its digits.
    """
    name = module_name(core, block)
    channels, inputs = block.weights.shape
    sums = block.result.width
    body = ""
    used = {i for digits in block.digits for i, _, _ in digits}
    if len(used) < inputs or block.groups > 1:
        body += "  logic unused_data;\n  assign unused_data = ^data_i;\n\n"
    for channel, digits in enumerate(block.digits):
        result = f"data_o[{channel * sums} +: {sums}]"
        if digits:
            body += _digit_sum(block, channel, digits, result)
        else:
            body += f"  assign {result} = '0;\n\n"
    passed = {"clk_i": "clk_i", "rst_ni": "rst_ni", "valid_i": "valid_i", "valid_o": "valid_o"}
    body += instance("hwbnn_valid_line", "u_valid", {"Stages": block.latency}, passed)
    groups = f", {block.groups} groups" if block.groups > 1 else ""
    comment = (
        f"Layer '{block.node}', unrolled: raw sums of {channels} channels over {inputs} "
        f"inputs{groups}.\n"
        "Each digit of a weight is an input, or its complement, at a place; zeros have none."
    )
    return {name: module(name, comment, ports(block), body)}


def _digit_sum(
    block: WeightedUnrolled, channel: int, digits: tuple[Digit, ...], result: str
) -> str:
    """The instance that adds the digits of a channel."""
    sums = block.result.width
    channels, inputs = block.weights.shape
    first = channel // (channels // block.groups) * inputs
    terms = [digit_bits(block.source, digit, first) for digit in digits]
    ports = {"clk_i": "clk_i", "sum_o": result}
    if block.sums == "adder_tree":
        numbers = [
            joined([*["1'b0"] * d.place, *bits, *["1'b0"] * (sums - d.place - len(bits))])
            for d, bits in zip(digits, terms, strict=True)
        ]
        numbers += [literal(0, sums)] * (block.most - len(numbers))
        wires = f"  logic [{len(numbers) * sums - 1}:0] terms_{channel};\n"
        wires += f"  assign terms_{channel} = {joined(numbers)};\n"
        sizes = {
            "Inputs": len(numbers),
            "Width": sums,
            "SumWidth": sums,
            "Levels": block.logic_levels_per_register,
        }
        ports["data_i"] = f"terms_{channel}"
        return f"{wires}{instance('hwbnn_sum_tree', f'u_sum_{channel}', sizes, ports)}\n"
    columns = block.heights.shape[1]
    ordered = [
        bits[k - digit.place]
        for k in range(columns)
        for digit, bits in zip(digits, terms, strict=True)
        if 0 <= k - digit.place < len(bits)
    ]
    wires = f"  logic [{len(ordered) - 1}:0] bits_{channel};\n"
    wires += f"  assign bits_{channel} = {joined(ordered)};\n"
    ports["bits_i"] = f"bits_{channel}"
    parameters: dict[str, object] = {
        "Columns": columns,
        "Bits": len(ordered),
        "SumWidth": sums,
        "Levels": block.logic_levels_per_register,
        "Tallest": int(block.heights.max()),
        "Heights": concatenation([int(h) for h in block.heights[channel]], 32, "      "),
    }
    return f"{wires}{instance('hwbnn_column_sum', f'u_sum_{channel}', parameters, ports)}\n"


def folded(block: DotFolded, core: str, pipeline: Pipeline) -> dict[str, str]:
    """The modules of a folded layer, by name: the product and the memory of its weights."""
    size, inputs = block.weights.shape
    name, memory = module_name(core, block), f"{core}_rom_{block.node}"
    address = max(1, (block.rows - 1).bit_length())
    row = block.row_bits
    kind, own = _folded_kind(block)
    body = f"  logic [{address - 1}:0] row;\n  logic [{row - 1}:0] weights;\n\n"
    body += instance(
        f"hwbnn_{kind}",
        f"u_{kind}",
        {
            "Inputs": inputs,
            "Channels": size // block.groups,
            "Groups": block.groups,
            "Pe": block.pe,
            "Simd": block.simd,
            "Width": block.source.width,
            "Signed": block.source.signed,
            "SumWidth": block.result.width,
            "Levels": block.logic_levels_per_register,
            **own,
            "Slots": block.buffer_tokens,
            "Credits": pipeline.credits,
            "OnePerFrame": pipeline.reduces,
            "AddressWidth": address,
            "Reads": block.reads,
        },
        {
            **PASSED,
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


def _folded_kind(block: DotFolded) -> tuple[str, dict[str, object]]:
    """The hand-written module of a folded product, and the parameters that say how it sums."""
    adders, serial = block.sums == "adder_tree", block.sums == "bit_serial"
    if not isinstance(block, WeightedFolded):
        return "dot_folded", {"Adders": adders, "Serial": serial, "Totals": int(block.total)}
    own: dict[str, object] = {
        "WeightWidth": block.weight_width,
        "Ternary": block.ternary,
        "Adders": adders or block.dsp,
        "Dsp": block.dsp,
        "Serial": serial,
        "Start": literal(block.start, block.result.width),
    }
    return "weighted_folded", own


def _memory(name: str, block: DotFolded, address: int) -> str:
    """The memory of the weights, in the order in which they are read, with registered outputs."""
    width = block.row_bits
    filled = "".join(
        f"    rows[{i}] = {literal(row_integer(row), width)};\n"
        for i, row in enumerate(block.memory)
    )
    body = f"  logic [{width - 1}:0] rows [0:{block.rows - 1}];\n"
    if block.reads == 2:
        body += f"  logic [{width - 1}:0] read_q;\n"
        reading = "begin\n    read_q <= rows[row_i];\n    weights_o <= read_q;\n  end"
    else:
        reading = f"weights_o <= rows[{'0' if block.rows == 1 else 'row_i'}];"
    body += f"\n  initial begin\n{filled}  end\n\n  always_ff @(posedge clk_i) {reading}\n"
    if block.rows == 1:
        body += "\n  logic unused_row;\n  assign unused_row = row_i[0];\n"
    each = f"{block.simd} bits"
    if isinstance(block, WeightedFolded):
        each = f"{block.simd} weights of {block.weight_width} bits"
    comment = (
        f"Weights of layer '{block.node}': row (pass * {block.steps} + token), "
        f"{block.pe} channels of {each} each."
    )
    declared = [
        "input  logic clk_i",
        f"input  logic [{address - 1}:0] row_i",
        f"output logic [{width - 1}:0] weights_o",
    ]
    # A deep memory is mapped apart from the adders. Mapped together with them, which leave it
    # slack, yosys's ABC shares so much logic between its columns that it takes more LUTs (128 rows
    # of 512 bits: 1,024 apart, about 4,300 together). A shallow memory is mapped together with the
    # adders, so that its constant columns simplify them.
    return module(name, comment, declared, body, apart=block.rows > 8)


def netlist(block: DotNetlist, core: str) -> dict[str, str]:
    """The modules of a layer as a netlist, by name: the netlist, and the module around it."""
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

"""Products as modules: all weights as wires, folded with a memory of weights, or a netlist."""

from __future__ import annotations

from hwbnn.graph.bits import row_integer
from hwbnn.plan.products import DotFolded, DotNetlist, DotUnrolled
from hwbnn.plan.stages import Pipeline
from hwbnn.targets.rtl import netlists
from hwbnn.targets.rtl.verilog import constant, instance, literal, module
from hwbnn.targets.rtl.wrapped import PASSED, Wrapped, module_name, ports


def unrolled(block: DotUnrolled) -> Wrapped:
    """All channels at once."""
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
        "Levels": block.levels,
        "Adders": block.sums == "adder_tree",
        "Weights": "Weights",
    }
    return Wrapped("dot_unrolled", comment, constant("Weights", rows, inputs), parameters)


def folded(block: DotFolded, core: str, pipeline: Pipeline) -> dict[str, str]:
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
            "Credits": pipeline.credits,
            "OnePerFrame": pipeline.reduces,
            "AddressWidth": address,
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


def _memory(name: str, block: DotFolded, address: int) -> str:
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


def netlist(block: DotNetlist, core: str) -> dict[str, str]:
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

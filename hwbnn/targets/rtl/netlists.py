"""Layers as netlists: the netlist, a behavioural model, simulation models of its primitives."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from hwbnn.graph.arrays import Ints
from hwbnn.graph.bits import row_integer
from hwbnn.netlists import NetlistForm, system_verilog
from hwbnn.netlists.digits import Digits
from hwbnn.plan import Circuit
from hwbnn.plan.products import DotNetlist, digits_of
from hwbnn.targets.rtl.verilog import HEADER, constant, instance, joined
from hwbnn.targets.rtl.wrapped import digit_bits

MODELS = "hwbnn_primitives"
"""Name of the file with simulation models of the FPGA's primitives, without its suffix."""

LUTS = "".join(
    f"""
module LUT{k} #(
  parameter logic [{(1 << k) - 1}:0] INIT = '0
) (
  {", ".join(f"input wire I{i}" for i in range(k))},
  output wire O
);
  assign O = INIT[{{{", ".join(f"I{i}" for i in reversed(range(k)))}}}];
endmodule
"""
    for k in range(1, 7)
)


def _carry(bits: int) -> str:
    """The model of a carry cell of 4 bits (7 series) or of 8 (UltraScale+).

    The carry inputs of the two have different names.
    """
    seven = bits == 4
    ports = "input wire CI, CYINIT" if seven else "input wire CI, CI_TOP"
    first = "CI | CYINIT" if seven else "CI"
    unused = "" if seven else "  logic unused;\n\n  assign unused = CI_TOP;\n\n"
    top = bits - 1
    return f"""
module CARRY{bits} (
  output wire [{top}:0] O, CO,
  {ports},
  input wire [{top}:0] DI, S
);
{unused}  wire [{bits}:0] c;

  assign c[0] = {first};
  for (genvar i = 0; i < {bits}; i++) begin : gen_bit
    assign c[i+1] = S[i] ? c[i] : DI[i];
  end
  assign O = S ^ c[{top}:0];
  assign CO = c[{bits}:1];
endmodule
"""


_SECOND = """
module LUT6_2 #(
  parameter logic [63:0] INIT = '0
) (
  input wire I0, I1, I2, I3, I4, I5,
  output wire O5, O6
);
  assign O5 = INIT[{1'b0, I4, I3, I2, I1, I0}];
  assign O6 = INIT[{I5, I4, I3, I2, I1, I0}];
endmodule
"""


def models(circuit: Circuit) -> str:
    """Simulation models of the primitives in a circuit; empty if it has none."""
    return primitives({block.form for block in circuit.blocks if isinstance(block, DotNetlist)})


def primitives(forms: Collection[NetlistForm]) -> str:
    """Simulation models of the primitives in netlists of these forms; empty if all are portable."""
    carries = [bits for form, bits in (("xc7", 4), ("xcup", 8)) if form in forms]
    if not carries:
        return ""
    about = "// What primitives of the FPGA compute: for simulation, no part of the design.\n"
    return HEADER + "\n" + about + LUTS + _SECOND + "".join(map(_carry, carries))


def netlist(block: DotNetlist, name: str) -> str:
    """The module of the netlist alone."""
    text = system_verilog(
        block.netlist, name, block.form, per_register=block.logic_levels_per_register
    )
    about = f"// Layer '{block.node}' as a netlist of look-up tables and carry chains.\n"
    if block.drivers is not None:
        about += (
            "// It relies on constant and equal bits among those that the layer in front gives.\n"
        )
    # Simulators that use $countones instead need not read it. Some of its bits are unused on
    # purpose.
    lint = "  /* verilator lint_off UNUSEDSIGNAL */\n  /* verilator lint_off PINCONNECTEMPTY */\n"
    head, body = text.split(");\n", 1)
    return f"{HEADER}\n{about}\n`ifndef HWBNN_COUNTONES\n{head});\n{lint}{body}`endif\n"


def body(block: DotNetlist, name: str) -> str:
    """The body of the layer's module: the netlist, or under HWBNN_COUNTONES a behavioural model."""
    delay = {"clk_i": "clk_i", "data_i": "counted", "data_o": "data_o"}
    sizes = {"Width": block.result.bits, "Stages": block.latency}
    passed = {"clk_i": "clk_i", "rst_ni": "rst_ni", "valid_i": "valid_i", "valid_o": "valid_o"}
    ports = {"clk_i": "clk_i", "x_i": "data_i", "y_o": "data_o"}
    return (
        f"`ifdef HWBNN_COUNTONES\n{_counted(block)}\n"
        + instance("hwbnn_delay_line", "u_delay", sizes, delay)
        + f"`else\n{instance(name, 'u_netlist', {}, ports)}`endif\n\n"
        + instance("hwbnn_valid_line", "u_valid", {"Stages": block.latency}, passed)
    )


def _counted(block: DotNetlist) -> str:
    """The behavioural model: raw sums as counts of bits, compared with thresholds if it has any."""
    if not (np.abs(block.weights) == 1).all():
        return _counted_digits(block)
    channels, inputs = block.weights.shape
    width = block.source.width
    high = inputs * ((1 << width) - 1)
    bits = high.bit_length()
    text = constant("Weights", [row_integer(row > 0) for row in block.weights], inputs)
    total = ""
    if block.wanted is None:
        result = f"    assign counted[c*{bits} +: {bits}] = raw;\n"
    elif block.scale_offset is None:
        text += constant("Wanted", [int(w) for w in block.wanted], bits + 1)
        result = f"    assign counted[c] = {{1'b0, raw}} >= Wanted[c*{bits + 1} +: {bits + 1}];\n"
    else:
        total = f"  logic [{bits - 1}:0] total;\n\n  assign total = {_count(block, bits, '')};\n"
        constants, result = _weighed(block.wanted, *block.scale_offset, high)
        text += constants
    ports = {"data_i": "data_i", "planes_o": "planes"}
    planes = {"Inputs": inputs, "Width": width, "Signed": block.source.signed}
    counts = _count(block, bits, f" ~^ Weights[c*{inputs} +: {inputs}]")
    return (
        f"{text}  logic [{width * inputs - 1}:0] planes;\n"
        f"  logic [{block.result.bits - 1}:0] counted;\n\n"
        f"{instance('hwbnn_bit_planes', 'u_planes', planes, ports)}{total}"
        f"\n  for (genvar c = 0; c < {channels}; c++) begin : gen_channel\n"
        f"    logic [{bits - 1}:0] raw;\n\n    assign raw = {counts};\n{result}  end\n"
    )


def _counted_digits(block: DotNetlist) -> str:
    """The behavioural model for integer weights: it counts the digits of each column."""
    channels = len(block.weights)
    bits = Digits.of(block.weights).width((1 << block.source.width) - 1)
    text = (
        f"  logic [{channels * bits - 1}:0] raws;\n  logic [{block.result.bits - 1}:0] counted;\n"
    )
    text += "  logic unused_data;\n\n  assign unused_data = ^data_i;\n"
    for channel, digits in enumerate(digits_of(block.weights)):
        columns: dict[int, list[str]] = {}
        for digit in digits:
            for column, literal in enumerate(digit_bits(block.source, digit), digit.place):
                columns.setdefault(column, []).append(literal)
        counts = [
            f"({bits}'($countones({joined(literals, '      ')})) << {column})"
            for column, literals in sorted(columns.items())
        ]
        raw = " + ".join(counts or ["'0"])
        text += f"  assign raws[{channel * bits} +: {bits}] = {raw};\n"
    if block.wanted is None:
        return f"{text}  assign counted = raws;\n"
    wanted = constant("Wanted", [int(w) for w in block.wanted], bits + 1)
    return (
        f"{wanted}{text}\n  for (genvar c = 0; c < {channels}; c++) begin : gen_channel\n"
        f"    assign counted[c] = {{1'b0, raws[c*{bits} +: {bits}]}}\n"
        f"      >= Wanted[c*{bits + 1} +: {bits + 1}];\n  end\n"
    )


def _count(block: DotNetlist, bits: int, matched: str) -> str:
    """An expression that counts the ones of all bit planes, plane b with weight ``2**b``.

    ``matched`` is an operation that is applied to each plane before its ones are counted.
    """
    inputs, width = block.weights.shape[1], block.source.width
    return " + ".join(
        f"({bits}'($countones(planes[{b * inputs} +: {inputs}]{matched})) << {b})"
        for b in range(width)
    )


def _weighed(wanted: Ints, scale: Ints, offset: Ints, high: int) -> tuple[str, str]:
    """Constants, and the comparison of ``scale * raw + offset * total`` with the thresholds.

    Args:
        wanted: int64 ``(channels,)``.
        scale: int64 ``(channels,)``, none negative.
        offset: int64 ``(channels,)``.
        high: the largest value of a raw sum, and of the total.
    """
    largest = max(high * int(np.max(scale + np.abs(offset))), int(np.abs(wanted).max()), high)
    wide = largest.bit_length() + 1
    parts = {"Scale": scale, "Offset": offset, "Wanted": wanted}
    text = "".join(constant(name, [int(v) for v in of], wide) for name, of in parts.items())
    own = {name: f"$signed({name}[c*{wide} +: {wide}])" for name in parts}
    raw, total = (f"{wide}'($signed({{1'b0, {name}}}))" for name in ("raw", "total"))
    return text, (
        f"    assign counted[c] = {own['Scale']} * {raw} + {own['Offset']} * {total}\n"
        f"      >= {own['Wanted']};\n"
    )

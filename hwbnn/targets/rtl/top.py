"""The top module and the simulation wrapper around it: instances and wires."""

from __future__ import annotations

from hwbnn.estimate import Cycles
from hwbnn.plan import Circuit
from hwbnn.targets.rtl.stages import fifos, stage_text
from hwbnn.targets.rtl.verilog import instance, module, vector

CORE = "hwbnn"
"""Name of a core that was given none: what the names of its own modules begin with."""


def top_name(core: str) -> str:
    """The top module of the core of this name."""
    return f"{core}_top"


def trace_name(core: str) -> str:
    """The simulation wrapper around it."""
    return f"{core}_trace"


def border(input_beat: int, output_beat: int) -> list[str]:
    """The ports of the top module."""
    return [
        "input  logic aclk",
        "input  logic aresetn",
        f"input  logic {vector(input_beat)} s_axis_tdata",
        f"input  logic {vector(input_beat // 8)} s_axis_tkeep",
        "input  logic s_axis_tvalid",
        "output logic s_axis_tready",
        "input  logic s_axis_tlast",
        f"output logic {vector(output_beat)} m_axis_tdata",
        f"output logic {vector(output_beat // 8)} m_axis_tkeep",
        "output logic m_axis_tvalid",
        "input  logic m_axis_tready",
        "output logic m_axis_tlast",
        "output logic error_o",
    ]


def top(circuit: Circuit, counted: Cycles, core: str) -> str:
    """The text of the top module of the core of this name, whose cycles were counted."""
    body = "".join(stage_text(stage, core) for stage in circuit.stages)
    comment = (
        f"A network of {len(circuit.graph.nodes)} nodes, graph {circuit.graph.digest[:16]}.\n"
        f"{counted.latency} cycles from the first input beat of a frame to its last output beat, "
        f"{counted.interval} from frame to frame."
    )
    plan = circuit.plan
    return module(top_name(core), comment, border(plan.input_beat, plan.output_beat), body)


def trace(circuit: Circuit, core: str) -> str:
    """A wrapper for simulation: the top module, every tap, and how full every FIFO ever was."""
    plan = circuit.plan
    ports = border(plan.input_beat, plan.output_beat)
    names = [port.split()[-1] for port in ports]
    body = instance(top_name(core), "u_top", {}, dict(zip(names, names, strict=True)))
    body += "\n"
    for tap in circuit.taps.values():
        name, signal = f"tap_{tap.value}", f"u_top.{tap.signal}"
        ports += [f"output logic {name}_{wire}" for wire in ("valid", "ready")]
        ports.append(f"output logic {vector(tap.stream.bits)} {name}_data")
        body += f"  assign {name}_valid = {signal}_valid;\n"
        ready = f"{signal}_ready" if tap.handshake else "1'b1"
        body += f"  assign {name}_ready = {ready};\n"
        body += f"  assign {name}_data = {signal}_data;\n"
    for stream, fifo in fifos(circuit).items():
        ports.append(f"output logic [31:0] most_{stream}")
        body += _most(f"most_{stream}", f"u_top.{fifo.instance}.fill_q")
    comment = (
        "For simulation only: the streams behind the network's values, read by their names, and\n"
        "the most words that each FIFO held since reset."
    )
    return module(trace_name(core), comment, ports, body)


def _most(name: str, fill: str) -> str:
    return (
        f"\n  always_ff @(posedge aclk) begin\n"
        f"    if (!aresetn) {name} <= '0;\n"
        f"    else if (32'({fill}) > {name}) {name} <= 32'({fill});\n"
        f"  end\n"
    )

"""The top module and the simulation wrapper around it: instances and wires."""

from __future__ import annotations

from hwbnn.estimate import Cycles, frames_held
from hwbnn.plan import Circuit, Plan
from hwbnn.plan.stages import AxisIn, AxisOut, Stage
from hwbnn.targets.rtl import border
from hwbnn.targets.rtl.stages import fifos, stage_text
from hwbnn.targets.rtl.verilog import instance, module, vector

CORE = "hwbnn"
"""Default name of a core; the names of its generated modules begin with it."""


def top_name(core: str) -> str:
    """The name of the top module of a core."""
    return f"{core}_top"


def trace_name(core: str) -> str:
    """The module name of the simulation wrapper around the top module."""
    return f"{core}_trace"


def top(circuit: Circuit, predicted: Cycles, core: str, build: str) -> str:
    """The text of a core's top module; the predicted cycles stand in its comment.

    Its parameter ``Build`` is the build of the core. What instantiates it and gives another one,
    because it was generated with another core, does not elaborate.
    """
    plan = circuit.plan
    held = frames_held(circuit) if plan.framing == "batch" or plan.tags else 0
    body = _build_check(top_name(core), build) + border.tags(circuit, held)
    body += "".join(_stage(stage, core, plan, held) for stage in circuit.stages)
    body += border.control(circuit, build)
    comment = (
        f"A network of {len(circuit.graph.nodes)} nodes, graph {circuit.graph.digest[:16]}.\n"
        f"{predicted.latency} cycles from the first input beat of a frame to its last output beat, "
        f"{predicted.interval} from frame to frame."
    )
    ports = border.declared(border.ports(plan))
    parameter = f"parameter logic [63:0] Build = 64'h{build}"
    return module(top_name(core), comment, ports, body, parameters=[parameter])


def _build_check(top: str, build: str) -> str:
    """The check that whatever instantiates the top module was generated with it."""
    wrong = f'"{top}: this is build {build}, build %h is asked for; take all files of one", Build'
    return f"""
  localparam logic [63:0] OwnBuild = 64'h{build};

`ifdef __ICARUS__  // which has no elaboration tasks
  initial if (Build != OwnBuild) $fatal(1, {wrong});
`else
  if (Build != OwnBuild) begin : gen_build
    $error({wrong});
  end
`endif

"""


def _stage(stage: Stage, core: str, plan: Plan, held: int) -> str:
    if isinstance(stage, AxisIn):
        return border.axis_in(stage, plan.framing, tagged=bool(plan.tags))
    if isinstance(stage, AxisOut):
        return border.axis_out(stage, plan.framing, held)
    return stage_text(stage, core)


def trace_wrapper(circuit: Circuit, core: str, build: str) -> str:
    """A wrapper for simulation: the top module, with every tap and every FIFO's maximum fill.

    Nobody reaches the control block in it; what that counts changes no value.
    """
    plan = circuit.plan
    listed = border.stream_ports(plan)
    ports = border.declared(listed)
    parameter = f"parameter logic [63:0] Build = 64'h{build}"
    connected = {port.name: port.name for port in listed} | border.idle(plan)
    body = instance(top_name(core), "u_top", {"Build": "Build"}, connected)
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
    return module(trace_name(core), comment, ports, body, parameters=[parameter])


def _most(name: str, fill: str) -> str:
    return (
        f"\n  always_ff @(posedge aclk) begin\n"
        f"    if (!aresetn) {name} <= '0;\n"
        f"    else if (32'({fill}) > {name}) {name} <= 32'({fill});\n"
        f"  end\n"
    )

"""The top module and the simulation wrapper around it: instances and wires."""

from __future__ import annotations

from functools import singledispatch

from hwbnn.plan import Circuit, Stream
from hwbnn.plan.blocks import ArgMax, Block, DotFolded
from hwbnn.plan.stages import AxisIn, AxisOut, Down, Segment, Stage, Up
from hwbnn.targets.rtl.layers import argmax_parameters, module_name
from hwbnn.targets.rtl.verilog import instance, module, vector

CORE = "hwbnn"
"""Name of a core that was given none: what the names of its own modules begin with."""
_CLOCK = {"clk_i": "aclk", "rst_ni": "aresetn"}


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


def top(circuit: Circuit, core: str) -> str:
    """The text of the top module of the core of this name."""
    body = ""
    before = ""
    for stage in circuit.stages:
        body += _stage(stage, before, core)
        before = stage.name
    comment = (
        f"A network of {len(circuit.graph.nodes)} nodes, graph {circuit.graph.digest[:16]}.\n"
        f"{circuit.latency} cycles from the first input beat of a frame to its last output beat, "
        f"{circuit.interval} from frame to frame."
    )
    plan = circuit.plan
    return module(top_name(core), comment, border(plan.input_beat, plan.output_beat), body)


def _wires(name: str, stream: Stream, handshake: bool) -> str:
    ready = f"  logic {name}_ready;\n" if handshake else ""
    return f"  logic {name}_valid;\n{ready}  logic {vector(stream.bits)} {name}_data;\n"


def _describe(what: str, stream: Stream) -> str:
    tokens = "a token" if stream.tokens == 1 else f"{stream.tokens} tokens"
    return f"\n  // ---- {what}: {tokens} of {stream.lanes} x {stream.width} bits a frame ----\n\n"


def _input_ports(name: str) -> dict[str, str]:
    return {"valid_i": f"{name}_valid", "ready_o": f"{name}_ready", "data_i": f"{name}_data"}


def _output_ports(name: str) -> dict[str, str]:
    return {"valid_o": f"{name}_valid", "ready_i": f"{name}_ready", "data_o": f"{name}_data"}


@singledispatch
def _stage(stage: Stage, before: str, core: str) -> str:
    raise TypeError(f"no module for {type(stage).__name__}")


@_stage.register
def _axis_in(stage: AxisIn, before: str, core: str) -> str:
    made = _describe(f"Input {stage.name.removeprefix('v_')}", stage.result)
    made += _wires(stage.name, stage.result, handshake=True) + "\n"
    parameters = {"Beat": stage.beat, "Width": stage.result.bits, "Beats": stage.result.tokens}
    axis = ("tdata", "tkeep", "tvalid", "tready", "tlast")
    return made + instance(
        "hwbnn_axis_in",
        "u_axis_in",
        parameters,
        {
            **_CLOCK,
            **{f"s_axis_{signal}": f"s_axis_{signal}" for signal in axis},
            **_output_ports(stage.name),
            "error_o": "error_o",
        },
    )


@_stage.register
def _axis_out(stage: AxisOut, before: str, core: str) -> str:
    stream = stage.source
    axis = ("tdata", "tkeep", "tvalid", "tready", "tlast")
    return _describe("Output", stream) + instance(
        "hwbnn_axis_out",
        "u_axis_out",
        {
            "Beat": stage.beat,
            "Width": stream.bits,
            "LastUsed": stream.last_lanes * stream.width,
            "Beats": stream.tokens,
        },
        {
            **_CLOCK,
            **_input_ports(before),
            **{f"m_axis_{signal}": f"m_axis_{signal}" for signal in axis},
        },
    )


@_stage.register
def _up(stage: Up, before: str, core: str) -> str:
    name, result = stage.name, stage.result
    made = _describe("Wider", result) + _wires(name, result, handshake=True)
    surplus = stage.ratio * stage.source.bits - result.bits
    out = _output_ports(name)
    if surplus:
        made += f"  logic {vector(surplus)} unused_{name};\n"
        out["data_o"] = f"{{unused_{name}, {name}_data}}"
    parameters = {
        "Width": stage.source.bits,
        "Ratio": stage.ratio,
        "Tokens": stage.source.tokens,
    }
    ports = {**_CLOCK, **_input_ports(before), **out}
    return made + "\n" + instance("hwbnn_stream_up", f"u_{name}", parameters, ports)


@_stage.register
def _down(stage: Down, before: str, core: str) -> str:
    name, result = stage.name, stage.result
    made = _describe("Narrower", result) + _wires(name, result, handshake=True)
    missing = stage.ratio * result.bits - stage.source.bits
    taken = _input_ports(before)
    if missing:
        taken["data_i"] = f"{{{missing}'b0, {before}_data}}"
    parameters = {"Width": result.bits, "Ratio": stage.ratio, "Tokens": result.tokens}
    ports = {**_CLOCK, **taken, **_output_ports(name)}
    return made + "\n" + instance("hwbnn_stream_down", f"u_{name}", parameters, ports)


@_stage.register
def _segment(stage: Segment, before: str, core: str) -> str:
    name = stage.name
    made = _describe(f"Pipeline of {stage.latency} cycles", stage.result)
    made += f"  logic {name}_credit;\n"
    valid, data = f"{before}_valid", f"{before}_data"
    if stage.head is None:
        valid = f"{name}_enter"
        made += f"  logic {valid};\n\n"
        group = stage.source.tokens if stage.reduces else 1
        made += instance(
            "hwbnn_credit_gate",
            f"u_{name}_gate",
            {"Credits": stage.credits, "Group": group},
            {
                **_CLOCK,
                "valid_i": f"{before}_valid",
                "ready_o": f"{before}_ready",
                "valid_o": valid,
                "credit_i": f"{name}_credit",
            },
        )
    for block in stage.blocks:
        made += "\n" + _block(core, block, valid, data, before, f"{name}_credit")
        valid, data = f"{block.name}_valid", f"{block.name}_data"
    made += "\n" + _wires(name, stage.result, handshake=True) + "\n"
    return made + instance(
        "hwbnn_credit_fifo",
        f"u_{name}_fifo",
        {"Width": stage.result.bits, "Credits": stage.credits},
        {
            **_CLOCK,
            "valid_i": valid,
            "data_i": data,
            **_output_ports(name),
            "credit_o": f"{name}_credit",
        },
    )


def _block(core: str, block: Block, valid: str, data: str, before: str, credit: str) -> str:
    ports = {
        **_CLOCK,
        "valid_i": valid,
        "data_i": data,
        "valid_o": f"{block.name}_valid",
        "data_o": f"{block.name}_data",
    }
    kind, parameters = module_name(core, block), {}
    if isinstance(block, DotFolded):
        ports |= {"ready_o": f"{before}_ready", "credit_i": credit}
    elif isinstance(block, ArgMax):
        kind, parameters = "hwbnn_argmax", argmax_parameters(block)
    wires = _wires(block.name, block.result, handshake=False)
    return wires + "\n" + instance(kind, f"u_{block.name}", parameters, ports)


def trace(circuit: Circuit, core: str) -> str:
    """A wrapper for simulation: the top module, and every tap as ports of its own."""
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
    comment = "For simulation only: the streams behind the network's values, read by their names."
    return module(trace_name(core), comment, ports, body)

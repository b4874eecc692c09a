"""The stages of a circuit in the top module: the wires that each drives, and its instances."""

from __future__ import annotations

from functools import singledispatch
from typing import NamedTuple

from hwbnn.plan import Circuit, TokenStream
from hwbnn.plan.blocks import (
    Block,
)
from hwbnn.plan.products import DotFolded
from hwbnn.plan.stages import (
    AddStreams,
    Fork,
    Narrow,
    Pipeline,
    SlidingWindow,
    Stage,
    Widen,
    WindowUnrolled,
)
from hwbnn.targets.rtl.blocks import library_module
from hwbnn.targets.rtl.verilog import instance, literal, vector
from hwbnn.targets.rtl.wrapped import module_name

CLOCK = {"clk_i": "aclk", "rst_ni": "aresetn"}


class Fifo(NamedTuple):
    """A FIFO that drives a stream.

    Attributes:
        depth: words that it holds.
        instance: its hierarchical name in the top module.
    """

    depth: int
    instance: str


def fifos(circuit: Circuit) -> dict[str, Fifo]:
    """The FIFOs whose depths were chosen for this circuit, by the streams that they drive."""
    fifos_of: dict[str, Fifo] = {}
    for stage in circuit.stages:
        if isinstance(stage, Pipeline):
            fifos_of[stage.name] = Fifo(stage.credits, f"u_{stage.name}_fifo.u_fifo")
        elif isinstance(stage, Fork):
            for i, (name, depth) in enumerate(zip(stage.outputs, stage.depths, strict=True)):
                fifos_of[name] = Fifo(depth, f"u_{stage.name}.gen_branch[{i}].u_fifo")
    return fifos_of


def wires(name: str, stream: TokenStream, handshake: bool) -> str:
    """The declarations of a stream's wires."""
    ready = f"  logic {name}_ready;\n" if handshake else ""
    return f"  logic {name}_valid;\n{ready}  logic {vector(stream.bits)} {name}_data;\n"


def described(what: str, stream: TokenStream) -> str:
    """A comment that stands above a stage and describes the stream that it drives."""
    tokens = "a token" if stream.tokens == 1 else f"{stream.tokens} tokens"
    return f"\n  // ---- {what}: {tokens} of {stream.lanes} x {stream.width} bits a frame ----\n\n"


def input_ports(name: str) -> dict[str, str]:
    """The input ports of an instance, connected to the wires of a stream."""
    return {"valid_i": f"{name}_valid", "ready_o": f"{name}_ready", "data_i": f"{name}_data"}


def output_ports(name: str) -> dict[str, str]:
    """The output ports of an instance, connected to the wires of a stream."""
    return {"valid_o": f"{name}_valid", "ready_i": f"{name}_ready", "data_o": f"{name}_data"}


@singledispatch
def stage_text(stage: Stage, core: str) -> str:
    """The Verilog of a stage: the wires that it drives and its instances.

    Args:
        stage: the stage.
        core: the name of the core, with which the names of generated modules begin.
    """
    raise TypeError(f"no module for {type(stage).__name__}")


@stage_text.register
def _up(stage: Widen, core: str) -> str:
    name, result = stage.name, stage.result
    lines = described("Wider", result) + wires(name, result, handshake=True)
    surplus = stage.ratio * stage.source.bits - result.bits
    out = output_ports(name)
    if surplus:
        lines += f"  logic {vector(surplus)} unused_{name};\n"
        out["data_o"] = f"{{unused_{name}, {name}_data}}"
    parameters = {
        "Width": stage.source.bits,
        "Ratio": stage.ratio,
        "Tokens": stage.tokens,
    }
    ports = {**CLOCK, **input_ports(stage.inputs[0]), **out}
    return lines + "\n" + instance("hwbnn_stream_up", f"u_{name}", parameters, ports)


@stage_text.register
def _down(stage: Narrow, core: str) -> str:
    name, result = stage.name, stage.result
    lines = described("Narrower", result) + wires(name, result, handshake=True)
    missing = stage.ratio * result.bits - stage.source.bits
    taken = input_ports(stage.inputs[0])
    if missing:
        taken["data_i"] = f"{{{missing}'b0, {stage.inputs[0]}_data}}"
    parameters = {"Width": result.bits, "Ratio": stage.ratio, "Tokens": stage.tokens}
    ports = {**CLOCK, **taken, **output_ports(name)}
    return lines + "\n" + instance("hwbnn_stream_down", f"u_{name}", parameters, ports)


@stage_text.register
def _pipeline(stage: Pipeline, core: str) -> str:
    name, before = stage.name, stage.inputs[0]
    lines = described(f"Pipeline of {stage.latency} cycles", stage.result)
    lines += f"  logic {name}_credit;\n"
    valid, data = f"{before}_valid", f"{before}_data"
    if stage.head is None:
        valid = f"{name}_enter"
        lines += f"  logic {valid};\n\n"
        lines += instance(
            "hwbnn_credit_gate",
            f"u_{name}_gate",
            {"Credits": stage.credits, "TokensPerResult": stage.tokens_per_result},
            {
                **CLOCK,
                "valid_i": f"{before}_valid",
                "ready_o": f"{before}_ready",
                "valid_o": valid,
                "credit_i": f"{name}_credit",
            },
        )
    for block in stage.blocks:
        lines += "\n" + block_text(core, block, valid, data, before, f"{name}_credit")
        valid, data = f"{block.name}_valid", f"{block.name}_data"
    lines += "\n" + wires(name, stage.result, handshake=True) + "\n"
    return lines + instance(
        "hwbnn_credit_fifo",
        f"u_{name}_fifo",
        {"Width": stage.result.bits, "Credits": stage.credits},
        {
            **CLOCK,
            "valid_i": valid,
            "data_i": data,
            **output_ports(name),
            "credit_o": f"{name}_credit",
        },
    )


def block_text(
    core: str, block: Block, valid: str, data: str, before: str = "", credit: str = ""
) -> str:
    """The Verilog of a block: the wires that it drives and its instance.

    Args:
        core: the name of the core.
        block: the block.
        valid: the wire that says that a token enters.
        data: the wire with the token.
        before: for a folded product, the stream in front of it.
        credit: for a folded product, the wire that returns credits.
    """
    ports = {
        **CLOCK,
        "valid_i": valid,
        "data_i": data,
        "valid_o": f"{block.name}_valid",
        "data_o": f"{block.name}_data",
    }
    kind, parameters = library_module(block) or (module_name(core, block), {})
    if isinstance(block, DotFolded):
        ports |= {"ready_o": f"{before}_ready", "credit_i": credit}
    driven = wires(block.name, block.result, handshake=False)
    return driven + "\n" + instance(kind, f"u_{block.name}", parameters, ports)


def _geometry(stage: SlidingWindow | WindowUnrolled) -> dict[str, object]:
    """The parameters that both kinds of windows have."""
    at = stage.geometry
    top, _, left, _ = at.padding
    pairs = {"": at.size, "Kernel": at.kernel, "Stride": at.stride, "Out": at.output}
    return {
        **{f"{what}Rows": rows for what, (rows, _) in pairs.items()},
        **{f"{what}Columns": columns for what, (_, columns) in pairs.items()},
        "Top": top,
        "Left": left,
        "Pad": literal(_pad(stage), stage.source.bits),
    }


def _pad(stage: SlidingWindow | WindowUnrolled) -> int:
    """The padding value, repeated in all lanes of a token of the image."""
    width = stage.source.width
    return sum(stage.pad << i * width for i in range(stage.source.lanes))


@stage_text.register
def _window(stage: SlidingWindow, core: str) -> str:
    name, (rows, columns) = stage.name, stage.geometry.kernel
    lines = described(f"Windows of {rows} x {columns}, tap by tap", stage.result)
    lines += wires(name, stage.result, handshake=True) + "\n"
    parameters = {
        "Width": stage.source.bits,
        "Chunks": stage.chunks,
        "Outer": stage.outer,
        "Slots": stage.buffer_tokens,
        "Flag": bool(stage.result.flags),
        **_geometry(stage),
    }
    ports = {**CLOCK, **input_ports(stage.inputs[0]), **output_ports(name)}
    return lines + instance("hwbnn_window", f"u_{name}", parameters, ports)


@stage_text.register
def _window_unrolled(stage: WindowUnrolled, core: str) -> str:
    name, (rows, columns) = stage.name, stage.geometry.kernel
    lines = described(f"Windows of {rows} x {columns}", stage.result)
    lines += wires(name, stage.result, handshake=True) + "\n"
    parameters = {"Width": stage.source.bits, **_geometry(stage)}
    ports = {**CLOCK, **input_ports(stage.inputs[0]), **output_ports(name)}
    return lines + instance("hwbnn_window_unrolled", f"u_{name}", parameters, ports)


@stage_text.register
def _fork(stage: Fork, core: str) -> str:
    streams = stage.outputs
    lines = described(f"Readers of {stage.value}", stage.result)
    lines += "".join(wires(name, stage.result, handshake=True) for name in streams) + "\n"
    depths = ", ".join(f"32'd{depth}" for depth in reversed(stage.depths))
    parameters = {
        "Width": stage.result.bits,
        "Branches": len(streams),
        "Depths": f"{{{depths}}}",
    }
    ends = {
        port: "{" + ", ".join(f"{name}_{wire}" for name in reversed(streams)) + "}"
        for port, wire in (("valid_o", "valid"), ("ready_i", "ready"), ("data_o", "data"))
    }
    ports = {**CLOCK, **input_ports(stage.inputs[0]), **ends}
    return lines + instance("hwbnn_fork", f"u_{stage.name}", parameters, ports)


@stage_text.register
def _join(stage: AddStreams, core: str) -> str:
    name, one, other = stage.name, stage.source, stage.other
    lines = described(f"Sums {name.removeprefix('v_')}", stage.result)
    lines += wires(name, stage.result, handshake=True) + "\n"
    parameters = {
        "Lanes": one.lanes,
        "WidthA": one.width,
        "WidthB": other.width,
        "SignedA": one.signed,
        "SignedB": other.signed,
        "Repeat": stage.repeat,
        "OutWidth": stage.result.width,
    }
    taken = {
        f"{side}_{port}": wire
        for side, stream in zip("ab", stage.inputs, strict=True)
        for port, wire in input_ports(stream).items()
    }
    ports = {**CLOCK, **taken, **output_ports(name)}
    return lines + instance("hwbnn_add", f"u_{name}", parameters, ports)

"""The ports of a core: AXI4-Stream, for each framing the modules behind it, and registers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hwbnn.graph.nodes import MEANINGS
from hwbnn.plan import Circuit, Framing, Plan
from hwbnn.plan.stages import AxisIn, AxisOut
from hwbnn.targets.rtl.stages import CLOCK, described, input_ports, output_ports, wires
from hwbnn.targets.rtl.verilog import instance, vector

SIGNALS = ("tdata", "tkeep", "tvalid", "tready", "tlast")
IN: dict[Framing, str] = {
    "packet": "hwbnn_axis_in",
    "counted": "hwbnn_axis_in_counted",
    "batch": "hwbnn_axis_in_batch",
}
"""The module that receives frames, for each framing."""
OUT: dict[Framing, str] = {
    "packet": "hwbnn_axis_out",
    "counted": "hwbnn_axis_out",
    "batch": "hwbnn_axis_out_batch",
}
"""The module that sends frames, for each framing."""
STREAMS = ("s_axis", "m_axis")
"""The prefixes of the two streams."""
CONTROL = "s_axi_control"
"""The prefix of the AXI4-Lite port of the registers."""
CONTROL_SIGNALS: dict[str, tuple[int | None, bool]] = {
    "awaddr": (12, False),
    "awprot": (3, False),
    "awvalid": (None, False),
    "awready": (None, True),
    "wdata": (32, False),
    "wstrb": (4, False),
    "wvalid": (None, False),
    "wready": (None, True),
    "bresp": (2, True),
    "bvalid": (None, True),
    "bready": (None, False),
    "araddr": (12, False),
    "arprot": (3, False),
    "arvalid": (None, False),
    "arready": (None, True),
    "rdata": (32, True),
    "rresp": (2, True),
    "rvalid": (None, True),
    "rready": (None, False),
}
"""The signals of AXI4-Lite: bits, None for a single wire, and whether the core drives them."""
FRAMINGS: tuple[Framing, ...] = ("packet", "counted", "batch")
"""The framings in the order of their numbers in the register CORE."""
_ENDS = ("frame_valid", "frame_ready", "frame_last")
"""The signals that tell the output whether a frame ends its packet."""


@dataclass(frozen=True)
class Port:
    """One port of the top module.

    Attributes:
        name: its name.
        output: whether the core drives it.
        width: its bits; None for a single wire without a range.
        bus: the prefix of the bus that it belongs to; "" if to none.
    """

    name: str
    output: bool = False
    width: int | None = None
    bus: str = ""

    @property
    def signal(self) -> str:
        """The name without the prefix of its bus, ``"tdata"`` for example."""
        return self.name.removeprefix(f"{self.bus}_") if self.bus else self.name


def ports(plan: Plan) -> tuple[Port, ...]:
    """The ports of the top module: everything that is written about them comes from here."""
    listed: list[Port] = []
    for bus, beat, sends in zip(
        STREAMS, (plan.input_beat, plan.output_beat), (False, True), strict=True
    ):
        widths = {"tdata": beat, "tkeep": beat // 8}
        listed += [
            Port(f"{bus}_{name}", sends != (name == "tready"), widths.get(name), bus)
            for name in SIGNALS
        ]
        listed += [Port(f"{bus}_{name}", sends, bits, bus) for name, bits in plan.tags.items()]
    if plan.control == "axi4lite":
        listed += [
            Port(f"{CONTROL}_{name}", drives, width, CONTROL)
            for name, (width, drives) in CONTROL_SIGNALS.items()
        ]
    return (Port("aclk"), Port("aresetn"), *listed, Port("error_o", output=True))


def buses(plan: Plan) -> tuple[str, ...]:
    """The prefixes of the buses of the top module."""
    return (*STREAMS, CONTROL) if plan.control == "axi4lite" else STREAMS


def stream_ports(plan: Plan) -> tuple[Port, ...]:
    """The ports that every bench drives and reads: those of the registers and tags left out."""
    return tuple(port for port in ports(plan) if port.name not in idle(plan))


def idle(plan: Plan) -> dict[str, str]:
    """The ports of the registers and of tags, connected so that nobody reaches them."""
    listed = [port for port in ports(plan) if port.bus == CONTROL or port.signal in plan.tags]
    return {port.name: "" if port.output else f"{port.width or 1}'b0" for port in listed}


def declared(listed: Iterable[Port]) -> list[str]:
    """The declarations of ports in SystemVerilog, without commas."""
    return [
        f"{'output' if port.output else 'input '} logic "
        + (f"{vector(port.width)} " if port.width is not None else "")
        + port.name
        for port in listed
    ]


def axis_in(stage: AxisIn, framing: Framing, *, tagged: bool = False) -> str:
    """The instance that receives frames, and the wires that it drives.

    Args:
        stage: the input stage.
        framing: how frames are told apart.
        tagged: whether :func:`tags` stands in front of it.
    """
    text = described(f"Input {stage.name.removeprefix('v_')}", stage.result)
    text += wires(stage.name, stage.result, handshake=True)
    ends: dict[str, str] = {}
    if framing == "batch":
        text += "".join(f"  logic {wire};\n" for wire in _ENDS)
        ends = {
            "frame_valid_o": "frame_valid",
            "frame_ready_i": "frame_ready",
            "frame_last_o": "frame_last",
        }
    parameters = {"Beat": stage.beat, "Width": stage.result.bits, "Beats": stage.result.tokens}
    connected = {
        **CLOCK,
        **{f"s_axis_{signal}": f"s_axis_{signal}" for signal in SIGNALS},
        **({"s_axis_tvalid": "tagged_valid", "s_axis_tready": "tagged_ready"} if tagged else {}),
        **output_ports(stage.name),
        **ends,
        "error_o": "error_o",
    }
    return text + "\n" + instance(IN[framing], "u_axis_in", parameters, connected)


def axis_out(stage: AxisOut, framing: Framing, frames: int) -> str:
    """The instance that sends frames.

    Args:
        stage: the output stage.
        framing: how frames are told apart.
        frames: the most frames that the core can hold; used by the framing ``batch`` alone.
    """
    stream = stage.source
    parameters = {
        "Beat": stage.beat,
        "Width": stream.bits,
        "LastUsed": stream.last_lanes * stream.width,
        "Beats": stream.tokens,
    }
    ends: dict[str, str] = {}
    if framing == "batch":
        parameters["Frames"] = frames
        ends = {
            "frame_valid_i": "frame_valid",
            "frame_ready_o": "frame_ready",
            "frame_last_i": "frame_last",
        }
    connected = {
        **CLOCK,
        **ends,
        **input_ports(stage.inputs[0]),
        **{f"m_axis_{signal}": f"m_axis_{signal}" for signal in SIGNALS},
    }
    return described("Output", stream) + instance(OUT[framing], "u_axis_out", parameters, connected)


def tags(circuit: Circuit, frames: int) -> str:
    """The instance that passes tags of frames by; empty if the Plan has none.

    Args:
        circuit: the circuit.
        frames: the most frames that the core can hold.
    """
    plan = circuit.plan
    if not plan.tags:
        return ""
    first, last = circuit.stages[0], circuit.stages[-1]
    parameters = {
        "Width": sum(plan.tags.values()),
        "Counted": plan.framing != "packet",
        "Packets": plan.framing != "counted",
        "Beats": first.source.tokens,
        "OutBeats": last.source.tokens,
        "Frames": frames + 2,  # one of which only a part is inside, and one that leaves
    }
    handshake = ("s_axis_tvalid", "s_axis_tready", "s_axis_tlast", "m_axis_tvalid", "m_axis_tready")
    connected = {
        **CLOCK,
        **{name: name for name in handshake},
        "tag_i": "{" + ", ".join(f"s_axis_{name}" for name in plan.tags) + "}",
        "valid_o": "tagged_valid",
        "ready_i": "tagged_ready",
        "tag_o": "{" + ", ".join(f"m_axis_{name}" for name in plan.tags) + "}",
    }
    text = "\n  // ---- Tags of frames ----\n\n  logic tagged_valid, tagged_ready;\n\n"
    return text + instance("hwbnn_axis_tags", "u_tags", parameters, connected)


def control(circuit: Circuit, build: str) -> str:
    """The instance of the control block; empty if the Plan has none."""
    plan = circuit.plan
    if plan.control == "none":
        return ""
    parameters = {
        "Build": f"64'h{build}",
        "Framing": f"4'd{FRAMINGS.index(plan.framing)}",
        "Result": f"4'd{1 + MEANINGS.index(circuit.graph.meaning)}",
        "Beats": circuit.stages[-1].source.tokens,
    }
    watched = ("s_axis_tvalid", "s_axis_tready", "m_axis_tvalid", "m_axis_tready", "m_axis_tlast")
    registers = [port.name for port in ports(plan) if port.bus == CONTROL]
    connected = {**CLOCK, **{name: name for name in (*watched, *registers)}, "error_i": "error_o"}
    return "\n  // ---- Control ----\n\n" + instance(
        "hwbnn_control", "u_control", parameters, connected
    )

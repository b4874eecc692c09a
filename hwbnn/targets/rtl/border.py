"""The AXI4-Stream ports of a core, and for each framing the modules behind them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hwbnn.plan import Framing
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
_ENDS = ("frame_valid", "frame_ready", "frame_last")
"""The signals that tell the output whether a frame ends its packet."""


@dataclass(frozen=True)
class Port:
    """One port of the top module.

    Attributes:
        name: its name.
        output: whether the core drives it.
        width: its bits; None for a single wire without a range.
        bus: the prefix of the AXI4-Stream that it belongs to; "" if to none.
    """

    name: str
    output: bool = False
    width: int | None = None
    bus: str = ""

    @property
    def signal(self) -> str:
        """The name without the prefix of its stream, ``"tdata"`` for example."""
        return self.name.removeprefix(f"{self.bus}_") if self.bus else self.name


def ports(input_beat: int, output_beat: int) -> tuple[Port, ...]:
    """The ports of the top module: everything that is written about them comes from here."""
    streams: list[Port] = []
    for bus, beat, sends in (("s_axis", input_beat, False), ("m_axis", output_beat, True)):
        widths = {"tdata": beat, "tkeep": beat // 8}
        streams += [
            Port(f"{bus}_{name}", sends != (name == "tready"), widths.get(name), bus)
            for name in SIGNALS
        ]
    return (Port("aclk"), Port("aresetn"), *streams, Port("error_o", output=True))


def declared(listed: Iterable[Port]) -> list[str]:
    """The declarations of ports in SystemVerilog, without commas."""
    return [
        f"{'output' if port.output else 'input '} logic "
        + (f"{vector(port.width)} " if port.width is not None else "")
        + port.name
        for port in listed
    ]


def axis_in(stage: AxisIn, framing: Framing) -> str:
    """The instance that receives frames, and the wires that it drives."""
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

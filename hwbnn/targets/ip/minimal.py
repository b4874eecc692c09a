"""The minimal port of a core: valid and data in, valid and data out, and nothing that can wait.

For triggers, where every cycle may bring a frame and the latency must be a constant. The module has
the blocks of the core's pipelines, without the borders, gates and FIFOs between them.
"""

from __future__ import annotations

from hwbnn.plan import Circuit
from hwbnn.targets.ip.templates import filled
from hwbnn.targets.ip.vectors import Vectors
from hwbnn.targets.rtl import Design, netlists
from hwbnn.targets.rtl.stages import block_text
from hwbnn.targets.rtl.top import top_name
from hwbnn.targets.rtl.verilog import HEADER, vector

FOLDER = "minimal"


def minimal_name(core: str) -> str:
    """The module with the minimal port of a core."""
    return f"{core}_minimal"


def latency(circuit: Circuit) -> int:
    """Cycles from a frame to its result, always."""
    return sum(pipeline.latency for pipeline in circuit.pipelines)


def files(vectors: Vectors) -> dict[str, bytes]:
    """The module, its bench and how to run it, by path; empty if the Plan has no such port."""
    design = vectors.design
    if design.circuit.plan.port != "minimal":
        return {}
    name = minimal_name(design.name)
    names = {"core": name, "build": design.build}
    circuit = design.circuit
    bench = filled(
        "minimal_tb.sv",
        **names,
        in_bits=circuit.stages[0].result.bits,
        out_bits=circuit.stages[-1].source.bits,
        in_beat=vectors.input.bits,
        out_beat=vectors.output.bits,
        keep=(vectors.output.bytes + 3) // 4 * 4,
        samples=len(vectors.samples),
        sent=len(vectors.sent[0]),
        received=len(vectors.frames),
        latency=latency(circuit),
    )
    models = [f"../sim/{netlists.MODELS}.sv"] if netlists.models(circuit) else []
    listed = [m for m in design.modules if m != top_name(design.name)]
    sources = [*models, *(f"../rtl/{module}.sv" for module in listed), f"{name}.sv"]
    return {
        f"{FOLDER}/{name}.sv": text(design).encode(),
        f"{FOLDER}/{name}_tb.sv": bench.encode(),
        f"{FOLDER}/sources.f": "".join(f"{source}\n" for source in sources).encode(),
        f"{FOLDER}/Makefile": filled("minimal.mk", **names).encode(),
    }


def text(design: Design) -> str:
    """The module with the minimal port."""
    circuit, name = design.circuit, minimal_name(design.name)
    valid, data, body = "valid_i", "data_i", ""
    for pipeline in circuit.pipelines:
        for block in pipeline.blocks:
            body += "\n" + block_text(design.name, block, valid, data)
            valid, data = f"{block.name}_valid", f"{block.name}_data"
    return f"""{HEADER}
// Build {design.build}.
// The core without streams: a frame may come in every cycle, and nothing waits.
// The result of a frame stands at data_o {latency(circuit)} cycles behind it.
// The elements are in the order of core.json, without unused bits. Reset is synchronous and active
// low; it drops the frames inside.

module {name} (
  input  logic aclk,
  input  logic aresetn,
  input  logic valid_i,
  input  logic {vector(circuit.stages[0].result.bits)} data_i,
  output logic valid_o,
  output logic {vector(circuit.stages[-1].source.bits)} data_o
);
{body}
  assign valid_o = {valid};
  assign data_o = {data};
endmodule
"""

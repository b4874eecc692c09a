"""Whether each design computes what its layers do, on the same sample of inputs.

Text goes through Icarus Verilog as synthesis reads it. Large netlists of ours, for which Icarus
takes minutes, are evaluated instead: that their text is the netlist is what tests hold.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.circuits.contenders import Design
from benchmarks.circuits.layers import Layer, outputs, vectors
from hwbnn import tools
from hwbnn.errors import Mismatch
from hwbnn.netlists import evaluate
from hwbnn.targets.rtl.netlists import primitives

FRAMES = 96
LARGE = 4000
"""LUTs of a netlist above which it is evaluated."""


def check(design: Design, layers: list[Layer], name: str, timeout: float | None = None) -> int:
    """Compute what a design gives, and compare all of it.

    Returns:
        The number of values that were compared.

    Raises:
        Mismatch: naming the first output that differs.
        ToolFailed: if Icarus refuses the design or takes too long.
    """
    x = vectors(layers[0], FRAMES)
    large = sum(made.luts for made in design.netlists) > LARGE
    bits = evaluated(design, x) if large else simulated(design, x, timeout)
    found = design.values(bits, layers[-1].weights.shape[1])
    expected = outputs(layers, x)
    if not np.array_equal(found, expected):
        frame, neuron = np.argwhere(found != expected)[0]
        raise Mismatch(
            f"{name}: frame {frame}, neuron {neuron}: expected {expected[frame, neuron]}, "
            f"found {found[frame, neuron]}"
        )
    return found.size


def evaluated(design: Design, x: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The output bits of netlists behind each other."""
    for made in design.netlists:
        x = evaluate(made, x)
    return x


def simulated(
    design: Design, x: NDArray[np.bool_], timeout: float | None = None
) -> NDArray[np.bool_]:
    """The output bits of a design, whose registers are at its border alone."""
    compiler = tools.require("iverilog")
    width = sum(output.width for output in design.outputs)
    with tempfile.TemporaryDirectory(prefix="hwbnn-circuits-") as scratch:
        folder = Path(scratch)
        texts = {**design.files, "primitives.sv": primitives(("xc7", "xcup")).encode()}
        for file, body in texts.items():
            (folder / file).write_bytes(body)
        rows = ("".join("01"[int(bit)] for bit in frame[::-1]) for frame in x)
        (folder / "x.txt").write_text("\n".join(rows) + "\n")
        (folder / "bench.sv").write_text(_bench(x.shape[1], width, len(x)))
        command = [*compiler.command, "-g2012", "-o", "bench", *texts, "bench.sv"]
        tools.run(command, cwd=folder, timeout=timeout)
        lines: list[str] = []
        # What Icarus compiles is a program of its simulator.
        tools.run([folder / "bench"], cwd=folder, on_line=lines.append, timeout=timeout)
    said = [line for line in lines if len(line) == width]
    if len(said) != len(x) or set("".join(said)) - {"0", "1"}:
        raise Mismatch(f"simulation: {' '.join(lines)[:100]!r} instead of {len(x)} outputs")
    return np.array([[digit == "1" for digit in line[::-1]] for line in said], np.bool_)


def _bench(inputs: int, outs: int, frames: int) -> str:
    return f"""`timescale 1ns/1ps
module bench;
  reg clk = 0;
  reg [{inputs - 1}:0] x, frames [0:{frames - 1}];
  wire [{outs - 1}:0] y;
  integer i;
  top u_top(.clk(clk), .x(x), .y(y));
  initial begin
    $readmemb("x.txt", frames);
    for (i = 0; i < {frames}; i = i + 1) begin
      x = frames[i];
      repeat (2) begin #1 clk = 1; #1 clk = 0; end
      $display("%b", y);
    end
  end
endmodule
"""

"""The text of netlists, read by yosys with its own models of the primitives, proved by SAT.

Nothing of ours is between the text and the proof: neither what tables and chains are said to add,
nor the models that simulation takes.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from hwbnn.netlists import sums, system_verilog, thresholds
from hwbnn.netlists.cells import stacks
from hwbnn.netlists.pipelining import pipelining
from hwbnn.tools import yosys_child

pytestmark = pytest.mark.hardware

PASSES = [
    "read_verilog -sv +/xilinx/cells_sim.v",
    "read_verilog -sv netlist.sv",
    "hierarchy -check -top netlist",
    "proc",
    "flatten",
    "read_verilog -sv counted.sv",
    "miter -equiv -flatten -make_assert counted netlist both",
    "sat -verify -prove-asserts -show-inputs both",
]


def counted(weights, wanted, scale_offset=None):
    """A sum and a comparison for each neuron, as a module of operators."""
    neurons, inputs = weights.shape
    width = inputs.bit_length()
    body = f"  wire [{width - 1}:0] total = {count(np.ones(inputs), width)};\n"
    for k, row in enumerate(weights):
        body += f"  wire [{width - 1}:0] s{k} = {count(row, width)};\n"
    values = [f"s{k}" if wanted is None else f"(s{k} >= {wanted[k]})" for k in range(neurons)]
    if scale_offset is not None:
        signed = ("$signed({8'b0, s%d})", "$signed({8'b0, total})")
        values = [
            f"({scale} * {signed[0] % k} + {offset} * {signed[1]} >= {least})"
            for k, (scale, offset, least) in enumerate(zip(*scale_offset, wanted, strict=True))
        ]
    bits = neurons * (width if wanted is None else 1)
    return (
        f"module counted (input [{inputs - 1}:0] x_i, output [{bits - 1}:0] y_o);\n"
        f"{body}  assign y_o = {{{', '.join(reversed(values))}}};\nendmodule\n"
    )


def count(row, width):
    ones = (f"{{{width - 1}'b0, {'' if one else '~'}x_i[{i}]}}" for i, one in enumerate(row))
    return " + ".join(ones)


def proved(folder, netlist, plain):
    """Whether yosys proves that both texts compute the same."""
    (folder / "netlist.sv").write_text(netlist)
    (folder / "counted.sv").write_text(plain)
    (folder / "job.json").write_text(json.dumps(PASSES))
    command = [sys.executable, "-P", yosys_child.__file__, "job.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert "Solving problem with" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
    return done.returncode == 0 and "proof finished - no model found: SUCCESS" in done.stdout


@pytest.mark.parametrize("form", ["xc7", "xcup", "portable"])
@pytest.mark.parametrize("compares", [True, False])
def test_small_layers_are_proved(tmp_path, form, compares):
    rng = np.random.default_rng(7)
    weights = rng.integers(0, 2, (4, 12)).astype(np.bool_)
    wanted = np.array([4, 6, 7, 9]) if compares else None
    # Neurons by themselves have chains side by side, which share carry cells.
    made = (
        sums(weights, cluster_size=1)
        if wanted is None
        else thresholds(weights, wanted, cluster_size=1)
    )
    assert form == "portable" or any(
        len(run.chains) > 1 for run in stacks(made, pipelining(made, None), 4)
    )
    text = system_verilog(made, "netlist", form)
    assert proved(tmp_path, text, counted(weights, wanted))


def test_scales_and_offsets_are_proved(tmp_path):
    rng = np.random.default_rng(9)
    weights = rng.integers(0, 2, (3, 12)).astype(np.bool_)
    factors = np.array([8, 4, 3]), np.array([-3, 5, -1])
    wanted = np.array([20, 40, 8])
    text = system_verilog(thresholds(weights, wanted, scale_offset=factors), "netlist", "xc7")
    assert proved(tmp_path, text, counted(weights, wanted, factors))
    assert not proved(tmp_path, text, counted(weights, wanted + np.eye(3, dtype=int)[1], factors))


def test_a_broken_table_is_found(tmp_path):
    weights = np.random.default_rng(8).integers(0, 2, (2, 12)).astype(np.bool_)
    wanted = np.array([5, 7])
    text = system_verilog(thresholds(weights, wanted), "netlist", "xc7")
    at = text.index("LUT6_2 #(.INIT(64'h") + len("LUT6_2 #(.INIT(64'h")
    digits = text[at : text.index(")", at)]
    # With the sixth input tied to 1, a table of five has an output in either half.
    broken = f"{int(digits, 16) ^ (1 << 35 | 1 << 3):x}"
    assert proved(tmp_path, text, counted(weights, wanted))
    text = text[:at] + broken + text[at + len(digits) :]
    assert not proved(tmp_path, text, counted(weights, wanted))

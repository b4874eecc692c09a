"""Designs of the same layers: ours, a plain loop, and what alkaid and da4ml make of them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.circuits.layers import Layer
from hwbnn.errors import ToolFailed
from hwbnn.graph.arrays import Ints
from hwbnn.netlists import (
    Netlist,
    NetlistForm,
    prove_sums,
    prove_thresholds,
    sums,
    system_verilog,
    thresholds,
)


@dataclass(frozen=True)
class Output:
    """How an output is coded: popcounts plain, scores of +-1 in two's complement."""

    width: int
    signed: bool = False
    step: int = 1
    score: bool = False


@dataclass(frozen=True)
class Design:
    """The files of a module ``top``, its outputs, and what making it took.

    Attributes:
        files: SystemVerilog by name, in reading order.
        outputs: the first in the lowest bits.
        figures: what else there is to know.
        netlists: what the files were written from, layer by layer, if they were.
    """

    files: dict[str, bytes]
    outputs: tuple[Output, ...]
    figures: dict[str, Any] = field(default_factory=dict)
    netlists: tuple[Netlist, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the files, its first digits."""
        text = b"".join(name.encode() + body for name, body in self.files.items())
        return hashlib.sha256(text).hexdigest()[:16]

    def values(self, bits: NDArray[np.bool_], inputs: int) -> Ints:
        """Outputs ``(frames, neurons)`` as popcounts or bits, from what the module gave."""
        made = np.zeros((len(bits), len(self.outputs)), np.int64)
        at = 0
        for i, output in enumerate(self.outputs):
            own = bits[:, at : at + output.width].astype(np.int64)
            at += output.width
            number = (own << np.arange(output.width)).sum(axis=1)
            if output.signed:
                number -= own[:, -1] << output.width
            number *= output.step
            made[:, i] = (number + inputs) // 2 if output.score else number
        return made


def netlist(layer: Layer) -> Netlist:
    """A layer's netlist, proved."""
    if layer.wanted is None:
        made = sums(layer.weights)
        prove_sums(made, layer.weights)
    else:
        code: Any = {"width": layer.bits, "scale_offset": layer.scale_offset}
        made = thresholds(layer.weights, layer.wanted, **code)
        prove_thresholds(made, layer.weights, layer.wanted, **code)
    return made


def hwbnn(layers: list[Layer], form: NetlistForm, levels: int | None = None) -> Design:
    """Our netlists, with registers after so many levels, if any."""
    begun = time.process_time()
    netlists = [netlist(layer) for layer in layers]
    figures = {
        "netlist_seconds": round(time.process_time() - begun, 1),
        "netlist_luts": sum(made.luts for made in netlists),
        "levels": [max(made.logic_depths()) for made in netlists],
    }
    texts = {
        f"layer{i}.sv": system_verilog(made, f"layer{i}", form, per_register=levels).encode()
        for i, made in enumerate(netlists)
    }
    files = {**texts, "top.sv": top(layers, clocked=bool(levels))}
    return Design(files, counts(layers), figures, tuple(netlists))


def plain(layers: list[Layer]) -> Design:
    """A module for each neuron, which counts in a loop and compares, left to synthesis."""
    texts = {}
    for i, layer in enumerate(layers):
        inputs = layer.weights.shape[1]
        body = ""
        for k, row in enumerate(layer.weights):
            ones = "".join("01"[int(one)] for one in row[::-1])
            least = "" if layer.wanted is None else f", .LEAST({max(0, layer.wanted[k])})"
            body += (
                f"  layer{i}_neuron #(.WEIGHTS({inputs}'b{ones}){least}) u_neuron{k} "
                f"(.x_i(x_i), .y_o(y_o[{k * layer.width} +: {layer.width}]));\n"
            )
        text = _neuron(f"layer{i}_neuron", layer) + _module(f"layer{i}", layer, body)
        texts[f"layer{i}.sv"] = text.encode()
    return Design({**texts, "top.sv": top(layers)}, counts(layers))


def _neuron(name: str, layer: Layer) -> str:
    """A neuron as plain RTL.

    One expression of all terms comes to nearly the same: 2,917, 26,049 and 101,286 LUTs for random
    64x32, 256x64 and 256x256, against 2,912, 26,043 and 101,474 as here; a loop over inputs that
    were inverted before takes 2,968 for the first. In a module of its own yosys reads neurons in
    linear time. It is a function because Icarus takes an expression's selections one by one, and
    may evaluate an ``always_comb`` that reads what it sets for ever.
    """
    inputs = layer.weights.shape[1]
    width = inputs.bit_length()
    wide = f"{width - 1}'b0, " if width > 1 else ""
    value = "popcount(x_i)" if layer.wanted is None else "popcount(x_i) >= LEAST"
    return f"""module {name} #(
  parameter logic [{inputs - 1}:0] WEIGHTS = '0, parameter int LEAST = 0
)(input logic [{inputs - 1}:0] x_i, output logic [{layer.width - 1}:0] y_o);
  function automatic logic [{width - 1}:0] popcount(input logic [{inputs - 1}:0] x);
    popcount = '0;
    for (int j = 0; j < {inputs}; j++)
      popcount = popcount + {{{wide}x[j] ~^ WEIGHTS[j]}};
  endfunction
  assign y_o = {value};
endmodule

"""


def peer(layers: list[Layer], package: str, python: str, limit: float) -> Design:
    """Adder graphs with common subexpressions, by alkaid or da4ml.

    Args:
        layers: as elsewhere.
        package: ``alkaid`` or ``da4ml``.
        python: of an environment where it is installed.
        limit: seconds of the processor.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        arrays: dict[str, NDArray[Any]] = {}
        for i, layer in enumerate(layers):
            arrays[f"w{i}"] = layer.weights.astype(np.int8) * 2 - 1
            if layer.wanted is not None:
                arrays[f"t{i}"] = 2 * layer.wanted - layer.weights.shape[1]
        np.savez(folder / "layers.npz", **arrays)  # type: ignore[arg-type]
        script = Path(__file__).with_name("peer.py")
        words = [python, str(script), package, str(folder / "layers.npz"), str(folder / "out")]
        before = spent()
        with limited(limit):
            done = subprocess.run(words, capture_output=True, text=True)
        seconds = round(spent() - before, 1)
        if done.returncode == -signal.SIGXCPU:
            raise ToolFailed(f"generating {not_done(seconds)}")
        if done.returncode:
            lines = done.stderr.splitlines() or [f"status {done.returncode} after {seconds:g} s"]
            raise ToolFailed(f"{package}: generates nothing: {lines[-1][:100]}")
        told = json.loads(done.stdout)
        files = {
            name.replace("/", "_"): (folder / "out" / name).read_bytes() for name in told["files"]
        }
    outs = tuple(
        Output(sign + high + low, bool(sign), 1 << max(0, -low), layers[-1].wanted is None)
        for sign, high, low in told["outputs"]
    )
    width = sum(output.width for output in outs)
    count = layers[0].weights.shape[1]
    body = f"""module top(input logic clk, input logic [{count - 1}:0] x,
  output logic [{width - 1}:0] y);
  logic [{count - 1}:0] x_q;
  logic [{width - 1}:0] y_d;
  core u_core (.model_inp(x_q), .model_out(y_d));
  always_ff @(posedge clk) begin x_q <= x; y <= y_d; end
endmodule
"""
    about = ("version", "decomposed", "estimate")
    figures = {k: told[k] for k in about if k in told} | {"netlist_seconds": seconds}
    return Design({**_needed(files), "top.sv": body.encode()}, outs, figures)


def _needed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Those files whose modules ``core`` needs: not every tool reads the others."""
    homes = {m: name for name in files for m in re.findall(rb"^module (\w+)", files[name], re.M)}
    needed, waiting = set(), [homes[b"core"]]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += {homes[word] for word in re.findall(rb"\w+", files[name]) if word in homes}
    return {name: body for name, body in files.items() if name in needed}


def counts(layers: list[Layer]) -> tuple[Output, ...]:
    """Plain popcounts or bits."""
    return (Output(layers[-1].width),) * len(layers[-1].weights)


def _module(name: str, layer: Layer, body: str) -> str:
    count, out = layer.weights.shape[1], len(layer.weights) * layer.width
    ports = f"input logic [{count - 1}:0] x_i, output logic [{out - 1}:0] y_o"
    return f"module {name}({ports});\n{body}endmodule\n"


def top(layers: list[Layer], *, clocked: bool = False) -> bytes:
    """The top module around ``layer0``, ``layer1``, ...; those have a clock if ``clocked``."""
    count, out = layers[0].weights.shape[1], len(layers[-1].weights) * layers[-1].width
    body, value = "", "x_q"
    clock = ".clk_i(clk), " if clocked else ""
    for i, layer in enumerate(layers):
        body += f"  logic [{len(layer.weights) * layer.width - 1}:0] v{i};\n"
        body += f"  layer{i} u_layer{i} ({clock}.x_i({value}), .y_o(v{i}));\n"
        value = f"v{i}"
    return f"""module top(input logic clk, input logic [{count - 1}:0] x,
  output logic [{out - 1}:0] y);
  logic [{count - 1}:0] x_q;
{body}  always_ff @(posedge clk) begin x_q <= x; y <= {value}; end
endmodule
""".encode()


def spent() -> float:
    """Seconds of the processor that ended children of this process took."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def not_done(seconds: float) -> str:
    """What is said of a child that :func:`limited` has ended."""
    return f"not done in {seconds:,.0f} s of the processor"


@contextlib.contextmanager
def limited(seconds: float, gibibytes: float = 0.0) -> Iterator[None]:
    """Children started meanwhile may take so long on the processor, each, and so much memory."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    # Limits are inherited: what this process has taken comes on top.
    most = {resource.RLIMIT_CPU: int(own.ru_utime + own.ru_stime + seconds) + 1}
    if gibibytes:
        most[resource.RLIMIT_AS] = int(gibibytes * (1 << 30))
    before = {kind: resource.getrlimit(kind) for kind in most}
    for kind, value in most.items():
        resource.setrlimit(kind, (value, before[kind][1]))
    try:
        yield
    finally:
        for kind, given in before.items():
            resource.setrlimit(kind, given)


Maker = Callable[[list[Layer]], Design]


def makers(python: str, limit: float) -> dict[str, tuple[Maker, str]]:
    """Contenders by name: what makes their designs, and for which family; peers where they are."""
    made: dict[str, tuple[Maker, str]] = {
        "hwbnn": (partial(hwbnn, form="xc7"), "xc7"),
        "plain": (plain, "xc7"),
    }
    if python:
        for name in ("alkaid", "da4ml"):
            made[name] = (partial(peer, package=name, python=python, limit=limit), "xc7")
    made["hwbnn, UltraScale+"] = (partial(hwbnn, form="xcup"), "xcup")
    return made

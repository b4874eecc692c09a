"""Unrolled binary layers side by side: ours, plain RTL, and those of other generators.

    python -m benchmarks.circuits measure [--alkaid PYTHON] [--limit S] [NAME/CONTENDER ...]
    python -m benchmarks.circuits images [NAME ...]
    python -m benchmarks.circuits report

`measure` synthesises what `results/circuits.json` does not have yet, all of it through the same
yosys, with registers at inputs and outputs and none between. `--alkaid` names the Python of an
environment where alkaid is installed. `images` computes all test images of MNIST by the netlists
of trained networks and compares what comes out with the simulator. `report` writes
`results/circuits.md`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe
from hwbnn.circuits import (
    Netlist,
    evaluate,
    latency,
    prove_sums,
    prove_thresholds,
    sums,
    system_verilog,
    thresholds,
)
from hwbnn.errors import HwbnnError
from hwbnn.graph import Dot, Threshold, load
from hwbnn.plan import constants
from hwbnn.simulate import simulate
from hwbnn.tools.yosys import synth
from hwbnn.train.data import dataset

RESULTS = Path(__file__).parent / "results"
MODELS = Path(__file__).parent.parent / "models"
CONTENDERS = ("hwbnn", "plain", "alkaid")


@dataclass(frozen=True)
class Layer:
    """Weights, and the least popcounts of a 1; without those it gives the popcounts."""

    weights: NDArray[np.bool_]
    wanted: NDArray[np.int64] | None

    @property
    def width(self) -> int:
        """Bits of an output."""
        return 1 if self.wanted is not None else self.weights.shape[1].bit_length()


def cases() -> dict[str, list[Layer]]:
    """The layers, or networks, by name."""
    made = {f"{n}x{m}": [_random(n, m)] for n, m in ((64, 32), (256, 64), (256, 256), (784, 256))}
    made["64-32-10"] = [_random(64, 32), Layer(_random(32, 10).weights, None)]
    return made | {name: list(_trained(name)) for name in ("tfc", "sfc")}


def _random(inputs: int, neurons: int) -> Layer:
    weights = np.random.default_rng(0).integers(0, 2, (neurons, inputs)).astype(np.bool_)
    return Layer(weights, inputs // 2 + np.arange(neurons) % 5 - 2)


def _trained(name: str) -> Iterator[Layer]:
    graph = load(MODELS / name / "graph.npz")
    for dot in graph.of_type(Dot):
        behind = graph.readers(dot.name)[0]
        if isinstance(behind, Threshold):
            cuts = constants.Cuts.of(behind)
            raw, wanted = constants.fused(dot.weights, cuts, graph.types[dot.source])
            yield Layer(raw.weights, wanted[0, :, 0] + 1)
        else:
            yield Layer(dot.weights, None)


def netlist(layer: Layer) -> Netlist:
    """A layer's netlist, proved."""
    if layer.wanted is None:
        made = sums(layer.weights)
        prove_sums(made, layer.weights)
    else:
        made = thresholds(layer.weights, layer.wanted)
        prove_thresholds(made, layer.weights, layer.wanted)
    return made


def hwbnn(layers: list[Layer]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Our netlists; what making them took."""
    begun = time.process_time()
    netlists = [netlist(layer) for layer in layers]
    figures = {
        "netlist_seconds": round(time.process_time() - begun, 1),
        "netlist_luts": sum(made.luts for made in netlists),
        "levels": sum(max(made.levels()) for made in netlists),
    }
    texts = {
        f"layer{i}.sv": system_verilog(made, f"layer{i}", "xc7").encode()
        for i, made in enumerate(netlists)
    }
    return {**texts, "top.sv": _top(layers).encode()}, figures


def plain(layers: list[Layer]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """A loop over the inputs of each neuron, as one writes it."""
    texts = {}
    for i, layer in enumerate(layers):
        count, width = layer.weights.shape[1], layer.weights.shape[1].bit_length()
        body = ""
        for k, row in enumerate(layer.weights):
            bits = "".join("01"[int(bit)] for bit in row[::-1])
            body += f"  logic [{width - 1}:0] s{k};\n  always_comb begin\n    s{k} = 0;\n"
            body += f"    for (int i = 0; i < {count}; i++) s{k} = s{k} + (x_i[i] ~^ w{k}[i]);\n"
            body += f"  end\n  localparam logic [{count - 1}:0] w{k} = {count}'b{bits};\n"
            value = f"s{k}" if layer.wanted is None else f"s{k} >= {layer.wanted[k]}"
            body += f"  assign y_o[{k * layer.width} +: {layer.width}] = {value};\n"
        texts[f"layer{i}.sv"] = _module(f"layer{i}", layer, body).encode()
    return {**texts, "top.sv": _top(layers).encode()}, {}


def alkaid(layers: list[Layer], python: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Adder graphs with common subexpressions."""
    with tempfile.TemporaryDirectory() as scratch:
        arrays: dict[str, NDArray[Any]] = {}
        for i, layer in enumerate(layers):
            arrays[f"w{i}"] = layer.weights.astype(np.int8) * 2 - 1
            if layer.wanted is not None:
                arrays[f"t{i}"] = 2 * layer.wanted - layer.weights.shape[1]
        np.savez(Path(scratch) / "layers.npz", **arrays)  # type: ignore[arg-type]
        script = Path(__file__).with_name("circuits_alkaid.py")
        before = _children()
        done = subprocess.run(
            [python, script, Path(scratch) / "layers.npz", Path(scratch) / "out"],
            check=True,
            capture_output=True,
            text=True,
        )
        paths = [Path(line) for line in done.stdout.splitlines()]
        texts = {path.name: path.read_bytes() for path in paths if "wrapper" not in path.name}
        seconds = round(_children() - before, 1)
        version = subprocess.run(
            [python, "-c", "import alkaid; print(alkaid.__version__)"],
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
    out = _width(texts["core.v"].decode())
    body = f"""module top(input logic clk, input logic [{layers[0].weights.shape[1] - 1}:0] x,
  output logic [{out - 1}:0] y);
  logic [{layers[0].weights.shape[1] - 1}:0] x_q;
  logic [{out - 1}:0] y_d;
  core u_core (.model_inp(x_q), .model_out(y_d));
  always_ff @(posedge clk) begin x_q <= x; y <= y_d; end
endmodule
"""
    figures = {"netlist_seconds": seconds, "version": f"alkaid {version}"}
    return {**texts, "top.sv": body.encode()}, figures


def _width(text: str) -> int:
    return int(text.split("output wire [")[1].split(":")[0]) + 1


def _module(name: str, layer: Layer, body: str) -> str:
    count, out = layer.weights.shape[1], len(layer.weights) * layer.width
    ports = f"input logic [{count - 1}:0] x_i, output logic [{out - 1}:0] y_o"
    return f"module {name}({ports});\n{body}endmodule\n"


def _top(layers: list[Layer]) -> str:
    count, out = layers[0].weights.shape[1], len(layers[-1].weights) * layers[-1].width
    body, value = "", "x_q"
    for i, layer in enumerate(layers):
        body += f"  logic [{len(layer.weights) * layer.width - 1}:0] v{i};\n"
        body += f"  layer{i} u_layer{i} (.x_i({value}), .y_o(v{i}));\n"
        value = f"v{i}"
    return f"""module top(input logic clk, input logic [{count - 1}:0] x,
  output logic [{out - 1}:0] y);
  logic [{count - 1}:0] x_q;
{body}  always_ff @(posedge clk) begin x_q <= x; y <= {value}; end
endmodule
"""


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measured(layers: list[Layer], contender: str, python: str, limit: float) -> dict[str, Any]:
    """One synthesis."""
    makers = {"hwbnn": hwbnn, "plain": plain, "alkaid": lambda ls: alkaid(ls, python)}
    texts, figures = makers[contender](layers)
    synapses = sum(layer.weights.size for layer in layers)
    before = _children()
    try:
        made = synth(texts, "top", timeout=limit)
    except HwbnnError as error:
        return {**figures, "synapses": synapses, "failed": str(error).split(";")[0][:120]}
    found = made.resources
    return {
        **figures,
        "synapses": synapses,
        "lut": found.lut,
        "lut_paired": found.lut_paired,
        "carry4": found.carry,
        "ff": found.ff,
        # A CARRY4 takes a slice, whose four LUTs any logic may use.
        "slices": max(found.carry, -(-(found.lut_paired or 0) // 4)),
        "logic_ns": made.logic_ns,
        "synth_cpu_seconds": round(_children() - before, 1),
        "peak_mib": made.peak_bytes >> 20,
        "tool": made.tool,
    }


def measure(names: list[str], python: str, limit: float) -> None:
    """Measure what there is not, or what is named."""
    path = RESULTS / "circuits.json"
    kept = json.loads(path.read_text()) if path.is_file() else {"measured": {}}
    for name, layers in cases().items():
        for contender in CONTENDERS:
            key = f"{name}/{contender}"
            if (contender == "alkaid" and not python) or (names and key not in names):
                continue
            if not names and key in kept["measured"]:
                continue
            print(key, flush=True)
            kept["measured"][key] = measured(layers, contender, python, limit)
            kept["machine"] = describe()
            path.write_text(json.dumps(kept, indent=1) + "\n")


def images(names: list[str]) -> None:
    """Compute all test images of MNIST by netlists, which are proved besides."""
    path = RESULTS / "circuits_images.json"
    for name in names or ["tfc", "sfc"]:
        begun = time.process_time()
        graph = load(MODELS / name / "graph.npz")
        data = dataset("mnist")
        x = data.test_images.reshape(len(data.test_images), -1) >= 128
        expected = simulate(graph, x).ravel()
        layers, netlists = list(_trained(name)), []
        for layer in layers:
            netlists.append(netlist(layer))
            x = evaluate(netlists[-1], x)
        scores = x.reshape(len(x), len(layers[-1].weights), -1)
        found = (scores << np.arange(scores.shape[2])).sum(axis=2).argmax(axis=1)
        kept = json.loads(path.read_text()) if path.is_file() else {}
        kept[name] = {
            "images": len(x),
            "equal": int((found == expected).sum()),
            "accuracy": round(float((found == data.test_labels).mean()), 4),
            "luts": [made.luts for made in netlists],
            "carry4": [made.carries() for made in netlists],
            "levels": [max(made.levels()) for made in netlists],
            "latency_3_levels": [latency(made, 3) for made in netlists],
            "cpu_seconds": round(time.process_time() - begun, 1),
        }
        path.write_text(json.dumps(kept, indent=1) + "\n")


def report() -> None:
    """Write the table."""
    kept = json.loads((RESULTS / "circuits.json").read_text())
    lines = [
        "# Unrolled binary layers after synthesis",
        "",
        "One image a cycle, thresholds included, registers at inputs and outputs only. LUTs as",
        "yosys maps them (synth_xilinx, estimates before placement), and paired by the one rule of",
        "`hwbnn/tools/netlist.py`; slices: the larger of CARRY4s and a quarter of the paired LUTs.",
        "Seconds are of the processor: generating, and synthesis. `python -m benchmarks.circuits`",
        "makes this file.",
        "",
        "| layer | by | LUT | LUT a synapse | LUT paired | CARRY4 | FF | slices | generate s "
        "| synthesis s | MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for key, row in sorted(kept["measured"].items(), key=lambda item: _order(item[0])):
        name, contender = key.split("/")
        by = row.get("version", contender)
        if "failed" in row:
            lines.append(f"| {name} | {by} | {row['failed']} | | | | | | | | |")
            continue
        share = f"{row['lut'] / row['synapses']:.3f}"
        cells = [name, by, f"{row['lut']:,}", share, f"{row['lut_paired']:,}"]
        cells += [f"{row[k]:,}" for k in ("carry4", "ff", "slices")]
        cells += [str(row.get("netlist_seconds", "")), str(row["synth_cpu_seconds"])]
        lines.append("| " + " | ".join([*cells, f"{row['peak_mib']:,}"]) + " |")
    images_of = RESULTS / "circuits_images.json"
    if images_of.is_file():
        lines += _images(json.loads(images_of.read_text()))
    tools = sorted({row["tool"] for row in kept["measured"].values() if "tool" in row})
    lines += ["", f"Synthesis: {', '.join(tools)}. Machine: {kept['machine']['cpu']}.", ""]
    (RESULTS / "circuits.md").write_text("\n".join(lines))


def _images(kept: dict[str, Any]) -> list[str]:
    """The table of trained networks."""
    lines = [
        "",
        "Trained networks, every layer a netlist that is proved for all inputs; besides, all test",
        "images of MNIST computed by the netlists and compared with the simulator. LUTs of the",
        "layers' logic, without ArgMax, registers and ports.",
        "",
        "| network | accuracy | images | equal | LUT | of each layer | CARRY4 | levels "
        "| cycles at 3 levels |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in kept.items():
        cells = [name, f"{100 * row['accuracy']:.2f} %", f"{row['images']:,}", f"{row['equal']:,}"]
        cells += [f"{sum(row['luts']):,}", " ".join(f"{n:,}" for n in row["luts"])]
        cells += [f"{sum(row['carry4']):,}", " ".join(map(str, row["levels"]))]
        lines.append("| " + " | ".join([*cells, str(sum(row["latency_3_levels"]))]) + " |")
    return lines


def _order(key: str) -> tuple[int, int]:
    name, contender = key.split("/")
    return list(cases()).index(name), CONTENDERS.index(contender)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("measure", "images", "report"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--alkaid", default="")
    parser.add_argument("--limit", type=float, default=1800.0)
    given = parser.parse_intermixed_args()
    if given.action == "measure":
        measure(given.names, given.alkaid, given.limit)
    if given.action == "images":
        images(given.names)
    report()


if __name__ == "__main__":
    main()

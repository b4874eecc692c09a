"""How the search scales: large random layers generated, proved and computed, not synthesised.

    python -m benchmarks.circuits.scale INPUTS NEURONS

prints one layer's figures as JSON: a process of its own, whose memory is the layer's.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.circuits.layers import outputs, random_layer, vectors
from benchmarks.harness import is_due
from hwbnn.errors import Mismatch
from hwbnn.netlists import evaluate, prove_thresholds, system_verilog, thresholds
from hwbnn.netlists.cells import carries

SIZES = ((256, 256), (512, 512), (1024, 1024))
"""Inputs and neurons."""
FRAMES = 96


def measure(names: list[str], kept: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Generate and prove what is named, or what there is not."""
    for inputs, neurons in SIZES:
        name = f"{inputs}x{neurons}"
        if not is_due(name, names, kept):
            continue
        command = [sys.executable, "-m", "benchmarks.circuits.scale", str(inputs), str(neurons)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        yield name, json.loads(done.stdout)


def scaled(inputs: int, neurons: int) -> dict[str, Any]:
    """The figures of one layer; seconds are of the processor.

    Raises:
        Mismatch: if the netlist is not proved, or computes anything else than the layer.
    """
    layer = random_layer(inputs, neurons)
    assert layer.wanted is not None
    times = [time.process_time()]
    netlist = thresholds(layer.weights, layer.wanted)
    times.append(time.process_time())
    prove_thresholds(netlist, layer.weights, layer.wanted)
    times.append(time.process_time())
    text = system_verilog(netlist, "layer", "xc7")
    times.append(time.process_time())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    x = vectors(layer, FRAMES)
    if not np.array_equal(evaluate(netlist, x), outputs([layer], x)):
        raise Mismatch(f"{inputs}x{neurons}: the netlist computes something else")
    seconds = (round(b - a, 1) for a, b in pairwise(times))
    return {
        "synapses": layer.weights.size,
        "luts": netlist.luts,
        "carry4": carries(netlist),
        "levels": max(netlist.logic_depths()),
        "text_mib": len(text) >> 20,
        **dict(zip(("search_s", "proof_s", "text_s"), seconds, strict=True)),
        "peak_mib": peak >> 10,
        "values_compared": x.shape[0] * neurons,
    }


if __name__ == "__main__":
    print(json.dumps(scaled(*map(int, sys.argv[1:]))))

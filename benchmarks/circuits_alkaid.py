"""Verilog by alkaid for a layer, or layers behind each other, with thresholds or scores.

Runs where alkaid is installed, which need not be where hwbnn is:

    python circuits_alkaid.py layers.npz out

`layers.npz` has for each layer `w<i>` (int8 +-1, neurons x inputs) and, unless it gives its scores,
`t<i>` (least sums of a 1). Leaves Verilog under `out` and prints its top module's file.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
from alkaid.codegen import RTLModel
from alkaid.trace import FVArray, trace


def main(layers: str, out: str) -> None:
    arrays = np.load(layers)
    count = arrays["w0"].shape[1]
    bits = FVArray.from_kif(*(np.full(count, v) for v in (0, 1, 0)), (1, -1, -1))
    value = bits
    for i in range(len([name for name in arrays if name.startswith("w")])):
        weights = arrays[f"w{i}"].astype(np.float64)
        sums = (2 * value - 1) @ weights.T
        value = sums
        if f"t{i}" in arrays:
            value = np.where(sums - arrays[f"t{i}"] >= 0, 1.0, 0.0)
    model = RTLModel(trace(bits, value), out, "core", flavor="verilog", print_latency=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.write()
    for path in sorted(Path(out).rglob("*.v")):
        print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])

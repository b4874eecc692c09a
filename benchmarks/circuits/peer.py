"""Verilog by alkaid or da4ml for a layer, or layers behind each other, with thresholds or scores.

Runs where they are installed, which need not be where hwbnn is:

    python peer.py alkaid|da4ml layers.npz out

`layers.npz` has for each layer `w<i>` (int8 +-1, neurons x inputs) and, unless it gives its scores,
`t<i>` (least sums of a 1). Leaves Verilog under `out` and prints JSON: the files, the package's
version, what it estimates its own cost at, and sign, integer and fraction bits of every output.
Each package gets the formulation that it makes less of: alkaid the sums of +-1, da4ml those of 0
and 1 (64x32: alkaid 1,284 against 2,434 by its own estimate, da4ml 1,477 against 1,764).
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

LARGE = 1 << 17
"""Synapses of a layer from which alkaid gets one way to decompose it."""
DECOMPOSED: dict[str, Any] = {"search_all_decompose_dc": False, "decompose_dc": 2}
"""That way; by itself alkaid goes through all of them and takes the best.

All take eight times as long as this one for 256x64 and were not done in 2,191 s of the processor
for 784x256. Of seven this takes the fewest adders for 256x64, 7,079, as many as all (64x32: 959
against 944).
"""


def by_alkaid(layers: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    """A trace, and the class that writes it."""
    from alkaid.codegen import RTLModel
    from alkaid.trace import FVArray, trace

    count = layers[0][0].shape[1]
    options = DECOMPOSED if large(layers) else None
    kif = (np.full(count, v) for v in (0, 1, 0))
    bits = FVArray.from_kif(*kif, (1, -1, -1), solver_options=options)
    value = bits
    for weights, least in layers:
        value = (2 * value - 1) @ weights.T
        if least is not None:
            value = np.where(value - least >= 0, 1.0, 0.0)
    return trace(bits, value), RTLModel


def by_da4ml(layers: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    """A trace, and the class that writes it."""
    from da4ml.codegen import RTLModel
    from da4ml.trace import FixedVariableArray, HWConfig, comb_trace

    count = layers[0][0].shape[1]
    kif = (np.full(count, v) for v in (0, 1, 0))
    bits = FixedVariableArray.from_kif(*kif, HWConfig(1, -1, -1))
    value = bits
    for weights, least in layers:
        # sum w (2 b - 1) == 2 (sum w b) - sum w
        total, value = weights.sum(axis=1), value @ weights.T
        least = None if least is None else np.ceil((least + total) / 2)
        value = value * 2 - total if least is None else value - least >= 0
    return comb_trace(bits, value), RTLModel


def large(layers: list[tuple[Any, Any]]) -> bool:
    """Whether one of the layers is."""
    return max(weights.size for weights, _ in layers) >= LARGE


MAKERS = {"alkaid": by_alkaid, "da4ml": by_da4ml}


def main(package: str, path: str, out: str) -> None:
    """Write the Verilog; print what there is to know."""
    arrays = np.load(path)
    count = len([name for name in arrays if name.startswith("w")])
    layers = [(arrays[f"w{i}"].astype(np.float64), arrays.get(f"t{i}")) for i in range(count)]
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        traced, model = MAKERS[package](layers)
        names = {"alkaid": (out, "core"), "da4ml": ("core", out)}[package]
        model(traced, *names, flavor="verilog", print_latency=False).write()
    folder = Path(out)
    signed, integers, fractions = (np.array(v).astype(int).tolist() for v in traced.out_kifs)
    told = {
        "files": [str(p.relative_to(folder)) for p in sorted((folder / "src").rglob("*.v"))],
        "version": f"{package} {sys.modules[package].__version__}",
        "estimate": round(float(traced.cost)),
        "outputs": list(zip(signed, integers, fractions, strict=True)),
    }
    if package == "alkaid" and large(layers):
        told["decomposed"] = DECOMPOSED
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])

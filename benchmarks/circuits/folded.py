"""The folded unit alone: LUTs of each synapse that it computes in a cycle."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from benchmarks.harness import is_due
from hwbnn.assets import assets
from hwbnn.tools.yosys import synth

INPUTS, CHANNELS = 256, 64
UNITS = ((4, 16), (4, 64), (16, 64))
"""Neurons and synapses of each at a time, of a layer of 256 inputs and 64 neurons."""
ROWS = {"popcount": 0, "matches": 1}
"""A row of 64 synapses by what counts its products: as for constant weights, and for others."""
FINN = 91_131 / (334_000 / 16)
"""LUTs of the whole of FINN's SFC-max, for each synapse that it computes in a cycle."""


def measure(names: list[str], kept: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Synthesise what is named, or what there is not."""
    every: dict[str, tuple[str, int, dict[str, int]]] = {
        f"row of 64, {name}": ("hwbnn_dot_row", 64, row(64, varying))
        for name, varying in ROWS.items()
    }
    every |= {
        f"{pe} x {simd}": ("hwbnn_dot_folded", pe * simd, unit(pe, simd)) for pe, simd in UNITS
    }
    for key, (module, synapses, parameters) in every.items():
        if not is_due(key, names, kept):
            continue
        made = synth(sources(module), module, parameters=parameters)
        found = made.resources
        yield (
            key,
            {
                "synapses": synapses,
                "lut": found.lut,
                "lut_paired": found.lut_paired,
                "carry": found.carry,
                "ff": found.ff,
                "logic_ns": made.logic_ns,
                "tool": made.tool,
            },
        )


def row(inputs: int, varying: int) -> dict[str, int]:
    """Parameters of a row of bits times weights that are signals."""
    return {"Inputs": inputs, "SumWidth": inputs.bit_length(), "Varying": varying}


def unit(pe: int, simd: int) -> dict[str, int]:
    """Parameters of a folded product of bits, its tokens kept twice over."""
    rows = (CHANNELS // pe) * (INPUTS // simd)
    return {
        **{"Inputs": INPUTS, "Channels": CHANNELS, "Pe": pe, "Simd": simd, "Credits": 4},
        **{"SumWidth": INPUTS.bit_length(), "Slots": 2 * INPUTS // simd},
        "AddressWidth": (rows - 1).bit_length(),
    }


def sources(module: str) -> dict[str, bytes]:
    """A module of the library and all that it instantiates."""
    files: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = assets("rtl") / f"{name}.sv"
        if path.name not in files and path.is_file():
            files[path.name] = path.read_bytes()
            waiting += re.findall(r"\bhwbnn_\w+", path.read_text())
    return files

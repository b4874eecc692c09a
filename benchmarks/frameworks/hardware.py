"""Networks of other frameworks as cores: HLS and RTL against the simulator, and their size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.circuits.contenders import spent
from benchmarks.frameworks.compare import lowered
from benchmarks.frameworks.networks import Network, reference_of
from hwbnn.flow import design
from hwbnn.targets import generate
from hwbnn.tools.yosys import synth
from hwbnn.verification import verify
from hwbnn.verification.core import Core

MHZ = 100
"""The clock of BNN-PYNQ's overlays, at which frames a second are given."""


def verified(network: Network, folder: Path) -> dict[str, Any]:
    """Every node of HLS and of RTL against the simulator, on the first frames of the reference."""
    graph, _ = lowered(network, folder)
    x = network.samples(reference_of(network, folder))[: network.frames]
    result = verify(graph, x, plan=network.plan(graph), backends=("fast", "hls", "rtl"))
    result.raise_for_mismatch()
    return {
        "frames": len(x),
        "backends": {
            backend.name: {
                "frames": backend.frames,
                "nodes": len(backend.nodes),
                "bits": backend.bits,
                "mismatches": backend.mismatches,
                "build_seconds": round(backend.build_seconds, 1),
                "seconds": round(backend.seconds, 1),
            }
            for backend in result.backends
        },
    }


def synthesised(network: Network, folder: Path) -> dict[str, Any]:
    """The whole core by yosys, before placement; cycles as predicted."""
    graph, _ = lowered(network, folder)
    project = generate(graph, "rtl", network.plan(graph))
    core = Core.of(project)
    before = spent()
    made = synth(*design(project))
    found = made.resources
    return {
        **{"lut": found.lut, "lut_paired": found.lut_paired, "ff": found.ff},
        **{"bram18": found.bram18, "bram36": found.bram36, "dsp": found.dsp},
        "logic_ns": made.logic_ns,
        "latency": core.latency,
        "interval": core.interval,
        "frames_per_second": round(MHZ * 1e6 / core.interval),
        "mhz": MHZ,
        "cpu_seconds": round(spent() - before, 1),
        "tool": made.tool,
    }

"""Networks of other frameworks as cores: HLS and RTL against the simulator, and their size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.circuits.models import by_yosys
from benchmarks.frameworks.compare import lowered
from benchmarks.frameworks.networks import Network, reference_of
from hwbnn.targets import generate
from hwbnn.verification import verify

MHZ = 100
"""The clock of BNN-PYNQ's overlays, at which frames a second are given."""


def verified(network: Network, folder: Path) -> dict[str, Any]:
    """Every node of HLS and of RTL against the simulator, on the first frames of the reference.

    Raises:
        Mismatch: for a bit that differs, and for a cycle that is not as predicted.
    """
    graph, _ = lowered(network, folder)
    x = network.samples(reference_of(network, folder))[: network.frames]
    result = verify(graph, x, plan=network.plan(graph), backends=("fast", "hls", "rtl"))
    result.raise_for_mismatch()
    timed = next(b.cycles for b in result.backends if b.cycles is not None and b.cycles.frames)
    return {
        "frames": len(x),
        "cycles": {
            name: [given.predicted.value, None if given.measured is None else given.measured.value]
            for name, given in (("latency", timed.latency), ("interval", timed.interval))
        },
        "frames_timed": timed.frames,
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
    found = by_yosys(generate(graph, "rtl", network.plan(graph)))
    return found | {"frames_per_second": round(MHZ * 1e6 / found["interval"]), "mhz": MHZ}

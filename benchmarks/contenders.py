"""The ways of computing SFC that are measured against each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.instrumented import Instrumented
from benchmarks.interleave import Contender
from benchmarks.networks import float_sfc, images
from hwbnn import generate
from hwbnn.graph import Dot, Graph
from hwbnn.graph.bits import pack_words
from hwbnn.plan import Folded, Plan
from hwbnn.simulators import simulate
from hwbnn.verification import bench, hls, verilator

IMAGES = 100_000
PE_SIMD = ((16, 56), (16, 16), (16, 16), (2, 16))
"""Neurons and synapses a cycle of each layer of the folded core: 224 to 256 cycles an image."""


def folded(graph: Graph) -> Plan:
    """The layers of SFC folded to about the same number of cycles."""
    dots = graph.of_type(Dot)
    return Plan(
        {dot.name: Folded(*sizes) for dot, sizes in zip(dots, PE_SIMD, strict=True)}, input_beat=64
    )


def simulators(graph: Graph) -> list[Contender]:
    """The package's own simulators."""
    x = images(IMAGES)
    words, bytes_ = pack_words(x), x.view(np.uint8)
    network, output = Instrumented(graph), graph.output.name
    expected = network.run(x)[output]

    def checked(compute: Callable[[int], Any]) -> Callable[[int], None]:
        def run(n: int) -> None:
            found = compute(n)
            assert np.array_equal(found[output] if isinstance(found, dict) else found, expected[:n])

        return run

    def contender(name: str, compute: Callable[[int], Any], note: str = "") -> Contender:
        return Contender(name, checked(compute), IMAGES, note)

    every = "packing of the bits included"
    return [
        contender("fast, 2 threads, bool", lambda n: network.run(x[:n], 2), every),
        contender("fast, 1 thread, bool", lambda n: network.run(x[:n], 1), every),
        contender("fast, 2 threads, packed", lambda n: network.run_words(words[:n], 2)),
        contender("fast, 1 thread, packed", lambda n: network.run_words(words[:n], 1)),
        contender(
            "simulate(), uint8",
            lambda n: simulate(graph, bytes_[:n], engine="fast"),
            "range check and packing included",
        ),
        contender("plain", lambda n: simulate(graph, x[:n], engine="plain"), "numpy"),
    ]


def torches(graph: Graph) -> list[Contender]:
    """The same network as float32 layers, by threads."""
    model, batch = float_sfc(graph), 1000
    x = torch.from_numpy(np.where(images(20_000), np.float32(1), np.float32(-1)))

    def contender(threads: int) -> Contender:
        def run(n: int) -> None:
            torch.set_num_threads(threads)
            with torch.inference_mode():
                for first in range(0, n, batch):
                    model(x[first : min(n, first + batch)]).argmax(1)

        plural = "s" if threads > 1 else ""
        return Contender(
            f"torch float32, {threads} thread{plural}", run, len(x), f"batches of {batch}"
        )

    return [contender(2), contender(1)]


def our_hls(graph: Graph, folder: Path) -> list[Contender]:
    """C simulation of our HLS."""
    found = []
    for io in ("io_parallel", "io_stream"):
        built = hls.build(generate(graph, "hls", Plan(), io=io), folder)
        x = images(20_000)

        def run(n: int, built: hls.Simulation = built, x: Any = x) -> float:
            return built.run(x[:n], trace=False).seconds

        note = f"C++ compiled in {built.build_seconds:.0f} s"
        found.append(Contender(f"our HLS, C simulation, {io}", run, len(x), note))
    return found


def their_hls(graph: Graph, folder: Path) -> list[Contender]:
    """C simulation of hls4ml's own lowering."""
    from benchmarks import hls4ml_own  # imports hls4ml, which takes seconds

    return hls4ml_own.contenders(graph, folder / "hls4ml")


def our_rtl(graph: Graph, folder: Path, plans: dict[str, Plan]) -> list[Contender]:
    """Our RTL under Verilator, every tapped value recorded."""
    found = []
    for name, plan in plans.items():
        built = verilator.build(generate(graph, "rtl", plan), folder)
        x = images(10_000)

        def run(n: int, built: verilator.Simulation = built, x: Any = x) -> None:
            stimulus = bench.Stimulus.of_frames(built.core, x[:n])
            record = built.run(stimulus)
            assert not record.faults

        note = f"built in {built.build_seconds:.0f} s; interval {built.core.interval} cycles"
        found.append(Contender(f"our RTL, Verilator, {name}", run, len(x), note))
    return found

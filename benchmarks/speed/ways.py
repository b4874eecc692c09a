"""The ways of computing a network that are measured; each imports only what it needs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import Contender
from hwbnn import generate
from hwbnn.graph import ArgMax, Dot, Graph, Output
from hwbnn.graph.arrays import Array
from hwbnn.graph.bits import pack_words
from hwbnn.plan import Folded, Plan
from hwbnn.simulators import simulate


class Timed(NamedTuple):
    """Results whose own time counts, not that of the call around it."""

    values: Array | None
    seconds: float


Compute = Callable[[int], "Array | Timed | None"]
"""From how many of the first images to what the way makes of them; None if that is not kept."""
Prepare = Callable[[Graph, Array, Path], Compute]
"""Makes all that is made once, from the Graph, the images and a folder for what is compiled."""
BATCH = {"sfc": 1000, "cnv": 64}
"""Images that torch is given at once; for CNV of 8 to 512 the quickest, channels last."""
PE_SIMD = ((16, 56), (16, 16), (16, 16), (2, 16))
"""Neurons and synapses a cycle of each layer of SFC folded: 224 to 256 cycles an image."""


@dataclass(frozen=True)
class Way:
    """One way of computing a network.

    Attributes:
        name: as the tables show it.
        kind: what ``--only`` calls it.
        prepare: see :data:`Prepare`.
        most: images that are computed at once in measuring speed.
        alone: images that are computed in measuring memory.
        sums: it makes the last sums, not the class.
        note: what a reader of the table must know.
        build: compiles what it needs into the folder, before it is prepared; gives the seconds.
    """

    name: str
    kind: str
    prepare: Prepare
    most: int
    alone: int = 0
    sums: bool = False
    note: str = ""
    build: Callable[[Graph, Path], float] | None = None

    def expected(self, graph: Graph, images: Array) -> Array:
        """What it must make of the images, by the fast simulator."""
        return simulate(last_sums(graph) if self.sums else graph, images, engine="fast")

    def contender(self, graph: Graph, images: Array, folder: Path) -> Contender:
        """The way as :func:`benchmarks.harness.race` takes it.

        What it computes is compared in every turn, where it keeps it.
        """
        note, images = self.note, images[: self.most]
        if self.build is not None:
            built = f"C++ compiled in {self.build(graph, folder):.0f} s"
            note = "; ".join(part for part in (note, built) if part)
        compute, expected = self.prepare(graph, images, folder), self.expected(graph, images)

        def run(n: int) -> float | None:
            found = compute(n)
            values = found.values if isinstance(found, Timed) else found
            if values is not None and not np.array_equal(values, expected[:n]):
                raise AssertionError(f"{self.name}: not what the Graph computes")
            return found.seconds if isinstance(found, Timed) else None

        return Contender(self.name, run, len(images), note)


def last_sums(graph: Graph) -> Graph:
    """The same Graph up to what its classes are chosen by."""
    (chosen,) = graph.of_type(ArgMax)
    kept = [n for n in graph.nodes if n not in (chosen, graph.output)]
    return Graph((*kept, Output(graph.output.name, chosen.source)))


def _fast(threads: int, packed: bool = False) -> Prepare:
    def prepare(graph: Graph, images: Array, folder: Path) -> Compute:
        from benchmarks.speed.instrumented import Instrumented

        network, output = Instrumented(graph), graph.output.name
        if packed:
            words = pack_words(images)
            return lambda n: network.run_words(words[:n], threads)[output]
        return lambda n: network.run(images[:n], threads)[output]

    return prepare


def _engine(name: str) -> Prepare:
    def prepare(graph: Graph, images: Array, folder: Path) -> Compute:
        given = images.view(np.uint8) if images.dtype == np.bool_ else images
        return lambda n: simulate(graph, given[:n], engine=name)

    return prepare


def _torch_sfc(threads: int) -> Prepare:
    """Its classes may be any of equal scores, so they are not compared."""

    def prepare(graph: Graph, images: Array, folder: Path) -> Compute:
        import torch

        from benchmarks.speed.float32 import float_sfc

        model = float_sfc(graph)
        x = torch.from_numpy(np.where(images, np.float32(1), np.float32(-1)))

        def run(n: int) -> None:
            torch.set_num_threads(threads)
            with torch.inference_mode():
                for part in x[:n].split(BATCH["sfc"]):
                    model(part).argmax(1)

        return run

    return prepare


def _torch_cnv(threads: int) -> Prepare:
    def prepare(graph: Graph, images: Array, folder: Path) -> Compute:
        import torch

        from benchmarks.speed.float32 import float_cnv

        last = torch.channels_last
        model = float_cnv(graph).to(memory_format=last)
        planes = torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous(memory_format=last)

        def run(n: int) -> Array:
            torch.set_num_threads(threads)
            with torch.inference_mode():
                parts = [model(part) for part in planes[:n].split(BATCH["cnv"])]
            return torch.cat(parts).numpy()

        return run

    return prepare


def _our_hls(io: str) -> Way:
    def compiled(graph: Graph, folder: Path) -> Any:
        from hwbnn.verification import hls

        return hls.build(generate(graph, "hls", Plan(), io=io), folder)

    def prepare(graph: Graph, images: Array, folder: Path) -> Compute:
        built, output = compiled(graph, folder), graph.output.name

        def run(n: int) -> Timed:
            done = built.run(images[:n], trace=False)
            return Timed(done.values[output], done.seconds)

        return run

    def build(graph: Graph, folder: Path) -> float:
        return float(compiled(graph, folder).build_seconds)

    return Way(f"our HLS, C simulation, {io}", "hls", prepare, 20_000, build=build)


def folded(graph: Graph) -> Plan:
    """The layers of SFC folded to about the same number of cycles."""
    dots = graph.of_type(Dot)
    return Plan(
        {dot.name: Folded(*sizes) for dot, sizes in zip(dots, PE_SIMD, strict=True)}, input_beat=64
    )


def _our_rtl(name: str, plan: Callable[[Graph], Plan]) -> Way:
    """Every value that the bench sees is recorded; verification compares them, not this."""

    def compiled(graph: Graph, folder: Path) -> Any:
        from hwbnn.verification import verilator

        return verilator.build(generate(graph, "rtl", plan(graph)), folder)

    def prepare(graph: Graph, images: Array, folder: Path) -> Compute:
        from hwbnn.verification import bench

        built = compiled(graph, folder)

        def run(n: int) -> None:
            record = built.run(bench.Stimulus.of_frames(built.core, images[:n]))
            assert not record.faults

        return run

    def build(graph: Graph, folder: Path) -> float:
        return float(compiled(graph, folder).build_seconds)

    return Way(f"our RTL, Verilator, {name}", "rtl", prepare, 10_000, build=build)


_OWN_MODELS: dict[Path, Any] = {}
"""hls4ml's models, by the folder in which each was compiled."""


def _hls4ml_sfc(predict: bool) -> Prepare:
    """Its sums are not those of the Graph where channels fall; it is measured all the same."""

    def prepare(graph: Graph, images: Array, folder: Path) -> Compute:
        from benchmarks.speed import hls4ml_dense as own  # imports hls4ml, which takes seconds

        model = _OWN_MODELS.get(folder)
        if model is None:  # compiled once for both ways
            model = _OWN_MODELS[folder] = own.lowered(own.blocks_of(graph), folder / "hls4ml")
        if not predict:
            return own.bare_calls(model, images)

        def run(n: int) -> None:
            own.sums(model, images[:n])

        return run

    return prepare


def _build_hls4ml_cnv(graph: Graph, folder: Path) -> float:
    from benchmarks.speed import hls4ml_images  # imports hls4ml, which takes seconds

    begin = time.perf_counter()
    hls4ml_images.lowered(graph, folder / "hls4ml")
    return time.perf_counter() - begin


def _hls4ml_cnv(graph: Graph, images: Array, folder: Path) -> Compute:
    """The compiled library alone: hls4ml's ``predict`` does nothing else for each image."""
    (file,) = (folder / "hls4ml").glob("firmware/*.so")
    function, floats = ctypes.CDLL(str(file)).myproject_float, ctypes.POINTER(ctypes.c_float)
    given = images.astype(np.float32)

    def run(n: int) -> Array:
        out = np.zeros((n, 10), np.float32)
        with _inside(file.parent):  # the first call reads files of weights
            for x, y in zip(given[:n], out, strict=True):
                function(x.ctypes.data_as(floats), y.ctypes.data_as(floats))
        return out

    return run


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


PACKS, CHECKS = "packing of the bits included", "range check included"
SFC = (
    Way("fast, 2 threads, bool", "simulators", _fast(2), 100_000, note=PACKS),
    Way("fast, 1 thread, bool", "simulators", _fast(1), 100_000, note=PACKS),
    Way("fast, 2 threads, packed", "simulators", _fast(2, packed=True), 100_000),
    Way("fast, 1 thread, packed", "simulators", _fast(1, packed=True), 100_000),
    Way("simulate(), uint8", "simulators", _engine("fast"), 100_000, note=f"{CHECKS}, and packing"),
    Way("plain", "simulators", _engine("plain"), 100_000, note="numpy"),
    Way("torch float32, 2 threads", "torch", _torch_sfc(2), 20_000, note="batches of 1000"),
    Way("torch float32, 1 thread", "torch", _torch_sfc(1), 20_000, note="batches of 1000"),
    _our_hls("io_parallel"),
    _our_hls("io_stream"),
    Way("hls4ml's own, C simulation, bare calls", "hls4ml", _hls4ml_sfc(False), 2000),
    Way("hls4ml's own, C simulation, predict()", "hls4ml", _hls4ml_sfc(True), 2000),
    _our_rtl("unrolled", lambda graph: Plan(input_beat=784)),
    _our_rtl("folded", folded),
)
BATCHES, OWN = f"batches of {BATCH['cnv']}", "hls4ml's own, C simulation, io_stream"
CNV = (
    Way("fast, 2 threads", "simulators", _fast(2), 10_000, 2000),
    Way("fast, 1 thread", "simulators", _fast(1), 10_000, 2000),
    Way("simulate()", "simulators", _engine("fast"), 10_000, 2000, note=CHECKS),
    Way("plain", "plain", _engine("plain"), 16, 16, note="numpy"),
    Way("torch float32, 2 threads", "torch", _torch_cnv(2), 512, 2000, True, BATCHES),
    Way("torch float32, 1 thread", "torch", _torch_cnv(1), 512, 2000, True, BATCHES),
    Way(OWN, "hls4ml", _hls4ml_cnv, 2, 2, True, "1 thread", build=_build_hls4ml_cnv),
)

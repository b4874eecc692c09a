"""The ways of computing CNV that are measured; each imports only what it needs."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import ArgMax, Graph, Output
from hwbnn.graph.arrays import Bytes
from hwbnn.simulators import simulate

Compute = Callable[[int], NDArray[Any]]
"""From how many of the first images to what the way makes of them."""
BATCH = 64
"""Images that torch is given at once; of 8 to 512 the quickest, channels last."""


@dataclass(frozen=True)
class Way:
    """One way of computing CNV.

    Attributes:
        name: as the tables show it.
        kind: what ``--only`` calls it.
        prepare: makes all that is made once, from the Graph, images ``(n, 32, 32, 3)`` and the
            folder of the compiled C++.
        most: images that are computed at once in measuring speed.
        alone: images that are computed in measuring memory.
        sums: it makes the last sums, not the class.
        note: what a reader of the table must know.
    """

    name: str
    kind: str
    prepare: Callable[[Graph, Bytes, Path], Compute]
    most: int
    alone: int
    sums: bool = False
    note: str = ""

    def expected(self, graph: Graph, images: Bytes) -> NDArray[Any]:
        """What it must make of the images, by the fast simulator."""
        return simulate(last_sums(graph) if self.sums else graph, images, engine="fast")


def last_sums(graph: Graph) -> Graph:
    """The same Graph up to what its classes are chosen by."""
    (chosen,) = graph.of_type(ArgMax)
    kept = [n for n in graph.nodes if n not in (chosen, graph.output)]
    return Graph((*kept, Output(graph.output.name, chosen.source)))


def _fast(threads: int) -> Callable[[Graph, Bytes, Path], Compute]:
    def prepare(graph: Graph, images: Bytes, folder: Path) -> Compute:
        from hwbnn.simulators import fast

        network, output = fast.compiled(graph), graph.output.name
        return lambda n: network.run(images[:n], threads)[output]

    return prepare


def _engine(name: str) -> Callable[[Graph, Bytes, Path], Compute]:
    def prepare(graph: Graph, images: Bytes, folder: Path) -> Compute:
        return lambda n: simulate(graph, images[:n], engine=name)

    return prepare


def _torch(threads: int) -> Callable[[Graph, Bytes, Path], Compute]:
    def prepare(graph: Graph, images: Bytes, folder: Path) -> Compute:
        import torch

        from benchmarks.cnv_float import float_cnv

        last = torch.channels_last
        model = float_cnv(graph).to(memory_format=last)
        planes = torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous(memory_format=last)

        def run(n: int) -> NDArray[Any]:
            torch.set_num_threads(threads)
            with torch.inference_mode():
                parts = [model(part) for part in planes[:n].split(BATCH)]
            return torch.cat(parts).numpy()

        return run

    return prepare


def _hls4ml(graph: Graph, images: Bytes, folder: Path) -> Compute:
    """The compiled library alone: hls4ml's ``predict`` does nothing else for each image."""
    (file,) = (folder / "hls4ml").glob("firmware/*.so")
    function, floats = ctypes.CDLL(str(file)).myproject_float, ctypes.POINTER(ctypes.c_float)
    given = images.astype(np.float32)

    def run(n: int) -> NDArray[Any]:
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


BATCHES = f"batches of {BATCH}"
WAYS = (
    Way("fast, 2 threads", "simulators", _fast(2), 10_000, 2000),
    Way("fast, 1 thread", "simulators", _fast(1), 10_000, 2000),
    Way("simulate()", "simulators", _engine("fast"), 10_000, 2000, note="range check included"),
    Way("plain", "plain", _engine("plain"), 16, 16, note="numpy"),
    Way("torch float32, 2 threads", "torch", _torch(2), 512, 2000, True, BATCHES),
    Way("torch float32, 1 thread", "torch", _torch(1), 512, 2000, True, BATCHES),
    Way("hls4ml's own, C simulation, io_stream", "hls4ml", _hls4ml, 2, 2, True, "1 thread"),
)

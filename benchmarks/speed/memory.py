"""The most memory that one way of computing CNV takes, in a process of its own.

usage: python -m benchmarks.speed.memory NUMBER FOLDER

``NUMBER`` is the way's place in :data:`benchmarks.speed.ways.CNV`, ``FOLDER`` has ``graph.npz``,
``images.npy`` and the compiled C++. Prints bytes as JSON: before the first image, and the most.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.ways import CNV, Way
from hwbnn.graph import Graph, load, save


def main() -> None:
    """Compute, and say what it took."""
    way, folder = CNV[int(sys.argv[1])], Path(sys.argv[2])
    graph, images = load(folder / "graph.npz"), np.load(folder / "images.npy")[: way.alone]
    compute = way.prepare(graph, images, folder)
    ready = _peak()
    compute(len(images))
    print(json.dumps({"ready": ready, "peak": _peak()}))


def _peak() -> int:
    """The most bytes that this process has had in memory."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Linux counts the memory of a process's parent into what getrusage() says of it.
        lines = (line.split() for line in status.read_text().splitlines())
        return next(1024 * int(words[1]) for words in lines if words[0] == "VmHWM:")
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def prepare(graph: Graph, images: Any, folder: Path) -> None:
    """Put into a folder what :func:`measure` needs."""
    save(graph, folder / "graph.npz")
    np.save(folder / "images.npy", images)


def measure(way: Way, folder: Path) -> dict[str, int]:
    """Bytes that a way takes: ``ready`` before its first image, ``peak`` with all of them."""
    command = [sys.executable, "-m", "benchmarks.speed.memory", str(CNV.index(way)), str(folder)]
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()

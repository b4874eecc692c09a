"""Networks of other frameworks: files against their executors, through HLS and RTL, and as cores.

    python -m benchmarks.frameworks compare  FOLDER [NAME ...]
    python -m benchmarks.frameworks hardware FOLDER [NAME ...]
    python -m benchmarks.frameworks core     FOLDER [NAME ...]

FOLDER has the files of ``networks.py``: networks, and what other executors computed of them. None
of them is kept here. ``HWBNN_DATA`` names the folder of MNIST and CIFAR-10. ``compare`` holds the
simulator to the references: activations, sums and classes of all frames. ``hardware`` holds HLS and
RTL to the simulator at every node. ``core`` synthesises cores. What is in
``results/frameworks.json`` is kept; a name measures again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.frameworks.compare import compared
from benchmarks.frameworks.hardware import synthesised, verified
from benchmarks.frameworks.networks import NETWORKS, Network
from benchmarks.harness import is_due

RESULTS = Path(__file__).parent.parent / "results" / "frameworks.json"
ACTIONS: dict[str, Callable[[Network, Path], dict[str, Any]]] = {
    "compare": compared,
    "hardware": verified,
    "core": synthesised,
}
CORES = ("BNN-PYNQ cnvW1A2",)
"""Networks whose cores are synthesised, unless others are named."""


def main() -> None:
    """Measure what is named, or what there is not, and write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("folder", type=Path, help="folder of the files and references")
    parser.add_argument("names", nargs="*", metavar="NAME", help="some of: " + ", ".join(NETWORKS))
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the results")
    given = parser.parse_args()
    for name in given.names:
        if name not in NETWORKS:
            parser.error(f"network {name!r}: expected some of {', '.join(NETWORKS)}")
    chosen = NETWORKS if given.names or given.action != "core" else CORES
    for name in chosen:
        if is_due(name, given.names, _read(given.results)[given.action]):
            made = ACTIONS[given.action](NETWORKS[name], given.folder)
            kept = _read(given.results)  # another action may have written meanwhile
            kept[given.action][name] = made
            given.results.write_text(json.dumps(kept, indent=2) + "\n")
            print(json.dumps(made), flush=True)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    found = json.loads(path.read_bytes()) if path.is_file() else {}
    return {action: found.get(action, {}) for action in ACTIONS}


if __name__ == "__main__":
    main()

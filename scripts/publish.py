"""Publishes the trained SFC of every method into ``models/sfc_<method>``, verified.

:func:`hwbnn.flow.publish` lowers each run, compares it with its float network, with HLS and with
RTL at every node on the whole test set, and synthesises it. Folders that are already complete stay
as they are. If one network cannot be published, the others are still published.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from hwbnn import flow
from hwbnn.errors import CannotLower, HwbnnError
from hwbnn.flow.publishing import BUILD, training_of
from hwbnn.graph import Dot, Graph
from hwbnn.methods import METHODS
from hwbnn.plan import Folded, Plan
from hwbnn.report import Report
from hwbnn.training import History, Recipe

REPOSITORY = Path(__file__).resolve().parent.parent
LANES = 16
OPTIONAL = ("place and route", "synthesis by Vitis HLS")
"""Steps that a build may skip, because no backend depends on them."""


def folded(graph: Graph) -> Plan:
    """A Plan with ``pe`` 16 and ``simd`` 16; a dimension that 16 does not divide is unrolled.

    The published cores were built like this. Today a fold need not divide the dimension.
    """
    dots = {}
    for dot in graph.of_type(Dot):
        m, n = dot.weights.shape
        dots[dot.name] = Folded(LANES if m % LANES == 0 else m, LANES if n % LANES == 0 else n)
    return Plan(layers=dots)


def is_whole(run: Path, folder: Path) -> bool:
    """Whether the folder holds this run's network and a build report in which all is equal."""
    try:
        recipe = Recipe.read(run / "recipe.toml")
        history = History.read(run)
        report = Report.read(folder / "report.json")
        built = Report.from_json((folder / BUILD).read_bytes())
    except (OSError, ValueError, HwbnnError):
        return False
    known = report.provenance
    same = known is not None and known.recipe == recipe.digest and built.digest == report.digest
    # Another run of the same recipe has other times and, on another machine, other weights.
    same = same and report.training == training_of(history)
    complete = all(entry.what in OPTIONAL for entry in built.not_done)
    return bool(same and built.ok and complete)


def publish(run: Path, folder: Path, backends: list[str]) -> tuple[str, str]:
    """Publish one run; ``ok``, ``none`` or ``FAIL``, and one line about it.

    ``none`` means a network without an exact integer form, for example with real activations:
    lowering refuses it, and it gets no folder.
    """
    if is_whole(run, folder):
        return "ok", "there already"
    if not (run / "history.json").is_file():
        return "FAIL", f"{run}: no finished run"
    begun = time.monotonic()
    try:
        report = flow.publish(run, folder, plan=folded, backends=backends)
    except CannotLower as error:
        return "none", str(error)
    except HwbnnError as error:
        return "FAIL", f"{type(error).__name__}: {error}"
    left = [entry for entry in report.not_done if entry.what not in OPTIONAL]
    missing = [f"{entry.what}: {entry.why}" for entry in left]
    bits, wrong = (sum(getattr(w, k) for w in report.backends) for k in ("bits", "mismatches"))
    line = f"{bits:,} bits in {len(report.backends)} comparisons, {wrong:,} differ, "
    line += f"{time.monotonic() - begun:.0f} s"
    return "ok" if report.ok else "FAIL", "; ".join([line, *missing])


def main() -> int:
    """Publish the runs one after the other; the exit status is 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="folder with sfc/<method>-<seed> in it")
    parser.add_argument("--experiment", default="sfc", help="one of benchmarks/methods")
    parser.add_argument("--seed", type=int, default=0, help="whose run is published")
    parser.add_argument("--methods", default=",".join(METHODS), help="by commas")
    parser.add_argument("--backends", default="fast,hls,rtl", help="as `hwbnn verify` takes them")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "models", help="their folder")
    given = parser.parse_args()
    done = True
    for method in given.methods.split(","):
        run = given.runs / given.experiment / f"{method}-{given.seed}"
        folder = given.out / f"{given.experiment}_{method}"
        outcome, line = publish(run, folder, given.backends.split(","))
        print(f"{outcome:4} {folder.name}: {line}", flush=True)
        done &= outcome != "FAIL"
    return int(not done)


if __name__ == "__main__":
    sys.exit(main())

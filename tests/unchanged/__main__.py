"""Record what every network of models/ becomes, or compare it with what was recorded.

python -m tests.unchanged compare                     all networks, all sections
python -m tests.unchanged compare --quick tfc lenet   without netlist forms: seconds
python -m tests.unchanged record --sections "hls *" --names README.md   accept a change of these

A section that is made but not recorded is a difference, and so is one recorded but no longer made.
Netlist forms take minutes to hours, so they are recorded for some networks alone; where they are
not, the last lines say so.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import hwbnn
from hwbnn.graph import load
from tests.unchanged import store
from tests.unchanged.compare import EVERYTHING, Difference, differences, told
from tests.unchanged.digests import netlist_sections, sections

MODELS = Path(hwbnn.__file__).parent.parent / "models"


class _TooLong(Exception):
    pass


def _stop(*_: object) -> None:
    raise _TooLong


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    known = sorted(p.parent.name for p in MODELS.glob("*/graph.npz"))
    unknown = set(options.networks) - set(known)
    if unknown:
        print(f"no network {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        return 2
    before = signal.signal(signal.SIGALRM, _stop)
    try:
        return _work(options, options.networks or known)
    finally:
        signal.signal(signal.SIGALRM, before)


def _work(options: argparse.Namespace, networks: Sequence[str]) -> int:
    stored = store.load(options.file)
    found: list[Difference] = []
    compared = 0
    unrecorded: dict[str, list[str]] = defaultdict(list)
    for network in networks:
        begun = time.perf_counter()
        graph = load(MODELS / network / "graph.npz")
        before = stored.setdefault(network, {})
        made = sections(graph, netlists=not options.quick)
        late: list[str] = []
        count = 0
        for name, make in made.items():
            if not fnmatch(name, options.sections):
                continue
            if options.missing and name in before:
                continue
            if options.mode == "compare" and name not in before:
                if name in netlist_sections():
                    unrecorded[network].append(name)
                    continue
                found.append(Difference(network, name, EVERYTHING, None, "made"))
                continue
            signal.alarm(options.limit if options.mode == "record" else 0)
            try:
                now = make()
            except _TooLong:
                late.append(name)
                continue
            finally:
                signal.alarm(0)
            count += 1
            if options.mode == "compare":
                found += differences(network, name, before[name], now)
            else:
                before[name] = _accepted(before.get(name), now, options.names)
        if options.mode == "record":
            store.save(options.file, stored)
        else:
            found += _gone(network, set(before) - set(made), options)
        compared += count
        seconds = time.perf_counter() - begun
        here = sum(d.network == network for d in found)
        print(
            f"{network}: {count} sections in {seconds:.0f} s"
            + (f", {here} differ" if here else "")
            + "".join(f"; {name}: not done in {options.limit} s" for name in late),
            flush=True,
        )
    if options.mode == "record":
        return 0
    if not options.networks:
        for network in sorted(set(stored) - set(networks)):
            found += _gone(network, set(stored[network]), options)
    for network, names in unrecorded.items():
        print(f"{network}: not recorded, so not compared: {', '.join(names)}")
    if not found and not compared:
        print("nothing was compared: no section of this choice is recorded")
        return 1
    print(told(found))
    return bool(found)


def _gone(network: str, recorded: set[str], options: argparse.Namespace) -> list[Difference]:
    """The chosen ones of recorded sections that are not made any more."""
    if options.missing:
        return []
    left_out = netlist_sections() if options.quick else set()
    return [
        Difference(network, name, EVERYTHING, "recorded", None)
        for name in sorted(recorded - left_out)
        if fnmatch(name, options.sections)
    ]


def _accepted(before: dict[str, Any] | None, now: dict[str, Any], names: str) -> dict[str, Any]:
    """The digests to be stored: those whose names match as they are now, the others as before."""
    if before is None or names == "*":
        return now
    every: dict[str, Any] = defaultdict(lambda: None)
    every.update(before)
    for name in {*before, *now}:
        if fnmatch(name, names):
            every[name] = now.get(name)
    return {name: d for name, d in every.items() if d is not None}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.unchanged",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("mode", choices=("record", "compare"))
    parser.add_argument("networks", nargs="*", help="folders of models/; all by default")
    parser.add_argument("--quick", action="store_true", help="leave out the netlist forms")
    parser.add_argument("--sections", default="*", help="only sections of this pattern: 'rtl *'")
    parser.add_argument("--names", default="*", help="record: only files or nodes of this pattern")
    parser.add_argument("--missing", action="store_true", help="only sections not yet recorded")
    parser.add_argument("--limit", type=int, default=300, help="record: seconds for a section")
    parser.add_argument("--file", type=Path, default=store.GOLDEN, help="where the digests are")
    return parser.parse_intermixed_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

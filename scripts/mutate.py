"""Mutation testing: puts small faults into the code, one at a time, and runs the tests.

    scripts/mutate map                       which tests call which functions: once, 'not hardware'
    scripts/mutate map --hardware tests/targets/test_rtl.py   and of chosen files those that compile
    scripts/mutate run --mutants 200 --seed 1
    scripts/mutate again tests/plan/test_plan.py --new     those that survived, by more tests
    scripts/mutate report

Each goes on where it was stopped, even by a kill. Everything happens in a copy of the committed
files (--work), so the tree can be worked in meanwhile; after a commit, name another folder. A
mutant is killed by a test that fails; one whose tests take longer than the cap counts as a
survivor. The tests are those that call the function that it is in, quickest and nearest first, up
to the first that fails, and for code outside of functions those that call anything in its file;
tests of hardware only where --hardware gives them seconds. All seconds are the processor's. A
survivor says that no chosen test noticed: kill it by a test, or show that it changes nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from io import BytesIO
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

from scripts.forked import HEAVY, TESTING, preload, pytest_in_fork
from scripts.lock import locked
from scripts.mutants import Mutant, is_one, mutants

REPOSITORY = Path(__file__).resolve().parent.parent
ROOMS = ("graph", "lowering", "simulators", "plan", "estimate", "targets", "verification")
MAP = "map.json"
RESULTS = "mutants.jsonl"
ORIGINAL = "original"
"""File in the work folder: the original text of the source that holds the mutant."""
CURRENT = "current"
"""File in the work folder: the path of that source; it exists while the mutant does."""
KILLED, SURVIVED, UNTESTED = "killed", "survived", "no test calls it"
OUTLIVED = "outlived the cap"
TOO_LONG = "its tests take too long"
BROKEN = "its tests do not run without it"
PYTEST = ("-q", "-n", "0", "-p", "no:cacheprovider")
FIRST = 8.0
"""Seconds of quick tests that run before the others, because they kill most mutants."""
MANY = 20
"""Number of mutants from which on it pays to import slow modules in advance."""
FAR = 3.0
"""Factor on the time of tests of other packages than the mutant's, which puts them back."""


@dataclass(frozen=True)
class Suite:
    """The tests, their times and the functions that they call.

    Attributes:
        seconds: time of each test, by its name.
        hardware: names of the tests that compile hardware.
        callers: the tests that call a function, by its ``file:line``.
        users: the tests that call any function of a file, by the file.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    hardware: set[str] = field(default_factory=set)
    callers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    users: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def read(cls, entries: Mapping[str, Mapping[str, Any]]) -> Suite:
        """The suite in the map of all test files."""
        tests = cls()
        for recorded in entries.values():
            passed = {name: e for name, e in recorded.items() if not e.get("failed")}
            # A fixture of one test may belong to the whole file, and so may its calls.
            shared = {call for e in passed.values() for call in e.get("setup", ())}
            for name, entry in passed.items():
                tests.seconds[name] = entry["seconds"]
                if entry["hardware"]:
                    tests.hardware.add(name)
                for call in {*entry.get("call", ()), *shared}:
                    tests.callers[call].add(name)
                    tests.users[call.rpartition(":")[0]].add(name)
        return tests

    def noticing(self, mutant: Mutant) -> set[str]:
        """All tests that may notice the mutant."""
        called = self.callers.get(f"{mutant.file}:{mutant.function}", set())
        # The map has no calls of compiled functions and no uses of constants.
        return called or self.users.get(mutant.file, set())

    def chosen(self, mutant: Mutant, budget: float, hardware: float) -> list[str]:
        """Tests that may notice the mutant, within two budgets; quick and near ones first.

        Tests that compile hardware come last.
        """
        names, near = self.noticing(mutant), f"tests/{room(mutant)}/"

        def order(name: str) -> tuple[float, str]:
            return self.seconds[name] * (1 if name.startswith(near) else FAR), name

        taken: list[str] = []
        for are_hardware, limit in ((False, budget), (True, hardware)):
            left = limit
            same = [n for n in names if (n in self.hardware) == are_hardware]
            for name in sorted(same, key=order):
                left -= self.seconds[name]
                if left < 0:
                    break
                taken.append(name)
        return taken


def room(mutant: Mutant) -> str:
    """The package below ``hwbnn`` that holds the mutant."""
    return Path(mutant.file).parts[1]


def copied(work: Path) -> Path:
    """The copy of the committed files, made if it does not exist."""
    tree = work / "tree"
    if not tree.is_dir():
        work.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(
            ["git", "archive", "HEAD"], cwd=REPOSITORY, capture_output=True, check=True
        )
        with tarfile.open(fileobj=BytesIO(made.stdout)) as archive:
            archive.extractall(work / "tree.part", filter="data")
        (work / CURRENT).unlink(missing_ok=True)  # of a tree that was removed
        (work / "tree.part").rename(tree)
    return tree


def written(file: Path, content: str | bytes) -> None:
    """Replace a file completely or not at all."""
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    part.replace(file)


@contextmanager
def mutated(work: Path, tree: Path, mutant: Mutant) -> Iterator[None]:
    """Puts the mutant into the copy for a while; :func:`restore` can repair a killed run."""
    source = (tree / mutant.file).read_bytes()
    written(work / ORIGINAL, source)
    written(work / CURRENT, mutant.file)
    try:
        written(tree / mutant.file, mutant.applied(source))
        yield
    finally:
        restore(work, tree)


def restore(work: Path, tree: Path) -> None:
    """Remove the mutant from the copy, if a killed run has left one."""
    current = work / CURRENT
    if current.is_file():
        written(tree / current.read_text(), (work / ORIGINAL).read_bytes())
        current.unlink()


def make_map(given: argparse.Namespace) -> int:
    """Run the tests once, file by file, and record the functions that they call."""
    tree = copied(given.work)
    restore(given.work, tree)
    file = given.work / MAP
    known: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    files = given.tests or sorted(
        str(p.relative_to(tree)) for p in (tree / "tests").rglob("test_*.py")
    )
    for number, name in enumerate(files, 1):
        key = f"{name} hardware" if given.hardware else name
        if key in known:
            continue
        begun = time.perf_counter()
        out = given.work / "touched.json"
        out.unlink(missing_ok=True)
        marker = "hardware" if given.hardware else "not hardware"
        arguments = [*PYTEST, "-p", "scripts.touched", "-m", marker, name]
        environment = {**variables(tree), "TOUCHED": str(out)}
        code = pytest_in_fork(tree, arguments, given.limit, environment).status
        if code not in (0, 1, 5, None):  # 1: some tests fail, 5: it has none of this kind
            print(f"{name}: pytest ended with status {code}; run it by hand in {tree}")
            return 2
        known[key] = json.loads(out.read_text()) if out.is_file() else {}
        written(file, json.dumps(known))
        failed = sum(bool(e.get("failed")) for e in known[key].values())
        print(
            f"{number} of {len(files)} {name}: {len(known[key])} tests in "
            f"{time.perf_counter() - begun:.0f} s"
            + (f", {failed} fail without any mutant and are left out" if failed else "")
            + ("" if out.is_file() else f", not done in {given.limit:.0f} s, left out"),
            flush=True,
        )
    return 0


def run(given: argparse.Namespace) -> int:
    """Try a sample of the mutants."""
    tree = copied(given.work)
    restore(given.work, tree)
    if not (given.work / MAP).is_file():
        print("no map of the tests yet: run 'scripts/mutate map' first", file=sys.stderr)
        return 2
    tests = Suite.read(json.loads((given.work / MAP).read_text()))
    sample = sampled(tree, given.rooms.split(","), given.mutants, given.seed)
    only = given.only.split(",") if given.only else given.rooms.split(",")
    known = results(given.work)
    # Remove a partial line that a kill may have left: the next line would be joined to it.
    written(given.work / RESULTS, "".join(json.dumps(result) + "\n" for result in known))
    done = {result["name"] for result in known}
    begun = time.monotonic()
    due = [m for m in sample if m.name not in done and room(m) in only]
    preload(HEAVY if len(due) >= MANY else TESTING)
    for number, mutant in enumerate(due, 1):
        if given.minutes is not None and time.monotonic() - begun > 60 * given.minutes:
            break
        result = tried(tree, mutant, tests, given)
        with (given.work / RESULTS).open("a") as stream:
            stream.write(json.dumps(result) + "\n")
        print(f"{number} of {len(due)} {result['status']}: {shown(result)}", flush=True)
    return report(given)


def again(given: argparse.Namespace) -> int:
    """Run further tests, perhaps new ones, on the mutants that no test has killed."""
    tree = copied(given.work)
    restore(given.work, tree)
    for name in {test.partition("::")[0] for test in given.tests}:
        if given.new:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            written(tree / name, (REPOSITORY / name).read_bytes())
    arguments = ["-x", *PYTEST, *given.tests]
    sound = pytest_in_fork(tree, arguments, given.cap, variables(tree))
    if sound.status != 0:
        print(f"without any mutant {sound.failed or 'the tests'} failed", file=sys.stderr)
        return 2
    names = tuple(Mutant.__dataclass_fields__)
    known = results(given.work)
    for result in known:
        if result["status"] == KILLED or given.file not in result["file"]:
            continue
        mutant = Mutant(**{name: result[name] for name in names})
        with mutated(given.work, tree, mutant):
            outcome = pytest_in_fork(tree, arguments, given.cap, variables(tree, mutant))
        if outcome.status == 1:
            result |= {"status": KILLED, "by": outcome.failed, "again": True}
            written(given.work / RESULTS, "".join(json.dumps(r) + "\n" for r in known))
        print(f"{result['status']}: {shown(result)}", flush=True)
    return report(given)


def sampled(tree: Path, rooms: Sequence[str], count: int, seed: int) -> list[Mutant]:
    """A random sample of the packages' mutants; a larger sample contains a smaller one."""
    every: list[Mutant] = []
    for room in rooms:
        for path in sorted((tree / "hwbnn" / room).rglob("*.py")):
            every += mutants(str(path.relative_to(tree)), path.read_bytes())
    random.Random(seed).shuffle(every)
    valid = (m for m in every if is_one(m, (tree / m.file).read_bytes()))
    return list(islice(valid, count))


def tried(tree: Path, mutant: Mutant, tests: Suite, given: argparse.Namespace) -> dict[str, Any]:
    """The result of a mutant: killed, survived, or why it was not tested."""
    chosen = tests.chosen(mutant, given.budget, given.hardware)
    status = SURVIVED if chosen else TOO_LONG if tests.noticing(mutant) else UNTESTED
    killer, seconds, broken = "", 0.0, False
    with mutated(given.work, tree, mutant):
        for names in batches(chosen, tests):
            limit = min(given.cap, given.patience * sum(tests.seconds[n] for n in names) + 30)
            outcome = pytest_in_fork(tree, ["-x", *PYTEST, *names], limit, variables(tree, mutant))
            seconds += outcome.seconds
            if outcome.status is None:
                status = OUTLIVED
                break
            if outcome.status != 0:
                status, killer = KILLED, outcome.failed
                # Other statuses than failed tests may be a problem of the tests themselves.
                broken = outcome.status != 1
                break
    if broken:
        sound = pytest_in_fork(tree, ["-x", *PYTEST, *names], given.cap, variables(tree))
        status = KILLED if sound.status == 0 else BROKEN
    return {
        "name": mutant.name,
        **asdict(mutant),
        "status": status,
        "by": killer,
        "tests": len(chosen),
        "seconds": round(seconds, 1),
    }


def batches(chosen: Sequence[str], tests: Suite) -> Iterator[list[str]]:
    """The runs of pytest: a few quick tests, the others, and each hardware test alone."""
    software = [n for n in chosen if n not in tests.hardware]
    spent = list(accumulate(tests.seconds[n] for n in software))
    first = sum(s <= FIRST for s in spent)
    yield from filter(None, (software[:first], software[first:]))
    yield from ([n] for n in chosen if n in tests.hardware)


def variables(tree: Path, mutant: Mutant | None = None) -> dict[str, str]:
    """The environment of pytest in the copy.

    Bytecode is off, because files are changed and restored within the precision of time stamps.
    numba compares time stamps too, so kernels that may be changed are compiled into a folder of
    their own. There are two threads, because torch 2.13 sometimes crashes with one.
    """
    found = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "CI": "true"}
    found |= {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
    if mutant is not None and "/fast/" in mutant.file:
        found["NUMBA_CACHE_DIR"] = str(tree.parent / "numba" / str(time.monotonic_ns()))
    return found


def results(work: Path) -> list[dict[str, Any]]:
    """The results so far, without a partial line that a kill has left."""
    file = work / RESULTS
    known = []
    for line in file.read_text().splitlines() if file.is_file() else []:
        try:
            known.append(json.loads(line))
        except ValueError:
            continue
    return known


def shown(result: Mapping[str, Any]) -> str:
    """A mutant on one line."""
    before, after = (" ".join(result[k].split())[:80] for k in ("before", "after"))
    return f"{result['file']}:{result['line']} {result['kind']}: `{before}` -> `{after}`"


def report(given: argparse.Namespace) -> int:
    """Print the share of killed mutants and the survivors, and write both into report.md."""
    known = results(given.work)
    counts = Counter(result["status"] for result in known)
    lines = [
        "# Mutants",
        "",
        f"{len(known)} tried, {counts[KILLED]} killed, {counts[SURVIVED]} survived, "
        f"{counts[OUTLIVED]} outlived the cap, "
        f"{counts[UNTESTED]} in code that no test of the map calls, {counts[TOO_LONG]} with "
        f"tests that take too long, {counts[BROKEN]} without tests that run; "
        f"{sum(r['seconds'] for r in known) / 60:.0f} minutes.",
        "",
        "| room | tried | killed |",
        "|---|---:|---:|",
    ]
    rooms: dict[str, list[str]] = defaultdict(list)
    for result in known:
        rooms[Path(result["file"]).parts[1]].append(result["status"])
    lines += [f"| {room} | {len(s)} | {s.count(KILLED)} |" for room, s in sorted(rooms.items())]
    for status in (SURVIVED, OUTLIVED, UNTESTED, TOO_LONG, BROKEN):
        same = [r for r in known if r["status"] == status]
        lines += ["", f"## {status}: {len(same)}", "", *(f"- {shown(r)}" for r in same)]
    text = "\n".join(lines) + "\n"
    written(given.work / "report.md", text)
    print(text, end="")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Map, run or report."""
    parser = argparse.ArgumentParser(
        "scripts/mutate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work", type=Path, default=Path("~/.local/share/hwbnn/mutants"), help="folder of it all"
    )
    verbs = parser.add_subparsers(required=True)
    each = verbs.add_parser("map", help="which tests call which functions")
    each.add_argument("tests", nargs="*", help="files of tests; all by default")
    each.add_argument("--hardware", action="store_true", help="those that compile hardware")
    each.add_argument("--limit", type=float, default=1800, help="seconds for a file of tests")
    each.set_defaults(work_on=make_map)
    each = verbs.add_parser("run", help="try a sample")
    each.add_argument("--mutants", type=int, default=200, help="how many")
    each.add_argument("--seed", type=int, default=1, help="of the sample")
    each.add_argument("--rooms", default=",".join(ROOMS), help="by commas")
    each.add_argument("--only", help="of the sample, mutants of these rooms")
    each.add_argument("--budget", type=float, default=60, help="seconds of tests for a mutant")
    each.add_argument("--hardware", type=float, default=0, help="seconds of those of hardware")
    each.add_argument(
        "--patience", type=float, default=5, help="times the usual that tests may take"
    )
    each.add_argument("--cap", type=float, default=300, help="seconds that tests may take at most")
    each.add_argument("--minutes", type=float, help="begin no mutant after this long")
    each.set_defaults(work_on=run)
    each = verbs.add_parser("again", help="try those that nothing killed with these tests")
    each.add_argument("tests", nargs="+", help="files of tests, or tests by pytest's names")
    each.add_argument("--file", default="", help="mutants of files that have this in their path")
    each.add_argument("--new", action="store_true", help="copy the files of tests from here")
    each.add_argument("--cap", type=float, default=300, help="seconds that the tests may take")
    each.set_defaults(work_on=again)
    each = verbs.add_parser("report", help="the share killed, and the survivors")
    each.set_defaults(work_on=report)
    given = parser.parse_args(arguments)
    given.work = given.work.expanduser().resolve()
    if given.work_on is report:
        return report(given)
    try:
        lock = locked(given.work)
    except BlockingIOError:
        print(f"{given.work}: another run works there; wait for it, or stop it", file=sys.stderr)
        return 2
    with lock:
        status: int = given.work_on(given)
    return status


if __name__ == "__main__":
    # SIGTERM ends like an error: running tests are ended too, and the mutant is removed.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main())

"""Mutants of every kind of file: an HwbnnError of one line, or the value that the file had."""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path

import numpy as np
import pytest

from hwbnn.errors import HwbnnError
from tests.fuzz import graphs, keras_files, network_files, plans, projects, runs
from tests.fuzz.kinds import FileKind, within

KINDS: tuple[FileKind, ...] = (
    *graphs.KINDS,
    *keras_files.KINDS,
    *network_files.KINDS,
    *plans.KINDS,
    *projects.KINDS,
    *runs.KINDS,
)


MUTANTS = 200
"""Damaged files of a kind, unless a number is given."""
SECONDS = 30
"""What one file may take, of the processor; most take some hundredths of a second."""
MEMORY = 1 << 29
"""Bytes by which the peak of the process may grow while one file is read."""


class Outcome(Enum):
    """What became of a damaged file: refused, read, or read and found right by other means."""

    REFUSED = auto()
    READ = auto()
    RIGHT = auto()


def check(kind: FileKind, data: bytes, expected: object | None, what: str) -> Outcome:
    """See a file refused in one line, or read as what is expected."""
    try:
        with within(SECONDS), bounded(MEMORY):
            value = kind.read(data)
    except HwbnnError as error:
        text = str(error)
        assert text.isprintable(), (what, text)
        assert len(text) < 2000, (what, text)
        text.encode()
        return Outcome.REFUSED
    except BaseException as error:
        raise AssertionError(
            f"{kind.name}, {what}: {type(error).__name__}: {error!s:.300}"
        ) from error
    if expected is not None and kind.same:
        assert value == expected, (kind.name, what)
    if kind.right is not None:
        try:
            return Outcome.RIGHT if kind.right(data, value) else Outcome.READ
        except AssertionError as error:
            raise AssertionError(f"{kind.name}, {what}: read as another network") from error
    return Outcome.READ


@contextmanager
def bounded(size: int) -> Iterator[None]:
    """Fail what makes the memory of this process grow by more than ``size`` bytes at its peak."""
    before = _reset_peak()
    yield
    grown = _status("VmHWM") - before
    assert grown < size, f"took {grown >> 20} MiB of memory"


def _reset_peak() -> int:
    """Forget the peak of the memory so far; the memory now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{name}:")[1].split()[0]) << 10


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_damaged_files_are_refused_in_one_line_or_read_alike(
    kind: FileKind, pytestconfig: pytest.Config
) -> None:
    given = pytestconfig.getoption("mutants")
    mutants = given if given is not None else max(10, round(MUTANTS * kind.share))
    first = pytestconfig.getoption("mutant_seed")
    values = [kind.read(sample) for sample in kind.samples]
    became = Counter[Outcome]()
    slowest, begin = 0.0, time.monotonic()
    for seed in range(mutants):
        rng = np.random.default_rng(
            (zlib.crc32(kind.name.encode()), seed, first)[: 2 + (first > 0)]
        )
        i = seed % len(kind.samples)
        change = kind.changes[seed // len(kind.samples) % len(kind.changes)]
        data = change(kind.samples[i], rng)
        start = time.process_time()
        what = f"sample {i}, seed {first} {seed}, {change.__name__}"
        became[check(kind, data, values[i], what)] += 1
        slowest = max(slowest, time.process_time() - start)
    refused, right = became[Outcome.REFUSED], became[Outcome.RIGHT]
    read = mutants - refused
    told = f", {right:,} of them found right by a second reading" if kind.right else ""
    print(
        f"{kind.name}: {mutants:,} damaged files, {refused:,} refused, {read:,} read{told}; "
        f"slowest {slowest:.2f} s, all {time.monotonic() - begin:,.0f} s"
    )
    assert kind.right is None or right >= read // 2


@pytest.mark.parametrize(
    ("kind", "what"), [(kind, what) for kind in KINDS for what in kind.corpus], ids=str
)
def test_what_once_failed_is_refused(kind: FileKind, what: str) -> None:
    with pytest.raises(HwbnnError) as caught:
        kind.read(kind.corpus[what])
    assert str(caught.value).isprintable()


def test_a_reader_that_raises_anything_else_is_caught() -> None:
    def reader(data: bytes) -> object:
        return {b"good": 1, b"worse": 2}[data]

    kind = FileKind("planted", (b"good",), reader)
    with pytest.raises(AssertionError, match="planted, sample: KeyError"):
        check(kind, b"bad", 1, "sample")
    with pytest.raises(AssertionError, match="planted"):
        check(kind, b"worse", 1, "sample")


def test_a_reader_that_takes_too_much_is_caught() -> None:
    """The faults: one that computes without end, one that takes memory."""

    def endless(data: bytes) -> object:
        while True:
            pass

    def large(data: bytes) -> object:
        return np.ones(MEMORY // 4)

    with pytest.raises(AssertionError, match="took more than 1 s of the processor"), within(1):
        endless(b"")
    with pytest.raises(AssertionError, match=r"took .* MiB of memory"):
        check(FileKind("planted", (b"",), large), b"", None, "sample")


def test_a_file_that_is_read_as_another_is_caught() -> None:
    def right(data: bytes, value: object) -> bool:
        assert value == len(data)
        return True

    kind = FileKind("planted", (b"a",), len, same=False, right=right)
    assert check(kind, b"ab", None, "sample") is Outcome.RIGHT
    wrong = FileKind("planted", (b"a",), lambda data: 1, same=False, right=right)
    with pytest.raises(AssertionError, match="planted, sample: read as another network"):
        check(wrong, b"ab", None, "sample")

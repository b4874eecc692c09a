"""Mutants of every kind of file: an HwbnnError of one line, or the value that the file had."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from hwbnn.errors import HwbnnError
from tests.fuzz import graphs, keras_files, network_files, plans, projects, runs
from tests.fuzz.kinds import FileKind

KINDS: tuple[FileKind, ...] = (
    *graphs.KINDS,
    *keras_files.KINDS,
    *network_files.KINDS,
    *plans.KINDS,
    *projects.KINDS,
    *runs.KINDS,
)


def check(kind: FileKind, data: bytes, expected: object | None, what: str) -> None:
    """See a file refused in one line, or read as what is expected."""
    try:
        value = kind.read(data)
    except HwbnnError as error:
        text = str(error)
        assert text.isprintable(), (what, text)
        assert len(text) < 2000, (what, text)
        text.encode()
        return
    except BaseException as error:
        raise AssertionError(
            f"{kind.name}, {what}: {type(error).__name__}: {error!s:.300}"
        ) from error
    if expected is not None and kind.same:
        assert value == expected, (kind.name, what)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_damaged_files_are_refused_in_one_line_or_read_alike(
    kind: FileKind, pytestconfig: pytest.Config
) -> None:
    mutants = max(10, round(pytestconfig.getoption("mutants") * kind.share))
    values = [kind.read(sample) for sample in kind.samples]
    for seed in range(mutants):
        rng = np.random.default_rng((zlib.crc32(kind.name.encode()), seed))
        i = seed % len(kind.samples)
        change = kind.changes[seed // len(kind.samples) % len(kind.changes)]
        data = change(kind.samples[i], rng)
        check(kind, data, values[i], f"sample {i}, seed {seed}, {change.__name__}")


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

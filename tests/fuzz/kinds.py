"""A kind of file as the fuzzer sees it."""

from __future__ import annotations

import io
import json
import signal
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Change = Callable[[bytes, np.random.Generator], bytes]
"""From the bytes of a file to those of a damaged one."""


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with some bits flipped, a stretch removed, doubled, zeroed or put elsewhere, or cut."""
    if not data:
        return b"\x00"
    a, b = sorted(int(n) for n in rng.integers(0, len(data) + 1, 2))
    b = min(b, a + int(rng.integers(1, 40)))
    action = rng.integers(6)
    if action == 0:
        return data[:a]
    if action == 1:
        return data[:a] + data[b:]
    if action == 2:
        return data[:b] + data[a:]
    if action == 3:
        return data[:a] + bytes(b - a) + data[b:]
    if action == 4:
        return data[:a] + rng.bytes(b - a) + data[b:]
    changed = bytearray(data)
    for i in rng.integers(0, len(data), int(rng.integers(1, 4))):
        changed[i] ^= 1 << int(rng.integers(8))
    return bytes(changed)


@dataclass(frozen=True, eq=False, repr=False)
class FileKind:
    """A kind of file, how it is read, and what once failed.

    Attributes:
        name: as it stands in the test's name.
        samples: good files.
        read: reads the bytes of a file; raises HwbnnError, or gives a value that is compared with
            ``==``. Readers of paths write the bytes to a scratch folder themselves.
        changes: mutations, in turn: :func:`flipped`, :func:`json_change`, :func:`zip_change`, or
            others of the kind's own.
        corpus: files that once raised something else, by what was wrong with them.
        same: whether a mutant that is read must equal its sample: so where the file has a digest.
        share: of the mutants of a run, for readers that take long, unless their number is given.
        right: raises AssertionError if what a mutant was read as is not what it holds; returns
            whether it could say so.
    """

    name: str
    samples: tuple[bytes, ...]
    read: Callable[[bytes], object]
    changes: tuple[Change, ...] = (flipped,)
    corpus: Mapping[str, bytes] = field(default_factory=dict)
    same: bool = True
    share: float = 1.0
    right: Callable[[bytes, object], bool] | None = None

    def __repr__(self) -> str:
        return self.name


HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 63, 64, 255, 1 << 31, -(1 << 31), 1 << 63, 10**400, 0.5),
    *(1e308, float("inf"), float("nan"), "", "a", "x" * 5000, "../x", "a\nb", "\x00", "\ud800"),
    *([], {}, [[]], [1, 2], {"a": 1}, "/dev/zero", "ünï", "$(x)", '"', "{", "__class__"),
)
"""Values that strangers may write in place of any other."""


def hostile(value: Any, rng: np.random.Generator) -> Any:
    """A JSON value with one of its parts, however deep, replaced, removed, doubled or renamed."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = list(value)[rng.integers(len(value))]
        action = rng.integers(8)
        if action == 0:
            return {k: v for k, v in value.items() if k != key}
        if action == 1:
            return {(k + "x" if k == key else k): v for k, v in value.items()}
        return {k: (hostile(v, rng) if k == key else v) for k, v in value.items()}
    if isinstance(value, list) and value and rng.random() < 0.9:
        i = int(rng.integers(len(value)))
        action = rng.integers(8)
        if action == 0:
            return value[:i] + value[i + 1 :]
        if action == 1:
            return [*value[: i + 1], *value[i:]]
        return [*value[:i], hostile(value[i], rng), *value[i + 1 :]]
    if isinstance(value, int) and not isinstance(value, bool) and rng.random() < 0.4:
        return value + int(rng.integers(-2, 3))
    return HOSTILE[rng.integers(len(HOSTILE))]


def json_change(data: bytes, rng: np.random.Generator) -> bytes:
    """A JSON file with one value damaged."""
    return json.dumps(hostile(json.loads(data), rng)).encode()


def zip_change(data: bytes, rng: np.random.Generator) -> bytes:
    """A zip file with one member damaged, removed, renamed or doubled; arrays by bytes or shape."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    i = int(rng.integers(len(members)))
    name, content = members[i]
    action = rng.integers(6)
    if action == 0:
        del members[i]
    elif action == 1:
        members[i] = name + "x", content
    elif action == 2:
        members.append((f"{name}.npy", content))
    elif action == 3 and name.endswith(".npy"):
        members[i] = name, npy(_reshaped(content, rng))
    else:
        members[i] = name, flipped(content, rng)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def npy(array: Any) -> bytes:
    """An array as the bytes of a ``.npy`` file."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
    return stream.getvalue()


def _reshaped(content: bytes, rng: np.random.Generator) -> Any:
    """The array of a ``.npy`` file with another dtype, shape or values."""
    array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    kinds = ("i1", "u1", "<i8", ">i8", "f4", "c8", "U3", "?", "M8[s]")
    changes: tuple[Callable[[], Any], ...] = (
        lambda: array.astype("f4").astype(kinds[rng.integers(len(kinds) - 1)]),
        lambda: np.zeros(array.shape, "M8[s]"),
        lambda: array[None],
        lambda: array[..., :0],
        lambda: array.reshape(-1),
        lambda: np.concatenate([array, array], axis=-1) if array.ndim else array[None],
        lambda: np.full(array.shape, (1 << 62) + 1),
        lambda: np.float64(3),
    )
    with np.errstate(all="ignore"):
        return changes[rng.integers(len(changes))]()


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail what takes longer, by processor time: a busy machine fails nothing."""

    def late(number: int, frame: object) -> None:
        raise AssertionError(f"took more than {seconds} s of the processor")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)

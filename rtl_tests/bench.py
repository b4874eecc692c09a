"""The stream bench for one module: tokens in, tokens out, under stalls, pauses and resets.

It is :mod:`hwbnn.verification.cocotb_bench`, the bench that also drives whole networks, on a
module's own ports (``valid_i, ready_o, data_i`` and ``valid_o, ready_i, data_o``, or AXI4-Stream).
A test sends tokens, and a plain Python model in the test says what must come out.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwbnn.verification.bench import Stalls, Stimulus, read_result, read_tokens
from hwbnn.verification.cocotb_run import Module
from rtl_tests.forks import Forks

WRAPPERS = Path(__file__).parent / "wrappers"
SIMULATORS = ("icarus", "verilator")
QUIET = 1000
"""Cycles without a transfer, stalls aside, after which a module is taken to hang."""


@dataclass(frozen=True)
class Found:
    """What a module did.

    Attributes:
        tokens: what came out, at most as many as were expected.
        taken: cycle in which each token (of a packet, the first beat) was taken.
        given: cycle in which each token left.
        last: ``tlast`` with each token, for an AXI4-Stream output.
        keep: ``tkeep`` likewise.
        error: cycle in which ``error_o`` was first high; None if never.
        errors: cycles in which it was.
    """

    tokens: list[int]
    taken: list[int]
    given: list[int]
    last: list[int]
    keep: list[int]
    error: int | None
    errors: int

    @property
    def intervals(self) -> list[int]:
        """Cycles between successive tokens at the output."""
        return np.diff(self.given).tolist()


@dataclass(frozen=True)
class ModuleBench:
    """A compiled module with one stream in and one out.

    Attributes:
        module: the compiled module.
        scratch: folder for the files of its runs.
        axis: the sides that are AXI4-Stream, of ``"source"`` and ``"sink"``.
        ready: whether the streams have ready.
        error: whether there is an ``error_o``.
        forks: where short runs start sooner; one that does not end well is run again by itself.
    """

    module: Module
    scratch: Path
    axis: tuple[str, ...] = ()
    ready: bool = True
    error: bool = False
    forks: Forks | None = None

    def run(
        self,
        tokens: Sequence[int],
        expected: int,
        bits: tuple[int, int],
        *,
        last: Sequence[int] | None = None,
        used: Sequence[int] | None = None,
        stalls: Stalls | None = None,
        cut: int = 0,
        seed: int = 1,
    ) -> Found:
        """Send tokens back to back and record what comes out.

        Args:
            tokens: what is sent.
            expected: how many must come out, and no more.
            bits: widths of the data in and out.
            last: ``tlast`` with each token; all if not given.
            used: low bits of each token out that count, repeating; all if not given.
            stalls: when source and sink are willing.
            cut: cycles of a first run that a reset cuts off.
            seed: of what registers hold before reset.
        """
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        size, size_out = (-(-b // 8) for b in bits)
        data = b"".join(token.to_bytes(size, "little") for token in tokens)
        beats = np.frombuffer(data, np.uint8).reshape(-1, size)
        ends = np.array(last or [1] * len(beats), np.uint8)
        stimulus = Stimulus(beats, ends, stalls or Stalls(), cut, seed)
        source, sink = self._port("source"), self._port("sink")
        also = {k: f"m_axis_{k}" for k in ("tlast", "tkeep")} if "sink" in self.axis else {}
        out = {**sink, "name": "out", "bytes": size_out, "tokens": 1, "expected": expected}
        job = {
            **stimulus.write(folder, QUIET),
            "folder": str(folder),
            "clock": "clk_i",
            "reset": "rst_ni",
            "error": "error_o" if self.error else None,
            "source": {**source, "bytes": size},
            "sink": sink,
            "streams": [{**out, "used": list(used or [bits[1]]), "also": also}],
        }
        if self.forks is None or not self._forked(job, folder):
            self.module.run(job, folder, seed)
        result = read_result(folder)
        assert not result.faults
        assert result.counts["out"] == expected
        return Found(
            [int.from_bytes(t, "little") for t in read_tokens(folder / "out.bin", size_out)],
            *(np.fromfile(folder / f"{n}.bin", "<i8").tolist() for n in ("starts", "ends")),
            *(
                self._also(folder, n, size)
                for n, size in (("tlast", 1), ("tkeep", -(-size_out // 8)))
            ),
            result.error,
            result.errors,
        )

    def check(
        self, tokens: Sequence[int], expected: Sequence[int], bits: tuple[int, int], **options: Any
    ) -> Found:
        """Run and require exactly the expected tokens, in the bits that are used."""
        found = self.run(tokens, len(expected), bits, **options)
        used = options.get("used") or [bits[1]]
        masks = [(1 << used[i % len(used)]) - 1 for i in range(len(expected))]
        kept = [t & m for t, m in zip(found.tokens, masks, strict=True)]
        assert kept == [t & m for t, m in zip(expected, masks, strict=True)]
        return found

    def _forked(self, job: dict[str, Any], folder: Path) -> bool:
        assert self.forks is not None
        file = folder / "job.json"
        file.write_text(json.dumps(job))
        return self.forks.run(file)

    def _port(self, side: str) -> dict[str, Any]:
        if side in self.axis:
            prefix = {"source": "s_axis", "sink": "m_axis"}[side]
            return {"axis": prefix} | {k: f"{prefix}_t{k}" for k in ("valid", "ready", "data")}
        names = {
            "source": {"valid": "valid_i", "ready": "ready_o", "data": "data_i"},
            "sink": {"valid": "valid_o", "ready": "ready_i", "data": "data_o"},
        }[side]
        return names if self.ready else {**names, "ready": None}

    def _also(self, folder: Path, name: str, size: int) -> list[int]:
        path = folder / f"out_{name}.bin"
        if not path.exists():
            return []
        return [int.from_bytes(t, "little") for t in read_tokens(path, size)]


def random_tokens(seed: int, count: int, bits: int) -> list[int]:
    """Tokens of random bits."""
    rng = np.random.default_rng(seed)
    return [int.from_bytes(rng.bytes(-(-bits // 8)), "little") % (1 << bits) for _ in range(count)]


def join(parts: Sequence[int], bits: int) -> int:
    """One token of several, the first in the lowest bits."""
    return sum(part << (bits * i) for i, part in enumerate(parts))


def split(token: int, bits: int, count: int) -> list[int]:
    """Undo :func:`join`."""
    return [token >> (bits * i) & ((1 << bits) - 1) for i in range(count)]


def signed(value: int, bits: int) -> int:
    """An element in two's complement as the integer that it is."""
    return value - (1 << bits) if value >> (bits - 1) else value


def literal(parts: Sequence[int], bits: int) -> str:
    """A SystemVerilog constant of several parts, the first in the lowest bits."""
    kept = [int(part) & ((1 << bits) - 1) for part in parts]
    return f"{len(kept) * bits}'h{join(kept, bits):x}"


def late(cycles: int) -> Stalls:
    """A sink that takes nothing in the first cycles and everything after."""
    return Stalls(sink=np.arange(10_000) >= cycles)

"""Array types have one home, so that a name means one dtype everywhere."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEFINED = re.compile(r"^[A-Z]\w* = NDArray\[", re.MULTILINE)


def test_array_types_are_defined_in_one_file() -> None:
    files = [p for room in ("hwbnn", "benchmarks") for p in (ROOT / room).rglob("*.py")]
    defining = [p.relative_to(ROOT).as_posix() for p in files if DEFINED.search(p.read_text())]
    assert defining == ["hwbnn/graph/arrays.py"]

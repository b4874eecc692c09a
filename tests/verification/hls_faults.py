"""C simulation beside the plain simulator, and faults planted in the files of an HLS project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hwbnn.graph import Graph
from hwbnn.project import Project
from hwbnn.simulators import simulate
from hwbnn.verification import hls
from hwbnn.verification.results import Difference, compare_batch, first_difference
from tests.strategies import random_inputs


def difference(
    graph: Graph, project: Project, folder: Path, frames: int = 64, **how: Any
) -> Difference | None:
    """The first difference between C simulation and plain simulator; all values must be there."""
    x = random_inputs(graph, frames, 1)
    expected = simulate(graph, x, engine="plain", trace=True)
    run = hls.build(project, folder, **how).run(x)
    assert set(run.values) | set(run.fused) == set(expected)
    assert not set(run.values) & set(run.fused)
    return first_difference(compare_batch(graph, expected, run.values))


Edit = Callable[[bytes], bytes]


def literal(index: int, change: Callable[[int], int]) -> Edit:
    """Change one number of a file of constants."""

    def edit(text: bytes) -> bytes:
        before, brace, numbers = text.partition(b"{")
        numbers, end, rest = numbers.partition(b"}")
        changed = numbers.split(b", ")
        words = b"0x" in changed[index]  # as decimals, those above 2^63 are too large for C++
        changed[index] = (b"%#x" if words else b"%d") % change(int(changed[index], 0))
        return before + brace + b", ".join(changed) + end + rest

    return edit


def swapped(old: bytes, new: bytes) -> Edit:
    """Replace a piece of code."""
    return lambda text: text.replace(old, new)


def seen_at(
    node: str, graph: Graph, project: Project, name: str, edit: Edit, folder: Path, **how: Any
) -> None:
    """Plant a fault in a file of ``firmware/``; the first difference must be at this node."""
    name = f"firmware/{name}"
    faulty = replace(project, files={**project.files, name: edit(project.files[name])})
    assert faulty.digest != project.digest
    found = difference(graph, faulty, folder, **how)
    assert found is not None
    assert found.value == node

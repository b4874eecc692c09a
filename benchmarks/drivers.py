"""Both drivers of a core send test images through its RTL, over a model of the DMA.

    python -m benchmarks.drivers    # about a minute; writes results/drivers.json

The images are the first test images of MNIST, of which no result may differ from the simulator's.
The core is `sfc`, folded, in Verilator; docs/core.md has the figures.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from hwbnn.estimate import Goal, plan_for
from hwbnn.graph import load
from hwbnn.simulators import simulate
from hwbnn.targets import generate
from hwbnn.training.data import dataset
from hwbnn.training.recipe import Recipe
from rtl_tests.driver_run import compiled, run_drivers

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "drivers.json"
NETWORK, IMAGES, BATCH, INTERVAL = "sfc", 1000, 256, 100


def measure() -> None:
    """Write what differs, of both drivers."""
    graph = load(ROOT / "models" / NETWORK / "graph.npz")
    data = dataset("mnist")
    threshold = Recipe.read(ROOT / "models" / NETWORK / "recipe.toml").threshold
    x = data.test_images[:IMAGES].reshape(IMAGES, -1) >= threshold
    y = simulate(graph, x)
    plan = replace(plan_for(graph, Goal(interval=INTERVAL)), framing="batch", control="axi4lite")
    project = generate(graph, "rtl", plan, vectors=1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        core = compiled(project, folder / "core", name="hwbnn", simulator="verilator")
        (folder / "run").mkdir()
        failed, said = run_drivers(
            project, core, folder / "run", x, y, batch=BATCH, faults=False, stalls=0.1, name="hwbnn"
        )
    differing = {
        driver: int(count)
        for driver, count in re.findall(rf"(python|c): (\d+) of {IMAGES} frames differ", said)
    }
    assert not failed, said[-2000:]
    assert set(differing) == {"python", "c"}, said[-2000:]
    right = int((y[:, 0] == data.test_labels[:IMAGES]).sum())
    row = {
        "network": NETWORK,
        "build": json.loads(project.text("core.json"))["build"],
        "images": IMAGES,
        "frames in a transfer": BATCH,
        "differing": differing,
        "classified rightly": right,
    }
    RESULTS.write_text(json.dumps(row, indent=1, sort_keys=True) + "\n")
    print(json.dumps(row))


if __name__ == "__main__":
    measure()

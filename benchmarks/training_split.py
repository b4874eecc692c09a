"""The parts of a training step's time, compared with float32 weights in the same network.

usage: python -m benchmarks.training_split [--steps N] [recipes ...]

Writes ``benchmarks/results/training_split.json`` and a table beside it. Both networks take turns in
one process. A step's processor time is measured without a profiler. The profiler, which measures
wall-clock time, gives the shares of the parts, because other load on the machine lengthens all
parts alike.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.harness import describe
from hwbnn.methods import Nonlinearity
from hwbnn.nn import BinaryActivation, after_step, parameter_groups, penalty, start_epoch
from hwbnn.nn.conv import BinaryConv2d
from hwbnn.nn.linear import BinaryLinear
from hwbnn.training import Recipe
from hwbnn.training.predictions import seen

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
RECIPES = ("models/cnv", "models/resnet20_rbnn", "models/resnet20_conv_adabin")
PARTS = ("convolution", "binarization", "BatchNorm", "pooling", "optimiser", "data")
"""The parts of a step. ``convolution`` includes the products of dense layers. ``binarization`` is
everything else between layers: signs and scales of weights and activations, learned slopes,
shortcuts, and the methods' own part of a step."""


def part_of(name: str, around: list[str]) -> str:
    """The part to which an operator belongs, by its name and the labels around it."""
    if "step: data" in around:
        return "data"
    if "step: optimiser" in around:
        return "optimiser"
    for word, part in (("batch_norm", "BatchNorm"), ("conv", "convolution"), ("pool", "pooling")):
        if word in name:
            return part
    return "convolution" if name in ("aten::mm", "aten::addmm") else "binarization"


def float_network(model: nn.Module) -> nn.Module:
    """The same network with float32 weights, and hardtanh in place of binary activations."""
    twin = deepcopy(model)
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, BinaryConv2d):
                top, bottom, left, right = child.padding
                conv = nn.Conv2d(
                    child.in_channels,
                    child.out_channels,
                    child.kernel,
                    child.stride,
                    groups=child.groups,
                    bias=False,
                )
                border = nn.ZeroPad2d((left, right, top, bottom))
                setattr(parent, name, nn.Sequential(border, conv) if any(child.padding) else conv)
            elif isinstance(child, BinaryLinear):
                channels = len(child.weight.codes().integers)
                setattr(parent, name, nn.Linear(child.inputs, channels, bias=False))
            elif isinstance(child, BinaryActivation):
                setattr(parent, name, nn.Hardtanh())
            elif isinstance(child, Nonlinearity):
                setattr(parent, name, nn.Identity())
    return twin


def stepper(model: nn.Module, recipe: Recipe, after: Callable[[], None]) -> Callable[[], None]:
    """A function for one training step on random images, with labels for its phases."""
    source = recipe.graph_input()
    images = torch.randint(0, source.high + 1, (recipe.batch, *source.shape), dtype=torch.uint8)
    wanted = torch.randint(0, 10, (recipe.batch,))
    optimiser = torch.optim.Adam(parameter_groups(model, 1e-3), lr=1e-3, fused=True)

    def step() -> None:
        with record_function("step: data"):
            x: Tensor = seen(source, images)
        loss = functional.cross_entropy(model(x), wanted)
        extra = penalty(model)
        optimiser.zero_grad()
        (loss if extra is None else loss + extra).backward()
        with record_function("step: optimiser"):
            optimiser.step()
        after()

    return step


def shares(step: Callable[[], None], steps: int) -> dict[str, float]:
    """The share of each part in a step's time; only each operator's own time is counted."""
    with profile(activities=[ProfilerActivity.CPU]) as seen_by:
        for _ in range(steps):
            step()
    totals: dict[str, float] = defaultdict(float)
    for event in seen_by.events() or ():
        around, parent = [event.name], event.cpu_parent
        while parent is not None:
            around.append(parent.name)
            parent = parent.cpu_parent
        totals[part_of(event.name, around)] += event.self_cpu_time_total
    return {part: totals[part] / sum(totals.values()) for part in PARTS}


def measure(recipe: Recipe, steps: int, rounds: int) -> dict[str, Any]:
    """Shortest step in milliseconds and the share of each part, for binary and float32."""
    torch.manual_seed(0)
    model = recipe.make_model().train()
    start_epoch(model, 0.5)
    ways = {
        "binary": stepper(model, recipe, lambda: after_step(model)),
        "float32": stepper(float_network(model), recipe, lambda: None),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    parts: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for step in ways.values():
        step()
    for number in range(rounds):
        for way in list(ways)[:: -1 if number % 2 else 1]:
            begun = time.process_time()
            for _ in range(steps):
                ways[way]()
            times[way].append((time.process_time() - begun) / steps)
            parts[way].append(shares(ways[way], steps))
    return {
        way: {
            "milliseconds": round(1e3 * min(times[way]), 1),
            "shares": {p: round(sum(s[p] for s in parts[way]) / rounds, 4) for p in PARTS},
        }
        for way in ways
    }


def table(results: Mapping[str, Any]) -> str:
    """The results as a Markdown table."""
    lines = [
        "# What a training step's time is spent on",
        "",
        f"Milliseconds of processor time, one thread, float32, Adam; {results['machine']['cpu']}, "
        f"load {results['machine']['load_before']}. Least of {results['rounds']} rounds of "
        f"{results['steps']} steps, in turn with the same network of float32 weights and hardtanh; "
        "the parts by the profiler's shares.",
        "",
        f"| network | way | a step | of float32 | {' | '.join(PARTS)} |",
        f"|---|---|{'---:|' * (len(PARTS) + 2)}",
    ]
    for network, ways in results["networks"].items():
        base = ways["float32"]["milliseconds"]
        for way, found in ways.items():
            total = found["milliseconds"]
            numbers = " | ".join(f"{total * found['shares'][part]:.1f}" for part in PARTS)
            lines.append(f"| {network} | {way} | {total:.0f} | {total / base:.2f} | {numbers} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=RECIPES, help="folders of models/")
    parser.add_argument("--steps", type=int, default=2, help="steps of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    machine = describe()
    networks = {}
    for name in given.recipes:
        recipe = Recipe.read(ROOT / name / "recipe.toml")
        networks[Path(name).name] = measure(recipe, given.steps, given.rounds)
    results = {
        "steps": given.steps,
        "rounds": given.rounds,
        "networks": networks,
        "machine": machine,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "training_split.json").write_text(json.dumps(results, indent=1) + "\n")
    (given.out / "training_split.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()

"""Time of a training step of one network: every method, float32, and Brevitas' 1W1A layers.

usage: python -m benchmarks.training [--networks sfc,lfc] [--rounds N] [--steps N] [--methods ...]

Writes ``benchmarks/results/training.json`` and the table beside it. Brevitas takes part if this
Python can import it, see ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.harness import describe
from hwbnn import methods
from hwbnn.graph import Input
from hwbnn.methods import METHODS
from hwbnn.nn import NETWORKS, Scale, after_step, parameter_groups, penalty, start_epoch
from hwbnn.nn.named import network

RESULTS = Path(__file__).parent / "results"
BATCH = 256
EPOCH = 235
"""Steps per epoch of MNIST; the work at an epoch's start is divided by this number."""
VARIANTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "proxy_bnn, full": ("proxy_bnn", {"form": "full"}),
    "proxy_bnn, kronecker": ("proxy_bnn", {"form": "kronecker"}),
}
"""Variants of methods with other costs than the defaults."""
LIMITS = {"bnn_ste": 1.3, "proxy_bnn, full": None}
LIMIT = 2.5
"""Promised upper limit of step time over that of float32; None for no promise."""


@dataclass
class Contender:
    """One measured way of training the network.

    Attributes:
        name: as the table shows it.
        model: the network.
        after: called after a step of the optimiser.
        extra: returns a term to add to the loss, or None.
        epoch_seconds: processor time of the work at the start of an epoch.
        seconds: processor time of a step in each round.
        wall_seconds: the same on the wall.
    """

    name: str
    model: nn.Module
    after: Callable[[], None]
    extra: Callable[[], Tensor | None]
    epoch_seconds: float = 0.0
    seconds: list[float] = field(default_factory=list)
    wall_seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the optimiser as training does."""
        groups = parameter_groups(self.model, 1e-3)
        self.optimiser = torch.optim.Adam(groups, lr=1e-3, fused=True)

    def step(self, x: Tensor, wanted: Tensor) -> None:
        """One step of training."""
        loss = functional.cross_entropy(self.model(x), wanted)
        extra = self.extra()
        if extra is not None:
            loss = loss + extra
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.after()

    @property
    def step_seconds(self) -> float:
        """Processor time of a step: median of the rounds, plus its share of the epoch's work."""
        return median(self.seconds) + self.epoch_seconds / EPOCH


def of_method(name: str, net: str) -> Contender:
    """Our network with a method, its schedules in the middle of training."""
    method_name, hyper = VARIANTS.get(name, (name, {}))
    model = network(net, Input.bits(784), 10, methods.get(method_name, **hyper), last="scale")
    begin = time.process_time()
    start_epoch(model, 0.5)
    hook = time.process_time() - begin
    return Contender(
        name, model, lambda: after_step(model), lambda: penalty(model), epoch_seconds=hook
    )


def _nothing() -> None:
    return None


def _sequence(
    net: str, linear: Callable[[int, int], nn.Module], activation: Callable[[], nn.Module]
) -> nn.Sequential:
    """The shape of :func:`hwbnn.nn.mlp` with other layers."""
    sizes = [784, *NETWORKS[net], 10]
    layers: list[nn.Module] = []
    for n, m in pairwise(sizes):
        layers += [linear(n, m), nn.BatchNorm1d(m), activation()]
    return nn.Sequential(*layers[:-2], Scale(sizes[-2] ** -0.5))


def plain(net: str) -> Contender:
    """The same network with float32 weights and hardtanh, the reference for the cost."""
    model = _sequence(net, lambda n, m: nn.Linear(n, m, bias=False), nn.Hardtanh)
    return Contender("float32", model, _nothing, _nothing)


def brevitas(net: str) -> Contender | None:
    """The same network with Brevitas' layers and the quantizers of its own 1W1A examples.

    Like Brevitas' trainer it clips the weights after each step. None if Brevitas cannot be
    imported.
    """
    try:
        from brevitas.nn import QuantIdentity, QuantLinear
        from brevitas_examples.bnn_pynq.models.common import CommonActQuant, CommonWeightQuant
    except ImportError:
        return None

    def linear(n: int, m: int) -> nn.Module:
        layer: nn.Module = QuantLinear(
            n, m, bias=False, weight_bit_width=1, weight_quant=CommonWeightQuant
        )
        return layer

    def activation() -> nn.Module:
        made: nn.Module = QuantIdentity(act_quant=CommonActQuant, bit_width=1)
        return made

    model = _sequence(net, linear, activation)
    weights = [layer.weight for layer in model if isinstance(layer, QuantLinear)]

    def clip() -> None:
        for weight in weights:
            weight.data.clamp_(-1, 1)

    return Contender("Brevitas 1W1A", model, clip, _nothing)


def race(contenders: Sequence[Contender], rounds: int, steps: int) -> None:
    """Contenders take turns of ``steps`` steps in alternating order; round one is not counted."""
    torch.manual_seed(0)
    x = torch.randint(0, 2, (BATCH, 784)).float() * 2 - 1
    wanted = torch.randint(0, 10, (BATCH,))
    for number in range(rounds + 1):
        for contender in contenders[:: -1 if number % 2 else 1]:
            wall, processor = time.perf_counter(), time.process_time()
            for _ in range(steps):
                contender.step(x, wanted)
            if number:
                contender.seconds.append((time.process_time() - processor) / steps)
                contender.wall_seconds.append((time.perf_counter() - wall) / steps)


def measure(net: str, names: Sequence[str], rounds: int, steps: int) -> list[dict[str, Any]]:
    """An entry per contender for one network."""
    torch.manual_seed(0)
    candidates = [plain(net), brevitas(net), *(of_method(name, net) for name in names)]
    contenders = [c for c in candidates if c is not None]
    race(contenders, rounds, steps)
    base = contenders[0].step_seconds
    return [_entry(contender, base) for contender in contenders]


def _entry(contender: Contender, base: float) -> dict[str, Any]:
    ratio = contender.step_seconds / base
    is_ours = contender.name not in ("float32", "Brevitas 1W1A")
    limit = LIMITS.get(contender.name, LIMIT) if is_ours else None
    return {
        "name": contender.name,
        "milliseconds": round(1e3 * contender.step_seconds, 3),
        "lowest": round(1e3 * min(contender.seconds), 3),
        "highest": round(1e3 * max(contender.seconds), 3),
        "wall milliseconds": round(1e3 * median(contender.wall_seconds), 3),
        "epoch milliseconds": round(1e3 * contender.epoch_seconds, 3),
        "of float32": round(ratio, 3),
        "limit": limit,
        "over": limit is not None and ratio > limit,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default="sfc,lfc", help="by commas")
    parser.add_argument("--methods", default=";".join((*METHODS, *VARIANTS)), help="by semicolons")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each way")
    parser.add_argument("--steps", type=int, default=5, help="steps in a turn")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    names = given.methods.split(";")
    torch.set_num_threads(1)
    machine = describe()
    found = {
        "batch": BATCH,
        "rounds": given.rounds,
        "steps": given.steps,
        "networks": {
            net: measure(net, names, given.rounds, given.steps) for net in given.networks.split(",")
        },
        "machine": {**machine, "load_after": describe()["load_before"]},
        "brevitas": _brevitas_version(),
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "training.json").write_text(json.dumps(found, indent=1) + "\n")
    (given.out / "training.md").write_text(table(found))
    print(table(found))


def _brevitas_version() -> str | None:
    try:
        import brevitas_examples  # noqa: F401  # as its version alone says nothing

        return version("brevitas")
    except ImportError:
        return None


def table(found: Mapping[str, Any]) -> str:
    """The results as a Markdown table."""
    machine = found["machine"]
    who = f"Brevitas {found['brevitas']}" if found["brevitas"] else "Brevitas was not installed"
    lines = [
        "# Time of a training step",
        "",
        f"Batch {found['batch']}, fused Adam, one thread; forward, loss, backward, optimiser, and "
        "the method's own part of a step; its work at the start of an epoch is spread over the "
        f"{EPOCH} steps of an epoch of MNIST. Processor time, median of {found['rounds']} turns of "
        f"{found['steps']} steps, all ways in turn. The float32 network has hardtanh for the sign.",
        "",
        f"{machine['cpu']}, load {machine['load_before']} to {machine['load_after']}, torch "
        f"{machine['versions'].get('torch', '?')}, {who}.",
    ]
    for net, entries in found["networks"].items():
        theirs = next((e for e in entries if e["name"].startswith("Brevitas")), None)
        lines += [
            "",
            f"## {net}",
            "",
            "| way | ms a step | lowest to highest | of float32 | of Brevitas | promised |",
            "|---|---:|---:|---:|---:|---|",
        ]
        for e in entries:
            beside = f"{e['milliseconds'] / theirs['milliseconds']:.2f}" if theirs else ""
            promise = "" if e["limit"] is None else f"at most {e['limit']}"
            lines.append(
                f"| {e['name']} | {e['milliseconds']:.2f} | {e['lowest']:.2f} to "
                f"{e['highest']:.2f} | {e['of float32']:.2f} | {beside} | "
                f"{promise}{', over' if e['over'] else ''} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

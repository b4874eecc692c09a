"""Random trained-looking torch networks: wild gains, planted ties, every step that may be lowered.

The same two ways as in :mod:`tests.strategies`: with hypothesis, ``data.draw(models())``; from a
seed, ``random_model(7)``. Each gives a model in evaluation mode and the Input that it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from hwbnn import methods
from hwbnn.graph import Input
from hwbnn.nn import BinaryActivation, BinaryLinear, Scale
from tests.strategies import Chooser, Drawn, Seeded

METHOD = methods.get("bnn_ste")
INTEGERS = (
    (0, 255, 1 / 255, 0.0),
    (0, 255, 2 / 255, -1.0),
    (0, 255, 0.1, 3.7),
    (0, 16, 1 / 16, 0.0),
    (-128, 127, 1 / 128, 0.0),
    (0, 1, 1.0, 0.0),
    (-3, 12, -0.3, 0.25),
    (-7, 7, 1.0, 0.0),
)
"""Ranges and maps of integer inputs: low, high, scale, offset."""
EVALUATIONS = 3_000_000
"""Most table entries of a layer behind integers: what a quick test affords."""


@dataclass(frozen=True)
class ModelLimits:
    """What a random model may be."""

    max_width: int = 300
    max_depth: int = 4
    integers: bool = True
    tangled: bool = True


class _Builder:
    """A random network in the making."""

    def __init__(self, choose: Chooser, limits: ModelLimits) -> None:
        self.choose, self.limits = choose, limits
        self.layers: list[nn.Module] = []

    def chance(self, one_in: int) -> bool:
        return self.choose.integer(0, one_in - 1) == one_in - 1

    def width(self) -> int:
        favoured = [w for w in (1, 2, 3, 63, 64, 65, 255, 257) if w <= self.limits.max_width]
        if self.chance(3):
            return self.choose.choice(favoured)
        return self.choose.integer(1, self.limits.max_width)

    def input(self) -> Input:
        width = self.width()
        if not self.limits.integers or self.chance(2):
            return Input.bits(width)
        low, high, scale, offset = self.choose.choice(INTEGERS)
        return Input("x", (width,), low, high, scale=scale, offset=offset)

    def linear(self, n: int, m: int, source: Input | None) -> None:
        layer = BinaryLinear(n, m, METHOD, source=source)
        rng = self.choose.rng()
        latent = rng.normal(size=(m, n)).astype(np.float32)
        latent[rng.random((m, n)) < 0.05] = 0.0
        latent[rng.random((m, n)) < 0.05] = -0.0
        if self.chance(6):  # one channel of equal weights reaches the ends of its range
            latent[rng.integers(m)] = rng.choice((-1.0, 1.0))
        layer.weight.latent.data = torch.from_numpy(latent)  # type: ignore[union-attr]
        self.layers.append(layer)

    def norm(self, width: int, spread: float) -> None:
        """A BatchNorm of gains of both signs, zero, tiny, huge; half of the channels with ties."""
        norm, rng = nn.BatchNorm1d(width), self.choose.rng()
        gains = rng.normal(size=width)
        wild = rng.random(width) < self.choose.choice((0.0, 0.1, 0.5))
        odd = rng.choice((0.0, -0.0, 1e-8, -1e-8, 1e-30, -1e-38, 1e12, -1e12), width)
        mean = rng.normal(size=width) * spread
        tie = rng.random(width) < 0.5
        norm.weight.data = torch.from_numpy(np.where(wild, odd, gains)).float()
        norm.bias.data = torch.from_numpy(np.where(tie, 0.0, rng.normal(size=width))).float()
        norm.running_mean = torch.from_numpy(np.where(tie, np.rint(mean), mean)).float()
        variance = rng.choice((1.0, 1e-12, 1e6, spread**2), width)
        norm.running_var = torch.from_numpy(variance).float()
        self.layers.append(norm)

    def steps(self, width: int, spread: float) -> None:
        """What stands between a sum and the next bit."""
        kinds = ["norm"] * 4 + ["nothing", "scale", "prelu", "clip"]
        for _ in range(self.choose.integer(0, 2)):
            self.step(self.choose.choice(kinds), width, spread)
        if self.chance(2):
            self.norm(width, spread)

    def step(self, kind: str, width: int, spread: float) -> None:
        rng = self.choose.rng()
        if kind == "norm":
            self.norm(width, spread)
        elif kind == "scale":
            self.layers.append(Scale(self.choose.choice((-1.5, 0.0, 1e-20, 0.37, 1 / spread))))
        elif kind == "prelu":
            slopes = rng.normal(size=self.choose.choice((1, width)))
            prelu = nn.PReLU(len(slopes))
            slopes = slopes if self.limits.tangled else np.abs(slopes) + 0.01
            prelu.weight.data = torch.from_numpy(slopes).float()
            self.layers.append(prelu)
        elif kind == "clip":
            clips = (nn.Hardtanh(), nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.1), nn.Dropout(0.3))
            self.layers.append(self.choose.choice((*clips, nn.Identity(), nn.ReLU(inplace=True))))

    def build(self) -> tuple[nn.Sequential, Input]:
        source = self.input()
        largest = 1 if source.bit else max(abs(source.low), abs(source.high))
        n, values = source.shape[0], (2 * largest + 1) * source.shape[0]
        for position in reversed(range(self.choose.integer(1, self.limits.max_depth))):
            m = max(1, min(self.width(), EVALUATIONS // values))
            first = not self.layers
            self.linear(n, m, source if first else None)
            spread = n**0.5 * (largest if first else 1)
            if position:
                self.steps(m, spread)
                self.layers.append(BinaryActivation(m, METHOD))
            elif values <= 1 << 16:
                self.logits(m, spread)
            else:  # more sums than a table of ranks may hold
                self.layers.append(Scale(1 / spread))
            n, values = m, 2 * m + 1
        return nn.Sequential(*self.layers).eval(), source

    def logits(self, width: int, spread: float) -> None:
        kind = self.choose.choice(("norm", "norm", "scale", "nothing", "steps"))
        if kind == "steps":
            self.steps(width, spread)
        elif kind != "nothing":
            self.step(kind, width, spread)


def random_model(seed: int, **limits: object) -> tuple[nn.Sequential, Input]:
    """The model of this seed and its Input; ``limits`` are fields of :class:`ModelLimits`."""
    chooser = Seeded(np.random.default_rng(seed))
    return _Builder(chooser, ModelLimits(**limits)).build()  # type: ignore[arg-type]


@st.composite
def models(draw: st.DrawFn, /, **limits: object) -> tuple[nn.Sequential, Input]:
    """Models and their Inputs; ``limits`` are fields of :class:`ModelLimits`."""
    return _Builder(Drawn(draw), ModelLimits(**limits)).build()  # type: ignore[arg-type]


def random_integers(source: Input, frames: int, seed: int) -> NDArray[np.int64]:
    """Inputs of this seed that fit, corners first."""
    rng = np.random.default_rng(seed)
    shape = (frames, *source.shape)
    x = rng.integers(source.low, source.high, shape, endpoint=True)
    ends = rng.choice((source.low, source.high), shape)
    mixed = np.where(rng.random((frames, *(1 for _ in source.shape))) < 0.5, x, ends)
    mixed[0], mixed[-1] = source.low, source.high
    return mixed


def run_float(
    model: nn.Module, source: Input, u: NDArray[np.int64]
) -> tuple[list[NDArray[np.bool_]], NDArray[np.float32]]:
    """The bits that a model's activations return, in order, and its logits: torch, and no hwbnn.

    Images are channels last here as in a Graph.

    Args:
        model: in evaluation mode.
        source: its Input.
        u: integers ``(frames, *shape)``.
    """
    bits: list[NDArray[np.bool_]] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert bool((output.abs() == 1).all())
        seen = output.permute(0, 2, 3, 1) if output.ndim == 4 else output
        bits.append((seen == 1).numpy())

    kept = [m for m in model.modules() if isinstance(m, BinaryActivation)]
    hooks = [module.register_forward_hook(keep) for module in kept]
    x = (torch.from_numpy(u).double() * source.scale + source.offset).float()
    if len(source.shape) == 3:
        x = x.permute(0, 3, 1, 2).contiguous()
    try:
        with torch.no_grad():
            logits = model(x).numpy()
    finally:
        for hook in hooks:
            hook.remove()
    return bits, logits

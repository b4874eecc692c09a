"""ProxConnect++: any pair of forward and backward quantizer that satisfies its condition.

Forward: weights ``F(W)``, which are signs at the end; activations ``sign(x)``.

Backward: ``B(W)`` of the chosen pair for weights; ``max(2 - 2|x|, 0)`` for activations.

The condition is that F does not decrease and B is positive wherever a latent weight can be. Then,
with ``T(x)`` the integral of ``1/B``, a step ``W - rate * B(W) * G`` is to first order the step
``z - rate * G`` of ``z = T(W)``, and ``F(T^-1(z))`` does not decrease in z, which makes it a
proximal map: training is ProxConnect (Dockhorn et al., NeurIPS 2021) in other coordinates.

Source: Lu, Yu, Li, Partovi Nia, "Understanding Neural Network Binarization with Forward and
Backward Proximal Quantizers", NeurIPS 2023, which gives the framework and the special cases; the
derivation above is ours, as we did not have the paper's text.

If a pair's B is positive only on an interval (stated for each of :data:`PAIRS`), latent weights are
clipped to it after each step, so that the condition really holds at every step. The steepness of a
pair grows geometrically over the epochs. Soft pairs become signs in the last share ``hard`` of the
epochs, and BatchNorm's statistics are re-estimated after the last epoch. Schedules and constants
are our choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import ClassVar

import torch
from torch import Tensor

from hwbnn.errors import InputError
from hwbnn.methods import formulas
from hwbnn.methods.base import Activation, BinaryWeight, Method, SignActivation
from hwbnn.methods.bnn_pp import rising
from hwbnn.methods.checks import at_least, number, one_of
from hwbnn.methods.estimators import (
    ClipSTE,
    Ede,
    Estimator,
    Polynomial,
    Settings,
    SignSwish,
    StraightThrough,
    SwishSign,
    Triangle,
    sign,
)
from hwbnn.methods.formulas import Formulas
from hwbnn.methods.latent import LatentWeight, clip

_ACTIVATIONS = Polynomial()
_MOMENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_INSIDE = 1 - 2**-7
"""Share of the interval where B is positive that latent weights may use."""


@dataclass(frozen=True)
class Ramp(Estimator):
    """``F(x) = clip(mu x, -1, 1)``, soft, or the sign in the hard phase; ``B = 1``."""

    def forward(self, x: Tensor, settings: Settings) -> Tensor:
        """``clip(mu x, -1, 1)``, or the sign."""
        return sign(x) if self.is_hard(settings) else (x.detach() * settings["mu"]).clamp_(-1, 1)

    def surrogate(self, x: Tensor, settings: Settings) -> Tensor:
        """1."""
        return torch.ones_like(x)

    def backward(self, grad: Tensor, x: Tensor, settings: Settings) -> Tensor:
        """The gradient itself."""
        return grad

    def is_hard(self, settings: Settings) -> bool:
        """Whether the hard phase has begun."""
        return settings["hard"] != 0


@dataclass(frozen=True)
class Instance:
    """A special case of ProxConnect++: a pair, and where its condition holds.

    F does not decrease in any of them: it is the sign, a clipped line or a clipped SignSwish.

    Attributes:
        pair: F and B.
        why: why, and where, B is positive.
        reach: B is positive for ``|x| < reach / steepness``; inf for everywhere.
        steep: name of the setting that is the steepness; None for a pair that does not change.
        first: steepness in the first epoch, by default.
        last: steepness at the end, by default.
        limit: bound on the latent weights that belongs to the special case itself; inf for none.
    """

    pair: Estimator
    why: str
    reach: float = inf
    steep: str | None = None
    first: float = 1.0
    last: float = 1.0
    limit: float = inf

    def bound(self, settings: Settings) -> float:
        """The largest magnitude of a latent weight for which the condition certainly holds."""
        steepness = 1.0 if self.steep is None else settings[self.steep]
        return min(self.limit, _INSIDE * self.reach / steepness)


PAIRS: Mapping[str, Instance] = {
    "binary_connect": Instance(StraightThrough(), "B = 1 everywhere", limit=1.0),
    "bnn": Instance(ClipSTE(), "B = 1 for |x| <= 1, bounds included", limit=1.0),
    "bi_real": Instance(Polynomial(), "B = 2 - 2|x| > 0 for |x| < 1", reach=1.0),
    "bnn_plus": Instance(
        SwishSign(),
        "B = SS'_mu > 0 for mu |x| < 2.39936, its first zero",
        reach=2.39935,
        steep="mu",
        first=5.0,
        last=5.0,
    ),
    "ede": Instance(
        Ede(),
        "B = k t (1 - tanh(t x)^2) > 0 everywhere; in float32 for t |x| < 8, before tanh is 1",
        reach=8.0,
        steep="t",
        first=0.1,
        last=10.0,
    ),
    "rbnn": Instance(
        Triangle(),
        "B = k (sqrt(2) t - t^2 |x|) > 0 for |x| < sqrt(2) / t",
        reach=sqrt(2),
        steep="t",
        first=0.01,
        last=10.0,
    ),
    "prox_connect": Instance(
        Ramp(), "B = 1 everywhere", steep="mu", first=1.0, last=100.0, limit=1.0
    ),
    "bnn_pp": Instance(
        SignSwish("monotone"),
        "B = max(SS'_mu, 0) + mu / 1000 >= mu / 1000",
        steep="mu",
        first=10.0,
        last=500.0,
    ),
}
"""The special cases by name."""


@dataclass(frozen=True)
class ProxConnect(Method):
    """Weights by one of eight forward-backward pairs; the condition is checked at construction.

    Attributes:
        pair: name of the pair, one of :data:`PAIRS`.
        first: steepness in the first epoch, above 0; None for the pair's own. It has no effect on
            pairs without a steepness.
        last: steepness at the end, at least ``first``; None for the pair's own.
        bound: latent weights are clipped to ``[-bound, bound]`` after each step; None for the
            largest interval on which the condition certainly holds.
        hard: share of the epochs, the last ones, in which soft weights become signs.

    Raises:
        InputError: if a hyper-parameter is invalid, or if the pair violates the condition within
            ``bound`` at some moment of training.
    """

    name: ClassVar[str] = "prox_connect"
    formulas: ClassVar[Formulas] = Formulas(formulas.swish_slope, formulas.polynomial)
    colour: ClassVar[str] = "#dd99cc"
    dashed: ClassVar[bool] = True
    reestimates: ClassVar[bool] = True
    pair: str = "bnn_plus"
    first: float | None = None
    last: float | None = None
    bound: float | None = None
    hard: float = 0.1

    def __post_init__(self) -> None:
        one_of(self.name, "pair", self.pair, tuple(PAIRS))
        for name in ("first", "last", "bound"):
            if getattr(self, name) is not None:
                number(self.name, name, getattr(self, name), 1e-6, 1e6)
        number(self.name, "hard", self.hard, 0.001, 1)
        first, last = self._steepness()
        at_least(self.name, "last", last, "first", first)
        for u in _MOMENTS:
            settings = self.schedule(u)
            fault = broken(self.instance.pair, settings, self._bound(settings))
            if fault is not None:
                raise InputError(
                    f"prox_connect: pair '{self.pair}': {fault} at {u:.0%} of the training, where "
                    f"its condition asks for F that does not decrease and B above 0 "
                    f"({self.instance.why}); leave bound out, or choose a smaller one"
                )

    @property
    def instance(self) -> Instance:
        """The special case chosen."""
        return PAIRS[self.pair]

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """Latent weights, Glorot uniform."""
        return LatentWeight(self, shape, self.instance.pair)

    def make_activation(self, channels: int) -> Activation:
        """The sign, with gradient ``max(2 - 2|x|, 0)``."""
        return SignActivation(self, channels, _ACTIVATIONS)

    def schedule(self, u: float) -> Settings:
        """The steepness as ``mu`` and ``t``, ``k = max(1/t, 1)``, and ``hard``: 0 or 1."""
        settings = rising(u, *self._steepness(), self.hard)
        t = settings["mu"]
        return {**settings, "t": t, "k": max(1 / t, 1.0)}

    def on_epoch(self, weights: Sequence[BinaryWeight]) -> None:
        """Clip the latent weights, as after a step: the interval may have shrunk."""
        self.after_step(weights)

    def after_step(self, weights: Sequence[BinaryWeight]) -> None:
        """Clip the latent weights to the interval on which the condition holds now."""
        if weights:
            bound = self._bound(weights[0].settings)
            if bound < inf:
                clip(weights, bound)

    def _steepness(self) -> tuple[float, float]:
        first = self.instance.first if self.first is None else self.first
        return first, max(first, self.instance.last) if self.last is None else self.last

    def _bound(self, settings: Settings) -> float:
        return self.instance.bound(settings) if self.bound is None else self.bound


def broken(pair: Estimator, settings: Settings, bound: float, samples: int = 2001) -> str | None:
    """Where a pair violates the condition of ProxConnect++, by sampling; None if nowhere.

    Args:
        pair: F and B.
        settings: the current settings.
        bound: latent weights lie in ``[-bound, bound]``; with inf the samples go to 1000.
        samples: number of evenly spaced samples; as many more are logarithmically spaced.

    Returns:
        One clause that names a number at which F decreases or B is not positive.
    """
    end = min(bound, 1e3)
    powers = torch.logspace(-6, 0, samples // 2, dtype=torch.float64) * end
    x = torch.cat([torch.linspace(-end, end, samples, dtype=torch.float64), powers, -powers])
    x = x.float().sort().values
    values, slopes = pair.forward(x, settings), pair.surrogate(x, settings)
    falls = torch.nonzero(values.diff() < 0)
    if len(falls):
        return f"F falls beyond {x[falls[0]].item():.4g}"
    stops = torch.nonzero(~(slopes > 0))
    if len(stops):
        nearest = stops[x[stops].abs().argmin()]
        return f"B is {slopes[nearest].item():.3g} at {x[nearest].item():.4g}"
    return None

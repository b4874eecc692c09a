"""BNN++: SignSwish forward and backward, steeper with time, and hard before it is done.

Forward: weights ``SS_mu(W / s)``, soft, with s the standard deviation of the layer's latent weights
(``scale = "std"``) or 1 (``scale = "none"``); in the last share ``hard`` of the epochs
``sign(W)``. Activations ``sign(x)`` at all times.

Backward: ``SS'_mu(W / s) / s`` for weights, s constant to the gradient; ``max(2 - 2|x|, 0)`` for
activations. :class:`~hwbnn.methods.estimators.SignSwish` gives both functions, and what ``mode``
changes in them. ``mu`` grows geometrically from ``mu_first`` to ``mu_last`` until the hard phase
begins and stays there.

Source: Lu, Yu, Li, Partovi Nia, "Understanding Neural Network Binarization with Forward and
Backward Proximal Quantizers", NeurIPS 2023, of which we had the abstract and summaries: BNN++ is
BNN+ with its hard sign replaced by the SignSwish whose derivative BNN+ uses.

What is our reading, the paper's text not being at hand: the schedule of mu and the numbers in it,
the scale by the deviation (mu has a meaning only against it), the hard phase, activations that are
hard from the start, and ``mode = "monotone"``, which keeps the condition of
:mod:`~hwbnn.methods.prox_connect` where SignSwish breaks it. ``mode = "raw"`` is the pair as
published.

``mu_last`` and ``hard`` are chosen by the accuracy on held-out images after ten epochs: SS' reaches
latent weights up to ``2.4 s / mu``, so a large mu leaves most of them where they are, and a hard
phase that comes with it finds little left to mend.

A soft network is another function than that of its signs. So BatchNorm's statistics are taken anew
after the last epoch, in evaluation a layer always uses the signs, and a network whose last epoch
was soft is not lowered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from hwbnn.methods import formulas
from hwbnn.methods.base import Activation, BinaryWeight, Method, SignActivation
from hwbnn.methods.checks import at_least, number, one_of
from hwbnn.methods.estimators import Polynomial, Settings, SignSwish
from hwbnn.methods.formulas import Formulas
from hwbnn.methods.latent import LatentWeight

_ACTIVATIONS = Polynomial()


@dataclass(frozen=True)
class BnnPP(Method):
    """Soft weights by SignSwish that harden with time; activations hard.

    Attributes:
        mode: ``"monotone"`` or ``"raw"``, see :class:`~hwbnn.methods.estimators.SignSwish`.
        scale: ``"std"`` or ``"none"``: what latent weights are divided by.
        mu_first: steepness in the first epoch.
        mu_last: steepness when the hard phase begins.
        hard: share of the epochs, the last ones, in which weights are signs; above 0.
    """

    name: ClassVar[str] = "bnn_pp"
    formulas: ClassVar[Formulas] = Formulas(
        formulas.swish_slope_above_zero, formulas.polynomial, formulas.sign_swish
    )
    colour: ClassVar[str] = "#66bbee"
    reestimates: ClassVar[bool] = True
    mode: Literal["monotone", "raw"] = "monotone"
    scale: Literal["std", "none"] = "std"
    mu_first: float = 1.0
    mu_last: float = 4.0
    hard: float = 0.3

    def __post_init__(self) -> None:
        one_of(self.name, "mode", self.mode, ("monotone", "raw"))
        one_of(self.name, "scale", self.scale, ("std", "none"))
        number(self.name, "mu_first", self.mu_first, 1e-3, 1e4)
        number(self.name, "mu_last", self.mu_last, 1e-3, 1e4)
        number(self.name, "hard", self.hard, 0.001, 1)
        at_least(self.name, "mu_last", self.mu_last, "mu_first", self.mu_first)

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """Latent weights, Glorot uniform."""
        transform = by_deviation if self.scale == "std" else None
        return LatentWeight(self, shape, SignSwish(self.mode), transform=transform)

    def make_activation(self, channels: int) -> Activation:
        """The sign, with gradient ``max(2 - 2|x|, 0)``."""
        return SignActivation(self, channels, _ACTIVATIONS)

    def schedule(self, u: float) -> Settings:
        """``mu``, and ``hard``: 1 in the hard phase, else 0."""
        return rising(u, self.mu_first, self.mu_last, self.hard)


def rising(u: float, first: float, last: float, hard: float) -> Settings:
    """``mu`` from ``first`` geometrically to ``last`` at ``1 - hard``, and whether that is past.

    The bound counts as past, but for a rounding error: epoch 9 of 10 is in a last tenth.
    """
    done = min(u / (1 - hard), 1.0) if hard < 1 else 1.0
    return {"mu": first * (last / first) ** done, "hard": float(done > 1 - 1e-9)}


def by_deviation(latent: Tensor) -> Tensor:
    """The latent numbers over their standard deviation in the layer, constant to the gradient."""
    numbers = latent.detach()
    # Never a division by zero: a single number, or numbers all equal, are divided by little.
    return latent / numbers.std(correction=0).clamp_min_(1e-12)

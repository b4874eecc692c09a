"""BNN++: SignSwish forward and backward, steeper with time, and hard in the last epochs.

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

Our own choices, because we did not have the paper's text: the schedule of mu and its constants, the
division by the standard deviation (mu is relative to it), the hard phase, activations that are hard
from the start, and ``mode = "monotone"``, which keeps the condition of
:mod:`~hwbnn.methods.prox_connect` where SignSwish violates it. ``mode = "raw"`` is the pair as
published.

``mu_last`` and ``hard`` are chosen by the accuracy on held-out images after ten epochs. SS' is
positive for latent weights up to ``2.4 s / mu`` only, so with a large mu most of them no longer
move, and the hard phase can then improve little.

A network with soft weights and the network with their signs are different functions. BatchNorm's
statistics are therefore re-estimated after the last epoch, a layer always uses the signs in
evaluation, and a network whose last epoch was soft is not lowered.
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
        scale: divisor of the latent weights: ``"std"``, or ``"none"`` for 1.
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
    """``mu``, geometrically from ``first`` to ``last`` at ``u = 1 - hard``, and ``hard``.

    The setting ``hard`` is 1 from ``u = 1 - hard`` on, else 0. A tolerance absorbs rounding errors,
    so that ``u = 0.9`` belongs to a last tenth.
    """
    done = min(u / (1 - hard), 1.0) if hard < 1 else 1.0
    return {"mu": first * (last / first) ** done, "hard": float(done > 1 - 1e-9)}


def by_deviation(latent: Tensor) -> Tensor:
    """The latent numbers over the layer's standard deviation, which gets no gradient."""
    numbers = latent.detach()
    # The bound avoids a division by zero for a single number or for equal numbers.
    return latent / numbers.std(correction=0).clamp_min_(1e-12)

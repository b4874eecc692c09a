"""The latent weight that most methods share: with a transform, an estimator and a scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod, sqrt

import torch
from torch import Tensor, nn

from hwbnn.methods.base import BinaryWeight, Codes, Method, Options
from hwbnn.methods.estimators import ClipSTE, Estimator, quantize, sign

Transform = Callable[[Tensor], Tensor]


class LatentWeight(BinaryWeight):
    """One latent number per weight; the weight is ``scale[c] * F(transform(latent))``.

    The latent numbers start Glorot uniform: between -b and b with b = sqrt(6 / (in + out)).

    Args:
        method: the method that makes it.
        shape: output channels first, ``(out, in, ...)``.
        estimator: F and B.
        transform: differentiable function of the latent numbers, applied before F; None for none.
        scale: computes the factors ``(out,)`` from the transformed numbers, and detaches them if no
            gradient shall pass through them; None for 1.
        lr_scale: factor on the learning rate of the latent numbers.
        decay: whether weight decay acts on them.
    """

    def __init__(
        self,
        method: Method,
        shape: tuple[int, ...],
        estimator: Estimator,
        *,
        transform: Transform | None = None,
        scale: Transform | None = None,
        lr_scale: float = 1.0,
        decay: bool = False,
    ) -> None:
        super().__init__(method)
        self.shape = tuple(shape)
        self.estimator = estimator
        self._transform = transform
        self._scale = scale
        self._options = {"latent": Options(lr_scale, decay)}
        bound = (6 / fans(self.shape)) ** 0.5
        self.latent = nn.Parameter(torch.empty(self.shape).uniform_(-bound, bound))

    def real(self) -> Tensor:
        """The latent numbers, transformed."""
        return self.latent if self._transform is None else self._transform(self.latent)

    def codes(self) -> Codes:
        """F of the real numbers (in evaluation their signs), and the scale."""
        real = self.real()
        signs = quantize(real, self.estimator, self.settings) if self.training else sign(real)
        return Codes(signs, None if self._scale is None else self._scale(real))

    def options(self) -> Mapping[str, Options]:
        """The options given to the constructor; by default the latent numbers do not decay."""
        return self._options

    def why_not_exact(self) -> str | None:
        """The reason while F is soft: the trained network is not the network of the signs."""
        if self.estimator.is_hard(self.settings):
            return None
        return (
            "its weights are still soft, and their signs are another network than was trained; "
            "train to the last epoch, and with few epochs give the hard ones a larger share: "
            "hyper-parameter 'hard'"
        )


def fans(shape: tuple[int, ...]) -> int:
    """Fan-in plus fan-out, the divisor of Glorot's rule."""
    return (shape[0] + shape[1]) * prod(shape[2:])


def glorot_rate(shape: tuple[int, ...]) -> float:
    """``sqrt((in + out) / 1.5)``: BinaryConnect's factor on a layer's learning rate."""
    return sqrt(fans(shape) / 1.5)


def mean_magnitude(real: Tensor) -> Tensor:
    """``mean |w|`` of each channel, ``(channels,)``, without a gradient."""
    return real.detach().abs().flatten(1).mean(dim=1)


def standardize(latent: Tensor) -> Tensor:
    """Each channel minus its mean, over its standard deviation; differentiable, same shape.

    The deviation is ``sqrt(variance + 1e-12)`` with the biased variance, so that a channel of equal
    numbers becomes 0.
    """
    return standardized_rows(latent)[0].view_as(latent)


def standardized_rows(latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`standardize` as rows ``(channels, n)``, each row's mean, and 1 over its deviation."""
    rows = latent.flatten(1)
    # One kernel each way; the formula written out takes eight passes over memory.
    return torch.native_layer_norm(rows, rows.shape[1:], None, None, 1e-12)


@torch.no_grad()
def clip(weights: Sequence[BinaryWeight], bound: float = 1.0) -> None:
    """Bring the latent numbers of these weights back to ``[-bound, bound]``, in place."""
    latent = [w.latent.data for w in weights if isinstance(w, LatentWeight)]
    if not latent:
        return
    # One call for all layers saves the overhead of a call per layer in networks of small layers.
    torch._foreach_clamp_min_(latent, -bound)
    torch._foreach_clamp_max_(latent, bound)


def scaled_signs(method: Method, shape: tuple[int, ...]) -> LatentWeight:
    """Weights ``mean|W[c]| sign(W[c])``; no gradient passes through the scale.

    Weight decay acts on them, because with a scale their size matters.
    """
    return LatentWeight(method, shape, ClipSTE(), scale=mean_magnitude, decay=True)

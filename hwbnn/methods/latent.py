"""The latent weight that most methods share: a number a weight, a transform, a pair, a scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod, sqrt

import torch
from torch import Tensor, nn

from hwbnn.methods.base import BinaryWeight, Codes, Method, Options
from hwbnn.methods.estimators import ClipSTE, Estimator, quantize, sign

Transform = Callable[[Tensor], Tensor]


class LatentWeight(BinaryWeight):
    """One latent number a weight; the weight is ``scale[c] * F(transform(latent))``.

    The latent numbers start Glorot uniform: between -b and b with b = sqrt(6 / (in + out)).

    Args:
        method: the method that makes it.
        shape: output channels first, ``(out, in, ...)``.
        estimator: F and B.
        transform: what is done to the latent numbers before F, differentiable; None for nothing.
        scale: makes the factors ``(out,)`` of the transformed numbers; detached there if no
            gradient is to pass through it; None for 1.
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
        """F of the real numbers, in evaluation their signs; and the scale."""
        real = self.real()
        signs = quantize(real, self.estimator, self.settings) if self.training else sign(real)
        return Codes(signs, None if self._scale is None else self._scale(real))

    def options(self) -> Mapping[str, Options]:
        """As said when it was made; by default the latent numbers do not decay."""
        return self._options

    def why_not_exact(self) -> str | None:
        """A soft F: the network that was trained is not the one of signs."""
        if self.estimator.is_hard(self.settings):
            return None
        return (
            "its weights are still soft, and their signs are another network than was trained; "
            "train to the last epoch, and with few epochs give the hard ones a larger share: "
            "hyper-parameter 'hard'"
        )


def fans(shape: tuple[int, ...]) -> int:
    """Number of inputs plus outputs of one position: what Glorot's rules divide by."""
    return (shape[0] + shape[1]) * prod(shape[2:])


def glorot_rate(shape: tuple[int, ...]) -> float:
    """``sqrt((in + out) / 1.5)``: what BinaryConnect multiplies a layer's learning rate by."""
    return sqrt(fans(shape) / 1.5)


def mean_magnitude(real: Tensor) -> Tensor:
    """``mean |w|`` of each channel, ``(channels,)``, without a gradient."""
    return real.detach().abs().flatten(1).mean(dim=1)


def standardize(latent: Tensor) -> Tensor:
    """Each channel less its mean, over its standard deviation; differentiable, of its shape.

    The deviation is the population's, and ``sqrt(variance + 1e-12)``, so that a channel of equal
    numbers becomes 0.
    """
    return standardized_rows(latent)[0].view_as(latent)


def standardized_rows(latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`standardize`, ``(channels, n)``; each row's mean; one over each row's deviation."""
    rows = latent.flatten(1)
    # One kernel each way; the formula written out takes eight passes over memory.
    return torch.native_layer_norm(rows, rows.shape[1:], None, None, 1e-12)


@torch.no_grad()
def clip(weights: Sequence[BinaryWeight], bound: float = 1.0) -> None:
    """Bring the latent numbers of these weights back to ``[-bound, bound]``, in place."""
    latent = [w.latent.data for w in weights if isinstance(w, LatentWeight)]
    if not latent:
        return
    # One call for all layers: a network of many small ones would else spend its time in calls.
    torch._foreach_clamp_min_(latent, -bound)
    torch._foreach_clamp_max_(latent, bound)


def scaled_signs(method: Method, shape: tuple[int, ...]) -> LatentWeight:
    """Weights ``mean|W[c]| sign(W[c])``, the scale constant to the gradient.

    They decay: with a scale their size matters.
    """
    return LatentWeight(method, shape, ClipSTE(), scale=mean_magnitude, decay=True)

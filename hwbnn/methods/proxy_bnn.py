"""ProxyBNN: binarises weights that are learned combinations of a learned basis.

Source: He et al., "ProxyBNN: Learning Binarized Neural Networks via Proxy Matrices", ECCV 2020.

- What the paper's abstract states: the weights before binarisation are a linear combination of
  basis vectors, the proxy matrix; basis and coefficients are both learned by back-propagation,
  which lowers the quantisation error without a regulariser that draws the coefficients to -1 and
  +1.
- Our reading, as no code is public and we had no shapes, start values or learning rates:
  coefficients ``Z`` of the weights' shape, and one basis ``P`` for all channels of a layer. ``P``
  starts as the identity. The method then equals the plain straight-through baseline, so that every
  difference comes from learning the basis.
- Deviations: for layers of many inputs the basis is a Kronecker product of two small matrices,
  since ``P`` itself would have ``inputs^2`` parameters. The layer of logits, which published
  networks keep real, is binary here and has no scale, so that hardware compares its sums directly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from hwbnn.methods import formulas
from hwbnn.methods.base import Activation, BinaryWeight, Method, Options, SignActivation
from hwbnn.methods.checks import flag, number, one_of
from hwbnn.methods.estimators import ClipSTE
from hwbnn.methods.formulas import Formulas
from hwbnn.methods.kronecker import haar, inputs, sides, transform
from hwbnn.methods.latent import LatentWeight, clip, mean_magnitude

FULL_LIMIT = 512
"""Largest number of inputs of a layer whose basis is one full matrix in form ``"auto"``."""

_PAIR = ClipSTE()


@dataclass(frozen=True)
class ProxyBNN(Method):
    """Weights ``sign(Z P)`` with learned coefficients and basis; activations ``sign(x)``.

    Forward: ``W = Z P`` for coefficients ``(channels, n)`` and a basis ``(n, n)``; in Kronecker
    form ``W_c = A^T Z_c B`` (:mod:`hwbnn.methods.kronecker`). The layer's weight is
    ``mean|W_c| sign(W_c)``, the mean without gradient.

    Backward: ``G = dL/dsign * 1[|W| <= 1]``, then ``dL/dZ = G P^T`` and ``dL/dP = Z^T G``.
    ``Z`` is clipped to [-1, 1] after each step, like the baseline's latent weights. A step of
    gradient descent on both thus changes ``W`` by ``-lr (G P^T P + Z Z^T G)``: the basis mixes the
    gradients of the inputs, and channels with similar weights share their updates.

    ``W`` stays the same if a row of ``P`` grows as its column of ``Z`` shrinks. With
    ``renormalise`` each epoch starts with rows of ``P`` of length 1, and ``W`` stays unchanged.

    Attributes:
        form: ``"full"``; ``"kronecker"``; ``"auto"``: full up to :data:`FULL_LIMIT` inputs.
        start: initial basis: ``"identity"``, which is the baseline; ``"haar"``, a random rotation.
        basis_lr: factor on the learning rate of the basis; 0 freezes it. Weight decay never acts on
            it. A step of the basis moves all weights of a layer at once. At 0.1 a basis moves by
            about a tenth of its own size (784-128-128-10 on MNIST, six epochs: 0.10 to 0.13 a
            layer), and 8 to 9 % of the signs differ from those of the coefficients; at 0.01 it
            moves by 0.01.
        orthogonality: factor of ``||P^T P - I||^2``, summed over all bases, in the loss.
        renormalise: whether rows of the basis are scaled to length 1 at each epoch's start.
        scale: ``"mean"`` as above, or ``"none"``: 1.
    """

    name: ClassVar[str] = "proxy_bnn"
    formulas: ClassVar[Formulas] = Formulas(formulas.clipped, formulas.clipped)
    colour: ClassVar[str] = "#332288"
    form: Literal["auto", "full", "kronecker"] = "auto"
    start: Literal["identity", "haar"] = "identity"
    basis_lr: float = 0.1
    orthogonality: float = 0.0
    renormalise: bool = True
    scale: Literal["mean", "none"] = "mean"

    def __post_init__(self) -> None:
        one_of(self.name, "form", self.form, ("auto", "full", "kronecker"))
        one_of(self.name, "start", self.start, ("identity", "haar"))
        number(self.name, "basis_lr", self.basis_lr, 0, 1e6)
        number(self.name, "orthogonality", self.orthogonality, 0, 1e6)
        flag(self.name, "renormalise", self.renormalise)
        one_of(self.name, "scale", self.scale, ("mean", "none"))

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """Coefficients, Glorot uniform, and a basis."""
        return ProxyWeight(self, shape)

    def make_activation(self, channels: int) -> Activation:
        """The sign, with gradient 1 where ``|x| <= 1``."""
        return SignActivation(self, channels, _PAIR)

    def logits(self) -> Method:
        """The method without a scale."""
        return replace(self, scale="none")

    def penalty(self, weights: Sequence[BinaryWeight]) -> Tensor | None:
        """``orthogonality * ||P^T P - I||^2`` over all bases; None without."""
        if not self.orthogonality:
            return None
        bases = [basis for w in weights if isinstance(w, ProxyWeight) for basis in w.bases()]
        return self.orthogonality * torch.stack([_skewness(basis) for basis in bases]).sum()

    def on_epoch(self, weights: Sequence[BinaryWeight]) -> None:
        """Scale the rows of all bases to length 1, if ``renormalise`` is set."""
        if self.renormalise:
            for weight in weights:
                if isinstance(weight, ProxyWeight):
                    weight.renormalise()

    def after_step(self, weights: Sequence[BinaryWeight]) -> None:
        """Clip the coefficients to [-1, 1]."""
        clip(weights)


class ProxyWeight(LatentWeight):
    """Coefficients, and the basis that they combine.

    Attributes:
        latent: the coefficients ``Z``, of the weights' shape.
        left: ``A``, ``(a, a)``; None in full form.
        right: ``B``, ``(b, b)``; in full form ``P``, ``(n, n)``.
    """

    def __init__(self, method: ProxyBNN, shape: tuple[int, ...]) -> None:
        scale = mean_magnitude if method.scale == "mean" else None
        super().__init__(method, shape, _PAIR, scale=scale)
        self._basis_lr = method.basis_lr
        n = inputs(self.shape)
        is_full = method.form == "full" or (method.form == "auto" and n <= FULL_LIMIT)
        a, b = (1, n) if is_full else sides(n)
        make = haar if method.start == "haar" else torch.eye
        self.left = nn.Parameter(make(a)) if a > 1 else None
        self.right = nn.Parameter(make(b))

    def bases(self) -> list[Tensor]:
        """The matrices of the basis: two in Kronecker form."""
        return [self.right] if self.left is None else [self.left, self.right]

    def real(self) -> Tensor:
        """The weights before binarisation, ``W``."""
        # Weights are few and their signs all that counts: never in half precision.
        with torch.autocast(self.latent.device.type, enabled=False):
            if self.left is not None:
                return transform(self.latent, self.left, self.right)
            return (self.latent.flatten(1) @ self.right).view(self.shape)

    def options(self) -> Mapping[str, Options]:
        """The basis has its own learning rate and no decay, which would shrink the weights."""
        basis = Options(self._basis_lr, decay=False)
        names = ("right",) if self.left is None else ("left", "right")
        return {**super().options(), **dict.fromkeys(names, basis)}

    @torch.no_grad()
    def renormalise(self) -> None:
        """Scale the basis' rows to length 1 and multiply the coefficients by the old lengths."""
        coefficients = self.latent.data.view(len(self.latent), -1, len(self.right))
        coefficients.mul_(_take_lengths(self.right))
        if self.left is not None:
            coefficients.mul_(_take_lengths(self.left)[:, None])


def _take_lengths(basis: Tensor) -> Tensor:
    """Divide the rows of a matrix by their lengths in place; return these (1 for zero rows)."""
    lengths = basis.norm(dim=1)
    lengths = torch.where(lengths > 0, lengths, torch.ones_like(lengths))
    basis.div_(lengths[:, None])
    return lengths


def _skewness(basis: Tensor) -> Tensor:
    """``||P^T P - I||^2`` in the Frobenius norm."""
    gram = basis.t() @ basis
    return (gram - torch.eye(len(basis), dtype=basis.dtype, device=basis.device)).square().sum()

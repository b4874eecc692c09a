"""Linear maps of weights by two small matrices in place of a large one (Kronecker product).

A channel's ``n`` weights are read as an ``(a, b)`` matrix with ``a * b = n``, as square as
possible. ``X -> A^T X B`` is then the linear map ``kron(A^T, B^T)`` on ``n`` numbers, row by row,
for ``n (a + b)`` products in place of ``n^2``, and it takes ``a^2 + b^2`` parameters in place of
``n^2``. Source: Lin et al., "Rotated Binary Neural Network", NeurIPS 2020.
"""

from __future__ import annotations

from math import isqrt, prod

import torch
from torch import Tensor


def sides(n: int) -> tuple[int, int]:
    """``(a, b)`` with ``a * b = n`` and ``a`` the largest divisor up to ``sqrt(n)``.

    A prime ``n`` gives ``(1, n)``: the second matrix is then as large as the full one.

    >>> sides(784), sides(288), sides(13)
    ((28, 28), (16, 18), (1, 13))
    """
    a = next(a for a in range(isqrt(n), 0, -1) if n % a == 0)
    return a, n // a


def inputs(shape: tuple[int, ...]) -> int:
    """Number of weights per channel, for a weight shape with output channels first."""
    return prod(shape[1:])


def transform(x: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """``left^T X_c right`` for the matrix ``X_c`` of each channel.

    Args:
        x: ``(channels, ...)``, ``a * b`` numbers each.
        left: ``(a, a)``.
        right: ``(b, b)``.

    Returns:
        Tensor of the shape of ``x``, differentiable in all three.
    """
    half = x.reshape(-1, len(right)) @ right
    whole: Tensor = (left.t() @ half.view(len(x), len(left), len(right))).view(x.shape)
    return whole


def haar(n: int) -> Tensor:
    """A random rotation or reflection, drawn uniformly from torch's generator.

    Returns:
        float32 ``(n, n)``, orthogonal to the rounding of float32.
    """
    q, r = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64))
    # The QR decomposition is unique only after its signs are fixed.
    orthogonal: Tensor = (q * r.diagonal().sign()).float()
    return orthogonal

"""Activations of more than one bit: unsigned integers of a few bits, and the real ReLU.

With weights -1 and +1 the sums of unsigned integers are integers, so a layer behind such an
activation is as exact as one behind bits. In hardware such an activation is ``2^bits - 1``
thresholds per channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp

import torch
from torch import Tensor
from torch.nn import functional

from hwbnn.errors import CannotLower, InputError
from hwbnn.methods.base import Activation, Method
from hwbnn.methods.checks import integer, number
from hwbnn.methods.estimators import Estimator, Settings, quantize, refuse_nan

BITS = (2, 8)
"""Fewest and most bits of an activation; one bit is the sign's."""


def check_bits(method: str, bits: object, high: object) -> None:
    """Refuse numbers of bits and ranges that :class:`UnsignedSteps` does not support.

    Raises:
        InputError: with a message of one line that begins with ``method``.
    """
    integer(method, "bits", bits, *BITS)
    number(method, "high", high, 2**-8, 2**8)
    if frexp(high)[0] != 0.5:  # type: ignore[arg-type]
        raise InputError(
            f"{method}: high: expected a power of two, which keeps every step exact in floats, "
            f"found {high!r}"
        )


@dataclass(frozen=True)
class UnsignedSteps(Estimator):
    """A quantised ReLU: ``F(x) = step * q``, gradient straight through within the range.

    - Step: ``step = high / 2^bits``, a power of two, so that ``x / step`` and ``step * q`` are
      exact in every floating point type.
    - Range: codes 0 to ``2^bits - 1``; the highest stands for ``high - step``. Numbers outside the
      range are clipped to it.
    - Rounding: ``q`` is the integer nearest to ``x / step``.
    - Ties: rounded to the even integer, as in IEEE 754.
    - Backward: ``B(x) = 1 if 0 < x < high else 0``, as for a clipped ReLU.

    All of this is our own choice; the published margin-aware method leaves activations real.

    Attributes:
        bits: of a code.
        high: end of the range, a power of two.
    """

    bits: int
    high: float = 2.0

    def __post_init__(self) -> None:
        check_bits("UnsignedSteps", self.bits, self.high)

    @property
    def levels(self) -> int:
        """The highest code."""
        return (1 << self.bits) - 1

    @property
    def step(self) -> float:
        """The size of one step of the code."""
        return self.high / (1 << self.bits)

    def integers(self, x: Tensor) -> Tensor:
        """The codes ``q`` of ``x``, in its dtype.

        Raises:
            InputError: if an element is NaN, which is nearest to no integer.
        """
        x = x.detach()
        refuse_nan("activation", x)
        return torch.mul(x, 1 / self.step).round_().clamp_(0, self.levels)

    def forward(self, x: Tensor, settings: Settings) -> Tensor:
        """F: the numbers that the codes of ``x`` stand for."""
        return self.integers(x).mul_(self.step)

    def surrogate(self, x: Tensor, settings: Settings) -> Tensor:
        """``1[0 < x < high]``."""
        return ((x > 0) & (x < self.high)).to(x.dtype)

    def backward(self, grad: Tensor, x: Tensor, settings: Settings) -> Tensor:
        """``B(x) * grad`` in one pass; the kernel's interval is open at both ends too."""
        passed: Tensor = torch.ops.aten.hardtanh_backward(grad, x, 0.0, self.high)
        return passed


class UnsignedActivation(Activation):
    """Activations of ``bits`` bits, unsigned: :class:`UnsignedSteps` on each element.

    Args:
        method: the method that makes it.
        channels: length of its input's channel axis.
        bits: of a code, 2 to 8.
        high: end of the range, a power of two. The BatchNorm before it has a learned gain, so
            ``high`` affects the start of training and not what can be learned.

    Raises:
        InputError: if ``bits`` or ``high`` is invalid.
    """

    def __init__(self, method: Method, channels: int, bits: int, *, high: float = 2.0) -> None:
        super().__init__(method)
        self.channels = channels
        self.estimator = UnsignedSteps(bits, high)
        self.levels = self.estimator.levels

    def forward(self, x: Tensor) -> Tensor:
        """``step * q`` for each element of ``x``, of its shape and dtype."""
        return quantize(x, self.estimator, self.settings)

    def codes(self, x: Tensor) -> Tensor:
        """The codes ``q``."""
        return self.estimator.integers(x).byte()

    def affine(self) -> tuple[float, float]:
        """``(step, 0)``."""
        return self.estimator.step, 0.0


class ReluActivation(Activation):
    """``max(x, 0)`` in real numbers: trained and evaluated, never lowered."""

    def __init__(self, method: Method, channels: int) -> None:
        super().__init__(method)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """``max(x, 0)``."""
        return functional.relu(x)

    def codes(self, x: Tensor) -> Tensor:
        """Not available: real numbers have no codes.

        Raises:
            CannotLower: always.
        """
        raise CannotLower(self.why_not_exact())

    def why_not_exact(self) -> str:
        """The reason: real numbers have no codes."""
        return (
            "its activations are real numbers, as published, which no integer sums hold; train "
            'with activation = "unsigned" (2 to 8 bits) or "sign"'
        )

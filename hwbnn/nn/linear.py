"""Dense layers with binary weights."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from hwbnn.errors import InputError
from hwbnn.methods import Codes, Method
from hwbnn.nn.binary import BinaryLayer, Taps
from hwbnn.nn.source import Source


class BinaryLinear(BinaryLayer):
    """A dense layer of weights -1 and +1.

    Args:
        in_features: length of its input.
        out_features: number of its channels.
        method: makes the weights.
        source: what arrives, see :class:`~hwbnn.nn.binary.BinaryLayer`.

    Raises:
        InputError: if a size is not positive, or sums can grow beyond what float32 holds exactly.
    """

    def __init__(
        self, in_features: int, out_features: int, method: Method, *, source: Source = None
    ) -> None:
        if in_features < 1 or out_features < 1:
            raise InputError(
                f"BinaryLinear: expected sizes from 1, found {in_features} and {out_features}"
            )
        super().__init__((out_features, in_features), method, source)
        self.in_features = in_features
        self.out_features = out_features

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output.

        Args:
            x: floats ``(batch, in_features)``.

        Returns:
            ``(batch, out_features)``; in evaluation float32.

        Raises:
            InputError: in evaluation, if ``source`` is given and ``x`` is not on its lattice.
        """
        codes = self.weight.codes()
        if not self.training:
            return self.finish(*self.sums(self.integers(x), codes), codes)
        y = functional.linear(x, codes.signs)
        if codes.scale is not None:
            y = y * codes.scale
        if codes.offset is not None:
            y = y + codes.offset * x.sum(dim=-1, keepdim=True)
        return y

    def product(self, u: Tensor, signs: Tensor) -> Tensor:
        """``D``, ``(batch, out_features)``."""
        return functional.linear(u, signs)

    def total(self, u: Tensor) -> Tensor:
        """``S``, ``(batch, 1)``."""
        return u.sum(dim=-1, keepdim=True)

    def finish(
        self, sums: Tensor, total: Tensor | None = None, codes: Codes | None = None
    ) -> Tensor:
        """The layer's output from its integer sums: all scales and offsets, channel by channel.

        Args:
            sums: what :meth:`sums` returns first, float32 ``(batch, out_features)``.
            total: what it returns second.
            codes: the weights' codes, where they are at hand.

        Returns:
            float32 ``(batch, out_features)``.
        """
        known = codes or self.weight.codes()
        return self._finish(
            sums, total, known, lambda: Taps(known.signs.sum(dim=1), self.in_features)
        )

    def extra_repr(self) -> str:
        """Sizes and source, for ``print(model)``."""
        return f"{self.in_features}, {self.out_features}{self._said()}"

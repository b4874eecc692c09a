"""Dense layers, a selection of inputs, and a learned factor behind the last layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn.errors import InputError
from hwbnn.methods import Codes, Method
from hwbnn.nn.binary import (
    Lattice,
    Source,
    SumLayer,
    Taps,
    binary_weight,
    expect_tensor,
    is_size,
)

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
"""Dtypes that positions may have."""


class DenseLayer(SumLayer):
    """A dense layer of weighted sums.

    Args:
        in_features: length of its input.
        out_features: number of its channels.
        weight: makes the weights' codes.
        largest_weight: the largest magnitude of the weights' integers.
        source: what arrives, see :class:`~hwbnn.nn.binary.SumLayer`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        weight: nn.Module,
        largest_weight: int,
        source: Source,
    ) -> None:
        super().__init__(weight, (out_features, in_features), largest_weight, source)
        self.in_features = in_features
        self.out_features = out_features

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output.

        Args:
            x: floats ``(batch, in_features)``.

        Returns:
            ``(batch, out_features)``; in evaluation float32.

        Raises:
            InputError: if ``x`` has another number of features; in evaluation, if ``source`` is
                given and ``x`` is not on its lattice.
        """
        expect_tensor(type(self).__name__, x)
        if x.ndim < 2 or x.shape[-1] != self.in_features:
            raise InputError(
                f"{type(self).__name__}({self.in_features}, {self.out_features}): expected an "
                f"input of shape (batch, {self.in_features}), found {tuple(x.shape)}"
            )
        if not self.training:
            codes = self.weight.codes()
            return self.finish(*self.sums(self.integers(x), codes), codes)
        return self.of_training(x, self.in_training(x))

    def of_training(self, x: Tensor, codes: Codes) -> Tensor:
        """The layer's output in training, computed with these codes."""
        y = functional.linear(x, codes.integers)
        if codes.scale is not None:
            y = y * codes.scale
        if codes.offset is not None:
            y = y + codes.offset * x.sum(dim=-1, keepdim=True)
        return y

    def product(self, u: Tensor, integers: Tensor) -> Tensor:
        """``D``, ``(batch, out_features)``."""
        return functional.linear(u, integers)

    def total(self, u: Tensor) -> Tensor:
        """``S``, ``(batch, 1)``."""
        return u.sum(dim=-1, keepdim=True)

    def finish(
        self, sums: Tensor, total: Tensor | None = None, codes: Codes | None = None
    ) -> Tensor:
        """The layer's output from its integer sums: all scales and offsets, channel by channel.

        Args:
            sums: the first result of :meth:`sums`, float32 ``(batch, out_features)``.
            total: the second result of :meth:`sums`.
            codes: the weights' codes; None to compute them.

        Returns:
            float32 ``(batch, out_features)``.
        """
        known = codes or self.weight.codes()
        return self._finish(sums, total, known, lambda: Taps(self._row(known), self.in_features))

    def _row(self, codes: Codes) -> Tensor:
        """The sums of the weights' integers, ``(out_features,)``, see :class:`Taps`."""
        if isinstance(self.source, Lattice):
            centre = self.source.offset.double() / self.source.scale.double()
            return (codes.integers.detach().double() @ centre).float()
        return codes.integers.sum(dim=1)

    def extra_repr(self) -> str:
        """Sizes and source, for ``print(model)``."""
        return f"{self.in_features}, {self.out_features}{self._said()}"


class BinaryLinear(DenseLayer):
    """A dense layer of weights -1 and +1.

    Args:
        in_features: length of its input.
        out_features: number of its channels.
        method: makes the weights; a :class:`~hwbnn.methods.Method` or the name of one.
        source: what arrives, see :class:`~hwbnn.nn.binary.SumLayer`.
        bias: must be false: the BatchNorm behind the layer adds one.

    Raises:
        InputError: if a size is not positive, or sums can grow beyond what float32 holds exactly.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        method: Method | str | None = None,
        *,
        source: Source = None,
        bias: bool = False,
    ) -> None:
        if not (is_size(in_features) and is_size(out_features)):
            raise InputError(
                f"BinaryLinear: expected sizes from 1, found {in_features!r} and {out_features!r}"
            )
        in_features, out_features = int(in_features), int(out_features)
        shape = (out_features, in_features)
        weight = binary_weight("BinaryLinear", shape, method, source, bias)
        super().__init__(in_features, out_features, weight, 1, source)


class Scale(nn.Module):
    """One learned factor for all channels, which scales a last layer's sums to logits.

    Unlike a BatchNorm it keeps the order of the sums, so that hardware can compare the integers
    themselves.

    Args:
        initial: the factor before training, positive.
    """

    def __init__(self, initial: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(float(initial)))

    def forward(self, x: Tensor) -> Tensor:
        """``factor * x``."""
        return x * self.factor


class Select(nn.Module):
    """Selects the elements of a row that the following layer reads: ``y[i] = x[index[i]]``.

    Border pixels that never vary, for example, carry no information. An element that is not
    selected costs no product, no popcount and no weight, in the simulators and in hardware.

    Args:
        inputs: number of elements of an input row.
        index: positions of the selected elements, distinct.

    Attributes:
        index: int64 ``(m,)``, part of the network's state.

    Raises:
        InputError: if a position is outside ``0 .. inputs - 1`` or occurs twice, or if ``index`` is
            not a row of integers (a mask, for example).
    """

    index: Tensor

    def __init__(self, inputs: int, index: Sequence[int]) -> None:
        super().__init__()
        self.inputs = inputs
        self.register_buffer("index", _row(index))
        self.register_load_state_dict_post_hook(_check_loaded)  # type: ignore[no-untyped-call]
        self.check()

    def check(self) -> None:
        """Refuse invalid positions, when the layer is made and when a state is loaded.

        Raises:
            InputError: naming an invalid position.
        """
        positions = self.index.tolist()
        if not positions:
            raise InputError("Select: expected at least one position, found none")
        wrong = next((i for i in positions if not 0 <= i < self.inputs), None)
        if wrong is not None:
            raise InputError(
                f"Select: expected positions from 0 to {self.inputs - 1}, found {wrong}"
            )
        if len(set(positions)) < len(positions):
            twice = next(i for k, i in enumerate(positions) if i in positions[:k])
            raise InputError(f"Select: expected distinct positions, found {twice} twice")

    def forward(self, x: Tensor) -> Tensor:
        """The selected elements.

        Args:
            x: ``(batch, inputs)``.

        Returns:
            ``(batch, m)``.

        Raises:
            InputError: if a row does not have ``inputs`` elements.
        """
        if x.dim() != 2 or x.shape[1] != self.inputs:
            raise InputError(
                f"Select: expected (batch, {self.inputs}), found {tuple(x.shape)}; flatten first"
            )
        return x.index_select(1, self.index)

    def extra_repr(self) -> str:
        """Sizes, for ``print(model)``."""
        return f"{len(self.index)} of {self.inputs}"


def _row(index: Sequence[int]) -> Tensor:
    """Positions as int64; masks and fractions are refused, which torch would convert."""
    try:
        row = torch.as_tensor(index.tolist() if isinstance(index, Tensor) else list(index))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"Select: expected a row of integers ({error})") from None
    # Torch makes floats of an empty list.
    if row.dim() != 1 or (row.numel() and row.dtype not in INTEGERS):
        raise InputError(
            f"Select: expected a row of integers, found {row.dtype} of shape "
            f"{tuple(row.shape)}; of a mask take its positions (numpy.flatnonzero)"
        )
    return row.to(torch.int64)


def _check_loaded(layer: Select, _: object) -> None:
    layer.check()

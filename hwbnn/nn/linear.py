"""Dense layers, a selection of inputs, and a learned factor behind the last layer."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn.arguments import checked_class
from hwbnn.errors import InputError
from hwbnn.methods import Codes, Method
from hwbnn.nn.binary import (
    Lattice,
    Source,
    SumLayer,
    Taps,
    binary_weight,
    by_channel,
    expect_tensor,
    is_size,
)
from hwbnn.nn.fan_in import Connections

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
        connections: the inputs that each channel reads; None for all. The weights are then those of
            the candidates, of the shape ``connections.shape``.

    Attributes:
        connections: see ``connections``.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        weight: nn.Module,
        largest_weight: int,
        source: Source,
        connections: Connections | None = None,
    ) -> None:
        inputs = in_features if connections is None else connections.fan_in
        super().__init__(weight, (out_features, inputs), largest_weight, source)
        self.in_features = in_features
        self.out_features = out_features
        self.connections = connections

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
        if self.connections is not None:
            self.connections.watch(x)
        y = self.product(x, codes.integers)
        if codes.scale is not None:
            y = y * codes.scale
        if codes.offset is not None:
            y = y + codes.offset * self.total(x)
        return y

    def product(self, u: Tensor, integers: Tensor) -> Tensor:
        """``D``, ``(batch, out_features)``."""
        if self.connections is None:
            return functional.linear(u, integers)
        return self.connections.sums(u, integers)

    def total(self, u: Tensor) -> Tensor:
        """``S``, ``(batch, 1)``, or ``(batch, out_features)`` if channels read different inputs."""
        if self.connections is None:
            return u.sum(dim=-1, keepdim=True)
        return self.connections.sums(u, u.new_ones(self.connections.shape))

    def matrix(self, integers: Tensor) -> Tensor:
        """The weights' integers by input, ``(out_features, in_features)``: 0 for one not read."""
        return integers if self.connections is None else self.connections.matrix(integers)

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
        return self._finish(sums, total, known, lambda: Taps(self._row(known), self.inputs))

    def _row(self, codes: Codes) -> Tensor:
        """The sums of the weights' integers, ``(out_features,)``, see :class:`Taps`."""
        if isinstance(self.source, Lattice):
            centre = self.source.offset.double() / self.source.scale.double()
            return (codes.integers.detach().double() @ centre).float()
        if self.connections is not None:
            return self.connections.of_read(codes.integers).sum(dim=1)
        return codes.integers.sum(dim=1)

    def extra_repr(self) -> str:
        """Sizes and source, for ``print(model)``."""
        few = "" if self.connections is None else f", fan_in={self.connections.fan_in}"
        return f"{self.in_features}, {self.out_features}{few}{self._said()}"


@checked_class()
class BinaryLinear(DenseLayer):
    """A dense layer of weights -1 and +1.

    Args:
        in_features: length of its input.
        out_features: number of its channels.
        method: makes the weights; a :class:`~hwbnn.methods.Method` or the name of one.
        source: what arrives, see :class:`~hwbnn.nn.binary.SumLayer`.
        bias: must be false: the BatchNorm behind the layer adds one.
        fan_in: inputs that each channel reads, which training chooses (:mod:`hwbnn.nn.fan_in`);
            None for all. Call :func:`hwbnn.nn.start_epoch` and :func:`hwbnn.nn.after_step` in
            training, which choose and end the choice.

    Raises:
        InputError: if a size is not positive, sums can grow beyond what float32 holds exactly, or
            ``fan_in`` is not from 1 to ``in_features``.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        method: Method | str | None = None,
        *,
        source: Source = None,
        bias: bool = False,
        fan_in: int | None = None,
    ) -> None:
        if not (is_size(in_features) and is_size(out_features)):
            raise InputError(
                f"BinaryLinear: expected sizes from 1, found {in_features!r} and {out_features!r}"
            )
        in_features, out_features = int(in_features), int(out_features)
        connections = None if fan_in is None else Connections(in_features, out_features, fan_in)
        shape = (out_features, in_features) if connections is None else connections.shape
        weight = binary_weight("BinaryLinear", shape, method, source, bias)
        super().__init__(in_features, out_features, weight, 1, source, connections)
        if connections is not None:
            connections.choose(self.weight)


class GroupSum(DenseLayer):
    """Votes: class ``c`` is the sum of the ``c``-th group of equal size of the inputs.

    Its weights are fixed, 1 within the group and 0 elsewhere, so that hardware only counts bits
    (Petersen et al., "Deep Differentiable Logic Gate Networks", NeurIPS 2022, section 3.2).

    Args:
        in_features: length of its input, a multiple of ``classes``.
        classes: number of its channels.
        source: what arrives, see :class:`~hwbnn.nn.binary.SumLayer`.

    Raises:
        InputError: if a size is not positive, or groups are not of equal size.
    """

    def __init__(self, in_features: int, classes: int, *, source: Source = None) -> None:
        if not (is_size(in_features) and is_size(classes)) or in_features % classes:
            raise InputError(
                f"GroupSum: expected inputs in groups of equal size for {classes!r} classes, found "
                f"{in_features!r} inputs"
            )
        weight = _GroupWeight(int(in_features), int(classes))
        super().__init__(int(in_features), int(classes), weight, 1, by_channel(source))


class _GroupWeight(nn.Module):
    """The fixed weights of a :class:`GroupSum`.

    Attributes:
        shape: classes and inputs.
    """

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.shape = (classes, inputs)
        integers = torch.eye(classes).repeat_interleave(inputs // classes, dim=1)
        self.register_buffer("integers", integers, persistent=False)

    def codes(self) -> Codes:
        """The integers 0 and 1."""
        integers = self.integers
        assert isinstance(integers, Tensor)
        return Codes(integers)

    def watch(self) -> None:
        """Does nothing: these weights never change."""

    def why_not_exact(self) -> str | None:
        """None: hardware counts exactly."""
        return None


@checked_class()
class Scale(nn.Module):
    """One learned factor for all channels, which scales a last layer's sums to logits.

    Unlike a BatchNorm it keeps the order of the sums, so that hardware can compare the integers
    themselves.

    Args:
        initial: the factor before training, positive.
    """

    def __init__(self, initial: float) -> None:
        super().__init__()
        if not isinstance(initial, float | int) or not isfinite(initial):
            raise InputError(f"Scale: initial: expected a finite number, found {initial!r}")
        self.factor = nn.Parameter(torch.tensor(float(initial)))

    def forward(self, x: Tensor) -> Tensor:
        """``factor * x``."""
        scaled: Tensor = x * self.factor
        return scaled


@checked_class()
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

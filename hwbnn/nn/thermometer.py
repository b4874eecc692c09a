"""Thermometer codes: a number becomes one bit per threshold, +1 if it reaches the threshold.

Real features become bits before the first layer. A feature of ``k`` bits has ``k`` thresholds; bit
``j`` is +1 from threshold ``j`` on and -1 below it, so that close numbers have close codes (Buckman
et al., "Thermometer encoding: one hot way to resist adversarial examples", ICLR 2018). Thresholds
are uniform over the range, or quantiles of training data, which divide the data evenly.

The core takes integers: those of an :class:`~hwbnn.graph.Input`, such as
``Input.of_floats(data)``. The thresholds of :meth:`Thermometer.uniform` and
:meth:`Thermometer.quantile` lie half-way between two of these integers. A network trained on the
floats themselves therefore gives the same result for a sample as the core gives for the sample's
integers (except for floats that are equal to a threshold in float32).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from hwbnn.arguments import checked_class
from hwbnn.errors import InputError
from hwbnn.graph import Input, to_integers
from hwbnn.nn.binary import is_size

_MOST_BITS = 255


@checked_class()
class Thermometer(nn.Module):
    """Turns the numbers of a row into bits by comparing each with its thresholds.

    Args:
        thresholds: floats ``(features, bits)``, rising along each row.

    Attributes:
        thresholds: float32, part of the network's state.

    Raises:
        InputError: if the thresholds are not finite, not rising, or not of two axes.
    """

    thresholds: Tensor

    def __init__(self, thresholds: ArrayLike) -> None:
        super().__init__()
        try:
            array = np.asarray(thresholds, np.float32)
        except (TypeError, ValueError):
            array = np.empty(0, np.float32)
        if array.ndim != 2 or not array.size or not np.isfinite(array).all():
            raise InputError(
                "Thermometer: thresholds: expected finite numbers (features, bits), found shape "
                f"{array.shape}"
            )
        if (np.diff(array, axis=1) < 0).any():
            feature = int((np.diff(array, axis=1) < 0).any(axis=1).argmax())
            raise InputError(
                f"Thermometer: thresholds: expected rising ones, found falling ones of feature "
                f"{feature}; sort them along the last axis"
            )
        self.register_buffer("thresholds", torch.from_numpy(array.copy()))

    @classmethod
    def uniform(cls, source: Input, bits: int) -> Thermometer:
        """Thresholds at even distances over the range of an input.

        Args:
            source: a row of integers and the numbers that they stand for.
            bits: of each feature, from 1.

        Raises:
            InputError: if the input is no row of integers, or ``bits`` is not from 1 to 255.
        """
        _check(source, bits)
        steps = np.arange(1, bits + 1) / (bits + 1)
        at = np.ceil(source.low + steps * (source.high - source.low))
        return cls(_half_way(source, np.tile(at, (source.shape[0], 1))))

    @classmethod
    def quantile(cls, source: Input, bits: int, data: ArrayLike) -> Thermometer:
        """Thresholds that divide training data evenly, feature by feature.

        Args:
            source: a row of integers and the numbers that they stand for.
            bits: of each feature, from 1.
            data: training data as :func:`hwbnn.graph.to_integers` takes it, ``(samples,
                features)``.

        Raises:
            InputError: as for :meth:`uniform`, or if the data does not fit the input.
        """
        _check(source, bits)
        u = to_integers(source, data)
        if u.ndim != 2 or u.shape[1:] != source.shape or not len(u):
            raise InputError(
                f"Thermometer: data: expected (samples, {source.shape[0]}), found {u.shape}"
            )
        steps = np.arange(1, bits + 1) / (bits + 1)
        at = np.quantile(u.astype(np.float64), steps, axis=0, method="higher").T
        # A bit that is the same in all samples carries no information.
        least = u.min(axis=0).astype(np.float64)[:, None] + 1
        return cls(_half_way(source, np.maximum(at, least)))

    @classmethod
    def at(cls, source: Input, features: int, limits: Sequence[int]) -> Thermometer:
        """Bit ``j`` of every feature says whether its integer reaches ``limits[j]``.

        Args:
            source: the integers, of any shape, and the numbers that they stand for.
            features: how many arrive.
            limits: rising, each above the lowest integer and up to the highest.

        Raises:
            InputError: if the input is bits or has scales by channel, or ``limits`` are not rising
                or out of its range.
        """
        if source.bit or not source.is_uniform:
            raise InputError(
                f"Thermometer: expected an input of integers with one scale, found {source}"
            )
        rising = all(isinstance(t, int) for t in limits) and list(limits) == sorted(set(limits))
        if not limits or not rising or limits[0] <= source.low or limits[-1] > source.high:
            raise InputError(
                f"Thermometer: expected rising integers from {source.low + 1} to {source.high}, "
                f"found {list(limits)}"
            )
        row = (np.asarray(limits) - 0.5) * source.scale + source.offset
        return cls(np.tile(row, (features, 1)))

    @property
    def bits(self) -> int:
        """Bits of each feature."""
        return int(self.thresholds.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        """The bits of each feature, one feature after the other.

        Args:
            x: floats ``(batch, features)``.

        Returns:
            -1 and +1, float32 ``(batch, features * bits)``.

        Raises:
            InputError: if ``x`` has another shape.
        """
        features = self.thresholds.shape[0]
        if x.ndim != 2 or x.shape[1] != features:
            raise InputError(
                f"Thermometer: expected (batch, {features}), found {tuple(x.shape)}; flatten first"
            )
        reached = x[:, :, None] >= self.thresholds
        return torch.where(reached, 1.0, -1.0).flatten(1)

    def extra_repr(self) -> str:
        """Sizes, for ``print(model)``."""
        return f"{self.thresholds.shape[0]} features, {self.bits} bits each"


def _check(source: object, bits: object) -> None:
    if not isinstance(source, Input) or source.bit or len(source.shape) != 1:
        raise InputError(
            "Thermometer: source: expected an hwbnn.Input of a row of integers, such as "
            f"Input.of_floats(data), found {source if isinstance(source, Input) else type(source)}"
        )
    if not is_size(bits) or not isinstance(bits, int) or bits > _MOST_BITS:
        raise InputError(f"Thermometer: bits: expected 1 to {_MOST_BITS}, found {bits!r}")


def _half_way(source: Input, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """The numbers half a step below these integers, ``(features, bits)``."""
    scale, offset = (
        np.broadcast_to(np.asarray(part), source.shape)[:, None]
        for part in (source.scale, source.offset)
    )
    return np.sort((at - 0.5) * scale + offset, axis=1)

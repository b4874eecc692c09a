"""Float functions of a network, as lowering sees them: arrays in, arrays out, channel by channel.

This is the interface between lowering and the readers of networks. A reader (of torch modules, of a
file) supplies the functions between a sum and the next activation as :class:`ChannelwiseOp`, and
the activations as :class:`StepActivation`; lowering evaluates them on every integer that can occur
and needs to know nothing else about them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph.arrays import Array, Bools, Bytes, Float32s, Ints

FLOAT32_INTEGERS = 1 << 24
"""float32 holds every integer below this magnitude."""


@dataclass(frozen=True, eq=False)
class ChannelwiseOp:
    """A float function on ``(rows, channels)`` that acts on each channel separately.

    Attributes:
        label: the function and its place in the network, for messages.
        is_elementwise: whether it does the same to all channels.
        is_monotone: whether each channel is known to be monotone, float32's rounding included, and
            to consist of a few straight lines.
        has_few_lines: whether each channel is known to consist of a few straight lines.
    """

    label: str
    is_elementwise: bool = field(default=False, kw_only=True)
    is_monotone: bool = field(default=False, kw_only=True)
    has_few_lines: bool = field(default=False, kw_only=True)

    @property
    def is_piecewise_linear(self) -> bool:
        """Whether it consists of a few straight lines, known by itself or as ``is_monotone``."""
        return self.is_monotone or self.has_few_lines

    def compute(self, x: Array) -> Any:
        """The function; ``x`` is a fresh contiguous array, which it may overwrite."""
        raise NotImplementedError

    def __call__(self, x: Array) -> Array:
        """The function's result for ``(rows, channels)``: float32, or float64 if ``x`` is that.

        Raises:
            CannotLower: if the result has another shape or type.
        """
        with np.errstate(all="ignore"):  # as in torch; the caller refuses a NaN
            y = self.compute(np.array(x, order="C"))
        if not isinstance(y, np.ndarray) or y.shape != x.shape or y.dtype != x.dtype:
            found = f"{y.shape[1:]} and {y.dtype}" if isinstance(y, np.ndarray) else type(y)
            raise CannotLower(
                f"{self.label}: expected a function that keeps shape {x.shape[1:]} and {x.dtype}, "
                f"found {found}"
            )
        return y

    def picked(self, index: Ints, count: int) -> ChannelwiseOp:
        """The function of some channels: column ``i`` of a table is channel ``index[i]``.

        The function itself has ``count`` channels. Each is computed separately, so the absent ones
        are given zeros.
        """

        def compute(x: Float32s) -> Float32s:
            whole = np.zeros((len(x), count), np.float32)
            whole[:, index] = x
            return self(whole)[:, index]

        return TableFunction(
            self.label,
            compute,
            is_elementwise=self.is_elementwise,
            is_monotone=self.is_monotone,
            has_few_lines=self.has_few_lines,
        )

    def repeated(self, count: int) -> ChannelwiseOp:
        """The function for flat tables that hold all channels ``count`` times in succession."""
        if self.is_elementwise:
            return self

        def compute(x: Float32s) -> Float32s:
            return self(x.reshape(len(x) * count, -1)).reshape(x.shape)

        return TableFunction(
            self.label, compute, is_monotone=self.is_monotone, has_few_lines=self.has_few_lines
        )


@dataclass(frozen=True, eq=False)
class TableFunction(ChannelwiseOp):
    """Any function on float32 ``(rows, channels)``."""

    function: Callable[[Float32s], Any]

    def compute(self, x: Float32s) -> Any:
        """The function."""
        return self.function(x)


@dataclass(frozen=True, eq=False)
class FixedPointReading(ChannelwiseOp):
    """The numbers that fixed-point integers stand for: ``v / 2^fraction``."""

    fraction: int

    def compute(self, x: Float32s) -> Float32s:
        """``x / 2^fraction``, in an array of any shape."""
        return x * np.float32(2.0**-self.fraction)


@dataclass(frozen=True, eq=False)
class StepActivation:
    """An activation of a few levels, in the form that lowering uses.

    Attributes:
        name: the layer's qualified name in the network.
        label: the layer, for messages.
        levels: the highest code.
        scale: a code ``q`` stands for ``scale * s + centre``, ``s`` being -1 or +1 for a bit
            (``levels`` 1) and ``q`` otherwise.
        centre: see ``scale``.
        codes: function from floats ``(rows, channels)`` to codes 0 to ``levels``, uint8.
        layer: the reader's own object; two activations with the same object are the same.
        base: the integer that code 0 becomes in the Graph, see :class:`hwbnn.graph.Threshold`;
            ``scale`` then multiplies these integers. None for bits and counts from 0.
        certify: function from the argument and the thresholds found in floats to the exact
            thresholds, both ``ThresholdTable``; for readers whose functions are defined in real
            numbers. None if the thresholds found in floats are right by definition.
    """

    name: str
    label: str
    levels: int
    scale: float
    centre: float
    codes: Callable[[Array], Bytes]
    layer: object = None
    base: int | None = None
    certify: Callable[[Any, Any], Any] | None = None

    def in_order(self, order: Ints | None) -> StepActivation:
        """The activation for tables whose columns are in the Graph's order.

        Args:
            order: column ``i`` of the network's own tables is column ``order[i]`` of the Graph's;
                None where they are the same.
        """
        if order is None:
            return self
        back = np.argsort(order)
        codes = self.codes
        return replace(self, codes=lambda x: codes(np.ascontiguousarray(x[:, order]))[:, back])


@dataclass(frozen=True, eq=False)
class CodeReading(ChannelwiseOp):
    """The numbers that the codes of an activation stand for."""

    activation: StepActivation
    is_bit: bool

    def compute(self, x: Array) -> Array:
        """The numbers that codes stand for, in an array of any shape."""
        real = x.dtype.type
        signs = x * real(2) - real(1) if self.is_bit else x
        return np.asarray(signs * real(self.activation.scale) + real(self.activation.centre))


class MonotoneCheck:
    """Whether the codes of each channel are monotone in the floats that a max pool compares.

    ``code(max y) = max code(y)`` where the code rises with ``y``, and ``= min code(y)`` where it
    falls: then the codes themselves can be pooled, bits by OR and AND. This is checked on every
    ``y`` that can occur, in all border classes together: the extremes of the floats on the two
    sides of each level are compared.

    Args:
        cut: how many float functions are applied before the pool.
        levels: the highest code.
        channels: number of channels.
    """

    def __init__(self, cut: int, levels: int, channels: int) -> None:
        self.cut = cut
        shape = (levels, channels)
        self._least = [np.full(shape, np.inf) for _ in range(2)]
        self._most = [np.full(shape, -np.inf) for _ in range(2)]

    def add(self, y: Array, codes: Array) -> None:
        """Record floats and their codes, both ``(rows, channels)``."""
        for level in range(len(self._least[0])):
            reached = codes > level
            for side, chosen in enumerate((~reached, reached)):
                least, most = self._least[side][level], self._most[side][level]
                np.minimum(least, np.where(chosen, y, np.inf).min(axis=0), out=least)
                np.maximum(most, np.where(chosen, y, -np.inf).max(axis=0), out=most)

    @property
    def rising(self) -> Bools:
        """Channels whose codes rise, or never change, bool ``(channels,)``."""
        return np.asarray((self._least[1] > self._most[0]).all(axis=0))

    @property
    def falling(self) -> Bools:
        """Channels whose codes fall, or never change, bool ``(channels,)``."""
        return np.asarray((self._most[1] < self._least[0]).all(axis=0))

    @property
    def is_monotone(self) -> bool:
        """Whether the codes of every channel may be pooled."""
        return bool((self.rising | self.falling).all())

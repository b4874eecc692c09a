"""Types of values: shape and possible integers; and conversion of floats to an input's integers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from hwbnn.errors import InputError
from hwbnn.graph.arrays import Array
from hwbnn.graph.nodes import Input


@dataclass(frozen=True, slots=True)
class ValueType:
    """The type of one value of a Graph.

    Every element is an integer in ``{low, low + step, ..., high}``. A *bit* is kept as its code, 0
    or 1, and stands for -1 or +1 wherever a weight multiplies it.

    Attributes:
        shape: shape of one sample, channels last, without a batch axis.
        low: smallest integer that can occur.
        high: largest integer that can occur.
        step: distance of neighbouring integers (2 for sums of numbers that are -1 or +1).
        bit: whether the elements are codes of -1 and +1.
    """

    shape: tuple[int, ...]
    low: int
    high: int
    step: int = 1
    bit: bool = False

    @property
    def size(self) -> int:
        """Elements of one sample."""
        return prod(self.shape)

    @property
    def channels(self) -> int:
        """Length of the last axis."""
        return self.shape[-1]

    @property
    def count(self) -> int:
        """The number of integers that an element can take."""
        return (self.high - self.low) // self.step + 1

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Lowest, highest and step of the elements as terms of a sum, where a bit is -1 or +1."""
        return (-1, 1, 2) if self.bit else (self.low, self.high, self.step)

    @property
    def signed(self) -> bool:
        """Whether hardware keeps the element in two's complement."""
        return self.low < 0

    @property
    def width(self) -> int:
        """Bits of one element in hardware: the fewest that hold ``low`` and ``high``.

        >>> ValueType((4,), -8, 7).width, ValueType((4,), 0, 255).width, ValueType((1,), 3, 3).width
        (4, 8, 2)
        """
        if self.signed:
            return max((~self.low).bit_length(), self.high.bit_length()) + 1
        return max(1, self.high.bit_length())

    def __str__(self) -> str:
        what = "bits" if self.bit else f"integers {self.low} to {self.high}"
        return f"{'x'.join(map(str, self.shape))} {what}"


def bit_type(shape: tuple[int, ...]) -> ValueType:
    """The type of an array of bits of this shape."""
    return ValueType(shape, 0, 1, 1, bit=True)


def as_array(x: ArrayLike, what: str) -> Array:
    """Numbers that a user gives, as an array.

    Args:
        x: anything that NumPy can take: an array, nested lists, a tensor on the CPU.
        what: what it is, for messages.

    Raises:
        InputError: if it is no array: rows of several lengths, or a tensor that NumPy cannot read.
    """
    try:
        return np.asarray(x)
    except (ValueError, TypeError, RuntimeError) as error:
        tensor = hasattr(x, "detach")
        remedy = (
            "x.detach().cpu().numpy() makes an array of a tensor"
            if tensor
            else "samples have one shape; a pair of samples and labels is a tuple"
        )
        raise InputError(
            f"{what}: expected an array of numbers, found {type(x).__name__} "
            f"({str(error).splitlines()[0][:120]}); {remedy}"
        ) from None


def to_integers(node: Input, x: ArrayLike, *, saturate: bool = False) -> Array:
    """Integers ``u`` with ``x = scale * u + offset``, rounded to the nearest, halves upwards.

    Arrays of integers and bools are taken to be ``u`` already and returned as they are; the
    simulator checks their ranges.

    Args:
        node: the Input that ``x`` is for; its ``scale`` and ``offset`` are used.
        x: array of floats, integers or bools of any shape; if channels have scales of their own,
            channels are the last axis.
        saturate: whether floats out of the Input's range become its nearest end. New samples may
            need this if the range was taken from training data.

    Returns:
        int64 array of the same shape, or ``x`` itself.

    Raises:
        InputError: if a float is not finite or rounds to an integer out of the Input's range; if
            channels have scales of their own and the last axis has another number of channels.

    >>> to_integers(Input.pixels(3), [0.0, 0.5, 1.0]).tolist()
    [0, 128, 255]
    >>> to_integers(Input.bits(3), [-1.0, 0.0, 1.0]).tolist()
    [0, 1, 1]
    """
    array = as_array(x, f"input '{node.name}'")
    if array.dtype.kind != "f":
        return array
    scales = [node.scale, node.offset]
    if not node.is_uniform and array.shape[-1:] != node.shape[-1:]:
        raise InputError(
            f"input '{node.name}': expected {node.shape[-1]} channels in the last axis, found "
            f"shape {array.shape}; images are (height, width, channels)"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is out of range below
        u = np.floor((array.astype(np.float64) - node.offset) / node.scale + 0.5)
    if saturate:
        u = np.where(np.isnan(u), u, u.clip(node.low, node.high))
    bad = ~((u >= node.low) & (u <= node.high))
    if bad.any():
        where = np.unravel_index(int(bad.argmax()), array.shape)
        scale, offset = (s[where[-1]] if isinstance(s, tuple) else s for s in scales)
        ends = sorted(scale * end + offset for end in (node.low, node.high))
        raise InputError(
            f"input '{node.name}': expected floats from {ends[0]:g} to {ends[1]:g} (integers "
            f"{node.low} to {node.high}, times {scale:g}, plus {offset:g}), found "
            f"{array[where]:g} at {tuple(int(i) for i in where)}; scale your data as in training"
        )
    return u.astype(np.int64)

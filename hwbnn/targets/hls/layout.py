"""The layout of values and constants in the C++ arrays of an HLS project.

These mirror ``hls/hwbnn_layout.h``; nothing here knows of hls4ml.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import ValueType
from hwbnn.graph.bits import pack_words

WORD = 64
"""Bits of the widest word: the widest C++ literal, and the most bits of one popcount."""


@dataclass(frozen=True)
class Scalar:
    """The C++ type of one integer, ``ap_int<width>`` or ``ap_uint<width>``."""

    width: int
    signed: bool = False

    @classmethod
    def holding(cls, low: int, high: int) -> Scalar:
        """The narrowest type that holds ``low`` and ``high``.

        >>> Scalar.holding(0, 10), Scalar.holding(-8, 7)
        (Scalar(width=4, signed=False), Scalar(width=4, signed=True))
        """
        t = ValueType((1,), low, high)
        return cls(t.width, t.signed)

    @property
    def cpp(self) -> str:
        """The type in C++."""
        return f"ap_{'' if self.signed else 'u'}int<{self.width}>"


@dataclass(frozen=True)
class Plain:
    """Integers, or bits at the ports of the top function: one element in each word.

    Attributes:
        size: elements.
        word: the type of a word.
        base: the integer that is added to each element when it is written (``hwbnn::counted``).
    """

    size: int
    word: Scalar
    base: int = 0

    @property
    def words(self) -> int:
        """Words of the array."""
        return self.size

    @property
    def cpp(self) -> str:
        """The layout in C++."""
        if self.base:
            return f"hwbnn::counted<{self.size}, {self.word.cpp}, {self.base}>"
        return f"hwbnn::plain<{self.size}, {self.word.cpp} >"

    def part(self, size: int) -> Plain:
        """The same layout of fewer elements, or of more."""
        return Plain(size, self.word)

    def pack(self, elements: NDArray[Any]) -> NDArray[Any]:
        """The words of these elements, flat."""
        return elements.reshape(-1)


@dataclass(frozen=True)
class Packed:
    """Bits packed into words; each segment of ``segment`` elements begins a new word.

    A folded ``Dot`` reads ``simd`` elements a cycle: one or more whole segments.
    """

    size: int
    segment: int

    @property
    def width(self) -> int:
        """Bits of a word."""
        return min(self.segment, WORD)

    @property
    def word(self) -> Scalar:
        """The type of a word."""
        return Scalar(self.width)

    @property
    def segment_words(self) -> int:
        """Words of a segment."""
        return -(-self.segment // WORD)

    @property
    def words(self) -> int:
        """Words of the array."""
        return self.size // self.segment * self.segment_words

    @property
    def cpp(self) -> str:
        """The layout in C++."""
        return f"hwbnn::packed<{self.size}, {self.segment}, {self.width}>"

    def part(self, size: int) -> Packed:
        """The same layout of fewer elements, or of more."""
        return Packed(size, self.segment)

    def pack(self, elements: NDArray[Any]) -> NDArray[Any]:
        """The words of these elements, flat."""
        segments = elements.astype(np.bool_).reshape(-1, self.segment)
        return pack_words(segments, WORD).reshape(-1)


ValueLayout = Plain | Packed


@dataclass(frozen=True, eq=False)
class Constant:
    """One array of constants of a node.

    Attributes:
        name: name of the C++ parameter; its element type is ``<name without s>_t`` of the config.
        type: type of an element.
        data: 1-D integer array, uint64 for words of bits.
    """

    name: str
    type: Scalar
    data: NDArray[Any]

    @property
    def member(self) -> str:
        """Name of the element's type in the config struct."""
        return f"{self.name.removesuffix('s')}_t"

    def literals(self) -> list[str]:
        """Every element as a C++ literal, exact at any width."""
        unsigned = self.data.dtype.kind == "u"
        return [hex(v) if unsigned else str(v) for v in self.data.tolist()]


@dataclass(frozen=True)
class Fold:
    """The fold of a ``Dot`` or ``Conv2d``: ``pe`` outputs times ``simd`` inputs a cycle.

    In each cycle, a row of ``simd`` weights is read for each of the ``pe`` outputs
    (:mod:`hwbnn.targets.hls.weights`).

    Attributes:
        outputs: how many outputs; of a convolution, its channels.
        inputs: inputs that each output reads; of a convolution, the weights of a channel.
        pe: outputs that are computed at once.
        simd: inputs that are added at once.
        segment: inputs in a segment if they are bits, a divisor of ``simd``; 0 means ``simd``.
    """

    outputs: int
    inputs: int
    pe: int
    simd: int
    segment: int = 0

    @property
    def steps(self) -> int:
        """Cycles that ``pe`` outputs take."""
        return self.inputs // self.simd

    @property
    def folds(self) -> int:
        """How many times ``pe`` outputs are computed in a frame."""
        return self.outputs // self.pe

    @property
    def row(self) -> Packed:
        """The layout of the ``simd`` inputs of a step, if they are bits."""
        return Packed(self.simd, self.segment or self.simd)

    @property
    def cycles(self) -> int:
        """Cycles of a frame."""
        return self.folds * self.steps

    def numbers(self) -> dict[str, int]:
        """The members of the config struct that describe the fold."""
        return {
            "n_in": self.inputs,
            "n_out": self.outputs,
            "n_groups": 1,
            "pe": self.pe,
            "simd": self.simd,
            "n_folds": self.folds,
            "n_steps": self.steps,
            "row_words": self.row.words,
            "row_width": self.row.width,
        }

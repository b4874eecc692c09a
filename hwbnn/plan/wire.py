"""Packing of frames into the tokens of a stream, and back.

A frame of ``n`` elements of ``width`` bits crosses a stream as ``ceil(n / lanes)`` tokens of
``lanes`` elements. Element 0 is in the lowest bits of the first token; unused high bits are zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import ValueType
from hwbnn.graph.arrays import Array
from hwbnn.graph.bits import pack_bits


@dataclass(frozen=True)
class WireLayout:
    """The layout of one value on one stream.

    Attributes:
        value: name of the value.
        size: elements in a frame.
        lanes: elements in a token.
        tokens: tokens in a frame.
        width: bits of an element, two's complement where the value is signed.
        bits: bits of the data signal, at least ``lanes * width``.
    """

    value: str
    size: int
    lanes: int
    tokens: int
    width: int
    bits: int

    @property
    def used(self) -> list[int]:
        """For each token of a frame, how many of its low bits carry elements."""
        last = self.size - (self.tokens - 1) * self.lanes
        return [self.lanes * self.width] * (self.tokens - 1) + [last * self.width]

    @property
    def bytes(self) -> int:
        """Bytes that hold one token."""
        return -(-self.bits // 8)

    def pack(self, frames: Array) -> NDArray[np.uint8]:
        """Pack a batch of frames into tokens.

        Args:
            frames: bool or int64 array ``(frames, *shape)``.

        Returns:
            uint8 array ``(frames, tokens, bytes)``, little-endian.
        """
        n = len(frames)
        flat = frames.reshape(n, prod(frames.shape[1:])).astype(np.int64)
        padded = np.zeros((n, self.tokens * self.lanes), np.int64)
        padded[:, : flat.shape[1]] = flat
        bits = (padded[..., None] >> np.arange(self.width) & 1).astype(np.bool_)
        packed = pack_bits(bits.reshape(n, self.tokens, self.lanes * self.width))
        tokens = np.zeros((n, self.tokens, self.bytes), np.uint8)
        tokens[..., : packed.shape[-1]] = packed
        return tokens

    def unpack(self, tokens: NDArray[np.uint8], t: ValueType) -> Array:
        """Undo :meth:`pack` for a value of type ``t``; bits beyond the elements are ignored.

        Args:
            tokens: uint8 array ``(frames * tokens, bytes)``.
            t: type of the value.

        Returns:
            Array ``(frames, *t.shape)``, bool for bits and int64 else.
        """
        n = len(tokens) // self.tokens
        used = self.lanes * self.width
        bits = np.unpackbits(tokens, axis=-1, count=used, bitorder="little")
        elements = bits.reshape(n, self.tokens * self.lanes, self.width)[:, : t.size]
        if t.bit:
            return elements[..., 0].astype(np.bool_).reshape(n, *t.shape)
        words = np.zeros((n, t.size, 8), np.uint8)
        packed = pack_bits(elements.astype(np.bool_))
        words[..., : packed.shape[-1]] = packed
        values = words.view("<i8")[..., 0].astype(np.int64)
        if t.signed:
            values = (values ^ (1 << (self.width - 1))) - (1 << (self.width - 1))
        return values.reshape(n, *t.shape)

    def stray(self, tokens: NDArray[np.uint8], t: ValueType) -> NDArray[np.bool_]:
        """Which frames have a set bit beyond their elements.

        Args:
            tokens: uint8 array ``(frames * tokens, bytes)``.
            t: type of the value.

        Returns:
            bool array ``(frames,)``.
        """
        n = len(tokens) // self.tokens
        bits = np.unpackbits(tokens, axis=-1, bitorder="little")
        bits = bits.reshape(n, self.tokens, self.bytes * 8)
        used = self.lanes * self.width
        beyond = bits[..., used:].any(axis=(1, 2))
        inside = bits[..., :used].reshape(n, self.tokens * used)
        return np.asarray(beyond | inside[:, t.size * self.width :].any(axis=1))

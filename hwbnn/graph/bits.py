"""Packing of bits into bytes and words, in the one order that the whole project uses.

Bits are bool arrays (one element per bit, ``True`` for +1) until they are packed, for files, ports
or fast simulation. The order is little-endian: element ``i`` of a row is bit ``i % 8`` of byte
``i // 8``; unused high bits are zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def pack_bits(bits: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Pack the last axis of a bool array into bytes.

    Args:
        bits: bool array of shape ``(..., n)``.

    Returns:
        uint8 array of shape ``(..., ceil(n / 8))``.

    >>> pack_bits(np.array([[True, False, False, True]])).tolist()
    [[9]]
    """
    return np.packbits(bits, axis=-1, bitorder="little")


def unpack_bits(packed: NDArray[np.uint8], n: int) -> NDArray[np.bool_]:
    """Undo :func:`pack_bits`: the first ``n`` bits of each row, as bool of shape ``(..., n)``.

    >>> unpack_bits(np.array([[9]], np.uint8), 4).tolist()
    [[True, False, False, True]]
    """
    return np.unpackbits(packed, axis=-1, count=n, bitorder="little").astype(np.bool_)


def pack_words(bits: NDArray[np.bool_], word: int = 64) -> NDArray[Any]:
    """Pack the last axis of a bool array into unsigned words of 8, 16, 32 or 64 bits.

    Args:
        bits: bool array of shape ``(..., n)``.
        word: bits in a word.

    Returns:
        Array of shape ``(..., ceil(n / word))`` and dtype ``uint<word>``.

    >>> pack_words(np.array([True] + [False] * 63 + [True]), 64).tolist()
    [1, 1]
    """
    packed = pack_bits(bits)
    size = word // 8
    words = -(-bits.shape[-1] // word)
    padded = np.zeros((*bits.shape[:-1], words * size), np.uint8)
    padded[..., : packed.shape[-1]] = packed
    return padded.view(np.dtype(f"<u{size}")).astype(f"u{size}", copy=False)


def row_integer(bits: NDArray[np.bool_]) -> int:
    """A row of bits as one Python integer, element 0 in the lowest bit.

    >>> row_integer(np.array([False, True, True]))
    6
    """
    return int.from_bytes(pack_bits(bits).tobytes(), "little")

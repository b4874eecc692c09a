"""The basis of the fast simulator's kernels: layout of the samples, compiler, bits of a row.

Samples lie side by side: an array is ``(tiles, rows, lanes)``, where a row holds one word of each
of ``lanes`` samples, a multiple of :data:`LANES`. Every inner loop runs over a row, so that the
compiler turns it into vector instructions without shuffles. A value is kept in one or more of five
forms:

- *words* (uint64): its bits packed along the elements, 64 in a word, element 0 lowest, unused high
  bits zero; a value of several bit planes has the rows of its highest plane first;
- *integers* (int32): one row for each element;
- *shorts* (int16): one row for each element, and a row of 0 behind them;
- *bytes* and *pairs* (int32): four or two elements of a pixel in a word (:mod:`.packed`).

Lanes without a sample hold a copy of a valid one. Kernels release the interpreter's lock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.resources import files
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from hwbnn.graph.arrays import Words

LANES = 32
"""Samples that a kernel computes at once: four vectors of eight 64-bit words."""

F = TypeVar("F", bound=Callable[..., Any])

ZERO, ONE = np.uint64(0), np.uint64(1)
FIRST = cast(int, np.int64(0))
"""The number 0 as int64: for a literal 0 numba would compile another version of a kernel."""


def jit(function: F) -> F:
    """Compile on first use; machine code is kept on disk if a folder for it is writable."""
    options = {"nogil": True, "error_model": "numpy", "boundscheck": False}
    try:
        compiled = njit(cache=True, **options)(function)
    except RuntimeError:  # neither a folder beside the source nor one in the home is writable
        return cast(F, njit(**options)(function))
    # numba compiles a kernel again when the kernel's own file changes. Functions of this file are
    # compiled into kernels of other files, so this file's contents are compared as well.
    kept: Any = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if not hasattr(kept, "_source_stamp"):
        return cast(F, njit(**options)(function))
    kept._source_stamp = (kept._source_stamp, _shared_code())
    return cast(F, compiled)


def _shared_code() -> str:
    return hashlib.sha256((files("hwbnn.simulators.fast") / "kernels.py").read_bytes()).hexdigest()


@intrinsic  # type: ignore[untyped-decorator]
def popcount(context: Any, x: Any) -> Any:
    """The number of bits of a uint64 that are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@jit
def put_bits(source: Words, bit: int, count: int, out: Words, place: int) -> None:
    """Copy ``count`` bits of each lane from ``source`` to ``out``, where they must still be 0.

    Args:
        source: words ``(rows, lanes)``.
        bit: the number of the first bit in ``source``.
        count: bits to copy.
        out: words ``(rows, lanes)``; words that are filled as a whole need not be zero before.
        place: the number of the first bit in ``out``.
    """
    while count > 0:
        k, o = bit // 64, place // 64
        right, left = np.uint64(bit % 64), np.uint64(place % 64)
        taken = min(count, 64 - place % 64)
        mask = ~ZERO >> np.uint64(64 - taken)
        if taken == 64 and right == ZERO:
            for s in range(out.shape[1]):
                out[o, s] = source[k, s]
        elif bit % 64 + taken <= 64:
            for s in range(out.shape[1]):
                out[o, s] |= ((source[k, s] >> right) & mask) << left
        else:
            over = np.uint64(64) - right
            for s in range(out.shape[1]):
                word = (source[k, s] >> right) | (source[k + 1, s] << over)
                out[o, s] |= (word & mask) << left
        bit += taken
        place += taken
        count -= taken

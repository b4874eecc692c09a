"""The basis of the fast simulator's kernels: layout of the samples, compiler, bits of a row.

Samples lie side by side: an array is ``(tiles, rows, lanes)``, a row holds one word of each of
``lanes`` samples, a multiple of :data:`LANES`, and every inner loop runs over a row, so that the
compiler makes vector instructions of it without shuffles. A value has some of five forms:

- *words* (uint64): its bits packed along the elements, 64 a word, element 0 lowest, unused high
  bits zero; a value of several bit planes has the rows of its highest plane first;
- *integers* (int32): one row an element;
- *shorts* (int16): likewise, and a row of 0 behind them;
- *bytes* and *pairs* (int32): four or two elements of a pixel in a word (:mod:`.packed`).

Lanes without a sample hold another valid value. Kernels release the interpreter's lock.
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
"""Samples that a kernel takes at once: four vectors of eight words."""

F = TypeVar("F", bound=Callable[..., Any])

ZERO, ONE = np.uint64(0), np.uint64(1)
FIRST = cast(int, np.int64(0))
"""The first bit: numba would compile a version of its own for a literal 0."""


def jit(function: F) -> F:
    """Compile on first use; machine code is kept on disk where a folder for it can be written."""
    options = {"nogil": True, "error_model": "numpy", "boundscheck": False}
    try:
        compiled = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder beside the source or in the user's home can be written
        return cast(F, njit(**options)(function))
    # numba compiles again when the kernel's own file changes, but not when this file does, whose
    # functions are compiled into kernels of other files: it becomes part of the comparison.
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
    """Copy ``count`` bits from ``bit`` on to ``place`` on, where no bit is set yet.

    Args:
        source: words ``(rows, lanes)``.
        bit: the first bit.
        count: bits to copy.
        out: words ``(rows, lanes)``; words that are filled as a whole need not be zero before.
        place: where the first bit goes.
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

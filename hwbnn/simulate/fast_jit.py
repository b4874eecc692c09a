"""What the kernels of the fast simulator share: their layout, compilation and two instructions.

Samples lie side by side: an array is ``(tiles, rows, LANES)``, a row holds one 64-bit word of
:data:`LANES` samples, and every inner loop runs over a row, so that the compiler makes vector
instructions of it without shuffles. A value has one of two forms:

- *words* (uint64): its bits packed along the elements, 64 a word, element 0 lowest, unused high
  bits zero; a value of several bit planes has the rows of its highest plane first;
- *integers* (int64): one row an element.

Lanes without a sample hold another valid value. Kernels release the interpreter's lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

LANES = 256
"""Samples in a row; at 2 KiB a row, the ten rows of the innermost loop stay in a core's L1."""

Words = NDArray[np.uint64]
Integers = NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile on first use; machine code is kept on disk where a folder for it can be written."""
    options = {"nogil": True, "error_model": "numpy", "boundscheck": False}
    try:
        return cast(F, njit(cache=True, **options)(function))
    except RuntimeError:  # no folder beside the source or in the user's home can be written
        return cast(F, njit(**options)(function))


@intrinsic  # type: ignore[untyped-decorator]
def popcount(context: Any, x: Any) -> Any:
    """How many bits of a uint64 are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def test_64_bytes(context: Any, row: Any, start: Any, mask: Any) -> Any:
    """A word whose bit ``i`` says whether ``row[start + i] & mask`` is not zero; uint8 row."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row, start, mask = arguments
        data = context.make_array(signature.args[0])(context, builder, row).data
        vector = ir.VectorType(ir.IntType(8), 64)
        place = builder.bitcast(builder.gep(data, [start]), vector.as_pointer())
        load = builder.load(place, align=1)
        masks = builder.insert_element(ir.Constant(vector, ir.Undefined), mask, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64)
        masks = builder.shuffle_vector(masks, masks, lanes)
        zeros = ir.Constant(vector, [0] * 64)
        hits = builder.icmp_unsigned("!=", builder.and_(load, masks), zeros)
        return builder.bitcast(hits, ir.IntType(64))

    return types.uint64(row, types.intp, types.uint8), generate

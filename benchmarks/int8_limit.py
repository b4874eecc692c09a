"""The machine's limit for products of 8-bit integers, measured by a kernel of products only.

A matrix product of unsigned by signed bytes with AVX2 takes three instructions for 32 products: one
multiplies bytes and adds two neighbours in 16 bits, one adds two of these sums in 32 bits, and one
adds the result to a running sum. The kernel executes these three on vectors that stay in registers;
no exact product of full 8-bit integers on such a processor can be faster. (If numbers are so small
that 16 bits hold several products, sums in 16 bits can exceed this limit.)
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from benchmarks.harness import describe
from hwbnn.errors import ToolNotFound

CHAINS = 5
"""Number of independent sums: they hide the latency and, with factors, fit 16 registers."""
PRODUCTS = 32
"""Products per instruction on vectors of 256 bits."""
MACS = CHAINS * PRODUCTS
"""Multiply-accumulates per iteration of the kernel's loop."""

_WORD = ir.IntType(32)
_WORDS, _SHORTS, _BYTES = (ir.VectorType(ir.IntType(n), 256 // n) for n in (32, 16, 8))


@intrinsic  # type: ignore[untyped-decorator]
def _turns(context: Any, x: Any, turns: Any) -> Any:
    """Sums of products of the vectors in ``x``, int32 ``(CHAINS * 8,)``, with a changing one."""

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        array, turns = arguments
        data = context.make_array(signature.args[0])(context, b, array).data
        places = b.bitcast(data, _WORDS.as_pointer())
        factors = [b.load(b.gep(places, [ir.IntType(64)(j)]), align=4) for j in range(CHAINS)]
        sums = [cgutils.alloca_once(b, _WORDS) for _ in range(CHAINS)]
        for place in sums:
            b.store(ir.Constant(_WORDS, [0] * 8), place)
        ones = ir.Constant(_SHORTS, [1] * 16)

        def call(name: str, made: Any, given: Any, left: Any, right: Any) -> Any:
            kind = ir.FunctionType(made, [given, given])
            function = cgutils.get_or_insert_function(b.module, kind, f"llvm.x86.avx2.{name}")
            return b.call(function, [left, right])

        with cgutils.for_range(b, turns) as loop:
            word = b.trunc(loop.index, _WORD)
            first = b.insert_element(ir.Constant(_WORDS, ir.Undefined), word, _WORD(0))
            weights = b.shuffle_vector(first, first, ir.Constant(_WORDS, [0] * 8))
            for factor, place in zip(factors, sums, strict=True):
                bytes_of = (b.bitcast(factor, _BYTES), b.bitcast(weights, _BYTES))
                pairs = call("pmadd.ub.sw", _SHORTS, _BYTES, *bytes_of)
                b.store(b.add(b.load(place), call("pmadd.wd", _WORDS, _SHORTS, pairs, ones)), place)
        total = b.load(sums[0])
        for place in sums[1:]:
            total = b.add(total, b.load(place))
        result: Any = _WORD(0)
        for i in range(8):
            result = b.add(result, b.extract_element(total, _WORD(i)))
        return b.sext(result, ir.IntType(64))

    return types.int64(x, types.intp), generate


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _products(x: Any, turns: int) -> Any:
    return _turns(x, turns)


def macs_per_second() -> float:
    """Multiply-accumulates of 8-bit integers per second of one core, the best of short runs.

    It counts the thread's processor time, so other programs do not matter.

    Raises:
        ToolNotFound: if the processor has no AVX2.
    """
    if "avx2" not in describe()["instructions"]:
        raise ToolNotFound("the limit of int8 products is measured with AVX2, which is missing")
    x = np.random.default_rng(0).integers(-(2**31), 2**31, CHAINS * 8).astype(np.int32)
    turns, times = 400_000, []
    for _ in range(20):  # the first compiles
        begin = time.thread_time()
        _products(x, turns)
        times.append(time.thread_time() - begin)
    return MACS * turns / min(times)

"""The machine's limit for XNOR-popcount arithmetic, measured by a kernel of only these.

Per word and channel, the arithmetic is one XOR, one popcount and one addition. The kernel executes
these three on vectors that stay in registers, without the cost of loads and loops; no program that
computes binary dot products word by word on this processor can be faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

CHAINS = 12
"""Number of independent sums: they hide the latency and fit 32 vector registers."""
LANES = 8
"""64-bit words per vector; the compiler splits it if the processor's vectors are shorter."""
WORD = 64
"""Multiply-accumulates per word."""
MACS = CHAINS * LANES * WORD
"""Multiply-accumulates per iteration of the kernel's loop."""


@intrinsic  # type: ignore[untyped-decorator]
def _turns(context: Any, words: Any, turns: Any) -> Any:
    """Sum of popcounts of XORs of 96 words with a word that changes in every turn."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, turns = arguments
        vector = ir.VectorType(ir.IntType(64), LANES)
        data = context.make_array(signature.args[0])(context, builder, array).data
        loads = builder.bitcast(data, vector.as_pointer())
        x = [builder.load(builder.gep(loads, [ir.IntType(64)(j)]), align=8) for j in range(CHAINS)]
        sums = [cgutils.alloca_once(builder, vector) for _ in range(CHAINS)]
        for place in sums:
            builder.store(ir.Constant(vector, [0] * LANES), place)
        count = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector]), f"llvm.ctpop.v{LANES}i64"
        )
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        with cgutils.for_range(builder, turns) as loop:
            undefined = ir.Constant(vector, ir.Undefined)
            first = builder.insert_element(undefined, loop.index, ir.IntType(32)(0))
            weights = builder.shuffle_vector(first, first, lanes)
            for j, place in enumerate(sums):
                hits = builder.call(count, [builder.xor(x[j], weights)])
                builder.store(builder.add(builder.load(place), hits), place)
        total = builder.load(sums[0])
        for place in sums[1:]:
            total = builder.add(total, builder.load(place))
        result: Any = ir.IntType(64)(0)
        for i in range(LANES):
            result = builder.add(result, builder.extract_element(total, ir.IntType(32)(i)))
        return result

    return types.uint64(words, types.intp), generate


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _popcounts(words: Any, turns: int) -> Any:
    return _turns(words, turns)


@njit  # type: ignore[untyped-decorator]
def _chain(x: Any, a: Any, turns: int) -> Any:
    """Ten dependent operations per iteration, which the compiler cannot shorten."""
    for _ in range(turns):
        x = (x ^ a) + a
        x = (x ^ a) + a
        x = (x ^ a) + a
        x = (x ^ a) + a
        x = (x ^ a) + a
    return x


def macs_per_second() -> float:
    """Binary multiply-accumulates per second of one core.

    Like :func:`clock_hz` it is the best of short runs and counts the thread's processor time, so
    other programs do not matter.
    """
    words = np.random.default_rng(0).integers(0, 2**63, CHAINS * LANES, np.uint64)
    turns = 200_000
    return MACS * turns / _best(lambda: _popcounts(words, turns))


def clock_hz() -> float:
    """Clock of one core under load in Hz; an XOR or an addition takes one cycle."""
    turns = 500_000
    return 10 * turns / _best(lambda: _chain(np.uint64(1), np.uint64(0x9E3779B97F4A7C15), turns))


def _best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of some runs."""
    times = []
    for _ in range(20):  # the first compiles
        begin = time.thread_time()
        work()
        times.append(time.thread_time() - begin)
    return min(times)

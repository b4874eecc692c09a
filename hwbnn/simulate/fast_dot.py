"""Dot products of packed bits by XOR and population count, the core of the fast simulator.

A value ``x = base + gain * u`` with unsigned ``u`` of some bit planes meets weights -1 and +1. With
``M`` the sum over the planes of ``2^plane`` times the number of bits in which plane and weights
differ, the dot product is ``constant - gain * M``, where the constant depends on the weights alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hwbnn.simulate.fast_jit import LANES, Integers, Words, jit, popcount

GROUP = 4
"""Channels that a dot product takes at once; rows of weights are padded to a multiple."""

Four = tuple[Any, Any, Any, Any]

_ZERO, _ONE, _TOP = np.uint64(0), np.uint64(1), np.uint64(63)


@jit
def _four(array: Words, t: int, row: int, s: int) -> Four:
    """Four neighbouring words of one sample."""
    return array[t, row, s], array[t, row + 1, s], array[t, row + 2, s], array[t, row + 3, s]


@jit
def _weights(w: Words, c: int, k: int) -> Four:
    """Four words of one channel. Read before a loop, they stay in registers."""
    return w[c, k], w[c, k + 1], w[c, k + 2], w[c, k + 3]


@jit
def _differ(x: Four, w: Four) -> Any:
    """How many bits of four words differ."""
    return (
        popcount(x[0] ^ w[0])
        + popcount(x[1] ^ w[1])
        + popcount(x[2] ^ w[2])
        + popcount(x[3] ^ w[3])
    )


@jit
def _push_signs(word: Any, sums: Four) -> Any:
    """Shift the sign bits of four sums into a word from below."""
    word = (word << _ONE) | (sums[0] >> _TOP)
    word = (word << _ONE) | (sums[1] >> _TOP)
    word = (word << _ONE) | (sums[2] >> _TOP)
    return (word << _ONE) | (sums[3] >> _TOP)


@jit
def _begin(sums: Words, start: Four) -> None:
    """Sums of a group before the first word."""
    for s in range(LANES):
        sums[0, s], sums[1, s], sums[2, s], sums[3, s] = start


@jit
def _double(sums: Words, bias: Four) -> None:
    """Between two bit planes: the sums so far count twice, the bias once."""
    for s in range(LANES):
        sums[0, s] = (sums[0, s] << _ONE) + bias[0]
        sums[1, s] = (sums[1, s] << _ONE) + bias[1]
        sums[2, s] = (sums[2, s] << _ONE) + bias[2]
        sums[3, s] = (sums[3, s] << _ONE) + bias[3]


@jit
def _add_words(x: Words, t: int, row: int, w: Words, c: int, last: int, sums: Words) -> None:
    """Add the differing bits of the words before ``last`` to the sums of a group.

    All but the first few words go in fours, which saves three of four loads and stores of a sum.
    """
    for k in range(last % 4):
        wa, wb, wc, wd = w[c, k], w[c + 1, k], w[c + 2, k], w[c + 3, k]
        for s in range(LANES):
            word = x[t, row + k, s]
            sums[0, s] += popcount(word ^ wa)
            sums[1, s] += popcount(word ^ wb)
            sums[2, s] += popcount(word ^ wc)
            sums[3, s] += popcount(word ^ wd)
    for k in range(last % 4, last, 4):
        va, vb = _weights(w, c, k), _weights(w, c + 1, k)
        vc, vd = _weights(w, c + 2, k), _weights(w, c + 3, k)
        for s in range(LANES):
            words = _four(x, t, row + k, s)
            sums[0, s] += _differ(words, va)
            sums[1, s] += _differ(words, vb)
            sums[2, s] += _differ(words, vc)
            sums[3, s] += _differ(words, vd)


@jit
def dot_signs(x: Words, planes: int, w: Words, bias: Words, out: Words) -> None:
    """Binary neurons: the sign bits of weighted counts of differing bits, plus a bias.

    Args:
        x: words ``(tiles, planes * words, LANES)``.
        planes: bit planes of ``x``.
        w: weights ``(channels, words)``, the last channel first, padded *in front* to a multiple
            of :data:`GROUP`; at least one word.
        bias: int64 as uint64 ``(channels,)``, in the order of ``w``.
        out: words ``(tiles, words of the channels, LANES)``, one plane.
    """
    channels, words = w.shape
    sums = np.empty((GROUP, LANES), np.uint64)
    k = words - 4
    for t in range(len(x)):
        out[t] = 0
        for c in range(0, channels, GROUP):
            o = (channels - 1 - c) // 64
            b = bias[c], bias[c + 1], bias[c + 2], bias[c + 3]
            begin = planes == 1 and k == 0
            if not begin:
                _begin(sums, b if planes == 1 else (_ZERO, _ZERO, _ZERO, _ZERO))
            for plane in range(planes - 1):
                _add_words(x, t, plane * words, w, c, words, sums)
                last = plane == planes - 2
                _double(sums, b if last else (_ZERO, _ZERO, _ZERO, _ZERO))
            row = (planes - 1) * words
            _add_words(x, t, row, w, c, k if k >= 0 else words, sums)
            if k < 0:
                for s in range(LANES):
                    n = sums[0, s], sums[1, s], sums[2, s], sums[3, s]
                    out[t, o, s] = _push_signs(out[t, o, s], n)
                continue
            # The last four words of a group: its sums go from registers into sign bits.
            va, vb = _weights(w, c, k), _weights(w, c + 1, k)
            vc, vd = _weights(w, c + 2, k), _weights(w, c + 3, k)
            for s in range(LANES):
                four = _four(x, t, row + k, s)
                n = (
                    (b[0] if begin else sums[0, s]) + _differ(four, va),
                    (b[1] if begin else sums[1, s]) + _differ(four, vb),
                    (b[2] if begin else sums[2, s]) + _differ(four, vc),
                    (b[3] if begin else sums[3, s]) + _differ(four, vd),
                )
                out[t, o, s] = _push_signs(out[t, o, s], n)


@jit
def dot_sums(x: Words, planes: int, w: Words, constant: Integers, gain: int, out: Integers) -> None:
    """Sums of signed elements: ``constant - gain * (weighted count of differing bits)``.

    Args:
        x: words ``(tiles, planes * words, LANES)``.
        planes: bit planes of ``x``.
        w: weights ``(channels, words)``, the first channel first, padded behind to a multiple of
            :data:`GROUP`.
        constant: ``(channels,)``, padded likewise.
        gain: what the lowest plane of ``x`` counts.
        out: integers ``(tiles, channels, LANES)``.
    """
    channels, words = w.shape
    sums = np.empty((GROUP, LANES), np.uint64)
    none = (_ZERO, _ZERO, _ZERO, _ZERO)
    for t in range(len(x)):
        for c in range(0, channels, GROUP):
            _begin(sums, none)
            for plane in range(planes):
                if plane > 0:
                    _double(sums, none)
                _add_words(x, t, plane * words, w, c, words, sums)
            for j in range(GROUP):
                for s in range(LANES):
                    out[t, c + j, s] = constant[c + j] - gain * np.int64(sums[j, s])

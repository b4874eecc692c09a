"""Weights of HLS projects: words of constants, in the order in which folded layers read them.

A weight of -1 or +1 is one bit; ternary weights are two rows of bits; other integers have the
fewest bits that hold them all. The layouts mirror ``hls/hwbnn_dot.h`` and
``hls/hwbnn_weighted.h``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwbnn.graph.arrays import Bools, Ints, Words
from hwbnn.targets.hls.layout import WORD, Constant, Fold, Scalar


@dataclass(frozen=True, eq=False)
class WeightWords:
    """The weights of a layer, and the members of its config struct that say how to read them.

    Attributes:
        constant: the words ``[fold][step][word]``, flattened.
        numbers: at least ``word_rows``, ``step_words`` and ``n_weights``.
    """

    constant: Constant
    numbers: Mapping[str, int]


def signs(fold: Fold, weights: Bools) -> WeightWords:
    """Weights of -1 and +1.

    Args:
        fold: the fold of the layer.
        weights: bool array ``(outputs, inputs)``, True for +1.
    """
    row = fold.row
    if row.words > 1:
        words = row.pack(_by_step(fold, weights)).reshape(fold.cycles, fold.pe * row.words)
        return _words(words, row.width, 1)
    return _short_rows(fold, weights[..., None])


def ternary(fold: Fold, weights: Ints) -> WeightWords:
    """Weights of -1, 0 and +1: in each step the bits of those that are +1, then of the nonzero.

    Args:
        fold: the fold of the layer.
        weights: integer array ``(outputs, inputs)``.
    """
    plus, counting = signs(fold, weights > 0), signs(fold, weights != 0)
    shape = (fold.cycles, plus.numbers["step_words"])
    words = np.concatenate([part.constant.data.reshape(shape) for part in (plus, counting)], axis=1)
    return _words(words, plus.constant.type.width, plus.numbers["word_rows"])


def integers(fold: Fold, weights: Ints, weight: Scalar) -> WeightWords:
    """Weights of several bits each.

    Args:
        fold: the fold of the layer.
        weights: integer array ``(outputs, inputs)``.
        weight: the type of one of them.
    """
    codes = weights.astype(np.int64) >> np.arange(weight.width)[:, None, None] & 1
    bits = np.moveaxis(codes, 0, -1) != 0
    if fold.simd * weight.width <= WORD:
        short = _short_rows(fold, bits)
        about = {"weight_words": 1, "word_weights": fold.simd}
    else:
        lanes = WORD // weight.width
        row_words = -(-fold.simd // lanes)
        rows = np.zeros((fold.cycles, fold.pe, row_words * lanes, weight.width), np.bool_)
        rows[:, :, : fold.simd] = _by_step(fold, bits)
        words = _packed(rows.reshape(fold.cycles, fold.pe * row_words, -1))
        short = _words(words, lanes * weight.width, 1)
        about = {"weight_words": row_words, "word_weights": lanes}
    return WeightWords(short.constant, {**short.numbers, "weight_width": weight.width, **about})


def _short_rows(fold: Fold, bits: Bools) -> WeightWords:
    """Rows that fit into a word, packed as many to a word as fit.

    Args:
        fold: the fold of the layer.
        bits: bool array ``(outputs, inputs, bits of a weight)``.
    """
    width = fold.simd * bits.shape[-1]
    word_rows = max(1, WORD // width)
    words = -(-fold.pe // word_rows)
    rows = np.zeros((fold.cycles, words * word_rows, width), np.bool_)
    rows[:, : fold.pe] = _by_step(fold, bits).reshape(fold.cycles, fold.pe, width)
    return _words(_packed(rows.reshape(fold.cycles, words, -1)), word_rows * width, word_rows)


def _by_step(fold: Fold, weights: Bools) -> Bools:
    """Weights ``(outputs, inputs, ...)`` as ``(cycles, pe, simd, ...)``."""
    rest = weights.shape[2:]
    rows = weights.reshape(fold.folds, fold.pe, fold.steps, fold.simd, *rest).swapaxes(1, 2)
    by_step: Bools = rows.reshape(fold.cycles, fold.pe, fold.simd, *rest)
    return by_step


def _packed(bits: Bools) -> Words:
    """Bits ``(..., n)`` as words ``(...)``, the first bit the lowest; ``n`` is at most 64."""
    places = np.arange(bits.shape[-1], dtype=np.uint64)
    words: Words = (bits.astype(np.uint64) << places).sum(axis=-1, dtype=np.uint64)
    return words


def _words(words: Words, width: int, word_rows: int) -> WeightWords:
    """The WeightWords of an array of words, ``(cycles, words of a step)``, of ``width`` bits."""
    numbers = {"word_rows": word_rows, "step_words": words.shape[1], "n_weights": words.size}
    return WeightWords(Constant("weights", Scalar(width), words.reshape(-1)), numbers)

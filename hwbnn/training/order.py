"""Data order and augmentation as pure functions of (seed, epoch, index).

There is no state. A run that was stopped and resumed therefore gets the same samples in the same
order with the same augmentation as an uninterrupted one. Device, number of processes and library
versions have no influence.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph.arrays import Words

# SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def stream(seed: int, epoch: int, purpose: str) -> int:
    """A 64-bit number that identifies one stream of random draws.

    Args:
        seed: the recipe's seed.
        epoch: epoch from 0.
        purpose: name of the use of the draws; streams of different purposes are unrelated.
    """
    named = hashlib.sha256(f"{seed} {epoch} {purpose}".encode()).digest()
    return int.from_bytes(named[:8], "little")


def draws(seed: int, epoch: int, purpose: str, index: NDArray[np.integer]) -> Words:
    """One 64-bit draw per index, which does not depend on the other indices.

    The draw is output number ``index`` of SplitMix64 with the seed :func:`stream`.

    Args:
        seed: the recipe's seed.
        epoch: epoch from 0.
        purpose: see :func:`stream`.
        index: integers from 0, of any shape.

    Returns:
        uint64 array of the shape of ``index``.
    """
    start = np.uint64(stream(seed, epoch, purpose))
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        z = start + (np.asarray(index).astype(np.uint64) + np.uint64(1)) * _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        mixed: Words = z ^ (z >> np.uint64(31))
    return mixed


def permutation(seed: int, epoch: int, n: int) -> NDArray[np.int64]:
    """The order of ``n`` samples in an epoch.

    Samples are sorted by their draws. For equal draws, which hardly occur, the lower index is
    first.

    Returns:
        int64 array ``(n,)``, each of ``0 .. n-1`` once.
    """
    return np.argsort(draws(seed, epoch, "order", np.arange(n)), kind="stable")


def integers(
    seed: int, epoch: int, purpose: str, index: NDArray[np.integer], low: int, high: int
) -> NDArray[np.int64]:
    """One integer in ``low .. high`` for each index.

    It is a remainder of 64 random bits, which favours no value by more than
    ``(high - low) / 2^64``.
    """
    span = np.uint64(high - low + 1)
    return (draws(seed, epoch, purpose, index) % span).astype(np.int64) + low


def batches(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """The order split into batches of at most ``size``, whose sizes differ by at most one.

    No sample is left out, and there is no small last batch, whose statistics would be poor.
    """
    return np.array_split(order, -(-len(order) // size))

"""Data order and augmentation as pure functions of (seed, epoch, index).

Nothing here keeps a state, so a run that was stopped and resumed meets the same samples in the same
order, changed in the same way, as one that was not; whatever the device, the number of processes or
the library's version.
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
    """A 64-bit number that names one stream of draws.

    Args:
        seed: the recipe's seed.
        epoch: epoch from 0.
        purpose: what the draws are for; streams of different purposes are unrelated.
    """
    named = hashlib.sha256(f"{seed} {epoch} {purpose}".encode()).digest()
    return int.from_bytes(named[:8], "little")


def draws(seed: int, epoch: int, purpose: str, index: NDArray[np.integer]) -> Words:
    """One 64-bit draw for each index, the same whichever other indices are asked for.

    It is output number ``index`` of SplitMix64 started at :func:`stream`.

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
    """The order in which an epoch meets ``n`` samples.

    Samples are sorted by their draws. Equal draws, which hardly occur, keep the lower index first.

    Returns:
        int64 array ``(n,)``, each of ``0 .. n-1`` once.
    """
    return np.argsort(draws(seed, epoch, "order", np.arange(n)), kind="stable")


def integers(
    seed: int, epoch: int, purpose: str, index: NDArray[np.integer], low: int, high: int
) -> NDArray[np.int64]:
    """One integer in ``low .. high`` for each index.

    The remainder of 64 random bits favours no value by more than ``(high - low) / 2^64``.
    """
    span = np.uint64(high - low + 1)
    return (draws(seed, epoch, purpose, index) % span).astype(np.int64) + low


def batches(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """An epoch's order cut into batches of at most ``size``, whose sizes differ by one at most.

    No sample is left out, and no batch is a small rest whose statistics would be poor.
    """
    return np.array_split(order, -(-len(order) // size))

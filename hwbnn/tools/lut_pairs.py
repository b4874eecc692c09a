"""Pairing of small LUTs: how many physical LUTs a mapped netlist takes if two can share one.

A 7-series LUT has six inputs and one output, or five inputs and two outputs: two functions that
together read at most five signals fit in one LUT. Synthesis counts them separately; placement
merges some. To make netlists of different tools comparable, one rule is applied to all of them.
LUTs of one to five inputs are paired greedily, beginning with those of most inputs. Each is paired
with the unpaired LUT that shares most signals with it, if both together read at most five; among
equals, with the first in the netlist. For each signal the first :data:`REACH` unpaired readers are
tried. The remaining LUTs are paired by their numbers of inputs alone. Placement and carry chains
are ignored, so this is about the best that placement can reach.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

INPUTS = 5
"""Most signals that the two functions of one LUT may read together."""
REACH = 32
"""Number of readers of one signal that are tried as partners."""

_SMALL = re.compile(r"LUT[1-5]")


def small_luts(module: Mapping[str, Any]) -> list[frozenset[int]]:
    """The signals of each LUT with one to five inputs, from yosys's JSON of a module."""
    luts = []
    for cell in module["cells"].values():
        if _SMALL.fullmatch(cell["type"]):
            bits = (b for port, bits in cell["connections"].items() if port[0] == "I" for b in bits)
            luts.append(frozenset(b for b in bits if isinstance(b, int)))
    return luts


def pairs(luts: Sequence[frozenset[int]]) -> int:
    """The number of pairs of these LUTs that share a LUT, by the rule of this module.

    Args:
        luts: for each LUT the signals that it reads, at most five.

    >>> pairs([frozenset({1, 2, 3}), frozenset({3, 4, 5}), frozenset({1, 6, 7, 8, 9})])
    1
    """
    order = sorted(range(len(luts)), key=lambda i: -len(luts[i]))
    readers: dict[int, list[int]] = defaultdict(list)
    for i in order:
        for signal in luts[i]:
            readers[signal].append(i)
    free = [True] * len(luts)
    count = 0
    for i in order:
        if not free[i]:
            continue
        free[i] = False
        partner = _partner(luts, i, readers, free)
        if partner is None:
            free[i] = True
        else:
            free[partner] = False
            count += 1
    return count + _pairs_by_size([len(luts[i]) for i in order if free[i]])


def _partner(
    luts: Sequence[frozenset[int]], i: int, readers: dict[int, list[int]], free: list[bool]
) -> int | None:
    """The best unpaired LUT that shares a signal with LUT ``i``."""
    best, best_key = None, (0, 0)
    for signal in sorted(luts[i]):
        near = readers[signal]
        seen = kept = 0
        # Readers that are already paired are removed, so that they are not visited again.
        while kept < len(near) and seen < REACH:
            j = near[kept]
            if not free[j] and j != i:
                near.pop(kept)
                continue
            kept += 1
            seen += 1
            if j != i and len(luts[i] | luts[j]) <= INPUTS:
                key = (len(luts[i] & luts[j]), -j)
                if best is None or key > best_key:
                    best, best_key = j, key
    return best


def _pairs_by_size(sizes: Sequence[int]) -> int:
    """The number of pairs without shared signals: sizes sum to at most five, largest first."""
    count = [0] * (INPUTS + 1)
    for size in sizes:
        count[size] += 1
    total = 0
    for large in range(INPUTS, -1, -1):
        for small in range(min(large, INPUTS - large), -1, -1):
            both = count[large] // 2 if small == large else min(count[large], count[small])
            total += both
            count[large] -= both
            count[small] -= both
    return total

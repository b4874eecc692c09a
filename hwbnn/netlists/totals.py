"""Sums with an offset, ``scale * raw + offset * total``, in one heap.

AdaBin's weights have two values a channel, so that its sums need the total of the inputs beside the
raw sum (:mod:`hwbnn.nn.binary`). The total is the same for all neurons, so it is counted once and
each multiple of it is computed once. A neuron adds its multiple to its scaled sum before the
comparison.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hwbnn.graph.arrays import Ints
from hwbnn.netlists.bit_heap import BitHeap, compressed
from hwbnn.netlists.chains import compress
from hwbnn.netlists.netlist import NetlistBuilder


@dataclass
class Totals:
    """The multiples of the total that a layer's neurons add to their raw sums.

    Attributes:
        scale: int64 ``(neurons,)``, none negative.
        offset: int64 ``(neurons,)``.
        total: returns the heap of all inputs.
    """

    scale: Ints
    offset: Ints
    total: Callable[[], BitHeap]
    _made: dict[int, BitHeap] = field(default_factory=dict)

    def begin(self, builder: NetlistBuilder) -> None:
        """Compute the multiples that neurons need, at the beginning of a netlist."""
        uses = Counter(abs(int(r)) for r in self.offset if r)
        once = self.total()
        if uses:
            once = compressed(builder, once, compress(once.arrivals(builder), len(uses)))
        self._made = {}
        for factor, count in sorted(uses.items()):
            heap = BitHeap()
            for shift in _ones(factor):
                heap.add_all(once, 1, shift)
            self._made[factor] = compressed(builder, heap, compress(heap.arrivals(builder), count))

    def weighed(self, row: int, raw: BitHeap) -> BitHeap:
        """A neuron's raw sum times its scale, plus its multiple of the total."""
        heap, offset = BitHeap(), int(self.offset[row])
        for shift in _ones(int(self.scale[row])):
            heap.add_all(raw, 1, shift)
        if offset:
            heap.add_all(self._made[abs(offset)], 1 if offset > 0 else -1)
        return heap


def _ones(number: int) -> Iterator[int]:
    """The places of the bits that are set."""
    return (i for i in range(number.bit_length()) if number >> i & 1)

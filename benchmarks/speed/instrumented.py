"""The fast simulator with what only benchmarks need: packed inputs, and the time of each node."""

from __future__ import annotations

import time

import numpy as np

from hwbnn.errors import InputError
from hwbnn.graph import Graph
from hwbnn.graph.arrays import Array, Words
from hwbnn.simulators.fast import Compiled
from hwbnn.simulators.fast.conversions import transpose
from hwbnn.simulators.fast.slots import Buffers, Slot, Step


class Instrumented(Compiled):
    """A compiled Graph that also takes packed bits and measures its nodes."""

    def __init__(self, graph: Graph, trace: bool = False) -> None:
        self._spent: dict[str, float] = {}
        super().__init__(graph, trace)

    def run_words(self, words: Words, threads: int | None = None) -> dict[str, Array]:
        """Values by name for a batch of bits packed by :func:`hwbnn.graph.bits.pack_words`.

        Args:
            words: uint64 ``(batch, ceil(n / 64))`` for an input of ``n`` bits.
            threads: as for :meth:`run`.

        Raises:
            InputError: if the input is not bits, or the words do not fit it.
        """
        node, size = self.graph.input, self.graph.types[self.graph.input.name].size
        expected = -(-size // 64)
        fits = words.ndim == 2 and words.dtype == np.uint64 and words.shape[1] == expected
        if not node.bit or not fits or (size % 64 and (words[:, -1] >> np.uint64(size % 64)).any()):
            raise InputError(
                f"input '{node.name}': expected {size} bits packed into uint64 of shape "
                f"(batch, {expected}), unused bits zero, found {words.dtype} {words.shape}"
            )
        return self.run(words, threads)

    def profile(self, x: Array) -> dict[str, float]:
        """Seconds of one core that each node takes for a batch, by name, in running order.

        Args:
            x: as :meth:`run` takes it.

        Returns:
            Nodes that are computed together with others are missing, the sums in front of a
            ``Threshold`` for example; the last counts for them. Packing a value for sums with
            integer weights is told as ``"NAME packed"``.
        """
        self._spent.update((_timed(slot), 0.0) for slot, _ in self._steps)
        self.run(x, 1)
        return {_timed(slot): self._spent[_timed(slot)] for slot, _ in self._steps}

    def _compile(self) -> list[tuple[Slot, Step]]:
        return [(slot, self._instrumented(slot, step)) for slot, step in super()._compile()]

    def _instrumented(self, slot: Slot, step: Step) -> Step:
        packs = slot == Slot(self.graph.input.name, "words") and self.graph.input.bit

        def run(x: Array, buffers: Buffers) -> None:
            begin = time.thread_time()
            if packs and x.dtype == np.uint64:  # words already
                transpose(x, buffers[slot])
            else:
                step.run(x, buffers)
            name = _timed(slot)
            self._spent[name] = self._spent.get(name, 0.0) + time.thread_time() - begin

        return Step(step.reads, run)


def _timed(slot: Slot) -> str:
    """The name by which the time of a step is told."""
    return f"{slot.value} packed" if slot.form in ("bytes", "pairs") else slot.value

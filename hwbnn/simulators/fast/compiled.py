"""A Graph compiled into steps, and batches run through them on all cores.

A Graph is compiled once into steps (:mod:`.steps`). A batch goes through them in blocks whose
values stay in a core's L2. There is one thread for each core; a thread that is free takes the next
block. All values equal those of :mod:`hwbnn.simulators.plain`. A trace adds steps and replaces
none: it shows the values from which the output is computed. Only fused sums, which are never
stored, are computed for the trace alone.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import prod

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import Flatten, Graph, Output
from hwbnn.graph.arrays import Array
from hwbnn.simulators.fast.conversions import collect, collect_bits
from hwbnn.simulators.fast.integer_sums import packed_step
from hwbnn.simulators.fast.kernels import LANES
from hwbnn.simulators.fast.slots import Encoding, Slot, Step, item, rows
from hwbnn.simulators.fast.steps import short_step, split_step, step

BLOCK_BYTES = 768 * 1024
"""Bytes of a core's L2 for the values of one block, unless a single tile takes more."""
WIDTHS = (96, 64, 32)
"""Lanes of a tile; the widest that fits is taken, since it uses each loaded weight more often."""
FORMS: tuple[Encoding, ...] = ("bytes", "pairs", "words", "shorts", "integers")
SAMPLES = 3840
"""Most samples in a block."""


class Compiled:
    """A Graph as steps over packed values; runs any number of batches, from any thread.

    Attributes:
        graph: the Graph that it computes.
        trace: whether every value is returned, not the output alone.
        sample_bytes: bytes of memory that one sample takes while it is computed.
    """

    def __init__(self, graph: Graph, trace: bool = False) -> None:
        self.graph = graph
        self.trace = trace
        names = [node.name for node in graph.nodes] if trace else [graph.output.name]
        self._taps = {Slot(name, self._form(name)): name for name in names}
        self._same: dict[Slot, Slot] = {}
        self._steps = self._compile()
        self._places, self.sample_bytes = self._arrange()
        fitting = [n for n in WIDTHS if n * self.sample_bytes <= BLOCK_BYTES]
        self._lanes = fitting[0] if fitting else LANES

    def run(self, x: Array, threads: int | None = None) -> dict[str, Array]:
        """Values by name for a batch.

        Args:
            x: integers within the input's range, or bool for bits, ``(batch, *shape)``; not
                checked here, but by :func:`hwbnn.simulators.simulate`.
            threads: threads that share the batch; by default one for each available core.

        Returns:
            Arrays ``(batch, *shape)``, bool for bits and int64 else, as in the plain simulator.
        """
        n, types, lanes = len(x), self.graph.types, self._lanes
        samples = np.ascontiguousarray(x.reshape(n, prod(x.shape[1:])))
        values: dict[str, Array] = {
            name: np.empty((n, types[name].size), np.bool_ if types[name].bit else np.int64)
            for name in self._taps.values()
        }
        most = min(BLOCK_BYTES // (lanes * self.sample_bytes), SAMPLES // lanes, -(-n // lanes))
        tiles = max(1, most)
        starts = range(0, n, tiles * lanes)
        workers = min(threads or _cores(), max(1, len(starts)))
        queue = iter(starts)
        with ThreadPoolExecutor(workers) as pool:
            work = [pool.submit(self._work, samples, values, queue, tiles) for _ in range(workers)]
            for done in work:
                done.result()
        return {name: array.reshape(n, *types[name].shape) for name, array in values.items()}

    def _form(self, name: str) -> Encoding:
        return "words" if self.graph.types[name].bit else "integers"

    def _compile(self) -> list[tuple[Slot, Step]]:
        """The steps that compute the returned values, in the order in which they run."""
        wanted: dict[str, set[Encoding]] = defaultdict(set)
        for slot in self._taps:
            wanted[slot.value].add(slot.form)
        steps: list[tuple[Slot, Step]] = []
        for node in reversed(self.graph.nodes):
            # A form may be computed from a form further behind in FORMS, so it is visited first.
            for form in FORMS:
                if form not in wanted[node.name]:
                    continue
                slot = Slot(node.name, form)
                if form == "shorts":
                    chosen = short_step(node, self.graph)
                elif form in ("bytes", "pairs"):
                    chosen = packed_step(node, form, self.graph)
                else:
                    chosen = step(node, form, self.graph) or split_step(node, self.graph)
                for read in chosen.reads:
                    wanted[read.value].add(read.form)
                if isinstance(node, Flatten | Output) and chosen.reads[0].value != node.name:
                    self._same[slot] = chosen.reads[0]
                steps.append((slot, chosen))
        return steps[::-1]

    def _arrange(self) -> tuple[dict[Slot, int], int]:
        """The offset of each slot's array in the memory of a block, and the size of that memory.

        An array may reuse the memory of arrays that no later step reads. Offsets and size are in
        bytes for one sample.
        """
        read = [{self._root(slot) for slot in each.reads} for _, each in self._steps]
        last = {slot: i for i, slots in enumerate(read) for slot in slots}
        for i, (slot, _) in enumerate(self._steps):
            last[self._root(slot)] = max(i, last.get(self._root(slot), 0))
        places: dict[Slot, int] = {}
        ends: dict[Slot, int] = {}
        for i, (slot, _) in enumerate(self._steps):
            if slot in self._same:
                continue
            size = rows(slot, self.graph.types[slot.value]) * item(slot).itemsize
            begin = 0
            taken = sorted((places[s], ends[s]) for s in places if last[s] >= i)
            for first, end in taken:
                if begin + size <= first:
                    break
                begin = max(begin, end)
            places[slot], ends[slot] = begin, begin + size
        return places, max(ends.values())

    def _root(self, slot: Slot) -> Slot:
        """The slot whose array this slot shares; the slot itself if it has its own."""
        while slot in self._same:
            slot = self._same[slot]
        return slot

    def _work(
        self,
        samples: Array,
        values: dict[str, Array],
        queue: Iterator[int],
        tiles: int,
    ) -> None:
        """Take blocks from the queue until it is empty; write their samples into ``values``."""
        lanes = self._lanes
        memory = _memory(tiles * lanes * self.sample_bytes)
        buffers, filled = self._buffers(memory, tiles), tiles * lanes
        for start in queue:
            block = samples[start : start + tiles * lanes]
            if missing := -len(block) % lanes:  # idle lanes hold a valid sample
                block = np.concatenate([block, np.repeat(block[-1:], missing, axis=0)])
            if len(block) != filled:
                buffers, filled = self._buffers(memory, len(block) // lanes), len(block)
            for slot, each in self._steps:
                each.run(block, buffers)
                if slot in self._taps:
                    out = values[self._taps[slot]][start : start + tiles * lanes]
                    (collect_bits if slot.form == "words" else collect)(buffers[slot], out)

    def _buffers(self, memory: NDArray[np.uint8], tiles: int) -> dict[Slot, Array]:
        """The arrays of all slots."""
        buffers: dict[Slot, Array] = {}
        for slot, _ in self._steps:
            root = self._root(slot)
            if root in buffers:
                buffers[slot] = buffers[root]
                continue
            shape = (tiles, rows(slot, self.graph.types[slot.value]), self._lanes)
            begin, size = (
                tiles * self._lanes * self._places[slot],
                prod(shape) * item(slot).itemsize,
            )
            buffers[slot] = memory[begin : begin + size].view(item(slot)).reshape(shape)
        return buffers


def _memory(size: int) -> NDArray[np.uint8]:
    """Memory that begins at a cache line, so that no vector of 64 bytes crosses a line."""
    memory = np.empty(size + 64, np.uint8)
    skip = -memory.ctypes.data % 64
    return memory[skip : skip + size]


def _cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

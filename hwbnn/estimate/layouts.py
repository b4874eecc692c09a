"""The cheapest layouts of a network's layers whose stages all stay within a number of cycles.

In chains of ``Dot`` nodes the cheapest layouts of the first layers are kept for each number of
lanes; elsewhere layers are chosen one after the other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from math import prod

import numpy as np

from hwbnn.estimate.amounts import Amounts, amounts, ends
from hwbnn.estimate.area import area_of
from hwbnn.graph import Conv2d, Dot, Graph, Lookup, Node, Rescale, Threshold
from hwbnn.plan import (
    Folded,
    Layout,
    Plan,
    Sums,
    TokenStream,
    Unrolled,
    constants,
    fold_candidates,
)
from hwbnn.plan.circuits import add, add_node
from hwbnn.plan.datapath import Datapath, OpenStream
from hwbnn.plan.fifos import settled
from hwbnn.plan.plan import WINDOWED
from hwbnn.plan.products import DotFolded
from hwbnn.plan.stages import Narrow, Pipeline, Widen

BRAM_LUTS = 380
"""LUTs that a block RAM of 36 Kbit counts as when layouts of a layer are compared: a Zynq 7020 has
53,200 LUTs and 140 of them."""
FINER = 1.1
"""Ratio of successive numbers of cycles for which points are computed."""
FINEST = 1.03
"""The same ratio for chains of few weights, whose points take little time."""
FEW = 100_000
"""The most weights of such a chain."""
SMOOTH = 0.7
"""A size has many divisors if it has at least this many for each of its bits."""
APART = 1.12
"""The least ratio of successive ``pe`` or ``simd`` that are tried for a size with few divisors."""
CHEAPEST = 2
"""For each ``pe``, how many layouts have their cost computed with all stages around them."""
MORE = 1.3
"""A ``simd`` that fits the lanes is tried up to this multiple of the least that is fast enough."""
FULL = (64, 128, 256, 512)
"""Depths with which a memory of weights fills its LUTs or block RAMs."""


def is_chain(graph: Graph) -> bool:
    """Whether a Graph is a chain without windows: every value is read once, by the next node."""
    shared = any(sum(n.sources.count(m.name) for n in graph.nodes) > 1 for m in graph.nodes)
    return not shared and not any(isinstance(node, WINDOWED) for node in graph.nodes)


@dataclass(frozen=True)
class _LayerCost:
    """A layer laid out in one way behind a stream.

    Attributes:
        layout: the layout.
        cost: estimated LUTs of its stages, with block RAMs converted to LUTs.
        end: the part of the cost that is saved if the next layer joins the last pipeline.
        given: lanes of the stream that it gives.
        interval: cycles for which a frame keeps its busiest stage busy.
    """

    layout: Layout
    cost: float
    end: float
    given: int
    interval: int


class Layers:
    """The products of a Graph and the costs of their layouts, which are cached.

    Attributes:
        looks: how many costs of layouts were requested, cached or not.
    """

    def __init__(self, graph: Graph, base: Plan) -> None:
        self.graph = graph
        self.base = base
        self.products = [node for node in graph.nodes if isinstance(node, Dot | Conv2d)]
        self.known: dict[tuple[object, ...], _LayerCost] = {}
        self.looks = 0
        self.layouts = {node.name: list(self._layouts_of(node)) for node in self.products}

    def plan(self, base: Plan, cycles: int) -> Plan:
        """The cheapest layouts whose stages are busy for at most ``cycles`` cycles a frame."""
        raise NotImplementedError

    def cycles(self) -> Iterator[int]:
        """The cycles of all layouts of all layers, each number once for each layer."""
        for layouts in self.layouts.values():
            yield from {cycles for _, cycles in layouts}

    def cost(self, counts: Amounts) -> float:
        """LUTs, with block RAMs converted to LUTs."""
        taken = area_of(counts)
        return taken.lut + BRAM_LUTS * (taken.bram36 + taken.bram18 / 2)

    def layer_cost(
        self, nodes: Sequence[Node], lanes: int, layout: Layout, behind: Mapping[str, int]
    ) -> _LayerCost:
        """The cost of a product and the nodes behind it, on a stream of ``lanes`` lanes.

        Args:
            nodes: the product first.
            lanes: lanes of the stream in front.
            layout: layout of the product.
            behind: lanes of the nodes behind it, as :attr:`hwbnn.plan.Plan.lanes`.
        """
        product = nodes[0]
        own = {node.name: behind[node.name] for node in nodes if node.name in behind}
        key = (product.name, lanes, layout, *own.values())
        if key not in self.known:
            plan = replace(
                self.base, layers={product.name: layout}, depths={}, buffer_tokens={}, lanes=own
            )
            datapath = Datapath(self.graph, plan)
            source = self.graph.types[product.sources[0]]
            datapath.current = OpenStream("before", TokenStream.of(source, lanes))
            for node in nodes:
                add(node, datapath)
            datapath.close()
            stages, _ = settled(datapath.stages)
            cost = sum(self.cost(amounts(stage)) for stage in stages)
            last = stages[-1]
            end = self.cost(ends(last)) if isinstance(last, Pipeline) else 0.0
            interval = max(stage.interval for stage in stages)
            self.known[key] = _LayerCost(layout, cost, end, datapath.stream.lanes, interval)
        return self.known[key]

    def _layouts_of(self, node: Dot | Conv2d) -> Iterator[tuple[Layout, int]]:
        """All layouts of a product, with the cycles that they take."""
        groups = node.groups if isinstance(node, Conv2d) else 1
        width, windows = self.graph.types[node.source].width, self._windows(node)
        parallel: tuple[Sums, ...] = ("bit_planes", "adder_tree") if width > 1 else ("bit_planes",)
        yield from ((Unrolled(sums), windows) for sums in parallel)
        default = self.base.default
        if isinstance(default, Unrolled) and default.form != "modules":
            yield default, windows
        outputs, inputs = len(node.weights) // groups, node.weights[0].size
        pes, simds = fold_candidates(node)
        for pe, simd in product(self.sizes(pes, outputs), self.sizes(simds, inputs)):
            steps = windows * groups * Folded(pe, simd).steps(outputs, inputs)
            if steps > windows or self.folds_to_one:
                yield from ((Folded(pe, simd, sums), steps) for sums in parallel)
            if width > 1:
                yield Folded(pe, simd, "bit_serial"), steps * width

    finer = FINER
    """Ratio of successive numbers of cycles for which points are computed."""
    folds_to_one = True
    """Whether ``pe`` and ``simd`` of a folded layer may both be all neurons and all inputs."""

    def sizes(self, candidates: Sequence[int], n: int) -> list[int]:
        """The values of ``pe`` or ``simd`` that are tried for a size ``n``."""
        return _thinned(candidates, n)

    def _windows(self, node: Dot | Conv2d) -> int:
        """Vectors that a frame brings to a product."""
        return prod(self.graph.types[node.name].shape[:-1])


class NetworkLayers(Layers):
    """Any network: each layer's layout is chosen behind those of the layers before it."""

    def plan(self, base: Plan, cycles: int) -> Plan:
        """As in :class:`Layers`: each layer takes the cheapest layout behind those before it."""
        datapath = Datapath(self.graph, base)
        for node in self.graph.nodes:
            if isinstance(node, Dot | Conv2d):
                lanes = datapath.pending[node.source][0].stream.lanes
                nodes = self.behind(node)
                costs = [
                    self.layer_cost(nodes, lanes, layout, base.lanes)
                    for layout in self.fast(node, cycles)
                ]
                self.looks += len(costs)
                good = [layer for layer in costs if layer.interval <= cycles]
                best = min(good or costs, key=lambda layer: layer.cost if good else layer.interval)
                datapath.plan = datapath.plan.with_layers(**{node.name: best.layout})
            add_node(datapath, node)
        return datapath.plan

    def behind(self, node: Dot | Conv2d) -> list[Node]:
        """A product and the nodes behind it that only follow its lanes."""
        nodes: list[Node] = [node]
        while True:
            readers = self.graph.readers(nodes[-1].name)
            if len(readers) != 1 or not isinstance(readers[0], Rescale | Threshold | Lookup):
                return nodes
            nodes.append(readers[0])

    def fast(self, node: Dot | Conv2d, cycles: int) -> list[Layout]:
        """Layouts to try: for each way to sum and each ``pe``, the least fast enough ``simd``.

        If none is fast enough, all layouts that take the fewest cycles.
        """
        layouts = self.layouts[node.name]
        enough = [each for each in layouts if each[1] <= cycles]
        if not enough:
            least = min(taken for _, taken in layouts)
            return [layout for layout, taken in layouts if taken == least]
        chosen: dict[tuple[object, ...], Layout] = {}
        for layout, _ in enough:
            shape = layout.pe if isinstance(layout, Folded) else layout.form
            chosen.setdefault((shape, layout.sums), layout)
        return list(chosen.values())


@dataclass(frozen=True)
class _FirstLayers:
    """Layouts of the first layers, with cost and end as in :class:`_LayerCost`."""

    cost: float
    end: float
    chosen: tuple[Layout, ...]


class ChainLayers(Layers):
    """A chain: the cheapest layouts of the first layers are kept for each number of lanes.

    Where the lanes of one layer do not divide the lanes of the next, resizing the stream can cost
    as much as the layers. So for each ``pe``, values of ``simd`` are tried that fit the lanes in
    front, whether they divide the inputs or not.
    """

    folds_to_one = False

    def __init__(self, graph: Graph, base: Plan) -> None:
        super().__init__(graph, base)
        self.finer = FINEST if sum(n.weights.size for n in self.products) <= FEW else FINER
        starts = [i for i, node in enumerate(graph.nodes) if isinstance(node, Dot)]
        stops = [*starts[1:], len(graph.nodes) - 1][: len(starts)]
        self.before = graph.nodes[: starts[0]] if starts else ()
        self.runs = [graph.nodes[a:b] for a, b in zip(starts, stops, strict=True)]
        self.resizes: dict[tuple[str, int, int], float] = {}
        self.raw: dict[str, constants.RawSums] = {}
        self.products_alone: dict[tuple[str, int, int, Sums], float] = {}
        self.binary = {node.name: node.binary for node in self.products}
        self.unrolled = {
            name: [(layout, taken) for layout, taken in layouts if isinstance(layout, Unrolled)]
            for name, layouts in self.layouts.items()
        }
        self.folds = {node.name: list(self._folds_of(node)) for node in self.products}

    def _folds_of(self, node: Dot | Conv2d) -> Iterator[tuple[int, Sums, int]]:
        """Each ``pe`` and way to sum, with the rounds over all inputs that one pass takes."""
        width = self.graph.types[node.source].width
        for pe in self.sizes(fold_candidates(node)[0], len(node.weights)):
            yield pe, "bit_planes", 1
            if width > 1:
                yield pe, "adder_tree", 1
                yield pe, "bit_serial", width

    def sizes(self, candidates: Sequence[int], n: int) -> list[int]:
        """All divisors and candidates: a chain has few layers, so all of these can be tried."""
        return sorted({*divisors(n), *candidates})

    def plan(self, base: Plan, cycles: int) -> Plan:
        """As in :class:`Layers`: the cheapest of all kept layouts of the whole chain."""
        datapath = Datapath(self.graph, base)
        for node in self.before:
            add_node(datapath, node)
        lanes = datapath.pending[self.before[-1].name][0].stream.lanes if self.before else 1
        kept = {lanes: _FirstLayers(0.0, 0.0, ())}
        for nodes in self.runs:
            following: dict[int, _FirstLayers] = {}
            cheapest = _Cheapest(self, nodes[0], kept)
            for layout, wanted in self.candidates(nodes[0], cheapest, cycles):
                self.looks += 1
                layer = self.layer_cost(nodes, wanted, layout, base.lanes)
                if isinstance(layout, Unrolled):
                    each = (self.joined(f, layer, nodes[0], n, wanted) for n, f in kept.items())
                    best = min(each, key=lambda first: first.cost)
                else:
                    first = cheapest.first(wanted)
                    cost = cheapest.cost(wanted) + layer.cost
                    best = _FirstLayers(cost, layer.end, (*first.chosen, layout))
                if layer.given not in following or best.cost < following[layer.given].cost:
                    following[layer.given] = best
            kept = following
        best = min(kept.values(), key=lambda first: first.cost)
        names = (node.name for node in self.products)
        return base.with_layers(**dict(zip(names, best.chosen, strict=True)))

    def candidates(
        self, node: Node, cheapest: _Cheapest, cycles: int
    ) -> Iterator[tuple[Layout, int]]:
        """Layouts to try behind the layers so far, and the lanes that each needs.

        For each way to sum and each ``pe``, the values of ``simd`` for which the product alone and
        the layers before it, with the resizing of the stream between them, cost least.
        """
        assert isinstance(node, Dot)
        outputs, inputs = node.weights.shape
        for layout, taken in self.unrolled[node.name]:
            if taken <= cycles:
                yield layout, inputs
        simds: dict[int, list[int]] = {}  # by passes
        for pe, sums, rounds in self.folds[node.name]:
            passes = -(-outputs // pe) * rounds
            if passes > cycles:
                continue
            if passes not in simds:
                simds[passes] = cheapest.simds(inputs, passes, cycles)
            costs = sorted(
                (cheapest.cost(simd) + self.alone(node, pe, simd, sums), simd)
                for simd in simds[passes]
                if pe < outputs or simd < inputs
            )
            yield from ((Folded(pe, simd, sums), simd) for _, simd in costs[:CHEAPEST])

    def alone(self, node: Dot, pe: int, simd: int, sums: Sums) -> float:
        """The cost of a folded product alone."""
        key = (node.name, pe, simd, sums)
        if key not in self.products_alone and not self.binary[node.name]:
            fold = Folded(pe, simd, sums)
            self.products_alone[key] = self.layer_cost([node], simd, fold, {}).cost
        elif key not in self.products_alone:
            source = self.graph.types[node.source]
            stream = TokenStream.of(source, simd)
            if node.name not in self.raw:
                self.raw[node.name] = constants.raw_sums(node.weights.astype(np.int64), source)
            raw = self.raw[node.name]
            lanes = -(-len(node.weights) // pe) * pe
            block = DotFolded(
                "raw", None, stream, TokenStream(lanes, pe, raw.width), node.name, raw.weights,
                self.base.logic_levels_per_register, sums if source.width > 1 else "bit_planes",
                pe, simd, node.scale_offset is not None,
            )  # fmt: skip
            self.products_alone[key] = self.cost(amounts(block))
        return self.products_alone[key]

    def joined(
        self, first: _FirstLayers, layer: _LayerCost, node: Node, lanes: int, wanted: int
    ) -> _FirstLayers:
        """The first layers, which give ``lanes`` lanes, with an unrolled layer behind them."""
        cost = first.cost + layer.cost
        if lanes == wanted:
            cost -= first.end  # joins the pipeline of the layer before
        else:
            cost += self.resize(node, lanes, wanted)
        return _FirstLayers(cost, layer.end, (*first.chosen, layer.layout))

    def resize(self, node: Node, lanes: int, wanted: int) -> float:
        """LUTs that resize a stream to the lanes that a layer needs."""
        key = (node.name, lanes, wanted)
        if key not in self.resizes:
            cost, now = 0.0, TokenStream.of(self.graph.types[node.sources[0]], lanes)
            for target in now.resized(wanted):
                kind = Widen if target.lanes > now.lanes else Narrow
                cost += self.cost(amounts(kind("r", now, target)))
                now = target
            self.resizes[key] = cost
        return self.resizes[key]


class _Cheapest:
    """The cheapest first layers of a chain for each number of lanes that a layer may need.

    Args:
        layers: the chain.
        node: the layer behind the first ones.
        kept: the first layers, by the lanes that they give.
    """

    def __init__(self, layers: ChainLayers, node: Node, kept: Mapping[int, _FirstLayers]) -> None:
        self.layers = layers
        self.node = node
        self.kept = kept
        self.lanes = np.array(list(kept))
        self.parts = sorted({d for lanes in kept for d in divisors(lanes)})
        self.known: dict[int, tuple[float, int]] = {}

    def cost(self, wanted: int) -> float:
        """The least cost of the first layers, resized to the wanted lanes."""
        if wanted not in self.known:
            self.known[wanted] = min(
                (first.cost + self.layers.resize(self.node, lanes, wanted), lanes)
                for lanes, first in self.kept.items()
            )
        return self.known[wanted][0]

    def first(self, wanted: int) -> _FirstLayers:
        """The first layers of this cost."""
        self.cost(wanted)
        return self.kept[self.known[wanted][1]]

    def simds(self, inputs: int, passes: int, cycles: int) -> list[int]:
        """Values of ``simd`` that are fast enough: the least, and those that fit the lanes.

        Also the least with which memories of weights have at most a number of rows of :data:`FULL`.
        """
        rows = {cycles, *(full for full in FULL if passes <= full < cycles)}
        given: set[int] = set()
        for most in rows:
            least = -(-inputs // (most // passes))
            longest = int(min(inputs, MORE * least))
            multiples = -(-least // self.lanes) * self.lanes
            given.add(least)
            given.update(multiples[multiples <= longest].tolist())
            given.update(
                self.parts[bisect_left(self.parts, least) : bisect_right(self.parts, longest)]
            )
        return sorted(given)


def _thinned(candidates: Sequence[int], n: int) -> list[int]:
    """The divisors of ``n`` if there are many; otherwise also some of the candidates.

    >>> _thinned((1, 2, 3, 4, 6, 12), 12), _thinned((1, 2, 3, 4, 5, 6, 7, 13), 13)
    ([1, 2, 3, 4, 6, 12], [1, 2, 3, 4, 5, 6, 7, 13])
    """
    exact = list(divisors(n))
    if len(exact) >= SMOOTH * n.bit_length():
        return exact
    chosen: list[int] = []
    for size in candidates:
        if not chosen or size >= chosen[-1] * APART:
            chosen.append(size)
    return sorted({*exact, *chosen})


@lru_cache(maxsize=1024)
def divisors(n: int) -> tuple[int, ...]:
    """All divisors of ``n``, the smallest first.

    >>> divisors(12)
    (1, 2, 3, 4, 6, 12)
    """
    return tuple(d for d in range(1, n + 1) if n % d == 0)

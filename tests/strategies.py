"""Random Graphs, Plans and inputs, for hypothesis and for tests that count seeds.

One generator serves both: :class:`Chooser` makes its decisions, either with hypothesis (which then
shrinks the structure of a failing network) or with numpy from a seed.

With hypothesis::

    @given(st.data())
    def test_something(data):
        graph = data.draw(graphs(max_width=65))
        plan = data.draw(plans(graph))
        x = data.draw(inputs(graph, 5))

From a seed: ``random_graph(7)``, ``random_plan(7, graph)``, ``random_inputs(graph, 5, 7)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Protocol, TypeVar

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwbnn.graph import (
    Add,
    ArgMax,
    Conv2d,
    Dot,
    Encode,
    Flatten,
    Graph,
    Input,
    Lookup,
    Node,
    Output,
    Rescale,
    Select,
    Threshold,
    ValueType,
    infer,
)
from hwbnn.plan import Folded, Layout, Plan, Sums, Unrolled

T = TypeVar("T")

FAVOURED = (63, 64, 65, 63, 64, 65, 1)
"""Widths at the edges of machine words, drawn half of the time; 1 seldom, little passes it."""
KEYWORDS = ("module", "reg", "wire", "int", "class", "begin", "template", "input", "output", "x_1")
"""Legal node names that generated code must not trip over."""
TABLE_LIMIT = 20_000
"""Most entries of a Lookup."""

UNROLLED = (
    *(Unrolled(), Unrolled("adder_tree")),
    *(Unrolled(form="portable"), Unrolled(form="xc7"), Unrolled(form="xcup")),
)
"""Unrolled layouts, first those that are generated at once."""
NETLIST_LIMIT = 1500
"""Most bits times weights of a layer that becomes a netlist, those of several bits counted three
times: they take time to make."""


class Chooser(Protocol):
    """Makes the decisions of a generator."""

    def integer(self, low: int, high: int) -> int: ...

    def choice(self, options: Sequence[T]) -> T: ...

    def rng(self) -> np.random.Generator: ...


@dataclass(frozen=True)
class Seeded:
    """Decisions from one numpy generator."""

    generator: np.random.Generator

    def integer(self, low: int, high: int) -> int:
        return int(self.generator.integers(low, high, endpoint=True))

    def choice(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]

    def rng(self) -> np.random.Generator:
        return self.generator


@dataclass(frozen=True)
class Drawn:
    """Decisions by hypothesis; bulk data from a seed that it draws."""

    draw: Any

    def integer(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def choice(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.integer(0, 2**32 - 1))


@dataclass(frozen=True)
class Limits:
    """What a random Graph may be.

    Attributes:
        max_width: elements of the widest value.
        max_depth: most ``Dot`` nodes; there is at least one.
        integers: whether inputs may be integers and activations multi-bit.
        value_bits: widest value (hls4ml's trace passes words of at most 24 bits unharmed).
        integer_weights: whether layers may have weights other than -1 and +1.
        based: whether thresholds may count from a base, perhaps a negative one, up to 255 of them.
    """

    max_width: int = 300
    max_depth: int = 4
    integers: bool = True
    value_bits: int = 24
    integer_weights: bool = False
    based: bool = False


@dataclass
class Builder:
    """A Graph in the making: the nodes so far, and the value that the next one reads."""

    choose: Chooser
    limits: Limits
    nodes: list[Node] = field(default_factory=list)
    types: dict[str, ValueType] = field(default_factory=dict)
    source: str = ""

    @property
    def type(self) -> ValueType:
        return self.types[self.source]

    def chance(self, one_in: int) -> bool:
        return self.choose.integer(0, one_in - 1) == one_in - 1

    def name(self, kind: str) -> str:
        taken = {node.name for node in self.nodes}
        free = [k for k in KEYWORDS if k not in taken]
        if free and self.chance(8):
            return self.choose.choice(free)
        return f"{kind}_{len(self.nodes)}"

    def width(self) -> int:
        favoured = [w for w in FAVOURED if w <= self.limits.max_width]
        if self.chance(2):
            return self.choose.choice(favoured)
        return self.choose.integer(1, self.limits.max_width)

    def append(self, node: Node) -> None:
        self.types[node.name] = infer(node, *(self.types[name] for name in node.sources))
        self.nodes.append(node)
        self.source = node.name

    def begin(self) -> None:
        low, high, bit = self.input_range()
        width = self.width()
        shape: tuple[int, ...] = (width,)
        if self.chance(4):
            rows = self.choose.choice([d for d in (1, 2, 3, 4, 5, 7, 8) if d <= width])
            shape = (rows, max(1, width // rows))
            shape = (*shape, 1) if self.chance(3) else shape
        name = self.choose.choice(("x", "x", "pixels", "reg"))
        self.append(Input(name, shape, low, high, bit))

    def input_range(self) -> tuple[int, int, bool]:
        """Lowest and highest of the input, and whether it is bits."""
        if not self.limits.integers or not self.chance(2):
            return 0, 1, True
        ranges = ((0, 255), (-128, 127), (0, 1), (-3, 12), (-9, -2), (0, 15))
        return *self.choose.choice(ranges), False

    def before_dots(self) -> None:
        if len(self.type.shape) > 1:
            if not self.type.bit and self.chance(3):
                self.threshold()
            self.append(Flatten(self.name("flatten"), self.source))
        elif self.chance(8):
            self.append(Flatten(self.name("flatten"), self.source))
        if self.chance(4):
            self.select()
        if not self.type.bit and self.chance(3):
            self.encode()

    def select(self) -> None:
        size = self.type.size
        index = self.choose.rng().permutation(size)[: self.choose.integer(-(-size // 2), size)]
        self.append(Select(self.name("select"), self.source, index))

    def encode(self) -> None:
        most = min(4, self.limits.max_width // self.type.size)
        if most:
            shape = (self.type.size, self.choose.integer(1, most))
            self.append(Encode(self.name("encode"), self.source, self.cuts(shape)))

    def dot(self) -> None:
        rng, shape = self.choose.rng(), (self.width(), self.type.size)
        weights = rng.random(shape) < self.choose.choice((0.5, 0.5, 0.5, 0.5, 0.9, 1.0))
        if self.chance(12):
            weights[:] = weights[:1]
        factors = self.factors(*shape) if self.chance(3) else ()
        if self.limits.integer_weights and self.chance(2):
            weights, factors = self.integer_weights(shape), ()
        self.append(Dot(self.name("dot"), self.source, weights, *factors))

    def integer_weights(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Weights that leave the sums within the widest value: of few bits, many of them 0."""
        rng, terms = self.choose.rng(), prod(shape[1:])
        most = (1 << self.limits.value_bits - 1) // self.magnitude() - 1
        each = max(1, min(127, most // (2 * terms)))
        kind = self.choose.choice(("ternary", "few bits", "few bits", "sparse", "one large"))
        bits = self.choose.integer(2, 8) if kind == "few bits" else 2
        weights = rng.integers(-1 << bits - 1, 1 << bits - 1, shape).clip(-each, each)
        if kind == "sparse":
            weights = weights * (rng.random(shape) < 0.1)
        if kind == "one large":
            large = min((1 << 15) - 1, max(1, most - terms * each))
            weights.flat[rng.integers(weights.size)] = rng.choice((-large, large))
        if self.chance(3):
            weights[rng.integers(len(weights))] = 0
        return weights

    def factors(self, channels: int, terms: int) -> tuple[NDArray[np.int64], ...]:
        """Scales and offsets that leave the sums within the widest value; none if that is tight."""
        rng = self.choose.rng()
        spare = self.limits.value_bits - 2 - (self.magnitude() * terms).bit_length()
        if spare < 1:
            return ()
        high = 1 << min(spare, self.choose.integer(1, 8))
        offset = rng.integers(-high, high, channels, endpoint=True)
        if self.chance(2):
            return np.full(channels, high, np.int64), offset  # as of fixed-point offsets
        return rng.integers(-high, high, channels, endpoint=True), offset

    def cuts(self, shape: tuple[int, int]) -> NDArray[np.int64]:
        """Thresholds near and at the source's values, at its ends, over them, far outside."""
        t, rng = self.type, self.choose.rng()
        middle = t.low + t.step * rng.integers(0, t.count, shape)
        spread = max(t.step, int(t.step * t.count**0.5) // 2)
        near = rng.integers(-spread, spread, shape, endpoint=True) + (t.low + t.high) // 2
        ends = np.array([t.low - 1, t.low, t.low + 1, t.high - 1, t.high, t.high + 1])
        far = np.array([-(2**31) + 1, 2**31 - 1, t.low - 1000, t.high + 1000])
        which = rng.choice(4, shape, p=(0.15, 0.7, 0.1, 0.05))
        cuts = np.choose(which, (middle, near, rng.choice(ends, shape), rng.choice(far, shape)))
        return cuts.astype(np.int64) if self.chance(6) else np.sort(cuts, axis=1)

    def threshold(self) -> None:
        k = self.levels()
        cuts = self.cuts((self.type.channels, k))
        falling = self.choose.rng().random(len(cuts)) < self.choose.choice((0.0, 0.5, 0.5, 1.0))
        base = self.base(k)
        self.append(Threshold(self.name("threshold"), self.source, cuts, falling, base=base))

    def levels(self) -> int:
        """How many thresholds a channel has; with many channels not many."""
        if self.limits.based and self.chance(6) and self.type.channels <= 8:
            return self.choose.choice((15, 31, 63, 127, 255))
        several = self.limits.integers and self.chance(3)
        return self.choose.integer(2, 7) if several else 1

    def base(self, levels: int) -> int | None:
        """The number that thresholds count from, or None."""
        if not self.limits.based or not self.chance(2):
            return None
        return self.choose.choice((-levels, -((levels + 1) // 2), 0, self.choose.integer(-9, 9)))

    def lookup(self, bit: bool) -> None:
        t, rng = self.type, self.choose.rng()
        if t.channels * t.count > TABLE_LIMIT:
            self.threshold()
            return
        low, high = self.choose.choice(((0, 1), (-4, 3), (0, 7), (-1, 1), (-100, 50)))
        low, high = (0, 1) if bit else (low, high)
        table = rng.integers(low, high, (t.channels, t.count), endpoint=True)
        self.append(Lookup(self.name("lookup"), self.source, table, bit))

    def activation(self) -> None:
        kinds = ["threshold"] * 5 + ["lookup bits", "none"]
        kinds += ["lookup integers"] if self.limits.integers else []
        kind = self.choose.choice(kinds)
        if kind == "lookup bits":
            self.lookup(bit=True)
        elif kind == "lookup integers":
            self.lookup(bit=False)
        elif kind == "threshold" or not self.limits.integers or self.too_wide():
            self.threshold()
        flat = len(self.type.shape) == 1
        if self.chance(8) and flat:
            self.select()
        if not self.type.bit and self.chance(8) and flat:
            self.encode()

    def too_wide(self) -> bool:
        """Whether one more Dot could pass the widest value."""
        return (self.magnitude() * self.type.size).bit_length() >= self.limits.value_bits

    def magnitude(self) -> int:
        """What no term of a Dot passes."""
        return max(-self.type.low, self.type.high, 1)

    def finish(self) -> Graph:
        kind = self.choose.choice(("argmax", "argmax", "scores", "ranks", "bits", "classes"))
        if kind in ("ranks", "classes"):
            self.lookup(bit=False)
        if kind == "bits":
            self.threshold()
        if kind in ("argmax", "classes") and not self.type.bit:
            self.append(ArgMax(self.name("argmax"), self.source))
        self.append(Output(self.name("y"), self.source))
        return Graph(tuple(self.nodes))


def build_graph(choose: Chooser, limits: Limits) -> Graph:
    """One dense network: input, perhaps encoding, one to ``max_depth`` dots, an ending."""
    builder = Builder(choose, limits)
    builder.begin()
    builder.before_dots()
    for remaining in reversed(range(choose.integer(1, limits.max_depth))):
        builder.dot()
        if remaining:
            builder.activation()
    return builder.finish()


def build_plan(choose: Chooser, graph: Graph, max_cycles: int, max_beat: int) -> Plan:
    """One Plan that fits the Graph."""
    style = choose.choice(("unrolled", "folded", "mixed"))
    dots: dict[str, Layout] = {}
    for dot in (*graph.of_type(Dot), *graph.of_type(Conv2d)):
        if style == "unrolled" or (style == "mixed" and choose.integer(0, 1)):
            bits = dot.weights.size * graph.types[dot.source].width * (1 if dot.binary else 3)
            dots[dot.name] = choose.choice(UNROLLED if bits <= NETLIST_LIMIT else UNROLLED[:2])
            continue
        outputs, inputs, vectors = len(dot.weights), dot.weights[0].size, 1
        if isinstance(dot, Conv2d):
            outputs //= dot.groups
            vectors = dot.groups * prod(graph.types[dot.name].shape[:2])
        # Divisors are what people choose, all other numbers what searches may find.
        divides = choose.integer(0, 1)
        fits = [
            (pe, simd)
            for pe in (_divisors(outputs) if divides else _parts(outputs))
            for simd in (_divisors(inputs) if divides else _parts(inputs))
            if vectors * -(-outputs // pe) * -(-inputs // simd) <= max_cycles
        ]
        pe, simd = choose.choice(fits or [(outputs, inputs)])
        steps = vectors * -(-outputs // pe) * -(-inputs // simd)
        width = graph.types[dot.source].width
        serial = width * steps <= max_cycles
        sums: tuple[Sums, ...] = ("bit_planes", "bit_planes", "adder_tree", "bit_serial")
        folded = Folded(pe, simd, choose.choice(sums if serial else sums[:3]))
        if not dot.binary:
            folded = replace(folded, multipliers=choose.choice((None, "dsp", "luts")))
        dots[dot.name] = folded
    plan = Plan(
        dots,
        input_beat=_beat(choose, graph.types[graph.input.name], max_beat),
        output_beat=_beat(choose, graph.types[graph.output.name], max_beat),
        logic_levels_per_register=choose.integer(1, 4),
        fuse=bool(choose.integer(0, 3)),
    )
    lanes = {
        node.name: choose.choice(tuple(_divisors(graph.types[node.name].channels)))
        for node in (*graph.of_type(Rescale), *graph.of_type(Add))
        if choose.integer(0, 1)
    }
    return replace(plan, lanes=lanes).check(graph)


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def _parts(n: int) -> list[int]:
    """Sizes of parts: some that need not divide, and one that is larger than what there is."""
    return sorted({*range(1, min(n, 6)), *(-(-n // k) for k in range(1, 5)), n - 1 or 1, n + 1})


def _beat(choose: Chooser, t: ValueType, max_beat: int) -> int:
    """A multiple of 8 that holds at least one element, and seldom much more than a frame."""
    smallest = -(-t.width // 8)
    whole = -(-t.width * t.size // 8)
    largest = max(smallest, min(whole + 1, max_beat // 8))
    return 8 * choose.choice((smallest, min(8, largest), choose.integer(smallest, largest)))


def build_inputs(graph: Graph, n: int, rng: np.random.Generator) -> NDArray[Any]:
    """Inputs of which the first are corners: all lowest, all highest, one high, one low."""
    t = graph.types[graph.input.name]
    size = prod(t.shape)
    # Each row has a density of its own, so that sums reach far from their middle too.
    density = rng.random((n, 1))
    inside = rng.integers(t.low, t.high, (n, size), endpoint=True)
    x = np.where(rng.random((n, size)) < density, inside, rng.choice((t.low, t.high), (n, 1)))
    corners = np.stack([np.full(size, t.low), np.full(size, t.high)] * 2)
    corners[2, rng.integers(size)] = t.high
    corners[3, rng.integers(size)] = t.low
    kept = min(n, len(corners))
    x[:kept] = corners[:kept]
    return x.reshape(n, *t.shape).astype(np.bool_ if t.bit else np.int64)


def random_graph(seed: int, **limits: Any) -> Graph:
    """The Graph of this seed; ``limits`` are fields of :class:`Limits`."""
    return build_graph(Seeded(np.random.default_rng(seed)), Limits(**limits))


def random_plan(seed: int, graph: Graph, max_cycles: int = 4096, max_beat: int = 512) -> Plan:
    """The Plan of this seed, no layer of which takes more than ``max_cycles`` a frame."""
    return build_plan(Seeded(np.random.default_rng(seed)), graph, max_cycles, max_beat)


def random_inputs(graph: Graph, n: int, seed: int) -> NDArray[Any]:
    """``n`` inputs of this seed, bool for bits and int64 else; the first four are corners."""
    return build_inputs(graph, n, np.random.default_rng(seed))


@st.composite
def graphs(draw: st.DrawFn, /, **limits: Any) -> Graph:
    """Graphs; ``limits`` are fields of :class:`Limits`."""
    return build_graph(Drawn(draw), Limits(**limits))


@st.composite
def plans(draw: st.DrawFn, /, graph: Graph, max_cycles: int = 4096, max_beat: int = 512) -> Plan:
    """Plans that fit a Graph: unrolled, folded, mixed, fused or not."""
    return build_plan(Drawn(draw), graph, max_cycles, max_beat)


@st.composite
def inputs(draw: st.DrawFn, /, graph: Graph, n: int) -> NDArray[Any]:
    """Batches of ``n`` inputs that fit a Graph, corners first."""
    return build_inputs(graph, n, Drawn(draw).rng())

"""The layers of a network for people: nodes that belong together, with their hardware."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hwbnn.report.node_figures import NodeFigures
from hwbnn.report.stages import PartFigures, StageFigures

PRODUCTS = ("Dot", "Conv2d")
"""Kinds of nodes with weights."""
_FOLLOWERS = ("Threshold", "Rescale", "Lookup", "Flatten")
"""Kinds that belong to the node in front, if no other node reads that."""
WORDS = {
    "Input": "Input",
    "Select": "Selection",
    "Encode": "Thermometer code",
    "Dot": "Dense",
    "Conv2d": "Convolution",
    "Threshold": "Threshold",
    "Lookup": "Table",
    "MaxPool": "Max pool",
    "SumPool": "Sum pool",
    "Add": "Addition",
    "Rescale": "Rescale",
    "ChannelPad": "Channel padding",
    "Concat": "Concatenation",
    "Flatten": "Flatten",
    "ArgMax": "Largest score",
    "Output": "Output",
}
"""Kinds of nodes, in words."""


@dataclass(frozen=True)
class NetworkLayer:
    """Nodes that belong together: a product with its thresholds, a pool, an addition.

    Attributes:
        nodes: the nodes, each the only reader of the one in front.
        inputs: the nodes whose values it reads.
    """

    nodes: tuple[NodeFigures, ...]
    inputs: tuple[NodeFigures, ...]

    @property
    def head(self) -> NodeFigures:
        """The first node, which says what the layer is."""
        return self.nodes[0]

    @property
    def last(self) -> NodeFigures:
        """The node that gives the layer's value."""
        return self.nodes[-1]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its nodes."""
        return tuple(node.name for node in self.nodes)

    @property
    def layer(self) -> str:
        """The layer of the user's network; "" if it is not known."""
        return next((node.layer for node in self.nodes if node.layer), "")

    @property
    def thresholds(self) -> int:
        """Thresholds of all its channels."""
        return sum(
            node.thresholds * (self._elements(node) if node.kind == "Encode" else node.shape[-1])
            for node in self.nodes
        )

    def _elements(self, node: NodeFigures) -> int:
        return node.shape[-1] // node.thresholds if node.thresholds else 0

    @property
    def title(self) -> str:
        """Its operation, in a few words."""
        head = self.head
        words = WORDS.get(head.kind, head.kind)
        window = "×".join(map(str, head.kernel))
        if head.kernel and max(head.stride, default=1) > 1:
            window += f" / {max(head.stride)}"
        if window:
            words += f" {window}"
        if head.kind in PRODUCTS and self.inputs:
            words += f", {self.inputs[0].shape[-1]} → {head.shape[-1]}"
        if head.groups > 1:
            words += f", {head.groups} groups"
        if self.last.kind == "Output":
            meaning = self.last.meaning or "values"
            words = f"Output: {meaning}" if self.last is head else f"{words}: {meaning}"
        return words

    @property
    def details(self) -> str:
        """Its constants, in a few words; "" if it has none."""
        head, told = self.head, []
        if head.weights:
            told.append(f"{head.weights:,} × {plural(head.weight_bits, 'bit')}")
        if self.thresholds:
            told.append(plural(self.thresholds, "threshold"))
        if any(node.kind == "Rescale" for node in self.nodes[1:]):
            told.append("rescaled")
        if any(node.kind == "Lookup" for node in self.nodes[1:]):
            told.append("table")
        return ", ".join(told)


def plural(count: int, noun: str) -> str:
    """A count and a noun.

    >>> plural(1, "bit"), plural(1234, "bit")
    ('1 bit', '1,234 bits')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def value_words(node: NodeFigures) -> str:
    """Shape and width of a value: ``28×28×1 · 8 bits``."""
    return f"{'×'.join(map(str, node.shape))} · {plural(node.width, 'bit')}"


def layers(nodes: Sequence[NodeFigures]) -> tuple[NetworkLayer, ...]:
    """The nodes of a network as layers, in order."""
    readers: dict[str, int] = {}
    for node in nodes:
        for source in node.sources:
            readers[source] = readers.get(source, 0) + 1
    found: list[list[NodeFigures]] = []
    member_of: dict[str, list[NodeFigures]] = {}
    for node in nodes:
        before = member_of.get(node.sources[0]) if len(node.sources) == 1 else None
        joins = (
            before is not None
            and before[-1].name == node.sources[0]
            and readers[node.sources[0]] == 1
            and (
                (node.kind in _FOLLOWERS and before[0].kind not in ("Input", "ArgMax"))
                or (node.kind == "Output" and before[-1].kind == "ArgMax")
            )
        )
        if joins and before is not None:
            before.append(node)
        else:
            before = [node]
            found.append(before)
        member_of[node.name] = before
    named = {node.name: node for node in nodes}
    return tuple(
        NetworkLayer(tuple(each), tuple(named[source] for source in each[0].sources))
        for each in found
    )


@dataclass(frozen=True)
class LayerHardware:
    """The hardware of a layer; all resources are estimates.

    Attributes:
        form: the forms of its parts, in words.
        cycles: cycles for which a frame keeps its busiest stage busy; None if it has no stage.
        busy: these cycles as a share of the interval.
        lut: LUTs.
        ff: flip-flops.
        bram: block RAMs of 36 Kbit.
        dsp: multipliers.
        fifos: words that the FIFOs behind it fill at most, and that they hold.
    """

    form: str = ""
    cycles: int | None = None
    busy: float = 0.0
    lut: int = 0
    ff: int = 0
    bram: float = 0.0
    dsp: int = 0
    fifos: tuple[tuple[int, int], ...] = ()

    def joined(self, stage: StageFigures, part: PartFigures) -> LayerHardware:
        """The same with a part of a stage added."""
        computes = bool(part.node)
        forms = dict.fromkeys(f for f in (*self.form.split("; "), part.form * computes) if f)
        return LayerHardware(
            "; ".join(forms),
            max(self.cycles or 0, stage.cycles) if computes else self.cycles,
            max(self.busy, stage.busy) if computes else self.busy,
            self.lut + part.lut,
            self.ff + part.ff,
            self.bram + part.bram,
            self.dsp + part.dsp,
            self.fifos,
        )

    def behind(self, stage: StageFigures) -> LayerHardware:
        """The same with the FIFOs of a stage added."""
        pairs = tuple(zip(stage.fill, stage.depth, strict=True))
        return LayerHardware(**{**vars(self), "fifos": (*self.fifos, *pairs)})


def hardware(
    told: Sequence[NetworkLayer], stages: Sequence[StageFigures]
) -> tuple[list[LayerHardware], LayerHardware]:
    """The hardware of each layer, and of what belongs to no layer: borders, forks, width changes.

    What a stage has around its nodes, such as a FIFO, counts for the layer of its last node.
    """
    owner = {name: i for i, layer in enumerate(told) for name in layer.names}
    rows = [LayerHardware() for _ in told]
    around = LayerHardware()
    for stage in stages:
        owners = [owner[part.node] for part in stage.parts if part.node in owner]
        for part in stage.parts:
            at = owner.get(part.node, owners[-1] if owners else None)
            if at is None:
                around = around.joined(stage, part)
            else:
                rows[at] = rows[at].joined(stage, part)
        if owners:
            rows[owners[-1]] = rows[owners[-1]].behind(stage)
    return rows, around


def total(rows: Sequence[LayerHardware], around: LayerHardware) -> LayerHardware:
    """The sums of all resources."""
    every = (*rows, around)
    return LayerHardware(
        lut=sum(row.lut for row in every),
        ff=sum(row.ff for row in every),
        bram=sum(row.bram for row in every),
        dsp=sum(row.dsp for row in every),
    )


def edges(told: Sequence[NetworkLayer]) -> Iterator[tuple[int, int]]:
    """For each layer and each value that it reads: the layer that gives the value, and itself."""
    owner = {name: i for i, layer in enumerate(told) for name in layer.names}
    for j, layer in enumerate(told):
        for node in dict.fromkeys(node.name for node in layer.inputs):
            yield owner[node], j

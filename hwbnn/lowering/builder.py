"""A Graph in the making: nodes, their types and names, and what is said about them."""

from __future__ import annotations

from dataclasses import dataclass, field

from hwbnn.errors import CannotLower, HwbnnError
from hwbnn.graph import Node, ValueType, infer
from hwbnn.lowering.streams import Stream

FRACTION = 18
"""Bits behind the point of fixed-point numbers, unless others are asked for.

An activation that turns round changes sums, and these more activations: what a network says of an
image is nearly always the same only where nearly none turns round at all. ResNet-20 has 200,000 of
them, so that the numbers in front must be much finer than their own size would ask for.
"""
_SINGLE = ("y", "argmax", "ranks", "flatten")


@dataclass(frozen=True)
class Remark:
    """What was done with one layer, for people.

    Attributes:
        layer: qualified name in the network.
        node: the node of the Graph that came of it.
        text: one sentence.
    """

    layer: str
    node: str
    text: str


@dataclass
class Builder:
    """What a walk has made so far.

    Attributes:
        fraction: bits behind the point of fixed-point numbers, where there are any.
        nodes: of the Graph.
        types: of their values, by name.
        remarks: what was done.
        certificates: of each node whose integers were found by trying all sums: what was shown.
        fixed: of each node of fixed-point numbers: its word length, and how far it may be off.
        fixes: streams that became fixed-point numbers of so many bits behind the point once, for
            all that read them.
    """

    fraction: int = FRACTION
    nodes: list[Node] = field(default_factory=list)
    types: dict[str, ValueType] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    certificates: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, str] = field(default_factory=dict)
    fixes: dict[tuple[Stream, int], Stream] = field(default_factory=dict)

    def name(self, kind: str) -> str:
        """A free name: the kind and how many came before, from 1; single ones bare."""
        if kind in _SINGLE and kind not in self.types:
            return kind
        return next(n for i in range(1, 1 + 10**6) if (n := f"{kind}_{i}") not in self.types)

    def add(self, node: Node) -> ValueType:
        """Append a node; its type.

        Raises:
            CannotLower: if it does not fit what it reads.
        """
        try:
            t = infer(node, *(self.types[s] for s in node.sources))
        except HwbnnError as error:
            raise CannotLower(str(error)) from None
        self.nodes.append(node)
        self.types[node.name] = t
        return t

    def replace(self, node: Node) -> ValueType:
        """Put a node in the place of the one of its name, which nothing has read yet; its type."""
        position = next(i for i, n in enumerate(self.nodes) if n.name == node.name)
        t = infer(node, *(self.types[s] for s in node.sources))
        self.nodes[position] = node
        self.types[node.name] = t
        return t

    def remark(self, layer: str, node: Node, text: str) -> None:
        """Say what became of a layer."""
        self.remarks.append(Remark(layer, node.name, text))

"""The Graph: a checked, frozen sequence of nodes, which all packages of hwbnn share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

import numpy as np

from hwbnn.arguments import checked_class
from hwbnn.errors import GraphError, nearest
from hwbnn.graph.fields import shown
from hwbnn.graph.infer import infer
from hwbnn.graph.nodes import NODE_TYPES, ArgMax, Input, Node, Output, WeightedSum
from hwbnn.graph.values import ValueType
from hwbnn.notebook import html_table

N = TypeVar("N", bound=Node)

FRACTION_LIMIT = 20
"""Most fraction bits of fixed-point numbers."""
WEIGHT_LIMIT = 16
"""Most bits of weights."""


@checked_class()
@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """A network as integer arithmetic: nodes in program order, each reading earlier values.

    Construction checks everything that can be checked without an input: names, order, shapes,
    ranges, and that every value is read. Two Graphs are equal when their digests are.

    Attributes:
        nodes: one :class:`~hwbnn.graph.nodes.Input` first, one ``Output`` last.
        notes: where the Graph came from (strings); not part of the digest.
        fraction: fraction bits of its fixed-point numbers, 0 to 20; None where every integer is
            exact. It says how closely the integers follow a float network, not what is computed,
            so it is no part of the digest either.
        weight_bits: bits that real weights of the float network were rounded to, 2 to 16; None
            where none were. No part of the digest, as ``fraction``.
        types: the :class:`~hwbnn.graph.values.ValueType` of each value, by name.

    Raises:
        GraphError: naming the node, what was expected and what was found.
    """

    nodes: tuple[Node, ...]
    notes: Mapping[str, str] = field(default_factory=dict)
    fraction: int | None = None
    weight_bits: int | None = None
    types: Mapping[str, ValueType] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(self.nodes))
        object.__setattr__(self, "notes", MappingProxyType(_checked_notes(self.notes)))
        _check_fraction(self.fraction)
        _check_weight_bits(self.weight_bits)
        _check_ends(self.nodes)
        types: dict[str, ValueType] = {}
        for node in self.nodes:
            if node.name in types:
                raise GraphError(f"node '{node.name}': the name is taken by an earlier node")
            for source in node.sources:
                if source not in types:
                    raise GraphError(
                        f"node '{node.name}': source {shown(source)}: expected the name of an "
                        f"earlier node, one of {nearest(source, types)}"
                    )
            types[node.name] = infer(node, *(types[s] for s in node.sources))
        read = {s for node in self.nodes for s in node.sources}
        for node in self.nodes[:-1]:
            if node.name not in read:
                raise GraphError(f"node '{node.name}': no node reads it; remove it")
        object.__setattr__(self, "types", MappingProxyType(types))

    @property
    def is_exact(self) -> bool:
        """Whether nothing is approximated: no fixed-point numbers and no rounded weights."""
        return self.fraction is None and self.weight_bits is None

    @property
    def input(self) -> Input:
        """The first node, which describes the input."""
        return cast(Input, self.nodes[0])

    @property
    def output(self) -> Output:
        """The last node, which describes the output."""
        return cast(Output, self.nodes[-1])

    @property
    def meaning(self) -> str:
        """The meaning of the output, one of :data:`~hwbnn.graph.nodes.MEANINGS`."""
        if self.output.meaning is not None:
            return self.output.meaning
        if isinstance(self.node(self.output.source), ArgMax):
            return "class"
        return "bits" if self.types[self.output.source].bit else "scores"

    def node(self, name: str) -> Node:
        """The node of this name.

        Raises:
            GraphError: if there is none.
        """
        if name not in self._named:
            names = nearest(name, self._named)
            raise GraphError(f"no node is named {shown(name)}; there are {names}")
        return self._named[name]

    def of_type(self, kind: type[N]) -> tuple[N, ...]:
        """The nodes of one kind, in order."""
        return tuple(n for n in self.nodes if isinstance(n, kind))

    def readers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read a value, in order."""
        return self._readers.get(name, ())

    @cached_property
    def integer_layers(self) -> tuple[WeightedSum, ...]:
        """The weighted sums that have other weights than -1 and +1, in order."""
        sums = (node for node in self.nodes if isinstance(node, WeightedSum))
        return tuple(node for node in sums if not node.binary)

    @cached_property
    def layer_names(self) -> dict[str, str]:
        """The layer of the user's network that a node comes from, for the nodes that notes name."""
        pairs = (entry.partition("=") for entry in self.notes.get("layers", "").split())
        return {node: layer for node, _, layer in pairs if layer and node in self._named}

    @cached_property
    def _named(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _readers(self) -> Mapping[str, tuple[Node, ...]]:
        readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for source in dict.fromkeys(node.sources):  # one that reads a value twice is one reader
                readers.setdefault(source, []).append(node)
        return {name: tuple(nodes) for name, nodes in readers.items()}

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hexadecimal over kinds, names and fields of the nodes, without the notes."""
        sha = hashlib.sha256(b"hwbnn graph 1\n")
        for node in self.nodes:
            sha.update(f"{type(node).__name__}\n".encode())
            for f in fields(node):
                # A field that is None is left out: digests stay the same when a kind of node
                # gets new optional fields.
                if getattr(node, f.name) is not None:
                    sha.update(_canonical(node.file_name(f.name), node.written(f.name)))
        return sha.hexdigest()

    def __repr__(self) -> str:
        arithmetic = "exact" if self.is_exact else "approximated"
        return (
            f"<Graph: {self.types[self.input.name]} -> {self.meaning}, {len(self.nodes)} nodes, "
            f"{arithmetic}, digest {self.digest[:12]}>"
        )

    def _repr_html_(self) -> str:
        """The nodes as a table, for notebooks."""
        rows = [
            (
                node.name,
                type(node).__name__,
                ", ".join(node.sources),
                self.types[node.name],
                node.weights.size if isinstance(node, WeightedSum) else "",
            )
            for node in self.nodes
        ]
        return html_table(repr(self)[1:-1], ("value", "node", "reads", "type", "weights"), rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def _canonical(name: str, value: Any) -> bytes:
    """Bytes that differ whenever the field differs, on every machine alike."""
    if isinstance(value, np.ndarray):
        little = value.astype(value.dtype.newbyteorder("<"))
        return f"{name} {value.dtype.kind} {value.shape}\n".encode() + little.tobytes()
    return f"{name} {value!r}\n".encode()


def _check_ends(nodes: tuple[Node, ...]) -> None:
    if len(nodes) < 2 or not isinstance(nodes[0], Input) or not isinstance(nodes[-1], Output):
        found = ", ".join(type(n).__name__ for n in nodes) or "nothing"
        raise GraphError(f"a Graph begins with Input and ends with Output, found {found[:80]}")
    for node in nodes[1:-1]:
        if isinstance(node, Input | Output) or not isinstance(node, NODE_TYPES):
            raise GraphError(
                f"a {type(node).__name__} cannot stand between the first and last node"
            )


def _check_fraction(fraction: object) -> None:
    if fraction is None:
        return
    if type(fraction) is not int or not 0 <= fraction <= FRACTION_LIMIT:
        raise GraphError(
            f"fraction: expected an integer from 0 to {FRACTION_LIMIT}, or nothing for a Graph "
            f"without fixed-point numbers, found {shown(fraction)}"
        )


def _check_weight_bits(bits: object) -> None:
    if bits is None:
        return
    if type(bits) is not int or not 2 <= bits <= WEIGHT_LIMIT:
        raise GraphError(
            f"weight_bits: expected an integer from 2 to {WEIGHT_LIMIT}, or nothing for a Graph "
            f"without rounded weights, found {shown(bits)}"
        )


def _checked_notes(notes: Mapping[str, str]) -> dict[str, str]:
    for key, value in notes.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise GraphError(f"notes: expected text, found {shown(key)}: {shown(value)}")
        try:
            (key + value).encode()
        except UnicodeEncodeError:
            raise GraphError(
                f"notes: expected text that UTF-8 can hold, found {shown(key)}: {shown(value)}"
            ) from None
    return dict(notes)


def check_graph(given: object, where: str) -> None:
    """Refuse anything but a Graph: a model or a file's name is a common mistake.

    Args:
        given: the argument that should be a Graph.
        where: name of the function that got it, for the message.

    Raises:
        GraphError: if it is no Graph; the message names the function that makes one.
    """
    if isinstance(given, Graph):
        return
    if isinstance(given, str | Path):
        hint = "hwbnn.load reads one from a file"
    elif hasattr(given, "named_modules"):
        hint = "hwbnn.lower(model, input) makes one of a model"
    else:
        hint = "hwbnn.lower makes one of a model, hwbnn.load reads one"
    raise GraphError(f"{where}: expected a Graph, found {type(given).__name__}; {hint}")

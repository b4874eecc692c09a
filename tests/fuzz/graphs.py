"""Files of Graphs, and Graphs whose fields a stranger chose, through every reading."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import numpy as np

from hwbnn.errors import HwbnnError
from hwbnn.graph import NODE_TYPES, Graph, from_bytes, to_bytes
from hwbnn.graph.store import HEADER
from hwbnn.plan import Plan, circuit
from hwbnn.simulators import simulate
from hwbnn.targets.hls.calls import calls_of, default_io
from tests.conv_strategies import random_conv_graph
from tests.fuzz.kinds import HOSTILE, FileKind, flipped, hostile, npy, zip_change
from tests.strategies import random_graph

GRAPHS = (
    *(random_graph(seed, max_width=12) for seed in (1, 2, 3)),
    *(random_conv_graph(seed) for seed in (2, 69)),
    *(random_graph(seed, max_width=12, integer_weights=True, based=True) for seed in (2, 8)),
    random_conv_graph(3, integer_weights=True, based=True),
    random_conv_graph(6, concat=True),
)


def header_change(data: bytes, rng: np.random.Generator) -> bytes:
    """A value of the header damaged."""
    return _with_header(data, lambda header: hostile(header, rng))


def _with_header(data: bytes, change: Any) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    raw = np.lib.format.read_array(io.BytesIO(members[f"{HEADER}.npy"])).tobytes()
    text = json.dumps(change(json.loads(raw))).encode()
    members[f"{HEADER}.npy"] = npy(np.frombuffer(text, np.uint8))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def notes(data: bytes, given: dict[str, str]) -> bytes:
    """The file with these notes."""
    return _with_header(data, lambda header: {**header, "notes": given})


SAMPLES = tuple(to_bytes(graph) for graph in GRAPHS)
FILES = FileKind(
    "graph.npz",
    SAMPLES,
    from_bytes,
    (flipped, zip_change, header_change),
    {
        "a lone surrogate in the notes": notes(SAMPLES[0], {"from": "\ud800"}),
        "a lone surrogate in the name of a note": notes(SAMPLES[0], {"\udfff": "a"}),
    },
)


def field_change(data: bytes, rng: np.random.Generator) -> bytes:
    """Number of a sample and a seed: :func:`readings` makes the change on the nodes themselves."""
    return json.dumps([int(rng.integers(len(GRAPHS))), int(rng.integers(1 << 30))]).encode()


def readings(data: bytes) -> object:
    """A Graph with one field of one node changed, where it is one still, through every reading."""
    which, seed = json.loads(data)
    graph, rng = GRAPHS[which], np.random.default_rng(seed)
    changed = damaged(graph, rng) if seed else graph
    t = changed.input
    x = np.zeros((1, *changed.types[t.name].shape), np.int64) + max(t.low, min(0, t.high))
    if changed.types[t.name].size < 1 << 16:
        simulate(changed, x, engine="plain", trace=True)
    assert from_bytes(to_bytes(changed)) == changed
    for plan in (Plan(), Plan(input_beat=512, output_beat=512)):
        for reading in (
            lambda plan=plan: circuit(changed, plan),
            lambda plan=plan: calls_of(changed, plan, default_io(changed)),
        ):
            with suppress(HwbnnError):
                reading()
    return None


def damaged(graph: Graph, rng: np.random.Generator) -> Graph:
    """The Graph with one field of one node replaced by another value of its kind, or any."""
    i = int(rng.integers(len(graph.nodes)))
    node = graph.nodes[i]
    assert isinstance(node, NODE_TYPES)
    names = [f.name for f in fields(node)]
    name = names[rng.integers(len(names))]
    value = getattr(node, name)
    if isinstance(value, np.ndarray) and rng.random() < 0.8:
        value = _other(value, rng)
    elif isinstance(value, str) and rng.random() < 0.8:
        value = graph.nodes[rng.integers(len(graph.nodes))].name
    elif isinstance(value, tuple) and rng.random() < 0.8:
        value = tuple(int(v) + int(rng.integers(-2, 60)) for v in value)
    elif isinstance(value, int) and rng.random() < 0.8:
        value = int(rng.choice([value + 1, value - 1, 1 << 20, -(1 << 20), (1 << 31) - 1]))
    else:
        value = HOSTILE[rng.integers(len(HOSTILE))]
    nodes = list(graph.nodes)
    nodes[i] = replace(node, **{name: value})
    return Graph(tuple(nodes), graph.notes)


def _other(array: np.ndarray[Any, Any], rng: np.random.Generator) -> Any:
    if array.dtype == np.bool_:
        return (~array, array[:1], np.zeros_like(array), array.repeat(3, axis=0))[rng.integers(4)]
    if array.dtype == np.int16:
        most = (1 << 15) - 1
        numbers = (array.clip(-1, 1), array * 0, -array, array.astype(int) * 2 + 1)
        return (*numbers, array[:1], array + most, np.full_like(array, most))[rng.integers(7)]
    scaled = (1 << 30, -(1 << 30), 0, 1, -1, 3)[rng.integers(6)]
    return (
        np.full_like(array, scaled),
        array[:1],
        array[..., ::-1],
        array * 2 + 1,
        array.repeat(2, axis=-1),
        array.clip(-1, 1),
    )[rng.integers(6)]


FIELDS = FileKind(
    "graph fields",
    tuple(json.dumps([i, 0]).encode() for i in range(len(GRAPHS))),
    readings,
    (field_change,),
    same=False,
)
KINDS = (FILES, FIELDS)

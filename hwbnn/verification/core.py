"""The description of a generated core: its Graph, its Plan, and the layouts in ``core.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbnn.errors import GraphError, InputError
from hwbnn.graph import Graph, check_name, from_bytes
from hwbnn.graph.fields import shown
from hwbnn.plan import Plan
from hwbnn.plan.plan import BEAT_LIMIT
from hwbnn.plan.wire import WireLayout
from hwbnn.project import Project
from hwbnn.simulators import check_input

FORMAT = 1
LARGEST = 1 << 40
"""Upper limit of all counts in ``core.json``: cycles of a frame, elements, words."""
DAMAGE = (
    *(ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError),
    GraphError,
)
"""Errors that a damaged ``core.json`` raises."""


def malformed(error: Exception) -> InputError:
    """The error of a damaged ``core.json``, as one line."""
    said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
    return InputError(f"core.json: not as hwbnn writes it ({said}); generate the project again")


@dataclass(frozen=True)
class Core:
    """A core as the benches need it.

    Attributes:
        graph: the Graph that it should compute.
        plan: the Plan that it was generated with.
        input: the layout of the Graph's input on ``s_axis``.
        output: the layout of the Graph's output on ``m_axis``.
        taps: the layouts of the other values on their streams, in program order.
        fused: values that no stream carries, each with the value into which it is fused.
        latency: predicted cycles from the first input beat to the last output beat of one frame.
        interval: predicted cycles between the first beats of successive frames at full rate.
        top: the module name of the simulation wrapper, which shows the taps.
        sources: the files of the design and of the wrapper.
        fifos: predicted maximum fill of each FIFO at full rate, in words, by the stream that it
            drives.
    """

    graph: Graph
    plan: Plan
    input: WireLayout
    output: WireLayout
    taps: tuple[WireLayout, ...]
    fused: Mapping[str, str]
    latency: int
    interval: int
    top: str
    sources: tuple[str, ...]
    fifos: Mapping[str, int] = field(default_factory=dict)

    def pack(self, x: ArrayLike) -> NDArray[np.uint8]:
        """Pack frames into the beats of ``s_axis``.

        Args:
            x: integers (or bits as 0 and 1, or bool) of shape ``(frames, *input shape)``.

        Returns:
            uint8 array ``(frames * beats, bytes of a beat)``, little-endian: the bytes of
            ``s_axis_tdata``, beat after beat, the lowest byte first. Which beats have ``tlast``
            depends on the framing (:mod:`hwbnn.plan.framing`).

        Raises:
            InputError: if ``x`` does not fit the Graph's input.
        """
        checked = np.asarray(check_input(self.graph, x))
        return self.input.pack(checked).reshape(-1, self.input.bytes)

    def unpack(self, beats: ArrayLike) -> NDArray[Any]:
        """Unpack the beats of ``m_axis`` into frames.

        Args:
            beats: uint8 array of whole frames, ``(frames * beats, bytes of a beat)`` or flat.

        Returns:
            Array ``(frames, *output shape)``, bool for bits and int64 else.

        Raises:
            InputError: if ``beats`` is not uint8, or not of whole frames.
        """
        given, frame = np.asarray(beats), self.output.tokens * self.output.bytes
        if given.dtype != np.uint8 or given.size % frame:
            raise InputError(
                f"beats: expected uint8, {frame} bytes a frame, found {given.dtype} "
                f"of shape {given.shape}"
            )
        tokens = given.reshape(-1, self.output.bytes)
        return self.output.unpack(tokens, self.graph.types[self.output.value])

    @classmethod
    def of(cls, project: Project) -> Core:
        """Read a generated ``rtl`` project.

        Raises:
            InputError: if it is not an ``rtl`` project, or its files contradict each other.
        """
        if project.target != "rtl":
            raise InputError(f"project: expected one of the target 'rtl', found '{project.target}'")
        for name in ("core.json", "graph.npz", "plan.json"):
            if name not in project.files:
                raise InputError(f"project: expected a file {name}, found none; generate it again")
        graph = from_bytes(project.files["graph.npz"])
        try:
            core = _read(json.loads(project.text("core.json")), graph, project)
        except DAMAGE as error:
            raise malformed(error) from None
        missing = [name for name in core.sources if name not in project.files]
        if missing:
            raise InputError(f"core.json: lists {shown(missing[0])}, which is not in the project")
        return core


def _read(said: Mapping[str, Any], graph: Graph, project: Project) -> Core:
    """The core from the contents of ``core.json``; raises an error of DAMAGE if malformed."""
    if said["hwbnn core"] != FORMAT:
        raise ValueError(f"format {said['hwbnn core']!r}, expected {FORMAT}")
    if said["graph"] != graph.digest:
        raise ValueError("it describes another graph than graph.npz")
    plan = Plan.from_json(project.text("plan.json"), "plan.json")
    framing = said.get("framing", {"mode": "packet"})["mode"]
    if framing != plan.framing:
        raise ValueError(f"framing {str(framing)[:20]!r}, plan.json has {plan.framing!r}")
    ports = {
        key: stream_layout(said[key]["value"], said[key], graph) for key in ("input", "output")
    }
    order = [node.name for node in graph.nodes]
    taps = {name: stream_layout(name, tap, graph) for name, tap in said["taps"].items()}
    inner = sorted(taps.keys() - {graph.output.name}, key=order.index)
    return Core(
        graph,
        plan,
        ports["input"],
        ports["output"],
        tuple(taps[name] for name in inner),
        {check_name(name): check_name(into) for name, into in said["fused"].items()},
        _count(said["cycles"]["latency"]),
        _count(said["cycles"]["initiation_interval"]),
        check_name(said["simulation"]["top"]),
        (*map(str, said["files"]), *map(str, said["simulation"]["files"])),
        {check_name(name): _count(fifo["most"]) for name, fifo in said["fifos"].items()},
    )


def stream_layout(value: str, said: Mapping[str, Any], graph: Graph) -> WireLayout:
    """A layout from ``core.json``, checked against the type of the value in the Graph."""
    lanes, tokens, width = (_count(said[key]) for key in ("lanes", "tokens", "width"))
    t = graph.types[check_name(value)]
    if lanes > max(t.size, BEAT_LIMIT):
        raise ValueError(f"'{value}': {t.size} elements, and lanes for {lanes}")
    if width != t.width or not (tokens - 1) * lanes < t.size <= tokens * lanes:
        raise ValueError(f"'{value}' has {t.size} elements of {t.width} bits")
    bits = _count(said.get("beat", lanes * width))
    if not lanes * width <= bits <= max(lanes * width, BEAT_LIMIT):
        raise ValueError(f"'{value}' does not fit {bits} bits")
    return WireLayout(value, t.size, lanes, tokens, width, bits)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < LARGEST:
        raise ValueError(f"expected a count, found {str(value)[:40]!r}")
    return value

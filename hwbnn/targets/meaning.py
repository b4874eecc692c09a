"""The meaning of a core's output, as ``core.json`` and the README state it."""

from __future__ import annotations

from hwbnn.graph import Graph


def meaning_for_programs(graph: Graph) -> dict[str, object]:
    """The entries of ``core.json`` that state the output's meaning; empty if it has none."""
    output = graph.output
    if output.meaning is None:
        return {}
    said: dict[str, object] = {"meaning": output.meaning}
    if output.meaning == "logits":
        said |= {"scale": output.scale, "offset": output.offset}
    return said


def meaning_for_people(graph: Graph) -> str:
    """A sentence of the README that states the output's meaning; empty if it has none."""
    if graph.meaning == "decision":
        return (
            "The bit is the class: 1 where the network's logit is at least 0, the positive class."
        )
    if graph.meaning == "logits":
        scale, offset = graph.output.scale, graph.output.offset
        return f"An element y stands for the logit {scale!r} * y + {offset!r}."
    return ""

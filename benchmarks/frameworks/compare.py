"""A network's Graph against the reference of another executor: activations, sums, classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frameworks.networks import Network, reference_of
from hwbnn.graph import ArgMax, Graph
from hwbnn.graph.arrays import Array, Floats, Ints
from hwbnn.lowering.from_program import lower_program
from hwbnn.program import Program
from hwbnn.program.evaluate import evaluate
from hwbnn.readers import read_program
from hwbnn.simulators import simulate

Counts = tuple[int, int]
"""How many numbers were compared, and how many of them differ."""
LOGITS = ("logits", "logits_brevitas", "logits_qonnx_first60", "scores")
CLASSES = ("argmax", "y")


def lowered(network: Network, folder: Path) -> tuple[Graph, Program]:
    """The Graph of a network's file, and its program.

    Raises:
        AssertionError: naming another form of the file that gives another Graph.
    """
    graph, program = _lowered(network, folder, network.file, network.weights)
    for file, weights in network.forms:
        if _lowered(network, folder, file, weights)[0].digest != graph.digest:
            raise AssertionError(f"{file}: expected the Graph of {network.file}, found another")
    return graph, program


def _lowered(network: Network, folder: Path, file: str, weights: str) -> tuple[Graph, Program]:
    program = read_program(folder / file, folder / weights if weights else None)
    return lower_program(program, network.input, "class"), program


def compared(network: Network, folder: Path) -> dict[str, Any]:
    """How many numbers of the reference were compared, by the reference's names, and the rest."""
    reference = reference_of(network, folder)
    graph, program = lowered(network, folder)
    x = network.samples(reference)
    frames = max(len(reference[key]) for key in (*CLASSES, "sums") if key in reference)
    x = x[:frames]
    node = next(node for node in graph.nodes if isinstance(node, ArgMax))
    wanted = {"last": _last_sums(graph), "class": node.name, "scores": node.source}
    wanted |= {f"act {key}": value for key, value in network.activations.items()}
    found = _traced(graph, x, set(wanted.values()))
    counts: dict[str, Counts] = {}
    for key, expected in reference.items():
        if key in network.activations:
            counts[key] = _activations(found[network.activations[key]], expected, reference, key)
        elif key == "sums":
            counts[key] = _counted(found[wanted["last"]], expected)
        elif key in CLASSES:
            counts[key] = _counted(found[wanted["class"]], expected)
        elif key in LOGITS:
            real = evaluate(program, graph.input, x[: len(expected)])[program.output].real
            sums = sums_behind(real, expected, found[wanted["last"]][: len(expected)])
            counts[key] = _counted(found[wanted["last"]], sums)
    return {
        "file": network.file,
        "forms": [file for file, _ in network.forms],
        "frames": frames,
        "compared": {key: list(pair) for key, pair in counts.items()},
        "tied": tied(found[wanted["scores"]]),
        "thresholds": graph.notes.get("thresholds", ""),
    }


def tied(scores: Ints) -> int:
    """Frames in which two classes have the largest score, ``(frames, classes)``.

    The Graph takes the first of them; an executor that rounds may take another.
    """
    return int(((scores == scores.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum())


def sums_behind(own: Floats, other: Array, sums: Ints) -> Ints:
    """The integer sums that another executor's logits stand for.

    Logits are a line of the last layer's sums, channel by channel. So each of another executor's
    logits, which floats rounded, is nearest to the logit of one integer.

    Args:
        own: logits that float64 computes of ``sums``, ``(frames, classes)``.
        other: logits of another executor.
        sums: the integers of the last layer.
    """
    columns = np.arange(sums.shape[1])
    high, low = sums.argmax(axis=0), sums.argmin(axis=0)
    gain = (own[high, columns] - own[low, columns]) / (sums[high, columns] - sums[low, columns])
    exact = sums + (other.astype(np.float64) - own) / gain
    nearest = np.rint(exact)
    if np.abs(exact - nearest).max() > 0.05:
        raise AssertionError("logits of the reference are no logits of integer sums")
    return np.asarray(nearest, np.int64)


def _last_sums(graph: Graph) -> str:
    """The last weighted sums of a Graph."""
    return [n.name for n in graph.nodes if type(n).__name__ in ("Dot", "Conv2d")][-1]


def _traced(graph: Graph, x: Array, names: set[str]) -> dict[str, Ints]:
    """Some values of a Graph for many frames, flat, bits as 0 and 1."""
    parts: dict[str, list[Ints]] = {name: [] for name in names}
    for begin in range(0, len(x), 500):
        values = simulate(graph, x[begin : begin + 500], trace=True)
        for name in names:
            array = values[name]
            parts[name].append(array.reshape(len(array), -1).astype(np.int64))
    return {name: np.concatenate(part) for name, part in parts.items()}


def _counted(found: Ints, expected: Array) -> Counts:
    given = expected.reshape(len(expected), -1).astype(np.int64)
    return given.size, int((found[: len(given)] != given).sum())


def _activations(found: Ints, expected: Array, reference: Mapping[str, Array], key: str) -> Counts:
    """Activations by the place of each among its levels, or as they are where no levels are."""
    levels = reference.get(key.replace("codes_first400", "levels"))
    if levels is not None and len(levels) == 2:
        expected = np.unpackbits(expected, axis=1)[:, : found.shape[1]]
    return _counted(found, expected)

"""From a finished run to a folder of ``models/``: the Graph, and a report that was measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hwbnn.errors import InputError, Mismatch
from hwbnn.graph import Graph, to_bytes
from hwbnn.lowering import Comparison, Measured, compare, lower, measure
from hwbnn.simulators import simulate
from hwbnn.training.data import Dataset, dataset
from hwbnn.training.evaluate import predict, torch_threads
from hwbnn.training.fit import versions
from hwbnn.training.folder import HISTORY, MODEL, RECIPE, load_model, write

GRAPH = "graph.npz"
REPORT = "report.json"
MODEL_LIMIT = 1_500_000
"""Bytes up to which the float weights are published too; larger ones are had by training again."""

FIXED_POINT = "fixed point"
"""The report's entry of what fixed point changes, for networks with shortcuts."""

_ENTRIES = {
    "recipe",
    "data",
    "accuracy",
    "seconds",
    "cpu seconds",
    "settings",
    "versions",
    "epochs",
}


def publish(
    run: str | Path,
    folder: str | Path,
    *,
    data: Dataset | None = None,
    data_folder: str | Path | None = None,
    ready: Callable[[Graph], None] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Lower the network of a finished run, measure it, and write its folder.

    The folder gets ``recipe.toml``, ``graph.npz``, ``report.json``, and ``model.safetensors`` if it
    is small. Every number in the report is computed here or read from the run's history.

    Args:
        run: folder that :func:`hwbnn.train` wrote.
        folder: where the network's files go; made if missing.
        data: the images that the run was trained on, if not those that its recipe names.
        data_folder: local folder of data sets, see :func:`hwbnn.training.dataset`.
        ready: called with the Graph when all is measured and nothing is written yet; what it raises
            leaves the folder as it was.
        progress: told how far the measuring of fixed point is, see :func:`hwbnn.lowering.measure`.

    Returns:
        The report.

    Raises:
        InputError: if the run is not finished, or was trained on other images.
        CannotLower: if the network has no exact integer form.
        Mismatch: if Graph and network differ on a test image.
    """
    with torch_threads(1):
        return _publish(Path(run), Path(folder), data, data_folder, ready, progress)


def _publish(
    run: Path,
    folder: Path,
    data: Dataset | None,
    data_folder: str | Path | None,
    ready: Callable[[Graph], None] | None,
    progress: Callable[[str, int, int], None] | None,
) -> dict[str, Any]:
    model, recipe = load_model(run)
    history = _history(run / HISTORY)
    images = data or dataset(recipe.data, data_folder)
    if history["data"]["sha256"] != images.digest or history["recipe"] != recipe.digest:
        raise InputError(
            f"{run}: was trained by another recipe or on other images than those given; name the "
            "folder of the run as it was written"
        )
    graph = lower(model, recipe.graph_input())
    u, labels = recipe.encode(images.test_images), images.test_labels
    found = simulate(graph, u)[:, 0]
    report = {
        "network": recipe.network,
        "recipe": recipe.digest,
        "graph": graph.digest,
        "data": history["data"],
        "test images": len(labels),
        "accuracy": {
            "float": float(np.mean(predict(model, model.input, u) == labels)),
            "integer": float(np.mean(found == labels)),
        },
        "float against integer": _comparison(compare(model, graph, u, engine="auto")),
        "training": {
            "epochs": len(history["epochs"]),
            "curve": _curve(history["epochs"]),
            "seconds": history["seconds"],
            "cpu seconds": history["cpu seconds"],
            "settings": history["settings"],
            "versions": history["versions"],
        },
        "versions": versions(),
    }
    if graph.fraction is not None:
        lengths = measure(model, recipe.graph_input(), u, labels, progress=progress)
        report[FIXED_POINT] = [asdict(each) for each in lengths]
    if report["accuracy"]["float"] != history["accuracy"]:
        raise Mismatch(
            f"{run}: its history says accuracy {history['accuracy']}, its weights give "
            f"{report['accuracy']['float']} here; its files do not belong together"
        )
    if ready is not None:
        ready(graph)
    _write(folder, run, graph, report)
    return report


def _curve(epochs: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Loss and accuracy on the training images, epoch by epoch, as each was trained on."""
    return {
        "loss": [round(float(epoch["loss"]), 6) for epoch in epochs],
        "training accuracy": [round(float(epoch["accuracy"]), 6) for epoch in epochs],
    }


def measured(report: Mapping[str, Any]) -> tuple[Measured, ...] | None:
    """What a report of :func:`publish` says of fixed point; None of a network without shortcuts."""
    entries = report.get(FIXED_POINT)
    return None if entries is None else tuple(Measured(**entry) for entry in entries)


def _history(file: Path) -> dict[str, Any]:
    try:
        history = json.loads(file.read_bytes())
        if not isinstance(history, dict) or _ENTRIES - set(history):
            raise ValueError("entries are missing")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{file}: no history of a finished run ({str(error)[:80]}); train to the last epoch"
        ) from error
    return history


def _comparison(comparison: Comparison) -> dict[str, Any]:
    """How many codes were compared at each node, how many differ, and the first that do."""
    return {
        "frames": comparison.frames,
        "compared": comparison.compared,
        "differing": comparison.differing,
        "nodes": {
            node.node: {
                "layer": node.layer,
                "compared": node.compared,
                "differing": node.differing,
                "first": [str(difference) for difference in node.differences],
            }
            for node in comparison.nodes
        },
    }


def _write(folder: Path, run: Path, graph: Graph, report: dict[str, Any]) -> None:
    write(folder / GRAPH, to_bytes(graph))
    write(folder / RECIPE, (run / RECIPE).read_bytes())
    weights = (run / MODEL).read_bytes()
    if len(weights) <= MODEL_LIMIT:
        write(folder / MODEL, weights)
    else:
        (folder / MODEL).unlink(missing_ok=True)
    write(folder / REPORT, report)

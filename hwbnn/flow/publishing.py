"""From a finished run to a folder of ``models/`` with its Graph, its weights and its reports.

Publishing does each step once: it reads run and data, lowers the network, compares it with the
Graph, builds its core and verifies the core by every backend.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwbnn.errors import InputError, Mismatch
from hwbnn.flow.build_steps import (
    PAGE,
    TOOLS,
    check_choices,
    check_samples,
    hardware,
    measure_network,
    plan_of,
    warned_once,
)
from hwbnn.flow.state import BuildState, Progress, Silent
from hwbnn.graph import Graph, to_bytes
from hwbnn.plan import Plan, circuit
from hwbnn.report import Report, Training, page
from hwbnn.simulators.decisions import TOLERANCE
from hwbnn.tools import versions

if TYPE_CHECKING:
    from hwbnn.training import Dataset, History

GRAPH = "graph.npz"
REPORT = "report.json"
"""The report of the network: how it was trained, its accuracy, the comparison with its Graph."""
BUILD = "build.json"
"""The report of the network's core, in the same schema: backends, cycles, resources."""
TRAIN = "hwbnn train recipe.toml --out run"
"""The command line that trains a published network again."""
MODEL_LIMIT = 1_500_000
"""The float weights are published if they are not larger, in bytes; else train them again."""


def publish(
    run: str | Path,
    folder: str | Path,
    *,
    plan: Callable[[Graph], Plan] | None = None,
    backends: Sequence[str] = ("fast", "hls", "rtl"),
    rtl_frames: int | None = None,
    data: Dataset | None = None,
    data_folder: str | Path | None = None,
    tolerance: float = TOLERANCE,
    command: str = "",
    progress: Progress | None = None,
) -> Report:
    """Publish the network of a finished run, and verify its core on the whole test set.

    The folder gets ``recipe.toml``, ``graph.npz``, ``model.safetensors`` if that is small, and two
    reports: ``report.json`` of the network, ``build.json`` of its core; both make the page
    ``report.html``. The generated projects are
    not kept, since they can be generated again from the Graph and the Plan. Every number in a
    report is computed here or read from the run's history.

    Args:
        run: folder that :func:`hwbnn.train` wrote.
        folder: folder for the network's files, created if missing; its name becomes the network's.
        plan: function that makes a Plan for the lowered Graph; by default every layer is unrolled.
        backends: see :func:`hwbnn.verification.verify`; without any no core is built, and there is
            no ``build.json``.
        rtl_frames: most test images that RTL computes; by default all of them.
        data: the images that the run was trained on, if not those that its recipe names.
        data_folder: local folder of data sets, see :func:`hwbnn.training.dataset`.
        tolerance: see :func:`hwbnn.build`.
        command: the command line that does this, for the report.
        progress: shows each step and its state; None shows nothing.

    Returns:
        The report of the core, or that of the network where none is built; ``report.ok`` says
        whether everything compared is equal.

    Raises:
        InputError: if the run is not finished or was trained on other data, or an argument does
            not fit; the folder is then not changed.
        CannotLower: if the network has no exact integer form; nothing is written then.
        Mismatch: if the run's files do not belong together, or Graph and network differ; nothing
            is written then.
        ToolFailed: if an installed tool ends with an error.
    """
    from hwbnn.lowering import lower
    from hwbnn.training import History, data_of, load_model, torch_threads

    check_choices(backends, rtl_frames, tolerance)
    source, target = Path(run), Path(folder)
    shown = progress or Silent()
    with (
        shown.step("lower, and measure against the float network"),
        torch_threads(1),
        warned_once(),
    ):
        model, recipe = load_model(source)
        history = History.read(source)
        images = data_of(source, recipe, data=data, data_folder=data_folder)
        graph = lower(model, recipe.graph_input())
        chosen = plan_of(graph, plan)
        if backends:
            circuit(graph, chosen)  # refuses a Plan that does not fit, before a file is changed
        x, classes = check_samples(graph, recipe.encode(images.test_images), images.test_labels)
        state = BuildState(graph, target, x, shown, rtl_frames=rtl_frames)
        state.provenance = history.provenance
        state.commands = (TRAIN, command) if command else ()
        measure_network(state, model, classes, f"{images.name}, test part", tolerance)
    _check_accuracy(source, state, history)
    of_network = state.report(
        recipe.network,
        dict(history.versions),
        training=training_of(history),
        agreement=tuple(state.agreement),
    )
    _write(target, source, graph, of_network)
    _save(target / PAGE, page(of_network))
    if not backends:
        return of_network
    with tempfile.TemporaryDirectory(prefix="hwbnn-publish-") as scratch:
        state.folder = Path(scratch)
        hardware(state, chosen, backends)
    state.files.clear()
    report = state.report(target.resolve().name, versions(*TOOLS))
    _save(target / BUILD, report.to_json())
    _save(target / PAGE, page(report.joined(of_network)))
    if state.failures:
        raise state.failures[0]
    return report


def _check_accuracy(run: Path, state: BuildState, history: History) -> None:
    """Refuse weights whose accuracy is not the one in the run's history."""
    reached = state.accuracy[0].float_network
    assert reached is not None
    if reached.value != 100 * history.accuracy:
        raise Mismatch(
            f"{run}: its history says accuracy {history.accuracy}, its weights give "
            f"{reached.value / 100} here; its files do not belong together"
        )


def training_of(history: History) -> Training:
    """The entry of a report on how a run was trained; it differs from run to run."""
    return Training(
        len(history.epochs),
        history.seconds,
        history.cpu_seconds,
        history.settings,
        history.versions,
        tuple(round(float(epoch.loss), 6) for epoch in history.epochs),
        tuple(round(float(epoch.accuracy), 6) for epoch in history.epochs),
    )


def _write(folder: Path, run: Path, graph: Graph, report: Report) -> None:
    from hwbnn.training.folder import MODEL, RECIPE

    # An earlier report of a core in this folder does not describe the network published now.
    try:
        (folder / BUILD).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{folder / BUILD}: cannot replace it: {error.strerror}") from error
    _save(folder / GRAPH, to_bytes(graph))
    _save(folder / RECIPE, (run / RECIPE).read_bytes())
    weights = (run / MODEL).read_bytes()
    if len(weights) <= MODEL_LIMIT:
        _save(folder / MODEL, weights)
    else:
        (folder / MODEL).unlink(missing_ok=True)
    _save(folder / REPORT, report.to_json())


def _save(file: Path, content: str | bytes) -> None:
    from hwbnn.training.folder import write

    write(file, content)

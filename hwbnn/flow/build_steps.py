"""From a trained model to a verified core and a report, in one call."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import ArrayLike

from hwbnn import verification
from hwbnn.errors import ConstantOutput, InputError, TrainingMode
from hwbnn.flow import reporting
from hwbnn.flow.state import BuildState, Progress, Silent
from hwbnn.flow.synthesis import VITIS, VITIS_LOG, by_vitis, synthesise
from hwbnn.graph import Graph, Input, save, to_integers
from hwbnn.graph.arrays import Array
from hwbnn.plan import Plan
from hwbnn.plan.plan import expect_plan
from hwbnn.project import Project
from hwbnn.report import NotDone, Provenance, Report, text
from hwbnn.simulators import check_input, simulate
from hwbnn.simulators.decisions import (
    TOLERANCE,
    check_labels,
    check_tolerance,
    class_count,
    compare_decisions,
)
from hwbnn.targets import generate
from hwbnn.tools import versions
from hwbnn.verification import BackendResult

if TYPE_CHECKING:
    from torch import nn

REPORT = "report.json"
TEXT = "report.txt"
TOOLS = (
    *("torch", "numba", "hls4ml", "g++", "verilator", "cocotb", "pyosys", "nextpnr-ecp5"),
    *("vitis_hls", "vitis-run"),
)
"""Tools that may have a part in a report."""
CONTENTS = frozenset({"graph.npz", "rtl", "hls", "run", VITIS, VITIS_LOG, REPORT, TEXT})
"""Names in the folder of a build or a demo."""


def build(
    model: nn.Module | Graph,
    input: Input | None,
    data: ArrayLike | tuple[ArrayLike, ArrayLike],
    folder: str | Path,
    *,
    plan: Plan | Callable[[Graph], Plan] | None = None,
    name: str = "",
    data_name: str = "test set",
    output: Literal["class", "scores", "logits"] = "class",
    backends: Sequence[str] = ("fast", "hls", "rtl"),
    rtl_frames: int | None = None,
    place: bool = False,
    tolerance: float = TOLERANCE,
    provenance: Provenance | None = None,
    progress: Progress | None = None,
) -> Report:
    """Lower a model, generate it, compute it by every backend, synthesise it and report.

    The folder then holds ``graph.npz``, the projects ``rtl`` and ``hls``, ``report.json`` and
    ``report.txt``; where Vitis HLS is on PATH also ``hls-vitis``, a project with ``io_stream`` and
    the RTL that Vitis made of it, whose figures are reported and which is compared too. What a
    missing or a failing tool prevents is left out, and the report says so.

    Args:
        model: a trained torch module, or a Graph that was lowered before.
        input: what the module takes; None for a Graph.
        data: samples ``(frames, *shape)``, integers or floats of the input's map, or a pair of
            samples and their classes. Every backend computes all of them, but for ``rtl_frames``.
        folder: a new or an empty folder, or that of an earlier build.
        plan: how the core is laid out, or what says so of the lowered Graph, such as a search for a
            goal; by default every layer unrolled.
        name: what the report calls the network; by default the folder's name.
        data_name: what the report calls the data.
        output: see :func:`hwbnn.lower`.
        backends: see :func:`hwbnn.verification.verify`.
        rtl_frames: how many of the samples RTL computes at most; by default all of them.
        place: also synthesise, place and route for ECP5, for the clock frequency (minutes).
        tolerance: how far the accuracies of the float network and of a Graph of fixed point may
            part, as a share of the labelled samples; an exact Graph must decide all alike.
        provenance: what the model was trained by and on, for the report.
        progress: told what is done next and how far it is.

    Returns:
        The report; ``report.ok`` says whether all that was compared is equal.

    Raises:
        CannotLower: if the model has no exact integer form.
        InputError: if data, folder or another argument do not fit.
        PlanError: if the Plan does not fit the network.
        Mismatch: if float network and Graph part on the labelled samples; nothing is written then.
        ToolFailed: if a tool that is there ends with an error; the report is written before.
    """
    target = claim(Path(folder))
    check_choices(backends, rtl_frames, tolerance)
    pair = data if isinstance(data, tuple) else (data, None)
    if len(pair) != 2:
        raise InputError(
            f"data: expected samples, or a pair of samples and labels, found {len(pair)} parts"
        )
    samples, labels = pair
    shown = progress or Silent()
    with shown.step("lower"), warned_once() as told:
        graph, network = _lowered(model, input, output)
        chosen = plan_of(graph, plan)
    x, classes = check_samples(graph, to_integers(graph.input, samples), labels)
    state = BuildState(graph, target, x, shown, rtl_frames=rtl_frames, provenance=provenance)
    with (
        shown.step(f"compare with the float network on {len(x):,} frames"),
        warned_once(told),
    ):
        measure_network(state, network, classes, data_name, tolerance)
    _make(target)
    save(graph, target / "graph.npz")
    state.files["graph"] = "graph.npz"
    hardware(state, chosen, backends, place=place)
    report = _written(state, name or target.resolve().name)
    if state.failures:
        raise state.failures[0]
    return report


def steps(backends: Sequence[str], place: bool = False) -> int:
    """How many steps of progress :func:`build` tells of."""
    from hwbnn.verification import vitis

    return 5 + len(backends) + 2 * place + 2 * (vitis.find() is not None)


def claim(folder: Path) -> Path:
    """The folder, if it may be written: new, empty, or with nothing in it but a build's things.

    Raises:
        InputError: if it is not, naming what else is in it.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; name an empty or a new folder")
    others = sorted({p.name for p in folder.iterdir()} - CONTENTS) if folder.is_dir() else []
    if others:
        raise InputError(f"{folder}: holds {others[0][:60]!r}; name an empty or a new folder")
    return folder


def check_choices(backends: Sequence[str], rtl_frames: int | None, tolerance: float) -> None:
    """Refuse before a long computation what its later steps would refuse."""
    check_tolerance(tolerance)
    verification.check_backends(backends, rtl_frames)
    for name in backends:
        if name.startswith("hls-rtl"):
            raise InputError(
                f"backend {name!r}: a build runs it where Vitis HLS is installed, and has no RTL "
                "of Vitis before; leave it out"
            )


@contextmanager
def warned_once(
    told: list[type[Warning]] | None = None,
) -> Iterator[list[type[Warning]]]:
    """Of several steps that find the output constant or the model in training, one alone warns.

    Args:
        told: the kinds of warnings of earlier steps.

    Yields:
        The kinds of warnings so far, to be given to later steps.
    """
    so_far = [] if told is None else told
    with warnings.catch_warnings():
        show = warnings.showwarning

        def first(
            message: Warning | str, category: type[Warning], *where: Any, **more: Any
        ) -> None:
            if category in so_far:
                return
            if issubclass(category, ConstantOutput | TrainingMode):
                so_far.append(category)
            show(message, category, *where, **more)

        warnings.showwarning = first
        yield so_far


def plan_of(graph: Graph, plan: Plan | Callable[[Graph], Plan] | None) -> Plan:
    """The Plan of a Graph: as given, as made for the Graph, or every layer unrolled."""
    chosen = plan(graph) if callable(plan) else plan
    expect_plan(chosen, "build")
    chosen = chosen or Plan()
    chosen.check(graph)
    return chosen


def check_samples(
    graph: Graph, samples: ArrayLike, labels: ArrayLike | None
) -> tuple[Array, Array | None]:
    """Samples as the Graph takes them, at least one, and their classes where they have some."""
    x = check_input(graph, samples)
    if not len(x):
        raise InputError("data: holds no samples; nothing would be compared")
    return x, None if labels is None else check_labels(labels, len(x), class_count(graph))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error


def _lowered(
    model: nn.Module | Graph, input: Input | None, output: Literal["class", "scores", "logits"]
) -> tuple[Graph, nn.Module | None]:
    if isinstance(model, Graph):
        return model, None
    if input is None:
        raise InputError("build: input: expected hwbnn.Input, what the model takes; found nothing")
    from hwbnn.lowering import lower

    return lower(model, input, output=output), model


def measure_network(
    state: BuildState,
    network: nn.Module | None,
    classes: Array | None,
    data_name: str,
    tolerance: float = TOLERANCE,
) -> None:
    """Compare the Graph with the float network, value by value and by what both get right.

    Args:
        state: of the build; it gets agreement, accuracy and what fixed point changes.
        network: the float network, or None where there is none.
        classes: those of the frames, or None.
        data_name: what the report calls the data.
        tolerance: see :func:`build`.

    Raises:
        Mismatch: if the two part: an exact Graph in a single decision, one of fixed point in its
            accuracy by more than ``tolerance``.
    """
    graph, x = state.graph, state.x
    if network is not None:
        from hwbnn.lowering import compare

        comparison = compare(network, graph, x, engine="auto")
        state.backends.append(reporting.lowered_backend(comparison))
        state.agreement += reporting.agreement(comparison)
    if classes is not None:
        integer = simulate(graph, x)[:, 0]
        floats = None
        if network is not None:
            from hwbnn.training import predict

            floats = predict(network, graph.input, x)
            compare_decisions(graph, floats, integer, classes, tolerance=tolerance)
        state.accuracy.append(reporting.accuracy(floats, integer, classes, data_name))
    _fixed_point(state, network, classes, data_name)


def _fixed_point(
    state: BuildState, network: nn.Module | None, classes: Array | None, data_name: str
) -> None:
    """Measure what fixed point changes on the samples, and how that moves with the word length."""
    bits = state.graph.fraction
    if bits is None:
        return
    if network is None or classes is None:
        why = "needs the float network and the samples' classes"
        state.not_done.append(NotDone("fixed point by word length", why))
        return
    from hwbnn.lowering import measure

    try:
        measured = measure(
            network,
            state.graph.input,
            state.x,
            classes,
            progress=lambda what, n, of: state.progress.detail(f"{what}: {n:,} of {of:,}"),
        )
    except InputError as error:  # samples and labels are checked: a logit that has no integer
        state.not_done.append(NotDone("fixed point by word length", str(error)))
        return
    state.fixed_point += [reporting.fixed_point(each, bits, data_name) for each in measured]


def hardware(
    state: BuildState, plan: Plan, backends: Sequence[str], *, place: bool = False
) -> None:
    """Generate both projects, verify them by every backend, and synthesise the core."""
    projects = _generate(state, plan)
    with tempfile.TemporaryDirectory(prefix="hwbnn-build-") as scratch:
        results = _verify(state, projects, plan, backends, Path(scratch))
        synthesise(state, projects["rtl"], plan, results, place)
        by_vitis(state, plan, Path(scratch))


def _generate(state: BuildState, plan: Plan) -> dict[str, Project]:
    """Both projects, written."""
    projects = {}
    for target in ("rtl", "hls"):
        with state.progress.step(f"generate {target}"), state.attempt(f"project {target}"):
            projects[target] = generate(state.graph, target, plan)
            projects[target].write(state.folder / target)
            state.files[f"{target} project"] = target
    return projects


def _verify(
    state: BuildState,
    projects: dict[str, Project],
    plan: Plan,
    backends: Sequence[str],
    scratch: Path,
) -> list[BackendResult]:
    """Each backend on all samples; those that lack a tool are left out."""
    done: list[BackendResult] = []
    for name in backends:
        # What was written is what is verified; other backends generate what they need.
        what = projects.get(name.partition("-")[0], state.graph)
        if name == "hls-stream":
            what = state.graph
        done += state.verify(name, what, plan, scratch)
    return done


def _written(state: BuildState, name: str) -> Report:
    """The report, written as JSON and as text."""
    if (state.folder / "run").is_dir():
        state.files["training run"] = "run"
    state.files["report"] = f"{REPORT}, {TEXT}"
    report = state.report(name, versions(*TOOLS))
    try:
        (state.folder / REPORT).write_text(report.to_json())
        (state.folder / TEXT).write_text(text(report))
    except OSError as error:
        raise InputError(f"{state.folder}: cannot write the report: {error.strerror}") from error
    return report

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
from hwbnn.arguments import checked_call
from hwbnn.devices import known_part
from hwbnn.errors import ConstantOutput, InputError, PlanError, TrainingMode
from hwbnn.flow import reporting
from hwbnn.flow.state import BuildState, Progress, Silent
from hwbnn.flow.synthesis import VITIS, VITIS_LOG, by_vitis, synthesise
from hwbnn.graph import Graph, Input, save, to_integers
from hwbnn.graph.arrays import Array
from hwbnn.plan import Plan
from hwbnn.plan.plan import expect_plan
from hwbnn.project import Project
from hwbnn.report import NotDone, Provenance, Report, page, text
from hwbnn.simulators import check_input, simulate
from hwbnn.simulators.decisions import (
    TOLERANCE,
    check_labels,
    check_tolerance,
    class_count,
    compare_decisions,
)
from hwbnn.simulators.margins import margins
from hwbnn.targets import generate
from hwbnn.tools import versions
from hwbnn.verification import BackendResult

if TYPE_CHECKING:
    from torch import nn

REPORT = "report.json"
TEXT = "report.txt"
PAGE = "report.html"
TOOLS = (
    *("torch", "numba", "hls4ml", "g++", "verilator", "cocotb", "pyosys", "nextpnr-ecp5"),
    *("vitis_hls", "vitis-run"),
)
"""Tools whose versions a report names."""
CONTENTS = frozenset({"graph.npz", "rtl", "hls", "run", VITIS, VITIS_LOG, REPORT, TEXT, PAGE})
"""Names of the files and folders that a build or a demo makes."""


@checked_call(renamed={"ways": "backends"})
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
    command: str = "",
    progress: Progress | None = None,
) -> Report:
    """Lower a model, generate its projects, compare all backends, synthesise it and report.

    The folder then holds ``graph.npz``, the projects ``rtl`` and ``hls``, and the report as
    ``report.html``, ``report.txt`` and ``report.json``. If Vitis HLS is on PATH, it also holds
    ``hls-vitis``, a project with ``io_stream`` and the RTL that Vitis makes from it; this RTL is
    compared too, and the report has the figures of Vitis. Steps whose tool is missing or fails are
    left out, and the report says so.

    Args:
        model: a trained torch module, or a Graph that was lowered before.
        input: the module's input; None for a Graph.
        data: samples ``(frames, *shape)``, either the input's integers or the floats that they
            stand for; or a pair of samples and their classes. Every backend computes all samples,
            but RTL at most ``rtl_frames``.
        folder: a new or an empty folder, or that of an earlier build.
        plan: how the core is laid out, or a function that makes a Plan for the lowered Graph, such
            as a search for a goal; by default every layer is unrolled.
        name: name of the network in the report; by default the folder's name.
        data_name: name of the data in the report.
        output: see :func:`hwbnn.lower`.
        backends: see :func:`hwbnn.verification.verify`.
        rtl_frames: most samples that RTL computes; by default all of them.
        place: also synthesise, place and route for ECP5, for the clock frequency (minutes).
        tolerance: largest difference of the accuracies of the float network and of a fixed-point
            Graph, as a share of the labelled samples. An exact Graph must give the float network's
            class for every sample.
        provenance: recipe and training data of the model, for the report.
        command: the command line that does this, for the report.
        progress: shows each step and its state; None shows nothing.

    Returns:
        The report; ``report.ok`` says whether everything compared is equal.

    Raises:
        CannotLower: if the model has no exact integer form.
        InputError: if data, folder or another argument do not fit.
        PlanError: if the Plan does not fit the network.
        Mismatch: if float network and Graph differ on the labelled samples; nothing is written
            then.
        ToolFailed: if an installed tool ends with an error; the report is written before.
    """
    target = claim(Path(folder))
    backends = (backends,) if isinstance(backends, str) else backends
    check_choices(backends, rtl_frames, tolerance)
    pair = data if isinstance(data, tuple) else (data, None)
    if len(pair) != 2:
        raise InputError(
            f"data: expected samples, or a pair of samples and labels, found {len(pair)} parts"
        )
    samples, labels = pair
    shown = progress or Silent()
    if not hasattr(shown, "step"):
        raise InputError(
            f"build: progress: expected an object with step() and detail(), as "
            f"hwbnn.flow.Progress, found {type(progress).__name__}"
        )
    with shown.step("lower"), warned_once() as told:
        graph, network = _lowered(model, input, output)
        chosen = plan_of(graph, plan)
    x, classes = check_samples(graph, to_integers(graph.input, samples), labels)
    state = BuildState(graph, target, x, shown, rtl_frames=rtl_frames, provenance=provenance)
    state.commands = (command,) if command else ()
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
    """The number of progress steps that :func:`build` reports."""
    from hwbnn.verification import vitis

    return 5 + len(backends) + 2 * place + 2 * (vitis.find() is not None)


def claim(folder: Path) -> Path:
    """The folder, if it may be written: new, empty, or with nothing but files of a build.

    Raises:
        InputError: if the folder holds anything else; the message names it.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; name an empty or a new folder")
    others = sorted({p.name for p in folder.iterdir()} - CONTENTS) if folder.is_dir() else []
    if others:
        raise InputError(f"{folder}: holds {others[0][:60]!r}; name an empty or a new folder")
    return folder


def check_choices(backends: Sequence[str], rtl_frames: int | None, tolerance: float) -> None:
    """Refuse bad arguments at once, rather than in a late step of a long computation."""
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
    """Show warnings of a constant output or of training mode once, though several steps give them.

    Args:
        told: the kinds of warnings that earlier steps have shown.

    Yields:
        The kinds of warnings shown so far, as ``told`` of later steps.
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
    """The Plan of a Graph: the given one, the result of a function, or every layer unrolled."""
    chosen = plan(graph) if callable(plan) else plan
    expect_plan(chosen, "build")
    chosen = chosen or Plan.default_of(graph)
    chosen.check(graph)
    return chosen


def check_samples(
    graph: Graph, samples: ArrayLike, labels: ArrayLike | None
) -> tuple[Array, Array | None]:
    """Samples as integers of the Graph, at least one, and their classes, or None without labels."""
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
        if input is not None and input != model.input:
            raise InputError(
                f"build: input: a Graph has its own, '{model.input.name}', another is given; "
                "leave it None, or lower the model with the input that you mean"
            )
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
    """Compare the Graph with the float network, value by value and by accuracy.

    Args:
        state: the state of the build, which gets agreement, accuracy and effect of fixed point.
        network: the float network, or None where there is none.
        classes: the classes of the frames, or None.
        data_name: name of the data in the report.
        tolerance: see :func:`build`.

    Raises:
        Mismatch: if the two differ: for an exact Graph in one decision, for a fixed-point Graph in
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
        state.accuracy.append(reporting.accuracy(graph, x, floats, integer, classes, data_name))
    state.margins = margins(graph, x)
    _fixed_point(state, network, classes, data_name)


def _fixed_point(
    state: BuildState, network: nn.Module | None, classes: Array | None, data_name: str
) -> None:
    """Measure the effect of fixed point on the samples, for several word lengths."""
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
    except InputError as error:  # not of samples or labels, checked before: a logit has no integer
        state.not_done.append(NotDone("fixed point by word length", str(error)))
        return
    state.fixed_point += [reporting.fixed_point(each, bits, data_name) for each in measured]


def hardware(
    state: BuildState, plan: Plan, backends: Sequence[str], *, place: bool = False
) -> None:
    """Generate both projects, verify them by every backend, and synthesise the core.

    For a part that Vitis HLS does not know there is no HLS project, nor for a Plan that HLS refuses
    if none of its backends was asked for; the report says so.
    """
    part = known_part(plan.part or "")
    if part is not None and part.device.vendor != "xilinx":
        why = f"Vitis HLS has no {part.name}, the part that was stated"
        state.not_done.append(NotDone("project hls and its backends", why))
        targets: tuple[str, ...] = ("rtl",)
        backends = [name for name in backends if not name.startswith("hls")]
    else:
        targets = ("rtl", "hls")
    is_optional = not any(name.startswith("hls") for name in backends)
    projects = _generate(state, plan, targets, {"hls"} if is_optional else set())
    with tempfile.TemporaryDirectory(prefix="hwbnn-build-") as scratch:
        results = _verify(state, projects, plan, backends, Path(scratch))
        synthesise(state, projects["rtl"], plan, results, place)
        if "hls" in projects:
            by_vitis(state, plan, Path(scratch))


def _generate(
    state: BuildState, plan: Plan, targets: Sequence[str], optional: set[str]
) -> dict[str, Project]:
    """Generate and write the projects of these targets; an optional one may be refused."""
    projects = {}
    for target in targets:
        with state.progress.step(f"generate {target}"), state.attempt(f"project {target}"):
            try:
                projects[target] = generate(state.graph, target, plan)
            except PlanError as error:
                if target not in optional:
                    raise
                state.not_done.append(NotDone(f"project {target}", str(error)))
                continue
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
    """Run each backend on all samples; a backend whose tool is missing is left out."""
    done: list[BackendResult] = []
    for name in backends:
        # The written projects are verified; other backends generate what they need.
        what = projects.get(name.partition("-")[0], state.graph)
        if name == "hls-stream":
            what = state.graph
        done += state.verify(name, what, plan, scratch)
    return done


def _written(state: BuildState, name: str) -> Report:
    """Write the report as JSON, as text and as a page, and return it."""
    if (state.folder / "run").is_dir():
        state.files["training run"] = "run"
    state.files["report"] = f"{PAGE}, {TEXT}, {REPORT}"
    report = state.report(name, versions(*TOOLS))
    try:
        (state.folder / REPORT).write_text(report.to_json())
        (state.folder / TEXT).write_text(text(report))
        (state.folder / PAGE).write_text(page(report), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{state.folder}: cannot write the report: {error.strerror}") from error
    return report

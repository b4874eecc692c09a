"""From a finished run to a folder of ``models/``: published, and verified by every backend."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from hwbnn.errors import InputError
from hwbnn.flow.progress import Progress, Silent
from hwbnn.flow.run import build, check_backends
from hwbnn.graph import Graph
from hwbnn.plan import Plan
from hwbnn.report import Report

BUILD = "build.json"
"""What the build reported, in the folder of a network."""


def release(
    run: str | Path,
    folder: str | Path,
    *,
    plan: Callable[[Graph], Plan] | None = None,
    backends: Sequence[str] = ("fast", "hls", "rtl"),
    rtl_frames: int | None = None,
    data_folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Publish the network of a finished run, and verify its core on the whole test set.

    The folder gets what :func:`hwbnn.training.publish` writes, and ``build.json``: what
    :func:`hwbnn.flow.build` reported of backends, cycles and resources. The projects that it
    generated are not kept: they follow from the Graph and the Plan.

    Args:
        run: folder that :func:`hwbnn.train` wrote.
        folder: where the network's files go; its name becomes the network's.
        plan: makes the Plan of the lowered Graph; by default every layer is unrolled.
        backends: see :func:`hwbnn.verification.verify`.
        rtl_frames: how many of the test images RTL computes at most; by default all of them.
        data_folder: local folder of data sets, see :func:`hwbnn.training.dataset`.
        progress: told what is done next and how far it is.

    Returns:
        The report of the build; ``report.ok`` says whether all that was compared is equal.

    Raises:
        InputError: if the run is not finished, or an argument does not fit; nothing has changed in
            the folder then.
        CannotLower: if the network has no exact integer form; nothing is written then.
        Mismatch: if the run's files do not belong together.
        ToolFailed: if a tool that is there ends with an error.
    """
    from hwbnn.training import dataset, load_model, publish
    from hwbnn.training.folder import write
    from hwbnn.training.release import measured

    check_backends(backends)
    target = Path(folder)
    chosen: list[Plan | None] = []

    def ready(graph: Graph) -> None:
        chosen.append(None if plan is None else plan(graph))
        # A build of what lay there before says nothing of what is published now.
        try:
            (target / BUILD).unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"{target / BUILD}: cannot replace it: {error.strerror}") from error

    shown = progress or Silent()
    with shown.step("lower, and measure against the float network"):
        known = publish(
            run,
            target,
            data_folder=data_folder,
            ready=ready,
            progress=lambda what, n, of: shown.detail(f"{what}: {n:,} of {of:,}"),
        )
    model, recipe = load_model(run)
    images = dataset(recipe.data, data_folder)
    with tempfile.TemporaryDirectory(prefix="hwbnn-release-") as scratch:
        report = build(
            model,
            recipe.graph_input(),
            (recipe.encode(images.test_images), images.test_labels),
            Path(scratch) / "core",
            plan=chosen[0],
            name=target.resolve().name,
            data_name=f"{recipe.data}, test part",
            backends=backends,
            rtl_frames=rtl_frames,
            measured=measured(known),
            progress=progress,
        )
    write(target / BUILD, report.to_json())
    return report

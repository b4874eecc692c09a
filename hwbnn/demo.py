"""The demo: everything once, on a data set that comes inside scikit-learn."""

from __future__ import annotations

import shutil
from pathlib import Path

from hwbnn.assets import assets
from hwbnn.flow import Progress, Silent, build, claim
from hwbnn.flow import steps as build_steps
from hwbnn.plan import Folded, Plan
from hwbnn.report import Report

PLAN = Plan({"dot_1": Folded(8, 16), "dot_2": Folded(8, 16), "dot_3": Folded(2, 16)})
"""The Plan of the demo: its core is small enough to be synthesised in seconds."""
BACKENDS = ("fast", "hls", "rtl", "rtl-cocotb")


def steps(place: bool = False) -> int:
    """The number of progress steps that :func:`demo` reports."""
    return 1 + build_steps(BACKENDS, place)


def demo(
    folder: str | Path,
    *,
    plan: Plan = PLAN,
    place: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Train a 64-64-64-10 network on scikit-learn's digits and build it.

    Args:
        folder: a new or empty folder, or that of an earlier demo; the training run is written to
            its subfolder ``run``, and beside it the files of :func:`hwbnn.build`.
        plan: how the core is laid out.
        place: also place and route for ECP5.
        progress: shows each step and its state; None shows nothing.

    Returns:
        The report of the build.

    Raises:
        InputError: if the folder holds something else.
        ToolNotFound: if PyTorch is missing.
    """
    from hwbnn.training import Recipe, dataset, train

    target = claim(Path(folder))
    if (target / "run" / "recipe.toml").is_file():
        shutil.rmtree(target / "run")
    recipe = Recipe.read(assets("models") / "digits" / "recipe.toml")
    data = dataset("digits")
    shown = progress or Silent()
    with shown.step(f"train 64-64-64-10 on {len(data.train_labels):,} digits"):
        result = train(
            recipe,
            target / "run",
            data=data,
            on_epoch=lambda e: shown.detail(f"epoch {e.epoch} of {recipe.epochs}"),
        )
    return build(
        result.model,
        recipe.graph_input(),
        (recipe.encode(data.test_images), data.test_labels),
        target,
        plan=plan,
        name="digits 64-64-64-10",
        data_name="digits, test part",
        backends=BACKENDS,
        command=f"hwbnn demo{' --place' * place}",
        place=place,
        progress=shown,
    )

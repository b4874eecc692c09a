"""Commands about training runs: train, compare, publish."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hwbnn.cli import options
from hwbnn.cli.files import writable_folder
from hwbnn.cli.inputs import read_recipe, tell_unread
from hwbnn.cli.output import Steps, command_line, finish, note, tell_report
from hwbnn.cli.plans import LayoutOptions, with_layout_options


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("train")(train)
    app.command("compare")(compare)
    app.command("publish")(with_layout_options(publish))


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="A recipe (TOML), a folder with a recipe.toml, or the name of a bundled network.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the weights, checkpoint and history.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue after the last epoch in the folder.")
    ] = False,
    data: options.DataFolder = None,
    accelerator: Annotated[str, typer.Option(help="cpu, gpu or auto.")] = "cpu",
    devices: Annotated[int, typer.Option(min=1, help="How many of them.")] = 1,
    precision: Annotated[str, typer.Option(help="32-true, 16-mixed or bf16-mixed.")] = "32-true",
    goal: Annotated[
        float,
        typer.Option(min=0, max=1, help="Accuracy, 0 to 1, below which the command exits with 1."),
    ] = 0.0,
    as_json: options.Json = False,
) -> None:
    """Train a network by a recipe and test it on the whole test set.

    For example:

        hwbnn train digits --out runs/digits

        hwbnn train models/sfc/recipe.toml --out runs/sfc --data /data/mnist --goal 0.97

        hwbnn train sfc --out runs/sfc --resume
    """
    from hwbnn.training import train as run

    writable_folder(out)
    wanted = read_recipe(recipe)
    tell_unread(wanted, data)
    result = run(
        wanted,
        out,
        resume=resume,
        data_folder=data,
        accelerator=accelerator,
        devices=devices,
        precision=precision,
        on_epoch=lambda e: note(
            f"epoch {e.epoch}/{wanted.epochs}: loss {e.loss:.4f}, training accuracy "
            f"{e.accuracy:.2%}, {e.seconds:.1f} s"
        ),
    )
    facts: dict[str, Any] = {
        "accuracy": result.accuracy,
        "images": result.images,
        "epochs": len(result.history),
        "seconds": result.seconds,
        "recipe": result.recipe.digest,
        "folder": str(result.folder),
    }
    line = f"{result.accuracy:.2%} of {result.images:,} test images right after "
    line += f"{len(result.history)} epochs in {result.seconds:.0f} s -> {result.folder}"
    missed = result.accuracy < goal
    if missed:
        line = f"goal {goal:.2%} missed: {line}"
    finish(line, facts, as_json=as_json, failed=missed)


def publish(
    layout: LayoutOptions,
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a finished training run.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the network, such as models/NAME.")],
    backends: options.Backends = "fast,hls,rtl",
    rtl_frames: options.RtlFrames = None,
    tolerance: options.Tolerance = 0.01,
    data: options.DataFolder = None,
    as_json: options.Json = False,
) -> None:
    """Lower a finished run, verify its core on the whole test set, and write its folder.

    The folder gets recipe, Graph, reports with their page and, where they are small, the weights:
    what `hwbnn list models` shows of the networks that come with hwbnn.

    For example:

        hwbnn publish runs/sfc --out models/sfc --interval 784

        hwbnn publish runs/digits --out models/mine --backends fast,rtl
    """
    from hwbnn.flow import publish as run_publish
    from hwbnn.flow import steps

    writable_folder(out)
    names = options.listed(backends)
    report = run_publish(
        run,
        out,
        plan=layout.chosen,
        backends=names,
        rtl_frames=rtl_frames,
        data_folder=data,
        tolerance=tolerance,
        command=command_line(),
        progress=Steps(1 + steps(names)),
    )
    tell_report(report, out / "build.json", as_json=as_json)


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of finished training runs.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the page and its pictures.")],
    as_json: options.Json = False,
) -> None:
    """Plot training runs side by side into one page: accuracy, margins, flips, gradients.

    The runs are of one network and data set. Those that differ in their seed alone become one line
    and a band. The page, compare.html, needs no other file.

    For example:

        hwbnn compare runs/bnn_ste runs/rbnn runs/adabin --out pictures
    """
    from hwbnn.training import compare_runs

    writable_folder(out)
    page = compare_runs(runs, out)
    facts = {"page": str(page), "runs": [str(run) for run in runs]}
    finish(f"{len(runs)} runs side by side -> {page}", facts, as_json=as_json)

"""Commands about finished runs: publish, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwbnn.cli import options
from hwbnn.cli.arrays import writable
from hwbnn.cli.plans import planner
from hwbnn.cli.show import Steps, finish, tell_report


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("publish")(publish)
    app.command("compare")(compare)


def publish(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a finished training run.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the network, such as models/NAME.")],
    plan: options.PlanFile = None,
    interval: options.Interval = None,
    luts: options.Luts = None,
    made: options.Made = None,
    ways: options.Ways = "fast,hls,rtl",
    rtl_frames: options.RtlFrames = None,
    data: options.DataFolder = None,
    as_json: options.Json = False,
) -> None:
    """Lower a finished run, verify its core on the whole test set, and write its folder.

    The folder gets recipe, Graph, reports and, where they are small, the weights: what `hwbnn list
    models` shows of the networks that come with hwbnn.

    For example:

        hwbnn publish runs/sfc --out models/sfc --interval 784

        hwbnn publish runs/digits --out models/mine --ways fast,rtl
    """
    from hwbnn.flow import release, steps

    writable(out)
    names = options.listed(ways)
    report = release(
        run,
        out,
        plan=planner(plan, interval, luts, made),
        ways=names,
        rtl_frames=rtl_frames,
        data_folder=data,
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

    writable(out)
    page = compare_runs(runs, out)
    facts = {"page": str(page), "runs": [str(run) for run in runs]}
    finish(f"{len(runs)} runs side by side -> {page}", facts, as_json=as_json)

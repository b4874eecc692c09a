"""Commands about networks: train, lower, explain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hwbnn.cli import options
from hwbnn.cli.arrays import Array, read_array, writable
from hwbnn.cli.given import bundled, read_graph, read_labels
from hwbnn.cli.models import read_model
from hwbnn.cli.plans import planner
from hwbnn.cli.show import Steps, finish, note, show_report
from hwbnn.errors import InputError
from hwbnn.graph import Graph, Input
from hwbnn.report import Report

if TYPE_CHECKING:
    from torch import nn

    from hwbnn.train import Recipe


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("demo")(demo)
    app.command("build")(build)
    app.command("train")(train)
    app.command("lower")(lower)
    app.command("explain")(explain)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for all that is made.")] = Path("hwbnn-demo"),
    place: options.Place = False,
    as_json: options.Json = False,
) -> None:
    """Everything once: train a small network on digits, lower, generate, verify, synthesise.

    The folder then holds the training run, the Graph, both projects and the report.

    For example:

        hwbnn demo

        hwbnn demo --out demo --place
    """
    from hwbnn.demo import demo as run
    from hwbnn.demo import steps

    writable(out)
    report = run(out, place=place, progress=Steps(steps(place)))
    tell_report(report, out, as_json=as_json)


def build(
    out: Annotated[Path, typer.Option(help="Folder for all that is made.")],
    folder: options.ModelArgument = None,
    model: options.ModelOption = None,
    graph: Annotated[
        str | None, typer.Option(help="A lowered Graph instead, as `predict` takes it.")
    ] = None,
    samples: options.Samples = None,
    key: options.Key = "",
    labels: options.Labels = None,
    labels_key: options.LabelsKey = "",
    data: options.DataFolder = None,
    plan: options.PlanFile = None,
    interval: options.Interval = None,
    luts: options.Luts = None,
    made: options.Made = None,
    ways: options.Ways = "fast,hls,rtl",
    rtl_frames: options.RtlFrames = None,
    place: options.Place = False,
    as_json: options.Json = False,
) -> None:
    """Lower a model, generate its core, compute it in every way, synthesise it, and report.

    How the core is laid out is said as for `hwbnn generate`. Where Vitis HLS is on PATH it
    synthesises the network too; its figures are reported and the RTL that it makes is compared.

    For example:

        hwbnn build runs/digits --out digits-core

        hwbnn build --model mynet.model:make --samples x.npy --labels y.npy --out core

        hwbnn build --graph sfc --samples x.npz --key test --ways fast,rtl --out sfc-core

        hwbnn build runs/sfc --interval 784 --out sfc-folded

        hwbnn build runs/sfc --made xc7 --ways fast,rtl --out sfc-netlists
    """
    from hwbnn.build import build as run
    from hwbnn.build import claim, steps

    claim(writable(out))
    chosen = planner(plan, interval, luts, made)
    names = options.listed(ways)
    network, input, name = _to_build(folder, model, graph)
    x, y, data_name = to_run(folder, samples, key, labels, labels_key, data)
    report = run(
        network,
        input,
        x if y is None else (x, y),
        out,
        plan=chosen,
        name=name,
        data_name=data_name,
        ways=names,
        rtl_frames=rtl_frames,
        place=place,
        progress=Steps(steps(names, place)),
    )
    tell_report(report, out, as_json=as_json)


def _to_build(
    folder: str | None, model: str | None, graph: str | None
) -> tuple[nn.Module | Graph, Input | None, str]:
    """What is built: a model and its input, or a Graph; and its name."""
    if graph is None:
        given = read_model(folder, model)
        return given.model, given.input, given.name
    if folder is not None or model is not None:
        raise InputError("build: expected a model or --graph, found both")
    return read_graph(graph), None, Path(graph).stem


def to_run(
    folder: str | None,
    samples: Path | None,
    key: str,
    labels: Path | None,
    labels_key: str,
    data: Path | None,
) -> tuple[Array, Array | None, str]:
    """Samples, their classes and their name: a person's own, or the test set of the recipe."""
    if samples is not None:
        x = read_array(samples, key)
        return x, None if labels is None else read_labels(labels, labels_key, len(x)), samples.name
    if folder is None:
        raise InputError("samples: expected --samples, since no recipe names a test set")
    from hwbnn.train import dataset

    recipe = read_recipe(folder)
    _unread(recipe, data)
    images = dataset(recipe.data, data)
    return recipe.encode(images.test_images), images.test_labels, f"{recipe.data}, test part"


def tell_report(report: Report, out: Path, *, as_json: bool, file: str = "report.txt") -> None:
    """End a command that made a report, which lies in ``out`` as ``file``."""
    if as_json:
        typer.echo(report.to_json(), nl=False)
    else:
        show_report(report)
        typer.echo(f"{'all equal' if report.ok else 'NOT equal'} -> {out / file}")
    if not report.ok:
        raise typer.Exit(1)


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
        bool, typer.Option("--resume", help="Go on after the last epoch in the folder.")
    ] = False,
    data: options.DataFolder = None,
    accelerator: Annotated[str, typer.Option(help="cpu, gpu or auto.")] = "cpu",
    devices: Annotated[int, typer.Option(help="How many of them.")] = 1,
    precision: Annotated[str, typer.Option(help="32-true, 16-mixed or bf16-mixed.")] = "32-true",
    goal: Annotated[
        float, typer.Option(help="Accuracy, 0 to 1, below which the command exits with 1.")
    ] = 0.0,
    as_json: options.Json = False,
) -> None:
    """Train a network by a recipe and test it on the whole test set.

    For example:

        hwbnn train digits --out runs/digits

        hwbnn train models/sfc/recipe.toml --out runs/sfc --data /data/mnist --goal 0.97

        hwbnn train sfc --out runs/sfc --resume
    """
    from hwbnn.train import train as run

    writable(out)
    wanted = read_recipe(recipe)
    _unread(wanted, data)
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


def _unread(recipe: Recipe, data: Path | None) -> None:
    """Say so if a folder is named for a data set that is in none."""
    if data is not None and recipe.data == "digits":
        note(f"--data {data} is not read: the data set 'digits' is a part of scikit-learn")


def read_recipe(given: str) -> Recipe:
    """The recipe of a file, of a folder, or of a bundled network."""
    from hwbnn.train import Recipe

    path = Path(given)
    if path.is_dir():
        path = path / "recipe.toml"
    elif not path.exists() and given in bundled():
        path = bundled()[given] / "recipe.toml"
    if not path.is_file():
        names = ", ".join(bundled()) or "none"
        raise InputError(
            f"{given}: expected a recipe (TOML), a folder with recipe.toml, or a bundled network "
            f"({names})"
        )
    return Recipe.read(path)


Fraction = Annotated[
    int | None,
    typer.Option(
        help="Bits behind the point of the numbers that shortcuts add, 0 to 20; 18 if not given."
    ),
]


def lower(
    folder: options.ModelArgument = None,
    model: options.ModelOption = None,
    out: Annotated[Path, typer.Option(help="The Graph's file.")] = Path("graph.npz"),
    scores: Annotated[
        bool, typer.Option("--scores", help="End in the classes' scores, not in the class.")
    ] = False,
    fraction: Fraction = None,
    as_json: options.Json = False,
) -> None:
    """Bring a trained model to integers, exactly, or say which layer cannot be.

    The numbers that shortcuts add are in fixed point: every code is then exact on these numbers.

    For example:

        hwbnn lower runs/digits --out digits.npz

        hwbnn lower --model mynet.model:make --out mynet.npz
    """
    from hwbnn.graph import save
    from hwbnn.lower import lower as make

    writable(out, ".npz")
    given = read_model(folder, model)
    output: Literal["class", "scores"] = "scores" if scores else "class"
    graph = make(given.model, given.input, output=output, fraction=fraction)
    out.parent.mkdir(parents=True, exist_ok=True)
    save(graph, out)
    kinds = [type(node).__name__ for node in graph.nodes]
    facts = {"graph": str(out), "digest": graph.digest, "nodes": kinds, "notes": dict(graph.notes)}
    bits = graph.notes.get("fraction")
    how = "exactly" if bits is None else f"with {bits} bits behind the point of its shortcuts"
    finish(
        f"lowered {given.name} {how}: {len(kinds)} nodes, {graph.types[graph.input.name]} in, "
        f"{graph.types[graph.output.name]} out -> {out}",
        facts,
        as_json=as_json,
    )


def explain(
    folder: options.ModelArgument = None,
    model: options.ModelOption = None,
    fraction: Fraction = None,
    as_json: options.Json = False,
) -> None:
    """Say how each layer of a model is lowered, or why one is refused and what to change.

    The exit status is 0 if the model can be lowered, else 2.

    For example:

        hwbnn explain runs/digits

        hwbnn explain --model mynet.model:make
    """
    from hwbnn.lower import explain as ask

    given = read_model(folder, model)
    *layers, verdict = ask(given.model, given.input, fraction=fraction)
    refused = verdict.startswith("refused:")
    if not as_json:
        for line in layers:
            typer.echo(line)
    facts = {"layers": layers, "verdict": verdict, "exact": verdict.startswith("exact:")}
    finish(f"{given.name}: {verdict}", facts, as_json=as_json)
    if refused:
        raise typer.Exit(2)

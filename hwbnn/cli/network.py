"""Commands about networks: train, lower, explain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwbnn.cli import options
from hwbnn.cli.arrays import writable
from hwbnn.cli.given import bundled
from hwbnn.cli.models import read_model
from hwbnn.cli.show import finish, note
from hwbnn.errors import InputError

if TYPE_CHECKING:
    from hwbnn.train import Recipe


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("train")(train)
    app.command("lower")(lower)
    app.command("explain")(explain)


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
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of IDX files; without it HWBNN_DATA, else a download."),
    ] = None,
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


def lower(
    folder: options.ModelArgument = None,
    model: options.ModelOption = None,
    out: Annotated[Path, typer.Option(help="The Graph's file.")] = Path("graph.npz"),
    scores: Annotated[
        bool, typer.Option("--scores", help="End in the classes' scores, not in the class.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Bring a trained model to integers, exactly, or say which layer cannot be.

    For example:

        hwbnn lower runs/digits --out digits.npz

        hwbnn lower --model mynet.model:make --out mynet.npz
    """
    from hwbnn.graph import save
    from hwbnn.lower import lower as make

    writable(out, ".npz")
    given = read_model(folder, model)
    graph = make(given.model, given.input, output="scores" if scores else "class")
    out.parent.mkdir(parents=True, exist_ok=True)
    save(graph, out)
    kinds = [type(node).__name__ for node in graph.nodes]
    facts = {"graph": str(out), "digest": graph.digest, "nodes": kinds, "notes": dict(graph.notes)}
    finish(
        f"lowered {given.name} exactly: {len(kinds)} nodes, {graph.types[graph.input.name]} in, "
        f"{graph.types[graph.output.name]} out -> {out}",
        facts,
        as_json=as_json,
    )


def explain(
    folder: options.ModelArgument = None,
    model: options.ModelOption = None,
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
    *layers, verdict = ask(given.model, given.input)
    refused = verdict.startswith("refused:")
    if not as_json:
        for line in layers:
            typer.echo(line)
    facts = {"layers": layers, "verdict": verdict, "exact": not refused}
    finish(f"{given.name}: {verdict}", facts, as_json=as_json)
    if refused:
        raise typer.Exit(2)

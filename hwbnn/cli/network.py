"""Commands about networks: train, lower, explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hwbnn.cli import options
from hwbnn.cli.arrays import writable
from hwbnn.cli.given import read_recipe, tell_unread
from hwbnn.cli.models import read_model
from hwbnn.cli.show import finish, note


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
    from hwbnn.training import train as run

    writable(out)
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
    from hwbnn.lowering import lower as make

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
    from hwbnn.lowering import explain as ask

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

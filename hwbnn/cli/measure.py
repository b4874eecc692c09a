"""The command that measures what fixed point changes: measure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from hwbnn.cli import options
from hwbnn.cli.given import read_samples
from hwbnn.cli.models import read_model
from hwbnn.cli.show import Steps, finish, table
from hwbnn.errors import InputError
from hwbnn.graph import to_integers

if TYPE_CHECKING:
    from hwbnn.lowering import Measured

COLUMNS = (
    *("bits behind the point", "bits", "logits off", "at most", "same class"),
    *("accuracy", "in floats", "points lost"),
)


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command("measure")(measure)


def measure(
    folder: options.ModelArgument = None,
    model: options.ModelOption = None,
    fractions: Annotated[
        str, typer.Option(help="Word lengths: bits behind the point, with commas between.")
    ] = "10,12,14,16,18",
    samples: options.Samples = None,
    key: options.Key = "",
    labels: options.Labels = None,
    labels_key: options.LabelsKey = "",
    data: options.DataFolder = None,
    as_json: options.Json = False,
) -> None:
    """Measure what the fixed point of shortcuts changes, at several word lengths.

    The float network against its integers on a whole data set: how far logits are off, how often
    the class is the same, and the accuracy of both. A network without shortcuts loses nothing, and
    one line says so.

    For example:

        hwbnn measure runs/resnet20

        hwbnn measure runs/resnet20 --fractions 12,20

        hwbnn measure --model mynet.model:make --samples x.npy --labels y.npy
    """
    from hwbnn.lowering import measure as run
    from hwbnn.training.evaluate import torch_threads

    wanted = _fractions(fractions)
    given = read_model(folder, model)
    x, y, data_name = read_samples(folder, samples, key, labels, labels_key, data)
    if y is None:
        raise InputError("measure: labels: expected --labels, the class of each sample")
    steps = Steps(1)
    with steps.step(f"measure {given.name} on {len(x):,} frames"), torch_threads(1):
        found = run(
            given.model,
            given.input,
            to_integers(given.input, x),
            y,
            fractions=wanted,
            progress=lambda what, n, of: steps.detail(f"{what}: {n:,} of {of:,}"),
        )
    facts = {
        "data": data_name,
        "frames": len(x),
        "measured": [{**asdict(each), "lost": each.lost} for each in found],
    }
    if not as_json:
        table(f"{data_name}, {len(x):,} frames", COLUMNS, [_cells(each) for each in found])
    finish(f"{given.name}: {found[-1]}", facts, as_json=as_json)


def _cells(each: Measured) -> tuple[object, ...]:
    """What a table shows of one word length, as :data:`COLUMNS`."""
    return (
        "none" if each.fraction is None else str(each.fraction),
        each.width,
        f"{each.mean:.4f}",
        f"{each.largest:.4f}",
        f"{each.agreement:.2%}",
        f"{each.accuracy_integer:.2%}",
        f"{each.accuracy_float:.2%}",
        f"{each.lost:.2f}",
    )


def _fractions(text: str) -> list[int]:
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        found = [-1]
    if not found or found[0] < 0 or found[-1] > 20:
        raise InputError(
            f"--fractions {text[:40]}: expected integers from 0 to 20 with commas between"
        )
    return found

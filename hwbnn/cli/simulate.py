"""Commands that compute a network on the user's samples: predict, simulate."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from hwbnn.cli import options
from hwbnn.cli.files import writable, write_array, write_arrays
from hwbnn.cli.inputs import read_graph, read_input, read_labels
from hwbnn.cli.output import finish, table
from hwbnn.errors import InputError
from hwbnn.graph import ArgMax, Graph
from hwbnn.simulators import ENGINES, simulate

SHOWN = 20
"""Largest number of samples printed; the output file has all of them."""


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("predict")(predict)
    app.command("simulate")(simulate_)


def predict(
    graph: options.GraphArgument,
    array: options.ArrayArgument,
    key: options.Key = "",
    network_input: options.NetworkInput = "",
    weights: options.NetworkWeights = None,
    labels: options.Labels = None,
    labels_key: options.LabelsKey = "",
    out: Annotated[
        Path | None, typer.Option(help="Write the classes into this .npy or .csv file.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Predict the class of each of your samples.

    The classes are computed in integers, the same that the hardware computes.

    For example:

        hwbnn predict models/digits mine.npy

        hwbnn predict sfc images.npz --key x_test --labels labels.csv --out classes.csv
    """
    if out is not None:
        writable(out, ".npy", ".csv")
    network = read_graph(graph, network_input, weights)
    x = read_input(network, array, key)
    count = classes(network)
    answers = simulate(network, x, engine=_fastest())[:, 0].astype(np.int64)
    facts: dict[str, Any] = {"graph": network.digest, "classes": answers.tolist()}
    result = f"{len(answers):,} samples classified"
    if labels is not None:
        wanted = read_labels(labels, labels_key, len(answers), count)
        right = int((wanted == answers).sum())
        facts |= {"right": right, "accuracy": right / len(answers)}
        result += f", {right:,} right ({right / len(answers):.2%})"
    if out is not None:
        result += f" -> {write_array(out, answers)}"
    if not as_json:
        rows = [(i, int(c)) for i, c in enumerate(answers[:SHOWN])]
        table("", ("sample", "class"), rows)
        if len(answers) > SHOWN:
            typer.echo(f"... and {len(answers) - SHOWN:,} more" + ("" if out else "; see --out"))
    finish(result, facts, as_json=as_json)


def simulate_(
    graph: options.GraphArgument,
    array: options.ArrayArgument,
    key: options.Key = "",
    network_input: options.NetworkInput = "",
    weights: options.NetworkWeights = None,
    engine: options.Engine = "",
    out: Annotated[
        Path | None, typer.Option(help="Write the outputs into this .npy or .csv file.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write every node's value into this .npz file.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Compute the output of a network, or with `--trace` the value of every node.

    By default the fast simulator runs where numba is installed, otherwise the plain one.

    For example:

        hwbnn simulate models/digits mine.npy --out outputs.npy

        hwbnn simulate sfc images.npy --engine plain --trace values.npz
    """
    if out is not None:
        writable(out, ".npy", ".csv")
    if trace is not None:
        writable(trace, ".npz")
    network = read_graph(graph, network_input, weights)
    x = read_input(network, array, key)
    engine = engine or _fastest()
    begin = time.perf_counter()
    values = simulate(network, x, engine=engine, trace=True) if trace else {}
    outputs = values[network.output.name] if values else simulate(network, x, engine=engine)
    seconds = time.perf_counter() - begin
    result = f"{len(x):,} samples simulated ({engine}) in {seconds:.3g} s"
    if out is not None:
        result += f" -> {write_array(out, outputs)}"
    if trace is not None:
        result += f" -> {write_arrays(trace, values)}"
    facts = {
        "graph": network.digest,
        "engine": engine,
        "samples": len(x),
        "seconds": seconds,
        "outputs": outputs.astype(np.int64).tolist(),
    }
    finish(result, facts, as_json=as_json)


def classes(graph: Graph) -> int:
    """Number of classes of the Graph's output; a single bit has two.

    Raises:
        InputError: if the Graph does not end in a class or a single bit.
    """
    last = graph.node(graph.output.source)
    if isinstance(last, ArgMax):
        return graph.types[last.source].size
    if graph.types[last.name].bit and graph.types[last.name].size == 1:
        return 2
    raise InputError(
        f'the Graph gives {graph.types[last.name]}, no class; lower it with output="class", '
        "or use 'hwbnn simulate'"
    )


def _fastest() -> str:
    """The engine that runs by default."""
    from importlib.util import find_spec

    return "fast" if "fast" in ENGINES and find_spec("numba") else "plain"

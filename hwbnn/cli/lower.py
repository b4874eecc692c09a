"""Commands that lower a trained model to integers: lower, explain, measure; and export."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer

from hwbnn.cli import options
from hwbnn.cli.files import writable
from hwbnn.cli.inputs import read_graph, read_input, read_labels, read_model, read_samples
from hwbnn.cli.network_files import (
    explain_network,
    framework_classes,
    network_file,
    read_network,
)
from hwbnn.cli.output import Steps, finish, printable, table
from hwbnn.errors import InputError
from hwbnn.graph import Graph, to_integers
from hwbnn.graph.graph import FRACTION_LIMIT

if TYPE_CHECKING:
    from hwbnn.lowering import FixedPointResult

COLUMNS = (
    *("fraction bits", "bits", "logits off", "at most", "same class"),
    *("accuracy", "in floats", "points lost"),
)


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("lower")(lower)
    app.command("explain")(explain)
    app.command("measure")(measure)
    app.command("export")(export)


Fraction = Annotated[
    int | None,
    typer.Option(
        help="Bits behind the binary point of the sums of shortcuts, "
        f"0 to {FRACTION_LIMIT}; 18 by default."
    ),
]


WeightBits = Annotated[
    int, typer.Option(help="Bits that real weights (nn.Linear, nn.Conv2d) are rounded to, 2 to 16.")
]


def lower(
    folder: options.ModelArgument = None,
    model: options.ModelOption = None,
    out: Annotated[Path, typer.Option(help="The Graph's file.")] = Path("graph.npz"),
    scores: Annotated[
        bool, typer.Option("--scores", help="End in the classes' scores, not in the class.")
    ] = False,
    logits: Annotated[
        bool,
        typer.Option("--logits", help="End in integers that stand for the logits by a scale."),
    ] = False,
    fraction: Fraction = None,
    weight_bits: WeightBits = 8,
    samples: Annotated[
        Path | None,
        typer.Option(help="Also compare the accuracy of floats and integers on these samples."),
    ] = None,
    key: options.Key = "",
    labels: options.Labels = None,
    labels_key: options.LabelsKey = "",
    network_input: options.NetworkInput = "",
    weights: options.NetworkWeights = None,
    outputs: Annotated[
        Path | None,
        typer.Option(
            help="Of a network's file: what its framework gives for --samples, a class or all "
            "logits each; compared with the Graph's class."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Lower a trained model to integers, exactly, or name the layer that cannot be lowered.

    The sums of shortcuts are in fixed point; every activation is exact for these numbers. With
    `--samples` and `--labels` the exit status is 1 if the classes of the integers are not those of
    the floats.

    For example:

        hwbnn lower runs/digits --out digits.npz

        hwbnn lower --model mynet.model:make --out mynet.npz

        hwbnn lower --model mynet.model:make --samples x.npy --labels y.npy

        hwbnn lower net.onnx --input pixels --samples x.npy --outputs logits.npy
    """
    from hwbnn.graph import save
    from hwbnn.lowering import check_accuracy
    from hwbnn.lowering import lower as make

    writable(out, ".npz")
    path = network_file(folder) if model is None else None
    if path is not None:
        meaning: Literal["class", "scores", "logits"] = "scores" if scores else "class"
        meaning = "logits" if logits else meaning
        network = read_network(path, network_input, weights, meaning)
        compared = _compared(network, samples, key, labels, labels_key, outputs)
        _tell_file(network, path, out, compared, as_json=as_json)
        return
    if network_input or weights is not None or outputs is not None:
        raise InputError(
            "lower: --input, --weights and --outputs belong to a network's file, not to a model"
        )
    if (samples is None) != (labels is None):
        raise InputError("lower: expected --samples and --labels, or neither; found one")
    data = None if samples is None else read_samples(None, samples, key, labels, labels_key, None)
    given = read_model(folder, model)
    if scores and logits:
        raise InputError("lower: expected --scores or --logits; found both")
    output: Literal["class", "scores", "logits"] = "scores" if scores else "class"
    output = "logits" if logits else output
    graph = make(
        given.model, given.input, output=output, fraction=fraction, weight_bits=weight_bits
    )
    checked = None
    if data is not None:
        x, y, _ = data
        assert y is not None
        checked = check_accuracy(given.model, graph, to_integers(given.input, x), y)
    out.parent.mkdir(parents=True, exist_ok=True)
    save(graph, out)
    kinds = [type(node).__name__ for node in graph.nodes]
    facts: dict[str, Any] = {
        "graph": str(out),
        "digest": graph.digest,
        "nodes": kinds,
        "notes": dict(graph.notes),
        "output": graph.meaning,
    }
    if graph.meaning == "logits":
        facts |= {"scale": graph.output.scale, "offset": graph.output.offset}
    bits = graph.fraction
    how = "exactly" if bits is None else f"with {bits} fraction bits of its shortcuts"
    if graph.weight_bits is not None:
        how = ("" if bits is None else f"{how}, ") + f"real weights rounded to {weight_bits} bits"
        facts["weight_bits"] = weight_bits
    if checked is not None:
        facts |= {"frames": checked.frames, "accuracy": checked.accuracy_integer}
        facts |= {"accuracy of floats": checked.accuracy_float, "differing": checked.differing}
        how += f", {checked.accuracy_integer:.2%} of {checked.frames:,} samples right"
        how += f" (floats: {checked.accuracy_float:.2%})"
    finish(
        f"lowered {given.name} {how}: {len(kinds)} nodes, {graph.types[graph.input.name]} in, "
        f"{graph.types[graph.output.name]} out -> {out}",
        facts,
        as_json=as_json,
    )


def _compared(
    graph: Graph,
    samples: Path | None,
    key: str,
    labels: Path | None,
    labels_key: str,
    outputs: Path | None,
) -> dict[str, Any]:
    """Accuracy of a file's Graph on samples, and its differences from the framework's classes."""
    from hwbnn.simulators import simulate

    if samples is None:
        if labels is not None or outputs is not None:
            raise InputError("lower: expected --samples besides --labels or --outputs")
        return {}
    x = read_input(graph, samples, key)
    y = simulate(graph, x, engine="auto").reshape(len(x), -1)
    decided = y[:, 0] if graph.meaning in ("class", "decision") else y.argmax(axis=1)
    facts: dict[str, Any] = {"frames": len(x)}
    if labels is not None:
        facts["accuracy"] = float((read_labels(labels, labels_key, len(x)) == decided).mean())
    if outputs is not None:
        best = framework_classes(outputs, "", len(x))
        inside = decided < best.shape[1]
        same = inside & best[np.arange(len(x)), np.where(inside, decided, 0)]
        facts["differing"] = int((~same).sum())
    return facts


def _tell_file(
    graph: Graph, path: Path, out: Path, compared: dict[str, Any], *, as_json: bool
) -> None:
    """Save the Graph of a network's file and report it; exit status 1 if a class differs."""
    from hwbnn.graph import save

    out.parent.mkdir(parents=True, exist_ok=True)
    save(graph, out)
    kinds = [type(node).__name__ for node in graph.nodes]
    facts = {"graph": str(out), "digest": graph.digest, "nodes": kinds, "notes": dict(graph.notes)}
    how = f"exactly, {graph.notes['thresholds']}"
    if "accuracy" in compared:
        how += f", {compared['accuracy']:.2%} of {compared['frames']:,} samples right"
    if "differing" in compared:
        how += f", {compared['differing']} of {compared['frames']:,} unlike the framework's class"
    finish(
        f"lowered {path.name} ({graph.notes['model']}) {how}: {len(kinds)} nodes, "
        f"{graph.types[graph.input.name]} in, {graph.types[graph.output.name]} out -> {out}",
        facts | {"output": graph.meaning} | compared,
        as_json=as_json,
    )
    if compared.get("differing"):
        raise typer.Exit(1)


def explain(
    folder: options.ModelArgument = None,
    model: options.ModelOption = None,
    fraction: Fraction = None,
    weight_bits: WeightBits = 8,
    network_input: options.NetworkInput = "",
    weights: options.NetworkWeights = None,
    as_json: options.Json = False,
) -> None:
    """Explain how each layer of a model is lowered, or why one is refused and what to change.

    The exit status is 0 if the model can be lowered, else 2.

    For example:

        hwbnn explain runs/digits

        hwbnn explain --model mynet.model:make

        hwbnn explain net.onnx --input pixels
    """
    path = network_file(folder) if model is None else None
    if path is not None:
        name, told = path.name, explain_network(path, network_input, weights)
    else:
        from hwbnn.lowering import explain as ask

        given = read_model(folder, model)
        name = given.name
        told = ask(given.model, given.input, fraction=fraction, weight_bits=weight_bits)
    layers = list(told.lines[:-1])
    if not as_json:
        for line in layers:
            typer.echo(printable(line))
    facts = {
        "layers": layers,
        "verdict": told.verdict,
        "exact": told.form == "exact",
        "rounded": list(told.rounded),
        "output": told.output,
        "problems": list(told.problems),
    }
    finish(f"{name}: {told.verdict}", facts, as_json=as_json)
    if not told.is_lowered:
        raise typer.Exit(2)


def export(
    graph: options.GraphArgument,
    network_input: options.NetworkInput = "",
    weights: options.NetworkWeights = None,
    out: Annotated[Path, typer.Option(help="The ONNX file.")] = Path("graph.onnx"),
    as_json: options.Json = False,
) -> None:
    """Write a Graph as QONNX, which FINN and others read: the same integers at every value.

    The input are the Graph's own integers, channels first. What has no exact form there, such as
    the fixed point of shortcuts, is refused by the node's name.

    For example:

        hwbnn export lenet --out lenet.onnx
    """
    from hwbnn.cli.files import write_file
    from hwbnn.writers import to_qonnx

    writable(out, ".onnx")
    network = read_graph(graph, network_input, weights)
    data = to_qonnx(network)
    write_file(out, data)
    facts = {"file": str(out), "bytes": len(data), "nodes": len(network.nodes)}
    finish(f"wrote {len(network.nodes)} nodes as QONNX -> {out}", facts, as_json=as_json)


def measure(
    folder: options.ModelArgument = None,
    model: options.ModelOption = None,
    fractions: Annotated[
        str, typer.Option(help="Word lengths: fraction bits, with commas between.")
    ] = "10,12,14,16,18",
    weight_bits: WeightBits = 8,
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
    from hwbnn.training.predictions import torch_threads

    wanted = _fractions(fractions)
    if model is None and network_file(folder) is not None:
        raise InputError(
            f"{folder}: a network's file is lowered exactly, or refused: nothing to measure; "
            "'hwbnn lower' compares it with its framework's outputs"
        )
    given = read_model(folder, model)
    x, y, data_name = read_samples(folder, samples, key, labels, labels_key, data)
    if y is None:
        raise InputError("measure: labels: expected --labels, the class of each sample")
    steps = Steps(1)
    with steps.step(f"measure {given.name} on {len(x):,} frames"), torch_threads(1):
        results = run(
            given.model,
            given.input,
            to_integers(given.input, x),
            y,
            fractions=wanted,
            weight_bits=weight_bits,
            progress=lambda what, n, of: steps.detail(f"{what}: {n:,} of {of:,}"),
        )
    facts = {
        "data": data_name,
        "frames": len(x),
        "measured": [{**asdict(each), "lost": each.lost} for each in results],
    }
    if not as_json:
        table(f"{data_name}, {len(x):,} frames", COLUMNS, [_cells(each) for each in results])
    finish(f"{given.name}: {results[-1]}", facts, as_json=as_json)


def _cells(each: FixedPointResult) -> tuple[object, ...]:
    """The cells of one word length, in the order of :data:`COLUMNS`."""
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
        fractions = sorted({int(part) for part in text.split(",")})
    except ValueError:
        fractions = [-1]
    if not fractions or fractions[0] < 0 or fractions[-1] > FRACTION_LIMIT:
        raise InputError(
            f"--fractions {text[:40]}: expected integers from 0 to {FRACTION_LIMIT} with commas "
            "between"
        )
    return fractions

"""Commands that run the whole flow: demo, build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwbnn.cli import options
from hwbnn.cli.files import writable_folder
from hwbnn.cli.inputs import place_of, read_graph, read_model, read_samples
from hwbnn.cli.network_files import network_file, read_network
from hwbnn.cli.output import Steps, command_line, tell_report
from hwbnn.cli.plans import LayoutOptions, with_layout_options
from hwbnn.errors import InputError
from hwbnn.graph import Graph, Input

if TYPE_CHECKING:
    from torch import nn


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("demo")(demo)
    app.command("build")(with_layout_options(build))


def demo(
    out: Annotated[Path, typer.Option(help="Folder for all results.")] = Path("hwbnn-demo"),
    place: options.Place = False,
    as_json: options.Json = False,
) -> None:
    """Run the whole flow once: train a small network, lower, generate, verify, synthesise.

    The folder then holds the training run, the Graph, both projects and the report.

    For example:

        hwbnn demo

        hwbnn demo --out demo --place
    """
    from hwbnn.demo import demo as run
    from hwbnn.demo import steps

    writable_folder(out)
    report = run(out, place=place, progress=Steps(steps(place)))
    tell_report(report, out / "report.html", as_json=as_json)


def build(
    layout: LayoutOptions,
    out: Annotated[Path, typer.Option(help="Folder for all results.")],
    folder: options.ModelArgument = None,
    model: options.ModelOption = None,
    graph: Annotated[
        str | None, typer.Option(help="A lowered Graph instead, as `predict` takes it.")
    ] = None,
    network_input: options.NetworkInput = "",
    weights: options.NetworkWeights = None,
    samples: options.Samples = None,
    key: options.Key = "",
    labels: options.Labels = None,
    labels_key: options.LabelsKey = "",
    data: options.DataFolder = None,
    backends: options.Backends = "fast,hls,rtl",
    rtl_frames: options.RtlFrames = None,
    tolerance: options.Tolerance = 0.01,
    place: options.Place = False,
    as_json: options.Json = False,
) -> None:
    """Lower a model, generate its core, compute it by every backend, synthesise it, and report.

    How the core is laid out is said as for `hwbnn generate`. Where Vitis HLS is on PATH it
    synthesises the network too; its figures are reported and the RTL that it makes is compared.

    For example:

        hwbnn build runs/digits --out digits-core

        hwbnn build --model mynet.model:make --samples x.npy --labels y.npy --out core

        hwbnn build --graph sfc --samples x.npz --key test --backends fast,rtl --out sfc-core

        hwbnn build runs/sfc --interval 784 --out sfc-folded

        hwbnn build --graph cnv --samples x.npz --board pynq-z2 --mhz 100 --fps 1000 --out cnv-core

        hwbnn build runs/sfc --form xc7 --backends fast,rtl --out sfc-netlists

        hwbnn build net.onnx --input pixels --samples x.npy --labels y.npy --out core
    """
    from hwbnn.flow import build as run
    from hwbnn.flow import claim, steps

    claim(writable_folder(out))
    names = options.listed(backends)
    path = network_file(folder) if model is None and graph is None else None
    if path is None:
        network, input, name = _to_build(folder, model, graph)
    else:
        network, input, name = read_network(path, network_input, weights), None, path.stem
        folder = None
    x, y, data_name = read_samples(folder, samples, key, labels, labels_key, data)
    known = None
    if folder is not None:
        from hwbnn.training import provenance

        known = provenance(place_of(folder))
    report = run(
        network,
        input,
        x if y is None else (x, y),
        out,
        plan=layout.chosen,
        name=name,
        data_name=data_name,
        provenance=known,
        command=command_line(),
        backends=names,
        rtl_frames=rtl_frames,
        tolerance=tolerance,
        place=place,
        progress=Steps(steps(names, place)),
    )
    tell_report(report, out / "report.html", as_json=as_json)


def _to_build(
    folder: str | None, model: str | None, graph: str | None
) -> tuple[nn.Module | Graph, Input | None, str]:
    """The network to build (a model with its input, or a Graph with None), and its name."""
    if graph is None:
        given = read_model(folder, model)
        return given.model, given.input, given.name
    if folder is not None or model is not None:
        raise InputError("build: expected a model or --graph, found both")
    return read_graph(graph), None, Path(graph).stem

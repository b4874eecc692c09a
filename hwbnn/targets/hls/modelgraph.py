"""hls4ml as the host: the calls of a Graph as its ``ModelGraph``, its files, its reports."""

from __future__ import annotations

import contextlib
import io as text_io
import re
from pathlib import Path
from typing import Any

import numpy as np
from hls4ml.model.graph import ModelGraph
from hls4ml.report import parse_vivado_report
from hls4ml.utils.config import create_config

from hwbnn.errors import ToolFailed
from hwbnn.targets.hls.calls import FORK, NETWORK, Call, Site
from hwbnn.targets.hls.depths import depths
from hwbnn.targets.hls.hls4ml_layers import BACKEND, register
from hwbnn.targets.hls.packed_ports import input_port, output_port


def layer_list(site: Site, calls: tuple[Call, ...]) -> list[dict[str, Any]]:
    """The layers for :meth:`ModelGraph.from_layer_list`: the port, then one for each call."""
    port, port_out = input_port(site), output_port(site).name
    port_in, first = port.name, calls[0]
    layers: list[dict[str, Any]] = [
        {
            "class_name": "HwbnnPort",
            "name": port_in,
            # hls4ml takes the last axis for a token.
            "shape": [port.elements] if port.tokens == 1 else [port.tokens, port.token],
            "word": first.source.word,
        }
    ]
    names = stream_names(calls)
    slots = iter(range(len(calls)))
    for call in calls:
        outputs = [names[stream] for stream in call.streams]
        layers.append(
            {
                "class_name": f"Hwbnn{call.kind}",
                "name": outputs[0],
                "inputs": [names[stream] for stream in call.reads] or [port_in],
                "outputs": outputs,
                "call": call,
                "shape": list(call.shape),
                "var_name": "value{index}",
                "slot": None if call.kind == FORK else next(slots),
            }
        )
    # The last value is the output itself, not traced: the simulation reads it from the port.
    layers[-1].update(var_name=port_out, slot=None)
    return layers


def stream_names(calls: tuple[Call, ...]) -> dict[str, str]:
    """The names of all streams in hls4ml; a prefix keeps values' names apart from hls4ml's own."""
    names: dict[str, str] = {}
    for i, call in enumerate(calls):
        if call.kind == FORK:
            names.update({stream: f"fork{i}_{k}" for k, stream in enumerate(call.streams)})
        else:
            names[call.value] = f"n_{call.value}"
    return names


def model_of(site: Site, calls: tuple[Call, ...], folder: Path) -> ModelGraph:
    """The hls4ml model of a Graph's calls that writes, compiles and predicts in ``folder``."""
    layers, io = layer_list(site, calls), site.io
    register()
    config = create_config(
        output_dir=str(folder),
        project_name=NETWORK,
        backend=BACKEND,
        part=site.plan.device,
        clock_period=site.plan.clock_ns,
        io_type=io,
        # With text files, C simulation would read them, but synthesis the headers. Without them,
        # both read the headers.
        write_weights_txt=False,
    )
    unrolled = all(call.reuse == 1 for call in calls)
    config["HLSConfig"] = {
        "Model": {
            # All our types are explicit, but hls4ml requires a default.
            "Precision": "ap_int<32>",
            "ReuseFactor": 1,
            "Strategy": "Latency",
            # A pipelined top function would unroll the loops of folded layers.
            "PipelineStyle": "pipeline" if unrolled and io == "io_parallel" else "dataflow",
            "PipelineInterval": 1 if unrolled and io == "io_parallel" else None,
        },
        "LayerName": {
            layer["name"]: {"ReuseFactor": layer["call"].reuse}
            for layer in layers
            if "call" in layer
        },
    }
    # hls4ml prints, but standard output belongs to our caller.
    with contextlib.redirect_stdout(text_io.StringIO()):
        model = ModelGraph.from_layer_list(config, layers)
    _check_untouched(model, layers)
    if io == "io_stream":
        names = stream_names(calls)
        for stream, depth in depths(calls).items():
            model.get_layer_output_variable(names[stream]).pragma = ("stream", depth)
    return model


def _check_untouched(model: ModelGraph, layers: list[dict[str, Any]]) -> None:
    """Check that hls4ml's passes over the model have added, removed or changed no layer.

    Raises:
        ToolFailed: if they have; the message names the layers.
    """
    names, names_now = [layer["name"] for layer in layers], [n.name for n in model.get_layers()]
    if names_now != names:
        raise ToolFailed(f"hls4ml changed the layers {names} to {names_now}")
    for given, layer in zip(layers, model.get_layers(), strict=True):
        call: Call | None = given.get("call")
        word = call.out.word if call else given["word"]
        variable = layer.get_output_variable()
        kind = variable.type.precision
        same = variable.shape == given["shape"] and layer.class_name == given["class_name"]
        same &= (kind.width, kind.signed) == (word.width, word.signed)
        same &= call is None or layer.get_attr("reuse_factor") == call.reuse
        for constant in call.constants if call else ():
            weights = layer.get_weights(constant.name)
            same &= np.array_equal(weights.data, constant.data)
            same &= list(weights) == constant.literals()
        if not same:
            raise ToolFailed(f"hls4ml changed layer '{layer.name}'; expected it untouched")


def files_of(model: ModelGraph, folder: Path) -> dict[str, bytes]:
    """The files of hls4ml's function, with the parts replaced that differ from run to run.

    The scripts and the test bench of hls4ml are for a function at the top, and ours is not: they
    are left out, and so are the pragmas of a top function's ports.

    Raises:
        ToolFailed: if one of them still contains the folder's name.
    """
    with contextlib.redirect_stdout(text_io.StringIO()):
        model.write()
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    stamp = model.config.config["Stamp"].encode()
    files["build_lib.sh"] = files["build_lib.sh"].replace(stamp, b"hwbnn")
    config = files["hls4ml_config.yml"]
    for key, value in ((b"OutputDir", b"."), (b"Stamp", b"hwbnn")):
        # A long value continues on indented lines.
        config = re.sub(rb"^%s:.*(\n +.*)*$" % key, key + b": " + value, config, flags=re.MULTILINE)
    files["hls4ml_config.yml"] = config
    for name in ("build_prj.tcl", "build_opt.tcl", "project.tcl", "vivado_synth.tcl"):
        del files[name]
    del files[f"{NETWORK}_test.cpp"]
    source = f"firmware/{NETWORK}.cpp"
    files[source] = _inner(files[source].decode()).encode()
    for name, content in files.items():
        if str(folder).encode() in content:
            raise ToolFailed(f"hls4ml wrote the scratch folder's name into '{name}'")
    return files


def _inner(text: str) -> str:
    """The text of hls4ml's function, which is called by another, not by hardware around it.

    Raises:
        ToolFailed: if hls4ml did not write the pragmas that stand for its ports.
    """
    text, count = re.subn(r"\n    #pragma HLS INTERFACE [^\n]*", "", text)
    # A whole frame as one word may be wider than Vitis allows.
    text = re.sub(r"#pragma HLS ARRAY_RESHAPE (variable=\w+ complete)", _PARTITION, text)
    if count != 1 or "ARRAY_RESHAPE" in text:
        raise ToolFailed(f"hls4ml wrote {count} INTERFACE pragmas, expected one")
    return text


_PARTITION = r"#pragma HLS ARRAY_PARTITION \1"


def parse_report(folder: Path) -> dict[str, Any]:
    """See :func:`hwbnn.targets.hls.parse_report`."""
    said = text_io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            report = parse_vivado_report(str(folder))
    # If an element is missing in a file, hls4ml may raise any exception.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ToolFailed(f"{folder}: cannot read the synthesis report ({reason})") from error
    if not report or "CSynthesisReport" not in report:
        last = (said.getvalue().strip().splitlines() or ["nothing found"])[-1]
        raise ToolFailed(f"{folder}: holds no synthesis report ({last})")
    return dict(report)

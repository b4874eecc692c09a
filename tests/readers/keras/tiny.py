"""Small networks as Keras writes them: configurations and weights, in memory or as files."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from hwbnn.program import Program
from hwbnn.readers.keras import program
from hwbnn.readers.keras.saved_model import KerasFile
from hwbnn.readers.keras.stored_weights import snake_case
from hwbnn.tools.hdf5 import Hdf5File


@dataclass(frozen=True)
class Tiny:
    """A layer: its class, options, weights by role, and in functional networks what it reads."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    reads: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        return self.name or self.kind.lower()


def dense(kernel: Any, quantizer: Any = "binary(alpha=1)", **options: Any) -> Tiny:
    """A QDense without a bias unless ``bias`` is given."""
    kernel = np.asarray(kernel, np.float32)
    weights = {"kernel": kernel}
    if "bias" in options:
        weights["bias"] = np.asarray(options.pop("bias"), np.float32)
    name = options.pop("name", "")
    given = {
        "units": kernel.shape[-1],
        "use_bias": "bias" in weights,
        "kernel_quantizer": quantizer,
        "activation": "linear",
        **options,
    }
    return Tiny("QDense", given, weights, name)


def conv(kernel: Any, kind: str = "QConv2D", **options: Any) -> Tiny:
    """A convolution without a bias; its kernel has Keras's axes."""
    kernel = np.asarray(kernel, np.float32)
    depthwise = "Depthwise" in kind
    given = {
        "kernel_size": list(kernel.shape[: kernel.ndim - 2]),
        "strides": [1] * (kernel.ndim - 2),
        "padding": "valid",
        "data_format": "channels_last",
        "use_bias": False,
        "activation": "linear",
        **({"depth_multiplier": kernel.shape[-1]} if depthwise else {"filters": kernel.shape[-1]}),
        ("depthwise_quantizer" if depthwise else "kernel_quantizer"): "binary(alpha=1)",
        **options,
    }
    return Tiny(kind, given, {"depthwise_kernel" if depthwise else "kernel": kernel})


def sequential(layers: Sequence[Tiny], shape: Sequence[int], generation: int = 3) -> dict[str, Any]:
    """The configuration of a Sequential network."""
    key = "batch_shape" if generation == 3 else "batch_input_shape"
    entries = [{"class_name": "InputLayer", "config": {"name": "pix", key: [None, *shape]}}]
    for layer in layers:
        package = "qkeras>" if layer.kind.startswith("Q") and generation == 3 else ""
        config = {"name": layer.called, **layer.options}
        entries.append({"class_name": package + layer.kind, "config": config})
    return {"class_name": "Sequential", "config": {"name": "net", "layers": entries}}


def functional(layers: Sequence[Tiny], shape: Sequence[int], generation: int = 3) -> dict[str, Any]:
    """The configuration of a functional network; the last layer is its output."""
    model = sequential(layers, shape, generation)
    for entry, layer in zip(model["config"]["layers"], (None, *layers), strict=True):
        entry["name"] = entry["config"]["name"]
        reads = layer.reads if layer else ()
        if not reads:
            entry["inbound_nodes"] = []
        elif generation == 2:
            entry["inbound_nodes"] = [[[name, 0, 0, {}] for name in reads]]
        else:
            tensors = [
                {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}
                for name in reads
            ]
            args: list[Any] = tensors if len(tensors) == 1 else [tensors]
            entry["inbound_nodes"] = [{"args": args, "kwargs": {}}]
    ends = ["pix", 0, 0], [layers[-1].called, 0, 0]
    inputs, outputs = ends if generation == 3 else ([ends[0]], [ends[1]])
    model["class_name"] = "Functional"
    model["config"] |= {"input_layers": inputs, "output_layers": outputs}
    return model


def named(layers: Sequence[Tiny], root: str = "") -> Hdf5File:
    """The weights by names, as ``.h5`` files have them."""
    prefix = f"{root}/" if root else ""
    attributes: dict[str, dict[str, Any]] = {root: {"layer_names": [x.called for x in layers]}}
    arrays = {}
    for layer in layers:
        names = [f"{layer.called}/{role}:0" for role in layer.weights]
        attributes[f"{prefix}{layer.called}"] = {"weight_names": names}
        for name, role in zip(names, layer.weights, strict=True):
            arrays[f"{prefix}{layer.called}/{name}"] = np.asarray(layer.weights[role])
    return Hdf5File(attributes, arrays)


def counted(layers: Sequence[Tiny], *, noted: bool = False) -> Hdf5File:
    """The weights by counters of classes, as ``.keras`` files have them."""
    counts: dict[str, int] = {}
    attributes, arrays = {}, {}
    for layer in layers:
        base = snake_case(layer.kind)
        number = counts.get(base, 0)
        counts[base] = number + 1
        key = f"layers/{base}_{number}" if number else f"layers/{base}"
        if noted:
            attributes[f"{key}/vars"] = {"name": layer.called}
        for i, array in enumerate(layer.weights.values()):
            arrays[f"{key}/vars/{i}"] = np.asarray(array)
    return Hdf5File(attributes, arrays)


def read(*layers: Tiny, shape: Sequence[int], generation: int = 3) -> Program:
    """The program of a Sequential network."""
    model = sequential(layers, shape, generation)
    return program(KerasFile("tiny", model, named(layers), generation))


def read_functional(*layers: Tiny, shape: Sequence[int], generation: int = 3) -> Program:
    """The program of a functional network."""
    model = functional(layers, shape, generation)
    return program(KerasFile("tiny", model, named(layers), generation))


def hdf5(file: Hdf5File, **options: Any) -> bytes:
    """An HDF5 file with these attributes and arrays; ``options`` of each array."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as out:
        for path, array in file.arrays.items():
            out.create_dataset(path, data=array, **options)
        for path, attributes in file.attributes.items():
            target = out.require_group(path) if path else out
            for name, value in attributes.items():
                target.attrs[name] = value
    return stream.getvalue()


def h5_file(layers: Sequence[Tiny], model: Mapping[str, Any], version: str = "2.15.0") -> bytes:
    """An ``.h5`` file as ``model.save`` writes it."""
    file = named(layers, "model_weights")
    root = {"model_config": json.dumps(model), "keras_version": version}
    return hdf5(Hdf5File({"": root, **file.attributes}, file.arrays))


def keras_file(
    layers: Sequence[Tiny], model: Mapping[str, Any], version: str = "3.15.1", noted: bool = True
) -> bytes:
    """A ``.keras`` file."""
    return zipped(
        {
            "metadata.json": json.dumps({"keras_version": version}).encode(),
            "config.json": json.dumps(model).encode(),
            "model.weights.h5": hdf5(counted(layers, noted=noted)),
        }
    )


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()

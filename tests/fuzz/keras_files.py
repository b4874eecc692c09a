"""Files of Keras networks: zips, JSON and HDF5, read into programs by one long-lived child."""

from __future__ import annotations

import atexit
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from hwbnn.program import Layer, Program
from hwbnn.readers.keras import program, saved_model
from hwbnn.tools.hdf5 import Hdf5Child, Hdf5File
from tests.fuzz.kinds import FileKind, flipped, hostile, json_change, zip_change
from tests.readers.keras.tiny import (
    Tiny,
    conv,
    counted,
    dense,
    functional,
    h5_file,
    hdf5,
    keras_file,
    named,
    sequential,
    zipped,
)

CHILD = Hdf5Child(seconds=60.0, memory=1 << 28, array_bytes=1 << 26)
"""Reads all mutants one after another; it is started again where one ends it."""
atexit.register(CHILD.close)


def signs(*shape: int) -> Any:
    return np.where(np.arange(np.prod(shape)).reshape(shape) % 3 == 0, -0.75, 0.5)


def norm(channels: int, name: str, reads: tuple[str, ...] = ()) -> Tiny:
    weights = {
        "gamma": np.linspace(-1, 2, channels),
        "beta": np.linspace(1, -1, channels),
        "moving_mean": np.linspace(-1, 1, channels),
        "moving_variance": np.linspace(0.5, 2, channels),
    }
    return Tiny("BatchNormalization", {"axis": -1, "epsilon": 1e-3}, weights, name, reads)


def quantizer(name: str, **options: Any) -> dict[str, Any]:
    return {
        "module": "qkeras.quantizers",
        "class_name": name,
        "config": options,
        "registered_name": f"qkeras>{name}",
    }


DENSE = (
    dense(signs(4, 5), quantizer("binary", alpha="auto_po2"), name="d1"),
    norm(5, "b1"),
    Tiny("QActivation", {"activation": "quantized_relu(2,1)"}, name="a1"),
    dense(
        *(signs(5, 3), quantizer("quantized_bits", bits=4, integer=0, symmetric=1, alpha=1)),
        bias=[0.5, -0.25, 1],
        bias_quantizer="quantized_bits(4,1,alpha=1)",
        name="d2",
    ),
    Tiny("Activation", {"activation": "softmax"}, name="sm"),
)


def _image() -> tuple[Tiny, ...]:
    first = conv(
        *(signs(3, 3, 1, 2), "QuantConv2D"),
        padding="same",
        strides=[2, 2],
        input_quantizer="ste_sign",
        kernel_quantizer={"class_name": "SteSign", "config": {"clip_value": 1.0}},
        pad_values=1.0,
    )
    second = conv(signs(1, 1, 2, 2), kernel_quantizer="ternary(alpha=1)")
    last = dense(signs(2, 3))
    return (
        Tiny(first.kind, first.options, first.weights, "c1", ("pix",)),
        Tiny(second.kind, second.options, second.weights, "c2", ("c1",)),
        Tiny("Add", {}, name="sum", reads=("c1", "c2")),
        norm(2, "b1", ("sum",)),
        Tiny("QActivation", {"activation": quantizer("binary", alpha=None)}, {}, "a1", ("b1",)),
        Tiny("MaxPooling2D", {"pool_size": [2, 2], "padding": "valid"}, {}, "p1", ("a1",)),
        Tiny("Flatten", {}, name="f1", reads=("p1",)),
        Tiny(last.kind, last.options, last.weights, "d1", ("f1",)),
    )


IMAGE = _image()
MODELS = (
    (DENSE, sequential(DENSE, (4,))),
    (IMAGE, functional(IMAGE, (3, 3, 1))),
    (IMAGE, functional(IMAGE, (3, 3, 1), generation=2)),
)
WEIGHTS: tuple[Hdf5File, ...] = tuple(named(layers) for layers, _ in MODELS)


def value(found: Program) -> object:
    """A program as a value that ``==`` compares."""
    return (found.shapes, found.output, [_fields(layer) for layer in found.layers])


def _fields(layer: Layer) -> list[object]:
    return [
        part.tolist() if isinstance(part, np.ndarray) else part for part in vars(layer).values()
    ]


def in_child(read: Callable[[bytes, str], saved_model.KerasFile]) -> Callable[[bytes], object]:
    """A reader of bytes whose HDF5 files go to the one child."""

    def reader(data: bytes) -> object:
        before = saved_model.read_hdf5
        saved_model.read_hdf5 = CHILD.read
        try:
            return value(program(read(data, "mutant")))
        finally:
            saved_model.read_hdf5 = before

    return reader


def from_config(data: bytes) -> object:
    """A configuration, whose ``"sample"`` says which weights belong to it."""
    model = saved_model.read_json(data, "mutant")
    which = model.get("sample") if isinstance(model, dict) else None
    weights = WEIGHTS[which if which in range(len(WEIGHTS)) else 0]
    opened = saved_model._object(model, "mutant")
    return value(program(saved_model.KerasFile("mutant", opened, weights, 3)))


def layer_change(data: bytes, rng: np.random.Generator) -> bytes:
    """A configuration with one value of one or two layers damaged."""
    model = json.loads(data)
    entries = model["config"]["layers"]
    for _ in range(int(rng.integers(1, 3))):
        i = int(rng.integers(len(entries)))
        entries[i] = hostile(entries[i], rng)
    return json.dumps(model).encode()


def member_change(data: bytes, rng: np.random.Generator) -> bytes:
    """A ``.keras`` file with one value of its configuration or some bits of its weights damaged."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change = {"config.json": layer_change, "metadata.json": json_change}
    name = ("config.json", "config.json", "metadata.json", "model.weights.h5")[rng.integers(4)]
    members[name] = change.get(name, flipped)(members[name], rng)
    return zipped(members)


def structure_change(data: bytes, rng: np.random.Generator) -> bytes:
    """Bits of an HDF5 file's structure flipped: in the parts that are no stretch of zeros."""
    used = np.flatnonzero(np.frombuffer(data, np.uint8))
    changed = bytearray(data)
    for i in used[rng.integers(0, len(used), int(rng.integers(1, 4)))]:
        changed[i] ^= 1 << int(rng.integers(8))
    return bytes(changed)


KERAS = FileKind(
    "network.keras",
    tuple(keras_file(layers, model) for layers, model in MODELS[:2]),
    in_child(saved_model.from_keras),
    (flipped, zip_change, member_change, member_change),
    {
        "a zip without members": zipped({}),
        "weights that are no HDF5": zipped(
            {
                "metadata.json": b"{}",
                "config.json": json.dumps(MODELS[0][1]).encode(),
                "model.weights.h5": b"hello",
            }
        ),
        "weights of another network": zipped(
            {
                "metadata.json": b"{}",
                "config.json": json.dumps(MODELS[0][1]).encode(),
                "model.weights.h5": hdf5(counted(IMAGE)),
            }
        ),
    },
    same=False,
    share=0.3,
)
H5 = FileKind(
    "network.h5",
    tuple(h5_file(layers, model) for layers, model in MODELS[:2]),
    in_child(saved_model.from_h5),
    (structure_change, structure_change, flipped),
    same=False,
    share=0.3,
)
CONFIG = FileKind(
    "network.json",
    tuple(json.dumps({**model, "sample": i}).encode() for i, (_, model) in enumerate(MODELS)),
    from_config,
    (json_change, layer_change, layer_change, flipped),
    same=False,
)
KINDS = (KERAS, H5, CONFIG)

"""Files of Keras networks: zips, JSON and HDF5, read into programs by one long-lived child."""

from __future__ import annotations

import atexit
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from hwbnn.lowering.probes import probes
from hwbnn.readers.keras import program, saved_model
from hwbnn.tools.hdf5 import Hdf5Child, Hdf5File
from tests.fuzz.kinds import FileKind, flipped, hostile, json_change, zip_change
from tests.fuzz.network_files import lowered
from tests.readers.keras import forward
from tests.readers.keras.evaluate import values
from tests.readers.keras.forward import NotKnown
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

CHILD = Hdf5Child(seconds=10.0, memory=1 << 28, array_bytes=1 << 26)
"""Reads all mutants one after another; it is started again where one ends it.

A few files in ten thousand make the HDF5 library run for ever; each of them takes all the seconds.
"""
atexit.register(CHILD.close)


FRAMES = 16
"""Inputs on which a program is compared with the second reading."""


def signs(*shape: int) -> Any:
    return np.where(np.arange(np.prod(shape)).reshape(shape) % 3 == 0, -0.75, 0.5)


def norm(channels: int, name: str, reads: tuple[str, ...] = (), *, tie: float = 0.0) -> Tiny:
    """A BatchNorm with gains of both signs, and a first channel that is always ``tie``."""
    weights = {
        "gamma": np.r_[0.0, np.linspace(-1, 2, channels - 1)],
        "beta": np.r_[tie, np.linspace(1, -1, channels - 1)],
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
    norm(5, "b1", tie=0.25),
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


def _larq() -> tuple[Tiny, ...]:
    sign = {"class_name": "SteSign", "config": {"clip_value": 1.0}}
    first = conv(
        *(signs(2, 2, 1, 3), "QuantConv2D"),
        padding="same",
        kernel_quantizer="ste_sign",
        pad_values=-1.0,
    )
    second = conv(
        *(signs(2, 2, 3, 4), "QuantConv2D"),
        input_quantizer=sign,
        kernel_quantizer={"class_name": "SteTern", "config": {"threshold_value": 0.6}},
    )
    last = dense(signs(16, 3), "ste_sign", input_quantizer="ste_heaviside")
    return (
        Tiny(first.kind, first.options, first.weights, "c1"),
        norm(3, "b1"),
        Tiny("MaxPooling2D", {"pool_size": [2, 2], "strides": [1, 1]}, {}, "p1"),
        Tiny(second.kind, second.options, second.weights, "c2"),
        norm(4, "b2"),
        Tiny("Flatten", {}, {}, "f1"),
        Tiny("QuantDense", last.options, last.weights, "d1"),
    )


def _older() -> tuple[Tiny, ...]:
    first = {"units": 5, "use_bias": False, "H": 1.0}
    last = {"units": 3, "use_bias": True, "H": 0.5}
    return (
        Tiny("BinaryDense", first, {"kernel": signs(4, 5)}, "d1"),
        norm(5, "b1"),
        Tiny("Activation", {"activation": "binary_tanh"}, {}, "a1"),
        Tiny("TernaryDense", last, {"kernel": signs(5, 3), "bias": np.array([1, 0, -1])}, "d2"),
    )


IMAGE, LARQ, OLDER = _image(), _larq(), _older()
MODELS = (
    (DENSE, sequential(DENSE, (4,))),
    (IMAGE, functional(IMAGE, (3, 3, 1))),
    (IMAGE, functional(IMAGE, (3, 3, 1), generation=2)),
)
LARQ_MODELS = (
    (LARQ, sequential(LARQ, (4, 4, 1), generation=2)),
    (OLDER, sequential(OLDER, (4,), generation=2)),
)
WEIGHTS: tuple[Hdf5File, ...] = tuple(named(layers) for layers, _ in MODELS)


def in_child(read: Callable[[bytes, str], saved_model.KerasFile]) -> Callable[[bytes], object]:
    """A reader of bytes whose HDF5 files go to the one child."""

    def reader(data: bytes) -> object:
        before = saved_model.read_hdf5
        saved_model.read_hdf5 = CHILD.read
        try:
            return lowered(program(read(data, "mutant")))
        finally:
            saved_model.read_hdf5 = before

    return reader


def opened(data: bytes) -> tuple[object, Hdf5File]:
    """A configuration, and the weights that belong to it by its ``"sample"``."""
    model = saved_model.read_json(data, "mutant")
    which = model.get("sample") if isinstance(model, dict) else None
    return model, WEIGHTS[which if which in range(len(WEIGHTS)) else 0]


def from_config(data: bytes) -> object:
    """The Graph of a configuration, and its program."""
    model, weights = opened(data)
    config = saved_model._object(model, "mutant")
    return lowered(program(saved_model.KerasFile("mutant", config, weights, 3)))


def as_computed(forward: Callable[[bytes, Any], tuple[Any, Any]]) -> Callable[..., bool]:
    """A check that a file's program has the output of the second reading, ``forward``."""

    def right(data: bytes, found: object) -> bool:
        if not isinstance(found, tuple):
            return False
        graph, made = found
        x = graph.input.reals(probes(graph.input)[:FRAMES]).reshape(FRAMES, -1)
        try:
            wanted, unsure = forward(data, x)
        except NotKnown:
            return False
        given = values(made, x)[made.output].reshape(FRAMES, -1)
        assert given.shape == wanted.shape
        size = np.abs(wanted).max(initial=1e-30)
        differs = (np.abs(given - wanted) > 1e-9 * size).any(axis=1)
        assert not (differs & ~unsure).any()
        return not unsure.all()

    return right


def from_opened(data: bytes, x: Any) -> tuple[Any, Any]:
    """The second reading of a configuration."""
    model, weights = opened(data)
    return forward.of_arrays(model, weights.arrays, x)


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
    right=as_computed(forward.of_keras),
)
H5, LARQ_H5 = (
    FileKind(
        name,
        tuple(h5_file(layers, model) for layers, model in models),
        in_child(saved_model.from_h5),
        (structure_change, structure_change, flipped),
        same=False,
        share=0.3,
        right=as_computed(forward.of_h5),
    )
    for name, models in (("network.h5", MODELS[:2]), ("network of Larq.h5", LARQ_MODELS))
)
CONFIG = FileKind(
    "network.json",
    tuple(json.dumps({**model, "sample": i}).encode() for i, (_, model) in enumerate(MODELS)),
    from_config,
    (json_change, layer_change, layer_change, flipped),
    same=False,
    right=as_computed(from_opened),
)
KINDS = (KERAS, H5, LARQ_H5, CONFIG)

"""The configuration of a Keras network as layers in order, each with the layers that it reads.

Sequential and functional networks of Keras 2 and 3 keep names, the input's shape and the
connections in different places; this module gives all of them one form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph.arrays import Array, Floats
from hwbnn.program import shown_name

MODELS = ("Sequential", "Functional", "Model")
MOST_LAYERS = 10_000
_CLASS = re.compile(r"[A-Za-z_]\w{0,60}", re.ASCII)


@dataclass(frozen=True, eq=False)
class LayerConfig:
    """A layer as the configuration describes it.

    Attributes:
        name: unique name of the layer.
        kind: its class without the package, such as ``QDense``.
        config: its options by name.
        sources: names of the layers that it reads; empty for an input.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    sources: tuple[str, ...]

    @property
    def label(self) -> str:
        """The name of the layer in messages."""
        return f"layer '{shown_name(self.name)}' ({self.kind})"

    def refuse(self, why: str) -> CannotLower:
        """The error that refuses this layer; ``why`` is the reason and what to do."""
        return CannotLower(f"{self.label}: {why}")

    def damaged(self, why: str) -> InputError:
        """The error for a layer whose configuration is damaged."""
        return InputError(f"{self.label}: {why}")

    @property
    def rank(self) -> int:
        """The number of axes that its windows slide along: 1 for sequences, 2 for images."""
        return 1 if "1D" in self.kind else 2

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """The sizes of its kernel, one for each axis that the windows slide along."""
        return self.sizes("kernel_size", None, self.rank)

    def sizes(self, key: str, default: Any, rank: int) -> tuple[int, ...]:
        """An option with a positive size for each axis; a single number is used for all axes."""
        value = self.config.get(key, default)
        sizes = value if isinstance(value, list) else [value] * rank
        if len(sizes) == 1:
            sizes = sizes * rank
        if len(sizes) != rank or not all(type(n) is int and 0 < n < 1 << 15 for n in sizes):
            raise self.damaged(f"{key}: expected {rank} sizes from 1, found {ascii(value)[:60]}")
        return tuple(sizes)

    def integer(self, key: str, default: int | None = None) -> int:
        """An option that is a positive integer."""
        value = self.config.get(key, default)
        if type(value) is not int or not 0 < value < 1 << 24:
            raise self.damaged(f"{key}: expected a number from 1, found {ascii(value)[:40]}")
        return value

    def number(self, key: str, default: float) -> float:
        """An option that is a real number."""
        value = self.config.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
            raise self.damaged(f"{key}: expected a number, found {ascii(value)[:40]}")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """An option that is true or false."""
        value = self.config.get(key, default)
        if not isinstance(value, bool):
            raise self.damaged(f"{key}: expected true or false, found {ascii(value)[:40]}")
        return value

    def expect_channels_last(self) -> None:
        """Refuse images with channels first."""
        order = self.config.get("data_format")
        if order not in (None, "channels_last"):
            raise self.refuse(
                f"data_format={ascii(order)[:40]} is not read; build the network with channels_last"
            )

    def expect_shape(self, role: str, array: Array, shape: tuple[int, ...]) -> None:
        """Refuse weights of another shape."""
        if array.shape != shape:
            raise self.damaged(f"{role}: expected shape {shape}, the file has {array.shape}")

    def reals(self, role: str, array: Array) -> Floats:
        """Weights rounded to float32, as a float64 array; refused if one is not finite."""
        with np.errstate(over="ignore"):
            real = np.asarray(array, np.float32).astype(np.float64)
        if not np.isfinite(real).all():
            raise self.refuse(f"{role}: expected finite numbers, found an infinite one or a NaN")
        return real


@dataclass(frozen=True, eq=False)
class Architecture:
    """A network's layers.

    Attributes:
        input: name of the input layer.
        shape: shape of the input, without the batch.
        layers: the other layers, in an order in which each reads earlier ones only.
        stored: all layers in the order of the file, which determines the names of weights.
        output: name of the layer whose value is the network's output.
    """

    input: str
    shape: tuple[int, ...]
    layers: tuple[LayerConfig, ...]
    stored: tuple[LayerConfig, ...]
    output: str


def architecture(model: Mapping[str, Any], where: str) -> Architecture:
    """The layers of a network.

    Args:
        model: the JSON object of the network.
        where: name of its file, for messages.

    Raises:
        InputError: if the configuration is damaged.
        CannotLower: if it describes something that is not read, such as a model inside another.
    """
    kind = _class(model.get("class_name"), where)
    config = model.get("config")
    if kind not in MODELS:
        raise CannotLower(
            f"{where}: expected a Sequential or a functional network, found class {kind!r}; build "
            "it as keras.Model(inputs, outputs), and save that"
        )
    if isinstance(config, list):  # Sequential networks before Keras 2.2.3
        config = {"layers": config}
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        raise InputError(f"{where}: expected a list of layers in the network's configuration")
    entries = config["layers"]
    if not 0 < len(entries) <= MOST_LAYERS:
        raise InputError(f"{where}: expected 1 to {MOST_LAYERS} layers, found {len(entries)}")
    if kind == "Sequential":
        return _sequential(entries, config, model, where)
    return _functional(entries, config, where)


def _class(name: Any, where: str) -> str:
    """The name of a class without its package."""
    short = name.rpartition(">")[2].rpartition(".")[2] if isinstance(name, str) else ""
    if not _CLASS.fullmatch(short):
        raise InputError(f"{where}: expected the name of a class, found {ascii(name)[:40]}")
    return short


def _layer(entry: Any, sources: tuple[str, ...], where: str) -> LayerConfig:
    config = entry.get("config") if isinstance(entry, dict) else None
    if not isinstance(config, dict):
        raise InputError(f"{where}: expected an object with a config for each layer")
    kind = _class(entry.get("class_name"), where)
    name = config.get("name", entry.get("name"))
    if not isinstance(name, str) or not name:
        raise InputError(f"{where}: a {kind} layer has no name")
    if kind in MODELS:
        raise CannotLower(
            f"layer '{shown_name(name)}' ({kind}): is a network inside the network; put its layers "
            "into the outer one"
        )
    return LayerConfig(name, kind, config, sources)


def _sequential(
    entries: list[Any], config: Mapping[str, Any], model: Mapping[str, Any], where: str
) -> Architecture:
    stored: list[LayerConfig] = []
    for entry in entries:
        before = (stored[-1].name,) if stored else ()
        stored.append(_layer(entry, before, where))
    first = stored[0]
    if first.kind == "InputLayer":
        _unique(stored, where)
        shape = _input_shape(first, where)
        return Architecture(first.name, shape, tuple(stored[1:]), tuple(stored), stored[-1].name)
    name = f"{first.name}_input"
    stored[0] = LayerConfig(first.name, first.kind, first.config, (name,))
    _unique(stored, where)
    if name in (layer.name for layer in stored):
        raise InputError(f"{where}: a layer is named '{shown_name(name)}'; rename it")
    built = model.get("build_config")
    fallback = built.get("input_shape") if isinstance(built, dict) else None
    shape = _input_shape(first, where, config.get("build_input_shape", fallback))
    return Architecture(name, shape, tuple(stored), tuple(stored), stored[-1].name)


def _functional(entries: list[Any], config: Mapping[str, Any], where: str) -> Architecture:
    stored = []
    for entry in entries:
        layer = _layer(entry, (), where)
        nodes = entry.get("inbound_nodes", [])
        if not isinstance(nodes, list):
            raise layer.damaged("expected a list of inbound_nodes")
        if len(nodes) > 1:
            raise layer.refuse(
                "is used more than once; make a layer of its own for each use, with equal weights"
            )
        sources = tuple(_tensors(nodes[0], layer)) if nodes else ()
        stored.append(LayerConfig(layer.name, layer.kind, layer.config, sources))
    _unique(stored, where)
    inputs, outputs = (_ends(config.get(key), key, where) for key in _ENDS)
    by_name = {layer.name: layer for layer in stored}
    entry_layer = by_name.get(inputs)
    if entry_layer is None or entry_layer.kind != "InputLayer":
        raise InputError(f"{where}: input_layers names no InputLayer")
    layers = _ordered(stored, inputs, where)
    return Architecture(
        inputs, _input_shape(entry_layer, where), tuple(layers), tuple(stored), outputs
    )


_ENDS = ("input_layers", "output_layers")


def _ends(value: Any, key: str, where: str) -> str:
    """The only layer that ``input_layers`` or ``output_layers`` names."""
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
        value = [value]  # Keras 3 writes a single tensor without a list around it
    if not isinstance(value, list) or not all(
        isinstance(v, list) and v and isinstance(v[0], str) for v in value
    ):
        raise InputError(f"{where}: expected a list of names under {key}")
    if len(value) != 1:
        what = "input" if key == "input_layers" else "output"
        raise CannotLower(
            f"{where}: expected a network of one {what}, found {len(value)}; save a network "
            f"with the one {what} that the core shall have"
        )
    return str(value[0][0])


def _tensors(node: Any, layer: LayerConfig) -> list[str]:
    """The layers whose values a call reads."""
    if isinstance(node, dict):  # Keras 3
        kwargs = node.get("kwargs")
        if isinstance(kwargs, dict) and any(_histories(value, layer) for value in kwargs.values()):
            raise layer.refuse("reads a value as a named argument; pass values by position")
        return _histories(node.get("args"), layer)
    if not isinstance(node, list):
        raise layer.damaged("expected a list or an object for what it reads")
    if node and isinstance(node[0], str):  # one tensor without a list around it
        node = [node]
    found = []
    for tensor in node:
        if not isinstance(tensor, list) or not tensor or not isinstance(tensor[0], str):
            raise layer.damaged("expected names of layers in what it reads")
        if any(tensor[1:3]):
            raise layer.refuse("reads a second value of a layer; layers of one value are read")
        found.append(tensor[0])
    return found


def _histories(value: Any, layer: LayerConfig) -> list[str]:
    """The layers that a call of Keras 3 names, in lists of any depth."""
    if isinstance(value, list):
        return [name for inner in value for name in _histories(inner, layer)]
    if not isinstance(value, dict):
        return []
    if value.get("class_name") != "__keras_tensor__":
        raise layer.damaged("reads something that is no value of a layer")
    config = value.get("config")
    history = config.get("keras_history") if isinstance(config, dict) else None
    if not isinstance(history, list) or not history or not isinstance(history[0], str):
        raise layer.damaged("expected a keras_history in what it reads")
    if any(history[1:3]):
        raise layer.refuse("reads a second value of a layer; layers of one value are read")
    return [history[0]]


def _unique(layers: list[LayerConfig], where: str) -> None:
    seen: set[str] = set()
    for layer in layers:
        if layer.name in seen:
            raise InputError(f"{where}: two layers are named '{shown_name(layer.name)}'")
        seen.add(layer.name)


def _ordered(stored: list[LayerConfig], entry: str, where: str) -> list[LayerConfig]:
    """The layers behind the input, each after those that it reads."""
    waiting = [layer for layer in stored if layer.name != entry]
    known = {entry}
    ordered: list[LayerConfig] = []
    while waiting:
        ready = [x for x in waiting if x.sources and all(s in known for s in x.sources)]
        if not ready:
            layer = waiting[0]
            if layer.kind == "InputLayer":
                raise layer.refuse("is a second input; save a network with one input")
            raise layer.damaged("reads a value that no layer before it computes")
        ordered += ready
        known.update(layer.name for layer in ready)
        waiting = [layer for layer in waiting if layer.name not in known]
    return ordered


def _input_shape(layer: LayerConfig, where: str, fallback: Any = None) -> tuple[int, ...]:
    """The shape without the batch, under whichever key the file's version of Keras uses."""
    keys = ("batch_shape", "batch_input_shape")
    shape = next((layer.config[key] for key in keys if layer.config.get(key)), fallback)
    if not isinstance(shape, list) or not 2 <= len(shape) <= 4:
        raise layer.refuse(
            "expected the shape of its input, of 1 to 3 axes without the batch, found none or "
            "another; begin the network with an Input of that shape"
        )
    sizes = shape[1:]
    if not all(type(n) is int and 0 < n < 1 << 24 for n in sizes):
        raise layer.refuse(
            f"expected fixed sizes of its input, found {ascii(sizes)[:60]}; build the network with "
            "a fixed shape"
        )
    return tuple(sizes)

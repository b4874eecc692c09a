"""A second reading of small Keras files, for tests: the numbers that their layers compute.

It shares no code with the reader. Every layer computes what the libraries' documentation says, on
real numbers, with quantizers that round numbers where the reader makes edges. It knows the layers
and quantizers of the tests' small networks only; for others it raises :class:`NotKnown`.
"""

from __future__ import annotations

import ast
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

Reals = Any
Weights = Callable[[str, str], list[Reals]]
"""The arrays of a layer, by its name and class, in the order in which the layer creates them."""
NEAR = 1e-9
"""Relative distance from a rounding edge at which float64 is too coarse to say the side."""


class NotKnown(Exception):
    """The file has something that this second reading does not know."""


@dataclass
class Forward:
    """A network's values on a batch.

    Attributes:
        values: by layer, ``(frames, ...)``.
        unsure: frames in which a number came so near to an edge that its side is not known.
    """

    values: dict[str, Reals] = field(default_factory=dict)
    unsure: Reals = False

    def near(self, distance: Reals, size: Reals = 1.0) -> None:
        """Note frames with a number close to an edge, but not on it."""
        close = (np.abs(distance) < NEAR * np.maximum(1.0, np.abs(size))) & (distance != 0)
        self.unsure = self.unsure | close.reshape(len(close), -1).any(axis=1)


# --- files ----------------------------------------------------------------------------------------


def of_keras(data: bytes, x: Reals) -> tuple[Reals, Reals]:
    """Output of a ``.keras`` file on ``x``, and the frames that are unsure."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        config = json.loads(archive.read("config.json"))
        metadata = json.loads(archive.read("metadata.json"))
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
        stored = archive.read("model.weights.h5")
    with h5py.File(h5py.h5f.open_file_image(stored)) as file:
        groups = file["layers"]
        noted: dict[str, str] = {}
        for key in groups:
            name = groups[key]["vars"].attrs.get("name") if "vars" in groups[key] else None
            if isinstance(name, str):
                noted.setdefault(name, key)
        counts: dict[str, int] = {}
        keys = {}
        for entry in config["config"]["layers"]:
            base = KEYS.get(short(entry["class_name"]))
            number = counts.get(str(base), 0)
            counts[str(base)] = number + 1
            name = named(entry)
            keys[name] = noted.get(name, f"{base}_{number}" if number else base)

        def weights(name: str, kind: str) -> list[Reals]:
            own = groups[keys[name]]["vars"]
            return [own[str(i)][()] for i in range(len(own))]

        return output(config, weights, x, version)


def of_h5(data: bytes, x: Reals) -> tuple[Reals, Reals]:
    """Output of an ``.h5`` file on ``x``, and the frames that are unsure."""
    with h5py.File(h5py.h5f.open_file_image(data)) as file:
        config = json.loads(text(file.attrs["model_config"]))
        version = file.attrs.get("keras_version")
        version = text(version) if isinstance(version, str | bytes) else None

        def weights(name: str, kind: str) -> list[Reals]:
            group = file["model_weights"][name]
            names = [text(each) for each in group.attrs["weight_names"]]
            return by_role(kind, {each: group[each][()] for each in names})

        return output(config, weights, x, version)


def of_arrays(config: Any, arrays: Mapping[str, Reals], x: Reals) -> tuple[Reals, Reals]:
    """Output of a configuration, with weights at the paths that ``.h5`` files have."""

    def weights(name: str, kind: str) -> list[Reals]:
        start = f"{name}/{name}/"
        return by_role(kind, {k: a for k, a in arrays.items() if k.startswith(start)})

    return output(config, weights, x, "3.15.1")


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def by_role(kind: str, arrays: Mapping[str, Reals]) -> list[Reals]:
    """Arrays in the order of their roles, whatever their order in the file."""
    last = {name.split("/")[-1].split(":")[0]: a for name, a in arrays.items()}
    return [last[role] for role in ROLES if role in last]


ROLES = ("kernel", "gamma", "bias", "beta", "moving_mean", "moving_variance")
KEYS = {
    "QDense": "q_dense",
    "QConv2D": "q_conv2d",
    "QuantConv2D": "quant_conv2d",
    "QuantDense": "quant_dense",
    "BinaryDense": "binary_dense",
    "TernaryDense": "ternary_dense",
    "BatchNormalization": "batch_normalization",
}


def named(entry: Any) -> str:
    """The name of a layer: in its options, or else beside them."""
    return str(entry["config"].get("name", entry.get("name")))


def short(name: str) -> str:
    return name.split(">")[-1].split(".")[-1]


# --- networks -------------------------------------------------------------------------------------


def output(model: Any, weights: Weights, x: Reals, version: Any) -> tuple[Reals, Reals]:
    """Output of a network on ``x``, and the frames that are unsure."""
    entries = model["config"]["layers"]
    run = Forward(unsure=np.zeros(len(x), bool))
    last = ""
    known = isinstance(version, str) and version[:2] in ("2.", "3.")
    generation = int(version[0]) if known else 0
    chained = short(model["class_name"]) == "Sequential"
    if not chained and short(model["class_name"]) not in ("Functional", "Model"):
        raise NotKnown(model["class_name"])
    waiting = list(entries)
    while waiting:
        entry = waiting.pop(0)
        config, kind = entry["config"], short(entry["class_name"])
        name = named(entry)
        if kind == "InputLayer":
            shape = config.get("batch_shape") or config.get("batch_input_shape")
            run.values[name] = x.reshape(len(x), *shape[1:])
        else:
            reads = [last] if chained else tensors(entry["inbound_nodes"])
            if any(source not in run.values for source in reads):
                waiting.append(entry)
                continue
            if kind not in LAYERS:
                raise NotKnown(kind)
            sources = [run.values[source] for source in reads]
            if len(sources) != 1 and kind != "Add":
                raise NotKnown("several values")
            arrays = (
                [np.asarray(a, np.float32).astype(np.float64) for a in weights(name, kind)]
                if kind in KEYS
                else []
            )
            run.values[name] = LAYERS[kind](run, config, arrays, *sources, generation=generation)
        last = name
    if not chained:
        last = tensors(model["config"]["output_layers"])[0]
    return run.values[last].reshape(len(x), -1), run.unsure


def tensors(value: Any) -> list[str]:
    """The names in lists such as ``["conv", 0, 0]``, however deep they lie."""
    if isinstance(value, dict):
        return [name for inner in value.values() for name in tensors(inner)]
    if not isinstance(value, list):
        return []
    if value and isinstance(value[0], str):
        return [value[0]]
    return [name for inner in value for name in tensors(inner)]


# --- quantizers -----------------------------------------------------------------------------------


def call(given: Any) -> tuple[str, dict[str, Any]]:
    """Name and options of a quantizer."""
    if given is None:
        return "linear", {}
    if isinstance(given, dict):
        config = given["config"]
        if isinstance(config, str):
            return call(config)
        name = short(given["class_name"])
        if name == "function":
            return call(given.get("registered_name"))
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
        return (name if name.islower() else snake), dict(config)
    tree: Any = ast.parse(short(given).strip(), mode="eval").body
    if isinstance(tree, ast.Name):
        return tree.id, {}
    order = ORDER.get(tree.func.id, [])
    if len(tree.args) > len(order):
        raise NotKnown(given)
    options = {key: ast.literal_eval(arg) for key, arg in zip(order, tree.args, strict=False)}
    return tree.func.id, options | {k.arg: ast.literal_eval(k.value) for k in tree.keywords}


ORDER = {
    "binary": ["use_01", "alpha"],
    "ternary": ["alpha", "threshold"],
    "quantized_bits": ["bits", "integer", "symmetric", "keep_negative", "alpha"],
    "quantized_relu": ["bits", "integer"],
}
KNOWN = {
    "binary": ("use_01", "alpha"),
    "ternary": ("alpha", "threshold"),
    "quantized_bits": ("bits", "integer", "symmetric", "keep_negative", "alpha"),
    "quantized_relu": ("bits", "integer"),
    "ste_sign": ("clip_value",),
    "ste_tern": ("threshold_value", "ternary_weight_networks"),
    "ste_heaviside": (),
    "binary_tanh": (),
}


NEUTRAL = {
    **dict.fromkeys(("qnoise_factor", "use_ste", "trainable"), (1, True)),
    **dict.fromkeys(("use_stochastic_rounding", "use_variables", "use_sigmoid"), (False,)),
    **dict.fromkeys(("negative_slope",), (0,)),
    "number_of_unrolls": (5,),
    "dtype": ("float32",),
    "scale_axis": (None,),
}
"""Options with values that change nothing in inference."""


def options_of(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options by name; anything that this reading does not follow is not known."""
    if name not in KNOWN:
        raise NotKnown(name)
    for key, value in options.items():
        if key in KNOWN[name] or key in ("name", "var_name", "clip_value", "metrics"):
            continue
        if value is not None and value not in NEUTRAL.get(key, ()):
            raise NotKnown(f"{key}={value!r}")
    return options


def number(value: Any, default: float) -> float:
    return default if value is None else float(np.float32(value))


def activate(run: Forward, given: Any, x: Reals) -> Reals:
    """An activation: numbers to numbers."""
    name, options = call(given)
    if name in ("linear", "softmax", "sigmoid", "no_op"):
        return x  # the last two keep the order of the classes
    if name == "relu":
        return np.maximum(x, 0)
    o = options_of(name, options)
    alpha = number(o.get("alpha"), 1.0) if "alpha" in KNOWN[name] else 1.0
    if name in ("binary", "ste_sign"):
        run.near(x)
        return np.where(x < 0, 0.0 if o.get("use_01") else -1.0, 1.0) * alpha
    if name == "binary_tanh":
        run.near(x)
        return np.where(x > 0, 1.0, -1.0)
    if name == "ste_heaviside":
        run.near(x)
        return np.where(x > 0, 1.0, 0.0)
    if name in ("ternary", "ste_tern"):
        if o.get("ternary_weight_networks"):
            raise NotKnown(name)
        key, default = ("threshold", 0.33) if name == "ternary" else ("threshold_value", 0.05)
        edge = number(o.get(key), float(np.float32(default)))
        run.near(np.abs(x) - edge, x)
        return np.where(np.abs(x) >= edge, np.sign(x), 0.0) * alpha
    bits, integer = int(o.get("bits", 8)), int(o.get("integer", 0))
    if name == "quantized_relu":
        return rounded(run, x, 2.0 ** (integer - bits), 0, 2**bits - 1)
    signed = bool(o.get("keep_negative", True))
    u = bits - signed
    if u == 0:
        run.near(x)
        return np.where(x < 0, -1.0, 1.0) * alpha
    low = -(2**u) + bool(o.get("symmetric", False)) if signed else 0
    return rounded(run, x, 2.0 ** (integer - u), low, 2**u - 1) * alpha


def rounded(run: Forward, x: Reals, step: float, low: int, high: int) -> Reals:
    """``clip(round(x / step), low, high) * step``, halves to the even integer."""
    v = x / step
    run.near(v - np.floor(v) - 0.5, v)
    return np.clip(np.rint(v), low, high) * step


def kernel(given: Any, w: Reals, generation: int, *, bias: bool = False) -> tuple[Reals, Reals]:
    """The integers of a kernel or a bias, and their scale."""
    name, options = call(given)
    o = options_of(name, options)
    alpha = o.get("alpha")
    if alpha is None and not bias and name in ("binary", "ternary", "quantized_bits"):
        alpha, o = "auto_po2", {**o, "symmetric": True}
    if name == "binary" and not (o.get("use_01") and isinstance(alpha, str)):
        codes = np.where(w < 0, 0.0 if o.get("use_01") else -1.0, 1.0)
        if not isinstance(alpha, str):
            return codes, number(alpha, 1.0)
        return codes, least_squares(w, codes, alpha)
    if name == "quantized_bits" and isinstance(alpha, str):
        if not generation:
            raise NotKnown("version of Keras, on which the integers depend")
        return automatic_bits(o, w, alpha, settles=generation > 2)
    if name == "ternary" and isinstance(alpha, str):
        return automatic_ternary(w, alpha)
    if isinstance(alpha, str):
        raise NotKnown(f"{name} {alpha}")
    if name == "ternary":
        edge = number(o.get("threshold"), float(np.float32(0.33)))
        return np.where(np.abs(w) >= edge, np.sign(w), 0.0), number(alpha, 1.0)
    if name == "ste_sign":
        return np.where(w < 0, -1.0, 1.0), 1.0
    if name == "ste_heaviside":
        return np.where(w > 0, 1.0, 0.0), 1.0
    if name == "ste_tern" and not o.get("ternary_weight_networks"):
        edge = number(o.get("threshold_value"), float(np.float32(0.05)))
        return np.where(np.abs(w) >= edge, np.sign(w), 0.0), 1.0
    if name != "quantized_bits":
        raise NotKnown(name)
    bits, integer = int(o.get("bits", 8)), int(o.get("integer", 0))
    signed = bool(o.get("keep_negative", True))
    u = bits - signed
    if u == 0:
        return np.where(w < 0, -1.0, 1.0), number(alpha, 1.0)
    low = -(2**u) + bool(o.get("symmetric", False)) if signed else 0
    step = 2.0 ** (integer - u)
    return np.clip(np.rint(w / step), low, 2**u - 1), step * number(alpha, 1.0)


def least_squares(w: Reals, codes: Reals, alpha: str) -> Reals:
    axes = tuple(range(w.ndim - 1))
    scale = (w * codes).mean(axis=axes) / ((codes * codes).mean(axis=axes) + 1e-7)
    return 2.0 ** np.round(np.log2(scale + 1e-7)) if alpha == "auto_po2" else scale


def automatic_ternary(w: Reals, alpha: str) -> tuple[Reals, Reals]:
    """``ternary`` with a scale for each output channel from its weights, in five rounds."""
    scale = np.abs(w).max(axis=tuple(range(w.ndim - 1))) * 2 / 3
    if alpha == "auto_po2":
        scale = 2.0 ** np.round(np.log2(scale + 1e-7))
    for _ in range(5):
        codes = np.sign(w) * (np.round(np.abs(w) / scale) > 0)
        scale = least_squares(w, codes, alpha)
    return codes, scale


def automatic_bits(
    o: dict[str, Any], w: Reals, alpha: str, *, settles: bool
) -> tuple[Reals, Reals]:
    """``quantized_bits`` with a scale for each output channel from its weights."""
    if not o.get("symmetric") or not o.get("keep_negative", True):
        raise NotKnown("alpha of unsymmetric integers")
    most = 2 ** (int(o.get("bits", 8)) - 1) - 1
    whole = 2.0 ** int(o.get("integer", 0))
    x = w / whole
    scale = np.abs(x).max(axis=tuple(range(x.ndim - 1))) / most

    def codes() -> Reals:
        return np.sign(x) * np.minimum(np.floor(np.abs(x) / scale + 0.5), most)

    if alpha == "auto_po2":
        scale = 2.0 ** np.round(np.log2(scale + 1e-7))
        for _ in range(5):
            z = codes()
            scale = least_squares(x, z, alpha)
        return (codes() if settles else z), scale * whole
    return codes(), scale * whole


# --- layers ---------------------------------------------------------------------------------------


def pair(value: Any) -> list[int]:
    sizes = value if isinstance(value, list) else [value]
    return sizes if len(sizes) == 2 else sizes * 2


def framed(x: Reals, config: Any, size: list[int], step: list[int], outside: float) -> Reals:
    """An image with its border, as ``same`` or ``valid`` asks for it."""
    if config.get("padding", "valid") == "valid":
        return x
    if config["padding"] != "same":
        raise NotKnown(config["padding"])
    border = [(0, 0)]
    for n, k, s in zip(x.shape[1:3], size, step, strict=True):
        lacking = max((int(np.ceil(n / s)) - 1) * s + k - n, 0)
        border.append((lacking // 2, lacking - lacking // 2))
    return np.pad(x, [*border, (0, 0)], constant_values=outside)


def with_bias(run: Forward, c: Any, arrays: list[Reals], y: Reals, generation: int) -> Reals:
    if c.get("use_bias", True):
        bias = arrays[1]
        if c.get("bias_quantizer") is not None:
            codes, scale = kernel(c["bias_quantizer"], bias, generation, bias=True)
            bias = codes * scale
        y = y + bias
    return activate(run, c.get("activation"), y)


def dense(run: Forward, c: Any, arrays: list[Reals], x: Reals, *, generation: int) -> Reals:
    x = activate(run, c.get("input_quantizer"), x)
    codes, scale = kernel(c["kernel_quantizer"], arrays[0], generation)
    return with_bias(run, c, arrays, (x @ codes) * scale, generation)


def older_dense(rule: Callable[[Reals], Reals]) -> Any:
    def layer(run: Forward, c: Any, arrays: list[Reals], x: Reals, *, generation: int) -> Reals:
        height = float(np.float32(c.get("H", 1.0)))
        return with_bias(run, c, arrays, (x @ rule(arrays[0] / height)) * height, generation)

    return layer


def conv(run: Forward, c: Any, arrays: list[Reals], x: Reals, *, generation: int) -> Reals:
    x = activate(run, c.get("input_quantizer"), x)
    codes, scale = kernel(c["kernel_quantizer"], arrays[0], generation)
    if c.get("mask") is not None:
        raise NotKnown("mask")
    step, apart = pair(c.get("strides", 1)), pair(c.get("dilation_rate", 1))
    groups = c.get("groups", 1)
    rows, columns, each, filters = codes.shape
    wide = [(rows - 1) * apart[0] + 1, (columns - 1) * apart[1] + 1]
    x = framed(x, c, wide, step, c.get("pad_values", 0.0))
    high = (x.shape[1] - wide[0]) // step[0] + 1
    broad = (x.shape[2] - wide[1]) // step[1] + 1
    y = np.zeros((len(x), high, broad, filters))
    for f in range(filters):
        first = f // (filters // groups) * each
        for i in range(rows):
            for j in range(columns):
                part = x[:, i * apart[0] :, j * apart[1] :, first : first + each]
                part = part[:, :: step[0], :: step[1]][:, :high, :broad]
                y[..., f] += part @ codes[i, j, :, f]
    return with_bias(run, c, arrays, y * scale, generation)


def norm(run: Forward, c: Any, arrays: list[Reals], x: Reals, *, generation: int) -> Reals:
    given = list(arrays)
    gamma = given.pop(0) if c.get("scale", True) else 1.0
    beta = given.pop(0) if c.get("center", True) else 0.0
    mean, variance = given
    return (x - mean) / np.sqrt(variance + c.get("epsilon", 1e-3)) * gamma + beta


def quantizer_layer(
    run: Forward, c: Any, arrays: list[Reals], x: Reals, *, generation: int
) -> Reals:
    return activate(run, c["activation"] if "activation" in c else c["quantizer"], x)


def pool(run: Forward, c: Any, arrays: list[Reals], x: Reals, *, generation: int) -> Reals:
    size = pair(c.get("pool_size", 2))
    step = size if c.get("strides") is None else pair(c["strides"])
    x = framed(x, c, size, step, -np.inf)
    high, broad = ((x.shape[1 + i] - size[i]) // step[i] + 1 for i in range(2))
    places = [
        [x[:, r * step[0] :, k * step[1] :][:, : size[0], : size[1]].max(axis=(1, 2))]
        for r in range(high)
        for k in range(broad)
    ]
    return np.stack([place[0] for place in places], axis=1).reshape(len(x), high, broad, -1)


LAYERS: dict[str, Any] = {
    "QDense": dense,
    "QuantDense": dense,
    "BinaryDense": older_dense(lambda w: np.where(w > 0, 1.0, -1.0)),
    "TernaryDense": older_dense(lambda w: np.where(w > 0.5, 1.0, np.where(w <= -0.5, -1.0, 0.0))),
    "QConv2D": conv,
    "QuantConv2D": conv,
    "BatchNormalization": norm,
    "QActivation": quantizer_layer,
    "Activation": quantizer_layer,
    "MaxPooling2D": pool,
    "Dropout": lambda run, c, arrays, x, *, generation: x,
    "Softmax": lambda run, c, arrays, x, *, generation: x,
    "SteSign": lambda run, c, arrays, x, *, generation: activate(run, "ste_sign", x),
    "Flatten": lambda run, c, arrays, x, *, generation: x.reshape(len(x), -1),
    "Add": lambda run, c, arrays, *x, generation: sum(x),
}

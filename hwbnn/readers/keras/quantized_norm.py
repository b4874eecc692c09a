"""QKeras's ``QBatchNormalization``: a BatchNorm whose parameters are quantized when it computes.

The quantized parameters are real numbers again, mostly powers of two, so the layer is a BatchNorm
with these. Rules: QKeras 0.9 and qkeras-v3 1.2, ``qnormalization.py`` and ``quantizers.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hwbnn.errors import CannotLower
from hwbnn.graph.arrays import Array, Floats
from hwbnn.readers.keras.architecture import LayerConfig
from hwbnn.readers.keras.plain_layers import normalized
from hwbnn.readers.keras.quantizer_config import QKERAS, QuantizerConfig, quantizer
from hwbnn.readers.keras.translation import LayerValue, Translation
from hwbnn.readers.keras.weight_quantizers import EPSILON, NEAR, bias_quantizer

_POWERS = ("quantized_po2", "quantized_relu_po2")
_OPTIONS = (
    *(name for name in QKERAS if name != "alpha"),
    *("bits", "max_value", "quadratic_approximation", "log2_rounding", "negative_slope"),
)
_QUANTIZED = (
    ("gamma", "gamma_quantizer"),
    ("beta", "beta_quantizer"),
    ("mean", "mean_quantizer"),
    ("variance", "variance_quantizer"),
)


def quantized_batch_norm(net: Translation, layer: LayerConfig) -> LayerValue:
    """A BatchNorm with the layer's quantized parameters."""
    value, norm = normalized(net, layer)
    for _, key in _QUANTIZED:
        if key not in layer.config:
            raise layer.damaged(f"expected its {key}, a quantizer or null; the file has none")
    try:
        found: dict[str, Any] = {
            name: _quantized(layer.config.get(key), getattr(norm, name)) for name, key in _QUANTIZED
        }
        if layer.config.get("inverse_quantizer") is not None:
            single = {name: array.astype(np.float32) for name, array in found.items()}
            root = np.sqrt(single["variance"] + np.float32(norm.epsilon))
            inverse = np.float32(1) / root * single["gamma"]
            found["gamma"] = _quantized(layer.config["inverse_quantizer"], inverse)
            found |= {"variance": np.ones(len(inverse)), "epsilon": 0.0}
    except CannotLower as error:
        raise layer.refuse(str(error)) from None
    return replace(value, name=net.add(replace(norm, **found)))


def _quantized(given: Any, x: Array) -> Floats:
    """Parameters as their quantizer gives them, as real numbers."""
    config = quantizer(given)
    if config is None:
        return x.astype(np.float64)
    if config.name in _POWERS:
        return _powers(config, x)
    made = bias_quantizer(config)(x)
    return np.asarray(made.codes * made.scale)


def _powers(config: QuantizerConfig, x: Array) -> Floats:
    """A sign and a power of two; of ``quantized_relu_po2`` the power alone.

    The exponent is ``clip(round(log2 |x|))``, with ``quadratic_approximation`` twice that of the
    square root. A number below Keras's epsilon gives the least exponent.
    """
    config.expect_names(_OPTIONS)
    config.refuse_partial()
    if config.number("negative_slope", 0.0) or config.get("log2_rounding", "rnd") != "rnd":
        raise CannotLower(
            f"{config.name}: negative_slope and log2_rounding are not read; expected 0 and 'rnd'"
        )
    is_signed = config.name == "quantized_po2"
    given = config.get("max_value")
    most = np.inf if given is None else config.positive("max_value", 1.0)
    effective = config.between("bits", 8, 1, 8) - is_signed - int(most > 1)
    if effective < 0:
        raise CannotLower(f"{config.name}: its bits leave none for the exponent; take more")
    low, high = -(1 << effective), (1 << effective) - 1
    is_even = config.flag("quadratic_approximation")
    high = 2 * (high // 2) if is_even else high
    numbers = x.astype(np.float32).astype(np.float64)
    size = np.abs(numbers) if is_signed else np.maximum(numbers, 0)
    exact = np.log2(np.minimum(np.maximum(size, EPSILON), most)) / (2 if is_even else 1)
    half = np.abs(exact - np.floor(exact) - 0.5) < NEAR
    if (half & (size >= EPSILON)).any():
        raise CannotLower(
            f"{config.name}: {numbers[half].flat[0]:g} lies half-way between two powers of two, "
            "where float32 may round either way; train a little more"
        )
    exponent = np.clip(np.rint(exact), low, high) * (2 if is_even else 1)
    exponent = np.where(size < float(np.float32(EPSILON)), low, exponent)
    sign = np.where(is_signed & (numbers < 0), -1.0, 1.0)
    return np.asarray(sign * np.exp2(exponent))

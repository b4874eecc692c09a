"""Activations of QKeras, Larq and older Keras layers as edges, each with the side of its ties.

The rules are those of the libraries in inference: QKeras 0.9 and qkeras-v3 1.2 (``quantizers.py``
of either; they agree), Larq 0.13 (``quantizers.py``), BinaryNet for Keras. They round half to even.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hwbnn.errors import CannotLower, nearest
from hwbnn.program import Quantizer
from hwbnn.program.quantizers import rounding, sign, step, ternary
from hwbnn.readers.keras.quantizer_config import LARQ, QKERAS, QuantizerConfig

MOST_BITS = 16
TERNARY_THRESHOLD = float(np.float32(0.33))
"""QKeras's default threshold of ``ternary``, rounded to float32."""

LayerPlace = tuple[str, str, str]
"""The name of a layer, its kind, and the name of the value that it reads."""


def activation(config: QuantizerConfig, place: LayerPlace) -> Quantizer:
    """The quantizer of an activation.

    Args:
        config: the configuration of the quantizer.
        place: name, kind and source of the layer in the program.

    Raises:
        CannotLower: for an activation without a small number of exact levels; the message does not
            name the layer.
    """
    if config.name not in _MAKERS:
        raise CannotLower(
            f"{config.name!r} is no activation of few levels; take one of "
            f"{nearest(config.name, _MAKERS)}"
        )
    make, options = _MAKERS[config.name]
    config.expect_names(options)
    return make(config, place)


def power(config: QuantizerConfig, exponent: int) -> float:
    """``2^exponent``; refused unless the exponent is from -60 to 60."""
    if abs(exponent) > 60:
        raise CannotLower(f"{config.name}: expected a step of 2^-60 to 2^60, found 2^{exponent}")
    return 2.0**exponent


def number_alpha(config: QuantizerConfig) -> float:
    """The scale of a quantizer whose ``alpha`` is a number or missing, rounded to float32."""
    alpha = config.get("alpha")
    if alpha is None:
        return 1.0
    if isinstance(alpha, str):
        raise CannotLower(
            f"{config.name}: alpha={alpha[:20]!r} makes the scale depend on each input; "
            "set a number"
        )
    return config.positive("alpha", 1.0)


def _binary(config: QuantizerConfig, place: LayerPlace) -> Quantizer:
    config.refuse_partial()
    config.refuse_stochastic()
    scale = number_alpha(config)
    return step(*place, scale=scale) if config.flag("use_01") else sign(*place, scale=scale)


def _ternary(config: QuantizerConfig, place: LayerPlace) -> Quantizer:
    config.refuse_partial()
    config.refuse_stochastic()
    return _symmetric(place, ternary_threshold(config), number_alpha(config))


def ternary_threshold(config: QuantizerConfig) -> float:
    """The smallest magnitude for which ``ternary`` is not 0, rounded to float32."""
    if config.get("threshold") is None:
        return TERNARY_THRESHOLD
    threshold = float(np.float32(config.number("threshold", 0.0)))
    if not 0 <= threshold < np.inf:
        raise CannotLower(f"{config.name}: expected a threshold of 0 or more, found {threshold:g}")
    return threshold


def _symmetric(place: LayerPlace, threshold: float, scale: float = 1.0) -> Quantizer:
    """The sign of numbers of magnitude ``threshold`` or more, and 0 of others."""
    # The sign of 0 is 0 even where the threshold is 0.
    return ternary(
        *place,
        threshold=threshold,
        scale=scale,
        upper_closed=threshold > 0,
        lower_closed=threshold == 0,
    )


def _quantized_bits(config: QuantizerConfig, place: LayerPlace) -> Quantizer:
    """``clip(round(x * 2^(u-i)), -2^u + symmetric, 2^u - 1)`` with ``u`` bits besides the sign."""
    config.refuse_partial()
    config.refuse_stochastic()
    bits = config.between("bits", 8, 1, MOST_BITS)
    signed = config.flag("keep_negative", True)
    unsigned = bits - signed
    alpha = number_alpha(config)
    if unsigned == 0:
        return sign(*place, scale=alpha)
    size = power(config, config.integer("integer", 0) - unsigned)
    low = -(1 << unsigned) + config.flag("symmetric") if signed else 0
    high = (1 << unsigned) - 1
    return rounding(*place, low=low, high=high, step=size, scale=size * alpha)


def _quantized_relu(config: QuantizerConfig, place: LayerPlace) -> Quantizer:
    """``clip(round(x * 2^(b-i)), 0, 2^b - 1)``; rounding is stochastic only in training."""
    config.refuse_partial()
    bits = config.between("bits", 8, 1, MOST_BITS)
    if config.flag("use_sigmoid"):
        raise CannotLower("quantized_relu: use_sigmoid=1 is not read; set use_sigmoid=0")
    if config.number("negative_slope", 0.0) != 0:
        raise CannotLower("quantized_relu: a negative_slope is not read; set it to 0")
    size = power(config, config.integer("integer", 0) - bits)
    high = (1 << bits) - 1
    bound = config.get("relu_upper_bound")
    if bound is not None and not config.number("relu_upper_bound", 0.0) >= high * size:
        raise CannotLower(
            "quantized_relu: a relu_upper_bound below the highest level is not read, since versions"
            " of QKeras differ; leave it out, and choose bits and integer for that range"
        )
    return rounding(*place, low=0, high=high, step=size)


def _quantized_tanh(config: QuantizerConfig, place: LayerPlace) -> Quantizer:
    """``clip(round(clip(x, -1, 1) * m) / m, -1, 1 - 1/m)``, QKeras's hard tanh."""
    config.refuse_stochastic()
    if config.flag("use_real_tanh"):
        raise CannotLower("quantized_tanh: use_real_tanh=1 is not read; set use_real_tanh=0")
    unsigned = config.between("bits", 8, 1, MOST_BITS) - 1
    low = -(1 << unsigned) + config.flag("symmetric")
    if low == (1 << unsigned) - 1:
        raise CannotLower("quantized_tanh: 1 bit with symmetric=1 has one level; take binary")
    high = (1 << unsigned) - 1
    return rounding(*place, low=low, high=high, step=power(config, -unsigned))


def _quantized_sigmoid(config: QuantizerConfig, place: LayerPlace) -> Quantizer:
    """``clip(round(clip(x/2 + 1/2, 0, 1) * m) / m, 0, 1 - 1/m)``, QKeras's hard sigmoid."""
    config.refuse_stochastic()
    if config.flag("use_real_sigmoid"):
        raise CannotLower(
            "quantized_sigmoid: use_real_sigmoid=1 is not read; set use_real_sigmoid=0"
        )
    bits = config.between("bits", 8, 1, MOST_BITS)
    low, high = int(config.flag("symmetric")), (1 << bits) - 1
    if low == high:
        raise CannotLower("quantized_sigmoid: 1 bit with symmetric=1 has one level; take binary")
    size = power(config, -bits)
    steps = rounding(*place, low=low, high=high, step=2 * size, scale=size)
    return replace(steps, edges=steps.edges - 1)


def _binary_tanh(config: QuantizerConfig, place: LayerPlace) -> Quantizer:
    """``2 * round(clip(x/2 + 1/2, 0, 1)) - 1``: 1/2 rounds to the even 0, so that 0 gives -1."""
    return sign(*place, zero_is_positive=False)


def _above_zero(config: QuantizerConfig, place: LayerPlace) -> Quantizer:
    """1 above 0, otherwise 0: ``binary_sigmoid``, and Larq's ``ste_heaviside``."""
    return step(*place, closed=False)


def _ternary_tanh(config: QuantizerConfig, place: LayerPlace) -> Quantizer:
    """``round(clip(x, -1, 1))``: 1/2 and -1/2 round to the even 0."""
    return ternary(*place, threshold=0.5, upper_closed=False, lower_closed=True)


def _sign(config: QuantizerConfig, place: LayerPlace) -> Quantizer:
    return sign(*place)


def _ste_tern(config: QuantizerConfig, place: LayerPlace) -> Quantizer:
    """``sign(sign(x + t) + sign(x - t))``: numbers at the threshold are not 0."""
    if config.flag("ternary_weight_networks"):
        raise CannotLower(
            "ste_tern: ternary_weight_networks makes the threshold depend on each input; "
            "set threshold_value"
        )
    return _symmetric(place, config.positive("threshold_value", 0.05))


def _dorefa(config: QuantizerConfig, place: LayerPlace) -> Quantizer:
    """``round(clip(x, 0, 1) * n) / n`` with ``n = 2^k - 1``."""
    if config.get("mode", "activations") != "activations":
        raise CannotLower("dorefa_quantizer: expected mode='activations' on an activation")
    high = (1 << config.between("k_bit", 2, 1, MOST_BITS)) - 1
    steps = rounding(*place, low=0, high=high, step=1 / high)
    # Correctly rounded, so that the one edge that a dyadic number can meet, 1/2, is exact.
    return replace(steps, edges=(2 * np.arange(high) + 1.0)[None] / (2 * high))


ActivationRule = Callable[[QuantizerConfig, LayerPlace], Quantizer]
_NO_ALPHA = tuple(name for name in QKERAS if name != "alpha")
_RELU = ("bits", "integer", "use_sigmoid", "negative_slope", "relu_upper_bound")
_MAKERS: dict[str, tuple[ActivationRule, tuple[str, ...]]] = {
    "binary": (_binary, (*QKERAS, "use_01", "training")),
    "stochastic_binary": (_binary, (*QKERAS, "temperature", "use_real_sigmoid")),
    "ternary": (_ternary, (*QKERAS, "threshold", "number_of_unrolls")),
    "stochastic_ternary": (
        _ternary,
        (*QKERAS, "threshold", "number_of_unrolls", "temperature", "use_real_sigmoid"),
    ),
    "quantized_bits": (_quantized_bits, (*QKERAS, "bits", "integer", "symmetric", "keep_negative")),
    "quantized_relu": (_quantized_relu, (*_NO_ALPHA, *_RELU)),
    "quantized_tanh": (_quantized_tanh, (*_NO_ALPHA, "bits", "symmetric", "use_real_tanh")),
    "quantized_sigmoid": (
        _quantized_sigmoid,
        (*_NO_ALPHA, "bits", "symmetric", "use_real_sigmoid"),
    ),
    "binary_tanh": (_binary_tanh, ()),
    "binary_sigmoid": (_above_zero, ()),
    "ternary_tanh": (_ternary_tanh, ()),
    "ste_sign": (_sign, LARQ),
    "approx_sign": (_sign, LARQ),
    "swish_sign": (_sign, LARQ),
    "ste_heaviside": (_above_zero, LARQ),
    "ste_tern": (_ste_tern, (*LARQ, "threshold_value", "ternary_weight_networks")),
    "dorefa_quantizer": (_dorefa, (*LARQ, "k_bit", "mode")),
}
"""The function that makes each quantizer, and its known options; other options are refused."""
ACTIVATIONS: tuple[str, ...] = tuple(_MAKERS)
"""The activations that are read."""

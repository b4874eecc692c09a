"""Weight quantizers of QKeras, Larq and older Keras layers: integers and a scale for each channel.

The rules are those of the libraries in inference: QKeras 0.9 and qkeras-v3 1.2 (``quantizers.py``
of either), Larq 0.13 (``quantizers.py``), BinaryNet for Keras. Stored float32 weights are quantized
in float64, in which the edges between integers are exact. Where a scale is computed from the
weights, the weights so close to an edge that float32 might take the other integer are counted.

Rounding is half to even, except for ``quantized_bits`` with ``alpha="auto"`` or ``"auto_po2"``,
which rounds magnitudes half up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hwbnn.errors import CannotLower, nearest
from hwbnn.graph.arrays import Array, Floats, Ints
from hwbnn.program.layers import WEIGHT_LIMIT
from hwbnn.readers.keras.activation_quantizers import number_alpha, power, ternary_threshold
from hwbnn.readers.keras.quantizer_config import LARQ, QKERAS, QuantizerConfig

EPSILON = 1e-7
"""Keras's epsilon, which QKeras adds to denominators and in logarithms."""
NEAR = 1e-6
"""Distance from an edge, in steps, within which float32 might round to the other side."""
NEAR_EXPONENT = 1e-4
"""Distance of an exponent from one half within which float32 might take the other power of two."""
ITERATIONS = 5
MOST_WEIGHT_BITS = 16


@dataclass(frozen=True, eq=False)
class QuantizedWeights:
    """A kernel or a bias as integers: its values are ``codes * scale``.

    Attributes:
        codes: int64, of the shape of the stored weights.
        scale: float64, one for all or one for each index of the last axis, positive.
        near: number of weights so close to the edge between two codes that float32 might take the
            other code.
    """

    codes: Ints
    scale: Floats
    near: int = 0


@dataclass(frozen=True)
class WeightQuantizer:
    """A quantizer of kernels or biases.

    Attributes:
        name: name of the quantizer, for messages.
        function: quantizes weights, given as float64 numbers that float32 holds exactly.
    """

    name: str
    function: Callable[[Floats], QuantizedWeights] = field(compare=False)

    def __call__(self, weights: Array) -> QuantizedWeights:
        """Quantize stored weights, whose last axis has the output channels.

        Raises:
            CannotLower: for weights that are not finite, or have no exact integers; the message
                gives the reason and does not name the layer.
        """
        with np.errstate(over="ignore"):
            single = np.asarray(weights, np.float32)
        if not np.isfinite(single).all():
            raise CannotLower("expected finite weights, found an infinite one or a NaN")
        with np.errstate(all="ignore"):
            found = self.function(single.astype(np.float64))
        largest = int(np.abs(found.codes).max()) if found.codes.size else 0
        if largest >= WEIGHT_LIMIT:
            raise CannotLower(
                f"{self.name}: expected integer weights below {WEIGHT_LIMIT} in magnitude, found "
                f"{largest}; take fewer bits"
            )
        if not (np.isfinite(found.scale).all() and (found.scale > 0).all()):
            raise CannotLower(f"{self.name}: the scale of a channel is not above 0; train it on")
        return found


def kernel_quantizer(config: QuantizerConfig, *, settles: bool = True) -> WeightQuantizer:
    """The quantizer of a kernel, with the defaults that the library sets for kernels.

    If a kernel's quantizer has no ``alpha``, QKeras sets ``alpha="auto_po2"`` when the layer is
    built, and for ``quantized_bits`` also ``symmetric``.

    Args:
        config: the quantizer.
        settles: whether ``quantized_bits`` computes its integers once more with the last scale:
            qkeras-v3 does, QKeras 0.9 does not.

    Raises:
        CannotLower: for a quantizer without exact integers; the message does not name the layer.
    """
    if config.get("alpha") is None and config.name in _AUTOMATIC:
        config = config.replaced(alpha="auto_po2")
        if config.name == "quantized_bits":
            config = config.replaced(symmetric=1)
    return _weights(config, settles)


def bias_quantizer(config: QuantizerConfig, *, settles: bool = True) -> WeightQuantizer:
    """The quantizer of a bias, with its options as they are in the file.

    Raises:
        CannotLower: for a quantizer without exact integers; the message does not name the layer.
    """
    alpha = config.get("alpha")
    if isinstance(alpha, str):
        raise CannotLower(
            f"{config.name}: alpha={alpha[:20]!r} on a bias is not read; set a number"
        )
    return _weights(config, settles)


def _weights(config: QuantizerConfig, settles: bool) -> WeightQuantizer:
    if config.name == "bernoulli":
        raise CannotLower("bernoulli is random in inference too; take binary or stochastic_binary")
    if config.name not in _WEIGHTS:
        raise CannotLower(
            f"{config.name!r} gives no integer weights; take one of "
            f"{nearest(config.name, _WEIGHTS)}"
        )
    config.expect_names(_OPTIONS.get(config.name, LARQ))
    config.refuse_partial()
    alpha = config.get("alpha")
    if isinstance(alpha, str) and alpha not in ("auto", "auto_po2"):
        raise CannotLower(
            f"{config.name}: expected alpha 'auto', 'auto_po2' or a number, found {alpha[:40]!r}"
        )
    function = _WEIGHTS[config.name](config, settles)
    return WeightQuantizer(config.name, function)


WeightRule = Callable[[QuantizerConfig, bool], Callable[[Floats], QuantizedWeights]]


def least_squares_scale(x: Floats, q: Floats, po2: bool) -> Floats:
    """QKeras's scale: ``mean(x * q) / (mean(q * q) + epsilon)`` over all axes but the last.

    Args:
        x: weights, float64.
        q: their integers, as float64 of the same shape.
        po2: whether to round the scale to a power of two.
    """
    if x.ndim > 1:
        axes = tuple(range(x.ndim - 1))
        xq, qq = (x * q).mean(axis=axes), (q * q).mean(axis=axes)
    else:
        xq, qq = x * q, q * q
    scale = xq / (qq + EPSILON)
    return power_of_two(scale) if po2 else np.asarray(scale)


def power_of_two(scale: Floats) -> Floats:
    """``2^round(log2(scale + epsilon))``.

    Raises:
        CannotLower: where an exponent is so close to one half that float32 may round it otherwise.
    """
    exponent = np.log2(scale + EPSILON)
    away = np.abs(exponent - np.floor(exponent) - 0.5)
    if away.size and away.min() < NEAR_EXPONENT:
        raise CannotLower(
            "the scale of a channel lies half-way between two powers of two, where float32 may "
            "round either way; train a little more, or set alpha=1"
        )
    return np.asarray(np.exp2(np.rint(exponent)))


def _largest(x: Floats) -> Floats:
    return np.asarray(np.abs(x).max(axis=tuple(range(x.ndim - 1)) if x.ndim > 1 else (0,)))


def _edges_near(v: Floats, edge: float | Floats) -> int:
    """The number of elements within float32's rounding of an edge, but not exactly on it."""
    distance = np.abs(v - edge)
    return int(((distance < NEAR * np.maximum(1.0, np.abs(v))) & (distance > 0)).sum())


def _binary_weights(config: QuantizerConfig, settles: bool) -> Callable[[Floats], QuantizedWeights]:
    """``binary`` and ``stochastic_binary``: the sign, where 0 gives +1."""
    config.refuse_stochastic()
    use_01 = config.flag("use_01")
    alpha = config.get("alpha")
    fixed = None if isinstance(alpha, str) else number_alpha(config)

    def function(x: Floats) -> QuantizedWeights:
        codes = np.where(x < 0, 0 if use_01 else -1, 1)
        if fixed is not None:
            return QuantizedWeights(codes, np.asarray(fixed))
        scale = least_squares_scale(x, codes.astype(np.float64), alpha == "auto_po2")
        return QuantizedWeights(codes, scale)

    return function


def _ternary_weights(
    config: QuantizerConfig, settles: bool
) -> Callable[[Floats], QuantizedWeights]:
    """``ternary`` and ``stochastic_ternary``: 0 below a threshold of magnitude, else the sign."""
    config.refuse_stochastic()
    alpha = config.get("alpha")
    unrolls = config.between("number_of_unrolls", ITERATIONS, 1, 100)
    if not isinstance(alpha, str):
        fixed, threshold = number_alpha(config), ternary_threshold(config)

        def plain(x: Floats) -> QuantizedWeights:
            codes = np.where(np.abs(x) >= threshold, np.sign(x), 0).astype(np.int64)
            return QuantizedWeights(codes, np.asarray(fixed))

        return plain

    def function(x: Floats) -> QuantizedWeights:
        po2 = alpha == "auto_po2"
        scale = 2 * _largest(x) / 3.0
        if po2:
            scale = power_of_two(scale)
        codes = np.zeros(x.shape, np.int64)
        near = 0
        for _ in range(unrolls):
            v = x / scale
            # |scale * round(v)| >= scale / 2; a channel of zeros has scale 0, and NaN here.
            rounded = np.nan_to_num(np.rint(v), nan=0.0, posinf=0.0, neginf=0.0)
            codes = np.where(np.abs(rounded) >= 0.5, np.sign(x), 0.0).astype(np.int64)
            near = _edges_near(np.abs(np.nan_to_num(v)), 0.5)
            scale = least_squares_scale(x, codes.astype(np.float64), po2)
        return _without_zero_scales(codes, scale, near)

    return function


def _without_zero_scales(codes: Ints, scale: Floats, near: int) -> QuantizedWeights:
    """Give channels whose integers are all 0 the scale 1, which does not change their values."""
    zero = ~codes.any(axis=tuple(range(codes.ndim - 1)))
    return QuantizedWeights(codes, np.where(zero, 1.0, scale), near)


def _fixed_point_weights(
    config: QuantizerConfig, settles: bool
) -> Callable[[Floats], QuantizedWeights]:
    """``quantized_bits`` on weights."""
    config.refuse_stochastic()
    bits = config.between("bits", 8, 1, MOST_WEIGHT_BITS)
    signed = config.flag("keep_negative", True)
    integer = config.integer("integer", 0)
    symmetric = config.flag("symmetric")
    unsigned = bits - signed
    alpha = config.get("alpha")
    if not isinstance(alpha, str):
        fixed = number_alpha(config)
        if unsigned == 0:
            return lambda x: QuantizedWeights(np.where(x < 0, -1, 1), np.asarray(fixed))
        step = power(config, integer - unsigned)
        low = -(1 << unsigned) + symmetric if signed else 0

        def plain(x: Floats) -> QuantizedWeights:
            codes = np.clip(np.rint(x / step), low, (1 << unsigned) - 1).astype(np.int64)
            return QuantizedWeights(codes, np.asarray(step * fixed))

        return plain
    if bits == 1:
        raise CannotLower(
            f"1 bit with alpha={alpha!r} computes NaN or 0 in QKeras itself; take binary"
        )
    if not symmetric:
        raise CannotLower(
            f"alpha={alpha!r} without symmetric=1 has no integers; set symmetric=1 or alpha=1"
        )
    most = (1 << (bits - 1)) - 1
    whole = power(config, integer)

    def rounded(x: Floats, scale: Floats) -> tuple[Floats, int]:
        v = np.nan_to_num(np.abs(x) / scale, nan=0.0)
        near = _edges_near(v, np.minimum(np.floor(v) + 0.5, most - 0.5))
        return np.sign(x) * np.minimum(np.floor(v + 0.5), most), near

    def function(x: Floats) -> QuantizedWeights:
        x = x / whole
        scale = _largest(x) * 2 / (2 * most)
        if alpha == "auto_po2":
            scale = power_of_two(scale)
            for _ in range(ITERATIONS):
                z, near = rounded(x, scale)
                scale = least_squares_scale(x, z, True)
            if settles:
                z, near = rounded(x, scale)
        else:
            z, near = rounded(x, scale)
        return _without_zero_scales(z.astype(np.int64), scale * whole, near)

    return function


def _power_weights(config: QuantizerConfig, settles: bool) -> Callable[[Floats], QuantizedWeights]:
    """``quantized_po2``: a sign and a power of two, never 0.

    The exponent is ``clip(round(log2 |x|))``; ``|x|`` below the epsilon gives the least exponent.
    It is computed exactly by squares: ``round(log2 |x|) >= e`` if ``x^2 >= 2^(2e - 1)``.
    """
    # Exponents are rounded to the nearest in inference even with stochastic rounding.
    bits = config.between("bits", 8, 1, MOST_WEIGHT_BITS)
    if config.flag("quadratic_approximation"):
        raise CannotLower("quantized_po2: quadratic_approximation is not read; expected False")
    if config.get("log2_rounding", "rnd") != "rnd":
        raise CannotLower("quantized_po2: log2_rounding is not read; expected 'rnd'")
    given = config.get("max_value")
    most = None if given is None else config.positive("max_value", 1.0)
    effective = bits - 1 - int(most is None or most > 1)
    if not 0 <= effective <= 7:
        raise CannotLower(f"quantized_po2: expected 2 to 8 bits, found {bits}")
    low, high = -(1 << effective), (1 << effective) - 1

    def function(x: Floats) -> QuantizedWeights:
        magnitude = np.abs(x)
        if most is not None:
            magnitude = np.minimum(magnitude, most)
        fraction, exponent = np.frexp(magnitude)  # fraction * 2^exponent, fraction from 1/2 on
        exponent = np.clip(exponent - (fraction * fraction < 0.5), low, high)
        exponent = np.where(np.abs(x) < float(np.float32(EPSILON)), low, exponent)
        least, greatest = int(exponent.min()), int(exponent.max())
        if greatest - least >= 15:
            raise CannotLower(
                f"expected powers of two within a factor of 2^14, found 2^{least} to 2^{greatest}; "
                "take fewer bits or a larger max_value"
            )
        codes = np.where(x < 0, -1, 1) << (exponent - least)
        near = _edges_near(2 * np.log2(np.maximum(magnitude, EPSILON)), 2 * exponent - 1)
        return QuantizedWeights(codes.astype(np.int64), np.asarray(2.0**least), near)

    return function


def _sign_weights(config: QuantizerConfig, settles: bool) -> Callable[[Floats], QuantizedWeights]:
    return lambda x: QuantizedWeights(np.where(x < 0, -1, 1), np.asarray(1.0))


def _scaled_sign_weights(
    config: QuantizerConfig, settles: bool
) -> Callable[[Floats], QuantizedWeights]:
    """Larq's ``magnitude_aware_sign``: the sign, times the mean magnitude of each channel."""

    def function(x: Floats) -> QuantizedWeights:
        scale = np.abs(x).mean(axis=tuple(range(x.ndim - 1)))
        return QuantizedWeights(np.where(x < 0, -1, 1), np.asarray(scale))

    return function


def _heaviside_weights(
    config: QuantizerConfig, settles: bool
) -> Callable[[Floats], QuantizedWeights]:
    return lambda x: QuantizedWeights((x > 0).astype(np.int64), np.asarray(1.0))


def _larq_ternary_weights(
    config: QuantizerConfig, settles: bool
) -> Callable[[Floats], QuantizedWeights]:
    relative = config.flag("ternary_weight_networks")
    fixed = config.positive("threshold_value", 0.05)

    def function(x: Floats) -> QuantizedWeights:
        threshold = 0.7 * float(np.abs(x).mean()) if relative and x.size else fixed
        codes = np.where(np.abs(x) >= threshold, np.sign(x), 0).astype(np.int64)
        near = _edges_near(np.abs(x) / threshold, 1.0) if relative and threshold > 0 else 0
        return QuantizedWeights(codes, np.asarray(1.0), near)

    return function


def binary_layer_codes(x: Floats) -> Ints:
    """``BinaryDense``: ``2 * round(clip(x/2 + 1/2, 0, 1)) - 1``, where 0 gives -1."""
    return np.where(x > 0, 1, -1)


def ternary_layer_codes(x: Floats) -> Ints:
    """``TernaryDense``: numbers above 1/2 give +1, numbers up to -1/2 give -1, others 0."""
    return (x > 0.5).astype(np.int64) - (x <= -0.5).astype(np.int64)


_WEIGHTS: dict[str, WeightRule] = {
    "binary": _binary_weights,
    "stochastic_binary": _binary_weights,
    "ternary": _ternary_weights,
    "stochastic_ternary": _ternary_weights,
    "quantized_bits": _fixed_point_weights,
    "quantized_po2": _power_weights,
    "ste_sign": _sign_weights,
    "approx_sign": _sign_weights,
    "swish_sign": _sign_weights,
    "magnitude_aware_sign": _scaled_sign_weights,
    "ste_heaviside": _heaviside_weights,
    "ste_tern": _larq_ternary_weights,
}
_AUTOMATIC = ("binary", "stochastic_binary", "ternary", "stochastic_ternary", "quantized_bits")
"""Quantizers of kernels whose missing ``alpha`` becomes ``"auto_po2"``."""
_BITS = ("bits", "integer", "symmetric", "keep_negative")
_NO_ALPHA = tuple(name for name in QKERAS if name != "alpha")
_OPTIONS: dict[str, tuple[str, ...]] = {
    "binary": (*QKERAS, "use_01", "training"),
    "stochastic_binary": (*QKERAS, "temperature", "use_real_sigmoid"),
    "ternary": (*QKERAS, "threshold", "number_of_unrolls"),
    "stochastic_ternary": (
        *(*QKERAS, "threshold", "number_of_unrolls", "temperature", "use_real_sigmoid"),
    ),
    "quantized_bits": (*QKERAS, *_BITS),
    "quantized_po2": (
        *(*_NO_ALPHA, "bits", "max_value", "quadratic_approximation", "log2_rounding"),
    ),
    "ste_tern": (*LARQ, "threshold_value", "ternary_weight_networks"),
}
"""The known options of these quantizers; other options are refused. Other quantizers: Larq's."""

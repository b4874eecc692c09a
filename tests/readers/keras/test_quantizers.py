"""Each quantizer against a closed form of its own, ties included; wrong rules are caught."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from hwbnn.errors import CannotLower
from hwbnn.readers.keras import weight_quantizers
from hwbnn.readers.keras.activation_quantizers import ACTIVATIONS, activation
from hwbnn.readers.keras.quantizer_config import QuantizerConfig, quantizer
from hwbnn.readers.keras.weight_quantizers import (
    bias_quantizer,
    binary_layer_codes,
    kernel_quantizer,
    ternary_layer_codes,
)

TIES = np.concatenate([np.arange(-96, 97) / 16, [0.33, -0.33, 1e-30, -1e-30]]).astype(np.float32)
"""Numbers on and between the edges of all quantizers of few bits."""


def config(text: Any) -> QuantizerConfig:
    found = quantizer(text)
    assert found is not None
    return found


def levels(text: Any, x: Any) -> np.ndarray[Any, Any]:
    """The values of an activation."""
    steps = activation(config(text), ("a", "QActivation", "x"))
    return steps.counts(np.asarray(x, np.float64)[:, None])[:, 0] * steps.scale + steps.offset


def half_even(x: Fraction) -> int:
    """Rounding of Python's rationals, which is half to even."""
    return round(x)


def clip(n: Any, low: Any, high: Any) -> Any:
    return min(max(n, low), high)


def bits(x: Fraction, b: int, i: int, symmetric: int = 0, signed: int = 1) -> Fraction:
    u = b - signed
    return clip(half_even(x * 2**u / 2**i), signed * (-(2**u) + symmetric), 2**u - 1) * (
        Fraction(2**i, 2**u)
    )


def relu(x: Fraction, b: int, i: int) -> Fraction:
    return clip(half_even(x * 2**b / 2**i), 0, 2**b - 1) * Fraction(2**i, 2**b)


def tanh(x: Fraction, b: int, symmetric: int = 0) -> Fraction:
    m = 2 ** (b - 1)
    return clip(
        Fraction(half_even(clip(x, -1, 1) * m), m), -1 + Fraction(symmetric, m), 1 - Fraction(1, m)
    )


def sigmoid(x: Fraction, b: int, symmetric: int = 0) -> Fraction:
    m = 2**b
    p = clip(x / 2 + Fraction(1, 2), 0, 1)
    return clip(Fraction(half_even(p * m), m), Fraction(symmetric, m), 1 - Fraction(1, m))


def ternary(x: Fraction, t: float) -> int:
    return (abs(x) >= Fraction(float(np.float32(t)))) * ((x > 0) - (x < 0))


FORMS = {
    "binary": lambda x: -1 if x < 0 else 1,
    "binary(alpha=0.5)": lambda x: Fraction(-1 if x < 0 else 1, 2),
    "binary(use_01=1)": lambda x: int(x >= 0),
    "stochastic_binary": lambda x: -1 if x < 0 else 1,
    "ternary": lambda x: ternary(x, 0.33),
    "ternary(threshold=0.5)": lambda x: ternary(x, 0.5),
    "ternary(alpha=2.0,threshold=0)": lambda x: 2 * ternary(x, 0),
    "stochastic_ternary": lambda x: ternary(x, 0.33),
    "quantized_bits(4,1)": lambda x: bits(x, 4, 1),
    "quantized_bits(4,1,1)": lambda x: bits(x, 4, 1, 1),
    "quantized_bits(3,0,0,0)": lambda x: bits(x, 3, 0, 0, 0),
    "quantized_bits(4,3,alpha=1)": lambda x: bits(x, 4, 3),
    "quantized_bits(bits=5,integer=-1)": lambda x: bits(x * 2, 5, 0) / 2,
    "quantized_bits(1,0)": lambda x: -1 if x < 0 else 1,
    "quantized_relu(2)": lambda x: relu(x, 2, 0),
    "quantized_relu(1)": lambda x: relu(x, 1, 0),
    "quantized_relu(3,1)": lambda x: relu(x, 3, 1),
    "quantized_relu(4,2)": lambda x: relu(x, 4, 2),
    "quantized_tanh(3)": lambda x: tanh(x, 3),
    "quantized_tanh(1)": lambda x: tanh(x, 1),
    "quantized_tanh(4,symmetric=1)": lambda x: tanh(x, 4, 1),
    "quantized_sigmoid(3)": lambda x: sigmoid(x, 3),
    "quantized_sigmoid(4,1)": lambda x: sigmoid(x, 4, 1),
    "binary_tanh": lambda x: 2 * half_even(clip(x / 2 + Fraction(1, 2), 0, 1)) - 1,
    "binary_sigmoid": lambda x: half_even(clip(x / 2 + Fraction(1, 2), 0, 1)),
    "ternary_tanh": lambda x: half_even(clip(x, -1, 1)),
    "ste_sign": lambda x: -1 if x < 0 else 1,
    "approx_sign": lambda x: -1 if x < 0 else 1,
    "swish_sign": lambda x: -1 if x < 0 else 1,
    "ste_heaviside": lambda x: int(x > 0),
    "ste_tern(threshold_value=0.5)": lambda x: ternary(x, 0.5),
    "dorefa_quantizer(k_bit=2)": lambda x: Fraction(half_even(clip(x, 0, 1) * 3), 3),
}


@pytest.mark.parametrize("text", FORMS)
def test_an_activation_has_its_closed_form(text: str) -> None:
    wanted = [FORMS[text](Fraction(float(x))) for x in TIES]
    assert levels(text, TIES).tolist() == [float(w) for w in wanted]


def test_every_activation_has_a_closed_form_here() -> None:
    assert {config(text).name for text in FORMS} == set(ACTIVATIONS)


def test_rounding_half_up_is_caught() -> None:
    text = "quantized_relu(3,1)"
    half_up = [clip(math.floor(Fraction(float(x)) * 4 + Fraction(1, 2)), 0, 7) / 4 for x in TIES]
    assert levels(text, TIES).tolist() != half_up


def test_a_strict_threshold_is_caught() -> None:
    x = np.float32([0.5, -0.5, 0.25])
    assert levels("ternary(threshold=0.5)", x).tolist() == [1, -1, 0]
    assert levels("ternary(threshold=0.5)", np.nextafter(x, np.float32(0))).tolist() == [0, 0, 0]
    assert levels("binary", [-0.0]).tolist() == [1]
    assert levels("binary_tanh", [0.0]).tolist() == [-1]
    assert ternary_layer_codes(np.array([0.5, 0.6, -0.5, -0.4])).tolist() == [0, 1, -1, 0]
    assert binary_layer_codes(np.array([0.0, 1e-9, -1e-9])).tolist() == [-1, 1, -1]


# --------------------------------------------------------------------------------------- kernels


def kernel(text: Any, weights: Any, **options: Any) -> tuple[list[Any], list[float]]:
    found = kernel_quantizer(config(text), **options)(np.asarray(weights, np.float32))
    return found.codes.tolist(), np.atleast_1d(found.scale).tolist()


def test_a_kernel_without_alpha_has_powers_of_two_for_each_channel() -> None:
    weights = [[0.3, -1.1], [-0.2, -0.9], [0.25, 0.0]]
    # mean |w|: 0.25 and 0.667; log2 rounds to -2 and -1 (0.667 is nearer to 0.5 by logarithm).
    codes, scale = kernel("binary", weights)
    assert codes == [[1, -1], [-1, -1], [1, 1]]
    assert scale == [0.25, 2.0 ** round(math.log2(2 / 3))]
    assert kernel("binary(alpha=1)", weights) == (codes, [1.0])
    assert kernel({"class_name": "binary", "config": {"alpha": None}}, weights)[1] == scale


def test_alpha_auto_is_the_least_squares_scale() -> None:
    weights = np.float32([[0.5, -1.0], [-0.25, -3.0]])
    _, scale = kernel("binary(alpha='auto')", weights)
    assert scale == [0.375 / (1 + 1e-7), 2.0 / (1 + 1e-7)]


def test_a_depthwise_kernel_has_one_scale_for_all_channels() -> None:
    weights = np.float32([0.1, 0.9, 2.0, 0.2]).reshape(1, 1, 4, 1)
    _, scale = kernel("binary", weights)
    assert scale == [2.0 ** round(math.log2(0.8))]
    per_channel = [2.0 ** round(math.log2(v)) for v in (0.1, 0.9, 2.0, 0.2)]
    assert scale * 4 != per_channel


def test_a_bias_without_alpha_keeps_the_scale_1() -> None:
    weights = np.float32([0.3, -0.3])
    found = bias_quantizer(config("binary"))(weights)
    assert found.codes.tolist() == [1, -1]
    assert found.scale == 1


def test_fixed_point_weights_round_half_to_even_with_a_number_and_half_up_with_auto() -> None:
    weights = np.float32([[0.25], [0.75], [1.25], [-0.25], [-0.75], [3.5]])
    codes, scale = kernel("quantized_bits(4,2,1,alpha=1)", weights * 2)  # steps of one half
    assert codes == [[1], [3], [5], [-1], [-3], [7]]
    assert scale == [0.5]
    assert kernel("quantized_bits(4,2,1,alpha=1)", weights)[0] == [[0], [2], [2], [0], [-2], [7]]
    # Largest magnitude 3.5: scale 2 * 3.5 / 14; its multiples' halves go away from zero.
    codes, scale = kernel("quantized_bits(4,0,1,alpha='auto')", weights)
    assert codes == [[1], [2], [3], [-1], [-2], [7]]
    assert scale == [0.5]


def test_fixed_point_weights_without_alpha_are_symmetric() -> None:
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(40, 3)).astype(np.float32)
    found = kernel_quantizer(config("quantized_bits(3,0)"))(weights)
    assert found.codes.min() == -3
    assert found.codes.max() == 3
    assert np.log2(found.scale).tolist() == np.rint(np.log2(found.scale)).tolist()


def test_generations_differ_where_the_scale_has_not_settled() -> None:
    """QKeras 0.9 keeps the integers of the last scale but one, qkeras-v3 takes the last."""
    weights = np.float32([[8.3799634e-08], [1.5503408e-10]])
    # The scale goes to and fro between 2^-23 and 2^-22: epsilon is as large as the weights.
    assert kernel("quantized_bits(3,0)", weights, settles=False) == ([[1], [0]], [2.0**-22])
    assert kernel("quantized_bits(3,0)", weights, settles=True)[0] == [[0], [0]]
    larger = np.random.default_rng(5).normal(size=(6, 40)).astype(np.float32)
    found = [kernel("quantized_bits(3,0)", larger, settles=settles) for settles in (False, True)]
    assert found[0] == found[1]


def test_powers_of_two_are_decided_exactly() -> None:
    root = np.float32(math.sqrt(0.5))
    below, above = (root, np.nextafter(root, np.float32(1)))
    assert below * below < 0.5 < float(above) ** 2
    codes, scale = kernel("quantized_po2(4,1)", [[below], [above], [-1.0], [0.0], [5.0]])
    assert codes == [[128], [256], [-256], [1], [256]]
    assert scale == [2.0**-8]


def test_ternary_iterates_to_its_scale() -> None:
    weights = np.float32([[1.0], [0.9], [-1.1], [0.1], [-0.05]])
    codes, scale = kernel("ternary", weights)
    assert codes == [[1], [1], [-1], [0], [0]]
    assert scale == [1.0]
    assert kernel("ternary(alpha=1)", weights * 0.4)[0] == [[1], [1], [-1], [0], [0]]


def test_weights_near_an_edge_are_counted() -> None:
    weights = np.float32([[7.0], [2.5]])
    found = kernel_quantizer(config("quantized_bits(4,3,1,alpha='auto')"))(weights)
    assert found.near == 0  # on the edge, where float32 computes what float64 does
    weights = np.array([[7.0], [np.nextafter(np.float32(2.5), np.float32(3))]], np.float32)
    found = kernel_quantizer(config("quantized_bits(4,3,1,alpha='auto')"))(weights)
    assert found.near == 1


REFUSED = {
    "bernoulli": "random",
    "bernoulli(alpha=1)": "random",
    "quantized_bits(1,0,alpha='auto')": "NaN",
    "quantized_bits(4,0,0,alpha='auto')": "symmetric=1",
    "quantized_bits(4,0,1,alpha='best')": "'auto'",
    "quantized_bits(4,qnoise_factor=0.5)": "qnoise_factor",
    "quantized_bits(17,0,alpha=1)": "1 to 16",
    "quantized_bits(4,0,1,alpha=0)": "alpha above 0",
    "binary(use_stochastic_rounding=1)": "use_stochastic_rounding",
    "binary(scale_axis=1)": "scale_axis",
    "binary(bogus=1)": "'bogus'",
    "quantized_po2(8)": "2\\^",
    "quantized_po2(4,1,quadratic_approximation=1)": "quadratic",
    "quantized_relu(4)": "no integer weights",
    "dorefa_quantizer": "no integer weights",
    "my_quantizer": "my_quantizer",
}


@pytest.mark.parametrize("text", REFUSED)
def test_kernels_without_exact_integers_are_refused(text: str) -> None:
    weights = np.float32([[1e-9, 1.0], [0.5, 2.0**30]])
    with pytest.raises(CannotLower, match=REFUSED[text]):
        kernel(text, weights)


REFUSED_ACTIVATIONS = {
    "tanh": "no activation of few levels",
    "quantized_relu(17)": "1 to 16",
    "quantized_relu(4,negative_slope=0.25)": "negative_slope",
    "quantized_relu(4,2,1)": "use_sigmoid",
    "quantized_relu(4,2,relu_upper_bound=2)": "relu_upper_bound",
    "quantized_tanh(4,use_real_tanh=1)": "use_real_tanh",
    "quantized_sigmoid(4,use_real_sigmoid=1)": "use_real_sigmoid",
    "binary(alpha='auto')": "depends on each|depend on each",
    "ste_tern(ternary_weight_networks=True)": "depend on each input",
    "quantized_bits(4,qnoise_factor=0.0)": "qnoise_factor",
    "quantized_bits(4,integer=100)": "2\\^-60",
}


@pytest.mark.parametrize("text", REFUSED_ACTIVATIONS)
def test_activations_without_few_exact_levels_are_refused(text: str) -> None:
    with pytest.raises(CannotLower, match=REFUSED_ACTIVATIONS[text]):
        levels(text, [0.0])


def test_an_exponent_half_way_is_refused() -> None:
    weights = np.full((4, 1), 2**-0.5, np.float32)
    with pytest.raises(CannotLower, match="half-way"):
        kernel("binary", weights)


def test_a_planted_rule_of_the_scale_changes_the_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = [[0.3, -1.1], [-0.2, -0.9]]
    good = kernel("binary", weights)
    monkeypatch.setattr(weight_quantizers, "_AUTOMATIC", ())  # alpha None left as 1
    assert kernel("binary", weights) != good


# ------------------------------------------------------------------------------------------ text

WRITTEN = {
    "binary": ("binary", {}),
    "quantized_relu( 2 , 1 )": ("quantized_relu", {"bits": 2, "integer": 1}),
    "quantized_bits(4, 0, 1, alpha='auto_po2')": (
        "quantized_bits",
        {"bits": 4, "integer": 0, "symmetric": 1, "alpha": "auto_po2"},
    ),
    "qkeras>binary(alpha=0.5)": ("binary", {"alpha": 0.5}),
    "ternary(threshold=None)": ("ternary", {"threshold": None}),
    "binary(use_01=True)": ("binary", {"use_01": True}),
    "quantized_bits(2,alpha=1e-1)": ("quantized_bits", {"bits": 2, "alpha": 0.1}),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_text_is_read_by_a_grammar_of_literals(text: str) -> None:
    found = config(text)
    assert (found.name, dict(found.options)) == WRITTEN[text]


@pytest.mark.parametrize(
    "text",
    [
        *("__import__('os').system('true')", "binary(alpha=open('x'))", "binary(1, 2, 3)", ""),
        *("binary(alpha=1)(2)", "quantized_bits(4,bits=4)", "binary(alpha=", "a" * 400),
        *("quantized_bits(alpha=1, 4)", "binary(alpha=1+1)", "lambda: 0", "binary(\n)(", "2"),
        *("binary(alpha=1e400)", "binary(alpha=\ud800)"),
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(CannotLower) as caught:
        levels(text, [0.0])
    assert str(caught.value).isprintable()


def test_objects_are_read_with_and_without_a_package() -> None:
    for name, module in (("binary", None), ("qkeras>binary", "qkeras.quantizers")):
        value = {
            "module": module,
            "class_name": name,
            "config": {"alpha": 0.5, "use_01": False},
            "registered_name": "qkeras>binary",
        }
        assert levels(value, [-1, 0]).tolist() == [-0.5, 0.5]
    assert config({"class_name": "Larq>SteSign", "config": {"clip_value": 1.0}}).name == "ste_sign"
    assert config({"class_name": "function", "config": "relu"}).name == "relu"
    assert quantizer(None) is None
    for wrong in (3, ["binary"], {}, {"class_name": 3}, {"class_name": "../x", "config": {}}):
        with pytest.raises(CannotLower):
            quantizer(wrong)

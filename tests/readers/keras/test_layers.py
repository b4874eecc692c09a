"""Layers of Keras as layers of a program, by small networks; what has no exact form is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwbnn.errors import CannotLower, HwbnnError, InputError
from hwbnn.graph import Input
from hwbnn.lowering.from_program import lower_program
from hwbnn.program import BatchNorm, Convolution, MaxPooling, Program
from hwbnn.readers.keras import padding as padding_module
from hwbnn.readers.keras import program
from hwbnn.readers.keras.saved_model import KerasFile
from hwbnn.simulators import simulate
from tests.readers.keras.evaluate import values
from tests.readers.keras.tiny import (
    Tiny,
    conv,
    counted,
    dense,
    named,
    read,
    read_functional,
    sequential,
)

RNG = np.random.default_rng(3)
_STATE = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order_of_tests() -> None:
    RNG.bit_generator.state = _STATE


def outputs(found: Program, x: Any) -> np.ndarray[Any, Any]:
    return values(found, x)[found.output]


def signs(*shape: int) -> np.ndarray[Any, Any]:
    return np.where(RNG.random(shape) < 0.5, -1.0, 1.0)


def activation(text: Any, **options: Any) -> Tiny:
    return Tiny("QActivation", {"activation": text}, **options)


def norm(channels: int, **options: Any) -> Tiny:
    """A BatchNorm whose gains have both signs."""
    weights = {
        "gamma": np.linspace(-1.5, 2, channels),
        "beta": np.linspace(0.5, -1, channels),
        "moving_mean": np.linspace(-2, 1, channels),
        "moving_variance": np.linspace(0.5, 2, channels),
    }
    if options.get("scale") is False:
        del weights["gamma"]
    if options.get("center") is False:
        del weights["beta"]
    given = {"axis": -1, "epsilon": 1e-3, "scale": True, "center": True, **options}
    return Tiny("BatchNormalization", given, weights)


def naive(x: Any, kernel: Any, stride: int, padding: str, outside: float = 0.0) -> Any:
    """A convolution by its definition, with TensorFlow's padding: the smaller half first."""
    rows, columns, _, filters = kernel.shape
    height, width, _ = x.shape
    if padding == "same":
        out = (-(-height // stride), -(-width // stride))
        more = [
            max((n - 1) * stride + k - m, 0)
            for n, k, m in zip(out, (rows, columns), (height, width), strict=True)
        ]
        first = [m // 2 for m in more]
    else:
        out = ((height - rows) // stride + 1, (width - columns) // stride + 1)
        first = [0, 0]
    y = np.zeros((*out, filters))
    for i in range(out[0]):
        for j in range(out[1]):
            for k in range(rows):
                for n in range(columns):
                    r, c = i * stride + k - first[0], j * stride + n - first[1]
                    inside = 0 <= r < height and 0 <= c < width
                    tap = x[r, c] if inside else np.full(x.shape[2], outside)
                    y[i, j] += tap @ kernel[k, n]
    return y


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("size", [(7, 8), (8, 7)])
def test_a_convolution_pads_as_tensorflow_does(
    size: tuple[int, int], padding: str, stride: int
) -> None:
    kernel = signs(3, 3, 2, 4)
    x = RNG.integers(-3, 4, (*size, 2)).astype(float)
    found = read(
        conv(kernel, padding=padding, strides=[stride, stride], kernel_quantizer="binary(alpha=1)"),
        shape=(*size, 2),
    )
    assert np.array_equal(outputs(found, x)[0], naive(x, kernel, stride, padding))


def test_larq_pads_after_its_input_quantizer() -> None:
    kernel = signs(3, 3, 2, 4)
    x = RNG.integers(-3, 4, (5, 5, 2)).astype(float)
    for outside in (0.0, 1.0, -1.0):
        layer = conv(
            *(kernel, "QuantConv2D"),
            padding="same",
            input_quantizer="ste_sign",
            kernel_quantizer={"class_name": "SteSign", "config": {"clip_value": 1.0}},
            pad_values=outside,
        )
        wanted = naive(np.where(x < 0, -1.0, 1.0), kernel, 1, "same", outside)
        assert np.array_equal(outputs(read(layer, shape=(5, 5, 2)), x)[0], wanted)
        other = naive(np.where(x < 0, -1.0, 1.0), kernel, 1, "same", outside + 1)
        assert not np.array_equal(wanted, other)  # a wrong value outside is seen


def test_a_depthwise_kernel_counts_its_channels_as_keras_does() -> None:
    kernel = signs(2, 2, 3, 2)
    x = RNG.integers(-3, 4, (4, 4, 3)).astype(float)
    found = read(conv(kernel, "QDepthwiseConv2D"), shape=(4, 4, 3))
    wanted = [naive(x[..., c, None], kernel[:, :, c, None], 1, "valid") for c in range(3)]
    assert np.array_equal(outputs(found, x)[0], np.concatenate(wanted, axis=-1))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_dilated_kernel_has_zeros_between_its_taps(padding: str) -> None:
    kernel = signs(2, 3, 2, 4)
    x = RNG.integers(-3, 4, (9, 8, 2)).astype(float)
    layer = conv(kernel, padding=padding, dilation_rate=[3, 2])
    wide = np.zeros((4, 5, 2, 4))
    wide[::3, ::2] = kernel
    wanted = naive(x, wide, 1, padding)
    assert np.array_equal(outputs(read(layer, shape=(9, 8, 2)), x)[0], wanted)
    near = read(conv(kernel, padding="same", dilation_rate=[2, 2]), shape=(9, 8, 2))
    assert padding == "valid" or not np.array_equal(outputs(near, x)[0], wanted)


def test_a_separable_convolution_is_two_convolutions() -> None:
    each, one = signs(3, 3, 2, 2), signs(1, 1, 4, 3) * RNG.integers(0, 2, (1, 1, 4, 3))
    x = RNG.integers(-3, 4, (6, 6, 2)).astype(float)
    options = {
        **{"filters": 3, "depth_multiplier": 2, "kernel_size": [3, 3], "strides": [2, 2]},
        **{"padding": "same", "use_bias": True, "depthwise_quantizer": "binary(alpha=1)"},
        **{"pointwise_quantizer": "ternary(alpha=1)", "activation": "quantized_relu(4,4)"},
    }
    weights = {"depthwise_kernel": each, "pointwise_kernel": one, "bias": np.array([0.5, -1, 2])}
    options["bias_quantizer"] = "quantized_bits(4,2,alpha=1)"
    sums = [naive(x[..., c, None], each[:, :, c, None], 2, "same") for c in range(2)]
    wanted = np.concatenate(sums, axis=-1) @ one[0, 0] + weights["bias"]
    layer = Tiny("QSeparableConv2D", options, weights)
    found = read(layer, shape=(6, 6, 2))
    assert np.array_equal(outputs(found, x)[0], np.round(wanted).clip(0, 15))
    source = Input("x", (6, 6, 2), -3, 3)
    graph = lower_program(found, source, "logits")
    many = RNG.integers(-3, 4, (20, 6, 6, 2))
    reals = graph.output.reals(simulate(graph, many))
    wanted = np.concatenate([outputs(found, one.astype(float)) for one in many])
    assert np.array_equal(reals.reshape(wanted.shape), wanted)


def test_a_relu_with_a_bound_clips() -> None:
    layers = (
        dense(signs(4, 5)),
        Tiny("ReLU", {"max_value": 2.5}),
        activation("quantized_bits(4,2,alpha=1)"),
    )
    found = read(*layers, shape=(4,))
    x = RNG.integers(-3, 4, (60, 4))
    graph = lower_program(found, Input("x", (4,), -3, 3), "scores")
    real = np.stack([outputs(found, one.astype(float))[0] for one in x])
    unbounded = read(layers[0], Tiny("ReLU", {}), layers[2], shape=(4,))
    assert real.max() == 2.5
    assert outputs(unbounded, np.full(4, 3.0) * layers[0].weights["kernel"][:, 0]).max() > 2.5
    order = np.argsort(simulate(graph, x), axis=1, kind="stable")
    assert (np.diff(np.take_along_axis(real, order, axis=1)) >= 0).all()


def test_a_mask_leaves_places_of_the_kernel_out() -> None:
    kernel = signs(2, 2, 1, 3)
    x = RNG.integers(-3, 4, (4, 4, 1)).astype(float)
    mask = [[[[1.0]], [[0.0]]], [[[1.0]], [[1.0]]]]
    wanted = naive(x, kernel * np.array(mask), 1, "valid")
    for given in (mask, [[1, 0], [1, 1]]):
        found = read(conv(kernel, mask=given), shape=(4, 4, 1))
        assert np.array_equal(outputs(found, x)[0], wanted)
    for wrong in ([[1, 0.5], [1, 1]], [[1, 1]], "a", [[1, 1], [1]]):
        with pytest.raises(HwbnnError, match="mask"):
            read(conv(kernel, mask=wrong), shape=(4, 4, 1))


def test_groups_are_kept() -> None:
    kernel = signs(2, 2, 2, 6)
    x = RNG.integers(-3, 4, (4, 4, 4)).astype(float)
    found = read(conv(kernel, groups=2), shape=(4, 4, 4))
    wanted = [
        naive(x[..., :2], kernel[..., :3], 1, "valid"),
        naive(x[..., 2:], kernel[..., 3:], 1, "valid"),
    ]
    assert np.array_equal(outputs(found, x)[0], np.concatenate(wanted, axis=-1))


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_a_convolution_of_sequences_is_one_of_height_1(padding: str) -> None:
    kernel = signs(3, 2, 4)
    x = RNG.integers(-3, 4, (7, 2)).astype(float)
    found = read(conv(kernel, "QConv1D", padding=padding), norm(4), shape=(7, 2))
    before = {"valid": 0, "same": 1, "causal": 2}[padding]
    after = {"valid": 0, "same": 1, "causal": 0}[padding]
    padded = np.pad(x, ((before, after), (0, 0)))
    sums = [np.einsum("kc,kco->o", padded[i : i + 3], kernel) for i in range(len(padded) - 2)]
    assert np.array_equal(values(found, x)["qconv1d"][0, 0], np.array(sums))
    assert found.shape == (1, 7, 2)


def test_a_zero_padding_goes_into_the_convolution_behind() -> None:
    kernel = signs(3, 3, 1, 2)
    x = RNG.integers(1, 4, (4, 4, 1)).astype(float)
    pad = Tiny("ZeroPadding2D", {"padding": [[1, 0], [2, 1]], "data_format": "channels_last"})
    found = read(pad, conv(kernel), shape=(4, 4, 1))
    wanted = naive(np.pad(x, ((1, 0), (2, 1), (0, 0))), kernel, 1, "valid")
    assert np.array_equal(outputs(found, x)[0], wanted)
    with pytest.raises(CannotLower, match="ZeroPadding2D"):
        read(pad, activation("binary"), conv(kernel), shape=(4, 4, 1))


def test_batch_norm_takes_its_arrays_by_role_or_in_order() -> None:
    x = RNG.normal(size=(5, 3))
    for options in ({}, {"scale": False}, {"center": False}):
        layers = (dense(signs(3, 4)), norm(4, **options), activation("binary"))
        model = sequential(layers, (3,))
        a, b = (
            program(KerasFile("t", model, w, 3))
            for w in (named(layers, "model_weights"), counted(layers))
        )
        layer = a.by_name["batchnormalization"]
        assert isinstance(layer, BatchNorm)
        assert (layer.gamma == 1).all() == (options == {"scale": False})
        assert (layer.beta == 0).all() == (options == {"center": False})
        assert np.array_equal(outputs(a, x), outputs(b, x))


def test_weights_are_found_by_the_noted_name_before_the_counter() -> None:
    one = np.float32([[1, 1, 1], [1, -1, 1], [1, 1, -1]])
    first, second = dense(one, name="a"), dense(one[[1, 0, 2]], name="b")
    model = sequential((first, second), (3,))
    swapped = counted((second, first), noted=True)
    found = program(KerasFile("t", model, swapped, 3))
    x = RNG.normal(size=(4, 3))
    wanted = x @ first.weights["kernel"] @ second.weights["kernel"]
    assert np.allclose(outputs(found, x), wanted)
    by_counter = program(KerasFile("t", model, counted((second, first)), 3))
    assert not np.allclose(outputs(by_counter, x), wanted)


def test_biases_are_quantized_as_written_or_real() -> None:
    kernel, bias = signs(3, 2), [0.3, -0.8]
    x = RNG.normal(size=(4, 3))
    plain = read(dense(kernel, bias=bias, bias_quantizer=None), shape=(3,))
    assert np.allclose(outputs(plain, x), x @ kernel + np.float32(bias))
    written = read(dense(kernel, bias=bias, bias_quantizer="quantized_bits(3,0)"), shape=(3,))
    assert np.allclose(outputs(written, x), x @ kernel + [0.25, -0.75])


def test_a_folded_batch_norm_is_folded_in_float32_before_quantizing() -> None:
    kernel = RNG.normal(size=(2, 2, 1, 3)).astype(np.float32)
    parts = {
        "gamma": [1.5, -0.5, 0.75],
        "beta": [0.25, -1, 0.5],
        "iteration": -1,
        "moving_mean": [0.5, -0.25, 0],
        "moving_variance": [0.3, 1.7, 0.9],
    }
    base = conv(
        *(kernel, "QConv2DBatchnorm"),
        use_bias=True,
        kernel_quantizer="quantized_bits(4,1,1,alpha=1)",
        bias_quantizer="quantized_bits(6,1,1,alpha=1)",
        epsilon=0.01,
    )
    weights = {"kernel": kernel, "bias": [0.125, 0.5, -0.5], **parts}
    layer = Tiny(base.kind, base.options, {k: np.float32(v) for k, v in weights.items()})
    x = RNG.integers(-2, 3, (4, 4, 1)).astype(float)
    got = outputs(read(layer, shape=(4, 4, 1)), x)[0]
    inverse = np.float32(parts["gamma"]) / np.sqrt(
        np.float32(parts["moving_variance"]) + np.float32(0.01)
    )
    folded = np.clip(np.rint(inverse * kernel * 4), -7, 7) / 4
    bias = inverse * (np.float32(weights["bias"]) - np.float32(parts["moving_mean"]))
    bias = np.clip(np.rint((bias + np.float32(parts["beta"])) * 16), -31, 31) / 16
    assert np.array_equal(got, naive(x, folded, 1, "valid") + bias)


def test_older_layers_have_their_own_rules() -> None:
    kernel = np.float32([[0.0, 0.6], [0.2, -0.5], [-0.2, 0.5]])
    options = {"units": 2, "use_bias": False, "H": 1.0, "kernel_lr_multiplier": 3.0}
    x = np.eye(3)
    for kind, wanted in (
        ("BinaryDense", [[-1, 1], [1, -1], [-1, 1]]),
        ("TernaryDense", [[0, 1], [0, -1], [0, 0]]),
    ):
        layer = Tiny(kind, options, {"kernel": kernel})
        assert outputs(read(layer, shape=(3,)), x).tolist() == wanted
        half = Tiny(kind, {**options, "H": 0.5}, {"kernel": kernel / 2})
        assert outputs(read(half, shape=(3,)), x).tolist() == (np.array(wanted) / 2).tolist()
    with pytest.raises(CannotLower, match="H above 0"):
        read(Tiny("BinaryDense", {**options, "H": "Glorot"}, {"kernel": kernel}), shape=(3,))


def test_pools_are_placed_as_in_keras() -> None:
    x = RNG.integers(-5, 0, (5, 5, 1)).astype(float)  # a 0 outside would win
    found = read(
        Tiny("MaxPooling2D", {"pool_size": [2, 2], "strides": [2, 2], "padding": "same"}),
        shape=(5, 5, 1),
    )
    layer = found.layers[0]
    assert isinstance(layer, MaxPooling)
    assert layer.padding == (0, 1, 0, 1)
    wanted = [[x[i : i + 2, j : j + 2].max() for j in (0, 2, 4)] for i in (0, 2, 4)]
    assert outputs(found, x)[0, ..., 0].tolist() == wanted
    found = read(Tiny("AveragePooling2D", {"pool_size": [2, 2]}), shape=(5, 5, 1))
    assert outputs(found, x)[0, 1, 1, 0] == x[2:4, 2:4].mean()
    with pytest.raises(CannotLower, match="divides by what lies inside"):
        read(Tiny("AveragePooling2D", {"pool_size": [2, 2], "padding": "same"}), shape=(5, 5, 1))


def test_global_pools_flatten_unless_told_otherwise() -> None:
    x = RNG.integers(-5, 6, (4, 4, 3)).astype(float)
    mean, most = (read(Tiny(f"Global{k}Pooling2D"), shape=(4, 4, 3)) for k in ("Average", "Max"))
    assert outputs(mean, x)[0].tolist() == x.mean(axis=(0, 1)).tolist()
    assert outputs(most, x)[0].tolist() == x.max(axis=(0, 1)).tolist()
    kept = read(Tiny("GlobalAveragePooling2D", {"keepdims": True}), shape=(4, 4, 3))
    assert outputs(kept, x).shape == (1, 1, 1, 3)


def test_qkeras_quantizes_the_factor_of_an_average() -> None:
    x = RNG.integers(-5, 6, (3, 3, 1)).astype(float)
    options = {
        "pool_size": [3, 3],
        "average_quantizer": "quantized_bits(4,0,1,alpha=1)",
        "activation": None,
    }
    found = read(Tiny("QAveragePooling2D", options), shape=(3, 3, 1))
    assert np.allclose(outputs(found, x)[0, 0, 0], x.sum() * 0.125)  # 1/9 in eighths


def test_dense_layers_of_images_work_at_each_position() -> None:
    kernel = signs(3, 4)
    x = RNG.normal(size=(2, 5, 3))
    assert np.allclose(outputs(read(dense(kernel), shape=(2, 5, 3)), x)[0], x @ kernel)


def test_values_join_in_both_forms_of_a_functional_network() -> None:
    x = RNG.integers(-3, 4, (6, 4)).astype(float)
    one, two, three = signs(4, 3), signs(4, 3), signs(3, 2)
    for generation in (2, 3):
        for kind, wanted in (
            ("Add", x @ one + x @ two + x @ one),
            ("Concatenate", np.concatenate([x @ one, x @ two, x @ one], axis=1)),
        ):
            end = np.concatenate([three] * (wanted.shape[1] // 3))
            a, b, c, d = dense(one), dense(two), dense(one), dense(end)
            layers = (
                Tiny(c.kind, c.options, c.weights, "late", ("c",)),  # not in order
                Tiny("Dropout", {"rate": 0.5}, name="c", reads=("pix",)),
                Tiny(a.kind, a.options, a.weights, "a", ("pix",)),
                Tiny(b.kind, b.options, b.weights, "b", ("c",)),
                Tiny(kind, {"axis": -1}, name="join", reads=("a", "b", "late")),
                Tiny(d.kind, d.options, d.weights, "end", ("join",)),
            )
            found = read_functional(*layers, shape=(4,), generation=generation)
            assert np.array_equal(outputs(found, x), wanted @ end)


def test_inputs_of_two_axes_and_reshapes_of_the_input() -> None:
    x = RNG.integers(0, 3, (4, 5)).astype(float)
    kernel = signs(20, 2)
    flat = read(Tiny("Flatten"), dense(kernel), shape=(4, 5))
    assert flat.shape == (4, 5, 1)
    assert np.array_equal(outputs(flat, x)[0], x.reshape(-1) @ kernel)
    image = signs(2, 2, 1, 3)
    shaped = read(Tiny("Reshape", {"target_shape": [4, 5, 1]}), conv(image), shape=(20,))
    assert shaped.shape == (4, 5, 1)
    assert np.array_equal(outputs(shaped, x)[0], naive(x[..., None], image, 1, "valid"))
    again = read(conv(image), Tiny("Reshape", {"target_shape": [-1]}), shape=(4, 5, 1))
    assert outputs(again, x).shape == (1, 3 * 4 * 3)
    with pytest.raises(CannotLower, match="reshapes"):
        read(conv(image), Tiny("Reshape", {"target_shape": [4, 9]}), shape=(4, 5, 1))


def test_a_sequential_network_may_say_its_input_in_other_places() -> None:
    layer = dense(signs(3, 2))
    x = RNG.normal(size=(4, 3))
    wanted = outputs(read(layer, shape=(3,)), x)
    model = sequential((layer,), (3,))
    entries = model["config"]["layers"][1:]

    def shaped(**first: Any) -> list[dict[str, Any]]:
        return [{**entries[0], "config": {**entries[0]["config"], **first}}]

    forms: list[dict[str, Any]] = [
        {"config": {"layers": shaped(batch_input_shape=[None, 3])}},
        {"config": shaped(batch_input_shape=[None, 3])},  # a list, before Keras 2.2.3
        {"config": {"layers": entries, "build_input_shape": [None, 3]}},
        {"config": {"layers": entries}, "build_config": {"input_shape": [None, 3]}},
    ]
    for form in forms:
        found = program(KerasFile("t", {**model, **form}, named((layer,)), 2))
        assert np.array_equal(outputs(found, x), wanted)
    for shape in (None, [None], [None, None], [None, 0], [None, 2, 2, 2, 2], "3"):
        unknown = {**model, "config": {"layers": entries, "build_input_shape": shape}}
        file = KerasFile("t", unknown, named((layer,)), 2)
        with pytest.raises(CannotLower, match="its input"):
            program(file)


def test_the_function_at_the_end_is_left_out_and_nowhere_else() -> None:
    kernel = signs(3, 2)
    for end in ("softmax", "sigmoid"):
        layers = (
            (dense(kernel), Tiny("Activation", {"activation": end})),
            (dense(kernel, activation=end),),
            (dense(kernel), Tiny("Softmax")),
        )
        for each in layers:
            found = read(*each, shape=(3,))
            assert found.output == "qdense"
            assert any("left out" in remark for remark in found.remarks)
    with pytest.raises(CannotLower, match="only at the end"):
        read(dense(kernel, activation="softmax", name="a"), dense(signs(2, 2)), shape=(3,))


def test_names_of_a_stranger_stay_names() -> None:
    hostile = "../../etc/passwd\n$(x)"
    found = read(dense(signs(3, 2), name=hostile), activation("binary", name="b"), shape=(3,))
    assert found.layers[0].name == hostile
    assert found.layers[0].label.isprintable()


EVEN = "quantized_relu_po2(6,quadratic_approximation=1)"


def quantized_norm(**quantizers: Any) -> Tiny:
    """A QBatchNormalization of two channels, its parameters real unless told otherwise."""
    given = dict.fromkeys(("gamma", "beta", "mean", "variance"))
    options = {f"{name}_quantizer": value for name, value in given.items()} | quantizers
    numbers = {"gamma": (3, -0.7), "beta": (0.3, 0), "moving_mean": (-5, 1e-9)}
    weights = {**numbers, "moving_variance": (2, 0.3)}
    return Tiny("QBatchNormalization", options, {k: np.float32(v) for k, v in weights.items()})


def test_a_quantized_batch_norm_has_powers_of_two() -> None:
    layer = quantized_norm(
        gamma_quantizer="quantized_relu_po2(6,2048)",
        beta_quantizer="quantized_bits(4,0,alpha=1)",
        mean_quantizer="quantized_po2(5)",
        variance_quantizer="quantized_po2(4,2)",
    )
    with pytest.raises(CannotLower):  # 2 is below max_value, but the network ends in real numbers
        lower_program(read(layer, shape=(2,)), Input("x", (2,), 0, 3, scale=1.0), "logits")
    (found,) = read(layer, shape=(2,)).layers
    assert isinstance(found, BatchNorm)
    assert found.gamma.tolist() == [4.0, 2.0**-32]  # log2 3 is 1.58; below 0 the least power
    assert found.beta.tolist() == [0.25, 0.0]
    assert found.mean.tolist() == [-4.0, 2.0**-8]  # the sign stays; below epsilon the least
    assert found.variance.tolist() == [2.0, 0.25]


def test_an_inverse_that_is_quantized_replaces_gamma_and_variance() -> None:
    layer = quantized_norm(inverse_quantizer="quantized_bits(8,2,alpha=1)")
    (found,) = read(layer, shape=(2,)).layers
    assert isinstance(found, BatchNorm)
    roots = np.sqrt(np.float32([2, 0.3]) + np.float32(1e-3))
    wanted = np.rint(np.float32([3, -0.7]) / roots * 32) / 32
    assert found.gamma.tolist() == wanted.tolist()
    assert (found.variance.tolist(), found.epsilon) == ([1.0, 1.0], 0.0)


IMAGE = (4, 4, 2)
REFUSED: dict[str, tuple[tuple[Tiny, ...], tuple[int, ...], str]] = {
    "a float dense layer": (
        (Tiny("Dense", {"units": 2, "use_bias": False}, {"kernel": signs(3, 2)}),),
        (3,),
        r"layer 'dense' \(Dense\): has real weights",
    ),
    "a float convolution": (
        (conv(signs(2, 2, 2, 2), "Conv2D", kernel_quantizer=None),),
        IMAGE,
        r"layer 'conv2d' \(Conv2D\): has real weights",
    ),
    "Python code": ((Tiny("Lambda", {"function": "x"}),), (3,), "Python code, which is never run"),
    "a recurrent layer": ((Tiny("QLSTM", {"units": 2}),), (3,), "recurrent"),
    "an unknown layer": ((Tiny("MaxPoling2D"),), IMAGE, "known are MaxPooling2D"),
    "channels first": (
        (conv(signs(2, 2, 2, 2), data_format="channels_first"),),
        IMAGE,
        "channels_last",
    ),
    "BatchNorm on another axis": ((norm(4, axis=1),), IMAGE, "normalizes axis"),
    "a real activation": ((activation("tanh"),), (3,), "real-valued"),
    "a model inside": (
        (Tiny("Sequential", {"layers": []}),),
        (3,),
        r"layer 'sequential' \(Sequential\): is a network inside",
    ),
    "a relu with a slope": ((Tiny("ReLU", {"negative_slope": 0.5}),), (3,), "quantized_relu"),
    "a separable convolution": ((Tiny("QuantSeparableConv2D"),), IMAGE, "depthwise"),
    "a quantized BatchNorm between two powers": (
        (quantized_norm(variance_quantizer=EVEN),),
        (2,),
        r"quantized_relu_po2: 2 lies half-way between two powers of two",
    ),
    "a quantized BatchNorm with noise": (
        (quantized_norm(gamma_quantizer="quantized_po2(5,qnoise_factor=0.5)"),),
        (2,),
        "qnoise_factor=0.5 leaves values partly unquantized",
    ),
    "an unknown option": (
        (dense(signs(3, 2), lora_rank=4),),
        (3,),
        "'lora_rank' that is not known",
    ),
    "half precision": ((dense(signs(3, 2), dtype="mixed_float16"),), (3,), "mixed_float16"),
    "half precision as an object": (
        (dense(signs(3, 2), dtype={"class_name": "Policy", "config": {"name": "float16"}}),),
        (3,),
        "computes in 'float16'",
    ),
    "a quantizer without its options": (
        (dense(signs(3, 2), {"class_name": "SteTern", "conf": {"threshold_value": 0.5}}),),
        (3,),
        "expected a quantizer",
    ),
    "a random quantizer": ((dense(signs(3, 2), "bernoulli"),), (3,), r"\(QDense\).*random"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_layers_without_an_exact_form_are_refused_by_name(what: str) -> None:
    layers, shape, said = REFUSED[what]
    with pytest.raises(CannotLower, match=said) as caught:
        read(*layers, shape=shape)
    assert "layer '" in str(caught.value)


DAMAGED: dict[str, tuple[tuple[Tiny, ...], tuple[int, ...]]] = {
    "a kernel of another shape": ((dense(signs(4, 2)),), (3,)),
    "no weights": ((Tiny("QDense", {**dense(signs(3, 2)).options}),), (3,)),
    "no units": ((Tiny("QDense", {"kernel_quantizer": "binary"}, {"kernel": signs(3, 2)}),), (3,)),
    "units that are text": ((dense(signs(3, 2), units="2"),), (3,)),
    "a bias of another shape": ((dense(signs(3, 2), bias=[1.0]),), (3,)),
    "weights that are not finite": ((dense(np.full((3, 2), np.nan)),), (3,)),
    "a window larger than the image": ((conv(signs(3, 3, 2, 2)),), (2, 2, 2)),
    "a size of 0": ((conv(signs(2, 2, 2, 2), strides=[0, 1]),), IMAGE),
    "an image where a flat value is due": ((conv(signs(2, 2, 2, 2)),), (3,)),
    "a factor that is text": ((norm(3, epsilon="a"),), (3,)),
    "an activation layer without its activation": (
        (Tiny("QActivation", {"threshold": 1.0}), dense(signs(3, 2))),
        (3,),
    ),
    "two layers of one name": ((dense(signs(3, 3)), dense(signs(3, 3))), (3,)),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damage_is_told_in_one_line(what: str) -> None:
    layers, shape = DAMAGED[what]
    with pytest.raises(HwbnnError) as caught:
        read(*layers, shape=shape)
    assert str(caught.value).isprintable()


def test_a_functional_network_that_is_no_chain_of_values_is_refused() -> None:
    layer = dense(signs(3, 2))

    def reading(**entry: Any) -> None:
        layers = (Tiny(layer.kind, layer.options, layer.weights, "d", ("pix",)),)
        model = sequential(layers, (3,))
        for each in model["config"]["layers"]:
            each["name"] = each["config"]["name"]
            each["inbound_nodes"] = []
        model["class_name"] = "Functional"
        model["config"] |= {"input_layers": [["pix", 0, 0]], "output_layers": [["d", 0, 0]]}
        given = entry.pop("model", {})
        model["config"]["layers"][1] |= entry
        model["config"] |= given
        program(KerasFile("t", model, named(layers), 2))

    good = [[["pix", 0, 0, {}]]]
    reading(inbound_nodes=good)
    for wrong in ([], [[["nobody", 0, 0, {}]]], [[["d", 0, 0, {}]]], 3, [[3]], [[["pix", 0]] * 2]):
        with pytest.raises(InputError):
            reading(inbound_nodes=wrong)
    other = {"class_name": "__other__", "config": {"keras_history": ["pix", 0, 0]}}
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": ["pix", 0, 0]}}
    with pytest.raises(InputError, match="reads something that is no value of a layer"):
        reading(inbound_nodes=[{"args": [[tensor, other]], "kwargs": {}}])
    for refused in (good * 2, [[["pix", 0, 1, {}]]]):
        with pytest.raises(CannotLower, match="layer 'd'"):
            reading(inbound_nodes=refused)
    for ends in ([["pix", 0, 0], ["d", 0, 0]], [["pix", 0, 0]]):
        with pytest.raises(HwbnnError):
            reading(inbound_nodes=good, model={"output_layers": ends})


def test_a_wrong_half_of_the_padding_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, x = signs(3, 3, 1, 2), RNG.integers(-3, 4, (8, 8, 1)).astype(float)
    wanted = naive(x, kernel, 2, "same")

    def larger_first(size: Any, kernel: Any, stride: Any) -> tuple[int, ...]:
        top, bottom, left, right = right_padding(size, kernel, stride)
        return (bottom, top, right, left)

    right_padding = padding_module.same_padding
    layer = conv(kernel, padding="same", strides=[2, 2])
    assert np.array_equal(outputs(read(layer, shape=(8, 8, 1)), x)[0], wanted)
    monkeypatch.setattr(padding_module, "same_padding", larger_first)
    found = read(layer, shape=(8, 8, 1))
    assert isinstance(found.layers[0], Convolution)
    assert not np.array_equal(outputs(found, x)[0], wanted)

"""QONNX and FINN-ONNX files: read as written, equal to an executor of the tests', or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwbnn
from hwbnn.errors import CannotLower, HwbnnError, InputError
from hwbnn.graph import Graph, Input
from hwbnn.lowering.from_program import lower_program
from hwbnn.program import Dense, Quantizer
from hwbnn.readers import read_program, recognise
from hwbnn.readers.onnx import program
from hwbnn.readers.onnx.folding import exact_code
from hwbnn.readers.onnx.protobuf import read_model
from hwbnn.simulators import simulate
from hwbnn.verification import verify
from tests.readers.onnx.executor import execute
from tests.readers.onnx.writer import QONNX, Model, integer, message, small_conv, small_dense

FILES = Path(__file__).parent / "files"


def ordered_alike(graph: Graph, data: bytes, source: Input, x: Any) -> None:
    """Scores of the Graph against the logits of the tests' own executor, channels first."""
    real = source.reals(x)
    if real.ndim == 4:
        real = real.transpose(0, 3, 1, 2)
    logits = execute(read_model(data), real)
    scores = simulate(graph, x).reshape(len(x), -1)
    for one, other in zip(scores, logits.reshape(len(x), -1), strict=True):
        order = np.argsort(one, kind="stable")
        assert (np.diff(other[order]) >= -1e-9).all()
        assert np.array_equal(np.diff(one[order]) == 0, np.abs(np.diff(other[order])) < 1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_dense_networks_equal_an_executor_of_the_file(seed: int) -> None:
    data = small_dense(seed)
    source = Input("x", (6,), -8, 7, scale=0.125)
    x = np.random.default_rng(seed).integers(-8, 8, (300, 6))
    ordered_alike(lower_program(program(data), source, "scores"), data, source, x)


@pytest.mark.parametrize("first", ["sign", "codes", "none"])
@pytest.mark.parametrize("offset", [0.0, -0.75])
def test_convolutions_equal_an_executor_of_the_file(first: str, offset: float) -> None:
    data = small_conv(1, first=first)
    source = Input("x", (9, 9, 3), 0, 15, scale=0.125, offset=offset)
    x = np.random.default_rng(0).integers(0, 16, (40, 9, 9, 3))
    ordered_alike(lower_program(program(data), source, "scores"), data, source, x)


def test_brevitas_s_export_equals_an_executor_of_the_file() -> None:
    path = FILES / "ours_qonnx_mixed_conv.onnx"
    source = Input.pixels((16, 16, 3), scale=2 / 255, offset=-1.0)
    x = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3))
    graph = hwbnn.read(path, source, "scores")
    assert "near" not in graph.notes["thresholds"].replace("nearest", "")
    ordered_alike(graph, path.read_bytes(), source, x)


def test_finn_s_file_equals_its_reference_and_says_what_arrives() -> None:
    reference = np.load(FILES / "ours_finn_dense_ref.npz")
    path = FILES / "ours_finn_dense.onnx"
    graph = hwbnn.read(path)
    assert (graph.input.low, graph.input.high) == (-128, 127)
    assert np.array_equal(simulate(graph, reference["x"]).ravel(), reference["y"])
    logits = hwbnn.read(path, output="logits")
    reals = logits.output.reals(simulate(logits, reference["x"]))
    assert np.array_equal(reals, reference["scores"].astype(np.float64))


@pytest.mark.hardware
@pytest.mark.parametrize("target", ["hls", "rtl"])
def test_a_file_becomes_hardware_of_the_same_bits(target: str) -> None:
    graph = hwbnn.read(FILES / "ours_finn_dense.onnx")
    x = np.load(FILES / "ours_finn_dense_ref.npz")["x"][:24]
    result = verify(graph, x, backends=("fast", target))
    assert result.ok


# --- planted wrong rules -------------------------------------------------------------------------


def differs(one: bytes, other: bytes) -> bool:
    """Whether two files are different networks on random inputs."""
    source = Input("x", (6,), -8, 7, scale=0.125)
    x = np.random.default_rng(0).integers(-8, 8, (200, 6))
    a, b = (simulate(lower_program(program(d), source, "scores"), x) for d in (one, other))
    return bool((a != b).any())


def rounded(mode: str, **given: Any) -> bytes:
    """Sums that lie on ties, rounded by a mode."""
    model = Model((1, 6))
    d = model.node("MatMul", "x", np.random.default_rng(3).integers(-2, 3, (6, 4)).astype("f4"))
    q = model.quant(d, 0.5, 4, rounding_mode=mode, **given)
    model.node("MatMul", q, np.eye(4, dtype=np.float32))
    return model.bytes()


def test_each_mode_of_rounding_is_another_network() -> None:
    modes = ["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"]
    for i, one in enumerate(modes):
        for other in modes[i + 1 :]:
            assert differs(rounded(one), rounded(other)), (one, other)
    assert not differs(rounded("ROUND"), rounded("round"))


def test_half_up_goes_away_from_zero() -> None:
    data = rounded("HALF_UP")
    source = Input("x", (6,), -8, 7, scale=0.25)
    x = np.random.default_rng(1).integers(-8, 8, (300, 6))
    graph = lower_program(program(data), source, "logits")
    sums = source.reals(x) @ np.random.default_rng(3).integers(-2, 3, (6, 4))
    away = np.sign(sums) * np.floor(np.abs(sums) / 0.5 + 0.5)
    assert np.array_equal(graph.output.reals(simulate(graph, x)), away.clip(-7, 7) * 0.5)


def test_thresholds_are_reached_not_passed() -> None:
    model = Model((1, 2))
    model.node(
        "MultiThreshold", "x", np.array([[1.0, 3.0, 2.0]], np.float32), domain=QONNX, out_bias=-1.0
    )
    model.node("MatMul", model.last, np.eye(2, dtype=np.float32))
    graph = lower_program(program(model.bytes("INT4")), output="logits")
    x = np.array([[0, 1], [2, 3], [4, -8]])
    assert simulate(graph, x).tolist() == [[-1, 0], [1, 2], [2, -1]]


def test_scales_of_depthwise_channels_stay_apart() -> None:
    model = Model((1, 2, 2, 2))
    a = model.node("BipolarQuant", "x", np.float32(1), domain=QONNX)
    w = model.quant(np.ones((2, 1, 1, 1), np.float32), np.array([[[[1.0]]], [[[0.25]]]]), 2)
    model.node("Conv", a, w, group=2)
    model.node("GlobalAveragePool")
    graph = lower_program(program(model.bytes()), Input("x", (2, 2, 2), -1, 1), "logits")
    assert graph.output.reals(simulate(graph, np.ones((1, 2, 2, 2), int))).tolist() == [[1, 0.25]]


@pytest.mark.parametrize("op", ["GlobalAveragePool", "ReduceMean"])
def test_a_mean_of_rows_and_columns_is_a_global_pool(op: str) -> None:
    model = Model((1, 2, 2, 3))
    q = model.quant("x", 1.0, 3, narrow=0)
    if op == "ReduceMean":
        f = model.node(op, q, axes=[2, 3], keepdims=0)
    else:
        f = model.node("Flatten", model.node(op, q))
    model.node("MatMul", f, np.array([[1, -2], [3, 1]], np.float32))
    graph = lower_program(program(model.bytes("INT3")), output="scores")
    x = np.random.default_rng(0).integers(-4, 4, (50, 2, 3, 2))
    scores = x.sum(axis=(1, 2)) @ np.array([[1, -2], [3, 1]])
    assert np.array_equal(simulate(graph, x), scores)


def test_a_flatten_in_the_order_of_channels_first_brings_weights_along() -> None:
    data = small_conv(2)
    model = read_model(data)
    wrong = [n for n in model.nodes if n.op == "Flatten"]
    assert len(wrong) == 1
    made = program(data)
    last = made.by_name[made.output]
    assert isinstance(last, Dense)
    node = model.nodes[-1]
    codes = np.array(last.weights)
    order = np.arange(64).reshape(4, 4, 4).transpose(2, 0, 1).ravel()
    latent = model.constants[model.nodes[-2].inputs[0]]
    direct = np.round(latent / 0.25).clip(-7, 7).T
    assert node.op == "MatMul"
    assert np.array_equal(codes[:, order], direct)
    assert not np.array_equal(codes, direct)


# --- weights -------------------------------------------------------------------------------------


def test_weights_beside_an_edge_of_rounding_are_decided_by_rationals() -> None:
    from fractions import Fraction

    scale = np.float32(0.1)
    values = [np.float32(k * 0.05) for k in range(-15, 16)]
    model = Model((1, 31))
    w = model.quant(np.array([values], np.float32).T.repeat(2, 1), scale, 8, narrow=0)
    model.node("MatMul", "x", w)
    layer = program(model.bytes()).layers[0]
    assert isinstance(layer, Dense)
    exact = [exact_code(Fraction(float(v)) / Fraction(float(scale)), "half_even") for v in values]
    assert layer.weights[0].tolist() == exact


def test_weights_may_be_integers_or_signs_of_any_scale_but_not_real() -> None:
    def made(weights: Any) -> Dense:
        model = Model((1, 2))
        model.node("MatMul", "x", np.asarray(weights, np.float32))
        layer = program(model.bytes()).layers[0]
        assert isinstance(layer, Dense)
        return layer

    assert made([[3, -4], [0, 7]]).weights.tolist() == [[3, 0], [-4, 7]]
    signs = made([[0.3, -0.5], [-0.3, 0.5]])
    assert signs.weights.tolist() == [[1, -1], [-1, 1]]
    assert signs.scale.tolist() == [float(np.float32(0.3)), 0.5]
    with pytest.raises(CannotLower, match=r"\(MatMul\): its weights are real numbers; quantize"):
        made([[0.3, -0.5], [-0.2, 0.5]])


# --- shapes and constants of old exporters -------------------------------------------------------


def test_shapes_and_parameters_that_old_exporters_compute_are_folded() -> None:
    model = Model((1, 1, 2, 3))
    shape = model.node("Shape", "x")
    first = model.node("Gather", shape, np.array(0, np.int64), axis=0)
    first = model.node("Unsqueeze", first, axes=[0])
    wanted = model.node("Concat", first, np.array([-1], np.int64), axis=0)
    flat = model.node("Reshape", "x", wanted)
    weights = model.node("Transpose", np.ones((2, 6), np.float32), perm=[1, 0])
    sums = model.node("MatMul", flat, weights)
    root = model.node("Pow", np.array([4.0], np.float32), np.float32(0.5))
    divided = model.node("Div", sums, root)
    model.node("Sub", divided, np.float32(1.0))
    made = program(model.bytes())
    graph = lower_program(made, Input("x", (2, 3, 1), 0, 3), "logits")
    x = np.arange(6).reshape(1, 2, 3, 1) % 4
    assert graph.output.reals(simulate(graph, x)).tolist() == [[7 / 2 - 1] * 2]
    flat_graph = lower_program(made, Input("x", (6,), 0, 3), "logits")
    assert np.array_equal(simulate(flat_graph, x.reshape(1, 6)), simulate(graph, x))


def test_pairs_of_transposes_and_added_axes_make_no_layer() -> None:
    rng = np.random.default_rng(0)
    model = Model((1, 2, 4, 4))
    a = model.node("Transpose", "x", perm=[0, 2, 3, 1])
    a = model.node(
        "MultiThreshold", a, np.array([[0.0], [1.0]], np.float32), domain=QONNX, data_layout="NHWC"
    )
    a = model.node("Transpose", a, perm=[0, 3, 1, 2])
    c = model.node("Conv", a, rng.integers(-2, 3, (3, 2, 3, 3)).astype(np.float32))
    f = model.node("Flatten", c)
    f = model.node("Unsqueeze", f, axes=[2])
    parts = rng.normal(size=(3, 12)).astype(np.float32)
    f = model.node("BatchNormalization", f, *parts, np.ones(12, np.float32))
    f = model.node("Squeeze", f, axes=[2])
    f = model.node("BipolarQuant", f, np.float32(1), domain=QONNX)
    model.node("MatMul", f, rng.integers(-2, 3, (12, 3)).astype(np.float32))
    data = model.bytes()
    source = Input("x", (4, 4, 2), -2, 2)
    x = rng.integers(-2, 3, (50, 4, 4, 2))
    ordered_alike(lower_program(program(data), source, "scores"), data, source, x)
    assert sum(isinstance(one, Quantizer) for one in program(data).layers) == 2


def test_softmax_goes_and_argmax_ends_the_network() -> None:
    model = Model((1, 3))
    model.node("MatMul", "x", np.eye(3, dtype=np.float32))
    model.node("Softmax")
    model.node("ArgMax", axis=1)
    made = program(model.bytes("UINT2"))
    assert made.remarks == (
        "layer 'Softmax_3' (Softmax) left out: the class is the same without it",
    )
    assert simulate(lower_program(made), np.array([[0, 3, 3]])).tolist() == [[1]]


def test_sequences_are_images_of_one_row() -> None:
    rng = np.random.default_rng(0)
    model = Model((1, 2, 12))
    c = model.node(
        "Conv",
        "x",
        rng.integers(-2, 3, (4, 2, 3)).astype(np.float32),
        rng.normal(size=4).astype(np.float32),
        pads=[1, 1],
        strides=[2],
    )
    q = model.quant(c, 1.5, 3, signed=0, narrow=0)
    p = model.node("MaxPool", q, kernel_shape=[2], strides=[2])
    f = model.node("Flatten", p)
    weights = rng.integers(-3, 4, (12, 3))
    model.node("MatMul", f, weights.astype(np.float32))
    made = program(model.bytes())
    assert made.shape == (1, 12, 2)
    graph = lower_program(made, Input("x", (1, 12, 2), -3, 3), "scores")
    x = rng.integers(-3, 4, (60, 1, 12, 2))
    constants = read_model(model.bytes()).constants
    kernel, bias = (c.astype(float) for c in list(constants.values())[:2])
    padded = np.pad(x[:, 0].transpose(0, 2, 1), ((0, 0), (0, 0), (1, 1)))
    taps = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=2)[:, :, ::2]
    sums = np.einsum("nciw,ocw->noi", taps, kernel) + bias[None, :, None]
    codes = np.round(sums / 1.5).clip(0, 7)
    pooled = codes.reshape(60, 4, 3, 2).max(axis=-1).reshape(60, 12)
    assert np.array_equal(simulate(graph, x), pooled @ weights)


def test_the_sign_of_one_logit_at_the_end_is_the_decision() -> None:
    model = Model((1, 3))
    d = model.node("MatMul", "x", np.array([[1], [-2], [1]], np.float32))
    model.node("BipolarQuant", model.node("Add", d, np.float32(0.5)), np.float32(1), domain=QONNX)
    graph = lower_program(program(model.bytes("INT3")))
    assert graph.meaning == "decision"
    x = np.array([[0, 0, 0], [0, 1, 0], [1, 1, 1], [-1, 0, 0]])
    assert simulate(graph, x).ravel().tolist() == [1, 0, 1, 0]


# --- refusals ------------------------------------------------------------------------------------


def refusal(build: Any) -> bytes:
    model = Model((1, 4))
    build(model)
    return model.bytes()


REFUSED: dict[str, tuple[Any, str]] = {
    "quant without narrow": (
        lambda m: m.quant("x", 1.0, 4, narrow=None),
        r"'Quant_\d+' \(Quant\): attribute 'narrow': expected 0 or 1, found none; executors dis",
    ),
    "twenty bits": (lambda m: m.quant("x", 1.0, 20), "expected 1 to 16 bits, found 20"),
    "a scale a channel": (
        lambda m: m.node("BipolarQuant", "x", np.array([1, 2, 3, 4], np.float32), domain=QONNX),
        r"\(BipolarQuant\): scale: expected one number for all channels, found shape \(4,\)",
    ),
    "unknown rounding": (
        lambda m: m.quant("x", 1.0, 4, rounding_mode="DICE"),
        "rounding_mode: expected one of ROUND, .*found 'DICE'",
    ),
    "hardware nodes": (
        lambda m: m.node("MVAU", "x", domain="finn.custom_op.fpgadataflow"),
        r"\(MVAU\): operations of domain 'finn.custom_op.fpgadataflow' are hardware",
    ),
    "QCDQ": (
        lambda m: m.node("QuantizeLinear", "x", np.float32(1)),
        "export the network as QONNX",
    ),
    "widening": (
        lambda m: m.node("Trunc", "x", *map(np.float32, (1, 0, 4, 6)), domain=QONNX),
        r"\(Trunc\): widens 4 bits to 6; leave it out",
    ),
    **{
        f"an output scale of {scale}": (
            lambda m, scale=scale: m.node(
                "Trunc", "x", *map(np.float64, (1, 0, 8, scale, 4)), domain=QONNX
            ),
            r"\(Trunc\): expected an output scale of 2\^-32 to 2\^32 times the scale 1, found",
        )
        for scale in (0.0, -1.0, 1e-300, 1e300, np.inf)
    },
    "signed 7": (
        lambda m: m.node("Trunc", "x", *map(np.float32, (1, 0, 8, 16, 4)), signed=7, domain=QONNX),
        r"\(Trunc\): signed, narrow: expected 0 or 1, found 7, 0",
    ),
    "rounding of a constant": (
        lambda m: m.node("Ceil", m.node("Div", np.float32(3.0000002), np.float32(1))),
        r"\(Ceil\): rounds 3.00000024, where float32 may go either way",
    ),
    "unknown": (lambda m: m.node("Einsum", "x"), r"\(Einsum\): this operation is not taken"),
    "two results": (
        lambda m: m.node("TopK", "x", np.array([2], np.int64)),
        "expected the one largest, k = 1",
    ),
    "zero point of weights": (
        lambda m: m.node("MatMul", "x", m.quant(np.ones((4, 2), np.float32), 1.0, 4, zero=1.0)),
        "weights with zero point 1; expected 0",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_nodes_without_an_exact_form_are_refused_by_name(what: str) -> None:
    build, wanted = REFUSED[what]
    with pytest.raises(CannotLower, match=wanted):
        program(refusal(build))


@pytest.mark.parametrize(
    ("extra", "wanted"),
    [
        (
            message(5, integer(1, 2) + integer(2, 1) + message(8, "w") + integer(14, 1)),
            "save_as_external_data=False",
        ),
        (
            message(
                1,
                message(2, "y") + message(4, "If") + message(5, message(1, "b") + message(6, b"")),
            ),
            "a branch or a loop",
        ),
        (message(15, b""), "sparse"),
    ],
)
def test_other_files_graphs_and_sparse_tensors_are_refused(extra: bytes, wanted: str) -> None:
    model = Model((1, 4), extra=extra)
    model.node("MatMul", "x", np.eye(4, dtype=np.float32))
    with pytest.raises(CannotLower, match=wanted):
        program(model.bytes())


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (
            message(5, integer(1, 1 << 30) + integer(2, 1) + message(8, "w") + message(9, b"")),
            r"expected 4294967296 bytes for shape \[1073741824\], found 0",
        ),
        (message(5, integer(1, -1) + integer(2, 1) + message(8, "w")), "shape: expected at most"),
        (message(5, integer(1, 2) + integer(2, 77) + message(8, "w")), "type 77: expected numbers"),
        (message(1, message(2, "y")), "expected a type and an output"),
    ],
)
def test_sizes_are_checked_before_memory_is_taken(content: bytes, wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        read_model(Model((1, 4), extra=content).bytes())


def test_a_cut_file_is_refused_at_every_byte(tmp_path: Path) -> None:
    data = small_dense()
    for cut in range(0, len(data), 7):
        with pytest.raises(HwbnnError):
            program(data[:cut])
    path = tmp_path / "net.bin"
    path.write_bytes(data)
    reader = recognise(path)
    assert reader is not None
    assert reader.NAME == "QONNX or FINN-ONNX (.onnx)"
    assert read_program(path).shape == (6,)
    path.write_bytes(b"no network")
    with pytest.raises(InputError, match="expected a network, one of BNN-PYNQ folder, QONNX"):
        read_program(path)


def test_listed_elements_are_those_of_raw_bytes() -> None:
    rng = np.random.default_rng(0)
    arrays = (rng.normal(size=(2, 3)).astype(np.float32), rng.integers(-9, 9, (4,)))
    model = Model((1, 4))
    for array in arrays:
        model.constant(array)
        model.constant(array, listed=True)
    found = list(read_model(model.bytes()).constants.values())
    assert all(np.array_equal(a, b) for a, b in zip(found[::2], found[1::2], strict=True))
    assert np.array_equal(found[0], arrays[0])


def test_thousands_of_wide_quantizers_are_refused_before_they_fill_memory() -> None:
    model = Model((1, 4))
    x = "x"
    for _ in range(300):
        x = model.quant(x, 2.0**-8, 16)
    with pytest.raises(
        InputError, match=r"Quant_\d+' \(Quant\): the network's quantizers have more"
    ):
        program(model.bytes())

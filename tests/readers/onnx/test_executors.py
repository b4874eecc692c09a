"""Operations of ONNX files as qonnx's executor, which is not this project's, computes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from hwbnn.errors import CannotLower
from hwbnn.graph import Input
from hwbnn.lowering.from_program import lower_program
from hwbnn.readers.onnx import program
from hwbnn.simulators import simulate
from tests.readers.onnx.writer import QONNX, Model

RNG = np.random.default_rng(5)
_STATE = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order_of_tests() -> None:
    RNG.bit_generator.state = _STATE


def equal(
    model: Model,
    shape: tuple[int, ...],
    *,
    last: bool = False,
    shapes: dict[str, tuple[int, ...]] | None = None,
) -> None:
    """See that the Graph's logits are those of qonnx; all numbers are dyadic, so exactly.

    ``shapes`` of values help qonnx, which does not infer those of operations of its own in a row.
    """
    data = model.bytes()
    source = Input("x", shape, -8, 7, scale=0.25)
    graph = lower_program(program(data), source, "logits")
    x = RNG.integers(-8, 8, (12, *shape))
    found = graph.output.reals(simulate(graph, x)).reshape(len(x), -1)
    loaded = onnx.load_from_string(data)
    ends = onnx.helper.make_tensor_value_info(model.last, 1, [1, found.shape[1]])
    loaded.graph.output[0].CopyFrom(ends)
    wrapped = ModelWrapper(loaded)
    for name, given in (shapes or {}).items():
        wrapped.set_tensor_shape(name, (1, *given))
        wrapped.set_tensor_datatype(name, DataType["INT16"])  # Im2Col asks whether it has a 0
    wrapped = wrapped if shapes else wrapped.transform(InferShapes())
    for one, own in zip(source.reals(x).astype(np.float32), found, strict=True):
        given = one[None] if last or one.ndim == 1 else one.transpose(2, 0, 1)[None]
        other = execute_onnx(wrapped, {"x": given})[model.last]
        assert np.array_equal(other.ravel(), own)
    assert len(np.unique(found)) > 3


def codes(*shape: int, most: int = 3) -> Any:
    """Weights that are small integers."""
    return RNG.integers(-most, most + 1, shape).astype(np.float32)


def ended(model: Model, features: int) -> Model:
    """A model with a flatten and a dense layer at the end."""
    model.node("Flatten")
    model.node("MatMul", model.last, codes(features, 4))
    return model


@pytest.mark.parametrize("outside", [0.0, 1.0])
def test_a_pad_goes_into_the_convolution(outside: float) -> None:
    model = Model((1, 2, 6, 6))
    x = model.quant("x", 1.0, 3, narrow=0)
    pads = np.array([0, 0, 1, 0, 0, 0, 2, 1], np.int64)
    p = model.node("Pad", x, pads, np.float32(outside), mode="constant")
    c = model.node("Conv", p, codes(3, 2, 3, 3), strides=[2, 2])
    model.quant(c, 2.0, 3, narrow=0)
    equal(ended(model, 3 * 4 * 3), (6, 6, 2))


def test_a_pad_and_the_padding_of_a_convolution_add_up() -> None:
    model = Model((1, 2, 6, 6))
    p = model.node("Pad", "x", np.array([0, 0, 1, 1, 0, 0, 0, 0], np.int64), mode="constant")
    c = model.node("Conv", p, codes(3, 2, 3, 3), pads=[1, 0, 1, 1])
    model.quant(c, 2.0, 3, narrow=0)
    equal(ended(model, 3 * 7 * 6), (6, 6, 2))


def test_a_pad_that_no_convolution_reads_is_refused() -> None:
    for op, given in (("Relu", {}), ("MaxPool", {"kernel_shape": [2, 2]})):
        model = Model((1, 2, 6, 6))
        p = model.node("Pad", "x", np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), mode="constant")
        model.node(op, p, **given)
        with pytest.raises(CannotLower, match=rf"\({op}\): reads a Pad"):
            program(model.bytes())
    model = Model((1, 2, 6, 6))
    model.node("Pad", "x", np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), mode="reflect")
    with pytest.raises(CannotLower, match="mode 'reflect': expected 'constant'"):
        program(model.bytes())


def test_a_dilated_convolution_has_zeros_between_its_taps() -> None:
    model = Model((1, 2, 9, 9))
    c = model.node("Conv", "x", codes(4, 1, 3, 2), dilations=[2, 3], pads=[2, 1, 2, 0], group=2)
    model.quant(c, 1.0, 3, narrow=0)
    equal(ended(model, 4 * 9 * 7), (9, 9, 2))


@pytest.mark.parametrize("ends", [(0.0, 1.5), (-1.25, 1.25), (-1.0, None)])
def test_a_clip_lies_in_front_of_a_quantizer(ends: tuple[Any, Any]) -> None:
    model = Model((1, 6))
    d = model.node("MatMul", "x", codes(6, 8, most=1))
    low, high = ("" if end is None else model.constant(np.float32(end)) for end in ends)
    c = model.node("Clip", d, low, high)
    model.quant(c, 0.25, 4, narrow=0)
    model.node("MatMul", model.last, codes(8, 4))
    equal(model, (6,))


def test_finn_s_windows_and_matrices_are_convolutions() -> None:
    model = Model((1, 6, 6, 3))
    common = {"domain": QONNX, "out_scale": 1.0, "data_layout": "NHWC", "out_dtype": "INT4"}
    t = np.sort(codes(1, 7, most=2) / 2 - 0.125, axis=1)
    x = model.node("MultiThreshold", "x", t, out_bias=-3.0, **common)
    w = model.node(
        *("Im2Col", x),
        **{"domain": QONNX, "kernel_size": [3, 2], "stride": [2, 1], "pad_amount": [1, 0, 1, 0]},
        input_shape="(1, 6, 6, 3)",
    )
    d = model.node("MatMul", w, codes(18, 4))
    a = model.node("MultiThreshold", d, np.sort(codes(4, 3, most=9), axis=1), **common)
    p = model.node(
        "MaxPoolNHWC", a, domain=QONNX, kernel_shape=[2, 2], strides=[1, 1], pads=[0, 0, 0, 0]
    )
    w = model.node(
        *("Im2Col", p),
        **{"domain": QONNX, "kernel_size": [2, 2], "stride": [1, 1], "pad_amount": [0, 0, 0, 0]},
        input_shape="(1, 2, 4, 4)",
        depthwise=1,
    )
    kernel = np.zeros((16, 4), np.float32)
    for c in range(4):
        kernel[c::4, c] = codes(4)
    d = model.node("MatMul", w, kernel)
    a = model.node("MultiThreshold", d, np.sort(codes(4, 3, most=9), axis=1), **common)
    model.node("MatMul", a, codes(4, 5))
    a = model.node("MultiThreshold", model.last, np.array([[0.0, 2.0]], np.float32), **common)
    f = model.node("Flatten", a)
    model.node("MatMul", f, codes(15, 4))
    made = [(6, 6, 3), (3, 5, 18), (3, 5, 4), (3, 5, 4), (2, 4, 4), (1, 3, 16), (1, 3, 4)]
    made += [(1, 3, 4), (1, 3, 5), (1, 3, 5), (15,), (4,)]
    names = [node.output[0] for node in onnx.load_from_string(model.bytes()).graph.node]
    equal(model, (6, 6, 3), last=True, shapes=dict(zip(names, made, strict=True)))
    depthwise = next(n for n in program(model.bytes()).layers if getattr(n, "groups", 1) > 1)
    assert depthwise.kind == "MatMul"


@pytest.mark.parametrize(("last", "bits"), [(False, 4), (True, 6)])
def test_finn_s_average_pool_shifts_its_sums(last: bool, bits: int) -> None:
    model = Model((1, 6, 6, 3) if last else (1, 3, 6, 6))
    layout = "NHWC" if last else "NCHW"
    t = np.sort(codes(1, 15, most=30) / 16, axis=1)
    common = {"domain": QONNX, "data_layout": layout}
    more = {"out_scale": 1.0, "out_bias": 0.0, "out_dtype": "UINT4"}
    x = model.node("MultiThreshold", "x", t.astype(np.float32), **common, **more)
    given = {"kernel": 3, "stride": 3, "ibits": 4, "obits": bits, "signed": 0}
    model.node("QuantAvgPool2d", x, **common, **given)
    ended(model, 12)
    made = [(6, 6, 3), (2, 2, 3)] if last else [(3, 6, 6), (3, 2, 2)]
    names = [node.output[0] for node in onnx.load_from_string(model.bytes()).graph.node]
    shapes = dict(zip(names, [*made, (12,), (4,)], strict=True))
    equal(model, (6, 6, 3), last=last, shapes=shapes)

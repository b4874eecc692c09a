"""Small networks with the topology, operations and attributes of published QONNX files.

Weights are random, from a seed; widths and images are small. Each function writes one family in the
style of its exporter: old exporters compute shapes in the graph, new ones keep constants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwbnn.graph import Input
from tests.readers.onnx.writer import QONNX, Model

BREVITAS = "onnx.brevitas"
FINN = "finn.custom_op.general"


class Exporter(Model):
    """A model in which layers follow each other, with random numbers from a seed."""

    def __init__(self, shape: Sequence[int], domain: str = QONNX, seed: int = 0) -> None:
        super().__init__(shape)
        self.rng = np.random.default_rng(seed)
        self.domain = domain
        self.last = "x"

    def real(self, *shape: int, low: float = -1.0, high: float = 1.0) -> Any:
        return self.rng.uniform(low, high, shape).astype(np.float32)

    def quantized(self, x: Any, scale: Any, bits: int, **given: Any) -> str:
        """``Quant`` in the domain of the exporter; its numbers are scalars."""
        parts = np.asarray(scale, np.float32), np.float32(given.pop("zero", 0)), np.float32(bits)
        given = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"} | given
        return self.node("Quant", x, *parts, domain=self.domain, **given)

    def weights(self, shape: tuple[int, ...], bits: int, *, each: bool = False) -> str:
        """Weights behind their quantizer, with one scale or one for each output channel."""
        array = self.real(*shape)
        if bits == 1:
            return self.node("BipolarQuant", array, np.float32(0.5), domain=self.domain)
        scale: Any = np.float32(1 / (2 ** (bits - 1) - 1))
        if each:
            ends = np.abs(array).reshape(shape[0], -1).max(axis=1)
            scale = (ends * scale).astype(np.float32).reshape(-1, *(1,) * (len(shape) - 1))
        return self.quantized(array, scale, bits)

    def normed(self, channels: int, epsilon: float = 1e-5, spread: float = 1.0) -> str:
        parts = (
            self.real(channels, low=-0.3, high=1.5),
            self.real(channels, low=-0.4, high=0.4),
            self.real(channels) * np.float32(spread),
            self.real(channels, low=0.2, high=2.0) * np.float32(spread) ** 2,
        )
        return self.node("BatchNormalization", self.last, *parts, epsilon=epsilon, momentum=0.9)

    def activated(self, bits: int, scale: float = 0.4, *, relu: bool = False) -> str:
        """An activation: a sign, signed codes, or a ReLU with unsigned codes."""
        if bits == 1:
            return self.node("BipolarQuant", self.last, np.float32(1), domain=self.domain)
        if not relu:
            return self.quantized(self.last, scale, bits)
        return self.quantized(self.node("Relu"), scale, bits, signed=0, narrow=0)

    def dense(self, inputs: int, outputs: int, bits: int, *, each: bool = False) -> str:
        """Weights as PyTorch has them, transposed in the graph, and a ``MatMul``."""
        before = self.last
        turned = self.node("Transpose", self.weights((outputs, inputs), bits, each=each))
        return self.node("MatMul", before, turned)

    def gemm(self, inputs: int, outputs: int, bits: int, bias: Any) -> str:
        before = self.last
        return self.node("Gemm", before, self.weights((outputs, inputs), bits), bias, transB=1)

    def conv(self, shape: tuple[int, ...], bits: int, *, each: bool = False, **given: Any) -> str:
        before = self.last
        rank = len(shape) - 2
        given = {"dilations": [1] * rank, "group": 1, "pads": [0] * (2 * rank)} | given
        given = {"kernel_shape": list(shape[2:]), "strides": [1] * rank} | given
        return self.node("Conv", before, self.weights(shape, bits, each=each), **given)

    def tensor_norm(self) -> str:
        """One norm for all classes, as Brevitas's examples end: four scalars."""
        one = np.float32([0.7])
        self.node("Sub", self.last, one)
        before = self.last
        root = self.node("Pow", np.float32([1.7]), np.float32(0.5))
        self.node("Div", before, root)
        self.node("Mul", self.last, np.float32([1.3]))
        return self.node("Add", self.last, np.float32([-0.2]))


PIXELS = {"low": 0, "high": 255, "scale": 1 / 255}


def fully_connected(weight_bits: int, activation_bits: int) -> Exporter:
    """TFC, SFC, LFC: pixels to bits or codes, dense layers, one norm at the end."""
    net = Exporter((1, 1, 8, 8), BREVITAS)
    net.opset = 9
    shape = net.node("Shape", "x")
    rows = net.node("Gather", shape, np.int64(0), axis=0)
    rows = net.node("Unsqueeze", rows, axes=[0])
    wanted = net.node("Concat", rows, np.array([-1], np.int64), axis=0)
    net.node("Reshape", "x", wanted)
    net.node("Mul", net.last, np.float32(2))
    net.node("Sub", net.last, np.float32([1]))
    net.activated(activation_bits, 0.6)
    for inputs, outputs in ((64, 24), (24, 24)):
        net.dense(inputs, outputs, weight_bits)
        net.normed(outputs, spread=2.0)
        net.activated(activation_bits, 0.6)
    net.dense(24, 10, weight_bits)
    net.tensor_norm()
    return net


def convolutional(weight_bits: int, activation_bits: int) -> Exporter:
    """CNV (CIFAR-10, GTSRB): 8-bit pixels, convolutions and pools, dense layers."""
    net = Exporter((1, 3, 14, 14), BREVITAS)
    net.node("Mul", "x", np.float32(2))
    net.node("Sub", net.last, np.float32([1]))
    net.quantized(net.last, 2.0**-7, 8, narrow=0)
    depth = 3
    for channels, pools in ((6, False), (6, True), (8, False)):
        net.conv((channels, depth, 3, 3), weight_bits)
        net.normed(channels, 1e-4, 2.0)
        net.activated(activation_bits, 0.6)
        if pools:
            net.node("MaxPool", kernel_shape=[2, 2], pads=[0] * 4, strides=[2, 2])
        depth = channels
    net.node("Reshape", net.last, np.array([1, -1], np.int64))
    net.dense(8 * 9, 16, weight_bits)
    net.normed(16, 1e-4, 2.0)
    net.activated(activation_bits, 0.6)
    net.dense(16, 10, weight_bits)
    net.tensor_norm()
    return net


def keyword_spotting() -> Exporter:
    """The MLP for spoken words: 8-bit features, 3-bit weights with a scale a neuron."""
    net = Exporter((1, 1, 5, 9), BREVITAS)
    net.quantized("x", 1.0, 8)
    net.node("Flatten", net.last, axis=1)
    for inputs, outputs in ((45, 20), (20, 20)):
        net.dense(inputs, outputs, 3, each=True)
        net.normed(outputs, spread=60.0 if inputs == 45 else 1.0)
        net.activated(3, 0.21, relu=True)
    net.dense(20, 12, 3)
    return net


def intrusions() -> Exporter:
    """UNSW-NB15: padded bits as -1 and +1, brought to 0 and 1, and one bipolar result."""
    net = Exporter((1, 40), BREVITAS)
    net.node("Add", "x", np.float32([1]))
    net.node("Div", net.last, np.float32(2))
    inputs = 40
    for outputs in (16, 16):
        net.gemm(inputs, outputs, 2, net.real(outputs))
        net.normed(outputs)
        net.activated(2, 0.5, relu=True)
        inputs = outputs
    net.gemm(inputs, 1, 2, net.real(1))
    net.node("BipolarQuant", net.last, np.float32(1), domain=BREVITAS)
    return net


def jets() -> Exporter:
    """Jet tagging, from QKeras: quantizers with integers, biases behind ``Quant``, a softmax."""
    net = Exporter((1, 16), FINN)

    def fixed(x: Any, bits: int, integer: int, *, signed: int = 1) -> str:
        scale, zero, width = (
            np.float32(2.0 ** (integer - bits + signed)),
            np.int64(0),
            np.int64(bits),
        )
        attributes = {"signed": signed, "narrow": 0, "rounding_mode": "ROUND"}
        return net.node("Quant", x, scale, zero, width, domain=FINN, **attributes)

    value = "x"
    for i, (inputs, outputs) in enumerate(((16, 20), (20, 12), (12, 5))):
        weights, bias = fixed(net.real(inputs, outputs), 6, 0), fixed(net.real(outputs), 6, 0)
        net.node("Add", net.node("MatMul", value, weights), bias)
        value = net.last if i == 2 else fixed(net.node("Relu"), 6, 0, signed=0)
    net.node("Softmax", value, axis=1)
    return net


def mobile(trunc: int) -> Exporter:
    """MobileNet v1: depthwise and pointwise convolutions, an average that is truncated.

    ``trunc`` is the version of ``Trunc``: its number of inputs is 5 or 6.
    """
    net = Exporter((1, 3, 8, 8))
    net.custom_opset = trunc - 4
    net.quantized("x", 1 / 255, 8, signed=0, narrow=0)
    net.conv((6, 3, 3, 3), 8, each=True, strides=[2, 2], pads=[1] * 4)
    net.normed(6)
    net.activated(4, 0.17, relu=True)
    net.conv((6, 1, 3, 3), 4, each=True, group=6, pads=[1] * 4)
    net.normed(6)
    net.activated(4, 0.17, relu=True)
    net.conv((8, 6, 1, 1), 4, each=True)
    net.normed(8)
    net.activated(4, 0.11, relu=True)
    scale, given = np.float32(0.11), {"domain": QONNX, "rounding_mode": "FLOOR"}
    if trunc == 5:
        net.node("AveragePool", kernel_shape=[4, 4], strides=[4, 4], pads=[0] * 4)
        net.node("Mul", net.last, np.float32(16))
        net.node("Trunc", net.last, scale, np.float32(0), np.float32(8), np.float32(4), **given)
    else:
        net.node("GlobalAveragePool")
        before = net.last
        ratio = net.node("Div", net.node("Log", np.float32(15 * 16)), np.float32(np.log(2.0)))
        width, small = net.node("Ceil", ratio), np.float32(0.11 / 16)
        ends = width, np.float32(0.11), np.float32(4)
        net.node("Trunc", before, small, np.float32(0), *ends, signed=0, narrow=0, **given)
    net.node("Flatten", net.last, axis=1)
    before = net.last
    bias = net.quantized(net.real(10), np.float32(0.01), 8)
    net.last = before
    net.gemm(8, 10, 4, bias)
    return net


def residual() -> Exporter:
    """ResNet (4w4a): branches with one scale, a convolution in the shortcut, 32-bit biases."""
    net = Exporter((1, 3, 8, 8))
    net.opset, net.custom_opset = 14, 2
    net.conv((6, 3, 3, 3), 8, each=True, pads=[1] * 4)
    net.normed(6)
    shortcut = net.activated(4, 0.2, relu=True)
    for channels, stride in ((6, 1), (8, 2)):
        depth = 6
        source = shortcut
        net.last = source
        net.conv((channels, depth, 3, 3), 4, each=True, pads=[1] * 4, strides=[stride] * 2)
        net.normed(channels)
        net.activated(4, 0.17, relu=True)
        net.conv((channels, channels, 3, 3), 4, each=True, pads=[1] * 4)
        net.normed(channels)
        branch = net.activated(4, 0.2, relu=True)
        if stride == 2:
            net.last = source
            net.conv((channels, depth, 1, 1), 4, each=True, strides=[2, 2])
            net.normed(channels)
            shortcut = net.activated(4, 0.2, relu=True)
        net.node("Add", branch, shortcut)
        shortcut = net.activated(4, 0.3, relu=True)
    net.node("AveragePool", kernel_shape=[4, 4], strides=[4, 4], pads=[0] * 4, count_include_pad=1)
    ends = np.float32(0), np.float32(8), np.float32(0.3), np.float32(4)
    given = {"signed": 0, "narrow": 0, "rounding_mode": "FLOOR", "domain": QONNX}
    net.node("Trunc", net.last, np.float32(0.3 / 16), *ends, **given)
    net.node("Reshape", net.last, np.array([1, -1], np.int64), allowzero=0)
    before = net.last
    bias = net.quantized(net.real(10), np.float32(3e-6), 32, narrow=0)
    net.last = before
    net.gemm(8, 10, 4, bias)
    return net


def radio(bits: int, columns: bool) -> Exporter:
    """VGG10 for radio signals: convolutions of one axis, also as images of one column."""
    net = Exporter((1, 2, 32, 1) if columns else (1, 2, 32))
    tail = (1,) if columns else ()
    net.quantized("x", 2.0**-6, 8)
    depth = 2
    for channels in (4, 6):
        pads = [1, 0, 1, 0] if columns else [1, 1]
        net.conv((channels, depth, 3, *tail), bits, pads=pads)
        net.normed(channels)
        net.activated(bits, 3 / 2**bits, relu=True)
        net.node("MaxPool", kernel_shape=[2, *tail], strides=[2, *tail], pads=[0] * len(pads))
        depth = channels
    net.node("Flatten", net.last, axis=1)
    net.dense(48, 12, bits)
    net.normed(12)
    net.activated(bits, 3 / 2**bits, relu=True)
    net.gemm(12, 11, bits, net.real(11))
    return net


def streamlined() -> Exporter:
    """FINN-ONNX: bare integers with thresholds, 8-bit activations, a class at the end."""
    net = Exporter((1, 12), FINN)
    inputs = 12
    for outputs, steps, width in ((16, 255, 400), (12, 3, 20000)):
        codes = net.rng.integers(-7, 8, (inputs, outputs)).astype(np.float32)
        net.node("MatMul", net.last, codes)
        edges = np.sort(net.rng.integers(-width, width, (outputs, steps)), axis=1)
        given = {"domain": FINN, "out_scale": 1.0, "out_bias": 0.0, "out_dtype": "UINT8"}
        net.node("MultiThreshold", net.last, edges.astype(np.float32), **given)
        inputs = outputs
    net.node("MatMul", net.last, net.rng.integers(-3, 4, (inputs, 10)).astype(np.float32))
    net.node("TopK", net.last, np.array([1], np.int64), axis=-1, largest=1, sorted=1, outputs=2)
    return net


@dataclass(frozen=True)
class LookAlike:
    """A family: the function that writes it, and the input's integers and map."""

    family: str
    make: Callable[[], Exporter]
    source: dict[str, Any]


WORDS = {"low": -128, "high": 127}
LOOK_ALIKES = {
    **{
        f"fc {w}w{a}a": LookAlike(
            "TFC, SFC, LFC (MNIST)", lambda w=w, a=a: fully_connected(w, a), PIXELS
        )
        for w, a in ((1, 1), (1, 2), (2, 2))
    },
    **{
        f"cnv {w}w{a}a": LookAlike(
            "CNV (CIFAR-10, GTSRB)", lambda w=w, a=a: convolutional(w, a), PIXELS
        )
        for w, a in ((1, 1), (1, 2), (2, 2))
    },
    "kws": LookAlike("keyword spotting MLP, w3a3", keyword_spotting, WORDS),
    "unsw": LookAlike("UNSW-NB15 MLP, w2a2", intrusions, {"bits": True}),
    "jets": LookAlike("jet tagging from QKeras, 6 bits", jets, {**WORDS, "scale": 1 / 64}),
    "mobile 5": LookAlike("MobileNet v1, 4w4a", lambda: mobile(5), PIXELS),
    "mobile 6": LookAlike("MobileNet v1, 4w4a", lambda: mobile(6), PIXELS),
    "residual": LookAlike("ResNet, 4w4a", residual, PIXELS),
    "radio 8": LookAlike("VGG10 RadioML", lambda: radio(8, False), {**WORDS, "scale": 1 / 64}),
    "radio 4": LookAlike("VGG10 RadioML", lambda: radio(4, True), {**WORDS, "scale": 1 / 64}),
    "finn": LookAlike("FINN-ONNX with thresholds", streamlined, WORDS),
}


def source_of(given: dict[str, Any], shape: tuple[int, ...]) -> Input:
    """The input of a program of this shape."""
    return Input.bits(shape[0]) if given.get("bits") else Input("x", shape, **given)

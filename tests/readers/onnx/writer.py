"""Writes ONNX files by their wire format: a second, independent side of the reader, for tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float64": 11}
QONNX = "qonnx.custom_op.general"


def varint(n: int) -> bytes:
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def integer(number: int, n: int) -> bytes:
    return varint(number << 3) + varint(n)


def message(number: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name: str, array: Any, *, listed: bool = False) -> bytes:
    array = np.asarray(array)
    out = b"".join(integer(1, n) for n in array.shape)
    out += integer(2, TYPES[array.dtype.name]) + message(8, name)
    if not listed:
        return out + message(9, array.tobytes())
    if array.dtype == np.float32:
        return out + message(4, array.tobytes())
    return out + message(7, b"".join(varint(int(n)) for n in array.ravel()))


def attribute(name: str, value: Any) -> bytes:
    out = message(1, name)
    if isinstance(value, float):
        return out + varint(2 << 3 | 5) + struct.pack("<f", value) + integer(20, 1)
    if isinstance(value, int):
        return out + integer(3, value) + integer(20, 2)
    if isinstance(value, str):
        return out + message(4, value) + integer(20, 3)
    if isinstance(value, np.ndarray):
        return out + message(5, tensor("", value)) + integer(20, 4)
    return out + b"".join(integer(8, n) for n in value) + integer(20, 7)


@dataclass
class Model:
    """A model under construction: nodes in order, one input, one output."""

    shape: Sequence[int]
    parts: list[bytes] = field(default_factory=list)
    count: int = 0
    last: str = "x"
    extra: bytes = b""
    opset: int = 13
    custom_opset: int = 1

    def constant(self, array: Any, **more: Any) -> str:
        self.count += 1
        name = f"c{self.count}"
        self.parts.append(message(5, tensor(name, array, **more)))
        return name

    def node(
        self,
        op: str,
        *inputs: Any,
        domain: str = "",
        name: str = "",
        outputs: int = 1,
        **given: Any,
    ) -> str:
        """A node on the last value, or on ``inputs``; arrays become constants."""
        self.count += 1
        names = [i if isinstance(i, str) else self.constant(i) for i in (inputs or (self.last,))]
        made = [f"v{self.count}" + "_" * i for i in range(outputs)]
        content = b"".join(message(1, n) for n in names) + b"".join(message(2, n) for n in made)
        content += message(3, name or f"{op}_{self.count}") + message(4, op)
        content += b"".join(message(5, attribute(k, v)) for k, v in given.items())
        self.parts.append(message(1, content + (message(7, domain) if domain else b"")))
        self.last = made[-1]
        return self.last

    def quant(self, x: Any, scale: Any, bits: int, *, zero: float = 0.0, **given: Any) -> str:
        """A ``Quant`` node, signed, narrow and to even unless told otherwise."""
        given = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"} | given
        given = {k: v for k, v in given.items() if v is not None}
        parts = (np.float32(scale), np.float32(zero), np.float32(bits))
        return self.node("Quant", x, *parts, domain=QONNX, **given)

    def bytes(self, datatype: str = "") -> bytes:
        graph = b"".join(self.parts) + message(2, "net") + self.extra
        sizes = b"".join(message(1, integer(1, n)) for n in self.shape)
        kind = message(1, integer(1, 1) + message(2, sizes))
        graph += message(11, message(1, "x") + message(2, kind))
        graph += message(12, message(1, self.last))
        if datatype:
            pair = message(1, "finn_datatype") + message(2, datatype)
            graph += message(14, message(1, "x") + message(2, pair))
        opset = message(8, message(1, QONNX) + integer(2, self.custom_opset)) + message(
            8, integer(2, self.opset)
        )
        return integer(1, 8) + message(2, "tests") + message(7, graph) + opset


def small_dense(seed: int = 0) -> bytes:
    """3-bit input codes, two dense layers with BatchNorm of gains of both signs."""
    rng = np.random.default_rng(seed)
    model = Model((1, 6))
    x = model.quant("x", 0.25, 3, narrow=0)
    weights = model.quant(rng.normal(size=(6, 5)).astype(np.float32), 0.5, 3)
    d = model.node("MatMul", x, weights)
    parts = rng.normal(size=(4, 5)).astype(np.float32)
    parts[0, 0] = 0
    n = model.node("BatchNormalization", d, *parts[:3], np.abs(parts[3]) + 0.1, epsilon=1e-5)
    a = model.quant(n, 0.5, 2)
    w2 = model.quant(rng.normal(size=(3, 5)).astype(np.float32), np.ones((3, 1)) * 0.25, 4)
    model.node("Gemm", a, w2, rng.normal(size=3).astype(np.float32), transB=1)
    return model.bytes()


def small_conv(seed: int = 0, *, first: str = "sign") -> bytes:
    """A padded convolution of stride 2, pool, depthwise, and a flatten in the file's order."""
    rng = np.random.default_rng(seed)
    model = Model((1, 3, 9, 9))
    x: Any = "x"
    if first == "sign":
        x = model.node("BipolarQuant", "x", np.float32(0.5), domain=QONNX)
    elif first == "codes":
        x = model.quant("x", 0.125, 4, narrow=0)
    w = model.node(
        "BipolarQuant",
        rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        np.float32(0.1),
        domain=QONNX,
    )
    bias = rng.normal(size=4).astype(np.float32)
    c = model.node("Conv", x, w, bias, pads=[1, 1, 1, 1], strides=[2, 2])
    p = rng.normal(size=(4, 4)).astype(np.float32)
    n = model.node("BatchNormalization", c, *p[:3], np.abs(p[3]) + 0.1, epsilon=1e-5)
    m = model.node("MaxPool", n, kernel_shape=[2, 2], strides=[1, 1])
    a = model.quant(model.node("Relu", m), 0.75, 2, signed=0, narrow=0)
    w = model.quant(rng.normal(size=(4, 1, 3, 3)).astype(np.float32), 0.5, 2)
    d = model.node("Conv", a, w, pads=[1, 1, 1, 1], group=4)
    b = model.node("BipolarQuant", d, np.float32(1.0), domain=QONNX)
    f = model.node("Flatten", b)
    w = model.quant(rng.normal(size=(64, 3)).astype(np.float32), 0.25, 4)
    model.node("MatMul", f, w)
    return model.bytes()


def small_finn(seed: int = 0) -> bytes:
    """Integer images, bare integer weights, thresholds for each channel, a class at the end."""
    rng = np.random.default_rng(seed)
    model = Model((1, 2, 5, 5))

    def whole(*shape: int, most: int = 3) -> Any:
        return rng.integers(-most, most + 1, shape).astype(np.float32)

    def steps(x: str, channels: int, count: int) -> str:
        edges = np.sort(whole(channels, count, most=9), axis=1) - np.float32(0.5)
        return model.node("MultiThreshold", x, edges, domain=QONNX, out_bias=-1.0, out_dtype="INT2")

    c = model.node("Conv", "x", whole(4, 2, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2])
    f = model.node("Flatten", steps(c, 4, 3))
    d = model.node("MatMul", f, whole(36, 6))
    model.node("MatMul", steps(d, 6, 2), whole(6, 3))
    model.node("TopK", model.last, np.array([1], np.int64), outputs=2, axis=-1)
    return model.bytes("INT4")

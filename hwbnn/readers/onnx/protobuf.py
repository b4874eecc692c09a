"""The wire format of ONNX files: protocol buffers, read without their library.

An ONNX file is a tree of messages, each a sequence of fields ``(number, value)``; the numbers are
those of ``onnx.proto`` (ONNX, IR version 3 to 13). This module reads the messages that a quantized
network needs, so that the base install (numpy alone) takes QONNX files; the ``onnx`` package would
bring protobuf and 32 MB for the same nodes, attributes and tensors.

Files are untrusted: lengths are checked before data are read, only tensors are copied, and
references to other files (external data), inner graphs and functions are refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph.arrays import Array
from hwbnn.program import shown_name

MOST_BYTES = 1 << 28
"""Bytes of the largest file."""
MOST_NODES = 20_000
MOST_AXES = 8
_MOST_FIELDS = 2_000_000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DTYPES = {
    1: "<f4",
    2: "u1",
    3: "i1",
    4: "<u2",
    5: "<i2",
    6: "<i4",
    7: "<i8",
    9: "?",
    10: "<f2",
    11: "<f8",
    12: "<u4",
    13: "<u8",
}
"""numpy's names of the types of tensors, by ONNX's numbers."""
_LISTS = {4: "<f4", 5: "<i4", 7: "<i8", 10: "<f8", 11: "<u8"}
"""The fields of a tensor that list its elements one by one, and the types of these."""

Fields = Iterator[tuple[int, int, Any]]


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """One operation of the file.

    Attributes:
        op: type of the operation, such as ``"Conv"``.
        domain: the domain that defines the type; empty for ONNX itself.
        name: name of the node, or of its first output if the node has none.
        inputs: names of values; an empty name for an optional input that is left out.
        outputs: names of values.
        attributes: integers, floats, texts, lists of these, and arrays.
    """

    op: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    @property
    def label(self) -> str:
        """The name of the node in messages."""
        return f"layer '{shown_name(self.name)}' ({shown_name(self.op)})"


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """The parts of a file that a network consists of.

    Attributes:
        nodes: the operations, in the file's order.
        constants: arrays by name.
        inputs: the shapes of the inputs by name; None for a size that is not fixed.
        outputs: names of the outputs.
        datatypes: FINN's annotations (``finn_datatype``) by the value's name.
        opsets: the version of each domain.
    """

    nodes: list[OnnxNode] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    inputs: dict[str, tuple[int | None, ...]] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    datatypes: dict[str, str] = field(default_factory=dict)
    opsets: dict[str, int] = field(default_factory=dict)


def is_model(head: bytes) -> bool:
    """Whether bytes begin with fields of a model, the graph among them."""
    at, seen = 0, False
    try:
        while at < len(head):
            tag, at = _varint(head, at, len(head))
            number, kind = tag >> 3, tag & 7
            if number == 7 and kind == _BYTES:
                return seen
            if (number, kind) in ((1, _VARINT), (5, _VARINT)):
                _, at = _varint(head, at, len(head))
            elif number in (2, 3, 4, 6, 8, 14, 20, 25) and kind == _BYTES:
                size, at = _varint(head, at, len(head))
                at += size
            else:
                return False
            seen = True
    except InputError:
        return False
    return False


def read_model(data: bytes) -> OnnxModel:
    """The model in the bytes of a file.

    Raises:
        InputError: if the bytes are damaged.
        CannotLower: if the model needs other files, other graphs or functions.
    """
    if len(data) > MOST_BYTES:
        raise InputError(f"ONNX: {len(data)} bytes, more than {MOST_BYTES}")
    return _Wire(memoryview(data)).model()


@dataclass
class _Wire:
    """The bytes of a file, and how many fields were read so far."""

    data: memoryview
    count: int = 0

    def fields(self, start: int, end: int) -> Fields:
        """The fields of a message: number, kind, and an integer or the start and end of bytes."""
        at = start
        while at < end:
            self.count += 1
            if self.count > _MOST_FIELDS:
                raise InputError(f"ONNX: more than {_MOST_FIELDS} fields; the file is damaged")
            tag, at = _varint(self.data, at, end)
            number, kind = tag >> 3, tag & 7
            if kind == _VARINT:
                value, at = _varint(self.data, at, end)
                yield number, kind, value
                continue
            size = {_FIXED64: 8, _FIXED32: 4}.get(kind)
            if kind == _BYTES:
                size, at = _varint(self.data, at, end)
            if size is None or size > end - at:
                raise InputError(
                    f"ONNX: byte {at}: expected a field of at most {end - at} bytes, found kind "
                    f"{kind} of {size}; the file is damaged or cut off"
                )
            yield number, kind, (at, at + size)
            at += size

    def text(self, place: Any) -> str:
        """The text in a field of bytes."""
        try:
            return bytes(self.data[_start(place) : place[1]]).decode()
        except UnicodeDecodeError:
            raise InputError(f"ONNX: byte {place[0]}: expected UTF-8") from None

    def model(self) -> OnnxModel:
        """Read the whole file."""
        found = OnnxModel()
        graphs = 0
        for number, _, value in self.fields(0, len(self.data)):
            if number == 7:
                graphs += 1
                self.graph(found, value)
            elif number == 8:
                domain, version = "", 0
                for n, _, v in self.fields(_start(value), value[1]):
                    domain = self.text(v) if n == 1 else domain
                    version = _signed(v) if n == 2 else version
                found.opsets[domain] = version
            elif number == 25:
                raise CannotLower(
                    "ONNX: the file defines functions of its own; export it without (inlined)"
                )
        if graphs != 1:
            raise InputError(f"ONNX: expected one graph, found {graphs}")
        return found

    def graph(self, found: OnnxModel, place: Any) -> None:
        """Add the content of the graph message to ``found``."""
        for number, _, value in self.fields(_start(place), place[1]):
            if number == 1:
                found.nodes.append(self.node(value))
                if len(found.nodes) > MOST_NODES:
                    raise InputError(f"ONNX: more than {MOST_NODES} nodes")
            elif number == 5:
                name, array = self.tensor(value)
                found.constants[name] = array
            elif number == 11:
                name, shape = self.value_info(value)
                found.inputs[name] = shape
            elif number == 12:
                found.outputs.append(self.value_info(value)[0])
            elif number == 14:
                self.annotation(found, value)
            elif number == 15:
                raise CannotLower("ONNX: the file has sparse tensors; save them as dense ones")

    def node(self, place: Any) -> OnnxNode:
        """One operation."""
        inputs: list[str] = []
        outputs: list[str] = []
        texts = {3: "", 4: "", 7: ""}
        attributes: dict[str, Any] = {}
        for number, _, value in self.fields(_start(place), place[1]):
            if number == 1:
                inputs.append(self.text(value))
            elif number == 2:
                outputs.append(self.text(value))
            elif number in texts:
                texts[number] = self.text(value)
            elif number == 5:
                name, content = self.attribute(value)
                attributes[name] = content
        name = texts[3] or (outputs[0] if outputs else "")
        if not texts[4] or not outputs:
            raise InputError(f"ONNX: node '{shown_name(name)}': expected a type and an output")
        return OnnxNode(texts[4], texts[7], name, tuple(inputs), tuple(outputs), attributes)

    def attribute(self, place: Any) -> tuple[str, Any]:
        """The name and content of an attribute."""
        name, kind = "", 0
        single: Any = None
        ints: list[int] = []
        floats: list[float] = []
        texts: list[str] = []
        for number, wire, value in self.fields(_start(place), place[1]):
            if number == 1:
                name = self.text(value)
            elif number == 20:
                kind = _signed(value)
            elif number == 2:
                single = self.number(value, "<f")
            elif number == 3:
                single = _signed(value)
            elif number == 4:
                single = self.text(value)
            elif number == 5:
                single = self.tensor(value)[1]
            elif number == 7:
                floats += self.numbers(wire, value, "<f4")
            elif number == 8:
                ints += self.integers(wire, value)
            elif number == 9:
                texts.append(self.text(value))
            elif number in (6, 10, 11, 14, 15, 22, 23):
                raise CannotLower(
                    f"ONNX: attribute '{shown_name(name)}' holds a graph or a list of tensors "
                    "(a branch or a loop); export the network without"
                )
        lists: dict[int, Any] = {6: floats, 7: ints, 8: texts}
        if kind in lists:
            return name, lists[kind]
        if single is None:
            # proto3 does not write fields that are 0 or empty.
            single = floats or ints or texts or {1: 0.0, 2: 0, 3: ""}.get(kind)
        return name, single

    def tensor(self, place: Any) -> tuple[str, Array]:
        """The name and elements of a tensor."""
        name, dtype, shape, raw = "", 0, [], None
        lists: list[tuple[int, int, Any]] = []
        for number, wire, value in self.fields(_start(place), place[1]):
            if number == 1:
                shape += self.integers(wire, value)
            elif number == 2:
                dtype = _signed(value)
            elif number == 8:
                name = self.text(value)
            elif number == 9:
                raw = (_start(value), value[1])
            elif number in _LISTS:
                lists.append((number, wire, value))
            elif number == 13 or (number == 14 and value):
                raise CannotLower(
                    "ONNX: its tensors lie in another file (external data); save it in one file: "
                    "onnx.save(model, path, save_as_external_data=False)"
                )
        where = f"ONNX: tensor '{shown_name(name)}'"
        if dtype not in _DTYPES:
            raise InputError(f"{where}: type {dtype}: expected numbers of at most 64 bits")
        if len(shape) > MOST_AXES or any(not 0 <= n < 1 << 31 for n in shape):
            raise InputError(f"{where}: shape: expected at most {MOST_AXES} sizes, found {shape}")
        count = prod(shape)
        kind = np.dtype(_DTYPES[dtype])
        if raw is not None:
            if raw[1] - raw[0] != count * kind.itemsize:
                raise InputError(
                    f"{where}: expected {count * kind.itemsize} bytes for shape {shape}, found "
                    f"{raw[1] - raw[0]}"
                )
            array = np.frombuffer(self.data[raw[0] : raw[1]], kind)
        else:
            listed: list[Any] = []
            for number, wire, value in lists:
                if number in (5, 7, 11):
                    listed += self.integers(wire, value)
                else:
                    listed += self.numbers(wire, value, _LISTS[number])
            if len(listed) != count:
                raise InputError(
                    f"{where}: expected {count} elements for shape {shape}, found {len(listed)}"
                )
            array = _array(where, listed, kind)
        return name, array.reshape(shape)

    def integers(self, wire: int, value: Any) -> list[int]:
        """The integer, or the packed integers, of one field."""
        if wire == _VARINT:
            return [_signed(value)]
        at, end = _start(value), value[1]
        found = []
        while at < end:
            number, at = _varint(self.data, at, end)
            found.append(_signed(number))
        return found

    def numbers(self, wire: int, value: Any, kind: str) -> list[float]:
        """The float, or the packed floats, of one field."""
        start, end = _start(value), value[1]
        if (end - start) % np.dtype(kind).itemsize:
            raise InputError(f"ONNX: byte {start}: expected whole numbers of {kind}")
        found: list[float] = np.frombuffer(self.data[start:end], kind).tolist()
        return found

    def number(self, value: Any, kind: str) -> float:
        """One float of a fixed size."""
        start, end = _start(value), value[1]
        if end - start != struct.calcsize(kind):
            raise InputError(f"ONNX: byte {start}: expected a float of 32 bits")
        return float(struct.unpack(kind, self.data[start:end])[0])

    def value_info(self, place: Any) -> tuple[str, tuple[int | None, ...]]:
        """The name and shape of an input or output."""
        name, shape = "", []
        for number, _, value in self.fields(_start(place), place[1]):
            if number == 1:
                name = self.text(value)
            elif number == 2:
                for tensor in self.inside(value, 1):
                    for sizes in self.inside(tensor, 2):
                        shape = [self.dimension(d) for d in self.inside(sizes, 1)]
        return name, tuple(shape)

    def dimension(self, place: Any) -> int | None:
        """The size of an axis, or None if it is not fixed."""
        for number, _, value in self.fields(_start(place), place[1]):
            if number == 1:
                return _signed(value)
        return None

    def inside(self, place: Any, wanted: int) -> list[Any]:
        """The messages in all fields with the number ``wanted``."""
        found = [v for n, _, v in self.fields(_start(place), place[1]) if n == wanted]
        for each in found:
            _start(each)
        return found

    def annotation(self, found: OnnxModel, place: Any) -> None:
        """Read a value's annotations; only FINN's data type is kept."""
        name = ""
        for number, _, value in self.fields(_start(place), place[1]):
            if number == 1:
                name = self.text(value)
            elif number == 2:
                pair = {n: v for n, _, v in self.fields(_start(value), value[1])}
                if 1 in pair and 2 in pair and self.text(pair[1]) == "finn_datatype":
                    found.datatypes[name] = self.text(pair[2])


def _varint(data: Any, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & ((1 << 64) - 1), at
        shift += 7
    raise InputError(f"ONNX: byte {at}: expected an integer; the file is damaged or cut off")


def _signed(value: Any) -> int:
    if not isinstance(value, int):
        raise InputError(f"ONNX: byte {value[0]}: expected an integer, found bytes")
    return value - (1 << 64) if value >> 63 else value


def _start(place: Any) -> int:
    if isinstance(place, int):
        raise InputError(f"ONNX: expected a message or a text, found the integer {place}")
    return int(place[0])


def _array(where: str, listed: list[Any], kind: np.dtype[Any]) -> Array:
    """Listed elements as an array; float16 elements are listed as integers with the same bits."""
    if kind == np.float16:
        if not all(0 <= n < 1 << 16 for n in listed):
            raise InputError(f"{where}: expected 16 bits for each element")
        return np.array(listed, np.uint16).view(np.float16)
    if kind.kind in "iub":
        low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
        if kind == np.uint64:
            listed = [n % (1 << 64) for n in listed]
        if not all(low <= n <= high for n in listed):
            raise InputError(f"{where}: expected integers from {low} to {high}")
    return np.array(listed, kind)

"""The ends of an ONNX network: its input, its output, the choice of a class."""

from __future__ import annotations

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Input
from hwbnn.program import shown_name
from hwbnn.readers.onnx.folding import single
from hwbnn.readers.onnx.onnx_translation import CHANNELS_LAST, OnnxTranslation, OnnxValue
from hwbnn.readers.onnx.protobuf import OnnxNode


def network_input(work: OnnxTranslation) -> tuple[str, tuple[int, ...], Input | None]:
    """The name and shape of the input, and its Input where FINN's annotation gives one."""
    names = [name for name in work.model.inputs if name not in work.constants]
    if len(names) != 1:
        raise CannotLower(f"ONNX: expected one input, found {len(names)}; a Graph has one")
    sizes = work.model.inputs[names[0]]
    where = f"input '{shown_name(names[0])}'"
    if len(sizes) not in (2, 3, 4) or any(n is None or n < 1 for n in sizes[1:]):
        raise CannotLower(
            f"{where}: expected a batch of vectors, sequences or images of fixed sizes, found "
            f"{sizes}; export the network with a fixed input shape"
        )
    known = tuple(int(n) for n in sizes[1:] if n is not None)
    axes, shape = "nf", known
    if len(known) == 3:
        last = _begins_channels_last(work, names[0])
        axes = "nhwc" if last else "nchw"
        shape = known if last else (known[1], known[2], known[0])
    elif len(known) == 2:  # a sequence is an image of one row
        axes, shape = "ncw", (1, known[1], known[0])
    work.values[names[0]] = OnnxValue(names[0], axes)
    return names[0], shape, _annotated(shape, work.model.datatypes.get(names[0], ""))


def _begins_channels_last(work: OnnxTranslation, name: str) -> bool:
    """Whether the first operation behind the input that fixes the axes has channels last."""
    reached = {name}
    for node in work.model.nodes:
        if reached.isdisjoint(node.inputs):
            continue
        if node.op == "Transpose":
            return False
        if node.op in ("Conv", "MaxPool", "BatchNormalization"):
            return node.domain == CHANNELS_LAST
        if node.op in ("Im2Col", "MaxPoolNHWC"):
            return True
        if node.attributes.get("data_layout") in ("NCHW", "NHWC"):
            return bool(node.attributes["data_layout"] == "NHWC")
        reached |= set(node.outputs)
    return False


def network_output(work: OnnxTranslation) -> str:
    """The name of the program's value that is the graph's only output."""
    if len(work.model.outputs) != 1:
        raise CannotLower(
            f"ONNX: expected one result, found {len(work.model.outputs)}; keep the logits alone"
        )
    value = work.values.get(work.model.outputs[0])
    if value is None:
        raise InputError("ONNX: its result does not depend on the input")
    if value.margin is not None:
        raise CannotLower("ONNX: ends in a Pad or an Im2Col; end it in a dense layer")
    if value.order is not None:
        raise CannotLower(
            "ONNX: ends in a flattened image; end it in a dense layer or a global pool"
        )
    return value.name


def class_choice(work: OnnxTranslation, node: OnnxNode) -> None:
    """``ArgMax`` and ``TopK`` of one: the class, at the end of the network."""
    value = work.value(node)
    given = node.attributes
    axis = int(given.get("axis", -1 if node.op == "TopK" else 0))
    if value.axes[axis % len(value.axes)] not in "cf" or value.order is not None:
        raise CannotLower(f"{node.label}: expected the largest of the classes, on axis 1")
    if node.op == "TopK":
        count = single(node, "k", work.constant(node, 1, "k").array)
        if count != 1 or not given.get("largest", 1):
            raise CannotLower(f"{node.label}: expected the one largest, k = 1")
    elif given.get("select_last_index"):
        raise CannotLower(f"{node.label}: expected ties to go to the lowest index")
    work.end = value.name
    for name in node.outputs:
        if name:
            work.values[name] = value


def softmax(work: OnnxTranslation, node: OnnxNode) -> None:
    """``Softmax`` at the end: the class is the same without it."""
    later = [n for n in work.model.nodes if node.outputs[0] in n.inputs]
    if any(n.op not in ("ArgMax", "TopK", "Identity") for n in later):
        raise CannotLower(f"{node.label}: taken only at the end of the network")
    work.remarks.append(f"{node.label} left out: the class is the same without it")
    work.values[node.outputs[0]] = work.value(node)


def same(work: OnnxTranslation, node: OnnxNode) -> None:
    """Operations that change nothing in inference."""
    work.values[node.outputs[0]] = work.value(node)


def _annotated(shape: tuple[int, ...], datatype: str) -> Input | None:
    """The Input of FINN's data type, with integers of scale 1; None for other types."""
    if datatype == "BIPOLAR":
        return Input("x", shape, 0, 1, bit=True, scale=2.0, offset=-1.0)
    if datatype == "BINARY":
        return Input("x", shape, 0, 1)
    for prefix, signed in (("UINT", False), ("INT", True)):
        digits = datatype.removeprefix(prefix)
        if digits != datatype and digits.isdecimal() and 1 <= int(digits[:3]) <= 16:
            bits = int(digits[:3])
            low = -(1 << (bits - 1)) if signed else 0
            return Input("x", shape, low, low + (1 << bits) - 1)
    return None

"""A block as an instance of a hand-written module, and its constants in the order of tokens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwbnn.plan import TokenStream
from hwbnn.plan.blocks import Block, ByElement
from hwbnn.plan.products import Digit
from hwbnn.targets.rtl.verilog import concatenation, instance, module, vector

PASSED = {
    "clk_i": "clk_i",
    "rst_ni": "rst_ni",
    "valid_i": "valid_i",
    "data_i": "data_i",
    "valid_o": "valid_o",
    "data_o": "data_o",
}
"""Ports of a block's module, each connected to the same port of the hand-written one in it."""


class Wrapped(NamedTuple):
    """A hand-written module, and the constants and parameters of its instance.

    Attributes:
        kind: name of the module, without the library's prefix.
        comment: the comment of the generated module, in one or more lines.
        body: declarations of constants.
        parameters: of the instance.
    """

    kind: str
    comment: str
    body: str
    parameters: dict[str, object]


def by_element(block: ByElement) -> dict[str, object]:
    """The parameters for how constants repeat: elements of a token, and the period in tokens."""
    return {"Lanes": block.lanes, "Tokens": block.tokens}


def border_classes(block: ByElement) -> dict[str, object]:
    """The parameters that give each position its border class; empty if there is one class."""
    if block.border_classes is None or block.classes == 1:
        return {}
    width = (block.classes - 1).bit_length()
    return {
        "Classes": block.classes,
        "Positions": block.border_classes.size,
        "Places": concatenation([int(k) for k in block.border_classes.ravel()], width, "      "),
    }


def in_order(
    values: NDArray[np.int64] | NDArray[np.object_], block: ByElement, *, classes: int | None = None
) -> list[int]:
    """All constants, class by class and token by token, with zeros in lanes without an element.

    Args:
        values: the constants, ``(classes * elements, ...)``.
        block: the block that they belong to.
        classes: the number of classes of these constants; that of the block if None.
    """
    return [int(value) for value in block.in_tokens(values, classes).ravel()]


def module_name(core: str, block: Block) -> str:
    """The name of the generated module of a block; it begins with the name of the core."""
    return f"{core}_{block.name}"


def ports(block: Block) -> list[str]:
    """The port declarations of a block's module; the hand-written module has the same ports."""
    return [
        "input  logic clk_i",
        "input  logic rst_ni",
        "input  logic valid_i",
        f"input  logic {vector(block.source.bits)} data_i",
        "output logic valid_o",
        f"output logic {vector(block.result.bits)} data_o",
    ]


def digit_bits(source: TokenStream, digit: Digit, first: int = 0) -> list[str]:
    """The bits of an input that a digit of a weight adds, the lowest first.

    A digit of -1 complements all bits; of a signed input, the sign bit is complemented once more.

    Args:
        source: the stream of inputs, a whole vector a token.
        digit: a digit of a weight.
        first: the number of the first input that its channel reads.
    """
    bits = []
    for bit in range(source.width):
        turned = digit.negative ^ (source.signed and bit == source.width - 1)
        bits.append(f"{'~' if turned else ''}data_i[{(first + digit.input) * source.width + bit}]")
    return bits


def text(block: Block, name: str, wrapped: Wrapped) -> str:
    """The module of this name around a hand-written one."""
    inner = instance(f"hwbnn_{wrapped.kind}", f"u_{wrapped.kind}", wrapped.parameters, PASSED)
    return module(name, wrapped.comment, ports(block), f"{wrapped.body}\n{inner}")

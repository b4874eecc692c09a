"""A block as an instance of a hand-written module, and its constants in the order of tokens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwbnn.plan.blocks import ByElement
from hwbnn.targets.rtl.verilog import concatenation


class Wrapped(NamedTuple):
    """A hand-written module and what its instance is given.

    Attributes:
        kind: name of the module, without the library's prefix.
        comment: what it does here.
        body: declarations of constants.
        parameters: of the instance.
    """

    kind: str
    comment: str
    body: str
    parameters: dict[str, object]


def by_element(block: ByElement) -> dict[str, object]:
    """How constants repeat: the elements of a token, and the tokens after which they do."""
    return {"Lanes": block.lanes, "Tokens": block.tokens}


def places(block: ByElement) -> dict[str, object]:
    """The classes of positions, where there are several."""
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
    """All constants, class by class and token by token, zeros in lanes that hold no element.

    Args:
        values: ``(classes * elements, ...)``.
        block: whose constants they are.
        classes: of these constants; those of the block if None.
    """
    return [int(value) for value in block.in_tokens(values, classes).ravel()]

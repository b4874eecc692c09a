"""Checks of a node's fields: names, integers, tuples and arrays.

On construction, arrays are copied, converted to their dtype and made read-only, so that a node
cannot change after a digest was computed. Each check raises a GraphError of one line.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Protocol

import numpy as np

from hwbnn.errors import GraphError
from hwbnn.graph.arrays import Bools, Ints

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
NAME_LENGTH = 48
LIMIT = 1 << 31
"""No value of a Graph reaches this magnitude: int64 arithmetic then never overflows."""
WEIGHT_LIMIT = 1 << 15
"""No weight reaches this magnitude."""
ELEMENTS = 1 << 24
"""Most elements of a value, so that a file of a few bytes cannot ask for unlimited memory."""


class Named(Protocol):
    """A node whose fields are checked; messages begin with its name."""

    @property
    def name(self) -> str:
        """The node's name."""


def check_name(name: object) -> str:
    """The name itself, if it may stand in generated C++, Verilog, Tcl and file names.

    Raises:
        GraphError: if it is not lower-case words of letters and digits joined by underscores.
    """
    if not isinstance(name, str) or len(name) > NAME_LENGTH or not NAME.fullmatch(name):
        raise GraphError(
            f"node name {shown(name)}: expected at most {NAME_LENGTH} of a-z, 0-9 and single '_', "
            "beginning with a letter; rename the node"
        )
    return name


def shown(value: object) -> str:
    """A value as an error message shows it: on one line, and short."""
    try:
        return repr(value)[:60]
    except ValueError:  # an integer of thousands of digits
        return "a huge integer"


def freeze(node: Named, field: str, dtype: Any, ndim: int, *, limit: int = LIMIT) -> None:
    """Replace an array field by a read-only copy of this dtype, with equal values.

    The array must have ``ndim`` axes and at least one element: bools for a bool dtype, else
    integers of magnitudes below ``limit``.
    """
    try:
        array = np.asarray(getattr(node, field))
    except ValueError:
        raise GraphError(f"node '{node.name}': {field}: expected rows of one length") from None
    kind = np.dtype(dtype).kind
    right = array.dtype.kind == "b" if kind == "b" else array.dtype.kind in "iu"
    if not right or array.ndim != ndim or array.size == 0:
        raise GraphError(
            f"node '{node.name}': {field}: expected a non-empty {ndim}-D array of "
            f"{'bool' if kind == 'b' else 'integers'}, found {array.dtype} of shape {array.shape}"
        )
    if kind != "b" and (int(array.max()) >= limit or int(array.min()) <= -limit):
        bits = limit.bit_length() - 1
        raise GraphError(f"node '{node.name}': {field}: expected magnitudes below 2^{bits}")
    frozen = np.array(array, dtype=dtype, order="C")
    frozen.setflags(write=False)
    object.__setattr__(node, field, frozen)


def freeze_affine(node: Named, field: str, channels: int, *, is_bit: bool) -> None:
    """Make ``scale`` or ``offset`` of an input a float, or a tuple of floats, one for each channel.

    Equal numbers become one float. Inputs of bits (``is_bit``) have one number only.
    """
    value = getattr(node, field)
    value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    numbers = list(value) if isinstance(value, tuple | list) else [value]
    numbers = [n.item() if isinstance(n, np.generic) else n for n in numbers]
    expected = "a number" if is_bit else f"one for each of {channels} channels, or a number"
    if len(numbers) not in (1, 1 if is_bit else channels) or not all(
        isinstance(n, int | float) and not isinstance(n, bool) for n in numbers
    ):
        raise GraphError(f"node '{node.name}': {field}: expected {expected}, found {shown(value)}")
    for number in numbers:
        if not abs(number) <= sys.float_info.max or (field == "scale" and number == 0):
            raise GraphError(
                f"node '{node.name}': {field}: expected a finite number"
                f"{', not 0' if field == 'scale' else ''}, found {shown(number)}"
            )
    floats = tuple(float(n) for n in numbers)
    object.__setattr__(node, field, floats if len(set(floats)) > 1 else floats[0])


def freeze_weights(node: Named, ndim: int) -> None:
    """Freeze the field ``weights`` as int16 numbers; a bool becomes +1 (True) or -1 (False)."""
    if _is_bool(getattr(node, "weights", None)):
        freeze(node, "weights", np.bool_, ndim)
        bits: Bools = node.weights  # type: ignore[attr-defined]
        object.__setattr__(node, "weights", 2 * bits.astype(np.int8) - 1)
    freeze(node, "weights", np.int16, ndim, limit=WEIGHT_LIMIT)


def _is_bool(value: object) -> bool:
    """Whether a value is an array of bools; rows of different lengths are no array."""
    try:
        return np.asarray(value).dtype == np.bool_
    except ValueError:
        return False


def integer(node: Named, field: str) -> int:
    """Make a field an ``int`` and return it; refuse all but integers below 2^31 in magnitude."""
    value = plain(getattr(node, field))
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= LIMIT:
        raise GraphError(
            f"node '{node.name}': {field}: expected an integer below 2^31 in magnitude, "
            f"found {shown(value)}"
        )
    object.__setattr__(node, field, value)
    return value


def plain(value: object) -> object:
    """A numpy integer as a Python ``int``; any other value unchanged."""
    return int(value) if isinstance(value, np.integer) else value


def integers(
    node: Named, field: str, length: int, low: int, high: int, *, both: bool = False
) -> tuple[int, ...]:
    """Make a field a tuple of ``length`` integers from ``low`` to ``high``, and return it.

    With ``both``, a single integer is repeated ``length`` times.
    """
    value = getattr(node, field)
    if both and isinstance(value, int):
        value = (value,) * length
    good = isinstance(value, tuple | list) and len(value) == length
    if not good or not all(type(n) is int and low <= n <= high for n in value):
        raise GraphError(
            f"node '{node.name}': {field}: expected {length} integers from {low} to {high}, found "
            f"{shown(value)}"
        )
    object.__setattr__(node, field, tuple(value))
    return tuple(value)


def freeze_scale_offset(node: Named, channels: int) -> None:
    """Freeze the optional fields ``scale`` and ``offset``: both or none, one entry per channel."""
    given = [field for field in ("scale", "offset") if getattr(node, field) is not None]
    if len(given) == 1:
        raise GraphError(
            f"node '{node.name}': {given[0]}: expected both scale and offset or none of them"
        )
    for field in given:
        freeze(node, field, np.int64, 1)
        expect_channels(node, field, channels, "weights")


def expect_channels(node: Named, field: str, channels: int, like: str) -> None:
    """Refuse an array whose first axis is not ``channels`` long, as that of the field ``like``."""
    found = len(getattr(node, field))
    if found != channels:
        raise GraphError(
            f"node '{node.name}': {field}: expected {channels} channels as in {like}, found {found}"
        )


def freeze_places(node: Named, classes: int) -> None:
    """Freeze the field ``border_classes``: for each position a class from 0 to ``classes - 1``."""
    freeze(node, "border_classes", np.int64, 2)
    border_classes: Ints = node.border_classes  # type: ignore[attr-defined]
    if int(border_classes.min()) < 0 or int(border_classes.max()) >= classes:
        raise GraphError(
            f"node '{node.name}': border_classes: expected classes from 0 to {classes - 1}, found "
            f"{int(border_classes.min())} to {int(border_classes.max())}"
        )

"""The nodes of dense networks: frozen values, one class a kind, each doing one thing.

A node names the earlier value that it reads (``source``) and says what it computes from it; what it
computes is defined by :mod:`hwbnn.simulators.plain`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from hwbnn.errors import GraphError
from hwbnn.graph.node import (
    ELEMENTS,
    LIMIT,
    Node,
    expect_channels,
    freeze,
    freeze_factors,
    freeze_places,
    integer,
    shown,
)


@dataclass(frozen=True, eq=False, slots=True)
class Input(Node):
    """What arrives: integers ``low .. high``, or bits, in an array of this shape.

    ``scale`` and ``offset`` are the one affine map from these integers to what the network was
    trained on, ``x = scale * u + offset`` (for bits ``u`` is the code 0 or 1). No later node reads
    them; they are kept so that a user's own floats can be brought to integers and back.
    """

    shape: tuple[int, ...]
    low: int
    high: int
    bit: bool = False
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        shape = self.shape
        if isinstance(shape, int):
            shape = (shape,)
        good = isinstance(shape, tuple | list) and all(
            isinstance(n, int) and not isinstance(n, bool) and 0 < n < LIMIT for n in shape
        )
        if not good or not 1 <= len(shape) <= 4 or prod(shape) > ELEMENTS:
            raise GraphError(
                f"node '{self.name}': shape: expected 1 to 4 sizes, together at most 2^24 "
                f"elements, found {shown(shape)}"
            )
        object.__setattr__(self, "shape", tuple(shape))
        if integer(self, "low") > integer(self, "high"):
            raise GraphError(f"node '{self.name}': low {self.low} is above high {self.high}")
        if not isinstance(self.bit, bool) or (self.bit and (self.low, self.high) != (0, 1)):
            raise GraphError(
                f"node '{self.name}': bit: expected true or false, and low 0 and high 1 for bits, "
                f"found {shown(self.bit)} with low {self.low} and high {self.high}"
            )
        for field in ("scale", "offset"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise GraphError(
                    f"node '{self.name}': {field}: expected a number, found {shown(value)}"
                )
            if not abs(value) <= sys.float_info.max or (field == "scale" and value == 0):
                raise GraphError(
                    f"node '{self.name}': {field}: expected a finite number"
                    f"{', not 0' if field == 'scale' else ''}, found {shown(value)}"
                )
            object.__setattr__(self, field, float(value))

    @classmethod
    def bits(cls, shape: tuple[int, ...] | int, name: str = "x") -> Input:
        """An input of bits, seen by the network as -1 and +1."""
        wanted = (shape,) if isinstance(shape, int) else shape
        return cls(name, wanted, 0, 1, bit=True, scale=2.0, offset=-1.0)

    @classmethod
    def pixels(
        cls,
        shape: tuple[int, ...] | int,
        name: str = "x",
        scale: float = 1 / 255,
        offset: float = 0.0,
    ) -> Input:
        """An input of 8-bit pixels; by default the network was trained on ``u / 255``."""
        wanted = (shape,) if isinstance(shape, int) else shape
        return cls(name, wanted, 0, 255, scale=scale, offset=offset)


@dataclass(frozen=True, eq=False, slots=True)
class Select(Node):
    """The elements of a flat value that go on: ``y[i] = x[index[i]]``.

    Attributes:
        index: int64 array ``(m,)`` of distinct positions in ``0 .. n-1``.
    """

    source: str
    index: NDArray[np.int64]

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        freeze(self, "index", np.int64, 1)
        if len(np.unique(self.index)) != self.index.size or int(self.index.min()) < 0:
            raise GraphError(f"node '{self.name}': index: expected distinct positions from 0")


@dataclass(frozen=True, eq=False, slots=True)
class Encode(Node):
    """Comparisons of each element with thresholds of its own: integers to bits (a thermometer).

    ``y[i * k + j] = [x[i] >= thresholds[i, j]]``, flat.

    Attributes:
        thresholds: int64 array ``(n, k)`` for a flat value of ``n`` elements.
    """

    source: str
    thresholds: NDArray[np.int64]

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        freeze(self, "thresholds", np.int64, 2)


@dataclass(frozen=True, eq=False, slots=True)
class Dot(Node):
    """Sums of the elements of a flat value, each taken with the sign of a weight.

    ``D[c] = sum_i (2 * weights[c, i] - 1) * x[i]``, where a bit ``x[i]`` counts as -1 or +1, and
    ``y = D``; or, with ``scale`` and ``offset``, ``y[c] = scale[c] * D[c] + offset[c] * S`` where
    ``S = sum_i x[i]`` is common to all channels. The latter is a product with weights of two
    integers a channel, ``offset - scale`` and ``offset + scale``, centred anywhere.

    Attributes:
        weights: bool array ``(channels, n)``, True for +1.
        scale: int64 array ``(channels,)``, or None.
        offset: int64 array ``(channels,)``, or None; there are both or none.
    """

    source: str
    weights: NDArray[np.bool_]
    scale: NDArray[np.int64] | None = None
    offset: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        freeze(self, "weights", np.bool_, 2)
        freeze_factors(self, len(self.weights))

    @property
    def factors(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """``scale`` and ``offset``; None where the node is a plain sum."""
        if self.scale is None or self.offset is None:
            return None
        return self.scale, self.offset


@dataclass(frozen=True, eq=False, slots=True)
class Threshold(Node):
    """How many thresholds of its channel an integer reaches; with one threshold, a bit.

    Channel ``c`` (last axis) counts the ``j`` with ``x >= thresholds[c, j]``, or, where
    ``falling[c]``, with ``x <= thresholds[c, j]``. A threshold out of the value's range says
    *never* or *always*. With ``places`` the thresholds at row ``i`` and column ``j`` of an image
    are ``thresholds[places[i, j]]``: sums at a zero-padded border are of fewer terms.

    Attributes:
        thresholds: int64 array ``(channels, k)``, with ``places`` ``(classes, channels, k)``.
        falling: bool array ``(channels,)``.
        places: int64 array ``(height, width)`` of classes, or None.
    """

    source: str
    thresholds: NDArray[np.int64]
    falling: NDArray[np.bool_]
    places: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        freeze(self, "thresholds", np.int64, 2 if self.places is None else 3)
        freeze(self, "falling", np.bool_, 1)
        expect_channels(self, "falling", self.thresholds.shape[-2], "thresholds")
        if self.places is not None:
            freeze_places(self, len(self.thresholds))


@dataclass(frozen=True, eq=False, slots=True)
class Lookup(Node):
    """A table a channel, from every integer that the source can take to an integer, or to a bit.

    ``y[..., c] = table[c, (x[..., c] - low) // step]`` with ``low`` and ``step`` of the source.

    Attributes:
        table: int64 array ``(channels, count)``, ``count`` as in the type of the source.
        bit: whether the entries are codes 0 and 1 of -1 and +1.
    """

    source: str
    table: NDArray[np.int64]
    bit: bool = False

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        freeze(self, "table", np.int64, 2)
        if not isinstance(self.bit, bool):
            raise GraphError(f"node '{self.name}': bit: expected true or false")
        if self.bit and not np.isin(self.table, (0, 1)).all():
            raise GraphError(f"node '{self.name}': table: expected codes 0 and 1")


@dataclass(frozen=True, eq=False, slots=True)
class Flatten(Node):
    """All elements in one axis, the last axis fastest (channels last)."""

    source: str


@dataclass(frozen=True, eq=False, slots=True)
class ArgMax(Node):
    """The index of the largest element of a flat value, as one integer; ties go to the lowest."""

    source: str


@dataclass(frozen=True, eq=False, slots=True)
class Output(Node):
    """What leaves: the source, unchanged."""

    source: str

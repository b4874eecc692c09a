"""A value of the Graph on its way through the float network.

Images are ``(height, width, channels)`` in the Graph and ``(batch, channels, height, width)`` in
torch. What torch does to an image between two nodes is done channel by channel, so a table of
``(rows, channels)`` says all of it, wherever an element stands; but for the sums of a convolution
at the border of an image, whose constant depends on which taps lie inside (:class:`Places`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwbnn.graph import ValueType
from hwbnn.graph.arrays import Ints
from hwbnn.lowering.pairs import Pending
from hwbnn.lowering.steps import Step


@dataclass(frozen=True, eq=False)
class Places:
    """Border classes: positions whose windows have the same taps inside the image.

    Attributes:
        classes: the class of each position, int64 ``(height, width)``.
        first: for each class the step that makes floats of the integers, in front of all others.
    """

    classes: Ints
    first: tuple[Step, ...]


@dataclass(frozen=True, eq=False)
class Pool:
    """A max pool of floats that waits for what reads it, see :mod:`hwbnn.lowering.pools`.

    Attributes:
        name: the layer's name in the network.
        label: the layer, for messages.
        kernel: rows and columns.
        stride: rows and columns.
        padding: top, bottom, left, right.
        shape: of the image that it makes, channels last.
        cut: how many of the stream's steps stand before it.
    """

    name: str
    label: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    shape: tuple[int, int, int]
    cut: int


@dataclass(frozen=True)
class Fixed:
    """How far the integers of a fixed-point stream may be from the network's floats.

    Attributes:
        error: at most, in units of the integers, wherever the network's activations so far have the
            Graph's codes.
        local: the same, where the network's last sum of two streams has the Graph's numbers too.
    """

    error: float
    local: float


@dataclass(frozen=True, eq=False)
class Stream:
    """A value of the Graph on its way through the float network.

    Attributes:
        name: the node of the Graph that makes it.
        type: its shape and range.
        low: smallest integer of each channel, int64 ``(channels,)``.
        high: largest integer of each channel.
        layer: the layer of the network that it left, for messages.
        steps: from the integers as float32 (codes 0 and 1 for bits) to what torch sees here.
        is_input: whether it is the network's input.
        pending: the layer that it left, in each border class, where one integer does not say what
            follows; the steps then begin behind it. Empty for most.
        places: where the first step depends on the position.
        pool: a max pool among the steps that has no node yet.
        is_coded: whether an activation made it: few integers, each standing for one float.
        order: of a flattened image: torch's element ``i`` is element ``order[i]`` of the Graph's;
            None where they are the same.
        fixed: how far the integers are from the floats; None where they say them exactly.
    """

    name: str
    type: ValueType
    low: Ints
    high: Ints
    layer: str
    steps: tuple[Step, ...] = ()
    is_input: bool = False
    pending: tuple[Pending, ...] = ()
    places: Places | None = None
    pool: Pool | None = None
    is_coded: bool = False
    order: Ints | None = None
    fixed: Fixed | None = None

    @property
    def is_image(self) -> bool:
        """Whether it has rows and columns."""
        return len(self.type.shape) == 3

    @property
    def shape(self) -> tuple[int, ...]:
        """What torch sees here, without the batch, channels last."""
        return self.type.shape if self.pool is None else self.pool.shape

    @property
    def variants(self) -> tuple[tuple[Step, ...], ...]:
        """All steps, for each border class."""
        if self.places is None:
            return (self.steps,)
        return tuple((first, *self.steps) for first in self.places.first)

    def after(self, step: Step) -> Stream:
        """The stream a step further on."""
        if self.is_image:
            step = replace(step, is_image=True)
        elif self.order is not None and not step.is_elementwise:
            step = step.picked(np.argsort(self.order), len(self.order))
        return replace(self, steps=(*self.steps, step))

"""What trained modules make of all pairs of sums, and for each total the outermost of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwbnn.errors import CannotLower
from hwbnn.graph.arrays import Bools, Floats, Ints
from hwbnn.lowering.pairs import Pending
from hwbnn.lowering.spans import Span
from hwbnn.lowering.steps import Step

FAR = 1 << 32
"""Beyond every sum, for an ``S`` where all pairs are in, or out."""


@dataclass(frozen=True, eq=False)
class Coded:
    """What the trained modules make of every pair, in the order of :meth:`Pairs.chunks`.

    Attributes:
        reached: for each chunk and each level the bits ``code > level``, packed.
        stairs: the outermost ``D`` of each level.
    """

    reached: list[list[NDArray[np.uint8]]]
    stairs: list[Stairs]


@dataclass(frozen=True, eq=False)
class Stairs:
    """For each ``S`` the outermost ``D`` that are in and out, int64 ``(totals, channels)``."""

    first_in: Ints
    last_in: Ints
    first_out: Ints
    last_out: Ints

    def room(self, falling: Bools, ratio: Floats, totals: Ints) -> Floats:
        """How far in and out are apart along ``(1, ratio)``, by channel; above 0 they are."""
        turn = ratio * totals[:, None]
        rising = (self.first_in + turn).min(axis=0) - (self.last_out + turn).max(axis=0)
        other = (self.first_out + turn).min(axis=0) - (self.last_in + turn).max(axis=0)
        room: Floats = np.where(falling, other, rising)
        return room


def tabulate(
    pending: Pending,
    steps: tuple[Step, ...],
    codes: Callable[[Tensor], Tensor],
    levels: int,
    span: Span | None = None,
) -> Coded:
    """Run the trained modules on every pair.

    Args:
        pending: the layer.
        steps: what follows it.
        codes: the activation, from floats ``(rows, channels)`` to integers 0 to ``levels``.
        levels: the highest code.
        span: where a max pool stands among the steps: is told how codes go with what it compares.

    Raises:
        CannotLower: naming the step that makes a NaN.
    """
    pairs = pending.pairs
    totals, channels = pairs.totals, len(pairs.plus)
    found = [np.zeros((4, len(totals), channels), np.int64) for _ in range(levels)]
    packed: list[list[NDArray[np.uint8]]] = []
    for part, d, _ in pairs.chunks():
        rows = torch.from_numpy(d.reshape(-1, channels).astype(np.float32))
        s = np.repeat(totals[part], d.shape[1]).astype(np.float32)
        y = x = pending.finish(rows, torch.from_numpy(s)[:, None])
        for position, step in enumerate(steps, 1):
            x = step(x)
            y = x if span is not None and position == span.cut else y
            if bool(x.isnan().any()):
                raise CannotLower(
                    f"{step.label}: makes a NaN of sums that can occur; look at its parameters (a "
                    "negative running variance, infinite gains)"
                )
        flat = codes(x).numpy()
        if span is not None:
            span.add(y.numpy(), flat)
        code = flat.reshape(d.shape)
        packed.append([])
        for level, outermost in enumerate(found):
            reached = code > level
            packed[-1].append(np.packbits(reached))
            outermost[:, part] = _outermost(d, reached)
    return Coded(packed, [Stairs(*outermost) for outermost in found])


def _outermost(d: Ints, reached: Bools) -> Ints:
    """First and last ``D`` that are in, first and last that are out, along the second axis."""
    last = d.shape[1] - 1
    ends = []
    for inside in (reached, ~reached):
        some = inside.any(axis=1)
        first = np.take_along_axis(d, inside.argmax(axis=1)[:, None], axis=1)[:, 0]
        end = np.take_along_axis(d, last - inside[:, ::-1].argmax(axis=1)[:, None], axis=1)[:, 0]
        ends += [np.where(some, first, FAR), np.where(some, end, -FAR)]
    return np.stack(ends)

"""The stages of a core as a report holds them: cycles, FIFOs, and the estimated resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hwbnn.errors import InputError


@dataclass(frozen=True)
class PartFigures:
    """A part of a stage; all resources are estimates.

    Attributes:
        node: the node that it computes; "" for what is around nodes, such as a FIFO.
        form: its form in words, such as ``"folded 8 x 16"``.
        lut: LUTs.
        ff: flip-flops.
        bram: block RAMs of 36 Kbit, smaller ones counted as halves.
        dsp: multipliers.
        latency: cycles from its input to its result; 0 where that depends on the stream.
    """

    node: str
    form: str
    lut: int
    ff: int
    bram: float
    dsp: int
    latency: int = 0


@dataclass(frozen=True)
class StageFigures:
    """A stage of a core.

    Attributes:
        name: its name in the top module.
        cycles: cycles for which a frame keeps it busy.
        busy: these cycles as a share of the initiation interval, 0 to 1.
        parts: its parts; the resources of the stage are their sums.
        depth: words of the FIFO behind it, branch by branch for a fork; empty if it has none.
        fill: the most words in that FIFO.
    """

    name: str
    cycles: int
    busy: float
    parts: tuple[PartFigures, ...]
    depth: tuple[int, ...] = ()
    fill: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.busy <= 1 or len(self.fill) != len(self.depth):
            raise InputError(
                f"stage {self.name[:60]!a}: expected a share 'busy' from 0 to 1, and a fill for "
                "each depth"
            )


@dataclass(frozen=True)
class StageTable:
    """All stages of a core, from input to output.

    Attributes:
        stages: the stages.
        sources: who says the figures: ``cycles`` (with ``busy`` and ``fill``) and ``resources``.
    """

    stages: tuple[StageFigures, ...] = ()
    sources: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

"""The blocks of matrix products (unrolled, folded, netlist): their raw sums and latencies."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from hwbnn.graph.arrays import Bools, Ints
from hwbnn.netlists import Netlist, NetlistForm, sums, thresholds
from hwbnn.netlists.layer_inputs import LayerInputs
from hwbnn.plan.blocks import Block, popcount_latency, register_stages, tree_depth
from hwbnn.plan.plan import Sums
from hwbnn.plan.tokens import TokenStream

KEPT = 32
"""Layers whose netlists are kept: a circuit is made several times on the way to a core."""


def row_latency(inputs: int, width: int, levels: int, sums: Sums) -> int:
    """Cycles of ``dot_row``: the counts of the bit planes, then their sum; or a tree of adders."""
    if sums == "adder_tree":
        return register_stages(tree_depth(inputs), levels)
    planes = 1 if sums == "bit_serial" else width
    return popcount_latency(inputs, levels) + register_stages(tree_depth(planes), levels)


@dataclass(frozen=True, eq=False)
class DotUnrolled(Block):
    """Raw sums of all channels at once (``dot_unrolled``).

    Attributes:
        node: the ``Dot`` or ``Conv2d``.
        weights: bool ``(channels, inputs)``; rows of falling fused thresholds are inverted. A row
            of all +1 behind them gives the total, where that is wanted.
        levels: levels of logic between two registers.
        sums: how inputs of several bits are summed.
        groups: blocks of inputs, each read by its own block of channels alone.
    """

    node: str
    weights: Bools
    levels: int
    sums: Sums
    groups: int = field(default=1, kw_only=True)

    @property
    def latency(self) -> int:
        """Cycles of one row."""
        return row_latency(self.weights.shape[1], self.source.width, self.levels, self.sums)


@dataclass(frozen=True, eq=False)
class DotNetlist(Block):
    """Raw sums of all channels at once, or whether they reach thresholds, as one netlist.

    Attributes:
        node: the ``Dot`` or ``Conv2d``.
        weights: as in :class:`DotUnrolled`.
        wanted: int64 ``(channels,)``: the least raw sums that give a 1; None where the raw sums
            themselves are given.
        scale_offset: int64 ``(channels,)`` each, where it is ``scale * raw + offset *
            total``, with the total of all inputs, that is compared; else None.
        drivers: constants, and equal bits by equal literals, that the netlist in front gives and
            this one relies on; None if there are none.
        netlist: what computes that.
        form: what it is written in.
        levels: levels of logic between two registers.
        cycles: its latency.
    """

    node: str
    weights: Bools
    wanted: Ints | None
    scale_offset: tuple[Ints, Ints] | None
    drivers: tuple[int, ...] | None
    netlist: Netlist
    form: NetlistForm
    levels: int
    cycles: int

    @property
    def latency(self) -> int:
        """Cycles of the netlist's deepest output."""
        return self.cycles


@dataclass(frozen=True, eq=False)
class DotFolded(Block):
    """Raw sums of ``pe`` channels from ``simd`` inputs a cycle (``dot_folded``).

    Neither needs to divide: lanes of the last token of a vector that hold no input count nothing,
    and sums of the last pass that belong to no channel mean nothing.

    It stands at the head of its pipeline: it takes a stream with a handshake, keeps it, and lets
    results in by credits. ``latency`` counts from the last step of a pass. Of an image it takes one
    window after the other; of a window, one group of inputs after the other, each with channels of
    its own.

    Attributes:
        node: the ``Dot`` or ``Conv2d``.
        weights: bool ``(channels, inputs)``, inputs of a group; rows of falling fused thresholds
            are inverted.
        levels: levels of logic between two registers.
        sums: how inputs of several bits are summed.
        pe: channels at a time.
        simd: inputs at a time.
        total: whether each token has the total behind its sums.
        groups: groups of a window.
    """

    node: str
    weights: Bools
    levels: int
    sums: Sums
    pe: int
    simd: int
    total: bool
    groups: int = field(default=1, kw_only=True)

    @property
    def inputs(self) -> int:
        """Inputs that a channel sums."""
        return int(self.weights.shape[1])

    @property
    def channels(self) -> int:
        """Channels of a group."""
        return len(self.weights) // self.groups

    @property
    def vectors(self) -> int:
        """Vectors of inputs in a frame: of all windows, all groups."""
        return self.source.size // self.inputs

    @property
    def steps(self) -> int:
        """Steps of one round over the inputs."""
        return -(-self.inputs // self.simd)

    @property
    def rounds(self) -> int:
        """Rounds of one pass over the inputs: one, or one a bit plane."""
        return self.source.width if self.sums == "bit_serial" else 1

    @property
    def passes(self) -> int:
        """Passes over a vector, one for every ``pe`` of its channels."""
        return -(-self.channels // self.pe)

    @property
    def cycles(self) -> int:
        """Cycles of a frame."""
        return self.vectors * self.passes * self.rounds * self.steps

    @property
    def buffer_tokens(self) -> int:
        """Tokens kept: two vectors, so that one can arrive whole while the other is read.

        With a single round nothing is read twice and two tokens keep it going.
        """
        return 2 if self.passes * self.rounds == 1 else 2 * self.steps

    @property
    def rows(self) -> int:
        """Rows of the memory of weights, ``pe * simd`` bits each."""
        return self.groups * self.passes * self.steps

    @property
    def memory(self) -> Bools:
        """The memory of weights in the order in which passes read it, bool ``(rows, pe * simd)``.

        A weight beyond the last input is 1: by it the input that the hardware puts there, the
        smallest number, counts nothing.
        """
        whole = np.zeros((self.groups, self.passes * self.pe, self.steps * self.simd), np.bool_)
        whole[:, :, self.inputs :] = True
        whole[:, : self.channels, : self.inputs] = self.weights.reshape(
            self.groups, -1, self.inputs
        )
        ordered = whole.reshape(self.groups * self.passes, self.pe, self.steps, self.simd)
        return ordered.transpose(0, 2, 1, 3).reshape(self.rows, -1)

    @property
    def latency(self) -> int:
        """Cycles from the last step of a pass: read, row, and adding to the total."""
        return 2 + row_latency(self.simd, self.source.width, self.levels, self.sums)


def netlist(
    weights: Bools,
    wanted: Ints | None,
    source: TokenStream,
    scale_offset: tuple[Ints, Ints] | None = None,
    drivers: tuple[int, ...] | None = None,
) -> Netlist:
    """The netlist of a layer: its raw sums, or whether they reach ``wanted``, scaled or not.

    Args:
        weights: bool ``(channels, inputs)``.
        wanted: int64 ``(channels,)``; None for the raw sums themselves.
        source: the stream of inputs.
        scale_offset: scale and offset, int64 ``(channels,)`` each, as in
            :func:`hwbnn.netlists.thresholds`.
        drivers: what is known of the inputs, by :func:`known_drivers`.
    """
    arrays = (wanted, *(scale_offset or ()))
    numbers = tuple(n.astype("<i8").tobytes() for n in arrays if n is not None)
    return _made(weights.tobytes(), len(weights), numbers, source.width, source.signed, drivers)


def known_drivers(drivers: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """What the outputs of the netlist that drives inputs tell of these; None for nothing."""
    return None if drivers is None else LayerInputs(len(drivers), drivers=drivers).told


@lru_cache(maxsize=KEPT)
def _made(
    weights: bytes, channels: int, numbers: tuple[bytes, ...], width: int, signed: bool,
    drivers: tuple[int, ...] | None,
) -> Netlist:  # fmt: skip
    bits = np.frombuffer(weights, np.bool_).reshape(channels, -1)
    if not numbers:
        return sums(bits, width=width, signed=signed, drivers=drivers)
    wanted, *factors = (np.frombuffer(n, "<i8").astype(np.int64) for n in numbers)
    scaled = (factors[0], factors[1]) if factors else None
    return thresholds(
        bits, wanted, width=width, signed=signed, scale_offset=scaled, drivers=drivers
    )

"""The blocks of matrix products (unrolled, folded, netlist): their raw sums and latencies."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from hwbnn.graph import ValueType
from hwbnn.graph.arrays import Bools, Ints
from hwbnn.netlists import Netlist, NetlistForm, sums, thresholds
from hwbnn.netlists.digits import Digits
from hwbnn.netlists.layer_inputs import LayerInputs
from hwbnn.plan.blocks import (
    SHALLOW,
    Block,
    popcount_latency,
    register_stages,
    signed_width,
    tree_depth,
)
from hwbnn.plan.constants import ByProducts
from hwbnn.plan.plan import Folded, Sums
from hwbnn.plan.tokens import TokenStream

T = TypeVar("T", bound=np.generic)

KEPT = 32
"""Netlists in the cache: a circuit is built several times on the way to a core."""


def row_latency(inputs: int, width: int, per_register: int, sums: Sums) -> int:
    """Cycles of ``dot_row``: popcounts of bit planes, then their sum; or a tree of adders."""
    if sums == "adder_tree":
        return register_stages(tree_depth(inputs), per_register)
    planes = 1 if sums == "bit_serial" else width
    return popcount_latency(inputs, per_register) + register_stages(
        tree_depth(planes), per_register
    )


@dataclass(frozen=True, eq=False)
class DotUnrolled(Block):
    """Raw sums of all channels at once (``dot_unrolled``).

    Attributes:
        node: the ``Dot`` or ``Conv2d``.
        weights: bool ``(channels, inputs)``; rows of falling fused thresholds are inverted. If the
            total is needed, one more row of all +1 at the end gives it.
        logic_levels_per_register: levels of logic between two registers.
        sums: how inputs of several bits are summed.
        groups: groups of channels; each reads only its own group of inputs.
    """

    node: str
    weights: Bools
    logic_levels_per_register: int
    sums: Sums
    groups: int = field(default=1, kw_only=True)

    @property
    def latency(self) -> int:
        """Cycles of one row."""
        return row_latency(
            self.weights.shape[1], self.source.width, self.logic_levels_per_register, self.sums
        )


class Digit(NamedTuple):
    """A digit of a weight: plus or minus an input, shifted.

    Attributes:
        input: number of the input.
        place: the shift.
        negative: whether it is subtracted, that is, counted by its complement.
    """

    input: int
    place: int
    negative: bool


def digits_of(weights: Ints) -> tuple[tuple[Digit, ...], ...]:
    """The digits of each channel's weights, the lowest place first.

    Args:
        weights: int64 ``(channels, inputs)``.
    """
    signs, owners = Digits.of(weights).rows()
    digits: list[list[Digit]] = [[] for _ in weights]
    for row, (channel, place) in zip(signs, owners, strict=True):
        digits[channel] += [Digit(int(i), place, bool(row[i] < 0)) for i in np.flatnonzero(row)]
    return tuple(map(tuple, digits))


@dataclass(frozen=True, eq=False)
class WeightedUnrolled(Block):
    """Raw sums of all channels at once, with integer weights (``column_sum`` for each channel).

    Each digit of a weight adds the input, or its complement, shifted to the digit's place. The bits
    of these terms are counted in columns; with ``adder_tree`` the terms are added as numbers. A
    weight of 0 has no digit.

    Attributes:
        node: the ``Dot`` or ``Conv2d``.
        weights: int64 ``(channels, inputs)``; rows of falling fused thresholds are negated.
        logic_levels_per_register: levels of logic between two registers.
        sums: how digits are summed.
        groups: as in :class:`DotUnrolled`.
    """

    node: str
    weights: Ints
    logic_levels_per_register: int
    sums: Sums
    groups: int = field(default=1, kw_only=True)

    @cached_property
    def digits(self) -> tuple[tuple[Digit, ...], ...]:
        """The digits of each channel's weights, the lowest place first."""
        return digits_of(self.weights)

    @cached_property
    def heights(self) -> Ints:
        """Bits of each column of each channel, int64 ``(channels, columns)``."""
        digits = Digits.of(self.weights)
        width, places = self.source.width, max(1, digits.places)
        heights = np.zeros((len(self.weights), places + width - 1), np.int64)
        for place in range(places):
            heights[:, place : place + width] += (digits.at(place) != 0).sum(axis=1)[:, None]
        return heights

    @property
    def most(self) -> int:
        """The most digits of a channel; at least 1."""
        return max(1, *map(len, self.digits))

    @property
    def latency(self) -> int:
        """Cycles of the tallest column, then of the sum of columns; or of a tree of digits."""
        if self.sums == "adder_tree":
            return register_stages(tree_depth(self.most), self.logic_levels_per_register)
        tallest, columns = max(1, int(self.heights.max())), self.heights.shape[1]
        return popcount_latency(tallest, self.logic_levels_per_register) + register_stages(
            tree_depth(columns), self.logic_levels_per_register
        )


@dataclass(frozen=True, eq=False)
class DotNetlist(Block):
    """Raw sums of all channels at once, or whether they reach thresholds, as one netlist.

    Attributes:
        node: the ``Dot`` or ``Conv2d``.
        weights: int64 ``(channels, inputs)``; rows are as in :class:`DotUnrolled`.
        wanted: int64 ``(channels,)``: the least raw sums that give a 1; None if the outputs are the
            raw sums themselves.
        scale_offset: scale and offset, int64 ``(channels,)`` each, if ``scale * raw + offset *
            total`` is compared, where ``total`` is the sum of all inputs; else None.
        drivers: literals that drive the inputs in the netlist in front, from which this netlist
            knows constant and equal inputs; None if nothing is known.
        netlist: the netlist.
        form: the form in which it is written.
        logic_levels_per_register: levels of logic between two registers.
        cycles: its latency.
    """

    node: str
    weights: Ints
    wanted: Ints | None
    scale_offset: tuple[Ints, Ints] | None
    drivers: tuple[int, ...] | None
    netlist: Netlist
    form: NetlistForm
    logic_levels_per_register: int
    cycles: int

    @property
    def latency(self) -> int:
        """Cycles of the netlist's deepest output."""
        return self.cycles


@dataclass(frozen=True, eq=False)
class DotFolded(Block):
    """Raw sums of ``pe`` channels from ``simd`` inputs a cycle (``dot_folded``).

    ``pe`` need not divide the channels, nor ``simd`` the inputs: lanes of a vector's last token
    without an input add nothing, and sums of the last pass without a channel are ignored.

    It is always the head of its pipeline: it takes a stream with a handshake, buffers it, and ends
    a pass only if there is a credit for the result. ``latency`` counts from the last step of a
    pass. An image is computed window by window, and a window group by group; each group has its own
    channels.

    Attributes:
        node: the ``Dot`` or ``Conv2d``.
        weights: int64 ``(channels, inputs)``, inputs of a group; rows of falling fused thresholds
            are negated.
        logic_levels_per_register: levels of logic between two registers.
        sums: how inputs of several bits are summed.
        pe: channels computed in parallel.
        simd: inputs taken in parallel.
        total: whether each token has the total behind its sums.
        groups: groups of a window.
        memory_registers: registers behind a deep memory of weights, 1 or 2.
    """

    node: str
    weights: Ints
    logic_levels_per_register: int
    sums: Sums
    pe: int
    simd: int
    total: bool
    groups: int = field(default=1, kw_only=True)
    memory_registers: int = field(default=1, kw_only=True)

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
        """Vectors of inputs in a frame: windows times groups."""
        return self.source.size // self.inputs

    @property
    def steps(self) -> int:
        """Steps of one round over the inputs."""
        return -(-self.inputs // self.simd)

    @property
    def rounds(self) -> int:
        """Rounds over the inputs in one pass: one, or one for each bit plane if bit-serial."""
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

        With a single round nothing is read twice, so two tokens are enough.
        """
        return 2 if self.passes * self.rounds == 1 else 2 * self.steps

    @property
    def rows(self) -> int:
        """Rows of the memory of weights, ``pe * simd`` bits each."""
        return self.groups * self.passes * self.steps

    @property
    def reads(self) -> int:
        """Cycles from the address of a row of weights until they are there: 1 or 2."""
        return self.memory_registers if self.rows > SHALLOW else 1

    @property
    def memory(self) -> Bools:
        """The memory of weights in the order in which passes read it, bool ``(rows, row_bits)``."""
        return self.first_rows(self.rows)

    @property
    def row_bits(self) -> int:
        """Bits of a row of the memory of weights."""
        return self.pe * self.simd

    def first_rows(self, rows: int) -> Bools:
        """The first rows of :attr:`memory`, bool ``(rows, row_bits)``.

        Weights beyond the last input are 1: the hardware puts the smallest number there, so that
        these inputs add nothing.
        """
        return self.ordered(self.weights > 0, 1, rows)

    def ordered(self, weights: NDArray[T], rest: int, rows: int) -> NDArray[T]:
        """Weights in the order in which passes read them, ``(rows, pe * simd)``.

        Args:
            weights: ``(channels, inputs)``.
            rest: the weight beyond the last input; weights beyond the last channel are 0.
            rows: how many rows are wanted, the first ones.
        """
        # Only the groups, passes and steps that these rows are made of.
        begun = -(-rows // self.steps)
        groups = -(-begun // self.passes)
        passes = begun if groups == 1 else self.passes
        steps = min(rows, self.steps) if begun == 1 else self.steps
        whole = np.zeros((groups, passes * self.pe, steps * self.simd), weights.dtype)
        given = weights.reshape(self.groups, -1, self.inputs)
        given = given[:groups, : whole.shape[1], : whole.shape[2]]
        whole[:, :, given.shape[2] :] = rest
        whole[:, : given.shape[1], : given.shape[2]] = given
        ordered = whole.reshape(groups * passes, self.pe, steps, self.simd)
        return ordered.transpose(0, 2, 1, 3).reshape(-1, self.pe * self.simd)[:rows]

    @property
    def latency(self) -> int:
        """Cycles from the last step of a pass: reading, the row, and accumulation."""
        row = row_latency(self.simd, self.source.width, self.logic_levels_per_register, self.sums)
        return self.reads + row + 1


@dataclass(frozen=True, eq=False)
class WeightedFolded(DotFolded):
    """Raw sums of ``pe`` channels from ``simd`` inputs a cycle, with integer weights.

    Weights of -1, 0 and +1 mask the inputs of a popcount; other weights are gated by bits of
    inputs, or multiplied with the inputs (``weighted_folded``). ``weights`` is int64 here.

    Attributes:
        dsp: whether products are formed by multipliers of the device.
        start: the start value of the raw sums in a pass.
    """

    dsp: bool = field(default=False, kw_only=True)
    start: int = field(default=0, kw_only=True)

    @property
    def ternary(self) -> bool:
        """Whether weights are masks and signs."""
        return is_ternary(self.weights)

    @property
    def weight_width(self) -> int:
        """Bits of a weight in the memory."""
        return weight_width(self.weights)

    @property
    def row_bits(self) -> int:
        """Bits of a row of the memory of weights."""
        return self.pe * self.simd * self.weight_width

    def first_rows(self, rows: int) -> Bools:
        """The first rows of the memory; a weight beyond the last input is 0."""
        ordered = self.ordered(self.weights, 0, rows)
        bits = ordered[:, :, None] >> np.arange(self.weight_width) & 1
        return bits.astype(np.bool_).reshape(rows, -1)

    @property
    def latency(self) -> int:
        """Cycles from the last step of a pass: reading, the row, and accumulation."""
        planes = 1 if self.sums == "bit_serial" else self.source.width
        per_register = self.logic_levels_per_register
        if self.ternary:
            row = row_latency(self.simd, planes, per_register, self.sums)
        else:
            multiplied = 1 if self.dsp else register_stages(tree_depth(planes), per_register)
            row = multiplied + register_stages(tree_depth(self.simd), per_register)
        return self.reads + row + 1


def is_ternary(weights: Ints) -> bool:
    """Whether all weights are -1, 0 and +1."""
    return bool((np.abs(weights) <= 1).all())


def weight_width(weights: Ints) -> int:
    """Bits of a weight in a memory: the fewest in two's complement, and two for ternary ones."""
    if is_ternary(weights):
        return 2
    return signed_width(int(weights.min()), int(weights.max()))


@dataclass(frozen=True)
class FoldedExcess:
    """The excess of raw sums of ``weighted_folded``; equal to another with equal attributes.

    Attributes:
        fold: how the product is folded.
        dsp: whether products are formed by multipliers of the device.
    """

    fold: Folded
    dsp: bool

    def __call__(self, weights: Ints, x: ValueType) -> Ints:
        """The excess of rows of weights."""
        return by_products(weights, x.width, self.fold, dsp=self.dsp)(weights, x)


def by_products(weights: Ints, width: int, fold: Folded, *, dsp: bool) -> ByProducts:
    """The excess of raw sums of ``weighted_folded`` for weights that are not ternary.

    Args:
        weights: int64 ``(channels, inputs)``.
        width: bits of an input.
        fold: how the product is folded.
        dsp: whether products are formed by multipliers of the device.
    """
    steps = -(-weights.shape[1] // fold.simd)
    own = weight_width(weights)
    on_top = 1 << (own + width - 1) if dsp else ((1 << width) - 1) << (own - 1)
    serial = fold.sums == "bit_serial"
    return ByProducts(steps * fold.simd * on_top, width - 1 if serial else 0)


def netlist(
    weights: Ints,
    wanted: Ints | None,
    source: TokenStream,
    scale_offset: tuple[Ints, Ints] | None = None,
    drivers: tuple[int, ...] | None = None,
) -> Netlist:
    """The netlist of a layer: its raw sums, or whether they reach ``wanted``, scaled or not.

    Args:
        weights: int64 ``(channels, inputs)``.
        wanted: int64 ``(channels,)``; None for the raw sums themselves.
        source: the stream of inputs.
        scale_offset: scale and offset, int64 ``(channels,)`` each, as in
            :func:`hwbnn.netlists.thresholds`.
        drivers: known relations of the inputs, from :func:`known_drivers`.
    """
    arrays = (weights.ravel(), wanted, *(scale_offset or ()))
    own, *numbers = (n.astype("<i8").tobytes() for n in arrays if n is not None)
    return _made(own, len(weights), tuple(numbers), source.width, source.signed, drivers)


def known_drivers(drivers: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """The known relations of inputs that another netlist drives; None if there are none."""
    return None if drivers is None else LayerInputs(len(drivers), drivers=drivers).told


@lru_cache(maxsize=KEPT)
def _made(
    weights: bytes, channels: int, numbers: tuple[bytes, ...], width: int, signed: bool,
    drivers: tuple[int, ...] | None,
) -> Netlist:  # fmt: skip
    own = np.frombuffer(weights, "<i8").astype(np.int64).reshape(channels, -1)
    if not numbers:
        return sums(own, width=width, signed=signed, drivers=drivers)
    wanted, *factors = (np.frombuffer(n, "<i8").astype(np.int64) for n in numbers)
    scaled = (factors[0], factors[1]) if factors else None
    return thresholds(own, wanted, width=width, signed=signed, scale_offset=scaled, drivers=drivers)

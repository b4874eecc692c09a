"""Blocks: the parts of a free-running pipeline, one class for each module of ``rtl/``.

A block takes a token in any cycle and gives the result a fixed number of cycles later; it has no
handshake. It holds its constants exactly as the hardware does, so that generators and estimates
need not derive them again. The headers of the modules state the same latencies, and a test bench
measures them. Matrix products are in :mod:`hwbnn.plan.products`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwbnn.graph.arrays import Array, Bools, Ints
from hwbnn.plan.multiples import Offset, shortfall, terms
from hwbnn.plan.tokens import TokenStream

SHALLOW = 64
"""Rows of a memory of constants that is made of LUTs; a deeper one becomes block RAM."""


def register_stages(depth: int, per_register: int) -> int:
    """Registers of ``depth`` levels of logic: one every ``per_register`` levels, one at the end.

    >>> register_stages(5, 2), register_stages(0, 2)
    (3, 0)
    """
    return -(-depth // per_register)


def tree_depth(n: int) -> int:
    """Levels of a tree of two-input nodes over ``n`` leaves."""
    return (n - 1).bit_length()


def popcount_latency(inputs: int, per_register: int) -> int:
    """Cycles of ``popcount``: a level of counters of six bits, then a tree of adders."""
    return register_stages(1 + tree_depth(-(-inputs // 6)), per_register)


def signed_width(low: int, high: int) -> int:
    """Bits that hold numbers of a range in two's complement.

    >>> signed_width(-8, 7), signed_width(0, 8)
    (4, 5)
    """
    return max((~min(low, 0)).bit_length(), max(high, 0).bit_length()) + 1


@dataclass(frozen=True, eq=False)
class Block:
    """One module of a pipeline, with its constants.

    Attributes:
        name: name of its instance and signals, legal in every output language.
        value: the value of the Graph that it computes; None for an intermediate result.
        source: the stream that it takes.
        result: the stream that it gives.
    """

    name: str
    value: str | None
    source: TokenStream
    result: TokenStream

    @property
    def latency(self) -> int:
        """Cycles from a token to its result."""
        return 1

    @property
    def tokens_per_result(self) -> int:
        """Tokens that are combined into one result; the latency counts from the last of them."""
        return 1


@dataclass(frozen=True, eq=False)
class ByElement(Block):
    """A block with constants for each element of a frame, or for each channel of an image.

    Constants are in the order of border classes, then of elements. Each token uses the constants of
    its lanes; after :attr:`tokens` tokens they repeat.

    Attributes:
        border_classes: int64 ``(positions,)``, the class of each position of an image; None where
            the constants are the same everywhere.
    """

    border_classes: Ints | None = field(default=None, kw_only=True)

    @property
    def elements(self) -> int:
        """The number of elements that have constants, summed over all classes."""
        raise NotImplementedError

    @property
    def lanes(self) -> int:
        """Elements of a token."""
        return self.source.lanes

    @property
    def classes(self) -> int:
        """Border classes; 1 where constants are the same everywhere."""
        return 1 if self.border_classes is None else int(self.border_classes.max()) + 1

    @property
    def tokens(self) -> int:
        """Tokens after which the constants of a class repeat."""
        elements = self.elements // self.classes
        vector = self.result.vector or elements
        return elements // vector * -(-vector // self.lanes)

    def in_tokens(self, values: Array, classes: int | None = None) -> Array:
        """Constants in the order of tokens, with zeros in lanes that hold no element.

        Args:
            values: ``(classes * elements, ...)``.
            classes: number of classes in ``values``; None for that of the block.

        Returns:
            ``(classes, tokens * lanes, ...)``.
        """
        classes = self.classes if classes is None else classes
        elements = len(values) // classes
        vector, rest = self.result.vector or elements, values.shape[1:]
        lanes = -(-vector // self.lanes) * self.lanes
        padded = np.zeros((classes, elements // vector, lanes, *rest), values.dtype)
        padded[:, :, :vector] = values.reshape(classes, -1, vector, *rest)
        return padded.reshape(classes, -1, *rest)


@dataclass(frozen=True, eq=False)
class AffineBlock(ByElement):
    """``(x << shift) - constant``: from raw sums to the values of a ``Dot`` (``affine``).

    Attributes:
        shift: 1 for a sum over bits, else 0.
        constants: int64 ``(elements,)``.
    """

    shift: int
    constants: Ints

    @property
    def elements(self) -> int:
        """As many as there are constants."""
        return len(self.constants)


@dataclass(frozen=True, eq=False)
class Scaled(ByElement):
    """``scale * x + offset * total + constant``; the last lane of each source token is the total.

    If all tokens have the same constants, shifts and adders form the products (``scaled_fixed``);
    otherwise multipliers do, with constants from a memory (``scaled``).

    Attributes:
        scale: int64 ``(elements,)``, none negative.
        offset: int64 ``(elements,)``.
        constants: int64 ``(elements,)``.
        logic_levels_per_register: levels of logic between two registers.
    """

    scale: Ints
    offset: Ints
    constants: Ints
    logic_levels_per_register: int

    @property
    def fixed(self) -> bool:
        """Whether scales and offsets are wires."""
        return self.tokens == 1 and self.border_classes is None

    @property
    def elements(self) -> int:
        """As many as there are constants."""
        return len(self.constants)

    @property
    def lanes(self) -> int:
        """Sums of a token: without the total."""
        return self.result.lanes

    @property
    def offsets(self) -> tuple[Offset, ...]:
        """The offset of each element by shifts and adders."""
        return tuple(Offset.of(int(value)) for value in self.offset)

    @property
    def multiples(self) -> tuple[int, ...]:
        """The distinct odd factors of offsets, of which each is multiplied by the total once."""
        return tuple(sorted({offset.odd for offset in self.offsets}))

    @property
    def count(self) -> int:
        """The most terms of an odd factor of offsets; at least 1."""
        return max(1, *(len(terms(odd)) for odd in self.multiples))

    @property
    def scale_count(self) -> int:
        """The most terms of a scale; at least 1."""
        return max(1, *(len(terms(int(scale))) for scale in set(self.scale.tolist())))

    @property
    def missing(self) -> Ints:
        """By how much shifts and adders fall short in each element; ``added`` corrects it."""
        if not self.fixed:
            return 0 * self.constants
        pairs = zip(self.scale, self.offsets, strict=True)
        return np.array([shortfall(int(s)) + o.shortfall for s, o in pairs], np.int64)

    @property
    def added(self) -> Ints:
        """The constants that hardware adds: ``constants``, corrected by ``missing``."""
        return self.constants + self.missing

    @property
    def shift(self) -> int | None:
        """The exponent, if all scales are the same power of two; else None."""
        first = int(self.scale[0])
        if (self.scale == first).all() and first.bit_count() == 1:
            return first.bit_length() - 1
        return None

    @property
    def widths(self) -> tuple[int, int, int]:
        """Bits of a scale, an offset and a constant in the memory; 0 if it is not stored."""
        scale = 0 if self.shift is not None else max(1, int(self.scale.max()).bit_length())
        offset = signed_width(int(self.offset.min()), int(self.offset.max()))
        return scale, offset, self.result.width if self.added.any() else 0

    @property
    def latency(self) -> int:
        """Cycles of the multiples, then of their sum."""
        if not self.fixed:
            return 2
        multiples = register_stages(
            tree_depth(max(self.count, self.scale_count)), self.logic_levels_per_register
        )
        return multiples + register_stages(
            tree_depth(3 if self.added.any() else 2), self.logic_levels_per_register
        )


@dataclass(frozen=True, eq=False)
class Compare(ByElement):
    """Each element compared with ``k`` constants, a bit for each (``compare``).

    Attributes:
        constants: int64 ``(elements, k)`` from ``low - 1`` (always) to ``high`` (never); the bit is
            ``x > constant``.
        falling: bool ``(elements,)``: whether the bit is ``x <= constant`` instead.
    """

    constants: Ints
    falling: Bools

    @property
    def elements(self) -> int:
        """As many as there are constants."""
        return len(self.constants)


@dataclass(frozen=True, eq=False)
class ThresholdBlock(Compare):
    """A base plus the number of comparisons that hold (``threshold``, ``threshold_base``).

    Attributes:
        logic_levels_per_register: levels of logic between two registers.
        base: the result where no bit is 1.
    """

    logic_levels_per_register: int
    base: int = 0

    @property
    def latency(self) -> int:
        """One cycle to compare, then those of the popcount if there are several bits."""
        count = self.constants.shape[1]
        return 1 + (popcount_latency(count, self.logic_levels_per_register) if count > 1 else 0)


@dataclass(frozen=True, eq=False)
class LookupBlock(ByElement):
    """``table[((x - low) >> shift) / step]`` (``lookup``).

    Attributes:
        low: the value of ``x`` that reads entry 0.
        shift: low bits of ``x - low`` that are always zero.
        step: odd number that divides every ``x - low``.
        table: int64 ``(elements, entries)``.
    """

    low: int
    shift: int
    step: int
    table: Ints

    @property
    def latency(self) -> int:
        """One cycle to read the table, and one to multiply by :attr:`inverse` if that is not 1."""
        return 1 + (self.inverse > 1)

    @property
    def inverse(self) -> int:
        """The inverse of ``step`` modulo a power of two that is at least the number of entries.

        Modulo that power, a multiple of ``step`` times the inverse is the multiple over ``step``.
        """
        return int(pow(self.step, -1, 1 << max(1, (self.table.shape[1] - 1).bit_length())))

    @property
    def elements(self) -> int:
        """As many as there are tables."""
        return len(self.table)


@dataclass(frozen=True, eq=False)
class SelectBlock(Block):
    """Some elements of each token: wires, no module.

    Attributes:
        index: int64 ``(elements,)``.
    """

    index: Ints

    @property
    def latency(self) -> int:
        """0: it consists of wires."""
        return 0


@dataclass(frozen=True, eq=False)
class ArgMaxBlock(Block):
    """Index of the largest element of a frame (``argmax``).

    Attributes:
        logic_levels_per_register: levels of comparators between two registers.
    """

    logic_levels_per_register: int

    @property
    def latency(self) -> int:
        """Cycles of the tree, and one to keep the best of several tokens."""
        return register_stages(tree_depth(self.source.lanes), self.logic_levels_per_register) + (
            self.source.tokens > 1
        )

    @property
    def tokens_per_result(self) -> int:
        """The tokens of a frame."""
        return self.source.tokens


@dataclass(frozen=True, eq=False)
class Pool(Block):
    """Combines the taps of a window, one a token; a flag says whether a tap is in the image.

    Attributes:
        steps: taps of a window.
    """

    steps: int

    @property
    def tokens_per_result(self) -> int:
        """The taps of a window."""
        return self.steps


@dataclass(frozen=True, eq=False)
class PoolMax(ByElement, Pool):
    """The largest element of each window, or the smallest (``pool_max``).

    Attributes:
        smallest: bool ``(elements,)``.
    """

    smallest: Bools

    @property
    def elements(self) -> int:
        """As many as a position has."""
        return len(self.smallest)


@dataclass(frozen=True, eq=False)
class PoolSum(Pool):
    """The sum of each window (``pool_sum``).

    Attributes:
        bit: whether elements are codes of -1 and +1.
    """

    bit: bool


@dataclass(frozen=True, eq=False)
class RescaleBlock(ByElement):
    """``clip((x * m + bias) >> shift, low, high)`` (``rescale``).

    Attributes:
        multiplier: int64 ``(elements,)``.
        negative: int64 ``(elements,)``, the ``m`` where ``x < 0``; None if that is ``multiplier``.
        bias: int64 ``(elements,)``, with the constant for rounding; class by class where there are
            border classes.
        shift: int64 ``(elements,)``.
        low: the smallest result.
        high: the largest result.
    """

    multiplier: Ints
    negative: Ints | None
    bias: Ints
    shift: Ints
    low: int
    high: int

    @property
    def elements(self) -> int:
        """As many as there are biases: the other constants are the same in all classes."""
        return len(self.bias)

    @property
    def latency(self) -> int:
        """Product, sum, and shift with saturation."""
        return 3

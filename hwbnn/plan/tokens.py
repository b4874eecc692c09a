"""Frames as tokens: the layout of a stream, and the signals where values can be observed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import lcm

from hwbnn.graph import ValueType


@dataclass(frozen=True, slots=True)
class TokenStream:
    """A value sent as tokens of ``lanes`` elements, the first element in the lowest bits.

    A frame, or each vector of a frame, takes ``ceil(elements / lanes)`` tokens. The last token may
    have fewer elements than lanes; its other lanes are undefined.

    Attributes:
        size: elements of a frame.
        lanes: elements of a token; at most the elements of a vector or frame.
        width: bits of an element.
        signed: whether elements are two's complement.
        flags: bits of a token above its elements.
        vector: elements of a vector, if each vector begins with a new token; None if only each
            frame does.
    """

    size: int
    lanes: int
    width: int
    signed: bool = False
    flags: int = 0
    vector: int | None = None

    @classmethod
    def of(cls, t: ValueType, lanes: int) -> TokenStream:
        """A value of this type in tokens of at most ``lanes`` elements."""
        return cls(t.size, min(lanes, t.size), t.width, t.signed)

    @property
    def unit(self) -> int:
        """Elements of a vector, or of a frame if ``vector`` is None."""
        return self.size if self.vector is None else self.vector

    @property
    def unit_tokens(self) -> int:
        """Tokens of a vector, or of a frame if ``vector`` is None."""
        return -(-self.unit // self.lanes)

    @property
    def tokens(self) -> int:
        """Tokens of a frame."""
        return self.size // self.unit * self.unit_tokens

    @property
    def bits(self) -> int:
        """Bits of a token."""
        return self.lanes * self.width + self.flags

    @property
    def last_lanes(self) -> int:
        """Elements in the last token of a vector or frame; its other lanes are undefined."""
        return self.unit - (self.unit_tokens - 1) * self.lanes

    def with_lanes(self, lanes: int) -> TokenStream:
        """The same elements in tokens of at most ``lanes``, without flags."""
        return replace(self, lanes=min(lanes, self.unit), flags=0)

    def in_vectors(self, vector: int | None) -> TokenStream:
        """The same elements as vectors of this size, each of which begins with a new token."""
        return replace(self, vector=vector)

    def resized(self, lanes: int) -> tuple[TokenStream, ...]:
        """The successive streams that lead to tokens of ``lanes`` lanes; the last one has them.

        Empty if this stream has them already. If neither number of lanes divides the other, the
        first stream has their least common multiple of lanes, or a whole vector in a token.

        >>> four = TokenStream(24, 4, 1)
        >>> [s.lanes for s in four.resized(8)], [s.lanes for s in four.resized(6)]
        ([8], [12, 6])
        """
        lanes = min(lanes, self.unit)
        if lanes == self.lanes:
            return ()
        few, many = sorted((self.lanes, lanes))
        if many % few and many != self.unit:
            both = self.with_lanes(lcm(few, many))
            return (both, both.with_lanes(lanes))
        return (self.with_lanes(lanes),)


@dataclass(frozen=True)
class Tap:
    """The signals on which a value of the Graph can be observed.

    Token ``k`` of a frame carries the elements from ``k * lanes`` on, the first in the lowest bits;
    an element has the width of its type, two's complement where that is signed.

    Attributes:
        value: name of the value.
        stream: its layout.
        type: its type.
        signal: prefix of its signals in the top module: ``<signal>_valid``, ``<signal>_data``.
        handshake: whether there is ``<signal>_ready``; a free-running token is always taken.
        alias: the value whose signals these are, if this one has none of its own.
    """

    value: str
    stream: TokenStream
    type: ValueType
    signal: str
    handshake: bool
    alias: str | None = None

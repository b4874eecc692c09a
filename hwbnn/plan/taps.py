"""Where the values of a Graph can be seen in its circuit."""

from __future__ import annotations

from dataclasses import dataclass

from hwbnn.graph import ValueType
from hwbnn.plan.streams import Stream


@dataclass(frozen=True)
class Tap:
    """Where a value of the Graph can be seen.

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
    stream: Stream
    type: ValueType
    signal: str
    handshake: bool
    alias: str | None = None

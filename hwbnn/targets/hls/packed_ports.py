"""The ports of the top function: frames as packed words, in the order of an RTL core's beats.

``hls/hwbnn_axis.h`` converts them to the elements that hls4ml's function reads and writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from hwbnn.errors import InputError, PlanError
from hwbnn.estimate.layouts import divisors
from hwbnn.plan.datapath import largest_divisor
from hwbnn.targets.hls.layout import Scalar
from hwbnn.targets.hls.site import STREAM_BITS, UNROLL_LIMIT, Site, within_limit

WORD_BITS = 1024
"""Bits of the widest word at a port: ``ap_uint`` is no wider unless all of a program says so."""


@dataclass(frozen=True)
class PackedPort:
    """One port of the top function.

    Attributes:
        name: its name.
        value: the Graph's value that crosses it.
        io: hls4ml's io type.
        elements: elements of a frame.
        element: the type of an element.
        bits: bits of a word; in ``io_stream`` of TDATA.
        lanes: elements of a word.
        token: elements of a token, between this port and the network.
        image: whether tokens are converted as they come, without waiting for the frame.
    """

    name: str
    value: str
    io: str
    elements: int
    element: Scalar
    bits: int
    lanes: int
    token: int
    image: bool = False

    @property
    def beats(self) -> int:
        """Words of a frame."""
        return -(-self.elements // self.lanes)

    @property
    def tokens(self) -> int:
        """Tokens of a frame."""
        return self.elements // self.token

    @property
    def common(self) -> int:
        """Elements that are always in one word and in one token."""
        return gcd(self.lanes, self.token)

    @property
    def held(self) -> int:
        """The most elements that wait for the rest of their token or word."""
        return _held(self.lanes, self.token)

    def moves(self, taken: int, given: int) -> int:
        """Iterations of a frame, in each of which one part is read, one is written, or both.

        Args:
            taken: elements of a part that is read.
            given: elements of a part that is written; the last one may have fewer.
        """
        left, count, moves = self.elements, 0, 0
        unread = -(-self.elements // taken)
        while left > 0:
            moves += 1
            if count < given and unread:
                count, unread = count + taken, unread - 1
            if count >= given or not unread:
                count, left = count - given, left - given
        return moves

    @property
    def config(self) -> str:
        """The struct ``PORT`` of ``hls/hwbnn_axis.h`` in C++."""
        last = self.elements - (self.beats - 1) * self.lanes
        numbers = {
            "width": self.element.width,
            "word_bits": self.bits,
            "lanes": self.lanes,
            "n_elements": self.elements,
            "n_beats": self.beats,
        }
        types = {"element_t": self.element.cpp}
        if self.io == "io_stream":
            types["beat_t"] = f"ap_axiu<{self.bits}, 0, 0, 0>"
            numbers["last_bytes"] = -(-last * self.element.width // 8)
            numbers["n_tokens"] = self.tokens
        if self.image:
            parts = (self.lanes, self.token) if self.name == "s_axis" else (self.token, self.lanes)
            numbers |= {"held": self.held, "group": self.common, "n_moves": self.moves(*parts)}
        lines = [f"    typedef {cpp} {name};" for name, cpp in types.items()]
        lines += [f"    static const unsigned {name} = {n};" for name, n in numbers.items()]
        return "\n".join([f"struct {self.name}_port {{", *lines, "};\n"])


def input_port(site: Site) -> PackedPort:
    """The port where frames arrive."""
    name = "frame_in" if site.io == "io_parallel" else "s_axis"
    return _port(site, name, site.graph.input.name, site.plan.input_beat)


def output_port(site: Site) -> PackedPort:
    """The port where frames leave."""
    name = "frame_out" if site.io == "io_parallel" else "m_axis"
    return _port(site, name, site.graph.output.name, site.plan.output_beat)


def _port(site: Site, name: str, value: str, beat: int) -> PackedPort:
    """A port for beats of ``beat`` bits, of which :data:`WORD_BITS` are used at most.

    Raises:
        PlanError: if a beat holds no element, or a frame has more beats than HLS keeps.
        InputError: if a frame at once has more elements than HLS keeps.
    """
    t = site.type(value)
    size, element = t.size, Scalar(t.width, t.signed)
    if site.io == "io_parallel":
        if size > UNROLL_LIMIT:
            raise InputError(
                f"io 'io_parallel': '{value}' has {size} elements, expected at most "
                f"{UNROLL_LIMIT} in a frame at once; take io_stream"
            )
        lanes = min(size, WORD_BITS // t.width)
        return PackedPort(name, value, site.io, size, element, lanes * t.width, lanes, size)
    bits = min(beat, WORD_BITS)
    if bits < t.width:
        raise PlanError(
            f"plan: a beat of {bits} bits is narrower than an element of '{value}', which has "
            f"{t.width} bits; take at least {-(-t.width // 8) * 8}"
        )
    lanes = min(size, bits // t.width)
    image = value in site.image_lanes
    if image:
        most = [n for n in divisors(site.image_lanes[value]) if n * t.width <= WORD_BITS]
        token = max(n for n in most if n == 1 or _held(lanes, n) * t.width <= WORD_BITS)
    else:
        within_limit(value, -(-size // lanes), "beats of a frame", "take wider beats")
        token = largest_divisor(size, max(1, min(UNROLL_LIMIT, STREAM_BITS // t.width)))
    return PackedPort(name, value, site.io, size, element, bits, lanes, token, image)


def _held(lanes: int, token: int) -> int:
    return lanes + token - gcd(lanes, token)

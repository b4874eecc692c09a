"""Part numbers: device, package and speed grade, and the device's row in the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from hwbnn.arguments import checked_call
from hwbnn.devices.boards import BOARDS, Board
from hwbnn.devices.product_table import DEVICES, Device
from hwbnn.errors import InputError, nearest

_LONGEST = 64
_OF_7_SERIES = re.compile(r"(?P<grade>i|l)?(?P<package>[a-z]{2,4}[0-9]{3,4})-(?P<speed>[1-3]l?)")
"""The ending of a part number of the 7-series, such as ``clg400-1`` or ``icsg324-1L``."""
_OF_ULTRASCALE = re.compile(
    r"-(?P<package>[a-z]{4}[0-9]{3,4})-(?P<speed>[1-3](l|lv|h|hv)?)(-(?P<grade>[ceimq]))?"
)
"""The same for UltraScale+, such as ``-ffvc1156-2-e``."""
_OF_ECP5 = re.compile(r"-(?P<speed>[6-9])(?P<package>[a-z]{2,5}[0-9]{3})(?P<grade>[ci])?")
"""The same for ECP5, such as ``-6BG381C``."""
_ENDINGS = {"xc7": _OF_7_SERIES, "xcup": _OF_ULTRASCALE, "ecp5": _OF_ECP5}
_SHAPES = {
    "xc7": "a package and a speed grade, such as clg400-1",
    "xcup": "a package and a speed grade, such as -ffvc1156-2-e",
    "ecp5": "a speed grade and a package, such as -6BG381C",
}


@dataclass(frozen=True)
class PartNumber:
    """A device in a package.

    Attributes:
        name: the full name, as tools take it.
        device: its row in the catalogue.
        package: such as ``clg400``. That the device comes in this package is not checked.
        speed: the speed grade, such as ``1`` or ``2L``.
        grade: the temperature grade, ``""`` if the name has none.
    """

    name: str
    device: Device
    package: str
    speed: str
    grade: str


@cache
def _names() -> Mapping[str, Device]:
    """All devices by the names that parts begin with, in lower case, the longest name first."""
    named = {name.lower(): device for device in DEVICES.values() for name in device.names}
    return {name: named[name] for name in sorted(named, key=len, reverse=True)}


@checked_call()
def read_part(name: str) -> PartNumber:
    """The part of this full name; upper and lower case are the same.

    Raises:
        InputError: if the name has no known device, or no package and speed grade; the message has
            the nearest names.

    >>> part = read_part("xc7z020clg400-1")
    >>> part.device.name, part.package, part.speed, part.device.lut
    ('xc7z020', 'clg400', '1', 53200)
    >>> read_part("XCZU7EV-FFVC1156-2-E").name
    'xczu7ev-ffvc1156-2-e'
    """
    given = name.strip().lower()
    for prefix, device in _names().items():
        if not given.startswith(prefix):
            continue
        ending = _ENDINGS[device.synthesis].fullmatch(given[len(prefix) :])
        if ending is not None:
            parts = ending.groupdict()
            full = _written(given, device)
            package, grade = parts["package"], parts["grade"] or ""
            return PartNumber(full, device, package, parts["speed"].upper(), grade)
        if given == prefix or given[len(prefix)].isalpha() or given[len(prefix)] == "-":
            raise InputError(
                f"part {name[:_LONGEST]!r}: expected {_shown(prefix, device)} followed by "
                f"{_SHAPES[device.synthesis]}{_on_boards(device)}"
            )
    raise InputError(
        f"part {name[:_LONGEST]!r}: no such device is known; expected a full name whose device is "
        f"one of {_like(given)}; 'hwbnn list devices' has all of them, and a Plan's entry \"part\" "
        "takes the name of any other, with no check whether the core fits"
    )


@checked_call()
def read_board(name: str) -> Board:
    """The board of this name.

    Raises:
        InputError: if there is none; the message has the nearest names.
    """
    given = name.strip().lower().replace("_", "-").replace(" ", "-")
    if given not in BOARDS:
        raise InputError(f"board {name[:_LONGEST]!r}: expected one of {nearest(given, BOARDS)}")
    return BOARDS[given]


def known_part(name: str) -> PartNumber | None:
    """The part of this full name, or None if the catalogue does not have it."""
    try:
        return read_part(name)
    except InputError:
        return None


def _shown(prefix: str, device: Device) -> str:
    return prefix.upper() if device.vendor == "lattice" else prefix


def _written(given: str, device: Device) -> str:
    """The name as the maker's tools take it: Lattice's in upper case, grades of AMD as they are."""
    if device.vendor == "lattice":
        return given.upper()
    head, dash, tail = given.partition("-")
    if device.synthesis == "xc7":
        return f"{head}{dash}{tail.upper()}"
    package, _, grades = tail.partition("-")
    speed, dash_2, temperature = grades.partition("-")
    return f"{head}-{package}-{speed.upper()}{dash_2}{temperature}"


def _on_boards(device: Device) -> str:
    found = [board for board in BOARDS.values() if read_part(board.part).device is device]
    if not found:
        return ""
    return f"; {found[0].part} is the part of the board {found[0].name}"


def _like(given: str) -> str:
    """The devices nearest to a name, a few of them."""
    listed = nearest(given[:12], [_shown(name, d) for name, d in _names().items()])
    return ", ".join(listed.split(", ")[:5]) + ", ..."

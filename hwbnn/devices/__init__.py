"""FPGA devices and boards: what a part has, read from its full name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwbnn.devices.boards import BOARDS, Board
from hwbnn.devices.part_number import PartNumber, known_part, read_board, read_part
from hwbnn.devices.product_table import DEVICES, FAMILIES, Device, Family
from hwbnn.errors import refuses_others

__all__ = [
    "BOARDS",
    "DEVICES",
    "FAMILIES",
    "Board",
    "Device",
    "Family",
    "PartNumber",
    "known_part",
    "read_board",
    "read_part",
]

if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, __all__)

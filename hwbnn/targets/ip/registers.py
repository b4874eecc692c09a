"""The registers of the control block: their description, and what goes with a core that has it.

The files in ``rtl/control/`` are written by ``scripts/registers`` from one description.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from hwbnn.assets import asset
from hwbnn.plan import Plan
from hwbnn.targets.rtl import border

HEADER = "drivers/hwbnn_registers.h"
PAGE = "drivers/registers.md"


@dataclass(frozen=True)
class Field:
    """A field of a register.

    Attributes:
        name: its name.
        description: what it says or does.
        low: its lowest bit.
        bits: its width.
        writable: whether a processor can write it.
        reset: its value after reset; None where the core determines it.
    """

    name: str
    description: str
    low: int
    bits: int
    writable: bool
    reset: int | None


@dataclass(frozen=True)
class Register:
    """A register of 32 bits.

    Attributes:
        name: its name.
        title: its name for people.
        description: what it is.
        offset: its address, in bytes from the address of the block.
        fields: its fields, the lowest first.
    """

    name: str
    title: str
    description: str
    offset: int
    fields: tuple[Field, ...]

    @property
    def writable(self) -> bool:
        """Whether any field can be written."""
        return any(field.writable for field in self.fields)


@cache
def registers() -> tuple[Register, ...]:
    """All registers, in the order of their addresses."""
    return tuple(
        Register(
            r["name"],
            r["title"],
            r["description"],
            r["offset"],
            tuple(
                Field(
                    f["name"],
                    f["description"],
                    f["low"],
                    f["bits"],
                    f["access"] == "write",
                    f["reset"],
                )
                for f in r["fields"]
            ),
        )
        for r in _described()["registers"]
    )


def address_bits() -> int:
    """Bits of an address of the block."""
    return int(_described()["address_bits"])


@cache
def _described() -> dict[str, Any]:
    described = json.loads(asset("rtl", "control/registers.json"))
    assert isinstance(described, dict)
    return described


def for_programs(plan: Plan) -> dict[str, object]:
    """The entry of ``core.json``; empty if the core has no control block."""
    if plan.control == "none":
        return {}
    offsets = {register.name: register.offset for register in registers()}
    return {
        "control": {
            "port": border.CONTROL,
            "bus": "AXI4-Lite",
            "address_bits": address_bits(),
            "registers": offsets,
        }
    }

"""hwbnn_control_regs: what is made from the description of the registers is up to date."""

from __future__ import annotations

import re

import pytest

from hwbnn.assets import asset
from hwbnn.targets.ip.driver_files import hwbnn_core
from hwbnn.targets.ip.registers import address_bits, registers
from hwbnn.targets.rtl import border
from scripts import registers as script


@pytest.fixture(scope="module")
def made():
    return script.files()


def test_all_files_are_made_from_the_description(made):
    for name, text in made.items():
        assert asset("rtl", name).decode() == text, f"{name}: run scripts/registers"


def test_a_change_of_the_description_reaches_every_file(made, tmp_path):
    changed = tmp_path / "hwbnn_control.rdl"
    changed.write_text(script.SOURCE.read_text().replace("@ 0x2C", "@ 0x30"))
    other = script.files(changed)
    assert [name for name in made if made[name] == other[name]] == []


def test_the_header_has_the_addresses_that_the_drivers_have():
    text = asset("rtl", "control/hwbnn_registers.h").decode()
    struct = text[text.index("typedef struct") :]
    members = re.findall(r"uint32_t (\w+);", struct)
    assert members == [register.name for register in registers()]
    assert [register.offset for register in registers()] == list(range(0, 4 * len(members), 4))
    assert address_bits() == 12


def test_what_is_written_again_by_hand_is_the_same():
    assert [border.CONTROL_SIGNALS[name][0] for name in ("awaddr", "araddr")] == [
        address_bits()
    ] * 2
    resets = {(r.name, f.name): f.reset for r in registers() for f in r.fields}
    assert resets["IDENTITY", "value"] == hwbnn_core.IDENTITY
    assert resets["VERSION", "major"] == hwbnn_core.MAJOR

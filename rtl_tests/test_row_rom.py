"""hwbnn_row_rom: constants that change from token to token."""

from __future__ import annotations

import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import literal, random_tokens
from rtl_tests.places import Places

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    ("simulator", "width", "rows", "places"),
    [
        ("icarus", 9, 1, Places()),
        ("icarus", 3, 2, Places()),
        ("icarus", 20, 7, Places()),
        ("icarus", 8, 1, Places(3, 5)),
        ("icarus", 5, 3, Places(9, 12)),
        ("icarus", 6, 2, Places(2, 1)),
        ("verilator", 5, 3, Places()),
        ("verilator", 7, 2, Places(4, 3)),
        ("icarus", 4, 65, Places()),  # deeper than memories in LUTs
        ("icarus", 4, 24, Places(3, 5)),
        ("verilator", 5, 1, Places(70, 99)),
    ],
)
def test_each_token_meets_its_row(module, simulator, width, rows, places):
    contents = random_tokens(1, places.classes * rows, width)
    rom = module(
        "row_rom_bench",
        simulator,
        {"ready": False},
        **{"Width": width, "Rows": rows, "Contents": literal(contents, width)},
        **places.parameters,
    )
    tokens = random_tokens(2, max(50, 2 * rows + 3), 8)
    expected = [contents[places.row(i, rows)] << 8 | token for i, token in enumerate(tokens)]
    for seed in range(3):
        rom.check(tokens, expected, (8, width + 8), stalls=Stalls.random(seed), cut=5, seed=seed)


@pytest.mark.parametrize(
    ("simulator", "width", "rows", "places", "other"),
    [
        ("icarus", 6, 5, Places(), None),
        ("icarus", 6, 5, Places(), 4),
        ("icarus", 6, 3, Places(3, 5), None),
        ("verilator", 20, 3000, Places(), None),
        ("verilator", 20, 3000, Places(), 2999),
    ],
)
def test_rows_that_are_all_the_same_and_all_but_one(module, simulator, width, rows, places, other):
    contents = [random_tokens(1, 1, width)[0]] * (places.classes * rows)
    if other is not None:
        contents[other] ^= 1
    rom = module(
        "row_rom_bench",
        simulator,
        {"ready": False},
        **{"Width": width, "Rows": rows, "Contents": literal(contents, width)},
        **places.parameters,
    )
    tokens = random_tokens(2, min(50, rows) + rows, 8)
    expected = [contents[places.row(i, rows)] << 8 | token for i, token in enumerate(tokens)]
    rom.check(tokens, expected, (8, width + 8), stalls=Stalls.random(1), cut=5)
    rom.check(tokens, expected, (8, width + 8))

from __future__ import annotations

import pytest

from hwbnn.verify.bench import Stalls
from rtl_tests.bench import literal, random_tokens

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize(
    ("simulator", "width", "rows"),
    [("icarus", 9, 1), ("icarus", 3, 2), ("icarus", 20, 7), ("verilator", 5, 3)],
)
def test_each_token_meets_its_row(module, simulator, width, rows):
    contents = random_tokens(1, rows, width)
    rom = module(
        "row_rom_bench",
        simulator,
        {"ready": False},
        **{"Width": width, "Rows": rows, "Contents": literal(contents, width)},
    )
    tokens = random_tokens(2, 50, 8)
    expected = [contents[i % rows] << 8 | token for i, token in enumerate(tokens)]
    for seed in range(3):
        rom.check(tokens, expected, (8, width + 8), stalls=Stalls.random(seed), cut=5, seed=seed)

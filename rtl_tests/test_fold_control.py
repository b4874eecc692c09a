"""hwbnn_fold_control: the steps of a folded product, and the credits that they wait for."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import random_tokens

pytestmark = pytest.mark.hardware

BITS = 5
CASES = [
    # steps, passes, rounds, groups
    (1, 1, 1, 1),
    (3, 1, 1, 2),
    (1, 4, 1, 1),
    (3, 2, 1, 3),
    (2, 3, 4, 1),
    (4, 1, 3, 2),
]


def check(module, simulator, case, credits=4, **options):
    """Every step of some vectors, in the order that the header states."""
    steps, passes, rounds, groups = case
    address = max(1, (steps * passes * groups - 1).bit_length())
    slots = 2 if passes * rounds == 1 else 2 * steps
    bench = module(
        "fold_control_bench", simulator,
        **{"Bits": BITS, "Steps": steps, "Passes": passes, "Rounds": rounds, "Groups": groups},
        **{"Slots": slots, "Credits": credits, "AddressWidth": address},
    )  # fmt: skip
    vectors = 2 * groups + 3
    tokens = random_tokens(1, vectors * steps, BITS)
    expected = []
    for vector in range(vectors):
        for number in range(passes):
            for turn in range(rounds):
                for step in range(steps):
                    row = ((vector % groups) * passes + number) * steps + step
                    first, last = step == 0, step == steps - 1 and turn == rounds - 1
                    above = ((row << 8 | turn) << 2 | first << 1 | last) << 1 | (number == 0)
                    expected.append(above << BITS | tokens[vector * steps + step])
    bits = (BITS, address + BITS + 11)
    found = bench.check(tokens, expected, bits, **options)
    return found, steps * passes * rounds


@pytest.mark.parametrize("case", CASES)
def test_steps_and_their_tokens(module, case):
    found, cycles = check(module, "icarus", case)
    starts = found.given[::cycles]
    assert {b - a for a, b in pairwise(starts[2:])} == {cycles}


def test_the_same_under_stalls_and_verilator(module):
    check(module, "verilator", CASES[4], stalls=Stalls(source=Stalls.random(3).source), cut=17)


FAULTS = {
    "rows that do not repeat": ("last_pass && last_group ? '0", "1'b0 ? '0"),
    "a round that does not begin again": ("!freeing_round ? base_q", "1'b0 ? base_q"),
    "groups of the same weights": ("last_pass && last_group ?", "last_pass ?"),
    "another pass than the first said to be it": (
        "assign fresh_o = first_pass", "assign fresh_o = last_pass",
    ),
    "a token freed a pass too early": (
        "assign freeing_round = last_pass && last_round", "assign freeing_round = last_round",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_steps_are_seen(module, fault):
    def faulty(*given, **more):
        return module(*given, **more, replace=[("hwbnn_fold_control", *FAULTS[fault])])

    with pytest.raises(AssertionError):
        check(faulty, "icarus", CASES[3])


def test_the_last_step_of_a_pass_waits_for_a_credit(module):
    found, cycles = check(module, "icarus", CASES[0], credits=1)
    assert cycles == 1
    # Three cycles until the credit is back, and one in which it is counted.
    assert set(found.intervals) == {4}

"""hwbnn_dot_folded: weighted sums, pe channels times simd inputs a cycle."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, literal, random_tokens, signed, split
from rtl_tests.test_dot_row import row_latency, row_sum
from tests.thorough import some

pytestmark = pytest.mark.hardware

CASES = [
    # inputs, channels, pe, simd, width, signed
    (8, 4, 2, 4, 1, 0),
    (15, 6, 3, 5, 1, 0),
    (7, 5, 1, 7, 1, 0),
    (7, 3, 3, 1, 2, 1),
    (12, 1, 1, 3, 8, 0),
    (1, 4, 2, 1, 1, 0),
    (40, 4, 2, 20, 2, 1),
    # with a rest of inputs, of channels, of both
    (11, 4, 2, 4, 1, 0),
    (8, 5, 2, 4, 1, 0),
    (23, 7, 3, 10, 1, 0),
    (7, 3, 2, 4, 3, 1),
    (5, 5, 4, 3, 2, 0),
]
FORMS = [
    # case, what is left over from the defaults
    ((8, 4, 2, 4, 1, 0), {"totals": 1}),
    ((12, 6, 3, 4, 3, 1), {"totals": 1}),
    ((12, 6, 6, 12, 2, 0), {"totals": 1}),
    ((12, 6, 3, 4, 3, 1), {"serial": 1}),
    ((12, 6, 2, 4, 4, 0), {"serial": 1, "totals": 1}),
    ((5, 3, 3, 5, 8, 1), {"serial": 1, "totals": 1}),
    ((6, 2, 1, 1, 2, 0), {"serial": 1}),
    ((12, 6, 3, 4, 3, 1), {"adders": 1}),
    ((9, 2, 2, 1, 8, 0), {"adders": 1, "totals": 1}),
    ((6, 4, 2, 3, 1, 0), {"groups": 3}),
    ((4, 1, 1, 4, 2, 1), {"groups": 2, "totals": 1}),
    ((11, 5, 2, 4, 3, 1), {"totals": 1}),
    ((11, 5, 2, 4, 3, 1), {"serial": 1}),
    ((7, 5, 3, 3, 2, 0), {"serial": 1, "totals": 1}),
    ((10, 5, 4, 7, 3, 1), {"adders": 1, "totals": 1}),
    ((7, 3, 2, 4, 1, 0), {"groups": 3}),
    ((9, 2, 2, 8, 2, 1), {"groups": 2, "totals": 1}),
    ((12, 4, 2, 3, 1, 0), {"reads": 2}),
    ((7, 5, 3, 3, 2, 1), {"reads": 2, "serial": 1, "totals": 1}),
]


class Product:
    """A compiled folded product with random weights, and its model."""

    def __init__(
        self, module, simulator, case, levels=2, credits=16, slots=None, seed=1, rest=1, **form
    ):
        self.serial, self.totals = form.get("serial", 0), form.get("totals", 0)
        self.groups = form.get("groups", 1)
        self.inputs, self.channels, self.pe, self.simd, self.width, self.signed = case
        rng = np.random.default_rng(seed)
        self.weights = rng.integers(0, 2, (self.groups * self.channels, self.inputs))
        self.sum_width = (self.inputs * ((1 << self.width) - 1)).bit_length()
        self.steps, self.passes = -(-self.inputs // self.simd), -(-self.channels // self.pe)
        self.rounds = self.width if self.serial else 1
        slots = slots or (2 if self.passes * self.rounds == 1 else 2 * self.steps)
        plane = 1 if self.serial else self.width
        row = row_latency(self.simd, plane, levels, form.get("adders", 0))
        self.latency = form.get("reads", 1) + row + 1
        # Row by row as the memory holds them: group, pass, token, channel of the pass, input.
        # A weight without an input is 1; what one without a channel is makes no difference.
        whole = rng.integers(0, 2, (self.groups, self.passes * self.pe, self.steps * self.simd))
        whole[:, :, self.inputs :] = rest
        whole[:, : self.channels, : self.inputs] = self.weights.reshape(
            self.groups, -1, self.inputs
        )
        rows = whole.reshape(self.groups * self.passes, self.pe, self.steps, self.simd)
        rows = rows.transpose(0, 2, 1, 3).ravel()
        self.levels = levels
        self.bench = module(
            "dot_folded_bench",
            simulator,
            **{"Inputs": self.inputs, "Channels": self.channels, "Pe": self.pe},
            **{"Simd": self.simd, "Width": self.width, "Signed": self.signed},
            **{"SumWidth": self.sum_width, "Levels": levels, "Slots": slots},
            **{"Credits": credits, "Rows": literal(rows, 1)},
            **{name.capitalize(): value for name, value in form.items()},
        )

    def check(self, frames, seed=2, **options):
        tokens = random_tokens(seed, frames * self.steps, self.simd * self.width)
        expected = []
        for i in range(frames):
            frame = tokens[i * self.steps : (i + 1) * self.steps]
            # Lanes of the last token that hold no input are as random as the others.
            x = split(join(frame, self.simd * self.width), self.width, self.inputs)
            x = [signed(value, self.width) for value in x] if self.signed else x
            first = i % self.groups * self.channels
            weights = self.weights[first : first + self.channels]
            sums = [row_sum(x, row, self.width, self.signed) for row in weights]
            groups = [sums[j : j + self.pe] for j in range(0, self.channels, self.pe)]
            ones = np.ones(self.inputs, int)
            total = [row_sum(x, ones, self.width, self.signed)] * self.totals
            expected += [(group, total) for group in groups]
        bits = (self.simd * self.width, (self.pe + self.totals) * self.sum_width)
        found = self.bench.run(tokens, len(expected), bits, **options)
        for token, (group, total) in zip(found.tokens, expected, strict=True):
            lanes = split(token, self.sum_width, self.pe + self.totals)
            # Sums behind the last channel mean nothing.
            assert lanes[: len(group)] == group
            assert lanes[self.pe :] == total
        return found


@pytest.mark.parametrize(
    ("simulator", "case"), [*(("icarus", case) for case in CASES), ("verilator", CASES[1])]
)
def test_raw_sums_under_stalls_and_resets(module, simulator, case):
    product = Product(module, simulator, case)
    for seed in range(3):
        product.check(12, stalls=Stalls.random(seed), cut=9 + 10 * seed, seed=seed + 1)


@pytest.mark.parametrize(
    ("simulator", "case", "form"),
    [
        *some([("icarus", *each) for each in FORMS]),
        # Verilator compiles for seconds, so it gets one of each entry that a form may have.
        *(("verilator", *FORMS[i]) for i in (3, 8, 16, 18)),
    ],
)
def test_planes_one_by_one_adders_and_totals(module, simulator, case, form):
    product = Product(module, simulator, case, **form)
    for seed in range(2):
        product.check(12, stalls=Stalls.random(seed), cut=9 + 10 * seed, seed=seed + 1)
    check_cycles(product)


@pytest.mark.parametrize("case", CASES)
def test_a_frame_takes_steps_times_passes_cycles(module, case):
    check_cycles(Product(module, "icarus", case))


def check_cycles(product):
    found = product.check(10)
    per_frame = np.diff(found.given[:: product.passes])
    cycles = product.steps * product.passes * product.rounds
    assert set(per_frame[2:]) == {cycles}
    last_step = found.taken[0] + product.steps * product.rounds
    # One cycle more in the FIFO.
    assert found.given[0] == last_step + product.latency + 1


@pytest.mark.parametrize("credits", [1, 2, 3])
def test_few_credits_slow_it_down_and_change_nothing(module, credits):
    product = Product(module, "icarus", CASES[4], credits=credits)
    product.check(12, stalls=Stalls.random(5))
    found = product.check(12)
    # A credit is taken with the last step and back after the pipeline and the FIFO.
    back = product.latency + 2
    frames = found.given[credits::credits]
    assert set(np.diff(frames)) == {max(credits * product.steps, back)}


RESTS = {
    "lanes without an input are not cleared": (
        "fold_control", "if (last_step) token_q[Bits-1:LastBits]",
        "if (1'b0) token_q[Bits-1:LastBits]",
    ),
    "they are cleared in every step": (
        "fold_control", "if (last_step) token_q[Bits-1:LastBits]",
        "if (1'b1) token_q[Bits-1:LastBits]",
    ),
    "one lane too few is cleared": (
        "dot_folded", ".LastBits(LastLanes * Width)", ".LastBits((LastLanes + 1) * Width)",
    ),
    "what counts nothing is taken for the other kind of numbers": (
        "dot_folded", "Signed ? Width'(1) << (Width - 1) : '0", "Signed ? '0 : Width'(1)",
    ),
    "a token does not wait for its weights": ("dot_folded", ".Stages(Reads - 1)", ".Stages(1)"),
    "a pass too few": ("dot_folded", "(Channels + Pe - 1) / Pe", "Channels / Pe"),
}  # fmt: skip


@pytest.mark.parametrize("fault", RESTS)
@pytest.mark.parametrize("case", [(11, 5, 2, 4, 1, 0), (7, 3, 2, 4, 3, 1)])
def test_faults_of_the_rest_are_caught(module, fault, case):
    where, *change = RESTS[fault]

    def faulty(*given, **more):
        return module(*given, **more, replace=[(f"hwbnn_{where}", *change)])

    with pytest.raises(AssertionError):
        Product(faulty, "icarus", case).check(12)


def test_a_weight_of_0_without_an_input_is_caught(module):
    product = Product(module, "icarus", (11, 4, 2, 4, 2, 0), rest=0)
    with pytest.raises(AssertionError):
        product.check(12)

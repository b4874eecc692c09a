"""hwbnn_weighted_folded: folded sums with integer weights."""

from __future__ import annotations

import numpy as np
import pytest

from hwbnn.verification.bench import Stalls
from rtl_tests.bench import join, literal, random_tokens, signed, split
from rtl_tests.test_dot_row import row_latency as masked_latency
from rtl_tests.test_product import on_top
from rtl_tests.test_weighted_row import row_latency

pytestmark = pytest.mark.hardware

CASES = [
    # inputs, channels, pe, simd, width, signed, weight_width; what is left over from the defaults
    ((8, 4, 2, 4, 1, 0, 2), {"ternary": 1}),
    ((11, 5, 2, 4, 3, 1, 2), {"ternary": 1}),
    ((7, 3, 2, 4, 3, 0, 2), {"ternary": 1, "serial": 1}),
    ((9, 4, 3, 9, 2, 1, 2), {"ternary": 1, "adders": 1, "groups": 2}),
    ((8, 4, 2, 4, 1, 0, 4), {}),
    ((11, 5, 2, 4, 3, 1, 5), {}),
    ((7, 3, 3, 1, 8, 0, 3), {"adders": 1}),
    ((11, 5, 3, 4, 4, 1, 8), {"adders": 1, "dsp": 1}),
    ((7, 5, 2, 3, 3, 1, 4), {"serial": 1}),
    ((6, 4, 2, 3, 2, 0, 3), {"groups": 3}),
    ((5, 1, 1, 5, 8, 1, 8), {"adders": 1, "dsp": 1}),
    ((8, 4, 2, 4, 2, 1, 3), {"reads": 2}),
]


class Product:
    """A compiled folded product with random weights, and its model."""

    def __init__(self, module, simulator, case, levels=2, credits=16, rest=0, **form):
        flags = {name: form.get(name, 0) for name in ("ternary", "adders", "dsp", "serial")}
        self.groups = form.get("groups", 1)
        self.inputs, self.channels, self.pe, self.simd, self.width, self.signed, bits = case
        rng, top = np.random.default_rng(1), (1 << self.width) - 1
        low = 1 if flags["ternary"] else 1 << (bits - 1)
        high = low if not flags["ternary"] else 2
        self.weights = rng.integers(-low, high, (self.groups * self.channels, self.inputs))
        self.weights[0] = 0
        self.weights[-1] = -low
        self.steps, self.passes = -(-self.inputs // self.simd), -(-self.channels // self.pe)
        self.rounds = self.width if flags["serial"] else 1
        planes = 1 if flags["serial"] else self.width
        start = 0
        if flags["ternary"]:
            row = masked_latency(self.simd, planes, levels, flags["adders"])
            self.above = top * (self.weights < 0).sum(axis=1)
        else:
            row = row_latency(self.simd, planes, levels, flags["adders"], flags["dsp"])
            # Any start will do that leaves no sum negative.
            added = self.steps * self.simd * on_top(self.width, bits, flags["dsp"])
            least = int(-np.minimum(self.weights, 0).sum(axis=1).min()) * top
            doubled = self.rounds - 1
            start = -(-(least - added) // (1 << doubled))
            self.above = np.full(len(self.weights), (start << doubled) + added)
        self.latency = form.get("reads", 1) + row + 1
        most = np.maximum(self.weights, 0).sum(axis=1) * top + self.above
        self.sum_width = int(most.max()).bit_length()
        whole = rng.integers(
            -low, high, (self.groups, self.passes * self.pe, self.steps * self.simd)
        )
        whole[:, :, self.inputs :] = rest
        whole[:, : self.channels, : self.inputs] = self.weights.reshape(
            self.groups, -1, self.inputs
        )
        rows = whole.reshape(self.groups * self.passes, self.pe, self.steps, self.simd)
        rows = rows.transpose(0, 2, 1, 3).ravel()
        self.bench = module(
            "weighted_folded_bench",
            simulator,
            **{"Inputs": self.inputs, "Channels": self.channels, "Pe": self.pe},
            **{"Simd": self.simd, "Width": self.width, "Signed": self.signed},
            **{"WeightWidth": bits, "SumWidth": self.sum_width, "Levels": levels},
            **{"Slots": 2 if self.passes * self.rounds == 1 else 2 * self.steps},
            **{"Credits": credits, "Rows": literal(rows, bits), "Groups": self.groups},
            **{"Start": literal([start], self.sum_width), "Reads": form.get("reads", 1)},
            **{name.capitalize(): value for name, value in flags.items()},
        )

    def check(self, frames, seed=2, **options):
        tokens = random_tokens(seed, frames * self.steps, self.simd * self.width)
        ones = (1 << self.simd * self.width) - 1
        tokens[: self.steps] = [ones] * self.steps
        tokens[self.steps : 2 * self.steps] = [0] * self.steps
        expected = []
        half = (1 << (self.width - 1)) * self.signed
        for i in range(frames):
            frame = tokens[i * self.steps : (i + 1) * self.steps]
            # Lanes of the last token that hold no input are as random as the others.
            x = split(join(frame, self.simd * self.width), self.width, self.inputs)
            u = np.array([signed(v, self.width) if self.signed else v for v in x]) + half
            first = i % self.groups * self.channels
            rows = slice(first, first + self.channels)
            sums = (self.weights[rows] @ u + self.above[rows]).tolist()
            expected += [sums[j : j + self.pe] for j in range(0, self.channels, self.pe)]
        bits = (self.simd * self.width, self.pe * self.sum_width)
        found = self.bench.run(tokens, len(expected), bits, **options)
        for token, group in zip(found.tokens, expected, strict=True):
            # Sums behind the last channel mean nothing.
            assert split(token, self.sum_width, self.pe)[: len(group)] == group
        return found


@pytest.mark.parametrize(
    ("simulator", "number"), [*(("icarus", i) for i in range(len(CASES))), ("verilator", 7)]
)
def test_raw_sums_under_stalls_and_resets_and_their_cycles(module, simulator, number):
    case, form = CASES[number]
    product = Product(module, simulator, case, **form)
    product.check(12, stalls=Stalls.random(number), cut=9 + number, seed=number + 1)
    found = product.check(10)
    per_frame = np.diff(found.given[:: product.passes])
    cycles = product.steps * product.passes * product.rounds
    assert set(per_frame[2:]) == {cycles}
    # One cycle more in the FIFO.
    last_step = found.taken[0] + product.steps * product.rounds
    assert found.given[0] == last_step + product.latency + 1


FAULTS = {
    "the sign of inputs": (5, ".Signed(Signed)", ".Signed(1'b0)"),
    "a pass that begins at 0": (5, "clear_added ? Start", "clear_added ? '0"),
    "sums that are not doubled": (8, "total_q << 1", "total_q"),
    "planes in the other order": (8, "RoundWidth'(Width - 1) - round", "round"),
    "the weights of another channel": (
        0,
        "weights_i[p*Simd*2 +: Simd*2]",
        "weights_i[0 +: Simd*2]",
    ),
    "a pass too few": (5, ".Passes((Channels + Pe - 1) / Pe)", ".Passes(Channels / Pe)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_product_is_seen(module, fault):
    number, text, change = FAULTS[fault]
    case, form = CASES[number]

    def faulty(*given, **more):
        return module(*given, **more, replace=[("hwbnn_weighted_folded", text, change)])

    with pytest.raises(AssertionError):
        Product(faulty, "icarus", case, **form).check(12)


def test_a_weight_that_is_not_0_without_an_input_is_seen(module):
    case, form = CASES[5]
    with pytest.raises(AssertionError):
        Product(module, "icarus", case, rest=1, **form).check(12)

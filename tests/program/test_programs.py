"""Programs as Graphs: ranges, borders, ties, and planted wrong rules."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from hwbnn.errors import CannotLower, InputError, Mismatch
from hwbnn.graph import Dot, Graph, Input, Threshold
from hwbnn.lowering.from_program import explain_program, lower_program, program_check
from hwbnn.lowering.from_program.real_numbers import RealNumber
from hwbnn.program import (
    Addition,
    Affine,
    AveragePooling,
    BatchNorm,
    Clip,
    Concatenation,
    Convolution,
    Dense,
    Flattening,
    Layer,
    MaxPooling,
    Program,
    Quantizer,
)
from hwbnn.program.evaluate import evaluate
from hwbnn.program.quantizers import rounding, sign, ternary
from hwbnn.simulators import simulate


def program(shape: tuple[int, ...], *layers: Layer) -> Program:
    return Program("test", "x", shape, layers, layers[-1].name)


def dense(name: str, source: str, weights: Any, scale: Any = 1.0) -> Dense:
    return Dense(name, "Dense", source, np.asarray(weights), np.asarray(scale, float))


def same_scores(made: Program, source: Input, x: Any) -> Graph:
    """The Graph, once its scores are ordered as the program's logits."""
    graph = lower_program(made, source, "scores")
    scores = simulate(graph, x).reshape(len(x), -1)
    logits = evaluate(made, source, x)[made.output].real.reshape(len(x), -1)
    for one, other in zip(scores, logits, strict=True):
        signs = [np.sign(a[:, None] - a[None, :]) for a in (one, other)]
        assert np.array_equal(*signs)
    return graph


def test_batch_norm_with_gains_of_both_signs_and_none() -> None:
    rng = np.random.default_rng(1)
    layers = (
        dense("d", "x", rng.integers(-7, 8, (6, 5)), rng.uniform(0.1, 1, 6)),
        Affine("b", "bias", "d", offset=rng.normal(size=6)),
        BatchNorm(
            "n",
            "BatchNorm",
            "b",
            np.array([1.5, -2, 0, 1e-30, -0.5, 3]),
            rng.normal(size=6),
            rng.normal(size=6),
            rng.uniform(0.1, 4, 6),
            1e-3,
        ),
        rounding("q", "Quant", "n", low=-2, high=1, step=0.75),
        dense("y", "q", rng.integers(-3, 4, (3, 6)), 0.25),
    )
    source = Input("x", (5,), -3, 3, scale=0.5)
    x = rng.integers(-3, 4, (500, 5))
    graph = same_scores(program((5,), *layers), source, x)
    threshold = next(n for n in graph.nodes if isinstance(n, Threshold))
    assert threshold.base == -2
    assert threshold.falling.tolist() == [False, True, False, False, True, False]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pad_value", [0.0, 0.5, -1.0, 0.3])
@pytest.mark.parametrize("offset", [0.0, -1.0, 0.25])
def test_padded_convolutions_of_inputs_with_an_offset(
    stride: int, pad_value: float, offset: float
) -> None:
    rng = np.random.default_rng(2)
    layers = (
        Convolution(
            "c",
            "Conv",
            "x",
            rng.integers(-3, 4, (4, 3, 3, 2)),
            rng.uniform(0.5, 1, 4),
            stride=(stride, stride),
            padding=(0, 1, 1, 2),
            pad_value=pad_value,
        ),
        rounding("q", "Quant", "c", low=0, high=3, step=1.5),
        MaxPooling("m", "MaxPool", "q", (2, 2), (1, 1)),
        Flattening("f", "Flatten", "m"),
    )
    made = program((6, 6, 2), *layers)
    y = dense("y", "f", rng.integers(-3, 4, (3, made.shapes["f"][0])))
    source = Input("x", (6, 6, 2), 0, 4, scale=0.5, offset=offset)
    same_scores(program((6, 6, 2), *layers, y), source, rng.integers(0, 5, (40, 6, 6, 2)))


def test_real_numbers_are_flattened_with_the_error_of_each_channel() -> None:
    rng = np.random.default_rng(4)
    source = Input("x", (2, 3, 2), -3, 3, scale=0.1)
    layers = (
        Convolution("c", "Conv", "x", rng.integers(-3, 4, (4, 1, 2, 2)), np.ones(1)),
        BatchNorm(
            *("n", "BatchNorm", "c"),
            **{key: rng.normal(size=4) for key in ("gamma", "beta", "mean")},
            variance=rng.uniform(0.5, 2, 4),
            epsilon=1e-3,
        ),
        Flattening("f", "Flatten", "n"),
        sign("s", "Sign", "f"),
        dense("d", "s", rng.integers(-3, 4, (3, 16))),
    )
    same_scores(program((2, 3, 2), *layers), source, rng.integers(-3, 4, (64, 2, 3, 2)))


def test_signs_with_zero_padding_leave_the_term_out_and_depthwise_scales() -> None:
    rng = np.random.default_rng(3)
    weights = rng.choice([-1, 1], (4, 3, 3, 1))
    layers = (
        sign("s", "Sign", "x"),
        Convolution(
            "c",
            "Depthwise",
            "s",
            weights,
            np.array([1.0, 0.5, 0.25, 3.0]),
            padding=(1, 1, 1, 1),
            groups=4,
        ),
        sign("t", "Sign", "c", at=0.75, zero_is_positive=False),
        AveragePooling("a", "GlobalAveragePool", "t", (4, 4), (4, 4)),
        Flattening("f", "Flatten", "a"),
        dense("y", "f", rng.choice([-1, 0, 1], (3, 4))),
    )
    source = Input("x", (4, 4, 4), -4, 4)
    same_scores(program((4, 4, 4), *layers), source, rng.integers(-4, 5, (60, 4, 4, 4)))


def test_additions_of_commensurable_branches() -> None:
    rng = np.random.default_rng(4)
    layers = (
        rounding("q", "Quant", "x", low=-1, high=1, step=0.5),
        dense("d", "q", rng.integers(-3, 4, (5, 5)), [0.25, 0.5, 1, 0.75, 2]),
        sign("b", "Sign", "q"),
        Addition("s", "Add", "d", "b"),
        Addition("r", "Add", "s", "q"),
        rounding("p", "Quant", "r", low=0, high=3, step=0.5),
        dense("y", "p", rng.integers(-3, 4, (3, 5))),
    )
    source = Input("x", (5,), -3, 3, scale=0.25)
    same_scores(program((5,), *layers), source, rng.integers(-3, 4, (300, 5)))
    odd = replace(layers[1], scale=np.full(5, 1 / 3))
    with pytest.raises(CannotLower, match=r"layer 's' \(Add\).*scales without a common unit"):
        lower_program(program((5,), layers[0], odd, *layers[2:]), source)


@pytest.mark.parametrize("scale", [1.0, 0.5, 1 / 3])
def test_values_side_by_side_of_bits_and_of_integers(scale: float) -> None:
    rng = np.random.default_rng(8)
    layers = (
        rounding("q", "Quant", "x", low=-1, high=1, step=0.5),
        sign("b", "Sign", "q", scale=0.5),
        sign("s", "Sign", "q", at=0.25, scale=0.5),
        Concatenation("bits", "Concat", "b", ("s", "b")),
        Convolution("c", "Conv", "bits", rng.choice([-1, 1], (3, 2, 2, 6)), np.full(3, scale)),
        Concatenation("mixed", "Concat", "c", ("c",)),
        rounding("p", "Quant", "mixed", low=0, high=3, step=1.5),
        MaxPooling("m", "MaxPool", "p", (2, 2), (1, 1)),
        AveragePooling("a", "Mean", "m", (2, 2), (2, 2)),
        Flattening("f", "Flatten", "a"),
        dense("y", "f", rng.integers(-3, 4, (3, 6))),
    )
    source = Input("x", (4, 4, 2), -3, 3, scale=0.25)
    x = rng.integers(-3, 4, (60, 4, 4, 2))
    graph = same_scores(program((4, 4, 2), *layers), source, x)
    concat = [n for n in graph.nodes if type(n).__name__ == "Concat"]
    assert len(concat) == 3
    assert graph.types[concat[1].name].bit


def test_sums_of_eight_bits_behind_batch_norm_and_pool() -> None:
    """Millions of integers: thresholds are bisected, and the direction of a pool is read off."""
    rng = np.random.default_rng(9)
    layers = (
        rounding("q", "Quant", "x", low=0, high=255, step=1.0),
        Convolution("c", "Conv", "q", rng.integers(-127, 128, (4, 3, 3, 32)), np.full(4, 0.125)),
        BatchNorm(
            "n",
            "BN",
            "c",
            np.array([1.0, -1, 0.5, 2]),
            rng.normal(size=4),
            rng.normal(size=4) * 100,
            rng.uniform(1e4, 1e6, 4),
            1e-3,
        ),
        Clip("r", "ReLU", "n"),
        MaxPooling("m", "MaxPool", "r", (2, 2), (2, 2)),
        rounding("p", "Quant", "m", low=0, high=15, step=1 / 4),
        Flattening("f", "Flatten", "p"),
        dense("y", "f", rng.integers(-127, 128, (3, 16)), 0.5),
    )
    made, source = program((6, 6, 32), *layers), Input("x", (6, 6, 32), 0, 255)
    graph = same_scores(made, source, rng.integers(0, 256, (30, 6, 6, 32)))
    assert graph.types["conv_1"].count > 1 << 22


def test_an_input_quantizer_is_a_table_or_nothing() -> None:
    weights = np.ones((2, 3), np.int64)
    source = Input.pixels(3)
    table = lower_program(
        program(
            (3,),
            rounding("q", "Quant", "x", low=-128, high=127, step=1 / 128),
            dense("y", "q", weights),
        ),
        source,
    )
    assert [type(n).__name__ for n in table.nodes][1] == "Lookup"
    none = lower_program(
        program(
            (3,),
            rounding("q", "Quant", "x", low=0, high=255, step=1 / 255),
            dense("y", "q", weights),
        ),
        source,
    )
    assert [type(n).__name__ for n in none.nodes][1] == "Dot"


def test_a_planted_wrong_rule_changes_codes_of_a_program() -> None:
    """Ties are common where scales are dyadic: each wrong rule gives another network."""
    rng = np.random.default_rng(5)
    source, x = Input("x", (8,), -4, 4, scale=0.5), rng.integers(-4, 5, (200, 8))

    def codes(quantizer: Quantizer) -> Any:
        made = program((8,), dense("d", "x", rng2.integers(-3, 4, (6, 8)), 0.5), quantizer)
        graph = lower_program(made, source, "scores")
        return simulate(graph, x)

    found = {}
    for rule in ("half_even", "half_up", "half_away"):
        rng2 = np.random.default_rng(6)
        found[rule] = codes(rounding("q", "Quant", "d", low=-3, high=3, step=0.5, rule=rule))  # type: ignore[arg-type]
    for closed in (True, False):
        rng2 = np.random.default_rng(6)
        found[str(closed)] = codes(sign("q", "Sign", "d", zero_is_positive=closed))
    assert (found["half_even"] != found["half_up"]).any()
    assert (found["half_up"] != found["half_away"]).any()
    assert (found["True"] != found["False"]).any()


@pytest.mark.parametrize("fault", ["threshold", "weights", "class", "pad"])
def test_the_check_of_a_graph_finds_planted_faults(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(7)
    layers = (
        Convolution(
            "c", "Conv", "x", rng.integers(-3, 4, (4, 3, 3, 1)), np.ones(4), padding=(1, 1, 1, 1)
        ),
        rounding("q", "Quant", "c", low=0, high=3, step=4.0),
        Flattening("f", "Flatten", "q"),
        dense("y", "f", rng.integers(-3, 4, (3, 64))),
    )
    check = program_check.check_program

    def planted(made: Program, graph: Graph, codes: Any, x: Any) -> int:
        nodes = list(graph.nodes)
        kinds = {type(n).__name__: i for i, n in enumerate(nodes)}
        if fault == "threshold":
            i = kinds["Threshold"]
            thresholds = np.array(nodes[i].thresholds)  # type: ignore[attr-defined]
            thresholds[2, 1] += 1
            nodes[i] = replace(nodes[i], thresholds=thresholds)  # type: ignore[call-arg]
        elif fault == "weights":
            i = kinds["Dot"]
            nodes[i] = replace(nodes[i], weights=-nodes[i].weights)  # type: ignore
        elif fault == "class":
            i = kinds["Dot"]
            nodes[i] = replace(nodes[i], weights=nodes[i].weights[::-1])  # type: ignore
        else:
            made = replace(
                made,
                layers=(
                    replace(made.layers[0], pad_value=1.0),  # type: ignore
                    *made.layers[1:],
                ),
            )
        return check(made, Graph(tuple(nodes)), codes, x)

    monkeypatch.setattr("hwbnn.lowering.from_program.dispatch.check_program", planted)
    with pytest.raises(Mismatch, match="please report this defect"):
        lower_program(program((4, 4, 1), *layers), Input("x", (4, 4, 1), -3, 3))


# --- the certificate -----------------------------------------------------------------------------


def test_a_near_pair_is_decided_by_rationals_and_counted() -> None:
    """Variance 0.999 and epsilon 0.001: floats round the sum to 1 and see a tie at an integer."""
    variance, epsilon = float(np.float32(0.999)), 1e-3
    beta = -4.0
    norm = BatchNorm(
        "n",
        "BatchNorm",
        "d",
        np.ones(2),
        np.array([beta, -beta]),
        np.zeros(2),
        np.full(2, variance),
        epsilon,
    )
    made = program(
        (4,),
        dense("d", "x", np.ones((2, 4), int)),
        norm,
        sign("q", "Sign", "n"),
        dense("y", "q", np.eye(2, dtype=int)),
    )
    source = Input("x", (4,), -2, 2)
    told = explain_program(made, source)
    assert any("2 near pairs decided by rationals" in line for line in told.lines)
    graph = lower_program(made, source)
    assert "2 near pairs" in graph.notes["certificates"]
    # 4 / sqrt(V) is at least 4 exactly if V <= 1.
    reaches = Fraction(variance) + Fraction(epsilon) <= 1
    threshold = next(n for n in graph.nodes if isinstance(n, Threshold))
    assert threshold.thresholds[0, 0] == (4 if reaches else 5)
    assert threshold.thresholds[1, 0] == (-3 if Fraction(variance) + Fraction(epsilon) < 1 else -4)


def test_floats_that_see_a_tie_where_there_is_none_are_corrected() -> None:
    """A gain of 1e-20 is lost beside beta in float64: only rationals see on which side it is."""
    norm = BatchNorm(
        "n",
        "BatchNorm",
        "d",
        np.array([1e-20, -1e-20, 0.0]),
        np.full(3, 0.5),
        np.array([1.0, 1.0, 1.0]),
        np.ones(3),
        0.0,
    )
    at_half = Quantizer("q", "Step", "n", np.array([[0.5]]), np.array([True]), 2.0, -1.0)
    made = program(
        (4,),
        dense("d", "x", np.ones((3, 4), int)),
        norm,
        at_half,
        dense("y", "q", np.eye(3, dtype=int)),
    )
    graph = lower_program(made, Input("x", (4,), -2, 2))
    threshold = next(n for n in graph.nodes if isinstance(n, Threshold))
    low = graph.types["dot_1"].low
    assert threshold.thresholds.ravel().tolist() == [1, 1, low]
    assert threshold.falling.tolist() == [False, True, False]


def test_exact_ties_of_dyadic_scales_are_no_near_pairs() -> None:
    made = program(
        (3,),
        dense("d", "x", np.ones((2, 3), int), 0.5),
        rounding("q", "Quant", "d", low=0, high=3, step=1.0),
        dense("y", "q", np.eye(2, dtype=int)),
    )
    graph = lower_program(made, Input("x", (3,), 0, 3))
    assert "6 exact ties" in graph.notes["thresholds"]
    assert "certificates" not in graph.notes


@pytest.mark.parametrize(("scale", "near"), [(-1.0, False), (0.25, False), (-3.0, True)])
def test_ties_stay_ties_behind_powers_of_two_only(scale: float, near: bool) -> None:
    made = program(
        (3,),
        dense("d", "x", np.ones((2, 3), int)),
        Affine("a", "Mul", "d", np.full(1, scale)),
        rounding("q", "Quant", "a", low=-3, high=3, step=2 * abs(scale)),
        dense("y", "q", np.eye(2, dtype=int)),
    )
    graph = lower_program(made, Input("x", (3,), 0, 3))
    assert ("exact ties" in graph.notes["thresholds"]) is not near
    assert ("near pairs" in graph.notes["thresholds"]) is near


def test_signs_of_sums_of_roots() -> None:
    two, three = (RealNumber.of(1).over_root(Fraction(n)).times(n) for n in (2, 3))
    assert two.plus(three).plus(Fraction(-3)).sign == 1
    assert two.plus(three).plus(Fraction(-4)).sign == -1
    assert two.plus(two.times(-1)).sign == 0
    assert two.over_root(Fraction(2)).plus(Fraction(-1)).sign == 0


# --- the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_scores_of_real_biases_and_scales_are_ordered_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale = rng.choice([0.25, 0.5, 1.0], 4) if seed % 2 else rng.uniform(0.1, 1, 4)
    layers = (
        ternary("q", "Ternary", "x", threshold=0.5),
        dense("y", "q", rng.integers(-7, 8, (4, 6)), scale.astype(np.float32)),
        Affine("b", "bias", "y", offset=rng.choice([0, 0.3, -1.7, 0.3], 4)),
    )
    source = Input("x", (6,), -2, 2, scale=0.5)
    made = program((6,), *layers)
    x = rng.integers(-2, 3, (200, 6))
    scores = simulate(lower_program(made, source, "scores"), x)
    codes = evaluate(made, source, x)["q"].counts - 1  # type: ignore[operator]
    sums = codes @ layers[1].weights.T  # type: ignore[attr-defined]
    exact = [
        [
            Fraction(float(s)) * int(d) + Fraction(float(o))
            for s, d, o in zip(layers[1].scale, row, layers[2].offset, strict=True)  # type: ignore[attr-defined]
        ]
        for row in sums
    ]
    for one, other in zip(scores.tolist(), exact, strict=True):
        for i in range(4):
            assert [(a > one[i]) - (a < one[i]) for a in one] == [
                (a > other[i]) - (a < other[i]) for a in other
            ]


def test_logits_are_integers_of_one_unit_or_refused() -> None:
    layers = (
        dense("y", "x", [[1, 2], [3, -4]], [0.25, 0.5]),
        Affine("b", "bias", "y", offset=np.array([0.125, -1.0])),
    )
    source = Input("x", (2,), 0, 3)
    graph = lower_program(program((2,), *layers), source, "logits")
    x = np.array([[0, 0], [1, 3], [3, 2]])
    wanted = evaluate(program((2,), *layers), source, x)["b"].real
    assert np.array_equal(graph.output.reals(simulate(graph, x)), wanted)
    odd = (layers[0], Affine("b", "bias", "y", offset=np.array([0.1, 1 / 3])))
    with pytest.raises(CannotLower, match=r"layer 'b' \(bias\).*no common unit"):
        lower_program(program((2,), *odd), source, "logits")


def test_one_logit_is_a_decision() -> None:
    made = program(
        (3,), dense("y", "x", [[1, -2, 3]], 0.5), Affine("b", "bias", "y", offset=np.array([-0.5]))
    )
    graph = lower_program(made, Input("x", (3,), 0, 2))
    x = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 1], [2, 2, 0]])
    assert graph.meaning == "decision"
    assert simulate(graph, x).ravel().tolist() == [0, 1, 1, 0]


def test_last_layers_whose_scores_are_too_large_are_refused_by_name() -> None:
    weights = np.array([[30000, 29999, 1, 2], [1, 3, 7, -30001]])
    made = program((4,), dense("y", "x", weights, [0.1, 0.3]))
    with pytest.raises(CannotLower, match=r"layer 'y' \(Dense\).*more than the 65536"):
        lower_program(made, Input("x", (4,), 0, 1000))


# --- refusals ------------------------------------------------------------------------------------


REFUSED: dict[str, tuple[tuple[Layer, ...], str]] = {
    "real numbers": (
        (Clip("r", "ReLU", "x"), dense("y", "r", [[1, 1]])),
        r"layer 'y' \(Dense\): reads real numbers, behind layer 'r' \(ReLU\); put a quantizer",
    ),
    "a scale a channel": (
        (dense("d", "x", [[1, 0], [0, 1]], [0.5, 1]), dense("y", "d", [[1, 1], [0, 1]])),
        r"layer 'y' \(Dense\): reads numbers whose scale differs between channels",
    ),
    "side by side": (
        (Clip("r", "ReLU", "x"), Concatenation("c", "Concat", "r", ("x",))),
        r"layer 'c' \(Concat\): joins real numbers",
    ),
    "bits at the end": (
        (dense("d", "x", [[1, 1], [1, -1]]), sign("s", "Sign", "d")),
        r"layer 's' \(Sign\): the network ends in bits",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_layers_without_an_exact_form_are_refused_by_name(what: str) -> None:
    layers, message = REFUSED[what]
    made = program((2,), *layers)
    source = Input("x", (2,), -3, 3)
    with pytest.raises(CannotLower, match=message):
        lower_program(made, source)
    told = explain_program(made, source)
    assert not told.is_lowered
    assert told.problems[0].startswith("layer '")


def test_inputs_that_do_not_fit_are_refused() -> None:
    made = program((2,), dense("y", "x", [[1, 1], [1, -1]]))
    with pytest.raises(InputError, match=r"give an hwbnn.Input of shape \(2,\)"):
        lower_program(made)
    with pytest.raises(InputError, match=r"expected shape \(2,\) as in the file"):
        lower_program(made, Input.bits(3))
    with pytest.raises(InputError, match="output: expected one of"):
        lower_program(made, Input.bits(2), "words")  # type: ignore[arg-type]


def test_programs_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(InputError, match="reads 'z', which no earlier layer computes"):
        program((2,), dense("y", "z", [[1, 1]]))
    with pytest.raises(InputError, match="expected 3 elements, found shape"):
        program((2,), dense("y", "x", [[1, 1, 1]]))
    with pytest.raises(InputError, match="another layer has this name"):
        program((2,), sign("y", "Sign", "x"), sign("y", "Sign", "y"))
    with pytest.raises(InputError, match="expected 3 channels, found shape"):
        program((2,), BatchNorm("n", "BN", "x", *np.ones((4, 3)), 1e-3))


def test_one_graph_of_bits_of_zero_and_one_in_hardware_s_cheapest_form() -> None:
    """Codes 0 and 1 become bits, so that weights of -1 and +1 stay XNOR and popcount."""
    zero_one = Quantizer("q", "Step", "x", np.array([[0.5]]), np.array([True]), 1.0, 0.0)
    made = program((4,), zero_one, dense("y", "q", np.array([[1, -1, 1, 1], [1, 1, 1, -1]])))
    source = Input("x", (4,), 0, 1)
    graph = same_scores(made, source, np.array([[0, 0, 0, 0], [1, 0, 1, 1], [1, 1, 1, 0]]))
    node = next(n for n in graph.nodes if isinstance(n, Dot))
    assert graph.types[node.source].bit
    assert node.binary

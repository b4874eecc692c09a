"""Nodes by themselves: their fields are checked and frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from hwbnn.errors import GraphError
from hwbnn.graph import Dot, Encode, Flatten, Input, Lookup, Node, Select, Threshold, check_name

BITS = np.ones((2, 3), np.bool_)
CUTS = np.zeros((2, 1), np.int64)
BOTH = np.zeros(2, np.bool_)
ONES = np.ones(2, np.int64)

REFUSED: dict[str, tuple[Callable[[], Node], str]] = {
    "shape missing": (lambda: Input("x", (), 0, 1), r"'x': shape: expected 1 to 4 sizes.*found \("),
    "shape of five": (lambda: Input("x", (1,) * 5, 0, 1), r"'x': shape: expected 1 to 4 sizes"),
    "shape of zero": (lambda: Input("x", (3, 0), 0, 1), r"'x': shape: .* found \(3, 0\)"),
    "shape of bools": (lambda: Input("x", (True,), 0, 1), r"'x': shape: .* found \(True,\)"),
    "shape of text": (lambda: Input("x", "ab", 0, 1), r"'x': shape: .* found 'ab'"),  # type: ignore[arg-type]
    "shape too large": (lambda: Input("x", (1 << 16, 1 << 15), 0, 1), r"at most 2\^24 elements"),
    "low above high": (lambda: Input("x", (3,), 5, 4), r"'x': low 5 is above high 4"),
    "sizes one by one": (
        lambda: Input.pixels(28, 28),  # type: ignore[arg-type]
        r"Input\.pixels: expected the shape as one tuple, such as Input\.pixels\(\(28, 28\)\)",
    ),
    "low not whole": (lambda: Input("x", (3,), 0.5, 4), r"'x': low: .* found 0\.5"),  # type: ignore[arg-type]
    "low a bool": (lambda: Input("x", (3,), False, 4), r"'x': low: .* found False"),
    "high too large": (lambda: Input("x", (3,), 0, 1 << 31), r"'x': high: .* found 2147483648"),
    "high absurd": (lambda: Input("x", (3,), 0, 10**5000), r"'x': high: .* found a huge integer"),
    "bits of 8 bits": (lambda: Input("x", (3,), 0, 255, bit=True), r"'x': bit: .* high 255"),
    "bit not bool": (lambda: Input("x", (3,), 0, 1, bit=1), r"'x': bit: .* found 1 with"),  # type: ignore[arg-type]
    "scale zero": (lambda: Input("x", (3,), 0, 1, scale=0), r"'x': scale: .* not 0, found 0"),
    "scale text": (lambda: Input("x", (3,), 0, 1, scale="1"), r"'x': scale: .* number, found '1'"),  # type: ignore[arg-type]
    "scale nan": (lambda: Input("x", (3,), 0, 1, scale=float("nan")), r"'x': scale: .* found nan"),
    "offset infinite": (lambda: Input("x", (3,), 0, 1, offset=float("inf")), r"'x': offset: .*inf"),
    "offset absurd": (lambda: Input("x", (3,), 0, 1, offset=10**5000), r"'x': offset: .* huge"),
    "source a number": (lambda: Flatten("f", 3), r"'f': source: expected a name, found 3"),  # type: ignore[arg-type]
    "select twice": (lambda: Select("s", "x", np.array([1, 1])), r"'s': index: .* distinct"),
    "select before 0": (lambda: Select("s", "x", np.array([-1])), r"'s': index: .* from 0"),
    "select nothing": (lambda: Select("s", "x", np.zeros(0, int)), r"'s': index: .* shape \(0,\)"),
    "encode in 1-D": (lambda: Encode("e", "x", np.zeros(3, int)), r"'e': thresholds: .* 2-D"),
    "dot of floats": (lambda: Dot("d", "x", BITS * 1.0), r"'d': weights: .* found float64"),  # type: ignore[arg-type]
    "dot of large integers": (
        lambda: Dot("d", "x", BITS * -(1 << 15)),
        r"'d': weights: expected magnitudes below 2\^15",
    ),
    "scaled integers": (
        lambda: Dot("d", "x", BITS * 2, np.array([1, 1]), np.array([0, 0])),
        r"'d': scale: expected none, since its weights are integers other than -1 and \+1; multi",
    ),
    "base not an integer": (lambda: Threshold("t", "x", CUTS, BOTH, base=True), "'t': base: .* Tr"),
    "base too high": (
        lambda: Threshold("t", "x", CUTS, BOTH, base=(1 << 31) - 1),
        r"'t': base: expected less than 2\^31 with its 1 thresholds added, found 2147483647",
    ),
    "dot in 3-D": (lambda: Dot("d", "x", BITS[None]), r"'d': weights: .* 2-D .* \(1, 2, 3\)"),
    "dot ragged": (lambda: Dot("d", "x", [[True], []]), r"'d': weights: .* rows of one length"),  # type: ignore[arg-type]
    "dot of objects": (lambda: Dot("d", "x", [[None]]), r"'d': weights: .* found object"),  # type: ignore[arg-type]
    "scale alone": (
        lambda: Dot("d", "x", BITS, ONES),
        r"'d': scale: expected both scale and offset or none",
    ),
    "offset alone": (
        lambda: Dot("d", "x", BITS, None, ONES),
        r"'d': offset: expected both scale and offset or none",
    ),
    "scale of 3": (
        lambda: Dot("d", "x", BITS, np.ones(3, int), ONES),
        r"'d': scale: expected 2 channels as in weights, found 3",
    ),
    "offset of floats": (lambda: Dot("d", "x", BITS, ONES, ONES * 0.5), r"'d': offset: .* float"),  # type: ignore[arg-type]
    "scale too large": (lambda: Dot("d", "x", BITS, ONES << 31, ONES), r"'d': scale: .* 2\^31"),
    "cut too large": (
        lambda: Threshold("t", "x", CUTS + 2**31, BOTH),
        r"'t': thresholds: .* 2\^31",
    ),
    "cut nan": (lambda: Threshold("t", "x", CUTS * np.nan, BOTH), r"'t': thresholds: .* float64"),
    "cut unsigned": (
        lambda: Threshold("t", "x", np.full((2, 1), 2**64 - 1, np.uint64), BOTH),  # type: ignore[arg-type]
        r"'t': thresholds: expected magnitudes below 2\^31",
    ),
    "falling of 3": (
        lambda: Threshold("t", "x", CUTS, np.zeros(3, np.bool_)),
        r"'t': falling: expected 2 channels as in thresholds, found 3",
    ),
    "falling integers": (lambda: Threshold("t", "x", CUTS, CUTS[:, 0]), r"'t': falling: .* bool"),  # type: ignore[arg-type]
    "lookup to 2 as bits": (
        lambda: Lookup("l", "x", CUTS + 2, bit=True),
        r"'l': table: .* 0 and 1",
    ),
    "lookup bit text": (lambda: Lookup("l", "x", CUTS, bit="no"), r"'l': bit: expected true or"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_malformed_node_is_refused_by_name(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(GraphError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


NAMES = ["", "X", "1x", "x_", "x__y", "_x", "x y", "x;y", "$x", "[exit]", "../x", "é", "x" * 49]
NAMES += ["x\n", "a" * 10_000, 'x"', "x\\", "x{", "x\x00"]


@pytest.mark.parametrize("name", [*NAMES, None, 3, b"x"])
def test_a_name_that_could_reach_generated_code_is_refused(name: object) -> None:
    with pytest.raises(GraphError, match=r"^node name .*: expected at most 48 of a-z") as caught:
        check_name(name)
    assert len(str(caught.value)) < 250
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["x", "x" * 48, "dot_1", "a1_2_b3"])
def test_a_good_name_is_returned(name: str) -> None:
    assert check_name(name) == name


def test_arrays_are_copied_and_cannot_be_changed() -> None:
    weights = np.ones((2, 3), np.bool_)
    node = Dot("d", "x", weights)
    weights[:] = False
    assert (node.weights == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        node.weights[0, 0] = -1


def test_small_integers_widen_to_int64() -> None:
    node = Threshold("t", "x", np.array([[3], [250]], np.uint8), BOTH)
    assert node.thresholds.dtype == np.int64
    assert node.thresholds.tolist() == [[3], [250]]


def test_inputs_of_bits_and_pixels_say_what_the_network_sees() -> None:
    bits, pixels = Input.bits(784), Input.pixels((28, 28))
    assert (bits.shape, bits.low, bits.high, bits.bit) == ((784,), 0, 1, True)
    assert [bits.scale * u + bits.offset for u in (0, 1)] == [-1, 1]
    assert (pixels.shape, pixels.high, pixels.scale * 255) == ((28, 28), 255, 1)


def test_an_input_may_be_described_by_numbers_of_numpy() -> None:
    """As ``x.min()``, ``x.max()`` and ``np.prod(shape)`` give them."""
    x = np.array([[0, 3], [16, 2]])
    given = Input("x", (np.int64(2),), x.min(), x.max(), scale=np.float32(0.5))  # type: ignore[arg-type]
    assert (given.shape, given.low, given.high, given.scale) == ((2,), 0, 16, 0.5)
    assert {type(n) for n in (*given.shape, given.low, given.high)} == {int}
    assert Input.bits(np.prod((2, 3))).shape == Input.pixels(np.int64(6)).shape == (6,)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False, slots=True)
class Several(Node):
    SOURCE_LIST: ClassVar[str | None] = "parts"

    source: str
    parts: tuple[str, ...]


def test_a_node_may_read_any_number_of_values():
    assert Several("y", "a", ("b", "c", "d")).sources == ("a", "b", "c", "d")
    assert Several("y", "a", ()).sources == ("a",)
    with pytest.raises(GraphError, match="'y': source: expected a name, found 3"):
        Several("y", "a", ("b", 3))

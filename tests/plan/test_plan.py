"""Plans as values and as JSON files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.errors import PlanError
from hwbnn.flow.build_steps import plan_of
from hwbnn.graph import Add, Dot, Graph, Input, Output
from hwbnn.plan import Folded, Plan, Unrolled
from hwbnn.targets import generate
from hwbnn.verification import verify
from tests.strategies import graphs, plans

GRAPH = Graph(
    (Input.bits(12), Dot("first", "x", np.ones((10, 12), np.bool_)), Output("y", "first")),
)


def test_dots_left_out_take_the_default() -> None:
    plan = Plan({"first": Folded(2, 3)}, default=Folded(1, 1))
    assert plan.layout("first") == Folded(2, 3)
    assert plan.layout("second") == Folded(1, 1)
    assert plan.with_layers(second=Unrolled()).layout("second") == Unrolled()
    assert plan.with_layers(self=Folded(2, 4)).layout("self") == Folded(2, 4)
    assert plan.layout("second") == Folded(1, 1)


def test_a_plan_cannot_be_changed() -> None:
    dots = {"first": Folded(2, 3)}
    plan = Plan(dots)
    dots["first"] = Folded(1, 1)
    assert plan.layout("first") == Folded(2, 3)
    with pytest.raises(TypeError):
        plan.layers["first"] = Unrolled()  # type: ignore[index]


@given(st.data())
def test_any_plan_comes_back_from_json_the_same(data: st.DataObject) -> None:
    graph = data.draw(graphs(max_width=40))
    plan = data.draw(plans(graph))
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.to_json() == plan.to_json()
    assert again.check(graph) is again


def test_a_plan_is_named_as_its_file_is_where_it_is_refused() -> None:
    for text in ("[]", '{"layers": 1}', '{"depths": 1}', '{"buffer_tokens": 1}', '{"default": 1}'):
        with pytest.raises(PlanError, match="mine: "):
            Plan.from_json(text, "mine")


def test_a_device_has_what_layers_are_made_of_unless_one_is_named() -> None:
    ultrascale = Unrolled(form="xcup")
    assert Plan().device == Plan(default=Unrolled(form="xc7")).device == "xc7z020clg400-1"
    for plan in (Plan(default=ultrascale), Plan({"first": ultrascale}, default=Folded(1, 1))):
        assert plan.device == "xczu7ev-ffvc1156-2-e"
        assert "part" not in json.loads(plan.to_json())
        assert plan.with_layers(first=Folded(1, 1)).part is None
        assert replace(plan, part="xcku040").device == "xcku040"
    assert Plan({"first": ultrascale}).with_layers(first=Unrolled()).device == Plan().device


def test_fields_left_out_take_their_defaults() -> None:
    assert Plan.from_json("{}") == Plan()
    assert Plan.from_json(b'{"layers": {"a": "unrolled"}}') == Plan({"a": Unrolled()})


def test_ways_to_sum_are_written_only_where_they_are_not_the_first() -> None:
    plan = Plan({"a": Folded(2, 3, "bit_serial"), "b": Unrolled("adder_tree"), "c": Folded(2, 3)})
    assert json.loads(plan.to_json())["layers"] == {
        "a": {"pe": 2, "simd": 3, "sums": "bit_serial"},
        "b": {"sums": "adder_tree"},
        "c": {"pe": 2, "simd": 3},
    }
    assert json.loads(Plan({"d": Unrolled("bit_planes")}).to_json())["layers"] == {"d": "unrolled"}
    assert Plan.from_json(plan.to_json()) == plan


REFUSED: dict[str, tuple[Callable[[], Plan], str]] = {
    "beat not whole": (lambda: Plan(input_beat=12), "input_beat: .* multiple of 8 .* found 12"),
    "beat of 0": (lambda: Plan(output_beat=0), "output_beat: .* found 0"),
    "beat a bool": (lambda: Plan(input_beat=True), "input_beat: .* found True"),
    "beat a float": (lambda: Plan(input_beat=64.0), r"input_beat: .* found 64\.0"),  # type: ignore[arg-type]
    "beat too wide": (lambda: Plan(input_beat=1 << 17), "input_beat: .* to 65536, found 131072"),
    "levels 0": (
        lambda: Plan(logic_levels_per_register=0),
        "logic_levels_per_register: expected 1 to 64, found 0",
    ),
    "a tag too wide": (lambda: Plan(tid_bits=65), "tid_bits: expected 0 to 64, found 65"),
    "a control of no kind": (
        lambda: Plan(control="axi"),  # type: ignore[arg-type]
        "control: expected one of none, axi4lite, found 'axi'",
    ),
    "fuse 1": (lambda: Plan(fuse=1), "fuse: expected true or false, found 1"),  # type: ignore[arg-type]
    "clock 0": (lambda: Plan(clock_ns=0), r"clock_ns: expected 0\.1 to 1000, found 0"),
    "clock nan": (lambda: Plan(clock_ns=float("nan")), "clock_ns: .* found nan"),
    "clock text": (lambda: Plan(clock_ns="5"), "clock_ns: .* found '5'"),  # type: ignore[arg-type]
    "part with Tcl": (lambda: Plan(part="x; exec reboot"), "part: expected letters, digits"),
    "part of lines": (lambda: Plan(part="x\n"), r"part: .* found 'x\\n'"),
    "part an option": (lambda: Plan(part="-quiet"), "part: .* found '-quiet'"),
    "part empty": (lambda: Plan(part=""), "part: .* found ''"),
    "part foreign": (lambda: Plan(part="xcé"), "part: expected letters, digits"),
    "layout text": (lambda: Plan({"a": "folded"}), "expected Unrolled or Folded, found 'folded'"),  # type: ignore[dict-item]
    "default none": (lambda: Plan(default=None), "expected Unrolled or Folded, found None"),  # type: ignore[arg-type]
    "pe 0": (
        lambda: Plan({"a": Folded(0, 1)}),
        "pe: expected a positive integer below 2.20, found 0",
    ),
    "simd a bool": (lambda: Plan({"a": Folded(1, True)}), "simd: .* found True"),
    "simd a float": (lambda: Plan({"a": Folded(1, 2.0)}), r"simd: .* found 2\.0"),  # type: ignore[arg-type]
    "pe huge": (lambda: Plan({"a": Folded(1 << 20, 1)}), "pe: .* below 2.20, found 1048576"),
    "sums of text": (
        lambda: Plan({"a": Unrolled("both")}),
        "sums: .* bit_planes, adder_tree, found 'both'",
    ),  # type: ignore[arg-type]
    "sums a list": (
        lambda: Plan({"a": Folded(1, 1, [])}),
        r"sums: expected .* bit_serial, found \[\]",
    ),  # type: ignore[arg-type]
    "serial unrolled": (
        lambda: Plan({"a": Unrolled("bit_serial")}),
        "sums: expected one of bit_planes, adder_tree, found 'bit_serial'; fold the layer",
    ),
    "no such dot": (
        lambda: Plan({"a": Unrolled()}).check(GRAPH),
        "'a' is no Dot or Conv2d of the graph; those are first",
    ),
}

TEXTS: dict[str, tuple[Any, str]] = {
    "not JSON": ("{", "not JSON"),
    "deep": ("[" * 100_000, "not JSON"),
    "not UTF-8": (b"\xff\xfe\xfd", "not JSON"),
    "a list": ("[]", "expected an object, found"),
    "a key": ('{"beat": 8}', "unknown key .beat.; expected .*clock_ns"),
    "layers a list": ('{"layers": []}', "layers: expected an object of layouts"),
    "layout a number": ('{"layers": {"a": 3}}', "layers: 'a': expected .unrolled. or .* found 3"),
    "layout half": ('{"default": {"pe": 1}}', "default: expected"),
    "layout more": ('{"default": {"pe": 1, "simd": 1, "x": 1}}', "default: expected"),
    "pe text": ('{"default": {"pe": "1", "simd": 1}}', "pe: expected a positive integer"),
    "pe huge": ('{"default": {"pe": 1' + "0" * 5000 + ', "simd": 1}}', "not JSON"),
    "beat null": ('{"input_beat": null}', "input_beat: expected a multiple of 8"),
    "part a list": ('{"part": ["x"]}', "part: expected letters"),
    "sums null": (
        '{"layers": {"a": {"sums": null}}}',
        "sums: expected one of bit_planes, adder_tree",
    ),
    "sums and pe": ('{"layers": {"a": {"sums": "adder_tree", "pe": 1}}}', "layers: 'a': expected"),
    "depths a list": ('{"depths": []}', "depths: expected an object of numbers"),
    "a depth alone": ('{"depths": {"a": [3]}}', "depths: 'a': expected a list of at least 2"),
    "buffer_tokens text": (
        '{"buffer_tokens": {"a": "3"}}',
        "buffer_tokens: 'a': expected 1 to 2.24 - 1 tokens, found '3'",
    ),
    "a name of lines": (json.dumps({"layers": {"a\nb\x1b[31m": 1}}), r"layers: 'a\\nb"),
    "a long name": (json.dumps({"layers": {"a" * 10_000: 1}}), "layers: 'aaa"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_malformed_plan_is_refused(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(PlanError, match=message) as caught:
        make()
    assert str(caught.value).startswith("plan: ")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("case", TEXTS)
def test_a_text_that_is_no_plan_is_refused(case: str) -> None:
    text, message = TEXTS[case]
    with pytest.raises(PlanError, match=message) as caught:
        Plan.from_json(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
KEYS = [*(f.name for f in fields(Plan)), "x"]


@given(st.dictionaries(st.sampled_from(KEYS), json_values))
def test_any_json_is_a_plan_or_refused_in_one_line(given: dict[str, Any]) -> None:
    try:
        Plan.from_json(json.dumps(given))
    except PlanError as error:
        assert_one_line(error)


def assert_one_line(error: PlanError) -> None:
    assert str(error).isprintable()
    assert len(str(error)) < 400


def test_a_misspelt_layer_has_a_printable_name_in_the_error() -> None:
    with pytest.raises(PlanError, match="is no Dot or Conv2d of the graph") as caught:
        Plan({"a\nb" * 1000: Unrolled()}).check(GRAPH)
    assert_one_line(caught.value)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ('{"dots": {}}', "dots", "layers"),
        ('{"levels": 2}', "levels", "logic_levels_per_register"),
        ('{"slots": {"a": 3}}', "slots", "buffer_tokens"),
        ('{"default": {"made": "xc7"}}', "made", "form"),
        ('{"layers": {"a": {"sums": "adders"}}}', "adders", "adder_tree"),
        ('{"layers": {"a": {"pe": 1, "simd": 1, "sums": "serial"}}}', "serial", "bit_serial"),
        ('{"layers": {"a": {"pe": 1, "simd": 1, "sums": "planes"}}}', "planes", "bit_planes"),
    ],
)
def test_names_of_earlier_versions_are_refused_with_those_of_today(
    text: str, old: str, new: str
) -> None:
    with pytest.raises(PlanError) as caught:
        Plan.from_json(text)
    message = str(caught.value)
    assert f"'{old}'" in message
    assert f"'{new}', its name now" in message
    assert "\n" not in message


def test_depths_are_of_values_with_so_many_readers() -> None:
    nodes = (Input.bits(12), *(Dot(name, "x", np.ones((10, 12), np.bool_)) for name in "ab"))
    graph = Graph((*nodes, Add("sum", "a", "b"), Output("y", "sum")))
    plan = Plan(depths={"x": (2, 3)})
    assert plan.check(graph) is plan
    for depths, said in (
        ({"x": (2, 3, 4)}, "plan: depths: 'x' has 2 readers, found 3 depths"),
        ({"a": (2, 3)}, "plan: depths: 'a' has 1 readers, found 2 depths"),
        ({"nothing": (2, 3)}, "plan: depths: 'nothing' has 0 readers, found 2 depths"),
    ):
        with pytest.raises(PlanError, match=f"^{said}$"):
            Plan(depths=depths).check(graph)


def test_ternary_weights_and_sums_by_planes_take_no_multiplier():
    assert Folded(1, 1, multipliers="dsp").multiplies(8, 8, ternary=False)
    assert not Folded(1, 1, multipliers="dsp").multiplies(8, 2, ternary=True)
    assert not Folded(1, 1, multipliers="dsp").multiplies(1, 8, ternary=False)
    assert not Folded(1, 1, "bit_serial", multipliers="dsp").multiplies(8, 8, ternary=False)
    assert not Folded(1, 1, multipliers="luts").multiplies(8, 8, ternary=False)


@pytest.mark.parametrize(
    ("instead", "hint"),
    [
        (Folded(2, 4), r"found Folded; hwbnn\.Plan\(default=Folded\(pe=2, simd=4"),
        ("plan.json", r"found str; hwbnn\.Plan\.from_json"),
        ({}, r"found dict; hwbnn\.Plan\(layers=\{\.\.\.\}\)"),
    ],
)
def test_what_stands_in_a_plans_place_is_refused(instead: Any, hint: str) -> None:
    for call in (
        lambda: generate(GRAPH, "rtl", instead),
        lambda: verify(GRAPH, np.zeros((1, 12), int), plan=instead),
        lambda: plan_of(GRAPH, instead),
    ):
        with pytest.raises(PlanError, match=rf"plan: expected hwbnn\.Plan, {hint}"):
            call()


def test_a_fold_of_numpys_integers_can_be_written() -> None:
    plan = Plan(default=Folded(np.int64(2), np.int32(4)))  # type: ignore[arg-type]
    assert Plan.from_json(plan.to_json()) == plan == Plan(default=Folded(2, 4))


def test_multipliers_of_an_unknown_kind_are_refused() -> None:
    layout = Folded(1, 1, multipliers="dps")  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="multipliers: expected one of dsp, luts, found 'dps'"):
        Plan(default=layout)

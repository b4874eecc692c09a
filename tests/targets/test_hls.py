"""HLS projects: the same files every time, exact constants, hls4ml's passes kept out."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from hwbnn.errors import InputError, PlanError, ToolFailed, ToolNotFound
from hwbnn.graph import Dot, Graph, Input, Node, Output, Threshold, from_bytes
from hwbnn.plan import Folded, Plan
from hwbnn.simulators import simulate
from hwbnn.targets import TARGETS, generate
from hwbnn.targets.hls import model
from hwbnn.targets.hls import weights as pack
from hwbnn.targets.hls.calls import Site, calls_of
from hwbnn.targets.hls.layout import Fold, Scalar
from hwbnn.targets.hls.nodes import call_of
from tests.strategies import random_graph, random_inputs, random_plan
from tests.targets.hls_networks import every_node, integer_weights

IOS = ("io_parallel", "io_stream")
TOP = "firmware/hwbnn_network.cpp"
FOLDED = Plan(fuse=False, default=Folded(1, 1), input_beat=16)


def dense(inputs: int, outputs: int, first: Input | None = None) -> Graph:
    weights = np.random.default_rng(7).random((outputs, inputs)) < 0.5
    return Graph((first or Input.bits(inputs), Dot("dot", "x", weights), Output("y", "dot")))


@pytest.mark.parametrize("io", IOS)
@pytest.mark.parametrize("plan", [Plan(), FOLDED], ids=["unrolled", "folded"])
def test_the_digest_is_the_same_in_every_folder(
    io: str, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = set()
    # The last is long and has a blank, so that YAML wraps it.
    for name in ("a", "b", "c " + "long" * 20):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))
        project = generate(every_node(), "hls", plan, io=io)
        digests.add(project.digest)
        assert not any(str(tmp_path).encode() in content for content in project.files.values())
        assert not list((tmp_path / name).iterdir())
    assert len(digests) == 1


def test_the_digest_is_the_same_in_another_process() -> None:
    code = (
        "from tests.targets.hls_networks import every_node as e\nfrom hwbnn.targets import generate"
    )
    code += "\nprint(generate(e(), 'hls').digest)"
    options = {"cwd": Path(__file__).parents[2], "capture_output": True, "text": True}
    found = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, check=True, **options
        )
        for seed in "12"
    ]
    assert {done.stdout.strip() for done in found} == {generate(every_node(), "hls").digest}


def test_a_project_says_what_it_was_made_from() -> None:
    graph = every_node()
    project = generate(graph, "hls", FOLDED, io="io_stream")
    assert from_bytes(project.files["graph.npz"]) == graph
    assert Plan.from_json(project.files["plan.json"]) == FOLDED
    assert project.digest != generate(graph, "hls", Plan(), io="io_stream").digest
    about = json.loads(project.text("core.json"))
    assert (about["target"], about["top"], about["io"]) == ("hls", "hwbnn_top", "io_stream")
    assert [slot["value"] for slot in about["trace"]] == [n.name for n in graph.nodes[:-1]]
    assert about["fused"] == {}
    # 16 bits hold three elements of 5 bits, of a frame of 15.
    assert about["input"] | {"lanes": 3, "beats": 5, "width": 5, "signed": True} == about["input"]
    assert "`s_axis` | `x` | 15 |" in project.text("README.md")


def test_fused_values_are_listed() -> None:
    about = json.loads(generate(every_node(), "hls").text("core.json"))
    assert about["fused"] == {"sums": "steps", "hidden": "fires"}
    assert not {"sums", "hidden"} & {slot["value"] for slot in about["trace"]}
    assert "`sums` into `steps`, `hidden` into `fires`" in generate(every_node(), "hls").text(
        "README.md"
    )


def constants(text: str) -> list[int]:
    return [int(v, 0) for v in re.search(r"= \{(.*?)\};", text, re.DOTALL)[1].split(", ")]


@pytest.mark.parametrize("seed", range(12))
def test_constants_in_the_files_are_those_of_the_graph(seed: int) -> None:
    graph = random_graph(seed)
    plan = random_plan(seed, graph)
    project = generate(graph, "hls", plan)
    seen = set()
    for index, call in enumerate(calls_of(graph, plan, "io_parallel"), start=2):
        for constant in call.constants:
            name = f"firmware/weights/{constant.name}{index}.h"
            seen.add(name)
            assert constants(project.text(name)) == constant.data.tolist()
    assert seen == {name for name in project.files if name.startswith("firmware/weights/")}


def test_words_above_53_bits_are_exact_where_hls4ml_rounds() -> None:
    from hls4ml.model.types import IntegerPrecisionType, WeightVariable

    words = next(s for s in calls_of(dense(64, 20), Plan(), "io_parallel") if s.kind == "Dot")
    data = words.constants[0].data
    theirs = WeightVariable("w", "w_t", IntegerPrecisionType(64, signed=False), data)
    assert [int(v) for v in theirs] != data.tolist()
    assert [int(v, 0) for v in words.constants[0].literals()] == data.tolist()


@pytest.mark.parametrize(("pe", "simd"), [(1, 1), (3, 5), (12, 130), (4, 26), (12, 10), (6, 65)])
def test_folded_weights_are_read_back(pe: int, simd: int) -> None:
    rng = np.random.default_rng(pe * simd)
    weights = rng.integers(-1, 2, (12, 130))
    fold = Fold(12, 130, pe, simd)
    for packed, kept in (
        (pack.signs(fold, weights > 0), (weights > 0)[None]),
        (pack.ternary(fold, weights), np.stack([weights > 0, weights != 0])),
    ):
        words, n = packed.constant.data, {**fold.numbers(), **packed.numbers}
        assert len(words) == n["n_weights"]
        for plane, row, column in np.ndindex(*kept.shape):
            (group, p), (step, i) = divmod(row, pe), divmod(column, simd)
            first = (group * n["n_steps"] + step) * n["step_words"]
            first += plane * n["step_words"] // 2
            word = first + p // n["word_rows"] * n["row_words"] + i // n["row_width"]
            bit = p % n["word_rows"] * n["row_width"] + i % n["row_width"]
            assert (int(words[word]) >> bit) & 1 == kept[plane, row, column]


@pytest.mark.parametrize("width", [2, 5, 8, 15, 16])
@pytest.mark.parametrize(("pe", "simd"), [(1, 1), (3, 5), (12, 130), (4, 26)])
def test_folded_integer_weights_are_read_back(pe: int, simd: int, width: int) -> None:
    most = 2 ** (width - 1) - 1
    weights = np.random.default_rng(pe * simd).integers(-most, most, (12, 130), endpoint=True)
    fold, weight = Fold(12, 130, pe, simd), Scalar(width, signed=True)
    packed = pack.integers(fold, weights, weight)
    words, n = packed.constant.data, {**fold.numbers(), **packed.numbers}
    assert len(words) == n["n_weights"]
    assert max(int(word).bit_length() for word in words) <= packed.constant.type.width <= 64
    for row, column in np.ndindex(12, 130):
        (group, p), (step, i) = divmod(row, pe), divmod(column, simd)
        first = (group * n["n_steps"] + step) * n["step_words"]
        word = first + p // n["word_rows"] * n["weight_words"] + i // n["word_weights"]
        bit = (p % n["word_rows"] * simd + i % n["word_weights"]) * width
        assert (int(words[word]) >> bit) % 2**width == weights[row, column] % 2**width


def test_no_name_of_the_graph_reaches_the_code() -> None:
    nodes = [Input.bits(9, "zebra"), Dot("giraffe", "zebra", np.ones((4, 9), bool))]
    nodes += [Threshold("okapi", "giraffe", np.zeros((4, 1), int), np.zeros(4, bool))]
    graph = Graph((*nodes, Output("quagga", "okapi")))
    files = generate(graph, "hls", Plan(fuse=False)).files
    for name, content in files.items():
        if name.startswith("firmware/") or name.endswith((".cpp", ".tcl", ".sh")):
            code = re.sub(r"//.*", "", content.decode())
            assert not re.search("zebra|giraffe|okapi|quagga", code), name


def test_what_hls_cannot_unroll_is_refused() -> None:
    refused = {
        "4096, found 5000 elements of its value": (dense(5000, 2), Plan()),
        "4096, found 16384 words of weights": (dense(1024, 1024), Plan()),
    }
    for message, (graph, plan) in refused.items():
        with pytest.raises(PlanError, match=message):
            generate(graph, "hls", plan)
    assert generate(dense(1024, 1024), "hls", Plan(default=Folded(16, 64)))


def test_a_fold_that_leaves_a_rest_becomes_the_next_one_that_divides() -> None:
    for asked, found in (((3, 5), (4, 8)), ((5, 1), (4, 1)), ((1, 99), (1, 8)), ((4, 2), (4, 2))):
        odd, even = (
            generate(dense(8, 4), "hls", Plan(default=Folded(*fold))).files
            for fold in (asked, found)
        )
        assert {n: c for n, c in odd.items() if n != "plan.json"} == {
            n: c for n, c in even.items() if n != "plan.json"
        }


def test_beats_narrower_than_an_element_are_refused() -> None:
    pixels = dense(8, 4, Input("x", (8,), -300, 300))
    with pytest.raises(PlanError, match=r"a beat of 8 bits is narrower .* 10 bits; take .* 16"):
        generate(pixels, "hls", Plan(input_beat=8, output_beat=16), io="io_stream")


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(InputError, match="io 'io_serial': expected one of io_stream, io_parallel"):
        generate(every_node(), "hls", io="io_serial")
    with pytest.raises(InputError, match="target 'vhdl': expected one of rtl, hls"):
        generate(every_node(), "vhdl")
    assert all((target.__doc__ or "").strip() for target in TARGETS.values())


def test_without_hls4ml_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith(("hls4ml", "hwbnn.targets.hls."))]:
        if name not in ("hwbnn.targets.hls.describe", "hwbnn.targets.hls.calls"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hls4ml", None)
    with pytest.raises(ToolNotFound, match=r"needs hls4ml .*; run pip install 'hwbnn\[hls\]'"):
        generate(every_node(), "hls")


def test_the_model_stays_callable_when_its_parts_are_loaded(tmp_path: Path) -> None:
    generate(every_node(), "hls")
    made = importlib.import_module("hwbnn.targets.hls").model(every_node(), folder=tmp_path)
    assert [type(layer).__name__ for layer in made.get_layers()][:3] == [
        "VitisHwbnnPort",
        "VitisHwbnnInput",
        "VitisHwbnnThreshold",
    ]


def test_registering_again_changes_nothing() -> None:
    from hls4ml.model.optimizer.optimizer import optimizer_map

    from hwbnn.targets.hls.hls4ml_layers import register

    register()
    known = set(optimizer_map)
    register()
    assert set(optimizer_map) == known


def test_a_layer_that_hls4ml_changed_is_refused(tmp_path: Path) -> None:
    from hwbnn.targets.hls.modelgraph import _check_untouched, layer_list

    graph, plan = every_node(), Plan()
    calls = calls_of(graph, plan, "io_parallel")
    layers = layer_list(Site(graph, plan, "io_parallel"), calls)

    def fresh():
        return model(graph, plan, folder=tmp_path)

    _check_untouched(fresh(), layers)
    weights = fresh()
    weights.graph["n_fires"].get_weights("weights").data[0] ^= np.uint64(1)
    wider = fresh()
    wider.graph["n_steps"].get_output_variable().type.precision.width += 1
    longer = fresh()
    longer.graph["n_bits"].get_output_variable().shape.append(1)
    shorter = fresh()
    shorter.remove_node(shorter.graph["n_flat"])
    for changed in (weights, wider, longer):
        with pytest.raises(ToolFailed, match="hls4ml changed layer 'n_"):
            _check_untouched(changed, layers)
    with pytest.raises(ToolFailed, match="hls4ml changed the layers"):
        _check_untouched(shorter, layers)


def test_the_model_tells_the_type_of_integer_weights(tmp_path: Path) -> None:
    layers = model(integer_weights(), folder=tmp_path).graph
    kinds = {
        name: layer.get_layer_precision()[f"coefficient{layer.index}_t"].precision
        for name, layer in layers.items()
        if "coefficient_t" in layer.attributes
    }
    widths = {name: (kind.width, kind.signed) for name, kind in kinds.items()}
    assert widths == {
        "n_levels": (4, True),
        "n_bits": (2, True),
        "n_fires": (2, True),
        "n_heavier": (16, True),
        "n_codes": (2, True),
        "n_last": (6, True),
        "n_scores": (4, True),
    }
    assert "typedef ap_int<16> coefficient6_t;" in generate(integer_weights(), "hls").text(
        "firmware/defines.h"
    )
    assert "coefficient" not in generate(every_node(), "hls").text("firmware/defines.h")


def test_few_passes_of_hls4ml_run_on_our_layers(tmp_path: Path) -> None:
    applied = set()
    for seed in range(8):
        graph = random_graph(seed)
        for io in IOS:
            found = model(graph, random_plan(seed, graph), io, folder=tmp_path)
            applied |= {name for flow in found._applied_flows for s in flow.values() for name in s}
    ours = {"vitis:hwbnn_config_template", "vitis:hwbnn_function_template"}
    # Reuse factor and strategy as configured, C++ types, storage of constants (registers), pipeline
    # or dataflow as configured, and a check for types of newer C++.
    theirs = {"vivado:init_base_layer", "vivado:transform_types", "vivado:register_bram_weights"}
    theirs |= {"vivado:set_pipeline_style", "vitis:validate_std_cpp_types"}
    assert applied <= ours | theirs
    assert applied >= ours


def test_folds_are_hls4mls_reuse_factors(tmp_path: Path) -> None:
    plan = Plan({"hidden": Folded(1, 14)})
    layers = model(every_node(), plan, folder=tmp_path).graph
    assert layers["n_fires"].get_attr("reuse_factor") == 11 * 5
    assert layers["n_steps"].get_attr("reuse_factor") == 1
    assert "#pragma HLS DATAFLOW" in generate(every_node(), "hls", plan).text(TOP)
    assert "#pragma HLS PIPELINE II=1" in generate(every_node(), "hls").text(TOP)


@pytest.mark.hardware
@pytest.mark.parametrize("io", IOS)
def test_hls4mls_own_compile_and_predict_agree(io: str, tmp_path: Path) -> None:
    graph = every_node()
    x = random_inputs(graph, 50, 0)
    ours = model(graph, FOLDED, io, folder=tmp_path / "project")
    ours.compile()
    flat = x.reshape(len(x), -1)
    for kind in (np.float32, np.float64):
        assert np.array_equal(ours.predict(flat.astype(kind)), simulate(graph, x))


def test_a_node_that_hls_lacks_is_refused_by_name() -> None:
    class Unknown(Node):
        SOURCE_FIELDS = ()

    with pytest.raises(PlanError, match="'n': HLS has no Unknown; use the target 'rtl'"):
        call_of(Unknown("n"), None)  # type: ignore[arg-type]

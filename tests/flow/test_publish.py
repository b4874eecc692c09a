"""Publishing a run: its report, one lowering, and refusals."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwbnn.lowering
from hwbnn.errors import CannotLower, HwbnnError, InputError, Mismatch, PlanError
from hwbnn.flow import publish
from hwbnn.flow.state import BuildState
from hwbnn.graph import Graph, load
from hwbnn.plan import Folded, Plan
from hwbnn.report import BackendFigures, NotDone, Report
from hwbnn.simulators import simulate
from hwbnn.training import Dataset, Recipe, data_of, dataset, load_model, predict, provenance, train
from hwbnn.training.plots import compare_runs
from scripts import publish as script
from tests.cli.conftest import Call, call  # noqa: F401  # a fixture

RECIPE = Recipe("digits", "digits", 2, input="pixels", batch=64, learning_rate=0.01, seed=0)
RELEASE = importlib.import_module("hwbnn.flow.publishing")


def other_digits() -> Dataset:
    """Digits as they are, but for one pixel of the test part."""
    digits = dataset("digits")
    images = digits.test_images.copy()
    images[0, 0, 0] ^= 1
    return replace(digits, name="my_digits", test_images=images, origin="memory")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs as the comparison of methods leaves it."""
    folder = tmp_path_factory.mktemp("publish")
    train(RECIPE, folder / "digits" / "bnn_ste-0")
    train(replace(RECIPE, seed=5), folder / "digits" / "other_data", data=other_digits())
    return folder


@pytest.fixture
def run(runs: Path) -> Path:
    return runs / "digits" / "bnn_ste-0"


class Hardware:
    """Stands in for generating and verifying a core: keeps what it got, says what it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.got: dict[str, Any] = {}
        self.not_done: tuple[NotDone, ...] = ()
        monkeypatch.setattr(RELEASE, "hardware", self)

    def __call__(self, state: BuildState, plan: Plan, backends: Sequence[str]) -> None:
        self.got = {"x": state.x, "plan": plan, "backends": backends}
        state.backends.append(BackendFigures("fast", 355, 9, 0))
        state.not_done += self.not_done


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch) -> Hardware:
    return Hardware(monkeypatch)


def test_the_report_says_what_is_measured(run: Path, tmp_path: Path) -> None:
    report = publish(run, tmp_path / "digits", backends=())
    assert report == Report.read(tmp_path / "digits" / "report.json")
    names = sorted(p.name for p in (tmp_path / "digits").iterdir())
    assert names == ["graph.npz", "model.safetensors", "recipe.toml", "report.html", "report.json"]
    graph = load(tmp_path / "digits" / "graph.npz")
    digits = dataset("digits")
    found = simulate(graph, digits.test_images.reshape(355, 64))[:, 0]
    (accuracy,) = report.accuracy
    assert accuracy.integer_graph.value == 100 * (found == digits.test_labels).mean()
    assert accuracy.float_network is not None
    assert accuracy.float_network.value == accuracy.integer_graph.value
    assert (accuracy.frames, accuracy.data) == (355, "digits, test part")
    assert report.digest == graph.digest
    told = json.loads((run / "history.json").read_text())
    assert report.training is not None
    assert list(report.training.accuracy) == [round(e["accuracy"], 6) for e in told["epochs"]]
    assert len(report.training.loss) == report.training.epochs == RECIPE.epochs
    assert report.fixed_point == ()
    assert report.provenance == provenance(run) == provenance(tmp_path / "digits")
    assert report.provenance is not None
    assert report.provenance.sha256 == digits.digest == told["data"]["sha256"]
    assert report.provenance.input == "64 integers from 0 to 16, trained on x = 0.0625 * u + 0.0"
    # Two hidden layers of 64 bits, the order of the scores, and the class.
    assert sum(each.compared for each in report.agreement) == 355 * (64 + 64 + 1 + 1)
    assert report.ok
    model, recipe = load_model(tmp_path / "digits")
    assert recipe == RECIPE
    assert np.array_equal(predict(model, model.input, recipe.encode(digits.test_images)), found)


def test_a_network_is_lowered_once(
    run: Path, tmp_path: Path, hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Model and data are loaded once too, and one comparison goes into both reports."""
    counts = {"lower": 0, "compare": 0, "load_model": 0, "dataset": 0}

    def counted(module: Any, name: str) -> None:
        real = getattr(module, name)

        def calling(*args: Any, **more: Any) -> Any:
            counts[name] += 1
            return real(*args, **more)

        monkeypatch.setattr(module, name, calling)

    counted(hwbnn.lowering, "lower")
    counted(hwbnn.lowering, "compare")
    counted(hwbnn.training, "load_model")
    counted(importlib.import_module("hwbnn.training.folder"), "dataset")
    publish(run, tmp_path, backends=("fast",))
    assert counts == {"lower": 1, "compare": 1, "load_model": 1, "dataset": 1}


def test_the_core_is_built_with_the_plan_of_the_graph(
    run: Path, tmp_path: Path, hardware: Hardware
) -> None:
    seen: list[Graph] = []

    def plan(graph: Graph) -> Plan:
        seen.append(graph)
        return Plan(input_beat=128)

    folder = tmp_path / "mine"
    report = publish(run, folder, plan=plan, backends=("fast",))
    names = [
        "build.json",
        "graph.npz",
        "model.safetensors",
        "recipe.toml",
        "report.html",
        "report.json",
    ]
    assert sorted(p.name for p in folder.iterdir()) == names
    assert Report.read(folder / "build.json") == report
    assert report.network == "mine"
    assert [each.name for each in report.backends] == ["float network", "fast"]
    assert report.provenance == provenance(run)
    assert [graph.digest for graph in seen] == [load(folder / "graph.npz").digest]
    assert np.array_equal(hardware.got["x"], dataset("digits").test_images.reshape(355, 64))
    assert hardware.got["plan"] == Plan(input_beat=128)
    assert hardware.got["backends"] == ("fast",)


def test_large_weights_are_left_out(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(run, tmp_path, backends=())
    monkeypatch.setattr(RELEASE, "MODEL_LIMIT", 1000)
    publish(run, tmp_path, backends=())
    assert not (tmp_path / "model.safetensors").exists()


def copy_of(run: Path, folder: Path) -> Path:
    folder.mkdir()
    for file in run.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_files_that_do_not_belong_together_are_refused(run: Path, tmp_path: Path) -> None:
    other = copy_of(run, tmp_path / "recipe")
    (other / "recipe.toml").write_text(replace(RECIPE, seed=2).to_toml())
    with pytest.raises(InputError, match="another recipe"):
        publish(other, tmp_path / "out")

    told = json.loads((run / "history.json").read_text())
    altered = copy_of(run, tmp_path / "accuracy")
    (altered / "history.json").write_text(json.dumps({**told, "accuracy": 0.99}))
    with pytest.raises(Mismatch, match=r"accuracy 0\.99"):
        publish(altered, tmp_path / "out")
    told["data"]["input"] = "64 bits, 1 for pixels from 8"
    (altered / "history.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"trained for an input of 64 bits.*says 64 integers"):
        publish(altered, tmp_path / "out")

    for content in ("", "[]", "{}", "[" * 100_000):
        (altered / "history.json").write_text(content)
        with pytest.raises(InputError, match="no history") as error:
            publish(altered, tmp_path / "out")
        assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_data_that_a_run_was_not_trained_on_are_refused(runs: Path, tmp_path: Path) -> None:
    """A run that says `digits` and was trained on other images of their shape, and the reverse."""
    good, swapped = runs / "digits" / "bnn_ste-0", runs / "digits" / "other_data"
    expected = r"expected data set '{}' \(.*SHA-256 .*\), found data set '{}' \("
    with pytest.raises(InputError, match=expected.format("my_digits", "digits")):
        publish(swapped, tmp_path / "out")
    with pytest.raises(InputError, match=expected.format("digits", "my_digits")):
        publish(good, tmp_path / "out", data=other_digits())
    assert not (tmp_path / "out").exists()
    report = publish(swapped, tmp_path / "own", data=other_digits(), backends=())
    assert report.accuracy[0].data == "my_digits, test part"
    with pytest.raises(InputError, match=expected.format("my_digits", "digits")):
        data_of(tmp_path / "own")
    with pytest.raises(InputError, match=r"on data set 'my_digits' .* on data set 'digits'"):
        compare_runs([good, swapped], tmp_path / "page")
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("command", ["build", "measure"])
def test_commands_refuse_data_that_a_run_was_not_trained_on(
    runs: Path,
    tmp_path: Path,
    call: Call,  # noqa: F811
    command: str,
) -> None:
    arguments = ["--out", tmp_path / "core"] if command == "build" else []
    done = call(command, runs / "digits" / "other_data", *arguments)
    assert done.exit_code == 2
    assert "expected data set 'my_digits'" in done.stderr
    assert not (tmp_path / "core").exists()


def test_a_run_goes_on_with_its_own_data_alone(tmp_path: Path) -> None:
    train(RECIPE, tmp_path, until=1)
    with pytest.raises(InputError, match=r"last\.ckpt: was trained on data of SHA-256 .*my_digits"):
        train(RECIPE, tmp_path, resume=True, data=other_digits())
    assert train(RECIPE, tmp_path, resume=True).accuracy > 0.5


def test_a_graph_that_decides_otherwise_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted fault: one decision of 355 is another one."""
    flow = importlib.import_module("hwbnn.flow.build_steps")

    def wrong(graph: Graph, x: Any, **more: Any) -> Any:
        out = simulate(graph, x, **more).copy()
        out[17, 0] = (out[17, 0] + 1) % 10
        return out

    monkeypatch.setattr(flow, "simulate", wrong)
    with pytest.raises(Mismatch, match="classes differ for 1 of 355 samples, first for sample 17"):
        publish(run, tmp_path / "out", backends=())
    assert not (tmp_path / "out").exists()


def test_what_is_refused_changes_nothing_in_the_folder(
    run: Path, tmp_path: Path, hardware: Hardware
) -> None:
    folder = tmp_path / "mine"
    publish(run, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def no_plan(graph: Graph) -> Plan:
        raise PlanError("no")

    with pytest.raises(InputError, match="cannot read the recipe"):
        publish(tmp_path / "none", folder)
    with pytest.raises(InputError, match="backend 'rlt': expected some of"):
        publish(run, folder, backends=("rlt",))
    with pytest.raises(PlanError):
        publish(run, folder, plan=no_plan)
    with pytest.raises(PlanError, match="nothing"):
        publish(run, folder, plan=lambda graph: Plan(depths={"nothing": (2, 2)}))
    with pytest.raises(InputError, match="rtl_frames: expected at least 1 frame, found 0"):
        publish(run, folder, rtl_frames=0)
    with pytest.raises(InputError, match="tolerance"):
        publish(run, folder, tolerance=float("nan"))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "build.json").unlink()
    (folder / "build.json").mkdir()
    (folder / "graph.npz").unlink()
    with pytest.raises(InputError, match=r"build\.json: cannot replace it"):
        publish(run, folder)
    assert not (folder / "graph.npz").exists()


def test_a_build_that_fails_leaves_no_older_one(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "build.json").write_text("of another network")

    def failing(*_: Any, **__: Any) -> None:
        raise InputError("no")

    monkeypatch.setattr(RELEASE, "hardware", failing)
    with pytest.raises(InputError):
        publish(run, tmp_path)
    assert not (tmp_path / "build.json").exists()
    assert (tmp_path / "graph.npz").exists()


def test_the_script_leaves_what_is_whole(run: Path, tmp_path: Path, hardware: Hardware) -> None:
    folder = tmp_path / "digits_bnn_ste"
    assert not script.is_whole(run, folder)
    hardware.not_done = (NotDone("verify hls", "g++ is missing"),)
    outcome, line = script.publish(run, folder, ["fast"])
    assert (outcome, "verify hls: g++ is missing" in line) == ("ok", True)
    assert not script.is_whole(run, folder)  # once the tool is there it is done again
    hardware.not_done = (NotDone("place and route", "not asked for; --place does it"),)
    script.publish(run, folder, ["fast"])
    assert script.is_whole(run, folder)
    hardware.got = {}
    assert script.publish(run, folder, ["fast"]) == ("ok", "there already")
    assert hardware.got == {}
    good = (folder / "report.json").read_text()
    told = json.loads(good)
    told["training"]["seconds"] += 0.5  # another run by the same recipe
    (folder / "report.json").write_text(json.dumps(told))
    assert not script.is_whole(run, folder)
    told = json.loads(good)
    told["provenance"]["recipe"] = "another"
    (folder / "report.json").write_text(json.dumps(told))
    assert not script.is_whole(run, folder)


def test_the_script_tells_what_cannot_be(
    runs: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, line = script.publish(runs / "digits" / "rbnn-0", tmp_path / "x", ["fast"])
    assert (outcome, "no finished run" in line) == ("FAIL", True)
    cases: list[tuple[HwbnnError, str]]
    cases = [(CannotLower("it is soft"), "none"), (InputError("bad"), "FAIL")]
    for error, expected in cases:

        def failing(*_: Any, error: HwbnnError = error, **__: Any) -> Report:
            raise error

        monkeypatch.setattr("hwbnn.flow.publish", failing)
        outcome, line = script.publish(run, tmp_path / "y", ["fast"])
        assert (outcome, str(error) in line) == (expected, True)


def test_every_layer_is_folded(run: Path, tmp_path: Path, hardware: Hardware) -> None:
    publish(run, tmp_path)
    graph = load(tmp_path / "graph.npz")
    layouts = list(script.folded(graph).check(graph).layers.values())
    assert layouts == [Folded(16, 16), Folded(16, 16), Folded(10, 16)]


@pytest.mark.hardware
def test_publish_on_the_command_line(run: Path, call: Call) -> None:  # noqa: F811
    # Folded, because yosys takes minutes for an unrolled core of these layers.
    done = call("publish", run, "--interval", 2000, "--out", "mine", "--backends", "fast")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("mine/build.json")
    report = Report.read(Path("mine/build.json"))
    assert report.ok
    assert report.network == "mine"
    assert {each.name: each.frames for each in report.backends} == {
        "float network": 355,
        "fast": 355,
    }

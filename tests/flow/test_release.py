from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwbnn.errors import CannotLower, InputError, PlanError
from hwbnn.flow import release
from hwbnn.graph import Graph, load
from hwbnn.plan import Folded, Plan
from hwbnn.report import Backend, NotDone, Report
from hwbnn.training import Recipe, dataset, train
from scripts import publish as script
from tests.cli.conftest import Call, call  # noqa: F401  # a fixture

RECIPE = Recipe("digits", "digits", 1, input="pixels", batch=64, learning_rate=0.01, seed=0)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs as the comparison of methods leaves it."""
    folder = tmp_path_factory.mktemp("release")
    train(RECIPE, folder / "digits" / "bnn_ste-0")
    return folder


class Builder:
    """Stands in for a build: keeps what it got, reports what it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.got: dict[str, Any] = {}
        self.not_done: tuple[NotDone, ...] = ()
        module = importlib.import_module("hwbnn.flow.release")
        monkeypatch.setattr(module, "build", self)

    def __call__(self, model: Any, input: Any, data: Any, folder: Path, **rest: Any) -> Report:
        from hwbnn.lowering import lower

        self.got = {"input": input, "data": data, **rest}
        backends = (Backend("fast", 355, 9, 0),)
        digest = lower(model, input).digest
        return Report(rest["name"], digest, backends=backends, not_done=self.not_done)


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> Builder:
    return Builder(monkeypatch)


def test_all_test_images_are_built_with_the_plan_of_the_graph(
    runs: Path, tmp_path: Path, builder: Builder
) -> None:
    seen: list[Graph] = []

    def plan(graph: Graph) -> Plan:
        seen.append(graph)
        return Plan(input_beat=128)

    folder = tmp_path / "mine"
    report = release(runs / "digits" / "bnn_ste-0", folder, plan=plan, backends=("fast",))
    names = ["build.json", "graph.npz", "model.safetensors", "recipe.toml", "report.json"]
    assert sorted(p.name for p in folder.iterdir()) == names
    assert Report.from_json((folder / "build.json").read_bytes()) == report
    assert seen == [load(folder / "graph.npz")]
    x, labels = builder.got["data"]
    digits = dataset("digits")
    assert np.array_equal(x, digits.test_images.reshape(355, 64))
    assert np.array_equal(labels, digits.test_labels)
    assert builder.got["plan"] == Plan(input_beat=128)
    assert (builder.got["name"], builder.got["backends"]) == ("mine", ("fast",))


def test_a_build_that_fails_leaves_no_older_one(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "build.json").write_text("of another network")

    def failing(*_: Any, **__: Any) -> Report:
        raise InputError("no")

    monkeypatch.setattr(importlib.import_module("hwbnn.flow.release"), "build", failing)
    with pytest.raises(InputError):
        release(runs / "digits" / "bnn_ste-0", tmp_path)
    assert not (tmp_path / "build.json").exists()
    assert (tmp_path / "graph.npz").exists()


def test_what_is_refused_changes_nothing_in_the_folder(
    runs: Path, tmp_path: Path, builder: Builder
) -> None:
    folder, run = tmp_path / "mine", runs / "digits" / "bnn_ste-0"
    release(run, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def no_plan(graph: Graph) -> Plan:
        raise PlanError("no")

    with pytest.raises(InputError, match="cannot read the recipe"):
        release(tmp_path / "none", folder)
    with pytest.raises(InputError, match="backend 'rlt': expected some of"):
        release(run, folder, backends=("rlt",))
    with pytest.raises(PlanError):
        release(run, folder, plan=no_plan)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "build.json").unlink()
    (folder / "build.json").mkdir()
    (folder / "graph.npz").unlink()
    with pytest.raises(InputError, match=r"build\.json: cannot replace it"):
        release(run, folder)
    assert not (folder / "graph.npz").exists()


def test_the_script_leaves_what_is_whole(runs: Path, tmp_path: Path, builder: Builder) -> None:
    run, folder = runs / "digits" / "bnn_ste-0", tmp_path / "digits_bnn_ste"
    assert not script.is_whole(run, folder)
    builder.not_done = (NotDone("verify hls", "g++ is missing"),)
    outcome, line = script.publish(run, folder, ["fast"])
    assert (outcome, "verify hls: g++ is missing" in line) == ("ok", True)
    assert not script.is_whole(run, folder)  # once the tool is there it is done again
    builder.not_done = (NotDone("place and route", "not asked for; --place does it"),)
    script.publish(run, folder, ["fast"])
    assert script.is_whole(run, folder)
    builder.got = {}
    assert script.publish(run, folder, ["fast"]) == ("ok", "there already")
    assert builder.got == {}
    told = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps({**told, "recipe": "another"}))
    assert not script.is_whole(run, folder)


def test_the_script_tells_what_cannot_be(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, line = script.publish(runs / "digits" / "rbnn-0", tmp_path / "x", ["fast"])
    assert (outcome, "no finished run" in line) == ("FAIL", True)
    run = runs / "digits" / "bnn_ste-0"
    for error, expected in ((CannotLower("it is soft"), "none"), (InputError("bad"), "FAIL")):

        def failing(*_: Any, error: Exception = error, **__: Any) -> Report:
            raise error

        monkeypatch.setattr(script, "release", failing)
        outcome, line = script.publish(run, tmp_path / "y", ["fast"])
        assert (outcome, str(error) in line) == (expected, True)


def test_every_layer_is_folded(runs: Path, tmp_path: Path, builder: Builder) -> None:
    release(runs / "digits" / "bnn_ste-0", tmp_path)
    graph = load(tmp_path / "graph.npz")
    layouts = list(script.folded(graph).check(graph).layers.values())
    assert layouts == [Folded(16, 16), Folded(16, 16), Folded(10, 16)]


@pytest.mark.hardware
def test_publish_on_the_command_line(runs: Path, call: Call) -> None:  # noqa: F811
    run = runs / "digits" / "bnn_ste-0"
    done = call("publish", run, "--out", "mine", "--backends", "fast")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("mine/build.json")
    report = Report.from_json(Path("mine/build.json").read_bytes())
    assert report.ok
    assert report.network == "mine"
    assert {backend.name: backend.frames for backend in report.backends} == {
        "float network": 355,
        "fast": 355,
    }

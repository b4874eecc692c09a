"""Runs side by side: configurations, what is drawn, and that colours can be told apart."""

from __future__ import annotations

import base64
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwbnn import methods
from hwbnn.errors import InputError, ToolNotFound
from hwbnn.methods import METHODS
from hwbnn.training import Recipe, compare_runs, train
from hwbnn.training.history import LayerRecord
from hwbnn.training.plots import PICTURES, drawn, figures
from hwbnn.training.side_by_side import FinishedRun, by_configuration, middle, read_run, spread

RECIPE = Recipe("digits", "digits", 2, input="pixels", batch=128, learning_rate=0.01, held_out=100)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two seeds of one method, one with another hyper-parameter, and one of another method."""
    folder = tmp_path_factory.mktemp("compare")
    recipes = {
        "other": replace(RECIPE, method=METHODS[-1]),
        "a": RECIPE,
        "b": replace(RECIPE, seed=2),
        "hyper": replace(RECIPE, hyper={"glorot_lr": True}),
    }
    return {name: train(recipe, folder / name).folder for name, recipe in recipes.items()}


def test_runs_that_differ_in_their_seed_are_one_group(runs: dict[str, Path]) -> None:
    configurations = by_configuration(
        [read_run(runs[name]) for name in ("other", "b", "hyper", "a")]
    )
    assert [configuration.method for configuration in configurations] == [
        "bnn_ste",
        "bnn_ste",
        METHODS[-1],
    ]
    assert [len(configuration.runs) for configuration in configurations] == [2, 1, 1]
    assert [configuration.variant for configuration in configurations] == [0, 1, 0]
    labels = ["bnn_ste (defaults)", "bnn_ste (glorot_lr true)", METHODS[-1]]
    assert [configuration.label for configuration in configurations] == labels
    assert [run.recipe.seed for run in configurations[0].runs] == [1, 2]
    curves = configurations[0].curve(lambda epoch: epoch.loss)
    assert curves.shape == (2, 2)
    assert curves[0].tolist() == [epoch.loss for epoch in configurations[0].runs[0].history.epochs]


def test_means_and_bands_pass_over_what_is_missing() -> None:
    curves = np.array([[1.0, np.nan, np.nan], [3.0, 4.0, np.nan]])
    assert np.array_equal(middle(curves), [2.0, 4.0, np.nan], equal_nan=True)
    low, high = spread(curves[:, :2])
    assert (low.tolist(), high.tolist()) == ([1.0, 4.0], [3.0, 4.0])


def test_the_page_holds_every_picture_itself(runs: dict[str, Path], tmp_path: Path) -> None:
    page = compare_runs(list(runs.values()), tmp_path)
    text = page.read_text()
    assert "4 runs." in text
    assert "bnn_ste (glorot_lr true)" in text
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    embedded = [
        base64.b64decode(x) for x in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", text)
    ]
    names = ["accuracy", *(picture.name for picture in PICTURES), "margins"]
    assert embedded == [(tmp_path / f"{name}.svg").read_bytes() for name in names]
    assert all((tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG" for name in names)


def test_a_figure_drawn_twice_is_the_same_file(runs: dict[str, Path]) -> None:
    configurations = by_configuration([read_run(runs["a"])])
    first, second = (drawn(figures(configurations)[1][1], "svg") for _ in range(2))
    assert first == second


def test_figures_say_what_their_axes_are_and_no_legend_covers_data(runs: dict[str, Path]) -> None:
    configurations = by_configuration([read_run(folder) for folder in runs.values()])
    made = figures(configurations)
    assert len(made) == len(PICTURES) + 2
    for picture, figure in made:
        figure.canvas.draw()
        assert figure.axes
        for axes in figure.axes:
            labels = {axes.get_xlabel(), axes.get_ylabel()}
            assert picture.axis in labels
            assert axes.get_xlabel()
            assert axes.get_legend() is None
        for legend in figure.legends:
            box = legend.get_window_extent()
            assert not any(box.overlaps(axes.get_window_extent()) for axes in figure.axes)
    loss = next(picture for picture, _ in made if picture.name == "loss")
    assert loss.axis == "cross entropy (nats)"
    layers = next(figure for picture, figure in made if picture.name == "angle").axes
    assert layers[0].get_title(loc="left") == "layer 1, 4,096 bits"
    # Every configuration in every layer, whatever modules its method puts between them.
    assert [len(axes.lines) for axes in layers] == [3, 3, 3]


def test_runs_of_earlier_versions_have_fewer_pictures(runs: dict[str, Path]) -> None:
    run = read_run(runs["a"])
    bare = tuple(replace(e, layers=(), held_out=None) for e in run.history.epochs)
    old = replace(run, history=replace(run.history, epochs=bare))
    names = [picture.name for picture, _ in figures(by_configuration([old]))]
    assert names == ["accuracy", "loss", "training"]


def linear(colour: str) -> np.ndarray:
    """sRGB as linear light."""
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear light, white D65."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Machado, Oliveira, Fernandes: A Physiologically-based Model for Simulation of Color Vision
# Deficiency, 2009; severity 1.0.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


@pytest.mark.parametrize("vision", VISION)
def test_methods_are_told_apart_by_colour_or_dashes(vision: str) -> None:
    kinds = [methods.kind(name) for name in METHODS]
    assert len({kind.colour for kind in kinds}) == len(kinds)
    seen = {kind: lab(VISION[vision] @ linear(kind.colour)) for kind in kinds}
    for a, b in itertools.combinations(kinds, 2):
        if a.dashed == b.dashed:
            assert np.linalg.norm(seen[a] - seen[b]) > 12, (a.name, b.name)


def test_what_does_not_fit_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    run = read_run(runs["a"])
    with pytest.raises(InputError, match="at least one run"):
        compare_runs([], tmp_path)
    with pytest.raises(InputError, match="its recipe is there twice"):
        by_configuration([run, run])
    longer = FinishedRun(Path("long"), replace(RECIPE, epochs=3), run.history)
    with pytest.raises(InputError, match=r"long: epochs is 3, in .* it is 2"):
        by_configuration([run, longer])
    train(replace(RECIPE, epochs=3), tmp_path / "stopped", until=1)
    with pytest.raises(InputError, match="no history of a finished run"):
        compare_runs([tmp_path / "stopped"], tmp_path)
    for content in ("", "[]", "{}", "[" * 100_000, json.dumps({"epochs": [{"layers": 3}]})):
        (tmp_path / "stopped" / "history.json").write_text(content)
        with pytest.raises(InputError, match="no history of a finished run") as error:
            read_run(tmp_path / "stopped")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("accuracy",), float("nan")),
        (("accuracy",), 10**400),
        (("cpu seconds",), float("inf")),
        (("epochs", 0, "loss"), "x"),
        (("epochs", 0, "loss"), [1]),
        (("epochs", 0, "loss"), float("nan")),
        (("epochs", 1, "loss"), -1),
        (("epochs", 0, "loss"), None),
        (("epochs", 0, "accuracy"), True),
        (("epochs", 0, "layers", 0, "cosine"), "x"),
        (("epochs", 0, "layers", 0, "cosine"), float("nan")),
        (("epochs", 1, "layers", 0, "margins"), [1, 2]),
        (("epochs", 1, "layers", 0, "margins"), "abcde"),
        (("epochs", 1, "layers", 0, "margins"), [[1], 2, 3, 4, 5]),
        (("epochs", 1, "layers", 0, "weights"), "x"),
        (("epochs", 1, "layers", 0, "weights"), -3),
    ],
)
def test_what_no_run_writes_is_refused_in_one_line(
    runs: dict[str, Path], tmp_path: Path, where: tuple[str | int, ...], value: object
) -> None:
    told = json.loads((runs["a"] / "history.json").read_text())
    entries = told
    for step in where[:-1]:
        entries = entries[step]
    entries[where[-1]] = value
    (tmp_path / "recipe.toml").write_bytes((runs["a"] / "recipe.toml").read_bytes())
    (tmp_path / "history.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="no history of a finished run") as error:
        compare_runs([tmp_path], tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_opposite_weights_are_half_a_turn_apart() -> None:
    angle = next(picture for picture in PICTURES if picture.name == "angle")
    layer = LayerRecord("x", 1, 0.0, -1.0 - 1e-7, 0.0, 0.0, None, 0.0, None)
    assert angle.of(layer) == 180


@pytest.mark.parametrize("name", ["compare.html", "margins.png"])
def test_nothing_is_written_where_a_folder_has_the_name_of_a_file(
    runs: dict[str, Path], tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="is a folder"):
        compare_runs([runs["a"]], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_without_matplotlib_one_line_says_what_to_install(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ToolNotFound(f'{name} is missing: pip install "hwbnn[plot]"')

    monkeypatch.setattr("hwbnn.training.plots.require", missing)
    with pytest.raises(ToolNotFound, match=r"matplotlib is missing.*hwbnn\[plot\]"):
        compare_runs([runs["a"]], tmp_path)

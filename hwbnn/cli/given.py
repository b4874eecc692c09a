"""What users name on the command line: Graphs, Plans, recipes, samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwbnn.assets import assets
from hwbnn.cli.arrays import Array, read_array, read_bytes
from hwbnn.cli.show import note
from hwbnn.errors import InputError, ToolNotFound
from hwbnn.graph import Graph, load, to_integers
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.simulators import check_input
from hwbnn.targets import generate

if TYPE_CHECKING:
    from hwbnn.training import Recipe


def bundled() -> dict[str, Path]:
    """Folders of the trained networks that come with hwbnn, by name."""
    try:
        folder = assets("models")
    except ToolNotFound:
        return {}
    return {path.parent.name: path.parent for path in sorted(folder.glob("*/graph.npz"))}


def graph_file(given: str) -> Path:
    """The file of a Graph named by itself, by its folder, or by the name of a bundled network."""
    path = Path(given)
    try:
        if path.is_dir() and (path / "graph.npz").is_file():
            return path / "graph.npz"
        if path.is_file():
            return path
    except OSError as error:  # such as a name that is too long
        raise InputError(f"{given[:60]}: cannot be read: {error.strerror}") from error
    if given in bundled():
        return bundled()[given] / "graph.npz"
    names = ", ".join(bundled()) or "none"
    raise InputError(
        f"{given}: expected a Graph file, a folder with graph.npz, or a bundled network ({names}); "
        "'hwbnn lower' makes one"
    )


def read_graph(given: str) -> Graph:
    """The Graph that :func:`graph_file` finds."""
    return load(graph_file(given))


def read_project(given: str, plan: Plan | None) -> Project:
    """The project in a folder, or a core generated from the Graph that is named.

    Args:
        given: a project's folder, or anything that :func:`graph_file` takes.
        plan: the layout of a core that is generated; None for that of the project.
    """
    if plan is None and (Path(given) / "core.json").is_file():
        return Project.read(given)
    return generate(read_graph(given), "rtl", plan)


def read_plan(path: Path | None) -> Plan:
    """The Plan of a JSON file, or the default one."""
    return Plan() if path is None else Plan.from_json(read_bytes(path), str(path))


def read_input(graph: Graph, path: Path, key: str = "") -> Array:
    """A batch for a Graph: floats brought to integers by its Input's map, everything checked."""
    array = read_array(path, key)
    if path.suffix == ".csv" and array.shape[1:] == (graph.types[graph.input.name].size,):
        array = array.reshape(-1, *graph.input.shape)
    if not len(array):
        raise InputError(f"{path}: holds no samples")
    return check_input(graph, to_integers(graph.input, array))


def read_labels(path: Path, key: str, samples: int) -> Array:
    """Classes, one for each sample."""
    labels = read_array(path, key).reshape(-1)
    if labels.dtype.kind not in "iu" or len(labels) != samples:
        raise InputError(
            f"{path}: expected {samples} integers, the class of each sample, found {len(labels)} "
            f"of {labels.dtype}"
        )
    return labels


def read_samples(
    folder: str | None,
    samples: Path | None,
    key: str,
    labels: Path | None,
    labels_key: str,
    data: Path | None,
) -> tuple[Array, Array | None, str]:
    """Samples, their classes and their name: a person's own, or the test set of the recipe."""
    if samples is not None:
        x = read_array(samples, key)
        return x, None if labels is None else read_labels(labels, labels_key, len(x)), samples.name
    if folder is None:
        raise InputError("samples: expected --samples, since no recipe names a test set")
    from hwbnn.training import dataset

    recipe = read_recipe(folder)
    tell_unread(recipe, data)
    images = dataset(recipe.data, data)
    return recipe.encode(images.test_images), images.test_labels, f"{recipe.data}, test part"


def tell_unread(recipe: Recipe, data: Path | None) -> None:
    """Say so if a folder is named for a data set that is in none."""
    if data is not None and recipe.data == "digits":
        note(f"--data {data} is not read: the data set 'digits' is a part of scikit-learn")


def read_recipe(given: str) -> Recipe:
    """The recipe of a file, of a folder, or of a bundled network."""
    from hwbnn.training import Recipe

    path = Path(given)
    if path.is_dir():
        path = path / "recipe.toml"
    elif not path.exists() and given in bundled():
        path = bundled()[given] / "recipe.toml"
    if not path.is_file():
        names = ", ".join(bundled()) or "none"
        raise InputError(
            f"{given}: expected a recipe (TOML), a folder with recipe.toml, or a bundled network "
            f"({names})"
        )
    return Recipe.read(path)

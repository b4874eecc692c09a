"""Reads the inputs named on the command line: Graphs, models, projects, recipes, samples."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwbnn.assets import assets
from hwbnn.cli.files import read_array, read_bytes
from hwbnn.cli.network_files import network_file, read_network
from hwbnn.cli.output import note
from hwbnn.errors import HwbnnError, InputError, ToolNotFound, nearest
from hwbnn.graph import Graph, Input, load, to_integers
from hwbnn.graph.arrays import Array
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.simulators import check_input
from hwbnn.targets import generate

if TYPE_CHECKING:
    from torch import nn

    from hwbnn.training import Recipe


def bundled() -> dict[str, Path]:
    """Folders of the trained networks that are part of hwbnn, by name."""
    try:
        folder = assets("models")
    except ToolNotFound:
        return {}
    return {path.parent.name: path.parent for path in sorted(folder.glob("*/graph.npz"))}


def _exists(path: Path) -> bool:
    """Whether the path exists; an error if its name is too long or access is forbidden."""
    try:
        return path.exists()
    except OSError as error:
        raise InputError(f"{str(path)[:60]}: cannot be read: {error.strerror}") from error


def graph_file(given: str) -> Path:
    """The Graph file for a file's path, its folder's path, or the name of a bundled network."""
    path = Path(given)
    if _exists(path):
        if path.is_dir() and _exists(path / "graph.npz"):
            return path / "graph.npz"
        if path.is_file():
            return path
        if path.is_dir() and _exists(path / "model.safetensors"):
            raise InputError(
                f"{given}: holds a trained model and no Graph; make one with "
                f"'hwbnn lower {given} --out {path / 'graph.npz'}'"
            )
    if given in bundled():
        return bundled()[given] / "graph.npz"
    raise InputError(
        f"{given}: expected a Graph file, a folder with graph.npz, or a bundled network "
        f"({nearest(given, bundled())}); 'hwbnn lower' makes one"
    )


def read_graph(given: str, network_input: str = "", weights: Path | None = None) -> Graph:
    """The Graph of :func:`graph_file`, or of another framework's network file.

    Args:
        given: the user's argument.
        network_input: the text of ``--input``, for a network's file.
        weights: the file of ``--weights``, likewise.

    Raises:
        InputError: if there is no such file, or these options belong to no network's file.
    """
    path = network_file(given)
    if path is not None:
        return read_network(path, network_input, weights)
    if network_input or weights is not None:
        raise InputError(
            f"{given}: --input and --weights belong to a network's file of another framework; this "
            "is none"
        )
    return load(graph_file(given))


def read_project(
    given: str,
    plan: Callable[[Graph], Plan] | None,
    network_input: str = "",
    weights: Path | None = None,
) -> Project:
    """The project in a folder, or a core generated from the named Graph.

    Args:
        given: a project's folder, or any argument of :func:`read_graph`.
        plan: gives the layout of a generated core; None to read a project as it is, and for the
            default layout.
        network_input: as for :func:`read_graph`.
        weights: likewise.
    """
    is_network = bool(network_input) or weights is not None
    if plan is None and not is_network and _exists(Path(given) / "core.json"):
        return Project.read(given)
    graph = read_graph(given, network_input, weights)  # once: lowering a network's file takes time
    return generate(graph, "rtl", None if plan is None else plan(graph))


def read_plan(path: Path | None) -> Plan:
    """The Plan of a JSON file, or the default one."""
    return Plan() if path is None else Plan.from_json(read_bytes(path), str(path))


def read_input(graph: Graph, path: Path, key: str = "") -> Array:
    """A checked batch for a Graph; floats become integers by the scale and offset of its Input."""
    array = read_array(path, key)
    if path.suffix == ".csv" and array.shape[1:] == (graph.types[graph.input.name].size,):
        array = array.reshape(-1, *graph.input.shape)
    if not len(array):
        raise InputError(f"{path}: holds no samples")
    return check_input(graph, to_integers(graph.input, array))


def read_labels(path: Path, key: str, samples: int, classes: int | None = None) -> Array:
    """The labels in a file: one class per sample.

    Args:
        path: the file.
        key: name of the array, if a ``.npz`` holds several.
        samples: required number of labels.
        classes: number of classes, an upper limit of the labels; None if it is not known yet.
    """
    from hwbnn.simulators.decisions import check_labels

    return check_labels(read_array(path, key), samples, classes, str(path))


def read_samples(
    folder: str | None,
    samples: Path | None,
    key: str,
    labels: Path | None,
    labels_key: str,
    data: Path | None,
) -> tuple[Array, Array | None, str]:
    """Samples, their classes (or None) and their name: the user's, or the recipe's test set."""
    if samples is None and labels is not None:
        raise InputError("labels: expected --samples besides --labels, found --labels alone")
    if samples is not None:
        x = read_array(samples, key)
        if not len(x):
            raise InputError(f"{samples}: holds no samples")
        return x, None if labels is None else read_labels(labels, labels_key, len(x)), samples.name
    if folder is None:
        raise InputError("samples: expected --samples, since no recipe names a test set")
    from hwbnn.training import data_of

    recipe = read_recipe(folder)
    tell_unread(recipe, data)
    images = data_of(place_of(folder), recipe, data_folder=data)
    return recipe.encode(images.test_images), images.test_labels, f"{images.name}, test part"


def place_of(given: str) -> Path:
    """The folder of a run, of a bundled network, or of a recipe's file."""
    path = Path(given)
    return path if path.is_dir() else bundled().get(given, path.parent)


def tell_unread(recipe: Recipe, data: Path | None) -> None:
    """Note that a given folder is not used, if the recipe's data set needs no folder."""
    if data is not None and recipe.data == "digits":
        note(f"--data {data} is not read: the data set 'digits' is a part of scikit-learn")


def read_recipe(given: str) -> Recipe:
    """The recipe of a file, of a folder, or of a bundled network."""
    from hwbnn.training import Recipe

    path = Path(given)
    if _exists(path) and path.is_dir():
        path = path / "recipe.toml"
    elif not path.exists() and given in bundled():
        path = bundled()[given] / "recipe.toml"
    if not _exists(path) or not path.is_file():
        raise InputError(
            f"{given}: expected a recipe (TOML), a folder with recipe.toml, or a bundled network "
            f"({nearest(given, bundled())})"
        )
    return Recipe.read(path)


@dataclass(frozen=True)
class Given:
    """A model and its input, as a user named them.

    Attributes:
        model: the network.
        input: the model's input.
        recipe: the recipe of its training; None for a user's own model.
        name: the model's name in messages and reports.
    """

    model: nn.Module
    input: Input
    recipe: Recipe | None
    name: str


def read_model(folder: str | None, factory: str | None) -> Given:
    """The model in a folder, or the one that a factory function makes.

    Args:
        folder: folder of a finished training run, or the name of a bundled network.
        factory: ``package.module:function``; the function has no arguments and returns the model
            and its :class:`hwbnn.Input`.

    Raises:
        InputError: if not exactly one of the two is given, or it gives no model.
    """
    if (folder is None) == (factory is None):
        raise InputError(
            "model: expected the folder of a training run, or --model package.module:factory"
        )
    if factory is not None:
        return _made(factory)
    from hwbnn.training import load_model

    assert folder is not None
    path = Path(folder)
    if not _exists(path):
        if folder not in bundled():
            raise InputError(
                f"{folder}: expected the folder of a training run, or a bundled network "
                f"({nearest(folder, bundled())})"
            )
        path = bundled()[folder]
    if not path.is_dir():
        raise InputError(f"{folder}: is a file; expected the folder of a training run")
    model, recipe = load_model(path)
    return Given(model, recipe.graph_input(), recipe, path.resolve().name)


def _made(factory: str) -> Given:
    """The model of a user's factory; only this function runs code that is not hwbnn's own."""
    module_name, colon, name = factory.partition(":")
    if not colon or not name.isidentifier() or not module_name.replace(".", "_").isidentifier():
        raise InputError(f"--model {factory}: expected package.module:factory")
    note(f"running {factory}, which is your own Python, not hwbnn's")
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise InputError(f"--model {factory}: {_told(error)}") from error
        raise InputError(
            f"--model {factory}: no module {module_name!r} in this folder or installed; run the "
            "command where it lies"
        ) from None
    except HwbnnError:
        raise
    except Exception as error:  # the user's own code may raise anything
        raise InputError(f"--model {factory}: {_told(error)}") from error
    finally:
        sys.path.pop(0)
    function = getattr(module, name, None)
    if not callable(function):
        functions = [n for n, value in vars(module).items() if callable(value) and n[:1] != "_"]
        raise InputError(
            f"--model {factory}: {module_name} has no function {name!r}; it has "
            f"{nearest(name, functions)}"
        )
    try:
        result = function()
    except HwbnnError:
        raise
    except Exception as error:  # the user's own code may raise anything
        raise InputError(f"--model {factory}: {_told(error)}") from error
    pair = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
    # This check needs no torch; lowering refuses objects that are no torch modules.
    if not hasattr(pair[0], "named_modules") or not isinstance(pair[1], Input):
        raise InputError(
            f"--model {factory}: expected it to return (torch.nn.Module, hwbnn.Input), found "
            f"{type(result).__name__}"
        )
    if hasattr(pair[0], "eval"):
        pair[0].eval()  # the command measures it itself: its mode is no fault
    return Given(pair[0], pair[1], None, name)


def _told(error: Exception) -> str:
    """An error of the user's own code, with the source location that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename[:1] != "<" and "site-packages" not in f.filename]
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if len(own) > 1 else ""
    return f"{type(error).__name__}: {str(error)[:200]}{place}"

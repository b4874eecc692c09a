"""The folder of a run: recipe, weights, history and the last checkpoint.

Loading these files runs no code: TOML, safetensors and JSON cannot contain code, and the checkpoint
is read with ``weights_only``.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from hwbnn.arguments import checked_call
from hwbnn.errors import InputError
from hwbnn.nn import Network, set_progress
from hwbnn.report import Provenance, Report
from hwbnn.training.data import Dataset, dataset
from hwbnn.training.history import HISTORY, History, printable
from hwbnn.training.recipe import Recipe

RECIPE = "recipe.toml"
MODEL = "model.safetensors"
REPORT = "report.json"
CHECKPOINT = "checkpoints/last.ckpt"


SIZE_LIMIT = 1 << 30
"""Largest file of weights in bytes (a checkpoint: 4 times that); larger ones are not read."""
_DAMAGED = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, EOFError),
    *(RecursionError, RuntimeError, MemoryError, AssertionError, ImportError),
    *(pickle.UnpicklingError, zipfile.BadZipFile, struct.error, SafetensorError),
)
"""Errors that torch and safetensors raise for damaged files."""


@checked_call()
def provenance(folder: str | Path) -> Provenance | None:
    """The recipe and data of the network in a folder, from its history or its report.

    Args:
        folder: of a run, or one of ``models/``.

    Returns:
        The provenance; None if the folder has neither file.

    Raises:
        InputError: if the file is damaged.
    """
    place = Path(folder)
    if (place / HISTORY).is_file():
        return History.read(place).provenance
    file = place / REPORT
    return Report.read(file).provenance if file.is_file() else None


def named(known: Provenance) -> str:
    """The name of a data set in messages: name, origin and the start of its SHA-256."""
    return f"data set '{known.data}' ({known.origin}, SHA-256 {known.sha256[:12]})"


def check_recipe(folder: Path, recipe: Recipe, known: Provenance) -> None:
    """Refuse a recipe other than the one with which the network in this folder was trained.

    Raises:
        InputError: naming the expected and the given recipe or input.
    """
    if known.recipe != recipe.digest:
        raise InputError(
            f"{folder}: was trained by another recipe (SHA-256 {known.recipe[:12]}) than its "
            f"{RECIPE} (SHA-256 {recipe.digest[:12]}); put the recipe back, or train again"
        )
    if known.input and known.input != recipe.contract:
        raise InputError(
            f"{folder}: was trained for an input of {known.input}, its {RECIPE} says "
            f"{recipe.contract}; put the recipe back, or train again"
        )


@checked_call(classes=("Recipe",))
def data_of(
    folder: str | Path,
    recipe: Recipe | None = None,
    *,
    data: Dataset | None = None,
    data_folder: str | Path | None = None,
) -> Dataset:
    """The data set on which the network in a folder was trained; its digest is checked.

    Args:
        folder: of a run, or one of ``models/``.
        recipe: the recipe in the folder, if it has been read already.
        data: images to use in place of the data set that the recipe names.
        data_folder: local folder of data sets, see :func:`hwbnn.training.dataset`.

    Raises:
        InputError: if the network was trained with another recipe or on other data; the message
            names the expected and the given data.
    """
    place = Path(folder)
    recipe = recipe or Recipe.read(place / RECIPE)
    known = provenance(place)
    if known is not None:
        check_recipe(place, recipe, known)
    images = data or dataset(recipe.data, data_folder)
    if known is not None and known.sha256 != images.digest:
        now = Provenance(recipe.digest, images.name, images.origin, images.digest)
        raise InputError(
            f"{place}: was trained on other images than those given: expected {named(known)}, "
            f"found {named(now)}; give the data that it was trained on"
        )
    return images


@checked_call()
def load_model(folder: str | Path) -> tuple[Network, Recipe]:
    """The network of a finished run, from ``recipe.toml`` and ``model.safetensors`` alone.

    Args:
        folder: the run's folder, or one of ``models/``. No code in it is executed.

    Returns:
        The network in evaluation mode on the CPU, and its recipe.

    Raises:
        InputError: if a file is missing or damaged, or belongs to another network.
    """
    recipe = Recipe.read(Path(folder) / RECIPE)
    file = Path(folder) / MODEL
    if not file.is_file():
        raise InputError(
            f"{file}: no such file; name the folder of a finished run, or train the recipe "
            f"{Path(folder) / RECIPE}"
        )
    with torch.random.fork_rng(devices=[]):
        model = recipe.make_model()
    try:
        if file.stat().st_size > SIZE_LIMIT:
            raise InputError(f"larger than {SIZE_LIMIT >> 20} MiB, no weights; refused")
        tensors = _renamed(load(file.read_bytes()))
        for name, own in model.state_dict().items():
            if name in tensors and tensors[name].dtype != own.dtype:
                raise InputError(
                    f"'{name}': expected {own.dtype}, found {tensors[name].dtype}; get the file "
                    "again"
                )
        model.load_state_dict(tensors)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    except RuntimeError as error:
        raise InputError(f"{file}: not the weights of its recipe ({_reason(error)})") from error
    except _DAMAGED as error:
        raise InputError(
            f"{file}: no valid safetensors file ({_reason(error)}); get it again"
        ) from error
    if not any(name.endswith(".progress") for name in tensors):
        # Older files lack the training progress; they were written after the last epoch.
        set_progress(model, (recipe.epochs - 1) / recipe.epochs)
    return model.eval(), recipe


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under their present names: ``quantizer`` of an activation was called ``form``."""
    return {name.replace(".form.", ".quantizer."): value for name, value in tensors.items()}


def _reason(error: BaseException) -> str:
    """The text of an error as one short printable line."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    return printable(text)[:160] or type(error).__name__


def model_bytes(model: Network, recipe: Recipe) -> bytes:
    """The model's parameters and buffers as a safetensors file."""
    tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
    return save(tensors, {"hwbnn recipe": recipe.digest})


def write(file: Path, content: str | bytes | Mapping[str, Any]) -> Path:
    """Write text, bytes, or a table as JSON, completely or not at all, and return the path.

    Raises:
        InputError: if the file cannot be written.
    """
    if isinstance(content, Mapping):
        content = json.dumps(content, indent=1) + "\n"
    data = content.encode() if isinstance(content, str) else content
    try:
        part = file.with_name(file.name + ".part")
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as stream:
                stream.write(data)
                stream.flush()
                # If the machine stops after the renaming, the file must have its content.
                os.fsync(stream.fileno())
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        raise InputError(f"{file}: cannot write it: {_reason(error)}") from error
    return file


def finished_epochs(folder: str | Path) -> int:
    """Number of finished epochs in a run's checkpoint; 0 without one.

    Raises:
        InputError: if the checkpoint is damaged.
    """
    file = Path(folder) / CHECKPOINT
    return _read_checkpoint(file).epochs if file.is_file() else 0


def prepare(recipe: Recipe, folder: Path, resume: bool, data: Dataset) -> None:
    """Make the folder of a run, or check the folder of a run to be resumed.

    Args:
        recipe: the recipe of the run; it is written into the folder.
        folder: the run's folder.
        resume: whether to resume a run in this folder.
        data: the run's data set.

    Raises:
        InputError: if the folder holds another run, or a run although ``resume`` is false; if it
            cannot be written; if the checkpoint is damaged.
    """
    holds_run = any((folder / name).exists() for name in (RECIPE, MODEL, CHECKPOINT))
    if holds_run and not resume:
        raise InputError(f"{folder}: holds a run already; resume it, or name another folder")
    if (folder / RECIPE).exists():
        _check_same(recipe, Recipe.read(folder / RECIPE), folder)
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists():
        _check_checkpoint(recipe, checkpoint, data)
    write(folder / RECIPE, recipe.to_toml())
    try:
        checkpoint.parent.mkdir(exist_ok=True)
        # A process that was killed while writing may have left this file.
        checkpoint.with_name(f"{checkpoint.name}.part").unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{checkpoint.parent}: cannot make it: {error.strerror}") from error


def _check_checkpoint(recipe: Recipe, file: Path, data: Dataset) -> None:
    kept = _read_checkpoint(file)
    _check_same(recipe, Recipe.from_toml(kept.recipe, str(file)), file)
    if kept.data not in ("", data.digest):
        raise InputError(
            f"{file}: was trained on data of SHA-256 {printable(kept.data)[:12]}, found data set "
            f"'{data.name}' ({data.origin}) of SHA-256 {data.digest[:12]}; give the data that the "
            "run began with"
        )


@dataclass(frozen=True)
class _Checkpoint:
    """A checkpoint's recipe, SHA-256 of the data ("" in older files) and number of epochs."""

    recipe: str
    data: str
    epochs: int


def _read_checkpoint(file: Path) -> _Checkpoint:
    try:
        if file.stat().st_size > 4 * SIZE_LIMIT:
            raise ValueError("too large")
        with warnings.catch_warnings():
            # If torch warns about a file and then refuses it, the error below says so.
            warnings.simplefilter("ignore")
            kept = torch.load(file, map_location="cpu", weights_only=True)
        checkpoint = _Checkpoint(kept["recipe"], kept.get("data", ""), len(kept["history"]))
        if not isinstance(checkpoint.recipe, str) or not isinstance(checkpoint.data, str):
            raise TypeError("the recipe or the data's digest is no text")
    except _DAMAGED as bad:
        raise InputError(
            f"{file}: damaged, or no checkpoint of hwbnn ({type(bad).__name__}); delete it to "
            "begin again"
        ) from bad
    return checkpoint


def _check_same(recipe: Recipe, other: Recipe, where: Path) -> None:
    for field in fields(Recipe):
        mine, theirs = getattr(recipe, field.name), getattr(other, field.name)
        if field.name != "about" and mine != theirs:
            raise InputError(
                f"{where}: was trained with {field.name} = {theirs!r}, the recipe given has "
                f"{mine!r}; name another folder, or resume with the recipe that lies there"
            )

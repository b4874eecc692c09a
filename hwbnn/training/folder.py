"""The folder of a run: recipe, weights, history and the last checkpoint.

Loading any of them runs no code: TOML, safetensors and JSON cannot hold any, and the checkpoint is
read with ``weights_only``.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from hwbnn.errors import InputError
from hwbnn.nn import Network, set_progress
from hwbnn.training.recipe import Recipe

RECIPE = "recipe.toml"
MODEL = "model.safetensors"
HISTORY = "history.json"
CHECKPOINT = "checkpoints/last.ckpt"


def load_model(folder: str | Path) -> tuple[Network, Recipe]:
    """The network of a finished run, from ``recipe.toml`` and ``model.safetensors`` alone.

    Args:
        folder: the run's folder, or one of ``models/``. No code in it is run.

    Returns:
        The network in evaluation mode on the CPU, and its recipe.

    Raises:
        InputError: if a file is missing, damaged, or of another network.
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
        tensors = load(file.read_bytes())
        for name, own in model.state_dict().items():
            if name in tensors and tensors[name].dtype != own.dtype:
                raise InputError(
                    f"'{name}': expected {own.dtype}, found {tensors[name].dtype}; get the file "
                    "again"
                )
        model.load_state_dict(tensors)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file}: no valid safetensors file ({error}); get it again") from error
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{file}: not the weights of its recipe ({reason})") from error
    # What the schedules say is no part of the file; it was written after the last epoch.
    set_progress(model, (recipe.epochs - 1) / recipe.epochs)
    return model.eval(), recipe


def model_bytes(model: Network, recipe: Recipe) -> bytes:
    """The model's parameters and buffers as a safetensors file."""
    tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
    return save(tensors, {"hwbnn recipe": recipe.digest})


def write(file: Path, content: str | bytes | Mapping[str, Any]) -> Path:
    """Write text, bytes, or a table as JSON, whole or not at all; returns the path.

    Raises:
        InputError: if the file cannot be written.
    """
    if isinstance(content, Mapping):
        content = json.dumps(content, indent=1) + "\n"
    data = content.encode() if isinstance(content, str) else content
    part = file.with_name(file.name + ".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as stream:
                stream.write(data)
                stream.flush()
                # A machine that stops now must not be left with a new name and no content.
                os.fsync(stream.fileno())
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{file}: cannot write it: {error.strerror}") from error
    return file


def finished_epochs(folder: str | Path) -> int:
    """Epochs that a run can go on after, by its checkpoint; 0 without one.

    Raises:
        InputError: if the checkpoint is damaged.
    """
    file = Path(folder) / CHECKPOINT
    return _read_checkpoint(file)[1] if file.is_file() else 0


def prepare(recipe: Recipe, folder: Path, resume: bool) -> None:
    """Make the folder of a run, or check the one that is to go on.

    Args:
        recipe: what will be trained; it is written into the folder.
        folder: the run's folder.
        resume: whether a run that lies there is meant to go on.

    Raises:
        InputError: if the folder holds another run, or one that is not to go on; if it cannot be
            written; if the checkpoint is damaged.
    """
    holds_run = any((folder / name).exists() for name in (RECIPE, MODEL, CHECKPOINT))
    if holds_run and not resume:
        raise InputError(f"{folder}: holds a run already; resume it, or name another folder")
    if (folder / RECIPE).exists():
        _check_same(recipe, Recipe.read(folder / RECIPE), folder)
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists():
        _check_checkpoint(recipe, checkpoint)
    write(folder / RECIPE, recipe.to_toml())
    try:
        checkpoint.parent.mkdir(exist_ok=True)
        # A process that was killed while it wrote may have left this.
        checkpoint.with_name(f"{checkpoint.name}.part").unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{checkpoint.parent}: cannot make it: {error.strerror}") from error


def _check_checkpoint(recipe: Recipe, file: Path) -> None:
    _check_same(recipe, Recipe.from_toml(_read_checkpoint(file)[0], str(file)), file)


def _read_checkpoint(file: Path) -> tuple[str, int]:
    """The recipe in a checkpoint, and the epochs that were finished when it was written."""
    try:
        kept = torch.load(file, map_location="cpu", weights_only=True)
        text, epochs = kept["recipe"], len(kept["history"])
        if not isinstance(text, str):
            raise TypeError("the recipe is no text")
    except (pickle.UnpicklingError, OSError, RuntimeError, EOFError, LookupError, TypeError) as bad:
        raise InputError(
            f"{file}: damaged, or no checkpoint of hwbnn ({type(bad).__name__}); delete it to "
            "begin again"
        ) from bad
    return text, epochs


def _check_same(recipe: Recipe, found: Recipe, where: Path) -> None:
    for field in fields(Recipe):
        mine, theirs = getattr(recipe, field.name), getattr(found, field.name)
        if field.name != "about" and mine != theirs:
            raise InputError(
                f"{where}: was trained with {field.name} = {theirs!r}, the recipe given has "
                f"{mine!r}; name another folder, or resume with the recipe that lies there"
            )

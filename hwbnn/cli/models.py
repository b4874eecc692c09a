"""Trained models that users name: a folder that runs no code, or a factory in their own Python."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwbnn.cli.given import bundled
from hwbnn.cli.show import note
from hwbnn.errors import InputError
from hwbnn.graph import Input

if TYPE_CHECKING:
    from torch import nn

    from hwbnn.training import Recipe


@dataclass(frozen=True)
class Given:
    """A model as a command got it.

    Attributes:
        model: the network.
        input: what it takes.
        recipe: how it was trained; None for a user's own.
        name: what to call it.
    """

    model: nn.Module
    input: Input
    recipe: Recipe | None
    name: str


def read_model(folder: str | None, factory: str | None) -> Given:
    """The model in a folder, or the one that a factory makes.

    Args:
        folder: of a finished training run, or the name of a bundled network.
        factory: ``package.module:function``; the function takes nothing and returns the model and
            its :class:`hwbnn.Input`.

    Raises:
        InputError: if not exactly one of both is given, or it leads to no model.
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
    if not path.exists() and folder in bundled():
        path = bundled()[folder]
    model, recipe = load_model(path)
    return Given(model, recipe.graph_input(), recipe, path.resolve().name)


def _made(factory: str) -> Given:
    """What a user's factory makes; the one place where hwbnn runs code that is not its own."""
    module_name, colon, name = factory.partition(":")
    if not colon or not name.isidentifier() or not module_name.replace(".", "_").isidentifier():
        raise InputError(f"--model {factory}: expected package.module:factory")
    note(f"running {factory}, which is your own Python, not hwbnn's")
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise InputError(
            f"--model {factory}: no module {module_name!r} in this folder or installed; run the "
            "command where it lies"
        ) from None
    finally:
        sys.path.pop(0)
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"--model {factory}: {module_name} has no function {name!r}")
    made = function()
    pair = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    # What is no torch module after all is refused by lowering.
    if not hasattr(pair[0], "named_modules") or not isinstance(pair[1], Input):
        raise InputError(
            f"--model {factory}: expected it to return (torch.nn.Module, hwbnn.Input), found "
            f"{type(made).__name__}"
        )
    return Given(pair[0], pair[1], None, name)

"""Training by a recipe into a folder, and resuming a stopped run."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from hwbnn.arguments import checked_call
from hwbnn.errors import InputError, nearest
from hwbnn.nn import Network, set_progress
from hwbnn.report import Provenance
from hwbnn.training.data import Dataset, dataset, most_varying
from hwbnn.training.folder import CHECKPOINT, MODEL, model_bytes, prepare, write
from hwbnn.training.history import HISTORY, Epoch, History
from hwbnn.training.predictions import accuracy, torch_threads
from hwbnn.training.recipe import Recipe

if TYPE_CHECKING:
    from hwbnn.training.trainer import TrainerSettings

PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")


@dataclass(frozen=True, eq=False)
class TrainResult:
    """The result of a run.

    Attributes:
        model: the network after the last epoch, in evaluation mode on the CPU.
        recipe: the recipe of the run.
        accuracy: share, 0 to 1, of the *whole* test set that the network classifies correctly after
            the last epoch, in float32 on the CPU.
        images: size of the test set.
        history: the epochs, in order.
        seconds: wall-clock time of all epochs, including those before a stop.
        folder: the folder of the run's files.
    """

    model: Network
    recipe: Recipe
    accuracy: float
    images: int
    history: tuple[Epoch, ...]
    seconds: float
    folder: Path


@checked_call()
def train(
    recipe: Recipe,
    folder: str | Path,
    *,
    resume: bool = False,
    until: int | None = None,
    data: Dataset | None = None,
    data_folder: str | Path | None = None,
    accelerator: str = "cpu",
    devices: int | str = 1,
    precision: str = "32-true",
    threads: int = 1,
    progress: bool = False,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> TrainResult:
    """Train a network by a recipe and write it into a folder.

    On a CPU the same recipe gives the same weights, bit for bit, with the same versions, kind of
    CPU and number of threads, also if the run was stopped after an epoch and resumed.

    Args:
        recipe: network, data set and training.
        folder: folder for the run's files, made if missing: ``recipe.toml``, ``model.safetensors``,
            ``history.json`` and, after every epoch, ``checkpoints/last.ckpt``.
        resume: continue after the last finished epoch in the folder, or begin if there is none.
        until: stop after this many epochs, as if interrupted: only the checkpoint is written, and
            the result describes the network at that point. None for all epochs of the recipe.
        data: images to use in place of the recipe's data set, of the same shape.
        data_folder: local folder of data sets, see :func:`hwbnn.training.data.dataset`.
        accelerator: ``"cpu"``, ``"gpu"`` or ``"auto"``, as in Lightning's Trainer.
        devices: number of devices, or ``"auto"``, as in Lightning's Trainer. With several devices
            each computes BatchNorm's statistics on its own share of a batch.
        precision: one of :data:`PRECISIONS`; the weights are float32 in each.
        threads: number of torch's threads on the CPU. The default is 1: sums then have the same
            order on every machine, and layers of this size gain little from a second thread.
        progress: show Lightning's progress bar.
        on_epoch: called with each epoch when it ends.

    Returns:
        The trained network and its accuracy on the whole test set.

    Raises:
        InputError: if the folder holds another run or cannot be written, a checkpoint is damaged,
            the data or the settings do not fit, or training diverges.
        KeyboardInterrupt: if interrupted; ``resume`` continues after the last complete epoch.
    """
    if not isinstance(recipe, Recipe):
        raise InputError(
            f"train: recipe: expected hwbnn.training.Recipe, found {type(recipe).__name__}; "
            "Recipe.read(path) makes one of a file, Recipe(network=..., data=...) of its settings"
        )
    if data is not None and not isinstance(data, Dataset):
        raise InputError(
            f"train: data: expected hwbnn.training.Dataset, found {type(data).__name__}; "
            "Dataset(...) makes one of arrays"
        )
    if isinstance(threads, bool) or not 1 <= threads <= 1024:
        raise InputError(f"threads: expected 1 to 1024, found {threads}")
    if devices != "auto" and (isinstance(devices, str) or devices < 1):
        raise InputError(f"devices: expected at least 1 or 'auto', found {devices!r}")
    if precision not in PRECISIONS:
        raise InputError(
            f"precision {precision!r}: expected one of {nearest(precision, PRECISIONS)}"
        )
    last = recipe.epochs if until is None else until
    if not 1 <= last <= recipe.epochs:
        raise InputError(f"until: expected 1 to {recipe.epochs} epochs, found {until}")
    images = data or dataset(recipe.data, data_folder)
    _check_data(recipe, images)
    target = Path(folder)

    # Importing Lightning takes two seconds, and recipes and data sets do not need it.
    from hwbnn.training.loop import Loop
    from hwbnn.training.trainer import TrainerSettings, fit, make_trainer, quiet

    settings = TrainerSettings(accelerator, devices, precision, threads, progress, on_epoch)
    with torch.random.fork_rng(devices=[]), torch_threads(threads), quiet():
        trainer = make_trainer(settings, last, target / CHECKPOINT)
        # Lightning starts this program again for each further device, so only the first process
        # sees the folder in its original state.
        if trainer.is_global_zero:
            prepare(recipe, target, resume, images)
        start = target / CHECKPOINT
        torch.manual_seed(recipe.seed)
        model = recipe.make_model(_read(recipe, images))
        loop = Loop(recipe, model, images.train_images, images.train_labels, images.digest)
        fit(trainer, loop, start if start.exists() else None)
        model = loop.model.cpu().eval()
        # Resuming a finished run trains no epoch, so nothing else sets the schedules' progress.
        set_progress(model, (last - 1) / recipe.epochs)
        u = recipe.encode(images.test_images)
        reached = accuracy(model, model.input, u, images.test_labels)
    result = TrainResult(
        model=model,
        recipe=recipe,
        accuracy=reached,
        images=len(u),
        history=tuple(loop.history),
        seconds=sum(epoch.seconds for epoch in loop.history),
        folder=target,
    )
    if trainer.is_global_zero and last == recipe.epochs:
        write(target / MODEL, model_bytes(model, recipe))
        write(target / HISTORY, _history(result, images, settings).to_json())
    return result


def _read(recipe: Recipe, images: Dataset) -> list[int] | None:
    """Positions of the elements that the network reads, chosen on its training images."""
    if recipe.reads is None:
        return None
    own = images.train_images[: len(images.train_images) - recipe.held_out]
    return [int(i) for i in most_varying(recipe.encode(own), recipe.reads)]


def _check_data(recipe: Recipe, images: Dataset) -> None:
    wanted = recipe.graph_input()
    high = 255 if recipe.input == "bits" else wanted.high
    size, expected = images.train_images[0].size, prod(wanted.shape)
    if size != expected or images.high > high:
        raise InputError(
            f"data set '{images.name}': expected images of {expected} pixels up to {high}, "
            f"as '{recipe.data}' has, found {size} up to {images.high}"
        )
    if len(images.train_images) < recipe.held_out + recipe.batch:
        raise InputError(
            f"data set '{images.name}': its {len(images.train_images)} training images are fewer "
            f"than {recipe.held_out} held out and one batch of {recipe.batch}"
        )


def _history(result: TrainResult, images: Dataset, settings: TrainerSettings) -> History:
    """The history of a finished run."""
    recipe = result.recipe
    return History(
        Provenance(recipe.digest, images.name, images.origin, images.digest, recipe.contract),
        accuracy=result.accuracy,
        test_images=result.images,
        seconds=result.seconds,
        cpu_seconds=sum(epoch.cpu_seconds for epoch in result.history),
        settings={
            "accelerator": settings.accelerator,
            "devices": settings.devices,
            "precision": settings.precision,
            "threads": settings.threads,
        },
        versions=versions(),
        epochs=result.history,
    )


def versions() -> dict[str, str]:
    """Versions of Python and of the packages on which a run's weights depend."""
    packages = ("hwbnn", "torch", "lightning", "numpy", "scikit-learn", "safetensors")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}

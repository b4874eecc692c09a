"""Lightning's Trainer in hwbnn: quiet, without files of its own, and safe to interrupt."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint, RichProgressBar
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from hwbnn.errors import InputError
from hwbnn.training.history import Epoch
from hwbnn.training.loop import Loop


@dataclass(frozen=True)
class TrainerSettings:
    """Device, precision and callbacks of a run, which are not part of a recipe.

    Attributes:
        accelerator: ``"cpu"``, ``"gpu"`` or ``"auto"``.
        devices: number of devices, or ``"auto"``.
        precision: Lightning's name of the precision.
        threads: number of torch's threads on the CPU.
        progress: whether to show a progress bar.
        on_epoch: called with each epoch when it ends, or None.
    """

    accelerator: str
    devices: int | str
    precision: str
    threads: int
    progress: bool
    on_epoch: Callable[[Epoch], None] | None


class KeepLast(Checkpoint):  # type: ignore[misc]  # Lightning is not followed
    """Replaces the checkpoint at the end of each epoch, completely or not at all.

    Lightning calls a ``Checkpoint`` after the module's own hook, so the file has the full history.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the checkpoint."""
        part = self.file.with_name(self.file.name + ".part")
        trainer.save_checkpoint(part, weights_only=False)
        if trainer.is_global_zero:
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
            part.replace(self.file)


class EpochCallback(Checkpoint):  # type: ignore[misc]  # Lightning is not followed
    """Calls a function with each epoch, after the module's own hook has recorded it."""

    def __init__(self, function: Callable[[Epoch], None]) -> None:
        self.function = function

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Call the function with the epoch that ended."""
        if trainer.is_global_zero and isinstance(pl_module, Loop):
            self.function(pl_module.history[-1])


def make_trainer(settings: TrainerSettings, epochs: int, keep: Path) -> Trainer:
    """Lightning's Trainer, without logs and files of its own.

    Args:
        settings: device, precision and callbacks.
        epochs: number of epochs, counted from the run's beginning.
        keep: path of the checkpoint file.

    Raises:
        InputError: if the machine does not support the settings.
    """
    callbacks: list[Callback] = [KeepLast(keep)]
    if settings.progress:
        callbacks.append(RichProgressBar(refresh_rate=20))
    if settings.on_epoch is not None:
        callbacks.append(EpochCallback(settings.on_epoch))
    precision: Any = settings.precision
    try:
        trainer = Trainer(
            max_epochs=epochs,
            accelerator=settings.accelerator,
            devices=settings.devices,
            precision=precision,
            callbacks=callbacks,
            logger=False,
            enable_progress_bar=settings.progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=keep.parent,
        )
    except (MisconfigurationException, ValueError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"accelerator {settings.accelerator!r}, devices {settings.devices!r}, precision "
            f"{settings.precision!r}: {reason}"
        ) from error
    if trainer.precision != settings.precision:
        raise InputError(
            f"precision {settings.precision!r}: not to be had on this device; choose "
            f"{trainer.precision!r}"
        )
    return trainer


def fit(trainer: Trainer, loop: Loop, start: Path | None) -> None:
    """Train the loop's model; ``loop`` holds model and history afterwards.

    Args:
        trainer: from :func:`make_trainer`.
        loop: the model and its training steps.
        start: checkpoint to resume from, loaded with ``weights_only``; None to begin.

    Raises:
        InputError: if the checkpoint does not belong to this loop.
        KeyboardInterrupt: if interrupted; the checkpoint of the last complete epoch exists then.
    """
    with _interrupts():
        try:
            trainer.fit(loop, range(loop.steps), ckpt_path=start, weights_only=True)
        except (
            LookupError,
            AttributeError,
            TypeError,
            ValueError,
            RuntimeError,
            UnpicklingError,
        ) as error:
            if start is None or loop.has_begun:
                raise
            reason = " ".join(str(error).split())[:160]
            raise InputError(
                f"{start}: not a checkpoint of this recipe ({reason}); delete it to begin again"
            ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Suppresses Lightning's messages about hardware and its own products, but not warnings."""
    logs = [logging.getLogger(f"lightning.{name}") for name in ("pytorch", "fabric")]
    verbosities = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Lightning 2.6 causes this warning of torch 2.13; our arguments cannot avoid it.
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
            # Lightning then falls back to another precision, which make_trainer refuses.
            warnings.filterwarnings("ignore", ".*AMP with fp16 is not supported", UserWarning)
            yield
    finally:
        for log, level in zip(logs, verbosities, strict=True):
            log.setLevel(level)


@contextmanager
def _interrupts() -> Iterator[None]:
    """Keeps an interrupt a KeyboardInterrupt, and restores the handler for later interrupts.

    By itself Lightning ignores further interrupts and exits with status 1.
    """
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as exit_:
        if isinstance(exit_.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if is_main and handler is not None:
            signal.signal(signal.SIGINT, handler)

"""The history of a run: its recipe and data, and its figures epoch by epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hwbnn.errors import InputError
from hwbnn.graph.fields import shown
from hwbnn.report import Provenance


@dataclass(frozen=True)
class LayerRecord:
    """Quantities observed in one layer's weights at the end of an epoch.

    Here ``w`` are the real numbers whose signs are the bits (after the method's transform), and
    ``b`` are the bits as -1 and +1. A quantity is None if it is undefined, for example for weights
    that are all 0.

    Attributes:
        name: name of the layer in the model.
        weights: number of bits.
        error: quantization error ``sum_c ||w_c - a_c b_c||^2 / ||w||^2``, from 0 to 1, with the
            best scale ``a_c`` of each channel (the mean of ``|w_c|``, as in XNOR-Net). The method's
            own scale is not used, because BatchNorm compensates any scale and ``w`` may be
            standardised.
        cosine: cosine of the angle between ``w`` and ``b`` over the whole layer, which RBNN makes
            small.
        flips: share of the bits that differ from those at the start of the epoch.
        gap: mean of ``max(0, 1 - |w|)``, the distance to a margin of 1.
        margins: the quantiles :data:`QUANTILES` of ``|w|`` over the standard deviation of ``w``.
        gradient: share of the layer's trainable numbers with a nonzero gradient of the loss on the
            probe batch, see :class:`hwbnn.training.observe.Observer`.
        activation_gradient: the same share of the inputs of the next activation; None if no
            activation follows.
    """

    name: str
    weights: int
    error: float | None
    cosine: float | None
    flips: float
    gap: float
    margins: tuple[float, ...] | None
    gradient: float
    activation_gradient: float | None

    @classmethod
    def read(cls, entries: Mapping[str, Any]) -> LayerRecord:
        """The record in a table from ``history.json`` or a checkpoint."""
        margins = entries["margins"]
        record = cls(**{**entries, "margins": None if margins is None else tuple(margins)})
        if not _is_line(record.name) or not isinstance(record.weights, int):
            raise TypeError("a layer: expected its name and a number of weights")
        if record.margins is not None and len(record.margins) != len(QUANTILES):
            raise TypeError(f"margins of a layer: expected {len(QUANTILES)} quantiles")
        _check_numbers(record, ("flips", "gap", "gradient", "weights"))
        return record


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The quantiles in :attr:`LayerRecord.margins`, from 0 to 1."""
LARGEST = 1e30
"""Upper limit of every observed number, so that plots stay well within the range of floats."""


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch.

    Attributes:
        epoch: from 1.
        loss: mean over the epoch's images, computed during training.
        accuracy: share of them, 0 to 1, classified correctly during training, in training mode.
        held_out: accuracy on the held-out training images in evaluation mode; None if there are
            none.
        learning_rate: learning rate of the next step.
        seconds: wall-clock time.
        cpu_seconds: processor time of this process over all its threads; unlike ``seconds`` it does
            not grow if other programs use the machine.
        layers: the observed quantities of each layer, in order; empty in runs of earlier versions.
    """

    epoch: int
    loss: float
    accuracy: float
    held_out: float | None
    learning_rate: float
    seconds: float
    cpu_seconds: float
    layers: tuple[LayerRecord, ...] = ()

    @classmethod
    def read(cls, entries: Mapping[str, Any]) -> Epoch:
        """The epoch in a table from ``history.json`` or a checkpoint.

        Raises:
            TypeError: if an entry is missing or unknown, or is not a finite number.
            LookupError: if an entry of a layer is missing.
        """
        layers = tuple(LayerRecord.read(layer) for layer in entries.get("layers", ()))
        known = {f.name for f in fields(cls)}
        if unknown := set(entries) - known:
            raise TypeError(f"unknown entries of an epoch: {', '.join(sorted(unknown))[:80]}")
        record = cls(**{**entries, "layers": layers})
        _check_numbers(record, tuple(known - {"held_out", "layers"}))
        return record


_NO_NUMBERS = frozenset({"name", "layers", "provenance", "settings", "versions", "epochs"})


def _check_numbers(record: LayerRecord | Epoch | History, needed: tuple[str, ...]) -> None:
    """Refuse values that no run writes, because a file may come from an unknown source."""
    for f in fields(record):
        value = getattr(record, f.name)
        if f.name in _NO_NUMBERS or (value is None and f.name not in needed):
            continue
        least = -LARGEST if f.name == "cosine" else 0
        for number in value if isinstance(value, tuple) else (value,):
            is_number = isinstance(number, int | float) and not isinstance(number, bool)
            if not is_number or not least <= number <= LARGEST:
                raise TypeError(
                    f"{f.name}: expected a finite number, not negative, found {shown(number)}"
                )


HISTORY = "history.json"
"""The file of a run's folder that holds its history."""
SIZE_LIMIT = 256 << 20
"""Largest history file in bytes; larger ones are refused unread."""


@dataclass(frozen=True)
class History:
    """The history of a finished run, as ``history.json`` holds it.

    Attributes:
        provenance: the recipe and the data of the run.
        accuracy: share, 0 to 1, of the whole test set classified correctly after the last epoch.
        test_images: size of the test set.
        seconds: wall-clock time of all epochs.
        cpu_seconds: processor time of all epochs.
        settings: device, precision and threads of the computation.
        versions: versions of the packages on which the weights depend.
        epochs: the epochs, in order.
    """

    provenance: Provenance
    accuracy: float
    test_images: int
    seconds: float
    cpu_seconds: float
    settings: Mapping[str, str | int]
    versions: Mapping[str, str]
    epochs: tuple[Epoch, ...]

    def to_json(self) -> dict[str, Any]:
        """The table that ``history.json`` holds."""
        made_from = self.provenance
        return {
            "recipe": made_from.recipe,
            "data": {
                "name": made_from.data,
                "origin": made_from.origin,
                "sha256": made_from.sha256,
                "input": made_from.input,
            },
            "accuracy": self.accuracy,
            "test images": self.test_images,
            "seconds": self.seconds,
            "cpu seconds": self.cpu_seconds,
            "settings": dict(self.settings),
            "versions": dict(self.versions),
            "epochs": [asdict(epoch) for epoch in self.epochs],
        }

    @classmethod
    def read(cls, folder: str | Path) -> History:
        """The history in the folder of a finished run.

        Raises:
            InputError: in one line, if there is no history, or if no run can have written it.
        """
        file = Path(folder) / HISTORY
        try:
            if file.stat().st_size > SIZE_LIMIT:
                raise ValueError(f"it is larger than {SIZE_LIMIT >> 20} MiB")
            return cls._of(json.loads(file.read_bytes()))
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
            InputError,
        ) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise InputError(
                f"{file}: no history of a finished run ({printable(reason)[:80]}); train to the "
                "last epoch"
            ) from None

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> History:
        data = told["data"]
        # Histories of earlier versions lack the input; their recipe defines it.
        lines = (told["recipe"], data["name"], data["origin"], data["sha256"])
        made_from = Provenance(*lines, data.get("input", ""))
        history = cls(
            made_from,
            told["accuracy"],
            told["test images"],
            told["seconds"],
            told["cpu seconds"],
            MappingProxyType(dict(told["settings"])),
            MappingProxyType(dict(told["versions"])),
            tuple(Epoch.read(entries) for entries in told["epochs"]),
        )
        _check_numbers(history, ("accuracy", "test_images", "seconds", "cpu_seconds"))
        if history.accuracy > 1 or not isinstance(history.test_images, int):
            raise ValueError("its accuracy is no number that a run has")
        lines = (*lines, made_from.input, *history.settings, *history.versions)
        texts = (*lines, *history.versions.values())
        if not all(_is_line(text) for text in texts):
            raise TypeError("expected text of one printable line")
        if not all(_is_line(v) or isinstance(v, int) for v in history.settings.values()):
            raise TypeError("settings: expected text and integers")
        return history


def _is_line(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 400 and value.isprintable()


def printable(text: str) -> str:
    """The text with question marks for unprintable characters, such as lone surrogates."""
    return "".join(c if c.isprintable() else "?" for c in text)

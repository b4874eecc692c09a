"""What a run tells of its epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hwbnn.graph.fields import shown


@dataclass(frozen=True)
class Layer:
    """What was seen of one layer's weights at the end of an epoch.

    Here ``w`` are the real numbers whose signs are the bits (after the method's transform), ``b``
    the bits as -1 and +1. A number is None where it is not defined, as for weights that are all 0.

    Attributes:
        name: of the layer in the model.
        weights: number of bits.
        error: quantization error ``sum_c ||w_c - a_c b_c||^2 / ||w||^2`` with the scale ``a_c`` of
            each channel that makes it least (mean of ``|w_c|``, XNOR-Net's), from 0 to 1. Not with
            the method's own scale: BatchNorm makes up for any, and ``w`` may be standardised.
        cosine: between ``w`` and ``b``, over the whole layer: of the angle that RBNN makes small.
        flips: share of the bits that are not what they were at the start of the epoch.
        gap: mean of ``max(0, 1 - |w|)``: what lacks to a margin of 1.
        margins: the quantiles :data:`QUANTILES` of ``|w|`` over the standard deviation of ``w``.
        gradient: share of the layer's trainable numbers that the gradient of the loss reaches on
            the probe, see :class:`hwbnn.training.observe.Observer`.
        activation_gradient: the same of the inputs of the activation behind the layer; None behind
            the last one.
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
    def read(cls, entries: Mapping[str, Any]) -> Layer:
        """The layer of a table, as JSON or a checkpoint has it."""
        margins = entries["margins"]
        found = cls(**{**entries, "margins": None if margins is None else tuple(margins)})
        if not isinstance(found.name, str) or not isinstance(found.weights, int):
            raise TypeError("a layer: expected its name and a number of weights")
        if found.margins is not None and len(found.margins) != len(QUANTILES):
            raise TypeError(f"margins of a layer: expected {len(QUANTILES)} quantiles")
        _check_numbers(found, ("flips", "gap", "gradient", "weights"))
        return found


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Those of :attr:`Layer.margins`."""
LARGEST = 1e30
"""No number that is observed is larger; what a picture shows must stay far within floats."""


@dataclass(frozen=True)
class Epoch:
    """What is known of one epoch when it ends.

    Attributes:
        epoch: from 1.
        loss: mean over the epoch's images, as they were met.
        accuracy: share of them, 0 to 1, that were right when they were met, in training mode.
        held_out: accuracy on the held-out training images in evaluation mode, None without any.
        learning_rate: of the next step.
        seconds: wall-clock time.
        cpu_seconds: processor time of this process, over all its threads; unlike the former it does
            not grow when the machine is shared.
        layers: what was seen of each layer, in order; empty in runs of earlier versions.
    """

    epoch: int
    loss: float
    accuracy: float
    held_out: float | None
    learning_rate: float
    seconds: float
    cpu_seconds: float
    layers: tuple[Layer, ...] = ()

    @classmethod
    def read(cls, entries: Mapping[str, Any]) -> Epoch:
        """The epoch of a table, as ``history.json`` or a checkpoint has it.

        Raises:
            TypeError: if an entry is missing, unknown, or no finite number.
            LookupError: likewise, in a layer.
        """
        layers = tuple(Layer.read(layer) for layer in entries.get("layers", ()))
        known = {f.name for f in fields(cls)}
        if unknown := set(entries) - known:
            raise TypeError(f"unknown entries of an epoch: {', '.join(sorted(unknown))[:80]}")
        found = cls(**{**entries, "layers": layers})
        _check_numbers(found, tuple(known - {"held_out", "layers"}))
        return found


def _check_numbers(found: Layer | Epoch, needed: tuple[str, ...]) -> None:
    """Refuse what no run has written: a file may come from a stranger."""
    for f in fields(found):
        value = getattr(found, f.name)
        if f.name in ("name", "layers") or (value is None and f.name not in needed):
            continue
        least = -LARGEST if f.name == "cosine" else 0
        for number in value if isinstance(value, tuple) else (value,):
            is_number = isinstance(number, int | float) and not isinstance(number, bool)
            if not is_number or not least <= number <= LARGEST:
                raise TypeError(
                    f"{f.name}: expected a finite number, not negative, found {shown(number)}"
                )

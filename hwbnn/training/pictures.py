"""What is shown of runs side by side: the quantities, and each method's colour."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hwbnn.training.history import LayerRecord

SOLID, DASHED = "solid", (0, (4, 1.5))
STYLES: Mapping[str, tuple[str, Any]] = {
    "bnn_ste": ("#000000", SOLID),
    "binary_connect": ("#aaaaaa", DASHED),
    "xnor_net": ("#ccaa00", DASHED),
    "bi_real": ("#ee7733", DASHED),
    "ir_net": ("#882255", DASHED),
    "react_net": ("#0077bb", DASHED),
    "prox_connect": ("#dd99cc", DASHED),
    "bnn_pp": ("#66bbee", SOLID),
    "proxy_bnn": ("#332288", SOLID),
    "rbnn": ("#118844", SOLID),
    "adabin": ("#dd2211", SOLID),
    "binary_l2": ("#ddaa33", SOLID),
}
"""Colour and dashes of each method, always the same; told apart with any kind of colour vision."""
SPARE = ("#555555", (0, (1, 1)))
"""Of methods that have none yet."""
MARKS = ("", "o", "s", "^", "v", "D")
"""Marks on the lines of a method's further groups."""


@dataclass(frozen=True)
class Picture:
    """One quantity.

    Attributes:
        name: of its files.
        title: above it.
        axis: what the vertical axis shows, with its unit.
        says: how to read it, for people who choose a method.
        of: the number in one epoch, or in one layer of it.
        per_layer: whether ``of`` takes a layer.
        log: whether the axis is logarithmic.
    """

    name: str
    title: str
    axis: str
    says: str
    of: Callable[[Any], float | None]
    per_layer: bool = False
    log: bool = False


def _percent(x: float | None) -> float | None:
    return None if x is None else 100 * x


def _angle(layer: LayerRecord) -> float | None:
    return (
        None if layer.cosine is None else math.degrees(math.acos(max(-1.0, min(1.0, layer.cosine))))
    )


PICTURES = (
    Picture(
        "loss",
        "Training loss",
        "loss",
        "Mean over each epoch's training images, as they were met, without the methods' penalties.",
        lambda e: e.loss,
        log=True,
    ),
    Picture(
        "training",
        "Training accuracy",
        "training images right (%)",
        "In training mode, as the images were met.",
        lambda e: _percent(e.accuracy),
    ),
    Picture(
        "held_out",
        "Held-out accuracy",
        "held-out images right (%)",
        "On training images that were kept from training.",
        lambda e: _percent(e.held_out),
    ),
    Picture(
        "angle",
        "Angle between real and binary weights",
        "angle (degrees)",
        "How far the signs point from the real numbers that they stand for; RBNN rotates to "
        "make it small. Random normal weights have 37 degrees.",
        _angle,
        per_layer=True,
    ),
    Picture(
        "error",
        "Quantization error",
        "squared error / squared norm",
        "What is lost of the real weights with the best scale of each channel; BatchNorm or "
        "the method gives the scale.",
        lambda y: y.error,
        per_layer=True,
    ),
    Picture(
        "flips",
        "Bits that flipped within the epoch",
        "bits of the layer (%)",
        "Many: the weights still search, or swing about zero. Epochs without any flip are left "
        "out, since the axis is logarithmic.",
        lambda y: _percent(y.flips) or None,
        per_layer=True,
        log=True,
    ),
    Picture(
        "gap",
        "Lack of margin",
        "mean of max(0, 1 - |w|)",
        "What weights lack to magnitude 1; margin-aware training makes it small. Its size "
        "depends on the scale in which a method keeps its real weights.",
        lambda y: y.gap,
        per_layer=True,
    ),
    Picture(
        "gradient",
        "Weights that a gradient reaches",
        "trainable numbers (%)",
        "Share of a layer's trainable numbers with a gradient of the loss other than 0, on a "
        "fixed batch. Inputs that are the same in all its images, as a border is, give none.",
        lambda y: _percent(y.gradient),
        per_layer=True,
    ),
    Picture(
        "activations",
        "Activations that let a gradient pass",
        "inputs of the activation (%)",
        "Share of the inputs of the activation behind a layer with a gradient other than 0, "
        "on the same batch: for a clipped estimator those within its window.",
        lambda y: _percent(y.activation_gradient),
        per_layer=True,
    ),
)
ACCURACY = Picture(
    "accuracy", "Test accuracy after the last epoch", "test images right (%)",
    "A dot a run, a bar the mean over seeds, on the whole test set.", lambda _: None,
)  # fmt: skip
MARGINS = Picture(
    "margins", "Margins after the last epoch", "|w| / standard deviation of w",
    "Distance of the real weights from 0, where a bit flips: thin lines from the 5 % to the 95 % "
    "quantile, thick ones from 25 % to 75 %, a dot at the median; means over seeds.",
    lambda _: None,
)  # fmt: skip

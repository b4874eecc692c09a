"""A recipe: everything that determines a trained network, as a value and as a TOML file.

A recipe names a network, a method and a data set from hwbnn's own tables, so a file from an unknown
source can select code but not contain any.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwbnn.arguments import checked_call, checked_class
from hwbnn.errors import InputError, nearest
from hwbnn.graph import Input
from hwbnn.graph.fields import shown
from hwbnn.methods import METHODS
from hwbnn.methods import get as get_method
from hwbnn.nn import NAMES, RESIDUAL, Network, network, takes_images
from hwbnn.nn.named import MLP
from hwbnn.nn.networks import LASTS
from hwbnn.nn.quant import KINDS
from hwbnn.training.data import DATASETS, PUBLISHED

FILE_LIMIT = 1 << 16
"""Largest recipe file in bytes."""


INPUTS = ("bits", "pixels", "centred")
"""The input of the network: bits (each pixel compared with a threshold), or pixels ``u``, which
training sees as ``u / high`` (0 to 1) or, centred, as ``2 u / high - 1`` (-1 to 1)."""
OPTIMISERS = ("adam", "sgd")
SCHEDULES = ("constant", "linear", "cosine", "exponential")
"""Course of the learning rate from ``learning_rate`` to ``final_rate``, step by step."""
LOSSES = ("cross_entropy", "squared_hinge")
AUGMENTATIONS = ("none", "shift", "crop_flip")
"""Augmentation of training images: none; a random shift by up to ``shift`` pixels each way, which
is a crop of the image with a border of zeros; or this shift and, with probability 1/2, a left-right
flip."""

Rule = tuple[Callable[[Any], bool], str | tuple[str, ...]]


def _one_of(names: Iterable[str]) -> Rule:
    known = tuple(names)
    return lambda v: isinstance(v, str) and v in known, known


def _one_of_or_none(names: Iterable[str]) -> Rule:
    known = tuple(names)
    return lambda v: v is None or (isinstance(v, str) and v in known), known


def _integer(low: int, high: int) -> Rule:
    def check(v: Any) -> bool:
        return isinstance(v, int) and not isinstance(v, bool) and low <= v <= high

    return check, f"an integer from {low} to {high}"


def _number(expected: str, fits: Callable[[float], bool]) -> Rule:
    def check(v: Any) -> bool:
        return isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v < 10 and fits(v)

    return check, expected


def _or_none(rule: Rule) -> Rule:
    check, expected = rule
    assert isinstance(expected, str)
    return lambda v: v is None or check(v), f"{expected}, or nothing"


def _is_line(v: Any) -> bool:
    return isinstance(v, str) and len(v) <= 400 and v.isprintable()


def _is_integers(low: int, high: int, most: int) -> Callable[[Any], bool]:
    """Whether a value is a list of at most ``most`` integers from ``low`` to ``high``."""
    check, _ = _integer(low, high)
    return lambda v: isinstance(v, list | tuple) and 1 <= len(v) <= most and all(map(check, v))


def _is_table(v: Any) -> bool:
    return isinstance(v, Mapping) and all(
        isinstance(key, str) and (isinstance(x, int | float) or _is_line(x)) for key, x in v.items()
    )


RULES: dict[str, Rule] = {
    "network": _one_of(NAMES),
    "data": _one_of(DATASETS),
    "epochs": _integer(1, 100_000),
    "input": _one_of(INPUTS),
    "threshold": _or_none(_integer(0, 255)),
    "last": _one_of(LASTS),
    "first": _one_of_or_none(KINDS),
    "downsample": _one_of_or_none(KINDS),
    "reads": _or_none(_integer(1, 2**31 - 1)),
    "widths": _or_none(
        (_is_integers(1, 1 << 20, 16), "a list of 1 to 16 integers from 1 to 1048576")
    ),
    "fan_in": _or_none(_integer(1, 1 << 20)),
    "thermometer": _or_none(
        (_is_integers(1, 255, 255), "a list of 1 to 255 integers from 1 to 255")
    ),
    "batch": _integer(2, 100_000),
    "learning_rate": _number("a number above 0 and below 10", lambda v: v > 0),
    "final_rate": _or_none(_number("a number from 0 to below 10", lambda v: True)),
    "schedule": _one_of(SCHEDULES),
    "optimiser": _one_of(OPTIMISERS),
    "weight_decay": _number("a number from 0 to below 10", lambda v: True),
    "loss": _one_of(LOSSES),
    "augmentation": _one_of(AUGMENTATIONS),
    "shift": _integer(0, 8),
    "momentum": _or_none(_number("a number from 0 to below 1", lambda v: v < 1)),
    "warm_up": _or_none(_integer(1, 100_000)),
    "seed": _integer(0, 2**32 - 1),
    "held_out": _integer(0, 2**31),
    "method": _one_of(METHODS),
    "hyper": (_is_table, "a table of the method's hyper-parameters"),
    "about": (_is_line, "at most 400 printable characters in one line"),
}
"""The check of each entry, and the allowed values in words or as a list of names."""


def _shown(value: Any) -> str:
    """A value for an error message, as one short line."""
    return "nothing" if value is None else shown(value)


def _toml(value: Any) -> str:
    """A value in TOML syntax; for a printable string TOML's syntax is the same as JSON's."""
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return repr(list(value))
    return repr(value)


@checked_class()
@dataclass(frozen=True)
class Recipe:
    """How one network is trained; equal recipes give equal weights on the same CPU and versions.

    Attributes:
        network: one of :data:`hwbnn.nn.NAMES`.
        data: one of :data:`hwbnn.training.data.DATASETS`.
        input: one of :data:`INPUTS`.
        threshold: with ``input = "bits"`` a pixel at or above it becomes +1, others -1. The host
            applies it, so that hardware receives bits. None with any other input.
        last: the modules that make the logits, one of :data:`hwbnn.nn.networks.LASTS`, for example
            ``"int8"`` for a quantised last layer.
        first: the weights of a quantised first layer, one of :data:`hwbnn.nn.quant.KINDS`, such as
            ``"int8"`` or ``"ternary"``; None for binary ones.
        downsample: the weights of quantised 1x1 projections on shortcuts, one of the same kinds;
            None for none.
        reads: number of elements of a sample that the network reads: those that vary most over the
            training images (:func:`~hwbnn.training.data.most_varying`). Other elements need no
            hardware. None for all.
        widths: channels of the hidden layers, with ``network = "mlp"``; None with any other.
        fan_in: inputs that each channel of a hidden layer reads, for a network on rows; training
            chooses which (:mod:`hwbnn.nn.fan_in`). None for all.
        thermometer: with ``input`` other than bits, for a network on rows: pixel values, rising;
            the first layer reads one bit for each of them, whether the pixel reaches it. Hardware
            compares. None: the first layer reads the pixels.
        epochs: number of passes over all training images.
        batch: largest number of images in a batch; batches of an epoch differ by at most one image.
        learning_rate: learning rate at the first step (after the warm-up).
        final_rate: learning rate at the end of training; None with a constant schedule.
        schedule: one of :data:`SCHEDULES`, between these two rates.
        optimiser: one of :data:`OPTIMISERS`.
        momentum: momentum with ``optimiser = "sgd"``; None with any other.
        warm_up: number of epochs before the schedule in which the rate rises linearly from 0 to
            ``learning_rate``; None for none.
        weight_decay: L2 penalty on the parameters that the method does not exempt.
        loss: one of :data:`LOSSES`.
        augmentation: one of :data:`AUGMENTATIONS`.
        shift: largest shift in pixels, with an augmentation; 0 without.
        seed: seed of the initial weights, the order of data and the augmentation.
        held_out: number of the last training images that are not used for training. The accuracy on
            them is reported after each epoch, for choosing a recipe without the test images.
        method: one of :data:`hwbnn.methods.METHODS`.
        hyper: the method's hyper-parameters.
        about: one line about the origin of the recipe.

    Raises:
        InputError: in one line that names the entry, the expected values and the given one.
    """

    network: str
    data: str
    epochs: int
    input: str = "bits"
    threshold: int | None = None
    last: str = "batch_norm"
    first: str | None = None
    downsample: str | None = None
    reads: int | None = None
    widths: Sequence[int] | None = None
    fan_in: int | None = None
    thermometer: Sequence[int] | None = None
    batch: int = 100
    learning_rate: float = 1e-3
    final_rate: float | None = None
    schedule: str = "constant"
    optimiser: str = "adam"
    momentum: float | None = None
    warm_up: int | None = None
    weight_decay: float = 0.0
    loss: str = "cross_entropy"
    augmentation: str = "none"
    shift: int = 0
    seed: int = 1
    held_out: int = 0
    method: str = "bnn_ste"
    hyper: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""

    def __post_init__(self) -> None:
        for name, (check, expected) in RULES.items():
            value = getattr(self, name)
            if not check(value):
                if isinstance(expected, tuple):
                    expected = f"one of {nearest(value, expected)}"
                raise InputError(f"recipe: {name}: expected {expected}, found {_shown(value)}")
        object.__setattr__(self, "hyper", MappingProxyType(dict(self.hyper)))
        for name in ("widths", "thermometer"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, tuple(given))
        get_method(self.method, **self.hyper)
        self._check_pairs()

    def _check_pairs(self) -> None:
        """Refuse entries that contradict each other."""
        published = PUBLISHED[self.data]
        if self.input == "bits" and not 1 <= (self.threshold or 0) <= published.high:
            raise InputError(
                f"recipe: threshold: input 'bits' needs the pixel from which a bit is +1, 1 to "
                f"{published.high} for '{self.data}', found {_shown(self.threshold)}"
            )
        if self.input != "bits" and self.threshold is not None:
            raise InputError(f"recipe: threshold: input '{self.input}' has none; remove it")
        if (self.augmentation != "none") != (self.shift > 0):
            raise InputError(
                f"recipe: shift: expected above 0 with an augmentation and 0 without, found "
                f"{self.shift} with '{self.augmentation}'"
            )
        size = prod(published.shape)
        if self.reads is not None and (takes_images(self.network) or self.reads > size):
            raise InputError(
                f"recipe: reads: expected at most the {size} pixels of '{self.data}', of a network "
                f"that reads rows, found {self.reads} with '{self.network}'"
            )
        self._check_rows()
        if self.downsample is not None and self.network not in RESIDUAL:
            raise InputError(
                f"recipe: downsample: network '{self.network}' has no shortcuts; remove the entry"
            )
        self._check_steps()
        if self.held_out > published.train_size // 2:
            raise InputError(
                f"recipe: held_out: expected at most half of the {published.train_size} training "
                f"images of '{self.data}', found {self.held_out}"
            )

    def _check_rows(self) -> None:
        """Refuse entries for networks on rows that contradict each other."""
        if (self.widths is None) == (self.network == MLP):
            raise InputError(
                f"recipe: widths: expected a list of widths with network '{MLP}' and nothing with "
                f"any other, found {_shown(self.widths)} with '{self.network}'"
            )
        for name in ("fan_in", "thermometer"):
            if getattr(self, name) is not None and takes_images(self.network):
                raise InputError(
                    f"recipe: {name}: expected a network that reads rows, found '{self.network}'"
                )
        if self.thermometer is not None and (
            self.input == "bits" or list(self.thermometer) != sorted(set(self.thermometer))
        ):
            raise InputError(
                f"recipe: thermometer: expected rising values of pixels and an input other than "
                f"'bits', found {list(self.thermometer)} with input '{self.input}'"
            )

    def _check_steps(self) -> None:
        """Refuse entries of the optimiser that contradict each other."""
        if (self.optimiser == "sgd") != (self.momentum is not None):
            raise InputError(
                f"recipe: momentum: expected a number with optimiser 'sgd' and nothing without, "
                f"found {_shown(self.momentum)} with '{self.optimiser}'"
            )
        if self.warm_up is not None and self.warm_up >= self.epochs:
            raise InputError(
                f"recipe: warm_up: expected fewer than the {self.epochs} epochs, found "
                f"{self.warm_up}"
            )
        if self.schedule == "exponential" and self.final_rate == 0:
            raise InputError("recipe: final_rate: an exponential schedule never reaches 0")
        if (self.schedule == "constant") != (self.final_rate is None):
            raise InputError(
                "recipe: final_rate: expected none with a constant schedule and one with any other"
            )

    def rate(self, u: float) -> float:
        """The learning rate at progress ``u``: completed steps over all steps, 0 to 1."""
        first = self.learning_rate
        last = first if self.final_rate is None else self.final_rate
        rise = (self.warm_up or 0) / self.epochs
        if u < rise:
            return first * u / rise
        u = (u - rise) / (1 - rise)
        if self.schedule == "exponential":
            return float(first * (last / first) ** u)
        done = (1 - math.cos(math.pi * u)) / 2 if self.schedule == "cosine" else u
        return first + (last - first) * done

    def graph_input(self) -> Input:
        """The input contract of the trained network, for :func:`hwbnn.lower`.

        Its shape is ``(height, width, channels)`` if the network reads images, else one row of
        pixels.
        """
        published = PUBLISHED[self.data]
        shape: tuple[int, ...] = (prod(published.shape),)
        if takes_images(self.network):
            shape = (*published.shape, 1)[:3]
        if self.input == "bits":
            return Input.bits(shape)
        span, offset = (2, -1.0) if self.input == "centred" else (1, 0.0)
        return Input("x", shape, 0, published.high, scale=span / published.high, offset=offset)

    @property
    def contract(self) -> str:
        """The input, and its relation to the pixels, as one line for comparisons."""
        source = self.graph_input()
        shape = "x".join(map(str, source.shape))
        if self.input == "bits":
            return f"{shape} bits, 1 for pixels from {self.threshold}"
        return (
            f"{shape} integers from {source.low} to {source.high}, trained on x = "
            f"{source.scale!r} * u + {source.offset!r}"
        )

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Images as the integer inputs of the Graph; the host does this.

        Args:
            images: uint8 array ``(n, *shape)``, as in a :class:`~hwbnn.training.data.Dataset`.

        Returns:
            uint8 array ``(n, *shape)`` with the shape of :meth:`graph_input`: bits as 0 and 1, or
            pixels.

        Raises:
            InputError: if the images have another shape.
        """
        shape = PUBLISHED[self.data].shape
        if images.ndim != 1 + len(shape) or images.shape[1:] != shape:
            raise InputError(
                f"images of '{self.data}': expected a batch of {'x'.join(map(str, shape))}, found "
                f"shape {images.shape}"
            )
        shaped = images.reshape(len(images), *self.graph_input().shape)
        if self.threshold is None:
            return shaped
        return (shaped >= self.threshold).astype(np.uint8)

    def make_model(self, reads: Sequence[int] | None = None) -> Network:
        """The network with new weights, drawn from torch's generator.

        Args:
            reads: positions of the elements that the network reads, :attr:`reads` of them. By
                default the first ones, which loading a state replaces.
        """
        if reads is None and self.reads is not None:
            reads = range(self.reads)
        method = get_method(self.method, **self.hyper)
        classes = len(PUBLISHED[self.data].classes)
        last: Any = self.last
        return network(
            self.network,
            self.graph_input(),
            classes,
            method,
            last=last,
            reads=reads,
            first=self.first,
            downsample=self.downsample,
            widths=self.widths,
            fan_in=self.fan_in,
            thermometer=self.thermometer,
        )

    def to_toml(self) -> str:
        """The recipe as TOML, every entry written out."""
        lines = []
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name != "hyper" and value is not None:
                lines.append(f"{f.name} = {_toml(value)}")
        if self.hyper:
            lines += ["", "[hyper]"]
            lines += [f"{key} = {_toml(value)}" for key, value in sorted(self.hyper.items())]
        return "\n".join(lines) + "\n"

    @classmethod
    @checked_call(who="Recipe.from_toml")
    def from_toml(cls, text: str, name: str = "recipe") -> Recipe:
        """The recipe in a TOML text.

        Args:
            text: the text; its entries are the attributes, ``hyper`` is a table.
            name: prefix of error messages.

        Raises:
            InputError: if the text is no valid TOML, or an entry is unknown, missing or invalid.
        """
        try:
            entries = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, too
            reason = str(error).splitlines()[0][:100]
            raise InputError(f"{name}: no valid TOML ({reason}); mend the file") from error
        known = {f.name: f for f in fields(cls)}
        for key in entries:
            if key not in known:
                raise InputError(
                    f"{name}: unknown entry {_shown(key)}; a recipe has {nearest(key, known)}"
                )
        for key, f in known.items():
            required = f.default is MISSING and f.default_factory is MISSING
            if required and key not in entries:
                raise InputError(f"{name}: the entry '{key}' is missing; add it")
        try:
            return cls(**entries)
        except InputError as error:
            raise InputError(f"{name}: {str(error).removeprefix('recipe: ')}") from None

    @classmethod
    @checked_call(who="Recipe.read")
    def read(cls, path: str | Path) -> Recipe:
        """The recipe in a TOML file.

        Raises:
            InputError: if the file cannot be read or holds no recipe.
        """
        path = Path(path)
        try:
            with path.open("rb") as stream:
                content = stream.read(FILE_LIMIT + 1)
            if len(content) > FILE_LIMIT:
                raise InputError(f"{path}: larger than {FILE_LIMIT} bytes, no recipe; refused")
            text = content.decode()
        except OSError as error:
            raise InputError(f"{path}: cannot read the recipe: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not a text in UTF-8, so no recipe") from error
        except ValueError as error:  # a NUL in the path
            raise InputError(f"{str(path)[:60]!r}: no path of a file ({error})") from error
        return cls.from_toml(text, str(path))

    @property
    def digest(self) -> str:
        """SHA-256 of :meth:`to_toml`."""
        return hashlib.sha256(self.to_toml().encode()).hexdigest()

"""The entries of a recipe: what each may be, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from hwbnn.methods import METHODS
from hwbnn.nn import NAMES
from hwbnn.nn.networks import Last
from hwbnn.training.data import DATASETS

INPUTS = ("bits", "pixels", "centred")
"""What the network takes: bits (a pixel against a threshold), or the pixels as they are, which it
is trained on as ``u / high`` (0 to 1) or, centred, as ``2 u / high - 1`` (-1 to 1)."""
LASTS = get_args(Last)
"""What makes logits of the last layer's sums, see :func:`hwbnn.nn.mlp`."""
OPTIMISERS = ("adam", "sgd")
SCHEDULES = ("constant", "linear", "cosine", "exponential")
"""How the learning rate goes from ``learning_rate`` to ``final_rate``, step by step."""
LOSSES = ("cross_entropy", "squared_hinge")
AUGMENTATIONS = ("none", "shift", "crop_flip")
"""What is done to training images: nothing; a shift by up to ``shift`` pixels each way, which is a
crop of the image with a border of zeros; that, and every other image mirrored left to right."""

Rule = tuple[Callable[[Any], bool], str | tuple[str, ...]]


def _one_of(names: Iterable[str]) -> Rule:
    known = tuple(names)
    return lambda v: isinstance(v, str) and v in known, known


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
    "reads": _or_none(_integer(1, 2**31 - 1)),
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
"""What each entry may be, and how a message says it; names are listed."""

"""Reads networks in files of other frameworks for the command line."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from hwbnn.cli.files import read_array
from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Graph, Input
from hwbnn.graph.arrays import Array

if TYPE_CHECKING:
    from hwbnn.lowering.explanation import Explanation
    from hwbnn.program import Program

_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]{1,2})?(?:/[0-9]+(?:\.[0-9]+)?)?"
_RANGE = re.compile(
    rf"(-?[0-9]{{1,9}})\.\.(-?[0-9]{{1,9}})(?:\*(-?{_NUMBER}))?([+-]{_NUMBER})?", re.ASCII
)


def network_file(given: str | None) -> Path | None:
    """The path of a file or folder for which there is a reader; None for anything else.

    Args:
        given: the user's argument; a training run or a bundled network gives None.
    """
    if given is None:
        return None
    path = Path(given)
    try:
        if not path.exists() or (path / "recipe.toml").exists():
            return None
    except OSError:
        return None
    from hwbnn.readers import names, recognise

    if recognise(path) is not None:
        return path
    if path.is_file() and path.suffix not in (".npz", ".toml"):
        raise InputError(
            f"{given}: expected the folder of a training run, or a network's file: "
            f"{', '.join(names())}; found none"
        )
    return None


def parsed_input(text: str, shape: tuple[int, ...]) -> Input | None:
    """The input that the text of ``--input`` describes; None for an empty text.

    Raises:
        InputError: if the text does not have the form in the option's help.

    >>> parsed_input("0..255*2/255-1", (4,)).offset
    -1.0
    """
    if not text:
        return None
    if text == "bits":
        return Input.bits(shape)
    if text == "pixels":
        return Input.pixels(shape)
    match = _RANGE.fullmatch(text.replace(" ", ""))
    if match is None:
        raise InputError(
            f"--input {text[:40]}: expected bits, pixels, or integers and their map such as "
            "0..255*1/255, 0..255*2/255-1, -128..127*1/128"
        )
    low, high, scale, offset = match.groups()
    return Input(
        "x", shape, int(low), int(high), scale=_number(scale or "1"), offset=_number(offset or "0")
    )


def _number(text: str) -> float:
    """A number, or a quotient of two."""
    above, _, below = text.partition("/")
    try:
        return float(Fraction(above) / Fraction(below or "1"))
    except (ZeroDivisionError, OverflowError):
        raise InputError(f"--input: {text[:40]} is no number") from None


def read_network(
    path: Path,
    given_input: str,
    weights: Path | None,
    output: Literal["class", "scores", "logits"] = "class",
) -> Graph:
    """The Graph of a network's file."""
    from hwbnn.lowering.from_program import lower_program
    from hwbnn.readers import read_program

    program = read_program(path, weights)
    return lower_program(program, _input(path, program, given_input), output)


def _input(path: Path, program: Program, given: str) -> Input | None:
    """The user's input, or None if the file defines it; an error if neither does."""
    if program.contract is None and not given:
        raise InputError(
            f"{path}: the file does not say which integers arrive; give --input for shape "
            f"{'x'.join(map(str, program.shape))}: bits, pixels, or such as 0..255*2/255-1"
        )
    return parsed_input(given, program.shape)


def explain_network(path: Path, given_input: str, weights: Path | None) -> Explanation:
    """The explanation of how a network's file is lowered, or why it is refused."""
    from hwbnn.lowering.explanation import Explanation
    from hwbnn.lowering.from_program import explain_program
    from hwbnn.readers import read_program

    try:
        program = read_program(path, weights)
    except CannotLower as error:
        return Explanation((), "refused", problems=(str(error),))
    return explain_program(program, _input(path, program, given_input))


def framework_classes(path: Path, key: str, frames: int) -> Array:
    """A framework's classes as bool ``(frames, classes)``; with ties several are true.

    Args:
        path: file of its outputs: a class, or all logits, for each sample.
        key: name of the array, if a ``.npz`` holds several.
        frames: number of samples.
    """
    found = read_array(path, key)
    if len(found) != frames or found.ndim not in (1, 2) or found.dtype.kind not in "iuf":
        raise InputError(
            f"{path}: expected the framework's class, or its logits, of {frames} samples, found "
            f"shape {found.shape}"
        )
    if found.ndim == 2 and found.shape[1] > 1:
        return np.asarray(found == found.max(axis=1, keepdims=True))
    classes = found.ravel().astype(np.int64)
    if not ((classes >= 0) & (classes < 1 << 16)).all() or (found.ravel() != classes).any():
        raise InputError(f"{path}: expected classes from 0, found other numbers")
    return np.asarray(classes[:, None] == np.arange(classes.max() + 1))

"""Quantizers: each rounding rule as a list of edges, and the side that a tie goes to.

A function from real numbers to a few rising levels is described completely by its edges and by its
values exactly on them. One class (:class:`~hwbnn.program.layers.Quantizer`) therefore holds every
rule exactly. For rounding to the nearest with scale ``s``, the edge between codes ``k`` and
``k + 1`` is ``(k + 1/2) * s``, which float64 holds exactly for every float32 ``s``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from hwbnn.errors import CannotLower, InputError
from hwbnn.program.layers import MOST_STEPS, Quantizer

Rounding = Literal[
    "half_even", "half_up", "half_down", "half_away", "half_to_zero", "floor", "ceil", "up", "down"
]
"""Rounding rules: to the nearest (five rules for halves); floor; ceil; away from 0; towards 0."""

_SAID = {
    "half_even": "halves to even",
    "half_up": "halves up",
    "half_down": "halves down",
    "half_away": "halves away from 0",
    "half_to_zero": "halves to 0",
    "floor": "rounded down",
    "ceil": "rounded up",
    "up": "rounded away from 0",
    "down": "rounded to 0",
}


def rounding(
    name: str,
    kind: str,
    source: str,
    *,
    low: int,
    high: int,
    step: float = 1.0,
    scale: float | None = None,
    rule: Rounding = "half_even",
    zero_point: int = 0,
) -> Quantizer:
    """Quantizer ``scale * (code - zero)``, ``code = clip(round(x / step + zero), low, high)``.

    Args:
        name: of the layer.
        kind: the file's word for this kind of layer.
        source: the name of the value that it reads.
        low: the lowest code.
        high: the highest code.
        step: distance between two neighbouring numbers that ``x`` is rounded to, above 0.
        scale: distance between two values of the result; by default ``step``.
        rule: see :data:`Rounding`.
        zero_point: ``zero`` in the formula, the code that stands for 0.

    Raises:
        InputError: if ``step`` is not above 0, or there are fewer than two codes.
        CannotLower: if there are more than 2^16 codes.

    >>> q = rounding("q", "Quant", "x", low=-1, high=2, step=0.5)
    >>> (q.counts(np.array([-0.75, -0.25, 0.25, 0.26, 0.75])) - 1).tolist()
    [-1, 0, 0, 1, 2]
    """
    where = f"layer '{name}' ({kind})"
    if not (np.isfinite(step) and step > 0):
        raise InputError(f"{where}: expected a scale above 0, found {step:g}")
    if high <= low:
        raise InputError(f"{where}: expected more than one level, found codes {low} to {high}")
    if high - low > MOST_STEPS:
        raise CannotLower(
            f"{where}: expected at most {MOST_STEPS + 1} levels (16 bits), found "
            f"{high - low + 1}; quantize it to 16 bits or less"
        )
    code = np.arange(low, high, dtype=np.int64)
    edges, closed = _rules(code, rule)
    value = step if scale is None else scale
    bits = (high - low).bit_length()
    return Quantizer(
        name,
        kind,
        source,
        edges=((edges - zero_point) * step)[None],
        closed=closed[None],
        scale=value,
        offset=(low - zero_point) * value,
        rule=f"codes {low} to {high} ({bits} bits), {_SAID[rule]}",
    )


def truncation(
    name: str,
    kind: str,
    source: str,
    *,
    low: int,
    high: int,
    step: float,
    divisor: float,
    rule: Rounding,
    zero_point: int = 0,
    scale: float,
    offset: float,
    is_bounded: bool = True,
) -> Quantizer:
    """Quantizer ``scale * code + offset``, ``code = clip(f(round(x / step + zero) / divisor))``.

    The inner rounding is half to even, ``f`` is the ``rule``; numbers are clipped to ``low`` and
    ``high`` in front of ``f``.

    Args:
        name: of the layer.
        kind: the file's word for this kind of layer.
        source: the name of the value that it reads.
        low: the lowest code.
        high: the highest code.
        step: distance between two neighbouring numbers of the inner rounding, above 0.
        divisor: a power of two.
        rule: see :data:`Rounding`.
        zero_point: ``zero`` in the formula.
        scale: distance between two values of the result.
        offset: the value of code 0.
        is_bounded: whether codes are clipped; if not, numbers beyond ``low`` and ``high`` are
            outside the quantizer's domain.

    Raises:
        InputError: if ``step`` is not above 0, or there are fewer than two codes.
        CannotLower: if there are more than 2^16 codes.

    >>> half = {"step": 0.5, "divisor": 4.0, "rule": "floor", "scale": 2.0, "offset": 0.0}
    >>> q = truncation("t", "Trunc", "x", low=0, high=3, **half)
    >>> q.counts(np.array([1.5, 1.75, 2.0, 3.75, 9.0])).tolist()
    [0, 1, 1, 2, 3]
    """
    plain = rounding(name, kind, source, low=low, high=high, step=step, rule=rule)
    edge, closed = _rules(np.arange(low, high, dtype=np.int64), rule)
    first = np.where(closed, np.ceil(edge * divisor), np.floor(edge * divisor) + 1)
    ends = ((low * divisor - zero_point) * step, ((high + 1) * divisor - 1 - zero_point) * step)
    return replace(
        plain,
        edges=((first - 0.5 - zero_point) * step)[None],
        closed=(first % 2 == 0)[None],
        scale=scale,
        offset=low * scale + offset,
        rule=f"divided by {divisor:g}, codes {low} to {high}, {_SAID[rule]}",
        domain=None if is_bounded else ends,
    )


def _rules(code: np.ndarray, rule: Rounding) -> tuple[np.ndarray, np.ndarray]:
    """For each code the edge above it, in units of ``step``, and whether a tie goes up."""
    none, every = np.zeros(len(code), np.bool_), np.ones(len(code), np.bool_)
    half = code + 0.5
    if rule == "half_even":
        return half, code % 2 == 1
    if rule in ("half_up", "half_down"):
        return half, every if rule == "half_up" else none
    if rule in ("half_away", "half_to_zero"):
        return half, (half > 0) == (rule == "half_away")
    if rule == "floor":
        return code + 1.0, every
    if rule == "ceil":
        return code + 0.0, none
    # Away from 0, every number above 0 is rounded up: the edge between codes 0 and 1 is 0 itself.
    down = (code >= 0) == (rule == "down")
    return np.where(down, code + 1.0, code + 0.0), down


def sign(
    name: str,
    kind: str,
    source: str,
    *,
    scale: float = 1.0,
    at: float = 0.0,
    zero_is_positive: bool = True,
) -> Quantizer:
    """``-scale`` below ``at``, ``+scale`` above; at ``at`` as ``zero_is_positive`` says.

    >>> sign("s", "Sign", "x").counts(np.array([-0.5, -0.0, 0.5])).tolist()
    [0, 1, 1]
    """
    return Quantizer(
        name,
        kind,
        source,
        edges=np.array([[at]]),
        closed=np.array([[zero_is_positive]]),
        scale=2 * scale,
        offset=-scale,
        rule=f"sign, {'+' if zero_is_positive else '-'}1 at {at:g}",
    )


def step(
    name: str,
    kind: str,
    source: str,
    *,
    scale: float = 1.0,
    at: float = 0.0,
    closed: bool = True,
) -> Quantizer:
    """0 below ``at``, ``scale`` above; at ``at`` itself ``scale`` if ``closed``, else 0."""
    return Quantizer(
        name,
        kind,
        source,
        edges=np.array([[at]]),
        closed=np.array([[closed]]),
        scale=scale,
        rule=f"0 and 1, {int(closed)} at {at:g}",
    )


def ternary(
    name: str,
    kind: str,
    source: str,
    *,
    threshold: float,
    scale: float = 1.0,
    upper_closed: bool = True,
    lower_closed: bool = False,
) -> Quantizer:
    """``-scale``, 0 and ``+scale``, with edges ``-threshold`` and ``threshold``.

    Args:
        name: of the layer.
        kind: the file's word for this kind of layer.
        source: the name of the value that it reads.
        threshold: the magnitude of both edges.
        scale: of the result.
        upper_closed: whether ``x = threshold`` gives ``+scale``; otherwise it gives 0.
        lower_closed: whether ``x = -threshold`` gives 0; otherwise it gives ``-scale``.
    """
    return Quantizer(
        name,
        kind,
        source,
        edges=np.array([[-threshold, threshold]]),
        closed=np.array([[lower_closed, upper_closed]]),
        scale=scale,
        offset=-scale,
        rule=f"-1, 0, 1 from {threshold:g}",
    )

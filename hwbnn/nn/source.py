"""What a layer reads: the integers behind the floats that arrive, and the map between the two."""

from __future__ import annotations

from torch import Tensor

from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.nn.activation import BinaryActivation

Source = Input | BinaryActivation | None
"""The network's input, an activation whose codes stand for other numbers, or integers as such."""

_LATTICE = 1 / 16
"""How far, in steps, an input may lie from an integer: room for its rounding to float32 alone."""


def largest(source: Source) -> int:
    """The largest magnitude of the integers of a source."""
    if isinstance(source, BinaryActivation):
        return source.form.levels
    if source is None or source.bit:
        return 1
    return max(abs(source.low), abs(source.high))


def is_bits(source: Source) -> bool:
    """Whether the numbers that arrive are -1 and +1 themselves."""
    return source is None or (isinstance(source, Input) and source.bit)


def affine(source: Source) -> tuple[float, float]:
    """Scale and offset from the integers of a source to its floats."""
    if isinstance(source, BinaryActivation):
        return source.form.affine()
    return (1.0, 0.0) if source is None else (source.scale, source.offset)


def integers(source: Source, x: Tensor) -> Tensor:
    """The integers (for bits: -1 and +1) that stand behind the floats ``x``, as float32.

    Raises:
        InputError: if ``x`` is not on the lattice of ``source``; says where it is not.
    """
    x = x.float()
    if source is None:
        return x
    scale, offset = affine(source)
    u = (x - offset) / scale
    nearest = u.round()
    if isinstance(source, BinaryActivation):
        levels = source.form.levels
        within = nearest.abs() == 1 if levels == 1 else (nearest >= 0) & (nearest <= levels)
    else:
        within = (nearest >= source.low) & (nearest <= source.high)
    good = within & ((u - nearest).abs() <= _LATTICE)
    if not bool(good.all()):
        raise InputError(_off_lattice(source, x[~good][0].item()))
    is_code = isinstance(source, Input) and source.bit
    return nearest * 2 - 1 if is_code else nearest


def _off_lattice(source: Input | BinaryActivation, found: float) -> str:
    """What to say where a float is not one that the source gives."""
    scale, offset = affine(source)
    if isinstance(source, BinaryActivation):
        levels = source.form.levels
        codes = "-1 and +1" if levels == 1 else f"integers u from 0 to {levels}"
        return (
            f"binary layer: expected x = {scale:g} * u + {offset:g} with {codes}, as the "
            f"activation that is its source gives, found x = {found:g}; put nothing between the "
            "two, and keep the activation's scale well above 0"
        )
    return (
        f"input '{source.name}': expected x = {scale:g} * u + {offset:g} "
        f"with integers u from {source.low} to {source.high}, found x = {found:g}; bring "
        "the data to this lattice, or describe it by another Input"
    )

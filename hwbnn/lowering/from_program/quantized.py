"""From sum, BatchNorm and quantizer to thresholds (certified), or no node if codes are known."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from hwbnn.graph.arrays import Array, Bytes
from hwbnn.lowering.activations import SMALL_TABLE, activation
from hwbnn.lowering.from_program.certificate import Certificate, certify
from hwbnn.lowering.from_program.program_check import CodeNode
from hwbnn.lowering.from_program.readings import LinearReading, ProgramValue, ProgramWork, read_as
from hwbnn.lowering.from_program.real_numbers import rational
from hwbnn.lowering.from_program.rounded import MANY_STEPS, rounded
from hwbnn.lowering.from_program.weighted_sums import uniform
from hwbnn.lowering.ops import StepActivation
from hwbnn.lowering.tables import ThresholdTable, evaluate_at
from hwbnn.lowering.value import TracedValue
from hwbnn.program import Quantizer
from hwbnn.program.layers import MOST_OWN_STEPS

IDENTITY_LIMIT = 1 << 16
"""Most integers of a value that are checked for being its quantizer's codes already."""

_MOST_PAIRS = 1 << 20
"""Most pairs of integer and edge that are compared as rational numbers for that."""

_MOST_CERTIFIED = 1 << 24
"""Most thresholds of all channels, beyond 8 bits; each takes some 170 bytes of memory."""


def quantized(layer: Quantizer, work: ProgramWork, source: ProgramValue) -> ProgramValue:
    """The codes of a quantizer."""
    value, reading = source.value, source.reading
    if value.type.bit:
        return _bit(layer, work, source)
    layer, below = _of_domain(layer, value)
    few = value.pool is None and value.type.count <= IDENTITY_LIMIT
    if reading is not None and few and layer.steps > 1:
        start = _identity(layer, value, reading)
        if start is not None:
            return _renamed(layer, work, source, start, below)
    count = layer.steps * len(value.low) * len(value.variants)
    if layer.steps > 255 and count > _MOST_CERTIFIED:
        raise layer.refuse(
            f"its {layer.steps} steps are {count:,} thresholds over all channels, more than "
            f"{_MOST_CERTIFIED:,}; quantize it to fewer bits"
        )
    certificate = Certificate()

    def checked(argument: TracedValue, table: ThresholdTable) -> ThresholdTable:
        nonlocal certificate
        table, certificate = certify(argument, table, layer)
        return table

    # One step is a bit, whatever its two values. More steps are signed codes if offset and scale
    # permit.
    base = layer.base if layer.steps > 1 else None
    step = StepActivation(
        layer.name,
        layer.label,
        layer.steps,
        layer.scale,
        0.0,
        lambda x: _counts(layer, x),
        layer,
        base or None,
        checked,
    )
    lowered = None
    # The few integers of a small value become a table, whatever the number of steps.
    tabled = value.type.count <= SMALL_TABLE and value.border is None
    too_many = layer.steps > MOST_OWN_STEPS and not tabled
    if too_many or (layer.steps > MANY_STEPS and value.type.count > SMALL_TABLE):
        source = work.settled(source)
        value = source.value
        made = rounded(work.build, layer, step, value)
        if made is not None:
            lowered, certificate = made.value, made.certificate
    if lowered is None:
        if too_many:
            raise layer.refuse(
                f"its {layer.steps} steps have no exact form with one multiplication a channel, "
                f"and are more than {MOST_OWN_STEPS} thresholds; quantize it to 12 bits or less"
            )
        lowered = activation(work.build, step, value)
    work.certificate = work.certificate.plus(certificate)
    text = f"{layer.rule or _levels(layer)}, scale {layer.scale:g}; {certificate}"
    remarks = work.build.remarks
    at = max(i for i, r in enumerate(remarks) if r.layer == layer.name)
    remarks[at] = replace(remarks[at], text=f"{remarks[at].text}; {text}")
    if certificate.near:
        work.build.certificates[lowered.name] = str(certificate)
    start = -(layer.base or 0) if base is not None else 0
    work.codes[layer.name] = CodeNode(lowered.name, 1, start + below, certificate.near > 0)
    read = _codes(layer, lowered.type.bit, base)
    return read_as(replace(lowered, is_double=True, order=None), layer.label, read)


def _bit(layer: Quantizer, work: ProgramWork, source: ProgramValue) -> ProgramValue:
    """A quantizer that reads bits: the same bits, with another reading."""
    reading = uniform(layer, source)
    unit, centre = reading.unit[0], reading.centre[0]
    pairs = {
        (_count(layer, row, centre - unit), _count(layer, row, centre + unit))
        for row in range(len(layer.edges))
    }
    if len(pairs) > 1 or source.value.pool is not None:
        raise layer.refuse(
            "quantizes bits with thresholds that differ between channels; put a layer of sums "
            "in front of it"
        )
    ((low, high),) = pairs
    if low == high:
        raise layer.refuse("gives the same number for -1 and +1; look at its thresholds")
    scale, offset = rational(layer.scale), rational(layer.offset)
    read = LinearReading((scale * (high - low) / 2,), (offset + scale * (high + low) / 2,))
    work.tell(layer, source.value, "the same bits")
    work.codes[layer.name] = CodeNode(source.value.name, high - low, low)
    return read_as(source.value, layer.label, read)


def _of_domain(layer: Quantizer, value: TracedValue) -> tuple[Quantizer, int]:
    """The quantizer with the edges that can be reached, and how many are always reached.

    Only a quantizer with a domain is changed.

    Raises:
        CannotLower: if numbers beyond the domain can occur.
    """
    if layer.domain is None:
        return layer, 0
    reach = np.stack([value.low, value.high])
    numbers = np.concatenate([evaluate_at(value, reach, k) for k in range(len(value.variants))])
    low, high = float(numbers.min()), float(numbers.max())
    if low < layer.domain[0] or high > layer.domain[1]:
        raise layer.refuse(
            f"its argument reaches from {low:g} to {high:g}, beyond the {layer.domain[0]:g} to "
            f"{layer.domain[1]:g} of its bit width; use more bits"
        )
    # One edge more on each side: float64 may round a number to the other side of one.
    first = max(0, int((layer.edges[0] < low).sum()) - 1)
    first = min(first, layer.steps - 1)
    last = max(first + 1, min(layer.steps, int((layer.edges[0] <= high).sum()) + 1))
    cut = replace(
        layer,
        edges=layer.edges[:, first:last],
        closed=layer.closed[:, first:last],
        offset=layer.offset + layer.scale * first,
        domain=None,
    )
    return cut, first


def _renamed(
    layer: Quantizer, work: ProgramWork, source: ProgramValue, start: int, below: int
) -> ProgramValue:
    """A quantizer whose counts are the integers that it reads, plus ``start``: no node."""
    scale = rational(layer.scale)
    read = LinearReading((scale,), (rational(layer.offset) + scale * start,))
    work.tell(layer, source.value, f"its codes are the integers that it reads, plus {start}")
    work.codes[layer.name] = CodeNode(source.value.name, 1, start + below)
    return read_as(source.value, layer.label, read)


def _identity(layer: Quantizer, value: TracedValue, reading: LinearReading) -> int | None:
    """The counts minus the integers that a quantizer reads, if that is a constant; else None."""
    if len(layer.edges) > 1 or not reading.is_uniform or value.type.step != 1:
        return None
    unit, centre = reading.unit[0], reading.centre[0]
    integers = np.arange(value.type.low, value.type.high + 1)
    below = max(unit.denominator, centre.denominator)
    size = (abs(unit) * int(np.abs(integers).max()) + abs(centre)) * below
    if below & (below - 1) == 0 and size < 1 << 53:  # float64 has these numbers exactly
        found = layer.counts((integers * float(unit) + float(centre))[:, None])[:, 0] - integers
        return int(found[0]) if (found == found[0]).all() else None
    if layer.steps * len(integers) > _MOST_PAIRS:
        return None
    start: int | None = None
    for x in integers.tolist():
        count = _count(layer, 0, unit * x + centre) - x
        if start is not None and count != start:
            return None
        start = count
    return start


def _count(layer: Quantizer, row: int, y: Fraction) -> int:
    """The number of edges that a rational reaches."""
    edges, closed = layer.edges[row], layer.closed[row]
    near = int(np.searchsorted(edges, float(y)))
    # Rounding ``y`` to a float can move it past the nearest edges only; these are compared exactly.
    count = 0
    for j in range(len(edges)):
        if abs(j - near) > 2:
            count += j < near
        else:
            edge = Fraction(float(edges[j]))
            count += y > edge or (y == edge and bool(closed[j]))
    return count


def _codes(layer: Quantizer, is_bit: bool, base: int | None) -> LinearReading:
    """The numbers that a quantizer's integers in the Graph stand for."""
    scale, offset = rational(layer.scale), rational(layer.offset)
    if is_bit:
        return LinearReading((scale / 2,), (offset + scale / 2,))
    return LinearReading((scale,), (offset if base is None else Fraction(0),))


def _counts(layer: Quantizer, x: Array) -> Bytes:
    """The counts in the smallest type: bytes up to 8 bits."""
    return layer.counts(x).astype(np.min_scalar_type(layer.steps))


def _levels(layer: Quantizer) -> str:
    return f"{layer.steps + 1} levels"

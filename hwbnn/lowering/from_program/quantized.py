"""From sum, BatchNorm and quantizer to thresholds (certified), or no node if codes are known."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from hwbnn.graph.arrays import Array, Bytes
from hwbnn.lowering.activations import activation
from hwbnn.lowering.from_program.certificate import Certificate, certify
from hwbnn.lowering.from_program.program_check import CodeNode
from hwbnn.lowering.from_program.readings import LinearReading, ProgramValue, ProgramWork, read_as
from hwbnn.lowering.from_program.weighted_sums import uniform
from hwbnn.lowering.ops import StepActivation
from hwbnn.lowering.tables import ThresholdTable
from hwbnn.lowering.value import TracedValue
from hwbnn.program import Quantizer

IDENTITY_LIMIT = 1 << 12
"""Most integers of a value that are checked for being its quantizer's codes already."""


def quantized(layer: Quantizer, work: ProgramWork, source: ProgramValue) -> ProgramValue:
    """The codes of a quantizer."""
    value, reading = source.value, source.reading
    if value.type.bit:
        return _bit(layer, work, source)
    few = value.pool is None and value.type.count <= IDENTITY_LIMIT
    if reading is not None and few and layer.steps > 1:
        start = _identity(layer, value, reading)
        if start is not None:
            return _renamed(layer, work, source, start)
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
        lambda x: _bytes(layer, x),
        layer,
        base or None,
        checked,
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
    work.codes[layer.name] = CodeNode(lowered.name, 1, start, certificate.near > 0)
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
    scale, offset = Fraction(layer.scale), Fraction(layer.offset)
    read = LinearReading((scale * (high - low) / 2,), (offset + scale * (high + low) / 2,))
    work.tell(layer, source.value, "the same bits")
    work.codes[layer.name] = CodeNode(source.value.name, high - low, low)
    return read_as(source.value, layer.label, read)


def _renamed(layer: Quantizer, work: ProgramWork, source: ProgramValue, start: int) -> ProgramValue:
    """A quantizer whose counts are the integers that it reads, plus ``start``: no node."""
    scale = Fraction(layer.scale)
    read = LinearReading((scale,), (Fraction(layer.offset) + scale * start,))
    work.tell(layer, source.value, f"its codes are the integers that it reads, plus {start}")
    work.codes[layer.name] = CodeNode(source.value.name, 1, start)
    return read_as(source.value, layer.label, read)


def _identity(layer: Quantizer, value: TracedValue, reading: LinearReading) -> int | None:
    """The counts minus the integers that a quantizer reads, if that is a constant; else None."""
    if len(layer.edges) > 1 or not reading.is_uniform or value.type.step != 1:
        return None
    start: int | None = None
    for x in range(value.type.low, value.type.high + 1):
        y = reading.unit[0] * x + reading.centre[0]
        found = _count(layer, 0, y) - x
        if start is not None and found != start:
            return None
        start = found
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
    scale, offset = Fraction(layer.scale), Fraction(layer.offset)
    if is_bit:
        return LinearReading((scale / 2,), (offset + scale / 2,))
    return LinearReading((scale,), (offset if base is None else Fraction(0),))


def _bytes(layer: Quantizer, x: Array) -> Bytes:
    return layer.counts(x).astype(np.uint8)


def _levels(layer: Quantizer) -> str:
    return f"{layer.steps + 1} levels"

"""The first and last nodes of a program's Graph: the input; the class, scores or logits."""

from __future__ import annotations

from math import prod

import numpy as np

from hwbnn.graph import ArgMax, Input, Output
from hwbnn.lowering.from_program.pooled import flattening
from hwbnn.lowering.from_program.program_scores import logits, scores
from hwbnn.lowering.from_program.quantized import quantized
from hwbnn.lowering.from_program.readings import (
    LinearReading,
    ProgramValue,
    ProgramWork,
    paired,
    rationals,
    read_as,
    short,
)
from hwbnn.lowering.value import TracedValue
from hwbnn.program import Layer, Quantizer


def start(work: ProgramWork, node: Input) -> ProgramValue:
    """The value of the input."""
    t = work.build.add(node)
    columns = t.channels if len(t.shape) == 3 else t.size
    ends = np.full(columns, t.low), np.full(columns, t.high)
    scale, offset = rationals(node.scale), rationals(node.offset)
    reading = LinearReading(short(scale), short(offset))
    if t.bit:  # the input's scale and offset are for codes 0 and 1, a reading's for -1 and +1
        unit = tuple(s / 2 for s in scale)
        reading = LinearReading(unit, tuple(o + u for o, u in paired(offset, unit)))
    value = TracedValue(node.name, t, *ends, node.name, is_input=True, is_double=True)
    return read_as(value, f"input '{node.name}'", reading)


def finish(work: ProgramWork, source: ProgramValue, output: str) -> None:
    """Add the nodes after the logits.

    Args:
        work: the program, all its layers lowered.
        source: the value of the last layer.
        output: ``"class"``, ``"scores"`` or ``"logits"``.

    Raises:
        CannotLower: if the network's output cannot be given in this form.
    """
    last = work.program.by_name[work.program.output]
    work.build.label = last.label
    source = work.settled(source)
    if source.value.is_image:
        if output == "class" and prod(source.value.type.shape[:2]) > 1:
            raise last.refuse(
                f"ends in an image of shape {source.value.type.shape}; expected logits in one "
                "axis: end in a dense layer or a global pool"
            )
        source = flattening(last, work, source)
    value = source.value
    if value.type.bit:
        reading = source.reading
        if output == "class" and value.type.size == 1 and reading and reading.unit[0] > 0:
            # The sign of one logit is the decision itself.
            work.build.add(Output(work.build.name("y"), value.name, "decision"))
            return
        if output == "class":
            raise last.refuse(
                "the network ends in bits, which have no largest; use output='scores'"
            )
        _append(work, value.name)
        return
    if output == "class" and value.type.size == 1:
        _decided(last, work, source)
        return
    if output == "logits":
        work.build.add(logits(work.build, last, value, source.reading))
        return
    name = scores(work.build, last, value, source.reading)
    if output == "class":
        node = ArgMax(work.build.name("argmax"), name)
        work.build.add(node)
        name = node.name
    _append(work, name)


def _decided(last: Layer, work: ProgramWork, source: ProgramValue) -> None:
    """One logit: the bit that is 1 where it is at least 0."""
    zero = Quantizer(
        f"{last.name} >= 0",
        last.kind,
        last.name,
        np.zeros((1, 1)),
        np.ones(1, np.bool_),
        2.0,
        -1.0,
        "decision: 1 from 0 on",
    )
    bit = quantized(zero, work, source)
    del work.codes[zero.name]  # it is no layer of the program; the output is checked instead
    work.build.add(Output(work.build.name("y"), bit.value.name, "decision"))


def _append(work: ProgramWork, name: str) -> None:
    work.build.add(Output(work.build.name("y"), name))

"""Lowering a program: one function for each kind of layer, then a check on inputs."""

from __future__ import annotations

from functools import singledispatch
from math import prod
from typing import Literal

from hwbnn.errors import CannotLower, InputError, nearest
from hwbnn.graph import Graph, Input
from hwbnn.lowering.explanation import Explanation, LayerExplanation, layer_explanations
from hwbnn.lowering.from_program.added import addition, concatenation
from hwbnn.lowering.from_program.ends import finish, start
from hwbnn.lowering.from_program.pooled import average_pooling, flattening, max_pooling
from hwbnn.lowering.from_program.program_check import check_program, operations
from hwbnn.lowering.from_program.quantized import quantized
from hwbnn.lowering.from_program.readings import ProgramValue, ProgramWork
from hwbnn.lowering.from_program.real_layers import affine, batch_norm, clip
from hwbnn.lowering.from_program.weighted_sums import convolution, dense
from hwbnn.lowering.probes import probes
from hwbnn.program import (
    Addition,
    Affine,
    AveragePooling,
    BatchNorm,
    Clip,
    Concatenation,
    Convolution,
    Dense,
    Flattening,
    Layer,
    MaxPooling,
    Program,
    Quantizer,
)

MOST_OPERATIONS = 1 << 34
"""Most multiplications of a frame."""
OUTPUTS = ("class", "scores", "logits")


@singledispatch
def lowered(layer: Layer, work: ProgramWork, *sources: ProgramValue) -> ProgramValue:
    """The value of a layer, its nodes added to the Graph: one function for each kind of layer.

    Args:
        layer: the layer.
        work: the program being lowered.
        *sources: the values that the layer reads, in order.

    Raises:
        CannotLower: naming the layer, if it has no exact form.
    """
    raise AssertionError(f"{type(layer).__name__} has no function")


lowered.register(Dense, dense)
lowered.register(Convolution, convolution)
lowered.register(Affine, affine)
lowered.register(BatchNorm, batch_norm)
lowered.register(Clip, clip)
lowered.register(Quantizer, quantized)
lowered.register(MaxPooling, max_pooling)
lowered.register(AveragePooling, average_pooling)
lowered.register(Addition, addition)
lowered.register(Concatenation, concatenation)
lowered.register(Flattening, flattening)


def lower_program(
    program: Program,
    input: Input | None = None,
    output: Literal["class", "scores", "logits"] = "class",
) -> Graph:
    """The Graph that computes in integers what a program says in real numbers.

    Args:
        program: the network.
        input: the network's input, as for :func:`hwbnn.lower`; by default that which the file's
            format defines.
        output: as for :func:`hwbnn.lower`.

    Raises:
        CannotLower: naming the layer that has no exact form, and what to change.
        InputError: if ``input`` is missing or does not fit the network, the network is too large,
            or ``output`` is none of :data:`OUTPUTS`.
    """
    return _run(ProgramWork(program), _checked_input(program, input, output), output)


def explain_program(
    program: Program,
    input: Input | None = None,
    output: Literal["class", "scores", "logits"] = "class",
) -> Explanation:
    """The lowering of each layer of a program, or where it stops; see :func:`hwbnn.explain`."""
    source, work = _checked_input(program, input, output), ProgramWork(program)
    kinds = {layer.name: layer.kind for layer in program.layers}
    read = tuple(LayerExplanation("file", program.format, "Graph", r) for r in program.remarks)
    try:
        graph = _run(work, source, output)
    except CannotLower as error:
        told = layer_explanations(work.build.remarks, kinds)
        return Explanation((*read, *told), "refused", problems=(str(error),))
    told = layer_explanations(work.build.remarks, kinds)
    return Explanation((*read, *told), "exact", None, graph.meaning, len(graph.nodes), graph.digest)


def _run(work: ProgramWork, source: Input, output: str) -> Graph:
    """Lower all layers that the output depends on, and check the Graph against the program."""
    program = work.program
    values = {program.input: start(work, source)}
    needed = _needed(program)
    for layer in program.layers:
        if layer.name in needed:
            work.build.label = layer.label
            values[layer.name] = lowered(layer, work, *(values[s] for s in layer.sources))
    finish(work, values[program.output], output)
    graph = Graph(tuple(work.build.nodes), _notes(work))
    check_program(program, graph, work.codes, probes(source))
    return graph


def _notes(work: ProgramWork) -> dict[str, str]:
    """The Graph's notes: its origin, and the counts of thresholds and near pairs."""
    certificates = "; ".join(f"{k}: {text}" for k, text in work.build.certificates.items())
    return {
        **({"certificates": certificates} if certificates else {}),
        "model": work.program.format,
        "reference": "the file in real numbers: float64 in one order, near pairs by rationals",
        "thresholds": str(work.certificate),
        "layers": " ".join(f"{r.node}={ascii(r.layer)[1:-1][:60]}" for r in work.build.remarks),
    }


def _checked_input(program: Program, source: Input | None, output: str) -> Input:
    """The network's input: the user's, or by default the file's.

    Raises:
        InputError: if it is missing or does not fit, the network is too large, or there is no such
            output.
    """
    given = program.contract if source is None else source
    if given is None:
        raise InputError(
            f"{program.format}: input: the file does not say which integers arrive; give an "
            f"hwbnn.Input of shape {program.shape}, such as hwbnn.Input.pixels"
            f"({program.shape}), with the map to the numbers that the network was trained on"
        )
    if not isinstance(given, Input):
        raise InputError(
            f"input: expected hwbnn.Input, found {type(given).__name__}; such as "
            f"hwbnn.Input.pixels({program.shape})"
        )
    if given.shape != program.shape and not _takes_flat(program, given.shape):
        raise InputError(
            f"input: expected shape {program.shape} as in the file, channels last, found "
            f"{given.shape}"
        )
    if operations(program) > MOST_OPERATIONS:
        raise InputError(
            f"{program.format}: {operations(program):.2g} multiplications a frame, more than "
            f"{MOST_OPERATIONS:.2g}; the file is damaged, or the network is too large"
        )
    if output not in OUTPUTS:
        raise InputError(f"output: expected one of {nearest(output, OUTPUTS)}, found {output!r}")
    return given


def _takes_flat(program: Program, shape: tuple[int, ...]) -> bool:
    """Whether an image may be given flat, in the Graph's order, as it is flattened first anyway."""
    if shape != (prod(program.shape),):
        return False
    flat = {program.input}
    for layer in program.layers:
        if flat.isdisjoint(layer.sources) or isinstance(layer, Flattening):
            continue
        counts = [1]
        if isinstance(layer, Affine):
            counts = [len(layer.scale), len(layer.offset), len(layer.divisor)]
        elif isinstance(layer, Quantizer):
            counts = [len(layer.edges)]
        elif not isinstance(layer, Clip):
            return False
        if max(counts) > 1:
            return False
        flat.add(layer.name)
    return True


def _needed(program: Program) -> set[str]:
    """The values that the output depends on."""
    needed = {program.output}
    for layer in reversed(program.layers):
        if layer.name in needed:
            needed |= set(layer.sources)
    return needed

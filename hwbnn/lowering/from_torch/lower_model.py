"""Lowering: from a trained float network to a Graph that computes the same bits, or an error."""

from __future__ import annotations

import warnings
from typing import Literal

import torch
from torch import nn

from hwbnn.arguments import checked_call
from hwbnn.errors import CannotLower, ConstantOutput, InputError, Mismatch, nearest
from hwbnn.graph import Graph, Input
from hwbnn.graph.graph import FRACTION_LIMIT
from hwbnn.lowering.explanation import Explanation, layer_explanations
from hwbnn.lowering.from_torch.comparison import compare_walk
from hwbnn.lowering.from_torch.real_weights import MOST_BITS
from hwbnn.lowering.from_torch.reference import (
    parameter_digest,
    prepare,
    trace,
    warn_of_training_mode,
)
from hwbnn.lowering.from_torch.walk import OUTPUTS, Walk
from hwbnn.lowering.probes import probes
from hwbnn.lowering.value import FRACTION, WEIGHT_BITS, GraphBuilder, Remark


@checked_call()
def lower(
    model: nn.Module,
    input: Input | None = None,
    *,
    output: Literal["class", "scores", "logits"] = "class",
    fraction: int | None = None,
    weight_bits: int = WEIGHT_BITS,
) -> Graph:
    """A Graph that computes in integers exactly what a trained network computes, or an error.

    The model is copied, taken out of its wrappers and put in evaluation mode; its binary layers
    become sums, and the functions between a sum and the next activation are tabulated on every
    integer that the sum can take, by running the trained modules. At the end Graph and model are
    compared on random and corner inputs, at every activation.

    Shortcuts add numbers in fixed point (:mod:`hwbnn.lowering.shortcuts`): all activations are
    exact on these numbers, which are close to the network's. :func:`hwbnn.lowering.measure`
    measures how close. The notes of the Graph then list these nodes.

    Args:
        model: a torch module of ``hwbnn.nn`` layers, of torch's channel-wise modules and functions
            (BatchNorm, PReLU, ReLU, Hardtanh, Dropout, clip, round, sign, comparisons), pools and
            Flatten, of constants added and multiplied, of ``nn.Linear`` and ``nn.Conv2d``, of sums
            of two values (shortcuts) and concatenations; and of Brevitas's quantized layers.
        input: required: the shape of a sample, for images ``(height, width, channels)`` where the
            model takes ``(batch, channels, height, width)``; the range of the integers; and scale
            and offset from these to the floats that the model was trained on.
        output: ``"class"``: the index of the largest logit, the lowest of equal ones; for a model
            with one logit a bit that is 1 if the logit is at least 0, the decision of binary cross
            entropy. ``"scores"``: integers that are ordered as the logits are, ties included.
            ``"logits"``: integers which one scale and one offset turn into the logits, see
            ``graph.output.reals(y)``: sums if the logits are on one line, else fixed-point numbers
            of 16 bits. For the k best classes take scores or logits and sort them.
        fraction: fraction bits of fixed-point numbers, 0 to 20; by default
            :data:`~hwbnn.lowering.value.FRACTION`. Exact networks have none.
        weight_bits: the bits that real weights (``nn.Linear``, ``nn.Conv2d``) are rounded to, 2 to
            16.

    Returns:
        The Graph; its notes name the model and the reference that it equals.

    Warns:
        TrainingMode: if the model is in training mode: an accuracy that was measured in this mode
            is not that of the Graph.
        ConstantOutput: if the output is the same for every input.

    Raises:
        CannotLower: naming the layer that has no exact integer form, and what to change.
        Mismatch: if Graph and model differ on an input: a defect of hwbnn, please report it.
        InputError: if ``input``, ``output``, ``fraction`` or ``weight_bits`` is not as described.
    """
    walk = begin(prepare(model), input, output, fraction, weight_bits)
    warn_of_training_mode(model)
    walk.run()
    graph = checked(walk)
    if walk.constant:
        warnings.warn(f"{_constant(walk)}", ConstantOutput, stacklevel=3)
    return graph


@checked_call()
def explain(
    model: nn.Module,
    input: Input | None = None,
    *,
    output: Literal["class", "scores", "logits"] = "class",
    fraction: int | None = None,
    weight_bits: int = WEIGHT_BITS,
) -> Explanation:
    """The lowering of each layer, or the layer at which it stops and what to change.

    Args:
        model: as for :func:`lower`.
        input: as for :func:`lower`.
        output: as for :func:`lower`.
        fraction: as for :func:`lower`.
        weight_bits: as for :func:`lower`.

    Returns:
        A value; ``print`` shows a line for each layer, the output's meaning and the verdict.

    Raises:
        InputError: as for :func:`lower`.
    """
    remarks: list[Remark] = []
    kinds: dict[str, str] = {}
    try:
        network = prepare(model)
        kinds = {name: type(module).__name__ for name, module in network.named_modules()}
        walk = begin(network, input, output, fraction, weight_bits)
        remarks = walk.remarks
        walk.run()
        graph = checked(walk)
    except (CannotLower, Mismatch) as error:
        layers = layer_explanations(remarks, kinds)
        return Explanation(layers, "refused", problems=(str(error),))
    return Explanation(
        layer_explanations(remarks, kinds),
        _form(graph),
        graph.fraction,
        graph.meaning,
        len(graph.nodes),
        graph.digest,
        (_constant(walk),) if walk.constant else (),
        graph.weight_bits,
        tuple(walk.build.rounded),
    )


def _form(graph: Graph) -> Literal["exact", "fixed point", "rounded"]:
    if graph.fraction is not None:
        return "fixed point"
    return "exact" if graph.weight_bits is None else "rounded"


def _constant(walk: Walk) -> str:
    """A warning about a network whose output never changes."""
    return (
        f"{type(walk.network).__name__}: {walk.constant}, whatever arrives; the output is "
        "constant: look at the training of the last layers"
    )


def begin(
    network: nn.Module,
    source: Input | None,
    output: str,
    fraction: int | None,
    weight_bits: int = WEIGHT_BITS,
) -> Walk:
    """A walk that has not been run yet, with its arguments checked."""
    if not isinstance(source, Input):
        raise InputError(
            "lower: input: expected hwbnn.Input, what the model takes, such as Input.bits(784) or "
            f"Input.pixels(784), found {'nothing' if source is None else type(source).__name__}"
        )
    if output not in OUTPUTS:
        raise InputError(
            f"lower: output: expected one of {nearest(output, OUTPUTS)}, found {output!r}; for the "
            "k best classes take 'scores' and sort them"
        )
    bits = FRACTION if fraction is None else fraction
    if not isinstance(bits, int) or isinstance(bits, bool) or not 0 <= bits <= FRACTION_LIMIT:
        raise InputError(
            f"lower: fraction: expected an integer from 0 to {FRACTION_LIMIT}, found {fraction!r}"
        )
    if type(weight_bits) is not int or not 2 <= weight_bits <= MOST_BITS:
        raise InputError(
            f"lower: weight_bits: expected an integer from 2 to {MOST_BITS}, found {weight_bits!r}"
        )
    return Walk(network, trace(network), source, output, GraphBuilder(bits, weight_bits))


def checked(walk: Walk) -> Graph:
    """The Graph of a finished walk, once it has been compared with the network."""
    fraction = walk.build.fraction if walk.build.fixed else None
    weight_bits = walk.build.weight_bits if walk.build.rounded else None
    graph = Graph(tuple(walk.nodes), _notes(walk), fraction, weight_bits)
    comparison = compare_walk(walk, graph, probes(walk.source))
    if comparison.differing:
        worst = next(node for node in comparison.nodes if node.differing)
        kind = type(walk.network).__name__
        raise Mismatch(f"lowering {kind}: {worst}; please report this defect")
    return graph


def _notes(walk: Walk) -> dict[str, str]:
    kind = type(walk.network)
    certificates = "; ".join(f"{node}: {text}" for node, text in walk.build.certificates.items())
    fixed = "; ".join(f"{node}: {text}" for node, text in walk.build.fixed.items())
    rounded = "; ".join(f"{layer}: {text}" for layer, text in walk.build.rounded.items())
    return {
        **({"certificates": certificates} if certificates else {}),
        **({"fixed point": fixed} if fixed else {}),
        **({"rounded weights": rounded} if rounded else {}),
        "model": f"{kind.__module__}.{kind.__qualname__}",
        "parameters": f"sha256 {parameter_digest(walk.network)}",
        "reference": f"torch {torch.__version__}, eager, CPU, float32",
        "layers": " ".join(f"{r.node}={r.layer}" for r in walk.remarks),
    }

"""From a file of another framework to the Graph: recognise its format, read it, lower it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from hwbnn.arguments import checked_call
from hwbnn.graph import Graph, Input
from hwbnn.lowering.explanation import Explanation
from hwbnn.lowering.from_program import explain_program, lower_program
from hwbnn.readers import read_program


@checked_call()
def read(
    path: str | Path,
    input: Input | None = None,
    output: Literal["class", "scores", "logits"] = "class",
    *,
    weights: str | Path | None = None,
) -> Graph:
    """The Graph of a network in a file, equal to the file's real-valued network, or an error.

    The kind of the file is recognised by its content: QONNX, FINN-ONNX, a BNN-PYNQ folder, Keras,
    QKeras, Larq. No code of the file is run, and no framework is imported.

    Args:
        path: the file or folder.
        input: the network's input: shape of a sample, channels last; range of the integers; scale
            and offset from these to the numbers that the file's network takes. Needed where the
            format does not define them.
        output: ``"class"``, ``"scores"`` or ``"logits"``, as for :func:`hwbnn.lower`.
        weights: the file of weights, if ``path`` is a ``.json`` file of Keras.

    Returns:
        The Graph; its notes count the pairs of integer and threshold that an executor in float32
        may decide differently.

    Raises:
        InputError: if the file is damaged or of no known kind, or ``input`` is missing or wrong.
        CannotLower: naming the layer that has no exact form, and what to change.
    """
    return lower_program(read_program(path, weights), input, output)


def explain_file(
    path: str | Path,
    input: Input | None = None,
    output: Literal["class", "scores", "logits"] = "class",
    *,
    weights: str | Path | None = None,
) -> Explanation:
    """The lowering of each layer of a file, or where it stops; arguments as for :func:`read`."""
    return explain_program(read_program(path, weights), input, output)

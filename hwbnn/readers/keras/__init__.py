"""Networks of Keras, QKeras and Larq: ``.keras``, ``.h5``, and ``.json`` with weights.

The network's framework is not imported, and no code of the file runs.
:mod:`~hwbnn.readers.keras.saved_model` opens the files,
:mod:`~hwbnn.readers.keras.architecture` reads the layers and their connections,
:mod:`~hwbnn.readers.keras.stored_weights` finds their arrays, and
:mod:`~hwbnn.readers.keras.layers` turns each into layers of a program, with
:mod:`~hwbnn.readers.keras.activation_quantizers` and
:mod:`~hwbnn.readers.keras.weight_quantizers`.
"""

from __future__ import annotations

from pathlib import Path

from hwbnn.program import Program
from hwbnn.readers.keras.architecture import architecture
from hwbnn.readers.keras.layers import program_of
from hwbnn.readers.keras.saved_model import KerasFile, read_file, recognises
from hwbnn.readers.keras.stored_weights import StoredWeights

__all__ = ["NAME", "program", "read", "recognises"]

NAME = "Keras, QKeras or Larq (.keras, .h5, .json with weights)"


def read(path: Path, weights: Path | None) -> Program:
    """The network in a file.

    Args:
        path: a ``.keras``, ``.h5`` or ``.json`` file.
        weights: the weights that belong to a ``.json`` file.

    Raises:
        InputError: if a file is damaged, or one is missing.
        CannotLower: naming a layer that has no exact form, and what to change.
        ToolNotFound: without h5py.
    """
    return program(read_file(path, weights))


def program(file: KerasFile) -> Program:
    """The network of an opened file; raises as :func:`read`."""
    network = architecture(file.config, file.where)
    weights = StoredWeights(file.weights, network.stored)
    return program_of(network, weights, file.generation)

"""QONNX and FINN-ONNX files: quantized networks as Brevitas, qonnx and FINN save them.

:mod:`~hwbnn.readers.onnx.protobuf` reads the bytes, :mod:`~hwbnn.readers.onnx.folding` folds
constants, :mod:`~hwbnn.readers.onnx.network` turns the other nodes into layers of a program. Its
table names the function of each operation: weighted sums are in ``sum_nodes.py``, quantizers in
``quantizer_nodes.py``, pools in ``window_nodes.py``, and so on.
:mod:`~hwbnn.readers.onnx.onnx_translation` has what they share.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hwbnn.errors import InputError
from hwbnn.program import Program
from hwbnn.readers.onnx.network import translate
from hwbnn.readers.onnx.protobuf import MOST_BYTES, is_model, read_model

__all__ = ["NAME", "program", "read", "recognises"]

NAME = "QONNX or FINN-ONNX (.onnx)"


def recognises(path: Path, head: bytes) -> bool:
    """Whether a file begins with the fields of an ONNX model."""
    return is_model(head)


def read(path: Path, weights: Path | None) -> Program:
    """The network in a file.

    Raises:
        InputError: if it is damaged.
        CannotLower: naming a layer that has no exact form, and what to change.
    """
    if weights is not None:
        raise InputError(f"{path}: an ONNX file has its weights inside; give no second file")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: larger than {MOST_BYTES >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return program(data)


def program(data: bytes) -> Program:
    """The network in the bytes of a file; raises as :func:`read`."""
    model = read_model(data)
    finn = any(node.op in ("MultiThreshold", "XnorPopcountMatMul") for node in model.nodes)
    with np.errstate(all="ignore"):  # numbers that are not finite are refused where they are read
        return translate(model, "FINN-ONNX" if finn else "QONNX")

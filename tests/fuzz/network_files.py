"""Networks' files from strangers: read, and lowered where they are small."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from hwbnn.graph import Input
from hwbnn.lowering.from_program import lower_program
from hwbnn.lowering.from_program.program_check import operations
from hwbnn.program import Program
from hwbnn.readers import bnn_pynq
from hwbnn.readers.onnx import program
from tests.fuzz.kinds import FileKind, flipped
from tests.readers.bnn_pynq.folders import write_lfc
from tests.readers.onnx.writer import Model, integer, message, small_conv, small_dense

MOST_OPERATIONS = 1 << 18
"""Multiplications of a network that is lowered too."""


def lowered(made: Program) -> object:
    """The Graph of a program, if it is small."""
    size = sum(int(np.prod(shape)) for shape in made.shapes.values())
    if operations(made) + size > MOST_OPERATIONS:
        return None
    return lower_program(made, made.contract or Input("x", made.shape, -4, 3, scale=0.25))


def read_onnx(data: bytes) -> object:
    """The Graph of an ONNX file."""
    return lowered(program(data))


def grown(data: bytes, rng: np.random.Generator) -> bytes:
    """A file in which a few bytes became the largest or the smallest, or small numbers."""
    changed = bytearray(data)
    for at in rng.integers(0, len(data), int(rng.integers(1, 3))):
        changed[at] = int(rng.choice([0, 1, 127, 128, 255, (changed[at] + 1) % 256]))
    return bytes(changed)


def corpus() -> dict[str, bytes]:
    """Files that ask for much, or for what is not there."""

    def made(extra: bytes) -> bytes:
        model = Model((1, 4), extra=extra)
        model.node("MatMul", "x", np.eye(4, dtype=np.float32))
        return model.bytes()

    deep = b""
    for _ in range(2000):
        deep = message(7, deep)
    return {
        "a tensor of 2^60 elements": made(
            message(5, integer(1, 1 << 30) + integer(1, 1 << 30) + integer(2, 1) + message(8, "w"))
        ),
        "messages inside messages": integer(1, 8) + deep,
        "an image of 2^30 elements": Model((1, 1, 1 << 15, 1 << 15)).bytes(),
        "a name that is no UTF-8": made(message(1, message(2, b"\xff") + message(4, "Relu"))),
        "no nodes": Model((1, 4)).bytes(),
        "text in the place of an integer": made(message(5, message(2, "x"))),
    }


@cache
def folder() -> Path:
    """A BNN-PYNQ folder that stays until the process ends."""
    place = tempfile.TemporaryDirectory()
    _KEPT.append(place)
    path = Path(place.name) / "net"
    write_lfc(path, 0, 2)
    return path


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def in_folder(name: str) -> Callable[[bytes], object]:
    """Reads a folder with one file of other content."""

    def read(data: bytes) -> object:
        file = folder() / name
        good = file.read_bytes()
        file.write_bytes(data)
        try:
            made = bnn_pynq.read(folder(), None)
        finally:
            file.write_bytes(good)
        return made.format, made.shapes[made.output]

    return read


def content(name: str) -> bytes:
    """A file of the folder."""
    return (folder() / name).read_bytes()


def kinds() -> tuple[FileKind, ...]:
    """ONNX files, and the files of a BNN-PYNQ folder."""
    onnx = FileKind(
        "ONNX file",
        (small_dense(), small_conv(first="none")),
        read_onnx,
        changes=(flipped, grown),
        corpus=corpus(),
        same=False,
    )
    names = ("0-0-weights.bin", "1-5-thres.bin", "classes.txt")
    parts = [
        FileKind(
            f"BNN-PYNQ {name}",
            (content(name),),
            in_folder(name),
            changes=(flipped, grown),
            same=False,
            share=0.05,
        )
        for name in names
    ]
    return (onnx, *parts)


KINDS = kinds()

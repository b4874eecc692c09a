"""Networks' files from strangers: read, and lowered where they are small."""

from __future__ import annotations

import json
import os
import re
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from hwbnn.graph import Input
from hwbnn.lowering.from_program import lower_program
from hwbnn.lowering.from_program.program_check import operations
from hwbnn.lowering.probes import probes
from hwbnn.program import Dense, Program, Quantizer
from hwbnn.readers import bnn_pynq
from hwbnn.readers.onnx import program
from hwbnn.readers.onnx.protobuf import read_model
from hwbnn.simulators import simulate
from tests.fuzz.kinds import FileKind, flipped
from tests.readers.bnn_pynq.folders import LFC_FOLDINGS, write_lfc
from tests.readers.onnx.executor import trace
from tests.readers.onnx.writer import (
    Model,
    integer,
    message,
    small_conv,
    small_dense,
    small_finn,
)

FILES = Path(__file__).parent.parent / "readers" / "onnx" / "files"

MOST_OPERATIONS = 1 << 18
"""Multiplications of a network that is lowered too."""


def lowered(made: Program) -> object:
    """The Graph of a program, and the program itself; only of a small one."""
    size = sum(int(np.prod(shape)) for shape in made.shapes.values())
    if operations(made) + size > MOST_OPERATIONS:
        return None
    source = made.contract or Input("x", made.shape, -4, 3, scale=0.25)
    return lower_program(made, source), made


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


def read_folder(data: bytes) -> object:
    """The program of a folder in which some files have other contents, or are missing."""
    changed: dict[str, str | None] = json.loads(data)
    good = {name: (folder() / name).read_bytes() for name in changed if (folder() / name).exists()}
    try:
        for name, text in changed.items():
            if text is None:
                (folder() / name).unlink()
            elif text in ("link", "pipe"):
                (folder() / name).unlink(missing_ok=True)
                if text == "link":
                    (folder() / name).symlink_to("/dev/zero")
                else:
                    os.mkfifo(folder() / name)
            else:
                (folder() / name).write_bytes(bytes.fromhex(text))
        return bnn_pynq.read(folder(), None)
    finally:
        for name in changed:
            (folder() / name).unlink(missing_ok=True)
        for name, content in good.items():
            (folder() / name).write_bytes(content)


def files_change(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three files of a folder damaged, missing, exchanged, renamed, links or pipes."""
    names = sorted(each.name for each in folder().iterdir())
    changed: dict[str, str | None] = {}
    for i in rng.integers(0, len(names), int(rng.integers(1, 4))).tolist():
        name = names[i]
        content, action = (folder() / name).read_bytes(), rng.integers(10)
        if action == 0:
            changed[name] = None
        elif action == 1:
            changed[name] = (folder() / names[int(rng.integers(len(names)))]).read_bytes().hex()
        elif action == 2:
            changed[f"{int(rng.integers(12))}-{int(rng.integers(99))}-thres.bin"] = content.hex()
        elif action == 3:
            changed[name] = ("link", "pipe")[int(rng.integers(2))]
        else:
            changed[name] = (flipped, grown)[action % 2](content, rng).hex()
    return json.dumps(changed).encode()


def holds(data: bytes, found: object) -> bool:
    """See that the program has the words of the changed files, unpacked one by one."""
    assert isinstance(found, Program)
    for name, text in json.loads(data).items():
        match = re.fullmatch(r"([0-3])-([0-9]+)-(weights|thres)\.bin", name)
        if match is None or text in (None, "link", "pipe"):
            continue
        layer, element, content = int(match[1]), int(match[2]), bytes.fromhex(text)
        count, simd = LFC_FOLDINGS[layer]
        if element >= count or (layer == 3 and match[3] == "thres"):
            continue
        words = [int.from_bytes(content[i : i + 8], "little") for i in range(0, len(content), 8)]
        rows = found.by_name[f"{layer}-{match[3]}"]
        if isinstance(rows, Dense):
            own = rows.weights[element::count]
            steps = -(-rows.weights.shape[1] // simd)
            for row, at in zip(own, range(0, len(words), steps), strict=False):
                bits = [words[at + i // simd] >> i % simd & 1 for i in range(len(row))]
                assert row.tolist() == [2 * b - 1 for b in bits]
        elif layer > 0:
            assert isinstance(rows, Quantizer)
            signed = [w - (w >> 63 << 64) for w in words]
            wanted = [sorted(signed[i : i + 2]) for i in range(0, len(signed), 2)]
            assert rows.edges[element::count].tolist() == wanted
    return True


def ordered_as_executed(data: bytes, found: object) -> bool:
    """See that the scores of a small ONNX file are ordered as the tests' executor has its logits.

    Where the file ends in the choice of a class, the classes are compared.

    What the executor does not know, and numbers beyond all measure, say nothing.
    """
    if not isinstance(found, tuple):
        return False
    graph, made = found
    x = probes(graph.input)[:16]
    real = graph.input.reals(x)
    model = read_model(data)
    try:
        with np.errstate(all="ignore"):
            given = real.transpose(0, 3, 1, 2) if real.ndim == 4 else real
            values = trace(model, given, next(n for n in model.inputs if n not in model.constants))
            logits = values[model.outputs[0]]
    except (KeyError, ValueError, IndexError, TypeError):
        return False
    if not np.isfinite(logits).all():
        return False
    logits = np.asarray(logits).reshape(len(x), -1)
    end = model.nodes[-1]
    if end.op in ("TopK", "ArgMax"):
        last = np.asarray(values[end.inputs[0]]).reshape(len(x), -1)
        last = last if end.attributes.get("largest", 1) else -last
        chosen = np.take_along_axis(last, simulate(graph, x).reshape(len(x), -1), axis=1)
        # Of equal logits either class is right: float64 does not see what is tiny beside them.
        assert (last.max(axis=1) - chosen[:, 0] <= 1e-9 * np.abs(last).max(initial=1.0)).all()
        return True
    scores = simulate(lower_program(made, graph.input, "scores"), x).reshape(len(x), -1)
    if logits.shape != scores.shape:
        return False
    for one, other in zip(scores, logits, strict=True):
        falls = np.diff(other[np.argsort(one, kind="stable")]).min(initial=0.0)
        assert falls >= -1e-6 * np.abs(other).max(initial=1.0)
    return True


def kinds() -> tuple[FileKind, ...]:
    """ONNX files of QONNX and of FINN, and BNN-PYNQ folders."""
    onnx = FileKind(
        "ONNX file",
        (small_dense(), small_conv(first="none")),
        read_onnx,
        changes=(flipped, grown),
        corpus=corpus(),
        same=False,
        right=ordered_as_executed,
    )
    finn = FileKind(
        "FINN-ONNX file",
        ((FILES / "ours_finn_dense.onnx").read_bytes(), small_finn()),
        read_onnx,
        changes=(flipped, grown),
        same=False,
        right=ordered_as_executed,
    )
    pynq = FileKind(
        "BNN-PYNQ folder",
        (b"{}",),
        read_folder,
        changes=(files_change,),
        same=False,
        share=0.3,
        right=holds,
    )
    return onnx, finn, pynq


KINDS = kinds()

"""Files of runs and of published networks, from strangers: recipe, history, weights, report."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from hwbnn.assets import assets
from hwbnn.report import Report, page, text
from hwbnn.training import History, Recipe, load_model
from hwbnn.training.folder import CHECKPOINT, finished_epochs
from tests.fuzz.kinds import FileKind, flipped, json_change
from tests.report.sample import report as full_report

DIGITS = assets("models") / "digits"
RECIPE, WEIGHTS = ((DIGITS / name).read_bytes() for name in ("recipe.toml", "model.safetensors"))
REPORTS = tuple((DIGITS / name).read_bytes() for name in ("report.json", "build.json"))


def history() -> bytes:
    layer = {"name": "layers.0", "weights": 64, "error": 0.5, "cosine": None, "flips": 0.1}
    layer |= {"gap": 0.2, "margins": [0.1, 0.2, 0.3, 0.4, 0.5], "gradient": 1.0}
    layer["activation_gradient"] = None
    epoch: dict[str, Any] = {"epoch": 1, "loss": 0.5, "accuracy": 0.9, "held_out": None}
    epoch |= {"learning_rate": 0.01, "seconds": 1.5, "cpu_seconds": 1.25, "layers": [layer]}
    data = {"name": "digits", "origin": "memory", "sha256": "0" * 64, "input": "64 integers"}
    told = {"recipe": "1" * 64, "data": data, "accuracy": 0.9, "test images": 355}
    told |= {"seconds": 1.5, "cpu seconds": 1.25, "settings": {"threads": 1, "accelerator": "cpu"}}
    return json.dumps({**told, "versions": {"torch": "2"}, "epochs": [epoch]}).encode()


def checkpoint() -> bytes:
    stream = io.BytesIO()
    torch.save({"recipe": RECIPE.decode(), "data": "0" * 64, "history": [1, 2]}, stream)
    return stream.getvalue()


def read_report(data: bytes) -> Report:
    report = Report.from_json(data)
    text(report).encode()
    page(report).encode()
    report.to_json().encode()
    return report


def in_folder(name: str, data: bytes) -> tempfile.TemporaryDirectory[str]:
    place = tempfile.TemporaryDirectory(prefix="hwbnn-fuzz-")
    file = Path(place.name) / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    return place


def read_history(data: bytes) -> History:
    with in_folder("history.json", data) as place:
        return History.read(place)


def read_recipe(data: bytes) -> Recipe:
    with in_folder("recipe.toml", data) as place:
        recipe = Recipe.read(Path(place) / "recipe.toml")
        return Recipe.from_toml(recipe.to_toml())


def read_weights(data: bytes) -> None:
    with in_folder("model.safetensors", data) as place:
        (Path(place) / "recipe.toml").write_bytes(RECIPE)
        load_model(place)


def read_checkpoint(data: bytes) -> int:
    with in_folder(CHECKPOINT, data) as place:
        return finished_epochs(place)


def with_number(old: bytes, new: bytes) -> bytes:
    assert old in history()
    return history().replace(old, new)


KINDS = (
    FileKind(
        "report",
        (*REPORTS, full_report().to_json().encode()),
        read_report,
        (flipped, json_change),
        {
            "a lone surrogate": b'{"hwbnn report": 2, "network": "\\ud800", "digest": ""}',
            "a number beyond floats": REPORTS[0].replace(
                b'"value": ', b'"value": ' + b"9" * 400, 1
            ),
            "no UTF-8": b"\xff" + REPORTS[0],
        },
        same=False,
    ),
    FileKind(
        "history",
        (history(),),
        read_history,
        (flipped, json_change),
        {
            "a list": b"[]",
            "deep": b"[" * 100_000,
            "no UTF-8": b"\xff\xfe",
            "an accuracy above 1": with_number(b'"accuracy": 0.9, "test', b'"accuracy": 2, "test'),
            "a huge time": with_number(
                b'"seconds": 1.5, "cpu s', b'"seconds": 1' + b"0" * 999 + b', "cpu s'
            ),
            "a lone surrogate": with_number(b'"digits"', b'"\\ud800"'),
            "settings that are a list": with_number(
                b'{"threads": 1, "accelerator": "cpu"}', b"[3]"
            ),
        },
        same=False,
    ),
    FileKind(
        "recipe",
        (RECIPE,),
        read_recipe,
        corpus={
            "no UTF-8": b"\xff\xfe",
            "a number of thousands of digits": RECIPE + b"\nseed = " + b"9" * 5000,
            "deep": b"x = " + b"[" * 9000,
            "a date": RECIPE.replace(b'data = "digits"', b"data = 2020-01-01"),
        },
        same=False,
    ),
    FileKind(
        "weights",
        (WEIGHTS,),
        read_weights,
        corpus={"nothing": b"", "a header without an end": b"\xff" * 8, "text": b"weights"},
        same=False,
    ),
    FileKind(
        "checkpoint",
        (checkpoint(),),
        read_checkpoint,
        corpus={
            "nothing": b"",
            "a pickle": b"\x80\x04N.",
            "text": b"weights",
            "no zip": b"PK\x03\x04",
        },
        same=False,
    ),
)

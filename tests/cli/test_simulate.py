"""The commands predict and simulate."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hwbnn.graph import Graph
from hwbnn.simulators import simulate
from tests.cli.conftest import Call, refused


@pytest.fixture
def classes(graph: Graph, x: np.ndarray) -> list[int]:
    return simulate(graph, x)[:, 0].tolist()


def test_predict_says_the_classes(
    call: Call, graph_file: Path, x: np.ndarray, classes: list[int]
) -> None:
    np.save("x.npy", x)
    result = call("predict", graph_file, "x.npy", "--out", "classes.csv")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "30 samples classified -> classes.csv"
    assert np.loadtxt("classes.csv", dtype=int).tolist() == classes
    assert json.loads(call("predict", graph_file, "x.npy", "--json").stdout)["classes"] == classes


def test_predict_takes_every_form_of_the_same_samples(
    call: Call, graph_file: Path, x: np.ndarray, classes: list[int]
) -> None:
    np.save("bytes.npy", x.astype(np.uint8))
    np.save("floats.npy", (x / 15).astype(np.float32))
    np.savez("several.npz", train=x[:2], test=x)
    np.savetxt("integers.csv", x, "%d", delimiter=",")
    np.savetxt("floats.csv", x / 15, delimiter=",", header="a,b,c,d,e,f,g,h", comments="")
    for given in (
        ["bytes.npy"],
        ["floats.npy"],
        ["several.npz", "--key", "test"],
        ["integers.csv"],
        ["floats.csv"],
    ):
        result = call("predict", graph_file.parent, *given, "--json")
        assert json.loads(result.stdout)["classes"] == classes, given


def test_predict_counts_right_answers(
    call: Call, graph_file: Path, x: np.ndarray, classes: list[int]
) -> None:
    np.save("x.npy", x)
    wrong = [(classes[0] + 1) % 3, *classes[1:]]
    np.save("labels.npy", wrong)
    facts = json.loads(
        call("predict", graph_file, "x.npy", "--labels", "labels.npy", "--json").stdout
    )
    assert (facts["right"], facts["accuracy"]) == (29, 29 / 30)


def test_simulate_writes_outputs_and_every_value(
    call: Call, graph: Graph, graph_file: Path, x: np.ndarray
) -> None:
    np.save("x.npy", x)
    result = call(
        *("simulate", graph_file, "x.npy", "--engine", "plain"),
        *("--out", "out/y.npy", "--trace", "out/values.npz"),
    )
    assert result.exit_code == 0
    values = simulate(graph, x, trace=True)
    assert np.array_equal(np.load("out/y.npy"), values["y"])
    with np.load("out/values.npz") as written:
        assert set(written.files) == set(values)
        assert all(np.array_equal(written[name], values[name]) for name in values)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 9), int), ["expected a batch of 8", "(3, 9)"]),
        (np.zeros(8, int), ["expected a batch of 8", "(8,)"]),
        (np.full((3, 8), 16), ["from 0 to 15", "16"]),
        (np.full((3, 8), -1), ["from 0 to 15", "-1"]),
        (np.full((3, 8), 1.2), ["floats from 0 to 1", "1.2", "(0, 0)"]),
        (np.full((3, 8), np.nan), ["floats from 0 to 1", "nan"]),
        (np.full((3, 8), "a"), ["expected an array of numbers"]),
        (np.zeros((0, 8), int), ["holds no samples"]),
    ],
)
def test_samples_that_do_not_fit_are_refused(
    call: Call, graph_file: Path, array: np.ndarray, words: list[str]
) -> None:
    np.save("x.npy", array)
    before = sorted(Path().iterdir())
    for command in ("predict", "simulate"):
        refused(call(command, graph_file, "x.npy", "--out", "new/y.npy"), *words)
    assert sorted(Path().iterdir()) == before


def _bomb() -> bytes:
    """A zip whose member says that it holds a thousand times what it does."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        member = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<i8", "fortran_order": False, "shape": (1 << 50,)}
        )
        archive.writestr("x.npy", member.getvalue())
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.npy", b""),
        ("x.npy", b"\x93NUMPY\x01\x00"),
        ("x.npz", b"PK\x03\x04 and no more"),
        ("x.npz", _bomb()),
        ("x.csv", b"1,2,3\n4,5\n"),
        ("x.csv", b"1,2\n3,four\n"),
        ("x.csv", b"\xff\xfe\x00"),
        ("x.csv", b""),
        ("x.csv", b"a,b\n"),
        ("x.txt", b"1,2\n"),
    ],
)
def test_files_that_hold_no_array_are_refused(
    call: Call, graph_file: Path, name: str, content: bytes
) -> None:
    Path(name).write_bytes(content)
    refused(call("predict", graph_file, name), name)


def test_a_pickle_is_never_loaded(call: Call, graph_file: Path) -> None:
    np.save("x.npy", np.array([print], dtype=object), allow_pickle=True)
    refused(call("predict", graph_file, "x.npy"), "x.npy")


def test_what_is_not_there_is_said(call: Call, graph_file: Path, x: np.ndarray) -> None:
    refused(call("predict", graph_file, "none.npy"), "none.npy", "No such file")
    refused(call("predict", "none", "none.npy"), "none: expected a Graph file")
    refused(call("predict", "n" * 300, "none.npy"), "File name too long")
    np.savez("two.npz", a=x, b=x)
    refused(call("predict", graph_file, "two.npz"), "a, b", "--key")
    refused(call("predict", graph_file, "two.npz", "--key", "c"), "'c'", "a, b")
    np.save("x.npy", x)
    refused(call("predict", graph_file, "x.npy", "--labels", "x.npy"), "expected 30 integers")
    refused(call("simulate", graph_file, "x.npy", "--engine", "none"), "'none'", "plain")


def test_places_that_cannot_be_written_are_refused_first(
    call: Call, graph_file: Path, x: np.ndarray
) -> None:
    Path("file").write_text("")
    np.save("x.npy", x)
    for out in ("file/y.npy", "/proc/none/y.npy", "y" * 300 + ".npy"):
        refused(call("predict", graph_file, "x.npy", "--out", out), out, "cannot be written")
    refused(call("predict", graph_file, "x.npy", "--out", "y.txt"), "y.txt", ".npy, .csv")

"""What people do wrong at the command line: each answered in one line that helps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hwbnn.graph import Graph
from tests.cli.conftest import Call, refused

HWBNN = str(Path(sys.executable).parent / "hwbnn")
LONG = "n" * 300
RECIPE = 'network = "digits"\ndata = "digits"\nepochs = 1\ninput = "pixels"\n'
MODEL = """
def make():
    raise ValueError("no weights")

def makes():
    pass
"""


@pytest.fixture
def place(graph_file: Path, x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with good files and bad ones; a good Graph is graph.npz, 30 samples are x.npy."""
    folder = graph_file.parent
    monkeypatch.chdir(folder)
    monkeypatch.delenv("HWBNN_DATA", raising=False)
    np.save("x.npy", x)
    np.save("scores.npy", np.zeros((30, 3), np.int64))
    np.save("probabilities.npy", np.zeros((30, 3)))
    np.save("outside.npy", np.full(30, 3))
    np.save("few.npy", np.zeros(3, np.int64))
    Path("empty.npz").touch()
    Path("empty.npy").touch()
    Path("empty.json").touch()
    Path("binary.npz").write_bytes(bytes(range(256)) * 9)
    Path("binary.toml").write_bytes(b"\xff\xfe" * 40)
    Path("binary.json").write_bytes(b"\xff\xfe" * 40)
    Path("folder.npz").mkdir()
    Path("folder.npy").mkdir()
    Path("others").mkdir()
    Path("run").mkdir()
    Path("run/model.safetensors").touch()
    Path("others/mine.txt").write_text("mine")
    Path("recipe.toml").write_text(RECIPE)
    Path("key.toml").write_text(RECIPE + 'netwrk = "sfc"\n')
    Path("value.toml").write_text(RECIPE + 'schedule = "cosinus"\n')
    Path("raising.py").write_text(MODEL)
    Path("wrong.py").write_text("import nothing_of_this_name\n")
    Path("syntax.py").write_text("def make(:\n")
    Path("endless.npy").symlink_to("/dev/zero")
    return folder


MISTAKES: dict[str, tuple[str, list[str]]] = {
    "command": ("generat sfc", ["no command 'generat'; expected one of generate, "]),
    "option": ("generate graph.npz --out o --intervall 3", ["--intervall", "one of --interval, "]),
    "number": (
        "generate graph.npz --out o --interval fast",
        ["--interval", "valid integer", "--help"],
    ),
    "argument": ("generate --out o", ["GRAPH", "hwbnn generate --help"]),
    "kind of list": ("list method", ["expected one of methods, "]),
    "network": ("predict sfc_adabn x.npy", ["(sfc_adabin, "]),
    "run": ("lower sfc_adabn", ["(sfc_adabin, "]),
    "recipe": ("train lenett --out new", ["(lenet, "]),
    "key of a recipe": ("train key.toml --out run", ["'netwrk'; a recipe has network, "]),
    "value of a recipe": ("train value.toml --out run", ["schedule: expected one of cosine, "]),
    "engine": ("simulate graph.npz x.npy --engine fasst", ["'fasst': expected one of fast, "]),
    "target": ("generate graph.npz --target rlt --out o", ["'rlt': expected one of rtl, hls"]),
    "io": ("generate graph.npz --target hls --io io_sream --out o", ["one of io_stream, "]),
    "family": ("synth graph.npz --family xc77", ["expected one of xc7, xcup, "]),
    "backend": ("verify graph.npz --backends fsat", ["'fsat'", "fast, "]),
    "function": ("lower --model raising:mak", ["'mak'; it has make, "]),
    "code that raises": ("lower --model raising:make", ["ValueError: no weights", "line 3"]),
    "code that imports": ("lower --model wrong:make", ["No module named 'nothing_of_this_name'"]),
    "code that is none": ("lower --model syntax:make", ["SyntaxError", "syntax.py, line 1"]),
    "model for a Graph": ("predict run x.npy", ["holds a trained model", "'hwbnn lower run --out"]),
    "long name of a Graph": (f"predict {LONG} x.npy", ["File name too long"]),
    "long name of a project": (f"verify {LONG}", ["File name too long"]),
    "long name of a run": (f"lower {LONG}", ["File name too long"]),
    "long name of a recipe": (f"train {LONG} --out run", ["File name too long"]),
    "long name of samples": (f"predict graph.npz {LONG}.npy", ["File name too long"]),
    "long name of a report": (f"report {LONG}", ["File name too long"]),
    "long name of a Plan": (f"generate graph.npz --plan {LONG} --out o", ["File name too long"]),
    "long name of a result": (f"generate graph.npz --out {LONG}", ["File name too long"]),
    "long name of a data set": (f"measure sfc --data {LONG}", ["File name too long"]),
    "empty Graph": ("predict empty.npz x.npy", ["empty.npz"]),
    "binary Graph": ("predict binary.npz x.npy", ["binary.npz"]),
    "folder for a Graph": ("predict others x.npy", ["others: expected a Graph file"]),
    "samples for a Graph": ("predict x.npy x.npy", ["x.npy"]),
    "folder for samples": ("predict graph.npz folder.npy", ["folder.npy: is no file"]),
    "device for samples": ("predict graph.npz endless.npy", ["endless.npy: is no file"]),
    "empty samples": ("predict graph.npz empty.npy", ["empty.npy"]),
    "binary recipe": ("train binary.toml --out run", ["binary.toml: not a text in UTF-8"]),
    "binary Plan": ("generate graph.npz --plan binary.json --out o", ["binary.json: not JSON"]),
    "empty Plan": ("generate graph.npz --plan empty.json --out o", ["empty.json: not JSON"]),
    "binary report": ("report binary.json", ["binary.json: not JSON"]),
    "Graph for a report": ("report graph.npz", ["graph.npz: not JSON"]),
    "scores for labels": (
        "predict graph.npz x.npy --labels scores.npy",
        ["30 integers", "shape (30, 3); scores are no labels"],
    ),
    "probabilities for labels": (
        "predict graph.npz x.npy --labels probabilities.npy",
        ["30 integers", "shape (30, 3); scores are no labels"],
    ),
    "labels outside the classes": (
        "predict graph.npz x.npy --labels outside.npy",
        ["outside.npy: expected classes from 0 to 2, found 3 for sample 0"],
    ),
    "too few labels": (
        "predict graph.npz x.npy --labels few.npy",
        ["few.npy", "3 labels and 30 samples"],
    ),
    "file for a folder": ("generate graph.npz --out recipe.toml", ["recipe.toml: is a file"]),
    "file for a run": ("train recipe.toml --out x.npy", ["x.npy: is a file"]),
    "folder for a file": ("predict graph.npz x.npy --out folder.npy", ["is a folder; name a file"]),
    "folder for the Graph": ("lower digits --out folder.npz", ["is a folder; name a file"]),
    "folder of others": ("generate graph.npz --out others", ["others", "'mine.txt'"]),
    "build into others": (
        "build --graph graph.npz --samples x.npy --out others",
        ["others: holds 'mine.txt'"],
    ),
    "labels alone": ("measure digits --labels few.npy", ["--samples besides --labels"]),
    "samples without labels": ("lower digits --samples x.npy", ["--samples and --labels"]),
    "device": ("train recipe.toml --out run --accelerator gpuu", ["gpuu", "gpu"]),
    "precision": ("train recipe.toml --out run --precision 16-mixd", ["one of 16-mixed, "]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.usefixtures("place")
def test_a_mistake_is_answered_in_one_line(call: Call, mistake: str) -> None:
    line, words = MISTAKES[mistake]
    done = call(*line.split())
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    for word in words:
        assert word in last, last
    assert Path("others/mine.txt").read_text() == "mine"


def test_list_alone_names_everything(call: Call) -> None:
    told = call("list").stdout
    for name in ("networks", "lenet", "methods", "adabin", "models", "targets", "data", "mnist"):
        assert name in told


def test_an_unknown_command_is_answered_by_all_of_them(call: Call) -> None:
    line = refused(call("sintetise"), "no command 'sintetise'; expected one of ")
    for name in ("demo", "synth", "doctor"):
        assert f" {name}" in line


def _run(*words: str | bytes, cwd: Path, **options: object) -> subprocess.CompletedProcess[bytes]:
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([HWBNN, *words], cwd=cwd, **given)  # type: ignore[call-overload, no-any-return]


def test_names_that_no_terminal_shows(place: Path) -> None:
    """A name that is not UTF-8 reaches Python as lone surrogates."""
    name = b"x\xff\x1b[31m.npy"
    Path("x.npy").rename(os.fsdecode(name))
    for environment in ({}, {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}):
        env = {**os.environ, **environment}
        out = b"y\xff.npy"
        done = _run("predict", "graph.npz", name, "--out", out, cwd=place, env=env)
        assert (done.returncode, done.stderr) == (0, b"")
        assert Path(os.fsdecode(out)).exists()
        missing = _run("predict", "graph.npz", b"\xff\x1b[31m.npy", cwd=place, env=env)
        assert missing.returncode == 2
        assert missing.stderr.startswith(b"error: ")
        assert b"\x1b" not in done.stdout + missing.stderr


def test_a_full_disk_is_told(place: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = _run("list", "models", cwd=place, stdout=full)
    assert (done.returncode, done.stderr) == (2, b"error: No space left on device\n")


def test_nobody_reads_on(place: Path) -> None:
    """As in ``hwbnn predict ... | head -1``."""
    read, write = os.pipe()
    os.close(read)
    done = _run("list", "models", cwd=place, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_an_interrupt_is_told(place: Path, graph: Graph) -> None:
    code = (
        "import signal, sys, time, hwbnn.cli.app as a, hwbnn.cli as c\n"
        # A shell starts what runs in the background with this signal ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "@a.app.command('slow')\ndef slow():\n    print('on', flush=True); time.sleep(60)\n"
        "sys.argv = ['hwbnn', 'slow']\nc.main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()  # unless interrupted, in a minute
    assert (process.returncode, said) == (130, b"error: interrupted\n")


@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_what_may_not_be_read_or_written_is_told(
    call: Call, place: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root may do everything, the refusal of the system is planted."""

    def refuse(*given: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", "secret")

    monkeypatch.setattr(Path, "read_bytes" if mode == 0 else "write_bytes", refuse)
    refused(call("generate", "graph.npz", "--out", "core"), "Permission denied")

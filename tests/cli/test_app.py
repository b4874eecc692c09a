"""The command line as a whole: help, lists, errors, JSON."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from hwbnn import __version__
from hwbnn.assets import assets
from hwbnn.cli import main
from hwbnn.cli.app import app
from hwbnn.cli.info import plain
from hwbnn.nn import NAMES
from hwbnn.report import BackendFigures, Report
from tests.cli.conftest import Call, refused
from tests.sleepers import SLEEPER, was_ended

COMMANDS = ["demo", "build", "train", "lower", "explain", "measure", "predict", "simulate"]
COMMANDS += [
    "generate",
    "verify",
    "synth",
    "publish",
    "compare",
    "report",
    "list",
    "doctor",
    "export",
]
HWBNN = str(Path(sys.executable).parent / "hwbnn")


def test_every_command_teaches_by_example(call: Call) -> None:
    overview = call("--help").stdout
    for command in COMMANDS:
        assert command in overview
        told = call(command, "--help").stdout
        assert "For example" in told
        assert f"hwbnn {command}" in told
    assert f"hwbnn {__version__}\n" == call("--version").stdout


def test_nothing_asked_is_help(call: Call) -> None:
    assert "Usage" in call().output


@pytest.mark.parametrize("what", ["networks", "methods", "models", "targets", "data"])
def test_list(call: Call, what: str) -> None:
    rows = json.loads(call("list", what, "--json").stdout)[what]
    assert rows
    shown = call("list", what)
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[-1] == f"{what}: {len(rows)}"
    assert all(next(iter(row.values())) in shown.stdout for row in rows)


def test_every_network_that_a_recipe_may_name_is_listed(call: Call) -> None:
    rows = json.loads(call("list", "networks", "--json").stdout)["networks"]
    assert [row["network"] for row in rows] == list(NAMES)
    told = {row["network"]: row["hidden layers"] for row in rows}
    assert (told["tfc"], told["lenet"]) == ("64-64-64", "32C5-P-64C5-P-512")
    assert told["resnet20"] == "16C3-6x16C3-6x32C3-6x64C3, a shortcut per block"


def test_lists_are_plain_text(call: Call) -> None:
    for what in ("methods", "targets"):
        assert "`" not in call("list", what, "--json").stdout
        assert "`" not in call("list", what).stdout
    assert plain("Clips ``w``, see :class:`~hwbnn.graph.Dot` *a*") == "Clips w, see Dot *a*"


def test_errors_leave_json_alone(call: Call) -> None:
    refused(call("list", "colours", "--json"), "colours")
    told = call("list", "--help").stdout.replace("│", " ")
    assert "nothing else; nothing if it fails" in " ".join(told.split())


def test_list_of_what_is_not_known(call: Call) -> None:
    refused(call("list", "colours"), "networks, methods, models, targets, data", "'colours'")


def test_doctor_names_every_tool(call: Call) -> None:
    tools = {tool["name"]: tool for tool in json.loads(call("doctor", "--json").stdout)["tools"]}
    assert tools["torch"]["version"]
    assert tools["vivado"]["get"]
    shown = call("doctor")
    assert shown.exit_code == 0
    assert "verilator" in shown.stdout


def test_bundled_networks_are_known_by_name(call: Call) -> None:
    np.save("x.npy", np.zeros((2, 64), int))
    assert call("predict", "digits", "x.npy").exit_code == 0


def test_report_shows_and_judges(call: Call) -> None:
    good = Report("net", "0" * 64, backends=(BackendFigures("fast", 3, 30, 0),))
    Path("report.json").write_text(good.to_json())
    shown = call("report", ".")
    assert shown.exit_code == 0
    assert "all equal: 30 bits" in shown.stdout
    assert Report.from_json(call("report", "report.json", "--json").stdout) == good
    bad = Report("net", "0" * 64, backends=(BackendFigures("rtl", 3, 30, 1),))
    Path("report.json").write_text(bad.to_json())
    shown = call("report", ".")
    assert shown.exit_code == 1
    assert "WRONG: rtl: 1 of 30 bits differ" in shown.stdout
    Path("report.json").write_text("{}")
    refused(call("report", "."), "report.json: expected a report")
    refused(call("report", "none"), "none")


@pytest.fixture
def broken() -> Iterator[None]:
    @app.command("broken")
    def broken() -> None:
        raise RuntimeError("a defect")

    yield
    app.registered_commands.pop()


@pytest.mark.usefixtures("broken")
def test_a_defect_keeps_its_trace() -> None:
    result = CliRunner().invoke(app, ["broken"])
    assert isinstance(result.exception, RuntimeError)


def test_errors_are_one_line_whatever_they_hold(call: Call) -> None:
    refused(call("predict", "two\nlines", "x.npy"), "two lines")
    refused(call("predict", "[bold]x[/bold]", "x.npy"), "[bold]x[/bold]")


def _hwbnn(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HWBNN, *arguments], cwd=cwd, capture_output=True, text=True)


def test_the_program_itself(graph_file: Path, x: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", x)
    good = _hwbnn("predict", "graph.npz", "x.npy", "--json", cwd=tmp_path)
    assert (good.returncode, good.stderr) == (0, "")
    assert len(json.loads(good.stdout)["classes"]) == len(x)
    bad = _hwbnn("predict", "graph.npz", "nothing.npy", cwd=tmp_path)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr == "error: nothing.npy: cannot be read: No such file or directory\n"
    unknown = _hwbnn("predict", "graph.npz", cwd=tmp_path)
    assert unknown.returncode == 2
    assert "Traceback" not in unknown.stderr


SLOW = """
import signal
import sys
from pathlib import Path
from hwbnn import tools
from hwbnn.cli import main
import hwbnn.cli.app

@hwbnn.cli.app.app.command("slow")
def slow() -> None:
    command = [sys.executable, "-c", SLEEPER]
    tools.run(command, cwd=Path(), on_line=lambda _: print(1, flush=True))

for number in (signal.SIGTERM, signal.SIGHUP):  # which nohup has ignored, and this would inherit
    signal.signal(number, signal.SIG_DFL)
sys.argv = ["hwbnn", "slow"]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_what_a_command_has_started(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-c", f"SLEEPER = {SLEEPER!r}\n{SLOW}"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # the program is there
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == 128 + number
    assert "Traceback" not in said
    assert was_ended(tmp_path)


def test_a_signal_that_is_ignored_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under nohup."""
    taken = []
    given = {signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_IGN}
    monkeypatch.setattr(signal, "getsignal", given.__getitem__)
    monkeypatch.setattr(signal, "signal", lambda number, handler: taken.append(number))
    monkeypatch.setattr(sys, "argv", ["hwbnn", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert taken == [signal.SIGTERM]


def test_commands_are_those_of_the_table() -> None:
    names = [command.name for command in app.registered_commands]
    assert sorted(str(name) for name in names) == sorted(COMMANDS)
    assert isinstance(app, typer.Typer)


def test_report_as_a_page(call: Call) -> None:
    folder = assets("models") / "lenet"
    shown = call("report", str(folder), "--html", "new/page.html")
    assert shown.exit_code == 0, shown.output
    page = Path("new/page.html").read_bytes()
    assert f"page of lenet, {len(page):,} bytes -> new/page.html" in shown.stdout
    # The nodes are those of graph.npz, training is that of report.json, the core of build.json.
    for told in ("conv_1", "Mean loss on the training images", "cycles as predicted"):
        assert told.encode() in page
    assert call("report", str(folder / "build.json"), "--html", "same.html").exit_code == 0
    assert Path("same.html").read_bytes() == page
    refused(call("report", str(folder), "--html", "page.txt"), "expected a name ending in .html")
    bad = Report("net", "0" * 64, backends=(BackendFigures("rtl", 3, 30, 1),))
    Path("report.json").write_text(bad.to_json())
    assert call("report", ".", "--html", "bad.html").exit_code == 1
    assert "NOT equal" in Path("bad.html").read_text()

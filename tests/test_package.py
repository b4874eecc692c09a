"""What ``import hwbnn`` gives, and what it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hwbnn

HEAVY = ("torch", "numba", "hls4ml", "cocotb", "sklearn", "lightning", "typer", "rich")


def _python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_loads_nothing_heavy() -> None:
    _python(
        f"import sys, hwbnn; hwbnn.Graph, hwbnn.simulate, hwbnn.Plan; "
        f"assert not set(sys.modules) & set({HEAVY!r})"
    )


def test_the_command_line_loads_lazily() -> None:
    _python(
        f"import sys, hwbnn.cli.app; "
        f"assert not set(sys.modules) & set({HEAVY[:-2]!r}), set(sys.modules) & set({HEAVY!r})"
    )


@pytest.mark.parametrize("name", hwbnn.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(hwbnn, name) is not None
    assert name in dir(hwbnn)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = hwbnn.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("verb", "package"),
    [
        ("build", "flow"),
        ("lower", "lowering"),
        ("simulate", "simulators"),
        ("train", "training"),
        ("verify", "verification"),
    ],
)
@pytest.mark.parametrize("first", ["import hwbnn.{0}", "import hwbnn; hwbnn.{1}", "import hwbnn"])
def test_a_verb_is_a_function_whichever_is_imported_first(
    first: str, verb: str, package: str
) -> None:
    _python(
        f"import inspect, hwbnn; {first.format(package, verb)}; "
        f"from hwbnn.{package} import {verb} as f; "
        f"assert inspect.isfunction(hwbnn.{verb}) and hwbnn.{verb} is f"
    )


def test_a_verb_calls_its_function() -> None:
    with pytest.raises(hwbnn.HwbnnError, match="simulate: expected a Graph, found NoneType"):
        hwbnn.simulate(None, [])  # type: ignore[call-overload]

"""Small networks become what was recorded, and a comparison finds a change and names it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.unchanged import store
from tests.unchanged.__main__ import main


@pytest.mark.parametrize("network", ["digits", "tfc", "lenet"])
def test_a_network_becomes_what_was_recorded(
    network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "--quick", network]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("rtl folded", "rtl/hwbnn_top.sv"),
        ("hls unrolled io_parallel", "hwbnn_sim.cpp"),
        ("simulate fast", "dot_1"),
        ("estimate folded", "lut"),
    ],
)
def test_one_changed_digest_is_found_and_named(
    section: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "golden.json"
    recorded = store.load(store.GOLDEN)
    assert name in recorded["tfc"][section]
    recorded["tfc"][section][name] = "changed"
    store.save(file, recorded)
    arguments = ["tfc", "--quick", "--sections", section, "--file", str(file)]
    assert main(["compare", *arguments]) == 1
    told = capsys.readouterr().out
    assert f"{name} differs in {section}" in told
    assert "1 digests differ" in told
    assert main(["record", "--names", name, *arguments]) == 0
    assert main(["compare", *arguments]) == 0


def test_what_is_stored_is_what_was_recorded(tmp_path: Path) -> None:
    file = tmp_path / "golden.json"
    recorded = store.load(store.GOLDEN)
    # A file that most projects have, and one of them has not.
    del recorded["tfc"]["rtl folded"]["core.json"]
    store.save(file, recorded)
    assert store.load(file) == recorded


def test_a_name_that_is_no_network_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "tfd"]) == 2
    assert "no network tfd" in capsys.readouterr().out


def test_a_section_that_is_new_or_gone_is_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "golden.json"
    recorded = store.load(store.GOLDEN)
    section = recorded["tfc"].pop("estimate folded")
    recorded["tfc"]["estimate earlier"] = section
    del recorded["tfc"]["rtl xcup"]
    recorded["tfc"]["estimate xcup"] = section  # a netlist form: --quick never makes it
    store.save(file, recorded)
    arguments = ["compare", "tfc", "--file", str(file), "--sections"]
    assert main([*arguments, "estimate [ef]*", "--quick"]) == 1
    told = capsys.readouterr().out
    assert "everything is new in estimate folded: tfc" in told
    assert "everything is gone in estimate earlier: tfc" in told
    assert "estimate xcup" not in told
    assert main([*arguments, "rtl xcup"]) == 1
    told = capsys.readouterr().out
    assert "tfc: not recorded, so not compared: rtl xcup" in told
    assert "nothing was compared" in told


def test_a_network_that_is_gone_is_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unchanged.__main__.MODELS", tmp_path)
    file = tmp_path / "golden.json"
    store.save(file, {"earlier": {"rtl gone": {"a": "b"}}})
    assert main(["compare", "--file", str(file), "--sections", "* gone"]) == 1
    assert "everything is gone in rtl gone: earlier" in capsys.readouterr().out


@pytest.mark.parametrize("more", [["--sections", "rlt *"], ["--missing", "--quick"]])
def test_a_comparison_of_nothing_fails(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "digits", *more]) == 1
    assert "nothing was compared" in capsys.readouterr().out


@pytest.mark.parametrize("network", ["digits", "tfd"])
def test_the_handler_of_the_alarm_is_put_back(network: str) -> None:
    def mine(*_: object) -> None:
        pass

    before = signal.signal(signal.SIGALRM, mine)
    try:
        main(["compare", network, "--sections", "estimate unrolled"])
        assert signal.getsignal(signal.SIGALRM) is mine
    finally:
        signal.signal(signal.SIGALRM, before)

"""The sources of rtl/ and hls/ in a checkout and in a package."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwbnn import assets
from hwbnn.errors import ToolNotFound


@pytest.mark.parametrize(("kind", "suffix"), [("rtl", ".sv"), ("hls", ".h")])
def test_the_sources_are_found_in_a_checkout(kind: str, suffix: str) -> None:
    files = sorted(p for p in assets.assets(kind).iterdir() if p.suffix == suffix)
    assert files
    assert assets.asset(kind, files[0].name) == files[0].read_bytes()


def test_those_in_the_package_come_first_and_their_absence_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "_PACKAGE", tmp_path / "hwbnn")
    find = assets.assets.__wrapped__
    with pytest.raises(ToolNotFound, match=r"the rtl sources are missing .*; install hwbnn again"):
        find("rtl")
    (tmp_path / "rtl").mkdir()
    assert find("rtl") == tmp_path / "rtl"
    (tmp_path / "hwbnn" / "_rtl").mkdir(parents=True)
    assert find("rtl") == tmp_path / "hwbnn" / "_rtl"

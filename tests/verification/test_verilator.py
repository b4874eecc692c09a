"""How designs are compiled by Verilator."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hwbnn.verification.verilator import ONE_FILE, settings


@pytest.mark.parametrize(("files", "several"), [(1, "0"), (ONE_FILE, "0"), (ONE_FILE + 1, "1")])
def test_designs_of_few_files_are_compiled_as_one(files: int, several: str, tmp_path: Path) -> None:
    for i in range(files):
        (tmp_path / f"V{i}.cpp").touch()
    (tmp_path / "V.mk").write_text("VM_PARALLEL_BUILDS = 1\nall:\n\t@echo $(VM_PARALLEL_BUILDS)\n")
    # As Verilator and cocotb's runner call it: from elsewhere.
    command = ["make", "-s", "-C", tmp_path.name, "-f", "V.mk"]
    done = subprocess.run(
        command,
        cwd=tmp_path.parent,
        env=settings(as_one=True),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{several}\n"


def test_what_cocotb_builds_is_not_compiled_as_one() -> None:
    assert "VM_PARALLEL_BUILDS" not in settings()["MAKEFLAGS"]

"""Generated projects on disk: written safely, read, refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hwbnn.errors import InputError
from hwbnn.project import MANIFEST, Project

FILES = {"graph.npz": b"g", "plan.json": b"{}", "rtl/top.sv": b"module top;\n", "empty": b""}
RTL = b'{"target": "rtl"}'
PROJECT = Project("rtl", FILES)
OTHER = Project("rtl", {"graph.npz": b"h", "plan.json": b"{}", "new/deep/file": b"n"})

HOSTILE = ["", "/etc/passwd", "../x", "a/../../x", "a/..", "..", ".", "./a", "a/./b", "a//b", "a/"]
HOSTILE += ["a\\b", "C:x", "~/x", "a b", "a\nb", "a;b", "$(reboot)", "`a`", "[exit]", "{a}", "é"]
HOSTILE += ["a\0b", "\ud800", "-rf\t", "a'b", 'a"b', "a" * 10_000 + "\n"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected a path inside the project") as caught:
        Project("rtl", {**FILES, name: b""})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files if p.name != MANIFEST}


def test_the_files_are_written_as_they_are(tmp_path: Path) -> None:
    assert PROJECT.write(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert contents(tmp_path) == {f"a/b/{name}": content for name, content in FILES.items()}
    assert PROJECT.text("rtl/top.sv") == "module top;\n"


def test_an_empty_folder_and_an_older_project_are_replaced(tmp_path: Path) -> None:
    for project in (PROJECT, OTHER, PROJECT):
        project.write(str(tmp_path / "out"))
        assert contents(tmp_path / "out") == dict(project.files)
    (tmp_path / "empty").mkdir()
    OTHER.write(tmp_path / "empty")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "out"]


@pytest.mark.parametrize(
    "mine", [{"thesis.tex": b"years"}, {"graph.npz": b"g", "recipe.toml": b"r"}, {"plan.json": b""}]
)
def test_a_folder_of_other_files_is_left_alone(tmp_path: Path, mine: dict[str, bytes]) -> None:
    for name, content in mine.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"holds other files .*; name an empty or a new folder"):
        PROJECT.write(tmp_path)
    assert contents(tmp_path) == mine


def test_a_file_is_not_taken_for_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"mine")
    with pytest.raises(InputError, match="holds other files"):
        PROJECT.write(file)
    with pytest.raises(
        InputError, match=r"cannot write the project: (File exists|Not a directory)"
    ):
        PROJECT.write(file / "below")
    assert contents(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_an_impossible_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot write the project: "):
        PROJECT.write(tmp_path / name)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    target = PROJECT.write(tmp_path / "out")
    written = 0
    write_bytes = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        nonlocal written
        written += 1
        if written == failing:
            raise OSError(28, "No space left on device")
        return write_bytes(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"out: cannot write the project: No space left on device"):
        Project("rtl", {**FILES, "graph.npz": b"new"}).write(target)
    assert contents(tmp_path) == {f"out/{name}": content for name, content in FILES.items()}
    assert os.listdir(tmp_path) == ["out"]  # noqa: PTH208  # hidden files too


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failed_exchange_puts_the_old_project_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    target = PROJECT.write(tmp_path / "out")
    renamed = 0
    rename = Path.rename

    def fails(self: Path, other: Path) -> Path:
        nonlocal renamed
        renamed += 1
        if renamed == failing:
            raise PermissionError(13, "Permission denied")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(InputError, match="cannot write the project: Permission denied"):
        OTHER.write(target)
    assert contents(target) == FILES
    assert os.listdir(tmp_path) == ["out"]  # noqa: PTH208


def test_an_interrupted_exchange_puts_the_old_project_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = PROJECT.write(tmp_path / "out")
    rename = Path.rename

    def interrupted(self: Path, other: Path) -> Path:
        if self.name == "project":
            raise KeyboardInterrupt
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        OTHER.write(target)
    assert contents(target) == FILES


def test_the_digest_is_of_names_and_contents() -> None:
    assert Project("rtl", dict(reversed(FILES.items()))).digest == PROJECT.digest
    changed = [
        Project("hls", FILES),
        Project("rtl", {**FILES, "empty": b"\n"}),
        Project("rtl", {**FILES, "empty2": b""}),
        Project("rtl", {("void" if k == "empty" else k): v for k, v in FILES.items()}),
        OTHER,
    ]
    assert len({PROJECT.digest, *(p.digest for p in changed)}) == 1 + len(changed)


def test_a_project_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PROJECT.files["x"] = b""  # type: ignore[index]


def test_a_written_project_is_read_again(tmp_path: Path) -> None:
    for target, core in (("rtl", RTL), ("hls", b'{"target": "hls"}')):
        project = Project(target, {**FILES, "core.json": core})
        again = Project.read(project.write(tmp_path / target))
        assert (again.target, again.digest) == (target, project.digest)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"core.json": b"{}"},
        {"graph.npz": b"g"},
        {"graph.npz": b"g", "core.json": b"{"},
        {"graph.npz": b"g", "core.json": b"[]"},
        {"graph.npz": b"g", "core.json": b'{"target": 1}'},
        {"graph.npz": b"g", "core.json": b"[" * 100_000},
    ],
)
def test_a_folder_without_a_project_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=str(tmp_path)) as caught:
        Project.read(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_links_are_not_followed_on_reading(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    folder = Project("rtl", {**FILES, "core.json": b'{"target": "rtl"}'}).write(
        tmp_path / "project"
    )
    (folder / "link").symlink_to(tmp_path / "secret")
    assert "link" not in Project.read(folder).files


def test_a_file_of_the_users_keeps_a_project_from_being_replaced(tmp_path: Path) -> None:
    folder = Project("rtl", FILES).write(tmp_path / "core")
    (folder / "rtl" / "mine.sv").write_text("module mine; endmodule\n")
    with pytest.raises(InputError, match=r"holds other files \('rtl/mine.sv'\)"):
        OTHER.write(folder)
    assert (folder / "rtl" / "mine.sv").is_file()
    (folder / "rtl" / "mine.sv").unlink()
    OTHER.write(folder)
    assert not (folder / "rtl" / "top.sv").exists()


def test_what_vitis_leaves_beside_rtl_and_reports_is_no_part_of_a_project(tmp_path):
    folder = PROJECT.write(tmp_path / "project")
    (folder / "core.json").write_text('{"target": "hls"}')
    kept = ("impl/verilog/top.v", "impl/verilog/rom.dat", "syn/verilog/top.v", "syn/report/top.xml")
    others = (".autopilot/db/a b.bc", "impl/ip/top.zip", "solution1.log", "syn/vhdl/top.vhd")
    for name in kept + others:
        file = folder / "top_prj" / "solution1" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("vitis")
    (folder / "vitis.log").write_text("said")
    found = set(Project.read(folder).files)
    assert found == {*PROJECT.files, "core.json"} | {f"top_prj/solution1/{n}" for n in kept}


def test_what_scripts_of_a_project_build_is_no_part_of_it(tmp_path: Path) -> None:
    project = Project("rtl", {"core.json": b'{"target": "rtl"}', "graph.npz": b"g"})
    folder = project.write(tmp_path / "p")
    for name in ("build/a.out", "sim/__pycache__/test_core.pyc"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"x")
    assert Project.read(folder).digest == project.digest
    project.write(folder)
    assert not (folder / "build").exists()
    (tmp_path / "other" / "build").mkdir(parents=True)
    (tmp_path / "other" / "build" / "mine").write_bytes(b"x")
    with pytest.raises(InputError, match="holds other files"):
        project.write(tmp_path / "other")

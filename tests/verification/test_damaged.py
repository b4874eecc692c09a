"""Projects that were damaged or forged, case by case; :mod:`tests.fuzz` goes through many more."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from hwbnn.errors import InputError
from hwbnn.project import Project
from hwbnn.verification import Core, hls, verify
from tests.fuzz.projects import PROJECTS


def read(kind, project):
    PROJECTS[kind][1](project)


@pytest.mark.parametrize("kind", PROJECTS)
def test_a_project_that_is_sound_is_read(kind):
    read(kind, PROJECTS[kind][0])


@pytest.mark.parametrize("kind", PROJECTS)
def test_a_missing_file_is_named(kind):
    for file in ("core.json", "plan.json", "graph.npz"):
        if kind == "hls" and file == "plan.json":
            continue  # C simulation needs none
        files = {name: f for name, f in PROJECTS[kind][0].files.items() if name != file}
        with pytest.raises(InputError, match=file):
            read(kind, replace(PROJECTS[kind][0], files=files))


def test_other_targets_are_refused_by_name(tmp_path):
    project = PROJECTS["rtl"][0]
    about = json.loads(project.text("core.json"))
    assert about["target"] == "rtl"
    for target, message in (
        (None, "expected an object that names its target, found 'None'"),
        ("RTL; rm", "expected an object that names its target, found 'RTL; rm'"),
        (3, "expected an object that names its target, found '3'"),
    ):
        said = {**about, "target": target}
        if target is None:
            del said["hwbnn core"]
        PROJECTS["rtl"][0].write(tmp_path)
        (tmp_path / "core.json").write_text(json.dumps(said))
        with pytest.raises(InputError, match=message):
            Project.read(tmp_path)
    with pytest.raises(InputError, match="expected one of the target 'rtl', found 'hls'"):
        Core.of(PROJECTS["hls"][0])


def test_a_core_of_an_earlier_version_is_an_rtl_core(tmp_path):
    about = json.loads(PROJECTS["rtl"][0].text("core.json"))
    del about["target"]
    PROJECTS["rtl"][0].write(tmp_path)
    (tmp_path / "core.json").write_text(json.dumps(about))
    assert Project.read(tmp_path).target == "rtl"


def test_c_simulation_refuses_other_traces_than_those_of_its_library():
    """They would be written into memory of another size."""
    project = PROJECTS["hls"][0]
    about = json.loads(project.text("core.json"))
    for trace in (about["trace"][:-1], about["trace"] * 2, about["trace"][::-1]):
        said = json.dumps({**about, "trace": trace}).encode()
        with pytest.raises(InputError, match="traces other values"):
            hls._read(replace(project, files={**project.files, "core.json": said}))


def test_verify_names_what_is_wrong_in_a_project():
    project = PROJECTS["rtl"][0]
    x = np.zeros((1, 5), np.int64)
    about = {**json.loads(project.text("core.json")), "framing": {"mode": "packet"}}
    files = {**project.files, "core.json": json.dumps(about).encode()}
    with pytest.raises(InputError, match=r"framing 'packet', plan\.json has 'batch'"):
        verify(replace(project, files=files), x, backends=["rtl"])

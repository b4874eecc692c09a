"""hwbnn_axis_tags in cores: each result bears the tag of its frame, and no cycle is lost."""

from __future__ import annotations

import re

import pytest

from hwbnn.project import Project
from tests.targets.ip_cores import core, make

pytestmark = pytest.mark.hardware
TAGS = {"tid_bits": 5, "tdest_bits": 3, "tuser_bits": 17}


@pytest.mark.parametrize("framing", ["packet", "counted", "batch"])
def test_results_bear_the_tags_of_their_frames(framing, tmp_path):
    folder = core(framing, tags=TAGS, vectors=5).write(tmp_path / "core")
    status, said = make(folder, "cocotb")  # the tags; every beat has another one
    assert status == 0, said
    status, said = make(folder, "icarus")  # the cycles
    assert status == 0, said
    status, said = make(folder, "lint")
    assert status == 0, said


FAULTS = {
    "the tag of the last beat": (
        "packet", r"valid_i\(moves && first_q\)", "valid_i(moves && s_axis_tlast)",
    ),
    "a tag for each packet": ("batch", r"\.Counted\(1'b1\)", ".Counted(1'b0)"),
    "a tag for each beat of a result": (
        "packet", r"result_moves && result_ends\)", "result_moves)",
    ),
    "a frame is counted on after a short packet": (
        "batch", r"\(moves\) count_q <= last_beat \|\| \(Packets && s_axis_tlast\) \?",
        "(moves) count_q <= last_beat ?",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault, tmp_path):
    framing, there, instead = FAULTS[fault]
    project = core(framing, tags=TAGS, vectors=5)
    files, count = dict(project.files), 0
    for name in ("rtl/hwbnn_axis_tags.sv", "rtl/my_top.sv"):
        text, n = re.subn(there, lambda _: instead, files[name].decode())
        files[name], count = text.encode(), count + n
    assert count == 1
    status, said = make(Project("rtl", files).write(tmp_path / "core"), "cocotb")
    assert status != 0
    assert re.search("tid|no beat|has no tag", said)

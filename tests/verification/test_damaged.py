"""Projects that were damaged or forged: one clear line each, whatever is in their files."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import replace

import numpy as np
import pytest

from hwbnn.errors import HwbnnError, InputError
from hwbnn.flow.design import design, netlist_family
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.targets import generate
from hwbnn.verification import Core, hls, verify
from hwbnn.verification.exported import exported
from tests.strategies import random_graph, random_plan
from tests.verification import stand_in
from tests.verification.test_exported import PLAN, network

ROUNDS = 250
ODD = (
    *(None, True, -1, 0, 1, 3, 1 << 39, 1 << 80, 10**400, 0.5, 1e308, float("inf"), float("nan")),
    *("", "x", "rtl", "reg", "y_3", "\udce4", "a" * 5000, "../../etc", "x; rm -rf ~", "`id`"),
    *([], [[]], {}, {"": None}, ["rtl/hwbnn_top.sv"] * 3, {"mode": []}),
)
"""What a field of a JSON file is replaced by."""


def projects():
    graph = random_graph(3, max_width=20)
    made = generate(network("class"), "hls", PLAN, io="io_stream")
    vitis = stand_in.exported(network("class"), PLAN).items()
    files = {f"{stand_in.RTL}/{name}": text.encode() for name, text in vitis}
    return {
        "rtl": generate(graph, "rtl", replace(random_plan(3, graph), framing="batch")),
        "hls": generate(graph, "hls", Plan()),
        "vitis": replace(made, files={**made.files, **files}),
    }


PROJECTS = projects()


def places(value, path=()):
    """The way to each part of parsed JSON."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))
        else:
            yield (*path, key)


def forged(text, rng):
    """JSON with one to three fields replaced, dropped, doubled or renamed."""
    about = json.loads(text)
    for _ in range(rng.randint(1, 3)):
        path = rng.choice([p for p in places(about) if p] or [()])
        if not path:
            return json.dumps(rng.choice(ODD))
        holder = about
        for key in path[:-1]:
            holder = holder[key]
        change = rng.randrange(4)
        if change == 0:
            del holder[path[-1]]
        elif change == 1 and isinstance(holder, dict):
            holder[rng.choice([k for k in ODD if isinstance(k, str)])] = holder.pop(path[-1])
        elif change == 2 and isinstance(holder[path[-1]], int):
            holder[path[-1]] += rng.choice((-1, 1, 7))
        else:
            holder[path[-1]] = copy.deepcopy(rng.choice(ODD))
    return json.dumps(about)


def damaged(content, rng):
    """Bytes flipped, cut off, doubled or put in."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) or 1)
        change = rng.randrange(4)
        if change == 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif change == 1:
            del data[at:]
        elif change == 2:
            data[at:at] = data[at : at + rng.randrange(40)]
        else:
            data[at:at] = rng.choice((b"\xff", b"\0", b"[" * 9000, b"1e999", b'"'))
    return bytes(data)


def read(kind, project):
    """All that reads a project's description, short of running a compiler."""
    if kind == "rtl":
        core = Core.of(project)
        design(project)
        netlist_family(project)
        core.pack(np.full((1, *core.graph.input.shape), core.graph.input.low))
        core.unpack(np.zeros(core.output.tokens * core.output.bytes, np.uint8))
    elif kind == "hls":
        hls._read(project)
    else:
        exported(project)


def refusal(function, *arguments):
    """What it is refused with; None if it is taken. Any other exception is a defect."""
    try:
        function(*arguments)
    except HwbnnError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", PROJECTS)
def test_a_project_that_is_sound_is_read(kind):
    read(kind, PROJECTS[kind])


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        (kind, file)
        for kind in PROJECTS
        for file in ("core.json", "plan.json", "graph.npz")
        if (kind, file) != ("hls", "plan.json")  # C simulation reads none
    ],
)
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_line(kind, file):
    project, rng = PROJECTS[kind], random.Random(f"{kind} {file}")
    refused = 0
    for _ in range(ROUNDS):
        if file.endswith(".json") and rng.random() < 0.7:
            content = forged(project.text(file), rng).encode(errors="surrogatepass")
        else:
            content = damaged(project.files[file], rng)
        broken = replace(project, files={**project.files, file: content})
        said = refusal(read, kind, broken)
        refused += said is not None
        assert len((said or "").splitlines()) <= 1
        assert len(said or "") < 500
    assert refused > ROUNDS // 5


@pytest.mark.parametrize("kind", PROJECTS)
def test_a_folder_with_such_a_file_is_read_or_refused_in_one_line(kind, tmp_path):
    rng = random.Random(kind)
    PROJECTS[kind].write(tmp_path / "project")
    file = tmp_path / "project/core.json"
    sound = file.read_bytes()
    for i in range(60):
        forge = i % 2 and forged(sound.decode(), rng).encode(errors="surrogatepass")
        file.write_bytes(forge or damaged(sound, rng))
        said = refusal(Project.read, tmp_path / "project")
        assert len((said or "").splitlines()) <= 1


@pytest.mark.parametrize("kind", PROJECTS)
def test_a_missing_file_is_named(kind):
    for file in ("core.json", "plan.json", "graph.npz"):
        if kind == "hls" and file == "plan.json":
            continue  # C simulation needs none
        files = {name: f for name, f in PROJECTS[kind].files.items() if name != file}
        with pytest.raises(InputError, match=file):
            read(kind, replace(PROJECTS[kind], files=files))


def test_other_targets_are_refused_by_name(tmp_path):
    project = PROJECTS["rtl"]
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
        PROJECTS["rtl"].write(tmp_path)
        (tmp_path / "core.json").write_text(json.dumps(said))
        with pytest.raises(InputError, match=message):
            Project.read(tmp_path)
    with pytest.raises(InputError, match="expected one of the target 'rtl', found 'hls'"):
        Core.of(PROJECTS["hls"])


def test_a_core_of_an_earlier_version_is_an_rtl_core(tmp_path):
    about = json.loads(PROJECTS["rtl"].text("core.json"))
    del about["target"]
    PROJECTS["rtl"].write(tmp_path)
    (tmp_path / "core.json").write_text(json.dumps(about))
    assert Project.read(tmp_path).target == "rtl"


def test_c_simulation_refuses_other_traces_than_those_of_its_library():
    """They would be written into memory of another size."""
    project = PROJECTS["hls"]
    about = json.loads(project.text("core.json"))
    for trace in (about["trace"][:-1], about["trace"] * 2, about["trace"][::-1]):
        said = json.dumps({**about, "trace": trace}).encode()
        with pytest.raises(InputError, match="traces other values"):
            hls._read(replace(project, files={**project.files, "core.json": said}))


def test_verify_names_what_is_wrong_in_a_project():
    project = PROJECTS["rtl"]
    x = np.zeros((1, 5), np.int64)
    about = {**json.loads(project.text("core.json")), "framing": {"mode": "packet"}}
    files = {**project.files, "core.json": json.dumps(about).encode()}
    with pytest.raises(InputError, match=r"framing 'packet', plan\.json has 'batch'"):
        verify(replace(project, files=files), x, backends=["rtl"])

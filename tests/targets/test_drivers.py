"""The drivers of a core, in Python and C, with its RTL in simulation; planted faults are found."""

from __future__ import annotations

import ctypes
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hwbnn.graph import ArgMax, Graph, Output
from hwbnn.project import Project
from hwbnn.simulators import simulate
from hwbnn.targets import generate
from rtl_tests.driver_run import compiled, library, run_drivers
from tests.targets.ip_cores import PLAN, core, network
from tests.thorough import some

FRAMES = 24


def small(result="class", **options):
    """A small core with its Graph: a class in one beat, or ten scores in several."""
    graph = network()
    if result == "class":
        graph = Graph((*graph.nodes[:-1], ArgMax("a", "d2"), Output("y", "a")))
        options["output_beat"] = 8
    plan = replace(PLAN, input_beat=32, **options)
    return graph, generate(graph, "rtl", plan, name="my", vectors=1)


class Simulations:
    """Compiled cores: one for each design, since a fault in a driver changes no RTL."""

    def __init__(self, folder):
        self.folder, self.built = folder, {}

    def of(self, project):
        rtl = project.text("core.json")
        if rtl not in self.built:
            self.built[rtl] = compiled(project, self.folder / str(len(self.built)))
        return self.built[rtl]


@pytest.fixture(scope="module")
def simulations(tmp_path_factory):
    return Simulations(tmp_path_factory.mktemp("cores"))


def samples(graph, count=FRAMES, seed=3):
    t = graph.types[graph.input.name]
    return np.random.default_rng(seed).integers(t.low, t.high + 1, (count, *t.shape))


@pytest.mark.hardware
@pytest.mark.parametrize(
    ("result", "options"),
    [
        ("class", {"framing": "batch", "control": "axi4lite"}),
        ("scores", {"framing": "batch"}),
        ("scores", {"control": "axi4lite"}),
        ("class", {"framing": "counted"}),
    ],
)
def test_both_drivers_are_right_and_find_what_is_wrong(result, options, simulations, tmp_path):
    graph, project = small(result, **options)
    x = samples(graph)
    failed, said = run_drivers(
        project, simulations.of(project), tmp_path, x, simulate(graph, x), batch=4, faults=True
    )
    assert not failed, said[-3000:]
    several = options.get("framing") == "batch" and result == "class"
    assert f"python: 0 of {FRAMES} frames differ, {4 if several else 1} frames" in said
    assert f"c: 0 of {FRAMES} frames differ" in said


FAULTS = {
    # the file, what is there, what is there instead, the test that fails
    "python does not invalidate": (
        "hwbnn_core.py", r"channel\.wait\(\)  #.*", "pass", "python_gives_every_result",
    ),
    "python packs from the high bits": (
        "hwbnn_core.py", r'packbits\(beats, axis=-1, bitorder="little"',
        'packbits(beats, axis=-1, bitorder="big"', "python_gives_every_result",
    ),
    "python does not look at the length": (
        "hwbnn_core.py", r"if got != wanted:", "if False:", "another_build_is_found_out",
    ),
    "python does not read the build": (
        "hwbnn_core.py", r"if build != self\.build:", "if False:", "another_build_is_found_out",
    ),
    "python forgets the flag": (
        "hwbnn_core.py", r'self\.read\("STATUS"\) & 1:', "False:",
        "an_error_stays_until_it_is_cleared",
    ),
    "c does not flush": (
        "hwbnn_driver.c", r"core->platform\.flush\([^;]*send[^;]*;", "", "c_gives_every_result",
    ),
    "c does not invalidate": (
        "hwbnn_driver.c", r"core->platform\.invalidate\([^;]*;", "", "c_gives_every_result",
    ),
    "c sends before it can receive": (
        "hwbnn_driver.c", r"start\(core, RECEIVE, core->receive\.address, frames \* out_bytes\);",
        "start(core, RECEIVE, core->receive.address, out_bytes);", "c_gives_every_result",
    ),
    "c does not look at the length": (
        "hwbnn_driver.c", r"return HWBNN_SHORT;", "return HWBNN_OK;", "another_build_is_found_out",
    ),
    "c clears nothing": (
        "hwbnn_driver.c", r"HWBNN_CONTROL__CONTROL__CLEAR_ERROR_bm\)", "0)",
        "an_error_stays_until_it_is_cleared",
    ),
}  # fmt: skip


@pytest.mark.hardware
@pytest.mark.parametrize("fault", some(list(FAULTS)))
def test_a_fault_in_a_driver_is_found(fault, simulations, tmp_path):
    file, there, instead, test = FAULTS[fault]
    graph, project = small(framing="batch", control="axi4lite")
    text, count = re.subn(there, lambda _: instead, project.text(f"drivers/{file}"))
    assert count == 1, f"{file}: {there} is there {count} times"
    broken = Project("rtl", {**project.files, f"drivers/{file}": text.encode()})
    x = samples(graph, 8)
    failed, _ = run_drivers(
        broken,
        simulations.of(project),
        tmp_path,
        x,
        simulate(graph, x),
        batch=4,
        faults=True,
        test=test,
    )
    assert failed == [test]


def test_the_python_driver_packs_as_the_vectors_are_packed(tmp_path):
    """Independent of the simulation: the beats in the folder, which the benches send."""
    from hwbnn.targets.ip.driver_files.hwbnn_core import FrameLayout
    from hwbnn.verification import Core

    for project in (core(), small("scores")[1], small()[1]):
        said = json.loads(project.text("core.json"))
        known = Core.of(project)
        x = samples(known.graph, 5)
        layout = FrameLayout(said["input"], "input")
        assert np.array_equal(layout.pack(x), known.pack(x).reshape(5, -1))
        out = FrameLayout(said["output"], "output")
        rng = np.random.default_rng(1)
        t = known.graph.types[known.output.value]
        y = rng.integers(t.low, t.high + 1, (5, *t.shape))
        beats = known.output.pack(y)
        assert np.array_equal(out.unpack(beats.reshape(5, -1)), y)


class Simulated:
    """The DMA of pynq in front of a core that the simulator computes; transfers end at once."""

    def __init__(self, project):
        from hwbnn.verification import Core

        self.core, self.sizes, self.target = Core.of(project), [], None
        ended = {"idle": True, "error": False, "wait": lambda: None}
        self.sendchannel = SimpleNamespace(transfer=self.send, **ended)
        self.recvchannel = SimpleNamespace(transfer=self.receive, transferred=0, **ended)

    def receive(self, buffer, _, size):
        self.target = buffer[:size]

    def send(self, buffer, _, size):
        core, graph = self.core, self.core.graph
        beats = buffer[:size].reshape(-1, core.input.bytes)
        y = core.output.pack(simulate(graph, core.input.unpack(beats, graph.types["x"])))
        self.sizes.append(len(y))
        self.target[:] = y.ravel()
        self.recvchannel.transferred = y.size


@pytest.mark.parametrize("framing", ["packet", "batch"])
def test_the_python_driver_sends_any_number_of_frames_in_transfers(framing, tmp_path):
    from hwbnn.targets.ip.driver_files.hwbnn_core import Accelerator, CoreError

    graph, project = small(framing=framing)
    dma = Simulated(project)
    (tmp_path / "core.json").write_text(project.text("core.json"))
    overlay = SimpleNamespace(dma=dma)
    driver = Accelerator(overlay, tmp_path / "core.json", allocate=np.zeros, batch=10)
    x = samples(graph)
    assert np.array_equal(driver.run(x), simulate(graph, x))
    assert dma.sizes == ([10, 10, 4] if framing == "batch" else [1] * FRAMES)
    assert driver.run(x[:0]).shape == (0, *graph.types["y"].shape)
    assert driver.classify(x[:3]).tolist() == simulate(graph, x[:3])[:, 0].tolist()
    dma.sizes.clear()
    x[-1, -1] = 16
    with pytest.raises(CoreError, match="expected values from 0 to 15, found 0 to 16"):
        driver.run(x)
    assert not dma.sizes  # nothing was sent


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"hwbnn core": 1, "output": {"result": "class"}}', '{"hwbnn core": 1}'],
)
def test_a_damaged_core_json_is_refused_in_one_line(text, tmp_path):
    from hwbnn.targets.ip.driver_files.hwbnn_core import Accelerator, CoreError

    (tmp_path / "core.json").write_text(text)
    overlay = SimpleNamespace(dma=SimpleNamespace())
    with pytest.raises(CoreError, match=r"core\.json: no core\.json of a core"):
        Accelerator(overlay, tmp_path / "core.json", allocate=np.zeros)


@pytest.mark.hardware
def test_the_platform_of_linux_maps_registers_and_buffer(tmp_path):
    """Plain files stand for the devices of UIO and u-dma-buf."""
    _, project = small(control="axi4lite")
    folder = project.write(tmp_path / "core")
    built = ctypes.CDLL(str(library(folder, "my")), use_errno=True)
    built.hwbnn_text.restype = ctypes.c_char_p
    sysfs = tmp_path / "sysfs"
    sysfs.mkdir()
    (sysfs / "phys_addr").write_text("0x0000000012340000\n")
    (sysfs / "size").write_text("65536\n")
    devices = {}
    for name, size in (("dma", 4096), ("control", 4096), ("buffer", 65536)):
        devices[name] = tmp_path / name
        devices[name].write_bytes(bytes(size))
    build = json.loads(project.text("core.json"))["build"]
    words = [0x4857424E, 1 << 16, int(build[:8], 16), int(build[8:], 16)]
    devices["control"].write_bytes(np.array(words, "<u4").tobytes() + bytes(4080))

    def opened(control=devices["control"], folder=sysfs):
        handle = ctypes.create_string_buffer(256)
        paths = (devices["dma"], control, devices["buffer"], folder)
        given = [None if p is None else str(p).encode() for p in paths]
        about = ctypes.c_char.in_dll(built, "described")
        status = built.hwbnn_linux_open(handle, ctypes.byref(about), *given)
        return status, handle

    status, handle = opened()
    assert status == 0
    words = np.zeros(64, np.int32)
    text = built.hwbnn_text
    assert (
        text(built.hwbnn_run(handle, words.ctypes.data_as(ctypes.c_void_p), None, 0)) == b"no error"
    )
    (sysfs / "size").write_text("2\n")  # which holds no frame
    status, handle = opened()
    refused = built.hwbnn_run(handle, words.ctypes.data_as(ctypes.c_void_p), None, 1)
    assert text(refused) == b"a buffer does not hold one frame"
    (sysfs / "size").write_text("65536\n")
    for control, where in ((None, sysfs), (tmp_path / "missing", sysfs)):
        assert opened(control, where)[0] == -1
    (sysfs / "size").write_text("many\n")
    assert opened()[0] == -1

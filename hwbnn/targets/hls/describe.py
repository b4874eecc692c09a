"""The files of an HLS project that hls4ml does not write."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwbnn.estimate.goals import mhz
from hwbnn.graph import Graph
from hwbnn.simulators import simulate
from hwbnn.targets.hls.calls import FORK, NETWORK, TOP, Call, Site
from hwbnn.targets.hls.packed_ports import PackedPort
from hwbnn.targets.hls.top_function import BENCH_INPUT, BENCH_OUTPUT
from hwbnn.targets.meaning import meaning_for_programs

FRAMES = 8
"""Frames of the test bench."""
BENCH_ELEMENTS = 1 << 21
"""Limit of the elements of those frames together; large frames are fewer, but at least one."""
SUMS = ("Dot", "Neurons", "Conv2d", "ConvNeurons")
"""Kinds of calls that a Plan folds."""


def core(site: Site, calls: tuple[Call, ...], x: PackedPort, y: PackedPort) -> dict[str, Any]:
    """The contents of ``core.json``, the description of the project for programs.

    ``trace`` has one entry for each slot of the C simulation: the value, the number of its
    elements, and whether they are bits. ``fused`` maps each value that no trace shows to the value
    whose call computes it.
    """
    graph, ports = site.graph, {}
    for kind, port in (("input", x), ("output", y)):
        t = site.type(port.value)
        ports[kind] = {
            "port": port.name,
            "value": port.value,
            "elements": port.elements,
            "word": port.bits,
            "lanes": port.lanes,
            "beats": port.beats,
            "width": t.width,
            "signed": t.signed,
            "bit": t.bit,
        }
    ports["output"] |= meaning_for_programs(graph)
    return {
        "target": "hls",
        "top": TOP,
        "clock": {"period_ns": site.plan.clock_ns, "mhz": mhz(site.plan.clock_ns)},
        "part": {"name": site.plan.device, "stated": site.plan.part is not None},
        "io": site.io,
        **ports,
        "order": "element k * lanes + i of a frame is bits [i * width +: width] of word k",
        "trace": [
            {
                "value": s.value,
                "elements": graph.types[s.value].size,
                "bit": graph.types[s.value].bit,
            }
            for s in calls[:-1]
            if s.kind != FORK
        ],
        "fused": {name: s.value for s in calls for name in s.fused},
        "reuse": {s.value: s.reuse for s in calls if s.kind in SUMS},
    }


def bench_data(graph: Graph) -> dict[str, bytes]:
    """The input and output frames of the test bench, one a line, for C and RTL simulation."""
    t = graph.types[graph.input.name]
    rng = np.random.default_rng(int(graph.digest[:16], 16))
    frames = max(1, min(FRAMES, BENCH_ELEMENTS // t.size))
    x = rng.integers(t.low, t.high, (frames, *t.shape), endpoint=True)
    y = simulate(graph, x)
    return {
        BENCH_INPUT: _lines(x),
        BENCH_OUTPUT: _lines(y),
    }


def _lines(frames: np.ndarray[Any, Any]) -> bytes:
    flat = frames.reshape(len(frames), -1).astype(np.int64).tolist()
    return "".join(" ".join(map(str, frame)) + "\n" for frame in flat).encode()


def readme(about: dict[str, Any], bench: dict[str, bytes]) -> str:
    """The project's README: what it is, its ports, one frame of it, how to run it."""
    x, y = about["input"], about["output"]
    frame = bench[BENCH_INPUT].decode().splitlines()[0].split()
    result = bench[BENCH_OUTPUT].decode().splitlines()[0].split()
    meaning = ""
    if y.get("meaning") == "logits":
        meaning = f"\nAn element y stands for the logit {y['scale']!r} * y + {y['offset']!r}.\n"
    fused = ", ".join(f"`{a}` into `{b}`" for a, b in about["fused"].items()) or "none"
    return f"""\
# {TOP}: an hls4ml project

Made by hwbnn from `graph.npz` under `plan.json`, as an hls4ml 1.3.0 project of the Vitis backend,
`{about["io"]}`. The top function is `{TOP}` in `firmware/{TOP}.cpp`: it converts the packed words
of its ports to elements, and calls hls4ml's function `{NETWORK}` in `firmware/{NETWORK}.cpp`. That
calls the functions of `firmware/nnet_utils/hwbnn*.h`, one a node. `core.json` says the same as
this file to programs.

| port | value | elements | of | in |
|---|---|---|---|---|
{_port_row(x)}
{_port_row(y)}
{meaning}
Element k * lanes + i of a frame is in bits `[i * width +: width]` of word k; unused high bits are
zero. {_BORDER[about["io"]]}

A frame: input `{_shown(frame)}` gives output `{_shown(result)}`. It is the first line of
`{BENCH_INPUT}` and of `{BENCH_OUTPUT}`, frames with the results
that the Graph's definition gives. `{TOP}_test.cpp` sends them to the top function and compares what
comes back, values and `tlast`:

    g++ -std=c++11 -O1 -Ifirmware/ap_types firmware/{NETWORK}.cpp firmware/{TOP}.cpp \\
        {TOP}_test.cpp -o bench && ./bench

Values that are not visible in a trace, since they are part of another's circuit: {fused}.

## C simulation
    g++ -std=c++11 -O1 -fPIC -shared -Ifirmware/ap_types -DHWBNN_POPCOUNT_BUILTIN \\
        -DHWBNN_TRACE_VALUES hwbnn_sim.cpp -o hwbnn_sim.so

gives a library with one function, described in `hwbnn_sim.cpp`; `hwbnn.verification.hls.run` does
this and calls it. Leave out `-DHWBNN_POPCOUNT_BUILTIN` to run the popcounts as synthesis sees them.
hls4ml's own `build_lib.sh` works too, for `{NETWORK}`.

## Synthesis
    vitis_hls -f build_prj.tcl

or, where Vitis has no `vitis_hls`, `vitis-run --tcl build_prj.tcl --mode hls`. `build_opt.tcl` says
which steps run: C simulation, synthesis, co-simulation, export as an IP core. {_asked(about)}

This project was made and simulated without Vitis: what Vitis makes of the pragmas, and the RTL that
it exports, are untested. `hwbnn verify FOLDER --backends hls-rtl` compares the RTL that it left in
this folder, if the project is one of `io_stream`.
"""


_BORDER = {
    "io_stream": "The ports are AXI4-Stream, and a word is `tdata` of a beat: the packing is that "
    "of an RTL core with equal beats. Frames are told apart by counting beats, as an RTL core with "
    "the framing `counted` does; the `framing` of `plan.json` has no effect. `tlast` is on the "
    "last beat of each output frame, and its `tkeep` covers the bytes that hold elements; those of "
    "the input are not read. A beat that is lost in front shifts all later frames, until reset. "
    "The function has no start signal (`ap_ctrl_none`): it takes frames as they come.",
    "io_parallel": "All words of a frame cross at once, on one port each with a valid signal "
    "(`ap_vld`), when the function starts (`ap_ctrl_hs`).",
}
"""How frames cross the ports, for each io type."""


def _asked(about: dict[str, Any]) -> str:
    """The clock and the part that Vitis is asked for."""
    clock = about["clock"]
    stated = f"{clock['mhz']:g} MHz ({clock['period_ns']:g} ns)"
    return f"Vitis is asked for {stated} on `{about['part']['name']}`."


def _port_row(port: dict[str, Any]) -> str:
    kind = (
        "bit, 1 for +1 and 0 for -1"
        if port["bit"]
        else (f"{'signed' if port['signed'] else 'unsigned'} integer of {port['width']} bits")
    )
    beats = f"{port['beats']} words of {port['word']} bits, {port['lanes']} elements in each"
    return f"| `{port['port']}` | `{port['value']}` | {port['elements']} | {kind} | {beats} |"


def _shown(elements: list[str]) -> str:
    return " ".join(elements[:16]) + (" ..." if len(elements) > 16 else "")

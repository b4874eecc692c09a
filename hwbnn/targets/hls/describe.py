"""The files of an HLS project that hls4ml does not write."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwbnn.estimate.goals import mhz
from hwbnn.graph import Graph
from hwbnn.simulators import simulate
from hwbnn.targets.hls.calls import FORK, PORTS, TOP, Call, Site
from hwbnn.targets.meaning import meaning_for_programs

FRAMES = 8
"""Frames of the test bench that hls4ml writes."""
BENCH_ELEMENTS = 1 << 21
"""Limit of the elements of those frames together; large frames are fewer, but at least one."""
SUMS = ("Dot", "Neurons", "Conv2d", "ConvNeurons")
"""Kinds of calls that a Plan folds."""
BENCH_INPUT, BENCH_OUTPUT = "tb_data/tb_input_features.dat", "tb_data/tb_output_predictions.dat"


def core(site: Site, calls: tuple[Call, ...]) -> dict[str, Any]:
    """The contents of ``core.json``, the description of the project for programs.

    ``trace`` has one entry for each slot of the C simulation: the value, the number of its
    elements, and whether they are bits. ``fused`` maps each value that no trace shows to the value
    whose call computes it.
    """
    graph, ports = site.graph, {}
    for kind, value, port, n in zip(
        ("input", "output"),
        (graph.input.name, graph.output.name),
        PORTS[site.io],
        (site.input_lanes, site.output_lanes),
        strict=True,
    ):
        t = site.type(value)
        ports[kind] = {
            "port": port,
            "value": value,
            "elements": t.size,
            "lanes": n,
            "beats": t.size // n,
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


def simulation(about: dict[str, Any]) -> str:
    """``hwbnn_sim.cpp``: the C simulation of a batch, for g++ or clang, not for synthesis."""
    x, y = about["input"], about["output"]
    return f"""\
// C simulation of a batch of frames. Not for synthesis: it includes the top function itself, so
// that HWBNN_TRACE_VALUES switches on the tracing in it.
#include "firmware/{TOP}.cpp"
#include "firmware/nnet_utils/hwbnn_sim.h"
#include <stdint.h>

#ifdef HWBNN_TRACE_VALUES
namespace hwbnn {{
namespace trace {{
void **sinks = 0;
}}
}} // namespace hwbnn
#endif

// Frames and traces are arrays [frames][elements], uint8_t for bits and int32_t for integers. sinks
// has a pointer a slot of core.json, null where no trace is wanted; the call moves them on.
extern "C" __attribute__((visibility("default"))) void
hwbnn_simulate(const {_kept(x)} *x, {_kept(y)} *y, void **sinks, size_t frames) {{
#ifdef HWBNN_TRACE_VALUES
    hwbnn::trace::sinks = sinks;
#endif
    for (size_t i = 0; i < frames; i++) {{
        {_declared("input_t", x, about["io"])}
        {_declared("result_t", y, about["io"])}
        hwbnn::sim::drive<{x["elements"]}>(x + i * {x["elements"]}, {x["port"]});
        {TOP}({x["port"]}, {y["port"]});
        hwbnn::sim::collect<{y["elements"]}>({y["port"]}, y + i * {y["elements"]});
    }}
}}
"""


def _kept(port: dict[str, Any]) -> str:
    return "uint8_t" if port["bit"] else "int32_t"


def _declared(element: str, port: dict[str, Any], io: str) -> str:
    name = port["port"]
    if io == "io_parallel":
        return f"{element} {name}[{port['elements']}];"
    return f'hls::stream<{element}> {name}("{name}");'


def bench_data(graph: Graph) -> dict[str, bytes]:
    """The input and output frames of hls4ml's test bench, one a line, for C and RTL simulation."""
    t = graph.types[graph.input.name]
    rng = np.random.default_rng(int(graph.digest[:16], 16))
    frames = max(1, min(FRAMES, BENCH_ELEMENTS // t.size))
    x = rng.integers(t.low, t.high, (frames, *t.shape), endpoint=True)
    y = simulate(graph, x)
    return {
        "tb_data/tb_input_features.dat": _lines(x),
        "tb_data/tb_output_predictions.dat": _lines(y),
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
`{about["io"]}`. The top function `{TOP}` is in `firmware/{TOP}.cpp`; it calls the functions of
`firmware/nnet_utils/hwbnn*.h`, one a node. `core.json` says the same as this file to programs.

| port | value | elements | of | in |
|---|---|---|---|---|
{_port_row(x)}
{_port_row(y)}
{meaning}
A frame: input `{_shown(frame)}` gives output `{_shown(result)}`. It is the first line of
`tb_data/tb_input_features.dat` and of `tb_data/tb_output_predictions.dat`, frames with the results
that the Graph's definition gives; `{TOP}_test.cpp` runs them.

Values that are not visible in a trace, since they are part of another's circuit: {fused}.

## C simulation
    g++ -std=c++11 -O1 -fPIC -shared -Ifirmware/ap_types -DHWBNN_POPCOUNT_BUILTIN \\
        -DHWBNN_TRACE_VALUES hwbnn_sim.cpp -o hwbnn_sim.so

gives a library with one function, described in `hwbnn_sim.cpp`; `hwbnn.verification.hls.run` does
this and calls it. Leave out `-DHWBNN_POPCOUNT_BUILTIN` to run the popcounts as synthesis sees them.
hls4ml's own `build_lib.sh` works too.

## Synthesis
    vitis_hls -f build_prj.tcl

or, where Vitis has no `vitis_hls`, `vitis-run --tcl build_prj.tcl --mode hls`. `build_opt.tcl` says
which steps run. {_asked(about)}

This project was made and simulated without Vitis: what Vitis makes of the pragmas, and the RTL that
it exports, are untested. In `io_stream` Vitis rounds each element of a beat up to
whole bytes on the AXI4-Stream port, and `hwbnn verify FOLDER --backends hls-rtl` compares the RTL
that it left in this folder.

The streams of `io_stream` have no `tlast` and no `tkeep`: frames are told apart by counting beats,
as an RTL core with the framing `counted` does; the `framing` of `plan.json` has no effect. A DMA
that waits for `tlast` needs a block behind `{y["port"]}` that gives it on every
{y["beats"]} beats; a beat that is lost in front shifts all later frames, until reset.
"""


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
    beats = f"{port['beats']} x {port['lanes']}, element 0 first"
    return f"| `{port['port']}` | `{port['value']}` | {port['elements']} | {kind} | {beats} |"


def _shown(elements: list[str]) -> str:
    return " ".join(elements[:16]) + (" ..." if len(elements) > 16 else "")

"""The top function of an HLS project, and the programs that call it: C simulation and test bench.

hls4ml's function computes the network on elements; the top function has ports of packed words.
"""

from __future__ import annotations

from hwbnn.assets import asset
from hwbnn.graph import Graph
from hwbnn.targets.hls.calls import NETWORK, TOP
from hwbnn.targets.hls.packed_ports import PackedPort

BENCH_INPUT, BENCH_OUTPUT = "tb_data/tb_input_features.dat", "tb_data/tb_output_predictions.dat"


def files(graph: Graph, x: PackedPort, y: PackedPort, *, pipelined: bool) -> dict[str, bytes]:
    """The top function, its C simulation and its test bench, by path.

    Args:
        graph: the network.
        x: the input port.
        y: the output port.
        pipelined: whether the function is one pipeline, not processes side by side.
    """
    texts = {
        f"firmware/{TOP}.h": _header(x, y),
        f"firmware/{TOP}.cpp": _parallel(x, y, pipelined) if _is_parallel(x) else _stream(x, y),
        "hwbnn_sim.cpp": _simulation(graph, x, y),
        f"{TOP}_test.cpp": _bench(x, y),
    }
    header = asset("hls", "csim/ap_axi_sdata.h")
    return {
        **{name: text.encode() for name, text in texts.items()},
        # Beside hls4ml's headers for C simulation; Vitis has a header of this name.
        "firmware/ap_types/ap_axi_sdata.h": header,
    }


def _is_parallel(port: PackedPort) -> bool:
    return port.io == "io_parallel"


def _declared(x: PackedPort, y: PackedPort) -> str:
    """The declaration of the top function, without what ends it."""
    if _is_parallel(x):
        ports = [
            f"const ap_uint<{x.bits}> {x.name}[{x.beats}]",
            f"ap_uint<{y.bits}> {y.name}[{y.beats}]",
        ]
    else:
        ports = [f"hls::stream<{p.name}_port::beat_t> &{p.name}" for p in (x, y)]
    return f"void {TOP}({', '.join(ports)})"


def _header(x: PackedPort, y: PackedPort) -> str:
    return f"""\
#ifndef {TOP.upper()}_H_
#define {TOP.upper()}_H_

#include "{NETWORK}.h"
#include "nnet_utils/hwbnn_axis.h"

// The ports: hwbnn_axis.h says how a frame crosses them.
{x.config}
{y.config}
{_declared(x, y)};

#endif
"""


def _stream(x: PackedPort, y: PackedPort) -> str:
    # What is converted at once: images token by token, other values as whole frames.
    unit_in, unit_out = ("tokens" if p.image else "frame" for p in (x, y))
    depth = {p.name: min(2, p.tokens) for p in (x, y)}
    return f"""\
#include "{TOP}.h"

// Free-running: it takes frames as they come, without a start.
{_declared(x, y)} {{
    #pragma HLS INTERFACE axis port={x.name}
    #pragma HLS INTERFACE axis port={y.name}
    #pragma HLS INTERFACE ap_ctrl_none port=return
    #pragma HLS DATAFLOW
    hls::stream<input_t> taken("taken");
    #pragma HLS STREAM variable=taken depth={depth[x.name]}
    hls::stream<result_t> given("given");
    #pragma HLS STREAM variable=given depth={depth[y.name]}
    hwbnn::{unit_in}_from_axis<input_t, {x.name}_port>({x.name}, taken);
    {NETWORK}(taken, given);
    hwbnn::{unit_out}_to_axis<result_t, {y.name}_port>(given, {y.name});
}}
"""


def _parallel(x: PackedPort, y: PackedPort, pipelined: bool) -> str:
    return f"""\
#include "{TOP}.h"

// A frame at once, with the start and end of Vitis (ap_ctrl_hs).
{_declared(x, y)} {{
    #pragma HLS INTERFACE ap_vld port={x.name}
    #pragma HLS INTERFACE ap_vld port={y.name}
    #pragma HLS INTERFACE ap_ctrl_hs port=return
    #pragma HLS ARRAY_PARTITION variable={x.name} complete
    #pragma HLS ARRAY_PARTITION variable={y.name} complete
    #pragma HLS {"PIPELINE II=1" if pipelined else "DATAFLOW"}
    input_t taken[{x.elements}];
    #pragma HLS ARRAY_PARTITION variable=taken complete
    result_t given[{y.elements}];
    #pragma HLS ARRAY_PARTITION variable=given complete
    hwbnn::elements_of<{x.name}_port>({x.name}, taken);
    {NETWORK}(taken, given);
    hwbnn::words_of<{y.name}_port>(given, {y.name});
}}
"""


def _local(port: PackedPort) -> str:
    """The declaration of a variable that is connected to a port."""
    if _is_parallel(port):
        return f"ap_uint<{port.bits}> {port.name}[{port.beats}];"
    return f'hls::stream<{port.name}_port::beat_t> {port.name}("{port.name}");'


def _simulation(graph: Graph, x: PackedPort, y: PackedPort) -> str:
    kept = ["uint8_t" if graph.types[port.value].bit else "int32_t" for port in (x, y)]
    return f"""\
// C simulation of a batch of frames. Not for synthesis: it includes the functions themselves, so
// that HWBNN_TRACE_VALUES switches on the tracing in them.
#include "firmware/{NETWORK}.cpp"
#include "firmware/{TOP}.cpp"
#include "firmware/nnet_utils/hwbnn_sim.h"
#include <stddef.h>
#include <stdint.h>

#ifdef HWBNN_TRACE_VALUES
namespace hwbnn {{
namespace trace {{
void **sinks = 0;
}}
}} // namespace hwbnn
#endif

// Frames and traces are arrays [frames][elements], uint8_t for bits and int32_t for integers. sinks
// has a pointer a slot of core.json, null where no trace is wanted; the call moves them on. It
// gives the number of frames that did not cross the output port as they should (hwbnn_sim.h).
extern "C" __attribute__((visibility("default"))) size_t
hwbnn_simulate(const {kept[0]} *x, {kept[1]} *y, void **sinks, size_t frames) {{
#ifdef HWBNN_TRACE_VALUES
    hwbnn::trace::sinks = sinks;
#endif
    size_t faults = 0;
    for (size_t i = 0; i < frames; i++) {{
        {_local(x)}
        {_local(y)}
        hwbnn::sim::drive<{x.name}_port>(x + i * {x.elements}, {x.name});
        {TOP}({x.name}, {y.name});
        if (!hwbnn::sim::collect<{y.name}_port>({y.name}, y + i * {y.elements}))
            faults++;
    }}
    return faults;
}}
"""


def _bench(x: PackedPort, y: PackedPort) -> str:
    return f"""\
// The test bench, for C simulation and for co-simulation by Vitis: it sends the frames of
// {BENCH_INPUT} to the top function and compares its frames with those of
// {BENCH_OUTPUT}. It ends with 0 if all are equal and cross the port as they should.
#include "firmware/{TOP}.h"
#include "firmware/nnet_utils/hwbnn_sim.h"
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

static bool read(std::ifstream &file, std::vector<int> &frame) {{
    std::string line;
    if (!std::getline(file, line))
        return false;
    std::istringstream numbers(line);
    for (size_t i = 0; i < frame.size(); i++)
        if (!(numbers >> frame[i])) {{
            std::cerr << "FAIL: a frame of fewer than " << frame.size() << " elements" << std::endl;
            return false;
        }}
    return true;
}}

int main() {{
    std::ifstream inputs("{BENCH_INPUT}"), outputs("{BENCH_OUTPUT}");
    std::vector<int> frame({x.elements}), expected({y.elements}), found({y.elements});
    int frames = 0, wrong = 0;
    for (; read(inputs, frame); frames++) {{
        if (!read(outputs, expected))
            break;
        {_local(x)}
        {_local(y)}
        hwbnn::sim::drive<{x.name}_port>(&frame[0], {x.name});
        {TOP}({x.name}, {y.name});
        const bool sound = hwbnn::sim::collect<{y.name}_port>({y.name}, &found[0]);
        if (!sound || found != expected) {{
            std::cerr << "frame " << frames << ": "
                      << (sound ? "other elements" : "not as hwbnn_axis.h says") << std::endl;
            wrong++;
        }}
    }}
    const bool whole = frames > 0 && !inputs.good() && outputs.peek() == EOF;
    if (wrong || !whole) {{
        std::cerr << "FAIL: " << wrong << " of " << frames << " frames differ"
                  << (whole ? "" : ", and the files do not end together") << std::endl;
        return 1;
    }}
    std::cout << "PASS: " << frames << " frames" << std::endl;
    return 0;
}}
"""

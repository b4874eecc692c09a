"""Files beside a core: ``core.json`` for programs, a README for people, a script for Vivado."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import ceil
from typing import Any

from numpy.typing import NDArray

from hwbnn.devices import known_part
from hwbnn.estimate import Cycles, area, fit
from hwbnn.estimate.goals import mhz, ns_text, rounded_ns
from hwbnn.estimate.planned import frames_per_second
from hwbnn.graph import Graph, ValueType
from hwbnn.plan import Circuit, Framing, Plan, Tap, TokenStream
from hwbnn.plan.stages import AxisIn, AxisOut
from hwbnn.simulators import simulate
from hwbnn.targets.ip import kernel, lattice, minimal, registers, vivado
from hwbnn.targets.ip.ipxact import LIBRARY, VENDOR
from hwbnn.targets.ip.vectors import Vectors, example, layout
from hwbnn.targets.ip.wrapper import FOLDER, wrapper_file, wrapper_name
from hwbnn.targets.meaning import meaning_for_people, meaning_for_programs
from hwbnn.targets.rtl import Design, netlists
from hwbnn.targets.rtl.stages import fifos
from hwbnn.targets.rtl.top import top_name, trace_name

FORMAT = 1

_FRAMING: Mapping[Framing, str] = {
    "packet": "each packet gives one frame; one that ends early is filled up with zero beats, the "
    "surplus beats of one that does not end in time are dropped",
    "counted": "frames are told apart by counting beats; tlast of the input is not read, that of "
    "the output is on the last beat of each frame",
    "batch": "a packet holds any number of whole frames; if it ends within one, that frame is "
    "filled up with zero beats; tlast of the output is on the last beat of the packet's last frame",
}
_ERROR: Mapping[Framing, str] = {
    "packet": "high for one cycle for each packet of a wrong length",
    "counted": "never high",
    "batch": "high for one cycle for each packet that ended within a frame",
}


def core(design: Design) -> str:
    """``core.json``: everything that a program must know to use the core or to test it."""
    circuit, predicted, name = design.circuit, design.predicted, design.name
    described = {
        "target": "rtl",
        "hwbnn core": FORMAT,
        "graph": circuit.graph.digest,
        "build": design.build,
        "top": top_name(name),
        "files": [f"rtl/{module}.sv" for module in design.modules],
        "library": [f"rtl/{module}.sv" for module in design.library],
        "verilog": {"top": wrapper_name(name), "file": wrapper_file(name)},
        "simulation": {"top": trace_name(name), "files": design.simulated},
        "clock": {
            "port": "aclk",
            "period_ns": circuit.plan.clock_ns,
            "mhz": mhz(circuit.plan.clock_ns),
            "meaning": "asked of the vendor's tools, and not checked here",
        },
        "part": _part(circuit),
        "reset": {"port": "aresetn", "active": "low", "synchronous": True},
        "framing": {"mode": circuit.plan.framing, "meaning": _FRAMING[circuit.plan.framing]},
        "error": {"port": "error_o", "meaning": _ERROR[circuit.plan.framing]},
        "input": _port(circuit, circuit.graph.input.name, "s_axis"),
        "output": {
            **_port(circuit, circuit.graph.output.name, "m_axis"),
            "result": circuit.graph.meaning,
            **meaning_for_programs(circuit.graph),
        },
        **registers.for_programs(circuit.plan),
        **_minimal_port(design),
        "order": "element k * lanes + i of a frame is bits [i * width +: width] of token k",
        "cycles": _cycles(predicted, circuit.plan.clock_ns),
        "taps": {name: _tap(tap) for name, tap in circuit.taps.items()},
        "fused": dict(circuit.fused),
        "fifos": _fifos(circuit, predicted),
    }
    return json.dumps(described, indent=2) + "\n"


def _minimal_port(design: Design) -> dict[str, object]:
    """The module without streams; empty if there is none."""
    if design.circuit.plan.port != "minimal":
        return {}
    name = minimal.minimal_name(design.name)
    facts = {"top": name, "file": f"{minimal.FOLDER}/{name}.sv", "initiation_interval": 1}
    return {"minimal": {**facts, "latency": minimal.latency(design.circuit)}}


def _part(circuit: Circuit) -> dict[str, object]:
    """The device for vendor tools; where the Plan states one, whether the core fits it."""
    described: dict[str, object] = {"name": circuit.plan.device}
    stated = circuit.plan.part is not None
    described["stated"] = stated
    part = known_part(circuit.plan.device) if stated else None
    if part is not None:
        described["fit"] = fit(area(circuit), part).facts()
    return described


def _cycles(predicted: Cycles, clock_ns: float) -> dict[str, object]:
    return {
        "latency": predicted.latency,
        "latency_ns": rounded_ns(predicted.latency * clock_ns),
        "latency_meaning": "from the cycle that takes the first input beat of a frame to the cycle "
        "that takes its last output beat, the core being empty and both sides always ready",
        "initiation_interval": _interval(predicted),
        "initiation_interval_ns": rounded_ns(_interval(predicted) * clock_ns),
        "frames_per_second": round(frames_per_second(_interval(predicted), clock_ns), 3),
        "initiation_interval_meaning": "cycles between the first input beats of successive frames, "
        "both sides always ready, once the core is full; where frames start in a pattern, on "
        "average over it, rounded up",
    }


def _stream(stream: TokenStream, t: ValueType) -> dict[str, object]:
    return {
        "shape": list(t.shape),
        "elements": t.size,
        "lanes": stream.lanes,
        "tokens": stream.tokens,
        "width": t.width,
        "signed": t.signed,
        "low": t.low,
        "high": t.high,
        "bit": t.bit,
    }


def _port(circuit: Circuit, value: str, port: str) -> dict[str, object]:
    stage = circuit.stages[0 if port == "s_axis" else -1]
    assert isinstance(stage, AxisIn | AxisOut)
    described = _stream(stage.source, circuit.graph.types[value])
    tags = {f"{name}_bits": bits for name, bits in circuit.plan.tags.items()}
    return {"port": port, "value": value, "beat": stage.beat, **tags, **described}


def _tap(tap: Tap) -> dict[str, object]:
    described = {**_stream(tap.stream, tap.type), "handshake": tap.handshake}
    return described if tap.alias is None else {**described, "alias": tap.alias}


def _fifos(circuit: Circuit, predicted: Cycles) -> dict[str, object]:
    return {
        name: {"depth": fifo.depth, "most": predicted.fills[name]}
        for name, fifo in fifos(circuit).items()
    }


def readme(vectors: Vectors) -> str:
    """The README of a core: its ports, its cycles, and one frame as it crosses them."""
    design = vectors.design
    circuit, predicted, name = design.circuit, design.predicted, design.name
    graph = circuit.graph
    first, last = circuit.stages[0], circuit.stages[-1]
    assert isinstance(first, AxisIn)
    assert isinstance(last, AxisOut)
    x = example(graph)
    y, said = simulate(graph, x), meaning_for_people(graph)
    decided = f"\n  {said}" if said else ""
    synth = "" if lattice.is_lattice(design) else ", `synth` (Vivado)"
    also = _tags(circuit.plan) + _control(circuit.plan) + _minimal(design)
    models = f"sim/{netlists.MODELS}.sv " if netlists.models(circuit) else ""
    return f"""# A binary neural network as an FPGA core

Generated by hwbnn from graph `{graph.digest[:16]}` (`graph.npz`) and `plan.json`. The top module
is `{top_name(name)}`, its files are in `files.f`; `{wrapper_file(name)}` is the same in
Verilog-2001, for tools that take no SystemVerilog at the top. `core.json` says all of this for
programs.

- `aclk`, `aresetn`: clock; reset, synchronous and active low. A frame that it cuts off leaves
  nothing behind.
- `s_axis_*`: frames in, AXI4-Stream. {_layout(first, graph.types[graph.input.name])}
- `m_axis_*`: frames out, likewise. {_layout(last, graph.types[graph.output.name])}{decided}
{_framing(circuit.plan.framing, first.source.tokens)}
{also}- `s_axis_tkeep` is not read: the layout of a frame is fixed.

{_speed(predicted, circuit.plan)}

## A frame

{_frame("s_axis", x, first)}
gives

{_frame("m_axis", y, last)}
In Python, `Core.of(Project.read(FOLDER)).pack(x)` gives the bytes of `s_axis_tdata` for samples
`x`, and `.unpack(beats)` the values of the bytes of `m_axis_tdata` (`from hwbnn import Project`,
`from hwbnn.verification import Core`).

## Test it

The folder `sim/` has two benches. They send the same recorded frames, and compare every beat that
comes out; neither needs hwbnn. In `sim/`:

```
make            # SystemVerilog: Verilator 5.036 or newer, or Icarus Verilog 11 or newer
make icarus     # the same in Icarus
make cocotb     # Python: pip install cocotb pytest; SIM=verilator for Verilator
make lint       # Verilator's lint of the design
```

Icarus needs minutes where a core has many weights in logic; Verilator is faster there.
A bench that finds a difference says where, and ends with an exit status other than 0. The
SystemVerilog bench prints one line that begins with `PASS` or `FAIL`. It makes three runs:
{len(vectors.samples)} samples and then packets of wrong lengths at full rate, where the cycles of
the first {_count(vectors.timed, "frame")} must be those predicted; the same with stalls, cut off by
a reset in the middle of a frame; and once more with stalls. It compares every value inside the core
too, by a signature for each frame. The cocotb bench drives `{wrapper_name(name)}`.

`sim/vectors/` has the beats as text; `vectors.json` there says how a line is read. The samples are
corner values and random numbers, not images: they show that the core computes what its network
computes, not how well the network classifies. A fault that changes none of these frames is not
found; `hwbnn verify` compares as many frames as you like.

Everything in this folder is of build `{design.build}`, which stands for the network and its plan.
Files of two builds refuse each other: the top modules do not elaborate, and the benches stop. The
modules of `library.f` belong to no build, they are the same for all cores.

What the benches and scripts make goes to `build/`, which is deleted when hwbnn generates this
folder again.

## A bench of your own

With a bench `tb.sv` whose module is `tb`, in this folder:

```
iverilog -g2012 -DHWBNN_COUNTONES -s tb -o sim tb.sv {models}$(cat files.f) && vvp sim
verilator --binary -DHWBNN_COUNTONES --top tb tb.sv {models}-f files.f
```

`HWBNN_COUNTONES` replaces the popcounts by `$countones`, cycle for cycle the same: unrolled layers
compile and run many times faster. Leave it out to simulate what is synthesised; synthesis must not
define it. No file has delays or a `timescale`, so any clock will do; where the bench has a
`timescale`, it stands first, and holds for all files behind it. The wrapper
`sim/{trace_name(name)}.sv` shows every value of the network to a bench and is no part of the
design.

## Hand it to tools

- **IP-XACT**: `component.xml` (IEEE 1685-2014) and `component-2022.xml` (IEEE 1685-2022) are valid
  by the schemas of these standards. They name the interfaces as AMD's IP catalogue does.
- **FuseSoC** (`pip install fusesoc`), in this folder:
  `fusesoc --cores-root . run --target lint {VENDOR}:{LIBRARY}:{wrapper_name(name)}`; other
  targets are `sim` (Icarus) and `sim_verilator`{synth}.
- **LiteX**: `litex/{name}_litex.py`, a module with stream endpoints.
- **An instance** to copy: `{FOLDER}/{wrapper_name(name)}.veo` (Verilog), `.vho` (VHDL).
{_scripts(design)}

## Drive it

`drivers/` has what a processor needs to send frames through an AXI DMA: it packs frames as
`core.json` says, and unpacks results.
{_driven(vectors)}

On a board with PYNQ, with `drivers/hwbnn_core.py` and `core.json` beside each other:

```
from hwbnn_core import Accelerator
core = Accelerator("system.bit")   # {_bitstream(design)}
y = core.run(x)               # x: integers, (frames, {_shape(graph)})
classes = core.classify(x)
```

In C, for bare metal (`hwbnn_baremetal.h`) and Linux with UIO and u-dma-buf (`hwbnn_linux.h`); both
need `hwbnn_driver.c`, and `{name}_core.h` describes this core:

```
#include "hwbnn_linux.h"
#include "{name}_core.h"
hwbnn_t core;
if (hwbnn_linux_open(&core, &{name}_core, "/dev/uio0", {_uio(circuit.plan)}, "/dev/udmabuf0",
                     "/sys/class/u-dma-buf/udmabuf0")) {{
    perror("hwbnn");
    return 1;
}}
hwbnn_status_t status = hwbnn_open(&core);
if (status == HWBNN_OK) status = hwbnn_run(&core, x, y, frames);
puts(hwbnn_text(status));
```

The drivers were tested with the RTL of cores and a model of the DMA, in simulation; no board has
run them. What only a board shows: the processor's caches, the clock, and the DMA itself. The
drivers read the DMA's status and use no interrupt.

## Several cores in one design

Cores that were generated with names of their own (`hwbnn generate --name`) by the same version
share the modules of `library.f`; those of `core.f` bear the core's name. So that nothing is
declared twice, list `core.f` of each core, and let the tool find the library by its file names:
`-y FIRST/rtl -y SECOND/rtl` for Icarus (with `-Y .sv`) and Verilator; elsewhere read each file name
of the lists `library.f` once.
"""


def _scripts(design: Design) -> str:
    """The scripts for the tools of the part's maker, for the README."""
    plan = design.circuit.plan
    if lattice.is_lattice(design):
        return f"""- **yosys and nextpnr**: `mkdir -p build && yosys lattice/synth.ys`, then
  `sh lattice/place.sh`, for `{plan.device}` with a clock of {plan.clock_ns:g} ns, without pads.
"""
    zynq = (
        "| `zynq.tcl` | a block design with processor, AXI DMA and core: bitstream and `.hwh` |\n"
    )
    if why_not := vivado.why_no_zynq(design):
        zynq = f"\nThere is no block design with AXI DMA: {why_not}.\n"
    xo = ""
    if kernel.files(design):
        xo = "| `package_xo.tcl` | a free-running kernel for Vitis (`.xo`): streams alone |\n"
    return f"""- **Vivado**, each as `vivado -mode batch -source vivado/NAME.tcl`, with results in
  `build/vivado`:

| script | what it does |
|---|---|
| `synth.tcl` | synthesis out of context for `{plan.device}` with a clock of {plan.clock_ns:g} ns |
| `implement.tcl` | place and route behind it; exit status 1 if the clock is not met |
| `power.tcl` | power of the routed core from an activity file (SAIF) of your frames |
| `package.tcl` | the IP for a catalogue |
{xo}{zynq}
Vivado was not at hand where these scripts were tested. A Tcl interpreter ran them with stand-ins
for Vivado's commands: their order, files and names are tested. Whether Vivado accepts each command
and option, and the LUTs, the clock, the power and the bitstream, only Vivado can show.
"""


def _framing(framing: Framing, beats: int) -> str:
    """The rules by which frames are told apart, for the README."""
    length = _count(beats, "beat")
    if framing == "counted":
        return f"""- Framing `counted`: {length} on `s_axis` are a frame. `s_axis_tlast` is not
  read; `m_axis_tlast` is on the last beat of each frame. `error_o` is never high. A source that
  leaves a beat out shifts all later frames, until reset."""
    if framing == "batch":
        return f"""- Framing `batch`: a packet on `s_axis` holds any number of frames of {length}.
  They leave in one packet too: `m_axis_tlast` is on the last beat of its last frame alone.
- `error_o`: high for one cycle for each packet that ends within a frame. That frame is filled up
  with zero beats and leaves as the last of its packet; its values mean nothing. All other frames
  are right, and the next packet begins with a new frame. No reset is needed."""
    return f"""- Framing `packet`: each packet on `s_axis` is one frame and gives one on `m_axis`.
- `error_o`: high for one cycle for each packet that is not {length} long. A short packet is filled
  up with zero beats, so its output means nothing; the surplus beats of a long one are dropped. Each
  packet gives exactly one frame, and the next packet is computed as usual. No reset is needed. The
  framing `batch` of a Plan takes several frames in a packet, `counted` takes any `tlast`."""


def _tags(plan: Plan) -> str:
    """The tags of frames, for the README."""
    if not plan.tags:
        return ""
    listed = ", ".join(f"`{name}` ({_count(bits, 'bit')})" for name, bits in plan.tags.items())
    return f"""- {listed} on both streams: every beat of a result bears what stood beside the
  first beat of its frame. What stands beside the other beats of a frame is not read.
"""


def _minimal(design: Design) -> str:
    """The module without streams, for the README."""
    if design.circuit.plan.port != "minimal":
        return ""
    name = minimal.minimal_name(design.name)
    cycles = _count(minimal.latency(design.circuit), "cycle")
    return f"""- `{minimal.FOLDER}/{name}.sv` is the core without streams: `valid_i` and
  `data_i` in, `valid_o` and `data_o` out. A frame may come in every cycle; its result stands at the
  output {cycles} behind it, always. Its files are in `{minimal.FOLDER}/sources.f`;
  `make icarus` or `make verilator` in that folder runs its bench.
"""


def _control(plan: Plan) -> str:
    """The port of the registers, for the README."""
    if plan.control == "none":
        return ""
    return f"""- `s_axi_control_*`: registers on AXI4-Lite: identity and build of the core, counters
  of frames, errors and stalls, a flag that stays after an error, and how to clear them. They
  change nothing that the core computes; leave the inputs at 0 if nobody reads them.
  `{registers.PAGE}` describes each register, `{registers.HEADER}` is the same for C.
"""


def _driven(vectors: Vectors) -> str:
    """Frames in a transfer, and whether another build is found out, for the README."""
    plan, output = vectors.design.circuit.plan, vectors.output
    whole = output.used[-1] > output.bits - 8
    if plan.framing == "batch" and whole:
        frames = "A transfer holds many frames."
    elif plan.framing == "batch":
        frames = (
            "A transfer holds one frame: the last beat of a result has unused bytes, which a DMA "
            "takes\nat the end of a packet alone."
        )
    else:
        frames = (
            "A transfer holds one frame, since each result ends a packet; `--framing batch`\n"
            "allows many."
        )
    if plan.control == "none":
        return frames + (
            " This core has no registers (`--control axi4lite`), so a bitstream\nof another build "
            "is found out only where its frames have another size."
        )
    return frames + "\nThe drivers compare the build in the registers with their own."


def _bitstream(design: Design) -> str:
    """Where the bitstream that the driver loads comes from."""
    if lattice.is_lattice(design) or vivado.why_no_zynq(design):
        return "your bitstream, with its .hwh beside it"
    return "bitstream and .hwh of vivado/zynq.tcl"


def _shape(graph: Graph) -> str:
    return ", ".join(map(str, graph.types[graph.input.name].shape))


def _uio(plan: Plan) -> str:
    return "NULL" if plan.control == "none" else '"/dev/uio1"'


def _speed(predicted: Cycles, plan: Plan) -> str:
    """Latency and rate in cycles and in time, and the part, for the README."""
    clock = f"{mhz(plan.clock_ns):g} MHz"
    interval = _interval(predicted)
    latency = ns_text(predicted.latency * plan.clock_ns)
    rate = f"{frames_per_second(interval, plan.clock_ns):,.0f}"
    cycles = _count(predicted.latency, "cycle")
    return f"""Latency: {cycles} from the first input beat of a frame to its last output
beat. A new frame every {"cycle" if interval == 1 else f"{interval} cycles"}.

At the stated clock of {clock} ({plan.clock_ns:g} ns): latency {latency} ns, {rate} frames a second.
Cycles are exact. The clock is asked of the vendor's tools, for the part `{plan.device}`;
whether it is reached is not checked here."""


def _interval(predicted: Cycles) -> int:
    """Cycles from frame to frame, rounded up where they are not always the same."""
    assert predicted.interval is not None
    return ceil(predicted.interval)


def _count(n: int, what: str) -> str:
    return f"one {what}" if n == 1 else f"{n} {what}s"


def _layout(stage: AxisIn | AxisOut, t: ValueType) -> str:
    stream = stage.source
    kind = "bits, 0 for -1 and 1 for +1" if t.bit else f"integers from {t.low} to {t.high}"
    return (
        f"A frame is {_count(stream.tokens, 'beat')} of {stage.beat} bits with "
        f"{_count(t.size, 'element')}\n"
        f"  ({kind}), {stream.lanes} a beat, {_count(stream.width, 'bit')} each"
        f"{' in two’s complement' if t.signed else ''}, the first in the lowest bits of the first\n"
        "  beat; unused bits are zero."
    ).replace("’", "'")


def _frame(port: str, frame: NDArray[Any], stage: AxisIn | AxisOut) -> str:
    shown = layout(stage, "").pack(frame)[0]
    listed = [
        f"{port} beat {k}{'  tlast' if k + 1 == len(shown) else ''}  {beat[::-1].tobytes().hex()}"
        for k, beat in enumerate(shown)
    ]
    if len(listed) > 8:
        listed = [*listed[:4], "...", *listed[-2:]]
    elements = " ".join(str(int(v)) for v in frame.ravel()[:24])
    more = " ..." if frame.size > 24 else ""
    return f"```\nelements {elements}{more}\n" + "\n".join(listed) + "\n```\n"

"""Options that several commands share, each with one name and one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

GraphArgument = Annotated[
    str,
    typer.Argument(
        metavar="GRAPH",
        help="A Graph file, a folder with a graph.npz in it, the name of a bundled network "
        "(`hwbnn list models`), or a network's file of another framework (with --input).",
    ),
]
ProjectArgument = Annotated[
    str,
    typer.Argument(
        metavar="PROJECT",
        help="The folder of a generated project, or a Graph to generate a core from: a file, a "
        "folder, the name of a bundled network, or a network's file of another framework (with "
        "--input).",
    ),
]
ModelArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
        help="The folder of a training run (recipe.toml and model.safetensors; no code in it is "
        "run), the name of a bundled network, or a network's file: QONNX, FINN-ONNX, Keras, "
        "QKeras, Larq, a BNN-PYNQ folder.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="PACKAGE.MODULE:FACTORY",
        help="Your own model: a function that returns (torch.nn.Module, hwbnn.Input). "
        "This runs your Python.",
    ),
]
NetworkInput = Annotated[
    str,
    typer.Option(
        "--input",
        metavar="bits|pixels|LOW..HIGH[*SCALE][+OFFSET]",
        help="Of a network's file: the integers that arrive, and the map to the numbers that the "
        "network takes: `bits` (-1 and +1), `pixels` (0..255*1/255), or such as `0..255*2/255-1`.",
    ),
]
NetworkWeights = Annotated[
    Path | None, typer.Option("--weights", help="Weights that belong to a .json file of Keras.")
]
ArrayArgument = Annotated[
    Path,
    typer.Argument(
        metavar="ARRAY",
        help="Your samples as .npy, .npz or .csv. Integers are taken as they are; floats are "
        "brought to integers by the scale that the network was trained with.",
    ),
]
Key = Annotated[str, typer.Option(help="Name of the array, where a .npz holds several.")]
Labels = Annotated[
    Path | None, typer.Option(help="True classes, one a sample, as .npy, .npz or .csv.")
]
LabelsKey = Annotated[str, typer.Option(help="Name of the labels, where a .npz holds several.")]
Engine = Annotated[
    str, typer.Option(help="Simulator: `plain` defines the nodes, `fast` equals it.")
]
Samples = Annotated[
    Path | None,
    typer.Option(help="Samples as .npy, .npz or .csv; by default the test set of the recipe."),
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the data set's files; by default that in HWBNN_DATA, else a download."
    ),
]
Place = Annotated[
    bool, typer.Option("--place", help="Also place and route for ECP5: Fmax; a minute or more.")
]
PlanFile = Annotated[
    Path | None, typer.Option("--plan", help="A Plan (JSON), such as the plan.json of a project.")
]
Interval = Annotated[
    int | None,
    typer.Option(min=1, help="Goal: the smallest core that takes a frame in so many cycles."),
]
Fps = Annotated[
    float | None,
    typer.Option(help="Goal: the smallest core that takes so many frames a second at the clock."),
]
LatencyNs = Annotated[
    float | None,
    typer.Option(
        help="Goal: the smallest core whose result is out so many nanoseconds after the first "
        "input beat of a frame, at the clock."
    ),
]
Luts = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Goal: at most so many LUTs, as estimated; alone, the fastest core within them.",
    ),
]
PartName = Annotated[
    str | None,
    typer.Option(
        "--part",
        help="Goal: the core must fit this FPGA, named with package and speed grade, such as "
        "`xc7z020clg400-1` (`hwbnn list devices`); alone, the fastest core that fits.",
    ),
]
BoardName = Annotated[
    str | None,
    typer.Option(
        "--board",
        help="The part and the clock of a board, such as `pynq-z2` (`hwbnn list boards`), in place "
        "of --part; --mhz takes another clock.",
    ),
]
Mhz = Annotated[
    float | None,
    typer.Option(
        help="The clock, in MHz: rates and latencies count on it, and vendor tools are asked for "
        "it. By default 200. Whether a device reaches it is not checked.",
    ),
]
Levels = Annotated[
    int | None,
    typer.Option(
        "--levels",
        min=1,
        max=64,
        help="Levels of adders or comparators between two registers, by default 2: more give fewer "
        "cycles of latency and a slower clock. --latency-ns takes more where it has to.",
    ),
]
MemoryRegisters = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=2,
        help="Registers behind each memory of weights, 1 (the default) or 2: two allow a faster "
        "clock and take a cycle more.",
    ),
]
InputBeat = Annotated[
    int | None,
    typer.Option(
        help="Bits of s_axis_tdata, a multiple of 8; by default 64. A goal takes more where it has "
        "to.",
    ),
]
OutputBeat = Annotated[
    int | None,
    typer.Option(help="Bits of m_axis_tdata, a multiple of 8; by default 8. Likewise."),
]
Lanes = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Most channels of a shortcut's additions and multiplications that are computed in a "
        "cycle; by default what the layers around give, or what a goal needs.",
    ),
]
Form = Annotated[
    str | None,
    typer.Option(
        help="Form of unrolled layers: `modules` (the default: every neuron by itself, "
        "left to synthesis), or netlists in which neurons share parts of their sums and take fewer "
        "LUTs: `xc7` (Xilinx 7-series), `xcup` (UltraScale+), `portable` (every FPGA). A goal "
        "weighs these netlists, which it has to make, against folding."
    ),
]
Framing = Annotated[
    str | None,
    typer.Option(
        help="How frames are told apart on AXI4-Stream: `packet` (the default: one in each packet, "
        "checked), `batch` (any number of whole frames in a packet, as a DMA sends them), "
        "`counted` (by counting beats; tlast of the input is not read)."
    ),
]
CorePort = Annotated[
    str | None,
    typer.Option(
        help="`minimal`: a module without streams too, for triggers: valid and data in, valid and "
        "data out, a frame in every cycle, a constant latency; every layer must be unrolled. "
        "`stream` is the default."
    ),
]
TidBits = Annotated[
    int | None,
    typer.Option(
        help="Bits of tid on both streams: each result bears that of its frame's first beat; by "
        "default 0, none."
    ),
]
TdestBits = Annotated[int | None, typer.Option(help="The same of tdest.")]
TuserBits = Annotated[int | None, typer.Option(help="The same of tuser.")]
Control = Annotated[
    str | None,
    typer.Option(
        help="`axi4lite`: a block of registers for a processor, which identifies the core and "
        "counts frames, errors and stalls; `none` is the default."
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the result as JSON and nothing else; nothing if it fails: then the exit status "
        "and one line on standard error say why.",
    ),
]
BACKENDS = "some of fast, hls, hls-stream, rtl, rtl-cocotb, rtl-icarus, with commas between"
Backends = Annotated[str, typer.Option(help=f"How the network is computed: {BACKENDS}.")]
RtlFrames = Annotated[
    int | None,
    typer.Option(min=1, help="At most so many samples are computed in RTL; by default all."),
]
Tolerance = Annotated[
    float,
    typer.Option(
        help="Part of the samples, 0 to 1, by which the accuracies of the model and of a Graph of "
        "fixed point may differ. An exact Graph must decide every sample alike.",
    ),
]


def listed(names: str) -> list[str]:
    """The names in a comma-separated text."""
    return [name.strip() for name in names.split(",")]

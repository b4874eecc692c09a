"""Stand-ins for Vitis HLS: the program, its report, and the RTL that it exports.

The program is a script that leaves a report in the published format and copies RTL into place. The
RTL is one of our own cores behind the border that Vitis documents. Nothing here comes from a real
Vitis.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hwbnn.graph import Graph
from hwbnn.plan import Plan
from hwbnn.targets import generate

REPORT = {
    "hls.app": """<project xmlns="com.autoesl.autopilot.project" name="hwbnn_top_prj"
top="hwbnn_top"><solutions><solution name="solution1" status=""/></solutions></project>""",
    "solution1/syn/report/hwbnn_top_csynth.xml": """<profile>
<ReportVersion><Version>2023.2</Version></ReportVersion>
<UserAssignments><unit>ns</unit><Part>xc7z020-clg400-1</Part>
<TopModelName>hwbnn_top</TopModelName><TargetClockPeriod>5.00</TargetClockPeriod></UserAssignments>
<PerformanceEstimates><PipelineType>yes</PipelineType>
<SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>3.610</EstimatedClockPeriod>
</SummaryOfTimingAnalysis>
<SummaryOfOverallLatency><unit>clock cycles</unit><Best-caseLatency>6</Best-caseLatency>
<Worst-caseLatency>7</Worst-caseLatency><Interval-min>1</Interval-min><Interval-max>1</Interval-max>
</SummaryOfOverallLatency></PerformanceEstimates>
<AreaEstimates><Resources><LUT>1234</LUT><FF>567</FF><BRAM_18K>0</BRAM_18K><DSP>0</DSP>
<URAM>0</URAM></Resources><AvailableResources><BRAM_18K>280</BRAM_18K><DSP>220</DSP><FF>106400</FF>
<LUT>53200</LUT><URAM>0</URAM></AvailableResources></AreaEstimates>
</profile>""",
}
"""A report by hand, in the form that Vitis HLS documents."""
XML = "hwbnn_top_prj/solution1/syn/report/hwbnn_top_csynth.xml"
RTL = "hwbnn_top_prj/solution1/impl/verilog"
SCRIPT = """#!/bin/sh
test "$1" = -version && echo "Vitis HLS v2023.2 (64-bit)" && exit 0
test "$1" = -f && test "$2" = build_prj.tcl && test -f build_prj.tcl || exit 3
grep -q 'synth      1' build_opt.tcl || exit 4
echo synthesised
cp -r "$(dirname "$0")/report" hwbnn_top_prj
mkdir -p hwbnn_top_prj/solution1/.autopilot && echo huge > 'hwbnn_top_prj/solution1/.autopilot/a b'
"""


def vitis(folder: Path, script: str = SCRIPT, rtl: dict[str, str] | None = None) -> None:
    """Put a stand-in for ``vitis_hls`` into a folder, with the report and RTL that it leaves."""
    files = {**REPORT}
    files |= {f"solution1/impl/verilog/{name}": text for name, text in (rtl or {}).items()}
    for name, text in files.items():
        (folder / "report" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "report" / name).write_text(text)
    (folder / "vitis_hls").write_text(script)
    (folder / "vitis_hls").chmod(0o755)


def exported(graph: Graph, plan: Plan) -> dict[str, str]:
    """RTL by file name, as Vitis would name and pad it: our core of a Graph and a border.

    A constant lies in a file that the RTL reads by its bare name, as Vitis keeps them.
    """
    plan = replace(plan, framing="counted")
    core = generate(graph, "rtl", plan, name="inner")
    files = {Path(name).name: core.text(name) for name in core.files if name.startswith("rtl/")}
    files["hwbnn_top.v"] = _border(plan)
    files["hwbnn_top_zero.dat"] = "0\n"
    return files


def _border(plan: Plan) -> str:
    """The top module: no start signal, TSTRB beside TKEEP, capitals."""
    return f"""`timescale 1 ns / 1 ps
module hwbnn_top (s_axis_TDATA, m_axis_TDATA, ap_clk, ap_rst_n, s_axis_TVALID, s_axis_TREADY,
    s_axis_TKEEP, s_axis_TSTRB, s_axis_TLAST, m_axis_TVALID, m_axis_TREADY, m_axis_TKEEP,
    m_axis_TSTRB, m_axis_TLAST);

input  [{plan.input_beat - 1}:0] s_axis_TDATA;
output  [{plan.output_beat - 1}:0] m_axis_TDATA;
input   ap_clk;
input   ap_rst_n;
input   s_axis_TVALID;
output   s_axis_TREADY;
input  [{plan.input_beat // 8 - 1}:0] s_axis_TKEEP;
input  [{plan.input_beat // 8 - 1}:0] s_axis_TSTRB;
input  [0:0] s_axis_TLAST;
output   m_axis_TVALID;
input   m_axis_TREADY;
output  [{plan.output_beat // 8 - 1}:0] m_axis_TKEEP;
output  [{plan.output_beat // 8 - 1}:0] m_axis_TSTRB;
output  [0:0] m_axis_TLAST;

  wire [{plan.output_beat - 1}:0] y;
  reg [0:0] zero [0:0];
  initial $readmemh("./hwbnn_top_zero.dat", zero);
  assign m_axis_TDATA = y ^ zero[0];
  assign m_axis_TSTRB = m_axis_TKEEP;

  inner_top core (
    .aclk(ap_clk), .aresetn(ap_rst_n), .error_o(),
    .s_axis_tdata(s_axis_TDATA), .s_axis_tkeep({{{plan.input_beat // 8}{{1'b1}}}}),
    .s_axis_tvalid(s_axis_TVALID), .s_axis_tready(s_axis_TREADY), .s_axis_tlast(1'b0),
    .m_axis_tdata(y), .m_axis_tkeep(m_axis_TKEEP), .m_axis_tvalid(m_axis_TVALID),
    .m_axis_tready(m_axis_TREADY), .m_axis_tlast(m_axis_TLAST)
  );
endmodule
"""

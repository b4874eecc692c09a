"""The Tcl scripts that run Vitis HLS on a project."""

from __future__ import annotations

from collections.abc import Mapping

from hwbnn.plan import Plan
from hwbnn.targets.hls.calls import NETWORK, TOP
from hwbnn.targets.hls.site import UNROLL_LIMIT

STEPS: Mapping[str, bool] = {
    "reset": True,
    "csim": True,
    "synth": True,
    "cosim": False,
    "export": False,
}
"""The steps of ``build_prj.tcl``, and whether each of them runs by default."""


def files(plan: Plan) -> dict[str, bytes]:
    """The scripts by path."""
    # hls4ml's parser of reports reads this form.
    project = f"""\
set project_name "{TOP}"
set backend "vitis"
set part "{plan.device}"
set clock_period {plan.clock_ns:g}
set clock_uncertainty 27%
"""
    return {
        "project.tcl": project.encode(),
        "build_opt.tcl": options(STEPS).encode(),
        "build_prj.tcl": _BUILD.encode(),
    }


def options(steps: Mapping[str, bool]) -> str:
    """``build_opt.tcl``: which steps run."""
    lines = "".join(f"    {step:<10} {int(wanted)}\n" for step, wanted in steps.items())
    return f"array set opt {{\n{lines}}}\n"


_BUILD = f"""\
# Vitis HLS: vitis_hls -f build_prj.tcl, or vitis-run --mode hls --tcl build_prj.tcl
# build_opt.tcl says which steps run, project.tcl has part and clock.
cd [file dirname [file normalize [info script]]]
source project.tcl
source build_opt.tcl

set open [expr {{$opt(reset) ? "-reset" : ""}}]
open_project {{*}}$open ${{project_name}}_prj
set_top $project_name
foreach file {{{NETWORK} {TOP}}} {{
    add_files firmware/$file.cpp -cflags "-std=c++11"
}}
add_files -tb ${{project_name}}_test.cpp -cflags "-std=c++11"
add_files -tb tb_data
open_solution {{*}}$open solution1
set_part $part
create_clock -period $clock_period -name default
set_clock_uncertainty $clock_uncertainty default
config_compile -name_max_length 80
# Releases without this option have no such limit.
catch {{config_array_partition -maximum_size {UNROLL_LIMIT}}}

if {{$opt(csim)}} {{
    csim_design
}}
if {{$opt(synth)}} {{
    csynth_design
}}
if {{$opt(cosim)}} {{
    cosim_design
}}
if {{$opt(export)}} {{
    export_design -format ip_catalog
}}
exit
"""

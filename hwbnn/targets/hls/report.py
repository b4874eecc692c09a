"""What Vitis HLS reports of a synthesised project, in hls4ml's words."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from hwbnn.errors import ToolFailed


def parse_report(folder: Path) -> dict[str, Any]:
    """hls4ml's ``parse_vivado_report`` of a project's folder.

    Untested on a report of a real Vitis; the format is the one that hls4ml reads.

    Returns:
        At least ``{"CSynthesisReport": {"WorstLatency": "12", "LUT": "3456", ...}}``, values as
        text; further keys where co-simulation or Vivado left reports.

    Raises:
        ToolFailed: if there is no report of the synthesis, or none of the expected form.
    """
    from hls4ml.report import parse_vivado_report

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            report = parse_vivado_report(str(folder))
    # hls4ml raises whatever a missing element of a file happens to raise.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ToolFailed(f"{folder}: cannot read the synthesis report ({reason})") from error
    if not report or "CSynthesisReport" not in report:
        last = (said.getvalue().strip().splitlines() or ["nothing found"])[-1]
        raise ToolFailed(f"{folder}: holds no synthesis report ({last})")
    return dict(report)

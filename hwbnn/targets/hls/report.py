"""What Vitis HLS reports of a synthesised project, in hls4ml's words."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from hls4ml.report import parse_vivado_report

from hwbnn.errors import ToolFailed


def parse(folder: Path) -> dict[str, Any]:
    """See :func:`hwbnn.targets.hls.parse_report`."""
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

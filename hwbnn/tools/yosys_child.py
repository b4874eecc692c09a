"""Runs yosys passes in a process of its own, because yosys may end its process.

Started by :mod:`hwbnn.tools.yosys` as a script, with the name of a job file: a JSON list of passes.
It imports nothing of hwbnn, so that it starts at once.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from pyosys import libyosys


def main(job: str) -> None:
    """Run the passes of the job file; leave the peak memory in ``usage.json`` beside it."""
    design = libyosys.Design()
    for command in json.loads(Path(job).read_text(encoding="utf-8")):
        libyosys.run_pass(command, design)
    unit = 1 if sys.platform == "darwin" else 1024
    # ABC is a process of its own, which runs while this one waits.
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = sum(resource.getrusage(kind).ru_maxrss for kind in kinds) * unit
    Path(job).with_name("usage.json").write_text(json.dumps({"peak_bytes": peak}))


if __name__ == "__main__":
    main(sys.argv[1])

"""Speed of the simulators on one network, measured.

usage: python -m benchmarks.speed sfc|cnv|integers [options, see --help]
"""

from __future__ import annotations

import sys

from benchmarks.speed import cnv, integers, sfc
from hwbnn.errors import nearest

NETWORKS = {"sfc": sfc.main, "cnv": cnv.main, "integers": integers.main}

if len(sys.argv) < 2 or sys.argv[1] not in NETWORKS:
    given = sys.argv[1] if len(sys.argv) > 1 else ""
    sys.exit(f"error: network: expected one of {nearest(given, NETWORKS)}, found {given!r}")
NETWORKS[sys.argv.pop(1)]()

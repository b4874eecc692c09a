"""What runs inside of the simulator for :mod:`rtl_tests.forks`: a fork for each job."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import cocotb

from hwbnn.verification.cocotb_bench import drive


@cocotb.test()
async def serve(dut: Any) -> None:
    """Fork for every job that is named, and say how the fork ended."""
    requests = Path(os.environ["HWBNN_REQUESTS"])
    with requests.open() as jobs, requests.with_name("replies").open("wb", buffering=0) as replies:
        for line in jobs:
            fork = os.fork()
            if fork == 0:
                status = 1
                try:
                    await drive(dut, json.loads(Path(line.rstrip("\n")).read_text()))
                    status = 0
                except BaseException:
                    traceback.print_exc()
                sys.stdout.flush()
                os._exit(status)
            _, status = os.waitpid(fork, 0)
            replies.write(b"n" if status else b"y")

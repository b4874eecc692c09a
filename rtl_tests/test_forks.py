"""Runs in forks are those of processes of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwbnn.errors import Mismatch, ToolFailed
from hwbnn.verification.bench import Stalls
from rtl_tests.bench import random_tokens

pytestmark = pytest.mark.hardware


def test_each_run_starts_from_the_same_state_as_a_process_of_its_own(module, monkeypatch):
    up = module("hwbnn_stream_up", Width=3, Ratio=4, Tokens=7)
    alone = replace(up, forks=None)
    tokens = random_tokens(1, 84, 3)
    for seed in (0, 1):
        given = {"stalls": Stalls.random(seed), "seed": seed, "cut": 20}
        expected = alone.run(tokens, 24, (3, 12), **given)
        with monkeypatch.context() as patch:
            patch.setattr("hwbnn.verification.cocotb_run.Module.run", None)
            assert up.run(tokens, 24, (3, 12), **given) == expected


def test_what_goes_wrong_in_a_fork_is_said_by_a_process_of_its_own(module):
    x = [("hwbnn_stream_up", "valid_o = full_q", "valid_o = 1'bx")]
    up = module("hwbnn_stream_up", Width=3, Ratio=4, Tokens=7, replace=x)
    with pytest.raises((Mismatch, ToolFailed), match="X on a handshake"):
        up.run(random_tokens(1, 84, 3), 24, (3, 12))

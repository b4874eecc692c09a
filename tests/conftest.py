"""What all tests share: how hypothesis looks for counterexamples, compiled headers."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings

_COMMON = settings(
    max_examples=50,
    # A guard against what never ends. A first call may compile numba kernels: with none compiled
    # yet the longest example took 5.3 s, on two cores that eight other programs worked on.
    deadline=timedelta(seconds=60),
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.register_profile("dev", _COMMON)
# On a build server every run tries the same examples, so that a red build is red for its change.
settings.register_profile("ci", _COMMON, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")


@pytest.fixture(autouse=True)
def _headers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """C simulations in tests of hardware share compiled headers; see :mod:`tests.headers`."""
    if request.node.get_closest_marker("hardware") is not None:
        from hwbnn.verification import hls
        from tests import headers

        monkeypatch.setattr(hls, "arguments", headers.arguments)

"""Verification: every backend that computes a Graph is held, bit for bit, to the plain simulator.

:func:`verify` is the one call. The parts behind it: :mod:`~hwbnn.verification.results` compares
traces, :mod:`~hwbnn.verification.verilator` runs cores under a C++ bench,
:mod:`~hwbnn.verification.cocotb_run` does under cocotb, :mod:`~hwbnn.verification.hls` runs C
simulations, :mod:`~hwbnn.verification.vitis` runs Vitis HLS and :mod:`~hwbnn.verification.exported`
the RTL that it exports, :mod:`~hwbnn.verification.timing` holds counted cycles to predicted ones.
Nothing is imported before it is needed: simulators import this too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hwbnn.graph import Graph
    from hwbnn.plan import Plan
    from hwbnn.project import Project
    from hwbnn.verification.core import Core
    from hwbnn.verification.results import (
        BackendResult,
        CycleCheck,
        Difference,
        NodeResult,
        Verification,
    )

__all__ = [
    "BACKENDS",
    "BackendResult",
    "Core",
    "CycleCheck",
    "Difference",
    "NodeResult",
    "Verification",
    "check_backends",
    "verify",
]

_HOMES = {
    "Core": "core",
    "CycleCheck": "results",
    "Difference": "results",
    "NodeResult": "results",
    "Verification": "results",
    "BackendResult": "results",
}
"""Names that are imported when they are first asked for, and where they are."""

BACKENDS = (
    *("fast", "hls", "hls-stream", "rtl", "rtl-cocotb", "rtl-icarus"),
    *("hls-rtl", "hls-rtl-icarus"),
)
"""Backends that compute a Graph.

``fast`` is the fast simulator. ``hls`` is C simulation of HLS, ``io_parallel`` or for networks of
images ``io_stream``; ``hls-stream`` is ``io_stream`` in any case. ``rtl`` is RTL under Verilator
with the C++ bench; ``rtl-cocotb`` and ``rtl-icarus`` are RTL with cocotb, under Verilator and under
Icarus Verilog. ``hls-rtl`` and ``hls-rtl-icarus`` are RTL that Vitis HLS exported, likewise.
"""


def verify(
    what: Graph | Project,
    x: ArrayLike,
    *,
    plan: Plan | None = None,
    backends: Sequence[str] | str | None = None,
    reference: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    popcount: str = "behavioural",
    seed: int = 1,
    batch: int | None = None,
    rtl_frames: int | None = None,
    folder: Path | None = None,
    wave: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Verification:
    """Compute a batch of inputs by several backends and compare every value, bit for bit.

    RTL runs at full rate, where every cycle is held to the prediction, and again under random
    stalls after a reset in the middle of a frame. Where layers are netlists, all frames run through
    their models, which count ones, and the first through the netlists, as a result of its own. A
    difference is a result and raises nothing; see
    :meth:`~hwbnn.verification.results.Verification.raise_for_mismatch`.

    Args:
        what: a Graph, or a project that was generated from one, in memory or read from its folder.
        x: integers (or bits as 0 and 1, or bool) of shape ``(frames, *input shape)``.
        plan: how hardware is laid out where it has to be generated; that of the project by default.
        backends: some of :data:`BACKENDS`, or one; by default ``fast`` and that of the project.
        reference: computes the Graph's output from ``x``; compared like a backend if given.
        popcount: in RTL ``"behavioural"``, fast in simulation, or ``"structural"``, the gates that
            synthesis sees.
        seed: of stalls and of what registers hold before reset; different in every run of RTL.
        batch: frames computed and kept at a time; by default 1000, or fewer where all values of
            so many take more than some hundred megabytes.
        rtl_frames: how many of the inputs RTL computes at most; by default all of them.
        folder: where to build, and to find what was built; a temporary one by default.
        wave: FST file that takes the first frames in RTL.
        progress: called with the name of a backend, frames done and frames in all.

    Raises:
        InputError: if ``x`` does not fit the Graph, or there is no such backend.
        ToolNotFound: if a backend needs what is not installed.
        ToolFailed: if a tool ends with an error.
    """
    from hwbnn.verification.batches import run

    return run(
        what, x, plan, backends, reference,
        popcount=popcount, seed=seed, batch=batch, rtl_frames=rtl_frames, folder=folder,
        wave=wave, progress=progress,
    )  # fmt: skip


def check_backends(names: Iterable[str], rtl_frames: int | None = None) -> None:
    """Refuse names that no backend has, and numbers of frames that RTL cannot run.

    Raises:
        InputError: naming it, and what there is.
    """
    from hwbnn.errors import InputError, nearest

    if rtl_frames is not None and rtl_frames < 1:
        raise InputError(f"rtl_frames: expected at least 1 frame, found {rtl_frames}")

    for name in names:
        if name not in BACKENDS:
            raise InputError(f"backend {name!r}: expected some of {nearest(name, BACKENDS)}")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Verification: every backend that computes a Graph is compared with the plain simulator.

The comparison is bit for bit. :func:`verify` is the function to call. The modules behind it:
:mod:`~hwbnn.verification.results` compares traces, :mod:`~hwbnn.verification.verilator` runs cores
under a C++ bench, :mod:`~hwbnn.verification.cocotb_run` runs them under cocotb,
:mod:`~hwbnn.verification.hls` runs C simulations, :mod:`~hwbnn.verification.vitis` runs Vitis HLS,
:mod:`~hwbnn.verification.exported` runs the RTL that Vitis exports, and
:mod:`~hwbnn.verification.timing` compares counted cycles with predicted ones. Nothing is imported
before it is needed, because the Python inside a simulator imports this package too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwbnn.arguments import checked_call

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
"""Names that are imported on first use, and the modules that define them."""

BACKENDS = (
    *("fast", "hls", "hls-stream", "rtl", "rtl-cocotb", "rtl-icarus"),
    *("hls-rtl", "hls-rtl-icarus"),
)
"""Backends that compute a Graph.

``fast`` is the fast simulator. ``hls`` is C simulation of HLS, in ``io_parallel``, or in
``io_stream`` for networks that need it; ``hls-stream`` is always ``io_stream``. ``rtl`` is RTL
under Verilator with the C++ bench; ``rtl-cocotb`` and ``rtl-icarus`` are RTL with cocotb, under
Verilator and under Icarus Verilog. ``hls-rtl`` and ``hls-rtl-icarus`` are RTL that Vitis HLS
exported, with cocotb under the same two simulators.
"""


@checked_call(renamed={"ways": "backends"})
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
    folder: str | Path | None = None,
    wave: str | Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Verification:
    """Compute a batch of inputs by several backends and compare every value, bit for bit.

    RTL runs at full rate, where every cycle is compared with the prediction, and again under random
    stalls after a reset in the middle of a frame. Where layers are netlists, all frames run through
    their behavioural models, which count ones, and the first frames also run through the netlists
    as a separate result. A difference is reported in the result and raises nothing; see
    :meth:`~hwbnn.verification.results.Verification.raise_for_mismatch`.

    Args:
        what: a Graph, or a project that was generated from one, in memory or read from its folder.
        x: integers (or bits as 0 and 1, or bool) of shape ``(frames, *input shape)``.
        plan: the Plan for hardware that has to be generated; by default that of the project, or
            all layers unrolled.
        backends: one or more of :data:`BACKENDS`; by default ``fast``, and for a project also the
            backend that runs it.
        reference: computes the Graph's output from ``x``; compared like a backend if given.
        popcount: the popcounts in RTL: ``"behavioural"``, fast in simulation, or ``"structural"``,
            the gates that synthesis sees.
        seed: seed of the stalls and of the values that registers have before reset; each batch in
            RTL uses the next seed.
        batch: frames that are computed and kept in memory at a time; by default 1000, or fewer if
            their values would take more than some hundred megabytes.
        rtl_frames: the most frames that RTL computes; by default all of them.
        folder: where to build, and where earlier builds are found; by default a temporary folder.
        wave: FST file in which the first frames in RTL are recorded.
        progress: called with the name of a backend, the frames done and all frames.

    Raises:
        GraphError: if ``what`` is neither a Graph nor a project.
        InputError: if ``x`` does not fit the Graph, or there is no such backend.
        ToolNotFound: if a backend needs a tool that is not installed.
        ToolFailed: if a tool ends with an error.
    """
    from hwbnn.verification.batches import run

    return run(
        what, x, plan, backends, reference,
        popcount=popcount, seed=seed, batch=batch, rtl_frames=rtl_frames, folder=folder,
        wave=wave, progress=progress,
    )  # fmt: skip


def check_backends(names: Iterable[str], rtl_frames: int | None = None) -> None:
    """Check names of backends, and the number of frames that RTL computes.

    Raises:
        InputError: if a name is not one of :data:`BACKENDS`, or ``rtl_frames`` is below 1.
    """
    from hwbnn.errors import InputError, nearest

    if not isinstance(names, Iterable):
        raise InputError(f"backends: expected names of {', '.join(BACKENDS)}, found {names!r}")
    if rtl_frames is not None and rtl_frames < 1:
        raise InputError(f"rtl_frames: expected at least 1 frame, found {rtl_frames}")

    for name in names:
        if name not in BACKENDS:
            raise InputError(f"backend {name!r}: expected some of {nearest(name, BACKENDS)}")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    from hwbnn.errors import unknown_attribute

    raise unknown_attribute(__name__, __all__, name)

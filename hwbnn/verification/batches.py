"""One verification: prepare the backends, run each batch through all of them, collect results."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from hwbnn.errors import InputError, nearest
from hwbnn.graph import Graph, check_graph, from_bytes
from hwbnn.plan import Plan
from hwbnn.plan.plan import expect_plan
from hwbnn.project import Project
from hwbnn.simulators import check_input, simulate
from hwbnn.verification import check_backends
from hwbnn.verification.backends import Backend, Fast, Hls, Job, Reference, Referred, io
from hwbnn.verification.results import Verification
from hwbnn.verification.rtl_backends import HlsRtl, Rtl
from hwbnn.verification.verilator import POPCOUNTS

ELEMENTS = 1 << 24
"""About the most elements of all values of a batch; a few int64 copies of them are kept."""

_MAKERS: Mapping[str, Callable[[str, Job], Backend]] = {
    "fast": Fast,
    "hls": partial(Hls, io=None),
    "hls-stream": partial(Hls, io="io_stream"),
    "rtl": partial(Rtl, simulator="verilator", cocotb=False),
    "rtl-cocotb": partial(Rtl, simulator="verilator", cocotb=True),
    "rtl-icarus": partial(Rtl, simulator="icarus", cocotb=True),
    "hls-rtl": partial(HlsRtl, simulator="verilator"),
    "hls-rtl-icarus": partial(HlsRtl, simulator="icarus"),
}


def run(
    what: Graph | Project,
    x: ArrayLike,
    plan: Plan | None,
    backends: Sequence[str] | str | None,
    reference: Reference | None,
    *,
    batch: int | None,
    folder: str | Path | None,
    **options: Any,
) -> Verification:
    """See :func:`hwbnn.verification.verify`."""
    given = what if isinstance(what, Project) else None
    if given is None:
        check_graph(what, "verify")
    graph, own_plan = (what, None) if isinstance(what, Graph) else _read(what)
    checked = check_input(graph, x)
    expect_plan(plan, "verify")
    size = _batch(graph) if batch is None else batch
    if size < 1:
        raise InputError(f"batch: expected at least 1 frame, found {size}")
    if options["popcount"] not in POPCOUNTS:
        raise InputError(
            f"popcount {options['popcount']!r}: expected one of "
            f"{nearest(options['popcount'], POPCOUNTS)}"
        )
    names = backends if backends is not None else _default_backends(given)
    names = (names,) if isinstance(names, str) else names
    options["wave"] = None if options["wave"] is None else Path(options["wave"])
    check_backends(names, options["rtl_frames"])
    if options["seed"] < 0:
        raise InputError(f"verify: seed: expected an integer from 0, found {options['seed']}")
    if options["wave"] is not None and not any("rtl" in name for name in names):
        raise InputError(
            "verify: wave: is recorded from RTL, and no backend of it is named; add 'rtl'"
        )
    with _building(folder) as place:
        job = Job(
            graph,
            plan or own_plan or Plan.default_of(graph),
            given,
            len(checked),
            place,
            reference,
            **options,
        )
        chosen = [_MAKERS[name](name, job) for name in names]
        if reference is not None:
            chosen.insert(0, Referred("reference", job))
        for backend in chosen:
            backend.prepare()
        left = {backend: backend.wanted(len(checked)) for backend in chosen}
        for begin in range(0, len(checked), size):
            part = checked[begin : begin + size]
            expected = simulate(graph, part, engine="plain", trace=True)
            for backend in chosen:
                n = min(len(part), left[backend])
                if n:
                    backend.batch(part[:n], {name: v[:n] for name, v in expected.items()})
                    left[backend] -= n
                    _tell(job, backend, len(checked))
        return Verification(tuple(result for backend in chosen for result in backend.results()))


def _batch(graph: Graph) -> int:
    """The default number of frames in a batch, at most 1000, so that their values fit memory."""
    return max(1, min(1000, ELEMENTS // sum(t.size for t in graph.types.values())))


def _read(project: Project) -> tuple[Graph, Plan | None]:
    """The Graph of a project and the Plan that it was generated with."""
    if "graph.npz" not in project.files:
        raise InputError(
            f"project of target '{project.target}': no graph.npz in it; generate it again"
        )
    graph = from_bytes(project.files["graph.npz"])
    text = project.files.get("plan.json")
    return graph, None if text is None else Plan.from_json(text, "plan.json")


def _default_backends(given: Project | None) -> list[str]:
    """``fast``, and for a project also the backend that runs it."""
    if given is None:
        return ["fast"]
    stream = given.target == "hls" and io(given) == "io_stream"
    return ["fast", "hls-stream" if stream else given.target]


@contextlib.contextmanager
def _building(folder: str | Path | None) -> Iterator[Path]:
    if folder is not None:
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory(prefix="hwbnn-verify-") as scratch:
        yield Path(scratch)


def _tell(job: Job, backend: Backend, frames: int) -> None:
    if job.progress is not None:
        job.progress(backend.name, backend.frames, backend.wanted(frames))

"""What a build knows so far, and what it goes on without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hwbnn.errors import ToolFailed, ToolNotFound
from hwbnn.flow import parts
from hwbnn.flow.progress import Progress
from hwbnn.graph import Graph
from hwbnn.graph.arrays import Array
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.report import Accuracy, Backend, Core, Figure, FixedPoint, NotDone
from hwbnn.verification import BackendResult, verify


@dataclass
class Found:
    """What a build knows so far."""

    graph: Graph
    folder: Path
    x: Array
    progress: Progress
    accuracy: list[Accuracy] = field(default_factory=list)
    fixed_point: list[FixedPoint] = field(default_factory=list)
    backends: list[Backend] = field(default_factory=list)
    cores: list[Core] = field(default_factory=list)
    hls_synthesis: Mapping[str, Figure] = field(default_factory=dict)
    not_done: list[NotDone] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    failures: list[ToolFailed] = field(default_factory=list)
    rtl_frames: int | None = None

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Go on if a tool is missing or fails: what is known without it belongs in the report."""
        try:
            yield
        except ToolNotFound as error:
            self.not_done.append(NotDone(what, str(error)))
        except ToolFailed as error:
            self.not_done.append(NotDone(what, str(error)))
            self.failures.append(error)

    def verify(
        self, name: str, what: Graph | Project, plan: Plan, scratch: Path
    ) -> Sequence[BackendResult]:
        """One backend on all samples; nothing if it lacks a tool."""
        with self.attempt(f"verify {name}"), self.progress.step(f"verify {name}"):
            result = verify(
                what,
                self.x,
                plan=plan,
                backends=[name],
                rtl_frames=self.rtl_frames,
                folder=scratch,
                progress=lambda _, n, total: self.progress.detail(f"{n:,} of {total:,}"),
            )
            self.backends += [parts.backend(each) for each in result.backends]
            return result.backends
        return ()

"""The state of a build: its figures so far, and the steps that were left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hwbnn.errors import ToolFailed, ToolNotFound
from hwbnn.flow import reporting
from hwbnn.graph import Graph
from hwbnn.graph.arrays import Array
from hwbnn.plan import Plan
from hwbnn.project import Project
from hwbnn.report import (
    Accuracy,
    Agreement,
    BackendFigures,
    CoreFigures,
    Figure,
    FixedPointFigures,
    MarginHistogram,
    NotDone,
    Provenance,
    Report,
)
from hwbnn.verification import BackendResult, verify


class Progress(Protocol):
    """An object that shows the progress of a long computation."""

    def step(self, what: str) -> AbstractContextManager[None]:
        """A context manager that is open while the step ``what`` runs."""

    def detail(self, what: str) -> None:
        """Show how far the current step is."""


class Silent:
    """A :class:`Progress` that shows nothing."""

    def step(self, what: str) -> AbstractContextManager[None]:
        """Show nothing."""
        return nullcontext()

    def detail(self, what: str) -> None:
        """Show nothing."""


@dataclass
class BuildState:
    """The figures of a build so far, the files written, and what was left out."""

    graph: Graph
    folder: Path
    x: Array
    progress: Progress
    accuracy: list[Accuracy] = field(default_factory=list)
    fixed_point: list[FixedPointFigures] = field(default_factory=list)
    backends: list[BackendFigures] = field(default_factory=list)
    cores: list[CoreFigures] = field(default_factory=list)
    hls_synthesis: Mapping[str, Figure] = field(default_factory=dict)
    not_done: list[NotDone] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    failures: list[ToolFailed] = field(default_factory=list)
    rtl_frames: int | None = None
    provenance: Provenance | None = None
    agreement: list[Agreement] = field(default_factory=list)
    margins: tuple[MarginHistogram, ...] = ()
    commands: tuple[str, ...] = ()

    def report(self, name: str, versions: Mapping[str, str], **more: Any) -> Report:
        """The report of all figures so far.

        Args:
            name: name of the network.
            versions: versions of the tools and packages that were used.
            **more: other fields of the report.
        """
        return Report(
            name,
            self.graph.digest,
            tuple(self.accuracy),
            tuple(self.backends),
            tuple(self.cores),
            self.hls_synthesis,
            versions=versions,
            not_done=tuple(self.not_done),
            files=dict(self.files),
            fixed_point=tuple(self.fixed_point),
            provenance=self.provenance,
            nodes=reporting.nodes(self.graph),
            margins=self.margins,
            commands=self.commands,
            **more,
        )

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Note a missing or failing tool as not done, and continue: other figures are reported."""
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
        """Run one backend on all samples; the result is empty if a tool is missing or fails."""
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
            self.backends += [reporting.backend(each) for each in result.backends]
            return result.backends
        return ()

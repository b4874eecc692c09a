"""How long work tells what it is doing."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Progress(Protocol):
    """Someone who shows progress."""

    def step(self, what: str) -> AbstractContextManager[None]:
        """A context for the time that ``what`` takes."""

    def detail(self, what: str) -> None:
        """How far the present step is."""


class Silent:
    """Shows nothing."""

    def step(self, what: str) -> AbstractContextManager[None]:
        """Nothing."""
        return nullcontext()

    def detail(self, what: str) -> None:
        """Nothing."""

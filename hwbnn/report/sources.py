"""Numbered notes: the sources of figures, in the order of their first use."""

from __future__ import annotations

from hwbnn.report.figure import Figure


class SourceNotes:
    """Numbers the sources of figures in the order of their first use.

    Attributes:
        numbers: the number of each source, from 1.
    """

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def marks(self, *figures: Figure | str | None) -> list[int]:
        """The numbers of the sources of these figures; a text is a source itself."""
        said = [each.source if isinstance(each, Figure) else each for each in figures]
        used = dict.fromkeys(source for source in said if source)
        return [self.numbers.setdefault(name, len(self.numbers) + 1) for name in used]

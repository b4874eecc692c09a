"""Where digests differ, told so that what belongs together stands on one line."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    network: str
    section: str
    name: str
    before: Any
    now: Any

    @property
    def kind(self) -> str:
        if self.before is None:
            return "is new"
        return "is gone" if self.now is None else "differs"


EVERYTHING = "everything"
"""Name of a Difference that is a whole section; of it no digests are told."""


def differences(
    network: str, section: str, before: dict[str, Any], now: dict[str, Any]
) -> list[Difference]:
    return [
        Difference(network, section, name, before.get(name), now.get(name))
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def told(found: list[Difference]) -> str:
    """A line for each name that differs: in which sections of which networks."""
    if not found:
        return "nothing differs"
    lines = []
    by_name: dict[tuple[str, str], list[Difference]] = defaultdict(list)
    for d in found:
        by_name[d.name, d.kind].append(d)
    for (name, kind), same in sorted(by_name.items()):
        where: dict[str, list[str]] = defaultdict(list)
        for d in same:
            figures = f" ({d.before} -> {d.now})" if isinstance(d.before, int) else ""
            where[d.section + figures].append(d.network)
        for section, networks in where.items():
            lines.append(f"{name} {kind} in {section}: {', '.join(networks)}")
    return "\n".join([*lines, f"{len(found)} digests differ"])

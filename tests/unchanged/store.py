"""The stored digests: one JSON file, in which files that most projects have alike stand once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).with_name("golden.json")

Networks = dict[str, dict[str, dict[str, Any]]]
"""Digests by network, section and name."""


def load(path: Path) -> Networks:
    if not path.is_file():
        return {}
    stored = json.loads(path.read_text())
    return {
        network: {
            section: _expanded(stored["common"].get(_kind(section), {}), digests)
            for section, digests in sections.items()
        }
        for network, sections in stored["networks"].items()
    }


def save(path: Path, networks: Networks) -> None:
    common = _common(networks)
    lines = []
    for network, sections in sorted(networks.items()):
        rows = ",\n".join(
            f"{json.dumps(section)}: {json.dumps(_shortened(common.get(_kind(section), {}), made))}"
            for section, made in sections.items()
        )
        lines.append(f"{json.dumps(network)}: {{\n{rows}\n}}")
    text = ",\n".join(lines)
    path.write_text(f'{{"common": {json.dumps(common)},\n"networks": {{\n{text}\n}}}}\n')


def _kind(section: str) -> str:
    return section.partition(" ")[0]


def _common(networks: Networks) -> dict[str, dict[str, str]]:
    """Of each target, the files that more than half of all projects have with equal contents."""
    counts: dict[str, Counter[tuple[str, str]]] = {"hls": Counter(), "rtl": Counter()}
    projects: Counter[str] = Counter()
    for sections in networks.values():
        for section, digests in sections.items():
            kind = _kind(section)
            if kind in counts and len(digests) > 1:
                projects[kind] += 1
                counts[kind].update(digests.items())
    return {
        kind: {name: d for (name, d), n in sorted(found.items()) if 2 * n > projects[kind]}
        for kind, found in counts.items()
    }


def _shortened(common: dict[str, str], digests: dict[str, Any]) -> dict[str, Any]:
    """What differs from the common files; null for a common file that is missing."""
    if not common or len(digests) == 1:
        return digests
    own = {name: d for name, d in digests.items() if common.get(name) != d}
    return dict(sorted((own | {n: None for n in common if n not in digests}).items()))


def _expanded(common: dict[str, str], digests: dict[str, Any]) -> dict[str, Any]:
    if not common or len(digests) == 1:
        return digests
    return {name: d for name, d in {**common, **digests}.items() if d is not None}

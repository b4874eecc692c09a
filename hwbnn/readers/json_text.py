"""Reading of untrusted JSON: limits of size and depth, no key twice, errors of one line."""

from __future__ import annotations

import json
from typing import Any

from hwbnn.errors import InputError

MOST_BYTES = 1 << 26
MOST_DEPTH = 60


def read_json(data: bytes | str, where: str) -> Any:
    """Parse a JSON text.

    Args:
        data: the text; bytes are UTF-8.
        where: name of its file, for messages.

    Raises:
        InputError: if the text is damaged, too long or nested too deeply, or an object has a key
            twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"{where}: JSON: key {ascii(twice)[:60]} stands twice in one object")
        return found

    if len(data) > MOST_BYTES:
        raise InputError(
            f"{where}: JSON: expected at most {MOST_BYTES >> 20} MiB, found {len(data) >> 20} MiB"
        )
    try:
        value = json.loads(data, object_pairs_hook=unique)
    except RecursionError:
        raise InputError(f"{where}: JSON: nested too deeply") from None
    except ValueError as error:  # also for numbers of thousands of digits and bytes not in UTF-8
        text = " ".join(str(error).split())[:100]
        raise InputError(f"{where}: damaged JSON: {ascii(text)[1:-1]}") from None
    if _deeper(value, MOST_DEPTH):
        raise InputError(f"{where}: JSON: nested more than {MOST_DEPTH} deep")
    return value


def _deeper(value: Any, depth: int) -> bool:
    """Whether lists and objects are nested more than ``depth`` deep."""
    layer = [value]
    for _ in range(depth):
        layer = [
            inner
            for each in layer
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not layer:
            return False
    return any(isinstance(each, dict | list) for each in layer)

"""Frozen dataclasses to and from JSON; unknown entries and wrong types are refused."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import MappingProxyType
from typing import Any, TypeVar, cast

from hwbnn.errors import InputError, nearest
from hwbnn.report.figure import LARGEST

T = TypeVar("T")


def plain(value: Any) -> Any:
    """A dataclass as dicts, lists, numbers and text, ready for JSON."""
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def read(kind: type[T], given: Any, where: str) -> T:
    """Rebuild a dataclass from the output of :func:`plain`.

    Fields may hold text, numbers, dataclasses, ``tuple[X, ...]``, ``Mapping[str, X]`` and
    ``X | None``; those with a default may be left out.

    Args:
        kind: the class to build.
        given: the parsed JSON.
        where: its name in messages.

    Raises:
        InputError: if an entry is missing, unknown or of a wrong type; the message says where.
    """
    if not isinstance(given, dict):
        raise _wrong(where, "an object", given)
    hints = typing.get_type_hints(kind)
    known = fields(cast(Any, kind))
    if unknown := sorted(set(given) - {f.name for f in known}):
        names = nearest(unknown[0], (f.name for f in known))
        raise InputError(f"{where}: unknown entry {unknown[0][:60]!a}; expected {names}"[:400])
    values = {}
    for f in known:
        if f.name in given:
            values[f.name] = _value(hints[f.name], given[f.name], f"{where}: {f.name}")
        elif f.default is MISSING and f.default_factory is MISSING:
            raise InputError(f"{where}: entry '{f.name}' is missing")
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _value(hint: Any, given: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType and type(None) in args:
        inner = [arg for arg in args if arg is not type(None)]
        return None if given is None else _value(inner[0], given, where)
    if origin is tuple:
        if not isinstance(given, list):
            raise _wrong(where, "a list", given)
        return tuple(_value(args[0], item, f"{where}[{i}]") for i, item in enumerate(given))
    if origin is Mapping:
        if not isinstance(given, dict):
            raise _wrong(where, "an object", given)
        if not all(_is_text(key) for key in given):
            raise InputError(f"{where}: expected names of printable text")
        items = {key: _value(args[1], item, f"{where}: {key[:60]}") for key, item in given.items()}
        return MappingProxyType(items)
    if is_dataclass(hint):
        return read(cast(Any, hint), given, where)
    expected = args or (hint,)
    # JSON may write a float without a fraction, so an int is accepted for a float.
    wanted = (*expected, int) if float in expected else expected
    if not isinstance(given, wanted) or (isinstance(given, bool) and bool not in expected):
        raise _wrong(where, " or ".join(_WORDS[e] for e in expected), given)
    if isinstance(given, str) and not _is_text(given):
        raise InputError(f"{where}: expected printable text, found {ascii(given)[:60]}")
    if isinstance(given, int | float) and abs(given) > LARGEST:
        raise _wrong(where, "a number of at most 1e30", given)
    return given


def _is_text(given: str) -> bool:
    """Whether a text is safe to write and show: no lone surrogates, no control characters."""
    return all(c.isprintable() or c in "\n\t" for c in given)


_WORDS = {str: "text", int: "an integer", float: "a number", bool: "true or false"}


def _wrong(where: str, expected: str, given: object) -> InputError:
    try:
        found = ascii(str(given)[:40])
    except ValueError:  # an integer of thousands of digits
        found = "a huge integer"
    return InputError(f"{where}: expected {expected}, found {found}")

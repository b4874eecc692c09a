"""Checks of a call's arguments: a wrong name, number or plain type is told in one clear line."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from numbers import Integral, Real
from typing import Any, ParamSpec, TypeVar

from hwbnn.errors import ArgumentError, InputError, nearest

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")


def _is_bool(x: object) -> bool:
    return isinstance(x, bool) or type(x).__name__ in ("bool_", "bool")  # of NumPy too


def _is_number(kind: type) -> Callable[[object], bool]:
    return lambda x: isinstance(x, kind) and not _is_bool(x)


_KINDS: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "int": ("an integer", _is_number(Integral)),
    "float": ("a number", _is_number(Real)),
    "bool": ("True or False", _is_bool),
    "str": ("a text", lambda x: isinstance(x, str)),
    "Path": ("a path", lambda x: isinstance(x, str | os.PathLike)),
    "None": ("None", lambda x: x is None),
    "Callable": ("a function", callable),
}
"""The words for an argument with this annotation, and its check."""
MAKERS: Mapping[str, str] = {
    "Circuit": "hwbnn.plan.circuit(graph, plan) makes one",
    "Goal": "hwbnn.estimate.Goal(interval=100) is one",
    "Graph": "hwbnn.lower makes one of a model, hwbnn.load reads one",
    "Input": "hwbnn.Input(name, shape, low, high) makes one",
    "PartNumber": "hwbnn.devices.read_part(name) makes one",
    "Plan": "hwbnn.Plan(layers={...}) makes one, Plan.from_json(text) reads one",
    "Recipe": "Recipe.read(path) makes one of a file",
}
"""How to get an object of a class that a call may be given something else for."""


def checked_call(
    *,
    who: str = "",
    renamed: Mapping[str, str] | None = None,
    classes: Sequence[str] = (),
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator of public functions: wrong arguments are told in one clear line.

    Unknown and missing arguments are told with those that the function takes. Where an annotation
    has plain types only (``int``, ``float``, ``bool``, ``str``, ``Path``, ``Callable``, ``None``,
    and ``|`` of these and of ``classes``), the argument must be of one of them;
    integers of NumPy are integers. All other types are left to the function, which knows what to
    say of them.

    Args:
        who: the function's name in messages; by default its own.
        renamed: earlier names of arguments, and what they are now.
        classes: names of classes in :data:`MAKERS` that are checked too; the function's module
            must know them.

    Returns:
        The decorator. What it returns raises :class:`~hwbnn.errors.ArgumentError` or
        :class:`~hwbnn.errors.InputError` before the function begins.
    """

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        name = who or function.__name__
        kinds = {**_KINDS, **{kind: _of_class(function, kind) for kind in classes}}
        rules = {p.name: rule for p in signature.parameters.values() if (rule := _rule(p, kinds))}

        @wraps(function)
        def call(*given: P.args, **named: P.kwargs) -> R:
            try:
                bound = signature.bind(*given, **named)
            except TypeError:
                raise _misfit(name, signature, given, named, renamed or {}) from None
            for argument, value in bound.arguments.items():
                rule = rules.get(argument)
                if rule is not None and not any(fits(value) for _, fits in rule):
                    expected = " or ".join(said for said, _ in rule)
                    text = str(signature.parameters[argument].annotation)
                    hint = next((MAKERS[k] for k in classes if k in text.split(" | ")), "")
                    raise InputError(
                        f"{name}: {argument}: expected {expected}, found {_shown(value)}"
                        + (f"; {hint}" if hint else "")
                    )
            return function(*given, **named)

        return call

    return decorated


def checked_class(
    renamed: Mapping[str, str] | None = None,
) -> Callable[[type[C]], type[C]]:
    """A decorator of public classes: unknown and missing arguments are told in one clear line.

    Types are left to the class, which checks its own fields.

    Args:
        renamed: earlier names of arguments, and what they are now.
    """

    def decorated(cls: type[C]) -> type[C]:
        plain: Callable[..., None] = cls.__init__
        signature = inspect.signature(plain)

        @wraps(plain)
        def init(self: C, *given: Any, **named: Any) -> None:
            try:
                plain(self, *given, **named)
            except TypeError:
                # Arguments that do not fit are refused before anything is done; to check them only
                # then makes objects of which there are millions cheap.
                try:
                    signature.bind(self, *given, **named)
                except TypeError:
                    shown = signature.replace(parameters=[*signature.parameters.values()][1:])
                    raise _misfit(cls.__name__, shown, given, named, renamed or {}) from None
                raise

        cls.__init__ = init  # type: ignore[method-assign, assignment]
        return cls

    return decorated


def _of_class(function: Callable[..., Any], kind: str) -> tuple[str, Callable[[object], bool]]:
    """The words and the check for a class that the function's module knows by this name."""
    words = f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}"
    return words, lambda x: isinstance(x, inspect.unwrap(function).__globals__[kind])


def _rule(
    parameter: inspect.Parameter, kinds: Mapping[str, tuple[str, Callable[[object], bool]]]
) -> tuple[tuple[str, Callable[[object], bool]], ...] | None:
    """The kinds that a parameter may have; None where its annotation has others than plain ones."""
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return None
    text = re.sub(r"Callable\[.*\](?= \| None$|$)", "Callable", str(parameter.annotation))
    names = text.split(" | ")
    if "Path" in names and "str" in names:
        names.remove("str")
    return tuple(kinds[name] for name in names) if all(n in kinds for n in names) else None


def _shown(value: object) -> str:
    """A value in a message: small plain ones as they are, others by their type."""
    if value is None:
        return "nothing"
    if isinstance(value, str | int | float) and len(repr(value)) <= 60:
        return repr(value)
    return type(value).__name__


def _misfit(
    name: str,
    signature: inspect.Signature,
    given: tuple[Any, ...],
    named: Mapping[str, Any],
    renamed: Mapping[str, str],
) -> ArgumentError:
    """The error of a call that a signature refuses."""
    fixed = [
        p for p in signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    by_place = [p.name for p in fixed if p.kind is not p.KEYWORD_ONLY]
    by_name = [p.name for p in fixed if p.kind is not p.POSITIONAL_ONLY]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for wrong in () if takes_any else named:
        if wrong not in by_name:
            now = f"'{wrong}' is now '{renamed[wrong]}'; " if wrong in renamed else ""
            return ArgumentError(
                f"{name}: no argument {wrong[:60]!r}; {now}it has "
                f"{nearest(renamed.get(wrong, wrong), by_name)}"
            )
    if len(given) > len(by_place):
        others = [p.name for p in fixed if p.kind is p.KEYWORD_ONLY]
        first = f": {', '.join(by_place)}" if by_place else ""
        return ArgumentError(
            f"{name}: expected at most {len(by_place)} arguments in order{first}; found "
            f"{len(given)}"
            + (f"; give the others by name: {', '.join(o + '=' for o in others)}" if others else "")
        )
    for twice in by_place[: len(given)]:
        if twice in named:
            return ArgumentError(f"{name}: argument {twice!r} is given twice, in order and by name")
    missing = [
        p.name
        for p in fixed
        if p.default is p.empty and p.name not in named and p.name not in by_place[: len(given)]
    ]
    return ArgumentError(
        f"{name}: expected {', '.join(missing)}, found nothing; it has {', '.join(by_name)}"
    )

"""Straight-through estimators as arithmetic: ``x + (q - x).detach()`` is ``q``.

Networks often write a gradient of their own as a sum in which one number is added and subtracted.
In real numbers the sum is what remains. Float32 rounds on the way: a level of 1/3 becomes another
number, and a sign is lost beyond 2^24. The network means the level: such a sum is replaced in the
trace by what remains.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

from hwbnn.lowering.from_torch.ops import target_name

_SIGNS = {"add": 1, "sub": -1}
_SUMS: dict[Any, str] = {
    operator.add: "add",
    operator.sub: "sub",
    torch.add: "add",
    torch.sub: "sub",
    "add": "add",
    "sub": "sub",
}


def without_straight_through(traced: fx.GraphModule) -> bool:
    """Replace sums in which a detached number cancels by what remains, in place.

    Args:
        traced: the calls of a network.

    Returns:
        Whether a sum was replaced.
    """
    replaced = False
    for call in list(traced.graph.nodes):
        if _kind(call) is None:
            continue
        terms: dict[fx.Node, int] = {}
        if not _collect(call, 1, terms) or 0 not in terms.values():
            continue
        left = {node: count for node, count in terms.items() if count}
        if list(left.values()) == [1]:
            call.replace_all_uses_with(next(iter(left)))
            replaced = True
    if replaced:
        traced.graph.eliminate_dead_code(
            lambda n: n.op in ("placeholder", "output") or str(n.target).endswith("_")
        )
        traced.recompile()
    return replaced


def _kind(call: fx.Node) -> str | None:
    """``"add"`` or ``"sub"`` for the sum or difference of two values; None for other calls."""
    if call.op not in ("call_function", "call_method") or call.kwargs or len(call.args) != 2:
        return None
    both = all(isinstance(a, fx.Node) for a in call.args)
    return _SUMS.get(call.target) if both else None


def _collect(call: fx.Node, sign: int, terms: dict[fx.Node, int]) -> bool:
    """Add a value's terms, with their signs, to ``terms``; whether one of them is detached."""
    if _is_detached(call):
        (inner,) = call.all_input_nodes
        _collect(inner, sign, terms)
        return True
    kind = _kind(call)
    if kind is None:
        terms[call] = terms.get(call, 0) + sign
        return False
    one, other = call.args
    assert isinstance(one, fx.Node)
    assert isinstance(other, fx.Node)
    parts = [_collect(one, sign, terms), _collect(other, sign * _SIGNS[kind], terms)]
    return any(parts)


def _is_detached(call: fx.Node) -> bool:
    """Whether a call gives its argument without its gradient."""
    if call.op == "call_function" and call.target is getattr:
        return call.args[1] == "data"
    return call.op in ("call_function", "call_method") and target_name(call) == "detach"

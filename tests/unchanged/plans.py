"""The Plans under which hardware is recorded: the one place that knows the Plan's interface."""

from __future__ import annotations

from typing import Any, get_args

from hwbnn.graph import Conv2d, Dot, Graph
from hwbnn.plan import Folded, Plan, Sums, Unrolled

FORMS = ("portable", "xc7", "xcup")
PE_LIMIT, SIMD_LIMIT = 16, 64


def default() -> Plan:
    return Plan()


def unfused() -> Plan:
    """Three levels of logic between registers; no layer fused with its threshold."""
    return Plan(fuse=False, **{_field("logic_levels_per_register", "levels"): 3})


def netlist(form: str) -> Plan:
    named = "form" if "form" in Unrolled.__dataclass_fields__ else "made"
    return Plan(default=Unrolled(**{named: form}))  # type: ignore[arg-type]


def folded(graph: Graph, sums: str = "planes") -> Plan:
    """Every layer folded by the largest divisors up to the limits; no planner takes part."""
    layouts = {}
    for node in graph.nodes:
        if isinstance(node, Dot | Conv2d):
            groups = node.groups if isinstance(node, Conv2d) else 1
            pe = _divisor(len(node.weights) // groups, PE_LIMIT)
            simd = _divisor(node.weights[0].size, SIMD_LIMIT)
            layouts[node.name] = Folded(pe, simd, _sums(sums))  # type: ignore[arg-type]
    given: dict[str, Any] = {_field("layers", "dots"): layouts}
    return Plan(**given)


def _divisor(n: int, limit: int) -> int:
    return max(d for d in range(1, limit + 1) if n % d == 0)


def _field(*names: str) -> str:
    return next(name for name in names if name in Plan.__dataclass_fields__)


def _sums(name: str) -> str:
    other = {"planes": "bit_planes", "adders": "adder_tree", "serial": "bit_serial"}[name]
    return name if name in get_args(Sums) else other

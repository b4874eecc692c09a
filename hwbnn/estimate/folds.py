"""What searches for Plans share: costs, divisors, beats, and how a Plan is told in a line."""

from __future__ import annotations

from hwbnn.errors import PlanError
from hwbnn.estimate.area import area_of
from hwbnn.estimate.parts import Parts
from hwbnn.graph import Conv2d, Dot, Graph, Node
from hwbnn.plan import Folded, Plan, Unrolled, circuit
from hwbnn.plan.plan import BEAT_LIMIT


def describe(graph: Graph, plan: Plan) -> str:
    """The layouts of a Plan in one line, and the interval that they come to."""
    told = []
    for dot in graph.nodes:
        if isinstance(dot, Dot | Conv2d):
            layout = plan.layout(dot.name)
            shown = f"{layout.pe} x {layout.simd}" if isinstance(layout, Folded) else "unrolled"
            if isinstance(layout, Unrolled) and layout.form != "modules":
                shown += f" ({layout.form})"
            if layout.sums != "bit_planes":
                shown += f" {layout.sums}"
            told.append(f"{dot.name} {shown}")
    layers = ", ".join(told[:6]) + (", ..." if len(told) > 6 else "")
    return f"{layers} (pe x simd), a frame every {circuit(graph, plan).interval:,} cycles"


def cost_of(made: Parts, bram_luts: int) -> float:
    """LUTs, a block RAM counted as so many."""
    taken = area_of(made)
    return taken.lut + bram_luts * (taken.bram36 + taken.bram18 / 2)


def netlists(base: Plan) -> tuple[Unrolled, ...]:
    """The layout of the netlists that a Plan takes by default, if it does."""
    layout = base.default
    return (layout,) if isinstance(layout, Unrolled) and layout.form != "modules" else ()


def divisors(n: int) -> list[int]:
    """All of them, the smallest first."""
    return [d for d in range(1, n + 1) if n % d == 0]


def beat(graph: Graph, node: Node, given: int, cycles: int) -> int:
    """The beat itself, or the narrowest that carries a frame in so many cycles.

    Raises:
        PlanError: if none is wide enough.
    """
    t = graph.types[node.name]
    if given >= t.width and -(-t.size // (given // t.width)) <= cycles:
        return given
    made = -(-(-(-t.size // cycles) * t.width) // 8) * 8
    if made > BEAT_LIMIT:
        nearest = fastest(graph, node)
        raise PlanError(
            f"plan: '{node.name}' takes {nearest} cycles a frame through the widest beat of "
            f"{BEAT_LIMIT} bits, over the interval of {cycles}; take at least {nearest}"
        )
    return made


def fastest(graph: Graph, node: Node) -> int:
    """Cycles of a frame through the widest beat."""
    t = graph.types[node.name]
    return -(-t.size // (BEAT_LIMIT // t.width))

"""Binary neural networks from PyTorch to FPGA cores that are shown to compute the same bits.

The whole backend in four calls::

    graph   = hwbnn.lower(model, input)              # integers, or an error that names the layer
    project = hwbnn.generate(graph, "rtl", plan)     # files, in memory
    result  = hwbnn.verify(project, x)               # every backend equal; cycles counted
    report  = hwbnn.build(model, input, data, "build/")  # all of it, in one call

Public names are imported at first use. With numpy, Typer and Rich alone, a Graph can be loaded,
simulated and generated as RTL.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwbnn import methods, nn, training
    from hwbnn.errors import HwbnnError
    from hwbnn.flow import build
    from hwbnn.graph import Graph, Input, load, save
    from hwbnn.lowering import explain, lower, read
    from hwbnn.plan import Folded, Plan, Unrolled
    from hwbnn.project import Project
    from hwbnn.simulators import simulate
    from hwbnn.targets import generate
    from hwbnn.training import train
    from hwbnn.verification import verify
    from hwbnn.writers import to_qonnx

__version__ = "0.1.0"

__all__ = [
    "Folded",
    "Graph",
    "HwbnnError",
    "Input",
    "Plan",
    "Project",
    "Unrolled",
    "build",
    "explain",
    "generate",
    "load",
    "lower",
    "methods",
    "nn",
    "read",
    "save",
    "simulate",
    "to_qonnx",
    "train",
    "training",
    "verify",
]

_PACKAGES = {
    "Folded": "plan",
    "Graph": "graph",
    "HwbnnError": "errors",
    "Input": "graph",
    "Plan": "plan",
    "Project": "project",
    "Unrolled": "plan",
    "build": "flow",
    "explain": "lowering",
    "generate": "targets",
    "load": "graph",
    "lower": "lowering",
    "read": "lowering",
    "save": "graph",
    "simulate": "simulators",
    "to_qonnx": "writers",
    "train": "training",
    "verify": "verification",
}
"""The package that defines each public class and function."""

_SUBPACKAGES = frozenset({"methods", "nn", "training"})


def __getattr__(name: str) -> Any:
    """Import a public name from its package at first use."""
    if name not in _SUBPACKAGES and name not in _PACKAGES:
        from hwbnn.errors import unknown_attribute

        raise unknown_attribute(__name__, __all__, name)
    try:
        package = importlib.import_module(f"{__name__}.{_PACKAGES.get(name, name)}")
    except ModuleNotFoundError as error:
        from hwbnn.tools.packages import explained

        raise explained(error) from error
    if name in _SUBPACKAGES:
        return package
    value = getattr(package, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, whether they are loaded yet or not."""
    return sorted({*globals(), *__all__})

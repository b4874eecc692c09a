"""Binary neural networks from PyTorch to FPGA cores that are shown to compute the same bits.

The whole way in four calls::

    graph   = hwbnn.lower(model, input)              # exact, or an error that names the layer
    project = hwbnn.generate(graph, "rtl", plan)     # files, in memory
    result  = hwbnn.verify(project, x)               # every way equal; cycles counted
    report  = hwbnn.build(model, input, data, "build/")  # all of it, in one call

Everything here is loaded when it is first asked for: with numpy, Typer and Rich alone a Graph can
be loaded, simulated and generated as RTL, and nothing else is imported for that.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwbnn import methods, nn, train
    from hwbnn.build import build
    from hwbnn.errors import HwbnnError
    from hwbnn.graph import Graph, Input, load, save
    from hwbnn.lower import explain, lower
    from hwbnn.plan import Folded, Plan, Unrolled
    from hwbnn.project import Project
    from hwbnn.simulate import simulate
    from hwbnn.targets import generate
    from hwbnn.verify import verify

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
    "save",
    "simulate",
    "train",
    "verify",
]

_HOMES = {
    "Folded": "plan",
    "Graph": "graph",
    "HwbnnError": "errors",
    "Input": "graph",
    "Plan": "plan",
    "Project": "project",
    "Unrolled": "plan",
    "explain": "lower",
    "generate": "targets",
    "load": "graph",
    "save": "graph",
}
"""The room of each name that is not a room itself."""

_VERBS = frozenset({"build", "lower", "simulate", "train", "verify"})
_ROOMS = _VERBS | {"methods", "nn"}


class _Verb(ModuleType):
    """A room named after its one verb: ``hwbnn.lower(...)`` calls ``hwbnn.lower.lower(...)``."""

    @property
    def _verb(self) -> Any:
        return self.__dict__[self.__name__.rpartition(".")[2]]

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._verb)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._verb(*args, **kwargs)


class _Package(ModuleType):
    """This package: a room that holds a function of its own name becomes callable.

    Importing a submodule binds it in its package, over any function of that name; so the function
    is reached through the submodule, whoever imported it and when.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _VERBS and type(value) is ModuleType:
            value.__class__ = _Verb
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """A public name, imported from its room at first use."""
    if name not in _ROOMS and name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        room = importlib.import_module(f"{__name__}.{_HOMES.get(name, name)}")
    except ModuleNotFoundError as error:
        from hwbnn.tools.packages import explained

        raise explained(error) from error
    if name in _ROOMS:
        return room
    globals()[name] = found = getattr(room, name)
    return found


def __dir__() -> list[str]:
    """The public names, whether they are loaded yet or not."""
    return sorted({*globals(), *__all__})

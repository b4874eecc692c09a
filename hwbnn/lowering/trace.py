"""The network as a list of calls: torch.fx with binary layers and torch's own modules as leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from hwbnn.errors import CannotLower, HwbnnError
from hwbnn.graph import Input
from hwbnn.lowering.prepare import reference_mode
from hwbnn.lowering.steps import function_label, named
from hwbnn.methods import Nonlinearity
from hwbnn.nn import BinaryActivation, BinaryConv2d, BinaryLinear, OptionA, Scale, Select

LEAVES = (BinaryLinear, BinaryConv2d, BinaryActivation, OptionA, Scale, Select)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        is_leaf = isinstance(m, (*LEAVES, Nonlinearity))
        return is_leaf or super().is_leaf_module(m, module_qualified_name)


def trace(network: nn.Module) -> fx.GraphModule:
    """The calls that a prepared network makes.

    Raises:
        CannotLower: if its forward branches on values or cannot be traced.
    """
    try:
        graph = _Tracer().trace(network)
    except HwbnnError:
        raise
    except (Exception, SystemExit) as error:  # user code runs here, on stand-ins: all may happen
        raise CannotLower(
            f"{type(network).__name__}: its forward cannot be traced ({_reason(error)}); branches "
            "on values and loops over batches have no place in a fixed circuit: write it as a "
            "sequence of layers"
        ) from None
    # What nobody reads is no part of the circuit; what works in place is read by what comes later.
    graph.eliminate_dead_code(
        lambda node: node.op in ("placeholder", "output") or str(node.target).endswith("_")
    )
    return fx.GraphModule(network, graph)


def _reason(error: BaseException) -> str:
    """What user code raised, in a line."""
    said = str(error).partition("\n")[0][:140]
    named = isinstance(error, SystemExit) or not said
    return f"{type(error).__name__} {said}".rstrip() if named else said


class Recorder(fx.Interpreter):
    """Runs a traced network and keeps the value of every call.

    Attributes:
        values: what each node of the trace returned in the last run.
        instead: what later calls read in place of what a node returned.
    """

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.extra_traceback = False  # it would make errors long and of many lines
        self.values: dict[fx.Node, Any] = {}
        self.instead: dict[fx.Node, Tensor] = {}

    def record(self, x: Tensor) -> Any:
        """Run on a batch of floats; the network's output."""
        with reference_mode():
            return self.run(x)

    def run_node(self, n: fx.Node) -> Any:
        """One call; a tensor is kept as it is now, even if a later call works in place on it.

        Raises:
            CannotLower: if it makes a NaN, or reads what a call has overwritten.
        """
        for source in n.all_input_nodes:
            self._check_kept(n, source)
        result = super().run_node(n)
        if not isinstance(result, Tensor):
            self.values[n] = result
            return result
        if bool(result.isnan().any()):
            raise CannotLower(
                f"{self._label(n)}: makes a NaN; look at its parameters (a negative running "
                "variance, infinite gains)"
            )
        self.values[n] = result.clone()
        return self.instead.get(n, result)

    def _check_kept(self, n: fx.Node, source: fx.Node) -> None:
        """Modules that work in place change values that others read, which no circuit does."""
        kept, found = self.values.get(source), self.env.get(source)
        if source in self.instead or not isinstance(kept, Tensor) or not isinstance(found, Tensor):
            return
        if torch.equal(kept, found):
            return
        raise CannotLower(
            f"{self._label(n)}: reads what {self._label(source)} made, but a call in between works "
            "in place on a value that is read again; write a new one (inplace=False)"
        )

    def _label(self, n: fx.Node) -> str:
        if n.op == "call_module":
            return named(str(n.target), self.module.get_submodule(str(n.target)))
        if n.op in ("placeholder", "output"):
            return f"the model's {'input' if n.op == 'placeholder' else 'output'}"
        return function_label(n)


def floats(source: Input, u: Any) -> Tensor:
    """What the network sees of integers: ``scale * u + offset`` rounded once to float32.

    Args:
        source: the input contract.
        u: integers, or codes of bits, ``(batch, *shape)``.

    Returns:
        ``(batch, *shape)``; of images, whose shape is ``(height, width, channels)``,
        ``(batch, channels, height, width)``.
    """
    x = mapped(source, u)
    return x.permute(0, 3, 1, 2).contiguous() if len(source.shape) == 3 else x


def mapped(source: Input, u: Any) -> Tensor:
    """The floats of integers in an array of any shape, which is kept."""
    exact = torch.as_tensor(u).to(torch.float64) * source.scale + source.offset
    return exact.to(torch.float32)


@dataclass(frozen=True, eq=False)
class Sample:
    """What the calls of a network return for two batches of different size and contents.

    Attributes:
        small: value of each call for a batch of 2, all integers of the input lowest.
        large: the same for a batch of 3, all highest.
    """

    small: Mapping[fx.Node, Any]
    large: Mapping[fx.Node, Any]

    def shape(self, call: fx.Node) -> tuple[int, ...] | None:
        """Shape of a call's value for a batch of 2; None if it is no tensor."""
        value = self.small[call]
        return tuple(value.shape) if isinstance(value, Tensor) else None

    def constant(self, call: fx.Node) -> Tensor | int | float | None:
        """A call's value, if it is a number or tensor, the same for both batches."""
        value, other = self.small[call], self.large[call]
        if isinstance(value, Tensor) and isinstance(other, Tensor):
            return value if torch.equal(value, other) else None
        same = isinstance(value, int | float) and value == other
        return value if same else None


def sample(traced: fx.GraphModule, source: Input) -> Sample:
    """Run a network on its smallest and its largest input.

    Raises:
        CannotLower: if it does not take inputs of this shape.
    """
    recorders = Recorder(traced), Recorder(traced)
    try:
        for recorder, batch, integer in zip(
            recorders, (2, 3), (source.low, source.high), strict=True
        ):
            recorder.record(floats(source, torch.full((batch, *source.shape), integer)))
    except CannotLower:
        raise
    except HwbnnError as error:
        raise CannotLower(f"the network refuses an input: {error}") from None
    except (Exception, SystemExit) as error:  # user code runs here
        reason = _reason(error)
        raise CannotLower(
            f"the network does not run on a batch of shape (2, {', '.join(map(str, source.shape))})"
            f": {reason}; does input '{source.name}' have the shape that the model takes?"
        ) from None
    return Sample(recorders[0].values, recorders[1].values)

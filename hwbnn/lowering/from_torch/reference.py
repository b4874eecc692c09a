"""The float reference: a private copy of a model in evaluation mode, and the calls that it makes.

A Graph equals this copy, run eagerly on a CPU in float32 by the installed torch. The copy is taken
out of its wrappers (``torch.compile``, averages, data-parallel, Lightning). ``torch.fx`` traces it
to a list of calls, with binary layers and torch's own modules as leaves.
"""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parameter import UninitializedParameter

from hwbnn.errors import CannotLower, HwbnnError, TrainingMode
from hwbnn.graph import Input
from hwbnn.lowering.from_torch.brevitas import is_brevitas
from hwbnn.lowering.from_torch.ops import function_label, named, reference_mode, state_of
from hwbnn.methods import Nonlinearity
from hwbnn.nn import (
    BinaryActivation,
    BinaryConv1d,
    BinaryConv2d,
    BinaryLinear,
    GroupSum,
    OptionA,
    QuantConv2d,
    QuantLinear,
    Scale,
    Select,
    Thermometer,
)

LEAVES = (
    BinaryLinear,
    BinaryConv2d,
    BinaryActivation,
    BinaryConv1d,
    QuantLinear,
    QuantConv2d,
    GroupSum,
    OptionA,
    Scale,
    Select,
    Thermometer,
)
MODAL = (*LEAVES[:3], _BatchNorm, _DropoutNd)
"""Modules that compute something else in training mode."""
_INNER: dict[str, tuple[str, ...]] = {
    "OptimizedModule": ("_orig_mod",),  # torch.compile
    "DistributedDataParallel": ("module",),
    "DataParallel": ("module",),
    "FullyShardedDataParallel": ("module",),
    "AveragedModel": ("module",),  # torch.optim.swa_utils
}
_LIGHTNING = ("model", "network", "net")


def unwrap(model: nn.Module) -> nn.Module:
    """The network without its wrappers: ``torch.compile``, averages, data-parallel, Lightning.

    Raises:
        CannotLower: if a LightningModule does not say which of its modules is the network, or its
            own ``forward`` does more than call it.
    """
    while True:
        lightning = any(base.__name__ == "LightningModule" for base in type(model).__mro__)
        names = _LIGHTNING if lightning else _INNER.get(type(model).__name__, ())
        name = next((n for n in names if isinstance(getattr(model, n, None), nn.Module)), None)
        if name is None:
            break
        if lightning:
            _expect_passed_through(model, name)
        model = getattr(model, name)
    if lightning:
        raise CannotLower(
            f"{type(model).__name__}: expected the network of a LightningModule as its attribute "
            f"{' or '.join(map(repr, _LIGHTNING))}; give that module to lower()"
        )
    return model


class _Shallow(fx.Tracer):
    """Traces a module's own ``forward`` and nothing inside the modules that it calls."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def _expect_passed_through(model: nn.Module, name: str) -> None:
    """Refuse a LightningModule whose ``forward`` does more than call its network."""
    owner = next(base for base in type(model).__mro__ if "forward" in vars(base))
    if owner.__name__ == "LightningModule" or owner is nn.Module:
        return
    try:
        nodes = list(_Shallow().trace(model).nodes)
    except (Exception, SystemExit):  # a forward that raises is not the single call expected
        nodes = []
    if [n.op for n in nodes] != ["placeholder", "call_module", "output"] or nodes[1].target != name:
        raise CannotLower(
            f"{type(model).__name__}: its forward does more than call '{name}'; give that module "
            f"to lower(), with what forward adds moved into it"
        )


def _expect_plain(network: nn.Module) -> None:
    """Refuse modules that torch's own tools have put in place of layers or changed.

    Raises:
        CannotLower: naming the first layer that is quantized by torch, not initialised, or whose
            parameter a hook computes from others, as ``torch.nn.utils.prune`` does.
    """
    for name, module in network.named_modules():
        layer = f"layer '{name}' ({type(module).__name__})" if name else type(module).__name__
        if type(module).__module__.startswith("torch.ao."):
            raise CannotLower(
                f"{layer}: is of torch's own quantization; give the model as it was before, as "
                "hwbnn rounds real weights itself (weight_bits), or train quantized layers of "
                "hwbnn.nn"
            )
        own = dict(module.named_parameters(recurse=False))
        for parameter in own:
            if isinstance(own[parameter], UninitializedParameter):
                raise CannotLower(
                    f"{layer}: {parameter} has no size yet; call the model on a batch once, which "
                    "initialises lazy layers, and train it"
                )
        for key, value in vars(module).items():
            if isinstance(value, Tensor) and not value.is_leaf and f"{key}_orig" in own:
                raise CannotLower(
                    f"{layer}: {key} is masked anew in each pass by torch.nn.utils.prune; make "
                    f"this permanent first by torch.nn.utils.prune.remove(layer, '{key}')"
                )


def prepare(model: nn.Module) -> nn.Module:
    """A copy of the network in a model: unwrapped, float32, CPU, evaluation mode.

    Args:
        model: any torch module; it is not changed.

    Raises:
        CannotLower: if ``model`` is no module, comes from ``torch.jit``, is on the meta device or
            cannot be copied.
    """
    if not isinstance(model, nn.Module):
        is_class = isinstance(model, type)
        kind = f"the class {model.__name__}" if is_class else type(model).__name__
        raise CannotLower(f"expected a torch module, found {kind}; give the trained model itself")
    network = unwrap(model)
    if isinstance(network, torch.jit.ScriptModule):
        raise CannotLower(
            f"{type(network).__name__}: a module of torch.jit has no layers of hwbnn left; give "
            "the model that it was made of"
        )
    _expect_plain(network)
    if any(t.is_meta for t in state_of(network).values() if isinstance(t, torch.Tensor)):
        raise CannotLower("the model's parameters are on the meta device; load its weights first")
    try:
        network = copy.deepcopy(network)
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0][:120]
        raise CannotLower(f"{type(network).__name__}: cannot be copied ({reason})") from None
    return network.to(device="cpu", dtype=torch.float32).eval()


def warn_of_training_mode(model: nn.Module) -> None:
    """Warn that a model is in training mode.

    The warning points at the user's code, behind a function with checked arguments.
    Only modules that compute something else in that mode count: BatchNorm, Dropout, binary layers.

    Warns:
        TrainingMode: naming the first such module.
    """
    network = unwrap(model)
    for name, module in network.named_modules():
        if module.training and isinstance(module, MODAL):
            layer = f"layer '{name}' ({type(module).__name__})"
            warnings.warn(
                f"{type(network).__name__}: {layer} is in training mode; the Graph computes "
                "what the model computes after model.eval(): call it before you measure the "
                "model's own accuracy too",
                TrainingMode,
                stacklevel=4,
            )
            return


def parameter_digest(network: nn.Module) -> str:
    """SHA-256 over the names, shapes and values of all parameters and buffers."""
    sha = hashlib.sha256()
    for name, tensor in sorted(state_of(network).items()):
        if not isinstance(tensor, torch.Tensor):  # a module's extra state
            continue
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


class _Proxy(fx.Proxy):
    """A traced value that takes ``x[mask] = number`` and ``x.data = y`` as new values."""

    def __setitem__(self, mask: Any, value: Any) -> None:
        if not isinstance(mask, fx.Proxy) or isinstance(value, fx.Proxy):
            raise TypeError(
                "an assignment to a part of a tensor, other than x[mask] = number; use torch.where"
            )
        filled = self.tracer.create_proxy("call_method", "masked_fill", (self, mask, value), {})
        self.node = filled.node

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "data" and isinstance(value, fx.Proxy):
            self.node = value.node
        else:
            super().__setattr__(name, value)


class _Tracer(fx.Tracer):
    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        is_leaf = isinstance(m, (*LEAVES, Nonlinearity)) or is_brevitas(m)
        return is_leaf or super().is_leaf_module(m, module_qualified_name)


def trace(network: nn.Module) -> fx.GraphModule:
    """The calls that a prepared network makes, traced by ``torch.fx``.

    Raises:
        CannotLower: if its forward branches on values or cannot be traced.
    """
    try:
        graph = _Tracer().trace(network)
    except HwbnnError:
        raise
    except (Exception, SystemExit) as error:  # user code runs here, on proxies: it may raise any
        raise CannotLower(
            f"{type(network).__name__}: its forward cannot be traced ({_reason(error)}); branches "
            "on values and loops over batches have no place in a fixed circuit: write it as a "
            "sequence of layers"
        ) from None
    inputs = [str(node.target) for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) > 1:
        raise CannotLower(
            f"{type(network).__name__}: its forward takes {len(inputs)} inputs "
            f"({', '.join(inputs)[:80]}); write it with one, such as torch.cat of all, and select "
            "the parts in forward"
        )
    # Values that no call reads are dropped. In-place calls are kept: later calls see their effect.
    graph.eliminate_dead_code(
        lambda node: node.op in ("placeholder", "output") or str(node.target).endswith("_")
    )
    return fx.GraphModule(network, graph)


def _reason(error: BaseException) -> str:
    """An error of user code, in one line."""
    text = str(error).partition("\n")[0][:140]
    is_bare = isinstance(error, SystemExit) or not text
    return f"{type(error).__name__} {text}".rstrip() if is_bare else text


class Recorder(fx.Interpreter):
    """Runs a traced network and keeps the value of every call.

    Attributes:
        values: the result of each node of the trace in the last run.
        at: the call that is running, or that failed.
        instead: by node, numbers that later calls read instead of the node's result.
    """

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.extra_traceback = False  # it would make errors long and of many lines
        self.values: dict[fx.Node, Any] = {}
        self.at: fx.Node | None = None
        self.instead: dict[fx.Node, Tensor] = {}

    def record(self, x: Tensor) -> Any:
        """Run the network on a batch of floats and return its output."""
        with reference_mode():
            return self.run(x)

    def run_node(self, n: fx.Node) -> Any:
        """Run one call; a copy of its result is kept, as a later call may change it in place.

        Raises:
            CannotLower: if the result has a NaN, or another call has overwritten an argument.
        """
        for source in n.all_input_nodes:
            self._check_kept(n, source)
        self.at = n
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
        """Refuse a value that was changed in place before this call reads it."""
        kept, now = self.values.get(source), self.env.get(source)
        if source in self.instead or not isinstance(kept, Tensor) or not isinstance(now, Tensor):
            return
        if torch.equal(kept, now):
            return
        raise CannotLower(
            f"{self._label(n)}: reads the result of {self._label(source)}, but a call in between "
            "works in place on a value that is read again; write a new one (inplace=False)"
        )

    def failed(self) -> str:
        """The call that failed and the shapes of its arguments, for messages; empty if none."""
        if self.at is None:
            return ""
        tensors = [self.values.get(n) for n in self.at.all_input_nodes]
        shapes = [str(tuple(t.shape)) for t in tensors if isinstance(t, Tensor)]
        read = f", which reads {' and '.join(shapes)}" if shapes else ""
        return self._label(self.at) + read

    def _label(self, n: fx.Node) -> str:
        if n.op == "call_module":
            return named(str(n.target), self.module.get_submodule(str(n.target)))
        if n.op in ("placeholder", "output"):
            return f"the model's {'input' if n.op == 'placeholder' else 'output'}"
        return function_label(n)


def floats(source: Input, u: Any, *, is_sequence: bool = False) -> Tensor:
    """The network's input for integers: ``scale * u + offset``, rounded once to float32.

    Args:
        source: the input contract.
        u: integers, or codes of bits, ``(batch, *shape)``.
        is_sequence: whether the network takes sequences, see :func:`takes_sequences`.

    Returns:
        Float32 ``(batch, *shape)``; for images, whose shape is ``(height, width, channels)``,
        ``(batch, channels, height, width)``; for sequences ``(batch, channels, length)``.
    """
    integers = torch.as_tensor(u).to(torch.float64)
    scale, offset = (integers.new_tensor(part) for part in (source.scale, source.offset))
    x = (integers * scale + offset).to(torch.float32)
    if len(source.shape) != 3:
        return x
    # To torch, images of one channel are contiguous in either order; its convolutions would then
    # return channels last, which a later `view` cannot flatten.
    x = x.permute(0, 3, 1, 2).clone(memory_format=torch.contiguous_format)
    return x[:, :, 0] if is_sequence else x


_OF_SEQUENCES = (
    *(nn.Conv1d, BinaryConv1d, nn.MaxPool1d, nn.AvgPool1d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveAvgPool1d),
)


def takes_sequences(network: nn.Module, source: Input) -> bool:
    """Whether a network takes an input of shape ``(1, length, channels)`` as a sequence.

    A sequence is ``(batch, channels, length)`` in torch. A network takes one if it has a
    one-dimensional convolution or pool.
    """
    is_row = len(source.shape) == 3 and source.shape[0] == 1
    return is_row and any(isinstance(m, _OF_SEQUENCES) for m in network.modules())


@dataclass(frozen=True, eq=False)
class Sample:
    """The results of all calls of a network for two batches of different size and contents.

    Attributes:
        small: value of each call for a batch of 2, with the lowest integer at all of the input.
        large: value of each call for a batch of 3, with the highest integer.
    """

    small: Mapping[fx.Node, Any]
    large: Mapping[fx.Node, Any]

    def shape(self, call: fx.Node) -> tuple[int, ...] | None:
        """Shape of a call's value for a batch of 2; None if it is no tensor."""
        value = self.small[call]
        return tuple(value.shape) if isinstance(value, Tensor) else None

    def constant(self, call: fx.Node) -> Tensor | int | float | None:
        """A call's value, if it is a number or tensor that is equal for both batches; else None."""
        value, other = self.small[call], self.large[call]
        if isinstance(value, Tensor) and isinstance(other, Tensor):
            return value if torch.equal(value, other) else None
        same = isinstance(value, int | float) and value == other
        return value if same else None


def _input_shape(source: Input) -> str:
    """The tensor that a model gets for an input contract, for messages."""
    size = ", ".join(map(str, source.shape))
    if len(source.shape) != 3:
        sequence = "; for sequences give Input the shape (1, length, channels)"
        more = sequence if len(source.shape) == 2 else ""
        return f"the model gets a batch of shape (2, {size}), as input '{source.name}' says{more}"
    height, width, channels = source.shape
    return (
        f"input '{source.name}' has shape (height, width, channels) = ({size}), so the model gets "
        f"a batch of shape (2, {channels}, {height}, {width})"
    )


def sample(traced: fx.GraphModule, source: Input, *, is_sequence: bool) -> Sample:
    """Run a network on its smallest and its largest input.

    Args:
        traced: the calls of a prepared network.
        source: the network's input.
        is_sequence: whether the network takes sequences, see :func:`takes_sequences`.

    Raises:
        CannotLower: if the network does not take inputs of this shape.
    """
    recorders = Recorder(traced), Recorder(traced)
    try:
        for recorder, batch, integer in zip(
            recorders, (2, 3), (source.low, source.high), strict=True
        ):
            u = torch.full((batch, *source.shape), integer)
            recorder.record(floats(source, u, is_sequence=is_sequence))
    except CannotLower:
        raise
    except HwbnnError as error:
        where = next(r.failed() for r in reversed(recorders) if r.at is not None)
        raise CannotLower(
            f"{where}: the network refuses an input: {error}; {_input_shape(source)}"
        ) from None
    except AttributeError as error:
        where = next((f"{r.failed()}: " for r in reversed(recorders) if r.at is not None), "")
        hint = (
            "a forward that keeps things on a parameter (weight.org) cannot be followed: compute "
            "the weights in it, F.linear(x, self.weight.sign())"
            if "'Parameter' object" in str(error)
            else "expected a network that computes something of a batch in evaluation mode; "
            f"{_input_shape(source)}"
        )
        raise CannotLower(f"{where}{_reason(error)}; {hint}") from None
    except (Exception, SystemExit) as error:  # user code runs here
        where = next((f"{r.failed()}: " for r in reversed(recorders) if r.at is not None), "")
        raise CannotLower(
            f"{where}{_reason(error)}; expected a layer of the size that arrives here; "
            f"{_input_shape(source)}"
        ) from None
    return Sample(recorders[0].values, recorders[1].values)

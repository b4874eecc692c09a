"""Torch's modules, functions and pools that lowering supports, as functions of arrays.

A function between a sum and the next activation maps each element by its channel only, in the same
way at every position of a batch; so its values on a table of integers are its values in the
network. Anything that is not listed here is refused by name. Left out on purpose: functions whose
CPU kernels round differently in vector code and in the scalar code for the last elements
(``tanh``, ``add`` with ``alpha``), and functions that mix channels.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from hwbnn.errors import CannotLower
from hwbnn.graph.arrays import Float32s, Ints
from hwbnn.lowering.ops import ChannelwiseOp, TableFunction
from hwbnn.lowering.pools import PoolWindow
from hwbnn.methods import Nonlinearity
from hwbnn.nn import Scale

MODULES: tuple[type[nn.Module], ...] = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.SyncBatchNorm,
    nn.PReLU,
    nn.LeakyReLU,
    nn.ReLU,
    nn.ReLU6,
    nn.Hardtanh,
    nn.Identity,
    nn.Dropout,
    nn.Dropout2d,
    nn.AlphaDropout,
    Scale,
)
"""Modules allowed between a sum and the next activation, but not subclasses of them.

A subclass may compute anything. A method's ``Nonlinearity`` is allowed too: it promises to work
channel by channel.
"""

UNCHANGED: tuple[type[nn.Module], ...] = (
    nn.Identity,
    nn.Dropout,
    nn.Dropout2d,
    nn.AlphaDropout,
)
"""Modules that return their argument in evaluation mode."""

BATCH_NORMS = nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm

_ALIKE = nn.ReLU | nn.ReLU6 | nn.Hardtanh | nn.Identity | nn.Dropout | nn.Dropout2d | Scale
"""Modules that do the same to all channels, and are monotone."""

FUNCTIONS: dict[Callable[..., Any], str] = {
    operator.add: "add",
    operator.sub: "sub",
    operator.mul: "mul",
    operator.truediv: "div",
    operator.neg: "neg",
    operator.iadd: "add",
    operator.isub: "sub",
    operator.imul: "mul",
    operator.itruediv: "div",
    torch.add: "add",
    torch.sub: "sub",
    torch.mul: "mul",
    torch.div: "div",
    torch.neg: "neg",
    torch.relu: "relu",
    torch.clamp: "clamp",
    torch.clip: "clamp",
    torch.clamp_min: "clamp",
    torch.clamp_max: "clamp",
    torch.minimum: "minimum",
    torch.maximum: "maximum",
    torch.round: "round",
    torch.floor: "floor",
    torch.ceil: "ceil",
    torch.ge: "compare",
    torch.gt: "compare",
    torch.le: "compare",
    torch.lt: "compare",
    operator.ge: "compare",
    operator.gt: "compare",
    operator.le: "compare",
    operator.lt: "compare",
    operator.invert: "invert",
    operator.and_: "and",
    operator.or_: "or",
    operator.eq: "compare",
    operator.ne: "compare",
    operator.abs: "abs",
    torch.eq: "compare",
    torch.ne: "compare",
    torch.logical_not: "invert",
    torch.logical_and: "and",
    torch.logical_or: "or",
    torch.where: "where",
    torch.sign: "sign",
    torch.sgn: "sign",
    torch.abs: "abs",
    torch.square: "square",
    torch.heaviside: "heaviside",
    torch.copysign: "copysign",
    torch.masked_fill: "masked_fill",
    torch.clone: "clone",
    torch.detach: "detach",
    functional.batch_norm: "batch_norm",
    functional.relu: "relu",
    functional.relu6: "relu6",
    functional.hardtanh: "hardtanh",
    functional.leaky_relu: "leaky_relu",
    functional.prelu: "prelu",
    functional.dropout: "dropout",
}
METHODS = frozenset(
    [
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "relu",
        "clamp",
        "clip",
        "clamp_min",
        "clamp_max",
        "minimum",
        "maximum",
        "round",
        "floor",
        "ceil",
        "ge",
        "gt",
        "le",
        "lt",
        "eq",
        "ne",
        "logical_not",
        "logical_and",
        "logical_or",
        "where",
        "sign",
        "sgn",
        "abs",
        "square",
        "heaviside",
        "copysign",
        "masked_fill",
        "sign_",
        "contiguous",
        "clone",
        "float",
        "int",
        "long",
        "bool",
        "to",
        "type",
        "type_as",
        "detach",
        "add_",
        "sub_",
        "mul_",
        "div_",
        "neg_",
        "relu_",
        "clamp_",
        "clip_",
        "clamp_min_",
        "clamp_max_",
    ]
)
_KEYWORDS = frozenset(
    [
        "other",
        "min",
        "max",
        "min_val",
        "max_val",
        "negative_slope",
        "inplace",
        "p",
        "training",
        "running_mean",
        "running_var",
        "weight",
        "bias",
        "momentum",
        "eps",
        "values",
        "value",
        "mask",
        "dtype",
    ]
)
SHAPE_ALONE = frozenset(("expand_as", "expand", "zeros_like", "ones_like"))
"""Functions of constants and of the shape of a value; their result is a constant."""
_REMEDY = (
    "between a binary layer and the next activation only channel-wise functions have an exact "
    "integer form (BatchNorm, PReLU, ReLU, Hardtanh, Dropout, Scale, constants added or multiplied)"
)

_CLASS = "the class is the same without it: return the logits and leave it to the loss"
_CURVE = f"use nn.Hardtanh, nn.ReLU or nn.PReLU in its place: {_REMEDY}"
_OF_SAMPLE = (
    "a number computed from each sample (such as XNOR-Net's K) is another one for every input, "
    "which no table of a channel has; leave it out, or use the BatchNorm behind the layer"
)
_SIGMOID = (
    "of one logit the decision is the same without it: return the logit and leave it to the loss "
    f"(BCEWithLogitsLoss); else {_REMEDY}"
)
_ADVICE: dict[str, str] = {
    **dict.fromkeys(("softmax", "logsoftmax", "softmin"), _CLASS),
    **dict.fromkeys(("argmax", "max", "amax", "topk"), _CLASS),
    **dict.fromkeys(("gelu", "silu", "mish", "tanh", "elu", "selu", "celu"), _CURVE),
    **dict.fromkeys(("hardswish", "softplus", "softsign"), _CURVE),
    **dict.fromkeys(("sigmoid", "logsigmoid", "hardsigmoid"), _SIGMOID),
    **dict.fromkeys(("mean", "norm", "std", "var", "sum"), _OF_SAMPLE),
}
"""Advice for a refused function or module, by its name in lower case without underscores."""


def _advice(name: str) -> str:
    """The advice for a refused module or function of this name."""
    return _ADVICE.get(name.lower().replace("_", ""), _REMEDY)


Operand = Tensor | int | float


@contextmanager
def reference_mode() -> Iterator[None]:
    """Run torch as the float reference does: no gradients, no autocast."""
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        yield


def table_function(
    label: str,
    function: Callable[[Tensor], Tensor],
    *,
    axes: int = 0,
    is_elementwise: bool = False,
    is_monotone: bool = False,
    has_few_lines: bool = False,
) -> TableFunction:
    """A function of tensors as a function of tables.

    Torch's BatchNorm rounds by different formulas in different memory layouts; a batch in the
    network is contiguous, and so are the tables.

    Args:
        label: the function and its place in the network, for messages.
        function: the trained module itself, or the traced function with its constants.
        axes: number of axes after the channels in the network: 2 for images, 1 for sequences. The
            function gets a table as ``(rows, channels)`` with so many more axes of length 1.
        is_elementwise: see :class:`~hwbnn.lowering.ops.ChannelwiseOp`.
        is_monotone: see :class:`~hwbnn.lowering.ops.ChannelwiseOp`.
        has_few_lines: see :class:`~hwbnn.lowering.ops.ChannelwiseOp`.

    Returns:
        The function; it raises ``CannotLower`` if ``function`` changes shape or type.
    """

    def compute(x: Float32s) -> Float32s:
        table = torch.from_numpy(x)
        table = table.reshape(*table.shape, *(1,) * axes)
        with reference_mode():
            y = function(table)
            # Torch computes with bools as with 0 and 1, and with integers as with floats.
            y = y.float() if not y.dtype.is_floating_point else y
        if y.shape != table.shape or y.dtype != torch.float32:
            raise CannotLower(
                f"{label}: expected a function that keeps shape {tuple(table.shape[1:])} and "
                f"float32, found {tuple(y.shape[1:])} and {y.dtype}; {_REMEDY}"
            )
        result: Float32s = y.flatten(1).numpy()
        return result

    return TableFunction(
        label,
        compute,
        is_elementwise=is_elementwise,
        is_monotone=is_monotone,
        has_few_lines=has_few_lines,
    )


def plain_tensor(value: Any) -> Any:
    """A quantized tensor of Brevitas as a tensor of torch; anything else as it is."""
    return value.value if isinstance(value, tuple) and hasattr(value, "value") else value


def named(name: str, module: nn.Module) -> str:
    """A module in messages: its qualified name and its type."""
    return f"layer '{name}' ({getattr(module, 'kind', type(module).__name__)})"


def kind_of(module: nn.Module) -> type[nn.Module]:
    """The class of a module, without the class that torch's parametrizations put around it."""
    kind = type(module)
    return kind.__bases__[0] if parametrize.is_parametrized(module) else kind


def state_of(module: nn.Module) -> dict[str, Any]:
    """The parameters and buffers of a module, without torch's warnings to authors of modules."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return dict(module.state_dict())


def check_state(name: str, module: nn.Module) -> None:
    """Refuse numbers that are not finite, and hooks, which may change values.

    Raises:
        CannotLower: naming the layer and the parameter.
    """
    for key, tensor in state_of(module).items():
        if isinstance(tensor, Tensor) and not bool(torch.isfinite(tensor).all()):
            bad = "NaN" if bool(tensor.isnan().any()) else "infinity"
            raise CannotLower(
                f"{named(name, module)}: {key} holds {bad}: training diverged or the checkpoint is "
                "damaged; load an earlier one, or train with a lower learning rate"
            )
    for hooked in module.modules():
        if hooked._forward_hooks or hooked._forward_pre_hooks:
            raise CannotLower(
                f"{named(name, module)}: it has forward hooks, which may change values unseen; "
                "remove them (torch.nn.utils.remove_weight_norm and the like)"
            )


def module_op(name: str, module: nn.Module, *, axes: int = 0) -> TableFunction:
    """The function of a module between a sum and the next activation.

    Args:
        name: the module's name in the network.
        module: the module.
        axes: number of axes after the channels of its argument: 2 for images, 1 for sequences.

    Raises:
        CannotLower: if its type is not in :data:`MODULES`, or it depends on the batch.
    """
    if isinstance(module, Nonlinearity):
        reason = module.why_not_exact()
        if reason is not None:
            raise CannotLower(f"{named(name, module)}: {reason}")
    elif type(module) not in MODULES:
        advice = _advice(type(module).__name__)
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            kind = "Linear" if isinstance(module, nn.Linear) else "Conv2d"
            advice = f"use nn.{kind} itself, or hwbnn.nn.Quant{kind} or hwbnn.nn.Binary{kind}"
        raise CannotLower(f"{named(name, module)}: {advice}")
    if isinstance(module, BATCH_NORMS) and module.running_var is None:
        raise CannotLower(
            f"{named(name, module)}: without running statistics it depends on the batch; make it "
            "with track_running_stats=True and train again"
        )
    return table_function(
        named(name, module),
        module,
        axes=axes,
        is_elementwise=isinstance(module, _ALIKE),
        is_monotone=_is_monotone(module),
        has_few_lines=isinstance(module, nn.PReLU | nn.LeakyReLU)
        or (isinstance(module, Nonlinearity) and module.has_few_lines),
    )


def _is_monotone(module: nn.Module) -> bool:
    """Whether a module consists only of products, sums, bounds and slopes of one sign.

    Each of these keeps the order of its arguments or reverses it; rounding keeps it too.
    """
    if isinstance(module, Nonlinearity):
        return module.is_monotone
    if isinstance(module, nn.PReLU):
        return bool((module.weight >= 0).all())
    if isinstance(module, nn.LeakyReLU):
        return module.negative_slope >= 0
    return isinstance(module, _ALIKE | BATCH_NORMS)


@dataclass(frozen=True, eq=False)
class FunctionCall:
    """A traced function or method of one or several values that depend on the input.

    Attributes:
        label: the call, for messages.
        apply: function from these values to the result.
        is_elementwise: see :class:`~hwbnn.lowering.ops.ChannelwiseOp`.
        is_monotone: whether it is known to be monotone in its only value.
        is_linear: whether it is the sum or difference of two values.
    """

    label: str
    apply: Callable[..., Tensor]
    is_elementwise: bool
    is_monotone: bool
    is_linear: bool

    def op(self, axes: int) -> TableFunction:
        """The function of its only value; axes as for :func:`table_function`."""
        return table_function(
            self.label,
            self.apply,
            axes=axes,
            is_elementwise=self.is_elementwise,
            is_monotone=self.is_monotone,
        )

    def joined(self, parts: Sequence[tuple[ChannelwiseOp, ...]], axes: int) -> TableFunction:
        """The function of one value ``x`` that has all arguments as functions of ``x``.

        Args:
            parts: for each argument the functions from ``x`` to it.
            axes: as for :func:`table_function`.
        """

        def compute(x: Tensor) -> Tensor:
            tables = []
            for ops in parts:
                table = x.flatten(1).numpy()
                for op in ops:
                    table = op(table)
                tables.append(torch.from_numpy(np.ascontiguousarray(table)).reshape(x.shape))
            return self.apply(*tables)

        every = [op for ops in parts for op in ops]
        function = table_function(
            self.label,
            compute,
            axes=axes,
            is_elementwise=self.is_elementwise and all(op.is_elementwise for op in every),
        )
        lines = self.is_linear and all(op.is_piecewise_linear for op in every)
        return replace(function, has_few_lines=lines)


def function_op(
    node: fx.Node,
    sources: Mapping[fx.Node, torch.dtype],
    constants: dict[fx.Node, Operand],
) -> FunctionCall:
    """A traced function or method with arguments that depend on the input.

    Args:
        node: the call.
        sources: the arguments that depend on the input, and their types in the network.
        constants: values of the other arguments that are traced.

    Raises:
        CannotLower: if the function is not listed, it works in place on a value that others read,
            or a constant is not finite.
    """
    target = node.target
    label = function_label(node)
    listed = target in METHODS if isinstance(target, str) else target in FUNCTIONS
    name = target if isinstance(target, str) else FUNCTIONS.get(target, "")
    if name == "batch_norm":
        _check_batch_norm(label, node, constants)
    if not listed or not set(node.kwargs) <= _KEYWORDS or node.kwargs.get("training"):
        called = target if isinstance(target, str) else getattr(target, "__name__", "")
        raise CannotLower(f"{label}: {_advice(called)}")
    in_place = target.endswith("_") if isinstance(target, str) else node.kwargs.get("inplace")
    if (in_place or target in _IN_PLACE) and any(len(s.users) > 1 for s in sources):
        raise CannotLower(f"{label}: works in place on a value that is read again; write a new one")
    for value in (*node.args, *node.kwargs.values()):
        if isinstance(value, fx.Node):
            if value not in sources:
                _check_constant(label, constants.get(value, value))
        else:
            _check_constant(label, value)

    def apply(*x: Tensor) -> Tensor:
        typed = {s: t.to(kind) for (s, kind), t in zip(sources.items(), x, strict=True)}
        known: dict[fx.Node, Any] = {**constants, **typed}
        args: Any = fx.node.map_arg(node.args, known.__getitem__)
        kwargs = fx.node.map_arg(node.kwargs, known.__getitem__)
        if isinstance(target, str):
            out: Tensor = getattr(args[0], target)(*args[1:], **kwargs)
        else:
            assert callable(target)
            out = target(*args, **kwargs)
        return out

    # A constant divided by a value is monotone on each side of 0, but not over both.
    first = node.args[:1] == (next(iter(sources)),) or name in ("add", "mul")
    others = [a for a in (*node.args, *node.kwargs.values()) if a not in sources]
    return FunctionCall(
        label,
        apply,
        is_elementwise=(first or len(sources) > 1)
        and not any(isinstance(a, fx.Node) for a in others),
        is_monotone=first and len(sources) == 1 and name.removesuffix("_") in _STRAIGHT,
        is_linear=len(sources) > 1 and name in ("add", "sub"),
    )


_STRAIGHT = frozenset(
    [
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "relu",
        "relu6",
        "clamp",
        "clip",
        "clamp_min",
        "clamp_max",
        "minimum",
        "maximum",
        "hardtanh",
        "batch_norm",
        "dropout",
        "contiguous",
        "clone",
        "float",
        "detach",
        "sign",
        "sgn",
    ]
)
"""Functions that consist only of products, sums and bounds, if the value is the first argument."""


def _check_batch_norm(label: str, node: fx.Node, constants: dict[fx.Node, Operand]) -> None:
    """Refuse a ``batch_norm`` that computes with the batch itself.

    Raises:
        CannotLower: naming the call.
    """
    names = ("input", "running_mean", "running_var", "weight", "bias", "training")
    given = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    statistics = (given.get("running_mean"), given.get("running_var"))
    if given.get("training") or any(s is None for s in statistics):
        raise CannotLower(
            f"{label}: without running statistics it depends on the batch; call it with "
            "running_mean, running_var and training=self.training"
        )
    variance = statistics[1]
    held = constants.get(variance) if isinstance(variance, fx.Node) else variance
    if isinstance(held, Tensor) and bool((held < 0).any()):
        raise CannotLower(f"{label}: makes a NaN; its running variance is negative")


_IN_PLACE = (operator.iadd, operator.isub, operator.imul, operator.itruediv)


def function_label(node: fx.Node) -> str:
    """A traced function in messages: its name, and the module whose forward calls it."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "?")
    stack = node.meta.get("nn_module_stack") or {}
    inner = next(reversed(stack), "")
    where = f"layer '{inner}'" if inner else "the model"
    return f"function '{name}' in {where}"


def _check_constant(label: str, value: object) -> None:
    """Accept a finite number, a flag, a type, or a tensor of finite numbers of any shape."""
    if value is None or isinstance(value, bool | torch.dtype | str):
        return
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise CannotLower(f"{label}: its constant {value} is not finite")
        return
    if not isinstance(value, Tensor):
        raise CannotLower(
            f"{label}: reads two values of the network, which only a sum (a + b) and torch.cat "
            f"may; {_REMEDY}"
        )
    if not bool(torch.isfinite(value).all()):
        raise CannotLower(f"{label}: its constant is not finite")


# --- pools, shapes and sums ---

ADDS = frozenset(("add", "iadd", "add_"))
CHOICES = frozenset(("getitem", "narrow", "index_select", "channel_shuffle", "flip"))
SPLITS = frozenset(("chunk", "split", "tensor_split", "split_with_sizes"))
CONCATENATIONS = frozenset(("cat", "concat", "concatenate"))
WEIGHTED = frozenset(("linear", "conv2d", "conv1d"))
SHAPES = frozenset(("flatten", "view", "reshape", "squeeze", "unsqueeze"))
MAX_POOLS = frozenset(("max_pool2d", "max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool1d"))
MEANS = frozenset(
    ("avg_pool2d", "adaptive_avg_pool2d", "avg_pool1d", "adaptive_avg_pool1d", "mean")
)
_NAMES = {
    "max_pool2d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    "avg_pool2d": (
        "kernel_size",
        "stride",
        "padding",
        "ceil_mode",
        "count_include_pad",
        "divisor_override",
    ),
    "adaptive_avg_pool2d": ("output_size",),
    "max_pool1d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    "avg_pool1d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    "adaptive_avg_pool1d": ("output_size",),
    "adaptive_max_pool2d": ("output_size", "return_indices"),
    "adaptive_max_pool1d": ("output_size", "return_indices"),
    "mean": ("dim", "keepdim", "dtype"),
}


def target_name(call: fx.Node) -> str:
    """The name of a traced function or method.

    ``torch.nn.functional.max_pool2d`` and ``torch.max_pool2d`` have the same name here.
    """
    if isinstance(call.target, str):
        return call.target
    name = str(getattr(call.target, "__name__", "?"))
    wrapped = getattr(call.target, "__module__", "") == "torch._jit_internal" and name == "fn"
    return "max_pool2d" if wrapped and "return_indices" in call.kwargs else name


def check_add(call: fx.Node, label: str) -> tuple[fx.Node, fx.Node]:
    """The two values that a call adds.

    Raises:
        CannotLower: if the call does more than add them, or overwrites one that others read.
    """
    if len(call.args) != 2 or call.kwargs:
        raise CannotLower(f"{label}: expected the sum of two values, a + b, and nothing more")
    one, other = call.args
    assert isinstance(one, fx.Node)
    assert isinstance(other, fx.Node)
    if target_name(call) in ("iadd", "add_") and len(one.users) > 1:
        raise CannotLower(f"{label}: works in place on a value that is read again; write a new one")
    return one, other


def check_concatenation(call: fx.Node, label: str, ndim: int) -> list[fx.Node]:
    """The values that a call concatenates along the channels.

    Args:
        call: a call of ``torch.cat``.
        label: the call, for messages.
        ndim: number of axes of its result.

    Raises:
        CannotLower: if it concatenates along another axis, or constants.
    """
    given = dict(zip(("tensors", "dim"), call.args, strict=False)) | dict(call.kwargs)
    tensors, axis = given.get("tensors"), given.get("dim", given.get("axis", 0))
    if axis not in (1, 1 - ndim) or not isinstance(tensors, list | tuple):
        raise CannotLower(
            f"{label}: expected cat([a, b], dim=1), the channels of several values, found "
            f"dim={axis}"
        )
    nodes = [tensor for tensor in tensors if isinstance(tensor, fx.Node)]
    if len(nodes) != len(tensors):
        raise CannotLower(f"{label}: expected values of the network alone, found a constant")
    return nodes


def chosen_channels(
    label: str, function: Callable[[Tensor], Any], shape: tuple[int, ...]
) -> list[Ints]:
    """The channels that a function keeps, in order, found by running it on numbered elements.

    Args:
        label: the function, for messages.
        function: the traced call, or a module.
        shape: of the function's argument, ``(batch, channels, ...)``.

    Returns:
        For each result of the function, int64 indices of the argument's channels that it has.

    Raises:
        CannotLower: if the function does more than choose channels, or takes a channel twice.
    """
    places, batch, size = math.prod(shape[2:]), 3, math.prod(shape[1:])
    # Samples are numbered too, to refuse a function that mixes samples.
    numbers = torch.arange(batch * size, dtype=torch.float64).reshape(batch, *shape[1:])
    results = function(numbers.clone())
    indices = []
    for result in results if isinstance(results, list | tuple) else [results]:
        good = isinstance(result, Tensor) and result.ndim == len(shape)
        good = good and result.shape[2:] == shape[2:] and len(result) == batch
        found = result[0].flatten(1 if places > 1 else 0).reshape(-1, places) if good else None
        if found is None or not len(found):
            raise CannotLower(f"{label}: {_CHOICE}")
        index = found[:, 0].div(places).floor()
        whole = index[:, None] * places + torch.arange(places, dtype=torch.float64)
        apart = result.flatten(1) - size * torch.arange(batch, dtype=torch.float64)[:, None]
        is_choice = torch.equal(found, whole) and bool((apart == apart[:1]).all())
        if not is_choice or len(index.unique()) < len(index) or index.max() >= shape[1]:
            raise CannotLower(f"{label}: {_CHOICE}")
        indices.append(index.numpy().astype(np.int64))
    return indices


_CHOICE = (
    "expected a choice of channels, each once, with all their rows and columns (x[:, a:b], chunk, "
    "split, channel_shuffle); crop by the padding of a layer, and repeat by torch.cat"
)


def module_pool(
    name: str,
    label: str,
    module: nn.Module,
    size: tuple[int, ...] = (),
    *,
    is_sequence: bool = False,
) -> PoolWindow:
    """The window of a pooling module.

    Args:
        name: its name in the network.
        label: the module in messages.
        module: the module.
        size: shape of the image that it reads, channels last; needed for means and adaptive pools.
        is_sequence: whether it pools a sequence, which the Graph has as an image of one row.

    Raises:
        CannotLower: if it dilates, returns indices, or its windows differ in size.
    """
    given = {
        key: getattr(module, key)
        for names in _NAMES.values()
        for key in names
        if hasattr(module, key)
    }
    return _window(name, label, _of_row(given) if is_sequence else given, size)


def _of_row(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a pool over a sequence, as those for an image of one row."""
    row = {"kernel_size": 1, "stride": 1, "dilation": 1, "padding": 0, "output_size": 1}
    wide = dict(given)
    for key, across in row.items():
        value = given.get(key)
        if value not in (None, [], ()):
            wide[key] = (across, value if isinstance(value, int) else value[-1])
    if "dim" in given:
        axes = given["dim"] if isinstance(given["dim"], list | tuple) else [given["dim"]]
        wide["dim"] = [2, 3] if [a % 3 for a in axes if isinstance(a, int)] == [2] else None
    return wide


def function_pool(
    label: str, call: fx.Node, size: tuple[int, ...], *, is_sequence: bool = False
) -> PoolWindow:
    """The window of a traced pooling function; arguments and errors as :func:`module_pool`."""
    names = _NAMES[target_name(call)]
    given = dict(zip(names, call.args[1:], strict=False)) | dict(call.kwargs)
    if set(given) - set(names):
        raise CannotLower(f"{label}: expected arguments {', '.join(names)}")
    return _window(call.name, label, _of_row(given) if is_sequence else given, size)


def _window(name: str, label: str, given: dict[str, Any], size: tuple[int, ...]) -> PoolWindow:
    if given.get("return_indices"):
        raise CannotLower(f"{label}: return_indices has no place in a circuit")
    if "output_size" in given:
        return _adaptive(name, label, given["output_size"], size)
    if "kernel_size" not in given:
        return _whole(name, label, given, size)
    kernel = _pair(given["kernel_size"])
    stride = kernel if given.get("stride") in (None, [], ()) else _pair(given["stride"])
    padding = _pair(given.get("padding", 0))
    if _pair(given.get("dilation", 1)) != (1, 1):
        raise CannotLower(f"{label}: dilation {given['dilation']}: expected 1")
    if padding != (0, 0) and given.get("count_include_pad") is False:
        raise CannotLower(
            f"{label}: its divisor differs at the border; use count_include_pad=True or no padding"
        )
    divisor = given.get("divisor_override") or kernel[0] * kernel[1]
    return PoolWindow(name, label, kernel, stride, padding, int(divisor))


def _adaptive(name: str, label: str, asked: Any, size: tuple[int, ...]) -> PoolWindow:
    """A pool to an image of a given size, where this divides the image into equal windows."""
    sides = asked if isinstance(asked, list | tuple) else (asked, asked)
    # None stands for the image's own rows or columns.
    result = [own if n is None else int(n) for n, own in zip(sides, size, strict=False)]
    if len(result) != 2 or any(n < 1 or own % n for own, n in zip(size[:2], result, strict=True)):
        raise CannotLower(
            f"{label}: makes {tuple(result)} positions of an image of {size[:2]}; expected sizes "
            "that divide it, since other windows overlap and differ in size"
        )
    kernel = (size[0] // result[0], size[1] // result[1])
    return PoolWindow(name, label, kernel, kernel, (0, 0), kernel[0] * kernel[1])


def _whole(name: str, label: str, given: dict[str, Any], size: tuple[int, ...]) -> PoolWindow:
    """A mean over the last axes, which is one over the whole image."""
    axes = given.get("dim")
    numbers = sorted(a % 4 for a in axes) if isinstance(axes, list | tuple) else []
    if numbers != [2, 3] or given.get("dtype") is not None:
        raise CannotLower(
            f"{label}: expected a mean over the whole image, AdaptiveAvgPool2d(1) or "
            "mean((2, 3)); for parts of it use AvgPool2d (of sequences mean(2), AvgPool1d)"
        )
    kernel = (size[0], size[1])
    return PoolWindow(name, label, kernel, kernel, (0, 0), size[0] * size[1])


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return int(value[0]), int(value[-1])

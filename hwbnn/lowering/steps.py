"""What may stand between a sum and the next bit: modules and functions, channel by channel.

A step maps each element by a function of its own channel alone, in the same way wherever the
element stands in a batch; so tabulating it on a table of integers says what it does in the network.
What is not listed here is refused by name. Left out on purpose: functions whose CPU kernels compute
vectors and remainders differently (``tanh``, ``add`` with ``alpha``), and all that mixes channels.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn import functional

from hwbnn.errors import CannotLower
from hwbnn.methods import Nonlinearity
from hwbnn.nn import Scale

MODULES: tuple[type[nn.Module], ...] = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
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
"""Modules that may be steps; exactly these types, since a subclass may compute anything.

So may a method's ``Nonlinearity``, which promises to work channel by channel.
"""

_ALIKE = nn.ReLU | nn.ReLU6 | nn.Hardtanh | nn.Identity | nn.Dropout | nn.Dropout2d | Scale
"""Those that do the same to all channels, and keep the order."""

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
    functional.relu: "relu",
    functional.relu6: "relu6",
    functional.hardtanh: "hardtanh",
    functional.leaky_relu: "leaky_relu",
    functional.prelu: "prelu",
    functional.dropout: "dropout",
}
METHODS = frozenset(
    ("add", "sub", "mul", "div", "neg", "relu", "clamp", "contiguous", "float", "detach")
) | frozenset(("add_", "sub_", "mul_", "div_", "neg_", "relu_", "clamp_"))
_KEYWORDS = frozenset(
    ("other", "min", "max", "min_val", "max_val", "negative_slope", "inplace", "p", "training")
)
_REMEDY = (
    "between a binary layer and the next activation only channel-wise steps have an exact integer "
    "form (BatchNorm, PReLU, ReLU, Hardtanh, Dropout, Scale, constants added or multiplied)"
)


Constant = Tensor | int | float


@dataclass(frozen=True)
class Step:
    """One function on ``(rows, channels)`` floats, channel by channel.

    Attributes:
        label: what it is and where, for messages.
        apply: the trained module itself, or the traced function with its constants.
        is_image: whether it acts on images in the network, whose channels are the second axis of
            four; a table is then given to it as ``(rows, channels, 1, 1)``.
        is_elementwise: whether it does the same to all channels.
        is_monotone: whether each channel is known never to turn round, float32's rounding included;
            and to consist of a few straight lines.
    """

    label: str
    apply: Callable[[Tensor], Tensor]
    is_image: bool = False
    is_elementwise: bool = False
    is_monotone: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """The step on contiguous float32 ``(rows, channels)``.

        Torch's BatchNorm rounds by other formulas in other memory layouts; a batch in the network
        is contiguous.
        """
        x = x.clone(memory_format=torch.contiguous_format)  # some work in place
        if self.is_image:
            x = x[:, :, None, None]
        y = self.apply(x)
        if y.shape != x.shape or y.dtype != torch.float32:
            raise CannotLower(
                f"{self.label}: expected a step that keeps shape {tuple(x.shape[1:])} and float32, "
                f"found {tuple(y.shape[1:])} and {y.dtype}; {_REMEDY}"
            )
        return y[:, :, 0, 0] if self.is_image else y

    def picked(self, index: NDArray[np.int64], count: int) -> Step:
        """The step for tables whose column ``i`` is ``index[i]`` of ``count`` that it was made for.

        Each channel is computed by itself: those that are not there are given zeros.
        """
        there = torch.from_numpy(index)

        def apply(x: Tensor) -> Tensor:
            whole = x.new_zeros(len(x), count)
            whole[:, there] = x
            return self.apply(whole)[:, there]

        return replace(self, apply=apply)

    def repeated(self, count: int) -> Step:
        """The step for flat tables that hold all channels ``count`` times, one after another."""
        if self.is_elementwise:
            return replace(self, is_image=False)

        def apply(x: Tensor) -> Tensor:
            return self(x.reshape(len(x) * count, -1)).reshape(x.shape)

        return Step(self.label, apply, is_monotone=self.is_monotone)


def named(name: str, module: nn.Module) -> str:
    """How messages call a module: its qualified name and its type."""
    return f"layer '{name}' ({type(module).__name__})"


def check_state(name: str, module: nn.Module) -> None:
    """Refuse what no reference can be: numbers that are not finite, hooks that change values.

    Raises:
        CannotLower: naming the layer and the parameter.
    """
    for key, tensor in module.state_dict().items():
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


def module_step(name: str, module: nn.Module) -> Step:
    """The step of a module between a sum and the next bit.

    Raises:
        CannotLower: if its type is not in :data:`MODULES`, or it depends on the batch.
    """
    if isinstance(module, Nonlinearity):
        obstacle = module.obstacle()
        if obstacle is not None:
            raise CannotLower(f"{named(name, module)}: {obstacle}")
    elif type(module) not in MODULES:
        advice = _REMEDY
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            kind = "BinaryLinear" if isinstance(module, nn.Linear) else "BinaryConv2d"
            advice = f"its weights are real numbers; use hwbnn.nn.{kind}"
        elif isinstance(module, nn.Softmax | nn.LogSoftmax):
            advice = "the class is the same without it: return the logits and leave it to the loss"
        raise CannotLower(f"{named(name, module)}: {advice}")
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_var is None:
        raise CannotLower(
            f"{named(name, module)}: without running statistics it depends on the batch; make it "
            "with track_running_stats=True and train again"
        )
    return Step(
        named(name, module),
        module,
        is_elementwise=isinstance(module, _ALIKE),
        is_monotone=_is_monotone(module),
    )


def _is_monotone(module: nn.Module) -> bool:
    """Whether a module is made of products, sums and bounds alone, and slopes of one sign.

    Each of these keeps the order of what it reads, or turns it round as a whole, and so does
    rounding.
    """
    if isinstance(module, Nonlinearity):
        return module.is_monotone
    if isinstance(module, nn.PReLU):
        return bool((module.weight >= 0).all())
    if isinstance(module, nn.LeakyReLU):
        return module.negative_slope >= 0
    return isinstance(module, _ALIKE | nn.BatchNorm1d | nn.BatchNorm2d)


def function_step(node: fx.Node, source: fx.Node, constants: dict[fx.Node, Constant]) -> Step:
    """The step of a traced function or method with one moving argument.

    Args:
        node: the call.
        source: the argument that moves.
        constants: tensors and numbers behind the other arguments that are traced.

    Raises:
        CannotLower: if it is not listed, works in place on what others read, or a constant is not
            finite.
    """
    target = node.target
    label = function_label(node)
    listed = target in METHODS if isinstance(target, str) else target in FUNCTIONS
    if not listed or not set(node.kwargs) <= _KEYWORDS or node.kwargs.get("training"):
        raise CannotLower(f"{label}: {_REMEDY}")
    in_place = target.endswith("_") if isinstance(target, str) else node.kwargs.get("inplace")
    if (in_place or target in _IN_PLACE) and len(source.users) > 1:
        raise CannotLower(f"{label}: works in place on a value that is read again; write a new one")
    for value in (*node.args, *node.kwargs.values()):
        if isinstance(value, fx.Node):
            if value is not source:
                _check_constant(label, constants.get(value, value))
        else:
            _check_constant(label, value)

    def apply(x: Tensor) -> Tensor:
        known: dict[fx.Node, Any] = {**constants, source: x}
        args = fx.node.map_arg(node.args, known.__getitem__)
        kwargs = fx.node.map_arg(node.kwargs, known.__getitem__)
        if isinstance(target, str):
            out: Tensor = getattr(args[0], target)(*args[1:], **kwargs)
        else:
            assert callable(target)
            out = target(*args, **kwargs)
        return out

    return Step(label, apply)


_IN_PLACE = (operator.iadd, operator.isub, operator.imul, operator.itruediv)


def function_label(node: fx.Node) -> str:
    """How messages call a traced function: its name, and the module whose forward calls it."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "?")
    stack = node.meta.get("nn_module_stack") or {}
    inner = next(reversed(stack), "")
    where = f"layer '{inner}'" if inner else "the model"
    return f"function '{name}' in {where}"


def _check_constant(label: str, value: object) -> None:
    """A number, a flag, or a tensor of finite numbers; a step checks that its shape broadcasts."""
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise CannotLower(f"{label}: its constant {value} is not finite")
        return
    if not isinstance(value, Tensor):
        raise CannotLower(
            f"{label}: two values of the network meet here; {_REMEDY}, shortcuts are not lowered"
        )
    if not bool(torch.isfinite(value).all()):
        raise CannotLower(f"{label}: its constant is not finite")

"""What calls of a trace ask for: pools, flattening and means by their shapes, sums of two."""

from __future__ import annotations

from typing import Any

from torch import fx, nn

from hwbnn.errors import CannotLower
from hwbnn.lowering.pools import Shape

ADDS = frozenset(("add", "iadd", "add_"))
SHAPES = frozenset(("flatten", "view", "reshape", "squeeze", "unsqueeze"))
MAX_POOLS = frozenset(("max_pool2d",))
MEANS = frozenset(("avg_pool2d", "adaptive_avg_pool2d", "mean"))
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
    "mean": ("dim", "keepdim", "dtype"),
}


def target_name(call: fx.Node) -> str:
    """What a traced function or method is called.

    ``torch.nn.functional.max_pool2d`` and ``torch.max_pool2d`` are one.
    """
    if isinstance(call.target, str):
        return call.target
    name = str(getattr(call.target, "__name__", "?"))
    wrapped = getattr(call.target, "__module__", "") == "torch._jit_internal" and name == "fn"
    return "max_pool2d" if wrapped and "return_indices" in call.kwargs else name


def check_add(call: fx.Node, label: str) -> tuple[fx.Node, fx.Node]:
    """The two values that a call adds.

    Raises:
        CannotLower: if it does more than add them, or overwrites one that others read.
    """
    if len(call.args) != 2 or call.kwargs:
        raise CannotLower(f"{label}: expected the sum of two values, a + b, and nothing more")
    one, other = call.args
    assert isinstance(one, fx.Node)
    assert isinstance(other, fx.Node)
    if target_name(call) in ("iadd", "add_") and len(one.users) > 1:
        raise CannotLower(f"{label}: works in place on a value that is read again; write a new one")
    return one, other


def module_pool(name: str, label: str, module: nn.Module, size: tuple[int, ...] = ()) -> Shape:
    """The shape of a pooling module.

    Args:
        name: its name in the network.
        label: what messages call it.
        module: the module.
        size: of the image that it reads, channels last; for means.

    Raises:
        CannotLower: if it dilates, returns indices, or its windows differ in size.
    """
    given = {
        key: getattr(module, key)
        for names in _NAMES.values()
        for key in names
        if hasattr(module, key)
    }
    return _shape(name, label, given, size)


def function_pool(label: str, call: fx.Node, size: tuple[int, ...]) -> Shape:
    """The shape of a traced pooling function; arguments and errors as :func:`module_pool`."""
    names = _NAMES[target_name(call)]
    given = dict(zip(names, call.args[1:], strict=False)) | dict(call.kwargs)
    if set(given) - set(names):
        raise CannotLower(f"{label}: expected arguments {', '.join(names)}")
    return _shape(call.name, label, given, size)


def _shape(name: str, label: str, given: dict[str, Any], size: tuple[int, ...]) -> Shape:
    if "kernel_size" not in given:
        return _whole(name, label, given, size)
    kernel = _pair(given["kernel_size"])
    stride = kernel if given.get("stride") in (None, [], ()) else _pair(given["stride"])
    padding = _pair(given.get("padding", 0))
    if _pair(given.get("dilation", 1)) != (1, 1):
        raise CannotLower(f"{label}: dilation {given['dilation']}: expected 1")
    if given.get("return_indices"):
        raise CannotLower(f"{label}: return_indices has no place in a circuit")
    if padding != (0, 0) and given.get("count_include_pad") is False:
        raise CannotLower(
            f"{label}: divides by other numbers at the border; use count_include_pad=True or no "
            "padding"
        )
    divisor = given.get("divisor_override") or kernel[0] * kernel[1]
    return Shape(name, label, kernel, stride, padding, int(divisor))


def _whole(name: str, label: str, given: dict[str, Any], size: tuple[int, ...]) -> Shape:
    """A mean over the whole image: an adaptive pool to one place, or a mean over the last axes."""
    if "output_size" in given:
        asked = given["output_size"]
        sides = asked if isinstance(asked, list | tuple) else (asked, asked)
        # None stands for the image's own rows or columns.
        made = tuple(own if n is None else n for n, own in zip(sides, size, strict=False))
        whole = made in ((1, 1), size[:2])
        if made != (1, 1) and whole:
            return Shape(name, label, (1, 1), (1, 1))
    else:
        axes = given.get("dim")
        found = sorted(a % 4 for a in axes) if isinstance(axes, list | tuple) else []
        whole = found == [2, 3] and given.get("dtype") is None
    if not whole:
        raise CannotLower(
            f"{label}: expected a mean over the whole image, AdaptiveAvgPool2d(1) or "
            "mean((2, 3)); for parts of it use AvgPool2d"
        )
    kernel = (size[0], size[1])
    return Shape(name, label, kernel, kernel, (0, 0), size[0] * size[1])


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return int(value[0]), int(value[-1])

"""Methods of binary training: one file per method, all with the same interface.

To add one: write ``hwbnn/methods/<name>.py`` with a frozen dataclass derived from
:class:`~hwbnn.methods.base.Method`, and name it below.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from hwbnn.arguments import checked_call
from hwbnn.errors import InputError, nearest, refuses_others
from hwbnn.methods.adabin import AdaBin
from hwbnn.methods.base import (
    Activation,
    BinaryWeight,
    Codes,
    Method,
    Nonlinearity,
    Options,
    Part,
    SignActivation,
)
from hwbnn.methods.bi_real import BiReal
from hwbnn.methods.binary_connect import BinaryConnect
from hwbnn.methods.binary_l2 import BinaryL2
from hwbnn.methods.bnn_pp import BnnPP
from hwbnn.methods.bnn_ste import BnnSTE
from hwbnn.methods.estimators import ClipSTE, Estimator, StraightThrough, quantize, sign
from hwbnn.methods.ir_net import IrNet
from hwbnn.methods.prox_connect import ProxConnect
from hwbnn.methods.proxy_bnn import ProxyBNN
from hwbnn.methods.rbnn import RBNN
from hwbnn.methods.react_net import ReactNet
from hwbnn.methods.xnor_net import XnorNet

_CLASSES: tuple[type[Method], ...] = (
    BnnSTE,
    BinaryConnect,
    XnorNet,
    BiReal,
    IrNet,
    ReactNet,
    ProxConnect,
    BnnPP,
    ProxyBNN,
    RBNN,
    AdaBin,
    BinaryL2,
)

METHODS: tuple[str, ...] = tuple(kind.name for kind in _CLASSES)
"""Names that :func:`get` knows."""


def kind(name: str) -> type[Method]:
    """The class of the method of this name, one of :data:`METHODS`."""
    return next(each for each in _CLASSES if each.name == name)


@checked_call(who="methods.get")
def get(name: str, /, **hyper: Any) -> Method:
    """The method of this name with these hyper-parameters.

    Args:
        name: one of :data:`METHODS`.
        hyper: fields of the method's dataclass; the others keep their defaults.

    Raises:
        InputError: if no method has this name, or it has no such hyper-parameter.

    >>> get("bnn_ste")
    BnnSTE(glorot_lr=False)
    """
    cls = {kind.name: kind for kind in _CLASSES}.get(name)
    if cls is None:
        raise InputError(f"method {name!r}: expected one of {nearest(name, METHODS)}")
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    for key in hyper:
        if key not in known:
            raise InputError(
                f"method '{name}': no hyper-parameter {key!r}; it has {nearest(key, known)}"
            )
    return cls(**hyper)


def resolve(method: object, who: str) -> Method:
    """The method itself, or the method of the given name with default hyper-parameters.

    Args:
        method: a :class:`Method` or one of :data:`METHODS`.
        who: the caller's name, for messages.

    Raises:
        InputError: if ``method`` is neither.
    """
    if isinstance(method, str):
        return get(method)
    if not isinstance(method, Method):
        given = "nothing" if method is None else repr(method)[:60]
        raise InputError(
            f"{who}: method: expected a method, such as hwbnn.methods.get('bnn_ste'), or the name "
            f"of one ({', '.join(METHODS)}), found {given}"
        )
    return method


__all__ = [
    "METHODS",
    "Activation",
    "BinaryWeight",
    "ClipSTE",
    "Codes",
    "Estimator",
    "Method",
    "Nonlinearity",
    "Options",
    "Part",
    "SignActivation",
    "StraightThrough",
    "get",
    "kind",
    "quantize",
    "resolve",
    "sign",
]

if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, [*METHODS, *__all__])

"""Hooks that a training loop calls for the methods in a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from torch import Tensor, nn

from hwbnn.arguments import checked_call
from hwbnn.errors import InputError
from hwbnn.methods import BinaryWeight, Method, Options, Part
from hwbnn.nn.linear import DenseLayer
from hwbnn.nn.quant import QuantWeight

P = TypeVar("P", bound=Part)


def parts(model: nn.Module, kind: type[P]) -> list[P]:
    """The methods' learned parts of one kind in a model, in order."""
    return [module for module in _modules(model) if isinstance(module, kind)]


@checked_call()
def _modules(model: nn.Module) -> Iterator[nn.Module]:
    if not isinstance(model, nn.Module):
        raise InputError(
            f"hwbnn.nn: expected the model, a torch module, found {type(model).__name__}; hooks "
            "take the model itself, not its parameters or its optimiser"
        )
    return model.modules()


def set_progress(model: nn.Module, u: float) -> None:
    """Set the progress of all schedules to ``u``, completed epochs over all epochs; repeatable.

    Raises:
        InputError: if ``u`` is not from 0 to 1, or ``model`` is no module.
    """
    if not 0 <= u <= 1:
        raise InputError(
            f"set_progress: u: expected completed epochs over all epochs, from 0 to 1, found {u}"
        )
    for part in parts(model, Part):
        part.set_progress(u)
    for layer in _choosing(model):
        layer.connections.set_progress(u)


@checked_call()
def start_epoch(model: nn.Module, u: float) -> None:
    """Call once at the start of each epoch: :func:`set_progress`, then the methods' epoch hooks."""
    set_progress(model, u)
    for method, weights in _by_method(model):
        method.on_epoch(weights)


@checked_call()
def after_step(model: nn.Module) -> None:
    """Call after each step of the optimiser."""
    for method, weights in _by_method(model):
        for weight in weights:
            weight.is_watched = False
        method.after_step(weights)
    for layer in _choosing(model):
        layer.connections.after_step(layer.weight)


@checked_call()
def penalty(model: nn.Module) -> Tensor | None:
    """The sum of the terms that methods add to the loss, differentiable; None for none."""
    terms = [method.penalty(weights) for method, weights in _by_method(model)]
    terms_given = [term for term in terms if term is not None]
    return sum(terms_given[1:], start=terms_given[0]) if terms_given else None


@checked_call()
def reestimates(model: nn.Module) -> bool:
    """Whether a method in the model needs BatchNorm's statistics re-estimated after training."""
    return any(part.method.reestimates for part in parts(model, Part))


@checked_call()
def parameter_groups(
    model: nn.Module, lr: float, weight_decay: float = 0.0
) -> list[dict[str, Any]]:
    """The model's parameters as groups for a torch optimiser.

    Args:
        model: the network.
        lr: learning rate; parts of methods may scale it for their own parameters.
        weight_decay: weight decay of all parameters but those whose method excludes them.

    Returns:
        Dicts with ``params``, ``lr`` and ``weight_decay``; every parameter that asks for a gradient
        is in exactly one.
    """
    special = {
        id(getattr(part, name)): options
        for part in _modules(model)
        if isinstance(part, Part | QuantWeight)
        for name, options in part.options().items()
    }
    by_options: dict[Options, list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        by_options.setdefault(special.get(id(parameter), Options()), []).append(parameter)
    return [
        {
            "params": members,
            "lr": lr * options.lr_scale,
            "weight_decay": weight_decay if options.decay else 0.0,
        }
        for options, members in by_options.items()
    ]


def _choosing(model: nn.Module) -> Iterator[Any]:
    """The layers whose neurons choose the inputs that they read."""
    for module in model.modules():
        if isinstance(module, DenseLayer) and module.connections is not None:
            yield module


def _by_method(model: nn.Module) -> Iterator[tuple[Method, list[BinaryWeight]]]:
    """Each method in the model with its weights; methods that compare equal count as one."""
    by_method: dict[Method, list[BinaryWeight]] = {}
    for weight in parts(model, BinaryWeight):  # type: ignore[type-abstract]
        by_method.setdefault(weight.method, []).append(weight)
    yield from by_method.items()

"""Statistics of the weights during training: flips, margins, gradients.

Observing changes nothing: it reads the methods' parts without gradients, and its one forward and
backward pass runs on copies of all buffers, so that BatchNorm's statistics stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from hwbnn.methods import BinaryWeight, Codes
from hwbnn.nn import BinaryActivation
from hwbnn.training.history import QUANTILES, LayerRecord

Loss = Callable[[Tensor, Tensor], Tensor]


class Observer:
    """Watches the binary layers of one model, epoch by epoch.

    Gradients are computed on a *probe*, a fixed batch in training mode. A gradient counts if it is
    not exactly 0. The methods' penalties are left out, because they give every weight a gradient,
    whatever the estimator lets through.

    Args:
        model: the network.
        inputs: the probe's floats, in the model's input shape, on the model's device.
        wanted: the probe's classes, int64 ``(batch,)``.
        loss: function of logits and classes.
    """

    def __init__(self, model: nn.Module, inputs: Tensor, wanted: Tensor, loss: Loss) -> None:
        self.model = model
        self.inputs = inputs
        self.wanted = wanted
        self.loss = loss
        self.weights: dict[str, BinaryWeight] = {}
        self.activations: dict[str, BinaryActivation] = {}
        """Each activation, by the name of the layer before it."""
        layer = ""
        for name, module in model.named_modules():
            if isinstance(module, BinaryWeight):
                layer = name.rpartition(".")[0]
                self.weights[layer] = module
            elif isinstance(module, BinaryActivation) and layer:
                self.activations.setdefault(layer, module)
        self.before: dict[str, Tensor] = {}

    def start(self) -> None:
        """Store the bits; later flips are counted relative to them."""
        self.before = {name: _seen(weight)[0] >= 0 for name, weight in self.weights.items()}

    def layers(self) -> tuple[LayerRecord, ...]:
        """The quantities of every layer, in order."""
        reached, arriving = self._gradients()
        return tuple(
            _layer(name, *_seen(weight), self.before[name], reached[name], arriving.get(name))
            for name, weight in self.weights.items()
        )

    def _gradients(self) -> tuple[dict[str, float], dict[str, float]]:
        """Shares of each layer's trainable numbers and activation inputs with a nonzero gradient.

        Parameters' ``grad``, buffers and torch's generators stay unchanged.
        """
        owned = {
            name: [p for p in weight.parameters() if p.requires_grad]
            for name, weight in self.weights.items()
        }
        parameters = [p for several in owned.values() for p in several]
        with _as_in_training(self.model), self._entering() as entered:
            copies = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
            logits = functional_call(self.model, copies, (self.inputs,))
            inputs = list(entered.values())
            # Mixed-precision training computes the loss of float32 logits, too.
            gradients = torch.autograd.grad(
                self.loss(logits.float(), self.wanted), [*parameters, *inputs], allow_unused=True
            )
        shares = iter(gradients)
        reached = {name: _reached([next(shares) for _ in own], own) for name, own in owned.items()}
        return reached, {name: _reached([next(shares)], [x]) for name, x in entered.items()}

    @contextmanager
    def _entering(self) -> Iterator[dict[str, Tensor]]:
        """Yields a dictionary that a run of the model fills: activation inputs, by layer."""
        entered: dict[str, Tensor] = {}

        def keeper(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
            def keep(_: nn.Module, given: tuple[Tensor, ...]) -> None:
                entered[name] = given[0]

            return keep

        hooks = [a.register_forward_pre_hook(keeper(n)) for n, a in self.activations.items()]
        try:
            yield entered
        finally:
            for hook in hooks:
                hook.remove()


@contextmanager
def _as_in_training(model: nn.Module) -> Iterator[None]:
    """With gradients and in training mode; restores modes and generators afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters()).device
    with torch.enable_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        model.train()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode


@torch.no_grad()
def _seen(weight: BinaryWeight) -> tuple[Tensor, Codes]:
    """The real numbers and the final codes of a layer."""
    mode = weight.training
    weight.eval()
    try:
        return weight.real().detach(), weight.codes()
    finally:
        weight.train(mode)


@torch.no_grad()
def _layer(
    name: str,
    w: Tensor,
    codes: Codes,
    before: Tensor,
    reached: float,
    arriving: float | None,
) -> LayerRecord:
    """One layer's record, from its real numbers ``w`` and its codes."""
    bits = codes.integers
    size = w.abs()
    norm = float(w.norm())
    # The best scale of a channel is w_c b_c / n; its share of ||w||^2 is (w_c b_c)^2 / n.
    agreed = (w * bits).flatten(1).sum(dim=1)
    explained = float(agreed.square().sum()) * w.shape[0] / w.numel()
    spread = float(w.std(correction=0))
    margins = None
    if spread > 0:
        # numpy selects the quantiles and torch sorts, which takes five times as long.
        quantiles = np.quantile(size.float().cpu().numpy(), QUANTILES) / spread
        margins = tuple(_short(q) for q in quantiles.tolist())
    return LayerRecord(
        name=name,
        weights=w.numel(),
        error=_short(max(0.0, 1 - explained / norm**2)) if norm > 0 else None,
        cosine=_short(float(agreed.sum()) / (norm * w.numel() ** 0.5)) if norm > 0 else None,
        flips=_short(float(((w >= 0) != before).float().mean())),
        gap=_short(float((1 - size).clamp(min=0).mean())),
        margins=margins,
        gradient=_short(reached),
        activation_gradient=None if arriving is None else _short(arriving),
    )


def _reached(gradients: Sequence[Tensor | None], owners: Sequence[Tensor]) -> float:
    """The share of the owners' elements whose gradient is not 0."""
    count = sum(int(torch.count_nonzero(g)) for g in gradients if g is not None)
    return count / max(1, sum(owner.numel() for owner in owners))


def _short(value: float) -> float:
    """The value with six digits; more would be noise, and every run keeps these numbers."""
    return float(f"{value:.6g}")

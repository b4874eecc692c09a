"""The training loop that Lightning's Trainer runs, and the state that it keeps."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from hwbnn.nn import (
    Network,
    after_step,
    parameter_groups,
    penalty,
    reestimates,
    set_progress,
    start_epoch,
)
from hwbnn.training import order
from hwbnn.training.history import Epoch
from hwbnn.training.observe import Observer
from hwbnn.training.predictions import accuracy, seen
from hwbnn.training.recipe import Recipe


class Loop(LightningModule):  # type: ignore[misc]  # Lightning is not followed
    """Trains one model by a recipe.

    All images are on the device, and a batch is a tensor of indices. Lightning's loader is
    ``range(steps)``: it gives only the number of a step, and the images of the step follow from
    seed, epoch and number (:mod:`hwbnn.training.order`). Each of ``n`` processes takes every
    ``n``-th image of a batch.

    Args:
        recipe: how to train.
        model: the network.
        images: uint8 array ``(n, *shape)`` of training images.
        labels: uint8 array ``(n,)``.
        data: SHA-256 of the data set, for the checkpoint.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Network,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        data: str = "",
    ) -> None:
        super().__init__()
        self.data = data
        self.recipe = recipe
        self.model = model
        self.history: list[Epoch] = []
        self.has_begun = False
        """Whether training has begun; a checkpoint, if any, is restored by then."""
        self.encoded = recipe.encode(images)
        self.labels = labels
        self.shape = images.shape[1:]
        self.count = len(images) - recipe.held_out
        self.steps = -(-self.count // recipe.batch)
        """Steps in an epoch."""

    def configure_optimizers(self) -> Any:
        """The optimiser, and the recipe's learning rate for every step."""
        recipe, total = self.recipe, self.steps * self.recipe.epochs
        rate = recipe.learning_rate
        parameters = parameter_groups(self.model, rate, recipe.weight_decay)
        optimiser: torch.optim.Optimizer
        if recipe.momentum is None:
            optimiser = torch.optim.Adam(parameters, lr=rate, fused=True)
        else:
            optimiser = torch.optim.SGD(parameters, lr=rate, momentum=recipe.momentum, fused=True)
        factor = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: recipe.rate(min(step / total, 1)) / rate
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": factor, "interval": "step"},
        }

    def on_fit_start(self) -> None:
        """Copy the training images to the device, with a border for shifts."""
        border = self.recipe.shift
        images = torch.tensor(self.encoded[: self.count].reshape(-1, *self.shape))
        if border:
            # The border has pixel 0, or for bits code 0, which is -1.
            colours = (0, 0) * (len(self.shape) - 2)
            images = functional.pad(images, (*colours, *(border,) * 4))
        self.images = images.to(self.device)
        self.classes = torch.tensor(self.labels[: self.count].astype(np.int64)).to(self.device)
        self.observer = self._observer()

    def _observer(self) -> Observer:
        """An observer whose probe is the first images of the file, one batch, unshifted."""
        recipe = self.recipe
        probe = torch.tensor(self.encoded[: min(recipe.batch, self.count)]).to(self.device)
        inputs = seen(self.model.input, probe)
        wanted = self.classes[: len(probe)]
        return Observer(self.model, inputs, wanted, lambda y, t: _loss(recipe.loss, y, t))

    def on_train_start(self) -> None:
        """Record that training begins; everything has been restored by now."""
        self.has_begun = True

    def on_train_epoch_start(self) -> None:
        """Draw the epoch's order and shifts, and set the methods' progress."""
        recipe, epoch = self.recipe, self.current_epoch
        # Draws from torch's generator in this epoch thus do not depend on earlier epochs.
        torch.manual_seed(order.stream(recipe.seed, epoch, "torch"))
        # If a method changes bits between two epochs, they count as flips of the new epoch.
        set_progress(self.model, epoch / recipe.epochs)
        self.observer.start()
        start_epoch(self.model, epoch / recipe.epochs)
        sequence = order.permutation(recipe.seed, epoch, self.count)
        self.batches = [
            torch.from_numpy(batch).to(self.device)
            for batch in order.batches(sequence, recipe.batch)
        ]
        self.shifts = [self._drawn(name, 2 * recipe.shift) for name in ("rows", "columns")]
        flips = recipe.augmentation == "crop_flip"
        self.flips = self._drawn("flips", 1) == 1 if flips else None
        # Sum of losses, correct images, images; on the device, so that no step waits for it.
        self.totals = torch.zeros(3, dtype=torch.float64, device=self.device)
        self.started = time.monotonic(), time.process_time()

    def _drawn(self, purpose: str, high: int) -> Tensor:
        """An integer from 0 to ``high`` per image, which follows from seed, epoch and index."""
        seed, everyone = self.recipe.seed, np.arange(self.count)
        drawn = order.integers(seed, self.current_epoch, purpose, everyone, 0, high)
        return torch.from_numpy(drawn).to(self.device)

    def training_step(self, step: int, _: int) -> Tensor:
        """The loss of one batch."""
        trainer = self.trainer
        index = self.batches[step][trainer.global_rank :: trainer.world_size]
        wanted = self.classes[index]
        logits = self.model(self.inputs(index))
        loss = _loss(self.recipe.loss, logits, wanted)
        with torch.no_grad():
            right = (logits.argmax(dim=1) == wanted).sum()
            ones = loss.new_tensor(len(index))
            self.totals += torch.stack([loss * ones, right.to(loss.dtype), ones])
        extra = penalty(self.model)
        return loss if extra is None else loss + extra

    def inputs(self, index: Tensor) -> Tensor:
        """The float inputs of the network for a batch, colours in the second axis."""
        source = self.model.input
        return seen(source, self.gather(index).view(-1, *source.shape))

    def gather(self, index: Tensor) -> Tensor:
        """The images of a batch, each with this epoch's shift and mirroring.

        Args:
            index: int64 tensor ``(batch,)``.

        Returns:
            uint8 tensor ``(batch, *shape)``.
        """
        if not self.recipe.shift:
            return self.images[index]
        rows, columns = (
            start[index, None] + torch.arange(size, device=index.device)
            for start, size in zip(self.shifts, self.shape[:2], strict=True)
        )
        if self.flips is not None:
            columns = torch.where(self.flips[index, None], columns.flip(1), columns)
        return self.images[index[:, None, None], rows[:, :, None], columns[:, None, :]]

    def on_train_batch_end(self, *_: Any) -> None:
        """Call the methods' hooks after the optimiser's step."""
        after_step(self.model)

    def on_train_epoch_end(self) -> None:
        """Add the epoch to the history; re-estimate statistics after the last one if required."""
        if self.current_epoch + 1 == self.recipe.epochs and reestimates(self.model):
            # Every process goes over all images, so that all get the same statistics.
            reestimate(self.model, map(self.inputs, self.batches))
        self._share_buffers()
        totals = self.trainer.strategy.reduce(self.totals, reduce_op="sum")
        loss, right, images = totals.tolist()
        kept = self.encoded[self.count :], self.labels[self.count :]
        has_held_out = self.recipe.held_out > 0
        optimiser: Any = self.optimizers()
        wall, processor = self.started
        self.history.append(
            Epoch(
                epoch=self.current_epoch + 1,
                loss=loss / images,
                accuracy=right / images,
                held_out=accuracy(self.model, self.model.input, *kept) if has_held_out else None,
                learning_rate=optimiser.param_groups[0]["lr"],
                seconds=time.monotonic() - wall,
                cpu_seconds=time.process_time() - processor,
                layers=self.observer.layers(),
            )
        )

    def _share_buffers(self) -> None:
        """Copy the first process' buffers to all processes, so that their models are equal."""
        if self.trainer.world_size > 1:
            for buffer in self.model.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add recipe, digest of the data and history to the checkpoint."""
        checkpoint["recipe"] = self.recipe.to_toml()
        checkpoint["data"] = self.data
        checkpoint["history"] = [asdict(epoch) for epoch in self.history]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the history; refuse a checkpoint that lacks anything needed to resume."""
        parts = [len(checkpoint[name]) for name in ("optimizer_states", "lr_schedulers")]
        if parts != [1, 1] or len(checkpoint["history"]) != checkpoint["epoch"] + 1:
            raise ValueError("optimiser, learning rate or history are missing")
        self.history = [Epoch.read(epoch) for epoch in checkpoint["history"]]


def _loss(name: str, logits: Tensor, wanted: Tensor) -> Tensor:
    """The mean loss of a batch of ``(batch, classes)`` logits for ``(batch,)`` classes."""
    if name == "cross_entropy":
        return functional.cross_entropy(logits, wanted)
    # Courbariaux et al. 2016: targets +1 for the class and -1 for the others, squared hinge.
    target = functional.one_hot(wanted, logits.shape[1]).to(logits.dtype) * 2 - 1
    return (1 - target * logits).clamp(min=0).square().mean()


@torch.no_grad()
def reestimate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics of every BatchNorm by their mean over these batches.

    All other modules are in evaluation mode, so the statistics are those of the hard weights. A
    BatchNorm behind another one gets inputs that the other one normalised by the same batch. The
    previous statistics and momenta have no influence.

    Args:
        model: the network; its mode is restored afterwards.
        batches: inputs of the model, at least one.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    was_training = model.training
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches
        norm.train()
    try:
        for batch in batches:
            model(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.train(was_training)

"""Predictions of a trained model: logits, classes and accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hwbnn.arguments import checked_call
from hwbnn.errors import InputError
from hwbnn.graph import Graph, Input, Output
from hwbnn.graph.values import as_array
from hwbnn.lowering import floats, takes_sequences
from hwbnn.nn import Network
from hwbnn.simulators import check_input

_BATCH = 1000
_IMAGES = 200
"""Batch size for networks on images, whose first layers have large outputs."""


def seen(source: Input, u: Tensor, model: nn.Module | None = None) -> Tensor:
    """The floats for integers ``(batch, *source.shape)``, see :func:`hwbnn.lowering.floats`.

    Images for networks of hwbnn are channels-last in memory, which makes convolutions on a CPU
    faster. Other models may call ``view``, which needs the usual order.

    Args:
        source: the input contract.
        u: the integers.
        model: the model that reads the floats; it may take sequences.
    """
    x = floats(source, u, is_sequence=model is not None and takes_sequences(model, source))
    if x.ndim != 4 or not (model is None or isinstance(model, Network)):
        return x.contiguous()
    return x.contiguous(memory_format=torch.channels_last)


@checked_call(classes=("Input",))
@torch.no_grad()
def logits(model: nn.Module, source: Input, u: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The model's logits, computed in evaluation mode on the model's device.

    Args:
        model: the network; its mode is restored afterwards.
        source: its input.
        u: integers of shape ``(n, *source.shape)``.

    Returns:
        float32 array ``(n, classes)``.
    """
    if not isinstance(model, nn.Module):
        raise InputError(
            f"logits: model: expected a torch module, found {type(model).__name__}; "
            "hwbnn.simulate computes a Graph"
        )
    samples = as_array(u, "logits: u")
    check_input(Graph((source, Output("y", source.name))), samples[:1] if samples.ndim else samples)
    if not len(samples):
        raise InputError("logits: u: expected at least one sample, found none")
    device = next(model.parameters(), torch.empty(0)).device
    was_training = model.training
    model.eval()
    try:
        size = _IMAGES if len(source.shape) == 3 else _BATCH
        parts = [
            model(seen(source, torch.tensor(samples[start : start + size], device=device), model))
            for start in range(0, len(samples), size)
        ]
    finally:
        model.train(was_training)
    rows: NDArray[np.float32] = torch.cat(parts).float().cpu().numpy()
    return rows


@checked_call()
def predict(model: nn.Module, source: Input, u: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The class with the largest logit; among equals the lowest class.

    Args:
        model: the network.
        source: its input.
        u: integers of shape ``(n, *source.shape)``.

    Returns:
        int64 array ``(n,)``.
    """
    rows = logits(model, source, u)
    if rows.shape[1] == 1:
        return (rows[:, 0] >= 0).astype(np.int64)
    best: NDArray[np.int64] = rows.argmax(axis=1)
    return best


@checked_call()
def accuracy(
    model: nn.Module, source: Input, u: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> float:
    """The share of images, 0 to 1, whose predicted class is their label.

    Raises:
        InputError: if there is not a label for each image.
    """
    if np.shape(labels) != (len(u),) or not len(u):
        raise InputError(
            f"accuracy: labels: expected the class of each of {len(u)} images, at least one, found "
            f"an array of shape {np.shape(labels)}"
        )
    return float((predict(model, source, u) == labels).mean())


@checked_call()
@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Sets the number of torch's threads, and restores the former number afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

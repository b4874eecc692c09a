"""Predictions of a trained model: classes of images, and how many are right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hwbnn.graph import Input
from hwbnn.lowering import floats, takes_sequences

_BATCH = 1000
_IMAGES = 200
"""The same of images: what their first layers return is large."""


def seen(source: Input, u: Tensor, model: nn.Module | None = None) -> Tensor:
    """The floats for integers ``(batch, *source.shape)``, see :func:`hwbnn.lowering.floats`.

    The channels of an image lie next to each other in memory: so convolutions on a CPU are quicker.

    Args:
        source: the input contract.
        u: the integers.
        model: that reads them, which may take sequences.
    """
    x = floats(source, u, is_sequence=model is not None and takes_sequences(model, source))
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


@torch.no_grad()
def logits(model: nn.Module, source: Input, u: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The model's logits in evaluation mode, in float32, on the device where it is.

    Args:
        model: the network; put back into the mode in which it was.
        source: its input.
        u: integers of shape ``(n, *source.shape)``.

    Returns:
        float32 array ``(n, classes)``.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        size = _IMAGES if len(source.shape) == 3 else _BATCH
        parts = [
            model(seen(source, torch.tensor(u[start : start + size], device=device), model))
            for start in range(0, len(u), size)
        ]
    finally:
        model.train(was_training)
    rows: NDArray[np.float32] = torch.cat(parts).float().cpu().numpy()
    return rows


def predict(model: nn.Module, source: Input, u: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The class of the largest logit, the lowest of equals; of one, [logit >= 0].

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


def accuracy(
    model: nn.Module, source: Input, u: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> float:
    """The share of images, 0 to 1, whose predicted class is their label."""
    return float((predict(model, source, u) == labels).mean())


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """With this many threads of torch, and then as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

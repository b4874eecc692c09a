"""A layer that picks some of its inputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hwbnn.errors import InputError

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
"""What positions may come as."""


class Select(nn.Module):
    """The elements of a row that what follows reads: ``y[i] = x[index[i]]``.

    Border pixels that never vary, for example, tell nothing; what nobody reads takes no product, no
    popcount and no weight, in the simulators and in hardware.

    Args:
        inputs: elements of a row that arrives.
        index: positions of those that go on, distinct.

    Attributes:
        index: int64 ``(m,)``, part of the network's state.

    Raises:
        InputError: if a position is not one of ``inputs`` elements, or comes twice; or for anything
            but a row of integers, such as a mask.
    """

    index: Tensor

    def __init__(self, inputs: int, index: Sequence[int]) -> None:
        super().__init__()
        self.inputs = inputs
        self.register_buffer("index", _row(index))
        self.register_load_state_dict_post_hook(_check_loaded)  # type: ignore[no-untyped-call]
        self.check()

    def check(self) -> None:
        """Refuse positions that are none; what is loaded is checked too.

        Raises:
            InputError: naming one of them.
        """
        found = self.index.tolist()
        if not found:
            raise InputError("Select: expected at least one position, found none")
        wrong = next((i for i in found if not 0 <= i < self.inputs), None)
        if wrong is not None:
            raise InputError(
                f"Select: expected positions from 0 to {self.inputs - 1}, found {wrong}"
            )
        if len(set(found)) < len(found):
            twice = next(i for k, i in enumerate(found) if i in found[:k])
            raise InputError(f"Select: expected distinct positions, found {twice} twice")

    def forward(self, x: Tensor) -> Tensor:
        """The elements that go on.

        Args:
            x: ``(batch, inputs)``.

        Returns:
            ``(batch, m)``.

        Raises:
            InputError: if rows are not of ``inputs`` elements.
        """
        if x.dim() != 2 or x.shape[1] != self.inputs:
            raise InputError(
                f"Select: expected (batch, {self.inputs}), found {tuple(x.shape)}; flatten first"
            )
        return x.index_select(1, self.index)

    def extra_repr(self) -> str:
        """Sizes, for ``print(model)``."""
        return f"{len(self.index)} of {self.inputs}"


def _row(index: Sequence[int]) -> Tensor:
    """Positions as int64; torch by itself takes a mask, and fractions, for positions too."""
    try:
        found = torch.as_tensor(index.tolist() if isinstance(index, Tensor) else list(index))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"Select: expected a row of integers ({error})") from None
    # Torch takes an empty list for floats.
    if found.dim() != 1 or (found.numel() and found.dtype not in INTEGERS):
        raise InputError(
            f"Select: expected a row of integers, found {found.dtype} of shape "
            f"{tuple(found.shape)}; of a mask take its positions (numpy.flatnonzero)"
        )
    return found.to(torch.int64)


def _check_loaded(layer: Select, _: object) -> None:
    layer.check()

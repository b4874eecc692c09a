"""Which elements of its input a network reads, where its recipe lets it read some."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def most_varying(samples: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
    """The elements that vary most: those of the largest variance, the first among equals.

    Args:
        samples: uint8 array ``(n, *shape)``, the integers that a network takes.
        count: how many elements, at most those of a sample.

    Returns:
        Their positions in a flat sample, rising, int64 ``(count,)``.

    >>> most_varying(np.array([[0, 1, 0, 9], [0, 0, 1, 9], [0, 1, 1, 0]], np.uint8), 2)
    array([1, 3])
    """
    rows = samples.reshape(len(samples), -1)
    total = rows.sum(axis=0, dtype=np.int64)
    # Times n squared, so that it is an integer: the same choice on every machine.
    spread = len(rows) * np.einsum("ni,ni->i", rows, rows, dtype=np.int64) - total**2
    return np.sort(np.argsort(-spread, kind="stable")[:count])

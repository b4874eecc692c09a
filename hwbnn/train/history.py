"""What a run tells of its epochs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """What is known of one epoch when it ends.

    Attributes:
        epoch: from 1.
        loss: mean over the epoch's images, as they were met.
        accuracy: share of them, 0 to 1, that were right when they were met, in training mode.
        held_out: accuracy on the held-out training images in evaluation mode, None without any.
        learning_rate: of the next step.
        seconds: wall-clock time.
        cpu_seconds: processor time of this process, over all its threads; unlike the former it does
            not grow when the machine is shared.
    """

    epoch: int
    loss: float
    accuracy: float
    held_out: float | None
    learning_rate: float
    seconds: float
    cpu_seconds: float

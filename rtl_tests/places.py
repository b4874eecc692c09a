"""Random classes of positions, for modules whose constants differ from class to class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rtl_tests.bench import literal


@dataclass(frozen=True)
class Places:
    """Classes of the positions of a frame.

    Attributes:
        classes: how many there are.
        positions: how many positions a frame has.
    """

    classes: int = 1
    positions: int = 1

    @property
    def of(self) -> list[int]:
        """The class of each position."""
        rng = np.random.default_rng(self.classes)
        return rng.integers(0, self.classes, self.positions).tolist()

    @property
    def parameters(self) -> dict[str, Any]:
        """Those of the module."""
        bits = max(1, (self.classes - 1).bit_length())
        places = literal(self.of, bits)
        return {"Classes": self.classes, "Positions": self.positions, "Places": places}

    def row(self, token: int, tokens: int) -> int:
        """The row of constants that a token meets, counted from the start of the first frame."""
        return self.of[token // tokens % self.positions] * tokens + token % tokens

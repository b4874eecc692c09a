"""What the tests of windows and pools share: images as tokens, and the taps of their windows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwbnn.graph import Window
from rtl_tests.bench import random_tokens


@dataclass(frozen=True)
class Images:
    """Images of random tokens and the windows that slide over them.

    Attributes:
        window: the geometry.
        width: bits of a token.
        chunks: tokens of a pixel.
        outer: groups of them.
    """

    window: Window
    width: int
    chunks: int = 1
    outer: int = 1
    pad: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pad", 0xA5A5A5A5 & ((1 << self.width) - 1))

    @property
    def parameters(self):
        """Those that the modules of windows share."""
        names = ("Rows", "Columns")
        given = {}
        for prefix, pair in (
            ("", self.window.size),
            ("Kernel", self.window.kernel),
            ("Stride", self.window.stride),
            ("Out", self.window.output),
        ):
            given |= {prefix + name: value for name, value in zip(names, pair, strict=True)}
        top, _, left, _ = self.window.padding
        pad = f"{self.width}'h{self.pad:x}"
        return {**given, "Top": top, "Left": left, "Width": self.width, "Pad": pad}

    @property
    def tokens(self) -> int:
        """Tokens of an image."""
        rows, columns = self.window.size
        return rows * columns * self.chunks

    @property
    def least(self) -> int:
        """The fewest slots."""
        rows, columns = self.window.kernel
        top, _, left, _ = self.window.padding
        window = (rows - 1) * self.window.size[1] + columns
        least = max(window * self.chunks, (top * self.window.size[1] + left) * self.chunks + 1)
        return least + max(o - k for o, k in zip(self.origins, self.kept, strict=True))

    @property
    def origins(self) -> list[int]:
        """The token at the first tap of each window, inside the image or not."""
        (_, columns), (down, right) = self.window.size, self.window.stride
        top, _, left, _ = self.window.padding
        return [
            ((y * down - top) * columns + x * right - left) * self.chunks
            for y, x in np.ndindex(self.window.output)
        ]

    @property
    def kept(self) -> list[int]:
        """The first token that is kept during each window: no later window begins before it."""
        several = [o + frame * self.tokens for frame in range(9) for o in self.origins]
        return [min(several[i:]) for i in range(len(self.origins))]

    def random(self, frames, seed=1):
        """Tokens of so many images."""
        return random_tokens(seed, frames * self.tokens, self.width)

    def taps(self, tokens):
        """For each window of each image its taps ``(inside, token)``, in order.

        Returns:
            A list of images, each a list of windows, each a list of taps.
        """
        made = []
        for i in range(0, len(tokens), self.tokens):
            image = np.array(tokens[i : i + self.tokens], object)
            image = image.reshape(*self.window.size, self.chunks)
            made.append([self._window(image, *at) for at in np.ndindex(self.window.output)])
        return made

    def _window(self, image, out_row, out_column):
        (kernel_rows, kernel_columns), stride = self.window.kernel, self.window.stride
        top, _, left, _ = self.window.padding
        inner = self.chunks // self.outer
        taps = []
        for group in range(self.outer):
            for ky, kx, c in np.ndindex(kernel_rows, kernel_columns, inner):
                row, column = out_row * stride[0] - top + ky, out_column * stride[1] - left + kx
                inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
                token = image[row, column, group * inner + c] if inside else self.pad
                taps.append((inside, int(token)))
        return taps

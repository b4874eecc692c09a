"""Padding of windows as TensorFlow places it."""

from __future__ import annotations

from collections.abc import Sequence

from hwbnn.readers.keras.architecture import LayerConfig
from hwbnn.readers.keras.translation import NO_MARGINS, LayerValue, Margins, Translation


def padding_of(
    net: Translation,
    layer: LayerConfig,
    value: LayerValue,
    kernel: Sequence[int],
    stride: Sequence[int],
) -> Margins:
    """The zeros around the image of a convolution or pool, in the program's rows and columns.

    Args:
        net: the network so far.
        layer: the convolution or pool.
        value: the value that the layer reads.
        kernel: rows and columns of its window.
        stride: steps of the window, in rows and columns.
    """
    said = layer.config.get("padding", "valid")
    if value.padding != NO_MARGINS:
        if said != "valid":
            raise layer.refuse("has padding of its own behind a ZeroPadding2D; take one")
        return value.padding
    if said == "valid":
        return NO_MARGINS
    if said == "causal" and layer.rank == 1:
        return (0, 0, kernel[1] - 1, 0)
    if said != "same":
        raise layer.refuse(f"expected padding 'valid' or 'same', found {ascii(said)[:40]}")
    image = net.shapes[value.name][:2]
    return same_padding(image, kernel, stride)


def same_padding(size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> Margins:
    """TensorFlow's padding ``same``; an odd number of zeros has the larger part at the end.

    Args:
        size: rows and columns of the image.
        kernel: rows and columns of the window.
        stride: steps of the window, in rows and columns.

    Returns:
        The number of zeros at the top, bottom, left and right.

    >>> same_padding((8, 8), (3, 3), (2, 2))
    (0, 1, 0, 1)
    """
    sides: list[int] = []
    for n, k, s in zip(size, kernel, stride, strict=True):
        whole = max((-(-n // s) - 1) * s + k - n, 0)
        sides += [whole // 2, whole - whole // 2]
    top, bottom, left, right = sides
    return (top, bottom, left, right)

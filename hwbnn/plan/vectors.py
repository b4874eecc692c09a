"""The vectors that a ``Dot`` or ``Conv2d`` multiplies, and how the stream is brought to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from hwbnn.errors import PlanError
from hwbnn.graph import Conv2d, Dot, ValueType, window_of
from hwbnn.graph import Window as Geometry
from hwbnn.graph.arrays import Bools, Ints
from hwbnn.plan import blocks
from hwbnn.plan.images import Window, WindowUnrolled
from hwbnn.plan.lines import Lines
from hwbnn.plan.plan import Folded
from hwbnn.plan.streams import Stream


@dataclass(frozen=True, eq=False)
class Product:
    """A ``Dot``, or a ``Conv2d`` as one over each group of each window.

    Attributes:
        node: what it is.
        weights: bool ``(channels, inputs)``.
        x: type of the inputs that a channel sums.
        groups: groups of inputs.
        geometry: where the window stands; None without one.
        pad: the code outside the image.
        outside: bool ``(classes, inputs)``: taps that must count nothing and have the code 0.
        places: int64 ``(positions,)`` of those classes.
    """

    node: Dot | Conv2d
    weights: Bools
    x: ValueType
    groups: int = 1
    geometry: Geometry | None = None
    pad: int = 0
    outside: Bools | None = None
    places: Ints | None = None

    @classmethod
    def of(cls, node: Dot | Conv2d, x: ValueType) -> Product:
        """The product that a node over a source of this type is."""
        if isinstance(node, Dot):
            return cls(node, node.weights, x)
        weights = node.weights.reshape(len(node.weights), -1)
        inputs = replace(x, shape=(weights.shape[1],))
        geometry = window_of(node, x.shape)
        made = cls(node, weights, inputs, node.groups, geometry, int(x.bit and node.pad > 0))
        if not x.bit or node.pad or not any(node.padding):
            return made
        depth = node.weights.shape[-1]
        outside = np.repeat(~geometry.classes.reshape(len(geometry.classes), -1), depth, axis=1)
        return replace(made, outside=outside, places=geometry.places.ravel())

    @property
    def positions(self) -> int:
        """Vectors of a frame, all groups as one."""
        return prod(self.geometry.output) if self.geometry else 1

    @property
    def slides(self) -> bool:
        """Whether a window must be brought together, or leaves something out."""
        g = self.geometry
        return g is not None and (g.kernel, g.stride) != ((1, 1), (1, 1))


@dataclass
class Vectors(Lines):
    """Lines with the vectors of a product at their ends."""

    def gather(self, product: Product, layout: Folded | None = None) -> None:
        """Bring the stream to the vectors that a product takes, whole ones without a layout."""
        inputs, groups = product.weights.shape[1], product.groups
        if layout is None:
            if product.slides:
                self.whole_windows(product)
            else:
                self.resize(groups * inputs)
            return
        geometry, simd = product.geometry, layout.simd
        if geometry is None or not product.slides:
            self.resize(simd)
            return
        taps = prod(geometry.kernel)
        depth = inputs // taps
        rounds = product.x.width if layout.sums == "serial" and product.x.width > 1 else 1
        passes = len(product.weights) // (groups * layout.pe)
        lanes = simd if depth % simd == 0 else depth
        if inputs // lanes > passes * rounds * (inputs // simd):
            self.whole_windows(product)  # tap by tap would be slower than the product
        else:
            self.windows(f"w_{product.node.name}", geometry, lanes, groups, product.pad)
        self.resize(simd)

    def windows(
        self, name: str, geometry: Geometry, lanes: int, outer: int, pad: int, *, flag: bool = False
    ) -> None:
        """The windows of an image tap by tap; with ``outer`` 0 each chunk of a pixel by itself."""
        self.resize(lanes)
        now = self.stream
        chunks = now.size // prod(geometry.size) // now.lanes
        size = prod(geometry.output) * prod(geometry.kernel) * chunks * now.lanes
        result = Stream(size, now.lanes, now.width, now.signed, int(flag))
        self.close()
        made = self.stage(Window, name, result, geometry, chunks, outer or chunks, pad, 0)
        node = name.partition("_")[2]
        slots = self.plan.slots.get(node, made.full_slots)
        if slots < made.least_slots:
            raise PlanError(
                f"plan: slots: '{node}' needs at least {made.least_slots} for a window, "
                f"found {slots}"
            )
        self.stages[-1] = replace(made, slots=slots)

    def whole_windows(self, product: Product) -> None:
        """The windows of an image, each as one token, its inputs group by group."""
        geometry, groups = product.geometry, product.groups
        assert geometry is not None
        inputs = product.weights.shape[1]
        channels = inputs * groups // prod(geometry.kernel)
        self.resize(channels)
        now = self.stream
        size = product.positions * inputs * groups
        result = Stream(size, inputs * groups, now.width, now.signed)
        name = product.node.name
        self.stage(WindowUnrolled, f"w_{name}", result, geometry, product.pad)
        if groups > 1:
            order = np.arange(inputs * groups).reshape(-1, groups, channels // groups)
            index = order.transpose(1, 0, 2).ravel()
            self.append(blocks.Select(f"g_{name}", None, result, result, index))

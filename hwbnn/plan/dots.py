"""The hardware of ``Dot`` and ``Conv2d``: products over vectors, those of an image's windows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwbnn.graph import Conv2d, Dot, Threshold, ValueType, fused_threshold
from hwbnn.graph.arrays import Bools, Ints
from hwbnn.netlists import Form, latency
from hwbnn.plan import blocks, constants, netlists
from hwbnn.plan.constants import Combination, Cuts, RawSums, per_element
from hwbnn.plan.plan import Folded, Layout
from hwbnn.plan.streams import Stream
from hwbnn.plan.vectors import Product, Vectors


@dataclass
class Dots(Vectors):
    """Lines with products at their ends."""

    def dot(self, node: Dot | Conv2d) -> None:
        """Sums, or what a Threshold makes of them where that becomes one circuit."""
        x = self.source_type(node)
        if isinstance(node, Conv2d):
            self.align(x.channels)
        product, threshold = Product.of(node, x), self.fuses(node)
        if node.scale_offset is not None:
            self.scaled(product, threshold, *node.scale_offset)
        elif threshold is not None:
            self.fused_sums(product, threshold)
        else:
            raw = constants.raw_sums(product.weights, product.x, product.outside)
            self.product(product, raw)
            result, name = self.result(node, self.stream.lanes), f"v_{node.name}"
            held = self.held(raw.constants)
            places = product.places
            self.append(
                blocks.Affine(name, node.name, self.stream, result, raw.shift, held, places=places)
            )

    def held(self, table: Ints) -> Ints:
        """Constants ``(classes, channels, ...)`` as blocks hold them behind a product."""
        return per_element(table, table.shape[1])

    def fused_sums(self, product: Product, threshold: Threshold) -> None:
        """Raw sums, compared with what comes to the thresholds."""
        node = product.node
        cuts = Cuts.of(threshold, product.places)
        raw, wanted = constants.fused(product.weights, cuts, product.x, product.outside)
        self.fused[node.name] = threshold.name
        if self.compared(product, threshold, raw, wanted, None):
            return
        self.product(product, raw)
        self.thresholds(threshold, wanted, np.zeros_like(threshold.falling), cuts.places)

    def scaled(
        self, product: Product, threshold: Threshold | None, scale: Ints, offset: Ints
    ) -> None:
        """Raw sums and their total, combined by scale and offset."""
        node, x, outside = product.node, product.x, product.outside
        name = f"v_{node.name}"
        if threshold is None:
            made = constants.combination(product.weights, scale, offset, x, outside)
            lanes = self.product(product, made.raw, total=True)
            held, places = self.held(made.constants), product.places
            block = self.combined(name, node.name, self.result(node, lanes), made, held, places)
            self.append(block)
            return
        cuts = Cuts.of(threshold, product.places)
        made, wanted = constants.scaled_thresholds(cuts, scale, offset, product.weights, x, outside)
        self.fused[node.name] = threshold.name
        if self.compared(product, threshold, made.raw, wanted, (made.scale, made.offset)):
            return
        lanes = self.product(product, made.raw, total=True)
        nothing = np.zeros_like(scale)
        result = self.result(node, lanes)
        # What shifts and adders leave out goes into the thresholds, not into adders.
        missing = self.combined(name, None, result, made, nothing, None).missing
        lows, highs = made.lows - missing, made.highs - missing
        t = ValueType(self.type(node).shape, int(lows.min()), int(highs.max()))
        wanted = np.clip(wanted - missing[:, None], t.low - 1, t.high)
        self.append(self.combined(name, None, Stream.of(t, lanes), made, -missing, None))
        self.thresholds(threshold, wanted, np.zeros_like(threshold.falling), cuts.places)

    def compared(
        self, product: Product, threshold: Threshold, raw: RawSums, wanted: Ints,
        scale_offset: tuple[Ints, Ints] | None,
    ) -> bool:  # fmt: skip
        """Sums and thresholds as one netlist, if the Plan has one and each channel one constant.

        Returns:
            Whether it is so; else nothing was added.
        """
        if self.made(product) is None or wanted.shape[::2] != (1, 1):
            return False
        self.gather(product)
        name, result = f"v_{threshold.name}", self.result(threshold, wanted.shape[1])
        least = wanted[0, :, 0] + 1
        block = self.netlist(name, threshold.name, product, raw, least, scale_offset, result)
        self.append(block)
        if isinstance(product.node, Dot):  # of an image, each position has bits of its own
            self.drivers[threshold.name] = block.netlist.outputs
        return True

    def combined(
        self, name: str, value: str | None, result: Stream, made: Combination, added: Ints,
        places: Ints | None,
    ) -> blocks.Scaled:  # fmt: skip
        """The block that combines raw sums with their total."""
        levels = self.plan.levels
        return blocks.Scaled(
            name, value, self.stream, result, made.scale, made.offset, added, levels, places=places
        )

    def thresholds(self, node: Threshold, cuts: Ints, falling: Bools, places: Ints | None) -> None:
        """Compare what comes, by these constants ``(classes, channels, k)``."""
        result = self.result(node, self.stream.lanes)
        elements = self.elements(self.type(node), places)
        made = per_element(cuts, elements)
        sides = np.broadcast_to(falling, cuts.shape[:2])
        self.append(
            blocks.Threshold(
                f"v_{node.name}", node.name, self.stream, result, made,
                per_element(sides, elements), self.plan.levels, places=places,
            )
        )  # fmt: skip

    def elements(self, t: ValueType, places: Ints | None = None) -> int:
        """For how many elements of a value a block behind the stream must hold constants.

        All of a flat value; the channels of an image, or the lanes where those are more.
        """
        lanes, channels = self.stream.lanes, t.channels
        if len(t.shape) == 1:
            return t.size
        return lanes if lanes % channels == 0 and places is None else channels

    # ---- Raw sums ----

    def product(self, product: Product, raw: RawSums, *, total: bool = False) -> int:
        """The raw sums of a product; with ``total`` that of the inputs too.

        Returns:
            How many channels come in a token.
        """
        layout = self.laid(product, total=total)
        # Bits have one plane: it makes no difference how that is summed.
        sums = layout.sums if product.x.width > 1 else "planes"
        name, weights = f"raw_{product.node.name}", raw.weights
        channels = len(weights)
        if isinstance(layout, Folded):
            self.gather(product, layout)
            self.close()
            lanes = layout.pe + total
            size = product.positions * channels // layout.pe * lanes
            result = Stream(size, lanes, raw.width)
            self.append(
                blocks.DotFolded(
                    name, None, self.stream, result, product.node.name, weights, self.plan.levels,
                    sums, layout.pe, layout.simd, total, groups=product.groups,
                )
            )  # fmt: skip
            return layout.pe
        self.gather(product)
        if total:
            weights = np.concatenate([weights, np.ones_like(weights[:1])])
        result = Stream(product.positions * len(weights), len(weights), raw.width)
        if self.made(product) is not None:
            raw = replace(raw, weights=weights)
            self.append(self.netlist(name, None, product, raw, None, None, result))
        else:
            self.append(
                blocks.DotUnrolled(
                    name, None, self.stream, result, product.node.name, weights, self.plan.levels,
                    sums, groups=product.groups,
                )
            )  # fmt: skip
        return channels

    def laid(self, product: Product, *, total: bool) -> Layout:
        """The layout of a product.

        An unrolled one of several groups that needs their totals is folded by groups: a stream has
        room for one total a token.
        """
        layout = self.plan.layout(product.node.name)
        channels, inputs = product.weights.shape
        if isinstance(layout, Folded) or not total or product.groups == 1:
            return layout
        return Folded(channels // product.groups, inputs, layout.sums)

    def made(self, product: Product) -> Form | None:
        """The form of the netlist that a product becomes, if it becomes one."""
        layout = self.plan.layout(product.node.name)
        if isinstance(layout, Folded) or layout.made == "modules" or product.groups > 1:
            return None
        return layout.made

    def netlist(
        self, name: str, value: str | None, product: Product, raw: RawSums, wanted: Ints | None,
        scale_offset: tuple[Ints, Ints] | None, result: Stream,
    ) -> blocks.DotNetlist:  # fmt: skip
        """The block of a product, and of the Threshold behind it where ``wanted`` is given."""
        form, levels = self.made(product), self.plan.levels
        assert form is not None
        drivers = netlists.told(self.drivers.get(product.node.sources[0]))
        netlist = netlists.netlist(raw.weights, wanted, self.stream, scale_offset, drivers)
        return blocks.DotNetlist(
            name, value, self.stream, result, product.node.name, raw.weights, wanted, scale_offset,
            drivers, netlist, form, levels, latency(netlist, levels),
        )  # fmt: skip

    def fuses(self, node: Dot | Conv2d) -> Threshold | None:
        """The Threshold that becomes one circuit with this product, if the Plan wants that."""
        return fused_threshold(self.graph, node) if self.plan.fuse else None

"""From a ``Dot`` or ``Conv2d`` node to its stages: inputs, raw sums, the thresholds fused behind.

A ``Conv2d`` is a product over each group of each window. Where the Plan fuses a product with the
``Threshold`` that is its only reader, thresholds are compared with the raw sums themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import gcd, prod

import numpy as np

from hwbnn.errors import PlanError
from hwbnn.graph import Conv2d, Dot, Threshold, ValueType, Window, fused_threshold, window_of
from hwbnn.graph.arrays import Bools, Ints
from hwbnn.netlists import NetlistForm, latency
from hwbnn.plan import blocks, constants, products
from hwbnn.plan.constants import Combination, Excess, RawSums, ThresholdConstants, per_element
from hwbnn.plan.datapath import Datapath, OpenStream, least_divisor
from hwbnn.plan.plan import Folded, Layout
from hwbnn.plan.stages import SlidingWindow, WindowUnrolled
from hwbnn.plan.tokens import TokenStream

KEPT = 8
"""Products in the caches: a search lays out each product hundreds of times."""


@dataclass(frozen=True, eq=False)
class Product:
    """A ``Dot``, or a ``Conv2d`` as one over each group of each window.

    Attributes:
        node: the node.
        weights: int64 ``(channels, inputs)``.
        x: type of the inputs that a channel sums.
        groups: groups of inputs.
        geometry: the windows of a ``Conv2d``; None for a ``Dot``.
        pad: the code of elements outside the image.
        outside: bool ``(classes, inputs)``: inputs outside the image, which have the code 0 and
            must count nothing; None if there are none.
        border_classes: int64 ``(positions,)``, the class of each position; None if there is only
            one class.
    """

    node: Dot | Conv2d
    weights: Ints
    x: ValueType
    groups: int = 1
    geometry: Window | None = None
    pad: int = 0
    outside: Bools | None = None
    border_classes: Ints | None = None

    @classmethod
    @lru_cache(maxsize=KEPT)
    def of(cls, node: Dot | Conv2d, x: ValueType) -> Product:
        """The product that a node computes from a source of this type."""
        if isinstance(node, Dot):
            return cls(node, node.weights.astype(np.int64), x)
        weights = node.weights.reshape(len(node.weights), -1).astype(np.int64)
        inputs = replace(x, shape=(weights.shape[1],))
        geometry = window_of(node, x.shape)
        product = cls(node, weights, inputs, node.groups, geometry, int(x.bit and node.pad > 0))
        if not x.bit or node.pad or not any(node.padding):
            return product
        depth = node.weights.shape[-1]
        outside = np.repeat(~geometry.classes.reshape(len(geometry.classes), -1), depth, axis=1)
        return replace(product, outside=outside, border_classes=geometry.border_classes.ravel())

    @cached_property
    def binary(self) -> bool:
        """Whether all weights are -1 and +1."""
        return self.node.binary

    @cached_property
    def ternary(self) -> bool:
        """Whether all weights are -1, 0 and +1."""
        return products.is_ternary(self.weights)

    @property
    def positions(self) -> int:
        """Windows of a frame; 1 for a ``Dot``."""
        return prod(self.geometry.output) if self.geometry else 1

    @property
    def channels(self) -> int:
        """Channels of a group."""
        return len(self.weights) // self.groups

    @property
    def vectors(self) -> int:
        """Vectors of a frame, one for each group of each window."""
        return self.positions * self.groups

    @property
    def slides(self) -> bool:
        """Whether a window has several pixels, or windows skip pixels."""
        g = self.geometry
        return g is not None and (g.kernel, g.stride) != ((1, 1), (1, 1))


def add_product(datapath: Datapath, node: Dot | Conv2d) -> None:
    """Add the hardware of a node, and of the Threshold behind it if both are fused."""
    x = datapath.source_type(node)
    if isinstance(node, Conv2d):
        datapath.align(x.channels)
    product = Product.of(node, x)
    _add_values(datapath, product)
    if datapath.stream.vector is not None:
        _close_up(datapath, product)


def _add_values(datapath: Datapath, product: Product) -> None:
    """Add a product, and a fused Threshold; the last token of a vector may have unused lanes."""
    node = product.node
    threshold = fused_threshold(datapath.graph, node) if datapath.plan.fuse else None
    if node.scale_offset is not None:
        _add_scaled(datapath, product, threshold, *node.scale_offset)
    elif threshold is not None:
        _add_fused(datapath, product, threshold)
    else:
        excess = _excess(datapath, product)
        raw = constants.raw_sums(product.weights, product.x, product.outside, excess)
        lanes = _add_raw_sums(datapath, product, raw)
        datapath.append(
            blocks.AffineBlock(
                f"v_{node.name}", node.name, datapath.stream,
                _sums_stream(product, datapath.type(node), lanes), raw.shift,
                _by_channel(raw.constants), border_classes=product.border_classes,
            )
        )  # fmt: skip


def add_thresholds(
    datapath: Datapath, node: Threshold, limits: Ints, falling: Bools,
    border_classes: Ints | None, vector: int | None = None,
) -> None:  # fmt: skip
    """Compare the elements of the stream with these constants ``(classes, channels, k)``.

    Args:
        datapath: the circuit to which the comparison is added.
        node: the Threshold.
        limits: the constants.
        falling: bool ``(channels,)``, as in :class:`~hwbnn.plan.blocks.Compare`.
        border_classes: int64 ``(positions,)``; None where constants are the same everywhere.
        vector: elements of a vector, if each begins with a new token; else None.
    """
    stream = datapath.stream
    result = datapath.result(node, stream.lanes).in_vectors(vector)
    elements = datapath.elements(datapath.type(node), single=border_classes is not None)
    sides = np.broadcast_to(falling, limits.shape[:2])
    datapath.append(
        blocks.ThresholdBlock(
            f"v_{node.name}", node.name, stream, result, per_element(limits, elements),
            per_element(sides, elements), datapath.plan.logic_levels_per_register, node.base or 0,
            border_classes=border_classes,
        )
    )  # fmt: skip


def _add_fused(datapath: Datapath, product: Product, threshold: Threshold) -> None:
    """Add raw sums, and compare them with thresholds converted to raw sums."""
    node = product.node
    excess = _excess(datapath, product)
    held, raw, limits = _fused(product, threshold, excess)
    datapath.fused[node.name] = threshold.name
    if _add_compared_netlist(datapath, product, threshold, raw, limits, None):
        return
    lanes = _add_raw_sums(datapath, product, raw)
    rising = np.zeros_like(threshold.falling)
    vector = _sums_stream(product, datapath.type(node), lanes).vector
    add_thresholds(datapath, threshold, limits, rising, held.border_classes, vector)


@lru_cache(maxsize=KEPT)
def _fused(
    product: Product, threshold: Threshold, excess: Excess
) -> tuple[ThresholdConstants, RawSums, Ints]:
    """The thresholds behind a product, its raw sums, and the constants compared with these."""
    held = ThresholdConstants.of(threshold, product.border_classes)
    return held, *constants.fused(product.weights, held, product.x, product.outside, excess)


def _add_scaled(
    datapath: Datapath, product: Product, threshold: Threshold | None, scale: Ints, offset: Ints
) -> None:
    """Add raw sums and the total, combined by scale and offset."""
    node, x, outside = product.node, product.x, product.outside
    name = f"v_{node.name}"
    if threshold is None:
        whole = constants.combination(product.weights, scale, offset, x, outside)
        lanes = _add_raw_sums(datapath, product, whole.raw, total=True)
        held = _by_channel(whole.constants)
        result = _sums_stream(product, datapath.type(node), lanes)
        datapath.append(
            _scaled(datapath, name, node.name, result, whole, held, product.border_classes)
        )
        return
    cuts = ThresholdConstants.of(threshold, product.border_classes)
    bare, limits = constants.scaled_thresholds(cuts, scale, offset, product.weights, x, outside)
    datapath.fused[node.name] = threshold.name
    scale_offset = bare.scale, bare.offset
    if _add_compared_netlist(datapath, product, threshold, bare.raw, limits, scale_offset):
        return
    lanes = _add_raw_sums(datapath, product, bare.raw, total=True)
    result = _sums_stream(product, datapath.type(node), lanes)
    # Thresholds correct the amount by which shifts and adders fall short: no adder is needed.
    missing = _scaled(datapath, name, None, result, bare, np.zeros_like(scale), None).missing
    lows, highs = bare.lows - missing, bare.highs - missing
    t = ValueType(datapath.type(node).shape, int(lows.min()), int(highs.max()))
    limits = np.clip(limits - missing[:, None], t.low - 1, t.high)
    stream = _sums_stream(product, t, lanes)
    datapath.append(_scaled(datapath, name, None, stream, bare, -missing, None))
    rising = np.zeros_like(threshold.falling)
    add_thresholds(datapath, threshold, limits, rising, cuts.border_classes, stream.vector)


def _scaled(
    datapath: Datapath, name: str, value: str | None, result: TokenStream,
    combination: Combination, added: Ints, border_classes: Ints | None,
) -> blocks.Scaled:  # fmt: skip
    """The block that combines raw sums with their total."""
    return blocks.Scaled(
        name, value, datapath.stream, result, combination.scale, combination.offset, added,
        datapath.plan.logic_levels_per_register, border_classes=border_classes,
    )  # fmt: skip


def _by_channel(table: Ints) -> Ints:
    """Constants ``(classes, channels, ...)`` as blocks hold them behind a product."""
    return per_element(table, table.shape[1])


# ---- Raw sums ----


def _add_raw_sums(
    datapath: Datapath, product: Product, raw: RawSums, *, total: bool = False
) -> int:
    """Add the raw sums of a product; with ``total`` also the sum of its inputs.

    Returns:
        Channels in a token.
    """
    layout = _layout(datapath, product, total=total)
    # Inputs of one bit have one plane: there is only one way to sum it.
    sums = layout.sums if product.x.width > 1 else "bit_planes"
    per_register = datapath.plan.logic_levels_per_register
    node, weights = product.node.name, raw.weights
    name, channels = f"raw_{node}", len(weights)
    if isinstance(layout, Folded):
        gather(datapath, product, layout)
        datapath.close()
        lanes = layout.pe + total
        size = product.vectors * -(-product.channels // layout.pe) * lanes
        result = TokenStream(size, lanes, raw.width)
        head = name, None, datapath.stream, result, node, weights, per_register, sums, layout.pe
        registers = datapath.plan.memory_registers
        if product.binary:
            datapath.append(
                products.DotFolded(
                    *head, layout.simd, total, groups=product.groups, memory_registers=registers
                )
            )
            return layout.pe
        dsp, start = _multiplies(product, layout), 0
        if not product.ternary:
            added = products.by_products(weights, product.x.width, layout, dsp=dsp)
            start = added.start(int(raw.excess[0]))
        datapath.append(
            products.WeightedFolded(
                *head,
                layout.simd,
                total,
                groups=product.groups,
                memory_registers=registers,
                dsp=dsp,
                start=start,
            )
        )
        return layout.pe
    gather(datapath, product)
    if total:
        weights = np.concatenate([weights, np.ones_like(weights[:1])])
    result = TokenStream(product.positions * len(weights), len(weights), raw.width)
    if _form(datapath, product) is not None:
        raw = replace(raw, weights=weights)
        datapath.append(_netlist(datapath, name, None, product, raw, None, None, result))
    elif product.binary:
        datapath.append(
            products.DotUnrolled(
                name, None, datapath.stream, result, node, weights > 0, per_register, sums,
                groups=product.groups,
            )
        )  # fmt: skip
    else:
        datapath.append(
            products.WeightedUnrolled(
                name, None, datapath.stream, result, node, weights, per_register, layout.sums,
                groups=product.groups,
            )
        )  # fmt: skip
    return channels


def _excess(datapath: Datapath, product: Product) -> Excess:
    """The excess of raw sums over the sum of products, in the layout of a product."""
    layout = _layout(datapath, product, total=False)
    if not isinstance(layout, Folded) or product.ternary:
        return constants.by_digits
    return products.FoldedExcess(layout, _multiplies(product, layout))


def _multiplies(product: Product, layout: Folded) -> bool:
    """Whether a folded product uses multipliers of the device."""
    width = products.weight_width(product.weights)
    return layout.multiplies(product.x.width, width, ternary=product.ternary)


def _layout(datapath: Datapath, product: Product, *, total: bool) -> Layout:
    """The layout of a product.

    An unrolled product of several groups that needs totals is folded, one group a cycle, because
    a token has room for only one total.
    """
    layout = datapath.plan.layout(product.node.name)
    inputs = product.weights.shape[1]
    if isinstance(layout, Folded):
        return layout.within(product.channels, inputs)
    if not total or product.groups == 1:
        return layout
    return Folded(product.channels, inputs, layout.sums)


def _sums_stream(product: Product, t: ValueType, lanes: int) -> TokenStream:
    """The stream of a product's results, in vectors if lanes and channels do not divide."""
    stream = TokenStream.of(t, lanes)
    # A token of an unrolled product has the channels of all groups.
    divides = product.channels % lanes == 0 or lanes % product.channels == 0
    whole = divides or product.vectors == 1
    return stream if whole else stream.in_vectors(product.channels)


def _close_up(datapath: Datapath, product: Product) -> None:
    """Resize tokens such that the last token of each vector has no unused lanes.

    If tokens of the greatest common divisor of lanes and channels keep up with the product, the
    stream is narrowed to these directly; otherwise tokens are first combined.
    """
    folded = _layout(datapath, product, total=False)
    assert isinstance(folded, Folded)
    value = datapath.fused.get(product.node.name, product.node.name)
    cycles = _cycles(product, folded)
    lanes = gcd(product.channels, datapath.stream.lanes)
    if product.channels // lanes > cycles:
        lanes = least_divisor(product.channels, cycles)
    datapath.resize(lanes)
    datapath.close()
    current = datapath.current
    datapath.current = OpenStream(current.name, current.stream.in_vectors(None))
    datapath.tap(value, current.name, handshake=True)


def _cycles(product: Product, folded: Folded) -> int:
    """Cycles of a vector in a folded product."""
    inputs = product.weights.shape[1]
    serial = folded.sums == "bit_serial" and product.x.width > 1
    rounds = product.x.width if serial else 1
    return folded.steps(product.channels, inputs) * rounds


def _form(datapath: Datapath, product: Product) -> NetlistForm | None:
    """The form of a product's netlist; None if it does not become a netlist."""
    layout = datapath.plan.layout(product.node.name)
    if isinstance(layout, Folded) or layout.form == "modules" or product.groups > 1:
        return None
    return layout.form


def _add_compared_netlist(
    datapath: Datapath, product: Product, threshold: Threshold, raw: RawSums, limits: Ints,
    scale_offset: tuple[Ints, Ints] | None,
) -> bool:  # fmt: skip
    """Add sums and thresholds as one netlist, if the Plan wants it and channels have one constant.

    A base other than 0 would have to be added to the outputs, so a separate block compares then.

    Returns:
        Whether the netlist was added; otherwise nothing was added.
    """
    if _form(datapath, product) is None or limits.shape[::2] != (1, 1) or threshold.base:
        return False
    gather(datapath, product)
    name, result = f"v_{threshold.name}", datapath.result(threshold, limits.shape[1])
    least = limits[0, :, 0] + 1
    block = _netlist(datapath, name, threshold.name, product, raw, least, scale_offset, result)
    datapath.append(block)
    if isinstance(product.node, Dot):  # the bits of an image differ from position to position
        datapath.drivers[threshold.name] = block.netlist.outputs
    return True


def _netlist(
    datapath: Datapath, name: str, value: str | None, product: Product, raw: RawSums,
    wanted: Ints | None, scale_offset: tuple[Ints, Ints] | None, result: TokenStream,
) -> products.DotNetlist:  # fmt: skip
    """The block of a product, and of the Threshold behind it where ``wanted`` is given."""
    form, per_register = _form(datapath, product), datapath.plan.logic_levels_per_register
    assert form is not None
    drivers = products.known_drivers(datapath.drivers.get(product.node.source))
    netlist = products.netlist(raw.weights, wanted, datapath.stream, scale_offset, drivers)
    return products.DotNetlist(
        name, value, datapath.stream, result, product.node.name, raw.weights, wanted, scale_offset,
        drivers, netlist, form, per_register, latency(netlist, per_register),
    )  # fmt: skip


# ---- Vectors ----


def gather(datapath: Datapath, product: Product, layout: Folded | None = None) -> None:
    """Regroup the stream into the tokens that a product takes: whole vectors if it is unrolled."""
    inputs, groups = product.weights.shape[1], product.groups
    if layout is None:
        if product.slides:
            _add_whole_windows(datapath, product)
        else:
            datapath.resize(groups * inputs)
        return
    geometry, simd, cycles = product.geometry, layout.simd, _cycles(product, layout)
    if geometry is not None and product.slides:
        depth = inputs // prod(geometry.kernel)
        lanes = simd if depth % simd == 0 else depth
        if inputs // lanes > cycles:
            _add_whole_windows(datapath, product)  # tap by tap would be slower than the product
        else:
            add_windows(datapath, f"w_{product.node.name}", geometry, lanes, groups, product.pad)
    if product.vectors > 1 and inputs % simd:
        _separate(datapath, inputs, cycles)
    datapath.resize(simd)


def _separate(datapath: Datapath, vector: int, cycles: int) -> None:
    """Make each vector of the stream begin with a new token."""
    lanes = datapath.stream.lanes
    if vector % lanes or vector // lanes > cycles:
        datapath.resize(least_divisor(vector, cycles))
    datapath.close()
    current = datapath.current
    datapath.current = OpenStream(current.name, current.stream.in_vectors(vector))


def add_windows(
    datapath: Datapath, name: str, geometry: Window, lanes: int, outer: int, pad: int, *,
    flag: bool = False,
) -> None:  # fmt: skip
    """Add the windows of an image, tap by tap.

    Args:
        datapath: the circuit to which the windows are added.
        name: of the stage, a letter, ``_`` and the node's name.
        geometry: the windows.
        lanes: elements of a token.
        outer: groups of chunks, as in :class:`SlidingWindow`; 0 if each chunk is a group.
        pad: the code of elements outside the image.
        flag: whether a token says if its tap is inside the image.

    Raises:
        PlanError: if the Plan's ``buffer_tokens`` are too few for a window.
    """
    datapath.resize(lanes)
    now = datapath.stream
    chunks = now.size // prod(geometry.size) // now.lanes
    size = prod(geometry.output) * prod(geometry.kernel) * chunks * now.lanes
    result = TokenStream(size, now.lanes, now.width, now.signed, int(flag))
    datapath.close()
    window = datapath.stage(SlidingWindow, name, result, geometry, chunks, outer or chunks, pad, 0)
    node = name.partition("_")[2]
    tokens = datapath.plan.buffer_tokens.get(node, window.full_buffer_tokens)
    if tokens < window.least_buffer_tokens:
        raise PlanError(
            f"plan: buffer_tokens: '{node}' needs at least {window.least_buffer_tokens} for a "
            f"window, found {tokens}"
        )
    datapath.stages[-1] = replace(window, buffer_tokens=tokens)


def _add_whole_windows(datapath: Datapath, product: Product) -> None:
    """Add the windows of an image, each as one token, with its inputs group by group."""
    geometry, groups = product.geometry, product.groups
    assert geometry is not None
    inputs = product.weights.shape[1]
    channels = inputs * groups // prod(geometry.kernel)
    datapath.resize(channels)
    now = datapath.stream
    size = product.positions * inputs * groups
    result = TokenStream(size, inputs * groups, now.width, now.signed)
    name = product.node.name
    datapath.stage(WindowUnrolled, f"w_{name}", result, geometry, product.pad)
    if groups > 1:
        order = np.arange(inputs * groups).reshape(-1, groups, channels // groups)
        index = order.transpose(1, 0, 2).ravel()
        datapath.append(blocks.SelectBlock(f"g_{name}", None, result, result, index))

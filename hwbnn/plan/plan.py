"""The Plan: how a Graph is laid out in hardware, never what it computes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Literal, TypeGuard, get_args

from hwbnn.arguments import checked_call, checked_class
from hwbnn.devices import known_part
from hwbnn.errors import PlanError, nearest
from hwbnn.graph import Add, ChannelPad, Concat, Conv2d, Dot, Graph, MaxPool, Rescale, SumPool
from hwbnn.graph.fields import plain, shown

BEAT_LIMIT = 1 << 16
"""Bits of the widest AXI4-Stream beat at the border."""
TAG_LIMIT = 64
"""Bits of the widest ``tid``, ``tdest`` or ``tuser``."""
WINDOWED = (Conv2d, MaxPool, SumPool, ChannelPad, Concat)
"""Nodes that buffer tokens of an image in a sliding window."""
PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
"""Legal names of devices; they are copied into vendor scripts unchanged."""
MULTIPLIED = 4
"""By default a product uses a DSP multiplier if both factors have at least this many bits."""


Sums = Literal["bit_planes", "adder_tree", "bit_serial"]
"""How inputs of several bits are summed.

``bit_planes`` takes the popcount of all bit planes in parallel and adds these counts;
``adder_tree`` adds the inputs themselves; ``bit_serial`` takes the popcount of one bit plane a
cycle, so it needs as many times the cycles as inputs have bits. Inputs of one bit always use a
popcount.
"""


Multipliers = Literal["dsp", "luts"]
"""How folded layers multiply integers: with the device's DSP multipliers, or in look-up tables.

In look-up tables, ``bit_planes`` masks the weights with each bit plane of the inputs, adds up each
plane, and then adds the planes; ``adder_tree`` forms whole products and adds them; ``bit_serial``
handles one bit plane a cycle. DSP multipliers always give whole products. They are never used where
weights are -1, 0 and +1, where inputs are single bits, or with ``bit_serial``.
"""

Form = Literal["modules", "portable", "xc7", "xcup"]
"""The form of an unrolled layer.

``modules``: modules of ``rtl/``, in which each neuron has its own logic; only synthesis optimises
it. The others are netlists of :mod:`hwbnn.netlists`, in which neurons share parts of their sums:
``portable`` is SystemVerilog for every FPGA, ``xc7`` and ``xcup`` use the primitives of Xilinx
7-series and UltraScale+.
"""

Framing = Literal["packet", "counted", "batch"]
"""How frames are told apart on AXI4-Stream.

``packet``: one frame in each packet, whose length is checked. ``counted``: beats are counted;
``tlast`` of the input is ignored, and ``tlast`` of the output marks the last beat of each frame.
``batch``: any number of whole frames in a packet; each output packet has the frames of one input
packet.
"""

Control = Literal["none", "axi4lite"]
"""How a processor reaches a core beside its streams.

``none``: not at all. ``axi4lite``: by a block of registers on AXI4-Lite, which identifies the core,
counts frames, errors and stalls, and changes nothing that the core computes.
"""

CorePort = Literal["stream", "minimal"]
"""The ports of a core.

``stream``: AXI4-Stream. ``minimal``: that, and beside it a module with valid and data alone, which
takes a frame in every cycle and never waits; only where every layer is unrolled and a frame is one
beat on both sides.
"""

PARTS: Mapping[str, str] = MappingProxyType(
    {"xc7": "xc7z020clg400-1", "xcup": "xczu7ev-ffvc1156-2-e"}
)
"""A device that has the primitives of each form; other forms take the device of ``xc7``."""

LATER = (
    "part",
    "framing",
    "memory_registers",
    "control",
    "port",
    "tid_bits",
    "tdest_bits",
    "tuser_bits",
)
"""Fields that its JSON leaves out at their defaults: they came later, and old builds stay equal."""

RENAMED = {
    "dots": "layers",
    "levels": "logic_levels_per_register",
    "slots": "buffer_tokens",
    "made": "form",
    "planes": "bit_planes",
    "adders": "adder_tree",
    "serial": "bit_serial",
}
"""Names in ``plan.json`` of earlier versions, and their current names, for error messages."""


@checked_class(RENAMED)
@dataclass(frozen=True)
class Unrolled:
    """Every synapse has its own gate: weights are constants; a whole input vector enters a cycle.

    A ``Conv2d`` takes a whole window a cycle. If it has several groups, its form is always
    ``modules``; if it has scale and offset too, it is folded, one group a cycle.

    Attributes:
        sums: how inputs of several bits are summed; never ``bit_serial``, and always
            ``bit_planes`` for netlists.
        form: modules of ``rtl/``, or a netlist.
    """

    sums: Sums = "bit_planes"
    form: Form = "modules"


@checked_class(RENAMED)
@dataclass(frozen=True)
class Folded:
    """``pe`` neurons times ``simd`` synapses a cycle, weights in a ROM.

    A frame of ``n`` inputs and ``m`` outputs takes ``ceil(n / simd) * ceil(m / pe)`` cycles.
    ``simd`` need not divide ``n``, nor ``pe`` divide ``m``: the last step and the last pass are
    padded with inputs and neurons that add nothing. Bit-serial sums of inputs of ``bits`` bits take
    ``bits`` times as many cycles. A ``Conv2d`` takes these cycles for each group of each window,
    where ``n`` and ``m`` are the inputs and outputs of a group. If ``pe`` or ``simd`` is larger
    than the layer, all its neurons or all its inputs are computed in parallel.

    Attributes:
        pe: neurons computed in parallel.
        simd: inputs of each neuron taken in parallel.
        sums: how inputs of several bits are summed.
        multipliers: how products of integers are formed (:data:`Multipliers`); None for ``dsp``
            where weights and inputs have at least four bits, else ``luts``.
    """

    pe: int
    simd: int
    sums: Sums = "bit_planes"
    multipliers: Multipliers | None = None

    def __post_init__(self) -> None:
        for name in ("pe", "simd"):  # JSON holds integers of Python, not of NumPy
            object.__setattr__(self, name, plain(getattr(self, name)))

    def multiplies(self, input_bits: int, weight_bits: int, *, ternary: bool) -> bool:
        """Whether products of integers of these widths are formed by multipliers of the device.

        Inputs of one bit, ternary weights and bit-serial sums need no multipliers. Otherwise
        :attr:`multipliers` decides; if it is None, both factors must have at least
        :data:`MULTIPLIED` bits.
        """
        if input_bits == 1 or ternary or self.sums == "bit_serial":
            return False
        if self.multipliers is None:
            return min(input_bits, weight_bits) >= MULTIPLIED
        return self.multipliers == "dsp"

    def within(self, outputs: int, inputs: int) -> Folded:
        """A copy whose ``pe`` and ``simd`` are at most the outputs and inputs of a layer."""
        return replace(self, pe=min(self.pe, outputs), simd=min(self.simd, inputs))

    def steps(self, outputs: int, inputs: int) -> int:
        """Cycles for one vector of a layer of this size; bit-serial sums take them for each bit."""
        return -(-outputs // self.pe) * -(-inputs // self.simd)


Layout = Unrolled | Folded


def fold_candidates(node: Dot | Conv2d) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Values of ``pe`` and of ``simd`` that are worth trying for a layer, smallest first.

    For each possible number of passes, the least ``pe`` that needs no more passes; likewise for
    ``simd``. For a ``Conv2d``, each ``simd`` divides the input channels of a group, or is their
    multiple. Other values are legal too, but their tokens must first be regrouped in hardware.

    >>> import numpy as np
    >>> fold_candidates(Dot("d", "x", np.zeros((5, 9), np.bool_)))
    ((1, 2, 3, 5), (1, 2, 3, 5, 9))
    """
    if isinstance(node, Dot):
        outputs, inputs = node.weights.shape
        return _least_parts(outputs), _least_parts(inputs)
    depth = node.weights.shape[3]
    parts = (d for d in range(1, depth) if depth % d == 0)
    pixels = (depth * taps for taps in _least_parts(node.kernel[0] * node.kernel[1]))
    return _least_parts(len(node.weights) // node.groups), (*parts, *pixels)


def _least_parts(n: int) -> tuple[int, ...]:
    """For each number of parts that ``n`` can be divided into, the least sufficient part size."""
    return tuple(sorted({-(-n // parts) for parts in range(1, n + 1)}))


@checked_class(RENAMED)
@dataclass(frozen=True, repr=False)
class Plan:
    """How each node becomes hardware. The same Graph under any Plan gives the same bits.

    Attributes:
        layers: the layout of each ``Dot`` and ``Conv2d`` by name; the others take ``default``.
            All other nodes follow the width of the stream that they read.
        default: layout of those that ``layers`` leaves out.
        input_beat: bits of ``s_axis_tdata``, a multiple of 8; holds a whole number of elements.
        output_beat: bits of ``m_axis_tdata``, likewise.
        framing: how frames are told apart at the border (:data:`Framing`).
        tid_bits: bits of ``tid`` on both streams; 0 for none. Each result bears that of its frame,
            which is what stands beside the frame's first beat.
        tdest_bits: the same of ``tdest``.
        tuser_bits: the same of ``tuser``.
        port: whether there is a module without streams too (:data:`CorePort`).
        control: whether the core has a block of registers for a processor (:data:`Control`).
        logic_levels_per_register: levels of adders or comparators between two registers.
        memory_registers: registers behind the memories of weights of folded layers, 1 or 2. The
            second lets the core run at a higher clock, since the output of a block RAM is slow; it
            costs a cycle of latency for each such layer, and its flip-flops. A memory of at most 64
            rows is made of LUTs and keeps one.
        fuse: whether a ``Dot`` and the ``Threshold`` that alone reads it become one circuit.
        clock_ns: clock period that vendor tools are asked for, in ns.
        part: device that vendor tools are asked for; by default one that has the primitives of the
            forms of the layers.
        depths: for values with several readers, the tokens that each reader's FIFO holds, readers
            in the order of the Graph; values left out get depths that are always enough.
        buffer_tokens: for nodes that read an image through a window, how many tokens of the image
            are buffered; nodes left out get as many as can ever be of use.
        lanes: for ``Rescale`` and ``Add`` nodes, the most channels that are computed in a cycle, so
            that one multiplier serves several; divides the number of channels. Nodes left out
            compute as many as their sources give in a token.
    """

    layers: Mapping[str, Layout] = field(default_factory=dict)
    default: Layout = Unrolled()
    input_beat: int = 64
    output_beat: int = 8
    framing: Framing = "packet"
    port: CorePort = "stream"
    control: Control = "none"
    tid_bits: int = 0
    tdest_bits: int = 0
    tuser_bits: int = 0
    logic_levels_per_register: int = 2
    memory_registers: int = 1
    fuse: bool = True
    clock_ns: float = 5.0
    part: str | None = None
    depths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    buffer_tokens: Mapping[str, int] = field(default_factory=dict)
    lanes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("layers", "depths", "buffer_tokens", "lanes"):
            _check_names(name, getattr(self, name))
        object.__setattr__(self, "layers", MappingProxyType(dict(self.layers)))
        depths = {value: _checked_depths(value, found) for value, found in self.depths.items()}
        object.__setattr__(self, "depths", MappingProxyType(depths))
        object.__setattr__(self, "buffer_tokens", MappingProxyType(dict(self.buffer_tokens)))
        object.__setattr__(self, "lanes", MappingProxyType(dict(self.lanes)))
        for name, tokens in self.buffer_tokens.items():
            _check_tokens(f"buffer_tokens: {shown(name)}", tokens)
        for name, lanes in self.lanes.items():
            if not is_int(lanes) or lanes < 1:
                raise PlanError(
                    f"plan: lanes: {shown(name)}: expected a positive integer, found {shown(lanes)}"
                )
        for layout in (self.default, *self.layers.values()):
            _check_layout(layout)
        for name in ("input_beat", "output_beat"):
            beat = getattr(self, name)
            if not is_int(beat) or beat < 8 or beat % 8 or beat > BEAT_LIMIT:
                raise PlanError(
                    f"plan: {name}: expected a multiple of 8 from 8 to {BEAT_LIMIT}, "
                    f"found {shown(beat)}"
                )
        for name in ("tid_bits", "tdest_bits", "tuser_bits"):
            bits = getattr(self, name)
            if not is_int(bits) or not 0 <= bits <= TAG_LIMIT:
                raise PlanError(f"plan: {name}: expected 0 to {TAG_LIMIT}, found {shown(bits)}")
        for name, kinds in (("framing", Framing), ("control", Control), ("port", CorePort)):
            if getattr(self, name) not in list(get_args(kinds)):
                raise PlanError(
                    f"plan: {name}: expected one of {', '.join(get_args(kinds))}, "
                    f"found {shown(getattr(self, name))}"
                )
        per_register = self.logic_levels_per_register
        if not is_int(per_register) or not 1 <= per_register <= 64:
            raise PlanError(
                f"plan: logic_levels_per_register: expected 1 to 64, found {shown(per_register)}"
            )
        if not is_int(self.memory_registers) or self.memory_registers not in (1, 2):
            raise PlanError(
                f"plan: memory_registers: expected 1 or 2, found {shown(self.memory_registers)}"
            )
        if not isinstance(self.fuse, bool):
            raise PlanError(f"plan: fuse: expected true or false, found {shown(self.fuse)}")
        number = isinstance(self.clock_ns, int | float) and not isinstance(self.clock_ns, bool)
        if not number or not 0.1 <= self.clock_ns <= 1000:
            raise PlanError(f"plan: clock_ns: expected 0.1 to 1000, found {shown(self.clock_ns)}")
        if not isinstance(self.device, str) or not PART.fullmatch(self.device):
            raise PlanError(
                f"plan: part: expected letters, digits and '-', found {shown(self.part)}"
            )
        self._check_primitives()

    def _check_primitives(self) -> None:
        """Check that the part, if it is a known one, has the primitives of all netlists."""
        part = None if self.part is None else known_part(self.part)
        if part is None:
            return
        for layout in (self.default, *self.layers.values()):
            form = getattr(layout, "form", "modules")
            if form in PARTS and form != part.device.synthesis:
                others = [n for n in ("modules", "portable", part.device.synthesis) if n != "ecp5"]
                raise PlanError(
                    f"plan: form: {part.name} lacks the primitives of {form}; expected one of "
                    f"{', '.join(others)}"
                )

    @property
    def tags(self) -> dict[str, int]:
        """The bits of ``tid``, ``tdest`` and ``tuser``, those left out that the core has not."""
        bits = {"tid": self.tid_bits, "tdest": self.tdest_bits, "tuser": self.tuser_bits}
        return {name: n for name, n in bits.items() if n}

    @property
    def device(self) -> str:
        """The device for vendor tools: ``part``, or one that has the primitives of all layers."""
        if self.part is not None:
            return self.part
        forms = {getattr(layout, "form", "") for layout in (self.default, *self.layers.values())}
        return PARTS["xcup" if "xcup" in forms else "xc7"]

    def __repr__(self) -> str:
        """The fields that differ from their defaults, as a call that makes the Plan again."""
        told = []
        for f in fields(self):
            value = getattr(self, f.name)
            default = f.default if f.default_factory is MISSING else f.default_factory()
            if value != default:
                shown_value = dict(value) if isinstance(value, Mapping) else value
                told.append(f"{f.name}={shown_value!r}")
        return f"Plan({', '.join(told)})"

    def layout(self, name: str) -> Layout:
        """The layout of a ``Dot`` or ``Conv2d`` by its name."""
        return self.layers.get(name, self.default)

    def with_layers(self, /, **layers: Layout) -> Plan:
        """A copy with these layouts added."""
        return replace(self, layers={**self.layers, **layers})

    def check(self, graph: Graph) -> Plan:
        """Check that the Plan fits a Graph, and return the Plan itself.

        Raises:
            PlanError: if a name is not in the Graph, or depths or lanes do not fit their node.
        """
        products = {node.name for node in graph.nodes if isinstance(node, Dot | Conv2d)}
        for name in self.layers:
            if name not in products:
                raise PlanError(
                    f"plan: {shown(name)} is no Dot or Conv2d of the graph; those are "
                    f"{nearest(name, sorted(products))}"
                )
        readers = Counter(value for node in graph.nodes for value in node.sources)
        for value, depths in self.depths.items():
            if readers[value] != len(depths):
                raise PlanError(
                    f"plan: depths: {shown(value)} has {readers[value]} readers, "
                    f"found {len(depths)} depths"
                )
        windows = {node.name for node in graph.nodes if isinstance(node, WINDOWED)}
        for name in self.buffer_tokens:
            if name not in windows:
                raise PlanError(
                    f"plan: buffer_tokens: no window of the graph is named {shown(name)}"
                )
        elementwise = {node.name for node in graph.nodes if isinstance(node, Rescale | Add)}
        for name, lanes in self.lanes.items():
            if name not in elementwise:
                raise PlanError(
                    f"plan: lanes: no Rescale or Add of the graph is named {shown(name)}"
                )
            channels = graph.types[name].channels
            if channels % lanes:
                divisors = [d for d in range(1, channels + 1) if channels % d == 0]
                near = sorted(sorted(divisors, key=lambda d: abs(d - lanes))[:4])
                raise PlanError(
                    f"plan: lanes: {shown(name)}: {lanes} does not divide its {channels} channels; "
                    f"take one of {', '.join(map(str, near))}"
                )
        return self

    def with_wide_beats(
        self, graph: Graph, names: Iterable[str] = ("input_beat", "output_beat")
    ) -> Plan:
        """A copy whose beats hold at least one element of the Graph's input and output.

        With the port ``minimal`` they hold whole frames.

        Args:
            graph: the network.
            names: the beats that may become wider.
        """
        ends = {"input_beat": graph.types[graph.input.name]}
        ends["output_beat"] = graph.types[graph.output.name]
        whole_frames = self.port == "minimal"
        widths = {name: t.width * (t.size if whole_frames else 1) for name, t in ends.items()}
        whole = {name: min(-(-widths[name] // 8) * 8, BEAT_LIMIT) for name in names}
        return replace(self, **{name: max(getattr(self, name), n) for name, n in whole.items()})

    @classmethod
    def default_of(cls, graph: Graph) -> Plan:
        """The Plan where none is given: all layers unrolled, and beats that hold an element."""
        return cls().with_wide_beats(graph)

    def to_json(self) -> str:
        """The Plan as JSON text, keys sorted."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        plain["default"] = _layout_json(self.default)
        plain["layers"] = {name: _layout_json(layout) for name, layout in self.layers.items()}
        for name in ("depths", "buffer_tokens", "lanes"):
            plain[name] = dict(plain[name])
            if not plain[name]:
                del plain[name]
        for f in fields(self):
            if f.name in LATER and plain[f.name] == f.default:
                del plain[f.name]
        return json.dumps(plain, indent=2, sort_keys=True) + "\n"

    @classmethod
    @checked_call(who="Plan.from_json")
    def from_json(cls, text: str | bytes, name: str = "plan") -> Plan:
        """A Plan from :meth:`to_json`'s text; fields left out take their defaults.

        Raises:
            PlanError: one line, if the text is not a Plan.
        """
        try:
            given = json.loads(text)
        except TypeError:
            raise PlanError(
                f"{name}: expected a JSON text, found {shown(text)}; hwbnn.Plan(layers=...) makes "
                "one of a dict"
            ) from None
        except (ValueError, RecursionError) as error:
            raise PlanError(f"{name}: not JSON ({error})") from None
        known = sorted(f.name for f in fields(cls))
        if not isinstance(given, dict):
            raise PlanError(f"{name}: expected an object, found {shown(given)}")
        for key in given:
            if key not in known:
                raise PlanError(f"{name}: unknown key {shown(key)}; expected {_wanted(key, known)}")
        if "default" in given:
            given["default"] = _layout_from(given["default"], f"{name}: default")
        if "layers" in given:
            if not isinstance(given["layers"], dict):
                raise PlanError(f"{name}: layers: expected an object of layouts by layer name")
            given["layers"] = {
                layer: _layout_from(layout, f"{name}: layers: {shown(layer)}")
                for layer, layout in given["layers"].items()
            }
        for key in ("depths", "buffer_tokens", "lanes"):
            if not isinstance(given.get(key, {}), dict):
                raise PlanError(f"{name}: {key}: expected an object of numbers by node name")
        return cls(**given)


def _layout_json(layout: Layout) -> Any:
    plain = asdict(layout)
    for name, default in (("sums", "bit_planes"), ("form", "modules"), ("multipliers", None)):
        if name in plain and plain[name] == default:
            del plain[name]
    return plain or "unrolled"


def _layout_from(given: Any, where: str) -> Layout:
    if given == "unrolled":
        return Unrolled()
    if isinstance(given, dict) and "made" in given:
        raise PlanError(f"{where}: unknown key 'made'; expected {RENAMED['made']!r}, its name now")
    if isinstance(given, dict) and given and set(given) <= {"sums", "form"}:
        return Unrolled(**given)
    folded = {"pe", "simd", "sums", "multipliers"}
    if isinstance(given, dict) and {"pe", "simd"} <= set(given) <= folded:
        return Folded(**given)
    raise PlanError(
        f'{where}: expected "unrolled" or {{"pe": P, "simd": S}}, perhaps with "sums" or '
        f'"multipliers", found {shown(given)}'
    )


def _wanted(found: object, known: Sequence[str]) -> str:
    """Suggestions for an unknown name: its new name, or all known names, the nearest first."""
    if isinstance(found, str) and found in RENAMED:
        return f"{RENAMED[found]!r}, its name now"
    return nearest(found, known)


def _check_layout(layout: object) -> None:
    if not isinstance(layout, Unrolled | Folded):
        raise PlanError(f"plan: expected Unrolled or Folded, found {shown(layout)}")
    # Lists, not sets: a value from JSON may have no hash.
    allowed = [s for s in get_args(Sums) if isinstance(layout, Folded) or s != "bit_serial"]
    if layout.sums not in allowed:
        raise PlanError(
            f"plan: sums: expected one of "
            f"{_wanted(layout.sums, allowed)}, found {shown(layout.sums)}"
            + ("; fold the layer" if layout.sums == "bit_serial" else "")
        )
    if isinstance(layout, Unrolled):
        kinds = list(get_args(Form))
        if layout.form not in kinds:
            raise PlanError(
                f"plan: form: expected one of "
                f"{nearest(layout.form, kinds)}, found {shown(layout.form)}"
            )
        if layout.form != "modules" and layout.sums != "bit_planes":
            raise PlanError(f"plan: sums: {layout.sums} is for modules, not for {layout.form}")
        return
    multipliers = list(get_args(Multipliers))
    if layout.multipliers is not None and layout.multipliers not in multipliers:
        raise PlanError(
            f"plan: multipliers: expected one of {nearest(layout.multipliers, multipliers)}, "
            f"found {shown(layout.multipliers)}"
        )
    for name in ("pe", "simd"):
        value = getattr(layout, name)
        if not is_int(value) or not 1 <= value < 1 << 20:
            raise PlanError(
                f"plan: {name}: expected a positive integer below 2^20, found {shown(value)}"
            )


def _checked_depths(value: str, depths: object) -> tuple[int, ...]:
    if not isinstance(depths, tuple | list) or len(depths) < 2:
        raise PlanError(
            f"plan: depths: {shown(value)}: expected a list of at least 2 numbers, "
            f"found {shown(depths)}"
        )
    for depth in depths:
        _check_tokens(f"depths: {shown(value)}", depth)
    return tuple(depths)


def _check_tokens(what: str, found: object) -> None:
    if not is_int(found) or not 1 <= found < 1 << 24:
        raise PlanError(f"plan: {what}: expected 1 to 2^24 - 1 tokens, found {shown(found)}")


def _check_names(field: str, found: object) -> None:
    """Refuse anything but a mapping from the names of values or nodes."""
    if not isinstance(found, Mapping):
        raise PlanError(
            f"plan: {field}: expected a dict by the names of the graph's nodes, "
            f"found {shown(found)}"
        )
    for name in found:
        if not isinstance(name, str):
            raise PlanError(f"plan: {field}: expected names of nodes, found {shown(name)}")


def is_int(value: object) -> TypeGuard[int]:
    """Whether something is an integer, and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def expect_plan(given: object, where: str) -> None:
    """Refuse anything but a Plan or None.

    Args:
        given: the argument to check; None is accepted.
        where: the function that received it, for the message.

    Raises:
        PlanError: if it is something else; the message says how to make a Plan.
    """
    if given is None or isinstance(given, Plan):
        return
    hint = "hwbnn.Plan(layers={...}) makes one"
    if isinstance(given, Folded | Unrolled):
        hint = f"hwbnn.Plan(default={given}) lays out all layers so"
    elif isinstance(given, str):
        hint = "hwbnn.Plan.from_json(text) makes one of the content of a file"
    raise PlanError(f"{where}: plan: expected hwbnn.Plan, found {type(given).__name__}; {hint}")

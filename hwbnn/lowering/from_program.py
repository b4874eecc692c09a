"""From a program (a network out of a file) to the Graph: exactly, or refused by the layer's name.

Values go through the layers as on the torch way: sums become nodes, and the functions between a
sum and the next quantizer wait (:mod:`hwbnn.lowering.real_ops`) until the quantizer is tabulated on
every integer that the sum can reach, in float64; what float64 cannot decide is decided by rational
arithmetic (:mod:`hwbnn.lowering.certificate`).

A weighted sum reads integers ``X`` that stand for ``unit * X + centre`` (:class:`LinearReading`).
The unit goes into the scale behind the sum and the centre into its offset, which depends on the
position only where zeros stand outside an image that no integer stands for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, lcm, prod
from typing import Literal, NoReturn

import numpy as np

from hwbnn.errors import CannotLower, InputError, nearest
from hwbnn.graph import Add, ArgMax, Dot, Flatten, Graph, Input, Output, Rescale, SumPool, Window
from hwbnn.graph.arrays import Array, Bytes, Float32s, Floats, Ints
from hwbnn.lowering import layers as sums
from hwbnn.lowering import pools
from hwbnn.lowering.activations import activation
from hwbnn.lowering.certificate import Certificate, certify
from hwbnn.lowering.explanation import Explanation, LayerExplanation, layer_explanations
from hwbnn.lowering.ops import StepActivation
from hwbnn.lowering.probes import probes
from hwbnn.lowering.program_check import CodeNode, check_program, operations
from hwbnn.lowering.program_scores import Scores, logits, scores
from hwbnn.lowering.real_numbers import rational
from hwbnn.lowering.real_ops import (
    LinearOp,
    Rationals,
    ReluOp,
    affine_op,
    floats,
    linear_op,
    norm_op,
    of_channel,
)
from hwbnn.lowering.tables import ThresholdTable
from hwbnn.lowering.value import BorderClasses, GraphBuilder, TracedValue
from hwbnn.program import (
    Addition,
    Affine,
    AveragePooling,
    BatchNorm,
    Concatenation,
    Convolution,
    Dense,
    Flattening,
    Layer,
    MaxPooling,
    Program,
    Quantizer,
    Relu,
    WeightedLayer,
)

MOST_OPERATIONS = 1 << 34
"""Multiplications of a frame."""
OUTPUTS = ("class", "scores", "logits")
IDENTITY_LIMIT = 1 << 12
"""Most integers of a value that are tried for being the codes of the quantizer behind it."""
MULTIPLIER_LIMIT = 1 << 24
"""Integers of an addition are multiplied by less than this."""


@dataclass(frozen=True, eq=False)
class LinearReading:
    """The real numbers that integers ``X`` stand for: ``unit * X + centre``; a bit is -1 or +1.

    Attributes:
        unit: of each channel, or one for all.
        centre: likewise.
    """

    unit: Rationals
    centre: Rationals

    @property
    def is_uniform(self) -> bool:
        """Whether all channels stand for the same numbers."""
        return len(set(self.unit)) == 1 and len(set(self.centre)) == 1

    def repeated(self, count: int) -> LinearReading:
        """The reading of all channels ``count`` times in succession."""
        parts = (p if len(p) == 1 else p * count for p in (self.unit, self.centre))
        return LinearReading(*parts)


@dataclass(frozen=True, eq=False)
class State:
    """A value of the program on its way into the Graph.

    Attributes:
        value: the node, and the functions from its integers to the real numbers.
        reading: the same as one linear map; None behind BatchNorm and ReLU, or where the offset
            depends on the position.
    """

    value: TracedValue
    reading: LinearReading | None


def lower_program(
    program: Program,
    input: Input | None = None,
    output: Literal["class", "scores", "logits"] = "class",
) -> Graph:
    """The Graph that computes in integers what a program says in real numbers.

    Args:
        program: the network.
        input: what arrives, as for :func:`hwbnn.lower`; by default what the file's format says.
        output: as for :func:`hwbnn.lower`.

    Raises:
        CannotLower: naming the layer that has no exact form, and what to change.
        InputError: if ``input`` is missing or does not fit the network.
    """
    return ProgramWalk.begin(program, input, output).run()


def explain_program(
    program: Program,
    input: Input | None = None,
    output: Literal["class", "scores", "logits"] = "class",
) -> Explanation:
    """The lowering of each layer of a program, or where it stops; see :func:`hwbnn.explain`."""
    walk = ProgramWalk.begin(program, input, output)
    kinds = {layer.name: layer.kind for layer in program.layers}
    read = tuple(LayerExplanation("file", program.format, "Graph", r) for r in program.remarks)
    try:
        graph = walk.run()
    except CannotLower as error:
        told = layer_explanations(walk.build.remarks, kinds)
        return Explanation((*read, *told), "refused", problems=(str(error),))
    told = layer_explanations(walk.build.remarks, kinds)
    return Explanation((*read, *told), "exact", None, graph.meaning, len(graph.nodes), graph.digest)


@dataclass
class ProgramWalk:
    """A program being lowered.

    Attributes:
        program: the network.
        source: the input contract.
        output: one of :data:`OUTPUTS`.
        build: the Graph so far.
        states: the value of each layer.
        codes: where the Graph has the counts of each quantizer.
        certificate: the counts of all thresholds.
        scores: how the classes are ordered.
    """

    program: Program
    source: Input
    output: str
    build: GraphBuilder
    states: dict[str, State]
    codes: dict[str, CodeNode]
    certificate: Certificate
    scores: Scores | None = None

    @classmethod
    def begin(cls, program: Program, source: Input | None, output: str) -> ProgramWalk:
        """A walk that has not begun, its arguments checked."""
        given = program.contract if source is None else source
        if given is None:
            raise InputError(
                f"{program.format}: input: the file does not say which integers arrive; give an "
                f"hwbnn.Input of shape {program.shape}, such as hwbnn.Input.pixels"
                f"({program.shape}), with the map to the numbers that the network was trained on"
            )
        if not isinstance(given, Input):
            raise InputError(
                f"input: expected hwbnn.Input, found {type(given).__name__}; such as "
                f"hwbnn.Input.pixels({program.shape})"
            )
        if given.shape != program.shape and not _takes_flat(program, given.shape):
            raise InputError(
                f"input: expected shape {program.shape} as in the file, channels last, found "
                f"{given.shape}"
            )
        if operations(program) > MOST_OPERATIONS:
            raise InputError(
                f"{program.format}: {operations(program):.2g} multiplications a frame, more than "
                f"{MOST_OPERATIONS:.2g}; the file is damaged, or the network is too large"
            )
        if output not in OUTPUTS:
            raise InputError(
                f"output: expected one of {nearest(output, OUTPUTS)}, found {output!r}"
            )
        return cls(program, given, output, GraphBuilder(), {}, {}, Certificate())

    def run(self) -> Graph:
        """Lower all layers that the output depends on, and check the Graph against the program."""
        self.states[self.program.input] = self._start()
        needed = _needed(self.program)
        for layer in self.program.layers:
            if layer.name in needed:
                self.build.label = layer.label
                self.states[layer.name] = self._lowered(layer)
        self._finish()
        graph = Graph(tuple(self.build.nodes), self._notes())
        check_program(self.program, graph, self.codes, probes(self.source))
        return graph

    def _notes(self) -> dict[str, str]:
        certificates = "; ".join(f"{k}: {text}" for k, text in self.build.certificates.items())
        return {
            **({"certificates": certificates} if certificates else {}),
            "model": self.program.format,
            "reference": "the file in real numbers: float64 in one order, near pairs by rationals",
            "thresholds": str(self.certificate),
            "layers": " ".join(f"{r.node}={ascii(r.layer)[1:-1][:60]}" for r in self.build.remarks),
        }

    def _start(self) -> State:
        node = self.source
        t = self.build.add(node)
        columns = t.channels if len(t.shape) == 3 else t.size
        ends = np.full(columns, t.low), np.full(columns, t.high)
        scale, offset = _rationals(node.scale), _rationals(node.offset)
        reading = LinearReading(_short(scale), _short(offset))
        if t.bit:  # of codes 0 and 1
            unit = tuple(s / 2 for s in scale)
            reading = LinearReading(unit, tuple(o + u for o, u in _paired(offset, unit)))
        value = TracedValue(node.name, t, *ends, node.name, is_input=True, is_double=True)
        return _read(value, f"input '{node.name}'", reading)

    def _lowered(self, layer: Layer) -> State:
        state = self.states[layer.source]
        if isinstance(layer, Dense | Convolution):
            return self._weighted(layer, self._settled(layer, state))
        if isinstance(layer, Quantizer):
            return self._quantized(layer, state)
        if isinstance(layer, Affine):
            return _scaled(layer, state)
        if isinstance(layer, BatchNorm):
            return State(state.value.after(norm_op(layer)), None)
        if isinstance(layer, Relu):
            return self._relu(layer, state)
        if isinstance(layer, MaxPooling):
            return self._max_pool(layer, self._settled(layer, state))
        if isinstance(layer, AveragePooling):
            return self._average(layer, self._settled(layer, state))
        if isinstance(layer, Flattening):
            return self._flattened(layer, self._settled(layer, state))
        if isinstance(layer, Addition):
            other = self._settled(layer, self.states[layer.other])
            return self._added(layer, self._settled(layer, state), other)
        if isinstance(layer, Concatenation):
            raise layer.refuse(
                "values side by side are not lowered; use an addition, or one layer of all channels"
            )
        raise AssertionError(layer)

    def _settled(self, layer: Layer, state: State) -> State:
        """The value without a pool that waits."""
        if state.value.pool is None:
            return state
        return replace(state, value=pools.settle(self.build, state.value))

    # --- layers ----------------------------------------------------------------------------------

    def _weighted(self, layer: WeightedLayer, state: State) -> State:
        reading = _uniform(layer, state)
        unit, centre = reading.unit[0], reading.centre[0]
        text = _scales(layer.scale)
        weights = sums.Weights(layer.name, layer.label, layer.weights, _never, text=text)
        scale = [Fraction(float(s)) for s in layer.scale]
        gain = [unit * s for s in scale]
        error = _float32_error(layer, state.value, gain)
        rows = layer.weights.reshape(len(layer.weights), -1).sum(axis=1).tolist()
        if isinstance(layer, Dense):
            value = replace(sums.linear(self.build, weights, state.value), is_double=True)
            offset = [centre * s * n for s, n in zip(scale, rows, strict=True)]
            return _read(value, layer.label, LinearReading(tuple(gain), tuple(offset)), error)
        assert isinstance(layer, Convolution)
        pad = _pad(layer, state.value, reading)
        moves = layer.stride, layer.padding, pad or 0, layer.groups, None
        value = sums.conv(self.build, weights, sums.Geometry(*moves), state.value)
        value = replace(value, is_double=True)
        if pad is not None:
            offset = [centre * s * n for s, n in zip(scale, rows, strict=True)]
            return _read(value, layer.label, LinearReading(tuple(gain), tuple(offset)), error)
        return self._bordered(layer, state.value, value, (scale, gain, centre), error)

    def _bordered(
        self,
        layer: Convolution,
        source: TracedValue,
        value: TracedValue,
        numbers: tuple[list[Fraction], list[Fraction], Fraction],
        error: Floats,
    ) -> State:
        """Sums whose offset depends on how many taps lie outside the image."""
        scale, gain, centre = numbers
        kernel = (layer.weights.shape[1], layer.weights.shape[2])
        size = (source.type.shape[0], source.type.shape[1])
        window = Window(size, kernel, layer.stride, layer.padding)
        outside = Fraction(layer.pad_value)
        first = []
        for taps in window.classes:
            within = layer.weights[:, taps].sum(axis=(1, 2)).tolist()
            without = layer.weights[:, ~taps].sum(axis=(1, 2)).tolist()
            parts = zip(scale, within, without, strict=True)
            offset = [s * (centre * a + outside * b) for s, a, b in parts]
            first.append(linear_op(layer.label, gain, offset, error))
        border = BorderClasses(window.border_classes, tuple(first))
        return State(replace(value, ops=(), border=border), None)

    def _quantized(self, layer: Quantizer, state: State) -> State:
        value, reading = state.value, state.reading
        if value.type.bit:
            return self._bit(layer, state)
        few = value.pool is None and value.type.count <= IDENTITY_LIMIT
        if reading is not None and few and layer.steps > 1:
            start = _identity(layer, value, reading)
            if start is not None:
                return self._renamed(layer, state, start)
        certificate = Certificate()

        def checked(argument: TracedValue, table: ThresholdTable) -> ThresholdTable:
            nonlocal certificate
            table, certificate = certify(argument, table, layer)
            return table

        # One step is a bit, whatever its two values; more steps make signed codes if they can.
        base = layer.base if layer.steps > 1 else None
        step = StepActivation(
            layer.name,
            layer.label,
            layer.steps,
            layer.scale,
            0.0,
            lambda x: _bytes(layer, x),
            layer,
            base or None,
            checked,
        )
        lowered = activation(self.build, step, value)
        self.certificate = self.certificate.plus(certificate)
        text = f"{layer.rule or _levels(layer)}, scale {layer.scale:g}; {certificate}"
        remarks = self.build.remarks
        at = max(i for i, r in enumerate(remarks) if r.layer == layer.name)
        remarks[at] = replace(remarks[at], text=f"{remarks[at].text}; {text}")
        if certificate.near:
            self.build.certificates[lowered.name] = str(certificate)
        start = -(layer.base or 0) if base is not None else 0
        self.codes[layer.name] = CodeNode(lowered.name, 1, start, certificate.near > 0)
        read = _codes(layer, lowered.type.bit, base)
        return _read(replace(lowered, is_double=True, order=None), layer.label, read)

    def _bit(self, layer: Quantizer, state: State) -> State:
        """A quantizer of bits: the same bits, which stand for other numbers."""
        reading = _uniform(layer, state)
        unit, centre = reading.unit[0], reading.centre[0]
        pairs = {
            (_count(layer, row, centre - unit), _count(layer, row, centre + unit))
            for row in range(len(layer.edges))
        }
        if len(pairs) > 1 or state.value.pool is not None:
            raise layer.refuse(
                "quantizes bits with thresholds that differ between channels; put a layer of sums "
                "in front of it"
            )
        ((low, high),) = pairs
        if low == high:
            raise layer.refuse("makes one number of both of -1 and +1; look at its thresholds")
        scale, offset = Fraction(layer.scale), Fraction(layer.offset)
        read = LinearReading((scale * (high - low) / 2,), (offset + scale * (high + low) / 2,))
        self._told(layer, state.value, "the same bits")
        self.codes[layer.name] = CodeNode(state.value.name, high - low, low)
        return _read(state.value, layer.label, read)

    def _renamed(self, layer: Quantizer, state: State, start: int) -> State:
        """The integers that arrive are the codes, but for a constant."""
        scale = Fraction(layer.scale)
        read = LinearReading((scale,), (Fraction(layer.offset) + scale * start,))
        self._told(layer, state.value, f"its codes are the integers that it reads, plus {start}")
        self.codes[layer.name] = CodeNode(state.value.name, 1, start)
        return _read(state.value, layer.label, read)

    def _told(self, layer: Layer, value: TracedValue, text: str) -> None:
        node = next(n for n in self.build.nodes if n.name == value.name)
        self.build.remark(layer.name, node, text)

    def _relu(self, layer: Relu, state: State) -> State:
        reading, value = state.reading, state.value
        if reading is not None and value.pool is None:
            low, high = _summand_ends(value)
            ends = [
                of_channel(reading.unit, c) * int(end) + of_channel(reading.centre, c)
                for c in range(len(low))
                for end in (low[c], high[c])
            ]
            if min(ends) >= 0:
                return state
        return State(value.after(ReluOp(layer.label, is_elementwise=True)), None)

    def _max_pool(self, layer: MaxPooling, state: State) -> State:
        shape = self.program.shapes[layer.name]
        window = pools.PoolWindow(layer.name, layer.label, layer.kernel, layer.stride)
        moved = pools.bordered_max_pool(self.build, window, layer.padding, state.value, shape)
        return replace(state, value=moved)

    def _average(self, layer: AveragePooling, state: State) -> State:
        """The sum of each window; straight lines may be computed behind the mean."""
        value = state.value
        first = value.ops[0] if value.ops else None
        if (
            value.border is not None
            or not isinstance(first, LinearOp)
            or any(isinstance(op, ReluOp) for op in value.ops)
        ):
            raise layer.refuse(
                "averages real numbers behind a ReLU or a padded layer; put a quantizer in front "
                "of it"
            )
        padded = any(layer.padding)
        reading = state.reading
        if padded and (reading is None or len(value.ops) > 1 or any(reading.centre)):
            raise layer.refuse(
                "pads with zeros, which no integer in front of it stands for; use no padding"
            )
        node = SumPool(
            self.build.name("sum"), value.name, layer.kernel, layer.stride, layer.padding
        )
        t = self.build.add(node)
        size = (value.type.shape[0], value.type.shape[1])
        window = Window(size, layer.kernel, layer.stride, layer.padding)
        ends = pools.sum_ends(value, window)
        count = prod(layer.kernel)
        self.build.remark(layer.name, node, f"sums of {count}; the divisor goes into what follows")
        gain, offset = first.gain, first.offset
        if value.type.bit:  # from codes 0 and 1 to -1 and +1
            offset = tuple(o + g / 2 for o, g in _paired(offset, gain))
            gain = tuple(g / 2 for g in gain)
        gain = tuple(g / count for g in gain)
        error = first.error + _rounding(gain, ends, value.type.count * count)
        op = linear_op(layer.label, gain, offset, error)
        read = None
        if reading is not None:
            read = LinearReading(tuple(u / count for u in reading.unit), reading.centre)
        moved = TracedValue(node.name, t, *ends, layer.name, (op, *value.ops[1:]), is_double=True)
        return State(moved, read)

    def _flattened(self, layer: Layer, state: State) -> State:
        value = state.value
        if not value.is_image:
            return state
        if value.border is not None:
            raise layer.refuse(
                f"flattens the sums of layer '{value.layer}', which differ at the border of the "
                "image; put the quantizer in front of the flatten"
            )
        node = Flatten(self.build.name("flatten"), value.name)
        t = self.build.add(node)
        height, width, _ = value.type.shape
        count = height * width
        self.build.remark(layer.name, node, "rows, columns, channels")
        low, high = np.tile(value.low, count), np.tile(value.high, count)
        ops = tuple(op.repeated(count) for op in value.ops)
        moved = replace(value, name=node.name, type=t, low=low, high=high, ops=ops)
        return State(moved, None if state.reading is None else state.reading.repeated(count))

    def _added(self, layer: Addition, one: State, other: State) -> State:
        """The sum of two values as integers, where one unit divides those of both."""
        if one.reading is None or other.reading is None:
            raise layer.refuse(
                "adds real numbers (behind BatchNorm, ReLU or a padded layer); put a quantizer on "
                "each of its branches"
            )
        channels = self.program.shapes[layer.name][-1]
        units = [
            [of_channel(s.reading.unit, c) for c in range(channels)]  # type: ignore[union-attr]
            for s in (one, other)
        ]
        common = [_common([a, b]) for a, b in zip(*units, strict=True)]
        names, factors = [], []
        for state, of in zip((one, other), units, strict=True):
            factor = [int(u / g) for u, g in zip(of, common, strict=True)]
            if max(abs(f) for f in factor) >= MULTIPLIER_LIMIT:
                raise layer.refuse(
                    "its branches have scales without a common unit; give their quantizers one "
                    "scale, or scales that are powers of two"
                )
            factors.append(factor)
            names.append(self._multiplied(layer, state.value, factor))
        node = Add(self.build.name("add"), *names)
        t = self.build.add(node)
        self.build.remark(layer.name, node, f"sums of integers, {t.low} to {t.high}")
        ends = [np.zeros(channels, np.int64) for _ in range(2)]
        for state, factor in zip((one, other), factors, strict=True):
            both = [end * np.array(factor) for end in _summand_ends(state.value)]
            ends[0] += np.minimum(*both)
            ends[1] += np.maximum(*both)
        centres = [
            of_channel(one.reading.centre, c) + of_channel(other.reading.centre, c)
            for c in range(channels)
        ]
        value = TracedValue(node.name, t, ends[0], ends[1], layer.name, is_double=True)
        size = [max(abs(u) for u in pair) for pair in zip(*units, strict=True)]
        error = _rounding(tuple(size), (ends[0], ends[1]), 2)
        return _read(value, layer.label, LinearReading(_short(common), _short(centres)), error)

    def _multiplied(self, layer: Layer, value: TracedValue, factor: list[int]) -> str:
        """The name of a value times an integer a channel."""
        name, t = value.name, value.type
        if t.bit:
            one: Dot | SumPool = (
                SumPool(self.build.name("sum"), name, (1, 1), (1, 1))
                if value.is_image
                else Dot(self.build.name("dot"), name, np.eye(t.size, dtype=np.int16))
            )
            name, t = one.name, self.build.add(one)
            self.build.remark(layer.name, one, "bits as -1 and +1")
        if set(factor) == {1}:
            return name
        low, high = t.low, t.high
        ends = [f * end for f in factor for end in (low, high)]
        zeros = np.zeros(len(factor), np.int64)
        node = Rescale(
            self.build.name("rescale"),
            name,
            np.array(factor),
            zeros,
            zeros,
            min(ends),
            max(ends),
        )
        self.build.add(node)
        self.build.remark(layer.name, node, f"times {min(factor)} to {max(factor)}")
        return node.name

    # --- the end ---------------------------------------------------------------------------------

    def _finish(self) -> None:
        last = self.program.by_name[self.program.output]
        self.build.label = last.label
        state = self._settled(last, self.states[last.name])
        if state.value.is_image:
            if self.output == "class" and prod(state.value.type.shape[:2]) > 1:
                raise last.refuse(
                    f"ends in an image of shape {state.value.type.shape}; expected logits in one "
                    "axis: end in a dense layer or a global pool"
                )
            state = self._flattened(last, state)
        value = state.value
        if value.type.bit:
            if self.output == "class":
                raise last.refuse(
                    "the network ends in bits, which have no largest; use output='scores'"
                )
            self._append_output(value.name)
            return
        if self.output == "class" and value.type.size == 1:
            self._decided(last, state)
            return
        if self.output == "logits":
            self.build.add(logits(self.build, last, value, state.reading))
            return
        self.scores = scores(self.build, last, value, state.reading)
        name = self.scores.node
        if self.output == "class":
            node = ArgMax(self.build.name("argmax"), name)
            self.build.add(node)
            name = node.name
        self._append_output(name)

    def _decided(self, last: Layer, state: State) -> None:
        """One logit: the bit that is 1 where it is at least 0."""
        zero = Quantizer(
            f"{last.name} >= 0",
            last.kind,
            last.name,
            np.zeros((1, 1)),
            np.ones(1, np.bool_),
            2.0,
            -1.0,
            "decision: 1 from 0 on",
        )
        bit = self._quantized(zero, state)
        del self.codes[zero.name]  # no layer of the program: its output is checked
        self.build.add(Output(self.build.name("y"), bit.value.name, "decision"))

    def _append_output(self, name: str) -> None:
        self.build.add(Output(self.build.name("y"), name))


def _read(
    value: TracedValue, label: str, reading: LinearReading, error: Floats | None = None
) -> State:
    """A value whose integers are read by one linear map; tables have codes 0 and 1 for bits."""
    gain, offset = reading.unit, reading.centre
    if value.type.bit:
        offset = tuple(c - u for c, u in _paired(offset, gain))
        gain = tuple(2 * u for u in gain)
    op = linear_op(label, gain, offset, error)
    return State(
        replace(value, ops=(op,)), LinearReading(_short(reading.unit), _short(reading.centre))
    )


def _rationals(numbers: float | tuple[float, ...]) -> Rationals:
    """The rationals of one number, or of one a channel."""
    return tuple(rational(n) for n in (numbers if isinstance(numbers, tuple) else (numbers,)))


def _short(numbers: Rationals | list[Fraction]) -> Rationals:
    """One number where all channels have the same."""
    return tuple(numbers[:1]) if len(set(numbers)) == 1 else tuple(numbers)


def _paired(a: Rationals, b: Rationals) -> list[tuple[Fraction, Fraction]]:
    """Numbers of the channels side by side."""
    count = max(len(a), len(b))
    return [(of_channel(a, c), of_channel(b, c)) for c in range(count)]


def _scaled(layer: Affine, state: State) -> State:
    """A constant scale and offset: one more function, and another reading."""
    reading = state.reading
    op = affine_op(layer)
    if not layer.scale.all() and reading is not None:
        reading = None
    if reading is not None:
        scale, divisor, offset = (
            tuple(Fraction(float(v)) for v in p) for p in (op.scale, op.divisor, op.offset)
        )
        gain = tuple(s / d for s, d in _paired(scale, divisor))
        unit = [u * g for u, g in _paired(reading.unit, gain)]
        moved = [c * g for c, g in _paired(reading.centre, gain)]
        centre = [c + o for c, o in _paired(tuple(moved), offset)]
        reading = LinearReading(_short(unit), _short(centre))
    return State(state.value.after(op), reading)


def _uniform(layer: Layer, state: State) -> LinearReading:
    """The reading of a layer's argument, one for all channels."""
    reading = state.reading
    if reading is None:
        _real(layer, state)
    if not reading.is_uniform:
        raise layer.refuse(
            f"reads numbers of a scale for each channel, from layer '{state.value.layer}'; put a "
            "quantizer of one scale in front of it"
        )
    return LinearReading(reading.unit[:1], reading.centre[:1])


def _real(layer: Layer, state: State) -> NoReturn:
    later = state.value.ops[1:] or state.value.ops
    ops = ", ".join(dict.fromkeys(op.label for op in later)) or "a padded layer"
    raise layer.refuse(f"reads real numbers, behind {ops}; put a quantizer in front of it")


def _pad(layer: Convolution, value: TracedValue, reading: LinearReading) -> int | None:
    """The integer that stands for the number outside the image; None if there is none."""
    if not any(layer.padding):
        return 0
    integer = (Fraction(layer.pad_value) - reading.centre[0]) / reading.unit[0]
    allowed = (-1, 0, 1) if value.type.bit else (0,)
    return int(integer) if integer in allowed else None


def _float32_error(layer: WeightedLayer, value: TracedValue, gain: list[Fraction]) -> Floats:
    """The error of sums of float32: nothing where all terms are multiples of a power of two."""
    low, high = _summand_ends(value)
    most = int(max(np.abs(low).max(), np.abs(high).max()))
    magnitudes = np.abs(layer.weights).reshape(len(layer.weights), -1).sum(axis=1) * most
    ends = -magnitudes, magnitudes
    return _rounding(tuple(gain), ends, layer.weights[0].size)


def _rounding(gain: Rationals, ends: tuple[Ints, Ints], terms: int) -> Floats:
    """The error of float32 sums whose integers lie between ``ends``, float64 ``(channels,)``."""
    most = np.maximum(np.abs(ends[0]), np.abs(ends[1]))
    error = terms * 2.0**-24 * most * np.abs(floats(gain))
    safe = [
        _is_dyadic(of_channel(gain, c)) and abs(of_channel(gain, c).numerator) * int(m) < 1 << 24
        for c, m in enumerate(most)
    ]
    return np.where(safe, 0.0, error)


def _is_dyadic(x: Fraction) -> bool:
    return x.denominator & (x.denominator - 1) == 0


def _summand_ends(value: TracedValue) -> tuple[Ints, Ints]:
    """The lowest and highest number of each channel as sums read them: of bits -1 and +1."""
    if value.type.bit:
        return value.low * 2 - 1, value.high * 2 - 1
    return value.low, value.high


def _identity(layer: Quantizer, value: TracedValue, reading: LinearReading) -> int | None:
    """The counts less the integers that a quantizer reads, where this is one number; else None."""
    if len(layer.edges) > 1 or not reading.is_uniform or value.type.step != 1:
        return None
    start: int | None = None
    for x in range(value.type.low, value.type.high + 1):
        y = reading.unit[0] * x + reading.centre[0]
        found = _count(layer, 0, y) - x
        if start is not None and found != start:
            return None
        start = found
    return start


def _count(layer: Quantizer, row: int, y: Fraction) -> int:
    """The edges that a rational reaches."""
    edges, closed = layer.edges[row], layer.closed[row]
    near = int(np.searchsorted(edges, float(y)))
    # Floats are rounded to the nearest, so only the edges around can be on another side.
    count = 0
    for j in range(len(edges)):
        if abs(j - near) > 2:
            count += j < near
        else:
            edge = Fraction(float(edges[j]))
            count += y > edge or (y == edge and bool(closed[j]))
    return count


def _codes(layer: Quantizer, is_bit: bool, base: int | None) -> LinearReading:
    """The numbers that a quantizer's integers in the Graph stand for."""
    scale, offset = Fraction(layer.scale), Fraction(layer.offset)
    if is_bit:
        return LinearReading((scale / 2,), (offset + scale / 2,))
    return LinearReading((scale,), (offset if base is None else Fraction(0),))


def _common(units: list[Fraction]) -> Fraction:
    """The largest rational that all are multiples of."""
    whole = [u for u in units if u]
    if not whole:
        return Fraction(1)
    below = lcm(*(u.denominator for u in whole))
    return Fraction(gcd(*(int(u * below) for u in whole)), below)


def _bytes(layer: Quantizer, x: Array) -> Bytes:
    return layer.counts(x).astype(np.uint8)


def _levels(layer: Quantizer) -> str:
    return f"{layer.steps + 1} levels"


def _scales(scale: Floats) -> str:
    """The scales of a layer, for people."""
    low, high = float(np.abs(scale).min()), float(np.abs(scale).max())
    return f"scale {low:g}" if low == high else f"scales {low:g} to {high:g}"


def _never(x: Float32s, total: Float32s | None, border_class: int) -> Float32s:
    """The layer's function is set behind its node."""
    raise AssertionError


def _takes_flat(program: Program, shape: tuple[int, ...]) -> bool:
    """Whether an image may arrive flat, in the Graph's order: where it is flattened first."""
    if shape != (prod(program.shape),):
        return False
    flat = {program.input}
    for layer in program.layers:
        if flat.isdisjoint(layer.sources) or isinstance(layer, Flattening):
            continue
        counts = [1]
        if isinstance(layer, Affine):
            counts = [len(layer.scale), len(layer.offset), len(layer.divisor)]
        elif isinstance(layer, Quantizer):
            counts = [len(layer.edges)]
        elif not isinstance(layer, Relu):
            return False
        if max(counts) > 1:
            return False
        flat.add(layer.name)
    return True


def _needed(program: Program) -> set[str]:
    """The values that the output depends on."""
    needed = {program.output}
    for layer in reversed(program.layers):
        if layer.name in needed:
            needed |= set(layer.sources)
    return needed

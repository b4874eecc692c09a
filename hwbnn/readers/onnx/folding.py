"""Constants of an ONNX graph: quantized weights as codes, and operations on constants folded.

A quantizer on a constant gives integer codes and a scale; a transpose or a reshape keeps both.
Old exporters compute shapes and parameters in the graph (``Shape-Gather-Concat``, ``Pow`` of a
variance). Values that depend on no input are computed here, for a batch of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod

import numpy as np

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph.arrays import Array, Floats, Ints
from hwbnn.readers.onnx.protobuf import MOST_AXES, OnnxNode

MOST_ELEMENTS = 1 << 27
"""Elements of the largest constant."""
NEAR_EDGE = 1e-6
"""A weight nearer than this to an edge of rounding gets its code by rational arithmetic."""
MOST_CONSTANT_BITS = 32
"""Most bits of a constant behind a quantizer."""
ROUNDINGS = {
    "ROUND": "half_even",
    "HALF_EVEN": "half_even",
    "CEIL": "ceil",
    "FLOOR": "floor",
    "UP": "up",
    "DOWN": "down",
    "ROUND_TO_ZERO": "down",
    "HALF_UP": "half_away",
    "HALF_DOWN": "half_to_zero",
}
"""The rule of :mod:`hwbnn.program.quantizers` for each rounding mode of QONNX."""


@dataclass(frozen=True, eq=False)
class FoldedConstant:
    """A constant, with its codes and scale if it is the output of a quantizer.

    Attributes:
        array: the values.
        codes: int64, of the same shape; None if no quantizer made the constant.
        scale: float64, of the same shape, where ``array`` is ``codes * scale``; None likewise.
    """

    array: Array
    codes: Ints | None = None
    scale: Floats | None = None

    def moved(self, array: Array, codes: Ints | None, scale: Floats | None) -> FoldedConstant:
        """The constant with its elements in another arrangement."""
        return FoldedConstant(array, codes, scale)

    def transposed(self, order: tuple[int, ...]) -> FoldedConstant:
        """The constant with its axes in another order."""
        codes = None if self.codes is None else self.codes.transpose(order)
        scale = None if self.scale is None else self.scale.transpose(order)
        return FoldedConstant(self.array.transpose(order), codes, scale)

    def reshaped(self, shape: tuple[int, ...]) -> FoldedConstant:
        """The constant in another shape."""
        codes = None if self.codes is None else self.codes.reshape(shape)
        scale = None if self.scale is None else self.scale.reshape(shape)
        return FoldedConstant(self.array.reshape(shape), codes, scale)


@dataclass(frozen=True)
class QuantizerSettings:
    """The settings of a ``Quant`` node.

    Attributes:
        low: the lowest code.
        high: the highest code.
        zero: the code of the number 0.
        rule: the rounding rule, one of :mod:`hwbnn.program.quantizers`.
        is_sign: whether it has one signed bit, whose values are -1 and +1.
    """

    low: int
    high: int
    zero: int
    rule: str
    is_sign: bool


def quantizer_settings(
    node: OnnxNode, zero: Array, bits: Array, most: int = 16
) -> QuantizerSettings:
    """The settings of a ``Quant`` node.

    Args:
        node: the node.
        zero: its zero point.
        bits: its bit width.
        most: the most bits that are taken.

    Raises:
        CannotLower: if executors do not agree on their meaning, or they are not supported.
    """
    given = node.attributes
    for name in ("signed", "narrow"):
        if given.get(name) not in (0, 1):
            raise CannotLower(
                f"{node.label}: attribute '{name}': expected 0 or 1, found "
                f"{'none' if name not in given else 'another value'}; executors disagree on the "
                "default, so export it with the attribute"
            )
    width, point = single(node, "bit width", bits), single(node, "zero point", zero)
    if not (1 <= width <= most and float(width).is_integer()):
        raise CannotLower(f"{node.label}: expected 1 to {most} bits, found {width:g}")
    if not (abs(point) < 1 << 16 and float(point).is_integer()):
        raise CannotLower(f"{node.label}: expected an integer as zero point, found {point:g}")
    mode = str(given.get("rounding_mode", "ROUND")).upper()
    if mode not in ROUNDINGS:
        raise CannotLower(
            f"{node.label}: rounding_mode: expected one of {', '.join(ROUNDINGS)}, found "
            f"{ascii(mode)[:40]}"
        )
    narrow, b = int(given["narrow"]), int(width)
    if given["signed"]:
        low, high = -(1 << (b - 1)) + narrow, (1 << (b - 1)) - 1
    else:
        low, high = 0, (1 << b) - 1 - narrow
    is_sign = b == 1 and bool(given["signed"])
    if is_sign and point:
        raise CannotLower(f"{node.label}: expected zero point 0 of one signed bit, found {point:g}")
    if not is_sign and high <= low:
        raise CannotLower(f"{node.label}: its {b} bits have one level alone; use more bits")
    return QuantizerSettings(low, high, int(point), ROUNDINGS[mode], is_sign)


def single(node: OnnxNode, what: str, array: Array) -> float:
    """The number that all elements of an array equal; refused if elements differ."""
    if not array.size or array.dtype.kind not in "fiub" or not (array == array.flat[0]).all():
        raise CannotLower(
            f"{node.label}: {what}: expected one number for all channels, found shape "
            f"{array.shape}; quantize activations with one {what} a tensor"
        )
    return float(array.flat[0])


def quantized(
    node: OnnxNode, source: Array, scale: Array, zero: Array, bits: Array
) -> FoldedConstant:
    """A weight or a bias behind ``Quant``: codes and scales."""
    # A bias may have 32 bits; weights of more than 16 are refused by the layer that has them.
    settings = quantizer_settings(node, zero, bits, MOST_CONSTANT_BITS)
    factor = _scale(node, source, scale)
    if settings.is_sign:
        codes = np.where(source >= 0, 1, -1).astype(np.int64)
        return FoldedConstant(codes * factor, codes, factor)
    if settings.zero:
        raise CannotLower(
            f"{node.label}: weights with zero point {settings.zero}; expected 0: quantize weights "
            "symmetrically"
        )
    codes = _rounded(source.astype(np.float64), factor, settings.rule)
    codes = codes.clip(settings.low, settings.high)
    return FoldedConstant(codes * factor, codes, factor)


def bipolar(node: OnnxNode, source: Array, scale: Array) -> FoldedConstant:
    """Weights behind ``BipolarQuant``: -1 and +1 times a scale."""
    factor = _scale(node, source, scale)
    codes = np.where(source >= 0, 1, -1).astype(np.int64)
    return FoldedConstant(codes * factor, codes, factor)


def _scale(node: OnnxNode, source: Array, scale: Array) -> Floats:
    try:
        factor = np.broadcast_to(scale.astype(np.float64), source.shape)
    except ValueError:
        raise InputError(
            f"{node.label}: a scale of shape {scale.shape} does not fit weights of shape "
            f"{source.shape}"
        ) from None
    if not np.isfinite(source).all() or not (np.isfinite(factor) & (factor > 0)).all():
        raise InputError(f"{node.label}: expected finite weights and scales above 0")
    return factor


def _rounded(x: Floats, scale: Floats, rule: str) -> Ints:
    """Codes of weights; near an edge of rounding they are computed by rational arithmetic."""
    ratio = x / scale
    limit = np.float64(1 << (MOST_CONSTANT_BITS + 1))
    codes = _whole(ratio.clip(-limit, limit), rule).astype(np.int64)
    doubled = ratio * 2
    near = (np.abs(doubled - np.round(doubled)) < 2 * NEAR_EDGE) & (np.abs(ratio) < limit)
    near &= x != codes * scale
    for at in np.argwhere(near)[: 1 << 20].tolist():
        place = tuple(at)
        exact = Fraction(float(x[place])) / Fraction(float(scale[place]))
        codes[place] = exact_code(exact, rule)
    return codes


def exact_code(x: Fraction, rule: str) -> int:
    """The integer that a rounding rule gives for a rational number.

    >>> [exact_code(Fraction(n, 2), "half_even") for n in (-3, -1, 1, 3)]
    [-2, 0, 0, 2]
    >>> [exact_code(Fraction(n, 2), "half_away") for n in (-3, -1, 1, 3)]
    [-2, -1, 1, 2]
    """
    below = x.numerator // x.denominator
    rest = x - below
    if not rest or rule == "floor":
        return below
    if rule in ("ceil", "up", "down"):
        return below + (rule == "ceil" or (x > 0) == (rule == "up"))
    half = Fraction(1, 2)
    if rest != half:
        return below + (rest > half)
    if rule == "half_even":
        return below + below % 2
    return below + ((x > 0) == (rule == "half_away"))


def _whole(x: Floats, rule: str) -> Floats:
    """Floats rounded by a rounding rule."""
    size, sign = np.abs(x), np.sign(x)
    made = {
        "half_even": np.round(x),
        "ceil": np.ceil(x),
        "floor": np.floor(x),
        "up": sign * np.ceil(size),
        "down": np.trunc(x),
        "half_away": sign * np.floor(size + 0.5),
        "half_to_zero": sign * np.ceil(size - 0.5),
    }
    return np.asarray(made[rule])


def fold(node: OnnxNode, parts: list[FoldedConstant | None]) -> FoldedConstant | None:
    """The result of an operation on constants; None for an operation that is not folded.

    Args:
        node: the operation.
        parts: its arguments, with None for each that is left out.

    Raises:
        InputError: if the arguments do not fit.
    """
    first = parts[0] if parts else None
    arrays = [None if p is None else p.array for p in parts]
    try:
        if node.op in ("Quant", "IntQuant") and len(arrays) == 4:
            x, scale, zero, bits = arrays
            if x is None or scale is None or zero is None or bits is None:
                return None
            return quantized(node, x, scale, zero, bits)
        if node.op == "BipolarQuant" and len(arrays) == 2:
            x, scale = arrays
            return None if x is None or scale is None else bipolar(node, x, scale)
        if first is None:
            return None
        if node.op == "Identity":
            return first
        if node.op == "Transpose":
            axes = node.attributes.get("perm") or range(first.array.ndim)[::-1]
            return first.transposed(tuple(int(a) for a in axes))
        if node.op in ("Reshape", "Unsqueeze", "Squeeze", "Flatten"):
            second = arrays[1] if len(arrays) > 1 else None
            return first.reshaped(new_shape(node, first.array.shape, second))
        array = _folded(node, [a for a in arrays if a is not None])
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        shapes = ", ".join(str(a.shape) for a in arrays if a is not None)
        raise InputError(
            f"{node.label}: its constants of shapes {shapes} do not fit: {ascii(str(error))[:80]}"
        ) from None
    return None if array is None else FoldedConstant(array)


def _folded(node: OnnxNode, arrays: list[Array]) -> Array | None:
    """An operation on plain arrays."""
    first = arrays[0]
    with np.errstate(all="ignore"):
        if node.op in ("Add", "Sub", "Mul", "Div", "Pow"):
            one, other = arrays
            if prod(np.broadcast_shapes(one.shape, other.shape)) > MOST_ELEMENTS:
                raise ValueError("too many elements")
            if node.op == "Pow":
                return _power(one, other)
            done = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}
            if one.dtype.kind == "f" or other.dtype.kind == "f":
                one, other = one.astype(np.float64), other.astype(np.float64)
            elif node.op == "Div":
                return np.asarray(one // other)
            return np.asarray(done[node.op](one, other))
        if node.op in ("Sqrt", "Log", "Exp"):
            known = {"Sqrt": np.sqrt, "Log": np.log, "Exp": np.exp}
            return np.asarray(known[node.op](first.astype(np.float64)))
        if node.op in ("Ceil", "Floor", "Round"):
            return _rounded_constant(node, first)
        if node.op == "Neg":
            return np.asarray(-first)
        if node.op == "Cast":
            return first
        if node.op == "Gather":
            axis = int(node.attributes.get("axis", 0))
            return np.asarray(np.take(first, arrays[1].astype(np.int64), axis=axis))
        if node.op == "Concat":
            return np.concatenate(arrays, axis=int(node.attributes["axis"]))
        if node.op == "Shape":
            return np.array(first.shape, np.int64)
    return None


def _rounded_constant(node: OnnxNode, x: Array) -> Array:
    """``Ceil``, ``Floor`` or ``Round`` of a constant that exporters compute, such as a bit width.

    Raises:
        CannotLower: where rounding in float32 may decide.
    """
    real = x.astype(np.float64)
    edge = 2 * real if node.op == "Round" else real
    near = np.abs(edge - np.rint(edge)) < NEAR_EDGE * np.maximum(1, np.abs(edge))
    if (near & (edge != np.rint(edge))).any():
        raise CannotLower(
            f"{node.label}: rounds {real[near].flat[0]:.9g}, where float32 may go either way; "
            "fold it in the exporter"
        )
    return np.asarray({"Ceil": np.ceil, "Floor": np.floor, "Round": np.rint}[node.op](real))


def _power(base: Array, exponent: Array) -> Array:
    """A power; the square root is correctly rounded."""
    if exponent.size == 1 and float(exponent.flat[0]) == 0.5:
        return np.asarray(np.sqrt(base.astype(np.float64)))
    return np.asarray(np.power(base.astype(np.float64), exponent.astype(np.float64)))


def new_shape(node: OnnxNode, shape: tuple[int, ...], second: Array | None) -> tuple[int, ...]:
    """The shape that ``Reshape``, ``Squeeze``, ``Unsqueeze`` or ``Flatten`` asks for.

    Args:
        node: the operation.
        shape: the shape of its first argument.
        second: its second argument, if it has one.
    """
    listed = [int(n) for n in second.ravel()] if second is not None else None
    if listed is not None and len(listed) > MOST_AXES:
        raise InputError(f"{node.label}: expected at most {MOST_AXES} axes, found {len(listed)}")
    if node.op == "Flatten":
        axis = int(node.attributes.get("axis", 1))
        axis = axis + len(shape) if axis < 0 else axis
        return (prod(shape[:axis]), prod(shape[axis:]))
    if node.op == "Reshape":
        wanted = listed if listed is not None else list(node.attributes.get("shape", ()))
        keeps = not node.attributes.get("allowzero")
        sizes = [shape[i] if n == 0 and keeps else n for i, n in enumerate(wanted)]
        if sizes.count(-1) == 1:
            rest = prod(n for n in sizes if n != -1)
            sizes[sizes.index(-1)] = prod(shape) // rest if rest else -1
        if any(n < 0 for n in sizes) or prod(sizes) != prod(shape):
            raise InputError(f"{node.label}: cannot bring shape {shape} to {tuple(wanted)}")
        return tuple(sizes)
    axes = listed if listed is not None else list(node.attributes.get("axes", ()))
    if node.op == "Squeeze":
        axes = [a % len(shape) for a in axes] or [i for i, n in enumerate(shape) if n == 1]
        if any(shape[a] != 1 for a in axes):
            raise InputError(f"{node.label}: cannot drop axes {axes} of shape {shape}")
        return tuple(n for i, n in enumerate(shape) if i not in axes)
    whole = len(shape) + len(axes)
    places = {a % whole for a in axes}
    rest_of = iter(shape)
    return tuple(1 if i in places else next(rest_of) for i in range(whole))

"""The configuration of a quantizer: a JSON object, or text such as ``quantized_relu(2,1)``.

Text may contain only a name and literals; it is parsed and never evaluated as code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwbnn.errors import CannotLower, nearest

_LENGTH = 300
_TEXT = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\(([^()]*)\))?\s*")
_ARGUMENT = re.compile(r"\s*(?:([A-Za-z_]\w*)\s*=)?\s*(.*?)\s*", re.DOTALL)
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,3})?")
_QUOTED = re.compile(r"'([^'\"]*)'|\"([^'\"]*)\"")
_WORDS = {"True": True, "False": False, "None": None}

POSITIONAL: dict[str, tuple[str, ...]] = {
    "binary": ("use_01", "alpha"),
    "stochastic_binary": ("alpha", "temperature", "use_real_sigmoid"),
    "ternary": ("alpha", "threshold", "use_stochastic_rounding", "number_of_unrolls"),
    "stochastic_ternary": ("alpha", "threshold", "temperature", "use_real_sigmoid"),
    "quantized_bits": (
        *("bits", "integer", "symmetric", "keep_negative", "alpha", "use_stochastic_rounding"),
    ),
    "quantized_relu": (
        *("bits", "integer", "use_sigmoid", "negative_slope", "use_stochastic_rounding"),
        "relu_upper_bound",
    ),
    "quantized_tanh": ("bits", "use_stochastic_rounding", "symmetric", "use_real_tanh"),
    "quantized_sigmoid": ("bits", "symmetric", "use_real_sigmoid", "use_stochastic_rounding"),
    "quantized_po2": ("bits", "max_value", "use_stochastic_rounding", "quadratic_approximation"),
    "quantized_relu_po2": (
        *("bits", "max_value", "negative_slope", "use_stochastic_rounding"),
        "quadratic_approximation",
    ),
}
"""The order of the arguments in text, as far as QKeras 0.9 and qkeras-v3 agree on it."""

QKERAS = (
    *("alpha", "use_stochastic_rounding", "qnoise_factor", "var_name", "use_ste", "use_variables"),
    *("scale_axis", "elements_per_scale", "min_po2_exponent", "max_po2_exponent"),
    "post_training_scale",
)
"""Options that most quantizers of QKeras have."""
LARQ = ("name", "trainable", "dtype", "metrics", "clip_value", "beta", "precision")
"""Options of Larq's quantizers; none of them changes what is computed in inference."""
_LARQ_CLASSES = {
    "SteSign": "ste_sign",
    "ApproxSign": "approx_sign",
    "SwishSign": "swish_sign",
    "SteHeaviside": "ste_heaviside",
    "SteTern": "ste_tern",
    "MagnitudeAwareSign": "magnitude_aware_sign",
    "DoReFa": "dorefa_quantizer",
    "DoReFaQuantizer": "dorefa_quantizer",
    "NoOp": "no_op",
    "NoOpQuantizer": "no_op",
}


@dataclass(frozen=True)
class QuantizerConfig:
    """The name and options of a quantizer in a file.

    Attributes:
        name: name without a package, such as ``quantized_bits`` or ``ste_sign``.
        options: numbers, texts, booleans and None by name.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of an option, or ``default``."""
        return self.options.get(name, default)

    def replaced(self, **options: Any) -> QuantizerConfig:
        """A copy of the quantizer with these options replaced."""
        return QuantizerConfig(self.name, {**self.options, **options})

    def number(self, name: str, default: float) -> float:
        """An option that is a number."""
        value = self.options.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CannotLower(f"{self.name}: expected a number {name}, found {_shown(value)}")
        if (isinstance(value, int) and abs(value) > 1 << 53) or not math.isfinite(value):
            raise CannotLower(f"{self.name}: expected a finite {name}, found {_shown(value)}")
        return float(value)

    def integer(self, name: str, default: int) -> int:
        """An option that is an integer."""
        value = self.number(name, default)
        if value != int(value) or abs(value) > 1 << 20:
            raise CannotLower(f"{self.name}: expected an integer {name}, found {value!r}")
        return int(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """An option that is true or false, or 1 or 0."""
        value = self.options.get(name, default)
        if value not in (0, 1) or not isinstance(value, int | float):
            raise CannotLower(f"{self.name}: expected {name} to be 0 or 1, found {_shown(value)}")
        return bool(value)

    def between(self, name: str, default: int, least: int, most: int) -> int:
        """An option that is an integer from ``least`` to ``most``."""
        value = self.integer(name, default)
        if not least <= value <= most:
            raise CannotLower(f"{self.name}: expected {name} from {least} to {most}, found {value}")
        return value

    def positive(self, name: str, default: float) -> float:
        """An option that is a positive number, rounded to float32."""
        with np.errstate(over="ignore", under="ignore"):
            value = float(np.float32(self.number(name, default)))
        if not 0 < value < math.inf:
            raise CannotLower(
                f"{self.name}: expected {name} above 0, found {self.number(name, default):g}"
            )
        return value

    def refuse_partial(self) -> None:
        """Refuse options that leave values unquantized, or choose scales in unsupported ways.

        Raises:
            CannotLower: naming the option.
        """
        if self.number("qnoise_factor", 1.0) != 1.0:
            raise CannotLower(
                f"{self.name}: qnoise_factor={self.number('qnoise_factor', 1.0):g} leaves values "
                "partly unquantized; save the network with qnoise_factor=1.0"
            )
        for name in QKERAS[-5:]:
            if self.get(name) is not None:
                raise CannotLower(f"{self.name}: {name} is not read; save the network without it")

    def refuse_stochastic(self) -> None:
        """Refuse stochastic rounding where it changes what is computed in inference.

        Raises:
            CannotLower: naming the option.
        """
        if self.flag("use_stochastic_rounding"):
            raise CannotLower(
                f"{self.name}: use_stochastic_rounding is not read; "
                "save the network with use_stochastic_rounding=False"
            )

    def expect_names(self, known: Iterable[str]) -> None:
        """Refuse unknown options, since they may change the result."""
        known = tuple(known)
        for name in self.options:
            if name not in known:
                raise CannotLower(
                    f"{self.name}: option {name[:40]!r} is not known; known: {nearest(name, known)}"
                )


def quantizer(value: Any) -> QuantizerConfig | None:
    """The quantizer in a configuration; None if there is none.

    Args:
        value: None, text, or the JSON object of a serialized quantizer: with ``class_name`` and
            ``config``, and perhaps ``module`` and ``registered_name``.

    Raises:
        CannotLower: if ``value`` is none of these.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _parsed(value)
    if isinstance(value, dict):
        name, config = value.get("class_name"), value.get("config")
        if name == "function" or (isinstance(name, str) and isinstance(config, str)):
            # Keras 3 writes plain functions so: {"class_name": "function", "config": "relu"}.
            text = config if isinstance(config, str) else value.get("registered_name")
            return _parsed(text) if isinstance(text, str) else _refused(value)
        if isinstance(name, str) and isinstance(config, dict):
            if name.rpartition(">")[2] == "QuantizerWrapper" or not name:
                return _refused(value)
            return QuantizerConfig(plain_name(name), config)
    return _refused(value)


def _refused(value: Any) -> QuantizerConfig:
    raise CannotLower(f"expected a quantizer, found {_shown(value)}")


def plain_name(name: str) -> str:
    """A class name without its package; names of Larq's classes become those of its functions."""
    short = name.rpartition(">")[2].rpartition(".")[2]
    if not re.fullmatch(r"[A-Za-z_]\w{0,60}", short, re.ASCII):
        raise CannotLower(f"expected the name of a class, found {name[:60]!r}")
    return _LARQ_CLASSES.get(short, short)


def _parsed(text: str) -> QuantizerConfig:
    if len(text) > _LENGTH or not (match := _TEXT.fullmatch(text.rpartition(">")[2])):
        raise CannotLower(
            f"expected a quantizer such as 'quantized_relu(2,1)', found {text[:60]!r}"
        )
    name = plain_name(match[1])
    options: dict[str, Any] = {}
    positions = POSITIONAL.get(name, ())
    given = match[2] or ""
    for i, part in enumerate(given.split(",") if given.strip() else ()):
        argument = _ARGUMENT.fullmatch(part)
        assert argument is not None
        key = argument[1]
        if key is None:
            if i >= len(positions) or set(options) != set(positions[:i]):
                raise CannotLower(
                    f"{name}: expected at most {len(positions)} arguments without a "
                    f"name, found {text[:60]!r}; write name=value"
                )
            key = positions[i]
        if key in options:
            raise CannotLower(f"{name}: argument {key[:40]!r} is given twice in {text[:60]!r}")
        options[key] = _literal(argument[2], text)
    return QuantizerConfig(name, options)


def _literal(word: str, text: str) -> Any:
    if word in _WORDS:
        return _WORDS[word]
    if _INTEGER.fullmatch(word):
        return int(word)
    if _NUMBER.fullmatch(word):
        return float(word)
    if quoted := _QUOTED.fullmatch(word):
        return quoted[1] if quoted[1] is not None else quoted[2]
    raise CannotLower(
        f"expected numbers, texts in quotes, True, False or None as arguments; found {word[:40]!r} "
        f"in {text[:60]!r}"
    )


def _shown(value: Any) -> str:
    return ascii(value if isinstance(value, str | int | float | None) else type(value).__name__)[
        :60
    ]

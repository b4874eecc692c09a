"""hls4ml layers of our own: one class for each kind of call, two templates for all classes.

A layer holds its :class:`~hwbnn.targets.hls.calls.Call` and translates it to hls4ml's terms.
hls4ml's own layers, converters, quantizers and binary lowering are not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hls4ml.backends import get_backend
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.layers import Layer, layer_map, register_layer
from hls4ml.model.types import IntegerPrecisionType, NamedType, WeightVariable

from hwbnn.assets import assets
from hwbnn.graph import NODE_TYPES
from hwbnn.targets.hls.calls import FORK, Call
from hwbnn.targets.hls.layout import Constant, Scalar

BACKEND = "Vitis"
HEADER = "nnet_utils/hwbnn.h"
KINDS = (*(kind.__name__ for kind in NODE_TYPES), "Neurons", "ConvNeurons", FORK)
"""Kinds of calls: the nodes, sums with the Threshold that is fused with them, and forks."""


def precision(scalar: Scalar) -> IntegerPrecisionType:
    """A scalar type in hls4ml's terms."""
    return IntegerPrecisionType(width=scalar.width, signed=scalar.signed)


class ExactConstant(WeightVariable):  # type: ignore[misc]  # hls4ml has no types
    """A constant that is printed from Python integers; hls4ml's own goes through a double."""

    def __init__(self, var_name: str, constant: Constant) -> None:
        super().__init__(
            var_name, f"{var_name}_t", precision(constant.type), np.array(constant.data)
        )
        self.literals = tuple(constant.literals())

    def definition_cpp(self) -> str:
        """The declaration: the array is never written, so it is a ROM, or part of the logic."""
        return f"static const {self.type.name} {self.name}[{self.data_length}]"

    def __iter__(self) -> Iterator[str]:
        return iter(self.literals)


class HwbnnPort(Layer):  # type: ignore[misc]
    """The array or stream that enters hls4ml's function.

    It takes the place of hls4ml's own ``Input`` layer, which hls4ml's precision passes look for.
    """

    def initialize(self) -> None:
        """Declare the port; its name is the layer's, so that no user's name reaches C++."""
        self.add_output_variable(
            self.get_attr("shape"),
            var_name=self.name,
            type_name="input_t",
            precision=precision(self.get_attr("word")),
        )


class HwbnnLayer(Layer):  # type: ignore[misc]
    """The layer of a call, with the attributes ``call``, ``shape``, ``var_name`` and ``slot``.

    A fork has an output for each of its streams; the other layers have one output.
    """

    def initialize(self) -> None:
        """Declare the value that the call computes, its constants, and the type of a weight.

        A word of integer weights holds several of them; ``coefficient_t`` is the type of one.
        """
        call: Call = self.get_attr("call")
        for k, output in enumerate(self.outputs):
            self.add_output_variable(
                self.get_attr("shape"),
                out_name=output,
                var_name=self.get_attr("var_name") + ("_rest" if k else ""),
                precision=precision(call.out.word),
            )
        for constant in call.constants:
            name = f"{constant.name}{self.index}"
            self.set_attr(constant.name, ExactConstant(name, constant))
        if call.weight is not None:
            coefficient = NamedType(f"coefficient{self.index}_t", precision(call.weight))
            self.set_attr("coefficient_t", coefficient)


LAYERS: dict[str, type[HwbnnLayer]] = {
    kind: type(f"Hwbnn{kind}", (HwbnnLayer,), {"__doc__": f"The call of kind {kind}."})
    for kind in KINDS
}


class HwbnnConfig(LayerConfigTemplate):  # type: ignore[misc]
    """The config struct of a call: layouts, sizes and types."""

    def __init__(self) -> None:
        super().__init__(list(LAYERS.values()))
        self.name = "hwbnn_config_template"

    def format(self, node: Any) -> str:
        """The struct in C++."""
        call: Call = node.get_attr("call")
        types = {"in": call.source.cpp, "out": call.out.cpp, **call.types}
        for constant in call.constants:
            types[constant.member] = node.get_weights(constant.name).type.name
        if call.weight is not None:
            types["coefficient_t"] = node.get_attr("coefficient_t").name
        lines = [f"    typedef {cpp} {name};" for name, cpp in types.items()]
        numbers = {**call.numbers, "reuse_factor": call.reuse}
        for name, value in numbers.items():
            kind = "int" if value < 0 else "unsigned"
            lines.append(f"    static const {kind} {name} = {value};")
        return "\n".join([f"struct config{node.index} {{", *lines, "};\n"])


class HwbnnCall(FunctionCallTemplate):  # type: ignore[misc]
    """The text of a call, and the line that traces its value in C simulation."""

    def __init__(self) -> None:
        super().__init__(list(LAYERS.values()), include_header=[HEADER])
        self.name = "hwbnn_function_template"

    def format(self, node: Any) -> list[str]:
        """The lines in C++."""
        call: Call = node.get_attr("call")
        p = self._default_function_params(node)
        sources = [node.get_input_variable(name) for name in node.inputs]
        results = [node.get_output_variable(name) for name in node.outputs]
        constants = [node.get_weights(c.name) for c in call.constants]
        arguments = ", ".join(v.name for v in (*sources, *results, *constants))
        kinds = (*(v.type.name for v in (*sources, results[0])), p["config"])
        text = f"hwbnn::{call.function}<{', '.join(kinds)}>({arguments});"
        slot = node.get_attr("slot")
        if slot is None:
            return [text]
        return [text, f"HWBNN_TRACE({slot}, {p['config']}::out, {p['output']})"]


def register() -> None:
    """Register our layers with hls4ml's Vitis backend; further calls do nothing."""
    if "HwbnnPort" in layer_map:
        return
    backend = get_backend(BACKEND)
    for layer in LAYERS.values():
        register_layer(layer.__name__, layer)
    backend.register_template(HwbnnConfig)
    backend.register_template(HwbnnCall)
    for header in sorted(Path(assets("hls")).glob("*.h")):
        backend.register_source(header)
    register_layer("HwbnnPort", HwbnnPort)

"""Random and small networks lower to the same bits, on all inputs where they are few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from hwbnn.errors import CannotLower
from hwbnn.graph import Graph, Input, Select
from hwbnn.lowering import lower
from hwbnn.nn import BinaryActivation, BinaryLinear
from hwbnn.simulators import simulate
from tests.lowering.models import METHOD, models, random_integers, random_model, run_float
from tests.thorough import some


def assert_equal(model: nn.Module, source: Input, graph: Graph, u: NDArray[np.int64]) -> None:
    """Every activation and the class, by code apart from the lowering; in both simulators."""
    bits, logits = run_float(model, source, u)
    values = simulate(graph, u, engine="plain", trace=True)
    made = [n for n in graph.nodes if not isinstance(n, Select)]
    activations = [n.name for n in made if graph.types[n.name].bit][source.bit :]
    if graph.meaning == "decision":
        activations = activations[:-2]  # without the decision itself, and the output
    assert len(activations) == len(bits)
    for name, wanted in zip(activations, bits, strict=True):
        np.testing.assert_array_equal(values[name], wanted, err_msg=name)
    assert (graph.meaning == "decision") == (logits.shape[1] == 1)
    classes = logits[:, 0] >= 0 if logits.shape[1] == 1 else logits.argmax(axis=1)
    np.testing.assert_array_equal(values[graph.output.name][:, 0], classes)
    for name, found in simulate(graph, u, engine="fast", trace=True).items():
        np.testing.assert_array_equal(found, values[name], err_msg=name)


@pytest.mark.parametrize("block", some(range(10)))
def test_random_networks_lower_to_the_same_bits(block: int) -> None:
    lowered = 0
    for seed in range(22 * block, 22 * (block + 1)):
        model, source = random_model(seed)
        try:
            graph = lower(model, source)
        except CannotLower as error:
            if "that a table may have" not in str(error):
                raise
            continue
        assert_equal(model, source, graph, random_integers(source, 40, seed))
        lowered += 1
    assert lowered >= 20  # 200 over all blocks, with --thorough


@given(st.data())
def test_small_networks_lower_to_the_same_bits(data: st.DataObject) -> None:
    model, source = data.draw(models(max_width=12, max_depth=3))
    graph = lower(model, source)
    assert_equal(model, source, graph, random_integers(source, 64, 0))


@given(st.data())
@settings(max_examples=40)
def test_networks_of_few_bits_are_equal_on_all_inputs(data: st.DataObject) -> None:
    model, source = data.draw(models(max_width=10, integers=False))
    n = source.shape[0]
    every = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
    assert_equal(model, source, lower(model, source), every)


@pytest.mark.parametrize("size", [1, 65])
def test_an_input_of_one_integer(size: int) -> None:
    source = Input("x", (size,), 5, 5, scale=0.5)
    layer = BinaryLinear(size, 3, METHOD, source=source)
    model = nn.Sequential(layer, BinaryActivation(3, METHOD), BinaryLinear(3, 2, METHOD))
    assert_equal(model.eval(), source, lower(model, source), np.full((1, size), 5))

"""BinaryLinear and BinaryActivation: exact integers in evaluation."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.lowering import floats
from hwbnn.methods import Activation, BinaryWeight, ClipSTE, Codes, Method, get, quantize
from hwbnn.methods.base import SignActivation
from hwbnn.nn import BinaryActivation, BinaryLinear, Scale, Select, mlp, network
from tests.methods.forms import Mapped

METHOD = get("bnn_ste")


@dataclass(frozen=True)
class TwoValued(Method):
    """Weights ``scale * (+-1) + offset`` for each channel, in powers of two: exact in float32."""

    name: ClassVar[str] = "two_valued"

    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        return _TwoValuedWeight(self, shape)

    def make_activation(self, channels: int) -> Activation:
        return SignActivation(self, channels, ClipSTE())


class _TwoValuedWeight(BinaryWeight):
    def __init__(self, method: Method, shape: tuple[int, ...]) -> None:
        super().__init__(method)
        self.shape = shape
        self.latent = nn.Parameter(torch.randn(shape))
        self.scale = nn.Parameter(2.0 ** torch.randint(-2, 3, shape[:1]))
        self.offset = nn.Parameter(torch.randint(-3, 4, shape[:1]) * 0.25)

    def real(self) -> Tensor:
        return self.latent

    def codes(self) -> Codes:
        return Codes(quantize(self.latent, ClipSTE(), self.settings), self.scale, self.offset)


def integer_sums(layer: BinaryLinear, u: Any) -> Any:
    signs = layer.weight.codes().integers.detach().numpy().astype(np.int64)
    return u.astype(np.int64) @ signs.T


@given(st.integers(1, 900), st.integers(0, 2**32 - 1))
def test_evaluation_sums_integers_exactly(n: int, seed: int) -> None:
    torch.manual_seed(seed)
    source = Input.pixels(n)
    layer = BinaryLinear(n, 5, METHOD, source=source).eval()
    u = np.random.default_rng(seed).integers(0, 255, (7, n), endpoint=True)
    u[0], u[1] = 0, 255
    sums, total = layer.sums(layer.integers(floats(source, u)))
    assert total is None
    np.testing.assert_array_equal(sums.detach().numpy(), integer_sums(layer, u))


@pytest.mark.parametrize(
    "source",
    [
        Input.pixels(40),
        Input.pixels(40, scale=2 / 255, offset=-1.0),
        Input("x", (40,), -128, 127, scale=-0.7, offset=3.0),
        Input("x", (40,), 0, 65535, scale=1 / 65535, offset=-0.5),
        Input("x", (40,), 5, 5, scale=3.0, offset=0.25),
        Input.bits(40),
    ],
)
def test_integers_are_found_again_from_floats_and_training_agrees(source: Input) -> None:
    torch.manual_seed(0)
    layer = BinaryLinear(40, 6, METHOD, source=source)
    u = np.random.default_rng(0).integers(source.low, source.high, (300, 40), endpoint=True)
    x = floats(source, u)
    wanted = u * 2 - 1 if source.bit else u
    np.testing.assert_array_equal(layer.integers(x).numpy(), wanted)
    evaluated = layer.eval()(x)
    trained = layer.train()(x)
    assert evaluated.dtype == torch.float32
    torch.testing.assert_close(evaluated, trained, rtol=1e-4, atol=1e-3)


def test_floats_computed_in_float32_are_found_again() -> None:
    layer = BinaryLinear(256, 2, METHOD, source=Input.pixels(256))
    u = torch.arange(256)[None]
    for x in (u / 255, u.float() / 255.0, u * torch.tensor(1 / 255)):
        assert torch.equal(layer.integers(x), u.float())


@pytest.mark.parametrize(
    ("source", "x"),
    [
        (Input.pixels(2), [0.5, 0.3]),  # not on the lattice
        (Input.pixels(2), [0.0, 256 / 255]),  # above it
        (Input.pixels(2), [-1 / 255, 0.0]),  # below it
        (Input.pixels(2), [77.0, 3.0]),  # the integers themselves
        (Input.pixels(2), [float("nan"), 0.0]),
        (Input.bits(2), [0.0, 1.0]),  # codes rather than what they stand for
        (Input.bits(2), [1.0, float("inf")]),
    ],
)
def test_floats_off_the_lattice_are_refused_in_evaluation(source: Input, x: list[float]) -> None:
    layer = BinaryLinear(2, 2, METHOD, source=source).eval()
    with pytest.raises(InputError, match=r"input 'x': expected x = .* found x = "):
        layer(torch.tensor([x]))


def test_evaluation_under_autocast_keeps_integers() -> None:
    torch.manual_seed(0)
    layer = BinaryLinear(3001, 4, METHOD).eval()
    x = torch.randint(0, 2, (16, 3001)) * 2.0 - 1
    plain = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x), plain)
        assert torch.equal(layer(x.bfloat16()), plain)
    assert (plain % 2 == 1).all()  # as only sums of an odd number of odd terms are


@pytest.mark.parametrize("source", [None, Input("x", (9,), -4, 4, scale=0.5, offset=0.25)])
def test_weights_of_two_values_are_sums_scaled_and_shifted(source: Input | None) -> None:
    """All numbers are small multiples of powers of two, so every way of computing is exact."""
    torch.manual_seed(0)
    layer = BinaryLinear(9, 5, TwoValued(), source=source)
    u = torch.randint(-4, 5, (50, 9))
    x = u.float() if source is None else floats(source, u)
    codes = layer.weight.codes()
    assert codes.scale is not None
    assert codes.offset is not None
    real = codes.scale[:, None] * codes.integers + codes.offset[:, None]
    wanted = x @ real.T
    assert torch.equal(layer.train()(x), wanted)
    assert torch.equal(layer.eval()(x), wanted)
    sums, total = layer.sums(layer.integers(x))
    assert total is not None
    assert torch.equal(total[:, 0], u.sum(dim=1).float())
    np.testing.assert_array_equal(sums.detach().numpy(), integer_sums(layer, u.numpy()))


def test_gradients_reach_every_learned_part() -> None:
    layer = BinaryLinear(9, 5, TwoValued())
    norm, act = nn.BatchNorm1d(5), BinaryActivation(5, TwoValued())
    of_others = torch.randn(8, 9, requires_grad=True)
    nn.Sequential(layer, norm, act)(of_others).square().sum().backward()
    parameters = [*layer.parameters(), *norm.parameters()]
    assert all(p.grad is not None for p in parameters)


def test_activations_are_signs() -> None:
    act = BinaryActivation(3, METHOD)
    x = torch.tensor([[-0.0, 0.0, -1e-30]])
    for training in (True, False):
        assert act.train(training)(x).tolist() == [[1, 1, -1]]
    assert act.codes(x).tolist() == [[1, 1, 0]]


def test_scale_is_one_factor() -> None:
    scale = Scale(0.25)
    assert scale(torch.tensor([[4.0, -2.0]])).tolist() == [[1.0, -0.5]]
    assert [p.shape for p in scale.parameters()] == [()]


def test_sizes_that_cannot_be() -> None:
    for sizes in ((0, 3), (3, 0), (-1, 3)):
        with pytest.raises(InputError, match="expected sizes from 1"):
            BinaryLinear(*sizes, METHOD)
    with pytest.raises(InputError, match=r"sums of 70000 integers up to 255 reach 2\^24"):
        BinaryLinear(70_000, 2, METHOD, source=Input.pixels(70_000))
    assert BinaryLinear(70_000, 1, METHOD).in_features == 70_000


def test_a_layer_without_source_is_a_plain_linear_layer_in_training() -> None:
    layer = BinaryLinear(8, 3, METHOD)
    x: Tensor = torch.randn(5, 8, requires_grad=True)
    assert torch.equal(layer(x), nn.functional.linear(x, layer.weight.codes().integers))


@pytest.mark.parametrize("levels", [1, 2, 7, 255])
class TestSourceActivation:
    def pair(self, levels: int, seed: int = 0) -> tuple[BinaryActivation, BinaryLinear]:
        torch.manual_seed(seed)
        activation = BinaryActivation(40, Mapped(levels))
        return activation, BinaryLinear(40, 6, METHOD, source=activation)

    def test_integers_are_found_again_and_the_map_acts_on_sums(self, levels: int) -> None:
        for seed in range(8):
            activation, layer = self.pair(levels, seed)
            activation.eval(), layer.eval()
            x = torch.randn(16, 40) * levels
            codes = activation.codes(x).long()
            u = codes * 2 - 1 if levels == 1 else codes
            assert torch.equal(layer.integers(activation(x)).long(), u)
            sums, total = layer.sums(layer.integers(activation(x)))
            assert total is None
            assert np.array_equal(sums.detach().numpy(), integer_sums(layer, u.numpy()))
            scale, centre = activation.quantizer.affine()
            row = layer.weight.codes().integers.sum(dim=1).double()
            exact = scale * sums.double() + centre * row
            torch.testing.assert_close(layer(activation(x)).double(), exact, rtol=1e-5, atol=1e-3)

    def test_training_and_evaluation_agree(self, levels: int) -> None:
        activation, layer = self.pair(levels)
        x = activation(torch.randn(16, 40) * levels)
        torch.testing.assert_close(layer.eval()(x), layer.train()(x), rtol=1e-4, atol=1e-3)

    def test_floats_off_the_lattice_are_refused(self, levels: int) -> None:
        activation, layer = self.pair(levels)
        scale, centre = activation.quantizer.affine()
        layer.eval()
        for u in (0.0 if levels == 1 else 0.5, -2.0, levels + 1.0, float("inf")):
            with pytest.raises(InputError, match="as the activation that is its source gives"):
                layer(torch.full((1, 40), scale * u + centre))

    def test_the_source_is_a_reference_that_copies_keep(self, levels: int) -> None:
        activation, layer = self.pair(levels)
        assert [n for n, _ in layer.named_parameters()] == ["weight.latent"]
        assert list(layer.state_dict()) == ["weight.latent"]
        assert "activation" in repr(layer)
        model = nn.Sequential(activation, layer)
        twin = copy.deepcopy(model)
        assert twin[1].source is twin[0]
        assert model[1].source is model[0]
        assert len(list(model.parameters())) == 3
        loaded = nn.Sequential(*self.pair(levels, seed=1))
        loaded.load_state_dict(model.state_dict())
        x = torch.randn(4, 40)
        assert torch.equal(loaded.eval()(x), model.eval()(x))
        layer.source = None
        assert [n for n, _ in layer.named_modules()] == ["", "weight"]


def test_networks_tell_layers_which_activation_they_read() -> None:
    model = mlp(Input.bits(9), (5, 4), 3, Mapped())
    linear = [m for m in model.layers if isinstance(m, BinaryLinear)]
    assert [m.source for m in linear] == [model.input, model.layers[2], model.layers[5]]
    assert not any(".source" in name for name in model.state_dict())
    model.train()(torch.ones(4, 9)).sum().backward()
    plain = mlp(Input.bits(9), (5, 4), 3, METHOD)
    assert plain.layers[3].source is None


def test_a_row_is_read_in_part() -> None:
    layer = Select(5, [4, 0, 2])
    x = torch.arange(10.0).reshape(2, 5)
    assert layer(x).tolist() == [[4, 0, 2], [9, 5, 7]]
    assert "3 of 5" in str(layer)
    assert list(layer.state_dict()) == ["index"]
    for shape in ((2, 4), (2, 5, 1), (5,)):
        with pytest.raises(InputError, match=r"Select: expected \(batch, 5\), found"):
            layer(torch.zeros(shape))
    for index, said in (
        ([], "at least one"),
        ([5], "found 5"),
        ([-1], "found -1"),
        ([1, 1], "1 tw"),
    ):
        with pytest.raises(InputError, match=said):
            Select(5, index)


@pytest.mark.parametrize(
    "index",
    [
        [False, True],  # torch would take it for the positions 0 and 1
        np.array([True, False, False, True, False]),
        torch.tensor([True, False]),
        [0.5, 1.5],
        [[0, 1], [2, 3]],
        torch.tensor(1),
        [2**63],
        "012",
        3,
    ],
)
def test_only_integers_are_positions(index: Any) -> None:
    with pytest.raises(InputError, match="Select: expected a row of integers"):
        Select(5, index)


def test_positions_may_come_as_arrays() -> None:
    for index in (np.array([3, 1], np.uint8), np.array([3, 1]), torch.tensor([3, 1]), range(3, 5)):
        layer = Select(5, index)
        assert layer.index.dtype == torch.int64
        assert layer.index.tolist() == list(index)


def test_only_rows_are_read_in_part() -> None:
    model = network("tfc", Input.bits(784), 10, METHOD, reads=[1, 5, 700])
    assert model(torch.ones(2, 784)).shape == (2, 10)
    with pytest.raises(InputError, match="network 'lenet' reads whole images"):
        network("lenet", Input.bits((28, 28, 1)), 10, METHOD, reads=[1])

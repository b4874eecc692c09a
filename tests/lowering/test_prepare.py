"""Preparing a model: copied, unwrapped, traced; what is refused."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hwbnn.errors import CannotLower
from hwbnn.graph import Dot, Flatten, Graph, Input, Lookup, Threshold
from hwbnn.lowering import explain, floats, lower
from hwbnn.lowering.from_torch.ops import reference_mode
from hwbnn.lowering.from_torch.reference import parameter_digest, unwrap
from hwbnn.nn import BinaryActivation, BinaryLinear, Scale, mlp, network
from tests.lowering.models import METHOD, random_integers, random_model
from tests.lowering.test_model import assert_equal

BITS = Input.bits(20)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(5)
    made = mlp(BITS, (9, 7), 4, METHOD)
    for _ in range(3):
        made(torch.randint(0, 2, (16, 20)) * 2.0 - 1)
    return made


def test_the_model_is_left_as_it_was(model: nn.Module) -> None:
    model.train()
    before = copy.deepcopy(model.state_dict())
    graph = lower(model, BITS)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert graph == lower(model.eval(), BITS)


def test_wrappers_are_taken_off(model: nn.Module) -> None:
    graph = lower(model, BITS)
    with warnings.catch_warnings():  # of torch's own parts that it imports here
        warnings.simplefilter("ignore")
        compiled: Any = torch.compile(model)
    assert lower(compiled, BITS) == graph
    assert lower(nn.DataParallel(model), BITS) == graph
    assert lower(nn.DataParallel(compiled), BITS) == graph


def test_an_average_of_models_is_taken_out_of_its_wrapper(model: nn.Module) -> None:
    """The averaged weights, which are others than those of the model in training."""
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    before = lower(model, BITS)
    average.update_parameters(model)
    for parameter in model.parameters():
        parameter.data.normal_()
    average.update_parameters(model)
    assert lower(average, BITS) == lower(average.module, BITS) != before
    assert lower(nn.DataParallel(average), BITS) == lower(average, BITS)


def test_weights_computed_from_parameters_are_evaluated_once(model: nn.Module) -> None:
    class Turned(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return -x

    layer = next(m for m in model.modules() if isinstance(m, BinaryLinear))
    before = lower(model, BITS)
    parametrize.register_parametrization(layer.weight, "latent", Turned())
    turned = lower(model, BITS)
    assert turned != before
    assert parametrize.is_parametrized(layer.weight)  # the model is not changed
    parametrize.remove_parametrizations(layer.weight, "latent")
    assert lower(model, BITS) == turned


def test_the_network_of_a_lightning_module_is_found(model: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lightning import LightningModule

    class Task(LightningModule):
        def __init__(self, **modules: nn.Module) -> None:
            super().__init__()
            for name, module in modules.items():
                setattr(self, name, module)

    assert lower(Task(model=model), BITS) == lower(model, BITS)
    assert lower(Task(network=model), BITS) == lower(model, BITS)
    with pytest.raises(CannotLower, match="Task: expected the network of a LightningModule"):
        lower(Task(body=model), BITS)


def test_a_lightning_module_that_adds_to_its_network_is_refused(model: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lightning import LightningModule

    class Passing(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor:
            return self.model(x)

    class Adding(Passing):
        def forward(self, x: Tensor) -> Tensor:
            return -self.model(x)

    assert unwrap(Passing()) is model
    with pytest.raises(CannotLower, match="Adding: its forward does more than call 'model'"):
        unwrap(Adding())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_dtypes_are_lowered_as_float32(model: nn.Module, dtype: torch.dtype) -> None:
    converted = copy.deepcopy(model).to(dtype)
    assert lower(converted, BITS) == lower(copy.deepcopy(converted).float(), BITS)


def test_autocast_and_gradients_around_it_change_nothing(model: nn.Module) -> None:
    graph = lower(model, BITS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with reference_mode():
            assert not torch.is_autocast_enabled("cpu")
            assert not torch.is_grad_enabled()
        assert lower(model, BITS) == graph
    with torch.inference_mode():
        assert lower(model, BITS) == graph


def test_models_that_cannot_be_copied_or_have_no_weights(model: nn.Module) -> None:
    with pytest.raises(CannotLower, match="on the meta device; load its weights"):
        lower(copy.deepcopy(model).to("meta"), BITS)
    model.register_buffer("made", model.layers[0].weight.latent * 2)  # type: ignore[union-attr]
    with pytest.raises(CannotLower, match="Mlp: cannot be copied"):
        lower(model, BITS)


def test_notes_say_what_was_lowered(model: nn.Module) -> None:
    notes = lower(model, BITS).notes
    assert notes["model"] == "hwbnn.nn.networks.Mlp"
    assert notes["reference"] == f"torch {torch.__version__}, eager, CPU, float32"
    assert notes["parameters"] == f"sha256 {parameter_digest(model)}"
    assert notes["layers"].split()[:2] == ["dot_1=layers.0", "threshold_1=layers.2"]
    model.state_dict()["layers.1.bias"][0] += 1
    assert lower(model, BITS).notes["parameters"] != notes["parameters"]


def test_the_graph_holds_no_floats_but_the_inputs_map(model: nn.Module) -> None:
    for node in lower(model, BITS).nodes[1:]:
        for name in type(node).__slots__:
            value = getattr(node, name)
            assert not isinstance(value, float)
            if isinstance(value, np.ndarray):
                assert value.dtype.kind in "bi"


def test_images_are_flattened_in_the_order_of_the_model() -> None:
    class Images(nn.Module):
        def __init__(self, how: int) -> None:
            super().__init__()
            self.how, self.flatten = how, nn.Flatten()
            self.a = BinaryLinear(24, 5, METHOD, source=Input.pixels((2, 3, 4)))

        def forward(self, x: Tensor) -> Tensor:
            ways = (
                lambda: x.flatten(1),
                lambda: torch.flatten(x, 1),
                lambda: x.view(x.size(0), -1),
                lambda: x.reshape(x.shape[0], 24),
                lambda: x.view(-1, 2 * 3 * 4),
                lambda: self.flatten(x),
            )
            out: Tensor = self.a(ways[self.how]())
            return out

    source = Input.pixels((2, 3, 4))
    for how in range(6):
        model = Images(how).eval()
        graph = lower(model, source)
        assert len(graph.of_type(Flatten)) == 1
        assert_equal(model, source, graph, random_integers(source, 20, how))


class Free(nn.Module):
    """Functions, constants and sizes in a forward, rather than modules."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.s = BinaryLinear(20, 16, METHOD), BinaryActivation(16, METHOD)
        self.b = BinaryLinear(16, 5, METHOD)
        self.gain = nn.Parameter(torch.randn(16))
        self.log = nn.Parameter(torch.randn(1))
        self.offset = nn.Parameter(torch.randn(1, 5))
        self.slope = nn.Parameter(torch.rand(16))

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x) / x.shape[1] ** 0.5
        y = (1 - y * self.gain.view(1, -1)) * self.log.exp()
        y = functional.hardtanh(functional.prelu(y, self.slope), -2.0, 2.0)
        y = functional.dropout(y, 0.3, training=self.training)
        y += 0.1
        z = self.b(self.s(torch.clamp(y, min=-1.5)).contiguous())
        return (-z).mul(0.5).float() + self.offset


def test_functions_and_constants_in_a_forward() -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        model = Free().eval()
        graph = lower(model, BITS)
        assert_equal(model, BITS, graph, random_integers(BITS, 60, seed))


def test_an_activation_may_read_the_input() -> None:
    source = Input("x", (7,), -20, 20, scale=0.1)
    model = nn.Sequential(
        nn.BatchNorm1d(7), BinaryActivation(7, METHOD), BinaryLinear(7, 3, METHOD)
    ).eval()
    model[0].weight.data.normal_()
    model[0].bias.data.normal_()
    graph = lower(model, source)
    assert isinstance(graph.nodes[1], Threshold)
    assert_equal(model, source, graph, random_integers(source, 200, 0))


def test_sums_may_be_summed_again() -> None:
    model = nn.Sequential(BinaryLinear(20, 6, METHOD), nn.Dropout(), BinaryLinear(6, 3, METHOD))
    graph = lower(model, BITS)
    assert [type(n) for n in graph.nodes[1:3]] == [Dot, Dot]
    assert_equal(model.eval(), BITS, graph, random_integers(BITS, 100, 0))


@pytest.mark.parametrize("factor", [0.1, 1e-30])
def test_one_scale_for_all_classes_needs_no_ranks(factor: float) -> None:
    model = nn.Sequential(BinaryLinear(20, 6, METHOD), Scale(factor))
    graph = lower(model, BITS)
    assert not graph.of_type(Lookup)
    assert lower(nn.Sequential(model[0], Scale(-factor)), BITS).of_type(Lookup)


def test_names_of_the_input_do_not_clash(model: nn.Module) -> None:
    for name in ("dot_1", "y", "argmax", "ranks", "threshold_2"):
        source = Input.bits(20, name)
        graph = lower(model, source)
        assert graph.input.name == name
        assert graph.nodes[1:] != lower(model, BITS).nodes[1:]


def test_lowering_twice_gives_the_same_graph() -> None:
    def graph() -> Graph:
        return lower(*random_model(11))

    assert graph() == graph()


def test_floats_of_integers_are_rounded_once() -> None:
    source = Input.pixels(1)
    u = np.arange(256)[:, None]
    expected = (u / 255).astype(np.float32)
    assert np.abs(floats(source, u).numpy() - expected).max() <= 2**-24
    assert floats(Input.bits(1), u[:2] == 1).tolist() == [[-1.0], [1.0]]


def test_explain_says_what_was_done_with_each_layer(model: nn.Module) -> None:
    lines = explain(model, BITS).lines
    assert lines[0].startswith("layers.0 -> dot_1: 9 sums of 20, -20 to 20")
    assert lines[1].startswith("layers.2 -> threshold_1: thresholds: ")
    assert "layers.6 -> ranks: ranks of" in lines[5]
    assert lines[-1] == f"exact: 9 nodes, digest {lower(model, BITS).digest[:12]}"


def test_explain_says_where_it_stops_and_why() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(BinaryLinear(20, 6, METHOD), nn.Tanh(), BinaryActivation(6, METHOD))
    lines = explain(model, BITS).lines
    assert len(lines) == 2
    assert lines[1].startswith(
        "refused: layer '1' (Tanh): use nn.Hardtanh, nn.ReLU or nn.PReLU in its"
    )


def test_the_networks_known_by_name_lower() -> None:
    source: Any
    for name, source in (
        ("digits", Input("x", (64,), 0, 16, scale=1 / 16)),
        ("tfc", Input.bits(784)),
        ("tfc", Input.pixels(784)),
    ):
        model = network(name, source, 10, METHOD).eval()
        graph = lower(model, source)
        assert_equal(model, source, graph, random_integers(source, 50, 0))

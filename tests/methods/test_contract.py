"""What every method promises; a new name in METHODS is tested by being there."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn import methods
from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.lower import compare, floats, lower
from hwbnn.methods import METHODS
from hwbnn.nn import after_step, mlp, parameter_groups, parts, penalty, set_progress, start_epoch

EDGES = (0.0, -0.0, 1e-45, -1e-45, 1.0, -1.0, 1e30, -1e30, float("inf"), -float("inf"))
ABOVE = 1 + 2**-23

Gradient = Callable[[Tensor], Tensor]

CLOSED_FORMS: dict[str, tuple[Gradient, Gradient]] = {
    "bnn_ste": (torch.ones_like, lambda x: (x.abs() <= 1).float()),
}
"""Of each method: dL/d(latent) and dL/d(activation's input) for dL/dy = 1, at progress 0."""


def samples(channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, channels, generator=generator)
    x[: len(EDGES), :] = torch.tensor(EDGES)[:, None]
    x[len(EDGES), 0], x[len(EDGES), 1] = ABOVE, -ABOVE
    return x


def test_every_method_has_closed_forms_to_be_held_to() -> None:
    assert set(CLOSED_FORMS) == set(METHODS)
    assert len(METHODS) == len(set(METHODS))


@pytest.mark.parametrize("name", METHODS)
class TestMethod:
    def test_is_a_frozen_value_made_by_its_name(self, name: str) -> None:
        method = methods.get(name)
        assert method == methods.get(name)
        assert hash(method) == hash(methods.get(name))
        assert method.name == name
        for field in fields(method):  # type: ignore[arg-type]
            with pytest.raises(FrozenInstanceError):
                setattr(method, field.name, None)
        with pytest.raises(InputError, match=f"method '{name}': no hyper-parameter 'colour'"):
            methods.get(name, colour="red")

    def test_schedule_is_a_pure_function_of_progress(self, name: str) -> None:
        method = methods.get(name)
        for u in (0.0, 0.3, 0.999, 1.0):
            assert dict(method.schedule(u)) == dict(method.schedule(u))
            assert all(np.isfinite(v) for v in method.schedule(u).values())

    @pytest.mark.parametrize("shape", [(1, 1), (7, 33)])
    def test_weights_in_evaluation_are_bits(self, name: str, shape: tuple[int, ...]) -> None:
        torch.manual_seed(0)
        weight = methods.get(name).make_weight(shape).eval()
        for u in (0.0, 0.5, 1.0):
            weight.set_progress(u)
            codes = weight.codes()
            assert codes.signs.shape == shape
            assert set(codes.signs.unique().tolist()) <= {-1.0, 1.0}
            for part in (codes.scale, codes.offset):
                assert part is None or (part.shape == shape[:1] and part.isfinite().all())

    def test_weights_are_drawn_from_torchs_generator(self, name: str) -> None:
        method = methods.get(name)
        drawn = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            drawn.append(method.make_weight((9, 9)).eval().codes().signs)
        assert torch.equal(drawn[0], drawn[1])
        assert not torch.equal(drawn[0], drawn[2])

    def test_activations_return_what_their_codes_stand_for(self, name: str) -> None:
        form = methods.get(name).make_activation(6)
        x = samples(6)
        scale, centre = form.affine()
        for training in (True, False):
            form.train(training)
            codes = form.codes(x)
            assert codes.dtype == torch.uint8
            assert codes.shape == x.shape
            assert 0 <= codes.min() <= codes.max() <= form.levels
            numbers = codes.float() * 2 - 1 if form.levels == 1 else codes.float()
            assert torch.equal(form(x), numbers * scale + centre)

    def test_activations_refuse_nan(self, name: str) -> None:
        form = methods.get(name).make_activation(2)
        x = torch.tensor([[0.0, float("nan")]])
        for call in (form, form.codes):
            with pytest.raises(InputError, match="found 1 NaN"):
                call(x)

    def test_gradients_are_the_closed_forms(self, name: str) -> None:
        of_weight, of_input = CLOSED_FORMS[name]
        method = methods.get(name)
        weight = method.make_weight((200, 6))
        (latent,) = (p for n, p in weight.named_parameters() if n == "latent")
        latent.data = samples(6).clamp(-1, 1)
        (gradient,) = torch.autograd.grad(weight.codes().signs.sum(), latent)
        torch.testing.assert_close(gradient, of_weight(latent.detach()))
        x = samples(6).requires_grad_()
        (gradient,) = torch.autograd.grad(method.make_activation(6)(x).sum(), x)
        torch.testing.assert_close(gradient, of_input(x.detach()))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
    def test_gradients_scale_with_what_comes_back(self, name: str, dtype: torch.dtype) -> None:
        form = methods.get(name).make_activation(6)
        x = samples(6).to(dtype).requires_grad_()
        upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
        (one,) = torch.autograd.grad(form(x).sum(), x)
        (gradient,) = torch.autograd.grad(form(x), x, upstream)
        assert gradient.dtype == dtype
        assert torch.equal(gradient, one * upstream)

    def test_every_parameter_is_in_one_group(self, name: str) -> None:
        model = mlp(Input.bits(8), (6,), 3, methods.get(name))
        groups = parameter_groups(model, lr=0.1, weight_decay=0.01)
        ids = [id(p) for group in groups for p in group["params"]]
        assert sorted(ids) == sorted(id(p) for p in model.parameters())
        torch.optim.AdamW(groups)

    def test_learns_and_then_lowers_to_the_same_bits(self, name: str) -> None:
        model, source, u, labels = toy(name)
        first = train(model, source, u, labels, epochs=(0, 1), total=25)
        last = train(model, source, u, labels, epochs=(1, 25), total=25)
        assert last < 0.7 * first
        graph = lower(model, source)
        found = compare(model, graph, u.numpy())
        assert found.differing == 0
        assert all(
            value.dtype.kind in "bi"
            for node in graph.nodes
            for field in fields(node)
            if isinstance(value := getattr(node, field.name), np.ndarray)
        )

    def test_a_run_that_is_stopped_resumes_to_the_same_weights(self, name: str) -> None:
        whole, source, u, labels = toy(name)
        stopped = copy.deepcopy(whole)
        train(whole, source, u, labels, epochs=(0, 2), total=4)
        train(whole, source, u, labels, epochs=(2, 4), total=4)
        train(stopped, source, u, labels, epochs=(0, 2), total=4)
        resumed, *_ = toy(name)
        resumed.load_state_dict(stopped.state_dict())
        train(resumed, source, u, labels, epochs=(2, 4), total=4)
        for key, value in whole.state_dict().items():
            assert torch.equal(value, resumed.state_dict()[key]), key

    def test_hooks_may_be_repeated_and_progress_is_no_state(self, name: str) -> None:
        model, source, u, labels = toy(name)
        train(model, source, u, labels, epochs=(0, 1), total=4)
        after_step(model)
        before = copy.deepcopy(model.state_dict())
        set_progress(model, 0.5)
        set_progress(model, 0.5)
        after_step(model)
        for key, value in model.state_dict().items():
            assert torch.equal(value, before[key]), key
        assert all(dict(p.settings) == dict(p.method.schedule(0.5)) for p in every_part(model))


def every_part(model: nn.Module) -> list[methods.Part]:
    return parts(model, methods.Part)


def toy(name: str) -> tuple[nn.Module, Input, Tensor, Tensor]:
    """A network and data that it can learn: the class is which third of the input is fullest."""
    torch.manual_seed(3)
    source = Input("x", (30,), -8, 7, scale=1 / 8)
    model = mlp(source, (32, 24), 3, methods.get(name))
    u = torch.randint(-8, 8, (256, 30))
    return model, source, u, u.reshape(256, 3, 10).sum(dim=2).argmax(dim=1)


def train(
    model: nn.Module,
    source: Input,
    u: Tensor,
    labels: Tensor,
    epochs: tuple[int, int],
    total: int,
) -> float:
    """Plain gradient descent without momentum, so that the model is all the state; last loss."""
    optimiser = torch.optim.SGD(parameter_groups(model, lr=0.3))
    x, mean = floats(source, u), 0.0
    model.train()
    for epoch in range(*epochs):
        start_epoch(model, epoch / total)
        losses = []
        for i in range(0, len(x), 32):
            optimiser.zero_grad()
            loss = functional.cross_entropy(model(x[i : i + 32]), labels[i : i + 32])
            extra = penalty(model)
            (loss if extra is None else loss + extra).backward()
            optimiser.step()
            after_step(model)
            losses.append(loss.item())
        mean = sum(losses) / len(losses)
    return mean

"""What every method promises; a new name in METHODS is tested by being there.

A method is held to the closed formulas that its class names; what it alone promises is tested
beside it, in ``test_<name>.py``.
"""

from __future__ import annotations

import copy
import io
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn import methods
from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.lowering import compare, floats, lower
from hwbnn.methods import METHODS
from hwbnn.methods.formulas import Formulas, hard
from hwbnn.nn import (
    ConvChain,
    Mlp,
    after_step,
    chain,
    mlp,
    parameter_groups,
    parts,
    penalty,
    set_progress,
    start_epoch,
)

EDGES = (0.0, -0.0, 1e-45, -1e-45, 1.0, -1.0, 1e30, -1e30, float("inf"), -float("inf"))
ABOVE = 1 + 2**-23
MOMENTS = (0.0, 0.3, 0.75, 1.0)

# Torch's compiler warns of what torch itself does.
compiles = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script_method:DeprecationWarning",
    "ignore:.*should not be instantiated:DeprecationWarning",
)


def samples(channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, channels, generator=generator)
    x[: len(EDGES), :] = torch.tensor(EDGES)[:, None]
    x[len(EDGES), 0], x[len(EDGES), 1] = ABOVE, -ABOVE
    return x


def test_every_method_has_closed_formulas_and_a_name_of_its_own() -> None:
    assert all(isinstance(methods.kind(name).formulas, Formulas) for name in METHODS)
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

    def test_hyper_parameters_of_the_wrong_kind_are_refused_by_name(self, name: str) -> None:
        for field in fields(methods.get(name)):  # type: ignore[arg-type]
            for wrong in ("colour", -7.5, float("nan")):
                with pytest.raises(InputError, match=f"^{name}: {field.name}: expected "):
                    methods.get(name, **{field.name: wrong})

    def test_schedule_is_a_pure_function_of_progress(self, name: str) -> None:
        method = methods.get(name)
        for u in (0.0, 0.3, 0.999, 1.0):
            assert dict(method.schedule(u)) == dict(method.schedule(u))
            assert all(np.isfinite(v) for v in method.schedule(u).values())

    @pytest.mark.parametrize("shape", [(1, 1), (7, 33), (5, 3, 3, 3), (4, 6, 1, 1), (3, 1, 5, 2)])
    def test_weights_in_evaluation_are_the_signs_of_real_numbers(
        self, name: str, shape: tuple[int, ...]
    ) -> None:
        torch.manual_seed(0)
        weight = methods.get(name).make_weight(shape).eval()
        for u in MOMENTS:
            weight.set_progress(u)
            codes = weight.codes()
            assert weight.shape == codes.integers.shape == weight.real().shape == shape
            assert weight.train().codes().integers.shape == shape
            weight.eval()
            assert torch.equal(codes.integers, hard(weight.real().detach(), {}))
            for part in (codes.scale, codes.offset):
                assert part is None or (part.shape == shape[:1] and part.isfinite().all())

    def test_weights_are_drawn_from_torchs_generator(self, name: str) -> None:
        method = methods.get(name)
        drawn = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            drawn.append(method.make_weight((9, 9)).eval().codes().integers)
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

    @pytest.mark.parametrize("u", MOMENTS)
    def test_weights_are_their_closed_forms(self, name: str, u: float) -> None:
        torch.manual_seed(0)
        weight = methods.get(name).make_weight((200, 6))
        weight.set_progress(u)
        for key, parameter in weight.named_parameters():
            if key == "latent":
                parameter.data = samples(6).clamp(-1, 1)
        real = weight.real()
        exact, owned = real.detach().double(), list(weight.parameters())
        signs = weight.codes().integers
        torch.testing.assert_close(
            signs.detach().double(), methods.kind(name).formulas.value(exact, weight.settings)
        )
        # Each learned number's gradient is that of the real numbers, B coming back to them.
        slope = methods.kind(name).formulas.weight(exact, weight.settings).to(real)
        expected = torch.autograd.grad(real, owned, slope, allow_unused=True)
        for found, wanted in zip(
            torch.autograd.grad(signs.sum(), owned, allow_unused=True), expected, strict=True
        ):
            assert (found is None) == (wanted is None)
            if found is not None and wanted is not None:
                torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("u", MOMENTS)
    def test_gradients_of_activations_are_their_closed_forms(self, name: str, u: float) -> None:
        form = methods.get(name).make_activation(6)
        form.set_progress(u)
        x = samples(6).requires_grad_()
        (found,) = torch.autograd.grad(form(x).sum(), x)
        wanted = methods.kind(name).formulas.activation(x.detach().double(), form.settings)
        torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
    def test_gradients_scale_with_what_comes_back(self, name: str, dtype: torch.dtype) -> None:
        form = methods.get(name).make_activation(6)
        x = samples(6).to(dtype).requires_grad_()
        upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
        (one,) = torch.autograd.grad(form(x).sum(), x)
        (gradient,) = torch.autograd.grad(form(x), x, upstream)
        assert gradient.dtype == dtype
        torch.testing.assert_close(gradient, one * upstream)

    def test_nonlinearities_do_not_mind_where_an_element_stands(self, name: str) -> None:
        made = methods.get(name).make_nonlinearity(5)
        if made is None:
            return
        disturb(made)
        x = samples(5)
        whole = made(x)
        for rows in (1, 3, 7, 31):
            assert torch.equal(torch.cat([made(part) for part in x.split(rows)]), whole)

    def test_every_parameter_is_in_one_group(self, name: str) -> None:
        model = mlp(Input.bits(8), (6,), 3, methods.get(name))
        groups = parameter_groups(model, lr=0.1, weight_decay=0.01)
        ids = [id(p) for group in groups for p in group["params"]]
        assert sorted(ids) == sorted(id(p) for p in model.parameters())
        torch.optim.AdamW(groups)

    def test_learns_and_then_lowers_to_the_same_bits(self, name: str) -> None:
        model, source, u, labels = toy(name)
        run = Run(model, source, u, labels, total=25)
        first = run.epochs(0, 1)
        assert run.epochs(1, 25) < 0.7 * first
        graph = lower(model, source)
        assert compare(model, graph, u.numpy()).differing == 0
        arrays = [
            value
            for node in graph.nodes
            for field in fields(node)
            if isinstance(value := getattr(node, field.name), np.ndarray)
        ]
        assert arrays
        assert all(array.dtype.kind in "bi" for array in arrays)  # no latent number is left

    @pytest.mark.parametrize(
        ("source", "last"),
        [
            (Input.bits(8), "scale"),
            (Input("x", (4,), -2, 2, scale=0.25, offset=-0.5), "batch_norm"),
        ],
    )
    def test_every_input_of_a_small_network_gives_the_same_bits(
        self, name: str, source: Input, last: Any
    ) -> None:
        span = range(source.low, source.high + 1)
        u = np.array(list(itertools.product(span, repeat=source.shape[0])))
        torch.manual_seed(0)
        model = mlp(source, (7, 5), 3, methods.get(name), last=last)
        some = torch.from_numpy(u[torch.randperm(len(u))[:64]])
        Run(model, source, some, torch.randint(0, 3, (64,)), total=1).epochs(0, 1)
        set_progress(model, 1.0)
        for output in ("class", "scores"):
            disturb(model)
            graph = lower(model, source, output=output)  # type: ignore[arg-type]
            found = compare(model, graph, u)
            assert found.compared
            assert found.differing == 0

    @pytest.mark.parametrize("padding", [0, 1])
    def test_learns_on_images_and_then_lowers_to_the_same_bits(
        self, name: str, padding: int
    ) -> None:
        """With zeros outside as well, which count nothing whatever bits stand for."""
        torch.manual_seed(5)
        source = Input("x", (9, 8, 2), 0, 15, scale=2 / 15, offset=-1.0)
        form = ConvChain((6, "pool", 5), (7,), padding=padding)
        model = chain(source, form, 3, methods.get(name), last="scale")
        u = torch.randint(0, 16, (96, *source.shape))
        labels = u.reshape(96, 3, 48).sum(dim=2).argmax(dim=1)
        run = Run(model, source, u, labels, total=6, adam=True)
        first = run.epochs(0, 1)
        assert run.epochs(1, 6) < first
        assert compare(model, lower(model, source), u.numpy()).differing == 0

    def test_a_run_that_is_stopped_resumes_to_the_same_weights(self, name: str) -> None:
        whole = Run(*toy(name), total=4, adam=True)
        whole.epochs(0, 4)
        stopped = Run(*toy(name), total=4, adam=True)
        stopped.epochs(0, 3)
        kept = io.BytesIO()
        torch.save((stopped.model.state_dict(), stopped.optimiser.state_dict()), kept)
        kept.seek(0)
        resumed = Run(*toy(name), total=4, adam=True)
        disturb(resumed.model)  # what is not restored shows
        weights, moments = torch.load(kept, weights_only=True)
        resumed.model.load_state_dict(weights)
        resumed.optimiser.load_state_dict(moments)
        resumed.epochs(3, 4)
        assert differing(whole.model, stopped.model)
        assert not differing(whole.model, resumed.model)

    def test_hooks_may_be_repeated(self, name: str) -> None:
        run = Run(*toy(name), total=4)
        run.epochs(0, 1)
        model = run.model
        after_step(model)
        set_progress(model, 0.5)
        before = copy.deepcopy(model)
        set_progress(model, 0.5)
        after_step(model)
        assert not differing(model, before)
        assert all(dict(p.settings) == dict(p.method.schedule(0.5)) for p in every_part(model))

    def test_a_state_dict_is_the_whole_state(self, name: str) -> None:
        run = Run(*toy(name), total=4, adam=True)
        run.epochs(0, 4)
        kept = io.BytesIO()
        torch.save(run.model.state_dict(), kept)
        kept.seek(0)
        fresh, source, *_ = toy(name)
        disturb(fresh)
        fresh.load_state_dict(torch.load(kept, weights_only=True))
        moments = [dict(part.settings) for part in every_part(fresh)]
        assert moments == [dict(part.settings) for part in every_part(run.model)]
        assert moments == [dict(part.method.schedule(0.75)) for part in every_part(fresh)]
        assert lower(fresh.eval(), source).digest == lower(run.model.eval(), source).digest

    def test_a_state_dict_sets_the_schedule_at_once(self, name: str) -> None:
        """Before anything reads it: a compiled model does not look at the buffer again."""
        trained, *_ = toy(name)
        fresh, *_ = toy(name)
        set_progress(trained, 0.75)
        fresh.load_state_dict(trained.state_dict())
        for part in every_part(fresh):
            assert dict(part._settings) == dict(part.method.schedule(0.75))

    def test_models_live_in_inference_mode(self, name: str) -> None:
        with torch.inference_mode():
            trained, *_ = toy(name)
            set_progress(trained, 1.0)
            fresh, *_ = toy(name)
            fresh.load_state_dict(copy.deepcopy(trained).state_dict())
            for part in every_part(fresh):
                assert dict(part.settings) == dict(part.method.schedule(1.0))

    def test_a_state_dict_without_the_moment_of_training_loads(self, name: str) -> None:
        model, *_ = toy(name)
        older = {k: v for k, v in model.state_dict().items() if not k.endswith(".progress")}
        has_schedule = methods.get(name).has_schedule
        assert (len(older) < len(model.state_dict())) == has_schedule
        set_progress(model, 0.75)
        model.load_state_dict(older)
        assert all(dict(p.settings) == dict(p.method.schedule(0.75)) for p in every_part(model))
        averaged = torch.optim.swa_utils.AveragedModel(model)
        set_progress(model, 1.0)
        averaged.update_parameters(model)
        ended = [dict(p.method.schedule(1.0)) for p in every_part(model)]
        assert [dict(p.settings) for p in parts(averaged, methods.Part)] == ended
        assert [dict(p.settings) for p in parts(copy.deepcopy(model).half(), methods.Part)] == ended

    def test_a_copy_is_equal_and_its_own(self, name: str) -> None:
        run = Run(*toy(name), total=4)
        run.epochs(0, 1)
        twin = copy.deepcopy(run.model)
        x = floats(run.source, run.u)
        assert torch.equal(twin.eval()(x), run.model.eval()(x))
        before = copy.deepcopy(twin)
        run.epochs(1, 2)
        assert differing(run.model, twin)
        assert not differing(before, twin)

    @compiles
    # The compiler itself does what torch warns of.
    @pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
    @pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
    def test_trains_compiled_as_it_does_uncompiled(self, name: str) -> None:
        with compiling():
            # Other kernels round otherwise, so that one step is all that can be compared.
            self.check_step(
                name, lambda model: torch.compile(model, backend="aot_eager", fullgraph=True)
            )

    def test_trains_in_mixed_precision(self, name: str) -> None:
        model, source, u, labels = toy(name)
        run = Run(model, source, u, labels, total=10, half=True)
        first = run.epochs(0, 1)
        assert run.epochs(1, 10) < first
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert compare(model, lower(model, source), u.numpy()).differing == 0

    def check_step(self, name: str, compiled: Callable[[nn.Module], Any]) -> None:
        """One step of a compiled and of a plain network: the same loss and gradients."""
        model, source, u, labels = toy(name)
        x = floats(source, u)
        found = []
        for call in (model, compiled(copy.deepcopy(model))):
            loss = functional.cross_entropy(call(x), labels)
            own = [p for p in call.parameters() if p.requires_grad]
            found.append([loss, *torch.autograd.grad(loss, own, allow_unused=True)])
        for plain, other in zip(*found, strict=True):
            assert (plain is None) == (other is None)
            if plain is not None:
                torch.testing.assert_close(other, plain, atol=1e-5, rtol=1e-3)


def every_part(model: nn.Module) -> list[methods.Part]:
    return parts(model, methods.Part)


def differing(a: nn.Module, b: nn.Module) -> list[str]:
    """Names of parameters and buffers that are not the same bits."""
    left, right = a.state_dict(), b.state_dict()
    assert left.keys() == right.keys()
    return [key for key in left if not torch.equal(left[key], right[key])]


@torch.no_grad()
def disturb(module: nn.Module) -> None:
    """Move every learned number at random, also across 0."""
    for parameter in module.parameters():
        size = parameter.square().mean().sqrt() + 0.1
        parameter.add_(torch.randn_like(parameter) * size)


@contextmanager
def compiling() -> Iterator[None]:
    """With a compiler that begins anew and leaves nothing behind."""
    torch.compiler.reset()
    try:
        yield
    finally:
        torch.compiler.reset()


def toy(name: str) -> tuple[Mlp, Input, Tensor, Tensor]:
    """A network and data that it can learn: the class is which third of the input is fullest."""
    torch.manual_seed(3)
    source = Input("x", (30,), -8, 7, scale=1 / 8)
    model = mlp(source, (32, 24), 3, methods.get(name))
    u = torch.randint(-8, 8, (256, 30))
    return model, source, u, u.reshape(256, 3, 10).sum(dim=2).argmax(dim=1)


class Run:
    """Training of a model on one set of inputs, epoch by epoch as a training loop does it.

    Args:
        model: the network.
        source: its input.
        u: its integers, ``(n, *source.shape)``.
        labels: the classes, ``(n,)``.
        total: epochs in all.
        adam: with Adam, whose moments are state too; else by plain gradient descent.
        half: in bfloat16 where autocast says so.
    """

    def __init__(
        self,
        model: nn.Module,
        source: Input,
        u: Tensor,
        labels: Tensor,
        total: int,
        *,
        adam: bool = False,
        half: bool = False,
    ) -> None:
        self.model, self.source, self.u, self.labels = model, source, u, labels
        self.total, self.half = total, half
        self.optimiser: torch.optim.Optimizer = (
            torch.optim.Adam(parameter_groups(model, lr=0.01))
            if adam
            else torch.optim.SGD(parameter_groups(model, lr=0.3))
        )

    def epochs(self, start: int, stop: int) -> float:
        """Train from one epoch to another; the mean loss of the last."""
        x, mean = floats(self.source, self.u), 0.0
        self.model.train()
        for epoch in range(start, stop):
            torch.manual_seed(epoch)
            start_epoch(self.model, epoch / self.total)
            losses = [
                self.step(x[i : i + 32], self.labels[i : i + 32]) for i in range(0, len(x), 32)
            ]
            mean = sum(losses) / len(losses)
        return mean

    def step(self, x: Tensor, labels: Tensor) -> float:
        """One step; its loss."""
        self.optimiser.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.half):
            logits = self.model(x)
        loss = functional.cross_entropy(logits.float(), labels)
        extra = penalty(self.model)
        (loss if extra is None else loss + extra).backward()
        self.optimiser.step()
        after_step(self.model)
        return loss.item()


@compiles
def test_one_method_compiles_to_machine_code() -> None:
    """In a process of its own: after many other tests one was seen to end here without a word."""
    text = (
        "import torch; from tests.methods.test_contract import TestMethod; "
        "TestMethod().check_step('bnn_pp', torch.compile); print('equal')"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", text]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.stdout == "equal\n", done.stderr

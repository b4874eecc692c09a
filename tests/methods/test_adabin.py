"""AdaBin beyond the contract of all methods: its formulas, its three modes, what it refuses."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwbnn import methods
from hwbnn.errors import InputError
from hwbnn.graph import Dot, Input, Lookup, Threshold
from hwbnn.lowering import compare, lower
from hwbnn.methods.adabin import AdaBin, EqualizedWeight, LearnedSet
from hwbnn.methods.nonlinear import Maxout
from hwbnn.nn import BinaryLinear, mlp, parameter_groups

MODES = ("qat", "exact", "drop")
FORMS = ("paper", "code")
EVERY = np.array(list(itertools.product((0, 1), repeat=8)))


def weight(mode: str, shape: tuple[int, int] = (9, 40), **hyper: Any) -> EqualizedWeight:
    torch.manual_seed(0)
    made = AdaBin(mode=mode, **hyper).make_weight(shape)  # type: ignore[arg-type]
    assert isinstance(made, EqualizedWeight)
    made.latent.data += torch.randn(shape[0], 1) * 0.02
    return made


def written_out(latent: Tensor, t: float, k: float) -> tuple[Tensor, Tensor, Tensor]:
    """Signs, alpha and beta as the formulas say, in autograd's own operations."""
    beta = latent.mean(dim=1)
    centred = latent - beta[:, None]
    alpha = (centred.square().mean(dim=1) + 1e-12).sqrt()
    x = centred / alpha[:, None]
    soft = k * torch.tanh(t * x)
    hard = torch.where(x >= 0, 1.0, -1.0).to(x)
    return soft + (hard - soft).detach(), alpha, beta


@pytest.mark.parametrize("u", [0.0, 0.5, 0.75, 1.0])
def test_equalization_and_its_gradient(u: float) -> None:
    made = weight("exact")
    made.set_progress(u)
    codes = made.codes()
    exact = made.latent.detach().double().requires_grad_()
    wanted = written_out(exact, **made.settings)
    found = (codes.integers, codes.scale, codes.offset)
    generator = torch.Generator().manual_seed(1)
    upstream = [torch.randn(part.shape, generator=generator) for part in wanted]
    for part, other in zip(found, wanted, strict=True):
        assert part is not None
        torch.testing.assert_close(part.double(), other, rtol=1e-5, atol=1e-6)
    (gradient,) = torch.autograd.grad(found, made.latent, upstream)  # type: ignore[arg-type]
    (expected,) = torch.autograd.grad(wanted, exact, [g.double() for g in upstream])
    torch.testing.assert_close(gradient.double(), expected, rtol=1e-3, atol=1e-4)


def test_schedule() -> None:
    method = AdaBin()
    for u, t, peak in ((0.0, 1e-3, 1.0), (0.5, 0.1, 1.0), (0.75, 1.0, 1.0), (1.0, 10.0, 10.0)):
        settings = method.schedule(u)
        assert settings["t"] == pytest.approx(t)
        assert settings["k"] * settings["t"] == pytest.approx(peak)


@pytest.mark.parametrize("fraction", [0, 1, 4, 12])
def test_ratios_are_integers_near_the_real_ones(fraction: int) -> None:
    made = weight("qat", fraction=fraction)
    made.latent.data[3] += 5  # all weights positive: a ratio far above 1
    codes, real = made.codes(), weight("exact", fraction=fraction)
    real.load_state_dict(made.state_dict())
    free = real.codes()
    assert codes.scale is not None
    assert codes.offset is not None
    assert codes.ratio is not None
    assert free.scale is not None
    assert free.offset is not None
    unit = 1 << fraction
    assert (codes.unit, codes.fraction) == (unit, fraction)
    assert torch.equal(codes.ratio, codes.ratio.round())
    wanted = (free.offset / free.scale * unit).clamp(-unit, unit)
    assert ((codes.ratio - wanted).abs() <= 0.5).all()
    assert codes.ratio[3] == unit
    product = codes.scale.double() * codes.ratio.double() / unit
    torch.testing.assert_close(codes.offset.double(), product, rtol=1e-6, atol=0)
    # Straight through the rounding: as for the real mean, but where the ratio is held.
    (through,) = torch.autograd.grad(codes.offset.sum(), made.latent)
    others = torch.arange(9) != 3
    error = (codes.ratio / unit - free.offset / free.scale).abs().max().item()
    mean = torch.full_like(through, 1 / 40)
    torch.testing.assert_close(through[others], mean[others], rtol=0, atol=(error + 1) / 4)
    assert not torch.isnan(through).any()


def test_weights_that_are_all_alike() -> None:
    for mode in MODES:
        made = weight(mode)
        made.latent.data[2], made.latent.data[4] = 0.0, 0.5
        codes = made.codes()
        assert codes.scale is not None
        assert codes.scale.isfinite().all()
        parts = [p.sum() for p in (codes.integers, codes.scale, codes.offset) if p is not None]
        (gradient,) = torch.autograd.grad(sum(parts[1:], start=parts[0]), made.latent)
        assert gradient.isfinite().all()


def set_written_out(x: Tensor, alpha: Tensor, beta: Tensor, form: str) -> Tensor:
    """The set as the formulas say: a polynomial of slope 2 - 2|x| under the sign."""
    size = alpha * torch.where(alpha < 0, -1.0, 1.0).to(alpha)
    near = (x - beta) / size
    inner = near.clamp(-1, 1)
    soft = 2 * inner - inner * inner.abs()
    hard = torch.where(near >= 0, 1.0, -1.0).to(x)
    signs = soft + (hard - soft).detach()
    return size * signs + beta if form == "paper" else size * (signs + beta)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("alpha", "beta"), [(1.0, 0.0), (0.7, 0.3), (-0.6, -0.4), (2.5, 1.5), (-0.01, 0.1)]
)
def test_learned_sets_and_their_gradients(form: str, alpha: float, beta: float) -> None:
    made = AdaBin(form=form).make_activation(7)  # type: ignore[arg-type]
    assert isinstance(made, LearnedSet)
    made.alpha.data.fill_(alpha)
    made.beta.data.fill_(beta)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 7, generator=generator).requires_grad_()
    upstream = torch.randn(50, 7, generator=generator)
    exact = [v.detach().double().requires_grad_() for v in (x, made.alpha, made.beta)]
    wanted = set_written_out(*exact, form)
    torch.testing.assert_close(made(x).double(), wanted, rtol=1e-5, atol=1e-6)
    found = torch.autograd.grad(made(x), (x, made.alpha, made.beta), upstream)
    expected = torch.autograd.grad(wanted, exact, upstream.double())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("alpha", [0.8, -0.8, 0.0, -0.0, 1e-30])
def test_sets_at_ties_and_where_alpha_crosses_zero(form: str, alpha: float) -> None:
    made = AdaBin(form=form).make_activation(1)  # type: ignore[arg-type]
    assert isinstance(made, LearnedSet)
    made.alpha.data.fill_(alpha)
    made.beta.data.fill_(0.3)
    beta = made.beta.detach()
    below, above = (torch.nextafter(beta, beta + side) for side in (-1, 1))
    x = torch.stack([below, beta, above, beta - 1e30, beta + 1e30])[:, None]
    assert made.codes(x).flatten().tolist() == [0, 1, 1, 0, 1]
    scale, centre = made.affine()
    assert scale >= 2**-10
    assert torch.equal(made(x), (made.codes(x).float() * 2 - 1) * scale + centre)
    made(x).sum().backward()
    assert made.alpha.grad is not None
    assert made.beta.grad is not None
    assert made.alpha.grad != 0  # it is not stuck there
    assert made.alpha.grad.isfinite()
    assert made.beta.grad.isfinite()


@pytest.mark.parametrize("slopes", ["monotone", "free"])
def test_maxout_and_its_gradient(slopes: str) -> None:
    made = AdaBin(maxout=slopes).make_nonlinearity(6)  # type: ignore[arg-type]
    assert isinstance(made, Maxout)
    assert made.positive.unique().tolist() == [1.0]
    assert made.negative.unique().tolist() == [0.25]
    generator = torch.Generator().manual_seed(0)
    made.positive.data = torch.randn(6, generator=generator)
    made.negative.data = torch.randn(6, generator=generator)
    for shape in ((40, 6), (5, 6, 3, 2)):
        x = torch.randn(shape, generator=generator).requires_grad_()
        upstream = torch.randn(shape, generator=generator)
        exact = [v.detach().double().requires_grad_() for v in (x, made.positive, made.negative)]
        p, n = (v if slopes == "free" else v.abs() for v in exact[1:])
        p, n = (v.view(-1, *(1,) * (len(shape) - 2)) for v in (p, n))
        wanted = p * exact[0].clamp(min=0) + n * exact[0].clamp(max=0)
        torch.testing.assert_close(made(x).double(), wanted)
        found = torch.autograd.grad(made(x), (x, made.positive, made.negative), upstream)
        expected = torch.autograd.grad(wanted, exact, upstream.double())
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5)
    assert AdaBin(maxout="none").make_nonlinearity(6) is None


@torch.no_grad()
def trained_looking(method: AdaBin, source: Input, seed: int, **options: Any) -> nn.Module:
    """A network whose learned numbers lie anywhere, also across 0."""
    torch.manual_seed(seed)
    model = mlp(source, (7, 6), 3, method, **options)
    for key, parameter in model.named_parameters():
        size = 0.1 if key.endswith("latent") else 0.7
        parameter.add_(torch.randn_like(parameter) * size)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm1d):
            norm.running_mean.normal_().mul_(2)  # type: ignore[union-attr]
            norm.running_var.uniform_(0.1, 5)  # type: ignore[union-attr]
    return model.eval()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("last", "maxout"), [("scale", "monotone"), ("batch_norm", "none")])
def test_every_input_gives_the_same_bits(mode: Any, form: Any, last: str, maxout: Any) -> None:
    for seed in range(2):
        method = AdaBin(mode=mode, form=form, maxout=maxout)
        model = trained_looking(method, Input.bits(8), seed, last=last)
        graph = lower(model, Input.bits(8))
        assert compare(model, graph, EVERY).differing == 0
        assert len(graph.of_type(Threshold)) == 2  # monotone: no tables
        factors = [dot.scale_offset for dot in graph.of_type(Dot)]
        assert [f is not None for f in factors] == [mode != "drop", mode != "drop", False]
        assert ("certificates" in graph.notes) == (mode == "exact")


@pytest.mark.parametrize("mode", MODES)
def test_integer_inputs_give_the_same_bits(mode: Any) -> None:
    source = Input("x", (4,), -2, 2, scale=0.25, offset=-0.5)
    u = np.array(list(itertools.product(range(-2, 3), repeat=4)))
    for seed in range(3):
        model = trained_looking(AdaBin(mode=mode), source, seed)
        assert compare(model, lower(model, source), u).differing == 0


def test_slopes_of_any_sign_are_tables_or_fixed_point() -> None:
    source = Input.bits(8)
    tables = 0
    for seed in range(6):
        model = trained_looking(AdaBin(maxout="free"), source, seed)
        graph = lower(model, source)
        tables += len(graph.of_type(Lookup)) - 1  # one ranks the logits
        assert compare(model, graph, EVERY).differing == 0
    assert tables
    model = trained_looking(AdaBin(mode="exact", maxout="free"), source, 0)
    for part in model.modules():
        if isinstance(part, Maxout):
            part.positive.data.fill_(1.0)
            part.negative.data.fill_(-1.0)
    graph = lower(model, source)  # two real sums, and a function that rises and falls
    assert not graph.is_exact
    assert compare(model, graph, EVERY).differing == 0


def test_pixels_lower_with_offsets_of_few_bits_and_as_fixed_point_with_real_ones() -> None:
    source = Input.pixels(64)
    torch.manual_seed(0)
    u = np.random.default_rng(0).integers(0, 256, (50, 64))
    for mode in ("qat", "drop"):
        model = mlp(source, (8,), 3, AdaBin(mode=mode)).eval()  # type: ignore[arg-type]
        assert compare(model, lower(model, source), u).differing == 0
    large = Input.pixels(256)
    model = mlp(large, (32,), 3, AdaBin(mode="exact")).eval()
    graph = lower(model, large)  # too many pairs of sums to go through
    assert not graph.is_exact
    u = np.random.default_rng(0).integers(0, 256, (50, 256))
    assert compare(model, graph, u).differing == 0


def test_training_and_evaluation_agree_but_for_rounding() -> None:
    for mode in MODES:
        layer = BinaryLinear(40, 9, AdaBin(mode=mode))  # type: ignore[arg-type]
        layer.weight = weight(mode)
        x = torch.randint(0, 2, (20, 40)) * 2.0 - 1
        torch.testing.assert_close(layer.train()(x), layer.eval()(x), rtol=1e-4, atol=1e-4)


def test_learned_sets_and_slopes_do_not_decay() -> None:
    model = mlp(Input.bits(8), (5,), 3, AdaBin())
    groups = parameter_groups(model, lr=0.1, weight_decay=0.01)
    kept = {id(p) for group in groups if not group["weight_decay"] for p in group["params"]}
    spared = {name.rsplit(".", 1)[1] for name, p in model.named_parameters() if id(p) in kept}
    assert {"alpha", "beta", "positive", "negative"} <= spared
    assert "latent" not in spared


def test_the_layer_of_logits_has_no_offset() -> None:
    model = mlp(Input.bits(8), (5,), 3, AdaBin())
    first, last = (m.weight for m in model.layers if isinstance(m, BinaryLinear))
    assert first.codes().ratio is not None
    assert last.codes().offset is None
    assert AdaBin(form="code").logits() == AdaBin(form="code", mode="drop")


def test_a_backward_pass_may_be_repeated() -> None:
    model = copy.deepcopy(mlp(Input.bits(8), (5, 4), 3, AdaBin()))
    loss = model(torch.randint(0, 2, (16, 8)) * 2.0 - 1).square().sum()
    own = list(model.parameters())
    first = torch.autograd.grad(loss, own, retain_graph=True)
    for one, other in zip(first, torch.autograd.grad(loss, own), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("mode", "real"), ("form", "paper "), ("maxout", True), ("maxout", None),
        ("fraction", -1), ("fraction", 13), ("fraction", 4.0), ("fraction", True),
    ],
)  # fmt: skip
def test_hyper_parameters_are_checked(field: str, wrong: object) -> None:
    with pytest.raises(InputError, match=f"adabin: {field}: expected .* found {wrong!r}"):
        methods.get("adabin", **{field: wrong})


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_gradients_of_a_learned_set_do_not_depend_on_the_layout_of_memory(
    layout: torch.memory_format,
) -> None:
    torch.manual_seed(3)
    x, grad = torch.randn(4, 6, 5, 7), torch.randint(-3, 4, (4, 6, 5, 7)).float()
    activation = AdaBin().make_activation(6)
    activation(x.requires_grad_()).backward(grad)
    wanted = [x.grad, activation.alpha.grad, activation.beta.grad]
    x.grad = activation.alpha.grad = activation.beta.grad = None
    again = x.detach().contiguous(memory_format=layout).requires_grad_()
    # The gradient in the other layout, too: then nothing can be read in the order of memory.
    for other in (layout, torch.contiguous_format):
        again.grad = activation.alpha.grad = activation.beta.grad = None
        activation(again).backward(grad.contiguous(memory_format=other))
        for found, expected in zip(
            [again.grad, activation.alpha.grad, activation.beta.grad], wanted, strict=True
        ):
            torch.testing.assert_close(found, expected)

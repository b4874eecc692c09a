"""What has no exact integer form is refused in one line that names it and says what to change."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import hwbnn
from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Input, Lookup, Threshold
from hwbnn.lowering import floats, lower
from hwbnn.nn import BinaryActivation, BinaryLinear, Scale
from tests.lowering.models import METHOD

BITS = Input.bits(6)
PIXELS = Input.pixels(6)


def linear(n: int = 6, m: int = 4, source: Input | None = None) -> BinaryLinear:
    return BinaryLinear(n, m, METHOD, source=source)


def sign(channels: int = 4) -> BinaryActivation:
    return BinaryActivation(channels, METHOD)


def refused(model: nn.Module, source: Input = BITS, **options: Any) -> str:
    with pytest.raises(CannotLower) as caught:
        lower(model, source, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


class Forward(nn.Module):
    """A model whose forward is a function of it and its input."""

    def __init__(self, function: Callable[[Any, Tensor], Any], **modules: Any) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def test_layers_that_are_not_listed() -> None:
    for layer, said in (
        (nn.Bilinear(4, 4, 4), r"layer '1' \(Bilinear\)"),
        (
            nn.Tanh(),
            r"layer '1' \(Tanh\): use nn.Hardtanh, .*: between a binary .* channel-wise functions",
        ),
        (nn.LayerNorm(4), r"layer '1' \(LayerNorm\): between"),
        (nn.LogSoftmax(dim=1), r"layer '1' \(LogSoftmax\): .*return the logits"),
        (nn.GELU(), r"layer '1' \(GELU\)"),
    ):
        assert re.match(said, refused(nn.Sequential(linear(), layer)))


def test_batch_norm_of_the_batch_itself() -> None:
    norm = nn.BatchNorm1d(4, track_running_stats=False)
    assert "depends on the batch" in refused(nn.Sequential(linear(), norm))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_name_layer_and_parameter(value: float) -> None:
    model = nn.Sequential(linear(), nn.BatchNorm1d(4), sign(), linear(4, 2))
    what = "NaN" if value != value else "infinity"
    for name in ("0.weight.latent", "1.weight", "1.bias", "1.running_mean", "1.running_var"):
        tensor = model.state_dict()[name]
        kept = tensor.clone()
        tensor.view(-1)[1] = value
        layer, parameter = name.split(".", 1)
        assert re.match(
            rf"layer '{layer}' \(\w+\): {re.escape(parameter)} holds {what}", refused(model)
        )
        tensor.copy_(kept)
    assert lower(model, BITS).nodes


def test_a_negative_variance_is_named() -> None:
    model = nn.Sequential(linear(), nn.BatchNorm1d(4), sign(), linear(4, 2))
    model.state_dict()["1.running_var"][2] = -1
    assert "layer '1' (BatchNorm1d): makes a NaN; look at its parameters" in refused(model)


def test_infinite_logits_are_named() -> None:
    model = nn.Sequential(linear(), nn.BatchNorm1d(4))
    model.state_dict()["1.weight"][2] = 3e38
    assert "layer '1' (BatchNorm1d): logit 2 is infinite" in refused(model)


def test_pixels_that_reach_a_layer_as_floats() -> None:
    said = refused(nn.Sequential(linear()), PIXELS)
    assert "layer '0' (BinaryLinear): it reads x = 0.00392157 * u + 0 of integers 0 to 255" in said
    assert "layer.source = input" in said
    model = nn.Sequential(linear())
    model[0].source = PIXELS  # as it says
    assert lower(model, PIXELS).nodes


def test_an_input_other_than_the_layer_was_made_for() -> None:
    model = nn.Sequential(linear(source=PIXELS))
    said = refused(model, Input("x", (6,), 0, 255, scale=1 / 256))
    assert "was made for x = 0.00392157 * u + 0 of integers 0 to 255, but the input says" in said
    assert "was made for" in refused(model, Input.pixels(6, offset=0.5))
    assert "was made for" in refused(model, Input("x", (6,), 0, 300, scale=1 / 255))
    assert "the input says x = 2 * u + -1 of bits" in refused(model, BITS)
    assert lower(model, Input("x", (6,), 3, 200, scale=1 / 255)).nodes


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 1e30), (1e-30, 5.0)])
def test_a_map_that_float32_does_not_hold(scale: float, offset: float) -> None:
    source = Input("x", (6,), 0, 9, scale=scale, offset=offset)
    found = refused(nn.Sequential(linear(source=source), sign(), linear(4, 3)), source)
    assert "float32 does not tell the integers of the input apart" in found


def test_an_input_changed_before_the_first_layer() -> None:
    model = Forward(lambda m, x: m.a((x - 0.0) * 1.5), a=linear(source=PIXELS))
    assert "refuses an input" in refused(model, PIXELS)
    model = Forward(lambda m, x: m.a(x + 1e-6), a=linear(source=PIXELS))
    assert "changes the input before it; put scale and offset into Input" in refused(model, PIXELS)


def test_a_source_on_a_later_layer() -> None:
    model = nn.Sequential(linear(), sign(), linear(4, 2, Input.bits(4)))
    assert "layer '2' (BinaryLinear): was made with source=, but does not read" in refused(model)


def test_real_numbers_before_a_binary_layer() -> None:
    said = refused(nn.Sequential(linear(), nn.BatchNorm1d(4), linear(4, 2)))
    assert "layer '2' (BinaryLinear): it reads real numbers" in said
    assert "layer '1' (BatchNorm1d)" in said
    assert "put a BinaryActivation before it" in said


def test_shortcuts_products_and_functions_that_mix_channels() -> None:
    for function, said in (
        (lambda m, x: m.b(m.s(m.a(x) + x)), "its bits are added to other numbers"),
        (lambda m, x: m.a(x) * m.a(x), "only a sum of two values"),
        (lambda m, x: torch.exp(m.a(x)), "function 'exp'"),
        (lambda m, x: m.a(x).tanh(), "function 'tanh'"),
        (lambda m, x: m.a(x) - m.a(x).mean(), "function 'mean'"),
        (lambda m, x: torch.add(m.a(x), 1.0, alpha=2), "function 'add'"),
        (lambda m, x: functional.linear(m.a(x), m.w * x.mean()), "function"),
        (lambda m, x: m.a(x)[:2], "function 'getitem'"),
        (lambda m, x: m.a(x)[:, [1, 1]], "function 'getitem'"),
        (lambda m, x: m.a(x).flip(0), "function 'flip'"),
        (lambda m, x: m.a(x) + float("inf"), "constant inf is not finite"),
        (lambda m, x: m.a(x) + m.w[0] / 0.0, "its constant is not finite"),
        (lambda m, x: m.a(x) * m.w[0].view(1, 1, 6), "a function that keeps shape"),
        (lambda m, x: m.a(x).view(-1), "gives shape (12,)"),
        (lambda m, x: functional.dropout(m.a(x), 0.5, training=True), "function 'dropout'"),
    ):
        modules = {"a": linear(6, 6), "b": linear(6, 2), "s": sign(6)}
        model = Forward(function, **modules, w=nn.Parameter(torch.rand(4, 6)))
        assert said in refused(model), said


def test_forwards_that_cannot_be_traced_or_run() -> None:
    def branching(m: Any, x: Tensor) -> Tensor:
        out: Tensor = m.a(x) if x.sum() > 0 else -m.a(x)
        return out

    assert "its forward cannot be traced" in refused(Forward(branching, a=linear()))

    def leaving(m: Any, x: Tensor) -> Tensor:
        raise SystemExit(3)

    assert "its forward cannot be traced (SystemExit 3)" in refused(Forward(leaving, a=linear()))
    wrong = nn.Sequential(linear(5, 4))
    assert "layer '0' (BinaryLinear), which reads (2, 6)" in refused(wrong)
    assert "expected an input of shape (batch, 5), found (2, 6)" in refused(wrong)

    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    message = refused(Two())
    assert "y" in message


def test_hooks_and_subclasses() -> None:
    model = nn.Sequential(linear())
    model[0].register_forward_hook(lambda module, inputs, output: output + 1)
    assert "layer '0' (BinaryLinear): it has forward hooks" in refused(model)

    class Mine(BinaryLinear):
        pass

    assert "layer '0' (Mine): a subclass" in refused(nn.Sequential(Mine(6, 4, METHOD)))


def test_work_in_place_on_what_is_read_again() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        y.relu_()
        out: Tensor = y
        return out

    assert "works in place on a value that is read again" in refused(Forward(forward, a=linear()))


def test_channels_that_rise_and_fall_over_many_integers_are_intervals() -> None:
    source = Input.pixels(300)
    prelu = nn.PReLU(init=-1.0)
    model = nn.Sequential(linear(300, 4, source), prelu, nn.BatchNorm1d(4), sign(), linear(4, 2))
    model[2].running_mean.fill_(5.0)
    graph = lower(model, source)
    (count,) = (n for n in graph.of_type(Threshold) if n.base == 0)
    (lookup,) = graph.of_type(Lookup)
    assert (count.levels, lookup.table.shape) == (2, (4, 3))
    # As many entries as the sums have integers would be:
    assert graph.types[count.source].count > 70_000
    u = np.random.default_rng(0).integers(0, 256, (500, 300))
    with torch.no_grad():
        wanted = model.eval()[3].codes(model[:3](floats(source, u))).numpy()
    trace = hwbnn.simulate(graph, u, trace=True)
    np.testing.assert_array_equal(trace[lookup.name], wanted)
    assert 0 < wanted.mean() < 1


def test_sums_beyond_float32() -> None:
    source = Input("x", (6,), 0, 1 << 21, scale=1.0)
    model = nn.Sequential(linear(6, 6), linear(6, 6), Scale(1.0))
    with pytest.raises(CannotLower, match=r"layer '\d' .*2\^24|to tabulate"):
        lower(model, source)
    with pytest.raises(InputError, match=r"reach 2\^24"):
        linear(9, 2, source)


def test_ends_that_are_no_logits() -> None:
    assert "returns its input" in refused(nn.Sequential(nn.Identity()))
    bits = nn.Sequential(linear(), sign())
    assert "the model ends in bits" in refused(bits)
    assert lower(bits, BITS, output="scores").nodes
    pair = Forward(lambda m, x: (m.a(x), x), a=linear())
    assert "something else than one tensor" in refused(pair)


def test_arguments_that_are_no_input_or_output() -> None:
    with pytest.raises(InputError, match=r"expected hwbnn\.Input"):
        lower(nn.Sequential(linear()), 6)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected one of class, scores, logits"):
        lower(nn.Sequential(linear()), BITS, output="clas")  # type: ignore[arg-type]
    with pytest.raises(CannotLower, match="expected a torch module, found int"):
        lower(3, BITS)  # type: ignore[arg-type]

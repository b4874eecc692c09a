"""Integer tests of two sums: complete, as small as can be, and refused where there are none."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import hwbnn
from hwbnn.errors import CannotLower, Mismatch
from hwbnn.graph import ArgMax, Dot, Graph, Input, Lookup, Threshold
from hwbnn.graph.arrays import Float32s
from hwbnn.lowering import compare, explain, floats, lower, two_sums
from hwbnn.lowering.ops import StepActivation
from hwbnn.lowering.two_sums import HalfPlanes, PairCodes, Pairs, Pending, certify, find, tabulate
from hwbnn.nn import BinaryActivation, BinaryLinear, mlp
from tests.methods.forms import Mapped, RealSets

SEEDS = range(12)


def normed(model: nn.Module) -> nn.Module:
    """The model with BatchNorms as training may leave them, some gains negative, some ties."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm1d):
            norm.weight.data.normal_()
            norm.bias.data.normal_()
            norm.running_mean.normal_()  # type: ignore[union-attr]
            norm.weight.data[0], norm.bias.data[-1] = 0.0, 0.0
    return model.eval()


def every(source: Input) -> Any:
    span = range(source.low, source.high + 1)
    return np.array(list(itertools.product(span, repeat=source.shape[0])))


@pytest.mark.parametrize(
    ("low", "step", "levels", "size"), [(-1, 2, 1, 6), (0, 1, 3, 4), (-3, 1, 2, 4), (5, 2, 2, 4)]
)
def test_pairs_are_exactly_those_that_inputs_reach(
    low: int, step: int, levels: int, size: int
) -> None:
    values = low + step * np.arange(levels + 1)
    inputs = np.array(list(itertools.product(values, repeat=size)))
    signs = np.array([[1 if i < plus else -1 for i in range(size)] for plus in range(size + 1)])
    pairs = Pairs((signs > 0).sum(axis=1), size, low, step, levels)
    found: list[set[tuple[int, int]]] = [set() for _ in signs]
    filled: list[set[tuple[int, int]]] = [set() for _ in signs]
    entries = 0
    for part, d, real in pairs.batches():
        assert (np.diff(d, axis=1) >= 0).all()
        s = np.broadcast_to(pairs.totals[part][:, None, None], d.shape)
        entries += d.size
        for channel, seen in enumerate(found):
            kept = real[..., channel]
            seen |= set(zip(d[..., channel][kept], s[..., channel][kept], strict=True))
            filled[channel] |= set(zip(d[..., channel].flat, s[..., channel].flat, strict=True))
    wanted = [set(zip(inputs @ row, inputs.sum(axis=1), strict=True)) for row in signs]
    assert found == filled == wanted  # what fills is no other pair
    assert pairs.count == sum(map(len, wanted))
    assert pairs.evaluations == entries


def half_plane(seed: int, n: int = 10, channels: int = 6) -> tuple[Pending, PairCodes, HalfPlanes]:
    """A layer that is in where ``alpha D + beta S >= tau``, in float64, and what is found."""
    rng = np.random.default_rng(seed)
    alpha, ratio = rng.normal(size=channels), rng.normal(size=channels) * 0.4
    tau = rng.normal(size=channels) * 2
    beta = alpha * ratio
    alpha[0], beta[0], tau[0] = 1.0, 0.5, 0.5  # sums that are exactly at the threshold

    def finish(d: Float32s, s: Float32s) -> Float32s:
        real = d.astype(np.float64) * alpha + s.astype(np.float64) * beta
        return (real - tau).astype(np.float32)

    pairs = Pairs(rng.integers(0, n + 1, channels), n, -1, 2, 1)
    pending = Pending(pairs, beta / alpha, finish)
    sign = StepActivation("a", "layer 'a'", 1, 1.0, 0.0, lambda x: (x >= 0).astype(np.uint8))
    coded = tabulate(pending, (), sign)
    return pending, coded, find("layer 'a'", [pending], [coded])


def nodes(pending: Pending, plane: HalfPlanes) -> tuple[Dot, Threshold]:
    """The plane as nodes of a Graph."""
    pairs, limit = pending.pairs, 10**8
    weights = np.arange(pairs.size) < pairs.plus[:, None]
    scale = np.full(len(weights), 1 << plane.fraction)
    dot = Dot("dot", "x", weights, scale, plane.ratio)
    return dot, Threshold("t", "dot", plane.thresholds(-limit, limit)[0], plane.falling)


def separable(coded: PairCodes, pairs: Pairs, channel: int, fraction: int) -> bool:
    """Whether any ratio of so many fractional bits decides a channel; by trying them all."""
    bounds, totals = coded.boundaries[0], pairs.totals
    for ratio in range(-(4 << fraction), (4 << fraction) + 1):
        turn = ratio * totals
        first_in, last_in, first_out, last_out = (
            (edge[:, channel] << fraction) + turn
            for edge in (bounds.first_in, bounds.last_in, bounds.first_out, bounds.last_out)
        )
        if first_in.min() > last_out.max() or first_out.min() > last_in.max():
            return True
    return False


@pytest.mark.parametrize("seed", SEEDS)
def test_the_test_found_is_exact_and_of_fewest_bits(seed: int) -> None:
    pending, coded, plane = half_plane(seed)
    assert certify("layer 'a'", pending.pairs, coded, *nodes(pending, plane)) == pending.pairs.count
    assert plane.gap > 0
    needs = range(plane.fraction)
    channels = range(len(plane.ratio))
    assert all(any(not separable(coded, pending.pairs, c, f) for c in channels) for f in needs)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_planted_fault_is_caught(seed: int) -> None:
    pending, coded, plane = half_plane(seed)
    dot, threshold = nodes(pending, plane)
    assert dot.offset is not None
    moving = np.flatnonzero(~(plane.always | plane.never)[0, :, 0])
    assert moving.size
    for channel in moving:
        # The threshold is the outermost sum that is in; one further and that one is out.
        moved = threshold.thresholds.copy()
        moved[channel] += -1 if threshold.falling[channel] else 1
        with pytest.raises(Mismatch, match=rf"channel {channel}, D = .*the integer test says Fal"):
            certify("layer 'a'", pending.pairs, coded, dot, replace(threshold, thresholds=moved))
        caught = 0
        for change in (-1, 1):
            offset = dot.offset.copy()
            offset[channel] += change
            try:
                certify("layer 'a'", pending.pairs, coded, replace(dot, offset=offset), threshold)
            except Mismatch:
                caught += 1
        on_axis = moving_only_without_total(pending.pairs, coded, dot, threshold, int(channel))
        assert caught or on_axis


def moving_only_without_total(
    pairs: Pairs, coded: PairCodes, dot: Dot, threshold: Threshold, channel: int
) -> bool:
    """Whether the sums at the threshold all have S = 0, where the ratio does not matter."""
    assert dot.scale_offset is not None
    scale, offset = dot.scale_offset
    at = threshold.thresholds[channel, 0]
    for part, d, _ in pairs.batches():
        s = pairs.totals[part][:, None]
        v = d[..., channel] * scale[channel] + s * offset[channel]
        if ((v == at) & (s != 0)).any():
            return False
    return True


def test_a_pair_left_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    pending, coded, plane = half_plane(0)
    whole = Pairs.batches

    def one_less(self: Pairs) -> Iterator[Any]:
        for part, d, real in whole(self):
            real = real.copy()
            real[tuple(np.argwhere(real)[-1])] = False
            yield part, d, real

    monkeypatch.setattr(Pairs, "batches", one_less)
    with pytest.raises(Mismatch, match=r"\d+ of \d+ pairs were compared"):
        certify("layer 'a'", pending.pairs, coded, *nodes(pending, plane))


def test_a_table_cut_short_is_caught() -> None:
    pending, coded, plane = half_plane(0)
    with pytest.raises(Mismatch, match=r"0 of \d+ pairs were compared"):
        certify("layer 'a'", pending.pairs, PairCodes([], coded.boundaries), *nodes(pending, plane))


def test_pieces_of_a_table_make_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    _, whole, plane = half_plane(3)
    monkeypatch.setattr(two_sums, "_CHUNK", 50)
    _, pieces, again = half_plane(3)
    assert len(pieces.reached) > len(whole.reached) == 1
    for one, other in zip(whole.boundaries, pieces.boundaries, strict=True):
        assert np.array_equal(one.first_in, other.first_in)
        assert np.array_equal(one.last_out, other.last_out)
    assert np.array_equal(plane.ratio, again.ratio)
    assert np.array_equal(plane.inside, again.inside)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("source", [Input.bits(9), Input("x", (4,), -2, 3, scale=0.5, offset=0.25)])
def test_small_networks_of_real_sets_lower_to_the_same_bits(seed: int, source: Input) -> None:
    torch.manual_seed(seed)
    model = normed(mlp(source, (7, 6, 5), 3, RealSets()))
    graph = lower(model, source)
    found = compare(model, graph, every(source))
    assert found.differing == 0
    dots = graph.of_type(Dot)
    assert [dot.scale_offset is not None for dot in dots] == [True, True, True, False]
    assert graph.notes["certificates"].count("certified on all") == 3


def test_an_activation_of_several_levels_has_one_direction() -> None:
    for seed in SEEDS:
        torch.manual_seed(seed)
        first = BinaryLinear(6, 5, RealSets())
        activation = BinaryActivation(5, Mapped(levels=3))
        second = BinaryLinear(5, 4, RealSets(), source=activation)
        model = nn.Sequential(first, nn.BatchNorm1d(5), activation, second, nn.BatchNorm1d(4))
        normed(model.append(BinaryActivation(4, RealSets())))
        graph = lower(model, Input.bits(6), output="scores")
        assert graph.of_type(Threshold)[0].thresholds.shape == (5, 3)
        assert compare(model, graph, every(Input.bits(6))).differing == 0


def test_the_certificate_is_told() -> None:
    torch.manual_seed(0)
    model = normed(mlp(Input.bits(8), (3,), 2, RealSets()))
    graph, lines = lower(model, Input.bits(8)), explain(model, Input.bits(8)).lines
    plus = graph.of_type(Dot)[0].signs.sum(axis=1)
    count = int(((plus + 1) * (9 - plus)).sum())
    assert f"certified on all {count} pairs (D, S), least gap " in graph.notes["certificates"]
    assert f"certified on all {count} pairs" in lines[0]
    assert lines[0].startswith("layers.0 -> dot_1: 3 sums of 8, 2^")
    assert lines[-1].startswith("exact:")


class TestRefused:
    def said(self, model: nn.Module, source: Input) -> str:
        with pytest.raises(CannotLower) as caught:
            lower(model.eval(), source)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_more_pairs_than_can_be_tried(self) -> None:
        source = Input.pixels(64)
        graph = lower(mlp(source, (16,), 3, RealSets()).eval(), source)
        assert graph.fraction == 18
        assert not graph.notes.get("certificates")
        (first, _) = graph.of_type(Dot)
        assert first.scale_offset is not None

    def test_logits_of_real_sets(self) -> None:
        model = nn.Sequential(BinaryLinear(6, 3, RealSets())).eval()
        graph = lower(model, Input.bits(6))
        assert graph.fraction == 18
        u = np.arange(64)[:, None] >> np.arange(6) & 1
        with torch.no_grad():
            real = model(floats(Input.bits(6), u)).numpy()
        scores = hwbnn.simulate(graph, u, trace=True)[graph.of_type(ArgMax)[0].source]
        np.testing.assert_allclose(scores / 2.0**18, real, atol=2.0**-15)

    def test_a_layer_that_reads_such_sums(self) -> None:
        model = nn.Sequential(BinaryLinear(6, 4, RealSets()), BinaryLinear(4, 3, RealSets()))
        said = self.said(model, Input.bits(6))
        assert "layer '1' (BinaryLinear): layer '0' has weights with real offsets" in said

    def test_channels_that_rise_and_fall(self) -> None:
        slopes = nn.PReLU(4, init=-1.0)
        activation = BinaryActivation(4, RealSets())
        norm = nn.BatchNorm1d(4)
        model = nn.Sequential(BinaryLinear(6, 4, RealSets()), slopes, norm, activation)
        model.append(BinaryLinear(4, 2, RealSets().logits()))
        norm.running_mean.fill_(0.5)  # type: ignore[union-attr]
        assert lower(model.eval(), Input.bits(6)).fraction == 18
        slopes.weight.data.fill_(0.5)
        graph = lower(model, Input.bits(6))
        assert graph.is_exact
        # The logits have no scale, so the sums themselves are compared.
        assert [len(graph.of_type(kind)) for kind in (Threshold, Lookup)] == [1, 0]

    @pytest.mark.parametrize(("scale", "offset"), [(0.0, 1.0), (1e-9, 1.0), (0.0, 0.0)])
    def test_offsets_without_a_scale(self, scale: float, offset: float) -> None:
        model = mlp(Input.bits(6), (4,), 3, RealSets())
        weight: Any = model.layers[0].weight
        weight.scale.data[2], weight.offset.data[2] = scale, offset
        assert "layer 'layers.0': the offset of channel 2 is" in self.said(model, Input.bits(6))

    def test_a_sum_that_two_activations_read(self) -> None:
        class Twice(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a = BinaryLinear(6, 4, RealSets())
                self.s, self.t = (BinaryActivation(4, RealSets()) for _ in range(2))
                self.b = BinaryLinear(4, 3, RealSets().logits())

            def forward(self, x: Tensor) -> Any:
                y = self.a(x)
                return self.b(self.s(y)), self.t(y)

        # The second activation reads fixed point; the Graph has one output.
        assert "returns something else than one" in self.said(Twice(), Input.bits(6))


def test_a_graph_of_other_ratios_differs_from_the_network() -> None:
    torch.manual_seed(1)
    model = normed(mlp(Input.bits(8), (6,), 3, RealSets()))
    graph = lower(model, Input.bits(8))
    dot = graph.of_type(Dot)[0]
    assert dot.offset is not None
    changed = replace(dot, offset=dot.offset + dot.offset.max() // 2 + 1)
    wrong = Graph(tuple(changed if n is dot else n for n in graph.nodes))
    assert compare(model, wrong, every(Input.bits(8))).differing > 0

"""Neurons that read few inputs: how many, which, and the exact integers behind them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Dot, Input
from hwbnn.lowering import compare, lower
from hwbnn.methods import METHODS, get
from hwbnn.nn import (
    BinaryLinear,
    Connections,
    GroupSum,
    Mlp,
    after_step,
    mlp,
    set_progress,
    start_epoch,
)
from hwbnn.nn import fan_in as rules
from hwbnn.simulators import simulate

PIXELS = Input.pixels((20,))
THRESHOLDS = (64, 128, 192)
U = np.random.default_rng(0).integers(0, 256, (200, 20))


def network(method: str = "bnn_ste", **hyper: object) -> Mlp:
    torch.manual_seed(3)
    return mlp(
        PIXELS,
        (40, 30),
        10,
        get(method, **hyper),
        last="group_sum",
        fan_in=6,
        thermometer=THRESHOLDS,
    )


def trained(model: Mlp, steps: int, epochs: int = 3) -> Mlp:
    """A few steps on a class that two pixels decide."""
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(7)
    for epoch in range(epochs):
        start_epoch(model, epoch / epochs)
        for _ in range(steps):
            u = torch.randint(0, 256, (32, 20), generator=generator)
            wanted = u[:, 4] // 64 + 4 * (u[:, 9] // 128)
            loss = nn.functional.cross_entropy(model(u / 255), wanted)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            after_step(model)
    return model.eval()


def layers(model: nn.Module) -> list[BinaryLinear]:
    return [m for m in model.modules() if isinstance(m, BinaryLinear)]


def choices(layer: BinaryLinear) -> Connections:
    assert layer.connections is not None
    return layer.connections


def test_each_neuron_reads_exactly_so_many_inputs_and_training_moves_them() -> None:
    model = network()
    before = [choices(layer).read.clone() for layer in layers(model)]
    trained(model, steps=30)
    for layer, old in zip(layers(model), before, strict=True):
        matrix = layer.matrix(layer.weight.codes().integers)
        assert matrix.shape == (layer.out_features, layer.in_features)
        assert ((matrix != 0).sum(dim=1) == 6).all()
        assert set(matrix.flatten().tolist()) == {-1.0, 0.0, 1.0}
        now = choices(layer).read
        kept = (now[:, :, None] == old[:, None, :]).any(dim=2).float().mean()
        assert kept < 0.9, "training chose hardly any other inputs"
    # The two pixels that decide the class are read far more often than by chance, a tenth.
    reads = torch.bincount(choices(layers(model)[0]).read.flatten() // 3, minlength=20)
    assert reads[[4, 9]].sum() > 2 * reads.sum() / 10


def test_the_choice_is_final_after_its_share_of_training() -> None:
    model = network()
    trained(model, steps=20)
    connections = choices(layers(model)[0])
    connections.set_progress(rules.EXPLORED)
    assert connections.share == 0.0
    held = {name: tensor.clone() for name, tensor in connections.state_dict().items()}
    model.train()
    for step in range(2 * rules.EXCHANGE_EVERY):
        connections.after_step(layers(model)[0].weight)
        assert int(connections.steps) == int(held["steps"]) + step + 1
    assert torch.equal(connections.candidates, held["candidates"])
    assert torch.equal(connections.chosen, held["chosen"])


def test_the_share_falls_linearly() -> None:
    connections = Connections(50, 3, 6)
    shares = []
    for part in (0.0, 0.25, 0.5, 1.0, 1.1):
        connections.set_progress(part * rules.EXPLORED)
        shares.append(connections.share)
    assert shares == pytest.approx([0.5, 0.375, 0.25, 0.0, 0.0])


@pytest.mark.parametrize("share", [0.5, 0.0])
def test_sums_and_gradients_are_those_of_a_masked_matrix(share: float) -> None:
    torch.manual_seed(0)
    connections = Connections(50, 7, 6)
    connections.share = share
    x = torch.randn(5, 50, dtype=torch.float64, requires_grad=True)
    numbers = torch.randn(connections.shape, dtype=torch.float64, requires_grad=True)
    out = torch.randn(5, 7, dtype=torch.float64)
    (connections.sums(x, numbers) * out).sum().backward()  # type: ignore[no-untyped-call]

    mask = torch.zeros(connections.shape, dtype=torch.float64).scatter(1, connections.chosen, 1)
    whole = torch.zeros(7, 50, dtype=torch.float64)
    dense = whole.scatter(1, connections.candidates, numbers.detach() * mask)
    assert torch.equal(connections.matrix(numbers.detach()), dense)
    assert torch.allclose(connections.sums(x, numbers), x @ dense.t())
    assert torch.allclose(x.grad, out @ dense)  # type: ignore[arg-type]
    of_all = (out.t() @ x.detach()).gather(1, connections.candidates)
    assert torch.allclose(numbers.grad, of_all * (mask + share * (1 - mask)))  # type: ignore[arg-type]


def test_candidates_stay_distinct_and_what_is_read_is_never_exchanged() -> None:
    torch.manual_seed(1)
    layer = BinaryLinear(500, 9, "bnn_ste", fan_in=6)
    connections = choices(layer)
    first = connections.candidates.clone()
    for _ in range(30):
        read = connections.read.clone()
        connections._exchange(layer.weight)
        connections.check()
        assert torch.equal(connections.read, read)
    assert (connections.candidates != first).float().mean() > 0.15
    connections.choose(layer.weight)
    real = layer.weight.real().detach().abs()
    assert torch.equal(connections.of_read(real).amin(dim=1), real.topk(6, dim=1).values[:, -1])


@pytest.mark.parametrize("name", METHODS)
def test_every_method_lowers_exactly_or_says_why(name: str) -> None:
    model = trained(network(name), steps=3)
    set_progress(model, 1.0)
    codes = [layer.weight.codes() for layer in layers(model)]
    if any(c.offset is not None and c.ratio is None for c in codes):
        with pytest.raises(CannotLower, match="reads inputs of its own"):
            lower(model, PIXELS)
        return
    graph = lower(model, PIXELS)
    assert compare(model, graph, U).differing == 0
    for node, layer in zip(graph.of_type(Dot), layers(model), strict=False):
        assert node.weights.shape == (layer.out_features, layer.in_features)
        assert ((node.weights != 0).sum(axis=1) <= 6).all()


def test_two_values_whose_ratio_is_an_integer_lower_exactly() -> None:
    """AdaBin's offset times the sum of what is read becomes a part of each weight."""
    model = trained(network("adabin", mode="qat"), steps=6)
    graph = lower(model, PIXELS)
    first = next(iter(graph.of_type(Dot)))
    assert first.scale_offset is None
    assert len(np.unique(first.weights)) > 3
    assert compare(model, graph, U).differing == 0


def test_a_wrong_choice_is_seen_by_the_comparison() -> None:
    """The planted fault: one neuron of the Graph reads another input than the network."""
    model = trained(network(), steps=6)
    graph = lower(model, PIXELS)
    connections = choices(layers(model)[0])
    row = connections.candidates[0]
    other = next(i for i in range(60) if i not in row.tolist())
    row[connections.chosen[0, 0]] = other
    assert compare(model, graph, U).differing > 0


def test_an_input_that_never_changes_is_not_read() -> None:
    torch.manual_seed(2)
    layer = BinaryLinear(400, 8, "bnn_ste", fan_in=6)
    connections = choices(layer)
    is_dead = connections.candidates < 80
    layer.weight.latent.data[is_dead] = 1.0  # larger than any other
    connections.choose(layer.weight)
    assert (connections.read < 80).all()
    for _ in range(200):
        x = torch.where(torch.rand(32, 400) < 0.5, -1.0, 1.0)
        x[:, :80] = 1.0
        connections.watch(x)
    connections.choose(layer.weight)
    assert (connections.read >= 80).all()
    for _ in range(20):
        connections._exchange(layer.weight)
    assert (connections.candidates < 80).float().mean() < 0.1


def test_votes_are_sums_of_groups() -> None:
    votes = GroupSum(12, 3).eval()
    x = torch.where(torch.rand(5, 12) < 0.5, -1.0, 1.0)
    assert torch.equal(votes(x), x.view(5, 3, 4).sum(dim=2))
    assert torch.equal(votes.train()(x), votes.eval()(x))
    with pytest.raises(InputError, match="groups of equal size"):
        GroupSum(13, 3)
    # Its weights are no part of the state, and the optimiser has nothing to change.
    assert not votes.state_dict()
    assert not list(votes.parameters())


def test_state_holds_the_choice_and_a_wrong_state_is_refused() -> None:
    model = trained(network(), steps=10)
    again = network()
    again.load_state_dict(model.state_dict())
    u = torch.randint(0, 256, (50, 20)) / 255
    assert torch.equal(again.eval()(u), model(u))
    state = model.state_dict()
    key = next(name for name in state if name.endswith("connections.candidates"))
    state[key] = state[key].clone()
    state[key][2, 1] = state[key][2, 0]
    with pytest.raises(InputError, match="neuron 2: expected distinct inputs"):
        again.load_state_dict(state)


@pytest.mark.parametrize("fan_in", [0, 51, 2.5, True])
def test_a_fan_in_that_no_neuron_has(fan_in: int) -> None:
    with pytest.raises(InputError, match="fan_in: expected a number of inputs from 1 to 50"):
        BinaryLinear(50, 4, "bnn_ste", fan_in=fan_in)


def test_all_inputs_may_be_read() -> None:
    layer = BinaryLinear(5, 4, "bnn_ste", fan_in=5).eval()
    dense = BinaryLinear(5, 4, "bnn_ste").eval()
    columns = choices(layer).candidates
    dense.weight.latent.data.scatter_(1, columns, layer.weight.latent.data)
    x = torch.where(torch.rand(8, 5) < 0.5, -1.0, 1.0)
    assert torch.equal(layer(x), dense(x))


def test_training_again_gives_the_same_choice() -> None:
    states: list[dict[str, Tensor]] = [trained(network(), 5).state_dict() for _ in range(2)]
    for one, other in pairwise(states):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_graph_computes_what_the_network_computes() -> None:
    model = trained(network("proxy_bnn"), steps=5)
    u = np.random.default_rng(5).integers(0, 256, (300, 20))
    classes = model(torch.from_numpy(u).float() / 255).argmax(dim=1)
    values = simulate(lower(model, PIXELS), u)
    assert np.array_equal(np.asarray(values).ravel(), classes.numpy())

"""Networks that read only the elements that vary most."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from hwbnn.errors import InputError
from hwbnn.graph import Dot, Select
from hwbnn.lowering import lower
from hwbnn.nn import Select as Picks
from hwbnn.simulators import simulate
from hwbnn.training import Recipe, dataset, load_model, train
from hwbnn.training.data import most_varying

RECIPE = Recipe("digits", "digits", 1, input="bits", threshold=8, reads=33, batch=200, held_out=700)


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 2, 3)])
def test_those_of_largest_variance_are_taken(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    samples = rng.integers(0, 1 + rng.integers(0, 256, shape), (50, *shape)).astype(np.uint8)
    size = int(np.prod(shape))
    spread = [float(np.var(samples.reshape(50, -1)[:, i].astype(np.float64))) for i in range(size)]
    for count in range(1, size + 1):
        found = most_varying(samples, count)
        assert found.tolist() == sorted(set(found.tolist()))
        assert len(found) == count
        left = sorted(set(range(size)) - set(found.tolist()))
        assert not left or min(spread[i] for i in found) >= max(spread[i] for i in left) - 1e-9


def test_sums_of_many_bright_pixels_do_not_wrap() -> None:
    samples = np.full((60_000, 2), 255, np.uint8)
    samples[:30_000, 1] = 0
    assert most_varying(samples, 1).tolist() == [1]


def test_a_network_reads_what_varies_on_the_images_that_it_is_trained_on(tmp_path: Path) -> None:
    data = dataset("digits")
    own = RECIPE.encode(data.train_images[: len(data.train_images) - 700])
    all_of_them = most_varying(RECIPE.encode(data.train_images), 33)
    expected = most_varying(own, 33)
    assert expected.tolist() != all_of_them.tolist()  # so the held-out images do not choose
    model = train(RECIPE, tmp_path / "run").model
    picks = next(m for m in model.modules() if isinstance(m, Picks))
    assert picks.index.tolist() == expected.tolist()
    again, recipe = load_model(tmp_path / "run")
    assert recipe == RECIPE
    graph = lower(again, recipe.graph_input())
    assert graph.of_type(Select)[0].index.tolist() == expected.tolist()
    assert graph.of_type(Dot)[0].weights.shape == (64, 33)
    u = recipe.encode(data.test_images)
    found = simulate(graph, u)[:, 0]
    with torch.no_grad():
        logits = model(torch.tensor(2.0 * u - 1, dtype=torch.float32))
    np.testing.assert_array_equal(found, logits.argmax(dim=1).numpy())


def test_files_with_other_positions_are_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE.to_toml())
    model = RECIPE.make_model()
    for wrong, said in ((64, "expected positions from 0 to 63, found 64"), (1, "found 1 twice")):
        state = {k: v.clone() for k, v in model.state_dict().items()}
        index = next(k for k in state if k.endswith("index"))
        state[index][0] = wrong
        safetensors.torch.save_file(state, tmp_path / "model.safetensors")
        with pytest.raises(InputError, match=f"model.safetensors: Select: .*{said}"):
            load_model(tmp_path)
    other = replace(RECIPE, reads=34).make_model().state_dict()
    safetensors.torch.save_file(other, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="not the weights of its recipe"):
        load_model(tmp_path)

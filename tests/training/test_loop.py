"""The training loop: augmentation, losses, learning rates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hwbnn.training import Recipe, order
from hwbnn.training.loop import Loop, _loss
from tests.training.samples import colours, mnist_sample

RECIPE = Recipe(
    "tfc", "mnist", 1, threshold=128, augmentation="shift", shift=2, batch=64, held_out=50
)


def begun(recipe: Recipe) -> Loop:
    """A loop at the start of its first epoch."""
    sample = mnist_sample()
    loop = Loop(recipe, recipe.make_model(), sample.train_images, sample.train_labels)
    loop.on_fit_start()
    loop.on_train_epoch_start()
    return loop


@pytest.mark.parametrize("takes_bits", [True, False])
def test_images_are_shifted_as_the_epoch_draws(takes_bits: bool) -> None:
    recipe = RECIPE if takes_bits else replace(RECIPE, input="pixels", threshold=None)
    loop = begun(recipe)
    images = recipe.encode(mnist_sample().train_images).reshape(-1, 28, 28)
    index = np.arange(450)
    rows, columns = (
        order.integers(recipe.seed, 0, name, index, 0, 4) for name in ("rows", "columns")
    )
    expected = np.zeros((450, 28, 28), np.uint8)
    for i in index:
        # Row r of the result is row r + (drawn - 2) of the image, where there is one.
        padded = np.pad(images[i], 2)
        expected[i] = padded[rows[i] : rows[i] + 28, columns[i] : columns[i] + 28]
    assert np.array_equal(loop.gather(torch.from_numpy(index)).numpy(), expected)
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == 25
    # In another order and company each image is the same.
    some = torch.tensor([7, 3, 449])
    assert np.array_equal(loop.gather(some).numpy(), expected[[7, 3, 449]])


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_crops_and_flips_are_those_of_the_epoch_and_the_index(device: str) -> None:
    sample = colours()
    recipe = Recipe(
        "cnv", "cifar10", 2, input="centred", augmentation="crop_flip", shift=4, batch=16, seed=5
    )
    loop = Loop(recipe, recipe.make_model(), sample.train_images, sample.train_labels)
    loop.on_fit_start()
    loop.on_train_epoch_start()
    index = np.arange(len(sample.train_images))
    if device == "meta":
        # All that follows the draws is indexing on the device where the images are.
        for name in ("images", "flips"):
            setattr(loop, name, getattr(loop, name).to(device))
        loop.shifts = [shift.to(device) for shift in loop.shifts]
        found = loop.inputs(torch.from_numpy(index).to(device))
        assert (found.device.type, found.shape) == (device, (len(index), 3, 32, 32))
        return
    rows, columns, flips = (
        order.integers(recipe.seed, 0, name, index, 0, high)
        for name, high in (("rows", 8), ("columns", 8), ("flips", 1))
    )
    expected = np.zeros((len(index), 32, 32, 3), np.uint8)
    for i in index:
        padded = np.pad(sample.train_images[i], ((4, 4), (4, 4), (0, 0)))
        cut = padded[rows[i] : rows[i] + 32, columns[i] : columns[i] + 32]
        expected[i] = cut[:, ::-1] if flips[i] else cut
    assert 0 < flips.sum() < len(index)
    some = torch.tensor([7, 3, 19])
    assert np.array_equal(loop.gather(some).numpy(), expected[[7, 3, 19]])
    # The network sees colours first, from -1 to 1.
    seen = loop.inputs(torch.from_numpy(index))
    wanted = (expected.astype(np.float64) * (2 / 255) - 1).transpose(0, 3, 1, 2)
    assert np.array_equal(seen.numpy(), wanted.astype(np.float32))


def test_without_augmentation_images_are_as_they_are() -> None:
    loop = begun(replace(RECIPE, augmentation="none", shift=0))
    images = loop.recipe.encode(mnist_sample().train_images).reshape(-1, 28, 28)
    assert np.array_equal(loop.gather(torch.arange(450)).numpy(), images[:450])


def test_an_epoch_is_every_image_but_those_held_out() -> None:
    loop = begun(RECIPE)
    assert len(loop.batches) == loop.steps == 8
    assert sorted(torch.cat(loop.batches).tolist()) == list(range(450))


def test_losses_are_those_of_their_formulas() -> None:
    logits = torch.tensor([[0.5, -2.0, 3.0], [0.0, 0.25, -1.0]], dtype=torch.float64)
    wanted = torch.tensor([2, 1])
    z, t = logits.numpy(), np.array([[-1, -1, 1], [-1, 1, -1]])
    hinge = (np.maximum(0, 1 - t * z) ** 2).mean()
    assert _loss("squared_hinge", logits, wanted).item() == pytest.approx(hinge, rel=1e-12)
    entropy = np.log(np.exp(z).sum(axis=1)) - z[[0, 1], [2, 1]]
    found = _loss("cross_entropy", logits, wanted).item()
    assert found == pytest.approx(entropy.mean(), rel=1e-12)


def test_the_rate_is_set_before_each_step_and_ends_at_the_final_one() -> None:
    recipe = replace(RECIPE, epochs=2, schedule="linear", final_rate=0.0, hyper={"glorot_lr": True})
    loop = begun(recipe)
    made = loop.configure_optimizers()
    optimiser, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    first = [group["lr"] for group in optimiser.param_groups]
    assert recipe.learning_rate in first
    assert len(set(first)) > 1  # the method scales the rate of its latent weights
    for step in range(1, 2 * loop.steps + 1):
        optimiser.step()
        schedule.step()
        share = 1 - step / (2 * loop.steps)
        found = [group["lr"] for group in optimiser.param_groups]
        assert found == pytest.approx([rate * share for rate in first], rel=1e-9, abs=1e-15)

"""Recipes: TOML, digests, refusals."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.methods import METHODS
from hwbnn.nn import NAMES, takes_images
from hwbnn.nn.named import MLP
from hwbnn.nn.networks import LASTS
from hwbnn.training import DATASETS, Recipe
from hwbnn.training.data import PUBLISHED
from hwbnn.training.recipe import FILE_LIMIT, INPUTS, LOSSES, SCHEDULES

PLAIN = Recipe("digits", "digits", 3, input="pixels")
TEXT = PLAIN.to_toml()


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    data = draw(st.sampled_from(DATASETS))
    taken = draw(st.sampled_from(INPUTS))
    momentum = draw(st.none() | st.floats(0, 0.99))
    epochs = draw(st.integers(1, 100_000))
    schedule = draw(st.sampled_from(SCHEDULES))
    shift = draw(st.integers(0, 8))
    rates = st.floats(1e-8, 9.9)
    method = draw(st.sampled_from(METHODS))
    name = draw(st.sampled_from(NAMES))
    limits = st.lists(st.integers(1, 255), min_size=1, max_size=5, unique=True).map(sorted)
    rows = not takes_images(name)
    return Recipe(
        network=name,
        widths=draw(st.lists(st.integers(1, 5000), min_size=1, max_size=4))
        if name == MLP
        else None,
        fan_in=draw(st.none() | st.integers(1, 64)) if rows else None,
        thermometer=draw(st.none() | limits) if rows and taken != "bits" else None,
        data=data,
        epochs=epochs,
        input=taken,
        threshold=draw(st.integers(1, PUBLISHED[data].high)) if taken == "bits" else None,
        last=draw(st.sampled_from(LASTS)),
        batch=draw(st.integers(2, 1000)),
        learning_rate=draw(rates),
        final_rate=None if schedule == "constant" else draw(rates),
        schedule=schedule,
        optimiser="adam" if momentum is None else "sgd",
        momentum=momentum,
        warm_up=draw(st.integers(1, epochs - 1)) if epochs > 1 and draw(st.booleans()) else None,
        weight_decay=draw(st.floats(0, 1)),
        loss=draw(st.sampled_from(LOSSES)),
        augmentation=draw(st.sampled_from(["shift", "crop_flip"])) if shift else "none",
        shift=shift,
        seed=draw(st.integers(0, 2**32 - 1)),
        held_out=draw(st.integers(0, 500)),
        method=method,
        hyper=draw(st.sampled_from([{}, {"glorot_lr": True}])) if method == "bnn_ste" else {},
        about=draw(st.text(max_size=50).filter(str.isprintable)),
    )


@given(recipes())
def test_toml_gives_the_recipe_back(recipe: Recipe) -> None:
    again = Recipe.from_toml(recipe.to_toml())
    assert again == recipe
    assert again.digest == recipe.digest


def test_every_entry_changes_the_digest() -> None:
    base = Recipe("sfc", "mnist", 3, threshold=128, schedule="linear", final_rate=0.0)
    changes = {
        "network": "tfc",
        "data": "fashion_mnist",
        "epochs": 4,
        "threshold": 127,
        "last": "scale",
        "first": "int8",
        "reads": 300,
        "fan_in": 6,
        "batch": 50,
        "learning_rate": 0.002,
        "final_rate": 0.001,
        "schedule": "cosine",
        "weight_decay": 0.1,
        "loss": "squared_hinge",
        "seed": 2,
        "warm_up": 1,
        "held_out": 5,
        "hyper": {"glorot_lr": True},
        "about": "another",
    }
    made = [base, *(replace(base, **{key: value}) for key, value in changes.items())]
    made.append(replace(base, augmentation="shift", shift=1))
    made.append(replace(base, augmentation="shift", shift=2))
    made.append(replace(base, augmentation="crop_flip", shift=2))
    made.append(replace(base, input="pixels", threshold=None))
    made.append(replace(base, input="centred", threshold=None))
    made.append(replace(base, optimiser="sgd", momentum=0.0))
    made.append(replace(base, optimiser="sgd", momentum=0.9))
    made.append(replace(base, input="pixels", threshold=None, thermometer=[64, 128]))
    made.append(replace(base, network="mlp", widths=[30, 20]))
    made.append(replace(base, network="mlp", widths=[30, 21]))
    made.append(replace(base, network="resnet20"))
    made.append(replace(base, network="resnet20", downsample="int8"))
    assert len({recipe.digest for recipe in made}) == len(made)
    # All is here but the method, whose change the hyper-parameters would not survive.
    assert {f.name for f in fields(Recipe)} - set(changes) == {
        "augmentation",
        "downsample",
        "shift",
        "input",
        "method",
        "optimiser",
        "momentum",
        "thermometer",
        "widths",
    }


def refused(text: str, *parts: str) -> None:
    with pytest.raises(InputError) as error:
        Recipe.from_toml(text, "my.toml")
    message = str(error.value)
    assert message.startswith("my.toml: ")
    assert "\n" not in message
    assert len(message) < 400
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ('network = "resnet"', ["network", "one of", "sfc", "'resnet'"]),
        ("network = 3", ["network", "found 3"]),
        ('data = "/etc/passwd"', ["data", "mnist"]),
        ('method = "os.system"', ["method", "bnn_ste"]),
        ('input = "text"', ["input", "bits, pixels"]),
        ('optimiser = "sgdm"', ["optimiser", "adam", "sgd"]),
        ('optimiser = "sgd"', ["momentum", "expected a number", "found nothing"]),
        ("momentum = 0.9", ["momentum", "nothing without", "found 0.9 with 'adam'"]),
        ("momentum = 1.0", ["momentum", "below 1"]),
        ("warm_up = 3", ["warm_up", "fewer than the 3 epochs"]),
        ('loss = "mse"', ["loss"]),
        ('schedule = "step"', ["schedule"]),
        ('last = "softmax"', ["last"]),
        ('augmentation = "flip"', ["augmentation"]),
        ("reads = 0", ["reads", "from 1"]),
        ("reads = 65", ["reads", "at most the 64 pixels of 'digits'", "found 65"]),
        ('network = "lenet"\nreads = 3', ["reads", "of a network that reads rows", "lenet"]),
        ("widths = [10, 20]", ["widths", "with network 'mlp'", "found (10, 20) with 'digits'"]),
        ('network = "mlp"', ["widths", "a list of widths", "found nothing"]),
        ('network = "mlp"\nwidths = [0]', ["widths", "from 1"]),
        ('network = "mlp"\nwidths = "10"', ["widths", "list", "'10'"]),
        ('network = "lenet"\nfan_in = 6', ["fan_in", "reads rows", "'lenet'"]),
        ("fan_in = 0", ["fan_in", "from 1"]),
        ("thermometer = []", ["thermometer", "list of 1 to 255"]),
        ("thermometer = [8, 4]", ["thermometer", "rising", "[8, 4]"]),
        ("thermometer = [4.5]", ["thermometer", "integers"]),
        ('network = "lenet"\nthermometer = [4]', ["thermometer", "reads rows"]),
        ("epochs = 0", ["epochs", "from 1"]),
        ("epochs = 2.0", ["epochs", "integer", "2.0"]),
        ("epochs = true", ["epochs", "True"]),
        ("batch = 1", ["batch", "from 2"]),
        ("learning_rate = 0", ["learning_rate", "above 0"]),
        ("learning_rate = nan", ["learning_rate", "nan"]),
        ("learning_rate = inf", ["learning_rate", "inf"]),
        ('learning_rate = "0.1"', ["learning_rate", "'0.1'"]),
        ("weight_decay = -1", ["weight_decay", "-1"]),
        ("seed = -1", ["seed", "-1"]),
        ("held_out = 722", ["held_out", "half of the 1442"]),
        ("shift = 1", ["shift", "augmentation"]),
        ('augmentation = "shift"', ["shift", "above 0"]),
        ("threshold = 8", ["threshold", "remove it"]),
        ('input = "bits"', ["threshold", "1 to 16", "found nothing"]),
        ('schedule = "cosine"', ["final_rate", "constant"]),
        ("final_rate = 0.1", ["final_rate", "constant"]),
        ('schedule = "exponential"\nfinal_rate = 0', ["final_rate", "never reaches 0"]),
        ("hyper = 3", ["hyper", "table"]),
        ("hyper = {glorot = true}", ["bnn_ste", "'glorot'"]),
        ("hyper = {glorot_lr = [1]}", ["hyper"]),
        ("hyper = {name = 'rbnn'}", ["bnn_ste", "'name'"]),
        ("method = 'rbnn'\nhyper = {t_min = " + "9" * 400 + "}", ["rbnn", "t_min", "1e+06"]),
        ("method = 'adabin'\nhyper = {fraction = " + "9" * 400 + "}", ["adabin", "0 to 12"]),
        ('about = "two\\nlines"', ["about", "one line"]),
        ('about = "\\u001b[31m"', ["about"]),
        ("eval = 1", ["unknown entry 'eval'", "network"]),
        ('"two\\nlines" = 1', ["unknown entry"]),
    ],
)
def test_bad_entries_are_refused_in_one_line(entry: str, parts: list[str]) -> None:
    replaced = {line.partition(" = ")[0] for line in entry.splitlines()}
    kept = [line for line in TEXT.splitlines() if line.partition(" = ")[0] not in replaced]
    refused("\n".join([*kept, entry]), *parts)


@pytest.mark.parametrize("missing", ["network", "data", "epochs"])
def test_missing_entries_are_named(missing: str) -> None:
    refused("\n".join(x for x in TEXT.splitlines() if not x.startswith(missing)), f"'{missing}'")


@pytest.mark.parametrize(
    "text", ["network", "a = [" * 20_000, "a = " + "9" * 5000, "x = 'é\x00'", "[a]\n[a]"]
)
def test_what_is_no_toml_is_refused(text: str) -> None:
    refused(text, "TOML")


def test_files_are_read_with_care(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(TEXT)
    assert Recipe.read(file) == PLAIN
    file.write_bytes(b"about = '\xff'")
    with pytest.raises(InputError, match="UTF-8"):
        Recipe.read(file)
    file.write_bytes(b"#" * (FILE_LIMIT + 1))
    with pytest.raises(InputError, match="larger"):
        Recipe.read(file)
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(InputError, match="cannot read"):
            Recipe.read(path)


def test_bits_are_pixels_against_the_threshold() -> None:
    recipe = Recipe("sfc", "mnist", 1, threshold=128)
    images = np.zeros((2, 28, 28), np.uint8)
    images[0, 0, :4] = [127, 128, 255, 1]
    u = recipe.encode(images)
    assert u.dtype == np.uint8
    assert u.shape == (2, 784)
    assert u[0, :4].tolist() == [0, 1, 1, 0]
    assert u.sum() == 2
    node = recipe.graph_input()
    assert (node.bit, node.shape, node.scale, node.offset) == (True, (784,), 2.0, -1.0)


def test_pixels_pass_unchanged_row_by_row() -> None:
    recipe = Recipe("sfc", "mnist", 1, input="pixels")
    images = np.arange(2 * 784, dtype=np.uint32).astype(np.uint8).reshape(2, 28, 28)
    assert np.array_equal(recipe.encode(images), images.reshape(2, 784))
    node, expected = recipe.graph_input(), Input.pixels(784)
    assert (node.shape, node.low, node.high, node.scale, node.offset) == (
        expected.shape,
        expected.low,
        expected.high,
        expected.scale,
        expected.offset,
    )
    assert (PLAIN.graph_input().high, PLAIN.graph_input().scale) == (16, 1 / 16)


@pytest.mark.parametrize("shape", [(784,), (1, 784), (28, 28), (1, 28, 27), (1, 28, 28, 1)])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    recipe = Recipe("sfc", "mnist", 1, threshold=128)
    with pytest.raises(InputError, match="batch of 28x28"):
        recipe.encode(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rates_go_from_the_first_to_the_final_one(schedule: str) -> None:
    final = None if schedule == "constant" else 0.001
    recipe = replace(PLAIN, schedule=schedule, learning_rate=0.1, final_rate=final)
    rates = [recipe.rate(k / 10) for k in range(11)]
    assert rates[0] == 0.1
    assert rates[10] == pytest.approx(final or 0.1, rel=1e-12)
    assert rates == sorted(rates, reverse=True)
    middle = {"constant": 0.1, "linear": 0.0505, "cosine": 0.0505, "exponential": 0.01}
    assert rates[5] == pytest.approx(middle[schedule], rel=1e-12)


def test_the_model_is_the_one_named() -> None:
    model = Recipe("tfc", "mnist", 1, threshold=128).make_model()
    weights = [p.shape for p in model.parameters() if p.ndim == 2]
    assert [tuple(s) for s in weights] == [(64, 784), (64, 64), (64, 64), (10, 64)]


def test_a_warm_up_rises_to_the_first_rate_and_the_schedule_takes_the_rest() -> None:
    recipe = replace(
        PLAIN, epochs=10, warm_up=2, schedule="linear", learning_rate=0.1, final_rate=0.0
    )
    rates = [recipe.rate(k / 10) for k in range(11)]
    expected = [0, 0.05, *(0.1 * (1 - k / 8) for k in range(9))]
    assert rates == pytest.approx(expected, abs=1e-15)


def test_convolutions_take_images_and_perceptrons_rows() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    row = Recipe("sfc", "mnist", 1, input="centred")
    image = replace(row, network="lenet")
    assert (row.graph_input().shape, image.graph_input().shape) == ((784,), (28, 28, 1))
    assert image.graph_input().scale == 2 / 255
    assert image.graph_input().offset == -1
    assert np.array_equal(image.encode(images), images[..., None])
    assert np.array_equal(row.encode(images), images.reshape(3, -1))
    bits = replace(image, input="bits", threshold=100)
    assert np.array_equal(bits.encode(images), images[..., None] >= 100)
    assert replace(image, network="cnv", data="cifar10").graph_input().shape == (32, 32, 3)

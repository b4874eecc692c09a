"""The second reading of Keras files: it is right, and it sees each planted fault of the reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from hwbnn.program import quantizers as rules
from hwbnn.readers.keras import activation_quantizers, padding, weight_quantizers
from hwbnn.readers.keras.architecture import LayerConfig
from hwbnn.readers.keras.stored_weights import StoredWeights
from tests.fuzz import keras_files
from tests.fuzz.kinds import FileKind
from tests.readers.keras import forward

FILES = Path(forward.__file__).parent / "files"


@pytest.mark.parametrize(
    "name",
    [
        *("digits_bin_dense.keras", "digits_bin_dense_qkeras09.h5", "digits_ter_conv.keras"),
        *("digits_ter_conv.h5", "digits_ter_conv_qkeras09.h5"),
    ],
)
def test_it_computes_what_the_library_does(name: str) -> None:
    reading = forward.of_keras if name.endswith(".keras") else forward.of_h5
    stem = "digits_bin_dense" if "bin" in name else "digits_ter_conv"
    found, unsure = reading((FILES / name).read_bytes(), load_digits().data / 16)
    assert np.array_equal(found, np.load(FILES / f"{stem}_ref.npz")["logits"])
    assert not unsure.any()


def compared(kind: FileKind) -> None:
    """See that the second reading knows every sample, and agrees."""
    assert kind.right is not None
    for sample in kind.samples:
        assert kind.right(sample, kind.read(sample))


@pytest.mark.parametrize("kind", keras_files.KINDS, ids=repr)
def test_it_agrees_on_every_sample(kind: FileKind) -> None:
    compared(kind)


def halves_go_up(patch: pytest.MonkeyPatch) -> None:
    def rounding(*place: Any, **options: Any) -> Any:
        return rules.rounding(*place, **{**options, "rule": "half_up"})

    patch.setattr(activation_quantizers, "rounding", rounding)


def zero_is_negative(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(weight_quantizers, "binary_layer_codes", lambda x: np.where(x >= 0, 1, -1))
    patch.setattr(
        activation_quantizers,
        "sign",
        lambda *place, **options: rules.sign(*place, **{**options, "zero_is_positive": False}),
    )


def no_alpha_is_1(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(weight_quantizers, "_AUTOMATIC", ())


def larger_half_first(patch: pytest.MonkeyPatch) -> None:
    right = padding.same_padding

    def same_padding(*given: Any) -> Any:
        top, bottom, left, rear = right(*given)
        return bottom, top, rear, left

    patch.setattr(padding, "same_padding", same_padding)


def zeros_stand_outside(patch: pytest.MonkeyPatch) -> None:
    right = LayerConfig.number

    def number(self: LayerConfig, key: str, default: float) -> float:
        return 0.0 if key == "pad_values" else right(self, key, default)

    patch.setattr(LayerConfig, "number", number)


def inputs_in_another_order(patch: pytest.MonkeyPatch) -> None:
    right = StoredWeights.of

    def of(self: StoredWeights, *given: Any, **options: Any) -> list[Any]:
        return [a[..., ::-1, :] if a.ndim > 1 else a for a in right(self, *given, **options)]

    patch.setattr(StoredWeights, "of", of)


def beta_before_gamma(patch: pytest.MonkeyPatch) -> None:
    right = StoredWeights.of

    def of(self: StoredWeights, layer: Any, roles: Any, *given: Any, **options: Any) -> list[Any]:
        found = right(self, layer, roles, *given, **options)
        if "gamma" not in roles:
            return found
        return [found[1], found[0], *found[2:]]

    patch.setattr(StoredWeights, "of", of)


def options_fall_back_to_defaults(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(weight_quantizers.QuantizerConfig, "number", lambda self, name, default: default)


PLANTED: dict[Callable[[pytest.MonkeyPatch], None], FileKind] = {
    halves_go_up: keras_files.CONFIG,
    zero_is_negative: keras_files.LARQ_H5,
    larger_half_first: keras_files.LARQ_H5,
    zeros_stand_outside: keras_files.LARQ_H5,
    inputs_in_another_order: keras_files.H5,
    beta_before_gamma: keras_files.KERAS,
    options_fall_back_to_defaults: keras_files.LARQ_H5,
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_seen(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        compared(PLANTED[plant])


def test_a_kernel_without_alpha_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = keras_files.CONFIG
    null = kind.samples[0].replace(b'"auto_po2"', b"null")
    assert null != kind.samples[0]
    assert kind.right is not None
    assert kind.right(null, kind.read(null))
    no_alpha_is_1(monkeypatch)
    with pytest.raises(AssertionError):
        kind.right(null, kind.read(null))

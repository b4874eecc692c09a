"""Makes small networks of QKeras or Larq with random weights, and the libraries' results.

usage: .keras-venv/bin/python scripts/keras_references.py qkeras FOLDER
       .keras-venv/bin/python scripts/keras_references.py published FOLDER
       TF_USE_LEGACY_KERAS=1 .keras-venv/bin/python scripts/keras_references.py larq FOLDER

With TF_USE_LEGACY_KERAS=1 and QKeras 0.9 on PYTHONPATH (pip install --no-deps --target DIR
QKeras==0.9.0) the first command makes files in the older .h5 format.

Each network is saved as NAME.keras or NAME.h5, with NAME.npz: integers u (Keras was given u / 256)
and the value of every layer. tests/readers/keras/files has such files. The weights are random, so
other versions of the libraries may make other weights. Larq is not in .keras-venv by itself:
.keras-venv/bin/python -m pip install --no-deps larq==0.13.3 terminaltables==3.1.10
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

FRAMES = 24


def qkeras_networks() -> list[Any]:
    """Networks that together use the layers and quantizers of QKeras."""
    import keras
    from qkeras import (
        QActivation,
        QAveragePooling2D,
        QConv1D,
        QConv2D,
        QConv2DBatchnorm,
        QDense,
        QDepthwiseConv2D,
        QDepthwiseConv2DBatchnorm,
    )

    layers = keras.layers

    def sequential(name: str, shape: tuple[int, ...], *inside: Any) -> Any:
        return keras.Sequential([keras.Input(shape), *inside], name=name)

    depthwise = sequential(
        "depthwise",
        (9, 9, 3),
        QActivation("quantized_bits(4,0,1,alpha=1)"),
        QDepthwiseConv2D(
            3,
            padding="same",
            strides=(2, 2),
            depthwise_quantizer="quantized_bits(4,0,1)",
            bias_quantizer="quantized_bits(6,1,alpha=1)",
        ),
        QActivation("quantized_relu(3,1)"),
        QDepthwiseConv2D(2, depth_multiplier=2, depthwise_quantizer="binary", use_bias=False),
        QActivation("quantized_tanh(3)"),
        QConv2D(5, 1, kernel_quantizer="ternary", use_bias=False),
        layers.BatchNormalization(),
        QActivation("binary"),
        layers.GlobalAveragePooling2D(),
        QDense(
            4,
            kernel_quantizer="quantized_bits(3,0,1,alpha=1)",
            bias_quantizer="quantized_bits(4,0,1,alpha=1)",
        ),
        layers.Softmax(),
    )
    sequence = sequential(
        "sequence",
        (12, 3),
        QActivation("quantized_relu(3)"),
        QConv1D(
            4, 3, padding="same", strides=2, kernel_quantizer="binary(alpha=1)", use_bias=False
        ),
        layers.BatchNormalization(),
        QActivation("ternary"),
        QConv1D(
            4,
            3,
            padding="same",
            kernel_quantizer="quantized_po2(4,1)",
            bias_quantizer="quantized_po2(4,1)",
        ),
        QActivation("quantized_relu(4,2)"),
        layers.MaxPooling1D(2),
        layers.Flatten(),
        QDense(3, kernel_quantizer="stochastic_ternary", use_bias=False),
    )
    folded = sequential(
        "folded",
        (8, 8, 2),
        QActivation("quantized_relu(4)"),
        QConv2DBatchnorm(
            4,
            3,
            kernel_quantizer="quantized_bits(4,0,1,alpha=1)",
            bias_quantizer="quantized_bits(6,2,1,alpha=1)",
            activation="quantized_relu(3,1)",
            strides=(2, 2),
            padding="same",
        ),
        QDepthwiseConv2DBatchnorm(
            2,
            depthwise_quantizer="quantized_bits(4,0,1)",
            bias_quantizer="quantized_bits(6,2,1,alpha=1)",
            activation="quantized_bits(4,1,1,alpha=1)",
            padding="same",
        ),
        QConv2DBatchnorm(
            4,
            2,
            kernel_quantizer="quantized_bits(6,1,1)",
            bias_quantizer="quantized_bits(8,3,1,alpha=1)",
            use_bias=False,
        ),
        QActivation("quantized_bits(3,1)"),
        QAveragePooling2D(
            2,
            average_quantizer="quantized_bits(4,0,1,alpha=1)",
            activation="quantized_sigmoid(4)",
        ),
        layers.Reshape((-1,)),
        QDense(4, kernel_quantizer="quantized_bits(2,0,1,alpha=1)", bias_quantizer=None),
    )
    image = keras.Input((8, 8, 3))
    start = QActivation("quantized_relu(2)")(image)
    a = QConv2D(4, 3, padding="same", kernel_quantizer="binary(alpha=1)", use_bias=False)(start)
    a = QActivation("quantized_relu(2,2)")(a)
    b = QConv2D(4, 1, kernel_quantizer="ternary(alpha=1)", use_bias=False)(start)
    b = QActivation("quantized_relu(2,2)")(b)
    joined = layers.ZeroPadding2D(1)(layers.Add()([a, b]))
    joined = QConv2D(4, 3, kernel_quantizer="binary", use_bias=False)(joined)
    joined = QActivation("binary")(layers.BatchNormalization(scale=False)(joined))
    joined = layers.AveragePooling2D(2)(joined)
    joined = QConv2D(3, 4, kernel_quantizer="binary(alpha=1)", use_bias=False)(joined)
    ended = layers.Activation("softmax")(layers.Flatten()(joined))
    return [depthwise, sequence, folded, keras.Model(image, ended, name="branches")]


def published_networks() -> list[Any]:
    """Small networks with the layers, quantizers and strides of networks that were published."""
    import keras
    from qkeras import (
        QActivation,
        QBatchNormalization,
        QConv2D,
        QConv2DBatchnorm,
        QDense,
        QDenseBatchnorm,
        QDepthwiseConv2D,
    )

    layers = keras.layers

    def fixed(bits: int, integer: int) -> str:
        return f"quantized_bits({bits},{integer},alpha=1)"

    def relu(bits: int, integer: int) -> Any:
        return QActivation(f"quantized_relu({bits},{integer})")

    def weights(bits: int, integer: int) -> dict[str, str]:
        return {"kernel_quantizer": fixed(bits, integer), "bias_quantizer": fixed(bits, integer)}

    def folded(filters: int, size: int, stride: int = 1) -> Any:
        given = {"strides": (stride, stride), "padding": "same", **weights(8, 2)}
        return QConv2DBatchnorm(filters, size, **given)

    def sequential(name: str, shape: tuple[int, ...], *inside: Any) -> Any:
        return keras.Sequential([keras.Input(shape), *inside], name=name)

    # MLPerf Tiny's image classification by hls4ml: 8 bits throughout, strides of 4, "same".
    images = sequential(
        *("images", (8, 8, 3), folded(6, 1), relu(8, 2), folded(4, 4), relu(8, 2)),
        *(folded(6, 4, 4), relu(8, 2), layers.Flatten(), QDense(10, **weights(8, 2))),
        layers.Activation("softmax"),
    )
    # Its anomaly detection: an autoencoder of dense layers with a BatchNorm inside.
    anomalies = sequential(
        *("anomalies", (24,), QDenseBatchnorm(16, **weights(12, 6)), relu(6, 6)),
        *(QDenseBatchnorm(4, **weights(12, 6)), relu(6, 6)),
        *(QDense(16, **weights(10, 0)), relu(10, 5), QDense(24, **weights(12, 0))),
    )
    # Keyword spotting with depthwise convolutions, a stride of 2, 6- and 8-bit weights.
    depthwise = {"depthwise_quantizer": fixed(6, 0), "use_bias": False, "padding": "same"}
    words = sequential(
        *("words", (13, 10, 1)),
        QConv2D(6, (10, 4), strides=(2, 2), padding="same", **weights(8, 1)),
        *(layers.BatchNormalization(), relu(8, 3)),
        QDepthwiseConv2D(3, strides=(2, 2), **depthwise),
        *(layers.BatchNormalization(), relu(6, 2)),
        QConv2D(8, 1, kernel_quantizer=fixed(6, 0), use_bias=False),
        *(layers.BatchNormalization(), relu(6, 2), layers.GlobalAveragePooling2D()),
        *(QActivation(fixed(8, 3)), QDense(12, **weights(8, 1)), layers.Softmax()),
    )
    # BatchNorm with quantized parameters: the defaults, and fixed point.
    norms = sequential(
        *("norms", (16,), QDense(16, **weights(4, 0)), QBatchNormalization(), relu(4, 1)),
        QDense(12, kernel_quantizer="ternary(alpha=1)", use_bias=False),
        QBatchNormalization(
            gamma_quantizer=fixed(6, 2),
            beta_quantizer=fixed(6, 1),
            mean_quantizer=fixed(6, 2),
            variance_quantizer=None,
        ),
        *(relu(8, 2), QDense(5, **weights(6, 0))),
    )
    # ResNet-8: sums of two branches, one with a convolution of stride 2.
    image = keras.Input((8, 8, 3))
    x = relu(8, 2)(folded(4, 3)(image))
    for filters, stride in ((4, 1), (6, 2)):
        y = relu(8, 2)(folded(filters, 3, stride)(x))
        y = QActivation(fixed(8, 2))(folded(filters, 3)(y))
        short = x if stride == 1 else QActivation(fixed(8, 2))(folded(filters, 1, stride)(x))
        x = relu(8, 3)(layers.Add()([y, short]))
    x = layers.Flatten()(layers.AveragePooling2D(4)(x))
    ended = layers.Activation("softmax")(QDense(10, **weights(8, 2))(x))
    return [images, anomalies, words, norms, keras.Model(image, ended, name="residual")]


def larq_networks() -> list[Any]:
    """Networks that together use the layers and quantizers of Larq."""
    import larq
    import tf_keras as keras

    layers, quantized = keras.layers, larq.layers
    signs = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "use_bias": False}
    padded = keras.Sequential(
        [
            layers.InputLayer((8, 8, 2)),
            quantized.QuantConv2D(4, 3, padding="same", pad_values=1.0, **signs),
            layers.BatchNormalization(scale=False),
            quantized.QuantConv2D(6, 3, padding="same", strides=2, pad_values=-1.0, **signs),
            layers.MaxPool2D(2),
            layers.BatchNormalization(),
            quantized.QuantDepthwiseConv2D(
                2,
                input_quantizer=larq.quantizers.SteTern(),
                depthwise_quantizer="approx_sign",
                use_bias=False,
            ),
            layers.BatchNormalization(),
            layers.Flatten(),
            quantized.QuantDense(
                5,
                input_quantizer="ste_heaviside",
                kernel_quantizer=larq.quantizers.SteTern(threshold_value=0.2),
            ),
            layers.Activation("softmax"),
        ],
        name="larq_padded",
    )
    dense = keras.Sequential(
        [
            layers.InputLayer((20,)),
            larq.quantizers.SteSign(),
            quantized.QuantDense(12, kernel_quantizer="magnitude_aware_sign", use_bias=False),
            layers.BatchNormalization(),
            quantized.QuantDense(
                12,
                input_quantizer="dorefa_quantizer",
                kernel_quantizer="swish_sign",
                use_bias=False,
            ),
            layers.BatchNormalization(),
            quantized.QuantDense(
                4,
                input_quantizer=larq.quantizers.SwishSign(),
                kernel_quantizer=larq.quantizers.SteTern(ternary_weight_networks=True),
                use_bias=False,
            ),
        ],
        name="larq_dense",
    )
    return [padded, dense]


def randomize(model: Any, rng: np.random.Generator) -> None:
    """Set random weights; the gains of BatchNorm get both signs."""
    weights = []
    for variable in model.weights:
        old = np.asarray(variable)
        name = getattr(variable, "path", variable.name)
        if old.dtype.kind != "f":
            weights.append(old)
            continue
        if "variance" in name:
            new = rng.uniform(0.3, 2, old.shape)
        elif "gamma" in name:
            # quantized_relu_po2 makes 2^-32 of a gain below 0, which float32 loses in the sum.
            signs = [1] if "q_batch_normalization" in name else [-1, 1]
            new = rng.uniform(0.4, 1.5, old.shape) * rng.choice(signs, old.shape)
        else:
            spread = 0.5 if any(part in name for part in ("mean", "beta", "bias")) else 0.4
            new = rng.normal(size=old.shape) * spread
        weights.append(new.astype(np.float32))
    model.set_weights(weights)


def main(library: str, folder: Path) -> None:
    """Make the networks of one library."""
    folder.mkdir(parents=True, exist_ok=True)
    is_legacy = os.environ.get("TF_USE_LEGACY_KERAS") == "1"
    if is_legacy:
        import tf_keras

        sys.modules["keras"] = tf_keras
    rng = np.random.default_rng(1)
    is_larq = library == "larq"
    made = {"qkeras": qkeras_networks, "published": published_networks, "larq": larq_networks}
    for model in made[library]():
        randomize(model, rng)
        low = -128 if is_larq else 0
        u = rng.integers(low, low + 256, (FRAMES, *model.input_shape[1:])).astype(np.int16)
        inside = [layer for layer in model.layers if "Input" not in type(layer).__name__]
        every = _functional(model, inside)
        values = every.predict((u / 256).astype(np.float32), verbose=0)
        named = {layer.name: value for layer, value in zip(inside, values, strict=True)}
        name = f"{model.name}_qkeras09" if is_legacy and not is_larq else model.name
        np.savez_compressed(folder / f"{name}.npz", u=u, **named)
        model.save(folder / f"{name}{'.h5' if is_legacy else '.keras'}")


def _functional(model: Any, inside: list[Any]) -> Any:
    """The model whose outputs are the values of all layers."""
    import keras

    return keras.Model(model.inputs, [layer.output for layer in inside])


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("qkeras", "published", "larq"):
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))

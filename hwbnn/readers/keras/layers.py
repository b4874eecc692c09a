"""Translates each layer of a Keras network to layers of a program, or refuses it by its name."""

from __future__ import annotations

from collections.abc import Callable

from hwbnn.errors import CannotLower, nearest
from hwbnn.program import Program
from hwbnn.readers.keras import plain_layers, pooling_layers, quantized_norm, weighted_layers
from hwbnn.readers.keras.architecture import Architecture, LayerConfig
from hwbnn.readers.keras.stored_weights import StoredWeights
from hwbnn.readers.keras.translation import NO_MARGINS, LayerValue, Translation


def program_of(network: Architecture, weights: StoredWeights, generation: int) -> Program:
    """The program of a network.

    Args:
        network: the layers of the network.
        weights: the arrays of these layers.
        generation: 2 for files of Keras 2, 3 for files of Keras 3.

    Raises:
        InputError: if the file is damaged.
        CannotLower: naming a layer that has no exact form.
    """
    net = Translation(network, weights, generation)
    shape, remarks = net.read_input()
    net.shapes[network.input] = shape
    for layer in network.layers:
        if layer.name in net.values:
            continue  # a reshape of the input, already applied to the input's shape
        translate = _LAYERS.get(layer.kind)
        if translate is None:
            raise layer.refuse(_refusal(layer.kind))
        _check_options(layer)
        net.values[layer.name] = translate(net, layer)
    output = net.values.get(network.output)
    if output is None:
        raise CannotLower("the network's output is its input; save one that computes something")
    if output.padding != NO_MARGINS:
        raise CannotLower("the network ends in a ZeroPadding2D; leave that out")
    layers, said = tuple(net.layers), (*net.remarks, *remarks)
    return Program("Keras", network.input, shape, layers, output.name, remarks=said)


Translate = Callable[[Translation, LayerConfig], LayerValue]
_LAYERS: dict[str, Translate] = {
    **dict.fromkeys(
        ("Dense", "QDense", "QDenseBatchnorm", "QuantDense", "BinaryDense", "TernaryDense"),
        weighted_layers.dense,
    ),
    **dict.fromkeys(
        (
            *("Conv2D", "QConv2D", "QConv2DBatchnorm", "QuantConv2D", "BinaryConv2D"),
            *("TernaryConv2D", "Conv1D", "QConv1D", "QuantConv1D"),
        ),
        weighted_layers.convolution,
    ),
    **dict.fromkeys(
        (
            *("DepthwiseConv2D", "QDepthwiseConv2D", "QDepthwiseConv2DBatchnorm"),
            "QuantDepthwiseConv2D",
        ),
        weighted_layers.depthwise,
    ),
    **dict.fromkeys(
        ("SeparableConv2D", "QSeparableConv2D", "SeparableConv1D", "QSeparableConv1D"),
        weighted_layers.separable,
    ),
    **dict.fromkeys(("BatchNormalization", "BatchNormalizationV1"), plain_layers.batch_norm),
    "QBatchNormalization": quantized_norm.quantized_batch_norm,
    **dict.fromkeys(("Activation", "QActivation"), plain_layers.activation),
    **dict.fromkeys(
        (
            *("SteSign", "ApproxSign", "SwishSign", "SteHeaviside", "SteTern", "DoReFa"),
            "DoReFaQuantizer",
        ),
        plain_layers.larq_quantizer,
    ),
    "ReLU": plain_layers.relu,
    "Softmax": plain_layers.softmax,
    **dict.fromkeys(
        (
            *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise"),
            *("GaussianDropout", "AlphaDropout", "ActivityRegularization"),
        ),
        plain_layers.identity,
    ),
    "Flatten": plain_layers.flatten,
    "Reshape": plain_layers.reshape,
    **dict.fromkeys(("MaxPooling2D", "MaxPooling1D"), pooling_layers.max_pool),
    **dict.fromkeys(
        ("AveragePooling2D", "AveragePooling1D", "QAveragePooling2D"), pooling_layers.average_pool
    ),
    **dict.fromkeys(
        (
            *("GlobalAveragePooling2D", "GlobalAveragePooling1D", "QGlobalAveragePooling2D"),
            *("GlobalMaxPooling2D", "GlobalMaxPooling1D"),
        ),
        pooling_layers.global_pool,
    ),
    "Add": plain_layers.addition,
    "Concatenate": plain_layers.concatenation,
    "ZeroPadding2D": plain_layers.zero_padding,
}
LAYERS: tuple[str, ...] = ("InputLayer", *_LAYERS)
"""The classes of layers that are read."""
_INSTEAD = {
    "Lambda": "holds Python code, which is never run; replace it by layers",
    "QuantSeparableConv2D": "is not read; take a depthwise convolution and one of one pixel",
    "QAdaptiveActivation": "is not read; take QActivation with the bits that it found",
    "UpSampling2D": "is not read; leave it out, or train on larger images",
}
_ALIKE = {
    "QuantSeparableConv1D": "QuantSeparableConv2D",
    "TFOpLambda": "Lambda",
    "SlicingOpLambda": "Lambda",
}


_OPTIONS = frozenset(
    (
        *("name", "trainable", "dtype", "batch_shape", "batch_input_shape", "input_dim"),
        *("input_shape", "input_dtype", "data_format", "activation", "use_bias", "units"),
        *("filters", "kernel_size", "strides", "padding", "dilation_rate", "groups"),
        *("depth_multiplier", "pool_size", "keepdims", "axis", "momentum", "epsilon", "center"),
        *("scale", "fused", "renorm", "renorm_clipping", "renorm_momentum", "synchronized"),
        *("virtual_batch_size", "adjustment", "ema_freeze_delay", "folding_mode", "metrics"),
        *(
            "kernel_quantizer",
            "bias_quantizer",
            "depthwise_quantizer",
            "pointwise_quantizer",
            "input_quantizer",
        ),
        *("gamma_quantizer", "beta_quantizer", "mean_quantizer", "variance_quantizer"),
        *("inverse_quantizer", "gamma_range", "beta_range"),
        *("average_quantizer", "quantizer", "pad_values", "mask", "H", "rate", "seed"),
        *("noise_shape", "stddev", "target_shape", "max_value", "negative_slope", "threshold"),
        *("l1", "l2", "precision", "clip_value", "beta", "threshold_value", "k_bit", "mode"),
        *("ternary_weight_networks", "kernel_range", "bias_range", "depthwise_range"),
    )
)
"""Options that have no effect in inference, or that the layer's function reads or refuses."""
_OF_TRAINING = ("_initializer", "_regularizer", "_constraint", "_lr_multiplier")
"""Endings of the names of options that have an effect in training only."""


def _check_options(layer: LayerConfig) -> None:
    """Refuse unknown options, since they may change what a layer computes."""
    for name, value in layer.config.items():
        if name in _OPTIONS or name.endswith(_OF_TRAINING) or value is None or value is False:
            continue
        raise layer.refuse(
            f"has an option {ascii(name)[:40]} that is not known and may change what it computes; "
            "save the network without it"
        )
    dtype = layer.config.get("dtype")
    if isinstance(dtype, dict):
        policy = dtype.get("config")
        dtype = policy.get("name") if isinstance(policy, dict) else None
    if dtype not in (None, "float32", "float64"):
        raise layer.refuse(
            f"computes in {ascii(dtype)[:40]}, which rounds sums; save the network in float32"
        )


def _refusal(kind: str) -> str:
    """Why a class of layers is not read, and what to do."""
    said = _INSTEAD.get(_ALIKE.get(kind, kind))
    if said is not None:
        return said
    if any(word in kind for word in ("LSTM", "GRU", "RNN", "Bidirectional", "TimeDistributed")):
        return "is recurrent, which has no form in hardware here; take dense or Conv1D layers"
    return f"is not read; known are {nearest(kind, LAYERS)}"

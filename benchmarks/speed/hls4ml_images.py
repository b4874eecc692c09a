"""hls4ml 1.3.0's own lowering of CNV; :mod:`.hls4ml_dense` has that of dense layers.

Binary weights, no bias, BatchNorm, sign, and pools behind the sign, with ``io_stream``: with
``io_parallel`` a convolution of this size is no longer compiled as a loop. Precision is
``ap_fixed<24,14>``, which holds every sum. hls4ml's merged threshold has no direction, so it is
given the same function without falling channels (:func:`.networks.rising`); what it
computes then are the Graph's sums, which is checked wherever it is measured.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from hls4ml.model.graph import ModelGraph
from hls4ml.model.quantizers import BinaryQuantizer
from hls4ml.utils.config import create_config

from benchmarks.speed.networks import rising
from hwbnn.graph import Conv2d, Dot, Flatten, Graph, MaxPool, Threshold

PRECISION = "ap_fixed<24,14>"


class Binary(BinaryQuantizer):  # type: ignore[misc]
    """-1 and +1, or 0 and 1; its own result stays what it is.

    The pass ``quantize_dense_output`` quantizes weights that are quantized already, and as often as
    other passes change the network: hls4ml's own class then makes all of them +1.
    """

    def __call__(self, data: Any) -> Any:
        return super().__call__(np.where(data > 0, 1.0, -1.0))


Binary.__name__ = "BinaryQuantizer"  # the pass goes by the name of the class


def lowered(graph: Graph, folder: Path) -> ModelGraph:
    """The network, compiled for C simulation in a folder, up to its last sums."""
    graph = rising(graph)
    layers: list[dict[str, Any]] = [
        {"class_name": "InputLayer", "name": "x", "input_shape": list(graph.input.shape)}
    ]
    for node in graph.nodes:
        layers += _layers(node, graph)
    config = create_config(output_dir=str(folder), backend="Vitis", io_type="io_stream")
    model = {"Precision": {"default": PRECISION}, "ReuseFactor": 1, "Strategy": "Resource"}
    config["HLSConfig"] = {"Model": model}
    with contextlib.redirect_stdout(io.StringIO()):  # hls4ml prints as it goes
        made = ModelGraph.from_layer_list(config, layers)
        made.compile()
    return made


def _layers(node: Any, graph: Graph) -> list[dict[str, Any]]:
    """What hls4ml's Keras converter makes of the layers that a node stands for."""
    match node:
        case Conv2d():
            return [_convolution(node, graph)]
        case Dot():
            return [_weights(node.name, "BinaryDense", node.signs.T) | _ends(node)]
        case Threshold():
            return [_norm(node, graph), _sign(node)]
        case MaxPool():
            return [_pool(node, graph)]
        case Flatten():
            size = [graph.types[node.name].size]
            return [{"class_name": "Reshape", "name": node.name, "target_shape": size}]
    return []


def _weights(name: str, kind: str, bits: Any) -> dict[str, Any]:
    quantizer = Binary(bits=2)
    return {
        **{"class_name": kind, "name": name, "use_bias": False, "bias_data": None},
        **{"weight_data": np.where(bits, 1.0, -1.0), "weight_quantizer": quantizer},
        **{"bias_quantizer": quantizer, "data_format": "channels_last"},
    }


def _ends(node: Dot) -> dict[str, Any]:
    return {"n_in": node.weights.shape[1], "n_out": node.weights.shape[0]}


def _convolution(node: Conv2d, graph: Graph) -> dict[str, Any]:
    (height, width, depth), made = graph.types[node.source].shape, graph.types[node.name].shape
    return _weights(node.name, "Conv2D", node.signs.transpose(1, 2, 3, 0)) | {
        **{"in_height": height, "in_width": width, "n_chan": depth, "n_filt": made[2]},
        **{"filt_height": 3, "filt_width": 3, "stride_height": 1, "stride_width": 1},
        **{"out_height": made[0], "out_width": made[1], "padding": "valid"},
        **{"pad_top": 0, "pad_bottom": 0, "pad_left": 0, "pad_right": 0},
    }


def _norm(node: Threshold, graph: Graph) -> dict[str, Any]:
    t, channels = graph.types[node.name], len(node.falling)
    return {
        **{"class_name": "BatchNormalization", "name": f"norm_{node.name}"},
        **{"n_in": t.size, "n_out": t.size, "n_filt": channels if len(t.shape) > 1 else -1},
        **{"use_gamma": True, "use_beta": True, "epsilon": 0.0},
        **{"gamma_data": np.ones(channels), "beta_data": np.zeros(channels)},
        "mean_data": node.thresholds[:, 0].astype(np.float64),
        "variance_data": np.ones(channels),
    }


def _sign(node: Threshold) -> dict[str, Any]:
    return {"class_name": "Activation", "name": node.name, "activation": "binary_tanh"}


def _pool(node: MaxPool, graph: Graph) -> dict[str, Any]:
    (height, width, channels), made = graph.types[node.source].shape, graph.types[node.name].shape
    return {
        **{"class_name": "MaxPooling2D", "name": node.name, "data_format": "channels_last"},
        **{"in_height": height, "in_width": width, "n_filt": channels},
        **{"pool_height": 2, "pool_width": 2, "stride_height": 2, "stride_width": 2},
        **{"out_height": made[0], "out_width": made[1], "padding": "valid"},
        **{"pad_top": 0, "pad_bottom": 0, "pad_left": 0, "pad_right": 0},
    }

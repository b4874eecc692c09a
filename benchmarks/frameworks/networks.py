"""The networks: their files, the samples that they take, and what other executors computed.

Files and references are other people's and are not kept here. A reference is a ``.npz`` file, made
by an executor that is not this project's. ``sums`` are integers before the choice of the class,
``logits`` real numbers, ``argmax`` classes; other arrays are activations.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hwbnn.estimate import plan_for_ii
from hwbnn.graph import Graph, Input
from hwbnn.graph.arrays import Array
from hwbnn.plan import Folded, Plan
from hwbnn.training.data import FOLDER_VARIABLE, dataset
from hwbnn.training.image_files import read_records

CNV_INTERVAL = 54_288
"""Cycles for an image: 1,842 a second at 100 MHz, as BNN-PYNQ's cnvW1A2 on a PYNQ board."""
LFC_FOLDINGS = ((32, 64), (64, 32), (32, 64), (10, 8))
"""Neurons and synapses a cycle of each layer of BNN-PYNQ's LFC on the board."""


@dataclass(frozen=True)
class Network:
    """A network of another framework.

    Attributes:
        file: the file or folder, inside the folder of all files.
        reference: the file of the reference, likewise.
        samples: the integers that arrive; the first of the reference's frames may be fewer.
        input: their shape and map; None where the file says it.
        weights: the file of weights of a Keras ``.json``.
        forms: other files of the same network, each with its file of weights or "".
        activations: arrays of the reference by the node of the Graph that has them.
        plan: the Plan of its core.
        frames: images that HLS and RTL compute.
    """

    file: str
    reference: str
    samples: Callable[[Mapping[str, Array]], Array]
    input: Input | None = None
    weights: str = ""
    forms: tuple[tuple[str, str], ...] = ()
    activations: Mapping[str, str] = field(default_factory=dict)
    plan: Callable[[Graph], Plan] = lambda graph: Plan()
    frames: int = 200


def _mnist(reference: Mapping[str, Array]) -> Array:
    return dataset("mnist").test_images.reshape(-1, 784)


def _dark(reference: Mapping[str, Array]) -> Array:
    return _mnist(reference) >= 128


def _cifar(reference: Mapping[str, Array]) -> Array:
    """The test images in the order of their file; :func:`dataset` has them in an order of its own.

    Raises:
        InputError: if the images are not the published ones.
    """
    dataset("cifar10")
    images, _ = read_records(next(Path(os.environ[FOLDER_VARIABLE]).rglob("test_batch.bin")))
    return images


def _half_cifar(reference: Mapping[str, Array]) -> Array:
    return _cifar(reference)[:1000, ::2, ::2]


def _digits(*shape: int) -> Callable[[Mapping[str, Array]], Array]:
    def samples(reference: Mapping[str, Array]) -> Array:
        from sklearn.datasets import load_digits

        x: Array = load_digits().data.astype(np.int64).reshape(-1, *shape)
        return x

    return samples


def _own(reference: Mapping[str, Array]) -> Array:
    x: Array = reference["x"]
    return x


def _lfc_plan(graph: Graph) -> Plan:
    layers = {f"dot_{i + 1}": Folded(pe, simd) for i, (pe, simd) in enumerate(LFC_FOLDINGS)}
    return Plan(layers=layers)


def _cnv_plan(graph: Graph) -> Plan:
    return plan_for_ii(graph, CNV_INTERVAL)


def _folded(interval: int) -> Callable[[Graph], Plan]:
    return lambda graph: plan_for_ii(graph, interval)


TWO_ACTIVATIONS = {"a1_codes_first400": "threshold_1", "a2_codes_first400": "threshold_2"}


def _digit_input(*shape: int) -> Input:
    return Input("x", shape, 0, 16, scale=1 / 16)


NETWORKS: dict[str, Network] = {
    "BNN-PYNQ lfcW1A2": Network(
        "bnn-pynq/mnist/lfcW1A2", "bnn-pynq/pynq_mnist_lfcW1A2.npz", _dark, plan=_lfc_plan
    ),
    "BNN-PYNQ cnvW1A2": Network(
        "bnn-pynq/cifar10/cnvW1A2",
        "bnn-pynq/pynq_cifar10_cnvW1A2.npz",
        _cifar,
        plan=_cnv_plan,
        frames=6,
    ),
    "QONNX TFC_2W2A": Network(
        "TFC_2W2A.onnx",
        "zoo_TFC_2W2A_mnist10000.npz",
        _mnist,
        Input.pixels((784,)),
        activations={"act3_first1000": "threshold_4"},
        plan=_folded(784),
    ),
    "QKeras MNIST dense": Network(
        "qkeras_mnist_dense.json",
        "example_qkeras_mnist_dense_first2000.npz",
        _mnist,
        Input.pixels((784,)),
        weights="qkeras_mnist_dense_weights.h5",
        plan=_folded(784),
    ),
    "QKeras digits, dense": Network(
        "digits_bin_dense.keras",
        "digits_bin_dense_ref.npz",
        _digits(64),
        _digit_input(64),
        forms=(("digits_bin_dense_qkeras09.h5", ""),),
        activations=TWO_ACTIVATIONS,
        plan=_folded(64),
    ),
    "QKeras digits, ternary convolutions": Network(
        "digits_ter_conv.keras",
        "digits_ter_conv_ref.npz",
        _digits(8, 8, 1),
        _digit_input(8, 8, 1),
        forms=(
            ("digits_ter_conv.h5", ""),
            ("digits_ter_conv_qkeras09.h5", ""),
            ("digits_ter_conv_qkeras09.json", "digits_ter_conv_qkeras09_weights.h5"),
        ),
        activations=TWO_ACTIVATIONS,
        plan=_folded(128),
    ),
    "Brevitas export, mixed convolutions": Network(
        "ours_qonnx_mixed_conv.onnx",
        "ours_qonnx_mixed_conv_ref.npz",
        _half_cifar,
        Input.pixels((16, 16, 3), scale=2 / 255, offset=-1.0),
        plan=_folded(1024),
    ),
    "FINN-ONNX dense": Network(
        "ours_finn_dense.onnx", "ours_finn_dense_ref.npz", _own, plan=_folded(24)
    ),
}
"""All networks by name."""


def reference_of(network: Network, folder: Path) -> dict[str, Any]:
    """The arrays of a network's reference."""
    with np.load(folder / network.reference) as arrays:
        return {name: arrays[name] for name in arrays.files}

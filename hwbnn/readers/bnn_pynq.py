"""BNN-PYNQ parameter folders (Xilinx BNN-PYNQ, Umuroglu et al., FINN, FPGA 2017).

A folder holds ``<layer>-<pe>-weights.bin`` (words of 64 bits) and ``<layer>-<pe>-thres.bin``
(int64) for each processing element, and ``classes.txt``. Neuron ``n`` is in file ``n mod PE`` at
position ``n div PE``. Each word of a neuron holds SIMD weights; weight ``i`` begins at bit
``i * b``, where ``b`` is the number of bits of a weight. The folder does not state ``b``, PE and
SIMD: they follow from the network, which is recognised by the number and sizes of the files
(:data:`NETWORKS`).

Weights of one bit are -1 (bit 0) and +1 (bit 1); weights of two bits are in two's complement.
Activations of one bit are +1 where the sum, a popcount of XNOR, is above its threshold, else -1.
Activations of two bits are -1 plus the number of thresholds below the sum: -1, 0 or +1. Both
comparisons are strict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwbnn.errors import CannotLower, InputError
from hwbnn.graph import Input
from hwbnn.graph.arrays import Ints, Words
from hwbnn.program import Convolution, Dense, Flattening, Layer, MaxPooling, Program, Quantizer
from hwbnn.program.quantizers import rounding, sign

NAME = "BNN-PYNQ folder"
_FILE = re.compile(r"([0-9]{1,2})-([0-9]{1,3})-(weights|thres)\.bin")
_MOST_FILES = 4096
_MOST_BYTES = 1 << 24
"""Bytes of the largest file."""
_MOST_CLASSES = 1024


@dataclass(frozen=True)
class PynqNetwork:
    """One of the networks that the folders hold.

    Attributes:
        name: name of the network in BNN-PYNQ.
        weight_bits: bits of a weight, 1 or 2.
        activation_bits: bits of an activation, 1 or 2.
        pe: number of processing elements of each layer.
        simd: number of weights in a word of each layer.
    """

    name: str
    weight_bits: int
    activation_bits: int
    pe: tuple[int, ...]
    simd: tuple[int, ...]

    @property
    def is_convolutional(self) -> bool:
        """Whether it is CNV, not LFC."""
        return len(self.pe) == 9


_LFC = (32, 64, 32, 16), (64, 32, 64, 8)
_CNV_1 = (16, 32, 16, 16, 4, 1, 1, 1, 4), (3, 32, 32, 32, 32, 32, 4, 8, 1)
_CNV_2 = (8, 16, 8, 8, 4, 1, 1, 2, 4), (3, 16, 16, 16, 8, 8, 2, 2, 1)
NETWORKS = (
    PynqNetwork("lfcW1A1", 1, 1, *_LFC),
    PynqNetwork("lfcW1A2", 1, 2, *_LFC),
    PynqNetwork("cnvW1A1", 1, 1, *_CNV_1),
    PynqNetwork("cnvW1A2", 1, 2, *_CNV_1),
    PynqNetwork("cnvW2A2", 2, 2, *_CNV_2),
)
"""The networks, with the folding of the published overlays."""
_LFC_WIDTHS = (784, 1024, 1024, 1024)
_CNV_CHANNELS = (3, 64, 64, 128, 128, 256, 256, 512, 512)
"""Inputs of each layer: channels for convolutions, then elements for dense layers."""
_PIXEL_BITS = 7
"""Fraction bits of the input of CNV, which has 8 signed bits."""


def recognises(path: Path, head: bytes) -> bool:
    """Whether a folder has the weights of the first processing element of the first layer."""
    return path.is_dir() and (path / "0-0-weights.bin").is_file()


def read(path: Path, weights: Path | None) -> Program:
    """The network in a folder.

    Raises:
        InputError: if files are missing or of wrong sizes, or belong to no known network.
    """
    if weights is not None:
        raise InputError(f"{path}: a {NAME} has its weights inside; give no second file")
    sizes = _sizes(path)
    network = _network(path, sizes)
    folder = _Folder(path, network, sizes)
    return _cnv(folder) if network.is_convolutional else _lfc(folder)


def _sizes(path: Path) -> dict[tuple[int, int, str], int]:
    """The size of each file of parameters, by layer, processing element and kind."""
    sizes = {}
    try:
        for count, each in enumerate(path.iterdir()):
            if count >= _MOST_FILES:
                raise InputError(f"{path}: more than {_MOST_FILES} files; is this the folder?")
            match = _FILE.fullmatch(each.name)
            if match and each.is_file() and not each.is_symlink():
                sizes[int(match[1]), int(match[2]), match[3]] = each.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return sizes


def _network(path: Path, sizes: Mapping[tuple[int, int, str], int]) -> PynqNetwork:
    """The known network whose layers have the same number and sizes of files."""
    layers = 1 + max(layer for layer, _, _ in sizes)
    elements = tuple(
        1 + max((pe for layer, pe, kind in sizes if (layer, kind) == (i, "weights")), default=-1)
        for i in range(layers)
    )
    for network in NETWORKS:
        outputs = 64 if network.is_convolutional else 1024
        steps = network.activation_bits if network.activation_bits == 1 else 2
        places = outputs // network.pe[0]
        if network.pe == elements and sizes.get((0, 0, "thres")) == 8 * places * steps:
            return network
    known = ", ".join(n.name for n in NETWORKS)
    raise InputError(
        f"{path}: its layers have {elements} processing elements; expected those of one of {known}"
    )


@dataclass(frozen=True, eq=False)
class _Folder:
    """The files of a network."""

    path: Path
    network: PynqNetwork
    sizes: Mapping[tuple[int, int, str], int]

    def label(self, layer: int) -> str:
        """The name of a layer in messages."""
        return f"{self.path}: layer {layer}"

    def words(self, layer: int, kind: str, expected: int | None) -> list[Words]:
        """The words of each processing element."""
        found = []
        for pe in range(self.network.pe[layer]):
            name = f"{layer}-{pe}-{kind}.bin"
            size = self.sizes.get((layer, pe, kind), -1)
            wanted = 8 * expected if expected is not None else size
            if size != wanted or size % 8 or not 0 < size <= _MOST_BYTES:
                there = "no file" if size < 0 else f"{size} bytes"
                raise InputError(
                    f"{self.path / name}: expected {wanted if wanted > 0 else 'whole words of 8'} "
                    f"bytes, found {there}"
                )
            try:
                data = (self.path / name).read_bytes()
            except OSError as error:
                raise InputError(f"{self.path / name}: {error.strerror}") from None
            if len(data) != size:
                raise InputError(f"{self.path / name}: changed while it was read")
            found.append(np.frombuffer(data, "<u8"))
        return found

    def weights(self, layer: int, neurons: int | None, inputs: int) -> Ints:
        """The weights of a layer, int64 ``(neurons, inputs)``; with None, all rows of the files."""
        pe, simd, bits = self.network.pe[layer], self.network.simd[layer], self.network.weight_bits
        places = -(-inputs // simd)
        rows = None if neurons is None else places * (neurons // pe)
        words = self.words(layer, "weights", rows)
        if len({len(w) for w in words}) > 1 or len(words[0]) % places:
            raise InputError(f"{self.label(layer)}: its files hold no whole number of neurons")
        # (pe, place, word) -> neuron = place * pe + element
        packed = np.stack(words).reshape(pe, -1, places).transpose(1, 0, 2).reshape(-1, places)
        single = np.unpackbits(packed.reshape(-1, 1).view(np.uint8), axis=1, bitorder="little")
        single = single[:, : simd * bits].reshape(len(packed), -1, bits)[:, :inputs]
        if bits == 1:
            return np.asarray(2 * single[:, :, 0].astype(np.int64) - 1)
        return np.asarray(single[:, :, 0] - 2 * single[:, :, 1].astype(np.int64))

    def thresholds(self, layer: int, neurons: int) -> Ints:
        """The thresholds of a layer, int64 ``(neurons, 1 or 2)``."""
        pe, steps = self.network.pe[layer], 1 if self.network.activation_bits == 1 else 2
        words = self.words(layer, "thres", steps * (neurons // pe))
        parts = np.stack(words).view("<i8").reshape(pe, -1, steps)
        return parts.transpose(1, 0, 2).reshape(neurons, steps).astype(np.int64)

    @property
    def classes(self) -> int | None:
        """The number of lines in ``classes.txt``; None if there is no such regular file."""
        if not (self.path / "classes.txt").is_file():  # opening a pipe would wait for ever
            return None
        try:
            with (self.path / "classes.txt").open("rb") as file:
                text = file.read(1 << 16)
        except OSError:
            return None
        names = [line for line in text.splitlines() if line.strip()]
        if not 0 < len(names) <= _MOST_CLASSES:
            raise InputError(
                f"{self.path / 'classes.txt'}: expected a line for each class, found {len(names)}"
            )
        return len(names)

    def quantizer(self, layer: int, source: str, neurons: int, inputs: int) -> Quantizer:
        """The activation behind a layer with signed sums over ``inputs`` inputs."""
        found = self.thresholds(layer, neurons)
        if self.network.activation_bits == 1:
            # A popcount p of n terms is above t where the signed sum 2 p - n is above 2 t - n.
            found = 2 * found - inputs
        edges = np.sort(found, axis=1).astype(np.float64)
        if (np.abs(edges) >= 1 << 31).any():
            raise CannotLower(
                f"{self.label(layer)}: a threshold of {int(np.abs(edges).max())} is beyond every "
                "sum; the folder is damaged, or of another network"
            )
        bits = self.network.activation_bits
        scale, rule = (2.0, "-1 and +1") if bits == 1 else (1.0, "-1, 0 and 1")
        return Quantizer(
            f"{layer}-thres",
            "thresholds",
            source,
            edges=edges,
            closed=np.zeros(edges.shape[1], np.bool_),
            scale=scale,
            offset=-1.0,
            rule=f"{rule}, sums above the thresholds",
        )


def _lfc(folder: _Folder) -> Program:
    """The program of LFC: 784 bits, three layers of 1024 neurons, and the classes."""
    layers: list[Layer] = [sign("binarized", "input", "x")]
    for i, inputs in enumerate(_LFC_WIDTHS):
        last = i == len(_LFC_WIDTHS) - 1
        # The first layer is padded to whole words with inputs that are -1.
        simd = folder.network.simd[i]
        padded = -(-inputs // simd) * simd
        weights = folder.weights(i, None if last else 1024, padded)
        weights, extra = weights[:, :inputs], weights[:, inputs:]
        if last:
            weights = _classes(folder, i, weights)
        name = f"{i}-weights"
        layers.append(Dense(name, "weights", layers[-1].name, weights, np.ones(1)))
        if not last:
            layers.append(folder.quantizer(i, name, 1024, padded))
            if i == 0:
                layers[-1] = _less(layers[-1], -extra.sum(axis=1))
    return Program(
        f"BNN-PYNQ {folder.network.name}",
        "x",
        (784,),
        tuple(layers),
        layers[-1].name,
        Input.bits(784),
    )


def _less(layer: Layer, part: Ints) -> Quantizer:
    """A quantizer for sums without a constant ``part``, which is subtracted from its thresholds."""
    assert isinstance(layer, Quantizer)
    edges = layer.edges - part[:, None]
    return Quantizer(
        layer.name,
        layer.kind,
        layer.source,
        edges=edges,
        closed=layer.closed,
        scale=layer.scale,
        offset=layer.offset,
        rule=layer.rule,
    )


def _cnv(folder: _Folder) -> Program:
    """The program of CNV: six 3x3 convolutions, two pools, three dense layers."""
    scale = 2.0**-_PIXEL_BITS
    limits = {"low": -(1 << _PIXEL_BITS), "high": (1 << _PIXEL_BITS) - 1}
    layers: list[Layer] = [
        rounding("pixels", "input", "x", step=scale, scale=1.0, rule="half_up", **limits)
    ]
    outputs = (64, 64, 128, 128, 256, 256, 512, 512)
    for i, depth in enumerate(_CNV_CHANNELS):
        name, source = f"{i}-weights", layers[-1].name
        if i < 6:
            weights = folder.weights(i, outputs[i], 9 * depth).reshape(outputs[i], 3, 3, depth)
            layers.append(Convolution(name, "weights", source, weights, np.ones(1)))
        elif i < 8:
            dense = folder.weights(i, outputs[i], depth)
            layers.append(Dense(name, "weights", source, dense, np.ones(1)))
        else:
            dense = _classes(folder, i, folder.weights(i, None, depth))
            layers.append(Dense(name, "weights", source, dense, np.ones(1)))
            break
        inputs = 9 * depth if i < 6 else depth
        if i == 0:
            layers.append(_pixel_quantizer(folder, name))
        else:
            layers.append(folder.quantizer(i, name, outputs[i], inputs))
        if i in (1, 3):
            layers.append(MaxPooling(f"{i}-pool", "pool", layers[-1].name, (2, 2), (2, 2)))
        if i == 5:
            layers.append(Flattening("flat", "flatten", layers[-1].name))
    return Program(
        f"BNN-PYNQ {folder.network.name}",
        "x",
        (32, 32, 3),
        tuple(layers),
        layers[-1].name,
        Input.pixels((32, 32, 3), scale=2 / 255, offset=-1.0),
    )


def _pixel_quantizer(folder: _Folder, source: str) -> Quantizer:
    """The first activation of CNV: its thresholds have 8 fraction bits, its sums 7."""
    found = folder.thresholds(0, 64)
    edges = np.sort(found, axis=1) / 2.0
    bits = folder.network.activation_bits
    return Quantizer(
        "0-thres",
        "thresholds",
        source,
        edges=edges,
        closed=np.zeros(edges.shape[1], np.bool_),
        scale=2.0 if bits == 1 else 1.0,
        offset=-1.0,
        rule="twice the sum above the thresholds",
    )


def _classes(folder: _Folder, layer: int, weights: Ints) -> Ints:
    """The weights of the neurons that are classes; the last layer may have more neurons."""
    classes = folder.classes
    if classes is None:
        classes = min(10, len(weights))
    if classes > len(weights):
        raise InputError(
            f"{folder.path / 'classes.txt'}: names {classes} classes, and layer {layer} has "
            f"{len(weights)} neurons"
        )
    return weights[:classes]

"""BNN-PYNQ folders: words, padding, strict thresholds, and damaged folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwbnn
from hwbnn.errors import HwbnnError, InputError
from hwbnn.program import Convolution, Quantizer
from hwbnn.readers import read_program
from hwbnn.readers.bnn_pynq import NETWORKS
from hwbnn.simulators import simulate
from tests.readers.bnn_pynq.folders import write_layer, write_lfc


@pytest.fixture(scope="module", params=[1, 2])
def lfc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    bits = request.param
    folder = tmp_path_factory.mktemp("bnn") / f"lfc{bits}"
    return folder, write_lfc(folder, bits, bits), bits


def board(found: dict[str, Any], bits: int, x: Any, *, strict: bool = True) -> Any:
    """The sums of the last layer as the board computes them, with 48 inputs of -1 beside."""
    a = np.concatenate([2 * x - 1, -np.ones((len(x), 48), int)], axis=1)
    for i in range(3):
        sums = a @ found[f"w{i}"].T
        compared = (sums + a.shape[1]) // 2 if bits == 1 else sums
        t = found[f"t{i}"]
        above = compared[..., None] > t if strict else compared[..., None] >= t
        a = 2 * above[..., 0] - 1 if bits == 1 else above.sum(axis=-1) - 1
    return a @ found["w3"][:10].T


def test_sums_are_those_of_the_board_with_strict_thresholds(lfc: Any) -> None:
    folder, found, bits = lfc
    graph = hwbnn.read(folder, output="scores")
    x = np.random.default_rng(0).integers(0, 2, (40, 784))
    assert np.array_equal(simulate(graph, x), board(found, bits, x))
    assert not np.array_equal(simulate(graph, x), board(found, bits, x, strict=False))
    assert graph.notes["model"] == f"BNN-PYNQ lfcW1A{bits}"


def cnv(folder: Path, bits: tuple[int, int]) -> list[Any]:
    """A random CNV with weights and activations of so many bits."""
    rng = np.random.default_rng(0)
    network = next(
        n for n in NETWORKS if len(n.pe) == 9 and (n.weight_bits, n.activation_bits) == bits
    )
    outputs = (64, 64, 128, 128, 256, 256, 512, 512, 64)
    inputs = (27, 576, 576, 1152, 1152, 2304, 256, 512, 512)
    folder.mkdir()
    layers = []
    for i, (n, m) in enumerate(zip(inputs, outputs, strict=True)):
        weights = rng.choice([-1, 1] if bits[0] == 1 else [-2, -1, 0, 1], (m, n))
        middle = n // 2 if bits[1] == 1 and i else 0
        thresholds = middle + rng.integers(-9, 9, (m, 1 if bits[1] == 1 else 2))
        folding = network.pe[i], network.simd[i]
        write_layer(folder, i, weights, thresholds if i < 8 else None, folding, bits[0])
        layers.append((weights, thresholds))
    (folder / "classes.txt").write_text("\n".join("abcdefghij"))
    return layers


@pytest.mark.parametrize("bits", [(1, 1), (1, 2), (2, 2)])
def test_words_of_every_convolutional_network_are_unpacked(
    tmp_path: Path, bits: tuple[int, int]
) -> None:
    layers = cnv(tmp_path / "net", bits)
    made = read_program(tmp_path / "net")
    assert made.format == f"BNN-PYNQ cnvW{bits[0]}A{bits[1]}"
    for i, (weights, thresholds) in enumerate(layers):
        layer = made.by_name[f"{i}-weights"]
        found = layer.weights.reshape(len(layer.weights), -1)  # type: ignore[attr-defined]
        assert np.array_equal(found, weights[: len(found)]), i
        assert len(found) == (10 if i == 8 else len(weights))
        if i < 6:
            assert isinstance(layer, Convolution)
        if i < 8:
            quantizer = made.by_name[f"{i}-thres"]
            assert isinstance(quantizer, Quantizer)
            wanted = np.sort(thresholds, axis=1).astype(float)
            if i == 0:
                wanted /= 2
            elif bits[1] == 1:
                wanted = 2 * wanted - weights.shape[1]
            assert np.array_equal(quantizer.edges, wanted)
            assert not quantizer.closed.any()
    assert made.contract is not None
    assert (made.contract.scale, made.contract.offset) == (2 / 255, -1.0)


def test_pixels_become_the_board_s_integers(tmp_path: Path) -> None:
    cnv(tmp_path / "net", (1, 2))
    quantizer = read_program(tmp_path / "net").layers[0]
    assert isinstance(quantizer, Quantizer)
    u = np.arange(256)
    wanted = np.floor((u / 255 * 2 - 1) * 128 + 0.5).clip(-128, 127)
    assert np.array_equal(quantizer.counts(u * 2 / 255 - 1) - 128, wanted)


@pytest.mark.parametrize("change", ["missing", "cut", "longer", "classes", "files", "link"])
def test_damaged_folders_are_refused_by_the_file(lfc: Any, tmp_path: Path, change: str) -> None:
    import shutil

    folder = tmp_path / "net"
    shutil.copytree(lfc[0], folder)
    file = folder / "1-3-weights.bin"
    wanted = "1-3-weights.bin: expected 4096 bytes"
    if change == "missing":
        file.unlink()
    elif change == "link":
        file.unlink()
        file.symlink_to(folder / "1-2-weights.bin")
    elif change == "cut":
        file.write_bytes(file.read_bytes()[:-8])
    elif change == "longer":
        file.write_bytes(bytes(1 << 20))
    elif change == "classes":
        (folder / "classes.txt").write_text("x\n" * 65)
        wanted = "classes.txt: names 65 classes, and layer 3 has 64 neurons"
    else:
        (folder / "0-32-weights.bin").write_bytes(b"")
        wanted = "expected those of one of lfcW1A1"
    with pytest.raises(InputError, match=wanted):
        read_program(folder)


def test_a_folder_without_parameters_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(HwbnnError, match="expected a network, one of"):
        read_program(tmp_path)

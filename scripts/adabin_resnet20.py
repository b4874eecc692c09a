"""The AdaBin authors' own ResNet-20 for CIFAR-10, as a Graph.

The authors' file is ``resnet20_1w1a``, published with Tu et al., "AdaBin: Improving Binary Neural
Networks with Adaptive Binary Sets", ECCV 2022; it holds a ``state_dict`` whose keys begin with
``module.``. Its network, in the layers of :mod:`hwbnn.nn`:

* pixels, normalised by a mean and a standard deviation per channel; a 3x3 stem of real weights;
  BatchNorm; Maxout;
* 18 convolutions whose weights take two values per channel; activations of form "code", which take
  two values per layer; zeros outside the image; one shortcut per convolution:
  ``h' = maxout(norm(conv(act(h))) + shortcut(h))``; and, from 16 to 32 and 64 channels, option A:
  every second row and column, and channels of zeros on both sides;
* the mean over the image, BatchNorm, a dense layer of real weights and a bias.

Nothing is trained again. The stem gets integer weights of ``--stem-bits`` bits, the classifier of
``--weight-bits`` bits. Lowering combines the two sums of a convolution into one integer, and puts
the stream of the shortcuts into fixed point (``--fraction``). The network is chaotic: changing the
stem's weights by one part in 10,000 changes the class of one image in thirteen, and the accuracy by
some tenths of a percentage point. This is why many bits are used here.

On all 10,000 test images the float network reaches 87.99 %. With 20 fraction bits, a stem of 16
bits and a classifier of 8 or of 10 bits the integers reach 87.90 %, and their class equals that of
the floats for 95.7 % of the images. With 18 fraction bits they reach 87.84 %; with 16 fraction bits
and a stem of 8 bits 87.62 %. The settings were chosen on these same images. For the first setting
HLS on 20 images and RTL on 50 equal the simulator at every node, and a frame takes the predicted
36,864 cycles::

    python scripts/adabin_resnet20.py resnet20_1w1a.th --data cifar-10-folder --out adabin.npz
    hwbnn verify adabin.npz images.npy --interval 40000 --backends fast,rtl
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import hwbnn
from hwbnn.graph import Input
from hwbnn.lowering import floats
from hwbnn.lowering.from_torch.reference import prepare
from hwbnn.methods import get
from hwbnn.nn import RESIDUAL, ImageNetwork, QuantConv2d, Residual, Unit, residual
from hwbnn.nn.binary import Lattice

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of each colour, by which the authors normalise images."""
PIXELS = Input.pixels((32, 32, 3))
"""The network's input: 8-bit pixels, as ``u / 255``."""


class Normalise(nn.Module):
    """``(x - mean) / deviation`` of each colour."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, -1, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The normalised image, ``(batch, 3, height, width)``."""
        return (x - self.mean) / self.deviation


def network(stem: nn.Module) -> ImageNetwork:
    """The authors' network around its first convolution, with new weights."""
    method = get("adabin", mode="exact", form="code", maxout="free")
    body = residual(PIXELS, RESIDUAL["resnet20_conv"], 10, method, first="int8", last="int8")
    inner = list(body.layers)[1:-1]
    return ImageNetwork(PIXELS, [Normalise(), stem, *inner, nn.BatchNorm1d(64), nn.Linear(64, 10)])


def load(path: Path, stem_bits: int | None = None) -> ImageNetwork:
    """The authors' trained network, in evaluation mode.

    Args:
        path: their file; no code in it is run.
        stem_bits: bits of the integer weights of the first convolution; None for real weights.
    """
    file: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    theirs = {key.removeprefix("module."): value for key, value in file["state_dict"].items()}
    stem: nn.Module = nn.Conv2d(3, 16, 3, padding=1, bias=False)
    if stem_bits is not None:
        stem = QuantConv2d(
            3, 16, 3, f"int{stem_bits}", step="range", padding=1, source=normalised()
        )
    model = network(stem)
    layers = list(model.layers)
    if stem_bits is None:
        _copy(stem, theirs, "conv1", weight="weight")
    else:
        _copy(stem, theirs, "conv1", **{"weight.latent": "weight"})
    _norm(layers[2], theirs, "bn1")
    _maxout(layers[3], theirs, "nonlinear1")
    blocks = [layer for layer in layers if isinstance(layer, Residual)]
    for position, block in enumerate(blocks):
        stage, within, which = 1 + position // 6, position % 6 // 2, 1 + position % 2
        name = f"layer{stage}.{within}"
        unit = block.body
        assert isinstance(unit, Unit)
        _copy(unit.conv.weight, theirs, f"{name}.conv{which}", latent="weight")
        learned = {"alpha": "alpha_a", "beta": "beta_a"}
        _copy(unit.activation.quantizer, theirs, f"{name}.conv{which}.binary_a", **learned)
        _norm(unit.norm, theirs, f"{name}.bn{which}")
        _maxout(block.after, theirs, f"{name}.nonlinear{which}")
    _norm(layers[-2], theirs, "bn2")
    _copy(layers[-1], theirs, "linear", weight="weight", bias="bias")
    if theirs:
        raise ValueError(f"{path}: entries that the network does not have: {sorted(theirs)[:5]}")
    return model.eval()


def normalised() -> Lattice:
    """The source of the first convolution: pixels with each colour's scale and offset."""
    mean, deviation = torch.tensor(MEAN), torch.tensor(DEVIATION)
    return Lattice("pixels", 0, 255, 1 / (255 * deviation), -mean / deviation)


def _copy(module: nn.Module, theirs: dict[str, Tensor], prefix: str, **names: str) -> None:
    """Copy tensors, given as our name = their name, and remove them from ``theirs``."""
    with torch.no_grad():
        for ours, name in names.items():
            module.get_parameter(ours).copy_(theirs.pop(f"{prefix}.{name}"))


def _norm(module: nn.Module, theirs: dict[str, Tensor], prefix: str) -> None:
    own = module.state_dict()
    module.load_state_dict({key: theirs.pop(f"{prefix}.{key}") for key in own})


def _maxout(module: nn.Module, theirs: dict[str, Tensor], prefix: str) -> None:
    _copy(module, theirs, prefix, positive="pos_scale", negative="neg_scale")


def test_images(folder: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The 10,000 test images of CIFAR-10, uint8 ``(n, 32, 32, 3)``, and their classes."""
    raw = np.fromfile(folder / "test_batch.bin", np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    return raw[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), raw[:, 0].astype(np.int64)


def main() -> None:
    """Lower the network, and count correct classes of floats and of integers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="the authors' resnet20_1w1a.th")
    parser.add_argument("--data", type=Path, help="folder of CIFAR-10's binary files")
    parser.add_argument("--out", type=Path, default=Path("adabin.npz"), help="the Graph's file")
    parser.add_argument("--fraction", type=int, default=20, help="fraction bits")
    parser.add_argument("--stem-bits", type=int, default=16, help="bits of the stem's weights")
    parser.add_argument("--weight-bits", type=int, default=8, help="bits of the classifier's")
    parser.add_argument("--images", type=int, default=10_000, help="test images to count on")
    given = parser.parse_args()
    model = load(given.file)
    start = time.perf_counter()
    graph = hwbnn.lower(
        load(given.file, given.stem_bits),
        PIXELS,
        fraction=given.fraction,
        weight_bits=given.weight_bits,
    )
    hwbnn.save(graph, given.out)
    print(graph.notes["rounded weights"])
    took = time.perf_counter() - start
    print(f"{len(graph.nodes)} nodes, lowered in {took:.0f} s -> {given.out}")
    if given.data is None:
        return
    images, labels = (part[: given.images] for part in test_images(given.data))
    reference = prepare(model)
    right = {"floats": 0, "integers": 0, "same": 0}
    for first in range(0, len(images), 200):
        batch, wanted = images[first : first + 200], labels[first : first + 200]
        with torch.no_grad():
            real = reference(floats(PIXELS, batch)).argmax(1).numpy()
        found = hwbnn.simulate(graph, batch)[:, 0]
        right["floats"] += int((real == wanted).sum())
        right["integers"] += int((found == wanted).sum())
        right["same"] += int((real == found).sum())
    for name, count in right.items():
        print(f"{name}: {count} of {len(images)}, {count / len(images):.2%}")


if __name__ == "__main__":
    main()

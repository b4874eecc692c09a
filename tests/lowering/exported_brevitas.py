"""A small Brevitas network, and its export as QONNX, which ``files/`` keeps.

``python -m tests.lowering.exported_brevitas`` writes the files again. Brevitas's exporter needs
``onnxoptimizer`` and ``onnxscript``, which the tests do not need.
"""

from __future__ import annotations

from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.quant import (
    Int8WeightPerChannelFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    SignedTernaryWeightPerTensorConst,
)
from torch import Tensor, nn

from hwbnn.graph import Input

FILES = Path(__file__).parent / "files"
ONNX, STATE = FILES / "brevitas.onnx", FILES / "brevitas.npz"
SOURCE = Input.pixels((6, 6, 2), scale=2 / 255, offset=-1.0)


class Network(nn.Module):
    """8-bit pixels, binary, ternary and 4-bit weights; 1-, 2- and 3-bit activations."""

    def __init__(self) -> None:
        super().__init__()
        self.first = qnn.QuantIdentity(bit_width=8, return_quant_tensor=True)
        self.conv = qnn.QuantConv2d(
            *(2, 6, 3),
            padding=1,
            stride=2,
            bias=True,
            weight_quant=SignedBinaryWeightPerTensorConst,
            weight_scaling_init=0.1,
        )
        self.norm = nn.BatchNorm2d(6)
        self.act = qnn.QuantReLU(bit_width=2, return_quant_tensor=True)
        self.depthwise = qnn.QuantConv2d(
            *(6, 6, 3),
            padding=1,
            groups=6,
            bias=False,
            weight_quant=SignedTernaryWeightPerTensorConst,
            weight_threshold=0.3,
        )
        self.second = nn.BatchNorm2d(6)
        self.sign = qnn.QuantIdentity(
            act_quant=SignedBinaryActPerTensorConst, scaling_init=1.0, return_quant_tensor=True
        )
        self.pointwise = qnn.QuantConv2d(
            *(6, 8, 1), bias=False, weight_quant=Int8WeightPerChannelFloat, weight_bit_width=3
        )
        self.third = nn.BatchNorm2d(8)
        self.relu = qnn.QuantReLU(bit_width=3, return_quant_tensor=True)
        self.last = qnn.QuantLinear(72, 5, bias=True, weight_bit_width=4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.conv(self.first(x))))
        x = self.sign(self.second(self.depthwise(x)))
        x = self.relu(self.third(self.pointwise(x)))
        y: Tensor = self.last(x.flatten(1))
        return y


def loaded() -> Network:
    """The network with the numbers that are kept, in evaluation."""
    model = Network()
    with np.load(STATE) as arrays:
        model.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    return model.eval()


def main() -> None:
    """Make a network with random weights, and write its state and its export."""
    from brevitas.export import export_qonnx

    torch.manual_seed(7)
    model = Network()
    x = 2 * torch.rand(200, 2, 6, 6) - 1
    with torch.no_grad():
        for _ in range(5):
            model(x)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.copy_(torch.randn_like(module.weight))
                module.bias.copy_(torch.randn_like(module.bias) / 2)
        model.eval()
        model.last.bias -= model(x).mean(dim=0)
    FILES.mkdir(exist_ok=True)
    np.savez_compressed(STATE, **{k: v.numpy() for k, v in model.state_dict().items()})
    export_qonnx(loaded(), args=x[:1], export_path=str(ONNX), dynamo=False)


if __name__ == "__main__":
    main()

from __future__ import annotations

import pytest
import torch
from torch import nn

from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.methods import get
from hwbnn.nn import NETWORKS, BinaryLinear, Scale, mlp, network

METHOD = get("bnn_ste")


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_by_name_have_their_widths(name: str) -> None:
    source = Input.bits(64 if name == "digits" else 784)
    model = network(name, source, 10, METHOD)
    layers = [m for m in model.modules() if isinstance(m, BinaryLinear)]
    sizes = [layers[0].in_features, *(layer.out_features for layer in layers)]
    assert sizes == [source.shape[0], *NETWORKS[name], 10]
    assert [layer.source for layer in layers] == [source] + [None] * (len(layers) - 1)
    assert model(torch.ones(2, *source.shape)).shape == (2, 10)


def test_images_are_flattened_and_either_ending_makes_logits() -> None:
    source = Input.pixels((1, 4, 4))
    for last, kind in (("batch_norm", nn.BatchNorm1d), ("scale", Scale)):
        model = mlp(source, (), 3, METHOD, last=last)  # type: ignore[arg-type]
        assert isinstance(model.layers[-1], kind)
        assert model(torch.rand(5, 1, 4, 4)).shape == (5, 3)


def test_names_that_are_unknown() -> None:
    with pytest.raises(InputError, match="network 'xfc': expected one of digits, tfc, sfc, lfc"):
        network("xfc", Input.bits(4), 2, METHOD)
    with pytest.raises(InputError, match="last: expected 'batch_norm' or 'scale', found 'sum'"):
        mlp(Input.bits(4), (), 2, METHOD, last="sum")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected sizes from 1, found 4 and 0"):
        mlp(Input.bits(4), (0,), 2, METHOD)

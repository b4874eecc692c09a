"""BinaryConv2d: sums of integers, padding, border classes."""

from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from hwbnn.errors import InputError
from hwbnn.graph import Input
from hwbnn.methods import Method, get
from hwbnn.nn import BinaryActivation, BinaryConv2d, BinaryLinear
from tests.nn.test_layers import TwoValued

METHOD = get("bnn_ste")


@dataclass(frozen=True)
class Case:
    """A convolution and the image that it reads."""

    height: int
    width: int
    channels: int
    out: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    pad: int
    groups: int
    seed: int

    def layer(self, method: Method, source: Any = None, pad: int | None = None) -> BinaryConv2d:
        torch.manual_seed(self.seed)
        return BinaryConv2d(
            self.channels,
            self.out,
            self.kernel,
            method,
            stride=self.stride,
            padding=self.padding,
            pad=self.pad if pad is None else pad,
            groups=self.groups,
            source=source,
        )

    def image(self, low: int, high: int) -> Any:
        drawn = np.random.default_rng(self.seed)
        return drawn.integers(low, high, (2, self.channels, self.height, self.width), endpoint=True)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    groups = draw(st.integers(1, 3))
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    padding = draw(st.tuples(*[st.integers(0, 3)] * 4))
    least = [max(1, k - a - b) for k, a, b in zip(kernel, padding[::2], padding[1::2], strict=True)]
    return Case(
        height=draw(st.integers(least[0], least[0] + 6)),
        width=draw(st.integers(least[1], least[1] + 6)),
        channels=groups * draw(st.integers(1, 3)),
        out=groups * draw(st.integers(1, 3)),
        kernel=kernel,
        stride=draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        padding=padding,
        pad=draw(st.sampled_from([-1, 0, 1])),
        groups=groups,
        seed=draw(st.integers(0, 2**32 - 1)),
    )


def by_words(case: Case, u: Any, w: Any, pad: Any) -> Any:
    """The convolution tap by tap; ``pad`` stands outside. All are numpy numbers of any kind."""
    top, bottom, left, right = case.padding
    image = np.pad(u, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=pad)
    rows = (image.shape[2] - case.kernel[0]) // case.stride[0] + 1
    columns = (image.shape[3] - case.kernel[1]) // case.stride[1] + 1
    y = np.zeros((len(u), case.out, rows, columns), np.result_type(u, w))
    inside, outside = case.channels // case.groups, case.out // case.groups
    for c in range(case.out):
        first = c // outside * inside
        for i in range(inside):
            for ky in range(case.kernel[0]):
                for kx in range(case.kernel[1]):
                    down, across = case.stride
                    read = image[:, first + i, ky::down, kx::across][:, :rows, :columns]
                    y[:, c] += read * w[c, i, ky, kx]
    return y


def weights(layer: BinaryConv2d) -> Any:
    """The real weights that the codes stand for, in float64."""
    codes = layer.weight.codes()
    w = codes.integers.detach().double().numpy()
    for part, join in ((codes.scale, np.multiply), (codes.offset, np.add)):
        if part is not None:
            w = join(w, part.detach().double().numpy()[:, None, None, None])
    return w


@settings(max_examples=60)
@given(cases())
def test_sums_are_those_of_integers(case: Case) -> None:
    layer = case.layer(METHOD).eval()
    u = case.image(0, 1) * 2 - 1
    sums, total = layer.sums(torch.tensor(u, dtype=torch.float32))
    assert total is None
    signs = layer.weight.codes().integers.detach().numpy().astype(np.int64)
    assert np.array_equal(sums.detach().numpy(), by_words(case, u, signs, case.pad))
    # With two values a weight, the sum of what each output reads is summed too.
    u = case.image(-9, 9) if not case.pad else u
    wide = case.layer(TwoValued()).eval()
    _, total = wide.sums(torch.tensor(u, dtype=torch.float32))
    assert total is not None
    expected = by_words(case, u, np.ones(wide.weight.shape, np.int64), case.pad)
    assert np.array_equal(np.broadcast_to(total.numpy(), expected.shape), expected)


@settings(max_examples=40)
@given(cases())
def test_training_is_torchs_convolution_of_the_weights(case: Case) -> None:
    torch.manual_seed(case.seed)
    x = torch.randn(2, case.channels, case.height, case.width, requires_grad=True)
    for method in (METHOD, get("xnor_net"), TwoValued()):
        layer = case.layer(method)
        top, bottom, left, right = case.padding
        padded = functional.pad(x.double(), (left, right, top, bottom), value=float(case.pad))
        w = torch.from_numpy(weights(layer))
        expected = functional.conv2d(padded, w, stride=case.stride, groups=case.groups)
        torch.testing.assert_close(layer(x).double(), expected, atol=1e-4, rtol=1e-4)


@settings(max_examples=40)
@given(
    cases(),
    st.sampled_from(["bnn_ste", "xnor_net", "adabin", "exact"]),
    st.sampled_from(["pixels", "centred", "set", "levels"]),
)
def test_evaluation_is_exact_and_finishing_a_place_is_the_same_bits(
    case: Case, name: str, reads: str
) -> None:
    method = get("adabin", mode="exact") if name == "exact" else get(name)
    shape = (case.height, case.width, case.channels)
    source: Any
    if reads in ("set", "levels"):
        source = BinaryActivation(case.channels, get("adabin" if reads == "set" else "binary_l2"))
        if reads == "set":
            source.quantizer.alpha.data.fill_(0.37)
            source.quantizer.beta.data.fill_(-0.21)
        x = source(torch.randn(2, case.channels, case.height, case.width)).detach()
    else:
        offset = -1.0 if reads == "centred" else 0.0
        source = Input("x", shape, 0, 255, scale=(1 - offset) / 255, offset=offset)
        x = torch.tensor(case.image(0, 255) * source.scale + offset).float()
    layer = case.layer(method, source, pad=0).eval()
    with torch.no_grad():
        found = layer(x)
        expected = by_words(case, x.double().numpy(), weights(layer), 0)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-4, rtol=1e-4)
        classes, count = layer.border_classes(case.height, case.width)
        assert classes.shape == found.shape[2:]
        assert set(classes.reshape(-1).tolist()) == set(range(count))
        assert count == 1 or (any(case.padding) and reads in ("centred", "set"))
        sums, total = layer.sums(layer.integers(x))
        for place in np.ndindex(*classes.shape):
            at = (slice(None), slice(None), *place)
            part = layer.finish(
                sums[at],
                None if total is None else total[at],
                place=int(classes[place]),
                size=(case.height, case.width),
            )
            assert torch.equal(part, found[at])


def test_classes_are_numbered_from_the_top_left() -> None:
    source = Input.pixels((5, 4, 2), scale=2 / 255, offset=-1.0)
    layer = BinaryConv2d(2, 3, 3, METHOD, padding=1, source=source)
    classes, count = layer.border_classes(5, 4)
    assert count == 9
    assert classes.tolist() == [[0, 1, 1, 2], *[[3, 4, 4, 5]] * 3, [6, 7, 7, 8]]
    # One row of taps is inside wherever the window stands: one kind of row.
    assert (
        BinaryConv2d(2, 3, (1, 3), METHOD, padding=(0, 1), source=source).border_classes(5, 4)[1]
        == 3
    )
    with pytest.raises(InputError, match=r"the window of \(3, 3\) fits, found \(0, 4\)"):
        layer.border_classes(0, 4)
    with pytest.raises(InputError, match="give the image's size"):
        layer.eval().finish(torch.zeros(1, 3))


def test_a_window_as_large_as_the_image_is_a_dense_layer() -> None:
    source = Input.pixels((4, 3, 2))
    conv = BinaryConv2d(2, 7, (4, 3), get("adabin"), source=source).eval()
    dense = BinaryLinear(24, 7, get("adabin"), source=source).eval()
    dense.weight.load_state_dict({"latent": conv.weight.state_dict()["latent"].reshape(7, 24)})
    x = torch.randint(0, 256, (5, 2, 4, 3)) / 255
    assert torch.equal(conv(x).flatten(1), dense(x.flatten(1)))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_padding_is_same_as_torch_computes_it() -> None:
    for kernel in ((3, 3), (4, 2), (1, 5)):
        layer = BinaryConv2d(2, 3, kernel, METHOD, padding="same").eval()
        x = torch.randn(2, 2, 6, 5).sign()
        expected = functional.conv2d(x, layer.weight.codes().integers, padding="same")
        assert torch.equal(layer(x), expected)


def test_what_does_not_fit_is_refused() -> None:
    def conv(*sizes: Any, **options: Any) -> BinaryConv2d:
        return BinaryConv2d(*sizes, METHOD, **options)

    for options, said in (
        ({"groups": 2}, "multiples of groups, found 3 and 4 with groups 2"),
        ({"stride": 0}, "stride: expected a number from 1 or two, found 0"),
        ({"stride": (1, 2, 3)}, "stride: expected a number from 1 or two"),
        ({"padding": -1}, "padding: expected a number from 0 or two, found -1"),
        ({"padding": "valid"}, "padding: expected a number from 0"),
        ({"padding": "same", "stride": 2}, "'same', which is for stride 1"),
        ({"pad": 2}, "pad: expected -1, 0 or 1"),
        ({"pad": 1, "source": Input.pixels((4, 4, 3))}, "0 for inputs that are not bits"),
    ):
        with pytest.raises(InputError, match=said):
            conv(3, 4, 3, **options)
    with pytest.raises(InputError, match="kernel: expected a number from 1"):
        conv(3, 4, 0)
    with pytest.raises(InputError, match="channels from 1"):
        conv(0, 4, 3)
    with pytest.raises(InputError, match=r"sums of 67200 integers up to 255 reach 2\^24"):
        conv(4200, 1, 4, source=Input.pixels((4, 4, 4200)))


def test_it_says_what_it_is_and_copies_refer_to_the_copied_source() -> None:
    layer = BinaryConv2d(2, 4, 3, METHOD, stride=2, padding=1, pad=-1, groups=2)
    said = "2, 4, (3, 3), stride=(2, 2), padding=(1, 1, 1, 1), pad=-1, groups=2"
    assert layer.extra_repr() == said
    activation = BinaryActivation(2, get("adabin"))
    both = torch.nn.Sequential(activation, BinaryConv2d(2, 4, 3, METHOD, source=activation))
    other = copy.deepcopy(both)
    assert other[1].source is other[0]
    assert len(list(both[1].parameters())) == 1


def test_channels_last_and_autocast_change_no_bit_of_evaluation() -> None:
    source = Input.pixels((9, 8, 3))
    layer = BinaryConv2d(3, 5, 3, METHOD, padding=1, source=source).eval()
    x = torch.randint(0, 256, (2, 3, 9, 8)) / 255
    expected = layer(x)
    assert torch.equal(layer(x.to(memory_format=torch.channels_last)), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), expected)


ONE_THREAD = """
import torch
from hwbnn.methods import get
from hwbnn.nn import BinaryConv2d, QuantConv2d

torch.set_num_threads(1)
torch.manual_seed(0)
for layer in (BinaryConv2d(2, 4, 1, get("bnn_ste"), stride=2), QuantConv2d(2, 4, 1, stride=2)):
    for _ in range(300):
        x = torch.randn(4, 2, 8, 8).to(memory_format=torch.channels_last).requires_grad_()
        (layer(x) ** 2).mean().backward()
"""


def test_a_strided_layer_of_one_pixel_trains_on_one_thread() -> None:
    """In a process of its own: where torch writes outside its memory, this one must live on."""
    subprocess.run([sys.executable, "-c", ONE_THREAD], check=True, timeout=300)

"""Elements of values on the wires of a stream."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.graph import ValueType, bit_type
from hwbnn.plan.wire import WireLayout

TYPES = [
    bit_type((13,)),
    ValueType((13,), 0, 255),
    ValueType((13,), -300, 299),
    ValueType((2, 3), -1, 0),
    ValueType((1,), 0, 9),
    ValueType((70,), -(2**30), 2**30),
]


def stream_of(t, lanes, spare):
    bits = lanes * t.width + spare
    return WireLayout("v", t.size, lanes, -(-t.size // lanes), t.width, bits)


@given(
    st.sampled_from(TYPES),
    st.integers(1, 80),
    st.integers(0, 9),
    st.integers(0, 4),
    st.integers(),
)
def test_unpack_undoes_pack(t, lanes, spare, frames, seed):
    rng = np.random.default_rng(abs(seed))
    values = rng.integers(t.low, t.high, (frames, *t.shape), endpoint=True)
    values = values.astype(bool) if t.bit else values
    stream = stream_of(t, lanes, spare)
    tokens = stream.pack(values).reshape(-1, stream.bytes)
    assert tokens.shape == (frames * stream.tokens, stream.bytes)
    found = stream.unpack(tokens, t)
    assert found.dtype == (np.bool_ if t.bit else np.int64)
    assert np.array_equal(found, values)
    assert not stream.stray(tokens, t).any()


def test_element_0_is_in_the_lowest_bits_of_the_first_token():
    stream = WireLayout("v", 4, 3, 2, 4, 16)
    tokens = stream.pack(np.array([[1, 2, 3, 4]]))
    assert tokens.tolist() == [[[0x21, 0x03], [0x04, 0x00]]]


def test_negative_elements_are_in_twos_complement():
    tokens = WireLayout("v", 2, 2, 1, 5, 16).pack(np.array([[-1, -16]]))
    assert tokens.tolist() == [[[0x1F, 0x02]]]


def test_lanes_that_a_frame_does_not_fill_are_stray():
    stream = WireLayout("v", 3, 2, 2, 5, 16)
    tokens = stream.pack(np.array([[-1, 2, 3]]))
    assert tokens.tolist() == [[[0x5F, 0x00], [0x03, 0x00]]]
    assert stream.used == [10, 5]
    t = ValueType((3,), -16, 15)
    assert not stream.stray(tokens[0], t).any()
    tokens[0, 1, 0] |= 1 << 5  # where a fourth element would be
    assert stream.unpack(tokens[0], t).tolist() == [[-1, 2, 3]]
    assert stream.stray(tokens[0], t).all()


@pytest.mark.parametrize("place", [(0, 1, 0, 7), (1, 0, 1, 6), (1, 1, 0, 4)])
def test_a_bit_beyond_the_elements_is_stray(place):
    stream = WireLayout("v", 4, 3, 2, 4, 16)
    tokens = stream.pack(np.array([[1, 2, 3, 4]] * 2))
    frame, token, byte, bit = place
    tokens[frame, token, byte] |= 1 << bit
    found = stream.stray(tokens.reshape(-1, 2), ValueType((4,), 0, 15))
    assert found.tolist() == [frame == 0, frame == 1]

"""The model of the border against one that goes beat by beat, as the hardware does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hwbnn.plan.framing import frames_of, packed

FRAMINGS = ("packet", "counted", "batch")


def beat_by_beat(framing, last, tokens):
    """Frames as lists of beats, tlast of each, and errors, by a state machine."""
    frames, ends, errors, own, dropping = [], [], 0, [], False
    for beat, ended in enumerate(last):
        ended = bool(ended) and framing != "counted"
        if dropping:
            dropping = not ended
            continue
        own.append(beat)
        whole = len(own) == tokens
        if not whole and not ended:
            continue
        frames.append(own)
        own = []
        ends.append(ended if framing == "batch" else True)
        errors += framing != "counted" and (ended and not whole)
        if framing == "packet" and whole and not ended:
            errors += 1
            dropping = True
    return frames, ends, errors


@given(
    st.sampled_from(FRAMINGS),
    st.lists(st.integers(1, 12), max_size=12),
    st.integers(0, 12),
    st.integers(1, 5),
)
@example("packet", [], 3, 3)
@example("batch", [], 0, 1)
def test_frames_are_those_that_a_state_machine_finds(framing, lengths, rest, tokens):
    last = [int(i == n - 1) for n in lengths for i in range(n)] + [0] * rest
    found = frames_of(framing, np.array(last, np.uint8), tokens)
    frames, ends, errors = beat_by_beat(framing, last, tokens)
    assert len(found) == len(frames)
    assert found.begins.tolist() == [own[0] for own in frames]
    assert found.lengths.tolist() == [len(own) for own in frames]
    assert found.last.tolist() == ends
    assert found.errors == errors
    assert found.whole.tolist() == [len(own) == tokens for own in frames]
    sent = np.arange(1, 2 * len(last) + 1, dtype=np.uint8).reshape(-1, 2)
    beats = found.beats(sent)
    assert beats.shape == (len(frames), tokens, 2)
    for own, shown in zip(frames, beats.tolist(), strict=True):
        assert shown == [sent[k].tolist() for k in own] + [[0, 0]] * (tokens - len(own))
    firsts = found.firsts(len(last))
    assert np.flatnonzero(firsts).tolist() == [own[0] for own in frames]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("tokens", [1, 4])
def test_right_packets_give_every_frame(framing, tokens):
    for seed in range(20):
        last = packed(framing, 30, tokens, seed)
        found = frames_of(framing, last, tokens)
        assert len(found) == 30
        assert found.whole.all()
        assert found.errors == 0
        assert last[-1] == 1
        assert found.last[-1]


def test_batches_differ_from_seed_to_seed():
    sizes = {int(packed("batch", 30, 2, seed).sum()) for seed in range(20)}
    assert 30 in sizes
    assert min(sizes) < 15

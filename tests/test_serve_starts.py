"""Prompts that begin alike: who waits for whom, and that nobody waits for ever."""

from __future__ import annotations

import numpy
from hypothesis import given
from hypothesis import strategies as st

from agentopt.serve.starts import KEPT, WORTH, Starts, common

LONG = numpy.arange(1000)


def test_samples_of_one_prompt_wait_for_the_first():
    starts = Starts()
    assert not starts.waits(LONG, [])
    assert starts.waits(LONG, [LONG])
    starts.read(LONG)
    assert not starts.waits(LONG, [LONG])


def test_a_short_common_start_is_not_worth_waiting():
    other = numpy.concatenate([LONG[: WORTH - 1], -LONG])
    assert not Starts().waits(other, [LONG])
    assert Starts().waits(numpy.concatenate([LONG[:WORTH], -LONG]), [LONG])


def test_what_the_cache_has_counts():
    """An instruction that was read before is no reason to wait, a longer common start than that is."""
    starts = Starts()
    starts.read(numpy.concatenate([LONG[:500], -LONG]))
    assert not starts.waits(LONG, [numpy.concatenate([LONG[: 500 + WORTH - 1], -LONG])])
    assert starts.waits(LONG, [numpy.concatenate([LONG[: 500 + WORTH], -LONG])])


def test_only_the_latest_are_remembered():
    starts = Starts()
    starts.read(LONG)
    for i in range(KEPT):
        starts.read(numpy.array([-i - 1]))
    assert starts.waits(LONG, [LONG])


@given(st.lists(st.integers(0, 2), max_size=40), st.lists(st.integers(0, 2), max_size=40))
def test_common_start(a: list[int], b: list[int]):
    n = common(numpy.array(a, dtype=numpy.int64), numpy.array(b, dtype=numpy.int64))
    assert a[:n] == b[:n] and (n in (len(a), len(b)) or a[n] != b[n])

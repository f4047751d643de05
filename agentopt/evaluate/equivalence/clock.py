"""The time of one check: all its solves and all its arithmetic share it, and its end is an exception of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["OutOfTime", "go_on", "within"]

_BUSY = 2.0


class OutOfTime(Exception):
    """The time of the check is used up."""


@dataclass(frozen=True, slots=True)
class _Ends:
    total: float
    cpu: float
    wall: float


_ENDS: ContextVar[_Ends | None] = ContextVar("agentopt_equivalence_ends", default=None)


@contextmanager
def within(total: float) -> Iterator[None]:
    """Within the block, in this thread, ``go_on`` raises once so many seconds of processor time were used.

    By the clock it is twice as much: some on which others are at work, or on which a solver's own threads are.
    """
    token = _ENDS.set(_Ends(total, time.thread_time() + total, time.monotonic() + _BUSY * total))
    try:
        yield
    finally:
        _ENDS.reset(token)


def go_on(seconds: float) -> float:
    """How long the next step may take: so many seconds, or what is left.

    Raises:
        OutOfTime: nothing is left.

    >>> go_on(5.0)
    5.0
    >>> with within(2.0):
    ...     1.9 < go_on(5.0) <= 2.0
    True
    """
    ends = _ENDS.get()
    if ends is None:
        return seconds
    left = min(ends.cpu - time.thread_time(), ends.wall - time.monotonic())
    if left <= 0:
        raise OutOfTime(f"the check was ended after {ends.total:g} seconds")
    return min(seconds, left)

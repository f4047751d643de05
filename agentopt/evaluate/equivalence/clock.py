"""The time of one check: all its solves and all its arithmetic share it, and its end is an exception of its own.

Solvers end by the clock, and the clock goes on while others have the processor. What ended with little processor time
says nothing of the formulations: that is an exception of its own, too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Self

__all__ = ["OutOfTime", "Starved", "Step", "go_on", "within"]

BUSY = 2.0
"""Seconds by the clock for one of processor time: where they are more, the machine was at work on something else."""


class OutOfTime(Exception):
    """The time of the check is used up."""


class Starved(OutOfTime):
    """The clock ended what had little processor time: the machine was busy, and nothing is known."""

    def __init__(self, clock: float, processor: float) -> None:
        super().__init__(f"the machine was busy: in {clock:.1f} seconds there were {processor:.1f} of processor time")


@dataclass(frozen=True, slots=True)
class _Now:
    """A moment: by the clock, and in processor time of this thread.

    A solver's own threads are not in it; on programs of the size that is judged here they have next to nothing to do.
    """

    clock: float
    processor: float

    @classmethod
    def read(cls) -> Self:
        return cls(time.monotonic(), time.thread_time())

    def since(self) -> tuple[float, float]:
        """Seconds from then to now: by the clock, and of processor time."""
        return time.monotonic() - self.clock, time.thread_time() - self.processor


@dataclass(frozen=True, slots=True)
class _Ends:
    total: float
    began: _Now

    @property
    def left(self) -> float:
        """How much longer the check may take."""
        clock, processor = self.began.since()
        if processor >= self.total:
            raise OutOfTime(f"the check was ended after {self.total:g} seconds")
        if clock >= BUSY * self.total:
            raise Starved(clock, processor)
        return min(self.total - processor, BUSY * self.total - clock)


_ENDS: ContextVar[_Ends | None] = ContextVar("agentopt_equivalence_ends", default=None)


@contextmanager
def within(total: float) -> Iterator[None]:
    """Within the block, in this thread, ``go_on`` raises once so many seconds of processor time were used.

    By the clock it is twice as much.
    """
    token = _ENDS.set(_Ends(total, _Now.read()))
    try:
        yield
    finally:
        _ENDS.reset(token)


def go_on(seconds: float) -> float:
    """How long the next step may take: so many seconds, or what is left.

    Raises:
        OutOfTime: nothing is left.
        Starved: nothing is left by the clock.

    >>> go_on(5.0)
    5.0
    >>> with within(2.0):
    ...     1.9 < go_on(5.0) <= 2.0
    True
    """
    ends = _ENDS.get()
    return seconds if ends is None else min(seconds, ends.left)


class Step:
    """One solve within a check, whose solver knows the clock alone.

    Args:
        seconds: as in ``go_on``; ``allowed`` is what came of it.
    """

    def __init__(self, seconds: float) -> None:
        self.allowed = go_on(seconds)
        self._began = _Now.read()

    def ended(self) -> None:
        """Called where the solver was ended by its limit.

        Raises:
            OutOfTime: the time of the check is used up, too.
            Starved: the machine was busy, so that the limit says nothing.
        """
        clock, processor = self._began.since()
        if _ENDS.get() is not None and clock > BUSY * processor:
            raise Starved(clock, processor)
        go_on(0.0)

"""The sampling temperature over the steps."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["SCHEDULES"]

Schedule = Callable[[float, float, float], float]


def linear_increase(start: float, end: float, share: float) -> float:
    """On the line from ``start`` to ``end``, where ``share`` of the steps are done.

    >>> linear_increase(1.0, 2.0, 0.25)
    1.25
    """
    return start + (end - start) * min(1.0, share)


SCHEDULES: dict[str, Schedule] = {"constant": lambda start, end, share: start, "linear_increase": linear_increase}
"""Temperature from the first one, the last one and the share of steps done, by name."""

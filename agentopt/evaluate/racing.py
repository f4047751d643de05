"""Racing: put a candidate aside as soon as it is shown to be behind, however often one looks.

Paired differences (candidate minus incumbent) are bets against "it is at least as good": wealth that starts at 1 and
is multiplied by ``1 - c x`` for every difference x (scaled to -1..1) is not expected to grow when that is true, so it
ever reaches 1/alpha with probability at most alpha (Ville's inequality), at any number of looks. Several bet sizes c
are averaged, which is the mixture method of Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
betting" (2024). The result depends on the differences and not on their order. Only used to drop losers, never to claim.
"""

from __future__ import annotations

import math

from agentopt.errors import UsageError

__all__ = ["Race"]

_BETS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)


class Race:
    """One candidate against the incumbent on the same examples, taken in random order.

    Args:
        score_range: lowest and highest score of the task.
        alpha: the chance that a candidate which is in truth at least as good is ever called behind. With k candidates,
            give alpha / k to keep it for all of them together.

    >>> race = Race()
    >>> for _ in range(12):
    ...     race.update(-1.0)
    >>> race.behind, race.ahead, race.n
    (True, False, 12)
    """

    def __init__(self, score_range: tuple[float, float] = (0.0, 1.0), *, alpha: float = 0.05) -> None:
        if not 0 < alpha < 1:
            raise UsageError(f"alpha is {alpha}; it must lie between 0 and 1")
        self._span = score_range[1] - score_range[0]
        self.alpha = alpha
        self._differences: list[float] = []

    def update(self, difference: float) -> None:
        """Take in the difference on one more example.

        Raises:
            UsageError: it is larger than the range allows, or not finite.
        """
        if not abs(difference) <= self._span * (1 + 1e-9):
            raise UsageError(f"the difference {difference} is not possible with scores {self._span:g} apart")
        self._differences.append(max(-1.0, min(1.0, difference / self._span)))

    @property
    def n(self) -> int:
        """Examples so far."""
        return len(self._differences)

    @property
    def mean(self) -> float:
        """Mean difference so far; 0 before the first."""
        return math.fsum(self._differences) / self.n * self._span if self.n else 0.0

    @property
    def behind(self) -> bool:
        """Whether the candidate is shown to be worse than the incumbent."""
        return _log_wealth([-x for x in self._differences], 0.0) >= -math.log(self.alpha)

    @property
    def ahead(self) -> bool:
        """Whether it is shown to be better, in the same sense. Good for stopping a race, not for a claim."""
        return _log_wealth(self._differences, 0.0) >= -math.log(self.alpha)

    def bounds(self) -> tuple[float, float]:
        """A confidence sequence of the mean difference: holds at all times together with probability 1 - alpha."""
        threshold = -math.log(self.alpha / 2)
        low = _lower(self._differences, threshold)
        high = -_lower([-x for x in self._differences], threshold)
        return low * self._span, high * self._span


def _log_wealth(values: list[float], mean: float) -> float:
    """Log of the mean wealth of bets that the mean of ``values`` (each within -1..1) exceeds ``mean``."""
    scale = 1 + mean
    logs = [math.fsum(math.log1p(c * (x - mean) / scale) for x in values) for c in _BETS]
    top = max(logs)
    return top + math.log(math.fsum(math.exp(v - top) for v in logs) / len(logs))


def _lower(values: list[float], threshold: float) -> float:
    """The smallest mean that the bets have not ruled out; wealth falls as the mean grows, so bisection finds it."""
    low, high = -1.0 + 1e-9, 1.0
    if not values or _log_wealth(values, low) < threshold:
        return -1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _log_wealth(values, middle) >= threshold else (low, middle)
    return low

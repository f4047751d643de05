"""Before money is spent: how small a difference can the test at the end show?"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from agentopt.errors import UsageError
from agentopt.evaluate.stats import _numpy, _special, t_quantile

__all__ = ["mcnemar_power", "minimum_detectable"]

_CLOSE = 1e-5
"""How near to the smallest difference the one that is told is."""


@lru_cache(maxsize=64)
def _fewest(n: int, alpha: float) -> Any:
    """For 0 to ``n`` pairs that differ, the fewest gains that McNemar's exact two-sided test calls significant; one
    more than the pairs where none are."""
    above, found, needed = _special().bdtrc, [], 0
    for pairs in range(n + 1):
        while needed <= pairs and above(needed - 1, pairs, 0.5) > alpha / 2:
            needed += 1
        found.append(needed)
    return _numpy().array(found)


def mcnemar_power(n: int, gained: float, lost: float, *, alpha: float = 0.05) -> float:
    """The exact chance that McNemar's exact two-sided test shows an improvement.

    Args:
        n: examples.
        gained: share of all examples that only the candidate has right.
        lost: share that only the baseline has right.

    >>> round(mcnemar_power(100, 0.2, 0.05), 3)
    0.837
    """
    if not (gained >= 0 and lost >= 0 and gained + lost <= 1 + 1e-12):
        raise UsageError(f"shares {gained} gained and {lost} lost are not possible")
    differ = min(1.0, gained + lost)
    if not differ:
        return 0.0
    np, special = _numpy(), _special()
    pairs = np.arange(n + 1)
    shown = special.bdtrc(_fewest(n, alpha) - 1, pairs, min(1.0, gained / differ))
    ways = special.gammaln(n + 1) - special.gammaln(pairs + 1) - special.gammaln(n - pairs + 1)
    chances = np.exp(ways + special.xlogy(pairs, differ) + special.xlog1py(n - pairs, -differ))
    return float((chances * shown).sum())


def minimum_detectable(
    n: int, *, sd: float | None = None, lost: float = 0.1, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """The smallest true difference that a claim on ``n`` examples shows with the given power; None when there is none.

    Args:
        n: examples of the test split.
        sd: standard deviation of the paired differences, where it is known; then the power of the t test is taken
            (the permutation test's is nearly the same). None means scores of 0 and 1, computed exactly.
        lost: for scores of 0 and 1, the share of examples that the candidate is taken to lose while it gains more on
            others; a smaller share shows smaller differences.
        alpha: two-sided level of the claim.
        power: the wanted chance to show it.

    >>> round(minimum_detectable(100), 2), minimum_detectable(5)
    (0.18, None)
    """
    if n < 1 or not 0 < power < 1 or not 0 < alpha < 1:
        raise UsageError(f"minimum_detectable: n={n}, alpha={alpha}, power={power} are not sensible")
    if sd is None:
        top = 1 - 2 * lost
        if top <= 0:
            raise UsageError(f"minimum_detectable: a candidate that loses {lost} of the examples cannot gain more")
        return _smallest(lambda d: mcnemar_power(n, lost + d, lost, alpha=alpha), top, power)
    if n < 2:
        return None
    if sd < 0 or not math.isfinite(sd):
        raise UsageError(f"minimum_detectable: sd={sd} is not a standard deviation")
    if sd == 0:
        return 0.0
    critical, below = t_quantile(1 - alpha / 2, n - 1), _special().nctdtr

    def chance(d: float) -> float:
        missed = float(below(n - 1, d / sd * math.sqrt(n), critical))
        return 1.0 if math.isnan(missed) else 1 - missed  # no number at some far non-centralities, where it is near 0

    return _smallest(chance, 40 * sd, power)


def _smallest(chance: Any, top: float, power: float) -> float | None:
    """The point where ``chance``, which grows, reaches ``power``; None when it does not up to ``top``."""
    if chance(top) < power:
        return None
    low = 0.0
    while top - low > _CLOSE:
        middle = (low + top) / 2
        low, top = (low, middle) if chance(middle) >= power else (middle, top)
    return top

"""Intervals and exact paired tests.

NumPy and ``scipy.special`` are imported where they are first needed, so that scores of 0 and 1 need neither;
``scipy.stats`` is not, for it takes a second to import: longer than a small evaluation.

Every function is a function of its arguments alone; where resampling is used, its seed is fixed.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from fractions import Fraction
from statistics import NormalDist
from typing import Any

from agentopt.errors import UsageError

__all__ = [
    "clopper_pearson",
    "difference_interval",
    "holm",
    "interval",
    "is_binary",
    "mcnemar",
    "newcombe",
    "paired_permutation",
    "t_quantile",
    "wilson",
]

_CELLS = 100_000
"""Resolution of the exact permutation distribution."""
_NORMAL = NormalDist()


def _special() -> Any:
    return importlib.import_module("scipy.special")


def _numpy() -> Any:
    return importlib.import_module("numpy")


def t_quantile(chance: float, freedom: float) -> float:
    """The quantile of Student's t: what a share ``chance`` of draws with so many degrees of freedom stays below.

    >>> round(t_quantile(0.975, 9), 3)
    2.262
    """
    return float(_special().stdtrit(freedom, chance))


def is_binary(values: Sequence[float], score_range: tuple[float, float] = (0.0, 1.0)) -> bool:
    """Whether every value is the lowest or the highest score."""
    return all(v in score_range for v in values)


def wilson(successes: float, n: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927). ``successes`` may be fractional: a sum of values in 0..1,
    for which the interval is at least as wide as for any smaller spread; so may ``n``: an effective number.

    >>> [round(v, 3) for v in wilson(8, 10)]
    [0.49, 0.943]
    """
    if n < 1 or not 0 <= successes <= n:
        raise UsageError(f"wilson: {successes} of {n} is not a proportion")
    z = _NORMAL.inv_cdf((1 + confidence) / 2)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (0.0 if successes == 0 else max(0.0, centre - half)), (1.0 if successes == n else min(1.0, centre + half))


def clopper_pearson(successes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper and Pearson 1934).

    >>> [round(v, 3) for v in clopper_pearson(8, 10)]
    [0.444, 0.975]
    """
    if n < 1 or not 0 <= successes <= n:
        raise UsageError(f"clopper_pearson: {successes} of {n} is not a proportion")
    quantile, tail = _special().betaincinv, (1 - confidence) / 2
    low = float(quantile(successes, n - successes + 1, tail)) if successes else 0.0
    high = float(quantile(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return low, high


def interval(
    scores: Sequence[float], score_range: tuple[float, float] = (0.0, 1.0), *, confidence: float = 0.95
) -> tuple[float, float]:
    """An interval of the mean: Wilson's for scores at the two ends of the range, else Student's t within the range.

    Where all scores are equal (t would give a point), the range bounds the spread: Wilson's interval of the mean.

    >>> interval([1, 1, 1, 1])[0] > 0.5
    True
    """
    n = len(scores)
    if not n:
        raise UsageError("interval: no scores")
    low, high = score_range
    mean = math.fsum(scores) / n
    if n < 2 or is_binary(scores, score_range) or max(scores) == min(scores):
        share = (mean - low) / (high - low)
        a, b = wilson(min(max(share, 0.0), 1.0) * n, n, confidence=confidence)
        return low + a * (high - low), low + b * (high - low)
    spread = math.sqrt(math.fsum((s - mean) ** 2 for s in scores) / (n - 1) / n)
    half = t_quantile((1 + confidence) / 2, n - 1) * spread
    return max(low, mean - half), min(high, mean + half)


def newcombe(both: int, gained: int, lost: int, neither: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The hybrid score interval of a difference of paired proportions (Newcombe 1998, method 10).

    Args:
        both, neither: pairs on which both are right, or both wrong.
        gained: pairs that only the candidate has right.
        lost: pairs that only the baseline has right.

    Returns:
        The interval of candidate minus baseline.
    """
    n = both + gained + lost + neither
    if n < 1 or min(both, gained, lost, neither) < 0:
        raise UsageError(f"newcombe: counts {both, gained, lost, neither} are not those of at least one pair")
    p1, p2 = (both + gained) / n, (both + lost) / n
    low1, high1 = wilson(both + gained, n, confidence=confidence)
    low2, high2 = wilson(both + lost, n, confidence=confidence)
    product = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    cross = both * neither - gained * lost
    if cross > 0:
        cross = max(cross - n / 2, 0)  # type: ignore[assignment]
    phi = cross / math.sqrt(product) if product else 0.0
    down = (p1 - low1) ** 2 - 2 * phi * (p1 - low1) * (high2 - p2) + (high2 - p2) ** 2
    up = (high1 - p1) ** 2 - 2 * phi * (high1 - p1) * (p2 - low2) + (p2 - low2) ** 2
    d = p1 - p2
    return max(-1.0, d - math.sqrt(max(down, 0.0))), min(1.0, d + math.sqrt(max(up, 0.0)))


def difference_interval(
    differences: Sequence[float], span: float = 1.0, *, confidence: float = 0.95, seed: int = 0, resamples: int = 9999
) -> tuple[float, float]:
    """An interval of the mean of paired differences, each within -span..span.

    At either end the wider of the bootstrap (BCa, Efron 1987; seeded) and Student's t: with few or skewed differences
    each of them alone covers too little. Where all differences are equal either would give a point; then Wilson's
    interval on the range is taken.
    """
    n = len(differences)
    if not n:
        raise UsageError("difference_interval: no differences")
    mean = math.fsum(differences) / n
    if n < 2 or max(differences) == min(differences):
        share = min(max((mean + span) / (2 * span), 0.0), 1.0)
        a, b = wilson(share * n, n, confidence=confidence)
        return a * 2 * span - span, b * 2 * span - span
    np = _numpy()
    values = np.sort(np.asarray(differences, dtype=float))
    low, high = _bca(values, confidence, np.random.default_rng(seed), resamples)
    half = t_quantile((1 + confidence) / 2, n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
    return max(-span, min(low, mean - half)), min(span, max(high, mean + half))


def _bca(values: Any, confidence: float, rng: Any, resamples: int) -> tuple[float, float]:
    """The bootstrap interval of a mean, bias-corrected and accelerated (Efron 1987, sections 3 and 6).

    ``values``: shape (n,), not all equal. The acceleration of a mean has a closed form: a sixth of the values' skewness
    over the square root of n, which is what the jackknife gives.
    """
    np, n = _numpy(), len(values)
    batch = max(1, min(resamples, 2_000_000 // n))
    means = np.concatenate(
        [values[rng.integers(0, n, (min(batch, resamples - at), n))].mean(axis=1) for at in range(0, resamples, batch)]
    )
    observed, off = values.mean(), values - values.mean()
    below = (int((means < observed).sum()) + int((means <= observed).sum())) / (2 * resamples)
    bias = _NORMAL.inv_cdf(min(max(below, 0.5 / resamples), 1 - 0.5 / resamples))
    acceleration = float((off**3).sum()) / (6 * float((off**2).sum()) ** 1.5)
    ends = []
    for z in (_NORMAL.inv_cdf((1 - confidence) / 2), _NORMAL.inv_cdf((1 + confidence) / 2)):
        moved = bias + (bias + z) / (1 - acceleration * (bias + z))
        ends.append(float(np.quantile(means, _NORMAL.cdf(moved))))
    return ends[0], ends[1]


def mcnemar(gained: int, lost: int) -> float:
    """The exact two-sided p value of McNemar's test: a fair coin over the pairs that differ.

    >>> mcnemar(6, 0)
    0.03125
    """
    n = gained + lost
    tail = sum(math.comb(n, k) for k in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / (1 << n))


def paired_permutation(differences: Sequence[float]) -> float:
    """The exact two-sided p value of the paired permutation test (Fisher 1935): every difference may change its sign.

    The whole distribution of the sum over all sign changes is computed, by convolution on a lattice, without sampling.
    Where the differences are multiples of a common unit (0/1 scores, means of repeats) the lattice is that unit;
    otherwise sizes are rounded to about a millionth of their sum, which leaves the test exact, since under the
    hypothesis any function of the sizes keeps its signs exchangeable.

    >>> paired_permutation([0.5, 0.25, 0.75, 1.0, 0.5, 0.25])
    0.03125
    """
    np = _numpy()
    moved = [d for d in differences if d]
    if not moved:
        return 1.0
    steps = _lattice([abs(d) for d in moved])
    observed = abs(sum(s if d > 0 else -s for s, d in zip(steps, moved, strict=True)))
    chances = np.ones(1)
    for step in sorted(steps):
        grown = np.zeros(len(chances) + step)
        grown[: len(chances)] += chances / 2
        grown[step:] += chances / 2
        chances = grown
    total = len(chances) - 1  # chances[k]: the positive sizes add up to k, so the sum is 2 k - total
    tail = float(chances[(total + observed + 1) // 2 :].sum())
    return 1.0 if observed == 0 else min(1.0, 2 * tail)


def _lattice(sizes: Sequence[float]) -> list[int]:
    """The sizes as whole multiples of a unit: their own where they have one, else one that is fine enough."""
    room = max(_CELLS, 20 * len(sizes))
    near = [Fraction(s).limit_denominator(5040) for s in sizes]
    if all(math.isclose(f, s, rel_tol=1e-9) for f, s in zip(near, sizes, strict=True)):
        unit = math.lcm(*(f.denominator for f in near))
        steps = [int(f * unit) for f in near]
        shared = math.gcd(*steps)
        if sum(steps) // shared <= room:
            return [s // shared for s in steps]
    scale = room / math.fsum(sizes)
    return [max(1, round(s * scale)) for s in sizes]


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for looking at several (Holm 1979): reject those that are at most alpha.

    >>> holm([0.01, 0.04])
    [0.02, 0.04]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    reached = 0.0
    for rank, i in enumerate(order):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = reached
    return adjusted

"""Intervals where examples are not independent: near-duplicates are one cluster, and the clusters are what is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentopt.errors import UsageError
from agentopt.evaluate.stats import interval, is_binary, t_quantile, wilson

if TYPE_CHECKING:
    from agentopt.evaluate.task import Example

__all__ = ["cluster_interval", "cluster_labels", "cluster_sums", "cluster_variance", "clusters_of", "mean_interval"]


def clusters_of(examples: Iterable[Example], group: Callable[[Example], Any] | None = None) -> dict[str, str]:
    """Example id to cluster, of the examples that have one: as they say themselves, or as an eval's ``group`` says.

    >>> from agentopt.evaluate import Example
    >>> asked = [Example(id="a", input=12, cluster="twelve"), Example(id="b", input=7)]
    >>> clusters_of(asked), clusters_of(asked, lambda example: example.input % 5)
    ({'a': 'twelve'}, {'a': '2', 'b': '2'})
    """
    labels = ((e.id, e.cluster if group is None else group(e)) for e in examples)
    return {id_: str(label) for id_, label in labels if label is not None}


def cluster_labels(names: Sequence[str], clusters: Mapping[str, str] | None) -> list[Hashable]:
    """What is drawn, example by example: its cluster, or itself where ``clusters`` does not name it.

    Empty where no two examples share a cluster, so that each speaks for itself.

    >>> len(set(cluster_labels(["a", "b", "c"], {"a": "c", "b": "c"}))), cluster_labels(["a", "c"], {"a": "c"})
    (2, [])
    """
    known = clusters or {}
    labels: list[Hashable] = [(name in known, known.get(name, name)) for name in names]
    return labels if len(set(labels)) < len(labels) else []


def cluster_interval(
    scores: Sequence[float],
    clusters: Sequence[Hashable],
    score_range: tuple[float, float] = (0.0, 1.0),
    *,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """An interval of the mean where scores of one cluster may be alike.

    The variance is the cluster-robust one (Liang and Zeger 1986, with the factor G / (G - 1) for G clusters); for
    language models see Miller 2024, arXiv 2411.00640, section 2.2. Scores at the two ends of the range get Wilson's
    interval at the effective number of examples that this variance leaves (Korn and Graubard 1998), others Student's t
    with G - 1 degrees of freedom within the range. The effective number is never above the number of examples (so that
    scores which cancel within each cluster bound nothing), and is that of clusters where all scores are equal or there
    is one cluster. Of one cluster on an endless range nothing is known: that is the range.

    Args:
        scores: one an example.
        clusters: the cluster of each, in the same order.

    Where every cluster holds one example, it is ``interval``:

    >>> from agentopt.evaluate.stats import interval
    >>> scores = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    >>> cluster_interval(scores, range(6)) == interval(scores)
    True

    and copies of an example add nothing:

    >>> low, high = cluster_interval(scores * 50, [*range(6)] * 50)
    >>> [round(v, 2) for v in (low, high)], [round(v, 2) for v in interval(scores * 50)]
    ([0.2, 0.94], [0.61, 0.72])
    """
    n, (low, high) = len(scores), score_range
    if len(clusters) != n:
        raise UsageError(f"cluster_interval: {n} scores and {len(clusters)} clusters")
    found = len(set(clusters))
    if found == n:
        return interval(scores, score_range, confidence=confidence)
    if found < 2 and not math.isfinite(high - low):
        return score_range
    mean = math.fsum(scores) / n
    share = min(max((mean - low) / (high - low), 0.0), 1.0)
    if found < 2 or max(scores) == min(scores):
        return _scaled(wilson(share * found, found, confidence=confidence), score_range)
    variance = cluster_variance(scores, clusters)
    quantile = t_quantile((1 + confidence) / 2, found - 1)
    if not is_binary(scores, score_range):
        plain = math.fsum((s - mean) ** 2 for s in scores) / (n - 1) / n
        half = quantile * math.sqrt(max(variance, plain))
        return max(low, mean - half), min(high, mean + half)
    plain = share * (1 - share) * (high - low) ** 2
    effective = float(n) if variance <= plain / n else plain / variance
    effective = max(1.0, effective * (t_quantile((1 + confidence) / 2, n - 1) / quantile) ** 2)
    return _scaled(wilson(share * effective, effective, confidence=confidence), score_range)


def cluster_sums(values: Sequence[float], clusters: Sequence[Hashable]) -> list[float]:
    """The sum of each cluster, in the order of their first value.

    >>> cluster_sums([1.0, 2.0, 3.0], ["a", "b", "a"])
    [4.0, 2.0]
    """
    found: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        found.setdefault(cluster, []).append(value)
    return [math.fsum(part) for part in found.values()]


def cluster_variance(scores: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """The cluster-robust variance of the mean; there must be two clusters or more.

    >>> round(cluster_variance([1.0, 0.0, 1.0, 0.0], "abcd"), 4), cluster_variance([1.0, 1.0, 0.0, 0.0], "aabb")
    (0.0833, 0.25)
    """
    mean, found = math.fsum(scores) / len(scores), len(set(clusters))
    sums = cluster_sums([s - mean for s in scores], clusters)
    return found / (found - 1) * math.fsum(d * d for d in sums) / len(scores) ** 2


def mean_interval(
    values: Mapping[str, float],
    clusters: Mapping[str, str] | None = None,
    score_range: tuple[float, float] = (0.0, 1.0),
    *,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """The interval of the mean of examples' values, by cluster where their clusters are known.

    An example that ``clusters`` does not name is a cluster of its own.
    """
    names = sorted(values)
    scores = [values[name] for name in names]
    if not (labels := cluster_labels(names, clusters)):
        return interval(scores, score_range, confidence=confidence)
    return cluster_interval(scores, labels, score_range, confidence=confidence)


def _scaled(ends: tuple[float, float], score_range: tuple[float, float]) -> tuple[float, float]:
    low, high = score_range
    return low + ends[0] * (high - low), low + ends[1] * (high - low)

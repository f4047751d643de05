"""Scores of candidates when the examples themselves may be wrong: tests that a model wrote.

``weights`` lets an example count by how many distinct candidates have it right; ``consensus`` ranks candidates by dual
agreement as Chen et al. 2022, "CodeT: Code Generation with Generated Tests", arXiv 2207.10397, section 2, does.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

__all__ = ["WEIGHTINGS", "consensus", "weighted", "weights"]

WEIGHTINGS = ("uniform", "agreement")

Matrix = Mapping[str, Mapping[str, float]]
"""Candidate to example to score."""


def weights(scores: Matrix, weighting: str = "agreement", *, full: float = 1.0) -> dict[str, float]:
    """How much each example counts.

    Args:
        scores: candidate to example to score; candidates are distinct.
        weighting: ``uniform``, or ``agreement``: the share of candidates that have full marks on it, with one right
            and one wrong candidate added (Laplace), so that nothing is decided by the first candidate.
        full: the highest score.

    >>> weights({"a": {"t1": 1, "t2": 0}, "b": {"t1": 1, "t2": 0}})
    {'t1': 0.75, 't2': 0.25}
    """
    examples = sorted({example for row in scores.values() for example in row})
    if weighting == "uniform":
        return dict.fromkeys(examples, 1.0)
    found = {}
    for example in examples:
        seen = [row[example] for row in scores.values() if example in row]
        found[example] = (sum(score >= full for score in seen) + 1) / (len(seen) + 2)
    return found


def weighted(row: Mapping[str, float], weight: Mapping[str, float]) -> float | None:
    """The mean of a candidate's scores, each by its weight; None without any.

    >>> weighted({"t1": 1, "t2": 0}, {"t1": 0.75, "t2": 0.25})
    0.75
    """
    total = math.fsum(weight[example] for example in row)
    return math.fsum(weight[example] * score for example, score in row.items()) / total if total else None


def consensus(scores: Matrix, *, full: float = 1.0) -> dict[str, float]:
    """Rank of each candidate: how many pass exactly the tests that it passes, times how many tests these are.

    Both counts are shares, so the rank is between 0 and 1. A candidate that passes all tests alone ranks below ten that
    agree on all tests but one.

    >>> consensus({"a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 0}, "c": {"x": 1, "y": 0}})
    {'a': 0.3333333333333333, 'b': 0.3333333333333333, 'c': 0.3333333333333333}
    """
    examples = {example for row in scores.values() for example in row}
    passed = {name: frozenset(e for e, score in row.items() if score >= full) for name, row in scores.items()}
    sizes = Counter(passed.values())
    if not examples:
        return dict.fromkeys(scores, 0.0)
    return {name: sizes[own] / len(scores) * len(own) / len(examples) for name, own in passed.items()}

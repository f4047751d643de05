"""The claim at the end of a run: is the candidate better than the baseline, on examples that no search has touched?

One exact paired test whose n was fixed beforehand. Scores at the two ends of the range: McNemar's exact test and
Newcombe's interval; others: the exact paired permutation test and a seeded bootstrap interval. "better" is said only
when the test says so and the interval, which is told beside it, lies above 0.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from agentopt.core.values import Frozen, Outcome
from agentopt.errors import UsageError
from agentopt.evaluate.clusters import cluster_interval, cluster_labels, cluster_sums
from agentopt.evaluate.stats import difference_interval, is_binary, mcnemar, newcombe, paired_permutation
from agentopt.evaluate.summary import Paired, counted, example_scores, pair

__all__ = ["Claim", "Verdict", "claim", "compare", "needed_pairs"]

Verdict = Literal["better", "worse", "no improvement shown", "cannot be shown at this n"]


class Claim(Frozen):
    """What may be said of a candidate against the baseline, and on what evidence."""

    verdict: Verdict
    """The only words that may be used for it."""
    n: int = Field(ge=0)
    """Examples that both have a score on."""
    mean_a: float | None
    """The baseline's mean; None when n is 0."""
    mean_b: float | None
    """The candidate's mean."""
    difference: float | None
    """Candidate minus baseline."""
    low: float | None
    """Lower end of the interval of the difference."""
    high: float | None
    """Upper end."""
    confidence: float = 0.95
    """Of the interval."""
    interval: str = ""
    """How it was computed: Newcombe, bootstrap, or cluster."""
    test: str = ""
    """McNemar, paired permutation, or permutation by cluster: all exact and two-sided."""
    p: float | None = None
    """The test's p value; None when there was nothing to test."""
    alpha: float = 0.05
    """The level below which a difference is claimed."""
    gained: int = 0
    """Examples on which the candidate scores higher."""
    lost: int = 0
    """Examples on which it scores lower."""
    improvable: int = 0
    """Examples on which the baseline is not yet at the top of the range: only these can speak for a candidate. Where
    the test is by cluster, clusters with such an example."""
    needed: int = 6
    """The fewest examples that must differ, all in one direction, for the test to reach alpha."""
    n_excluded: int = 0
    """Examples left out because one of the two has no score on them (infrastructure errors)."""
    touches: int = 0
    """How often the split had been used before; above 0 the claim is labelled so."""
    touched_examples: int | None = None
    """At most so many of the examples had been used; None when all had, or it is not known."""

    @property
    def discordant(self) -> int:
        """Examples on which the two differ."""
        return self.gained + self.lost

    @property
    def shown(self) -> bool:
        """Whether an improvement is claimed."""
        return self.verdict == "better"

    @property
    def sentence(self) -> str:
        """The claim in one line, with everything that belongs to it."""
        if self.mean_a is None or self.mean_b is None or self.difference is None:
            text = f"{self.verdict}: no example was scored for both"
        else:
            text = (
                f"{self.verdict}: {self.mean_b:.2f} against {self.mean_a:.2f} on {counted(self.n, 'example')},"
                f" difference {self.difference:+.2f} [{self.low:+.2f}, {self.high:+.2f}], {self.test} {told_p(self.p)}"
            )
        if self.verdict == "cannot be shown at this n" and self.n:
            unit = "clusters" if self.interval == "cluster" else f"of {self.n}"
            text += f"; only {self.improvable} {unit} could be improved on, and at least {self.needed} are needed"
        if self.n_excluded:
            text += f"; {counted(self.n_excluded, 'example')} left out (infrastructure errors)"
        if self.touches and self.touched_examples is not None and self.touched_examples < self.n:
            text += f"; not a fresh test: at most {self.touched_examples} of its examples had been used before"
        elif self.touches:
            times = "once" if self.touches == 1 else f"{self.touches} times"
            text += f"; not a fresh test: these examples had been used {times} before"
        return text


def told_p(p: float | None) -> str:
    """``p = 0.0004``, ``p < 0.0001``."""
    if p is None:
        return "not done"
    if p < 0.0001:
        return "p < 0.0001"
    return f"p = {p:.4f}" if p < 0.01 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def needed_pairs(alpha: float = 0.05) -> int:
    """The fewest pairs, all differing in one direction, whose exact two-sided p value is at most alpha; never under 5.

    >>> needed_pairs(0.05), needed_pairs(0.01)
    (6, 8)
    """
    return max(5, math.ceil(math.log2(2 / alpha) - 1e-12))


def claim(
    baseline_scores: Mapping[str, float],
    candidate_scores: Mapping[str, float],
    *,
    n_excluded: int | None = None,
    alpha: float = 0.05,
    score_range: tuple[float, float] = (0.0, 1.0),
    touches: int = 0,
    seed: int = 0,
    clusters: Mapping[str, str] | None = None,
) -> Claim:
    """Compare two candidates on the examples that both have a score on.

    Args:
        baseline_scores: example id to score, repeats averaged.
        candidate_scores: the same for the candidate.
        n_excluded: examples left out; by default those that only one of the two has.
        alpha: the level of the two-sided test; 0.05 means that a candidate without any effect is called better in at
            most 2.5 % of runs.
        score_range: lowest and highest score of the task.
        touches: how often the split has been used before (see ``SplitLedger``).
        seed: of the bootstrap.
        clusters: example id to its cluster, where examples are not independent (see ``clusters_of``): then clusters
            change their sign in the test as a whole, and the interval is the cluster-robust one.

    >>> base = {str(i): float(i % 2) for i in range(40)}
    >>> best = {k: float(int(k) < 32) for k in base}
    >>> claim(base, {k: max(best[k], v) for k, v in base.items()}).sentence
    'better: 0.90 against 0.50 on 40 examples, difference +0.40 [+0.23, +0.55], McNemar p < 0.0001'

    Raises:
        UsageError: alpha outside 0..1, a score outside the range.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"alpha is {alpha}; it must lie between 0 and 1")
    paired = pair(dict(baseline_scores), dict(candidate_scores))
    low, high = score_range
    for example, *scores in zip(paired.examples, paired.baseline, paired.candidate, strict=True):
        for score in scores:
            if not low <= score <= high:
                raise UsageError(f"example {example}: the score {score} is outside the range {low:g} to {high:g}")
    excluded = paired.excluded if n_excluded is None else n_excluded
    labels = cluster_labels(paired.examples, clusters)
    return _claimed(paired, excluded, alpha, score_range, touches, seed, labels)


def compare(
    outcomes: Iterable[Outcome],
    baseline: str,
    candidate: str,
    *,
    alpha: float = 0.05,
    score_range: tuple[float, float] = (0.0, 1.0),
    touches: int = 0,
    seed: int = 0,
    clusters: Mapping[str, str] | None = None,
) -> Claim:
    """The claim from recorded outcomes: those of two candidates, given by id, paired by example.

    Repeats average within an example; agent errors and timeouts count as the lowest score; an example on which either
    has no score left (infrastructure errors) is left out and counted.
    """
    kept = [o for o in outcomes if o.candidate in (baseline, candidate)]
    a, b = (example_scores([o for o in kept if o.candidate == c], score_range) for c in (baseline, candidate))
    excluded = pair(a, b, {o.example for o in kept}).excluded
    return claim(
        a, b, n_excluded=excluded, alpha=alpha, score_range=score_range, touches=touches, seed=seed, clusters=clusters
    )


def _claimed(
    paired: Paired,
    excluded: int,
    alpha: float,
    score_range: tuple[float, float],
    touches: int,
    seed: int,
    clusters: Sequence[Hashable] = (),
) -> Claim:
    n, needed = len(paired.examples), needed_pairs(alpha)
    if not n:
        return Claim(
            verdict="cannot be shown at this n", n=0, mean_a=None, mean_b=None, difference=None, low=None, high=None,
            alpha=alpha, needed=needed, n_excluded=excluded, touches=touches,
        )  # fmt: skip
    low, high = score_range
    differences = paired.differences
    gained, lost = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    difference = math.fsum(differences) / n
    improvable = sum(a < high for a in paired.baseline)
    if clusters:
        improvable = len({c for c, a in zip(clusters, paired.baseline, strict=True) if a < high})
        p, test, how = paired_permutation(cluster_sums(differences, clusters)), "permutation by cluster", "cluster"
        ends = cluster_interval(differences, clusters, (low - high, high - low))
    elif is_binary([*paired.baseline, *paired.candidate], score_range):
        both = sum(a == b == high for a, b in zip(paired.baseline, paired.candidate, strict=True))
        p, test, how = mcnemar(gained, lost), "McNemar", "Newcombe"
        ends = newcombe(both, gained, lost, n - both - gained - lost)
        ends = ends[0] * (high - low), ends[1] * (high - low)
    else:
        p, test, how = paired_permutation(differences), "paired permutation", "bootstrap"
        ends = difference_interval(differences, high - low, seed=seed)
    verdict: Verdict = "no improvement shown"
    if p <= alpha and ends[0] > 0:
        verdict = "better"
    elif p <= alpha and ends[1] < 0:
        verdict = "worse"
    elif improvable < needed:
        verdict = "cannot be shown at this n"
    return Claim(
        verdict=verdict, n=n, difference=difference, low=ends[0], high=ends[1], interval=how, test=test, p=p,
        mean_a=math.fsum(paired.baseline) / n, mean_b=math.fsum(paired.candidate) / n, alpha=alpha, gained=gained,
        lost=lost, improvable=improvable, needed=needed, n_excluded=excluded, touches=touches,
    )  # fmt: skip

"""A goal of cost: "fewer tokens, accuracy not worse by more than a margin"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from agentopt.core.values import Frozen
from agentopt.errors import UsageError
from agentopt.evaluate.claims import Claim, claim, needed_pairs, told_p
from agentopt.evaluate.clusters import cluster_labels, cluster_sums
from agentopt.evaluate.stats import _numpy, _special, is_binary, paired_permutation
from agentopt.evaluate.summary import counted, pair

__all__ = ["NonInferiority", "margin_test", "not_worse"]

_NUISANCE = 60
"""Shares of gains over which the exact test takes its worst case."""
_EXACT_UP_TO = 1000
"""Examples beyond which its normal limit is as good."""


class NonInferiority(Frozen):
    """What may be said of a candidate that is to be cheaper without being worse."""

    verdict: Literal["cheaper and not worse", "not shown", "cannot be shown at this n"]
    """The only words that may be used for it."""
    margin: float
    """How much worse the mean score may be."""
    quality: Claim
    """The comparison of the scores, with its interval."""
    quality_p: float | None = None
    """One-sided p value of ``margin_test`` for scores of 0 and 1 of independent examples; None for others."""
    cost: str
    """What was counted, such as tokens."""
    cost_a: float | None
    """The baseline's mean cost an example."""
    cost_b: float | None
    """The candidate's."""
    cost_p: float | None
    """Exact paired permutation test of the costs, two-sided."""
    not_worse: bool
    """Whether the interval of the difference of scores lies above minus the margin, and the exact test agrees."""
    cheaper: bool
    """Whether the candidate costs less, by the test."""

    @property
    def sentence(self) -> str:
        """The claim in one line."""
        q = self.quality
        if self.cost_a is None or self.cost_b is None or q.difference is None:
            return f"{self.verdict}: no example was scored for both"
        change = f"{(self.cost_b / self.cost_a - 1):+.0%}" if self.cost_a else "no share"
        return (
            f"{self.verdict}: {self.cost_b:.0f} {self.cost} against {self.cost_a:.0f} ({change}, {told_p(self.cost_p)})"
            f" on {counted(q.n, 'example')}; score {q.mean_b:.2f} against {q.mean_a:.2f}, difference"
            f" {q.difference:+.2f} [{q.low:+.2f}, {q.high:+.2f}], margin -{self.margin:g}"
        )


def not_worse(
    baseline_scores: Mapping[str, float],
    candidate_scores: Mapping[str, float],
    baseline_costs: Mapping[str, float],
    candidate_costs: Mapping[str, float],
    *,
    margin: float,
    cost: str = "tokens",
    alpha: float = 0.05,
    score_range: tuple[float, float] = (0.0, 1.0),
    n_excluded: int | None = None,
    touches: int = 0,
    clusters: Mapping[str, str] | None = None,
) -> NonInferiority:
    """Is the candidate cheaper, and its mean score not worse by more than ``margin``? Both have to be shown.

    The lower end of the 95 % interval of the paired difference of scores must lie above ``-margin``; scores of 0 and 1
    must also pass an exact unconditional test at ``alpha / 2``. The costs must pass an exact paired permutation test at
    ``alpha``. All must hold, so the chance of a false claim is at most that of the weakest.

    Args:
        baseline_scores, candidate_scores: example id to score, repeats averaged.
        baseline_costs, candidate_costs: example id to cost, in any unit of which less is better.
        margin: above 0, in units of the score; to be fixed before the run.
        clusters: example id to its cluster, where examples are not independent: then the interval and the test of costs
            are by cluster, and there is no exact test of the scores.

    Raises:
        UsageError: the margin is not above 0, or an example that counts has no cost.
    """
    if not margin > 0:
        raise UsageError(f"margin is {margin}; say by how much the score may be worse, above 0")
    quality = claim(
        baseline_scores, candidate_scores, n_excluded=n_excluded, alpha=alpha, score_range=score_range, touches=touches,
        clusters=clusters,
    )  # fmt: skip
    paired = pair(dict(baseline_scores), dict(candidate_scores))
    lacking = [e for e in paired.examples if e not in baseline_costs or e not in candidate_costs]
    if lacking:
        raise UsageError(f"{len(lacking)} examples have a score but no {cost}, such as {lacking[0]!r}")
    if not paired.examples or quality.low is None:
        return NonInferiority(
            verdict="cannot be shown at this n", margin=margin, quality=quality, cost=cost, cost_a=None, cost_b=None,
            cost_p=None, not_worse=False, cheaper=False,
        )  # fmt: skip
    n = len(paired.examples)
    mean_a = math.fsum(baseline_costs[e] for e in paired.examples) / n
    mean_b = math.fsum(candidate_costs[e] for e in paired.examples) / n
    labels = cluster_labels(paired.examples, clusters)
    saved = [candidate_costs[e] - baseline_costs[e] for e in paired.examples]
    p = paired_permutation(cluster_sums(saved, labels) if labels else saved)
    cheaper, kept = p <= alpha and mean_b < mean_a, quality.low > -margin
    possible, quality_p = (len(set(labels)) or n) >= needed_pairs(alpha), None
    if not labels and is_binary([*paired.baseline, *paired.candidate], score_range):
        share = margin / (score_range[1] - score_range[0])
        quality_p = margin_test(quality.gained, quality.lost, n, share)
        kept = kept and quality_p <= alpha / 2
        possible = possible and margin_test(0, 0, n, share) <= alpha / 2  # without a single loss
    verdict: Literal["cheaper and not worse", "not shown", "cannot be shown at this n"] = "not shown"
    if cheaper and kept:
        verdict = "cheaper and not worse"
    elif not possible:
        verdict = "cannot be shown at this n"
    return NonInferiority(
        verdict=verdict, margin=margin, quality=quality, cost=cost, cost_a=mean_a, cost_b=mean_b, cost_p=p,
        quality_p=quality_p, not_worse=kept, cheaper=cheaper,
    )  # fmt: skip


def margin_test(gained: int, lost: int, n: int, margin: float) -> float:
    """The exact unconditional p value of "losses exceed gains by at least ``margin``" (a share of all pairs).

    Over all shares of gains that are possible, the largest chance of a table of pairs that speaks at least as strongly
    against it, by the score statistic (Barnard's principle, 1945). A small value shows "not worse by ``margin``".

    Args:
        gained, lost: pairs that only the candidate, or only the baseline, has right.
        n: all pairs.
        margin: between 0 and 1.

    >>> margin_test(0, 0, 200, 0.03) < 0.025 < margin_test(0, 0, 200, 0.011)
    True
    """
    if margin >= 1:
        return 0.0
    np, special = _numpy(), _special()

    def statistic(g: Any, k: Any) -> Any:
        spread = np.maximum((g + k) / n, margin) - margin**2
        return (g - k + n * margin) / np.sqrt(n * spread)

    observed = float(statistic(gained, lost))
    if n > _EXACT_UP_TO:
        return float(special.ndtr(-observed))
    g, k = (a.ravel() for a in np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij"))
    kept = g + k <= n
    g, k = g[kept], k[kept]
    kept = statistic(g, k) >= observed - 1e-9
    g, k = g[kept], k[kept]
    ways = special.gammaln(n + 1) - special.gammaln(g + 1) - special.gammaln(k + 1) - special.gammaln(n - g - k + 1)
    worst = 0.0
    for gain in np.linspace(0.0, (1 - margin) / 2, _NUISANCE):
        loss, rest = gain + margin, max(1 - 2 * gain - margin, 0.0)
        logs = ways + special.xlogy(g, gain) + special.xlogy(k, loss) + special.xlogy(n - g - k, rest)
        worst = max(worst, float(np.exp(logs).sum()))
    return min(1.0, worst)

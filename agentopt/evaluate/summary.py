"""From outcomes to the numbers that are shown: a mean with its interval and its n."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import Field

from agentopt.core.values import Frozen, Outcome
from agentopt.errors import UsageError
from agentopt.evaluate.clusters import cluster_labels, mean_interval

__all__ = ["Paired", "Summary", "cell_score", "counted", "example_scores", "pair", "summarize"]


class Summary(Frozen):
    """What is known of one candidate on one set of examples."""

    mean: float | None
    """Repeats averaged within an example, then examples; None when no example has a score."""
    low: float | None
    """Lower end of the interval of the mean."""
    high: float | None
    """Upper end."""
    confidence: float = 0.95
    """Of the interval."""
    n: int = Field(ge=0)
    """Examples with a score: the unit of all statistics."""
    n_clusters: int | None = None
    """Clusters that these lie in, an example without one counted as its own; None where no two share one."""
    n_cells: int = 0
    """Cells that were looked at, repeats counted."""
    n_agent_error: int = 0
    """Cells in which the candidate failed; they count as the lowest score."""
    n_timeout: int = 0
    """Cells that ran out of time; they count as the lowest score."""
    n_infra: int = 0
    """Cells lost to the world; they do not count."""
    n_unscored: int = 0
    """Cells with an answer that has feedback but no score; they do not count."""
    n_excluded: int = 0
    """Examples left without any score."""

    @property
    def sentence(self) -> str:
        """The mean, its interval and its n, and what was left out."""
        if self.mean is None:
            return f"no score ({self.n_infra} cells lost to infrastructure errors, {self.n_unscored} unscored)"
        text = f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}] on {counted(self.n, 'example')}"
        if self.n_clusters is not None:
            text += f" in {counted(self.n_clusters, 'cluster')}"
        told = [
            f"{k} {word}"
            for k, word in (
                (self.n_agent_error, "failed"),
                (self.n_timeout, "timed out"),
                (self.n_infra, "lost to infrastructure errors"),
                (self.n_unscored, "unscored"),
            )
            if k
        ]
        return f"{text} ({', '.join(told)})" if told else text


def counted(n: int, noun: str) -> str:
    """``1 example``, ``2 examples``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _latest(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """One outcome a cell: the last, since a retried cell is recorded again."""
    cells = {(o.candidate, o.example, o.repeat): o for o in outcomes}
    return list(cells.values())


def cell_score(outcome: Outcome, lowest: float) -> float | None:
    """What one cell counts for: its score, ``lowest`` when the candidate failed, None when it does not count."""
    if outcome.status in ("agent_error", "timeout"):
        return lowest
    return None if outcome.status == "infra_error" else outcome.score


def example_scores(outcomes: Iterable[Outcome], score_range: tuple[float, float] = (0.0, 1.0)) -> dict[str, float]:
    """The mean score over repeats of each example that has any. An agent's failure or timeout is the lowest score.

    Raises:
        UsageError: the outcomes are of several candidates.
    """
    sums: dict[str, list[float]] = {}
    candidates: set[str] = set()
    for outcome in _latest(outcomes):
        candidates.add(outcome.candidate)
        value = cell_score(outcome, score_range[0])
        if value is not None:
            sums.setdefault(outcome.example, []).append(value)
    if len(candidates) > 1:
        raise UsageError(f"outcomes of {len(candidates)} candidates; summarize one at a time")
    return {example: math.fsum(values) / len(values) for example, values in sums.items()}


def summarize(
    outcomes: Iterable[Outcome],
    score_range: tuple[float, float] = (0.0, 1.0),
    *,
    confidence: float = 0.95,
    clusters: Mapping[str, str] | None = None,
) -> Summary:
    """The mean of one candidate's outcomes with its interval.

    Args:
        outcomes: of one candidate; where a cell occurs twice (it was retried) the later counts.
        score_range: lowest and highest score of the task.
        confidence: of the interval.
        clusters: example id to its cluster, where examples are not independent.

    >>> summarize([Outcome(candidate="c", example=str(i), feedback={"score": i % 2}) for i in range(10)]).sentence
    '0.500 [0.237, 0.763] on 10 examples'
    """
    cells = _latest(outcomes)
    scores = example_scores(cells, score_range)
    mean = math.fsum(scores.values()) / len(scores) if scores else None
    low, high = mean_interval(scores, clusters, score_range, confidence=confidence) if scores else (None, None)
    status = [o.status for o in cells]
    return Summary(
        mean=mean,
        low=low,
        high=high,
        confidence=confidence,
        n=len(scores),
        n_clusters=len(set(cluster_labels(list(scores), clusters))) or None,
        n_cells=len(cells),
        n_agent_error=status.count("agent_error"),
        n_timeout=status.count("timeout"),
        n_infra=status.count("infra_error"),
        n_unscored=sum(o.status == "ok" and o.score is None for o in cells),
        n_excluded=len({o.example for o in cells} - scores.keys()),
    )


@dataclass(frozen=True, slots=True)
class Paired:
    """Two candidates' scores on the examples that both have, in the same order, and how many only one or none has."""

    examples: tuple[str, ...]
    baseline: tuple[float, ...]
    candidate: tuple[float, ...]
    excluded: int

    @property
    def differences(self) -> list[float]:
        """Candidate minus baseline, example by example."""
        return [b - a for a, b in zip(self.baseline, self.candidate, strict=True)]


def pair(baseline: dict[str, float], candidate: dict[str, float], examples: Iterable[str] = ()) -> Paired:
    """Match two candidates' scores by example.

    ``examples`` names all that were meant, so that those lost by both count as excluded.
    """
    common = tuple(sorted(baseline.keys() & candidate.keys()))
    meant = baseline.keys() | candidate.keys() | set(examples)
    return Paired(
        common, tuple(baseline[e] for e in common), tuple(candidate[e] for e in common), len(meant) - len(common)
    )

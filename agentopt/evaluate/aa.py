"""A/A: the baseline against itself. What differs here is noise, and is known before anything is compared."""

from __future__ import annotations

import math
from collections.abc import Iterable

from agentopt.core.values import Frozen, Outcome, canonical
from agentopt.evaluate.stats import clopper_pearson, difference_interval
from agentopt.evaluate.summary import cell_score, counted

__all__ = ["AASummary", "aa_summary"]


class AASummary(Frozen):
    """How much the same candidate differs from itself on the same examples."""

    n: int
    """Examples scored both times."""
    changed_outputs: int
    """Examples whose output was another the second time."""
    changed_scores: int
    """Examples whose score was another."""
    mean_first: float | None
    """Mean score the first time."""
    mean_second: float | None
    """Mean score the second time."""
    sd: float
    """Standard deviation of the paired differences: the noise that a comparison of single runs has to overcome."""
    low: float | None
    """Lower end of the 95 % interval of the mean difference, second minus first."""
    high: float | None
    """Upper end."""
    changed_high: float | None
    """Upper 95 % limit (Clopper and Pearson) of the share of examples whose score changes."""
    degenerate: bool
    """Every output was the same (greedy decoding, or a cache): nothing can be said of sampling noise."""
    n_excluded: int = 0
    """Examples without a score at least once."""

    @property
    def sentence(self) -> str:
        """The noise in one line."""
        if not self.n or self.mean_first is None or self.mean_second is None:
            return "A/A: no example was scored twice, so the noise is not known"
        if self.degenerate:
            return (
                f"A/A: all {counted(self.n, 'output')} came out the same (greedy decoding):"
                " no sampling noise to see; which examples were drawn still matters"
            )
        return (
            f"A/A: the baseline scored {self.mean_first:.2f} and {self.mean_second:.2f} on the same"
            f" {counted(self.n, 'example')}; {self.changed_scores} scores changed"
            f" (difference {self.mean_second - self.mean_first:+.2f} [{self.low:+.2f}, {self.high:+.2f}])"
        )


def aa_summary(pairs: Iterable[tuple[Outcome, Outcome]], score_range: tuple[float, float] = (0.0, 1.0)) -> AASummary:
    """Compare two runs of one candidate.

    Args:
        pairs: the first and the second outcome of each example.
        score_range: lowest and highest score of the task.
    """
    scored: list[tuple[float, float]] = []
    outputs = excluded = 0
    for first, second in pairs:
        a, b = cell_score(first, score_range[0]), cell_score(second, score_range[0])
        if a is None or b is None:
            excluded += 1
            continue
        scored.append((a, b))
        outputs += canonical(first.output) != canonical(second.output) or first.status != second.status
    n = len(scored)
    differences = [b - a for a, b in scored]
    changed = sum(d != 0 for d in differences)
    mean = math.fsum(differences) / n if n else 0.0
    sd = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / (n - 1)) if n > 1 else 0.0
    low, high = difference_interval(differences, score_range[1] - score_range[0]) if n else (None, None)
    return AASummary(
        n=n,
        changed_outputs=outputs,
        changed_scores=changed,
        mean_first=math.fsum(a for a, _ in scored) / n if n else None,
        mean_second=math.fsum(b for _, b in scored) / n if n else None,
        sd=sd,
        low=low,
        high=high,
        changed_high=clopper_pearson(changed, n)[1] if n else None,
        degenerate=bool(n) and not outputs and not changed,
        n_excluded=excluded,
    )

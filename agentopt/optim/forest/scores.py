"""Scores of candidates as the search sees them, 0 to 1, from the archive of the run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from agentopt.optim.base import Scored, View
from agentopt.optim.forest.agreement import weighted, weights

__all__ = ["Scores"]


class Scores:
    """Read once an ask.

    A candidate that ran on a part of the examples, since it fell out of a race, gets the best one's score plus the
    difference on the examples that both ran on.

    Args:
        view: the run.
        weighting: ``uniform`` or ``agreement``.
    """

    def __init__(self, view: View, weighting: str = "uniform") -> None:
        self.entries: dict[str, Scored] = {scored.candidate.id: scored for scored in view.archive}
        low, high = view.score_range
        self.rows = {id: row for id, entry in self.entries.items() if (row := _by_example(entry, low))}
        self._full, self._whole = high, max((len(row) for row in self.rows.values()), default=0)
        weight = weights(self.rows, weighting, full=high)
        reference = self.rows.get(view.best.candidate.id, {})
        self.by_id: dict[str, float] = {}
        """Score by candidate, between 0 and 1; candidates without any score are absent."""
        for id, row in self.rows.items():
            raw = weighted(row, weight) if len(row) == self._whole else _paired(row, reference, weight)
            if raw is not None:
                self.by_id[id] = min(1.0, max(0.0, (raw - low) / (high - low)))

    def solved(self) -> str | None:
        """The first candidate that has full marks on every example that any candidate ran on; None without one."""
        for id, row in self.rows.items():
            if len(row) == self._whole and all(score >= self._full for score in row.values()):
                return id
        return None

    def best(self) -> str | None:
        """The candidate with the highest score, the earliest of equals; None without any."""
        return max(self.by_id, key=self.by_id.__getitem__, default=None)


def _paired(row: Mapping[str, float], reference: Mapping[str, float], weight: Mapping[str, float]) -> float | None:
    shared = {example: score - reference[example] for example, score in row.items() if example in reference}
    whole, difference = weighted(reference, weight), weighted(shared, weight)
    return weighted(row, weight) if whole is None or difference is None else whole + difference


def _by_example(scored: Scored, lowest: float) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for outcome in scored.outcomes:
        if outcome.score is not None:
            found.setdefault(outcome.example, []).append(outcome.score)
        elif outcome.status in ("agent_error", "timeout"):
            found.setdefault(outcome.example, []).append(lowest)
    return {example: statistics.fmean(values) for example, values in found.items()}

"""What a run knows: candidates in the order they came, and their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from agentopt.core.values import Candidate, Outcome
from agentopt.evaluate import example_scores, summarize
from agentopt.optim.base import Scored

__all__ = ["Archive", "Entry"]


@dataclass(slots=True)
class Entry:
    """A candidate with its outcomes, by (example, repeat)."""

    candidate: Candidate
    step: int
    operator: str
    outcomes: dict[tuple[str, int], Outcome] = field(default_factory=dict)
    known: dict[str, Scored] = field(default_factory=dict)
    """By split, until another outcome comes: intervals are dear."""


class Archive:
    """Candidates and outcomes of one run, in memory. The store is the truth; this is its fold.

    Args:
        score_range: lowest and highest score of the task.
        clusters: gives example id to cluster, for intervals by cluster; asked once, and not before it is needed.
    """

    def __init__(self, score_range: tuple[float, float], clusters: Callable[[], Mapping[str, str]] = dict) -> None:
        self._entries: dict[str, Entry] = {}
        self._range, self._clusters = score_range, clusters

    @cached_property
    def clusters(self) -> Mapping[str, str]:
        """Example id to cluster, of the examples that have one."""
        return self._clusters()

    def __contains__(self, id: str) -> bool:
        return id in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def add(self, candidate: Candidate, step: int, operator: str) -> Entry:
        """Take a candidate in; one that is already here keeps its first step and operator."""
        return self._entries.setdefault(candidate.id, Entry(candidate, step, operator))

    def put(self, outcome: Outcome) -> None:
        """Take an outcome in."""
        entry = self._entries[outcome.candidate]
        if entry.outcomes.get((outcome.example, outcome.repeat)) is not outcome:
            entry.outcomes[outcome.example, outcome.repeat] = outcome
            entry.known.pop(outcome.split, None)

    def __getitem__(self, id: str) -> Entry:
        return self._entries[id]

    def outcomes(self, id: str, split: str) -> list[Outcome]:
        """A candidate's outcomes on a split, by example and repeat: the order in which they came must not show."""
        return [o for _, o in sorted(self._entries[id].outcomes.items()) if o.split == split]

    def means(self, id: str, split: str, examples: Iterable[str] | None = None) -> dict[str, float]:
        """Mean score over repeats for each example of a split; examples with infrastructure errors alone are absent."""
        wanted = None if examples is None else set(examples)
        outcomes = [o for o in self.outcomes(id, split) if wanted is None or o.example in wanted]
        return example_scores(outcomes, self._range)

    def scored(self, id: str, split: str = "search") -> Scored:
        """The candidate with mean, n and interval on a split."""
        entry = self._entries[id]
        if split in entry.known:
            return entry.known[split]
        outcomes = tuple(self.outcomes(id, split))
        s = summarize(outcomes, self._range, clusters=self.clusters)
        made = Scored(entry.candidate, s.mean, s.n, s.low, s.high, outcomes, entry.step, entry.operator)
        entry.known[split] = made
        return made

    def before(self, step: int) -> Sequence[Scored]:
        """Everything evaluated on the search split before a step, in order."""
        return [s for e in self if e.step < step and (s := self.scored(e.candidate.id)).outcomes]

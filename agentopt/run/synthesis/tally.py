"""How many problems reached each stage of a synthesis, and why the others fell."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from agentopt.core.values import Frozen

__all__ = ["STAGES", "Fell", "Tally"]

STAGES = {
    "grow": "demonstrations asked for",
    "steps": "have at least one constraint",
    "similarity": "are unlike all others",
    "problems": "problems: prefixes of these",
    "code": "problems with a program",
    "solver": "problems with an answer",
    "questions": "questions asked for",
    "leak": "questions that keep facts, and the formal side to themselves",
    "rows": "rows of the data set",
}
"""Stages, in order, and what is counted at each."""


class Fell(Frozen):
    """Something that went no further."""

    where: str
    """Draw, and prefix, form or sample."""
    stage: str
    """At which filter: grow, steps, similarity, question, leak, code, solver, duplicate."""
    reason: str
    """Why, in words; the part before a colon is the kind of reason."""


class Tally(Frozen):
    """Counts by stage, and everything that fell."""

    counts: dict[str, int] = Field(default_factory=dict)
    fell: tuple[Fell, ...] = ()
    cut: tuple[Fell, ...] = ()
    """Demonstrations that lost a bad tail and went on with the rest."""
    left: int = 0
    """What was begun and not finished: the budget ended, the run was stopped, or a call or program was lost."""

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        names = {*self.counts, *other.counts}
        counts = {n: self.counts.get(n, 0) + other.counts.get(n, 0) for n in STAGES if n in names}
        return Tally(
            counts=counts, fell=(*self.fell, *other.fell), cut=(*self.cut, *other.cut), left=self.left + other.left
        )

    def reasons(self) -> list[tuple[str, str, int]]:
        """Stage, kind of reason, and how many; the most frequent first within a stage."""
        return [*_counted(self.fell), *_counted(self.cut)]


def _counted(fell: Iterable[Fell]) -> list[tuple[str, str, int]]:
    counts: dict[tuple[str, str], int] = {}
    for one in fell:
        key = one.stage, one.reason.partition(":")[0]
        counts[key] = counts.get(key, 0) + 1
    stages = list(dict.fromkeys(stage for stage, _ in counts))
    rows = [(stage, reason, count) for (stage, reason), count in counts.items()]
    return sorted(rows, key=lambda row: (stages.index(row[0]), -row[2], row[1]))

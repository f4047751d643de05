"""The end of a synthesis, and reading it from a run's folder."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentopt.core.values import Budget
from agentopt.errors import UsageError
from agentopt.problems.dataset import Row, read_dataset
from agentopt.run.files import RunFile
from agentopt.run.result import spent
from agentopt.run.synthesis.tally import STAGES, Tally

__all__ = ["DATASET", "KIND", "Synthesis", "synthesis_of"]

KIND = "synthesize"
"""How a synthesis is called in its first event."""
DATASET = "dataset.jsonl"
"""The data set's file in the run's folder."""


@dataclass(frozen=True, slots=True, repr=False)
class Synthesis:
    """What a synthesis has made so far."""

    dir: Path
    """The run's folder."""
    status: str
    """finished; budget, errors, interrupted or running: then ``resume`` goes on."""
    tally: Tally
    """How many reached each stage, and why the others fell."""
    planned: int
    """Draws in all."""
    spend: Mapping[str, Mapping[str, float]]
    """Settled amounts by role and axis."""
    budget: Budget
    """What might be spent."""
    lost: int = 0
    """Calls that failed, and programs that the sandbox could not run: what they belong to is ``left``."""
    reason: str = ""
    """How many of each, and why."""

    def __repr__(self) -> str:
        return f"<Synthesis {self.dir}: {self.status}, {self.tally.counts.get('rows', 0)} rows>"

    @property
    def path(self) -> Path:
        """The data set: JSON lines, see ``agentopt.problems.dataset.Row``."""
        return self.dir / DATASET

    @property
    def rows(self) -> list[Row]:
        """The data set."""
        return read_dataset(self.path)

    def notes(self) -> list[str]:
        """What belongs to the table in words."""
        name, lines = self.dir.name, []
        if self.status == "budget":
            lines.append(f"the budget ended; `agentopt resume {name} --add-budget ...` goes on")
        elif self.status == "finished" and not self.tally.counts.get("rows", 0):
            lines.append(f"no row was made: {self._why()}")
        if self.lost:
            lines.append(f"{self.reason}: mend that, then `agentopt resume {name}` tries again")
        elif self.status not in ("finished", "budget"):
            lines.append(f"{self.status}; `agentopt resume {name}` goes on")
        return [*lines, *spent(dict(self.spend), self.budget)]

    def _why(self) -> str:
        """Where most fell that might have become rows."""
        reasons = self.tally.reasons()
        if not reasons:
            return "nothing came through, and nothing fell"
        stage, reason, count = max(reasons, key=lambda row: row[2])
        return f"most fell at {stage}, {count} times: {reason}"

    def record(self) -> dict[str, Any]:
        """As JSON."""
        reasons = [{"stage": s, "reason": r, "count": c} for s, r, c in self.tally.reasons()]
        return {
            "dir": str(self.dir), "status": self.status, "dataset": str(self.path), "planned": self.planned,
            "counts": {n: self.tally.counts.get(n, 0) for n in STAGES}, "left": self.tally.left, "reasons": reasons,
            "lost": self.lost, "reason": self.reason,
            "fell": [f.model_dump() for f in self.tally.fell], "cut": [f.model_dump() for f in self.tally.cut],
            "spend": {role: dict(amounts) for role, amounts in self.spend.items()},
        }  # fmt: skip


def synthesis_of(folder: Path, status: str | None = None) -> Synthesis:
    """Read a synthesis from a run's folder.

    Raises:
        UsageError: the run is none.
    """
    with RunFile(folder) as run:
        if run.started["kind"] != KIND:
            raise UsageError(f"run {run.dir.name} is not a synthesis: `agentopt show {run.dir.name}`")
        rounds = {
            int(str(e.data["number"])): Tally.model_validate(e.data["tally"]) for e in run.events("synthesis.round")
        }
        ended = [e.data for e in run.events("run.finished")][-1:]
        lost = ended[0] if ended else {}
        tally = functools.reduce(Tally.plus, (rounds[number] for number in sorted(rounds)), Tally())
        return Synthesis(
            folder, status or run.status, tally, int(run.started["planned"]), run.spend(), run.budget,
            int(str(lost.get("lost", 0))), str(lost.get("reason", "")),
        )  # fmt: skip

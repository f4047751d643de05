"""What ``optimize`` and ``evaluate`` give back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentopt.core.values import Candidate, Outcome
from agentopt.evaluate import Claim, Summary
from agentopt.optim.base import Scored
from agentopt.run.files import RunFile
from agentopt.run.forecast import told

__all__ = ["Evaluation", "Result", "result_of"]


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """The end of an optimization: what was found, what may be claimed of it, and where everything lies."""

    dir: Path
    """The run's folder; ``dir / "best"`` has the best candidate as files."""
    status: str
    """finished, budget, or interrupted."""
    baseline: Candidate | None
    best: Candidate | None
    """What validation chose; the incumbent where the run did not get that far."""
    claim: Claim | None
    """The test against the baseline; None when nothing beat the baseline on the way, or the run was cut short."""
    archive: tuple[Scored, ...]
    """Everything that was evaluated on the search split."""
    noise: dict[str, Any]
    """The A/A repeat of the baseline."""
    reason: str
    """Why the search ended."""
    spend: dict[str, dict[str, float]]
    """Settled amounts by role and axis."""

    def __repr__(self) -> str:
        said = self.claim.sentence if self.claim else "no claim"
        return f"<Result {self.dir}: {self.status}, {said}>"

    @property
    def improved(self) -> bool:
        """Whether an improvement is claimed."""
        return self.claim is not None and self.claim.shown

    def summary(self) -> list[str]:
        """The end of the run in a few lines: claim, search score, spend, and what to do next."""
        lines = []
        name = self.dir.name
        if self.claim is not None:
            lines.append(f"test: {self.claim.sentence}")
        elif self.status == "budget":
            lines.append(f"the budget ended before the test; `agentopt resume {name} --add-budget ...` goes on")
        elif self.status == "interrupted":
            lines.append(f"interrupted; `agentopt resume {name}` goes on")
        else:
            lines.append(
                "no improvement shown: nothing beat the baseline on the search and validation examples, "
                "so the test examples were not used"
            )
        for scored in self.archive:
            for label, candidate in (("baseline", self.baseline), ("best", self.best)):
                if candidate is not None and scored.candidate.id == candidate.id and scored.mean is not None:
                    ends = f"[{scored.low:.3f}, {scored.high:.3f}]"
                    lines.append(f"search: {label} {scored.mean:.3f} {ends} on {scored.n} examples")
        if self.reason:
            lines.append(f"the search ended: {self.reason}")
        for role, amounts in sorted(self.spend.items()):
            if any(amounts.values()):
                lines.append(f"spent by {role}: {told(amounts)}")
        if self.improved:
            lines.append(
                f"next: `agentopt apply {name} --dry-run` shows the diff, `agentopt report {name}` the evidence"
            )
        return lines


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The end of an evaluation: scores of one program on one split."""

    dir: Path
    split: str
    candidate: Candidate
    summary: Summary
    outcomes: tuple[Outcome, ...]
    spend: dict[str, dict[str, float]]


def result_of(folder: Path, status: str | None = None) -> Result:
    """Read a result from a run's folder."""
    with RunFile(folder) as run:
        state = run.state
        return Result(
            dir=folder, status=status or run.status, baseline=run.baseline(), best=run.best(), claim=run.claim(),
            archive=tuple(run.candidates()), noise=dict(state.noise or {}), reason=state.ended or "", spend=run.spend(),
        )  # fmt: skip

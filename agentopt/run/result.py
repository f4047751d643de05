"""What ``optimize`` and ``evaluate`` give back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentopt.core.values import Budget, Candidate, Outcome
from agentopt.evaluate import Claim, Example, Summary
from agentopt.evaluate.breakdown import Agreement, Row
from agentopt.evaluate.measured import Measured
from agentopt.evaluate.summary import counted
from agentopt.optim.base import Scored
from agentopt.run.config import RunConfig
from agentopt.run.files import RunFile
from agentopt.run.forecast import told

__all__ = ["Evaluation", "Result", "result_of", "spent"]


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
    budget: Budget
    """What might be spent, all roles together."""
    invalid: int = 0
    """Proposals that were rejected."""

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
        elif self.status == "running":
            lines.append("running: this is what it has so far")
        elif self.status == "budget":
            lines.append(f"the budget ended before the test; `agentopt resume {name} --add-budget ...` goes on")
        elif self.status == "interrupted":
            lines.append(f"interrupted; `agentopt resume {name}` goes on")
        elif len(self.archive) < 2 and self.invalid:
            lines.append(
                f"no improvement shown: {counted(self.invalid, 'proposal')} came, and none could be evaluated (the "
                f"report has each with its reason: `agentopt report {name}`)"
            )
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
        lines += spent(self.spend, self.budget)
        if self.improved:
            lines.append(
                f"next: `agentopt apply {name} --dry-run` shows the diff, `agentopt report {name}` the evidence"
            )
        return lines


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation:
    """The end of an evaluation: scores of one program on one split, or on all."""

    dir: Path
    """The run's folder."""
    status: str
    """evaluated; budget, errors (more of them than the run tolerates) or interrupted: then some are missing."""
    config: RunConfig
    """Graph, task, model and options."""
    split: str
    candidate: Candidate
    """The values that were evaluated."""
    summary: Summary
    """Mean with interval and n, over everything."""
    planned: int
    """Cells that a complete evaluation has."""
    rows: tuple[Row, ...]
    """The same with costs: all, each split, each group of examples."""
    agreement: Agreement | None
    """How repeats agree; None without repeats."""
    outcomes: tuple[Outcome, ...]
    """In the order of the examples; of a cell that was evaluated again, the last."""
    examples: dict[str, Example]
    """By id."""
    spend: dict[str, dict[str, float]]
    """Settled amounts by role and axis, failed attempts included."""
    budget: Budget
    """What might be spent."""
    rescored: str | None = None
    """The run whose answers these are, where they were scored again."""
    measured: Measured | None = None
    """What its eval says of it; None where it was made without one."""

    def __repr__(self) -> str:
        return f"<Evaluation {self.dir}: {self.status}, {self.summary.sentence}>"

    @property
    def complete(self) -> bool:
        """Whether every example was evaluated, and any has a score."""
        return self.status == "evaluated" and self.summary.mean is not None

    def notes(self) -> list[str]:
        """What belongs to the table in words: how far it came, how repeats agree, what was spent."""
        name, lines = self.dir.name, []
        anew = ""
        if self.rescored is not None:
            lines.append(f"the answers are those of run {self.rescored}, scored again; no model was called")
            anew = f"`agentopt rescore {self.rescored}` scores all answers anew"
        done = len(self.outcomes)
        if done < self.planned:
            why = {
                "budget": f"the budget ended; `agentopt resume {name} --add-budget ...` goes on",
                "running": "the others are under way",
                "errors": f"too many were lost to the world; `agentopt eval --resume {name} --retry-errors` goes on",
            }
            if self.rescored is not None:
                why["evaluated"] = f"run {self.rescored} had no more"
            going_on = why.get(self.status, f"interrupted; {anew or f'`agentopt resume {name}` goes on'}")
            lines.append(f"{done} of {self.planned} evaluations are done: {going_on}")
        elif self.summary.n_infra:
            lines.append(
                f"{self.summary.n_infra} of {done} evaluations were lost to the world and do not count; "
                + (anew or f"`agentopt eval --resume {name} --retry-errors` tries them again")
            )
        lost = [outcome for outcome in self.outcomes if outcome.status == "infra_error"]
        if lost:
            lines.append(f"the first that was lost: {' '.join((lost[0].error or 'no reason').split())[:300]}")
        if self.status == "errors" and done == self.planned:
            lines.append("more examples were lost than --fail-on-error allows")
        if self.agreement is not None:
            lines.append(self.agreement.sentence)
        return [*lines, *spent(self.spend, self.budget)]


def spent(spend: Mapping[str, Mapping[str, float]], budget: Budget) -> list[str]:
    """What each role used, and what that is of the budget."""
    lines = [f"spent by {role}: {told(amounts)}" for role, amounts in sorted(spend.items()) if any(amounts.values())]
    limits = budget.model_dump(exclude_none=True)
    used = {axis: sum(amounts.get(axis, 0.0) for amounts in spend.values()) for axis in limits}
    shares = [f"{_amount(axis, used[axis])} of {_amount(axis, limit)} {axis}" for axis, limit in limits.items()]
    return [*lines, f"of the budget: {', '.join(shares)}"] if shares else lines


def _amount(axis: str, value: float) -> str:
    return f"{value:.4f}" if axis == "usd" else f"{value:,.0f}"


def result_of(folder: Path, status: str | None = None) -> Result:
    """Read a result from a run's folder."""
    with RunFile(folder) as run:
        state = run.state
        return Result(
            dir=folder, status=status or state.finished or "interrupted", baseline=run.baseline(), best=run.best(),
            claim=run.claim(), archive=tuple(run.candidates()), noise=dict(state.noise or {}),
            reason=state.ended or "", spend=run.spend(), budget=run.budget,
            invalid=sum(1 for _ in run.events("proposal.rejected")),
        )  # fmt: skip

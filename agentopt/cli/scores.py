"""How an evaluation ends on the command line: its table, its JSON, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from agentopt._text import average, number, short
from agentopt.cli.console import print_json, print_table
from agentopt.cli.measures import heading, measured_record, print_beside, print_measures
from agentopt.cli.outcome import BUDGET_ENDED, INTERRUPTED

if TYPE_CHECKING:
    from agentopt.run.result import Evaluation

__all__ = ["ERRORS", "GATE_NOT_MET", "code_of_evaluation", "evaluated"]

GATE_NOT_MET, ERRORS = 3, 5


def code_of_evaluation(done: Evaluation) -> int:
    """0; 130 interrupted; 5 too many infrastructure errors, or no score at all; 4 when the budget ended on the way."""
    if done.status == "interrupted":
        return INTERRUPTED
    if done.status == "budget":
        return BUDGET_ENDED
    return 0 if done.complete else ERRORS


def evaluated(done: Evaluation, *, as_json: bool, examples: bool = False) -> None:
    """Print the end of an evaluation: one sentence, a row for each split and group, and what belongs to it."""
    if as_json:
        print_json(_record(done))
        return
    if examples:
        _examples(done)
    if done.measured is not None:
        for line in heading(done.measured):
            typer.echo(line)
    typer.echo(f"{done.config.graph} on {done.config.task_told} ({done.split}): {done.summary.sentence}")
    columns = ["of", "mean", "95 % interval", "n", "ok", "agent error", "timeout", "infra error", "calls", "tokens",
               "seconds each", "usd"]  # fmt: skip
    rows = []
    for row in done.rows:
        s = row.summary
        usd = "unknown" if row.usd is None else f"{row.usd:.4f}"
        rows.append((row.name, *average(s.mean, s.low, s.high), s.n, row.n_ok, s.n_agent_error, s.n_timeout, s.n_infra,
                     f"{row.calls:.0f}", f"{row.tokens:.0f}", number(row.seconds), usd))  # fmt: skip
    print_table(columns, rows, right=[c for c in columns if c not in ("of", "95 % interval")])
    if done.measured is not None:
        print_measures(done.measured)
        print_beside(done.measured)
    for line in done.notes():
        typer.echo(line)
    typer.echo(f"run: {done.dir}")


def _examples(done: Evaluation) -> None:
    rows = [
        (
            o.example,
            *([o.repeat] if done.agreement is not None else []),
            o.status,
            number(o.score),
            short(o.output, 40),
            short((o.feedback and o.feedback.text) or o.error or ""),
        )
        for o in done.outcomes
    ]
    repeat = ["repeat"] if done.agreement is not None else []
    print_table(["example", *repeat, "status", "score", "output", "feedback"], rows, right=["score", "repeat"])


def _record(done: Evaluation) -> dict[str, Any]:
    return {
        "dir": str(done.dir),
        "status": done.status,
        "complete": done.complete,
        "split": done.split,
        "values": done.candidate.values,
        "config": done.config.model_dump(mode="json"),
        "planned": done.planned,
        "summary": done.summary.model_dump(mode="json"),
        "rows": [row.model_dump(mode="json") for row in done.rows],
        "agreement": done.agreement and done.agreement.model_dump(mode="json"),
        "eval": done.measured and measured_record(done.measured),
        "outcomes": [o.model_dump(mode="json") for o in done.outcomes],
        "spend": done.spend,
    }

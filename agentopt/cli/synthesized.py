"""How a synthesis ends on the command line: what is printed, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from agentopt._text import short
from agentopt.cli.console import print_json, print_table
from agentopt.cli.outcome import BUDGET_ENDED, INTERRUPTED
from agentopt.cli.scores import ERRORS

if TYPE_CHECKING:
    from agentopt.run.synthesis.result import Synthesis
    from agentopt.run.synthesis.tally import Fell

__all__ = ["code_of_synthesis", "synthesized"]


def code_of_synthesis(made: Synthesis) -> int:
    """0; 4 when the budget ended on the way; 5 where something was lost, or no row was made; 130 interrupted."""
    if made.status == "finished":
        return 0 if made.tally.counts.get("rows", 0) else ERRORS
    return {"budget": BUDGET_ENDED, "errors": ERRORS}.get(made.status, INTERRUPTED)


def synthesized(made: Synthesis, *, as_json: bool, fell: bool = False) -> None:
    """Print how many problems reached each stage and why the others fell; ``fell`` gives an example of each reason."""
    if as_json:
        print_json(made.record())
        return
    from agentopt.run.synthesis.tally import STAGES

    typer.echo(f"run: {made.dir}")
    counts = made.tally.counts
    print_table(["stage", "count", ""], [(name, counts.get(name, 0), what) for name, what in STAGES.items()],
                right=["count"])  # fmt: skip
    reasons = made.tally.reasons()
    if reasons:
        typer.echo("")
        first = {(f.stage, f.reason.partition(":")[0]): f for f in reversed((*made.tally.fell, *made.tally.cut))}
        columns = ["fell at", "why", "count", *(["such as"] if fell else [])]
        rows = [
            (stage, short(reason, 70), count, *([short(_example(first[stage, reason]), 90)] if fell else []))
            for stage, reason, count in reasons
        ]
        print_table(columns, rows, right=["count"])
    if made.tally.left:
        typer.echo(f"{made.tally.left} were begun and not finished")
    typer.echo(f"data set: {made.path}")
    for line in made.notes():
        typer.echo(line)


def _example(fell: Fell) -> str:
    return f"{fell.where}: {fell.reason.partition(': ')[2] or fell.reason}"

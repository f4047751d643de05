"""``agentopt eval``"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from agentopt._text import number, short
from agentopt.cli.console import print_json, print_table
from agentopt.cli.flags import configured, with_flags
from agentopt.cli.outcome import interrupted
from agentopt.cli.progress import Progress
from agentopt.errors import UsageError
from agentopt.run.config import RunConfig

__all__ = ["eval_"]

SPLITS = ("search", "validation", "test", "all")
# Fields that only an optimization has.
SEARCHING = {
    "optimizer", "optimizer_args", "optimizer_model", "optimizer_max_tokens", "proposals", "steps", "patience",
    "minibatch", "finalists", "parameters",
}  # fmt: skip
GATE_NOT_MET = 3


@with_flags(RunConfig, leave_out=SEARCHING)
def eval_(
    flags: dict[str, Any],
    split: Annotated[str, typer.Option("--split", help="search, validation, test or all.")] = "search",
    values: Annotated[
        str | None, typer.Option("--run", help="Use the best values of this run, in place of the graph's own.")
    ] = None,
    gate: Annotated[float | None, typer.Option("--gate", help="Exit with 3 when the mean is below this.")] = None,
    examples: Annotated[bool, typer.Option("--examples", help="Show every example.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the result.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")] = False,
) -> None:
    """Score a graph on a task, as it is. Every mean comes with its interval and its n."""
    if split not in SPLITS:
        raise UsageError(f"--split {split!r} is none of {', '.join(SPLITS)}")
    config = configured(RunConfig, flags)
    from agentopt.run.api import evaluate_async
    from agentopt.run.best import best_values

    chosen = best_values(values, config.runs_dir) if values else None
    options = {name: getattr(config, name) for name in RunConfig.model_fields if name not in ("graph", "task")}
    with Progress(quiet=quiet) as progress, interrupted(config.runs_dir):
        options |= {"split": split, "values": chosen}
        work = evaluate_async(config.graph, task=config.task, **progress.options, **options)
        done = asyncio.run(work)
    if as_json:
        outcomes = [o.model_dump(mode="json") for o in done.outcomes]
        summary = done.summary.model_dump(mode="json")
        print_json(
            {"dir": str(done.dir), "split": split, "summary": summary, "outcomes": outcomes, "spend": done.spend}
        )
    else:
        if examples:
            rows = [
                (
                    o.example,
                    o.status,
                    number(o.score),
                    short(o.output, 40),
                    short((o.feedback and o.feedback.text) or o.error or ""),
                )
                for o in done.outcomes
            ]
            print_table(["example", "status", "score", "output", "feedback"], rows, right=["score"])
        typer.echo(f"{config.graph} on {config.task} ({split}): {done.summary.sentence}")
        typer.echo(f"run: {done.dir}")
    below = gate is not None and (done.summary.mean is None or done.summary.mean < gate)
    if below:
        typer.echo(f"gate not met: the mean {number(done.summary.mean)} is below {gate}", err=True)
    raise typer.Exit(GATE_NOT_MET if below else 0)

"""``agentopt rescore``"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from agentopt._text import number
from agentopt.cli.console import RUN
from agentopt.cli.outcome import interrupted
from agentopt.cli.place import RunsDir
from agentopt.cli.progress import Progress
from agentopt.cli.scores import code_of_evaluation, evaluated

if TYPE_CHECKING:
    from agentopt.run.result import Evaluation

__all__ = ["rescore"]


def rescore(
    run: Annotated[str, typer.Argument(help=RUN)] = "last",
    name: Annotated[str | None, typer.Option("--name", help="Name of the new run's folder.")] = None,
    examples: Annotated[bool, typer.Option("--examples", help="Show every example.")] = False,
    runs_dir: RunsDir = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the result.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")] = False,
) -> None:
    """Score the answers of an evaluation again, as its task scores now. No model is called.

    The scores go into a new run, which names the old one; where it is interrupted, the same command begins anew.
    Exit code 5: no answer has a score.
    """
    from agentopt.run.evaluation import evaluation_of
    from agentopt.run.files import find_run
    from agentopt.run.rescore import rescore_async

    folder = find_run(run, runs_dir, kind="evaluate")
    told = f"`agentopt rescore {folder.name}` scores all answers anew"
    with Progress(quiet=quiet) as progress, interrupted(runs_dir, told=told):
        done = asyncio.run(rescore_async(folder, name=name, runs_dir=runs_dir, **progress.options))
    evaluated(done, as_json=as_json, examples=examples)
    if not as_json:
        typer.echo(_difference(evaluation_of(folder), done))
    raise typer.Exit(code_of_evaluation(done))


def _difference(old: Evaluation, new: Evaluation) -> str:
    """What scoring again has changed."""
    before = {(o.example, o.repeat): o.score for o in old.outcomes}
    pairs = [(before.get((o.example, o.repeat)), o.score) for o in new.outcomes]
    up = sum(a is not None and b is not None and b > a for a, b in pairs)
    down = sum(a is not None and b is not None and b < a for a, b in pairs)
    other = sum((a is None) != (b is None) for a, b in pairs)
    means = f"mean {number(old.summary.mean)} before, {number(new.summary.mean)} now"
    return f"{means}: {up} scores are higher, {down} lower, {other} there in one of the two only"

"""``agentopt resume``"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from agentopt.cli.console import RUN
from agentopt.cli.outcome import code_of, finished, interrupted
from agentopt.cli.place import RunsDir
from agentopt.cli.progress import Progress
from agentopt.cli.scores import code_of_evaluation, evaluated
from agentopt.cli.synthesized import code_of_synthesis, synthesized

__all__ = ["resume"]


def resume(
    run: Annotated[str, typer.Argument(help=RUN)] = "last",
    add_budget: Annotated[
        str | None,
        typer.Option(
            "--add-budget",
            "-b",
            metavar="AXIS=AMOUNT,...",
            help="May be spent on top, on any axis of the run's budget; a search that its budget ended goes on.",
        ),
    ] = None,
    max_connections: Annotated[
        int | None,
        typer.Option("--max-connections", "-j", min=1, help="In flight at once, from here on; else as it was begun."),
    ] = None,
    runs_dir: RunsDir = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the result.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")] = False,
) -> None:
    """Go on with a run that was interrupted, killed, or whose budget ended. Nothing answered is asked again.

    Optimizations, evaluations and syntheses alike; `last` is the one that began last.
    """
    from agentopt.run.api import resume_async
    from agentopt.run.files import find_run
    from agentopt.run.result import Evaluation
    from agentopt.run.synthesis.result import Synthesis

    folder: Path = find_run(run, runs_dir)
    with Progress(quiet=quiet) as progress, interrupted(runs_dir, folder.name):
        progress.say(f"going on with {folder}")
        result = asyncio.run(
            resume_async(folder, add_budget=add_budget, max_connections=max_connections, **progress.options)
        )
    if isinstance(result, Synthesis):
        synthesized(result, as_json=as_json)
        raise typer.Exit(code_of_synthesis(result))
    if isinstance(result, Evaluation):
        evaluated(result, as_json=as_json)
        raise typer.Exit(code_of_evaluation(result))
    finished(result, as_json=as_json)
    raise typer.Exit(code_of(result))

"""``agentopt synthesize``"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from agentopt.cli.flags import configured, validated, with_flags
from agentopt.cli.outcome import interrupted
from agentopt.cli.progress import Progress
from agentopt.cli.synthesized import code_of_synthesis, synthesized
from agentopt.errors import UsageError
from agentopt.run.config import RunConfig
from agentopt.run.synthesis.options import SynthesisOptions

__all__ = ["synthesize"]

KEPT = {
    "budget", "model", "prices", "seed", "max_connections", "sandbox", "allow_weak_sandbox", "timeout", "cache",
    "runs_dir", "name",
}  # fmt: skip
"""Fields of a run that a synthesis has."""
OTHERS = set(RunConfig.model_fields) - KEPT


@with_flags(RunConfig, SynthesisOptions, leave_out=OTHERS)
def synthesize(
    flags: dict[str, Any],
    out: Annotated[Path | None, typer.Option("--out", help="Copy the data set to this file, too.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the result.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")] = False,
) -> None:
    """Make a data set of optimization problems with a model: grown step by step, solved, and asked as questions.

    Every answer is checked by running a program in the sandbox. Load it with `--task synthesized --task-arg path=FILE`.
    Exit codes: 0 done; 2 a mistake in the command; 4 the budget ended, and the data set has what was whole by then;
    5 calls failed, the sandbox broke down under programs, or no row was made; 130 interrupted. After 4, 130, failed
    calls and a broken sandbox, `agentopt resume` goes on; nothing answered is paid again.
    """
    own = {name: value for name, value in flags.items() if name in SynthesisOptions.model_fields}
    knobs = validated(SynthesisOptions, {n: None if v == "none" else v for n, v in own.items()})
    from agentopt.run.synthesis.drive import GRAPH, synthesize_async

    if out is not None and not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.absolute().parent}")
    given = {name: value for name, value in flags.items() if name not in own}
    config = configured(RunConfig, {**given, "graph": GRAPH, "task": knobs.seeds})
    options: dict[str, Any] = {name: getattr(config, name) for name in sorted(KEPT)}
    with Progress(quiet=quiet) as progress, interrupted(config.runs_dir):
        made = asyncio.run(synthesize_async(knobs, **progress.options, **options))
    if out is not None:
        shutil.copyfile(made.path, out)
    synthesized(made, as_json=as_json)
    raise typer.Exit(code_of_synthesis(made))

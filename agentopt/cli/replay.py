"""``agentopt replay``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from agentopt.cli.console import RUN, print_json
from agentopt.cli.place import RunsDir
from agentopt.errors import UsageError

__all__ = ["DIVERGED", "replay"]

DIVERGED = 1
"""Exit code of a replay that differs; 2 is that of a run that cannot be replayed."""


def replay(
    run: Annotated[str, typer.Argument(help=RUN)] = "last",
    from_step: Annotated[
        int | None, typer.Option("--from-step", min=1, help="Take what came before this step from the log.")
    ] = None,
    code: Annotated[
        str, typer.Option("--code", metavar="stored|current", help="Execute the run's own files, or the workspace's.")
    ] = "stored",
    sequential: Annotated[bool, typer.Option("--sequential", help="One cell after the other.")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Execute stored code that is not that of this workspace.")
    ] = False,
    write_code: Annotated[
        Path | None, typer.Option("--write-code", metavar="DIR", help="Only write the run's own files there.")
    ] = None,
    runs_dir: RunsDir = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Execute a run again, offline, against its own log, and name the first difference.

    Exit code 0: clean; 1: diverged; 2: cannot be replayed.
    """
    from agentopt.run.replay import replay as execute
    from agentopt.run.replay import write_stored_code

    if write_code is not None:
        for path in write_stored_code(run, write_code, runs_dir):
            typer.echo(path)
        return
    chosen: Any = code
    if chosen not in ("stored", "current"):
        raise UsageError(f"--code {code!r} is neither stored nor current")
    result = execute(run, from_step=from_step, code=chosen, sequential=sequential, trust=trust, runs_dir=runs_dir)
    if as_json:
        print_json(result.record())
    else:
        typer.echo(f"run: {result.dir}")
        for line in result.summary():
            typer.echo(line)
    if not result.clean:
        raise typer.Exit(DIVERGED)

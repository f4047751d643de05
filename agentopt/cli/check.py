"""``agentopt check``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentopt.cli.console import print_json

__all__ = ["check"]


def check(
    folder: Annotated[Path | None, typer.Argument(help="A workspace; default the one around here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Import and validate everything in a workspace. No model is called. Exit code 1 when something is wrong."""
    from agentopt import workspace
    from agentopt.evaluate.data import without_download
    from agentopt.run.config import RunConfig
    from agentopt.workspace.listing import KINDS

    place = workspace.Workspace(workspace.require_root(folder))
    absent: list[workspace.Problem] = []
    with without_download():
        problems = workspace.check(place, run_fields=tuple(RunConfig.model_fields), absent=absent)
    counts = {KINDS[kind]: len(workspace.items(place, kind)) for kind in KINDS}
    if as_json:
        found = [{"where": p.where, "what": p.what} for p in problems]
        without = [{"where": p.where, "what": p.what} for p in absent]
        print_json({"workspace": str(place.root), "counts": counts, "problems": found, "absent": without})
    else:
        for problem in problems:
            typer.echo(str(problem))
        for problem in absent:
            typer.echo(f"{problem.where}: not checked: {problem.what}")
        listed = ", ".join(f"{n} {kind}" for kind, n in counts.items())
        typer.echo(f"{place.root}: {listed}; {len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}")
    raise typer.Exit(1 if problems else 0)

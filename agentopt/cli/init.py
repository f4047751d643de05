"""``agentopt init``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["init"]


def init(
    folder: Annotated[Path, typer.Argument(help="Where; made when it is not there.")] = Path("."),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
) -> None:
    """Make a small workspace that works at once, also without a model or a network."""
    from agentopt import workspace

    for file in workspace.init(folder, force=force):
        typer.echo(f"wrote {folder / file}")
    enter = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    typer.echo(f"\nNow: {enter}agentopt optimize")

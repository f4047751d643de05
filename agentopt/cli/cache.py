"""``agentopt cache``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentopt.cli.console import print_json
from agentopt.cli.place import RunsDir

__all__ = ["app"]

app = typer.Typer(help="The cache of answers: equal requests are paid once, across runs.", rich_markup_mode=None)


def _path(runs_dir: str) -> Path:
    from agentopt.workspace import find_root

    return (find_root() or Path(runs_dir)) / ".agentopt" / "responses.sqlite"


@app.command()
def stats(
    runs_dir: RunsDir = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How many answers there are, and how large they are."""
    from agentopt.llm.cache import ResponseCache

    path = _path(runs_dir)
    found = {"entries": 0.0, "bytes": 0.0}
    if path.is_file():
        cache = ResponseCache(path)
        found = cache.stats()
        cache.close()
    if as_json:
        print_json({"path": str(path), "entries": int(found["entries"]), "bytes": int(found["bytes"])})
    else:
        typer.echo(f"{path}: {int(found['entries'])} answers, {int(found['bytes']):,} bytes")


@app.command()
def clear(
    runs_dir: RunsDir = "",
) -> None:
    """Forget every answer. Runs keep theirs: they are journaled in the run itself."""
    from agentopt.errors import StoreError
    from agentopt.llm.cache import ResponseCache

    path, count = _path(runs_dir), 0
    if path.is_file():
        try:
            cache = ResponseCache(path)
            count = cache.clear()
            cache.close()
        except StoreError:
            for file in path.parent.glob(path.name + "*"):
                file.unlink()
    typer.echo(f"{count} answers forgotten")

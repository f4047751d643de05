"""``agentopt report``"""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from agentopt.cli.console import RUN
from agentopt.cli.place import RunsDir

__all__ = ["report"]


def report(
    run: Annotated[str, typer.Argument(help=RUN)] = "last",
    out: Annotated[
        Path | None, typer.Option("--out", help="The file; report.html in the run's folder if none.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    runs_dir: RunsDir = "",
) -> None:
    """Write the report of a run as one HTML page that needs neither network nor other files."""
    from agentopt.report import write_report
    from agentopt.run.files import find_run

    place = write_report(find_run(run, runs_dir), out)
    typer.echo(str(place))
    if open_:
        webbrowser.open(place.resolve().as_uri())

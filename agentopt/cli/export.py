"""``agentopt export``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentopt.cli.console import RUN
from agentopt.cli.place import RunsDir

__all__ = ["export"]


def export(
    run: Annotated[str, typer.Argument(help=RUN)],
    file: Annotated[Path, typer.Argument(help="Where to; .eval or .json: a log of inspect-ai.")],
    runs_dir: RunsDir = "",
) -> None:
    """Write an evaluation as a log of inspect-ai, which `inspect view` shows. Needs `agentopt[inspect]`."""
    from agentopt.export.inspect_log import write_log
    from agentopt.run.files import find_run

    typer.echo(str(write_log(find_run(run, runs_dir), file)))

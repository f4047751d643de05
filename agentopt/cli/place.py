"""Where commands look for runs: ``--runs-dir``, else where environment and ``agentopt.toml`` have them made."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["RunsDir"]


def _chosen(given: str) -> str:
    if given:
        return given
    from agentopt.run.config import runs_folder  # not before it is needed: commands begin sooner

    return runs_folder()


RunsDir = Annotated[
    str,
    typer.Option(
        "--runs-dir", callback=_chosen, show_default=False, help="Folder of the runs. [default: as set, or runs]"
    ),
]
"""The flag of a command that looks at runs; its default is "", which is the folder that new runs are made in."""

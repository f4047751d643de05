"""``agentopt runs``"""

from __future__ import annotations

import dataclasses
import time
from typing import Annotated

import typer

from agentopt._text import number, short
from agentopt.cli.console import print_json, print_table
from agentopt.cli.place import RunsDir

__all__ = ["runs"]


def runs(
    runs_dir: RunsDir = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List runs, oldest first. Scores are those of the search split; the claim is that of the test split."""
    from agentopt.run.files import list_runs

    found = list_runs(runs_dir)
    if as_json:
        print_json([{**dataclasses.asdict(info), "dir": str(info.dir)} for info in found])
        return
    if not found:
        typer.echo(f"no runs in {runs_dir}; `agentopt optimize` makes one")
        return
    rows = [
        (
            info.name,
            time.strftime("%Y-%m-%d %H:%M", time.localtime(info.started)) if info.started else "-",
            info.status,
            info.task or "-",
            info.optimizer,
            number(info.score_baseline),
            number(info.score_best),
            short(info.claim or "-", 90),
        )
        for info in found
    ]
    columns = ["run", "started", "status", "task", "optimizer", "baseline", "best", "claim"]
    print_table(columns, rows, right=["baseline", "best"])

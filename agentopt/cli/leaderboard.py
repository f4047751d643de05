"""``agentopt leaderboard``"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from agentopt.cli.console import print_json
from agentopt.cli.place import RunsDir
from agentopt.errors import UsageError

__all__ = ["leaderboard"]


def leaderboard(
    name: Annotated[str, typer.Argument(metavar="EVAL", help="An eval.")],
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUNS...]", help="Runs by it; default all in the folder of runs.")
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", help="Write to this file, Markdown or HTML by its ending (.md, .html). Repeatable."),
    ] = None,
    runs_dir: RunsDir = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Put the runs of an eval side by side: as Markdown on stdout, or as files.

    Runs that depart from the pinned protocol, and published results, stand apart, marked as what they are.
    """
    from agentopt.report.boardpage import board_html, board_markdown
    from agentopt.report.leaderboard import find_eval
    from agentopt.report.leaderboard import leaderboard as made_of
    from agentopt.run.files import find_run

    for place in out or ():
        if place.suffix not in (".md", ".html"):
            raise UsageError(f"--out {place}: the ending says what is written: .md or .html")
    pinned = find_eval(name)
    called = pinned.name if pinned is not None else name
    folders = [find_run(run, runs_dir) for run in runs or ()]
    found = folders or sorted(place.parent for place in Path(runs_dir).glob("*/run.sqlite"))
    board = made_of(called, found, pinned)
    others = [f.name for f in folders if f.name not in {r.run for r in (*board.rows, *board.apart)}]
    for name_ in others:
        typer.echo(f"warning: {name_} is no run of eval {called}, or its answers are scored again by another", err=True)
    if as_json:
        print_json(board.record())
    elif not out:
        typer.echo(board_markdown(board), nl=False)
    for place in out or ():
        text = board_html(board) if place.suffix == ".html" else board_markdown(board)
        beside = place.with_name(f".{place.name}.new")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(text, encoding="utf-8", errors="replace")
            os.replace(beside, place)
        except OSError as error:
            raise UsageError(f"{place} cannot be written ({error.strerror}): name another file with --out") from None
        typer.echo(str(place), err=as_json)

"""``agentopt check``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentopt.cli.console import print_json

if TYPE_CHECKING:
    from agentopt.workspace import Workspace
    from agentopt.workspace.listing import Item

__all__ = ["check"]


def check(
    folder: Annotated[Path | None, typer.Argument(help="A workspace; default the one around here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Import and validate everything in a workspace. No model is called. Exit code 1 when something is wrong.

    Published data sets that are not on this machine are named; nothing is fetched.
    """
    from agentopt import workspace
    from agentopt.evaluate.data import without_download
    from agentopt.run.config import RunConfig
    from agentopt.workspace.listing import KINDS

    place = workspace.Workspace(workspace.require_root(folder))
    absent: list[workspace.Problem] = []
    notes: list[workspace.Problem] = []
    with without_download():
        problems = workspace.check(place, run_fields=tuple(RunConfig.model_fields), absent=absent, notes=notes)
    elsewhere = _without_data(place)
    counts = {KINDS[kind]: len(workspace.items(place, kind)) for kind in KINDS}
    if as_json:
        found = [{"where": p.where, "what": p.what} for p in problems]
        told = [{"where": p.where, "what": p.what} for p in notes]
        without = [{"where": p.where, "what": p.what} for p in absent]
        without += [{"where": f"{item.workspace.source}: {item.ref}", "what": what} for item, what in elsewhere]
        lists = {"problems": found, "absent": without, "notes": told}
        print_json({"workspace": str(place.root), "counts": counts, **lists})
    else:
        for problem in problems:
            typer.echo(str(problem))
        for problem in absent:
            typer.echo(f"{problem.where}: not checked: {problem.what}")
        for problem in notes:
            typer.echo(f"{problem.where}: note: {problem.what}")
        if elsewhere:
            typer.echo(_told([f"{item.name} ({what})" for item, what in elsewhere]))
        listed = ", ".join(f"{n} {kind}" for kind, n in counts.items())
        typer.echo(f"{place.root}: {listed}; {len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}")
    raise typer.Exit(1 if problems else 0)


def _without_data(place: Workspace) -> list[tuple[Item, str]]:
    """Tasks of other workspaces that a name finds from here and whose data set is not whole; and what it lacks.

    A task that reads a published data set has its name.
    """
    from agentopt.evaluate.data import missing_files
    from agentopt.evaluate.data_catalogue import data_sets
    from agentopt.workspace import names, search_path

    first: dict[str, Item] = {}
    for item in names("task", search_path(place.root)):
        first.setdefault(item.name, item)
    found = []
    for name, known in sorted(data_sets().items()):
        item_, missing = first.get(name), missing_files(name)
        if item_ is not None and missing and item_.workspace.root != place.root:
            some = f"{len(missing)} of {len(known.files)} files"
            found.append((item_, ", ".join(missing) if len(missing) <= 2 else some))
    return found


def _told(tasks: list[str]) -> str:
    from agentopt.evaluate.data import places

    looked = " and ".join(f"{folder} ({said})" for said, folder in places())
    return (
        f"data that are not on this machine, of built-in tasks: {', '.join(tasks)}; looked in {looked}: using a task "
        "fetches its data, or put the files into a folder as TASK/FILE and name that folder with AGENTOPT_DATA"
    )

"""``agentopt doctor``"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from agentopt.cli.console import print_json, print_table

__all__ = ["doctor"]

MARKS = {"ok": "ok", "missing": "MISSING", "optional": "-"}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say what is here and what is missing, with the command that brings it. Values of keys are never shown."""
    from agentopt.cli.checks import examine

    found = examine()
    missing = [f for f in found if f.state == "missing"]
    if as_json:
        print_json([dataclasses.asdict(f) for f in found])
    else:
        rows = [(MARKS[f.state], f.area, f.name, f.detail, f.fix) for f in found]
        print_table(["", "area", "what", "detail", "to have it"], rows)
        typer.echo(f"{len(missing)} missing" if missing else "nothing is missing")
    raise typer.Exit(1 if missing else 0)

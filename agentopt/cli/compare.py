"""``agentopt compare``"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from agentopt.cli.console import print_json

__all__ = ["compare"]


def compare(
    a: Annotated[str, typer.Argument(help="A run: its path, name, or the beginning of its name.")],
    b: Annotated[str, typer.Argument(help="The run to compare with it. NAME@baseline: where an optimization began.")],
    split: Annotated[str | None, typer.Option("--split", help="test, validation or search.")] = None,
    alpha: Annotated[float, typer.Option("--alpha", min=0.0, max=1.0, help="Level of the test.")] = 0.05,
    runs_dir: Annotated[str, typer.Option("--runs-dir", help="Folder of the runs.")] = "runs",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two runs on the examples that both have scores of; a verdict is given on test examples only."""
    from agentopt.run.versus import compare_runs

    found = compare_runs(a, b, split=split, runs_dir=runs_dir, alpha=alpha)
    if as_json:
        print_json(asdict(found) | {"claim": found.claim and found.claim.model_dump(), "notes": list(found.notes)})
        return
    typer.echo(f"a: {found.a}\nb: {found.b}\nb against a, {found.split} examples: {found.sentence}")
    for note in found.notes:
        typer.echo(f"note: {note}")

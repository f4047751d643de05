"""How a run ends on the command line: what is printed, and the exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from agentopt.cli.console import print_json

if TYPE_CHECKING:
    from agentopt.run.api import Result

__all__ = ["as_record", "code_of", "finished", "interrupted"]

INTERRUPTED, BUDGET_ENDED = 130, 4


def code_of(result: Result) -> int:
    """0; 130 when it was interrupted; 4 when the budget ended before an improvement was shown."""
    if result.status == "interrupted":
        return INTERRUPTED
    ended = result.status == "budget" or result.reason.startswith("the search budget ended")
    return BUDGET_ENDED if ended and not result.improved else 0


def finished(result: Result, *, as_json: bool) -> None:
    """Print the end of a run."""
    if as_json:
        print_json(as_record(result))
        return
    typer.echo(f"run: {result.dir}")
    for line in result.summary():
        typer.echo(line)


def as_record(result: Result) -> dict[str, Any]:
    """A result as JSON."""
    return {
        "dir": str(result.dir),
        "status": result.status,
        "improved": result.improved,
        "reason": result.reason,
        "baseline": _dump(result.baseline),
        "best": _dump(result.best),
        "claim": _dump(result.claim),
        "noise": result.noise,
        "archive": [
            {"id": s.candidate.id, "mean": s.mean, "low": s.low, "high": s.high, "n": s.n, "operator": s.operator}
            for s in result.archive
        ],
        "spend": result.spend,
    }


def _dump(value: Any) -> Any:
    return None if value is None else value.model_dump(mode="json")


@contextmanager
def interrupted(runs_dir: str | Path, run: str | None = None, told: str | None = None) -> Iterator[None]:
    """Turn a second Ctrl-C into the resume command and exit code 130. Everything that was answered is committed.

    ``told`` is said in place of that command, of a run that does not go on.
    """
    before = _newest(runs_dir)
    try:
        yield
    except KeyboardInterrupt:
        name = run or (newest if (newest := _newest(runs_dir)) != before else None)
        from agentopt.run.config import runs_folder

        where = "" if str(runs_dir) == runs_folder() else f" --runs-dir {runs_dir}"
        message = (told or f"`agentopt resume {name}{where}` goes on") if name else "nothing was begun"
        typer.echo(f"interrupted: {message}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _newest(runs_dir: str | Path) -> str | None:
    runs = [p.parent for p in Path(runs_dir).glob("*/run.sqlite")]
    return max(runs, key=lambda p: p.stat().st_ctime).name if runs else None

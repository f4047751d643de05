"""Printing: tables and lines for people, one JSON document for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["RUN", "console", "print_json", "print_table", "wide"]

RUN = "A run: its path, name, the beginning of its name, or last: the run that began last."
"""How commands say which run they take."""


def console(*, stderr: bool = False) -> Console:
    """A console on stdout; plain text, never wrapped, where that is not a terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty():
        return Console(stderr=stderr, highlight=False)
    return Console(stderr=stderr, highlight=False, no_color=True, soft_wrap=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Collection[str] = ()) -> None:
    """A light table on a terminal; plain padded columns, one line a row, anywhere else."""
    lines = [[str(cell) for cell in row] for row in rows]
    if wide():
        from rich import box
        from rich.table import Table
        from rich.text import Text

        made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            made.add_column(column, justify="right" if column in right else "left", overflow="fold")
        for line in lines:
            made.add_row(*(Text(cell) for cell in line))
        console().print(made)
        return
    flat = [list(columns), *([" ".join(cell.split()) for cell in line] for line in lines)]
    widths = [max(len(line[i]) for line in flat) for i in range(len(columns))]
    for line in flat:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        typer.echo("  ".join(cells).rstrip())


def print_json(value: Any) -> None:
    """One JSON document on stdout, readable, keys in their order."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def wide() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout.isatty()

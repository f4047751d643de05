"""Printing: tables and lines for people, one JSON document for machines."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["console", "number", "print_json", "short", "table", "wide"]


def console(*, stderr: bool = False) -> Console:
    """A console on stdout; plain text, never wrapped, where that is not a terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty():
        return Console(stderr=stderr, highlight=False)
    return Console(stderr=stderr, highlight=False, width=200, no_color=True, soft_wrap=True)


def table(*columns: str, title: str | None = None, right: tuple[str, ...] = ()) -> Table:
    """A light table; columns named in ``right`` are aligned to the right."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def print_json(value: Any) -> None:
    """One JSON document on stdout, readable, keys in their order."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def number(value: float | None, digits: int = 3) -> str:
    """A score for people; a dash where there is none.

    >>> number(0.5), number(None)
    ('0.500', '-')
    """
    return "-" if value is None else f"{value:.{digits}f}"


def short(text: object, width: int = 72) -> str:
    """One line of at most ``width`` characters.

    >>> short("a\\nlong   text", 7)
    'a long…'
    """
    line = " ".join(str(text).split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"


def wide() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout.isatty()

"""What an eval adds to an evaluation on the command line: its notes, its measures, and what stands beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from agentopt._text import average, footnotes, number
from agentopt.cli.console import print_json, print_table
from agentopt.evaluate.measured import plainly

if TYPE_CHECKING:
    from agentopt.evaluate import Eval
    from agentopt.evaluate.measured import Measured

__all__ = ["heading", "measured_record", "print_beside", "print_eval", "print_measures"]


def heading(done: Measured) -> Iterator[str]:
    """What is measured, where the run departs from the protocol, and what has to be said with the result."""
    record = done.record
    yield f"{record.name} v{record.version} ({record.hash[:8]}): {record.about}".rstrip(": ")
    if not done.pinned:
        yield done.departure
    for note in record.notes:
        yield f"note: {note}"


def print_measures(done: Measured) -> None:
    """A table of the measures, with those of answers without a model."""
    if not done.measures:
        return
    rows = [(row.name, row.title, *average(row.mean, row.low, row.high), row.n) for row in done.measures]
    typer.echo("")
    print_table(["measure", "what it is", "mean", "95 % interval", "n"], rows, right=["mean", "n"])


def print_beside(done: Measured) -> None:
    """A table of what the score is to be seen against: answers without a model, and published results."""
    rows: list[tuple[object, ...]] = []
    for guess in done.guesses:
        s = guess.summary
        rows.append(("guess", guess.title, "score", *average(s.mean, s.low, s.high), s.n, "scored here"))
        rows += [
            ("guess", guess.title, m.name, *average(m.mean, m.low, m.high), m.n, "scored here") for m in guess.measures
        ]
    marks, notes = footnotes(f"{row.protocol} ({row.source})" for row in done.record.published)
    for row, mark in zip(done.record.published, marks, strict=True):
        own = f"another protocol {mark}"
        rows.append(("published", row.model, row.measure, number(row.score), "-", row.n or "-", own))
    if rows:
        typer.echo("")
        columns = ["beside it", "who", "of", "mean", "95 % interval", "n", "how"]
        print_table(columns, rows, right=["mean", "n"])
    for note in notes:
        typer.echo(note)


def print_eval(pinned: Eval, *, as_json: bool) -> None:
    """What an eval pins, reads and shows, without any run."""
    known = {
        "name": pinned.name, "version": pinned.version, "hash": pinned.hash, "about": pinned.about,
        "pinned": pinned.pinned,
        "measures": [
            {"name": m.name, "title": m.title, "of": m.of, "kind": m.kind, "over": m.subset} for m in pinned.measures
        ],
        "guesses": [guess.title for guess in pinned.guesses],
        "published": [row.model_dump(mode="json") for row in pinned.published],
        "notes": list(pinned.notes),
    }  # fmt: skip
    if as_json:
        print_json(known)
        return
    typer.echo(f"{pinned.name} v{pinned.version} ({pinned.hash[:8]}): {pinned.about}".rstrip(": "))
    for note in pinned.notes:
        typer.echo(f"note: {note}")
    print_table(["pinned", "as"], [(name, plainly(value)) for name, value in pinned.pinned.items()])
    for m in pinned.measures:
        over = f", over {m.subset}" if m.subset else ""
        typer.echo(f"measure {m.name}: {m.title} ({m.kind} of {m.of}{over})")
    for guess in pinned.guesses:
        typer.echo(f"guess: {guess.title}")
    for row in pinned.published:
        typer.echo(f"published: {row.model}, {row.measure} {number(row.score)}: {row.protocol} ({row.source})")


def measured_record(done: Measured) -> dict[str, Any]:
    """Everything that an eval says of a run, as JSON."""
    return {
        **done.model_dump(mode="json", exclude={"record": {"guesses"}}),
        "is_pinned": done.pinned,
        "departure": done.departure,
    }

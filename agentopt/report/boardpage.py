"""A leaderboard as Markdown, and as one HTML page in the style of the report."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from agentopt._text import average, footnotes, number
from agentopt.evaluate.measured import MeasureRow, plainly
from agentopt.report import charts
from agentopt.report.clean import clean
from agentopt.report.leaderboard import Board, BoardRow
from agentopt.report.page import asset, environment, policy

__all__ = ["board_html", "board_markdown"]

OWN = "under a protocol of its own, not this one"


def tables(board: Board) -> list[dict[str, Any]]:
    """The tables of a board: title, a sentence, columns, rows of texts, and which columns are numbers."""
    names = [name for name, _, _ in board.measures]
    columns = ["model", "graph", "score", "95 % interval", "n", *names, "tokens", "seconds each", "USD", "run"]
    numbers = ["score", "n", *names, "tokens", "seconds each", "USD"]
    found: list[dict[str, Any]] = [
        {
            "title": "Under the pinned protocol", "id": "board", "about": protocol(board), "numbers": numbers,
            "columns": [*columns, "remarks"], "none": "No run was made under the pinned protocol.",
            "rows": [[*_cells(row), "; ".join(row.remarks)] for row in board.rows],
        }
    ]  # fmt: skip
    if board.apart:
        found.append(
            {
                "title": "Not the pinned protocol", "id": "apart",
                "about": "These runs are not to be ranked with those above; the last column says why.",
                "columns": [*columns, "why"], "numbers": numbers,
                "rows": [[*_cells(row), "; ".join((*row.marks, *row.remarks))] for row in board.apart],
            }
        )  # fmt: skip
    if board.guesses:
        rows = [
            [g.title, *average(g.summary.mean, g.summary.low, g.summary.high), str(g.summary.n),
             *_measures(names, g.measures)]
            for g in board.guesses
        ]  # fmt: skip
        found.append(
            {
                "title": "Answers without a model", "id": "guesses", "about": "Scored as the runs are.",
                "columns": ["guess", "score", "95 % interval", "n", *names], "numbers": ["score", "n", *names],
                "rows": rows,
            }
        )  # fmt: skip
    if board.published:
        shown = sorted(board.published, key=lambda p: (p.measure != "score", p.measure, -p.score))
        marks, notes = footnotes(p.protocol for p in shown)
        found.append(
            {
                "title": "Published elsewhere", "id": "published",
                "about": f"Each of these numbers was made {OWN}; they are shown for orientation.",
                "columns": ["model", "of", "published", "n", "protocol (its own)", "source"],
                "numbers": ["published", "n"], "notes": notes,
                "rows": [
                    [f"{p.model} †", p.measure, number(p.score), str(p.n or "–"), mark, p.source]
                    for p, mark in zip(shown, marks, strict=True)
                ],
            }
        )  # fmt: skip
    return found


def protocol(board: Board) -> str:
    """What is pinned, in one line."""
    told = [f"{k} {plainly(v)}" for k, v in board.protocol.items() if v not in (None, {}) and k != "graph"]
    return f"{', '.join(told)}; eval version {board.version}, {board.hash[:12]}"


def board_markdown(board: Board) -> str:
    """The board as Markdown: a heading, the notes, and the tables."""
    lines = [f"# {board.name}", *(["", board.about] if board.about else [])]
    lines += ["", *(f"- {note}" for note in board.notes)] if board.notes else []
    for table in tables(board):
        lines += ["", f"## {table['title']}", "", table["about"], ""]
        if not table["rows"]:
            lines.append(table["none"])
            continue
        rule = ["---:" if c in table["numbers"] else "---" for c in table["columns"]]
        lines += [_line(table["columns"]), _line(rule), *(_line(row) for row in clean(table["rows"]))]
        lines += (
            ["", f"† {OWN}", *(f"- \\{note}" for note in clean(table["notes"]))] if table["id"] == "published" else []
        )
    if told := [f"- `{name}`: {title} ({kind})" for name, title, kind in board.measures]:
        lines += ["", "Measures:", "", *told]
    if board.skipped:
        lines += ["", *(f"- left out: {why}" for why in board.skipped)]
    return "\n".join(lines).strip() + "\n"


def board_html(board: Board) -> str:
    """The board as one page that needs neither network nor other files; every value in it is escaped."""
    made = environment()
    css = f"{asset(made, 'report.css')}\n{asset(made, 'leaderboard.css')}"
    rows = [
        {"label": row.model[:26], "mean": row.summary.mean, "low": row.summary.low, "high": row.summary.high}
        for row in board.rows
        if row.summary.mean is not None
    ]
    ends = [end for row in board.rows for end in (row.summary.low, row.summary.high) if end is not None]
    scale = (min([0.0, *ends]), max([1.0, *ends]))
    return made.get_template("leaderboard.html").render(
        board=clean(board.record()), tables=clean(tables(board)), css=css, policy=policy(css, ""), made=time.time(),
        charts=[charts.intervals(clean(rows), scale, width, 220.0) for width in (860,)] if rows else [],
        own=OWN,
    )  # fmt: skip


def _cells(row: BoardRow) -> list[str]:
    s = row.summary
    n = str(s.n) if s.n_clusters is None else f"{s.n} ({s.n_clusters} clusters)"
    usd = "unknown" if row.usd is None else f"{row.usd:.4f}"
    names = [m.name for m in row.measures]
    return [row.model, row.graph, *average(s.mean, s.low, s.high), n, *_measures(names, row.measures),
            f"{row.tokens:,.0f}", number(row.seconds), usd, row.run]  # fmt: skip


def _measures(names: Sequence[str], rows: Iterable[MeasureRow]) -> list[str]:
    known = {row.name: row for row in rows}
    return [average(known[name].mean, None, None)[0] if name in known else "–" for name in names]


def _line(cells: Iterable[str]) -> str:
    told = (" ".join(str(cell).split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(told)} |"

"""Pictures of a traced graph on the command line: text, Mermaid, DOT or SVG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from agentopt._text import short
from agentopt.errors import UsageError

if TYPE_CHECKING:
    from agentopt.core import Graph

__all__ = ["FORMATS", "draw", "drawn", "outline"]

FORMATS = ("text", "mermaid", "dot", "svg", "json")


def drawn(graph: Graph, form: str) -> str:
    """A graph in one of ``FORMATS``."""
    if form == "text":
        return "\n".join(outline(graph))
    if form == "json":
        return json.dumps(graph.to_json(), indent=2, ensure_ascii=False)
    if form not in FORMATS:
        raise UsageError(f"{form!r} is none of the pictures that can be drawn: {', '.join(FORMATS)}")
    from agentopt.export.pictures import dot, mermaid, svg

    return {"mermaid": mermaid, "dot": dot, "svg": svg}[form](graph)


def draw(graph: Graph, form: str, out: Path | None) -> None:
    """Print a picture, or write it to a file."""
    text = drawn(graph, form)
    if out is None:
        typer.echo(text)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
    typer.echo(f"wrote {out}")


def outline(graph: Graph) -> list[str]:
    """One line a node, parents first: ``n1 solve(problem=n0) = "4"``."""
    lines = []
    for record in graph.topological():
        arguments = ", ".join(f"{role}={id_}" if role else id_ for id_, role, _ in record.parents)
        mark = {"param": "* ", "error": "! "}.get(record.kind, "  ")
        call = f"{record.name}({arguments})" if record.parents else record.name
        end = "   <- output" if record.id == graph.output else ""
        value = record.error.partition("\n")[0] if record.error else record.value
        lines.append(
            f"{mark}{record.id:>4} {call} = {short(json.dumps(value, ensure_ascii=False, default=str), 70)}{end}"
        )
        if printed := record.more.get("printed"):
            lines.append(f"       {short(str(printed), 100)}")
    return lines

"""Pictures of a traced graph: Mermaid, DOT and SVG, none of which needs a program to be installed."""

from __future__ import annotations

from agentopt.core import Graph, Record
from agentopt.export.layout import nearest
from agentopt.export.svg import svg
from agentopt.export.text import clip, heading, shown

__all__ = ["dot", "mermaid", "svg"]

LIMIT = 400
"""How many nodes a picture shows: those nearest to the output."""

_MERMAID = {
    "param": ("[[", "]]"),
    "value": ("([", "])"),
    "call": ("[", "]"),
    "operator": ("(", ")"),
    "render": ("[/", "/]"),
    "llm": ("{{", "}}"),
    "error": ("[", "]"),
}
_ARROWS = {"data": "-->", "param": "==>", "control": "-.->"}
_DOT_SHAPES = {
    "param": "box3d",
    "value": "oval",
    "call": "box",
    "operator": "circle",
    "render": "note",
    "llm": "hexagon",
    "error": "octagon",
}
_DOT_STYLES = {"data": "solid", "param": "bold", "control": "dashed"}
_STROKES = {"param": "#c77700", "llm": "#7a4fd0", "error": "#d03030"}


def mermaid(graph: Graph, *, limit: int = LIMIT, width: int = 40) -> str:
    """The graph as a Mermaid flowchart, which GitHub and many editors draw.

    Args:
        limit: at most so many nodes, those nearest to the output.
        width: characters of a value that are shown.

    >>> from agentopt.core import Graph, Node
    >>> print(mermaid(Graph.of(Node(2, name="x") + 1)))
    flowchart TD
      v0(["x<br/>2"])
      v1("add<br/>3"):::output
      v0 -->|a| v1
      classDef output stroke-width:3px
    """
    kept, left = nearest(graph, limit)
    short = {record.id: f"v{i}" for i, record in enumerate(kept)}
    lines = ["flowchart TD"]
    used: set[str] = set()
    for record in kept:
        begin, end = _MERMAID.get(record.kind, ("[", "]"))
        mark = "output" if record.id == graph.output else record.kind if record.kind in _STROKES else ""
        used.add(mark)
        text = "<br/>".join(_entities(part) for part in _lines(record, width))
        lines.append(f'  {short[record.id]}{begin}"{text}"{end}' + (f":::{mark}" if mark else ""))
    for record in kept:
        for parent, role, kind in record.parents:
            if parent in short:
                label = f"|{_entities(role)}|" if role and kind != "control" else ""
                lines.append(f"  {short[parent]} {_ARROWS.get(kind, '-->')}{label} {short[record.id]}")
    if left:
        lines.append(f'  more["and {left} more"]')
    lines += [f"  classDef {kind} stroke:{color},stroke-width:2px" for kind, color in _STROKES.items() if kind in used]
    if "output" in used:
        lines.append("  classDef output stroke-width:3px")
    return "\n".join(lines)


def dot(graph: Graph, *, limit: int = LIMIT, width: int = 40) -> str:
    """The graph in Graphviz's language. Arguments as for ``mermaid``.

    >>> from agentopt.core import Graph, Node
    >>> print(dot(Graph.of(Node(2, name="x") + 1)))
    digraph agentopt {
      rankdir=TB; node [fontname="sans-serif", fontsize=11]; edge [fontname="sans-serif", fontsize=9];
      "x0" [label="x\\n2", shape=oval];
      "x1" [label="add\\n3", shape=circle, penwidth=3];
      "x0" -> "x1" [label="a", style=solid];
    }
    """
    kept, left = nearest(graph, limit)
    inside = {record.id for record in kept}
    lines = [
        "digraph agentopt {",
        '  rankdir=TB; node [fontname="sans-serif", fontsize=11]; edge [fontname="sans-serif", fontsize=9];',
    ]
    for record in kept:
        label = "\\n".join(_escaped(part) for part in _lines(record, width))
        color = f', color="{_STROKES[record.kind]}"' if record.kind in _STROKES else ""
        bold = ", penwidth=3" if record.id == graph.output else ""
        shape = _DOT_SHAPES.get(record.kind, "box")
        lines.append(f'  "{_escaped(record.id)}" [label="{label}", shape={shape}{color}{bold}];')
    for record in kept:
        for parent, role, kind in record.parents:
            if parent in inside:
                name = "" if kind == "control" else role
                ends = f'"{_escaped(parent)}" -> "{_escaped(record.id)}"'
                lines.append(f'  {ends} [label="{_escaped(name)}", style={_DOT_STYLES.get(kind, "solid")}];')
    if left:
        lines.append(f'  more [label="and {left} more", shape=plaintext];')
    return "\n".join([*lines, "}"])


def _lines(record: Record, width: int) -> list[str]:
    return [part for part in (heading(record), clip(shown(record), width)) if part]


def _entities(text: str) -> str:
    """Mermaid's escapes for everything that is not plainly text."""
    return "".join(c if c.isalnum() or c in " .,_-+*=!?'" else f"#{ord(c)};" for c in text)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")

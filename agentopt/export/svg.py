"""SVG of a graph: our own layout, no program needed; follows the reader's light or dark mode."""

from __future__ import annotations

import itertools
from html import escape

from agentopt.core import Graph, Record
from agentopt.export.layout import Spot, lay_out, nearest
from agentopt.export.text import clip, heading, hint, shown

__all__ = ["svg"]

_STYLE = """
.agentopt{--bg:#fff;--fg:#1b1f24;--soft:#6a737d;--box:#f6f8fa;--line:#8c959f;--param:#b35c00;--llm:#6f42c1;--error:#cf222e}
@media (prefers-color-scheme:dark){.agentopt{--bg:#0d1117;--fg:#e6edf3;--soft:#8b949e;--box:#161b22;--line:#6e7681;
--param:#f0a04b;--llm:#b392f0;--error:#ff7b72}}
.agentopt text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:var(--fg)}
.agentopt .value{fill:var(--soft)}.agentopt .role{font-size:10px;fill:var(--soft)}
.agentopt rect{fill:var(--box);stroke:var(--line)}.agentopt .bg{fill:var(--bg);stroke:none}
.agentopt .param rect{stroke:var(--param)}.agentopt .llm rect{stroke:var(--llm)}
.agentopt .error rect{stroke:var(--error)}
.agentopt .output rect{stroke-width:3}
.agentopt path{fill:none;stroke:var(--line)}.agentopt .param-edge{stroke:var(--param)}
.agentopt .control-edge{stroke-dasharray:4 3}.agentopt .tip{fill:var(--line);stroke:none}
""".strip().replace("\n", "")
_CHAR, _HEIGHT, _ROW, _PAD = 7.3, 40.0, 92.0, 10.0


def svg(graph: Graph, *, limit: int = 400, width: int = 28) -> str:
    """The graph as one SVG element, to be saved as a file or put into a page.

    Args:
        limit: at most so many nodes, those nearest to the output.
        width: characters of a name or value that are shown; pointing at a box shows more.

    >>> from agentopt.core import Graph, Node
    >>> picture = svg(Graph.of(Node(2, name="x") + 1))
    >>> picture.startswith("<svg"), picture.count("<rect"), picture.count("<path")
    (True, 3, 2)
    """
    kept, left = nearest(graph, limit)
    texts = {r.id: (clip(heading(r), width), clip(shown(r), width)) for r in kept}
    widths = {id: max(len(line) for line in lines) * _CHAR + 2 * _PAD for id, lines in texts.items()}
    layout = lay_out(kept, widths)
    across, down = layout.width, _ROW * len(layout.layers) + (20 if left else 0)
    roles = _roles(kept)
    body = [_edge(path, *roles[source, target]) for source, target, path in layout.edges]
    body += [_box(r, layout.spots[r.id], texts[r.id], r.id == graph.output) for r in kept]
    if left:
        body.append(f'<text class="role" x="12" y="{down - 6:.0f}">and {left} more</text>')
    title = escape(f"Computation graph of {len(graph)} nodes")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="agentopt" role="img" aria-label="{title}" '
        f'viewBox="0 0 {across:.0f} {down:.0f}" width="{across:.0f}" height="{down:.0f}"><style>{_STYLE}</style>'
        '<defs><marker id="agentopt-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="tip" d="M0,0 L8,4 L0,8 z"/></marker></defs>'
        '<rect class="bg" width="100%" height="100%"/>' + "".join(body) + "</svg>"
    )


def _roles(records: list[Record]) -> dict[tuple[str, str], tuple[str, str]]:
    """(from, to) to the roles between the two, joined, and the strongest kind of edge."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    order = ("control", "data", "param")
    for record in records:
        for parent, role, kind in record.parents:
            roles, known = found.get((parent, record.id), ("", "control"))
            said = roles if kind == "control" else ", ".join(filter(None, (roles, role)))
            found[parent, record.id] = said, max(known, kind, key=lambda k: order.index(k) if k in order else 1)
    return found


def _top(spot: Spot) -> float:
    return spot.layer * _ROW + (_ROW - _HEIGHT) / 2


def _edge(path: list[Spot], role: str, kind: str) -> str:
    points = [(path[0].x, _top(path[0]) + _HEIGHT)]
    points += [(spot.x, spot.layer * _ROW + _ROW / 2) for spot in path[1:-1]]
    points.append((path[-1].x, _top(path[-1])))
    line = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        half = (y0 + y1) / 2
        line += f" C{x0:.1f},{half:.1f} {x1:.1f},{half:.1f} {x1:.1f},{y1:.1f}"
    drawn = f'<path class="{escape(kind)}-edge" d="{line}" marker-end="url(#agentopt-tip)"/>'
    if role:
        x, y = points[-1]
        near = points[-2][0]
        at = x + (near - x) * 0.18
        drawn += f'<text class="role" x="{at:.1f}" y="{y - 8:.1f}" text-anchor="middle">{escape(clip(role, 18))}</text>'
    return drawn


def _box(record: Record, spot: Spot, lines: tuple[str, str], output: bool) -> str:
    left, top = spot.x - spot.width / 2, _top(spot)
    classes = escape(record.kind) + (" output" if output else "")
    round_ = 14 if record.kind in ("value", "operator") else 4
    return (
        f'<g class="{classes}"><title>{escape(hint(record))}</title>'
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{spot.width:.1f}" height="{_HEIGHT:.0f}" rx="{round_}"/>'
        f'<text x="{spot.x:.1f}" y="{top + 16:.1f}" text-anchor="middle">{escape(lines[0])}</text>'
        f'<text class="value" x="{spot.x:.1f}" y="{top + 31:.1f}" text-anchor="middle">{escape(lines[1])}</text></g>'
    )

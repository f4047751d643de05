"""Traced graphs of a few telling examples, drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from agentopt.core import Graph
from agentopt.core.values import Outcome
from agentopt.errors import AgentOptError
from agentopt.export.pictures import svg
from agentopt.report.clean import clean
from agentopt.run.files import RunFile

__all__ = ["pictures"]

MOST_EXAMPLES, MOST_NODES = 3, 120
_STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)


def pictures(run: RunFile, rows: Sequence[dict[str, Any]], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The graphs of the baseline and the best on a few examples, those that the best gained first.

    Returns ``shown`` (label, drawn graph, nodes), ``escapes`` (places where a value left the trace) and ``examples``
    (how many there are to choose from); ``faults`` are graphs that cannot be read.
    """
    pair = [r for r in rows if r["best"]] + [r for r in rows if r["step"] < 0 and not r["best"]]
    if not pair:
        return {"shown": [], "escapes": [], "examples": 0, "faults": []}
    traced = {(o.candidate, o.example): o for o in reversed(outcomes) if o.trace is not None and o.split != "noise"}
    mine = [o for o in traced.values() if o.candidate == pair[0]["id"]]

    def telling(outcome: Outcome) -> tuple[float, bool]:
        other = traced.get((pair[-1]["id"], outcome.example))
        return (other.score or 0.0) - (outcome.score or 0.0) if other else 0.0, outcome.split != "test"

    shown: list[dict[str, Any]] = []
    escapes: list[tuple[str, str, str]] = []
    faults: list[str] = []
    for outcome in sorted(mine, key=telling)[:MOST_EXAMPLES]:
        for row in pair:
            found = traced.get((row["id"], outcome.example))
            try:
                graph = run.graph(found) if found is not None else None
            except AgentOptError as error:
                graph = None
                faults.append(f"a traced graph is not in this page: {error}")
            if found is None or graph is None or not len(graph):
                continue
            safe = Graph.from_json(clean(graph.to_json()))
            escapes += safe.escapes
            score = "no score" if found.score is None else f"score {found.score:g}"
            name = "best" if row["best"] and len(pair) > 1 else "baseline"
            label = f"{name} on {found.example[:8]} ({found.split}, {score})"
            shown.append({"label": label, "picture": _drawn(safe, len(shown)), "nodes": len(graph)})
    return {"shown": shown, "escapes": escapes, "examples": len(mine), "faults": faults}


def _drawn(graph: Graph, number: int) -> str:
    """The graph as SVG in the page's own colours, with a name of its own for the arrow's tip."""
    text = _STYLE.sub("", svg(graph, limit=MOST_NODES), count=1)
    return text.replace('id="agentopt-tip"', f'id="tip{number}"').replace(
        '"url(#agentopt-tip)"', f'"url(#tip{number})"'
    )

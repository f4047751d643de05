"""Agents for extremal problems with closed-form answers: by text alone, and with a numerical search as a tool."""

from __future__ import annotations

import asyncio
import math
from typing import Any, Literal

from agentopt import Parameter, allm, graph, prompt
from agentopt.evaluate.extremal import search
from agentopt.evaluate.extremal.auditing import in_the_open
from agentopt.evaluate.extremal.latex import NotRead, names_in, read_latex
from agentopt.evaluate.extremal.statement import read_relations
from agentopt.llm.toolrun import arun_tools

REQUEST, TOOLS_REQUEST = prompt("agents/extremal"), prompt("agents/extremal_tools")
TURNS = Parameter(
    6,
    name="turns",
    kind="number",
    low=2,
    high=12,
    description="the most calls of the model for one problem",
    constraint="a whole number",
)
MOST, RELATIONS = 12, 30
"""Variables and constraints of a search."""
STARTS, SECONDS = 24, 8.0
"""Of a search that a model asks for: local searches, and seconds of processor time after which none is begun."""


async def find_extremum(
    expression: str, goal: Literal["minimum", "maximum"], constraints: list[str] | None = None
) -> dict[str, Any]:
    """Search numerically for the minimum or maximum of an expression in LaTeX.

    Constraints are relations in LaTeX, such as "a + b + c = 3", "a, b, c > 0" or "0 \\le x \\le 1"; without them a
    variable is any real number. Returns the best value that was found and a point at which it is reached; that nothing
    better was found is no proof, and one at the edge of the search may stand for a limit, or for no bound at all.
    """
    try:
        objective = read_latex(expression)
        relations, bounds, opened = read_relations(constraints or [])
    except NotRead as error:
        return {"error": f"not read: {error}"}
    if len(relations) > RELATIONS:
        return {"error": f"{len(relations)} constraints are too many; a search takes up to {RELATIONS}"}
    names = sorted(names_in(objective).union(*(names_in(c.left) for c in relations)))
    if not 1 <= len(names) <= MOST:
        return {"error": f"the expression has {len(names)} variables; a search takes 1 to {MOST}"}
    aim = "min" if goal == "minimum" else "max"
    program = search.Program(aim, objective, tuple(names), tuple(relations), bounds, open=opened)
    found = await asyncio.to_thread(search.find_extremum, program, starts=STARTS, seconds=SECONDS)
    if found is None or not math.isfinite(found.value):
        return {"error": "no point was found that satisfies the constraints and at which the expression is defined"}
    point = {name: round(value, 6) for name, value in found.point.items()}
    return {
        "value": float(f"{found.value:.9g}"),
        "at": point,
        "reached_by": f"{found.again} of {found.starts} searches",
        "at_the_edge_of_the_search": not in_the_open(program, found.point),
    }


@graph
async def extremal(problem: str) -> str:
    """Have the model reason, and return its whole reply: the scorer looks for the box."""
    return await allm(REQUEST, problem=problem)


@graph
async def extremal_tools(problem: str) -> str:
    """The same with a numerical search that the model may call. Its scores are not those of text alone."""
    return await arun_tools(TOOLS_REQUEST, problem=problem, tools=[find_extremum], turns=TURNS.value)

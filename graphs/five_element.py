"""An optimization problem, first stated in five elements, then solved by a program.

After LLMOPT (Jiang et al. 2024, https://arxiv.org/abs/2410.13213): sets, parameters, variables, objective and
constraints come between the words and the code. What may change: the words of both requests, whether the formulation is
text or JSON (``form``), whether the program is written from it alone or from the problem too (``route``), which library
the program uses (``solver``), and the words that explain each library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentopt import Parameter, allm, graph, node, prompt, render
from agentopt.errors import MalformedAnswer, UnusableAnswer
from agentopt.evaluate.modelling import FiveElements, read_five_elements
from agentopt.workspace import prompt_text

from .program_of_thought import listed

TEXT, JSON = prompt("agents/five_element"), prompt("agents/five_element_json")
PROGRAM = prompt("agents/five_element_program")
SHOWN = {route: prompt_text(f"agents/five_element_{route}") for route in ("QF2C", "F2C")}
GUIDES = {name: prompt(f"agents/solver_{name}") for name in ("pyscipopt", "pyomo", "ortools", "scipy")}
FORM = Parameter(
    "text",
    name="form",
    kind="choice",
    choices=("text", "json"),
    description="how the formulation is written: as headed text, or as a JSON object that is held to a schema",
)
ROUTE = Parameter(
    "QF2C",
    name="route",
    kind="choice",
    choices=tuple(SHOWN),
    description="QF2C: the program is written from problem and formulation; F2C: from the formulation alone",
)
SOLVER = Parameter(
    "pyscipopt",
    name="solver",
    kind="choice",
    choices=tuple(GUIDES),
    description="the library that the program uses; pyscipopt and pyomo take models that are not linear, too",
)


@node
def stated(reply: str) -> str:
    """The five elements that a reply states, in their order and without what stands around; else the reply as it is."""
    try:
        return read_five_elements(reply).text.strip()
    except MalformedAnswer:
        return reply


async def formulate(problem: Any, again: Any = None, earlier: tuple[Any, Any] | None = None) -> Any:
    """Ask for the five elements; ``again`` asks for better ones, after an ``earlier`` formulation and its criticism."""
    asked = render(JSON if FORM.value == "json" else TEXT, problem=problem)
    options: dict[str, Any] = {"name": "formulation"}
    if earlier is not None:
        options["messages"] = [("user", asked), ("assistant", earlier[0])]
        asked = render(again, criticism=earlier[1])
    if FORM.value == "text":
        return stated(await allm(asked, **options))
    try:
        return (await allm(asked, schema=FiveElements, **options)).text
    except UnusableAnswer as answer:  # it fits no schema, and may help all the same
        return answer.text


def request(problem: Any, formulation: Any, names: Any) -> Any:
    """The request for a program."""
    parts = {"formulation": formulation, **({"problem": problem} if ROUTE.value == "QF2C" else {})}
    shown = render(SHOWN[ROUTE.value], **parts)
    return render(PROGRAM, solver=GUIDES[SOLVER.value], names=listed(names), material=shown)


@graph
async def five_element(problem: str, names: Sequence[str] = ("objective",)) -> str:
    """Formulate, then ask for the program; what comes back is the model's whole reply with the program in it."""
    formulation = await formulate(problem)
    return await allm(request(problem, formulation, names), name="program")

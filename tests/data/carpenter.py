"""Small optimization problems, programs that solve them, and what requests for such programs are about."""

from __future__ import annotations

from agentopt.llm.types import Request

CARPENTER = (
    "A carpenter makes chairs and tables. A chair takes 5 boards and 10 hours and brings $45, a table takes 20 boards "
    "and 15 hours and brings $80. There are 400 boards and 450 hours. How many of each bring the most?"
)
FENCE = "A rectangular pen is built along a wall from 100 m of fence for its other three sides. How large can it be?"
PIT = "How low can f(t) = t^2 - 6 t be for a real number t, and where?"
NAMES = {CARPENTER: ["chairs", "tables", "profit"], FENCE: ["along", "across", "area"], PIT: ["t", "lowest"]}
RIGHT = {
    CARPENTER: {"chairs": 24.0, "tables": 14.0, "profit": 2200.0},
    FENCE: {"along": 50.0, "across": 25.0, "area": 1250.0},
    PIT: {"t": 3.0, "lowest": -9.0},
}
SCIP = """import json
from pyscipopt import Model
model = Model()
model.hideOutput()
{body}
model.optimize()
if model.getStatus() == "optimal":
    print(json.dumps({{{answer}}}))
else:
    print("The solver says", model.getStatus())
"""
BODIES = {
    CARPENTER: (
        'c = model.addVar("c", vtype="I")\nt = model.addVar("t", vtype="I")\nmodel.addCons(5 * c + 20 * t <= 400)\n'
        'model.addCons(10 * c + 15 * t <= 450)\nmodel.setObjective(45 * c + 80 * t, "maximize")',
        '"chairs": model.getVal(c), "tables": model.getVal(t), "profit": model.getObjVal()',
    ),
    FENCE: (
        'a = model.addVar("a")\nb = model.addVar("b")\nf = model.addVar("f", lb=None)\n'
        'model.addCons(a + 2 * b <= 100)\nmodel.addCons(f == a * b)\nmodel.setObjective(f, "maximize")',
        '"along": model.getVal(a), "across": model.getVal(b), "area": model.getObjVal()',
    ),
    PIT: (
        't = model.addVar("t", lb=-100, ub=100)\nf = model.addVar("f", lb=None)\nmodel.addCons(f == t * t - 6 * t)\n'
        'model.setObjective(f, "minimize")',
        '"t": model.getVal(t), "lowest": model.getObjVal()',
    ),
}  # fmt: skip


def source(problem: str, *changes: tuple[str, str]) -> str:
    """The right program, or one that was changed."""
    body, answer = BODIES[problem]
    text = SCIP.format(body=body, answer=answer)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def program(problem: str, *changes: tuple[str, str]) -> str:
    """A reply that holds it."""
    return f"Here it is:\n\n```python\n{source(problem, *changes)}```\nIt prints the answer."


CRASHES = ("model.hideOutput()", "model.hideOutput(True, True, True)")
FORMULATION = """## Variables
- c: integer, c >= 0  # chairs
- t: integer, t >= 0  # tables
## Objective
- maximize 45 c + 80 t
## Constraints
- 5 c + 20 t <= 400
- 10 c + 15 t <= 450
"""


def said(request: Request) -> str:
    """The last turn of a request."""
    return str(request.messages[-1].content)


def asks(request: Request) -> str:
    """What a request is for."""
    text = said(request)
    marks = {
        "Check the solution": "judge",
        "The formulation has to be mended": "reformulate",
        "It has to be mended": "mend",
        "Write a Python program": "program",
        "Write Python programs": "program",
        "in five elements": "formulate",
    }
    head = text.partition("The problem:")[0]
    return next((kind for mark, kind in marks.items() if mark in head), "repair")

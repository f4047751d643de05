"""Formulations in five elements: what is read of what models write, and what is said of what cannot be read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentopt.errors import MalformedAnswer
from agentopt.evaluate.modelling.formulation import (
    Constraint,
    Datum,
    FiveElements,
    IndexSet,
    Objective,
    Variable,
    read_five_elements,
)
from agentopt.llm.structured import answer_schema, structured
from agentopt.llm.types import Message, Request
from agentopt.serve.grammar import compact
from agentopt.testing import ScriptedLLM

LINES = st.lists(
    st.sampled_from(
        ["x", "x_{i}", "P", "3", "=", "<=", "≥", ":", ":=", "#", "# ", ",", ";", "(", ")", "{", "}", "[", "\\le", "\\(",
         " ", " ", "integer", "binary", "real", "non-negative", "maximize", "min", "let", "be", "number of", "-", "1.",
         "**", "`", "$", "none", "0-1", "∈", "\\mathbb{Z}", "|", "\n", "a)", ".", "between", "whole"]
    )
    | st.text(max_size=4),
    max_size=12,
).map("".join)  # fmt: skip


@pytest.mark.parametrize("kind", [IndexSet, Datum, Variable, Objective, Constraint])
@given(line=LINES)
def test_an_entry_is_what_its_line_says(kind: Any, line: str) -> None:
    try:
        entry = kind.model_validate(line)
    except ValidationError:
        return
    assert "\n" not in entry.line
    assert kind.model_validate(entry.line) == entry
    assert kind.model_validate(entry.model_dump()) == entry


FORMULATIONS = st.builds(
    dict,
    sets=st.lists(LINES, max_size=2),
    parameters=st.lists(LINES, max_size=2),
    variables=st.lists(LINES, min_size=1, max_size=3),
    objective=LINES.map("maximize ".__add__),
    constraints=st.lists(LINES, max_size=3),
)


@given(parts=FORMULATIONS)
def test_a_formulation_is_read_back_from_its_text_and_from_its_json(parts: dict[str, Any]) -> None:
    try:
        found = FiveElements.model_validate(parts)
    except ValidationError:
        return
    assert read_five_elements(found.text) == found
    assert read_five_elements(found.model_dump_json()) == found


PIECES = st.sampled_from(
    ["## Sets", "Variables:", "**Objective**", "Constraints", "max x", "- x: integer", "{", "}", "none", "```", "\n",
     '"variables"', ":", "[", "]", '{"variables": "x", "objective": "min x", "constraints": []}']
)  # fmt: skip


@given(text=st.lists(PIECES | LINES, max_size=20).map("\n".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read_five_elements(text)
    except MalformedAnswer:
        return
    assert read_five_elements(found.text) == found


# -- what models write -----------------------------------------------------------------------------------------------

CARPENTER = FiveElements(
    sets=("P = {chairs, tables}  # products",),
    parameters=("profit = [45, 80]  # dollars for each product", "wood = 400"),
    variables=("x: integer, x >= 0  # chairs", "y: integer, y >= 0  # tables"),
    objective="maximize 45 x + 80 y  # profit",
    constraints=("5 x + 20 y <= 400  # wood", "10 x + 15 y <= 450  # labour"),
)
TEXT = """## Sets
- P = {chairs, tables}  # products

## Parameters
- profit = [45, 80]  # dollars for each product
- wood = 400

## Variables
- x: integer, x >= 0  # chairs
- y: integer, y >= 0  # tables

## Objective
- maximize 45 x + 80 y  # profit

## Constraints
- 5 x + 20 y <= 400  # wood
- 10 x + 15 y <= 450  # labour
"""
LATEX = r"""
Sure! Here is the formulation of the problem.

### 1. Sets
There are no index sets needed.

### 2. Parameters:
- \( c_i \): profit per unit of product \( i \)
- **Budget** = $1,000

### 3. **Decision Variables**
- Let \( x_1 \) be the number of chairs (integer, \( x_1 \geq 0 \))
- \( x_2 \): number of tables, non-negative integer
- $z \in \{0, 1\}$: whether the shop opens

### 4. Objective Function
Maximize:
\[
Z = 3x_1 + 4x_2
\]

### 5. Constraints
1. **Labour**:
   \[ 3x_1 + 2x_2 \leq 10 \]

2. **Non-negativity**: \( x_1, x_2 \geq 0 \)

This formulation can be solved with any solver.

### Code
```python
# Objective
print(3)
```
"""


def test_the_text_has_the_five_sections_in_order() -> None:
    assert CARPENTER.text == TEXT
    assert read_five_elements(TEXT) == CARPENTER


def test_what_a_chat_model_writes_in_latex_is_read() -> None:
    found = read_five_elements(LATEX)
    assert found.sets == ()
    assert [p.line for p in found.parameters] == ["c_i  # profit per unit of product i", "Budget = 1,000"]
    assert [v.line for v in found.variables] == [
        r"x_1: integer, x_1 \geq 0  # number of chairs",
        "x_2: integer, x_2 >= 0  # number of tables",
        r"z: binary, z \in \{0, 1\}  # whether the shop opens",
    ]
    assert found.objective == Objective(sense="maximize", expression="Z = 3x_1 + 4x_2")
    assert [c.line for c in found.constraints] == [
        r"3x_1 + 2x_2 \leq 10  # Labour",
        r"x_1, x_2 \geq 0  # Non-negativity",
    ]


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("## ", "**").replace("\n- ", "**\n* ").replace("**\n* y", "\n* y"),
        TEXT.replace("## ", "# ").upper().replace("MAXIMIZE", "Max").replace("INTEGER", "int"),
        TEXT.replace("## ", "").replace("\n- ", ":\n", 1),
        "The five elements:\n" + TEXT + "\n## Explanation\nObjective: none",
        "<think>\n" + TEXT.replace("maximize", "minimize") + "\nNo, maximize.\n</think>\n" + TEXT,
        TEXT + "\n\nThis is all.\n\n" + TEXT,
        "```markdown\n" + TEXT + "```",
    ],
)
def test_other_spellings_of_the_same_text(text: str) -> None:
    found = read_five_elements(text)
    assert [v.kind for v in found.variables] == ["integer", "integer"]
    assert found.objective.sense == "maximize"
    assert (len(found.sets), len(found.parameters), len(found.constraints)) == (1, 2, 2)


@pytest.mark.parametrize(
    "given",
    [
        {
            "Sets": {"P": "{chairs, tables}"},
            "Parameters": {"profit": [45, 80], "wood": 400},
            "Decision Variables": [{"name": "x", "type": "int", "lower_bound": 0}, {"symbol": "y", "type": "Integer"}],
            "Objective Function": {"type": "maximize", "function": "45x + 80y"},
            "Constraints": {"wood": "5x + 20y <= 400", "labour": "10x + 15y <= 450"},
        },
        {
            "five_elements": {
                "variables": "x: integer\ny: integer",
                "objective": ["Maximize", "45x + 80y"],
                "constraints": "1. 5x + 20y <= 400\n2. 10x + 15y <= 450",
                "sets": None,
                "notes": "two products",
            }
        },
    ],
)  # fmt: skip
def test_json_by_other_names_and_in_other_shapes(given: dict[str, Any]) -> None:
    found = read_five_elements("Here you are:\n```json\n" + json.dumps(given) + "\n```")
    assert [(v.name, v.kind) for v in found.variables] == [("x", "integer"), ("y", "integer")]
    assert (found.objective.sense, found.objective.expression) == ("maximize", "45x + 80y")
    assert [c.expression for c in found.constraints] == ["5x + 20y <= 400", "10x + 15y <= 450"]


@pytest.mark.parametrize(
    ("line", "kind", "bounds"),
    [
        ("x", "continuous", ""),
        ("x >= 0", "continuous", "x >= 0"),
        ("x, y ≥ 0, both whole: chairs, tables", "integer", "x, y ≥ 0"),
        ("x, y ≥ 0 and integer", "integer", "x, y ≥ 0 and integer"),
        ("x: 0 <= x <= 10, integer", "integer", "0 <= x <= 10"),
        ("x: number of buses (whole number)", "integer", ""),
        (r"x_{i} \in \mathbb{Z}: buses on route i", "integer", r"x_{i} \in \mathbb{Z}"),
        ("y: binary, whether the shop opens", "binary", ""),
        ("t: real number, -5 <= t <= 5", "continuous", "-5 <= t <= 5"),
        ("w: an interest", "continuous", ""),
    ],
)
def test_the_kind_of_a_variable_is_read_from_its_words(line: str, kind: str, bounds: str) -> None:
    found = Variable.model_validate(line)
    assert (found.kind, found.bounds) == (kind, bounds)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no section Variables, Objective, Constraints (found: none)"),
        ("<think>\n" + TEXT, "ends within its thoughts"),
        ("I cannot do this.", "no section Variables, Objective, Constraints (found: none)"),
        (TEXT.partition("## Constraints")[0], "no section Constraints (found: Sets, Parameters, Variables, Objective)"),
        (TEXT.replace("maximize ", ""), "Objective: it says neither maximize nor minimize"),
        (TEXT.replace("maximize 45 x + 80 y  # profit", "max"), "Objective: nothing is maximized or minimized"),
        (
            TEXT.replace("- x: integer, x >= 0  # chairs\n- y: integer, y >= 0  # tables", "None"),
            "the section Variables is empty",
        ),
        ('{"variables": [{}], "objective": "max x", "constraints": []}', "Variables 1: it has no name"),
        ('{"variables": [[1]], "objective": "max x", "constraints": []}', "Variables 1: "),
        ('{"variables": ["x"], "objective": ["max x", 3], "constraints": []}', "Objective: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(MalformedAnswer) as raised:
        read_five_elements(text)
    assert told in str(raised.value)
    assert raised.value.text == text


def test_a_record_is_frozen_and_names_what_it_lacks() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        CARPENTER.objective = Objective(sense="minimize", expression="x")
    with pytest.raises(ValidationError, match="constrains"):
        FiveElements.model_validate({"variables": "x", "objective": "max x", "constrains": ["x <= 1"]})


# -- structured output -----------------------------------------------------------------------------------------------


def test_the_schema_is_one_that_the_local_engine_writes_without_blanks() -> None:
    grammar = compact(answer_schema(FiveElements))
    assert grammar is not None
    assert r'"\"sense\": " ("\"maximize\"" | "\"minimize\"")' in grammar


async def test_a_structured_answer_that_is_loose_is_read_and_one_that_is_wrong_is_repaired() -> None:
    loose = {"sets": [], "parameters": {}, "variables": "x: integer", "objective": "max 3x", "constraints": "x <= 4"}
    llm = ScriptedLLM([{**loose, "objective": "3x"}, loose])
    found, _ = await structured(llm, Request(model="any", messages=(Message(role="user", content="?"),)), FiveElements)
    assert found.objective.line == "maximize 3x"
    assert "neither maximize nor minimize" in str(llm.requests[1].messages[-1].content)

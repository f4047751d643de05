"""Short arithmetic problems with misleading variations (Patel et al. 2021, arXiv 2103.07191)."""

from __future__ import annotations

from pydantic import BaseModel

from agentopt import Example, Task, task
from agentopt.evaluate import SplitSpec, stated_number
from agentopt.evaluate.data import read_rows


class Row(BaseModel):
    """One problem as published."""

    ID: str
    Body: str
    Question: str
    Equation: str
    Answer: float
    Type: str


MISSPELT = {"Common-Divison": "Common-Division"}


@task(version=1)
def svamp() -> Task:
    """Solve a short arithmetic problem that is told in words. The answer is one number.

    SVAMP: 1,000 problems; what a model is given is the body and then the question. The groups are the four operations,
    one of which is misspelt in one row of the original and is counted with its own.
    """
    data = read_rows("svamp", "SVAMP.json", Row)
    examples = [
        Example(
            id=row.ID,
            input=problem(row),
            target=int(row.Answer) if row.Answer.is_integer() else row.Answer,
            meta={"equation": row.Equation},
            group=MISSPELT.get(row.Type, row.Type),
        )
        for row in data.rows
    ]
    misspelt = [row.ID for row in data.rows if row.Type in MISSPELT]
    notes = (*data.notes, *(f"{id}: the type is misspelt in the original; grouped as it is meant" for id in misspelt))
    return Task(
        "svamp",
        examples,
        stated_number(),
        objective="Solve a short arithmetic problem that is told in words. The answer is one number.",
        split=SplitSpec(search=0.2, validation=0.2, test=0.6),
        notes=notes,
    )


def problem(row: Row) -> str:
    """Body and question as one text.

    >>> problem(Row(ID="1", Body="Tom has 3 pens", Question="How many?", Equation="3", Answer=3.0, Type="Addition"))
    'Tom has 3 pens. How many?'
    """
    body = row.Body.strip()
    return f"{body if body[-1:] in '.?!,' else body + '.'} {row.Question.strip()}"

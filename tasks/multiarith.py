"""Arithmetic problems of two steps (Roy and Roth 2015)."""

from __future__ import annotations

import re

from pydantic import BaseModel, Field

from agentopt import Example, Task, task
from agentopt.evaluate import SplitSpec, stated_number
from agentopt.evaluate.data import read_rows


class Row(BaseModel):
    """One problem as published."""

    iIndex: int
    lEquations: list[str] = Field(min_length=1)
    lSolutions: list[float] = Field(min_length=1, max_length=1)
    sQuestion: str


@task(version=1)
def multiarith() -> Task:
    """Solve an arithmetic problem of two steps that is told in words. The answer is one number.

    MultiArith: 600 problems. Problems with the same two operations are a group.
    """
    data = read_rows("multiarith", "MultiArith.json", Row)
    examples = [
        Example(
            id=f"multiarith-{row.iIndex}",
            input=" ".join(row.sQuestion.split()),
            target=int(row.lSolutions[0]) if row.lSolutions[0].is_integer() else row.lSolutions[0],
            meta={"equation": row.lEquations[0]},
            group="".join(sorted(re.findall(r"(?<=[\d)])[-+*/]", row.lEquations[0]))),
        )
        for row in data.rows
    ]
    return Task(
        "multiarith",
        examples,
        stated_number(),
        objective="Solve an arithmetic problem of two steps that is told in words. The answer is one number.",
        split=SplitSpec(search=0.2, validation=0.2, test=0.6),
        notes=data.notes,
    )

"""Algebraic problems with five options (Ling et al. 2017, arXiv 1705.04146)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from agentopt import Example, Task, task
from agentopt.evaluate import SplitSpec, stated_option
from agentopt.evaluate.data import read_rows


class Row(BaseModel):
    """One problem as published; an option begins with its letter and a bracket."""

    question: str
    options: list[Annotated[str, StringConstraints(pattern=r"^[A-E]\)")]] = Field(min_length=5, max_length=5)
    rationale: str
    correct: Literal["A", "B", "C", "D", "E"]


@task(version=1)
def aqua() -> Task:
    """Solve a problem of algebra or arithmetic and choose the right one of five options, by its letter.

    AQuA: the 254 problems of the published test split, cut here into search, validation and test: a published
    number, of all 254, is to be compared with ``--split all`` only.
    """
    data = read_rows("aqua", "AQuA.json", Row)
    examples = []
    for index, row in enumerate(data.rows):
        options = {option[0]: option[2:].strip() for option in row.options}
        listed = "\n".join(f"({letter}) {text}" for letter, text in options.items())
        examples.append(
            Example(
                id=f"aqua-{index}",
                input=f"{row.question.strip()}\nOptions:\n{listed}",
                target=f"({row.correct})",
                meta={"options": dict(options), "rationale": row.rationale},
                group=row.correct,
            )
        )
    return Task(
        "aqua",
        examples,
        stated_option(),
        objective="Solve a problem of algebra or arithmetic and choose the right one of five options, by its letter.",
        split=SplitSpec(search=0.2, validation=0.2, test=0.6),
        notes=data.notes,
    )

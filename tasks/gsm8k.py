"""Grade-school arithmetic in words (Cobbe et al. 2021, arXiv 2110.14168)."""

from __future__ import annotations

import re

from pydantic import BaseModel

from agentopt import Example, Task, task
from agentopt.errors import UsageError
from agentopt.evaluate import SplitSpec, stated_number
from agentopt.evaluate.data import Rows, read_rows

OBJECTIVE = "Solve a grade-school arithmetic problem that is told in words. The answer is one number."


class Row(BaseModel):
    """One problem as published; the number stands after ``####`` at the end of the solution."""

    question: str
    answer: str


def example(file: str, index: int, row: Row) -> Example:
    """A problem with its number; problems with as many steps of calculation are a group."""
    solution, _, final = row.answer.rpartition("\n#### ")
    number = final.strip().replace(",", "")
    if not re.fullmatch(r"-?\d+(\.\d+)?", number):
        raise UsageError(f"{file}, row {index}: the answer ends with {final!r}, not with '#### ' and a number")
    steps = min(solution.count("<<"), 8)
    target = float(number) if "." in number else int(number)
    meta = {"solution": re.sub(r"<<[^<>]*>>", "", solution)}
    return Example(
        id=f"{file.partition('.')[0]}-{index}", input=row.question, target=target, meta=meta, group=f"{steps} steps"
    )


@task(version=1)
def gsm8k() -> Task:
    """Solve a grade-school arithmetic problem that is told in words. The answer is one number.

    GSM8K, with the split of its makers: search and validation examples are of the 7,473 training problems, test
    examples are the 1,319 test problems. A search split of 261 is the 3.5 % of the OPRO paper. Small models need
    up to 512 output tokens to reason.
    """
    files: dict[str, Rows[Row]] = {name: read_rows("gsm8k", name, Row) for name in ("test.jsonl", "train.jsonl")}
    examples = [example(name, i, row) for name, data in files.items() for i, row in enumerate(data.rows)]
    return Task(
        "gsm8k",
        examples,
        stated_number(),
        objective=OBJECTIVE,
        split=SplitSpec(search=261, validation=261, test=1319),
        test_only=frozenset(e.id for e in examples if e.id.startswith("test-")),
        notes=tuple(note for data in files.values() for note in data.notes),
    )

"""Python functions to write from their signature and docstring (Chen et al. 2021, arXiv 2107.03374)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from agentopt import Example, Task, task
from agentopt.core.values import digest
from agentopt.evaluate import SplitSpec, passes
from agentopt.evaluate.data import read_rows

FILES = {"base": "HumanEval.jsonl", "plus": "HumanEvalPlus-OriginFmt.jsonl.gz"}
SECONDS = {"base": 5.0, "plus": 20.0}


class Row(BaseModel):
    """One problem as published; the tests of EvalPlus come in the same layout."""

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str


@task(version=1)
def humaneval(tests: Literal["base", "plus"] = "base") -> Task:
    """Write the Python function that is begun: its signature and its docstring are given.

    HumanEval: 164 problems. ``tests=plus`` judges by those of EvalPlus (Liu et al. 2023, arXiv 2305.01210), about 80
    times as many. The tests are in ``meta``, where no optimizer sees them; programs are run in the sandbox.
    """
    data = read_rows("humaneval", FILES[tests], Row)
    return Task(
        "humaneval" if tests == "base" else "humaneval_plus",
        [example(row, SECONDS[tests]) for row in data.rows],
        passes(),
        objective="Write the Python function that is begun: its signature and its docstring are given.",
        split=SplitSpec(search=0.2, validation=0.2, test=0.6),
        notes=data.notes,
    )


def example(row: Row, seconds: float) -> Example:
    """A row as an example: what is asked, and, out of an optimizer's sight, how it is judged."""
    check = f"{row.test}\n\ncheck({row.entry_point})\n"
    return Example(
        id=row.task_id,
        input={"problem": row.prompt},
        target={"entry_point": row.entry_point, "tests": digest(check)[:16]},
        meta={
            "prompt": row.prompt,
            "tests": [check],
            "seconds": seconds,
            "reference": row.prompt + row.canonical_solution,
        },
    )

"""Mostly basic Python problems (Austin et al. 2021, arXiv 2108.07732)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from agentopt import Example, Task, task
from agentopt.core.values import digest
from agentopt.errors import UsageError
from agentopt.evaluate import SplitSpec, passes
from agentopt.evaluate.data import Rows, read_rows

TESTED = range(11, 511)
"""Ids of the published test set; 1 to 10 were shown to models, 511 to 600 are validation, 601 to 974 training."""
SLOW = {123: 20.0}
"""Seconds for problems whose own reference takes several (123: about 4)."""


class Row(BaseModel):
    """What the three files have in common."""

    task_id: int
    code: str
    test_list: list[str]


class Full(Row):
    """A row of ``mbpp.jsonl``."""

    text: str
    test_setup_code: str


class Sanitized(Row):
    """A row of ``sanitized-mbpp.json``."""

    prompt: str
    test_imports: list[str]


class Plus(Sanitized):
    """A row of EvalPlus's file: ``test`` is a program that tests."""

    test: str


@task(version=1)
def mbpp(tests: Literal["sanitized", "full", "plus"] = "sanitized") -> Task:
    """Write the Python function that a sentence describes and that passes the test below it.

    MBPP: ``sanitized`` has 427 problems that were checked by hand, ``full`` all 974, ``plus`` 378 with the tests of
    EvalPlus (Liu et al. 2023, arXiv 2305.01210). Its makers' test problems (ids 11 to 510) are tested on only. The
    first test is shown, since it alone tells the function's name. The setup of two problems (367, 927) uses a class of
    the solution, so it runs after the program.
    """
    rows: Rows[Full] | Rows[Sanitized] | Rows[Plus]
    if tests == "full":
        rows = read_rows("mbpp", "mbpp.jsonl", Full)
        examples = [example(row, row.text, row.test_list, row.test_setup_code) for row in rows.rows]
    elif tests == "plus":
        rows = read_rows("mbpp", "MbppPlus-OriginFmt.jsonl.gz", Plus)
        examples = [example(row, row.prompt, [row.test], "\n".join(row.test_imports), 20.0) for row in rows.rows]
    else:
        rows = read_rows("mbpp", "sanitized-mbpp.json", Sanitized)
        examples = [example(row, row.prompt, row.test_list, "\n".join(row.test_imports)) for row in rows.rows]
    return Task(
        "mbpp" if tests == "sanitized" else f"mbpp_{tests}",
        examples,
        passes(),
        objective="Write the Python function that a sentence describes and that passes the test below it.",
        split=SplitSpec(search=0.3, validation=0.3, test=0.4),
        notes=rows.notes,
        test_only=frozenset(e.id for e in examples if int(e.id.split("/")[1]) in TESTED),
    )


def example(row: Row, text: str, tests: Sequence[str], setup: str, seconds: float = 5.0) -> Example:
    """A row as an example: sentence and first test; the tests are out of an optimizer's sight."""
    shown = row.test_list[0].replace("\r\n", "\n")
    name = name_of(row)
    return Example(
        id=f"Mbpp/{row.task_id}",
        input={"problem": f'"""\n{text.strip()}\n{shown}\n"""\n'},
        target={"entry_point": name, "tests": digest([list(tests), setup])[:16]},
        meta={
            "tests": [test.replace("\r\n", "\n") for test in tests],
            "setup": setup.replace("\r\n", "\n"),
            "seconds": max(seconds, SLOW.get(row.task_id, 0.0)),
            "reference": row.code.replace("\r\n", "\n"),
        },
    )


def name_of(row: Row) -> str:
    """The name of the function that is asked for: of those that the reference defines, the one that the test calls.

    Raises:
        UsageError: the test calls none of them.
    """
    defined = re.findall(r"^(?:def|class)\s+(\w+)|^(\w+)\s*=", row.code.replace("\r\n", "\n"), re.MULTILINE)
    called = re.findall(r"(\w+)\s*\(", row.test_list[0])
    names = {one or other for one, other in defined}
    found = [name for name in called if name in names]
    if not found:
        raise UsageError(f"mbpp {row.task_id}: the first test calls none of {', '.join(sorted(names))}")
    return found[0]

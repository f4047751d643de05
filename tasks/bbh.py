"""BIG-Bench Hard: 27 tasks on which language models had been behind people (Suzgun et al. 2022, arXiv 2210.09261)."""

from __future__ import annotations

from agentopt import Example, Task, task
from agentopt.core.values import Frozen
from agentopt.errors import UnknownName
from agentopt.evaluate import SplitSpec, choice
from agentopt.evaluate.data import read_rows
from agentopt.evaluate.scoring import Scorer

SPLIT = SplitSpec(search=0.2, validation=0.2, test=0.6)


class Row(Frozen):
    """One example as published."""

    input: str
    target: str


TASKS: dict[str, tuple[Scorer, str]] = {
    "boolean_expressions": (choice("True", "False"), "Say whether a Boolean expression is True or False."),
}


@task
def bbh(name: str = "boolean_expressions") -> Task:
    """One of the 27 tasks of BIG-Bench Hard, chosen by its name; each has a scorer of its type."""
    if name not in TASKS:
        raise UnknownName("task of BIG-Bench Hard", name, TASKS, hint=f"there are {', '.join(TASKS)}")
    scorer, objective = TASKS[name]
    data = read_rows("bbh", f"{name}.json", Row)
    examples = [
        Example(id=f"{name}-{i}", input=row.input, target=row.target, group=row.target)
        for i, row in enumerate(data.rows)
    ]
    return Task(f"bbh_{name}", examples, scorer, objective=objective, split=SPLIT, notes=data.notes)

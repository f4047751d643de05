"""A data set that ``agentopt synthesize`` made, as a task."""

from __future__ import annotations

from typing import Literal

from agentopt import Example, Task, task
from agentopt.errors import UsageError
from agentopt.evaluate import SplitSpec
from agentopt.evaluate.modelling import all_figures
from agentopt.problems.dataset import Row, read_dataset


@task(version=1)
def synthesized(
    path: str = "",
    kind: Literal["all", "linear", "nonlinear"] = "all",
    table: Literal["both", "yes", "no"] = "both",
    headline: Literal["all_keys", "objective_1e-4", "objective_1e-6", "keys"] = "all_keys",
    seconds: float = 20.0,
) -> Task:
    """Write a program that solves an optimization problem and prints every figure that is asked for.

    The problems of the data set at ``path``, shaped as those of ``optibench``; ``meta["program"]`` is the program that
    gave the answer. What was grown from one demonstration is one cluster: it is never on two sides of a split.
    """
    if not path:
        raise UsageError("task synthesized: name a data set with path=FILE; `agentopt synthesize` makes one")
    wanted = {"both": (False, True), "yes": (True,), "no": (False,)}[table]
    rows = [row for row in read_dataset(path) if kind in ("all", row.kind) and row.table in wanted]
    if not rows:
        raise UsageError(f"task synthesized: {path} has no problem with kind={kind} and table={table}")
    return Task(
        "synthesized",
        [example(row) for row in rows],
        all_figures(headline=headline, seconds=seconds),
        objective="Write a program that solves an optimization problem and prints every figure that is asked for.",
        split=SplitSpec(search=0.4, validation=0.2, test=0.4),
    )


def example(row: Row) -> Example:
    """A row as an example."""
    kind = f"{row.kind}-{'table' if row.table else 'notable'}"
    return Example(
        id=f"synthesized-{row.hashes['question'][:12]}",
        input={"problem": row.question, "names": list(row.answers)},
        target=dict(row.answers),
        meta={
            "objective": list(row.answers)[-1],
            "type": kind,
            "labels": "by the program of the data set",
            "program": row.program,
            "scenario": row.scenario,
            "provenance": row.provenance,
        },
        group=kind,
        cluster=row.cluster,
    )

"""ExtremBench: maxima and minima with closed forms (Gao and Han 2025, arXiv 2510.12997)."""

from __future__ import annotations

from agentopt import Example, Task, task
from agentopt.evaluate import SplitSpec
from agentopt.evaluate.extremal import closed_form
from agentopt.evaluate.extremal.problems import read_problems
from agentopt.evaluate.extremal.sets import as_extrembench, extrembench_file, guess_note


@task(version=1)
def extrembench(file: str = "", tolerance: float = 0.0) -> Task:
    """Find the maximum or minimum of an expression under constraints. The answer is one number in closed form.

    93 problems, 62 of minima and 31 of maxima, made of proof exercises of the Chinese Mathematical Olympiad.

    Args:
        file: a file or folder with the problems; default a file in ``AGENTOPT_DATA/extrembench``, else the hub's.
        tolerance: how far apart values may be, as a share of the right one; 0 takes equal forms only, as published.
    """
    path = extrembench_file(file)
    problems = read_problems(path)
    notes = as_extrembench(problems, path)
    examples = [
        Example(id=f"extrembench-{p.id}", input=p.statement, target=p.answer, group=p.goal, meta={"goal": p.goal})
        for p in problems
    ]
    return Task(
        "extrembench",
        examples,
        closed_form(tolerance=tolerance),
        objective="Find the maximum or minimum of an expression under constraints, as one number in closed form.",
        split=SplitSpec(search=0.25, validation=0.25, test=0.5),
        notes=(*notes, guess_note([p.answer for p in problems])),
    )

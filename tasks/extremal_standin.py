"""A stand-in for ExtremBench: maxima and minima with closed forms from other collections. It is not ExtremBench."""

from __future__ import annotations

from agentopt import Example, Task, task
from agentopt.evaluate import SplitSpec
from agentopt.evaluate.extremal import closed_form
from agentopt.evaluate.extremal.problems import digest_of, read_problems
from agentopt.evaluate.extremal.sets import guess_note, standin_file


@task(version=1)
def extremal_standin(tolerance: float = 0.0) -> Task:
    """Find the maximum or minimum of an expression under constraints. The answer is one number in closed form.

    Problems of IneqMath (bounds), Omni-MATH, MATH and OlympiadBench, in the shape of ExtremBench. They are easier and
    better known than those of ExtremBench: a score here is none there.

    Args:
        tolerance: how far apart values may be, as a share of the right one; 0 takes equal forms only.
    """
    path = standin_file()
    problems = read_problems(path)
    examples = [
        Example(
            id=p.id,
            input=p.statement,
            target=p.answer,
            group=p.goal,
            meta={"goal": p.goal, "form": str(p.more.get("form", "")), "source": str(p.more.get("source", ""))},
        )
        for p in problems
    ]
    return Task(
        "extremal_standin",
        examples,
        closed_form(tolerance=tolerance),
        objective="Find the maximum or minimum of an expression under constraints, as one number in closed form.",
        split=SplitSpec(search=0.25, validation=0.25, test=0.5),
        notes=(
            f"{len(problems)} problems of other collections (sha256 {digest_of(path)[:16]}): not ExtremBench, and no "
            "score here is one there",
            guess_note([p.answer for p in problems]),
        ),
    )

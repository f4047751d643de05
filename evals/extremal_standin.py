"""The stand-in for ExtremBench, under the settings that ExtremBench is measured with here. It is not ExtremBench."""

from __future__ import annotations

from collections.abc import Sequence

from agentopt import Example
from agentopt.evaluate import Eval, Guess, Measure, Published, evaluation
from agentopt.evaluate.extremal.problems import commonest_answer

MEASURES = (
    Measure("answered", "replies that state an answer"),
    Measure("readable", "answers that are one number"),
    Measure("truncated", "replies that the cap of output tokens ended", lower_is_better=True, failed=None),
    Measure("tools", "runs that used a tool", failed=None),
)
NOTES = (
    "each problem is asked once; with repeats=4 or more the mean has less noise of sampling, and as much of problems",
    "a score is of text alone only where no run used a tool (the measure tools is 0)",
)


def goal(example: Example) -> str:
    """Whether a minimum or a maximum is asked for."""
    return {"min": "minima", "max": "maxima"}.get(str(example.meta.get("goal")), "not told")


def constant(examples: Sequence[Example]) -> list[str]:
    """The commonest answer, in a box, to everything."""
    answer, _ = commonest_answer([str(example.target) for example in examples])
    return [f"\\boxed{{{answer}}}"] * len(examples)


GUESS = Guess("always the commonest target", constant)


NOT_IT = "this is not ExtremBench, and no score here is one there: its problems are public, and easier"


def extremal(task: str, graph: str, notes: Sequence[str], published: Sequence[Published] = ()) -> Eval:
    """What ExtremBench and its stand-in are measured by alike."""
    return Eval(
        task=task,
        graph=graph,
        split="all",
        max_tokens=32_768,
        temperature=0.6,
        measures=MEASURES,
        by=goal,
        guesses=[GUESS],
        published=published,
        notes=notes,
    )


@evaluation(version=1)
def extremal_standin() -> Eval:
    """Extremal problems of other collections in the shape of ExtremBench, by text alone."""
    return extremal("extremal_standin", "extremal", (NOT_IT, *NOTES))


@evaluation(version=1)
def extremal_standin_tools() -> Eval:
    """The same problems with a numerical search as a tool: not to be put beside scores of text alone."""
    easy = "a numerical search makes such problems easy: scores with it stand apart from those of text alone"
    return extremal("extremal_standin", "extremal_tools", (NOT_IT, easy))

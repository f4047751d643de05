"""Word problems of optimization from a seed: as many as wanted, with answers that are known, and in no training set."""

from __future__ import annotations

from typing import Literal

from agentopt import Example, Task, task
from agentopt.core.values import digest
from agentopt.evaluate import SplitSpec
from agentopt.evaluate.modelling import all_figures
from agentopt.problems import LINEAR, NONLINEAR, Problem, generate
from agentopt.problems.programs import program


@task(version=1)
def modelled(
    n: int = 100,
    seed: int = 0,
    kind: Literal["all", "linear", "nonlinear"] = "all",
    level: Literal["all", "easy", "medium", "hard"] = "all",
    table: Literal["both", "yes", "no"] = "both",
    scenarios: str = "",
    headline: Literal["all_keys", "objective_1e-4", "objective_1e-6", "keys"] = "all_keys",
    seconds: float = 20.0,
) -> Task:
    """Write a program that solves an optimization problem and prints every figure that is asked for.

    Problems are drawn from ``seed`` in 23 scenarios (13 linear, 10 nonlinear; ``scenarios`` names some of them with
    commas between), and each has exactly one optimum. An example is shaped as those of ``optibench``; its ``meta`` has
    the problem as data (``formulation``), step by step (``demonstration``), and a ``program`` that solves it.
    """
    kinds = {"all": (), "linear": tuple(LINEAR), "nonlinear": tuple(NONLINEAR)}[kind]
    named = tuple(name.strip() for name in scenarios.split(",") if name.strip())
    problems = generate(
        n,
        seed=seed,
        scenarios=named or kinds,
        levels=("easy", "medium", "hard") if level == "all" else (level,),
        tables={"both": (False, True), "yes": (True,), "no": (False,)}[table],
    )
    return Task(
        "modelled",
        [example(problem) for problem in problems],
        all_figures(headline=headline, seconds=seconds),
        objective="Write a program that solves an optimization problem and prints every figure that is asked for.",
        split=SplitSpec(search=0.2, validation=0.2, test=0.6),
    )


def example(problem: Problem) -> Example:
    """A problem as an example."""
    data = problem.formulation.model_dump(mode="json")
    return Example(
        id=f"modelled-{digest([problem.question, problem.asked])[:12]}",
        input={"problem": problem.question, "names": list(problem.asked)},
        target=dict(problem.asked),
        meta={
            "objective": problem.formulation.objective_meaning,
            "type": problem.type,
            "labels": f"by {problem.method}, the only optimum",
            "scenario": problem.scenario,
            "level": problem.level,
            "formulation": data,
            "demonstration": problem.demonstration.text,
            "program": program(problem.formulation),
        },
        group=problem.type,
    )

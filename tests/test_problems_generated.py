"""Generated problems: answers are right by independent paths, texts say what the data say, one seed one list."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from agentopt import load_task
from agentopt.errors import UnknownName, UsageError
from agentopt.problems import LINEAR, NONLINEAR, SCENARIOS, Formulation, Problem, Variable, find_optimum, generate
from agentopt.problems.leaks import question_problem
from agentopt.problems.programs import program
from agentopt.problems.steps import read_demonstration
from agentopt.problems.story import LEVELS

LEVEL_NAMES = ("easy", "medium", "hard")


@pytest.fixture(scope="module")
def sample() -> list[Problem]:
    """Every scenario at every level, half of them with tables."""
    return generate(3 * len(SCENARIOS), seed=17)


CHILD = """
import contextlib, io, json, sys
for source in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(source, {"__name__": "__main__"})
    print(out.getvalue().strip())
"""


def check_elsewhere(problems: list[Problem]) -> None:
    """Compare with our own programs run by SCIP, in a child: neither HiGHS nor our grid nor our algebra."""
    pytest.importorskip("pyscipopt")
    programs = json.dumps([program(p.formulation) for p in problems])
    done = subprocess.run([sys.executable, "-c", CHILD], input=programs, capture_output=True, text=True)
    answers = done.stdout.splitlines()
    assert len(answers) == len(problems), done.stderr[-500:]
    for problem, told in zip(problems, answers, strict=True):
        assert told.startswith("{"), (problem.question, told)
        found = json.loads(told)
        assert list(found) == list(problem.answers)
        for key, value in problem.answers.items():
            assert found[key] == pytest.approx(value, rel=1e-4, abs=1e-4), (problem.question, key)
        key = problem.formulation.objective_meaning
        assert found[key] == pytest.approx(problem.answers[key], rel=1e-7)


def test_another_solver_finds_the_same() -> None:
    """Each scenario at each level."""
    check_elsewhere([p for name in SCENARIOS for p in generate(3, seed=23, scenarios=[name])])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_another_solver_finds_the_same_on_many() -> None:
    check_elsewhere(generate(20 * len(SCENARIOS), seed=29))


def test_no_point_nearby_is_as_good(sample: list[Problem]) -> None:
    """Brute force around the optimum: whole numbers one or two away, and small moves of others, where feasible."""
    draw = random.Random(4)
    for problem in sample:
        f, at = problem.formulation, {k: Fraction(v) for k, v in problem.values.items()}
        best = f.value(at)
        names = [v.name for v in f.variables]
        for _ in range(25):
            moved = dict(at)
            for name in draw.sample(names, min(len(names), draw.randint(1, 4))):
                variable = next(v for v in f.variables if v.name == name)
                step = draw.choice((-2, -1, 1, 2)) if variable.whole else Fraction(draw.choice((-1, 1)), 50)
                moved[name] = moved[name] + step
            try:
                feasible = not f.violations(moved)
            except ZeroDivisionError:
                continue
            if feasible and moved != at:
                gap = f.value(moved) - best
                assert gap < 0 if f.sense == "maximize" else gap > 0, (problem.question, moved)


def test_small_linear_ones_by_trying_every_point() -> None:
    """For those whose whole numbers are bounded by their constraints, all points within a box around the optimum."""
    tried = 0
    for problem in generate(
        12, seed=31, scenarios=["production", "knapsack", "covering", "transport"], levels=["easy"]
    ):
        f = problem.formulation
        ranges = [range(max(0, int(problem.values[v.name]) - 4), int(problem.values[v.name]) + 5)
                  if v.kind == "integer" else range(2) for v in f.variables]  # fmt: skip
        points = [dict(zip(problem.values, p, strict=True)) for p in itertools.product(*ranges)]
        values = {tuple(p.values()): f.value(p) for p in points if not f.violations(p)}
        best = (max if f.sense == "maximize" else min)(values.values())
        winners = [p for p, value in values.items() if value == best]
        assert winners == [tuple(int(v) for v in problem.values.values())]
        tried += len(points)
    assert tried > 5_000


def test_whole_answers_are_exact(sample: list[Problem]) -> None:
    for problem in sample:
        values: dict[str, Any] = {k: Fraction(v) for k, v in problem.values.items()}
        tolerance = 0.0 if all(v.whole for v in problem.formulation.variables) else 1e-7
        assert problem.formulation.violations(values, tolerance) == []
        assert problem.answers[problem.formulation.objective_meaning] == pytest.approx(
            float(problem.formulation.value(values)), rel=1e-12
        )


def test_questions_say_every_number_of_the_formal_lines_and_leak_none_of_them(sample: list[Problem]) -> None:
    for problem in sample:
        assert question_problem(problem.demonstration, problem.question, table=problem.table) == "", problem.question


def test_demonstrations_read_back_and_end_with_the_same_constraints(sample: list[Problem]) -> None:
    for problem in sample:
        read = read_demonstration(problem.demonstration.text, most=9)
        assert read.problem == "" and read.demonstration == problem.demonstration
        formal = [line for part in problem.demonstration.parts[2:] for line in part.formal]
        assert tuple(formal) == problem.formulation.constraints
        assert set(problem.demonstration.symbols) == {v.name for v in problem.formulation.variables}


def test_one_seed_one_list_and_a_longer_one_begins_with_it() -> None:
    some, again, more, other = (generate(n, seed=s) for n, s in ((30, 5), (30, 5), (60, 5), (30, 6)))
    assert some == again == more[:30]
    assert not {p.question for p in some} & {p.question for p in other}


def test_a_scenario_that_is_used_up_is_passed_over_and_longer_lists_still_begin_with_shorter_ones() -> None:
    """There are few fences; boxes go on."""
    some, more = (generate(n, seed=0, scenarios=["fence", "box"], levels=["easy"]) for n in (680, 720))
    assert some == more[:680] and len({p.formulation for p in more}) == 720
    names = [p.scenario for p in more]
    assert names[:600] == ["fence", "box"] * 300 and "fence" not in names[-20:]


def test_more_problems_than_there_are_is_the_callers_mistake() -> None:
    told = r"there are no 1500 different problems: fence at level easy has no more than 3\d\d; ask for fewer, or name"
    with pytest.raises(UsageError, match=told):
        load_task("modelled", n=1500, scenarios="fence", level="easy")


def test_all_kinds_levels_and_forms_take_turns(sample: list[Problem]) -> None:
    assert {(p.scenario, p.level) for p in sample} == set(itertools.product(SCENARIOS, LEVELS))
    assert {(p.scenario, p.table) for p in sample} == set(itertools.product(SCENARIOS, (False, True)))
    assert all(p.linear == (p.scenario in LINEAR) != (p.scenario in NONLINEAR) for p in sample)
    assert {p.type for p in sample} == {"linear-table", "linear-notable", "nonlinear-table", "nonlinear-notable"}
    assert len({p.question for p in sample}) == len(sample)
    assert all(("| --- |" in p.question) == p.table for p in sample)


def test_harder_is_larger() -> None:
    sizes = [
        np.mean([len(p.formulation.variables) for p in generate(39, seed=1, scenarios=list(LINEAR), levels=[level])])
        for level in LEVEL_NAMES
    ]
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [({"scenarios": ["prodction"]}, UnknownName), ({"levels": ["harder"]}, UnknownName), ({"tables": []}, UsageError),
     ({"n": -1}, UsageError)],
)  # fmt: skip
def test_wrong_arguments_are_refused(wrong: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        generate(**{"n": 1, **wrong})


# -- solving ----------------------------------------------------------------------------------------------------------


def make(
    objective: str, *constraints: str, sense: Any = "maximize", high: float | None = 9, kind: Any = "integer"
) -> Any:
    variables = tuple(Variable(name=n, meaning=n, kind=kind, high=high) for n in ("x", "y"))
    return Formulation(variables=variables, sense=sense, objective=objective, constraints=constraints)


def test_two_optima_are_not_one() -> None:
    assert not find_optimum(make("x + y", "x + y <= 5")).unique
    assert find_optimum(make("2*x + y", "x + y <= 5")).unique
    assert not find_optimum(make("x + y", "x + y <= 5", kind="continuous")).unique
    assert find_optimum(make("2*x + y", "x + y <= 5", kind="continuous")).unique
    assert not find_optimum(make("x*y", "x + y <= 5")).unique
    assert find_optimum(make("x*y", "x + y <= 6")).unique


def test_what_has_no_optimum_says_so() -> None:
    assert find_optimum(make("x + y", "x + y >= 50")).status == "infeasible"
    assert find_optimum(make("x + y", high=None)).status == "unbounded"
    assert find_optimum(make("x*y", "x*y >= 100")).status == "infeasible"
    with pytest.raises(UsageError, match="is not a whole number between bounds"):
        find_optimum(make("x*y", high=None))
    with pytest.raises(UsageError, match="too many to try"):
        find_optimum(make("x*y", high=3000))


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x')",
        "x.y",
        "f(x)",
        "x if y else 1",
        "x**y",
        "x**99",
        "'a'",
        "True",
        "x <= 3",
        "",
        "(" * 3000,
        "[x]",
        "x\ny",
        "lambda: 1",
        "1" * 6000,
    ],
)
def test_only_arithmetic_is_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not"):
        make(text)


@pytest.mark.parametrize("constraint", ["x", "x <= y <= 3", "x < 3", "z <= 3", "x <= open('f')"])
def test_only_relations_over_the_variables_are_constraints(constraint: str) -> None:
    with pytest.raises(ValueError, match=r"is not|is no variable"):
        make("x", constraint)

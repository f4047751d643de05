"""The numerical problems: each has a solution, a way to go, and feedback that points along it."""

from __future__ import annotations

from typing import Any

import pytest

from agentopt import Override, Trace, UsageError, load_graph, load_task, parameters


def run(program: Any, values: Any) -> float:
    """The traced calculation's output."""
    agent = load_graph("arithmetic")
    with Override(values), Trace():
        node: Any = agent(program)
    value: float = node.value
    return value


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("problem", range(24))
def test_the_graph_reaches_the_target_at_the_solution_and_not_at_the_start(problem: int, hidden: bool) -> None:
    task = load_task("numerical", problem=problem, hidden=hidden)
    (example,) = task.examples
    assert isinstance(example.input, dict)
    program = example.input["program"]
    solved = task.score(example, run(program, example.meta["solution"]))
    begun = task.score(example, run(program, example.meta["start"]))
    assert (solved.score, solved.text) == (1.0, "The output is right.")
    assert begun.score is not None and begun.score < 0.75
    assert begun.text in ("The output should be larger.", "The output should be smaller.")


@pytest.mark.parametrize("problem", range(24))
def test_every_number_has_a_say_in_the_output(problem: int) -> None:
    example = load_task("numerical", problem=problem).examples[0]
    assert isinstance(example.input, dict)
    solution = example.meta["solution"]
    assert isinstance(solution, dict)
    agent = load_graph("arithmetic")
    with Override(solution), Trace() as trace:
        trace.output = agent(example.input["program"])
    minimal = trace.graph.subgraph(trace.graph.output)
    assert {r.name for r in minimal.nodes if r.kind == "param"} == set(solution)


def test_nearer_is_better_and_the_direction_is_right() -> None:
    task = load_task("numerical")
    example = task.examples[0]
    assert isinstance(example.target, int)
    target = example.target
    scores = [task.score(example, target + d).score or 0.0 for d in (-3000, -100, -10, -1, 0)]
    assert scores == sorted(scores) and scores[0] == 0.0 and scores[-1] == 1.0
    assert "larger" in task.score(example, target - 7).text
    assert "smaller" in task.score(example, target + 7).text
    assert task.score(example, float("nan")).score == 0.0
    assert task.score(example, "12").score == 0.0


def test_problems_differ_and_are_numbered() -> None:
    hashes = {load_task("numerical", problem=k, hidden=h).hash for k in range(24) for h in (False, True)}
    assert len(hashes) == 48
    with pytest.raises(UsageError, match="problem=24; there are 24"):
        load_task("numerical", problem=24)


def test_the_agent_has_three_bounded_whole_numbers() -> None:
    found = parameters(load_graph("arithmetic"))
    assert {(p.name, p.low, p.high, p.integer) for p in found.values()} == {(n, -20, 20, True) for n in "xyz"}

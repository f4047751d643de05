"""The travelling salesman: two exact solvers that agree, heuristics that are no better, and tours that are checked."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt import Override, Trace, UsageError, load_graph, load_task, parameters
from agentopt.errors import ConstraintError, NodeError
from agentopt.optim.base import ParameterSpec
from agentopt.optim.operators import jitter, uniform
from agentopt.run.files import open_run
from agentopt.workspace.loader import load_file
from agentopt.workspace.resolve import find

TSP: Any = vars(load_file(find("task", "tsp").workspace, find("task", "tsp").path))


@pytest.mark.parametrize("seed", range(3))
def test_both_solvers_agree_with_trying_every_tour(seed: int) -> None:
    points = TSP["draw_points"](7, seed)
    every = min(TSP["length_of"](points, [0, *rest]) for rest in itertools.permutations(range(1, 7)))
    for solver in ("held_karp", "cut_and_solve", "optimum"):
        tour = TSP[solver](points)
        assert sorted(tour) == list(range(7)) and tour[0] == 0
        assert TSP["length_of"](points, tour) == pytest.approx(every)


@pytest.mark.parametrize("n", [9, 11])
@pytest.mark.parametrize("seed", range(3))
def test_the_two_exact_solvers_agree(n: int, seed: int) -> None:
    points = TSP["draw_points"](n, seed)
    lengths = [TSP["length_of"](points, TSP[solver](points)) for solver in ("held_karp", "cut_and_solve")]
    assert lengths[0] == pytest.approx(lengths[1])


@pytest.mark.parametrize("n", [3, 10, 15, 20, 50])
def test_heuristics_give_tours_that_are_no_shorter_than_the_optimum(n: int) -> None:
    points = TSP["draw_points"](n, 1)
    best = TSP["length_of"](points, TSP["optimum"](points))
    for heuristic in ("nearest_neighbour", "farthest_insertion"):
        tour = TSP[heuristic](points)
        assert sorted(tour) == list(range(n)) and tour[0] == 0
        assert best <= TSP["length_of"](points, tour) * (1 + 1e-9) <= 2 * best


def test_a_known_instance() -> None:
    square = [[0, 0], [10, 10], [0, 10], [10, 0], [5, 0]]
    assert TSP["length_of"](square, TSP["optimum"](square)) == 40
    assert TSP["nearest_neighbour"](square) == [0, 4, 3, 1, 2]


def test_the_graph_is_judged_by_the_length_of_its_tour() -> None:
    task = load_task("tsp", n=10, seed=2)
    example = task.examples[0]
    points = example.input["points"]  # type: ignore[index, call-overload]
    agent = load_graph("tour")

    def judged(tour: list[int]) -> Any:
        with Override({"tour": tour}), Trace():
            return task.score(example, agent(points).value)

    best = TSP["optimum"](points)
    assert judged(best).score == 1.0
    assert judged([0, *best[:0:-1]]).score == 1.0, "the same way backwards"
    plain = judged(list(range(10)))
    length = TSP["length_of"](points, range(10))
    assert plain.score == pytest.approx(example.meta["optimum"] / length)  # type: ignore[operator]
    assert plain.parts == {"length": pytest.approx(length)} and plain.text == f"The length is {length:.0f}."


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 8], r"\[9\] are missing and \[8\] come twice"),
        ([1, 0, 2, 3, 4, 5, 6, 7, 8, 9], "begins at 1, not at 0"),
        (list(range(9)), "too short|schema"),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 10], r"\[9\] are missing"),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, "9"], "schema"),
        ("0,1,2", "no JSON"),
        (None, "schema"),
    ],
)
def test_what_is_no_tour_is_refused_with_the_reason(value: Any, reason: str) -> None:
    with pytest.raises(ConstraintError, match=reason):
        parameters(load_graph("tour"))["tour"].check(value)


@pytest.mark.parametrize(("name", "n"), [("tour", 10), ("tour_15", 15), ("tour_20", 20), ("tour_50", 50)])
def test_there_is_a_graph_for_each_size(name: str, n: int) -> None:
    example = load_task("tsp", n=n).examples[0]
    assert len(parameters(load_graph(name))["tour"].value) == n
    with Trace():
        assert len(load_graph(name)(**example.input).value) == n  # type: ignore[arg-type]


def test_a_tour_of_another_size_says_which_graph_to_take() -> None:
    example = load_task("tsp", n=15).examples[0]
    with Trace(), pytest.raises((UsageError, NodeError), match="a tour of 10 points on 15 points"):
        load_graph("tour")(**example.input).value


@pytest.mark.parametrize("output", [None, [], [[0, 0]] * 10, "0,1", 3])
def test_an_output_that_is_no_tour_has_no_marks(output: Any) -> None:
    task = load_task("tsp")
    assert task.score(task.examples[0], output).score == 0.0


def test_too_many_points_are_refused() -> None:
    with pytest.raises(UsageError, match="from 3 to 60"):
        load_task("tsp", n=61)


def test_random_search_draws_tours_and_turns_stretches_of_the_best_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options: Any = {"steps": 12, "proposals": 4, "patience": 12, "budget": "evaluations=200", "progress": False}
    agentopt.optimize("tour", task="tsp", optimizer="random", name="drawn", **options)
    with open_run("drawn") as run:
        tried = [tuple(scored.candidate.values["tour"]) for scored in run.candidates()]
        means = [scored.mean or 0.0 for scored in run.candidates()]
    assert len(set(tried)) > 30, "orders that are new"
    assert all(sorted(tour) == list(range(10)) and tour[0] == 0 for tour in tried)
    assert max(means) > means[0]


def test_a_list_of_which_no_other_order_is_admitted_stays() -> None:
    def only(value: Any) -> Any:
        if value != [1, 2, 3]:
            raise ConstraintError("this order and no other")
        return value

    spec = ParameterSpec("fixed", "json", [1, 2, 3], check=only)
    assert uniform(spec, random.Random(1)) == jitter(spec, [1, 2, 3], random.Random(1)) == [1, 2, 3]
    other = ParameterSpec("schema", "json", [{"a": 1}, {"b": 2}])
    assert uniform(other, random.Random(1)) == jitter(other, other.value, random.Random(1)) == other.value

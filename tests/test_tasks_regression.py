"""Linear regression as a task: the score falls with the loss, and the true pair is the whole-number optimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agentopt import Override, Trace, UsageError, load_graph, load_task

REGIONS = [(15, 14), (17, 17), (16, 10), (3, 5), (25, 23), (2, 30), (36, -1)]
"""The true pairs of the paper."""


def judged(task: Any, w: int, b: int) -> Any:
    example = task.examples[0]
    with Override({"w": w, "b": b}), Trace():
        output = load_graph("line")(**example.input)
    return task.score(example, output.value)


@pytest.mark.parametrize(("w", "b"), REGIONS)
@pytest.mark.parametrize("seed", range(3))
def test_the_true_pair_has_full_marks_and_its_neighbours_have_not(w: int, b: int, seed: int) -> None:
    task = load_task("linear_regression", w=w, b=b, seed=seed)
    assert judged(task, w, b).score == 1.0
    around = [(w + i, b + j) for i in (-1, 0, 1) for j in (-2, -1, 0, 1, 2) if (i, j) != (0, 0)]
    assert max(judged(task, *near).score for near in around) < 1.0


def test_the_score_falls_as_the_loss_grows_and_the_loss_is_told() -> None:
    task = load_task("linear_regression", w=15, b=14)
    rows = [judged(task, 15 + d, 14) for d in (0, 1, 2, 5, 10, 30)]
    losses = [row.parts["loss"] for row in rows]
    assert losses == sorted(losses)
    scores = [row.score for row in rows]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == len(scores)
    assert rows[3].text == f"The loss is {losses[3]:.0f}."


def test_least_squares_agrees_with_numpy() -> None:
    example = load_task("linear_regression", w=3, b=5, seed=4).examples[0]
    x, y = np.array(example.input["x"]), np.array(example.target)
    fit: Any = np.polynomial.Polynomial.fit(x, y, 1).convert().coef
    slope, intercept, loss = example.meta["least_squares"]  # type: ignore[misc]
    assert (slope, intercept) == pytest.approx((fit[1], fit[0]))
    assert loss == pytest.approx(float(np.sum((fit[1] * x + fit[0] - y) ** 2)))
    assert loss <= example.meta["loss"]  # type: ignore[operator]


def test_another_seed_is_another_noise_and_the_data_are_as_in_the_paper() -> None:
    one, same, other = (load_task("linear_regression", seed=s).examples[0] for s in (1, 1, 2))
    assert one.id == same.id != other.id
    x, y = np.array(one.input["x"]), np.array(one.target)
    assert list(x) == list(range(1, 51))
    noise = y - 15 * x - 14
    assert 0.6 < noise.std() < 1.4


@pytest.mark.parametrize("output", [None, "3", [], [1.0], [float("nan")] * 50, ["a"] * 50])
def test_what_is_no_line_has_no_marks(output: Any) -> None:
    task = load_task("linear_regression")
    said = task.score(task.examples[0], output)
    assert said.score == 0.0 and "50 numbers" in said.text


@pytest.mark.parametrize("args", [{"w": 51}, {"b": -99}, {"points": 1}])
def test_arguments_out_of_range_are_refused(args: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="linear_regression"):
        load_task("linear_regression", **args)

"""Near-duplicates count once in every interval and test: of a search, an evaluation, and two runs side by side."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt import Example, Feedback, Parameter, Task, graph
from agentopt._aio import run_sync
from agentopt.core.values import Outcome
from agentopt.evaluate import Eval, Measure, minimum_detectable, not_worse, summarize
from agentopt.evaluate.clusters import clusters_of, mean_interval
from agentopt.evaluate.measured import record_of
from agentopt.report import story
from agentopt.report.page import render
from agentopt.run.api import optimize, resume
from agentopt.run.evaluation import evaluate_async, evaluation_of
from agentopt.run.files import open_run
from agentopt.run.forecast import CallCost, forecast
from agentopt.run.replay import replay
from agentopt.run.result import Evaluation
from agentopt.run.versus import compare_runs

DRAWS, ROWS = 30, 5
SKILL = Parameter("low", name="skill", kind="choice", choices=("low", "high"))


@graph
def answer(draw: int, row: int) -> Any:
    return SKILL + ""


def examples() -> list[Example]:
    """Five rows a draw, which ask nearly the same."""
    return [
        Example(input={"draw": d, "row": r}, target=d, cluster=f"draw-{d}") for d in range(DRAWS) for r in range(ROWS)
    ]


def draws_of(split: str) -> list[int]:
    return sorted({int(str(e.target)) for e in Task("draws", examples(), len).splits()[split]})


SOLVED = {draw for split in ("search", "validation", "test") for draw in draws_of(split)[:2]}
"""Two draws of each split: with high skill all of their rows are right."""


def scored(example: Example, output: str) -> Feedback:
    right = output == "high" and example.target in SOLVED
    return Feedback(score=float(right), parts={"right": float(right)})


TASK = Task("draws", examples(), scored)
SPLITS = TASK.splits()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of runs: the search ``found``, and the evaluations ``low`` and ``high`` on the test examples."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # outside of the workspace at hand, whose ledger is not for tests
        searched("found", str(folder))
        for skill in ("low", "high"):
            evaluated(skill, skill, str(folder))
    return str(folder)


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def searched(name: str, runs: str, **more: Any) -> agentopt.Result:
    return optimize(answer, task=TASK, optimizer="random", steps=2, name=name, runs_dir=runs, progress=False, **more)


def evaluated(name: str, skill: str, runs: str, task: Task = TASK, **more: Any) -> Evaluation:
    options = {"split": "test", "values": {"skill": skill}, "name": name, "runs_dir": runs, "progress": False, **more}
    return run_sync(evaluate_async(answer, task=task, **options))


# -- a search ---------------------------------------------------------------------------------------------------------


def test_two_draws_of_twelve_are_no_improvement_however_many_rows_they_have(runs: str) -> None:
    with open_run("found", runs) as run:
        claim = run.claim()
    assert claim is not None
    assert (claim.n, claim.gained, claim.lost) == (60, 10, 0)
    assert (claim.verdict, claim.test, claim.p) == ("no improvement shown", "permutation by cluster", 0.5)


def test_scores_on_the_way_have_intervals_by_cluster_too(runs: str) -> None:
    by_cluster = mean_interval(
        {e.id: float(e.target in SOLVED) for e in SPLITS.search}, {e.id: str(e.cluster) for e in SPLITS.search}
    )
    with open_run("found", runs) as run:
        (told,) = (e.data for e in run.events("incumbent"))
        assert (told["low"], told["high"]) == by_cluster
        best = run.best()
        assert best is not None
        (row,) = (row for row in story.candidates(run) if row["id"] == best.id)
        assert (row["low"], row["high"]) == by_cluster


def test_resumed_and_replayed_it_is_the_same_claim(runs: str, tmp_path: Path) -> None:
    with open_run("found", runs) as run:
        claim = run.claim()
    again = replay("found", graph=answer, task=TASK, runs_dir=runs)
    assert again.divergence is None, again.divergence

    def killed(event: Any) -> None:
        if event.type == "validation.done":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched("cut", str(tmp_path), on_event=killed)
    result = resume("cut", graph=answer, task=TASK, runs_dir=str(tmp_path), progress=False)
    assert isinstance(result, agentopt.Result)
    assert result.claim == claim


def test_the_page_says_which_test_it_was(runs: str) -> None:
    with open_run("found", runs) as run:
        said = story.claim(run)
        assert said["claim"]["test"] == "permutation by cluster"
        assert said["given"] == "differences of 12 clusters with the standard error seen, 0.11"
        assert said["least"] == pytest.approx(minimum_detectable(12, sd=statistics.stdev([1.0] * 2 + [0.0] * 10)))
        assert "permutation by cluster" in render(run)


# -- before anything is paid ------------------------------------------------------------------------------------------


def test_the_forecast_counts_clusters() -> None:
    config, cost = agentopt.RunConfig(graph="g", task="t"), CallCost(1, 10, 0.0)
    lines = forecast(config, SPLITS, cost).lines()
    assert lines[0] == "examples: 60 search, 30 validation, 60 test"
    least = minimum_detectable(12)
    assert lines[-1] == f"smallest difference that 60 test examples in 12 clusters are likely to show: {least:.2f}"
    few = Task("few", examples()[:25], scored).splits()
    told = forecast(config, few, cost).lines()
    assert told[-1] == "10 test examples in 2 clusters are too few to show any difference of scores of 0 and 1"


# -- evaluations, and two of them -------------------------------------------------------------------------------------


def test_an_evaluation_has_its_interval_by_cluster(runs: str) -> None:
    done = evaluation_of(Path(runs) / "high")
    assert done.summary == summarize(done.outcomes, clusters={e.id: str(e.cluster) for e in SPLITS.test})
    assert done.summary.sentence.endswith("on 60 examples in 12 clusters")
    with open_run("high", runs) as run:
        assert "in 12 clusters" in story.claim(run)["sentence"]


def test_two_evaluations_are_compared_by_cluster(runs: str) -> None:
    found = compare_runs("low", "high", runs_dir=runs).claim
    assert found is not None
    assert (found.verdict, found.test, found.p) == ("no improvement shown", "permutation by cluster", 0.5)


def test_five_clusters_can_show_nothing(tmp_path: Path) -> None:
    five = [e for e in TASK.examples if e.target in draws_of("test")[:5]]
    few = Task("few", five, lambda example, output: float(output == "high"))
    pinned = Eval(task="few", graph="answer", name="five", split="all")
    for skill in ("low", "high"):
        evaluated(skill, skill, str(tmp_path), few, split="all", pinned=pinned)
    found = compare_runs("low", "high", split="all", runs_dir=str(tmp_path)).claim
    assert found is not None
    assert (found.n, found.verdict) == (25, "cannot be shown at this n")
    assert "only 5 clusters could be improved on, and at least 6 are needed" in found.sentence


def test_an_eval_without_a_group_takes_the_clusters_of_its_examples(tmp_path: Path) -> None:
    pinned = Eval(task="draws", graph="answer", name="draws_test", split="test", measures=[Measure("right")])
    done = evaluated("high", "high", str(tmp_path), pinned=pinned)
    assert done.summary.n_clusters == 12
    assert done.measured is not None
    (row,) = done.measured.measures
    assert (row.low, row.high) == (done.summary.low, done.summary.high)


def alone(example: Example) -> None:
    """No example has a cluster."""


def test_the_group_of_an_eval_goes_before_the_clusters_of_its_examples(tmp_path: Path) -> None:
    apart = Eval(task="draws", graph="answer", name="apart", split="test", group=alone)
    for skill in ("low", "high"):
        assert evaluated(skill, skill, str(tmp_path), pinned=apart).summary.n_clusters is None
    found = compare_runs("low", "high", runs_dir=str(tmp_path)).claim
    assert found is not None and (found.verdict, found.test) == ("better", "McNemar")


# -- labels -----------------------------------------------------------------------------------------------------------


def test_an_example_without_a_label_stands_alone() -> None:
    some = [Example(id=str(i), input=i, meta={"pair": i // 2 if i < 4 else None}) for i in range(20)]
    pinned = Eval(task="t", graph="g", name="e", group=lambda example: example.meta["pair"])
    record = record_of(pinned, some)
    assert record.clusters == {"0": "0", "1": "0", "2": "1", "3": "1"}
    assert clusters_of(some) == {}
    cells = [Outcome(candidate="c", example=e.id, feedback=Feedback(score=int(e.id) % 2)) for e in some]
    assert summarize(cells, clusters=record.clusters).n_clusters == 18
    assert summarize(cells, clusters={}).n_clusters is None


def test_a_label_that_is_the_name_of_another_example_is_no_tie_to_it() -> None:
    cells = [Outcome(candidate="c", example=e, feedback=Feedback(score=e in "ab")) for e in "abc"]
    assert summarize(cells, clusters={"a": "c", "b": "c"}).n_clusters == 2


def test_not_worse_counts_clusters_too() -> None:
    names = [f"{c}/{i}" for c in range(4) for i in range(50)]
    scores, before, after = (dict.fromkeys(names, value) for value in (1.0, 900.0, 500.0))
    alone = not_worse(scores, scores, before, after, margin=0.05)
    assert alone.verdict == "cheaper and not worse"
    made = not_worse(scores, scores, before, after, margin=0.05, clusters={name: name[0] for name in names})
    assert made.verdict == "cannot be shown at this n"
    assert made.cost_p == 2 / 2**4
    assert made.quality.low is not None and made.quality.low < -0.05

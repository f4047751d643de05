"""Two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt import Parameter, graph
from agentopt.errors import UsageError
from agentopt.run.versus import compare_runs

WORD = Parameter("no", name="word", kind="choice", choices=("no", "yes"))


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@graph
def says(question: str) -> Any:
    return WORD + ""


def right(gold: Any, prediction: Any, trace: Any) -> bool:
    return bool(gold.target == prediction)


def examples(n: int) -> list[tuple[str, str]]:
    return [(f"q{i}", "yes" if i % 3 else "no") for i in range(n)]


def evaluated(name: str, word: str = "no", n: int = 30, metric: Any = right, **options: Any) -> None:
    agentopt.evaluate(
        says, task=examples(n), metric=metric, split="all", values={"word": word}, name=name, **options
    )  # fmt: skip


def test_two_evaluations_are_paired_by_example() -> None:
    evaluated("old")
    evaluated("new", "yes")
    found = compare_runs("old", "new", split="search")
    assert (found.a.which, found.b.run, found.split) == ("evaluated", "new", "search")
    assert found.claim.gained + found.claim.lost == found.claim.n
    back = compare_runs("new", "old", split="search")
    assert found.claim.difference == -back.claim.difference
    assert found.claim.p == back.claim.p
    assert not found.notes


def test_the_test_split_comes_first_and_the_same_values_are_no_better() -> None:
    evaluated("one", "yes")
    evaluated("two", "yes")
    found = compare_runs("one", "two")
    assert found.split == "test"
    assert found.claim.difference == 0
    assert not found.claim.shown


def test_an_optimization_stands_for_its_best_or_its_baseline() -> None:
    agentopt.optimize(says, task=examples(60), metric=right, optimizer="random", steps=2, name="run")
    best = compare_runs("run@baseline", "run")
    assert (best.a.which, best.b.which, best.split) == ("baseline", "best", "test")
    assert best.claim.mean_b > best.claim.mean_a
    assert best.notes == ()
    seen = compare_runs("run@baseline", "run", split="search")
    assert "too high" in seen.notes[0]


def test_what_speaks_against_it_is_noted() -> None:
    evaluated("few", "yes", limit=12)
    evaluated("many", "yes", metric=lambda gold, prediction, trace: gold.target == prediction)
    found = compare_runs("few", "many", split="search")
    assert found.claim.n < 12
    assert any("different scorers" in note for note in found.notes)
    assert any("are common to both" in note for note in found.notes)


def test_runs_without_common_examples_are_refused() -> None:
    evaluated("here")
    agentopt.evaluate(says, task=[(f"other{i}", "yes") for i in range(20)], metric=right, name="there")
    with pytest.raises(UsageError, match=r"no common examples \(here has outcomes on search, test, validation"):
        compare_runs("here", "there")

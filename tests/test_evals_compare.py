"""Runs by an eval side by side: by a measure, over all examples, and by cluster."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt import Example, Feedback, Parameter, Task, graph
from agentopt._aio import run_sync
from agentopt.errors import UnknownName, UsageError
from agentopt.evaluate import Eval, Measure, claim
from agentopt.run.evaluation import evaluate_async
from agentopt.run.result import Evaluation
from agentopt.run.versus import compare_all, compare_runs

Cli = Callable[..., tuple[int, str, str]]
SKILL = Parameter("low", name="skill", kind="choice", choices=("low", "high"))


@graph
def answer(n: int) -> Any:
    return SKILL + ""


def scored(example: Example, output: str) -> Feedback:
    """High skill is right on what low skill has wrong, in whole families, and writes longer answers."""
    right = output == "high" or example.meta["family"] % 3 == 0
    return Feedback(score=float(right), parts={"length": 9.0 if output == "high" else 4.0 + example.meta["family"] % 2})


def first_half(example: Example) -> bool:
    return bool(example.meta["family"] < 10)


def family(example: Example) -> int:
    return int(example.meta["family"])  # type: ignore[call-overload]


PINNED = Eval(
    task="skills", graph="answer", name="skills_all", group=family,
    measures=[
        Measure("brief", "characters", of="parts.length", kind="mean", lower_is_better=True),
        Measure("half", of="score", over=first_half),
    ],
)  # fmt: skip


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def task(families: int = 20) -> Task:
    made = [Example(input={"n": 10 * f + i}, target=f, meta={"family": f}) for f in range(families) for i in range(3)]
    return Task("skills", made, scored)


def run(name: str, skill: str, pinned: Eval | None = PINNED, **options: Any) -> Evaluation:
    work = evaluate_async(
        answer, task=task(), split="all", values={"skill": skill}, name=name, progress=False, pinned=pinned, **options
    )
    return run_sync(work)


def test_runs_on_all_examples_are_compared_on_all_by_cluster() -> None:
    run("low", "low")
    run("high", "high")
    found = compare_runs("low", "high")
    assert (found.split, found.n) == ("all", 60)
    assert found.claim is not None
    assert found.claim.verdict == "better"
    assert found.claim.test == "permutation by cluster"
    assert (found.claim.gained, found.claim.lost) == (39, 0)
    assert found.claim.p == pytest.approx(2 / 2**13)  # 13 families differ, each with all its examples
    assert found.claim.touches == 0
    run("third", "high")
    other = compare_runs("low", "third")
    assert other.claim is not None and other.claim.touches > 0  # the examples were used by the comparison before
    by_split = compare_all(["low", "high"], split="test")[0][0]
    assert by_split.split == "test" and by_split.n < 60


def test_runs_are_compared_by_a_measure_over_its_examples_and_in_its_direction() -> None:
    run("low", "low")
    run("high", "high")
    half = compare_runs("low", "high", measure="half")
    assert (half.n, half.measure) == (30, "half")
    assert half.mean_a == pytest.approx(4 / 10)
    brief = compare_runs("low", "high", measure="brief")
    assert brief.claim is not None
    assert (brief.claim.verdict, brief.mean_a, brief.mean_b) == ("worse", 4.5, 9.0)
    assert brief.difference == pytest.approx(4.5)
    assert brief.low is not None and 3.5 < brief.low < 4.5
    assert brief.changed[0].score_b == 9.0
    raw = compare_runs("low", "high", measure="parts.length")
    assert raw.claim is not None and raw.claim.verdict == "better"  # more is better where nothing else is said
    with pytest.raises(UnknownName, match="did you mean 'brief'"):
        compare_runs("low", "high", measure="brie")


def test_a_run_without_an_eval_has_raw_measures_only() -> None:
    run("plain", "low", None)
    run("high", "high")
    with pytest.raises(UsageError, match="plain was made without an eval"):
        compare_runs("plain", "high", measure="brief")
    found = compare_runs("plain", "high", split="all", measure="parts.length")
    assert found.n == 60
    other = Eval(task="skills", graph="answer", name="skills_all", measures=[Measure("brief", of="parts.length")])
    run("other", "low", other)
    with pytest.raises(UsageError, match="read other things as 'brief'"):
        compare_runs("other", "high", measure="brief")


def test_all_examples_are_no_test_of_what_was_searched_on_some_of_them() -> None:
    agentopt.optimize(answer, task=task(), optimizer="random", steps=2, name="found", progress=False)
    run("before", "low")
    run("after", "high")
    (over_all,) = compare_all(["before", "after"], split="all")[0]
    assert (over_all.n, over_all.claim, (over_all.low or 0) > 0) == (60, None, True)
    assert "no verdict: among all examples are those" in over_all.sentence
    assert any(
        "of these 60 examples were searched or chosen on, and the values of after may" in n for n in over_all.notes
    )
    by_split = compare_all(["before", "after"])[0]
    assert [(v.split, v.claim is None) for v in by_split] == [("test", False), ("validation", True), ("search", True)]
    run("again", "low")
    claimed = compare_runs("before", "again")  # values that the search began with, and did not make
    assert (claimed.split, claimed.claim is None) == ("all", False)


def test_a_run_that_searched_and_is_gone_may_have_made_any_values() -> None:
    agentopt.optimize(answer, task=task(), optimizer="random", steps=2, name="found", progress=False)
    shutil.rmtree("runs/found")
    run("before", "low")
    run("again", "low")
    found = compare_runs("before", "again", split="all")
    assert found.claim is None
    assert any("may be of found (" in note for note in found.notes)


def test_all_examples_are_a_test_of_evals_whose_protocol_they_are() -> None:
    run("high", "high")
    run("plain", "low", None)
    run("widened", "low", replace(PINNED, split="test"))
    for other in ("plain", "widened"):
        found = compare_runs(other, "high", split="all")
        assert (found.n, found.claim) == (60, None)
        assert f"on all examples a verdict is for evals whose protocol is all, and {other} is none" in found.notes
        assert compare_runs(other, "high").split == "test"


def test_clusters_count_whichever_of_the_runs_has_them() -> None:
    run("plain", "low", None)
    run("high", "high")
    for names in (("plain", "high"), ("high", "plain")):
        found = compare_runs(*names, split="test")
        assert found.claim is not None and found.claim.test == "permutation by cluster", names


def test_the_command_takes_a_measure(cli: Cli) -> None:
    run("low", "low")
    run("high", "high")
    code, out, _ = cli("compare", "low", "high", "--measure", "brief")
    assert code == 0
    assert "by: brief" in out.splitlines()
    found = json.loads(cli("compare", "low", "high", "--measure", "brief", "--json")[1])["comparisons"][0]
    assert (found["measure"], found["split"], found["claim"]["verdict"]) == ("brief", "all", "worse")
    assert cli("compare", "low", "high", "--measure", "no.such")[0] == 2


def test_a_test_by_cluster_is_level_where_a_plain_one_is_not() -> None:
    draw, plain, clustered = random.Random(3), 0, 0
    for _ in range(150):
        a, b, labels = {}, {}, {}
        for cluster in range(20):
            left, right = (float(draw.random() < 0.5) for _ in "ab")
            for i in range(5):
                name = f"{cluster}/{i}"
                a[name], b[name], labels[name] = left, right, str(cluster)
        plain += claim(a, b).verdict in ("better", "worse")
        clustered += claim(a, b, clusters=labels).verdict in ("better", "worse")
    assert plain > 0.25 * 150
    assert clustered <= 0.08 * 150


def test_clusters_of_one_change_nothing() -> None:
    a, b = ({str(i): float((i * k) % 7 > 2) for i in range(40)} for k in (3, 5))
    assert claim(a, b, clusters={k: k for k in a}) == claim(a, b)


def test_too_few_clusters_show_nothing_however_many_examples_they_have() -> None:
    a = {f"{c}/{i}": 0.0 for c in range(3) for i in range(20)}
    found = claim(a, dict.fromkeys(a, 1.0), clusters={k: k[0] for k in a})
    assert (found.verdict, found.p, found.improvable) == ("cannot be shown at this n", 0.25, 3)
    assert "only 3 clusters could be improved on, and at least 6 are needed" in found.sentence
    assert claim(a, dict.fromkeys(a, 1.0)).verdict == "better"

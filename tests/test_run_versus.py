"""Two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt import Parameter, graph
from agentopt.errors import UsageError
from agentopt.evaluate import Example
from agentopt.run.rescore import rescore
from agentopt.run.versus import compare_all, compare_runs

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
    found = compare_runs("old", "new", split="test")
    assert (found.a.which, found.b.run, found.split) == ("evaluated", "new", "test")
    assert found.claim is not None
    assert found.claim.gained + found.claim.lost == found.claim.n == found.n
    back = compare_runs("new", "old")
    assert back.claim is not None
    assert found.claim.difference == -(back.claim.difference or 0)
    assert found.claim.p == back.claim.p
    assert not found.notes


def test_the_test_split_comes_first_and_the_same_values_are_no_better() -> None:
    evaluated("one", "yes")
    evaluated("two", "yes")
    found = compare_runs("one", "two")
    assert found.split == "test"
    assert found.difference == 0
    assert "no improvement shown" in found.sentence


def test_an_optimization_stands_for_its_best_or_its_baseline() -> None:
    agentopt.optimize(says, task=examples(60), metric=right, optimizer="random", steps=2, name="run")
    best = compare_runs("run@baseline", "run")
    assert (best.a.which, best.b.which, best.split) == ("baseline", "best", "test")
    assert (best.mean_b or 0) > (best.mean_a or 0)
    assert best.notes == ()
    seen = compare_runs("run@baseline", "run", split="search")
    assert "too high" in seen.notes[0]


def test_what_speaks_against_it_is_noted() -> None:
    evaluated("few", "yes", limit=12)
    evaluated("many", "yes", metric=lambda gold, prediction, trace: gold.target == prediction)
    found = compare_runs("few", "many", split="search")
    assert found.n < 12
    assert any("different scorers" in note for note in found.notes)
    assert any("are common to both" in note for note in found.notes)


def test_runs_without_common_examples_are_refused() -> None:
    evaluated("here")
    agentopt.evaluate(says, task=[(f"other{i}", "yes") for i in range(20)], metric=right, name="there")
    with pytest.raises(UsageError, match=r"the same input in both \(here has outcomes on search, test, validation"):
        compare_runs("here", "there")


def named(inputs: list[str], target: str = "yes") -> list[Example]:
    return [Example(id=f"e{i}", input=text, target=target) for i, text in enumerate(inputs)]


def put(name: str, examples: list[Example], word: str = "no", **options: Any) -> None:
    agentopt.evaluate(says, task=examples, metric=right, split="all", values={"word": word}, name=name, **options)


def test_other_tasks_with_the_same_ids_have_nothing_in_common() -> None:
    put("sums", named([f"{i} + 1" for i in range(40)]))
    put("riddles", named([f"riddle {i}" for i in range(40)]), "yes")
    with pytest.raises(UsageError, match="none has the same input in both"):
        compare_runs("sums", "riddles")


def test_the_same_inputs_are_paired_whatever_their_ids_and_other_targets_are_noted() -> None:
    first = [Example(id=f"e{i}", input=f"q{i}", target="yes") for i in range(20)]
    put("one", first)
    put("two", [Example(id=f"e{19 - i}", input=e.input, target="yes") for i, e in enumerate(first)], "yes")
    same = compare_runs("one", "two")
    assert (same.n, same.mean_a, same.mean_b) == (8, 0.0, 1.0)
    assert len(same.notes) == 1
    assert "tasks are not the same" in same.notes[0]
    agentopt.evaluate(says, task=named([f"q{i}" for i in range(20)], "no"), metric=right, split="all", name="other")
    notes = compare_runs("one", "other").notes
    assert any("have another target in other" in note for note in notes)


def test_an_input_that_stands_twice_is_paired_by_its_target_too() -> None:
    twice = [
        *named([f"q{i}" for i in range(20)]),
        *(Example(id=f"n{i}", input=f"q{i}", target="no") for i in range(20)),
    ]
    put("one", twice)
    put("two", twice)
    found = compare_runs("one", "two")
    assert (found.n, found.difference) == (16, 0.0)
    assert not found.notes


def test_off_the_test_split_no_verdict_is_given() -> None:
    task = [(f"q{i}", "yes") for i in range(60)]
    agentopt.optimize(says, task=task, metric=right, optimizer="random", steps=2, name="run")
    for split in ("search", "validation"):
        found = compare_runs("run@baseline", "run", split=split)
        assert found.claim is None
        assert (found.difference or 0) > 0
        assert (found.low or 0) > 0
        assert f"no verdict: {split} examples" in found.sentence
        assert "better" not in found.sentence
        assert " p " not in found.sentence


def test_a_comparison_on_test_examples_that_were_used_before_is_labelled() -> None:
    def optimized(name: str) -> Any:
        return agentopt.optimize(says, task=examples(60), metric=right, optimizer="random", steps=2, name=name)

    def touches(a: str, b: str) -> int:
        claim = compare_runs(a, b).claim
        assert claim is not None
        assert ("not a fresh test" in claim.sentence) == bool(claim.touches)
        return claim.touches

    assert optimized("one").claim.touches == 0
    assert touches("one@baseline", "one") == 0  # the use that its claim is
    assert optimized("two").claim.touches == 1
    assert touches("one@baseline", "one") == 0
    assert touches("two@baseline", "two") == 1
    assert touches("one@baseline", "two") == 2


def test_answers_that_are_scored_again_are_no_further_use() -> None:
    evaluated("old")
    evaluated("new", "yes")
    for name in ("old", "new", "old-rescored"):
        rescore(name, task=examples(30), metric=right, progress=False)
    for a, b in (("old-rescored", "new-rescored"), ("old-rescored-rescored", "new")):
        claim = compare_runs(a, b).claim
        assert claim is not None
        assert claim.touches == (a != "old-rescored"), "the comparison before, and no answer of the originals"


def test_a_comparison_of_evaluations_is_a_use() -> None:
    evaluated("old")
    evaluated("new", "yes")
    claims = [compare_runs(*pair).claim for pair in (("old", "new"), ("old", "new"), ("new", "old"))]
    assert [c.touches for c in claims if c] == [0, 0, 0]  # one comparison, however often it is looked at
    evaluated("newer", "yes")
    later = compare_runs("old", "newer").claim
    assert later is not None
    assert later.touches == 2  # the evaluation of the one between, and the comparison with it
    agentopt.optimize(says, task=examples(30), metric=right, optimizer="random", steps=2, name="run")
    claim = compare_runs("run@baseline", "run").claim
    assert claim is not None
    assert claim.touches == 5


def test_examples_that_only_one_has_or_that_are_lost_are_counted() -> None:
    def breaks(gold: Any, prediction: Any, trace: Any) -> Any:
        return None if gold.input in ("q1", "q2", "q3") else gold.target == prediction

    evaluated("few", "yes", limit=12)
    evaluated("many", "yes")
    found = compare_runs("few", "many", split="search")
    assert (found.only_a, found.only_b) == (0, 12 - found.n)
    evaluated("holes", "yes", metric=breaks)
    holes = [v for one in compare_all(["many", "holes"]) for v in one]
    assert sum(v.unscored for v in holes) == 3
    assert sum(v.n for v in holes) == 27


def test_every_split_is_compared_and_changed_examples_are_named() -> None:
    evaluated("old")
    evaluated("new", "yes", repeats=2)
    (one,) = compare_all(["old", "new"])
    assert [(v.split, v.n, v.claim is None) for v in one] == [
        ("test", 12, False), ("validation", 6, True), ("search", 12, True),
    ]  # fmt: skip
    changed = [c for v in one for c in v.changed]
    assert len(changed) == 30
    assert all((c.score_b - c.score_a == 1) == (c.target == "yes") for c in changed)
    assert all((c.output_a, c.output_b) == ("no", "yes") for c in changed)
    assert one[0].changed[0].score_b < one[0].changed[-1].score_b, "losses first"
    assert any("old has 1 repeat an example, new has 2" in note for note in one[0].notes)
    (test,) = compare_all(["old", "new"], split="test")[0]
    assert test.claim == one[0].claim


def test_several_are_adjusted_for_their_number_and_are_one_use() -> None:
    # Of 24 test examples a has none right, b all, c about a quarter: just enough for a verdict on its own.
    task = [Example(id=f"e{i}", input=f"q{i}", target=str(i % 2)) for i in range(60)]

    def told(share: int) -> Any:
        return lambda gold, prediction, trace: int(gold.id[1:]) % 4 < share

    for name, share in (("a", 0), ("b", 4), ("c", 1)):
        agentopt.evaluate(says, task=task, metric=told(share), split="test", name=name)
    pairs = compare_all(["a", "b", "c"])
    alone = compare_runs("a", "c").claim
    assert alone is not None
    assert alone.p is not None
    (b,), (c,) = pairs
    assert b.claim is not None
    assert c.claim is not None
    assert b.claim.touches == c.claim.touches == 0
    assert b.together == c.together == 2
    assert b.adjusted == pytest.approx(2 * (b.claim.p or 0))
    assert c.adjusted == alone.p
    strict = compare_all(["a", "c", "c"], alpha=alone.p)
    by_itself = compare_runs("a", "c", alpha=alone.p).claim
    assert by_itself is not None
    assert (by_itself.verdict, by_itself.p) == ("better", alone.p)
    assert [v.claim.verdict for one in strict for v in one if v.claim] == ["no improvement shown"] * 2
    assert "Holm over 2 comparisons" in strict[0][0].sentence


def test_runs_of_other_tasks_are_refused() -> None:
    evaluated("one")
    other = agentopt.Task("riddles", [Example(input=f"q{i}", target="yes") for i in range(30)], agentopt.exact())
    agentopt.evaluate(says, task=other, name="two")
    with pytest.raises(UsageError, match="two on riddles: only runs of one task are compared"):
        compare_runs("one", "two")
    with pytest.raises(UsageError, match="name two or more"):
        compare_all(["one"])


def test_an_evaluation_that_is_not_complete_is_noted() -> None:
    evaluated("old")
    evaluated("new", "yes", budget="evaluations=20")
    assert any(
        "new is not complete (budget)" in note for one in compare_all(["old", "new"]) for v in one for note in v.notes
    )

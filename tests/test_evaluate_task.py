"""Tasks, splits, and what becomes of whatever a scorer returns."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentopt.core.values import Feedback
from agentopt.errors import BudgetExhausted, LLMError, UnknownName, UsageError
from agentopt.evaluate import (
    Example,
    ScorerError,
    SplitSpec,
    Task,
    evaluator_hash,
    exact,
    from_metric,
    normalise,
    numeric,
    task,
)
from agentopt.evaluate.splits import SplitName


def examples(n: int, groups: int = 1) -> list[Example]:
    return [Example(input=f"question {i}", target=i, group=f"g{i % groups}") for i in range(n)]


def test_ids_come_from_content() -> None:
    assert Example(input={"a": 1, "b": 2}, target=3).id == Example(input={"b": 2, "a": 1}, target=3).id
    assert Example(input=1, target=2).id != Example(input=1, target=3).id
    assert Example(id="mine", input=1).id == "mine"
    with pytest.raises(UsageError, match=r"example 1 .*JSON"):
        Task("t", [(1, 2), (object(), 2)], exact())
    with pytest.raises(UsageError, match="example 0 "):
        Task("t", [(float("nan"), 2)], exact())


def test_what_a_task_refuses() -> None:
    with pytest.raises(UsageError, match="no examples"):
        Task("t", [], exact())
    with pytest.raises(UsageError, match="two different examples have the id 'x'"):
        Task("t", [Example(id="x", input=1), Example(id="x", input=2)], exact())
    with pytest.raises(UsageError, match="score_range"):
        Task("t", examples(1), exact(), score_range=(1.0, 1.0))
    with pytest.raises(UsageError, match="not a function"):
        Task("t", examples(1), "exact")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="example 0 is a str"):
        Task("t", ["a"], exact())  # type: ignore[list-item]


def test_repeated_examples_are_left_out_and_told() -> None:
    t = Task("t", [(1, 2), (1, 2), (3, 4)], exact())
    assert len(t.examples) == 2
    assert t.notes == ("1 of 3 examples repeat an earlier one and were left out",)


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 80), st.integers(1, 4), st.integers(0, 5), st.randoms())
def test_splits_are_disjoint_complete_and_stable(n: int, groups: int, seed: int, rnd: Any) -> None:
    pool = examples(n, groups)
    split = Task("t", pool, exact(), split=SplitSpec(seed=seed)).splits()
    ids = [e.id for part in (split.search, split.validation, split.test) for e in part]
    assert len(ids) == len(set(ids)) == n
    shuffled = list(pool)
    rnd.shuffle(shuffled)
    assert Task("t", shuffled, exact(), split=SplitSpec(seed=seed)).splits() == split


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=6, max_size=60), st.integers(0, 3))
def test_near_identical_examples_never_straddle(picks: list[int], seed: int) -> None:
    forms = ("Word {0}", "word  {0}", "WORD {0}.", " word {0} ?")
    pool = [Example(input=forms[i % 4].format(chr(97 + k)), target=i) for i, k in enumerate(picks)]
    if len(set(picks)) < 3:
        with pytest.raises(UsageError, match="none is left"):
            Task("t", pool, exact()).splits(seed=seed)
        return
    split = Task("t", pool, exact()).splits(seed=seed)
    homes: dict[str, set[str]] = {}
    for name in ("search", "validation", "test"):
        for e in split[name]:
            homes.setdefault(str(e.input).casefold().strip(" .?"), set()).add(name)
    assert all(len({n for k, v in homes.items() if k.split()[-1] == w for n in v}) == 1 for w in
               {k.split()[-1] for k in homes})  # fmt: skip


@pytest.mark.parametrize("groups", [2, 3, 5])
def test_splits_are_stratified(groups: int) -> None:
    split = Task("t", examples(100, groups), exact()).splits()
    for part in (split.search, split.validation, split.test):
        counts = Counter(e.group for e in part)
        assert all(abs(counts[f"g{g}"] - len(part) / groups) <= 1.5 for g in range(groups))


def clustered(sizes: Sequence[int]) -> list[Example]:
    """Examples in clusters of these sizes, told apart by their input alone; a size of 1 has no cluster."""
    made = []
    for number, size in enumerate(sizes):
        for member in range(size):
            cluster = f"c{number}" if size > 1 else None
            made.append(Example(input=f"{number}-{member}", target=0, cluster=cluster, group=f"g{number % 2}"))
    return made


@given(st.lists(st.integers(1, 4), min_size=12, max_size=40), st.integers(0, 5))
def test_a_cluster_is_on_one_side_of_every_split(sizes: list[int], seed: int) -> None:
    given_examples = clustered(sizes)
    split = Task("t", given_examples, exact(), split=SplitSpec(seed=seed)).splits()
    parts = [split.search, split.validation, split.test]
    assert sorted(e.id for part in parts for e in part) == sorted({e.id for e in given_examples})
    homes = [{e.cluster for e in part if e.cluster} for part in parts]
    assert sum(map(len, homes)) == len(set().union(*homes))
    assert Task("t", given_examples[::-1], exact(), split=SplitSpec(seed=seed)).splits() == split


def test_clusters_and_near_identical_inputs_are_tied_together_through_a_chain() -> None:
    chain = [
        Example(input="one", target=0, cluster="a"), Example(input="two", target=0, cluster="a"),
        Example(input="Two.", target=1, cluster="b"), Example(input="three", target=0, cluster="b"),
    ]  # fmt: skip
    for seed in range(8):
        split = Task("t", [*chain, *examples(12)], exact(), split=SplitSpec(seed=seed)).splits()
        sides = [{e.input for e in part} & {"one", "two", "Two.", "three"} for part in (split.search, split.validation,
                 split.test)]  # fmt: skip
        assert sorted(map(len, sides)) == [0, 0, 4]


def test_a_cluster_with_a_published_test_example_is_never_searched_on() -> None:
    held = Example(id="held", input="a", target=0, cluster="c")
    twin = Example(id="twin", input="b", target=0, cluster="c")
    task = Task("t", [held, twin, *examples(20)], exact(), split=SplitSpec(search=5, validation=5, test=1),
                test_only=frozenset(["held"]))  # fmt: skip
    split = task.splits()
    assert [e.id for e in split.test] == ["held"]
    assert "twin" not in {e.id for e in (*split.search, *split.validation)}


def test_a_limit_takes_a_part_of_every_split() -> None:
    t = Task("t", examples(100, 3), exact())
    whole = t.splits()
    for limit in (3, 10, 37, 99):
        part = t.splits(limit=limit)
        assert len(part.search) + len(part.validation) + len(part.test) == limit
        for name in ("search", "validation", "test"):
            assert part[name] == whole[name][: len(part[name])]
            assert part[name]
    assert t.splits(limit=1000) == whole


@pytest.mark.parametrize("name", ["search", "validation", "test"])
@pytest.mark.parametrize("limit", [1, 2, 15, 1000])
def test_a_limit_of_a_split_takes_a_part_of_it_alone(name: SplitName, limit: int) -> None:
    t = Task("t", examples(100, 3), exact())
    whole, part = t.splits(), t.splits(limit=limit, of=name)
    assert part[name] == whole[name][:limit]
    others = {"search", "validation", "test"} - {name}
    assert all(part[other] == whole[other] for other in others)


def test_a_limit_of_all_may_leave_a_split_empty() -> None:
    splits = Task("t", examples(50), exact()).splits(limit=2, of="all")
    assert sorted(map(len, (splits.search, splits.validation, splits.test))) == [0, 1, 1]


def test_only_the_split_that_is_wanted_has_to_have_examples() -> None:
    two = Task("t", examples(2), exact())
    everything = two.splits(of="all")
    assert [len(everything[name]) for name in ("search", "validation", "test")] == [1, 0, 1]
    assert len(two.splits(of="test").test) == 1
    with pytest.raises(UsageError, match="none is left for validation; give more examples, or take the split 'all'"):
        two.splits(of="validation")


def test_another_seed_gives_other_splits_and_hashes_follow_content() -> None:
    t = Task("t", examples(30), exact())
    assert t.splits(seed=0).search != t.splits(seed=1).search
    assert t.splits(seed=0).hash("test") == t.with_split(seed=0).splits().hash("test") != t.splits().hash("search")
    assert t.hash == Task("t", examples(30)[::-1], exact()).hash != Task("t", examples(29), exact()).hash


def test_splits_with_none_left() -> None:
    with pytest.raises(UsageError, match=r"2 examples .*none is left for validation"):
        Task("t", examples(2), exact()).splits()
    with pytest.raises(UsageError, match="limit=2: none is left"):
        Task("t", examples(50), exact()).splits(limit=2)
    with pytest.raises(UsageError, match="near-identical"):
        Task("t", [Example(input="same", target=i) for i in range(9)], exact()).splits()
    with pytest.raises(UsageError, match="splits ask for search 10, validation 0, test 5"):
        Task("t", examples(12), exact(), split=SplitSpec(search=10, validation=0, test=5)).splits()
    two = Task("t", examples(2), exact(), split=SplitSpec(search=0.5, validation=0.0, test=0.5)).splits()
    assert (len(two.search), len(two.validation), len(two.test)) == (1, 0, 1)
    with pytest.raises(UsageError, match="no split named 'train'"):
        two["train"]


def test_split_specs() -> None:
    for bad in ({"search": 0.9, "test": 0.9}, {"search": 10, "test": 0.5}, {"search": 0, "validation": 0, "test": 0}):
        with pytest.raises(ValueError):
            SplitSpec(**bad)
    assert SplitSpec(search=0.2, validation=0.2, test=0.2).sizes(10) == {"search": 2, "validation": 2, "test": 2}


@pytest.mark.parametrize(
    ("returned", "score"),
    [
        (0.25, 0.25), (1, 1.0), (True, 1.0), (np.bool_(False), 0.0), (np.float32(0.5), 0.5), (np.array(0.5), 0.5),
        (Decimal("0.5"), 0.5), (Fraction(1, 4), 0.25), ((0.5, "why"), 0.5), ({"score": 0.5, "style": 2.0}, 0.5),
        ({"a": 1.0, "b": 0.0}, 0.5), (Feedback(score=0.5, text="t"), 0.5), (1 + 1e-12, 1.0),
        (SimpleNamespace(score=0.5, feedback="why"), 0.5),
    ],
)  # fmt: skip
def test_scores_that_are_read(returned: Any, score: float) -> None:
    made = normalise(returned)
    assert made.score == score
    assert not isinstance(made, ScorerError)


@pytest.mark.parametrize(
    ("returned", "why"),
    [
        (math.nan, "nan"), (math.inf, "inf"), (-math.inf, "inf"), (None, "None"), (1.5, "outside the declared range"),
        (-0.1, "outside"), ("0.5", "the text '0.5'"), ("nan", "the text"), ("", "empty"), ([0.5], "not a number"),
        ((1, 2, 3), "(score, text)"), ((math.nan, "x"), "nan"), ({}, "without 'score'"), ({"score": None}, "None"),
        ({"score": "1"}, "the text '1'"), ({"score": 1, "part": "x"}, "the part 'part'"), (1j, "complex"),
        (np.array([0.5, 0.5]), "ndarray"), (Feedback(), "neither"), (Feedback(score=7), "outside"),
        ({"score": 0.5, "x": math.nan}, "the part 'x'"), (Decimal("NaN"), "nan"), (10**400, "not a score"),
    ],
)  # fmt: skip
def test_what_is_not_a_score_is_an_error_and_never_a_score(returned: Any, why: str) -> None:
    made = Task("t", examples(1), lambda e, o: returned).score(examples(1)[0], "x")
    assert isinstance(made, ScorerError)
    assert made.score is None
    assert why in made.text
    assert "return a finite number between 0 and 1" in made.text


def test_a_bool_needs_the_range_0_to_1() -> None:
    assert isinstance(normalise(True, (0.0, 10.0)), ScorerError)
    assert normalise(7, (0.0, 10.0)).score == 7.0
    assert normalise(-3, (-5.0, 0.0)).score == -3.0


def test_a_text_is_feedback_without_a_score() -> None:
    made = normalise("larger")
    assert (made.score, made.text) == (None, "larger")
    assert not isinstance(made, ScorerError)


def broken(example: Example, output: object) -> float:
    return 1 / 0


def test_a_scorer_that_raises_is_data_with_the_place() -> None:
    t = Task("t", examples(1), broken)
    made = t.score(t.examples[0], "x")
    assert isinstance(made, ScorerError)
    assert "'broken' raised ZeroDivisionError" in made.text
    assert "test_evaluate_task.py" in made.text
    assert "1 / 0" in made.text


@pytest.mark.parametrize("error", [BudgetExhausted("calls", "over"), LLMError("down"), UsageError("wrong")])
def test_the_end_of_a_budget_is_not_the_scorers_fault(error: Exception) -> None:
    def raising(example: Example, output: object) -> float:
        raise error

    with pytest.raises(type(error)):
        Task("t", examples(1), raising).score(examples(1)[0], "x")


def test_scorers_of_two_and_three_arguments_and_async() -> None:
    e = examples(1)[0]
    assert Task("t", [e], lambda ex, out: 0.5).score(e, "x").score == 0.5
    assert Task("t", [e], lambda ex, out, trace: trace).score(e, "x", 0.25).score == 0.25
    assert Task("t", [e], lambda ex, out, trace=None: trace).score(e, "x", 0.25).score == 0.25
    assert Task("t", [e], lambda *args: len(args) / 4).score(e, "x").score == 0.75
    assert Task("t", [e], lambda g, p, t, name, ptrace: name is None).score(e, "x").score == 1.0

    async def slow(ex: Example, out: object) -> tuple[float, str]:
        return 0.5, "slowly"

    t = Task("t", [e], slow)
    with pytest.raises(UsageError, match="ascore"):
        t.score(e, "x")
    assert asyncio.run(t.ascore(e, "x")).text == "slowly"
    assert asyncio.run(Task("t", [e], exact()).ascore(e, 0)).score == 1.0


def test_the_decorator() -> None:
    @task(version=3, score_range=(0.0, 2.0))
    def pairs(n: int = 4, seed: int = 0, easy: bool = False):  # type: ignore[no-untyped-def]
        """Say the number.

        More.
        """
        return [(f"{seed} {easy} {i}", i) for i in range(n)], numeric()

    made = pairs(n="6", easy="true")
    assert (made.name, made.version, made.objective, len(made.examples)) == ("pairs", 3, "Say the number.", 6)
    assert made.score_range == (0.0, 2.0)
    assert "True" in made.examples[0].input
    assert pairs.parameters == {"n": 4, "seed": 0, "easy": False}
    with pytest.raises(UnknownName, match="did you mean 'seed'"):
        pairs(sead=1)
    with pytest.raises(UsageError, match="n='many'"):
        pairs(n="many")
    with pytest.raises(UsageError, match="need defaults"):
        task(lambda n: n)
    with pytest.raises(UsageError, match="return a Task or"):
        task(lambda: [1])()
    assert task(lambda: Task("other", examples(1), exact()))().name == "other"


def test_metrics_of_others() -> None:
    def metric(gold: Any, prediction: Any, trace: Any = None) -> bool:
        return bool(prediction == gold["answer"])

    t = from_metric(metric, [{"question": f"q{i}", "answer": i} for i in range(10)], inputs=["question"])
    assert [t.score(e, 3).score for e in t.examples].count(1.0) == 1
    assert t.name == "metric"
    assert t.splits().search

    class Foreign:
        answer = "yes"

        def inputs(self) -> dict[str, str]:
            return {"question": "?"}

        def labels(self) -> dict[str, str]:
            return {"answer": "yes"}

    f = from_metric(lambda gold, pred, trace: gold.answer == pred, [Foreign()])
    assert f.examples[0].input == {"question": "?"}
    assert f.score(f.examples[0], "yes").score == 1.0
    p = from_metric(lambda gold, pred: gold.target == pred, [(1, 2)])
    assert p.score(p.examples[0], 2).score == 1.0
    with pytest.raises(UsageError, match="inputs="):
        from_metric(metric, [{"question": "q", "answer": 1}])
    with pytest.raises(UsageError, match="example 1 has no field 'question'"):
        from_metric(metric, [{"question": "q"}, {"frage": "q"}], inputs=["question"])


def test_the_evaluators_hash_follows_its_file_and_settings(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "my_scorer_module.py"
    file.write_text("def judge(example, output):\n    return 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    import my_scorer_module  # type: ignore[import-not-found]

    before = evaluator_hash(my_scorer_module.judge)
    assert before == evaluator_hash(my_scorer_module.judge)
    through = evaluator_hash(from_metric(my_scorer_module.judge, [(1, 2)]).scorer)
    file.write_text("def judge(example, output):\n    return 0.0\n")
    assert evaluator_hash(my_scorer_module.judge) != before
    assert evaluator_hash(from_metric(my_scorer_module.judge, [(1, 2)]).scorer) != through
    assert evaluator_hash(numeric(tol=1)) != evaluator_hash(numeric(tol=2))


def test_importing_tasks_stays_light() -> None:
    code = (
        "import sys, agentopt.evaluate.task, agentopt.evaluate as e; e.numeric, e.Task\n"
        "assert not {'scipy', 'numpy', 'statsmodels', 'networkx', 'openai', 'litellm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""Evals: pinned measurements, how they are written, run, told and kept."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt import Example, Feedback, Task, graph
from agentopt._aio import run_sync
from agentopt.core.values import Outcome
from agentopt.errors import UnknownName, UsageError
from agentopt.evaluate import Eval, Guess, Measure, Published, always, commonest, evaluation, interval, summarize
from agentopt.evaluate.clusters import cluster_interval
from agentopt.evaluate.measured import EvalRecord, MeasureRecord, measured, record_of
from agentopt.run.evaluation import evaluate_async, evaluation_of
from agentopt.run.files import open_run
from agentopt.run.measure import measure
from agentopt.run.result import Evaluation
from agentopt.workspace import load_eval

Cli = Callable[..., tuple[int, str, str]]

PARTS = '''
from agentopt import Example, Feedback, graph, llm, prompt, task
from agentopt.evaluate import Eval, Measure, Published, always, evaluation


def scored(example: Example, answer: str) -> Feedback:
    number = any(c.isdigit() for c in answer)
    return Feedback(score=float(answer == str(example.target)), parts={"number": float(number), "length": len(answer)})


@task(version=1)
def pairs(n: int = 12):
    """Pairs of sums that differ in their order alone."""
    made = [(a, 3 * a + 1) for a in range(10, 10 + n // 2)]
    return [Example(input=f"{x} + {y}", target=x + y) for a, b in made for x, y in ((a, b), (b, a))], scored


def both(example):
    return min(example.input.split(" + "))


def size(example):
    return "small" if example.target < 60 else "large"


def small(example):
    return example.target < 60


@evaluation(version=3)
def pairs_pinned():
    """Sums in both orders."""
    return Eval(
        task="pairs", graph="solve", repeats=2, max_tokens=64, group=both, by=size,
        measures=[
            Measure("number", "answers with a number"),
            Measure("small_right", "right", of="score", over=small),
            Measure("length", "characters", kind="mean"),
        ],
        guesses=[always("66")],
        published=[Published(model="Abacus", score=0.9, protocol="by hand, once", source="Beads 1901, Table 2", n=40)],
        notes=["this is the small stand-in set"],
    )
'''


@pytest.fixture
def pairs(new_workspace: Path) -> Path:
    """A workspace with an eval that has everything."""
    (new_workspace / "evals" / "pairs_pinned.py").write_text(PARTS)
    (new_workspace / "tasks" / "pairs.py").write_text(PARTS.partition("def both")[0])
    return new_workspace


# -- the type ---------------------------------------------------------------------------------------------------------


def test_a_temperature_that_is_written_as_a_whole_number_is_the_same_protocol() -> None:
    whole, decimal = (Eval("solve", "sums", name="one", temperature=t) for t in (0, 0.0))
    assert repr(whole.pinned["temperature"]) == "0.0"
    assert whole.hash == decimal.hash


def test_an_eval_is_found_by_name_with_its_own_name_and_words(pairs: Path) -> None:
    found = load_eval("pairs_pinned")
    assert (found.name, found.version, found.about) == ("pairs_pinned", 3, "Sums in both orders.")
    assert found.pinned["repeats"] == 2
    assert found.pinned["split"] == "all"
    assert load_eval("./evals/pairs_pinned.py@pairs_pinned").hash == found.hash
    with pytest.raises(UnknownName, match="did you mean 'pairs_pinned'"):
        load_eval("pairs_pined")


def test_the_hash_is_that_of_the_measurement() -> None:
    def even(example: Example) -> bool:
        return example.target == 0

    def odd(example: Example) -> bool:
        return example.target == 1

    base = Eval(task="t", graph="g", name="e", measures=[Measure("m", over=even)])
    same = Eval(task="t", graph="g", name="e", measures=[Measure("m", "in other words", over=even)], notes=["told"],
                published=[Published(model="x", score=1, protocol="p", source="s")])  # fmt: skip
    assert base.hash == same.hash
    others = [
        Eval(task="t", graph="g", name="e", measures=[Measure("m", over=odd)]),
        Eval(task="t", graph="g", name="e", measures=[Measure("m", over=even)], repeats=2),
        Eval(task="t", graph="g", name="e", measures=[Measure("m", over=even)], group=lambda e: e.id),
        Eval(task="t", graph="g", name="e", measures=[Measure("m", over=even)], version=2),
    ]
    assert len({base.hash, *(other.hash for other in others)}) == 5


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Eval(task="t", graph="g", split="train"), "split 'train' is none of"),  # type: ignore[arg-type]
        (lambda: Eval(task="t", graph="g", repeats=0), "1 or more"),
        (lambda: Eval(task="t", graph="g", measures=[Measure("a"), Measure("a")]), "two measures are called 'a'"),
        (lambda: Measure("a", of="output"), "reads 'output'; it can read"),
        (lambda: Measure("score"), "the score is shown by itself"),
        (lambda: Measure("a", over=lambda e: True), "need a name"),
        (
            lambda: Eval(task="t", graph="g", published=[
                Published(model="M", score=1, protocol="p", source="s", measure="speed")]),
            "is of 'speed', which is no measure",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused_when_it_is_written(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()


def test_a_decorated_function_takes_nothing_and_returns_an_eval() -> None:
    with pytest.raises(UsageError, match="takes arguments"):
        evaluation(lambda n: None)  # type: ignore[arg-type,misc]

    @evaluation
    def wrong() -> Any:
        return {"task": "t"}

    with pytest.raises(UsageError, match="returned a dict; return an Eval"):
        wrong()


def test_the_commonest_target_is_one_of_the_targets() -> None:
    examples = [Example(input=i, target={"n": i % 3}) for i in range(8)]
    assert commonest().answers(examples) == [{"n": 0}] * 8
    assert commonest(lambda e: str(e.target)).answers(examples)[0] == "{'n': 0}"


# -- intervals by cluster ---------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=2, max_size=30), st.integers(2, 6))
def test_copies_of_examples_never_narrow_an_interval(scores: list[float], copies: int) -> None:
    low, high = cluster_interval(scores * copies, [*range(len(scores))] * copies)
    assert 0 <= low <= math.fsum(scores) / len(scores) <= high <= 1
    once = interval(scores)
    if len({*scores}) > 1:
        # as G goes to n, the two are the same up to the factor (n-1)/n that copies change in the spread
        assert high - low >= 0.9 * (once[1] - once[0])
    assert cluster_interval(scores, range(len(scores))) == once


def test_an_interval_by_cluster_covers_where_a_plain_one_does_not() -> None:
    draw, plain, clustered = random.Random(5), 0, 0
    for _ in range(300):
        scores, labels = [], []
        for cluster in range(40):
            right = float(draw.random() < 0.6)
            scores += [right] * 5
            labels += [cluster] * 5
        low, high = interval(scores)
        plain += low <= 0.6 <= high
        low, high = cluster_interval(scores, labels)
        clustered += low <= 0.6 <= high
    assert plain < 0.75 * 300
    assert clustered >= 0.93 * 300


def test_scores_that_cancel_within_each_cluster_do_not_make_a_mean_certain() -> None:
    scores, labels = [0.5, 0.7] * 20, [i // 2 for i in range(40)]
    low, high = cluster_interval(scores, labels)
    plain = interval(scores)
    assert low <= plain[0] < plain[1] <= high


def test_a_mean_on_an_endless_scale_says_nothing_by_one_cluster() -> None:
    endless = (-math.inf, math.inf)
    assert cluster_interval([1.0, 2.5], ["a", "a"], endless) == endless
    record = EvalRecord(
        name="e", version=1, hash="", pinned={}, clusters={"x": "a", "y": "a"},
        measures=(MeasureRecord(name="n", title="n", of="parts.n", kind="mean", failed=None),),
    )  # fmt: skip
    told = {"x": 1.0, "y": 3.0}
    cells = [Outcome(candidate="c", example=e, feedback=Feedback(score=1, parts={"n": n})) for e, n in told.items()]
    (row,) = measured(record, cells, (0.0, 1.0)).measures
    assert (row.mean, row.low, row.high, row.n) == (2.0, None, None, 2)


def test_one_cluster_and_equal_scores_leave_a_wide_interval() -> None:
    low, high = cluster_interval([1.0] * 50, ["a"] * 50)
    assert low < 0.3 and high == 1
    low, high = cluster_interval([0.5] * 50, ["a", "b"] * 25)
    assert low < 0.15 and high > 0.85
    with pytest.raises(UsageError, match="2 scores and 1 clusters"):
        cluster_interval([1.0, 0.0], ["a"])


# -- measures ---------------------------------------------------------------------------------------------------------


def even(example: Example) -> bool:
    return bool(example.meta["even"])


def test_measures_count_what_they_say() -> None:
    examples = [Example(id=str(i), input=i, meta={"even": i % 2 == 0}) for i in range(6)]
    pinned = Eval(
        task="t", graph="g", name="e",
        measures=[
            Measure("ran", of="answered"),
            Measure("valid"),
            Measure("valid_even", of="parts.valid", over=even),
            Measure("valid_said", of="parts.valid", failed=None),
            Measure("tokens", of="metrics.output_tokens", kind="mean"),
        ],
    )  # fmt: skip

    def cell(i: int, repeat: int = 0, **more: Any) -> Outcome:
        return Outcome(candidate="c", example=str(i), repeat=repeat, metrics={"output_tokens": 10.0 * i}, **more)

    outcomes = [
        cell(0, feedback=Feedback(score=1, parts={"valid": 1})),
        cell(0, 1, feedback=Feedback(score=0, parts={"valid": 0})),
        cell(1, feedback=Feedback(score=0, parts={"valid": 1})),
        cell(2, feedback=Feedback(score=0, parts={})),  # nothing is said of it
        cell(3, status="timeout", error="late"),
        cell(4, status="agent_error", error="broke"),
        cell(5, status="infra_error", error="gone"),
    ]
    rows = {row.name: row for row in measured(record_of(pinned, examples), outcomes, (0.0, 1.0)).measures}
    assert (rows["ran"].mean, rows["ran"].n) == (3 / 5, 5)
    assert (rows["valid"].mean, rows["valid"].n) == ((0.5 + 1 + 0 + 0) / 4, 4)
    assert (rows["valid_even"].mean, rows["valid_even"].n) == (0.25, 2)
    assert rows["valid_even"].title == "valid_even (even)"
    assert (rows["valid_said"].mean, rows["valid_said"].n) == (0.75, 2)
    assert (rows["tokens"].mean, rows["tokens"].n) == (20.0, 5)
    assert rows["tokens"].high is not None and rows["tokens"].high > 30


def test_all_equal_values_of_a_mean_have_no_interval() -> None:
    pinned = Eval(task="t", graph="g", measures=[Measure("calls", of="metrics.calls", kind="mean")])
    cells = [Outcome(candidate="c", example=str(i), metrics={"calls": 1.0}) for i in range(5)]
    (row,) = measured(record_of(pinned, []), cells, (0.0, 1.0)).measures
    assert (row.mean, row.low, row.high, row.n) == (1.0, None, None, 5)


def test_a_summary_by_cluster_says_so() -> None:
    cells = [Outcome(candidate="c", example=str(i), feedback=Feedback(score=i // 5 % 2)) for i in range(20)]
    found = summarize(cells, clusters={str(i): str(i // 5) for i in range(20)})
    assert found.sentence.endswith("on 20 examples in 4 clusters")
    plain = summarize(cells)
    assert (found.high or 0) - (found.low or 0) > 1.3 * ((plain.high or 0) - (plain.low or 0))


# -- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_by_an_eval_has_types_clusters_measures_guesses_and_what_was_published(cli: Cli, pairs: Path) -> None:
    code, out, err = cli("eval", "pairs_pinned")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("pairs_pinned v3 (") and lines[0].endswith("): Sums in both orders.")
    assert "note: this is the small stand-in set" in lines
    assert "not the pinned protocol" not in out
    assert any("on 12 examples in 6 clusters" in line for line in lines)
    for start in ("type large", "type small", "number ", "small_right", "length", "guess "):
        assert any(line.startswith(start) for line in lines), start
    published = next(line for line in lines if line.startswith("published"))
    assert "Abacus" in published and published.rstrip().endswith("another protocol [1]")
    assert "[1] by hand, once (Beads 1901, Table 2)" in lines
    name = next(line for line in lines if line.startswith("run: ")).removeprefix("run: ")
    kept = json.loads(cli("show", name, "--json")[1])["eval"]
    assert kept["is_pinned"] is True
    assert kept["record"]["version"] == 3
    assert kept["record"]["hash"] == load_eval("pairs_pinned").hash
    assert {m["name"]: m["n"] for m in kept["measures"]} == {"number": 12, "small_right": 10, "length": 12}
    with open_run(name) as run:
        assert run.started["eval"]["hash"] == kept["record"]["hash"]
        assert run.config.max_tokens == 64
    assert cli("replay", name)[0] == 0


def test_what_departs_from_the_protocol_is_told(cli: Cli, pairs: Path) -> None:
    code, out, _ = cli("eval", "pairs_pinned", "-q", "--limit", "4", "--repeats", "2", "--task-arg", "n=8")
    assert code == 0
    assert "not the pinned protocol: task_args n=8 (pinned: none), limit 4 (pinned: none)\n" in out
    code, out, _ = cli("eval", "pairs_pinned", "-q", "--graph", "arithmetic", "--repeats", "1", "--json")
    assert code == 0
    found = json.loads(out)["eval"]
    assert [d["field"] for d in found["record"]["departs"]] == ["graph", "repeats"]
    assert found["departure"].startswith("not the pinned protocol: graph arithmetic (pinned: solve)")


def test_settings_of_the_workspace_are_weaker_than_what_is_pinned(
    cli: Cli, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTOPT_REPEATS", "5")
    code, out, _ = cli("eval", "pairs_pinned", "-q", "--json")
    assert code == 0
    assert json.loads(out)["config"]["repeats"] == 2
    assert json.loads(out)["eval"]["is_pinned"]


def test_a_name_that_is_both_has_to_be_told_apart(cli: Cli, pairs: Path) -> None:
    (pairs / "graphs" / "both.py").write_text(
        "from agentopt import graph\n\n@graph\ndef pairs_pinned(p): return '66'\n"
    )
    code, _, err = cli("eval", "pairs_pinned")
    assert code == 2
    assert "is an eval (evals/pairs_pinned.py@pairs_pinned) and a graph (graphs/both.py@pairs_pinned)" in err
    code, out, _ = cli("eval", "pairs_pinned", "--task", "pairs", "-q", "--split", "all", "--json")
    assert code == 0 and json.loads(out)["eval"] is None
    code, out, _ = cli("eval", "evals/pairs_pinned.py@pairs_pinned", "-q", "--json")
    assert code == 0 and json.loads(out)["eval"]["is_pinned"]


def test_an_eval_of_a_graph_of_its_own_name_is_meant_without_a_task(cli: Cli, pairs: Path) -> None:
    (pairs / "evals" / "namesake.py").write_text(
        "from agentopt.evaluate import Eval, evaluation\n\n@evaluation(version=1)\ndef solve():\n"
        '    """Pairs, by the graph of the same name."""\n'
        '    return Eval(task="pairs", graph="solve", split="all", repeats=3)\n'
    )
    code, out, _ = cli("eval", "solve", "-q", "--json")
    assert code == 0
    said = json.loads(out)
    assert said["eval"]["record"]["name"] == "solve" and said["config"]["repeats"] == 3
    code, out, _ = cli("eval", "solve", "--task", "pairs", "-q", "--json")
    assert code == 0 and json.loads(out)["eval"] is None


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nothing_of_this_name"], "no graph or eval named 'nothing_of_this_name'"),
        (["pairs_pinned", "--task", "sums"], "pins its task"),
        (["solve", "--graph", "solve"], "--graph is for an eval"),
        (["pairs_pinned", "--task-arg", "m=3"], "task 'pairs'"),
    ],
)
def test_mistakes_are_told_in_one_line(cli: Cli, pairs: Path, args: list[str], said: str) -> None:
    code, _, err = cli("eval", *args)
    assert code == 2
    assert said in err
    assert not list((pairs / "runs").glob("*/run.sqlite"))


def test_an_eval_goes_on_after_its_budget(cli: Cli, pairs: Path) -> None:
    code, _, _ = cli(
        "eval", "pairs_pinned", "-q", "--name", "cut", "--budget", "evaluations=7", "--max-connections", "1"
    )
    assert code == 4
    code, _, err = cli("eval", "pairs_pinned", "--resume", "cut", "--add-budget", "evaluations=100", "--repeats", "3")
    assert code == 2 and "--repeats" in err
    code, out, _ = cli("eval", "pairs_pinned", "--resume", "cut", "-q", "--add-budget", "evaluations=100")
    assert code == 0
    assert "on 12 examples in 6 clusters" in out
    code, _, err = cli("eval", "sums_by_carry", "--resume", "cut")
    assert code == 2


def test_show_knows_an_eval(cli: Cli, pairs: Path) -> None:
    code, out, _ = cli("show", "pairs_pinned")
    assert code == 0
    assert "measure small_right: right (share of score, over small)" in out
    assert json.loads(cli("show", "pairs_pinned", "--json")[1])["pinned"]["repeats"] == 2
    assert cli("show", "pairs_pined")[0] == 2


def test_a_guess_that_cannot_be_scored_is_refused_before_anything_is_paid(tmp_path: Path) -> None:
    def strict(example: Example, answer: str) -> float:
        return float(answer.upper() == example.target)

    @graph
    def loud(text: str) -> str:
        return text.upper()

    task = Task("shout", [Example(input=w, target=w.upper()) for w in "abcdef"], strict)

    def run(guess: Guess) -> Evaluation:
        pinned = Eval(task="shout", graph="loud", name="toy", guesses=[guess])
        work = evaluate_async(loud, task=task, split="all", pinned=pinned, progress=False, runs_dir=tmp_path)
        return run_sync(work)

    with pytest.raises(UsageError, match="the guess 'always 3' cannot be scored"):
        run(always(3))
    with pytest.raises(UsageError, match="1 answers for 6 examples"):
        run(Guess("one", lambda examples: ["a"]))
    assert not list(tmp_path.glob("*/run.sqlite"))
    done = run(always("A"))
    assert done.measured is not None
    assert done.measured.guesses[0].summary.mean == 1 / 6
    assert evaluation_of(done.dir).measured == done.measured


def test_a_failure_is_no_length_of_nothing() -> None:
    assert Measure("valid").failed == 0.0
    assert Measure("length", kind="mean").failed is None
    assert Measure("length", kind="mean", failed=100.0).failed == 100.0


def test_an_eval_that_does_not_parse_is_told(cli: Cli, new_workspace: Path) -> None:
    (new_workspace / "evals" / "mine.py").write_text("def (")
    code, _, err = cli("eval", "mine")
    assert code == 2 and "evals/mine.py:1 does not parse" in err


def test_a_measure_without_data_says_so_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing has the part: a dash beside a dash beside a nought is no sentence."""
    from agentopt.cli.measures import print_measures

    pinned = Eval(
        task="t", graph="g", name="e", measures=[Measure("speed", "how quick", of="parts.speed", kind="mean")]
    )
    cells = [Outcome(candidate="c", example="e", feedback=Feedback(score=1.0))]
    print_measures(measured(record_of(pinned, []), cells, (0.0, 1.0)))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("speed")]
    assert line.split() == ["speed", "how", "quick", "no", "data", "0"]


def test_measure_from_python_refuses_a_task() -> None:
    with pytest.raises(UsageError, match="pins its task, 'bills'"):
        measure(Eval(task="bills", graph="calculator", name="x"), task="sums")


def test_check_tells_what_is_wrong_with_an_eval(cli: Cli, new_workspace: Path) -> None:
    head = "from agentopt.evaluate import Eval, evaluation\n\n\n@evaluation\ndef bad():\n    return "
    for call, said in (
        ("Eval(task='sums', graph='solve', values={'no': 1})", "has no parameter named no"),
        ("Eval(task='sumz', graph='solve')", "did you mean 'sums'"),
        ("Eval(task='sums', graph='solve', task_args={'m': 1})", "takes"),
        ("Eval(task='sums', graph='solve', by=lambda e: e.label)", "label"),
    ):
        (new_workspace / "evals" / "bad.py").write_text(f"{head}{call}\n")
        code, out, _ = cli("check")
        assert code == 1 and said in out, (call, out)

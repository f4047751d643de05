"""What the world does wrong is no wrong answer, also where a program or a metric hides it; nothing paid is lost."""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

import agentopt
from agentopt.core.values import Feedback
from agentopt.errors import LLMError, TransientLLMError, UsageError
from agentopt.evaluate import Example, SplitSpec, Task, exact, from_metric
from agentopt.evaluate.scoring import normalise
from agentopt.llm.types import Request
from agentopt.run.api import evaluate_async, optimize_async, resume_async
from agentopt.run.files import open_run
from agentopt.testing import ScriptedLLM

STYLE = agentopt.Parameter("Answer {{question}}", name="style")


@pytest.fixture(autouse=True)
def _outside_any_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def examples(n: int = 20) -> list[Example]:
    return [Example(input={"question": f"q{i}"}, target="fine") for i in range(n)]


def down_for(*questions: str) -> Any:
    """A model that cannot be reached when it is asked these questions."""

    def reply(request: Request) -> Any:
        asked = str(request.messages[-1].content).split()
        return LLMError("model gone") if set(questions) & set(asked) else "fine"

    return reply


@agentopt.graph
async def hides(question: str) -> Any:
    try:
        return await agentopt.allm(STYLE, question=question)
    except Exception:
        return "I do not know"


@agentopt.graph
def hides_sync(question: str) -> Any:
    try:
        return agentopt.llm(STYLE, question=question)
    except Exception:
        return "I do not know"


@agentopt.graph
async def renames(question: str) -> Any:
    try:
        return await agentopt.allm(STYLE, question=question)
    except Exception:
        raise ValueError("no luck") from None


@agentopt.graph
async def asks_again(question: str) -> Any:
    for _ in range(2):
        try:
            return await agentopt.allm(STYLE, question=question)
        except LLMError:
            continue
    raise ValueError("twice")


async def scored(folder: Path, graph: Any, llm: Any, **options: Any) -> Any:
    task = options.pop("task", None) or Task("t", examples(), exact())
    return await evaluate_async(graph, task=task, model=llm, split="all", runs_dir=str(folder), cache=False, **options)


@pytest.mark.parametrize("graph", [hides, hides_sync, renames], ids=lambda g: g.__name__)
async def test_an_error_that_a_graph_hides_is_no_wrong_answer(tmp_path: Path, graph: Any) -> None:
    result = await scored(tmp_path, graph, ScriptedLLM(down_for("q3", "q7")))
    lost = {o.example: o for o in result.outcomes if o.status != "ok"}
    assert len(lost) == 2
    for outcome in lost.values():
        assert outcome.status == "infra_error"
        assert outcome.score is None
        assert str(outcome.error) == ("an error was caught, and what came after it is not scored: LLMError: model gone")
    assert (result.summary.mean, result.summary.n, result.summary.n_infra) == (1.0, 18, 2)


async def test_a_graph_that_asks_again_and_gets_its_answer_hides_nothing(tmp_path: Path) -> None:
    failed: set[str] = set()

    def reply(request: Request) -> Any:
        text = str(request.messages[-1].content)
        if text not in failed:
            failed.add(text)
            return LLMError("model gone")
        return "fine"

    result = await scored(tmp_path, asks_again, ScriptedLLM(reply))
    assert len(failed) == 20
    assert (result.summary.mean, result.summary.n_infra) == (1.0, 0)


async def test_a_graph_may_handle_what_its_own_model_wrote(tmp_path: Path) -> None:
    class Form(BaseModel):
        n: int

    @agentopt.graph
    async def reads(question: str) -> Any:
        try:
            return await agentopt.allm(STYLE, question=question, schema=Form)
        except LLMError:
            return "fine"

    result = await scored(tmp_path, reads, ScriptedLLM(lambda r: "no JSON at all"))
    assert (result.summary.mean, result.summary.n_infra) == (1.0, 0)


async def test_the_end_of_a_budget_that_a_graph_hides_ends_the_run_all_the_same(tmp_path: Path) -> None:
    llm = ScriptedLLM(down_for())
    result = await scored(tmp_path, hides, llm, budget="calls=9", max_connections=4)
    assert llm.calls == 9
    assert {(o.status, o.output) for o in result.outcomes} == {("ok", "fine")}
    assert len(result.outcomes) == 9  # each paid answer is an outcome, and no refused one is
    with open_run(result.dir) as run:
        assert run.status == "budget"


async def test_a_metric_that_hides_its_judges_failure_scores_nothing(tmp_path: Path) -> None:
    async def judged(example: Example, output: Any) -> float:
        try:
            return float(await agentopt.allm(f"judge {example.input['question']}") == "fine")  # type: ignore[index,call-overload]
        except Exception:
            return 0.0

    def reply(request: Request) -> Any:
        text = str(request.messages[-1].content)
        return TransientLLMError("overloaded", retry_after=999) if text == "judge q4" else "fine"

    result = await scored(tmp_path, hides, ScriptedLLM(reply), task=Task("t", examples(), judged))
    (lost,) = (o for o in result.outcomes if o.status != "ok")
    assert (lost.status, lost.score) == ("infra_error", None)
    assert "overloaded" in str(lost.error)
    assert result.summary.mean == 1.0


class Unreadable:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


BAD = {
    "nan": (float("nan"), "returned nan"),
    "infinite": (float("inf"), "returned inf"),
    "none": (None, "returned None"),
    "out of range": (1.5, "outside the declared range"),
    "negative": (-0.1, "outside the declared range"),
    "list": ([1.0], "a list"),
    "text as score": (("good", "x"), "the text"),
    "raises": (ZeroDivisionError("division by zero"), "raised ZeroDivisionError: division by zero at"),
    "leaves": (SystemExit(3), "raised SystemExit: 3 at"),
    "cancels": (asyncio.CancelledError(), "raised CancelledError:"),
    "nan in a Feedback": (lambda: Feedback(score=math.nan), "score: Value error, not a finite number but nan"),
    "nan as a part": (lambda: Feedback(score=0.5, parts={"a": math.nan}), "parts.a: Value error, not a finite number"),
    "infinity as a part": ({"score": 0.5, "parts": {"a": math.inf}}, "the part 'a' as inf"),
    "text as a part": (lambda: Feedback(score=0.5, parts={"a": "much"}), "parts.a: Value error, not a number"),
    "half a character": (ValueError("no \ud83d"), "raised ValueError: no \ufffd at"),
    "unreadable": (Unreadable(), "returned a Unreadable, which cannot be read (RuntimeError: no repr)"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
async def test_a_metric_that_fails_for_one_example_costs_that_example_and_says_why(
    tmp_path: Path, bad: str, sync: bool
) -> None:
    value, said = BAD[bad]

    def metric(gold: Example, prediction: Any, trace: Any = None) -> Any:
        if gold.input != {"question": "q5"}:
            return True
        if isinstance(value, BaseException):
            raise value
        return value() if callable(value) else value

    async def ametric(gold: Example, prediction: Any, trace: Any = None) -> Any:
        return metric(gold, prediction)

    llm = ScriptedLLM(down_for())
    result = await scored(tmp_path, hides, llm, task=from_metric(metric if sync else ametric, examples()))
    (lost,) = (o for o in result.outcomes if o.status != "ok")
    assert (lost.status, lost.score, lost.output) == ("infra_error", None, "fine")
    assert said in str(lost.error)
    assert (result.summary.mean, result.summary.n) == (1.0, 19)
    assert llm.calls == 20  # the scorer was tried again, the model was not asked again


async def test_numbers_of_any_kind_and_broken_texts_are_read(tmp_path: Path) -> None:
    made = [
        Feedback(score=Decimal("0.5"), parts={"a": Fraction(1, 4)}),
        Feedback(score=np.float32(0.5), parts={"a": np.array(0.25)}),
        {"score": Fraction(1, 2), "a": Decimal("0.25")},
        {"score": np.float64(0.5), "parts": {"a": np.float16(0.25)}},
        Feedback(score=0.5, text="half \ud83d", parts={"a": np.int64(2)}),
        (0.5, "half \ud83d"),
    ]
    left = iter(made)
    task = Task("t", examples(len(made)), lambda example, output: next(left))
    result = await scored(tmp_path, hides, ScriptedLLM(down_for()), task=task, max_connections=1)
    assert [o.score for o in result.outcomes] == [0.5] * len(made)
    with open_run(result.dir) as run:
        told = [o.feedback for o in run.outcomes()]
    assert sorted(str(f and f.parts) for f in told) == ["{'a': 0.25}"] * 4 + ["{'a': 2.0}", "{}"]
    assert [f.text for f in told if f and f.text] == ["half \ufffd"] * 2


async def test_a_run_that_is_stopped_while_it_scores_stops(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def slow(example: Example, output: Any) -> float:
        begun.set()
        await asyncio.sleep(60)
        return 1.0

    run = asyncio.ensure_future(Task("t", examples(), slow).ascore(examples()[0], "x"))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_a_bool_counts_only_where_it_can_be_read(tmp_path: Path) -> None:
    yes = Task("t", examples(), lambda example, output: True)
    assert (await scored(tmp_path / "a", hides, ScriptedLLM(down_for()), task=yes)).summary.mean == 1.0
    assert [normalise(np.array(b), (0, 1)).score for b in (True, False)] == [1.0, 0.0]
    assert "the bool True" in normalise(np.array(True), (0, 5)).text
    five = Task("t", examples(), lambda example, output: True, score_range=(1.0, 5.0))
    result = await scored(tmp_path / "b", hides, ScriptedLLM(down_for()), task=five)
    assert {o.status for o in result.outcomes} == {"infra_error"}
    assert "the bool True, but the declared range is 1 to 5" in str(result.outcomes[0].error)


async def test_a_broken_metric_can_be_mended_and_nothing_is_paid_twice(tmp_path: Path) -> None:
    def broken(example: Example, output: Any) -> Any:
        raise KeyError("gold")

    llm = ScriptedLLM(down_for())
    options: dict[str, Any] = {
        "optimizer": "random",
        "steps": 0,
        "runs_dir": str(tmp_path),
        "name": "run",
        "cache": False,
    }
    with pytest.raises(LLMError, match="raised KeyError: 'gold'.*mend it, then `agentopt resume"):
        await optimize_async(hides, task=Task("t", examples(), broken), model=llm, **options)
    paid = llm.calls
    assert paid
    mended = Task("t", examples(), exact())
    result = await resume_async("run", graph=hides, task=mended, clients={"given/model": llm}, runs_dir=tmp_path)
    assert result.status == "finished"
    with open_run(result.dir) as run:
        sent = [e.data["address"] for e in run.events("call.sent")]
    assert len(sent) == len(set(sent)) == llm.calls


def test_examples_that_repeat_are_left_out_and_it_is_said() -> None:
    task = Task("t", [*examples(10), *examples(4)], exact())
    assert len(task.examples) == 10
    assert task.notes == ("4 of 14 examples repeat an earlier one and were left out",)


async def test_a_run_says_which_examples_it_left_out(tmp_path: Path) -> None:
    task = Task("t", [*examples(20), *examples(4)], exact())
    result = await optimize_async(
        hides,
        task=task,
        model=ScriptedLLM(down_for()),
        optimizer="random",
        steps=0,
        runs_dir=str(tmp_path),
        cache=False,
    )
    with open_run(result.dir) as run:
        assert any("4 of 24 examples repeat" in str(e.data["text"]) for e in run.events("warning"))


@pytest.mark.parametrize(
    ("count", "options", "said"),
    [
        (2, {}, "none is left for"),
        (20, {"limit": 2}, "with limit=2: none is left for"),
        (20, {"split": SplitSpec(search=15, validation=4, test=4)}, "its splits ask for search 15"),
    ],
)
async def test_a_split_with_none_left_is_refused_before_anything_is_paid(
    tmp_path: Path, count: int, options: dict[str, Any], said: str
) -> None:
    task = Task("t", examples(count), exact(), split=options.pop("split", SplitSpec()))
    llm = ScriptedLLM(down_for())
    with pytest.raises(UsageError, match=said):
        await optimize_async(
            hides, task=task, model=llm, optimizer="random", runs_dir=str(tmp_path / "runs"), **options
        )
    assert llm.calls == 0
    assert not (tmp_path / "runs").exists()


def test_a_scorers_failure_has_no_score_even_if_it_brings_one() -> None:
    with pytest.raises(ValueError, match="no score"):
        agentopt.evaluate.scoring.ScorerError(score=1.0, text="x")  # type: ignore[attr-defined]
    assert Feedback(score=None).score is None

"""The loop from baseline to claim, on a scripted model: what it does, refuses, records, and survives."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import agentopt
from agentopt.core.values import Candidate, Feedback, Outcome, Proposal
from agentopt.errors import BudgetTooSmall, LLMError, TransientLLMError, UnknownName, UsageError
from agentopt.evaluate import Example, SplitSpec, Task
from agentopt.llm.types import Request
from agentopt.run.api import optimize_async, resume_async
from agentopt.run.archive import Archive
from agentopt.run.config import RunConfig
from agentopt.run.deploy import load
from agentopt.run.evaluation import evaluate_async
from agentopt.run.files import find_run, list_runs, open_run
from agentopt.run.options import Options
from agentopt.run.telling import Telling
from agentopt.testing import ScriptedLLM

STYLE = agentopt.Parameter("Answer {{question}}", name="style")


@agentopt.graph
async def answer(question: str) -> Any:
    return await agentopt.allm(STYLE, question=question)


@agentopt.graph
def plain(question: str) -> Any:
    return agentopt.llm(STYLE, question=question)


def task(n: int = 40, **split: Any) -> Task:
    def same(example: Example, output: Any) -> Feedback:
        right = output == example.target
        return Feedback(score=float(right), text="" if right else f"expected {example.target!r}, got {output!r}")

    examples = [Example(input={"question": f"q{i}"}, target=f"right q{i}") for i in range(n)]
    return Task("questions", examples, same, objective="answer", split=SplitSpec(**split))


def says(request: Request) -> str:
    """Right for every question when asked carefully, for every third one otherwise."""
    text = str(request.messages[-1].content)
    question = next(word for word in text.split() if word.startswith("q"))
    careful = "carefully" in text
    return f"right {question}" if careful or int(question[1:]) % 3 == 0 else "wrong"


@pytest.fixture(autouse=True)
def _outside_any_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Listed:
    """An optimizer that suggests texts from a list."""

    name = "listed"

    def __init__(self, texts: Sequence[str], at: int = 0) -> None:
        self.texts, self.at, self.told = list(texts), at, 0

    async def ask(self, view: Any, n: int) -> list[Proposal]:
        texts, self.at = self.texts[self.at : self.at + n], self.at + n
        return [
            Proposal(candidate=Candidate(values={"style": t}, parents=(view.best.candidate.id,)), operator="listed")
            for t in texts
        ]

    def tell(self, outcomes: Sequence[Any]) -> None:
        self.told += len(outcomes)

    def state(self) -> dict[str, Any]:
        return {"at": self.at, "told": self.told}

    def load(self, state: Any) -> None:
        self.at, self.told = state["at"], state["told"]


TEXTS = ["Say {{question}}", "no hole", "Say {{question}}", "Answer carefully: {{question}}", "Tell {{question}} now"]


async def go(
    folder: Path, *, texts: Sequence[str] = TEXTS, llm: Any = None, graph: Any = answer, **options: Any
) -> Any:
    fields = {
        "task": task(),
        "proposals": 3,
        "steps": 2,
        "runs_dir": str(folder),
        "cache": False,
        "name": "run",
    } | options
    return await optimize_async(graph, optimizer=Listed(texts), model=llm or ScriptedLLM(says), **fields)


@pytest.mark.parametrize("graph", [answer, plain], ids=["async", "sync"])
async def test_a_better_prompt_is_found_and_proven(tmp_path: Path, graph: Any) -> None:
    llm = ScriptedLLM(says, delay=0.001)
    result = await go(tmp_path, llm=llm, graph=graph)
    assert result.best.values == {"style": "Answer carefully: {{question}}"}
    assert result.claim.verdict == "better"
    assert (result.claim.n, result.claim.touches) == (16, 0)
    assert result.status == "finished"
    assert result.improved
    assert llm.most_in_flight > 4
    assert (tmp_path / "run" / "best" / "style.md").read_text() == "Answer carefully: {{question}}\n"
    assert any(line.startswith("test: better") for line in result.summary())


async def test_runs_begin_and_end_side_by_side_in_one_process(tmp_path: Path) -> None:
    """One begins while a cell of the other is open, on the same graph: each scores its own candidates."""
    first, second = ScriptedLLM(says, delay=0.3), ScriptedLLM(says)
    plain = asyncio.ensure_future(go(tmp_path, llm=first, texts=["Say {{question}}"], name="plain", progress=False))
    while not first.in_flight and not plain.done():
        await asyncio.sleep(0.001)
    better = await go(tmp_path, llm=second, name="better", progress=False)
    assert better.claim.verdict == "better" and not plain.done()
    assert not (await plain).improved


async def test_a_run_from_python_tells_its_forecast_first_and_what_happens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await go(tmp_path, steps=1, runs_dir=tmp_path)
    told = capsys.readouterr().err
    assert told.index("examples:") < told.index("baseline ") < told.index("step 1 done")
    await go(tmp_path, steps=1, progress=False, name="silent")
    assert capsys.readouterr().err == ""


def test_the_keywords_are_those_of_the_configuration() -> None:
    assert set(Options.__annotations__) == {*RunConfig.model_fields, "clients"} - {"graph", "task"}


async def test_an_option_of_a_wrong_kind_is_told_in_one_line_and_one_text_stands_for_several(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^the option proposals: .*, not 'many'$"):
        await go(tmp_path, proposals="many")
    with pytest.raises(UsageError, match="no invariant named 'leek'"):
        await go(tmp_path, invariants_off="leek")


def test_a_sign_of_life_is_given_where_nothing_else_is_told() -> None:
    lines: list[str] = []
    telling = Telling(lines.append, every=0.05)
    cell = SimpleNamespace(type="cell", data={"outcome": {"status": "timeout"}})
    telling(cell)
    time.sleep(0.06)
    telling(cell)
    telling(cell)
    assert lines == ["  2 evaluations, 2 failed, 0 s"]


async def test_each_phase_is_told_when_it_is_entered(tmp_path: Path) -> None:
    lines: list[str] = []
    await go(tmp_path, on_event=Telling(lines.append), progress=False)
    begins = [line.partition(":")[0] for line in lines]
    assert begins.index("A/A") < begins.index("step 1") < begins.index("validation") < begins.index("test")
    assert begins.count("A/A") == 2, "what is done, and what came of it"
    assert begins.count("test") == 1


async def test_an_evaluation_of_the_test_split_is_no_final_test(tmp_path: Path) -> None:
    lines: list[str] = []
    options: dict[str, Any] = {"task": task(), "model": ScriptedLLM(says), "cache": False, "runs_dir": str(tmp_path)}
    done = await evaluate_async(
        answer, split="test", budget="calls=3", on_event=Telling(lines.append), progress=False, **options
    )
    assert done.status == "budget"
    assert not [line for line in lines if line.startswith("test:")]


@pytest.mark.parametrize("kept", [False, True])
def test_a_mistake_comes_up_without_our_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    """What the caller did wrong is in the text; AGENTOPT_TRACEBACK shows the way that it came."""
    if kept:
        monkeypatch.setenv("AGENTOPT_TRACEBACK", "1")
    with pytest.raises(UsageError) as mistake:
        agentopt.optimize(answer, task=[("a", "b")], runs_dir=str(tmp_path))
    assert (len(mistake.traceback) > 4) == kept
    assert "needs metric" in str(mistake.value)


async def test_what_was_rejected_is_kept_with_its_reason(tmp_path: Path) -> None:
    llm = ScriptedLLM(says)
    await go(tmp_path, llm=llm)
    with open_run(tmp_path / "run") as run:
        rejected = {e.data["values"]["style"]: e.data["reasons"] for e in run.events("proposal.rejected")}
        assert "question" in str(rejected["no hole"])
        assert "same" in str(rejected["Say {{question}}"]) or "duplicate" in str(rejected["Say {{question}}"])
    assert not any("no hole" in str(r.messages) for r in llm.requests)


async def test_every_number_of_the_run_can_be_read_back(tmp_path: Path) -> None:
    result = await go(tmp_path)
    with open_run("run", tmp_path) as run:
        assert run.status == "finished"
        assert run.best() == result.best
        assert run.claim() == result.claim
        cells = run.outcomes(split="test")
        assert len(cells) == 32
        assert all(o.trace for o in cells)
        graph = run.graph(cells[0])
        assert graph is not None
        assert any(record.kind == "llm" for record in graph.nodes)
        assert run.spend()["agent"]["calls"] == len(list(run.events("call.received")))
        forecast = next(iter(run.events("forecast")))
        assert forecast.seq < next(iter(run.events("call.sent"))).seq
    info = list_runs(tmp_path)[0]
    assert (info.name, info.status) == ("run", "finished")
    assert info.score_best is not None
    assert info.score_baseline is not None
    assert info.score_best > info.score_baseline


async def test_no_improvement_is_an_honest_ending_and_leaves_the_test_alone(tmp_path: Path) -> None:
    result = await go(tmp_path, texts=["Say {{question}}", "Tell {{question}}"])
    assert result.claim is None
    assert result.best == result.baseline
    assert "no improvement shown" in result.summary()[0]
    with open_run(tmp_path / "run") as run:
        assert run.outcomes(split="test") == []


async def test_a_budget_that_is_too_small_is_refused_before_the_first_call(tmp_path: Path) -> None:
    llm = ScriptedLLM(says)
    with pytest.raises(BudgetTooSmall, match="calls="):
        await go(tmp_path, llm=llm, budget="calls=50")
    assert llm.calls == 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("budget", ["calls=150", "evaluations=140", "tokens=60000"])
async def test_no_axis_is_exceeded_and_the_final_test_is_still_paid(tmp_path: Path, budget: str) -> None:
    texts = ["Answer carefully: {{question}}", *(f"variant {chr(97 + i)} {{{{question}}}}" for i in range(25))]
    llm = ScriptedLLM(says)
    result = await go(tmp_path, llm=llm, texts=texts, budget=budget, steps=None, patience=50, max_tokens=50)
    axis, _, amount = budget.partition("=")
    assert sum(spend.get(axis, 0) for spend in result.spend.values()) <= float(amount)
    assert result.claim is not None
    assert result.claim.verdict == "better"
    assert llm.calls <= 150 or axis != "calls"


async def test_evaluations_that_cost_nothing_twice_are_not_run_twice(tmp_path: Path) -> None:
    llm = ScriptedLLM(says)
    await go(tmp_path, llm=llm)
    with open_run(tmp_path / "run") as run:
        addresses = [e.data["address"] for e in run.events("call.sent")]
    assert len(addresses) == len(set(addresses)) == llm.calls


async def test_the_worlds_faults_are_not_wrong_answers(tmp_path: Path) -> None:
    def flaky(request: Request) -> Any:
        if "q7" in str(request.messages[-1].content).split():
            return LLMError("model gone")
        return says(request)

    await go(tmp_path, llm=ScriptedLLM(flaky))
    with open_run(tmp_path / "run") as run:
        lost = [o for o in run.outcomes() if o.status == "infra_error"]
        assert lost
        assert all(o.example == lost[0].example and o.score is None and "model gone" in str(o.error) for o in lost)


async def test_a_model_that_is_not_there_stops_the_run_and_says_so(tmp_path: Path) -> None:
    llm = ScriptedLLM(lambda r: LLMError("connection refused"))
    with pytest.raises(LLMError, match="agentopt resume"):
        await go(tmp_path, llm=llm)
    result = await resume_async(
        tmp_path / "run", graph=answer, task=task(), clients={"given/model": ScriptedLLM(says)}, optimizer=Listed(TEXTS)
    )
    assert result.claim is not None
    assert result.claim.verdict == "better"


async def test_crashes_of_the_program_are_scored_lowest_with_their_traceback(tmp_path: Path) -> None:
    @agentopt.graph
    async def fragile(question: str) -> Any:
        text = await agentopt.allm(STYLE, question=question)
        if text == "wrong":
            raise ValueError("cannot read this")
        return text

    result = await go(tmp_path, graph=fragile)
    assert result.claim is not None
    assert result.claim.verdict == "better"
    with open_run(tmp_path / "run") as run:
        failed = [o for o in run.outcomes(split="search") if o.status == "agent_error"]
        assert failed
        assert "cannot read this" in str(failed[0].error)
        graph = run.graph(failed[0])
        assert graph is not None
        assert any(record.error and "cannot read this" in record.error for record in graph.nodes)


async def test_a_cell_that_takes_too_long_is_a_timeout(tmp_path: Path) -> None:
    @agentopt.graph
    async def slow(question: str) -> Any:
        text = await agentopt.allm(STYLE, question=question)
        if text == "wrong":
            await asyncio.sleep(30)
        return text

    result = await go(tmp_path, graph=slow, timeout=0.2)
    with open_run(tmp_path / "run") as run:
        assert {o.status for o in run.outcomes(split="search")} == {"ok", "timeout"}
    assert result.claim is not None


@pytest.mark.parametrize("bad", [float("nan"), 7.0, None, "words", RuntimeError("broken scorer")])
async def test_a_broken_scorer_never_becomes_a_score(tmp_path: Path, bad: Any) -> None:
    def scorer(example: Example, output: Any) -> Any:
        if isinstance(bad, Exception):
            raise bad
        return bad

    broken = Task("broken", task().examples, scorer)
    if bad == "words":  # feedback without a score: nothing to compare
        with pytest.raises(UsageError, match=r"no example of the baseline has a score.*the first: words"):
            await go(tmp_path, task=broken)
    else:
        with pytest.raises(LLMError, match="scorer"):
            await go(tmp_path, task=broken)
    with open_run(tmp_path / "run") as run:
        assert all(o.score is None for o in run.outcomes())


@pytest.mark.parametrize(
    "odd", [float("nan"), 10**5000, Decimal("sNaN"), np.array([1, 2])], ids=lambda v: type(v).__name__
)
async def test_a_candidate_cannot_choose_its_examples_by_what_a_scorer_cannot_take(tmp_path: Path, odd: Any) -> None:
    shipped = STYLE.value

    @agentopt.graph
    async def sure_or_odd(question: str) -> Any:
        text = await agentopt.allm(STYLE, question=question)
        return 1 if text != "wrong" else 0 if STYLE.value == shipped else odd

    def number(example: Example, output: Any) -> float:
        return float(output)

    result = await go(tmp_path, graph=sure_or_odd, task=Task("odd", task().examples, number))
    with open_run(tmp_path / "run") as run:
        said = next(o for o in run.outcomes(split="search") if o.status == "agent_error")
        assert "scorer 'number'" in str(said.error)
        assert {o.status for o in run.outcomes()} == {"ok", "agent_error"}
        assert all((o.status == "ok") == (o.score is not None) for o in run.outcomes())
    assert result.best is not None and "carefully" in str(result.best.values["style"])


async def test_a_judge_is_asked_on_its_own_account(tmp_path: Path) -> None:
    async def judged(example: Example, output: Any) -> float:
        verdict = await agentopt.allm("Is {{a}} the same as {{b}}?", a=str(output), b=str(example.target))
        return float(verdict == "yes")

    def both(request: Request) -> str:
        text = str(request.messages[-1].content)
        if text.startswith("Is "):
            first, _, second = text[3:-1].partition(" the same as ")
            return "yes" if first == second else "no"
        return says(request)

    result = await go(tmp_path, llm=ScriptedLLM(both), task=Task("judged", task().examples, judged))
    assert result.claim is not None
    assert result.claim.verdict == "better"
    assert result.spend["judge"]["calls"] == result.spend["agent"]["calls"]


async def test_a_sync_scorer_may_ask_a_judge_too(tmp_path: Path) -> None:
    def judged(example: Example, output: Any) -> float:
        return float(agentopt.llm("Repeat {{a}} qx", a=str(output)) == example.target)

    def both(request: Request) -> str:
        text = str(request.messages[-1].content)
        return text[7:-3] if text.startswith("Repeat ") else says(request)

    result = await go(tmp_path, llm=ScriptedLLM(both), task=Task("judged", task().examples, judged))
    assert result.claim is not None
    assert result.claim.verdict == "better"


async def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    uninterrupted = await go(tmp_path / "whole")
    llm = ScriptedLLM(says, delay=0.002)
    running = asyncio.ensure_future(go(tmp_path / "cut", llm=llm))
    while llm.calls < 45:
        await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert list_runs(tmp_path / "cut")[0].status == "interrupted"
    more = ScriptedLLM(says)
    again = await resume_async(
        "run",
        graph=answer,
        task=task(),
        clients={"given/model": more},
        optimizer=Listed(TEXTS),
        runs_dir=tmp_path / "cut",
    )
    assert again.best == uninterrupted.best
    assert again.claim == uninterrupted.claim
    with open_run(tmp_path / "cut" / "run") as run, open_run(tmp_path / "whole" / "run") as whole:
        answered = [e.data["address"] for e in run.events("call.received")]
        assert len(answered) == len(set(answered))

        def cells(r: Any) -> set[Any]:
            return {(o.candidate, o.example, o.repeat, o.score) for o in r.outcomes()}

        assert cells(run) == cells(whole)


async def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    first = await go(tmp_path)
    again = await resume_async("run", graph=answer, task=task(), runs_dir=tmp_path)
    assert again.claim == first.claim


async def test_another_task_is_not_resumed(tmp_path: Path) -> None:
    with pytest.raises(LLMError):
        await go(tmp_path, llm=ScriptedLLM(lambda r: LLMError("down")))
    with pytest.raises(UsageError, match="other examples"):
        await resume_async("run", graph=answer, task=task(41), runs_dir=tmp_path, optimizer=Listed([]))


async def test_a_budget_that_ended_can_be_raised(tmp_path: Path) -> None:
    texts = [f"variant {chr(97 + i)} {{{{question}}}}" for i in range(12)] + ["Answer carefully: {{question}}"]
    options = {"texts": texts, "steps": None, "patience": 50}
    first = await go(tmp_path, budget="evaluations=140", **options)
    assert "budget" in first.reason
    assert first.claim is None
    again = await resume_async(
        "run", add_budget="evaluations=200", graph=answer, task=task(), runs_dir=tmp_path,
        clients={"given/model": ScriptedLLM(says)}, optimizer=Listed(texts),
    )  # fmt: skip
    assert again.claim is not None
    assert again.claim.verdict == "better"
    assert sum(s.get("evaluations", 0) for s in again.spend.values()) <= 340


async def test_loading_the_best_gives_a_plain_function(tmp_path: Path) -> None:
    await go(tmp_path)
    llm = ScriptedLLM(says)
    best = load(tmp_path / "run" / "best", graph=answer, model=llm)
    assert await best("q1") == "right q1"
    assert "carefully" in str(llm.requests[0].messages)
    assert STYLE.value == "Answer {{question}}"


async def test_what_is_loaded_calls_the_model_as_it_was_tested(tmp_path: Path) -> None:
    tested, deployed = ScriptedLLM(says), ScriptedLLM(says)
    await go(tmp_path, llm=tested, temperature=0.3, max_tokens=77, timeout=41)
    await load(tmp_path / "run", graph=answer, model=deployed)("q1")
    (call,) = deployed.requests
    assert (call.temperature, call.max_tokens, call.timeout) == (0.3, 77, 41)
    of_its_place = {"messages", "address", "model", "repeat"}
    assert call.model_dump(exclude=of_its_place) == tested.requests[-1].model_dump(exclude=of_its_place)


async def test_loading_what_no_test_has_shown_to_be_better_warns(tmp_path: Path) -> None:
    result = await go(tmp_path, task=task(10))
    assert not result.improved and result.best.values != result.baseline.values
    with pytest.warns(UserWarning, match="was not shown to be better: cannot be shown"):
        load(tmp_path / "run", graph=answer, model=ScriptedLLM(says))


async def test_noise_is_measured_before_anything_is_compared(tmp_path: Path) -> None:
    count = {"n": 0}

    def noisy(request: Request) -> str:
        count["n"] += 1
        return says(request) if count["n"] % 3 else "noise"

    result = await go(tmp_path, llm=ScriptedLLM(noisy))
    assert result.noise["changed_outputs"] > 0
    assert not result.noise["degenerate"]
    quiet = await go(tmp_path / "quiet")
    assert quiet.noise["degenerate"]


async def test_transient_failures_are_retried_and_counted(tmp_path: Path) -> None:
    seen: set[str] = set()

    def hiccup(request: Request) -> Any:
        text = str(request.messages[-1].content)
        if text not in seen and len(seen) < 3:
            seen.add(text)
            return TransientLLMError("hiccup")
        return says(request)

    llm = ScriptedLLM(hiccup)
    result = await go(tmp_path, llm=llm)
    assert result.spend["agent"]["calls"] == llm.calls
    with open_run(tmp_path / "run") as run:
        assert len(list(run.events("call.failed"))) == 3
        assert not [o for o in run.outcomes() if o.status != "ok"]


async def test_names_that_do_not_exist_say_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="max_connections"):
        await go(tmp_path, max_conections=3)
    with pytest.raises(UnknownName, match="style"):
        await go(tmp_path, parameters=("stile",))
    await go(tmp_path)
    with pytest.raises(UnknownName, match="did you mean 'run'"):
        find_run("rum", tmp_path)


async def test_a_second_use_of_the_test_examples_is_labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agentopt.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    first = await go(tmp_path / "runs")
    second = await go(tmp_path / "runs", name="second")
    assert first.claim.touches == 0
    assert second.claim.touches == 1
    assert "not a fresh test: these examples had been used once before" in second.claim.sentence
    third = await go(tmp_path / "runs", name="third", seed=5)
    assert third.claim.touched_examples > 0
    assert "not a fresh test" in third.claim.sentence


async def test_repeats_average_within_an_example(tmp_path: Path) -> None:
    result = await go(tmp_path, repeats=2)
    assert result.claim.n == 16
    with open_run(tmp_path / "run") as run:
        assert len(run.outcomes(split="test")) == 64


async def test_the_store_holds_no_pickle_and_can_be_mailed(tmp_path: Path) -> None:
    await go(tmp_path)
    record = json.loads((tmp_path / "run" / "best" / "candidate.json").read_text())
    assert record["values"] == {"style": "Answer carefully: {{question}}"}
    assert {p.name for p in (tmp_path / "run").iterdir()} <= {
        "run.sqlite",
        "run.sqlite-wal",
        "run.sqlite-shm",
        "best",
        "lock",
    }


async def test_a_deadline_leaves_time_for_the_test(tmp_path: Path) -> None:
    texts = ["Answer carefully: {{question}}", *(f"variant {chr(97 + i)} {{{{question}}}}" for i in range(25))]

    class Slow(Listed):
        async def ask(self, view: Any, n: int) -> list[Proposal]:
            await asyncio.sleep(0.8)
            return await super().ask(view, n)

    def never_perfect(request: Request) -> str:
        text = str(request.messages[-1].content)
        return "no" if any(f"q{i}" in text.split() for i in range(0, 40, 6)) else says(request)

    options: dict[str, Any] = {"budget": "seconds=6", "patience": 50, "proposals": 1, "cache": False}
    llm = ScriptedLLM(never_perfect, delay=0.05)
    result = await optimize_async(
        answer, task=task(), optimizer=Slow(texts), model=llm, runs_dir=str(tmp_path), **options
    )
    assert "deadline" in result.reason
    assert result.claim is not None
    assert result.claim.verdict == "better"


async def test_a_server_that_dies_on_the_way_stops_the_run_and_costs_nothing(tmp_path: Path) -> None:
    state = {"up": True}

    def dying(request: Request) -> Any:
        if "carefully" in str(request.messages[-1].content):
            state["up"] = False
        return says(request) if state["up"] else TransientLLMError("connection refused", billed=False, retry_after=999)

    with pytest.raises(LLMError, match="agentopt resume"):
        await go(tmp_path, llm=ScriptedLLM(dying), budget="calls=300")
    with open_run(tmp_path / "run") as run:
        assert len(list(run.events("call.failed"))) > 4
        assert run.spend()["agent"]["calls"] == len(list(run.events("call.received")))
    result = await resume_async(
        "run",
        graph=answer,
        task=task(),
        clients={"given/model": ScriptedLLM(says)},
        optimizer=Listed(TEXTS),
        runs_dir=tmp_path,
    )
    assert result.claim is not None
    assert result.claim.verdict == "better"


def test_the_order_in_which_outcomes_came_does_not_show() -> None:
    candidate = Candidate(values={"style": "x"})
    seen = []
    for order in ([0, 1, 2], [2, 0, 1]):
        archive = Archive((0.0, 1.0))
        archive.add(candidate, 0, "")
        for i in order:
            feedback = Feedback(score=float(i % 2))
            archive.put(Outcome(candidate=candidate.id, example=f"e{i}", split="search", feedback=feedback))
        seen.append(archive.scored(candidate.id))
    assert seen[0] == seen[1]

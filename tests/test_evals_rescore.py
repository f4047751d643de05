"""Answers of a run scored again: no model is asked, and the new run names the old one."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt import Example, Task, graph, llm
from agentopt.core.values import Feedback
from agentopt.errors import LLMError, UsageError
from agentopt.evaluate import exact
from agentopt.evaluate.extremal import closed_form
from agentopt.evaluate.scoring import ScorerError, normalise
from agentopt.llm.toolrun import arun_tools
from agentopt.llm.types import Response, ToolCall
from agentopt.run.evaluation import evaluation_of
from agentopt.run.files import open_run
from agentopt.run.rescore import rescore
from agentopt.testing import ScriptedLLM

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def scored(cli: Cli, new_workspace: Path) -> Path:
    """A workspace with an evaluation, whose model is gone since."""
    assert cli("eval", "sums_by_carry", "-q", "--name", "first")[0] == 0
    (new_workspace / "scripted.py").unlink()
    (new_workspace / "graphs" / "solve.py").unlink()
    return new_workspace


def milder(place: Path) -> None:
    """Give half a point where the number is right and there is more than that."""
    file = place / "tasks" / "sums.py"
    text = file.read_text()
    assert 'return 0.0, f"the number is right' in text
    file.write_text(text.replace('return 0.0, f"the number is right', 'return 0.5, f"the number is right'))


def test_the_present_scorer_scores_without_graph_and_model(cli: Cli, scored: Path) -> None:
    milder(scored)
    code, out, err = cli("rescore", "first", "--name", "again")
    assert code == 0, err
    assert "the answers are those of run first, scored again; no model was called" in out
    before, now = evaluation_of(scored / "runs" / "first"), evaluation_of(scored / "runs" / "again")
    by_cell = {(o.example, o.repeat): o for o in before.outcomes}
    assert len(now.outcomes) == len(before.outcomes) == 36
    changed = 0
    for o in now.outcomes:
        then = by_cell[o.example, o.repeat]
        assert (o.output, o.metrics, o.trace, o.status) == (then.output, then.metrics, then.trace, then.status)
        wanted = 0.5 if then.feedback and "the number is right" in then.feedback.text else then.score
        assert o.score == wanted
        changed += o.score != then.score
    assert changed > 3
    assert f"{changed} scores are higher, 0 lower, 0 there in one of the two only" in out
    assert now.spend == {"agent": {"evaluations": 36.0}}
    with open_run(scored / "runs" / "again") as run, open_run(scored / "runs" / "first") as old:
        assert run.started["rescored"]["run"] == "first"
        assert run.started["rescored"]["id"] == old.store.id
        assert run.started["evaluator"] != old.started["evaluator"]
        assert not list(run.events("call.sent", "call.received"))
    assert now.measured is not None and now.measured.pinned
    assert now.measured.measures == (before.measured and before.measured.measures)


def test_an_unchanged_scorer_gives_the_same_scores(cli: Cli, scored: Path) -> None:
    code, out, _ = cli("rescore", "last", "-q")
    assert code == 0
    assert "0 scores are higher, 0 lower, 0 there in one of the two only" in out
    assert "runs/first-rescored" in out
    code, out, _ = cli("rescore", "first", "-q", "--json")
    assert code == 0 and json.loads(out)["dir"] == "runs/first-rescored-2"
    a, b = (evaluation_of(scored / "runs" / name) for name in ("first", "first-rescored"))
    assert a.summary == b.summary
    code, out, _ = cli("compare", "first", "first-rescored")
    assert code == 0


def test_what_has_another_run_s_answers_does_not_go_on(cli: Cli, scored: Path) -> None:
    assert cli("rescore", "first", "-q", "--name", "again")[0] == 0
    for command in ("resume", "replay"):
        code, _, err = cli(command, "again")
        assert code == 2, command
        assert "has the answers of first, scored again" in err


def test_a_scoring_that_was_interrupted_begins_anew(cli: Cli, scored: Path) -> None:
    """Nothing that was paid for is lost with it: the answers are those of the first run."""
    file = scored / "tasks" / "sums.py"
    text = file.read_text()
    cut = '        return 0.0, f"the number is right'
    assert cut in text
    once = "        if not STOPPED:\n            STOPPED.append(1)\n            signal.raise_signal(signal.SIGINT)\n"
    file.write_text(f"import signal\n{text.replace(cut, once + cut)}\n\nSTOPPED = []\n")
    code, _, err = cli("rescore", "first", "-q")
    assert code == 130
    assert "interrupted: `agentopt rescore first` scores all answers anew" in err
    file.write_text(text)
    fragment = evaluation_of(scored / "runs" / "first-rescored")
    assert fragment.status == "interrupted" and len(fragment.outcomes) < 36
    assert any("`agentopt rescore first` scores all answers anew" in note for note in fragment.notes())
    assert not any("agentopt resume" in note for note in fragment.notes())
    for command in (["resume", "first-rescored"], ["rescore"], ["rescore", "first-rescored"]):
        code, _, err = cli(*command)
        assert code == 2 and "`agentopt rescore first` scores" in err, (command, err)
    code, _, err = cli("rescore", "first", "--name", "first-rescored")
    assert code == 2 and "choose another --name" in err and "agentopt resume" not in err
    assert cli("rescore", "first", "-q")[0] == 0
    first, again = (evaluation_of(scored / "runs" / name) for name in ("first", "first-rescored-2"))
    assert again.summary == first.summary


def test_corrected_targets_and_dropped_examples(cli: Cli, scored: Path) -> None:
    (file := scored / "tasks" / "sums.py").write_text(
        (text := (scored / "tasks" / "sums.py").read_text()).replace(
            'Example(input=f"{a} + {b}", target=a + b) for a, b in pairs]',
            'Example(input=f"{a} + {b}", target=a + b + 1) for a, b in pairs if a % 2]',
        )
    )
    assert file.read_text() != text
    (scored / "evals" / "sums_by_carry.py").unlink()
    code, _out, err = cli("rescore", "first", "--name", "again")
    assert code == 0, err
    assert "are no longer in the task, or ask something else" in err
    assert "have another target now" in err
    with open_run("again") as run:
        assert run.started["eval"]["name"] == "sums_by_carry"  # as the run kept it
        assert {o.score for o in run.outcomes()} == {0.0}
        assert 0 < len(run.outcomes()) < 36


def test_a_scorer_that_failed_is_given_another_chance_and_failures_stay(tmp_path: Path) -> None:
    @graph
    def answers(question: str) -> str:
        if question == "breaks":
            raise ValueError("no")
        return llm("{{question}}", question=question)

    def broken(example: Example, output: str) -> float:
        raise KeyError("a bug")

    examples = [Example(input=w, target=w) for w in ("a", "b", "c", "breaks")]
    done = agentopt.evaluate(
        answers, task=Task("words", examples, broken), split="all", progress=False, runs_dir=tmp_path, name="first",
        model=ScriptedLLM(lambda request: str(request.messages[-1].content)), cache=False,
    )  # fmt: skip
    assert done.summary.n_infra == 3
    again = rescore("first", task=Task("words", examples, exact()), runs_dir=tmp_path, progress=False)
    assert (again.summary.mean, again.summary.n, again.summary.n_agent_error) == (0.75, 4, 1)
    with pytest.raises(UsageError, match="was made in Python"):
        rescore("first", runs_dir=tmp_path, progress=False)
    with pytest.raises(UsageError, match="asks nothing now that run first has an answer to"):
        rescore("first", task=Task("words", [("x", "y")], exact()), runs_dir=tmp_path, progress=False)


@pytest.mark.parametrize("beginning", ["told as the scorer's", "in its own words"])
def test_a_scorer_that_could_not_run_scores_later(
    beginning: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a run that kept such a failure in the scorer's own words alone, as runs once did."""
    if beginning == "in its own words":
        monkeypatch.setattr(
            sys.modules[Task.__module__],
            "normalise",
            lambda said, *of, **more: said if isinstance(said, ScorerError) else normalise(said, *of, **more),
        )

    @graph
    def answers(question: str) -> str:
        if question == "hides":
            with contextlib.suppress(LLMError):
                llm("{{question}}", question=question)
            return "hides"
        return llm("{{question}}", question=question)

    def reply(request: Any) -> Any:
        text = str(request.messages[-1].content)
        return LLMError("the server is gone") if text in ("lost", "hides") else text

    def without(example: Example, output: str) -> Feedback:
        return ScorerError(text="the program could not be run: the sandbox cannot import pyscipopt")

    examples = [Example(id=w, input=w, target=w) for w in ("a", "b", "lost", "hides")]
    done = agentopt.evaluate(
        answers, task=Task("words", examples, without), split="all", progress=False, runs_dir=tmp_path, name="first",
        model=ScriptedLLM(reply), cache=False,
    )  # fmt: skip
    kept = {o.example: o for o in done.outcomes}
    assert {o.status for o in kept.values()} == {"infra_error"}
    told = "scorer 'without' gave no score: " if beginning == "told as the scorer's" else ""
    assert kept["a"].error == f"{told}the program could not be run: the sandbox cannot import pyscipopt"
    still = rescore("first", task=Task("words", examples, without), runs_dir=tmp_path, progress=False)
    assert still.summary.n_infra == 4
    again = rescore("first-rescored", task=Task("words", examples, exact()), runs_dir=tmp_path, progress=False)
    assert {o.example: o.score for o in again.outcomes} == {"a": 1.0, "b": 1.0, "lost": None, "hides": None}


def test_a_scorer_that_asks_a_model_is_refused(tmp_path: Path) -> None:
    asked: list[Any] = []

    def reply(request: Any) -> str:
        asked.append(request)
        return "yes"

    @graph
    def echo(text: str) -> str:
        return text

    def judged(example: Example, output: str) -> bool:
        return str(llm("Is {{a}} right?", a=output)) == "yes"

    task = Task("judged", [(w, w) for w in "abc"], judged)
    agentopt.evaluate(
        echo, task=task, split="all", progress=False, runs_dir=tmp_path, name="first", cache=False,
        judge_model=ScriptedLLM(reply),
    )  # fmt: skip
    before = len(asked)
    assert before == 3
    with pytest.raises(UsageError, match="asks a model, and scoring again calls none"):
        rescore("first", task=task, runs_dir=tmp_path, progress=False)
    assert len(asked) == before
    assert not (tmp_path / "first-rescored").exists()


def test_what_a_scorer_reads_off_the_trace_is_read_again(tmp_path: Path) -> None:
    @graph
    def answers(text: str) -> Any:
        return llm("What is {{a}}?", a=text)

    def looked(example: Example, output: str, trace: Any) -> dict[str, Any]:
        kinds = [node.meta.kind for node in trace.nodes]
        return {"score": 1.0, "parts": {"asked": float(kinds.count("llm")), "records": float(len(trace.graph))}}

    cut = Response(text="Then the value is 3", finish="length")
    run: dict[str, Any] = {"split": "all", "progress": False, "runs_dir": tmp_path, "cache": False}
    for name, scorer in (("cut", closed_form()), ("looked", looked)):
        task = Task(name, [("x", "3"), ("y", "3"), ("z", "3")], scorer)
        done = agentopt.evaluate(answers, task=task, model=ScriptedLLM(lambda _: cut), name=name, **run)
        again = rescore(name, task=task, runs_dir=tmp_path, progress=False)
        assert [o.feedback for o in again.outcomes] == [o.feedback for o in done.outcomes]
        assert all(o.feedback is not None and o.feedback.parts for o in again.outcomes)


def test_tools_that_a_model_asked_for_are_known_when_scored_again(tmp_path: Path) -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @graph
    async def answers(text: str) -> Any:
        return await arun_tools("What is {{a}}?", a=text, tools=[add])

    asks = Response(tool_calls=(ToolCall(id="1", name="add", arguments='{"a": 1, "b": 2}'),), finish="tool_calls")
    said = Response(text="It is \\boxed{3}")
    model = ScriptedLLM(lambda request: said if any(m.role == "tool" for m in request.messages) else asks)
    task = Task("tools", [("x", "3"), ("y", "3"), ("z", "3")], closed_form())
    done = agentopt.evaluate(
        answers, task=task, split="all", progress=False, runs_dir=tmp_path, name="tools", model=model, cache=False
    )
    again = rescore("tools", task=task, runs_dir=tmp_path, progress=False)
    for outcomes in (done.outcomes, again.outcomes):
        assert [o.feedback.parts["tools"] for o in outcomes if o.feedback] == [1.0] * 3

"""What a cell leaves behind and whose fault a failure is."""

from __future__ import annotations

import asyncio
import sys
import urllib.error
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

import agentopt
from agentopt.core.values import Candidate
from agentopt.errors import LLMError, TransientLLMError
from agentopt.evaluate import Example, ScorerError, Task
from agentopt.llm.types import Request, Response, Usage
from agentopt.run.blame import blame, unscored
from agentopt.run.files import open_run
from agentopt.testing import ScriptedLLM

CANDIDATE = Candidate(values={"style": "x"}, origin="test")
REQUEST = httpx.Request("POST", "http://127.0.0.1:9/v1")


def right(gold: Any, prediction: Any, trace: Any) -> bool:
    return bool(prediction == gold.target)


def score(graph: Any, llm: Any, n: int = 4, **options: Any) -> Any:
    task = [({"question": f"q{i}"}, f"right q{i}") for i in range(n)]
    given: dict[str, Any] = {"metric": right, "model": llm, "split": "all", "progress": False, "cache": False}
    return agentopt.evaluate(graph, task=task, **{**given, "name": "run", **options})


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


STYLE = agentopt.Parameter("Answer {{question}}", name="style")


@pytest.mark.parametrize("connections", [1, 4, 16])
def test_what_a_failed_branch_left_under_way_is_paid_once_and_used_in_the_next_try(connections: int) -> None:
    class Model:
        """The second call of a cell fails for good, once, while the first is still under way."""

        def __init__(self) -> None:
            self.asked: list[str] = []

        async def complete(self, request: Request) -> Response:
            text = str(request.messages[-1].content)
            self.asked.append(text)
            if text.startswith("second") and self.asked.count(text) == 1:
                raise LLMError("no")
            await asyncio.sleep(0.05)
            return Response(text=text, usage=Usage(input_tokens=1, output_tokens=1))

    @agentopt.graph
    async def solve(question: str) -> str:
        first, _ = await asyncio.gather(
            agentopt.allm(f"first {question.value}"), agentopt.allm(f"second {question.value}")
        )
        return f"right {first.value.split()[1]}"

    model = Model()
    result = score(solve, model, max_connections=connections, budget="calls=12")
    assert [outcome.score for outcome in result.outcomes] == [1.0] * 4
    assert sorted(model.asked) == sorted([*(f"first q{i}" for i in range(4)), *(f"second q{i}" for i in range(4))]
                                         + [f"second q{i}" for i in range(4)])  # fmt: skip
    assert result.spend["agent"]["calls"] == 12
    with open_run("runs/run") as run:
        assert len(list(run.events("call.sent"))) == 12
        assert run.store.unanswered() == []


def test_a_call_of_a_branch_that_was_cancelled_is_heard_to_its_end() -> None:
    async def slow(request: Request) -> str:
        await asyncio.sleep(0.05)
        return "late"

    @agentopt.graph
    async def solve(question: str) -> str:
        call = asyncio.ensure_future(agentopt.allm(STYLE, question=question))
        await asyncio.sleep(0.01)
        call.cancel()
        return f"right {question.value}"

    class Model:
        async def complete(self, request: Request) -> Response:
            return Response(text=await slow(request), usage=Usage(input_tokens=1, output_tokens=1))

    result = score(solve, Model())
    assert result.summary.mean == 1.0
    with open_run("runs/run") as run:
        assert len(list(run.events("call.received"))) == 4
        assert not list(run.events("call.failed"))


@pytest.mark.parametrize(
    "problem",
    [
        urllib.error.URLError("refused"),
        httpx.ConnectError("refused", request=REQUEST),
        openai.APIConnectionError(request=REQUEST),
        openai.RateLimitError("slow down", response=httpx.Response(429, request=REQUEST), body=None),
        httpx.HTTPStatusError("down", request=REQUEST, response=httpx.Response(503, request=REQUEST)),
        ConnectionResetError("reset"),
        TransientLLMError("busy"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_the_world_is_known_by_what_programs_reach_it_with(problem: Exception) -> None:
    assert blame(problem, CANDIDATE)[0] == "infra_error"


@pytest.mark.parametrize(
    "problem",
    [
        ValueError("no number"),
        FileNotFoundError("notes.txt"),
        openai.BadRequestError("too long", response=httpx.Response(400, request=REQUEST), body=None),
        httpx.HTTPStatusError("gone", request=REQUEST, response=httpx.Response(404, request=REQUEST)),
        urllib.error.HTTPError("http://127.0.0.1", 404, "gone", None, None),  # type: ignore[arg-type]
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_what_the_program_did_wrong_stays_its_own(problem: Exception) -> None:
    assert blame(problem, CANDIDATE)[0] == "agent_error"


SCORER_RAISED = [
    (OverflowError("too large"), "agent_error"),
    (SystemExit(1), "agent_error"),
    (ConnectionResetError(), "infra_error"),
    (openai.APIConnectionError(request=REQUEST), "infra_error"),
    (urllib.error.URLError("no route"), "infra_error"),
]


@pytest.mark.parametrize(("problem", "status"), SCORER_RAISED, ids=[type(p).__name__ for p, _ in SCORER_RAISED])
async def test_a_scorer_that_raises_on_a_candidates_output(problem: BaseException, status: str) -> None:
    def breaks(example: Example, output: Any) -> float:
        raise problem

    examples = [Example(input={"question": "q"}, target="a")]
    said = await Task("t", examples, breaks).ascore(examples[0], "a")
    assert isinstance(said, ScorerError)
    assert unscored(said, CANDIDATE) == status
    assert unscored(said, Candidate(values={"style": "x"}, origin="baseline")) == "infra_error"


async def test_a_scorer_that_says_itself_that_it_failed() -> None:
    examples = [Example(input={"question": "q"}, target="a")]
    said = await Task("t", examples, lambda example, output: ScorerError(text="the machine is broken")).ascore(
        examples[0], "a"
    )
    assert isinstance(said, ScorerError)
    assert unscored(said, CANDIDATE) == "infra_error"


@pytest.mark.parametrize("how", ["exit", "cancelled"])
def test_a_program_that_exits_or_cancels_itself_is_scored_and_ends_nothing(how: str) -> None:
    @agentopt.graph
    async def solve(question: str) -> str:
        if how == "exit":
            sys.exit(3)
        raise asyncio.CancelledError

    result = score(solve, ScriptedLLM(lambda request: "x"))
    assert [(o.status, o.score) for o in result.outcomes] == [("agent_error", None)] * 4
    assert result.summary.mean == 0.0


def test_no_key_of_the_environment_is_kept_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "verysecretword")

    @agentopt.graph
    async def solve(question: str) -> str:
        raise RuntimeError("refused for verysecretword")

    score(solve, ScriptedLLM(lambda request: "x"))
    with open_run("runs/run") as run:
        errors = [outcome.error or "" for outcome in run.outcomes()]
    assert errors
    assert all("RuntimeError: refused for ***" in error for error in errors)
    assert "verysecretword" not in str(errors)

"""Runs whose calls go through the gateway: attribution, budget, blame, and ``kill -9`` at any moment."""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openai
import pytest

import agentopt
from agentopt.core.values import Candidate, Proposal
from agentopt.evaluate import Example, Task
from agentopt.run.api import evaluate_async, optimize_async
from agentopt.run.files import open_run
from agentopt.run.replay import replay_async
from agentopt.testing import StubReply, StubServer

STYLE = agentopt.Parameter("Answer {{question}}", name="style")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def said(client: Any, model: str, text: str) -> str:
    turns = [{"role": "user", "content": text}]
    return str((await client.chat.completions.create(model=model, messages=turns)).choices[0].message.content)


@agentopt.node
async def ask(question: str) -> str:
    """Two calls at once and one after them, by a client that knows nothing of agentopt."""
    text = agentopt.render(STYLE, question=question)
    with agentopt.gateway() as g:
        async with openai.AsyncOpenAI(base_url=g.url, api_key=g.key) as client:
            both = await asyncio.gather(*(said(client, g.model, f"{text} ({part})") for part in "ab"))
            return both[0] if both[0] != both[1] else await said(client, g.model, f"{text} (again)")


@agentopt.graph
async def answer(question: str) -> Any:
    return await ask(question)


@agentopt.graph
async def shouting(question: str) -> Any:
    return await ask(question.upper())


@agentopt.graph
def hiding(question: str) -> Any:
    return hide(question)


@agentopt.node
def hide(question: str) -> str | None:
    """A program that takes every failure for an answer."""
    turns: Any = [{"role": "user", "content": agentopt.render(STYLE, question=question)}]
    with agentopt.gateway() as g, openai.OpenAI(base_url=g.url, api_key=g.key) as client:
        try:
            return client.chat.completions.create(model=g.model, messages=turns).choices[0].message.content
        except openai.OpenAIError:
            return "no answer"


def task(n: int = 24) -> Task:
    def same(example: Example, output: Any) -> float:
        return float(output == example.target)

    return Task("questions", [Example(input={"question": f"q{i}"}, target=f"right q{i}") for i in range(n)], same)


def reply(body: dict[str, Any]) -> StubReply:
    """A function of the request; how long it takes is another one."""
    text = str(body["messages"][-1]["content"])
    question = re.search(r"q(\d+)", text)
    right = question and ("carefully" in text or int(question[1]) % 3 == 0)
    return StubReply(f"right q{question[1]}" if question and right else "wrong", delay=len(text) % 5 / 100)


class Listed:
    """An optimizer that suggests texts from a list."""

    name = "listed"

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts, self.at = list(texts), 0

    async def ask(self, view: Any, n: int) -> list[Proposal]:
        texts, self.at = self.texts[self.at : self.at + n], self.at + n
        return [Proposal(candidate=Candidate(values={"style": t}), operator="listed") for t in texts]

    def tell(self, outcomes: Any) -> None: ...

    def state(self) -> dict[str, Any]:
        return {"at": self.at}

    def load(self, state: Any) -> None:
        self.at = state["at"]


TEXTS = ["Say {{question}}", "Answer carefully: {{question}}"]
OPTIONS: dict[str, Any] = {"runs_dir": "runs", "name": "run", "cache": False}


async def test_a_prompt_behind_a_foreign_client_is_improved_and_every_call_is_its_cells() -> None:
    with StubServer(reply) as server:
        result = await optimize_async(
            answer, task=task(60), model=server.model, optimizer=Listed(TEXTS), steps=1, budget="calls=2000", **OPTIONS
        )
        assert result.best is not None and result.best.values == {"style": TEXTS[1]}
        assert result.improved
        assert server.most_in_flight > 8
        asked = server.count
    with open_run("run", "runs") as run:
        assert result.spend["agent"]["calls"] == asked == len(list(run.events("call.received")))
        examples = {o.example: o for o in run.outcomes()}
        questions: dict[str, set[str]] = {}
        for event in run.events("call.sent"):
            scope, path, ordinal = event.data["address"].split("|")
            _, candidate, example, _ = scope.split("/")
            text = json.loads(run.store.blob(event.data["payload"]))["messages"][-1]["content"]
            style = next(s.candidate for s in run.candidates() if s.candidate.id == candidate).values["style"]
            question = re.search(r"q\d+", text)[0]  # type: ignore[index]
            assert text.startswith(style.replace("{{question}}", question))
            questions.setdefault(example, set()).add(question)
            assert re.fullmatch(r"answer:0/ask:0/~gateway:0/[0-9a-f]{12}", path)
            assert ordinal == "0"
        assert set(questions) == set(examples)
        assert all(len(of) == 1 for of in questions.values()), "a call was booked on another example's cell"


async def test_such_a_run_replays_offline_and_a_changed_program_is_named() -> None:
    options: dict[str, Any] = {"task": task(), "optimizer": Listed(TEXTS), "runs_dir": "runs"}
    with StubServer(reply) as server:
        await optimize_async(
            answer, model=server.model, steps=1, budget="calls=2000", name="run", cache=False, **options
        )
    again = await replay_async("run", graph=answer, **{**options, "optimizer": Listed(TEXTS)})
    assert again.clean, again.summary()
    assert again.compared["calls"] > 50
    changed = await replay_async("run", graph=shouting, **{**options, "optimizer": Listed(TEXTS)})
    assert changed.divergence is not None
    assert changed.divergence.kind == "call"


async def test_the_end_of_a_budget_is_no_answer() -> None:
    with StubServer(reply) as server:
        options = {"task": task(), "model": server.model, "split": "all", "budget": "calls=9", **OPTIONS}
        first = await evaluate_async(hiding, **options)
        assert server.count == 9
        assert len(first.outcomes) <= 9
        assert {(o.status, o.error) for o in first.outcomes} == {("ok", None)}
        assert "no answer" not in {o.output for o in first.outcomes}
        with open_run("run", "runs") as run:
            assert run.status == "budget"


async def test_a_search_whose_budget_ends_keeps_what_it_has_and_makes_its_test() -> None:
    texts = [f"{word} {{{{question}}}}" for word in ("Say", "Tell", "Give", "Name", "Write", "State", "Put", "Utter")]
    with StubServer(reply) as server:
        ended = await optimize_async(
            hiding, task=task(), model=server.model, optimizer=Listed([*texts, TEXTS[1]]), proposals=3,
            budget="calls=80", **OPTIONS,
        )  # fmt: skip
        assert "budget" in ended.reason
        assert server.count <= 80
    with open_run("run", "runs") as run:
        assert len(list(run.events("call.received"))) == server.count
        assert "no answer" not in {o.output for o in run.outcomes()}


async def test_a_failing_server_is_not_a_wrong_answer() -> None:
    with StubServer(reply) as server:
        server.fail(StubReply("bad key", status=401), times=1000)
        result = await evaluate_async(answer, task=task(8), model=server.model, split="all", **OPTIONS)
    assert {o.status for o in result.outcomes} == {"infra_error"}
    assert all("bad key" in (o.error or "") for o in result.outcomes)


KEYS: list[Any] = []


@agentopt.graph
async def knocking(question: str) -> Any:
    """The first cell waits for too long; the next ones try its key."""
    with agentopt.gateway() as own:
        if not KEYS:
            KEYS.append(own)
            await asyncio.sleep(30)
        async with openai.AsyncOpenAI(base_url=own.url, api_key=KEYS[0].key) as client:
            try:
                return await said(client, own.model, "hello")
            except openai.APIStatusError as error:
                return str(error.status_code)


async def test_the_key_of_a_cell_that_timed_out_is_refused() -> None:
    KEYS.clear()
    options = {"split": "all", "timeout": 2.0, "max_connections": 1, **OPTIONS}
    with StubServer(reply) as server:
        result = await evaluate_async(knocking, task=task(3), model=server.model, **options)
        assert [o.error for o in result.outcomes[1:]] == [None, None]
        assert [o.status for o in result.outcomes] == ["timeout"] + ["ok"] * (len(result.outcomes) - 1)
        assert {o.output for o in result.outcomes[1:]} == {"401"}
        assert server.count == 0


PROGRAM = textwrap.dedent(
    """
    import asyncio, sys
    import agentopt, openai
    from agentopt.core.values import Candidate, Proposal
    from agentopt.evaluate import Example, Task

    class Words:
        name, at = "words", 0

        async def ask(self, view, n):
            every = ("briefly", "quickly", "slowly", "carefully", "loudly", "softly")
            words = [every[(self.at + i) % 6] for i in range(n)]
            self.at += n
            return [Proposal(candidate=Candidate(values={"style": f"Answer {w} {{{{question}}}}"})) for w in words]

        def tell(self, outcomes): pass

        def state(self): return {"at": self.at}

        def load(self, state): self.at = state["at"]

    STYLE = agentopt.Parameter("Answer {{question}}", name="style")

    async def say(client, model, text):
        turns = [{"role": "user", "content": text}]
        return (await client.chat.completions.create(model=model, messages=turns)).choices[0].message.content

    @agentopt.graph
    async def answer(question):
        return await ask(question)

    @agentopt.node
    async def ask(question):
        text = agentopt.render(STYLE, question=question)
        with agentopt.gateway() as g:
            async with openai.AsyncOpenAI(base_url=g.url, api_key=g.key) as client:
                return (await asyncio.gather(*(say(client, g.model, f"{text} ({i})") for i in range(3))))[0]

    def same(example, output):
        return output == example.target

    def questions():
        return Task("questions", [Example(input={"question": f"q{i}"}, target=f"right q{i}") for i in range(20)], same)

    if __name__ == "__main__":
        what, folder, url = sys.argv[1:]
        if what == "start":
            agentopt.optimize(answer, task=questions(), model=url, optimizer=Words(), steps=2, proposals=3,
                              max_connections=8, runs_dir=folder, name="run", cache=False, budget="calls=4000")
        else:
            agentopt.resume("run", runs_dir=folder, graph=answer, task=questions(), optimizer=Words())
    """
)


def slow_and_uneven(body: dict[str, Any]) -> StubReply:
    found = reply(body)
    return StubReply(found.text, delay=random.random() / 25)  # what comes first is left to chance


def start(folder: Path, what: str, url: str) -> subprocess.Popen[str]:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), what, str(folder / "runs"), url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)


def end_state(folder: Path) -> Any:
    with open_run(folder / "runs" / "run") as run:
        return {(o.candidate, o.example, o.repeat, o.split, o.status, o.score) for o in run.outcomes()}, run.best()


def test_killed_again_and_again_no_answer_is_asked_twice(kill_again_and_again: Any) -> None:
    whole, cut = kill_again_and_again(slow_and_uneven, start, seed=5, part=4)
    with open_run(cut / "runs" / "run") as run:
        assert not [e for e in run.events("warning") if "differs" in str(e.data)]
    assert end_state(cut) == end_state(whole)

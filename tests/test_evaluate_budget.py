"""A budget's end keeps what was paid; more of it goes on from there, on every axis, and says what it adds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt.cli.app import execute
from agentopt.core.values import Proposal
from agentopt.errors import UsageError
from agentopt.evaluate import Example, Task, exact
from agentopt.llm.types import Message, Request, Response, Usage
from agentopt.run.api import optimize_async, resume_async
from agentopt.run.files import open_run
from agentopt.testing import ScriptedLLM

STYLE = agentopt.Parameter("Answer {{question}}", name="style")
TEXTS = [*(f"variant {chr(97 + i)} {{{{question}}}}" for i in range(25)), "Answer carefully: {{question}}"]
EXAMPLES = [Example(input={"question": f"q{i}"}, target=f"right q{i}") for i in range(40)]


@agentopt.graph
async def answer(question: str) -> Any:
    return await agentopt.allm(STYLE, question=question)


async def judged(example: Example, output: Any) -> float:
    return float(await agentopt.allm(f"judge {output} / {example.target}", max_tokens=20) == "same")


def says(request: Request) -> str:
    text = str(request.messages[-1].content)
    if text.startswith("judge"):
        given, wanted = text[6:].split(" / ")
        return "same" if given == wanted else "other"
    if text.startswith("propose"):
        return TEXTS[int(text.split()[1]) % len(TEXTS)]
    question = next(word for word in text.split() if word.startswith("q"))
    return f"right {question}" if "carefully" in text or int(question[1:]) % 3 == 0 else "wrong"


class Asks:
    """Gets each text from the optimizer's model."""

    name, at = "asks", 0

    async def ask(self, view: Any, n: int) -> list[Proposal]:
        found = []
        for _ in range(n):
            turn = Message(role="user", content=f"propose {self.at}")
            text = (await view.llm.complete(Request(model="", messages=(turn,), max_tokens=30))).text
            found.append(Proposal(candidate=view.baseline.change({"style": text})))
            self.at += 1
        return found

    def tell(self, outcomes: Any) -> None: ...

    def state(self) -> dict[str, Any]:
        return {"at": self.at}

    def load(self, state: Any) -> None:
        self.at = state["at"]


@pytest.fixture(autouse=True)
def _outside_any_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


PRICES = dict.fromkeys(("given/model", "given/optimizer_model", "given/judge_model"), (1.0, 2.0))


async def go(folder: Path, budget: str, llm: Any, **options: Any) -> Any:
    fields = {
        "task": Task("t", EXAMPLES, judged), "steps": None, "patience": 50, "proposals": 2, "cache": False,
        "runs_dir": str(folder), "name": "run", "max_tokens": 30, "prices": PRICES, "max_connections": 4,
    } | options  # fmt: skip
    return await optimize_async(answer, optimizer=Asks(), model=llm, budget=budget, **fields)


async def again(folder: Path, llm: Any, **options: Any) -> Any:
    task = options.pop("task", Task("t", EXAMPLES, judged))
    return await resume_async(
        options.pop("run", "run"),
        graph=answer,
        task=task,
        optimizer=Asks(),
        clients={"given/model": llm},
        runs_dir=folder,
        **options,
    )


class Priced(ScriptedLLM):
    """Tells what its calls cost, as the prices above have it."""

    async def complete(self, request: Request) -> Response:
        response = await super().complete(request)
        usage = response.usage
        return response.model_copy(update={"usd": (usage.input_tokens + 2 * usage.output_tokens) / 1e6})


ENDS = {
    "calls": (400, 3000),
    "tokens": (7_000, 100_000),
    "usd": (0.0098, 1.0),
    "evaluations": (190, 2000),
}


@pytest.mark.parametrize("axis", ENDS)
async def test_more_budget_goes_on_from_what_was_paid(axis: str, tmp_path: Path) -> None:
    first, more = ENDS[axis]
    llm = Priced(says)
    ended = await go(tmp_path, f"{axis}={first}", llm)
    assert "budget" in ended.reason
    assert axis in ended.reason
    assert spent(ended, axis) <= first
    paid = llm.calls
    result = await again(tmp_path, llm, add_budget=f"{axis}={more}")
    assert result.claim is not None
    assert result.claim.verdict == "better"
    assert spent(result, axis) <= first + more
    assert {role for role in result.spend if result.spend[role].get("calls")} == {"agent", "judge", "optimizer"}
    with open_run(result.dir) as run:
        sent = [e.data["address"] for e in run.events("call.sent")]
        assert len(sent) == len(set(sent)) == llm.calls > paid  # nothing that was paid before is asked again
        (resumed,) = run.events("run.resumed")
        assert resumed.data["add_budget"] == {axis: more}
        assert resumed.data["budget"] == {axis: pytest.approx(first + more)}


def spent(result: Any, axis: str) -> float:
    return sum(amounts.get(axis, 0.0) for role, amounts in result.spend.items() if role != "run")


async def test_more_seconds_go_on(tmp_path: Path) -> None:
    ended = await go(tmp_path, "seconds=1.5", ScriptedLLM(says, delay=0.02))
    assert ended.claim is None
    result = await again(tmp_path, ScriptedLLM(says), add_budget="seconds=60")
    assert result.claim is not None
    assert result.claim.verdict == "better"


async def test_the_time_of_a_killed_process_counts(tmp_path: Path) -> None:
    killed = tmp_path / "killed" / "run"

    def kill(event: Any) -> None:
        if event.type == "step.done" and not killed.exists():
            shutil.copytree(tmp_path / "run", killed)  # what a kill would leave: no word of the time at its end

    llm = ScriptedLLM(says, delay=0.01)
    await go(tmp_path, "seconds=60", llm, on_event=kill)
    with open_run(killed) as run:
        used = [float(str(e.data["elapsed"])) for e in run.events("cell")][-1]
        assert used > 0.1
        assert "run" not in run.spend()
    result = await again(killed.parent, llm, run=killed)
    with open_run(result.dir) as run:
        first, last = (float(str(e.data["seconds"])) for e in run.events("clock"))
    assert first == pytest.approx(used)
    assert result.spend["run"]["seconds"] == pytest.approx(first + last)


async def test_every_answer_that_was_paid_when_a_budget_ended_is_an_outcome_or_waits_for_the_next_process(
    tmp_path: Path,
) -> None:
    llm = ScriptedLLM(says, delay=0.002)
    ended = await go(tmp_path, "calls=400", llm)
    with open_run(ended.dir) as run:
        answered = {str(e.data["address"]).split("|")[0] for e in run.events("call.received")}
        cells = {f"cell/{o.candidate}/{o.example}/{o.repeat}" for o in run.outcomes()}
        kept = {a.removesuffix("/judge") for a in answered if a.startswith("cell/")}
        assert cells <= kept
        waiting = kept - cells
        received = len(list(run.events("call.received")))
    assert received == llm.calls  # every answer that was served is in the run's file
    before = llm.calls
    await again(tmp_path, llm, add_budget="calls=3000")
    asked = [str(r.address) for r in llm.requests[before:]]
    assert not [a for a in asked if a.split("|")[0] in waiting]


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("usd=1", "has no limit on usd, so nothing is added to it; its budget is Budget\\(calls=400\\)"),
        ("calls=0", "--add-budget adds nothing"),
        ("", "--add-budget adds nothing"),
        ("words=3", "axis of calls, tokens"),
    ],
)
async def test_a_budget_that_adds_nothing_is_refused(tmp_path: Path, extra: str, said: str) -> None:
    llm = ScriptedLLM(says)
    await go(tmp_path, "calls=400", llm)
    before = llm.calls
    with pytest.raises(UsageError, match=said):
        await again(tmp_path, llm, add_budget=extra)
    assert llm.calls == before


async def test_more_budget_for_a_run_that_has_ended_says_why_it_changes_nothing(tmp_path: Path) -> None:
    llm = ScriptedLLM(says)
    done = await go(tmp_path, "calls=5000", llm, steps=13)
    assert done.claim is not None
    with pytest.raises(UsageError, match="has made its test \\(better\\): more budget changes nothing"):
        await again(tmp_path, llm, add_budget="calls=10")
    await go(tmp_path, "calls=5000", llm, steps=1, name="short")
    with pytest.raises(UsageError, match="did not end for want of budget \\(1 steps are done\\)"):
        await resume_async(
            "short", graph=answer, task=Task("t", EXAMPLES, judged), runs_dir=tmp_path, add_budget="calls=9"
        )


async def test_an_unknown_price_is_refused_before_the_first_call_whichever_role_has_it(tmp_path: Path) -> None:
    llm, other = ScriptedLLM(says), ScriptedLLM(says)
    for role in ("optimizer_model", "judge_model"):
        with pytest.raises(UsageError, match=f"price of given/{role} is not known"):
            await go(tmp_path, "usd=2", llm, name=role, **{role: other, "prices": {"given/model": (1.0, 1.0)}})
    assert llm.calls == other.calls == 0


async def test_a_provider_that_bills_beyond_its_cap_is_reported(tmp_path: Path) -> None:
    class Thinks(ScriptedLLM):
        async def complete(self, request: Request) -> Response:
            response = await super().complete(request)
            hidden = Usage(input_tokens=20, output_tokens=900, reasoning_tokens=890)
            return response.model_copy(update={"usage": hidden})

    result = await go(tmp_path, "tokens=900000", Thinks(says), steps=1, task=Task("t", EXAMPLES, exact()))
    with open_run(result.dir) as run:
        told = [str(e.data["text"]) for e in run.events("warning")]
    assert any("the provider billed" in t and "tokens beyond the cap of" in t for t in told)


def test_the_command_says_what_it_adds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "agentopt.toml").write_text("")
    (tmp_path / "mine.py").write_text(PROGRAM)

    def call(*args: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            execute(args)
        told = capsys.readouterr()
        return int(end.value.code or 0), " ".join((told.out + told.err).split())

    start = "optimize ./mine.py@answer --task ./mine.py@numbers --optimizer random --patience 99 --name run"
    code, told = call(*start.split(), "--budget", "evaluations=170")
    assert code == 4, told
    code, told = call("resume", "run", "--add-budget", "evaluations=50")
    assert "budget: 170 + 50 = 220 evaluations" in told
    code, told = call("resume", "run", "--add-budget", "usd=5")
    assert code
    assert "has no limit on usd, so nothing is added to it" in told


PROGRAM = """
import agentopt
from agentopt.evaluate import exact, task

guess = agentopt.Parameter(50, name="guess", kind="number", low=0, high=1000000)

@agentopt.graph
def answer(x):
    return guess.value + x

@task
def numbers():
    return [(i, -1) for i in range(40)], exact()
"""

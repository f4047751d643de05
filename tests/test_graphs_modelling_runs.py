"""Runs of the agents that solve optimization problems: scored, journalled, replayed, tuned from the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "data"))

from carpenter import CARPENTER, CRASHES, FENCE, FORMULATION, NAMES, PIT, RIGHT, asks, program, said

from agentopt import load_graph, parameters
from agentopt.cli.app import execute
from agentopt.evaluate import Example, Task
from agentopt.evaluate.data import missing_files
from agentopt.evaluate.modelling import Solved, all_figures
from agentopt.llm.types import Request
from agentopt.run.api import evaluate_async
from agentopt.run.files import open_run
from agentopt.run.replay import replay_async
from agentopt.testing import ScriptedLLM

PROBLEMS = (CARPENTER, FENCE, PIT)
TASK = Task(
    "shop",
    [
        Example(id=f"p{i}", input={"problem": p, "names": NAMES[p]}, target=RIGHT[p], meta={"objective": NAMES[p][-1]})
        for i, p in enumerate(PROBLEMS)
    ],
    all_figures(),
)
JUDGED = {"analysis": "It crashes.", "formulation": False, "code": False}


@pytest.fixture(autouse=True)
def _outside_any_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def answers(request: Request) -> Any:
    """The carpenter's first program crashes, the fence's is right, the pit's never comes."""
    turns = " ".join(str(m.content) for m in request.messages)
    problem = next(p for p in PROBLEMS if p in turns)
    kind = asks(request)
    if kind in ("formulate", "reformulate"):
        return FORMULATION if kind == "formulate" else FORMULATION.replace("chairs", "mended")
    if kind == "judge":
        crashed = problem == CARPENTER and "crashed" in said(request)
        return JUDGED if crashed else {"analysis": "Fine.", "formulation": True, "code": True}
    if problem == PIT:
        return "I cannot."
    first = problem == CARPENTER and kind == "program" and "mended" not in turns
    return program(problem, CRASHES) if first else program(problem)


async def run_of(graph: str, values: dict[str, Any]) -> Any:
    return await evaluate_async(
        load_graph(graph), task=TASK, split="all", clients={"m": ScriptedLLM(answers)}, model="m", values=values,
        name="run", cache=False, progress=False, timeout=600.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "calls", "runs"),
    [
        ({"rounds": 2}, [2, 1, 2], [2, 1, 1]),
        ({"rounds": 2, "critic": "self_judge"}, [4, 2, 3], [2, 1, 1]),
        ({"rounds": 2, "critic": "self_judge", "base": "five_element"}, [6, 3, 4], [2, 1, 1]),
    ],
)
async def test_a_run_is_scored_and_replays_without_model_and_sandbox(
    values: dict[str, Any], calls: list[int], runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = load_graph("self_correct")
    result = await run_of("self_correct", values)
    outcomes = sorted(result.outcomes, key=lambda o: o.example)
    assert [o.error for o in outcomes] == [None] * 3
    assert [(o.status, o.feedback.score) for o in outcomes] == [("ok", 1.0), ("ok", 1.0), ("ok", 0.0)]
    assert [o.metrics["calls"] for o in outcomes] == calls
    assert [o.feedback.parts["rounds"] for o in outcomes] == [1.0, 0.0, 0.0]
    with open_run(result.dir) as run:
        ran = [e.data for e in run.events("effect")]
    assert [sum(f"/{o.example}/" in e["place"] for e in ran) for o in outcomes] == runs
    assert {e["record"]["value"]["status"] for e in ran} == {"ok", "crashed", "no_code"}

    async def refuse(*args: Any, **kwargs: Any) -> Solved:
        raise AssertionError("a replay runs no program of the agent's")

    monkeypatch.setitem(graph.__wrapped__.__globals__, "solve_reply", refuse)
    replayed = await replay_async(result.dir, graph=graph, task=TASK)
    assert replayed.clean, replayed.summary()
    assert f"{sum(runs)} effects" in replayed.summary()[0]


async def test_a_sandbox_that_is_not_to_be_had_is_no_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    async def broken(reply: str, names: Any, **options: Any) -> Solved:
        tried.append(reply)
        return Solved(status="infra", text="no isolation is to be had")

    graph = load_graph("self_correct")
    monkeypatch.setitem(graph.__wrapped__.__globals__, "solve_reply", broken)
    result = await run_of("self_correct", {})
    assert {(o.status, o.feedback) for o in result.outcomes} == {("infra_error", None)}
    assert all("no isolation is to be had" in (o.error or "") for o in result.outcomes)
    with open_run(result.dir) as run:
        assert not [e for e in run.events("effect") if "value" in e.data["record"]]
    assert len(tried) == 2 * len(result.outcomes), "it is tried once more, since it may pass"


SLOW = "```python\nwhile True: pass\n```"


async def test_the_agent_gives_a_program_the_seconds_of_its_task() -> None:
    """A task with less time than the usual twenty seconds: its programs are tried as long as they will be judged."""
    task = Task("shop", TASK.examples, all_figures(seconds=0.5))
    result = await evaluate_async(
        load_graph("self_correct"), task=task, split="all", clients={"m": ScriptedLLM(lambda r: SLOW)}, model="m",
        values={"rounds": 0}, name="slow", cache=False, progress=False,
    )  # fmt: skip
    with open_run(result.dir) as run:
        ran, *_ = [e.data["record"]["value"] for e in run.events("effect")]
    assert ran["status"] == "timeout" and "0.5 s" in ran["text"]
    assert result.outcomes[0].feedback.parts["timeout"] == 1.0


# -- from the command line -------------------------------------------------------------------------------------------

SHOP = '''
"""Chairs and tables in many shops."""

from agentopt import Example, Task, task
from agentopt.evaluate.modelling import all_figures


@task
def shop(n: int = 30) -> Task:
    """Choose how many chairs and tables to make."""
    return Task("shop", [example(i) for i in range(n)], all_figures())


def example(i):
    wood, hours = 100 + 7 * i, 90 + 11 * i % 83
    best = max((45 * c + 80 * t, c, t) for c in range(99) for t in range(99) if 5 * c + 20 * t <= wood and 10 * c + 15 * t <= hours)
    problem = f"Chairs take 5 boards, 10 hours and bring 45, tables 20, 15 and 80. There are {wood} boards and {hours} hours."
    names = ["profit"]
    return Example(id=str(i), input={"problem": problem, "names": names}, target={"profit": best[0]}, meta={"objective": "profit"})
'''  # noqa: E501
SCRIPT = '''
"""A model that writes the right program when it is told to check its numbers; its optimizer finds out."""

import re

from agentopt.workspace import prompt_text

PROGRAM = """```python
import json
wood, hours = {wood}, {hours}
plans = [45 * c + 80 * t for c in range(99) for t in range(99) if 5 * c + 20 * t <= wood and 10 * c + 15 * t <= hours]
print(json.dumps({{"profit": {what}(plans)}}))
```"""


def anyone(request):
    text = str(request.messages[-1].content)
    if request.json_schema is not None:
        fields = request.json_schema["properties"].get("suggestion", {}).get("properties")
        if fields is None:
            return {"analysis": "Fine.", "formulation": True, "code": True}
        words = "Check your numbers. " + prompt_text("agents/five_element_program")
        return {"suggestion": {name: words if name == "five_element_program" else "json" for name in fields}}
    if "in five elements; " in text or "State the optimization problem" in text:
        return "Variables: c, t: integer\\nObjective: max 45 c + 80 t\\nConstraints: c >= 0"
    turns = " ".join(str(m.content) for m in request.messages)
    found = re.findall(r"There are (\\d+) boards and (\\d+) hours", turns)
    wood, hours = found[-1] if found else (1, 1)
    return PROGRAM.format(wood=wood, hours=hours, what="max" if "Check your numbers" in text else "min")
'''


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "agentopt.toml").write_text("")
    (tmp_path / "scripted.py").write_text(SCRIPT)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "shop.py").write_text(SHOP)
    return tmp_path


def called(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    with pytest.raises(SystemExit) as ended:
        execute([*words, "--json"])
    out = capsys.readouterr().out
    assert not ended.value.code, out
    return dict(json.loads(out))


def test_five_element_is_tuned_until_done_and_replays(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["optimize", "five_element", "--task", "shop", "--budget", "calls=600", "--model", "scripted/anyone"]
    told = called([*words, "--parameter", "five_element_program", "--steps", "1", "--name", "one"], capsys)
    assert told["claim"]["verdict"] == "better", told
    best = (workspace / "runs" / "one" / "best").rglob("*")
    assert any("Check your numbers." in file.read_text() for file in best if file.is_file())
    replayed = called(["replay", "one"], capsys)
    assert replayed["clean"], replayed


CHECKED = '''
"""Programs whose profit is checked by a function of the workspace's own."""

from agentopt import graph, load_graph, node, prompt

self_correct = load_graph("self_correct")
HINT = prompt("hint")


@node
async def possible(problem, formulation, program, solved):
    """Whether a shop that works can earn nothing."""
    return str(HINT) if solved["values"].get("profit") == 0 else None


@graph
async def checked(problem, names=("objective",)):
    """`self_correct` with the critic of this file."""
    return await self_correct(problem, names, possible)
'''


def test_a_critic_of_the_workspace_is_asked_and_its_words_are_parameters(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "graphs").mkdir()
    (workspace / "graphs" / "checked.py").write_text(CHECKED)
    (workspace / "prompts").mkdir()
    (workspace / "prompts" / "hint.md").write_text("Check your numbers.")
    words = ["--task", "shop", "--limit", "4", "--model", "scripted/anyone"]
    alone = called(["eval", "self_correct", *words, "--name", "alone"], capsys)
    mended = called(["eval", "checked", *words, "--name", "mended"], capsys)
    assert (alone["summary"]["mean"], mended["summary"]["mean"]) == (0.0, 1.0)
    assert {"hint", "critic", "self_correct_judge"} <= set(parameters(load_graph("checked")))
    replayed = called(["replay", "mended"], capsys)
    assert replayed["clean"], replayed


PAGE = Path(__file__).resolve().parents[1] / "docs" / "modelling-agents.md"
COMMANDS = [line[2:] for line in PAGE.read_text().splitlines() if line.startswith("$ agentopt")]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.split()[1:3]))
def test_the_commands_of_the_page_run(command: str, workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if missing_files("optibench"):
        pytest.skip("NOT TESTED ON THE REAL DATA: optibench is not on this machine; AGENTOPT_DATA names its folder")
    told = called([*command.partition(" --model")[0].split()[1:], "--model", "scripted/anyone", "--no-cache"], capsys)
    assert "budget" not in told.get("reason", ""), "the budget of the page ends before the search does"
    with open_run(workspace / "runs" / Path(told["dir"]).name) as run:
        assert {o.status for o in run.outcomes()} == {"ok"}

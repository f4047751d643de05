"""Going on with a run is refused where its outcomes would not be of one program, one model and one scorer."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt.core.values import Candidate, Proposal
from agentopt.errors import UsageError
from agentopt.run.files import open_run
from agentopt.testing import ScriptedLLM

GRAPH = """
import agentopt
from .helpers import tidy
STYLE = agentopt.prompt("style")

@agentopt.graph
def mine(question):
    return tidy(agentopt.llm(STYLE, question=question).value)
"""
TASK = """
from agentopt import task

def right(example, output):
    return output == example.target

@task
def questions():
    "Answer."
    return [{"input": {"question": f"q{i}"}, "target": f"right q{i}"} for i in range(40)], right
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    files = {
        "agentopt.toml": "",
        "graphs/mine.py": GRAPH,
        "graphs/helpers.py": "def tidy(text):\n    return text.strip()\n",
        "tasks/questions.py": TASK,
        "prompts/style.md": "---\nname: style\n---\nAnswer {{question}}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


class Texts:
    """An optimizer that suggests two texts."""

    name = "texts"

    async def ask(self, view: Any, n: int) -> list[Any]:
        texts = ("Say {{question}}", "Answer carefully {{question}}")
        return [Proposal(candidate=Candidate(values={"style": text})) for text in texts]

    def tell(self, outcomes: Any) -> None: ...

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: Any) -> None: ...


def says(request: Any) -> str:
    text = str(request.messages[-1].content)
    number = int(text.rpartition("q")[2])
    return f"right q{number}" if number % 3 == 0 or "carefully" in text else "wrong"


def stopped_when(what: Callable[[Any], bool]) -> None:
    """Begin a run, and press Ctrl-C at an event."""

    def listen(event: Any) -> None:
        if what(event):
            os.kill(os.getpid(), signal.SIGINT)

    result = agentopt.optimize(
        "mine", task="questions", optimizer=Texts(), model=ScriptedLLM(says), steps=1, name="run", cache=False,
        max_connections=1, on_event=listen, progress=False,
    )  # fmt: skip
    assert result.status == "interrupted"


def in_the_test(event: Any) -> bool:
    return event.type == "cell" and event.data["outcome"]["split"] == "test"


def go_on(**options: Any) -> Any:
    given: dict[str, Any] = {"optimizer": Texts(), "model": ScriptedLLM(says), "progress": False}
    return agentopt.resume("run", **{**given, **options})


@pytest.mark.parametrize("file", ["graphs/mine.py", "graphs/helpers.py", "tasks/questions.py"])
def test_a_program_that_was_changed_in_between_is_refused_and_named(place: Path, file: str) -> None:
    stopped_when(in_the_test)
    path = place / file
    kept = path.read_text()
    path.write_text(kept.replace("strip()", "strip().lower()") + "\n\ndef other():\n    return 1\n")
    with pytest.raises(UsageError, match=r"scorer|graphs/\w+\.py has changed since run run began"):
        go_on()
    path.write_text(kept)
    result = go_on()
    assert result.claim.verdict == "better"
    with open_run("runs/run") as run:
        assert len(list(run.events("call.received"))) == len({e.data["address"] for e in run.events("call.received")})


def test_a_prompt_that_is_a_parameter_may_be_changed(place: Path) -> None:
    stopped_when(in_the_test)
    (place / "prompts/style.md").write_text("---\nname: style\n---\nAnswer carefully {{question}}\n")
    assert go_on().claim.verdict == "better"


def test_another_model_is_refused(place: Path) -> None:
    stopped_when(in_the_test)
    with pytest.raises(UsageError, match="the agent's model has .*scripted/other"):
        go_on(model=ScriptedLLM(says, endpoint="scripted/other"))


def test_a_budget_that_is_added_after_the_test_has_begun_opens_no_search(place: Path) -> None:
    class Many(Texts):
        async def ask(self, view: Any, n: int) -> list[Any]:
            texts = ("Answer carefully {{question}}", *(f"Say {view.step} {i} {{{{question}}}}" for i in range(n - 1)))
            return [Proposal(candidate=Candidate(values={"style": text})) for text in texts]

    options: dict[str, Any] = {"optimizer": Many(), "progress": False}

    def listen(event: Any) -> None:
        if in_the_test(event):
            os.kill(os.getpid(), signal.SIGINT)

    agentopt.optimize(
        "mine", task="questions", model=ScriptedLLM(says), steps=9, name="run", cache=False, max_connections=1,
        budget="evaluations=150", on_event=listen, **options,
    )  # fmt: skip
    with open_run("runs/run") as run:
        assert run.state.chosen is not None
        chosen = run.state.chosen
    result = agentopt.resume("run", model=ScriptedLLM(says), add_budget="evaluations=500", **options)
    with open_run("runs/run") as run:
        tested = {outcome.candidate for outcome in run.outcomes(split="test")}
        assert not list(run.events("search.reopened"))
    assert result.best.id == chosen
    assert tested == {chosen, result.baseline.id}

"""Going on with a run is refused where its outcomes would not be of one program, one model and one scorer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt.core.values import Candidate, Proposal
from agentopt.errors import UsageError
from agentopt.run.files import list_runs, open_run
from agentopt.run.result import result_of
from agentopt.store import Store
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


SCRIPT = """
import agentopt
word = agentopt.Parameter("hi", name="word", kind="choice", choices=("hi", "hello"))

@agentopt.graph
def greet(who):
    return word + " " + who

agentopt.optimize(
    greet, task=[(n, f"hello {n}") for n in "abcdefghijklmnopqrstuvwxyzABCD"], optimizer="random", steps=1, name="made",
    metric=lambda gold, prediction, trace: gold.target == prediction, progress=False,
)
"""


def test_a_script_that_runs_when_it_is_imported_starts_nothing_twice(place: Path) -> None:
    (place / "script.py").write_text(SCRIPT)
    subprocess.run([sys.executable, "script.py"], check=True)
    runs = sorted(path.name for path in (place / "runs").iterdir())
    with pytest.raises(UsageError, match=r"script.py calls agentopt.* when it is imported.*__main__"):
        agentopt.load("runs/made")
    with Store(Path("runs/made")) as store:
        store.append_now("search.reopened", {})  # as if it had been cut off
    with pytest.raises(UsageError, match=r"the task of run made was made in Python.*resume\('made', task=\.\.\.\)"):
        agentopt.resume("made")
    assert sorted(path.name for path in (place / "runs").iterdir()) == runs


def test_a_run_that_a_process_works_on_is_shown_as_running(place: Path) -> None:
    seen: list[str] = []

    def listen(event: Any) -> None:
        if event.type == "cell" and not seen:
            seen.extend(info.status for info in list_runs())
            seen.append("; ".join(result_of(Path("runs/run"), list_runs()[0].status).summary()))

    agentopt.optimize(
        "mine", task="questions", optimizer=Texts(), model=ScriptedLLM(says), steps=1, name="run", cache=False,
        on_event=listen, progress=False, budget="evaluations=500",
    )  # fmt: skip
    assert seen[0] == "running"
    assert seen[1].startswith("running: ")
    (info,) = list_runs()
    assert info.status == "finished"
    assert result_of(info.dir).summary()[-2].startswith("of the budget: ")


def test_a_start_that_is_refused_by_its_first_call_leaves_no_run(place: Path) -> None:
    class Refuses:
        async def complete(self, request: Any) -> Any:
            raise UsageError("no such model")

    with pytest.raises(UsageError, match="no such model"):
        agentopt.optimize(
            "mine", task="questions", optimizer=Texts(), model=Refuses(), steps=1, name="x", cache=False, progress=False
        )
    assert not (place / "runs" / "x").exists()


def test_proposals_that_were_all_invalid_are_told_with_what_was_wrong(place: Path, capfd: Any) -> None:
    class Lost(Texts):
        async def ask(self, view: Any, n: int) -> list[Any]:
            return [Proposal(candidate=view.baseline, rejected=("style: the text lost {{question}}",))]

    result = agentopt.optimize(
        "mine", task="questions", optimizer=Lost(), model=ScriptedLLM(says), steps=2, name="x", cache=False
    )
    assert "rejected" in (told := capfd.readouterr().err)
    assert "the text lost {{question}}; " in told
    assert result.summary()[0].startswith("no improvement shown: 2 proposals came, and none could be evaluated")


def test_a_file_that_does_not_parse_is_named_where_a_graph_is_looked_for(place: Path) -> None:
    (place / "graphs" / "mine.py").write_text(GRAPH + "\ndef (\n")
    with pytest.raises(UsageError, match=r"no graph named 'mine', and graphs/mine.py:\d+ does not parse"):
        agentopt.evaluate("mine", task="questions", model=ScriptedLLM(says))

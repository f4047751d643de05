"""Replay: clean as it is, under concurrency, moved, cut, resumed; named after one alteration; never a model, never a
connection."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import random
import re
import shutil
import socket
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import agentopt
from agentopt import Example, Task
from agentopt.cli.app import application
from agentopt.core.values import Candidate, Proposal
from agentopt.errors import LLMError, StoreError, UsageError
from agentopt.llm.types import Request
from agentopt.run.files import open_run
from agentopt.run.replay import replay, write_stored_code
from agentopt.run.replay.divergence import first_difference, node_difference
from agentopt.store import Event, Store
from agentopt.testing import NetworkForbidden, ScriptedLLM, StubServer, forbid_network

_spec = importlib.util.spec_from_file_location("bench", Path(__file__).parent / "benchmarks" / "replay.py")
assert _spec is not None
assert _spec.loader is not None
bench = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(bench)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The benchmark's workspace as the working directory."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(bench.workspace(tmp_path / "ws"))
    return tmp_path / "ws"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The benchmark's workspace with a finished run of the graph ``both``."""
    root: Path = bench.workspace(tmp_path_factory.mktemp("finished") / "ws")
    with contextlib.chdir(root):
        bench.run("both", 0, "one")
    return root


@pytest.fixture
def one_run(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that run, in a copy of its workspace, which is the working directory."""
    shutil.copytree(finished, tmp_path / "ws")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path / "ws")
    return Path("runs/one")


def graph_file(text: str, name: str = "mine") -> None:
    Path(f"graphs/{name}.py").write_text("import agentopt\n" + text)


def answer(request: Request) -> str:
    text = str(request.messages[-1].content)
    found = re.search(r"q(\d+)", text)
    return f"right q{found[1]}" if found and int(found[1]) % 2 else "wrong"


TASK = """
from agentopt import task

@task
def small():
    "Answer."
    return [({"question": f"q{i}"}, f"right q{i}") for i in range(20)], lambda example, output: output == example.target
"""


def small_run(graph: str, model: Any = None, **options: Any) -> Path:
    Path("tasks/small.py").write_text(TASK)
    given = {"name": "small", "cache": False, "max_connections": 4, "optimizer": "random", "steps": 1} | options
    return agentopt.optimize(graph, task="small", model=model or ScriptedLLM(answer), **given).dir


# -- clean ---------------------------------------------------------------------------------------------------------


def test_a_run_with_concurrency_replays_clean_in_every_way(one_run: Path) -> None:
    with open_run(one_run) as run:
        cells, answers = len(run.outcomes()), len(list(run.events("call.received")))
    size = (one_run / "run.sqlite").read_bytes()
    whole = replay("one")
    assert whole.clean, whole.summary()
    assert (whole.compared["cells"], whole.compared["calls"]) == (cells, answers)
    assert replay("one", sequential=True).compared == whole.compared
    last = replay("one", from_step=2)
    assert last.clean
    assert 0 < last.compared["cells"] < cells
    assert replay("one", code="current").clean
    assert (one_run / "run.sqlite").read_bytes() == size, "a replay writes nothing"


def test_scripts_in_threads_with_tools_and_judges_replay_clean(place: Path) -> None:
    bench.run("waiting", 1, "threads")
    result = replay("threads")
    assert result.clean, result.summary()
    assert result.compared["effects"] > 50, "tools are not called again"


def test_outputs_that_depend_on_the_order_of_completion_replay_in_the_recorded_order(place: Path) -> None:
    folder = bench.run("shared", 2, "shared")
    assert replay(folder).clean
    found = replay(folder, sequential=True).divergence
    assert found is not None
    assert found.kind == "node"
    right, told = bench.reordered_unseen(random.Random(1), "shared", folder)
    assert right, told


def test_it_needs_neither_workspace_nor_path(one_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.move(one_run, tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "ws")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(UsageError, match="--trust"):
        replay(tmp_path / "elsewhere")
    result = replay(tmp_path / "elsewhere", trust=True)
    assert result.clean, result.summary()
    assert not [name for name in sys.modules if "agentopt-replay" in str(getattr(sys.modules[name], "__file__", ""))]


@pytest.mark.parametrize("graph", ["both", "shared"])
def test_every_beginning_of_a_run_replays_clean(place: Path, graph: str, thorough: bool) -> None:
    folder = bench.run(graph, 3, "whole", steps=1)
    with Store(folder, readonly=True) as store:
        events = list(store.events())
    rng = random.Random(graph)
    for cut in sorted(rng.sample(range(3, len(events)), 12 if thorough else 4)):
        part = bench.rewrite(
            folder, Path(f"cut/{cut}"), lambda events, blobs, cut=cut: events.__delitem__(slice(cut, None))
        )
        result = replay(part)
        assert result.clean, (cut, events[cut - 1].type, result.summary())


def test_a_run_that_was_cut_and_resumed_replays_in_its_parts(place: Path, thorough: bool) -> None:
    folder = bench.run("both", 4, "whole", steps=1)
    rng = random.Random(4)
    with Store(folder, readonly=True) as store:
        n = len(list(store.events()))
    for cut in rng.sample(range(5, n - 1), 4 if thorough else 2):
        part = bench.rewrite(
            folder, Path(f"runs/cut{cut}"), lambda events, blobs, cut=cut: events.__delitem__(slice(cut, None))
        )
        agentopt.resume(part, clients={"given/model": bench.Model(4)})
        result = replay(part)
        assert result.clean, (cut, result.summary())
        assert result.compared["cells"] > 0


def test_a_resumed_call_that_was_answered_from_a_neighbours_address_replays(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph_file(
        """
import asyncio
import itertools
import os
STYLE = agentopt.prompt("style")
COUNT = itertools.count()

async def branch(side, question, last):
    await asyncio.sleep(0.05 if side == last else 0)
    return await agentopt.allm(STYLE.value + f"{side} {question.value}")

@agentopt.graph
async def mine(question):
    last = os.environ["LAST"].split()
    last = last[min(next(COUNT), len(last) - 1)]
    found = await asyncio.gather(branch("left", question, last), branch("right", question, last))
    return str(found)
"""
    )
    monkeypatch.setenv("LAST", "right")
    folder = small_run("mine", max_connections=1)
    with Store(folder, readonly=True) as store:
        first = next(i for i, event in enumerate(store.events()) if event.type == "cell")
    cut = bench.rewrite(folder, Path("runs/cut"), lambda events, blobs: events.__delitem__(slice(first, None)))
    monkeypatch.setenv("LAST", "left")
    agentopt.resume(cut, clients={"given/model": ScriptedLLM(answer)})
    with Store(cut, readonly=True) as store:
        assert len(list(store.events("call.moved"))) == 2
    monkeypatch.setenv("LAST", "right left")  # the first process began one cell
    result = replay(cut)
    assert result.clean, result.summary()


@pytest.mark.parametrize("calls", [390, 410])
def test_a_run_whose_budget_ended_replays_clean_and_so_does_its_resumption(place: Path, calls: int) -> None:
    folder = bench.run("both", 5, "short", budget=f"calls={calls}")
    with open_run(folder) as run:
        assert list(run.events("budget.exhausted"))
    assert replay(folder).clean
    agentopt.resume(folder, add_budget="calls=2000", clients={"given/model": bench.Model(5)})
    result = replay(folder)
    assert result.clean, result.summary()


def test_an_evaluation_replays_too(place: Path) -> None:
    options: dict[str, Any] = {"task": "questions", "model": bench.Model(1), "cache": False, "name": "scores"}
    folder = agentopt.evaluate("both", split="all", **options).dir
    assert replay(folder).clean
    with bench.edited("graphs/helpers.py", "text.strip()", "text"):
        found = replay(folder, code="current").divergence
    assert found is not None
    assert found.path == "both:0/parse:0"


def test_objects_that_are_in_no_file_are_given(place: Path) -> None:
    style = agentopt.Parameter("Say {{question}}", name="style")

    @agentopt.graph
    def ask(question: str) -> Any:
        return agentopt.llm(style, question=question)

    examples = [Example(input={"question": f"q{i}"}, target=f"right q{i}") for i in range(20)]
    task = Task("inline", examples, lambda example, output: output == example.target)
    options: dict[str, Any] = {"optimizer": "random", "steps": 1, "cache": False, "name": "inline"}
    folder = agentopt.optimize(ask, task=task, model=ScriptedLLM(answer), **options).dir
    with pytest.raises(UsageError, match=r"agentopt\.replay\(\.\.\., task=\.\.\.\)"):
        replay(folder, graph=ask)
    assert replay(folder, graph=ask, task=task).clean


# -- what the world did --------------------------------------------------------------------------------------------


def test_timeouts_failures_and_refusals_are_those_of_the_run(place: Path) -> None:
    graph_file(
        """
import asyncio
from agentopt import errors
STYLE = agentopt.prompt("style")

@agentopt.graph
async def mine(question):
    number = int(question.value[1:])
    if number % 5 == 0:
        await asyncio.sleep(0 if __name__ != "x" and not SLOW else 60)
    try:
        return await agentopt.allm(STYLE, question=question)
    except errors.LLMError as error:
        if number % 3:
            return f"fallback after {error}"
        raise
""".replace("SLOW", "True")
    )

    def moody(request: Request) -> Any:
        found = re.search(r"q(\d+)", str(request.messages[-1].content))
        number = int(found[1]) if found else 0
        return LLMError(f"no answer for {number}") if number % 4 == 1 else answer(request)

    folder = small_run("mine", ScriptedLLM(moody), timeout=0.3)
    with open_run(folder) as run:
        statuses = {o.status for o in run.outcomes()}
    assert {"timeout", "ok"} <= statuses
    result = replay(folder)
    assert result.clean, result.summary()
    assert result.compared["timeouts"] > 0


def test_effects_are_given_again_and_new_ones_are_not_performed(place: Path, tmp_path: Path) -> None:
    code = """
from agentopt.core.effects import effect
from agentopt.core import rng
STYLE = agentopt.prompt("style")

@effect
def stamp():
    with open(PLACE, "a") as file:
        file.write("x")
    return {"size": __import__("os").path.getsize(PLACE)}

@effect
def fails():
    raise FileNotFoundError("not there")

@agentopt.graph
def mine(question):
    try:
        fails()
    except FileNotFoundError as error:
        seen = str(error)
    return agentopt.llm(f"{stamp()} {rng().random()} {seen} {question.value}")
""".replace("PLACE", repr(str(tmp_path / "stamps")))
    graph_file(
        "KEEP = agentopt.prompt('style')\n" + code.replace("def mine(question):", "def mine(question):\n    KEEP.value")
    )
    folder = small_run("mine")
    written = (tmp_path / "stamps").read_text()
    result = replay(folder)
    assert result.clean, result.summary()
    assert result.compared["effects"] > 20
    with bench.edited("graphs/mine.py", "    try:\n        fails()", "    stamp(), stamp()\n    try:\n        fails()"):
        found = replay(folder, code="current").divergence
    assert found is not None
    assert found.kind in ("effect", "call")
    assert (tmp_path / "stamps").read_text() == written, "a replay performs nothing"


def test_an_effect_that_is_not_performed_any_more_is_a_difference(place: Path) -> None:
    graph_file("""
from agentopt.core.effects import effect
STYLE = agentopt.prompt("style")

@effect
def mail():
    return "sent"

@agentopt.graph
def mine(question):
    answer = agentopt.llm(STYLE, question=question)
    mail()
    return answer
""")
    folder = small_run("mine")
    assert replay(folder).clean
    with bench.edited("graphs/mine.py", "    mail()\n", ""):
        found = replay(folder, code="current").divergence
    assert found is not None
    assert found.kind == "effect"
    assert "an effect mail that is not performed now" in found.what


def test_a_request_that_was_refused_is_the_candidates_fault_in_the_replay_too(place: Path) -> None:
    class Refuses(ScriptedLLM):
        async def complete(self, request: Request) -> Any:
            if "other" in str(request.messages[-1].content):
                error = LLMError("refused with 400 (too odd)")
                error.status = 400
                raise error
            return await super().complete(request)

    class Odd:
        name = "odd"

        async def ask(self, view: Any, n: int) -> list[Proposal]:
            return [Proposal(candidate=Candidate(values={"style": "other {{question}}"}))]

        def tell(self, outcomes: Any) -> None: ...

        def state(self) -> dict[str, Any]:
            return {}

        def load(self, state: Any) -> None: ...

    graph_file("""
STYLE = agentopt.prompt("style")

@agentopt.graph
def mine(question):
    return agentopt.llm(STYLE, question=question)
""")
    folder = small_run("mine", Refuses(answer), optimizer=Odd())
    with open_run(folder) as run:
        assert {outcome.status for outcome in run.outcomes()} == {"ok", "agent_error"}
    result = replay(folder, optimizer=Odd())
    assert result.clean, result.summary()


def test_an_event_that_is_missing_is_named(place: Path) -> None:
    folder = small_run("both")
    with sqlite3.connect(folder / "run.sqlite") as db:
        db.execute("DELETE FROM events WHERE seq = 7")
    db.close()
    found = replay(folder).divergence
    assert found is not None
    assert (found.kind, found.seq) == ("order", 7)
    assert "event 7 is missing" in found.what


def test_a_program_that_wants_the_network_is_told(place: Path) -> None:
    code = """
import socket
STYLE = agentopt.prompt("style")

@agentopt.graph
def mine(question):
    try:
        socket.create_connection(("127.0.0.1", 9), timeout=1).close()
    except (OSError, RuntimeError) as error:
        SEEN.write_text(str(error))
    return agentopt.llm(STYLE, question=question)
""".replace("SEEN", f"__import__('pathlib').Path({str(place / 'seen')!r})")
    graph_file(code)
    found = replay(small_run("mine")).divergence
    assert found is not None
    assert found.kind == "network"
    assert "127.0.0.1" in found.what
    assert (place / "seen").read_text().startswith("a replay opens no connection: getaddrinfo('127.0.0.1')")


def test_calls_through_the_gateway_replay(place: Path) -> None:
    graph_file(
        """
import openai
STYLE = agentopt.prompt("style")

@agentopt.graph
def mine(question):
    text = STYLE.value.replace("{{question}}", question.value)
    with agentopt.gateway() as g, openai.OpenAI(base_url=g.url, api_key=g.key, max_retries=0) as client:
        turns = [{"role": "user", "content": text}]
        return client.chat.completions.create(model=g.model, messages=turns).choices[0].message.content
"""
    )
    result = replay(small_run("mine"))
    assert result.clean, result.summary()
    assert result.compared["calls"] > 20


# -- what differs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(bench.KINDS)[:6])
def test_one_alteration_is_named(one_run: Path, kind: str, thorough: bool) -> None:
    for seed in range(3 if thorough else 1):
        right, told = bench.KINDS[kind][0](random.Random(seed), "both", one_run)
        assert right, told


def test_a_changed_prompt_shows_where_it_matters_with_both_texts(one_run: Path) -> None:
    with bench.edited("prompts/style.md", "plainly", "at length"):
        result = replay("one", code="current")
    assert result.divergence is not None
    assert result.divergence.kind == "parameters"
    assert "changed since the run: prompts/style.md" in result.notes
    diff = "\n".join(result.summary())
    assert 'style: "Answer plainly: {{question}}"' in diff
    assert 'style: "Answer at length: {{question}}"' in diff


def test_a_changed_optimizer_is_named_as_its_proposal_or_call(one_run: Path) -> None:
    with bench.edited("words.py", "Answer {a.text}", "Answer {a.text} now"):
        found = replay("one", code="current").divergence
    assert found is not None
    assert (found.kind, found.step) == ("proposal", 1)
    with bench.edited("words.py", 'f"word {self', 'f"words {self'):
        found = replay("one", code="current", from_step=2).divergence
    assert found is not None
    assert (found.kind, found.step, found.address) == ("call", 2, "ask/1||0")


def test_a_changed_scorer_is_named_as_an_outcome_or_a_judge_call(one_run: Path) -> None:
    with bench.edited("tasks/questions.py", "output == example.target", "output != example.target"):
        found = replay("one", code="current").divergence
    assert found is not None
    assert found.kind == "outcome"
    assert "feedback.score" in found.what


def test_other_parameters_are_named(one_run: Path) -> None:
    extra = 'STYLE = prompt("style")\nMORE = __import__("agentopt").Parameter("x", name="more")'
    with (
        bench.edited("graphs/both.py", 'STYLE = prompt("style")', extra),
        bench.edited("graphs/both.py", "return parse(answer)", "return parse(answer) + MORE.value[:0]"),
    ):
        found = replay("one", code="current", from_step=2).divergence
    assert found is not None
    assert (found.kind, found.now) == ("parameters", ["more", "style"])


def test_a_changed_library_is_told_with_where_it_matters(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "lib" / "mylibrary.py"
    library.parent.mkdir()
    library.write_text("def clean(text):\n    return text.strip()\n")
    monkeypatch.syspath_prepend(str(library.parent))
    graph_file(
        """
import mylibrary
STYLE = agentopt.prompt("style")

@agentopt.node
def tidy(text):
    return mylibrary.clean(text)

@agentopt.graph
def mine(question):
    return tidy(agentopt.llm(STYLE, question=question))
"""
    )
    folder = small_run("mine")
    assert not replay(folder).notes
    library.write_text("def clean(text):\n    return text.strip() + '?'  # a new release\n")
    del sys.modules["mylibrary"]
    result = replay(folder)
    assert any(note.startswith("mylibrary sha256:") for note in result.notes)
    assert result.divergence is not None
    assert result.divergence.path == "mine:0/tidy:0"


def test_an_altered_answer_is_named_at_the_node_that_it_changes(one_run: Path) -> None:
    named: list[str] = []

    def change(events: list[Event], blobs: dict[str, bytes]) -> None:
        answered = [i for i, e in enumerate(events) if e.type == "call.received" and "right" in json.dumps(e.data)]
        place = answered[len(answered) // 2]
        data = json.loads(json.dumps(events[place].data))
        data["response"]["text"] += " indeed"
        named.append(data["address"].split("/")[2])
        events[place] = events[place].model_copy(update={"data": data})

    found = replay(bench.rewrite(one_run, Path("altered"), change)).divergence
    assert found is not None
    assert (found.kind, found.example) == ("node", named[0])


# -- what cannot be replayed ---------------------------------------------------------------------------------------


def test_stored_code_of_another_workspace_is_not_run_without_trust(one_run: Path, tmp_path: Path) -> None:
    with bench.edited("graphs/helpers.py", "text.strip()", "text.strip()[:]"):
        with pytest.raises(UsageError, match=r"graphs/helpers\.py.*--trust"):
            replay("one")
        assert replay("one", trust=True).clean
    written = write_stored_code("one", tmp_path / "look")
    assert (tmp_path / "look/graphs/helpers.py") in written
    assert (tmp_path / "look/graphs/helpers.py").read_text() == bench.WORKSPACE["graphs/helpers.py"]


def test_a_run_without_code_or_without_a_step_says_so(one_run: Path) -> None:
    with pytest.raises(UsageError, match="began 2 steps"):
        replay("one", from_step=3)

    def older(events: list[Event], blobs: dict[str, bytes]) -> None:
        events[0] = events[0].model_copy(update={"data": {k: v for k, v in events[0].data.items() if k != "refs"}})

    with pytest.raises(UsageError, match="did not keep its code"):
        replay(bench.rewrite(one_run, Path("older"), older))
    with pytest.raises(StoreError, match="no beginning"):
        replay(bench.rewrite(one_run, Path("empty"), lambda events, blobs: events.__setitem__(0, _note(events[0]))))


def _note(event: Event) -> Event:
    return event.model_copy(update={"type": "note"})


def test_a_file_that_would_leave_its_folder_is_refused(one_run: Path, tmp_path: Path) -> None:
    def evil(events: list[Event], blobs: dict[str, bytes]) -> None:
        data = json.loads(json.dumps(events[0].data))
        data["sources"]["../../evil.py"] = next(iter(data["sources"].values()))
        events[0] = events[0].model_copy(update={"data": data})

    folder = bench.rewrite(one_run, Path("evil"), evil)
    with pytest.raises(UsageError, match="would lie outside"):
        write_stored_code(folder, tmp_path / "look")


def test_the_command_says_it_by_its_exit_code(one_run: Path) -> None:
    runner = CliRunner()
    clean = runner.invoke(application("replay"), ["replay", "one", "--json"])
    assert clean.exit_code == 0
    assert json.loads(clean.stdout)["clean"] is True
    with bench.edited("graphs/helpers.py", "text.strip()", "text.strip() + '.'"):
        diverged = runner.invoke(application("replay"), ["replay", "one", "--code", "current"])
        assert diverged.exit_code == 1
        assert "where: baseline" in diverged.stdout
        assert "-value:" in diverged.stdout
        refused = runner.invoke(application("replay"), ["replay", "one"])
    assert isinstance(refused.exception, UsageError), "exit code 2"
    db = sqlite3.connect(one_run / "run.sqlite")
    with db:
        db.execute("DELETE FROM blobs WHERE id IN (SELECT payload FROM calls LIMIT 1)")
    db.close()
    assert runner.invoke(application("replay"), ["replay", "one"]).exit_code == 1


# -- comparison ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "now", "place"),
    [
        ({"a": 1}, {"a": 1.0}, None),
        ({"a": True}, {"a": 1}, "a"),
        ({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "y"}]}, "a[1].b"),
        ({"a": 1}, {}, "a"),
        ([1], [1, 2], ""),
        (None, 0, ""),
    ],
)
def test_the_first_difference_is_found(then: Any, now: Any, place: str | None) -> None:
    found = first_difference(then, now)
    assert (None if found is None else found[0]) == place


def test_nodes_are_compared_without_places_and_addresses_of_objects() -> None:
    def graph(*nodes: tuple[str, Any, str | None]) -> dict[str, Any]:
        made = [
            {"path": p, "name": p, "kind": "call", "value": v, "exact": False, "constants": {}, "error": e}
            for p, v, e in nodes
        ]
        return {"nodes": made}

    trace = 'Traceback (most recent call last):\n  File "{}", line {}, in f\nValueError: no'
    one = graph(("a:0", "<f at 0x7f0011223344>", None), ("b:0", "v", trace.format("/x/y.py", 3)))
    two = graph(("b:0", "v", trace.format("/z.py", 9)), ("a:0", "<f at 0x7f9988776655>", None))
    assert node_difference(one, two) is None
    three = graph(("a:0", "<f at 0x7f0011223344>", None), ("b:0", "v", trace.format("/x/y.py", 3) + "ne"))
    found = node_difference(one, three)
    assert found is not None
    assert found[0] == "b:0"


def test_a_resumed_run_takes_the_effects_that_it_had(place: Path) -> None:
    folder = bench.run("both", 6, "whole", steps=1)
    with Store(folder, readonly=True) as store:
        events = list(store.events())
    done = {e.data["outcome"]["example"] for e in events[:60] if e.type == "cell"}  # type: ignore[index,call-overload]
    cut = next(
        i for i, e in enumerate(events[:60]) if e.type == "effect" and str(e.data["place"]).split("/")[2] not in done
    )
    part = bench.rewrite(folder, Path("runs/cut"), lambda events, blobs: events.__delitem__(slice(cut + 1, None)))
    agentopt.resume(part, clients={"given/model": bench.Model(6)})
    with Store(part, readonly=True) as store:
        places = [e.data["place"] for e in store.events("effect")]
    assert events[cut].data["place"] in places
    assert len(places) == len(set(places)), "an effect that was written down is not performed again"
    assert replay(part).clean


def test_only_the_named_ports_of_loopback_stay_open() -> None:
    with (
        StubServer() as one,
        StubServer() as two,
        forbid_network(loopback=lambda port: port == one.port) as attempts,
    ):
        socket.create_connection(("127.0.0.1", one.port)).close()
        with pytest.raises(NetworkForbidden):
            socket.create_connection(("127.0.0.1", two.port))
        assert len(attempts) == 1
        attempts.clear()

"""The agents that people start from: what they ask, in which order, what they make of replies, what may change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

import agentopt
from agentopt import Override, Trace, UsageError, load_graph, load_task
from agentopt.cli.app import execute
from agentopt.errors import UnusableAnswer
from agentopt.evaluate import Example, Task, numeric
from agentopt.llm.context import Session, use_session
from agentopt.llm.types import Request, Response, ToolCall
from agentopt.run.evaluation import evaluate_async
from agentopt.run.files import open_run
from agentopt.testing import ScriptedLLM
from agentopt.workspace import Passage

PROBLEM = "A taxi ride costs 5 euros to begin with and 4 euros for each kilometre. How much is a ride of 8 kilometres?"


@contextmanager
def model(reply: Callable[[Request], Any] | list[Any], delay: float = 0.0) -> Iterator[ScriptedLLM]:
    """A scripted model for the calls inside."""
    scripted = ScriptedLLM(reply, delay=delay)
    with use_session(Session(scripted, models={"agent": "any"})):
        yield scripted


def said(request: Request) -> str:
    """The last turn of a request."""
    return str(request.messages[-1].content)


# -- self-consistency ------------------------------------------------------------------------------------------------


async def test_most_answers_win_however_they_are_written() -> None:
    replies = ["...\nAnswer: 36", "so\nAnswer: 37.0", "Answer: 36.5", "the answer is 37.", "#### 37"]
    with model(replies):
        assert await load_graph("self_consistency")(PROBLEM) == "Answer: 37.0"


async def test_replies_without_an_answer_do_not_vote() -> None:
    with model(["I cannot tell.", "", "I do not know.", "Answer: yes", "Answer: Yes."]):
        assert await load_graph("self_consistency")(PROBLEM) == "Answer: yes"
    with model(["I cannot tell."] * 5):
        assert await load_graph("self_consistency")(PROBLEM) == "I cannot tell."


async def test_as_many_samples_as_the_parameter_says_side_by_side_each_drawn_for_itself() -> None:
    with model(lambda r: "Answer: 1", delay=0.01) as scripted, Override({"samples": 7, "temperature": 0.9}):
        await load_graph("self_consistency")(PROBLEM)
    assert scripted.calls == scripted.most_in_flight == 7
    assert {r.temperature for r in scripted.requests} == {0.9}
    assert len({r.hash for r in scripted.requests}) == 7  # a cache would give equal requests one answer


async def test_samples_and_repeats_of_an_evaluation_are_different_requests() -> None:
    seen = []
    for repeat in range(3):
        scripted = ScriptedLLM(lambda r: "Answer: 1")
        with use_session(Session(scripted, models={"agent": "any"}, defaults={"repeat": repeat})):
            await load_graph("self_consistency")(PROBLEM)
        seen += [r.hash for r in scripted.requests]
    assert len(set(seen)) == 15


async def test_all_three_parameters_lead_to_the_vote() -> None:
    with model(lambda r: "Answer: 1"), Trace() as trace:
        trace.output = await load_graph("self_consistency")(PROBLEM)
    minimal = trace.graph.subgraph(trace.graph.output)
    assert {r.name for r in minimal.nodes if r.kind == "param"} == {"chain_of_thought", "samples", "temperature"}


def test_a_vote_corrects_a_model_that_is_right_most_of_the_time_in_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def often_right(request: Request) -> str:
        right = said(request).rsplit(" ", 1)[-1]
        return "Answer: 0" if request.repeat // 1000 in (1, 3) else f"Answer: {right}"

    task = Task("echo", [Example(input=f"say {i}", target=i) for i in range(1, 9)], numeric())
    done = agentopt.evaluate(
        load_graph("self_consistency"), task=task, clients={"m": ScriptedLLM(often_right)}, model="m", split="all"
    )
    assert done.summary.mean == 1.0
    assert {o.metrics["calls"] for o in done.outcomes} == {5}


# -- self-refine -----------------------------------------------------------------------------------------------------


def roles(request: Request) -> str:
    """Which of the three roles a request of self-refine is for."""
    return (
        "criticism" if "nothing to mend" in said(request) else "revision" if "The critic:" in said(request) else "draft"
    )


async def test_a_draft_is_criticised_and_revised_until_nothing_is_left_to_mend() -> None:
    criticisms = iter(["8 times 4 is 32, not 30.", "Nothing to mend."])
    replies = {
        "draft": lambda r: "30 + 5\nAnswer: 35",
        "criticism": lambda r: next(criticisms),
        "revision": lambda r: "32 + 5\nAnswer: 37",
    }
    with model(lambda r: replies[roles(r)](r)) as scripted, Override({"rounds": 4}):
        assert await load_graph("self_refine")(PROBLEM) == "32 + 5\nAnswer: 37"
    assert [roles(r) for r in scripted.requests] == ["draft", "criticism", "revision", "criticism"]
    assert "8 times 4 is 32, not 30." in said(scripted.requests[2])
    assert "Answer: 35" in said(scripted.requests[2])
    assert all(PROBLEM in said(r) for r in scripted.requests)


@pytest.mark.parametrize(("rounds", "calls"), [(0, 1), (1, 3), (4, 9)])
async def test_a_critic_that_is_never_content_is_bounded(rounds: int, calls: int) -> None:
    with model(lambda r: "All of it is wrong.") as scripted, Override({"rounds": rounds}):
        await load_graph("self_refine")(PROBLEM)
    assert scripted.calls == calls


async def test_the_critic_decides_so_its_words_lead_to_the_output() -> None:
    with model(["Answer: 37", "nothing to mend"]), Trace() as trace:
        trace.output = await load_graph("self_refine")(PROBLEM)
    assert {"chain_of_thought", "rounds"} <= {r.name for r in trace.graph.parameters}
    assert "self_refine_critic" in {r.name for r in trace.graph.parameters}


# -- ReAct -----------------------------------------------------------------------------------------------------------

RIVERS = (
    '{"title": "Alda", "text": "The Alda is 120 km long."}\n{"title": "Brenn", "text": "The Brenn is 35 km long."}\n'
)


@pytest.fixture
def rivers(tmp_path: Path) -> str:
    """A corpus of two entries."""
    path = tmp_path / "rivers.jsonl"
    path.write_text(RIVERS)
    return str(path)


async def react(replies: list[Any], corpus: str, **values: Any) -> tuple[Any, ScriptedLLM]:
    with model(replies) as scripted, Override(values):
        return await load_graph("react")("How much longer is the Alda than the Brenn?", corpus=corpus), scripted


async def test_react_searches_calculates_and_answers(rivers: str) -> None:
    answer, scripted = await react(
        [
            "Thought: I look up the first.\nAction: search[Alda]",
            "Thought: And the second.\nAction: search[Brenn]\nObservation: ",
            "Thought: Now the difference.\nAction: calculate[120 - 35]",
            "Answer: 85",
        ],
        rivers,
    )
    assert answer == "85"
    seen = [str(m.content) for m in scripted.requests[-1].messages if m.role == "user"]
    assert "longer is the Alda" in seen[0]
    assert "The Alda is 120 km long." in seen[1] and "Brenn" not in seen[1]
    assert "The Brenn is 35 km long." in seen[2]
    assert seen[3] == "Observation: 85"
    assert [m.role for m in scripted.requests[-1].messages] == ["user", "assistant"] * 3 + ["user"]
    assert scripted.requests[0].stop == ("Observation:",)


async def test_an_answer_made_up_after_an_action_is_neither_taken_nor_remembered(rivers: str) -> None:
    made_up = "Thought: I look it up.\nAction: search[Alda]\nAnswer: It is 1,000 km long."
    answer, scripted = await react([made_up, "Answer: 85"], rivers)
    assert answer == "85"
    assert str(scripted.requests[1].messages[1].content) == "Thought: I look it up.\nAction: search[Alda]"


@pytest.mark.parametrize(
    ("reply", "seen"),
    [
        ("Action: calculate[120 - ]", "Error: '120 -' is no arithmetic expression"),
        ("Action: calculate[1 / 0]", "divides by zero"),
        ("Action: calculate[__import__('os')]", "no arithmetic expression"),
        ("Action: search[Nile]", "Nothing was found"),
        ("Action: search[]", "Nothing was found"),
        ("Action: fly[Brenn]", "That is no action"),
        ("I will think about it.", "That is no action"),
        ("", "That is no action"),
        ("**Action:** search(Brenn)", "35 km"),
        ('Action 2: search: "Brenn"', "35 km"),
        ("Action: search[Brenn]\nAnswer: 3", "35 km"),
        ("Action: calculate[1,000 × 3]", "Observation: 3000"),
    ],
)
async def test_what_comes_of_an_action_is_told_errors_too(reply: str, seen: str, rivers: str) -> None:
    answer, scripted = await react([reply, "Final Answer: **85**"], rivers)
    assert answer in ("85", "85**")
    assert seen in said(scripted.requests[1])


async def test_an_agent_that_never_answers_is_stopped_and_told_before(rivers: str) -> None:
    with pytest.raises(UnusableAnswer, match="after 4 turns"):
        await react(["Hm."] * 9, rivers, turns=4)
    with model(lambda r: "Hm.") as scripted, Override({"turns": 4}), pytest.raises(UnusableAnswer):
        await load_graph("react")("Why?", corpus=rivers)
    assert ["last step" in said(r) for r in scripted.requests] == [False, False, False, True]


async def test_react_with_the_tools_of_the_models_own_interface(rivers: str) -> None:
    def call(name: str, **arguments: Any) -> Response:
        asked = ToolCall(id=name, name=name, arguments=json.dumps(arguments))
        return Response(tool_calls=(asked,), finish="tool_calls")

    replies = [call("search", words="Alda"), call("calculate", expression="120 -"), call("fly"), "Answer: 85"]
    answer, scripted = await react(replies, rivers, protocol="tools")
    assert answer == "Answer: 85"
    assert {tool.name for tool in scripted.requests[0].tools} == {"search", "calculate"}
    told = [str(m.content) for m in scripted.requests[-1].messages if m.role == "tool"]
    assert "120 km" in told[0]
    assert "no arithmetic expression" in told[1]
    assert "no tool named 'fly'" in told[2]


async def test_a_corpus_that_is_not_there_is_the_callers_mistake(tmp_path: Path) -> None:
    for name in ("nowhere", str(tmp_path / "none.jsonl"), "almanac?seed=x", str(tmp_path)):
        with pytest.raises(UsageError):
            await react(["Action: search[Alda]"], name)


# -- retrieval-augmented answering -----------------------------------------------------------------------------------


async def rag(corpus: str, replies: Any = None, **values: Any) -> ScriptedLLM:
    with model(replies or (lambda r: "Answer: 120")) as scripted, Override(values):
        assert await load_graph("rag")("How long is the Alda?", corpus=corpus) == "Answer: 120"
    return scripted


async def test_rag_shows_as_many_passages_as_the_parameter_says_best_first() -> None:
    task = load_task("almanac")
    example = next(e for e in task.examples if e.group == "one_entry")
    given: Any = example.input
    for k in (1, 2, 5):
        with model(lambda r: "Answer: 1") as scripted, Override({"passages": k}):
            await load_graph("rag")(**given)
        shown = said(scripted.requests[0]).partition("Passages:\n\n")[2].rpartition("\n\nQuestion:")[0].split("\n\n")
        assert len(shown) == k
        assert shown[0].startswith(f"{cast('Any', example.meta)['entries'][0]}: ")


async def test_passages_stand_where_the_parameter_says(rivers: str) -> None:
    before, after, system = [(await rag(rivers, place=p)).requests[0] for p in ("before", "after", "system")]
    assert said(before).index("120 km") < said(before).index("Question: How long")
    assert said(after).index("120 km") > said(after).index("Question: How long")
    assert [m.role for m in system.messages] == ["system", "user"]
    assert "120 km" in str(system.messages[0].content)
    assert "120 km" not in said(system)


async def test_search_words_of_the_model_are_searched_for_when_asked(rivers: str) -> None:
    scripted = await rag(rivers, ["Brenn", "Answer: 120"], rewrite="on", passages=1)
    assert "The Brenn" in said(scripted.requests[1])
    assert "The Alda is" not in said(scripted.requests[1])
    assert (await rag(rivers, rewrite="off")).calls == 1


async def test_a_question_without_a_hit_is_asked_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "trees.md").write_text("Oaks grow slowly.")
    assert (await rag(str(tmp_path / "notes"))).calls == 1


def test_settings_of_the_retriever_change_what_is_found(tmp_path: Path) -> None:
    passages = tuple(
        Passage(title, text)
        for title, text in [("a", "oak " * 3 + "fir " * 30), ("b", "oak elm ash"), ("c", "yew"), ("d", "elm")]
    )
    search = load_graph("rag").__wrapped__.__globals__["search"]
    assert [p.title for p in search(passages, "oak", 2, 1.5, 1.0)] == ["b", "a"]
    assert [p.title for p in search(passages, "oak", 2, 1.5, 0.0)] == ["a", "b"]
    assert search(passages, "Which is the?", 2) == []
    assert [p.title for p in search(passages, "elm yew nothing", 4)][-1] != "a"


def test_rag_is_tuned_in_a_run_and_no_parameter_is_told_as_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def reads(request: Request) -> str:
        """Answers right when the passages hold the answer's entries."""
        if "encyclopaedia is searched" in said(request):
            return said(request).rsplit("\n\n", 1)[-1]
        shown = " ".join(str(m.content) for m in request.messages)
        question = next(e for e in examples if e.input["problem"] in shown)
        titles = question.meta["entries"]
        return f"Answer: {question.target if all(f'{t}: ' in shown for t in titles) else 0}"

    task = load_task("almanac", n=60)
    examples: Any = task.examples
    result = agentopt.optimize(
        load_graph("rag"), task=task, optimizer="random", parameters=("passages", "k1", "b", "rewrite", "place"),
        clients={"m": ScriptedLLM(reads)}, model="m", steps=2, runs_dir=str(tmp_path), name="run", progress=False,
    )  # fmt: skip
    assert result.best.values["passages"] > 3  # two entries of a question are found with more passages
    for name in ("rag", "react"):
        agentopt.optimize(
            load_graph(name), task=task, optimizer="paraphrase", clients={"m": ScriptedLLM(lambda r: "Answer: 1")},
            model="m", optimizer_model="m", steps=0, limit=20, runs_dir=str(tmp_path), name=name, progress=False,
        )  # fmt: skip
        with open_run(tmp_path / name) as run:
            (seen,) = run.events("sentinel")
            assert seen.data["unread"] == []


# -- from the command line -------------------------------------------------------------------------------------------

SCRIPT = '''
"""Any agent's model, and an optimizer's."""


def anyone(request):
    text = str(request.messages[-1].content)
    if request.json_schema is not None:
        fields = request.json_schema["properties"]["suggestion"]["properties"]
        return {"suggestion": {name: 1 for name in fields}}
    return "nothing to mend" if "nothing to mend" in text else "A1" if "Battleship" in text else "Answer: 12"
'''
PAGE = Path(__file__).resolve().parents[1] / "docs" / "graphs.md"
COMMANDS = [line[2:] for line in PAGE.read_text().splitlines() if line.startswith("$ agentopt") and "--task" in line]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.split()[1:3]))
def test_the_commands_of_the_page_run(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], thorough: bool
) -> None:
    """Searches make one step; with --slow as many as on the page, so that their budgets are seen to be enough."""
    (tmp_path / "agentopt.toml").write_text("")
    (tmp_path / "scripted.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    words = command.partition(" --model")[0].split()[1:]
    if words[0] == "optimize" and not thorough:
        words += ["--steps", "1"]
    with pytest.raises(SystemExit) as ended:
        execute([*words, "--model", "scripted/anyone", "--no-cache", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert not ended.value.code, told
    if "--limit" in words and words[0] == "eval":
        assert told["planned"] == int(words[words.index("--limit") + 1])
    assert "budget" not in told.get("reason", ""), "the budget of the page ends before the search does"
    with open_run(tmp_path / "runs" / Path(told["dir"]).name) as run:
        outcomes = run.outcomes()
    assert outcomes
    assert {o.status for o in outcomes} == {"ok"}


def test_every_graph_of_the_field_is_on_the_page() -> None:
    assert {"few_shot", "self_consistency", "self_refine", "react", "rag", "battleship"} <= {
        c.split()[2] for c in COMMANDS
    }


@pytest.mark.model
async def test_react_runs_through_with_a_real_model() -> None:
    """It need not be right: a small model's steps are read, done and told, and it ends."""
    task = load_task("almanac", n=3)
    done = await evaluate_async(
        load_graph("react"), task=task, split="all", model="local/smollm2-135m", values={"turns": 3}, progress=False
    )
    assert {o.status for o in done.outcomes} <= {"ok", "agent_error"}
    assert all(1 <= o.metrics["calls"] <= 3 for o in done.outcomes)


@pytest.mark.parametrize(
    ("graph", "task"),
    [("self_consistency", "bills"), ("react", "almanac"), ("rag", "almanac"), ("battleship", "battleship")],
)
def test_a_run_of_it_replays_without_a_difference(
    graph: str, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "agentopt.toml").write_text("")
    lively = SCRIPT.replace(
        '"Answer: 12"',
        '("Action: search[Corton]", "Action: calculate[2 * 6]", "C3", "Answer: 12")[(len(text) + request.repeat) % 4]',
    )
    (tmp_path / "scripted.py").write_text(lively)
    monkeypatch.chdir(tmp_path)
    evaluated = ["eval", graph, "--task", task, "--limit", "8", "--model", "scripted/anyone", "-q", "--name", "one"]
    for words in (evaluated, ["replay", "one"]):
        with pytest.raises(SystemExit) as ended:
            execute(words)
        assert not ended.value.code, capsys.readouterr()
    assert "\nclean: " in capsys.readouterr().out

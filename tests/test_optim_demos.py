"""Demonstrations as a parameter: how they are shown, searched and bootstrapped, and that none helps its own example."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

import agentopt
from agentopt import Example, Override, Parameter, Trace, UsageError, load_graph
from agentopt.core.values import Feedback, Outcome
from agentopt.evaluate import Task, numeric
from agentopt.llm.context import Session, use_session
from agentopt.llm.types import Request, Response
from agentopt.optim.base import Optimizer, View
from agentopt.optim.demos import DemoSearch, bootstrapped, demonstrated, labelled
from agentopt.optim.invariants import check
from agentopt.optim.operators import jitter, uniform
from agentopt.optim.registry import make
from agentopt.run.api import optimize_async
from agentopt.run.evaluation import evaluate_async
from agentopt.run.files import open_run
from agentopt.run.leaveout import left_out
from agentopt.testing import FakeView, OptimizerContract, ScriptedLLM
from agentopt.testing.optimizers import spec_of
from agentopt.workspace import demo_turns, demonstrations

EXAMPLES = [Example(input=f"How much is {i} and {i * i}, all in all, as a whole number?", target=i + i * i) for i in
            range(2, 62)]  # fmt: skip


@pytest.fixture(autouse=True)
def _outside_any_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problem(text: Any) -> str:
    """The question in a turn."""
    return str(text).split("\n\n")[-1]


def solution(question: str) -> int:
    first, second = (int(word.strip(",")) for word in question.split() if word.strip(",").isdigit())
    return first + second


def turns(request: Request) -> list[tuple[str, str]]:
    """The demonstrations of a request: question and reply."""
    texts = [str(message.content) for message in request.messages[:-1]]
    return list(zip(texts[::2], texts[1::2], strict=True))


def candidates(run: Any) -> list[Any]:
    """The candidates of a run."""
    return [scored.candidate for scored in run.candidates()]


async def go(folder: Path, reply: Callable[[Request], str], graph: Any = None, **options: Any) -> Any:
    fields = {"optimizer": make("demos"), "steps": 3, "proposals": 3, "runs_dir": str(folder), "cache": False}
    task = Task("sums", EXAMPLES, numeric())
    graph = graph or load_graph("few_shot")
    return await optimize_async(
        graph, task=task, model=ScriptedLLM(reply), name="run", progress=False, **(fields | options)
    )


# -- none helps its own example --------------------------------------------------------------------------------------


async def test_a_model_that_only_copies_gains_nothing_from_demonstrations(tmp_path: Path) -> None:
    copies = 0

    def copier(request: Request) -> str:
        nonlocal copies
        asked = problem(request.messages[-1].content)
        for question, said in turns(request):
            if problem(question) == asked:
                copies += 1
                return said
        return "Answer: -1"

    result = await go(tmp_path, copier, optimizer=make("demos", sources=("labelled",), max_labelled=24))
    with open_run(tmp_path / "run") as run:
        shown = [c for c in candidates(run) if c.values["demos"]]
        scores = [o.score for c in shown for o in run.outcomes(c.id, split="search")]
    assert len(shown) >= 6
    assert len(scores) > 40
    assert copies == 0
    assert set(scores) == {0.0}
    assert result.best.values["demos"] == []


@pytest.mark.parametrize(
    ("demo", "stays"),
    [
        ({"input": "other", "output": 1}, True),
        ({"input": "two  PLUS two", "output": 4}, False),
        ({"input": {"problem": "two plus two"}, "output": 4}, False),
        ({"input": "a part of it", "output": 4, "example": "e7"}, False),
        ({"input": "a part of it", "output": 4, "example": "e8"}, True),
    ],
)
def test_a_demonstration_of_the_example_itself_is_known_by_id_or_input(demo: dict[str, Any], stays: bool) -> None:
    specs = {p.name: spec_of(p) for p in (demonstrations(), Parameter([1], name="j", kind="json"))}
    other = {"input": "three", "output": 3}
    for given in ("two plus two", {"problem": "Two plus two"}):
        kept = left_out({"demos": [demo, other], "j": [demo]}, specs, Example(id="e7", input=given, target=4))
        assert kept == {"demos": [demo, other] if stays else [other], "j": [demo]}


async def test_the_candidate_stays_the_same_candidate_and_production_sees_all(tmp_path: Path) -> None:
    shown: list[int] = []

    def counting(request: Request) -> str:
        shown.append(len(turns(request)))
        return "Answer: 1"

    demos = [{"input": e.input, "output": e.target, "example": e.id} for e in EXAMPLES[:2]]
    agent = load_graph("few_shot")
    with use_session(Session(ScriptedLLM(counting), models={"agent": "any"})), Override({"demos": demos}):
        await agent(EXAMPLES[0].input)
    assert shown == [2]
    task, options = Task("t", EXAMPLES[:3], numeric()), {"runs_dir": str(tmp_path), "progress": False}
    done = await evaluate_async(
        agent, task=task, values={"demos": demos}, split="all", model=ScriptedLLM(counting), **options
    )
    assert sorted(shown[1:]) == [1, 1, 2]
    assert len({o.candidate for o in done.outcomes}) == 1


# -- the search ------------------------------------------------------------------------------------------------------


def better_with_two(request: Request) -> str:
    """Right where two demonstrations came before, or where the number is small; then with its reasoning."""
    asked = problem(request.messages[-1].content)
    easy = solution(asked) < 400
    return f"I add them.\nAnswer: {solution(asked)}" if easy or len(turns(request)) >= 2 else "Answer: 0"


async def test_a_run_finds_demonstrations_that_help_without_asking_another_model(tmp_path: Path) -> None:
    roles = set()

    def reply(request: Request) -> str:
        roles.add(request.role)
        return better_with_two(request)

    result = await go(tmp_path, reply)
    assert roles == {"agent"}
    assert result.claim.verdict == "better"
    assert len(result.best.values["demos"]) >= 2
    with open_run(tmp_path / "run") as run:
        search = {o.example for c in candidates(run) for o in run.outcomes(c.id, split="search")}
        others = {o.example for split in ("validation", "test") for o in run.outcomes(split=split)}
        used = {demo["example"] for c in candidates(run) for demo in cast("Any", c.values["demos"])}
        rejected = [e.data for e in run.events("proposal.rejected")]
    assert used <= search
    assert not used & others
    assert rejected == []  # questions of the task are copied word for word, as they should be


async def test_bootstrapped_demonstrations_have_the_reasoning_and_only_what_was_right(tmp_path: Path) -> None:
    def reply(request: Request) -> str:
        hard = solution(problem(request.messages[-1].content)) > 2500  # so that the first step leaves something to find
        return "Answer: 0" if hard else better_with_two(request)

    await go(tmp_path, reply, optimizer=make("demos", sources=("bootstrapped",)))
    right = {e.id: e for e in EXAMPLES}
    with open_run(tmp_path / "run") as run:
        demos = [demo for c in candidates(run) for demo in cast("Any", c.values["demos"])]
        first = [c for c in candidates(run) if c.values["demos"]][:1]
    assert demos
    for demo in demos:
        example = right[demo["example"]]
        assert demo["input"] == example.input
        assert demo["reply"] == f"I add them.\nAnswer: {example.target}"
    assert all(solution(demo["input"]) < 400 for c in first for demo in cast("Any", c.values["demos"]))
    assert any(solution(demo["input"]) >= 400 for demo in demos)  # a success with demonstrations, in the second round


async def test_a_graph_without_demonstrations_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no parameter of kind demos"):
        await go(tmp_path, better_with_two, load_graph("zero_shot"))


# -- what is shown ---------------------------------------------------------------------------------------------------


async def asked(graph: Any, demos: list[Any], **inputs: Any) -> Request:
    scripted = ScriptedLLM(lambda request: "Answer: 1")
    with use_session(Session(scripted, models={"agent": "any"})), Override({"demos": demos}):
        await graph(**inputs)
    return scripted.requests[0]


async def test_a_labelled_answer_is_put_as_the_reply_is_wanted_and_a_reply_as_it_was() -> None:
    demos = [{"input": "one", "output": 1}, {"input": "two", "output": 2, "reply": "One more.\nAnswer: 2"}]
    request = await asked(load_graph("few_shot"), demos, problem="three")
    assert [m.role for m in request.messages] == ["user", "assistant", "user", "assistant", "user"]
    assert [said for _, said in turns(request)] == ["Answer: 1", "One more.\nAnswer: 2"]
    last = str(request.messages[-1].content)
    assert [question for question, _ in turns(request)] == [last.replace("three", n) for n in ("one", "two")]


async def test_a_demonstration_that_does_not_fit_the_request_is_the_candidates_fault() -> None:
    with pytest.raises(ValueError, match="demonstration 0 has no problem"):
        await asked(load_graph("few_shot"), [{"input": {"question": "one"}, "output": 1}], problem="three")


async def test_worked_examples_are_a_pool() -> None:
    pool = demonstrations([("one", "1"), ("two", "2"), ("three", "3")], name="pool")
    spec = spec_of(pool)
    rng = random.Random(0)
    drawn = [uniform(spec, rng) for _ in range(50)]
    assert {len(cast("Any", d)) for d in drawn} == {1, 2, 3}
    assert all(pool.check(d) == d for d in drawn)
    value: Any = []
    lengths = set()
    for _ in range(60):
        value = jitter(spec, value, rng)
        assert len({d["input"] for d in value}) == len(value)
        lengths.add(len(value))
    assert lengths == {1, 2, 3}
    assert demo_turns()("Q: {{problem}}", cast("Any", drawn[0]))[0][1].startswith("Q: ")


# -- what traces give ------------------------------------------------------------------------------------------------

FIRST = Parameter("Name the parts of {{problem}} in {{place}}.", name="first")
SECOND = Parameter("Add {{parts}}.", name="second")
SHOWN_FIRST, SHOWN_SECOND = demonstrations(name="demos1"), demonstrations(name="demos2")
turns_first, turns_second = demo_turns(), demo_turns()


@agentopt.graph
async def two_calls(problem: str) -> Any:
    parts = await agentopt.allm(FIRST, problem=problem, place="Bonn", messages=turns_first(FIRST, SHOWN_FIRST))
    return await agentopt.allm(SECOND, parts=parts, messages=turns_second(SECOND, SHOWN_SECOND))


async def traced(graph: Any, given: str, replies: Sequence[Any]) -> Any:
    with use_session(Session(ScriptedLLM(list(replies)), models={"agent": "any"})), Trace() as trace:
        trace.output = await graph(given)
    return type(trace.graph).from_json(json.loads(json.dumps(trace.graph.to_json())))


async def test_each_call_gives_demonstrations_to_its_own_parameter() -> None:
    graph = await traced(two_calls, "a cake", ["flour, milk", "a dough"])
    assert list(demonstrated(graph, "demos1")) == [({"problem": "a cake", "place": "Bonn"}, "flour, milk")]
    assert list(demonstrated(graph, "demos2")) == [("flour, milk", "a dough")]
    assert list(demonstrated(graph, "first")) == [({"problem": "a cake", "place": "Bonn"}, "flour, milk")]
    assert list(demonstrated(graph, "nobody")) == []


async def test_a_reply_that_was_cut_is_no_demonstration() -> None:
    graph = await traced(two_calls, "a cake", [Response(text="flour, mi", finish="length"), "a dough"])
    assert list(demonstrated(graph, "demos1")) == []


async def test_targets_are_demonstrations_only_where_the_call_is_asked_the_example_itself() -> None:
    graph = await traced(two_calls, "a cake", ["flour, milk", "a dough"])
    plain = await traced(load_graph("few_shot"), "a cake", ["Answer: a dough"])
    names = {p.name: spec_of(p) for p in (SHOWN_FIRST, SHOWN_SECOND, demonstrations())}
    for traces, found in ((graph, (0, 0)), (plain, (1, 1))):
        view = FakeView(names, None, examples={"e": ("a cake", "a dough")}, graph_of=lambda o, g=traces: g)
        good = Outcome(candidate="c", example="e", output="a dough", feedback=Feedback(score=1.0))
        seen = cast("View", view.evaluated(view.baseline, [good]))
        name = "demos" if traces is plain else "demos1"
        assert len(labelled(seen, names[name])) == found[0]
        solved = bootstrapped(seen, names[name])
        assert [d["reply"] for d in solved["e"]] == ["Answer: a dough" if traces is plain else "flour, milk"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a cake", "a cake"),
        ({"problem": "a cake"}, "a cake"),
        ({"problem": "a cake", "corpus": "kitchen"}, "a cake"),
        ({"problem": "a pie", "corpus": "kitchen"}, None),
        ("a pie", None),
    ],
)
async def test_a_labelled_demonstration_asks_what_the_call_is_asked(given: Any, shown: Any) -> None:
    graph, spec = await traced(load_graph("few_shot"), "a cake", ["Answer: a dough"]), spec_of(demonstrations())
    view = FakeView({"demos": spec}, None, examples={"e": (given, "a dough")}, graph_of=lambda o: graph)
    seen = view.evaluated(view.baseline, [Outcome(candidate="c", example="e", feedback=Feedback(score=0.0))])
    wanted = [] if shown is None else [{"input": shown, "output": "a dough", "example": "e"}]
    assert labelled(cast("View", seen), spec) == wanted


async def test_the_latest_success_of_an_example_is_taken() -> None:
    graphs = {
        reply: await traced(load_graph("few_shot"), "q", [reply]) for reply in ("old\nAnswer: 1", "new\nAnswer: 1")
    }
    spec = spec_of(demonstrations())
    view = FakeView({"demos": spec}, None, examples={"e": ("q", 1)}, graph_of=lambda o: graphs[o.output])
    for reply, score in (("old\nAnswer: 1", 1.0), ("new\nAnswer: 1", 1.0), ("new\nAnswer: 1", 0.0)):
        done = Outcome(candidate="c", example="e", output=reply, feedback=Feedback(score=score))
        view = view.evaluated(view.baseline, [done])
    (demo,) = bootstrapped(cast("View", view), spec)["e"]
    assert demo["reply"] == "new\nAnswer: 1"


def test_failures_and_half_marks_are_no_successes() -> None:
    spec = spec_of(demonstrations())
    view = FakeView({"demos": spec}, None, examples={"e": ("q", 1)}, graph_of=lambda o: pytest.fail("not to be read"))
    bad = [
        Outcome(candidate="c", example="e", feedback=Feedback(score=0.9)),
        Outcome(candidate="c", example="e", status="agent_error", feedback=Feedback(score=1.0)),
        Outcome(candidate="c", example="e", status="timeout"),
    ]
    assert bootstrapped(cast("View", view.evaluated(view.baseline, bad)), spec) == {}


# -- the protocol ----------------------------------------------------------------------------------------------------


class TestDemoSearch(OptimizerContract):
    def make_optimizer(self) -> Optimizer:
        return make("demos", max_labelled=3)

    def parameters(self) -> dict[str, Parameter[Any]]:
        more: list[Parameter[Any]] = [demonstrations(), Parameter(2, name="count", kind="number", low=1, high=9)]
        return {p.name: p for p in more} | {"instruction": Parameter("Answer {{question}} now.", name="instruction")}


async def test_the_first_sets_are_the_plainest_and_later_ones_differ() -> None:
    contract = TestDemoSearch()
    view, optimizer = contract.view(), DemoSearch(max_labelled=3, sources=("labelled",))
    (first,) = await optimizer.ask(cast("View", view), 1)
    assert [d["example"] for d in cast("Any", first.candidate.values["demos"])] == ["e0", "e1", "e2"]
    assert check(first, cast("View", view)) == []
    later = await optimizer.ask(cast("View", view), 8)
    assert len({p.candidate.id for p in [first, *later]}) == 9
    assert {p.candidate.values["count"] for p in later} == {2}
    assert {len(cast("Any", p.candidate.values["demos"])) for p in later} == {1, 2, 3}


async def test_a_mixed_set_shows_no_example_twice_and_not_too_many() -> None:
    contract = TestDemoSearch()
    view = contract.view()
    solved = await traced(load_graph("few_shot"), "0 + 0", ["None.\nAnswer: 0"])
    view = view._with(graph_of=lambda outcome: solved)
    won = [Outcome(candidate="w", example=f"e{i}", output="0", feedback=Feedback(score=1.0)) for i in (0, 1)]
    view = view.evaluated(view.baseline.changed(count=3), won)
    for proposal in await DemoSearch(max_labelled=3, max_bootstrapped=2, sources=("mixed",)).ask(
        cast("View", view), 12
    ):
        demos: Any = proposal.candidate.values["demos"]
        ids = [d["example"] for d in demos]
        assert len(set(ids)) == len(ids) <= 3
        assert any("reply" in d for d in demos)


@pytest.mark.parametrize(
    "options",
    [
        {"sources": "labeled"},
        {"sources": ()},
        {"max_labelled": 0},
        {"max_bootstrapped": "x"},
        {"max_labelled": 2.5},
        {"threshold": "high"},
    ],
)
def test_options_out_of_range_are_told(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="^demos: [^\n]+$"):
        make("demos", **options)

"""The scorer of closed forms with its checker in the sandbox: statuses, hostile answers, whose fault a failure is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentopt import Example, Task, Trace, load_graph
from agentopt.core import add_op
from agentopt.core.values import Feedback
from agentopt.errors import MissingDependency, UsageError
from agentopt.evaluate.extremal import checker
from agentopt.evaluate.extremal.checker import LIMITS, MODULES, Compared, compare_forms
from agentopt.evaluate.extremal.scorer import closed_form
from agentopt.evaluate.programs import needs_runner, runner_modules, use_runner
from agentopt.evaluate.ran import how_it_ran
from agentopt.evaluate.sandboxed import SandboxRunner
from agentopt.evaluate.scoring import ScorerError
from agentopt.evaluate.splits import SplitSpec
from agentopt.llm.context import Session, use_session
from agentopt.llm.types import Response, ToolCall
from agentopt.run.evaluation import evaluate_async
from agentopt.sandbox import Result, Sandbox, open_sandbox
from agentopt.sandbox.base import Failure
from agentopt.testing import ScriptedLLM

pytest.importorskip("math_verify")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        opened = open_sandbox(require=MODULES, limits=LIMITS, servers=1)
    except UsageError as lacking:
        pytest.skip(str(lacking))
    with opened:
        yield opened


def score(sandbox: Sandbox, target: Any, reply: Any, trace: Any = None, **options: Any) -> Feedback:
    with use_runner(SandboxRunner(sandbox)):  # type: ignore[arg-type]
        return asyncio.run(closed_form(**options)(Example(input="q", target=target), reply, trace))


@pytest.mark.parametrize(
    ("target", "reply", "status"),
    [
        (r"2\sqrt{2}", r"\boxed{\sqrt{8}}", "right"),
        (r"\frac{27}{2}", "The minimum is 13.5.", "right"),
        (1000, r"\boxed{1{,}000}", "right"),
        (0.00012, r"\boxed{1.2e-4}", "right"),
        (r"\frac{9}{4}", r"\boxed{2\frac{1}{4}\text{ units}}", "right"),
        (r"2\sqrt{2}", r"\boxed{2.828}", "wrong"),
        (r"\frac{1}{3}", r"\boxed{0.333}", "wrong"),
        ("3", r"\boxed{3} and then \boxed{4}", "wrong"),
        ("4", r"\boxed{3} and then \boxed{4}", "right"),
        ("3", r"\boxed{10^{10^{10}}}", "wrong"),
        ("3", r"\boxed{x}", "unreadable"),
        ("3", r"\boxed{3x}", "unreadable"),
        ("3", r"\boxed{\frac{6}{2}", "unreadable"),
        ("3", r"\boxed{NaN}", "unreadable"),
        ("3", r"\boxed{3, 4}", "unreadable"),
        ("3", 3, "unreadable"),
        ("3", "I give up.", "no answer"),
    ],
)
def test_a_reply_has_a_status(sandbox: Sandbox, target: Any, reply: Any, status: str) -> None:
    said = score(sandbox, target, reply)
    assert said.text.split(":")[0] == status
    assert said.score == (status == "right")
    assert "tools" not in said.parts and "truncated" not in said.parts, "without a trace nothing is known of these"
    assert said.parts["readable"] == (status in ("right", "wrong")) and said.parts["answered"] >= said.parts["readable"]


def test_a_tolerance_takes_what_is_close_and_is_off_by_default(sandbox: Sandbox) -> None:
    assert score(sandbox, r"2\sqrt{2}", r"\boxed{2.828}", tolerance=1e-3).score == 1.0
    assert score(sandbox, r"2\sqrt{2}", r"\boxed{2.8}", tolerance=1e-3).score == 0.0
    with pytest.raises(UsageError, match="share of the target"):
        closed_form(tolerance=2.0)


@pytest.mark.timeout(300)
def test_an_answer_that_hangs_the_checker_is_not_right_and_says_so(sandbox: Sandbox) -> None:
    said = score(sandbox, "3", r"\boxed{(10^{9})!}")
    assert said.score == 0.0 and said.text.startswith("unreadable: the checker ended by")


class Broken:
    """A sandbox in which every job ends in one way."""

    def __init__(self, result: Result) -> None:
        self.result, self.jobs = result, 0

    async def run(self, job: Any) -> Result:
        self.jobs += 1
        return self.result


def compared(result: Result, answer: str, gold: str = r"2\sqrt{2}") -> Compared:
    return asyncio.run(compare_forms(gold, answer, sandbox=Broken(result)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "answer", "wanted"),
    [
        ("cpu", r"\sqrt{8}", "undecided"),
        ("cpu", "2.828", "wrong"),
        ("memory", "5", "wrong"),
        ("killed", r"\sum_{k=1}^{9} k", "hangs"),
        ("timeout", r"\sqrt{8}", "problem"),
        ("lost", "5", "problem"),
    ],
)
def test_whose_fault_it_is_when_the_checker_breaks_down(status: Any, answer: str, wanted: str) -> None:
    assert compared(Result(status=status), answer).status == wanted


def test_a_checker_that_is_not_installed_is_no_wrong_answer() -> None:
    failure = Failure("ModuleNotFoundError", "No module named 'math_verify'", 1, "")
    found = compared(Result(status="error", error=failure), "5")
    assert found.status == "problem" and "agentopt[evals]" in found.why


def test_a_sandbox_that_is_lost_is_asked_once_more() -> None:
    place = Broken(Result(status="lost"))
    asyncio.run(compare_forms("1", "2", sandbox=place))  # type: ignore[arg-type]
    assert place.jobs == 2


def test_no_isolation_is_no_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none() -> Sandbox:
        raise MissingDependency("the sandbox cannot import math_verify")

    monkeypatch.setattr(checker, "sandbox_with_checker", none)
    said = asyncio.run(closed_form()(Example(input="q", target="3"), r"\boxed{4}"))
    assert isinstance(said, ScorerError) and "cannot import math_verify" in said.text


def test_a_target_that_is_no_closed_form_is_no_wrong_answer(sandbox: Sandbox) -> None:
    assert isinstance(score(sandbox, "see above", r"\boxed{4}"), ScorerError)
    with pytest.raises(UsageError, match="not a closed form"):
        score(sandbox, ["4"], r"\boxed{4}")


def test_a_run_opens_a_sandbox_with_what_the_scorer_needs() -> None:
    assert needs_runner(closed_form()) and runner_modules(closed_form()) == MODULES
    assert runner_modules(lambda example, output: 1.0) == ()


ASKS = Response(
    tool_calls=(
        ToolCall(
            id="1",
            name="find_extremum",
            arguments=json.dumps({"expression": "x + 4/x", "goal": "minimum", "constraints": ["x > 0"]}),
        ),
    ),
    finish="tool_calls",
)


def traced(graph: str, script: Any) -> tuple[str, Trace]:
    async def run() -> tuple[str, Trace]:
        with use_session(Session(ScriptedLLM(script), models={"agent": "any"})), Trace() as trace:
            output = await load_graph(graph)("Find the minimum of x + 4/x for positive x.")
        return str(getattr(output, "value", output)), trace

    return asyncio.run(run())


def test_a_run_with_a_tool_is_told_apart_from_text_alone(sandbox: Sandbox) -> None:
    heard: list[Any] = []

    def reply(request: Any) -> Any:
        heard.append(request.messages[-1])
        return ASKS if request.messages[-1].role == "user" else r"It is \boxed{4}."

    output, trace = traced("extremal_tools", reply)
    said = score(sandbox, "4", output, trace)
    assert said.score == 1.0 and said.parts["tools"] == 1.0
    told = json.loads(str(heard[-1].content))
    assert told["value"] == pytest.approx(4.0, abs=1e-6) and told["at_the_edge_of_the_search"] is False
    output, trace = traced("extremal", [r"It is \boxed{4}."])
    assert score(sandbox, "4", output, trace).parts["tools"] == 0.0
    output, trace = traced("extremal-tools", [r"It is \boxed{4}."])
    assert how_it_ran(trace).tools is False, "a tool that was not asked for was not used"


def test_a_node_may_say_that_it_is_a_tool() -> None:
    with Trace() as trace:
        add_op("solver", 3, tool=True)
    assert how_it_ran(trace).tools is True
    with Trace() as trace:
        add_op("reader", 3)
    assert how_it_ran(trace).tools is False and how_it_ran(None).tools is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"expression": "#", "goal": "minimum"}, "not read"),
        ({"expression": "x", "goal": "minimum", "constraints": ["x is small"]}, "not read"),
        ({"expression": "3", "goal": "minimum"}, "0 variables"),
        ({"expression": "abcdfghjklmnp", "goal": "minimum"}, "13 variables"),
        ({"expression": "x", "goal": "maximum", "constraints": ["x = 1", "x = 2"]}, "no point was found"),
        ({"expression": "x", "goal": "maximum", "constraints": ["x^2 + x^3 = 1"] * 31}, "31 constraints are too many"),
        ({"expression": "x", "goal": "middle"}, "goal"),
    ],
)
def test_what_the_search_cannot_do_is_told_to_the_model(arguments: Any, said: str) -> None:
    heard: list[str] = []
    asks = ASKS.model_copy(
        update={"tool_calls": (ToolCall(id="1", name="find_extremum", arguments=json.dumps(arguments)),)}
    )

    def reply(request: Any) -> Any:
        heard.append(str(request.messages[-1].content))
        return asks if request.messages[-1].role == "user" else r"\boxed{1}"

    traced("extremal_tools", reply)
    assert said in json.loads(heard[-1])["error"]


def test_a_reply_that_the_cap_ended_is_cut_off_and_counted(sandbox: Sandbox) -> None:
    output, trace = traced("extremal", [Response(text=r"so it is \boxed{12", finish="length")])
    said = score(sandbox, "12", output, trace)
    assert said.score == 0.0 and said.text.startswith("cut off") and said.parts["truncated"] == 1.0
    output, trace = traced("extremal", [Response(text="the minimum is 12", finish="length")])
    assert score(sandbox, "12", output, trace).text.startswith("cut off"), "it might have been 128"
    output, trace = traced("extremal", [Response(text=r"\boxed{12} and moreover", finish="length")])
    said = score(sandbox, "12", output, trace)
    assert said.score == 1.0 and said.parts["truncated"] == 1.0


@pytest.mark.timeout(300)
async def test_an_evaluation_from_end_to_end(tmp_path: Path, sandbox: Sandbox) -> None:
    task = Task(
        "two",
        [Example(input="minimum of x^2 + 1", target="1"), Example(input="maximum of 2 - x^2", target="2")],
        closed_form(),
        split=SplitSpec(search=0, validation=0, test=1.0),
    )
    done = await evaluate_async(
        "extremal", task=task, model=ScriptedLLM(lambda r: r"\boxed{1}"), split="all", runs_dir=str(tmp_path),
        progress=False,
    )  # fmt: skip
    assert done.summary.mean == 0.5
    assert sorted(o.feedback.text.split(":")[0] for o in done.outcomes if o.feedback) == ["right", "wrong"]

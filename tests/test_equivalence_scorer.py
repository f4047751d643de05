"""The scorer of formulations, maps by a model, and the task that uses them."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from agentopt import Example, load_graph, load_task
from agentopt.errors import UsageError
from agentopt.evaluate.equivalence import (
    Equivalence,
    Limits,
    Range,
    Template,
    VariableMap,
    ask_equivalence,
    clock,
    equivalence,
    equivalent_to,
    read_text,
    recheck,
    region,
    stated_formulation,
)
from agentopt.evaluate.scoring import ScorerError
from agentopt.llm.context import Session, use_session
from agentopt.llm.types import Request
from agentopt.testing import ScriptedLLM

SHELF = "max 3 a + 2 b\n2 a + b <= 9\na + 2 b <= 9\n0 <= a <= 4\n0 <= b <= 4\nint a, b"
MIXED = SHELF.replace("a", "(u + v)").replace("m(u + v)x", "max")  # a = u + v, b = b, and whole numbers below
MIXED = re.sub(r"int .*", "int u, v, b", MIXED)
UNITS = (  # a in halves: no renaming finds it
    "max 1.5 h + 2 b\nh + b <= 9\n0.5 h + 2 b <= 9\n0 <= h <= 8\n0 <= b <= 4\nint b, k\nh == 2 k"
)


def said(**maps: Any) -> str:
    """A model's answer: target to (coefficient, variable) pairs, for both directions."""

    def side(given: dict[str, list[tuple[float, str]]]) -> list[Any]:
        return [
            {"variable": t, "terms": [{"variable": v, "coefficient": c} for c, v in e], "constant": 0}
            for t, e in given.items()
        ]

    return json.dumps({"to_reference": side(maps.get("down", {})), "to_candidate": side(maps.get("up", {}))})


async def asked(replies: list[Any], a: str, b: str, **options: Any) -> tuple[Any, ScriptedLLM]:
    """Ask a scripted model."""
    model = ScriptedLLM(replies)
    with use_session(Session(model, models={"agent": "any"})):
        return await ask_equivalence(read_text(a), read_text(b), **options), model


async def test_a_models_map_is_verified_and_not_believed() -> None:
    right = said(down={"a": [(0.5, "h")], "b": [(1, "b")]})
    found, model = await asked([right], SHELF, UNITS)
    assert found.result.verdict == "equivalent" and model.calls == 1
    assert str(found.result.to_reference).startswith("a = 0.5 h")
    wrong = said(down={"a": [(1, "h")], "b": [(1, "b")]})
    found, model = await asked([wrong, wrong], SHELF, UNITS)
    assert found.result.verdict == "not equivalent" and found.result.scope == "these maps" and model.calls == 2
    assert recheck(found.result) is True


async def test_the_repair_round_tells_the_witness_and_helps() -> None:
    wrong, right = said(down={"a": [(1, "h")], "b": [(1, "b")]}), said(down={"a": [(0.5, "h")], "b": [(1, "b")]})
    found, model = await asked([wrong, right], SHELF, UNITS)
    assert found.result.verdict == "equivalent" and len(found.rounds) == 2
    told = str(model.requests[1].messages[-1].content)
    assert "is feasible, but" in told and "breaks" in told and "{{" not in told
    assert [m.role for m in model.requests[1].messages] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        (["no", "no", "no", "no"], "the model gave no map"),
        ([said(down={"a": [(1, "h")]})] * 2, "says nothing of 'b'"),
        ([said(down={"a": [(1, "x")], "b": [(1, "b")]})] * 2, "'x', which is no variable of the other side"),
    ],
)
async def test_answers_of_no_use_leave_it_undecided(replies: list[Any], why: str) -> None:
    found, _ = await asked(replies, SHELF, UNITS)
    assert found.result.verdict == "undecided" and why in found.result.reason


async def test_a_map_back_of_no_use_is_left_out() -> None:
    answer = said(down={"a": [(0.5, "h")], "b": [(1, "b")]}, up={"h": [(2, "a")]})
    found, _ = await asked([answer], SHELF, UNITS)
    assert found.result.verdict == "equivalent"


# -- several draws of the parameters -----------------------------------------------------------------------------------

BOX = Template(
    text="max 3 x + 2 y\nx + y <= Room\n0 <= x <= 9\n0 <= y <= 9\nint x, y",
    parameters={"Room": 6},
    ranges={"Room": Range(low=4, high=12)},
)
LEFT = "max {0} + 2 y\n{1} + y <= {2}\n0 <= {1} <= 9\n0 <= y <= 9\nint u, y"  # u is what x leaves of the room
ROOMY = Template(text=LEFT.format("3 (Room - u)", "(Room - u)", "Room"), parameters={"Room": 6})
ROOMS = [{"Room": 6}, {"Room": 8}]
PLAIN = Template(text="max 1.5 h + 2 y\n0.5 h + y <= Room\n0 <= h <= 18\n0 <= y <= 9\nint y, k\nh == 2 k",
                 parameters={"Room": 6})  # fmt: skip


async def asked_on_draws(replies: list[Any], candidate: Any, **options: Any) -> tuple[Any, ScriptedLLM]:
    """Ask a scripted model for a map that holds with all rooms."""
    model = ScriptedLLM(replies)
    with use_session(Session(model, models={"agent": "any"})):
        return await ask_equivalence(BOX.at, candidate, **{"draws": ROOMS, **options}), model


def of_room(room: int) -> str:
    """The map with the room of one draw written into it."""
    both = json.loads(said(down={"x": [(-1, "u")], "y": [(1, "y")]}, up={"u": [(-1, "x")], "y": [(1, "y")]}))
    both["to_reference"][0]["constant"] = both["to_candidate"][0]["constant"] = room
    return json.dumps(both)


async def test_a_models_map_has_to_hold_on_every_draw_and_is_repaired_with_the_first_that_refutes_it() -> None:
    found, model = await asked_on_draws([of_room(6), of_room(6)], ROOMY.at)
    assert found.result.verdict == "not equivalent" and found.result.draw == {"Room": 8}
    assert recheck(found.result) is True and found.rounds[0].startswith("not equivalent with Room = 8: ")
    first, told = (str(r.messages[-1].content) for r in model.requests)
    assert "shown with one of them: Room = 6." in first and "x + y <= 6" in first
    assert "With Room = 8 the two formulations" in told and "x + y <= 8" in told
    assert found.result.witness.text in told and "{{" not in first + told
    alone, model = await asked_on_draws([of_room(6)], ROOMY.at, draws=ROOMS[:1])
    assert alone.result.verdict == "equivalent" and "several sets" not in str(model.requests[0].messages[0].content)


async def test_a_map_that_holds_on_every_draw_is_found_in_the_repair_round() -> None:
    wrong, right = said(down={"x": [(1, "h")], "y": [(1, "y")]}), said(down={"x": [(0.5, "h")], "y": [(1, "y")]})
    found, _ = await asked_on_draws([wrong, right], PLAIN.at)
    assert found.result.verdict == "equivalent" and found.result.draws == 2 and len(found.rounds) == 2
    assert found.result.draw is None and "(on 2 draws)" in found.result.reason


async def test_draws_and_functions_of_them_go_together() -> None:
    with pytest.raises(UsageError, match="the reference is a function of a draw, and there are no draws"):
        await ask_equivalence(BOX.at, ROOMY.at())
    with pytest.raises(UsageError, match="neither formulation depends on them"):
        await ask_equivalence(BOX.at(), ROOMY.at(), draws=ROOMS)


# -- the scorer ------------------------------------------------------------------------------------------------------


def score(output: Any, reference: str = SHELF, **options: Any) -> Any:
    return equivalent_to(**options)(Example(input="q", target=reference), output)


def test_the_same_problem_in_another_dress_scores_1() -> None:
    other = "Here it is:\n```\nmin -30 y1 - 20 y2\n4 y1 + 2 y2 + s == 18\ny1 + 2 y2 <= 9\ns >= 0\n0 <= y1 <= 4\n0 <= y2 <= 4\nint y1, y2\n```"  # noqa: E501
    assert score(other).score == 1.0
    assert score(MIXED.replace("0 <= (u + v) <= 4", "u + v <= 4\nu, v >= 0")).score == 1.0
    assert score(read_text(SHELF).model_dump(mode="json")).score == 1.0
    assert score(read_text(SHELF).model_dump_json()).score == 1.0


def test_a_wrong_problem_scores_0_and_the_text_names_the_witness() -> None:
    feedback = score(SHELF.replace("a + 2 b <= 9", "a + 2 b <= 8"))
    assert feedback.score == 0.0
    assert re.search(r"the reference's point a=\d, b=\d is feasible", feedback.text)
    feedback = score(SHELF.replace("0 <= b <= 4", "0 <= b <= 3").replace("a + 2 b <= 9", "a + 2 b <= 20"))
    assert feedback.score == 0.0 and feedback.parts["read"] == 1.0


def test_a_problem_with_the_same_optimum_scores_0_and_is_told_so() -> None:
    feedback = score(SHELF.replace("0 <= b <= 4", "0 <= b <= 3"))
    assert feedback.score == 0.0 and feedback.parts["value"] == 1.0 and "the optimal values agree" in feedback.text
    assert score(SHELF.replace("0 <= b <= 4", "0 <= b <= 3"), level=1).score == 1.0


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("I do not know.", "no line begins"),
        (7, "not int"),
        ("max a * b\na <= 1", "line 1"),
        ({"variables": []}, "this is not a formulation"),
        ('{"objective": {"sense": "max"}', "variables: Field required"),
        ('{"objective": [', "JSON"),
        ("max " + " + ".join(f"x{i}" for i in range(99)), "too large"),
    ],
)
def test_what_cannot_be_read_scores_0_and_says_why(output: Any, why: str) -> None:
    feedback = score(output)
    assert feedback.score == 0.0 and why in feedback.text and feedback.parts == {"read": 0.0}


def test_what_is_undecided_scores_0_and_is_told_apart() -> None:
    feedback = score("max p\np <= 1\np >= 2", reference="max x\nx <= 1\nx >= 2")
    assert feedback.score == 0.0 and feedback.parts["undecided"] == 1.0 and "not shown" in feedback.text


def test_a_check_ends_after_its_time_and_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver that takes a while for each of many programs."""
    solves, solve = [], region._highs

    def slow(*args: Any) -> Any:
        ends = time.thread_time() + 0.2
        while time.thread_time() < ends:
            pass
        solves.append(args)
        return solve(*args)

    monkeypatch.setattr(region, "_highs", slow)
    monkeypatch.setattr(clock, "BUSY", 1000.0)  # also where the tests share the machine
    other = SHELF.replace("a + 2 b <= 9", "a + 2 b <= 8")
    said = equivalence(read_text(SHELF), read_text(other), limits=Limits(total=0.5))
    assert said.verdict == "undecided" and said.reason == "the check was ended after 0.5 seconds"
    assert len(solves) <= 3
    feedback = score(other, limits=Limits(total=0.5))
    assert feedback.score == 0.0 and feedback.parts["undecided"] == 1.0 and "the check was ended" in feedback.text
    assert len(solves) <= 6, "the checks of one output share their time"


def ended(spend: Callable[[float], None], limit: bool) -> Any:
    """A solver that takes 0.2 seconds and solves, or takes all that it may and then says that this was too little."""
    solve = region._highs

    def highs(given: Any, e: Any, seconds: float) -> Any:
        spend(seconds if limit else 0.2)
        return ("limit", None, math.inf) if limit else solve(given, e, seconds)

    return highs


def work(seconds: float) -> None:
    ends = time.thread_time() + seconds
    while time.thread_time() < ends:
        pass


@pytest.mark.parametrize("limit", [True, False])
@pytest.mark.parametrize("ask", [True, False])
async def test_what_the_machine_had_no_time_for_has_no_score(
    monkeypatch: pytest.MonkeyPatch, limit: bool, ask: bool
) -> None:
    """The clock goes on and no processor time is had: in one solve, and in the check as a whole."""
    monkeypatch.setattr(region, "_highs", ended(time.sleep, limit))
    other, limits = SHELF.replace("a + 2 b <= 9", "a + 2 b <= 8"), Limits(seconds=0.2, total=10.0 if limit else 0.3)
    said = equivalence(read_text(SHELF), read_text(other), limits=limits)
    assert said.verdict == "undecided" and said.starved and "the machine was busy" in said.reason
    model = ScriptedLLM([])
    with use_session(Session(model, models={"agent": "any"}, role="judge")):
        feedback = score(other, limits=limits, ask=ask)
        feedback = await feedback if ask else feedback
    assert isinstance(feedback, ScorerError) and feedback.score is None and "the machine was busy" in feedback.text
    assert model.calls == 0


def test_what_takes_its_processor_time_scores_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region, "_highs", ended(work, True))
    monkeypatch.setattr(clock, "BUSY", 1000.0)
    feedback = score(SHELF.replace("a + 2 b <= 9", "a + 2 b <= 8"), limits=Limits(seconds=0.05))
    assert feedback.score == 0.0 and feedback.parts["undecided"] == 1.0 and "ran out of time" in feedback.text


async def test_a_map_that_the_machine_had_no_time_for_is_not_repaired(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ScriptedLLM([said(down={"a": [(0.5, "h")], "b": [(1, "b")]})])
    with use_session(Session(model, models={"agent": "any"}, role="judge")):
        with monkeypatch.context() as busy:
            busy.setattr(region, "_highs", ended(time.sleep, True))
            asked = await ask_equivalence(read_text(SHELF), read_text(UNITS), limits=Limits(seconds=0.1))
        assert asked.result.starved and model.calls == 1 and "the machine was busy" in asked.rounds[0]


def test_a_further_check_shares_processor_time_and_not_what_the_clock_took() -> None:
    earlier = Equivalence(verdict="equivalent", level=1, reason="", seconds=25.0, processor=0.5)
    assert Limits(total=30.0).after(earlier).total == 29.5


def test_a_row_without_variables_that_is_false_scores_0() -> None:
    feedback = score(SHELF + "\n1 == 0")
    assert feedback.score == 0.0 and "not the same problem" in feedback.text


def test_a_reference_that_cannot_be_read_is_the_callers_mistake() -> None:
    with pytest.raises(UsageError, match="the reference of example"):
        score(SHELF, reference="nothing")
    with pytest.raises(UsageError, match="no target"):
        equivalent_to()(Example(input="q"), SHELF)


async def test_nothing_is_solved_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, solve = [], region._highs

    def noted(*args: Any) -> Any:
        threads.append(threading.current_thread())
        return solve(*args)

    monkeypatch.setattr(region, "_highs", noted)
    model = ScriptedLLM([said(down={"a": [(0.5, "h")], "b": [(1, "b")]})])
    with use_session(Session(model, models={"agent": "any"}, role="judge")):
        assert (await score(UNITS, ask=True)).score == 1.0
    assert threads and threading.current_thread() not in threads


async def test_the_judge_is_asked_where_no_map_is_found() -> None:
    model = ScriptedLLM([said(down={"a": [(0.5, "h")], "b": [(1, "b")]})])
    with use_session(Session(model, models={"agent": "any"}, role="judge")):
        assert score(UNITS).score == 0.0
        assert (await score(UNITS, ask=True)).score == 1.0
        assert (await score(SHELF, ask=True)).score == 1.0
    assert [r.role for r in model.requests] == ["judge"]


def test_an_output_may_name_the_parameters_and_is_judged_on_their_draws() -> None:
    target = BOX.model_dump(mode="json")
    named = BOX.text.replace("+ y", "+ p").replace(" y ", " p ").replace("x, y", "x, p").replace("2 y", "2 p")
    fixed = named.replace("Room", "6")
    assert equivalent_to(BOX, draws=3)(Example(input="q"), f"```\n{named}\n```").score == 1.0
    told = score(fixed, target, draws=3)
    assert told.score == 0.0 and re.search(r"not the same problem with Room = \d+: ", told.text)
    assert score(fixed, target).score == 1.0, "the one instance is the same problem"


async def test_the_judge_is_asked_about_all_draws() -> None:
    replies = [said(down={"x": [(1, "h")], "y": [(1, "y")]}), said(down={"x": [(0.5, "h")], "y": [(1, "y")]})]
    model = ScriptedLLM(replies)
    with use_session(Session(model, models={"agent": "any"}, role="judge")):
        feedback = await score(PLAIN.text, BOX.model_dump(mode="json"), ask=True, draws=2)
    assert feedback.score == 1.0 and "(on 2 draws)" in feedback.text and len(model.requests) == 2
    assert "several sets of numbers" in str(model.requests[0].messages[0].content)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"level": 4}, "there is no level 4; 1 compares optimal values"),
        ({"level": 1, "ask": True}, "has no maps to ask for; use level 2 or 3"),
        ({"draws": 0}, "0 draws compare nothing"),
        ({"draws": 2}, "of a formulation without parameters; give a Template"),
        ({"draws": 2, "reference": Template(text="max x\nx <= A", parameters={"A": 2})}, "a template without ranges"),
        ({"reference": {"text": "max x", "parameters": {"A": "two"}}}, "this is not a template: parameters.A: "),
    ],
)
def test_what_the_scorer_cannot_do_is_refused_with_what_to_do(options: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        equivalent_to(**{"reference": SHELF, **options})(Example(input="q"), SHELF)


# -- the task --------------------------------------------------------------------------------------------------------


def test_every_reference_of_the_task_has_points_and_is_its_own_equal() -> None:
    task = load_task("formulations", n=8, seed=3)
    for example in task.examples:
        f = stated_formulation(example.target)
        assert equivalence(f, f, level=1).verdict == "equivalent", example.target
        assert set(re.findall(r"\d+", str(example.target))) - {"0", "100"} <= set(
            re.findall(r"\d+", str(example.input))
        )
        assert task.score(example, example.target).score == 1.0
        turned = str(example.target).translate(str.maketrans({"<": ">", ">": "<"}))
        assert task.score(example, turned).score == 0.0, turned
    assert {e.group for e in task.examples} == {"workshop", "diet", "transport", "savings"}


async def test_the_task_takes_the_level_and_whether_a_model_is_asked() -> None:
    default = load_task("formulations", n=4)
    assert default.scorer == equivalent_to()
    at_two = load_task("formulations", n=4, level="2", ask="true")
    assert at_two.scorer == equivalent_to(level=2, ask=True)
    assert (at_two.hash, at_two.objective) == (default.hash, default.objective)
    example = default.examples[0]
    loose = re.sub(r"(?m)^int .*$", "", str(example.target))
    values = [load_task("formulations", n=4, level=level).score(example, loose).parts["value"] for level in (1, 3)]
    assert values[0] == values[1]
    for options, why in (
        ({"level": "high"}, "level='high': "),
        ({"level": 7}, "there is no level 7"),
        ({"level": 1, "ask": True}, "has no maps to ask for"),
        ({"ask": "perhaps"}, "ask='perhaps': "),
        ({"levels": 2}, "did you mean 'level'? (it takes: n, seed, level, ask)"),
    ):
        with pytest.raises(UsageError, match=re.escape(why)):
            load_task("formulations", **options)


async def test_the_agent_of_the_task_is_scored_end_to_end() -> None:
    task = load_task("formulations", n=4)
    answers = {str(e.input): f"Let us see.\n\n```\n{e.target}\n```" for e in task.examples}

    def reply(request: Request) -> str:
        return next(a for q, a in answers.items() if q in str(request.messages[-1].content))

    with use_session(Session(ScriptedLLM(reply), models={"agent": "any"})):
        for example in task.examples:
            answer = await load_graph("modeller")(example.input)
            assert task.score(example, answer.value).score == 1.0


def test_the_map_type_is_exported() -> None:
    assert str(VariableMap.linear({"x": {"y": 2}})) == "x = 2 y"

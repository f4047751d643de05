"""Agents that solve optimization problems by programs: what they ask, what they make of replies, how they mend them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "data"))

from carpenter import CARPENTER, CRASHES, FORMULATION, NAMES, RIGHT, asks, program, said, source

from agentopt import Override, Trace, load_graph, node, parameters
from agentopt.errors import UsageError
from agentopt.evaluate import Example
from agentopt.evaluate.modelling import Solved, all_figures, find_program
from agentopt.evaluate.modelling import solve as run_program
from agentopt.llm.context import Session, use_session
from agentopt.llm.types import Request, Response
from agentopt.testing import ScriptedLLM
from agentopt.workspace import prompt_text


@contextmanager
def model(reply: Callable[[Request], Any] | list[Any]) -> Iterator[ScriptedLLM]:
    """A scripted model for the calls inside."""
    scripted = ScriptedLLM(reply)
    with use_session(Session(scripted, models={"agent": "any"})):
        yield scripted


def script(**replies: Any) -> Callable[[Request], Any]:
    """A model that says for each kind of request what is given for it: one reply, or several in turn."""
    turns = {kind: iter(given) for kind, given in replies.items() if isinstance(given, list)}

    def reply(request: Request) -> Any:
        kind = asks(request)
        return next(turns[kind]) if kind in turns else replies[kind]

    return reply


async def solve(graph: str, problem: str, **settings: Any) -> Any:
    """Run a graph with some parameters set."""
    with Override(settings):
        return await load_graph(graph)(problem=problem, names=NAMES[problem])


@pytest.mark.parametrize("problem", NAMES)
async def test_a_right_program_is_run_and_kept(problem: str) -> None:
    with model([program(problem)]) as scripted:
        found = await solve("self_correct", problem)
    assert found == {"program": source(problem), "rounds": 0}
    assert scripted.calls == 1
    assert problem in said(scripted.requests[0])
    assert all(json.dumps(name) in said(scripted.requests[0]) for name in NAMES[problem])


# -- five elements ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", NAMES)
async def test_the_problem_is_formulated_and_the_program_is_written_from_both(problem: str) -> None:
    with model(script(formulate="Sure.\n" + FORMULATION + "\nDone.", program=program(problem))) as scripted:
        assert await solve("five_element", problem) == program(problem)
    assert [asks(r) for r in scripted.requests] == ["formulate", "program"]
    assert all(problem in said(r) for r in scripted.requests)
    shown = said(scripted.requests[1])
    assert "- c: integer, c >= 0  # chairs" in shown
    assert "Sure." not in shown
    assert "Done." not in shown
    assert all(json.dumps(name) in shown for name in NAMES[problem])


async def test_on_the_route_f2c_the_formulation_is_all_that_the_program_is_written_from() -> None:
    with model(script(formulate=FORMULATION, program=program(CARPENTER))) as scripted:
        await solve("five_element", CARPENTER, route="F2C")
    assert CARPENTER not in said(scripted.requests[1])
    assert "maximize 45 c + 80 t" in said(scripted.requests[1])


async def test_a_formulation_that_cannot_be_read_is_passed_on_as_it_is() -> None:
    prose = "We maximize 45 chairs + 80 tables, with not more than 400 boards."
    with model(script(formulate=prose, program=program(CARPENTER))) as scripted:
        assert await solve("five_element", CARPENTER) == program(CARPENTER)
    assert prose in said(scripted.requests[1])


async def test_json_is_held_to_the_schema_and_shown_as_text() -> None:
    given = {"sets": [], "parameters": [], "variables": ["c: integer"], "objective": "max 45 c", "constraints": []}
    with model(script(formulate=given, program=program(CARPENTER))) as scripted:
        assert await solve("five_element", CARPENTER, form="json") == program(CARPENTER)
    assert scripted.requests[0].json_schema is not None
    assert scripted.requests[1].json_schema is None
    assert "## Variables\n- c: integer\n" in said(scripted.requests[1])


async def test_json_that_is_wrong_twice_is_passed_on_as_it_is() -> None:
    replies = ["maximize 45 c", "no JSON: maximize 45 c + 80 t", program(CARPENTER)]
    with model(replies) as scripted:
        assert await solve("five_element", CARPENTER, form="json") == program(CARPENTER)
    assert "no JSON: maximize 45 c + 80 t" in said(scripted.requests[2])


async def test_the_solver_decides_what_is_explained_and_every_setting_leads_to_the_program() -> None:
    for solver in load_graph("five_element").__wrapped__.__globals__["GUIDES"]:
        with model(script(formulate=FORMULATION, program=program(CARPENTER))) as scripted, Trace() as trace:
            trace.output = await solve("five_element", CARPENTER, solver=solver)
        assert prompt_text(f"agents/solver_{solver}") in said(scripted.requests[1])
        found = {r.name for r in trace.graph.subgraph(trace.graph.output).nodes if r.kind == "param"}
        assert {"five_element", "five_element_program", "form", "route", "solver", f"solver_{solver}"} == found


@pytest.mark.parametrize(
    ("solver", "answer"),
    [
        ("pyscipopt", "print(model.getVal(x), model.getObjVal())"),
        ("pyomo", "print(pyo.value(model.x), pyo.value(model.objective))"),
        ("pyomo", "print(pyo.value(model.x), pyo.value(model.objective)) # scip_direct"),
        ("ortools", "print(x.solution_value(), solver.Objective().Value())"),
        ("scipy", "print(x, value)"),
    ],
)
async def test_the_code_that_explains_a_solver_runs_in_the_sandbox(solver: str, answer: str) -> None:
    if solver == "ortools":
        pytest.importorskip("ortools")
    text = prompt_text(f"agents/solver_{solver}")
    code = re.findall(r"^(?:from|import) .*\n(?:.+\n)+", text, re.MULTILINE)
    body = re.sub(r"^    [^\n=]*$", f"    {answer}", code[0], flags=re.MULTILINE)
    if solver == "scipy":
        body += answer + "\n" + code[1]
    if "scip_direct" in answer:
        body = body.replace('"highs"', '"scip_direct"')
    found = await run_program(body, [])
    assert found.ran, found.text
    x, value = (float(figure) for figure in found.stdout.split()[:2])
    assert value == pytest.approx({"scipy": 15.0}.get(solver, 20.0))
    assert x == pytest.approx({"scipy": 5.0}.get(solver, 10.0))


async def test_the_worked_example_of_the_prompt_is_right() -> None:
    shown = find_program(prompt_text("agents/program_of_thought")).code
    solved = await run_program(shown, ["The number of stools", "The number of lamps", "The total earnings"])
    assert solved.ok and list(solved.values.values()) == pytest.approx([2, 6, 66])


# -- self-correction: what the run says --------------------------------------------------------------------------------


async def test_a_crash_is_mended_with_what_the_sandbox_says_and_the_last_attempt_at_hand() -> None:
    with model(script(program=program(CARPENTER, CRASHES), mend=program(CARPENTER))) as scripted:
        found = await solve("self_correct", CARPENTER)
    assert found == {"program": source(CARPENTER), "rounds": 1}
    turns = scripted.requests[1].messages
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]
    assert turns[0].content == said(scripted.requests[0])
    assert turns[1].content == program(CARPENTER, CRASHES)
    told = str(turns[2].content)
    assert "crashed" in told
    assert "hideOutput() takes at most 1 positional argument" in told
    assert told.count("model.hideOutput(True, True, True)") == 1, "the program itself stands in the turn before"
    assert "getObjVal" not in told


ENDINGS = {
    "no code": ("I would use a solver.", "holds no Python program"),
    "cut off": (program(CARPENTER).partition("model.optimize")[0].rstrip() + "\nmodel.addCons(", "was cut off"),
    "infeasible": (program(CARPENTER, ("5 * c + 20 * t <= 400", "5 * c + 20 * t <= -1")), "infeasible"),
    "no answer": ("```python\nprint('The profit is', 2200)\n```", "profit"),
    "partial": (program(CARPENTER, ('"profit": ', '"income": ')), "profit: it is not printed"),
    "does not parse": (program(CARPENTER, ('else:', 'else')), "expected ':'"),
    "not a number": (program(CARPENTER, ('"profit": model.getObjVal()', '"profit": "a lot"')), "profit"),
    "a package that is not here": ("```python\nimport gurobipy\nprint(1)\n```", "gurobipy is not installed"),
}  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
async def test_whatever_came_is_told_and_mended(ending: str) -> None:
    reply, told = ENDINGS[ending]
    with model(script(program=reply, mend=program(CARPENTER))) as scripted:
        found = await solve("self_correct", CARPENTER)
    assert found == {"program": source(CARPENTER), "rounds": 1}
    assert told in said(scripted.requests[-1])


async def test_a_model_without_a_solution_speaks_against_the_formulation_where_there_is_one() -> None:
    impossible = program(CARPENTER, ("5 * c + 20 * t <= 400", "5 * c + 20 * t <= -1"))
    replies = {"formulate": FORMULATION, "reformulate": FORMULATION.replace("45 c", "46 c"), "mend": program(CARPENTER)}
    with model(script(**replies, program=[impossible, program(CARPENTER)])) as scripted:
        found = await solve("self_correct", CARPENTER, base="five_element")
    assert found == {"program": source(CARPENTER), "rounds": 1}
    assert [asks(r) for r in scripted.requests] == ["formulate", "program", "reformulate", "program"]
    again = scripted.requests[2].messages
    assert again[0].content == said(scripted.requests[0])
    assert "maximize 45 c" in str(again[1].content)
    assert "infeasible" in str(again[2].content)
    assert "maximize 46 c" in said(scripted.requests[3])
    with model(script(program=impossible, mend=program(CARPENTER))) as scripted:
        await solve("self_correct", CARPENTER)
    assert [asks(r) for r in scripted.requests] == ["program", "mend"]


@pytest.mark.parametrize("rounds", [0, 1, 3])
async def test_the_rounds_are_bounded(rounds: int) -> None:
    """Each attempt is another one that crashes."""
    more = [program(CARPENTER, CRASHES, ("import json", f"import json  # {i}")) for i in range(9)]
    with model(script(program=more[0], mend=more[1:])) as scripted:
        found = await solve("self_correct", CARPENTER, rounds=rounds)
    assert scripted.calls == 1 + rounds
    assert found["rounds"] == rounds
    assert f"# {rounds}" in found["program"]


async def test_a_program_that_comes_again_ends_it() -> None:
    same = program(CARPENTER, CRASHES)
    with model(script(program=same, mend="Mended:\n" + same)) as scripted:
        found = await solve("self_correct", CARPENTER, rounds=6)
    assert scripted.calls == 2
    assert found == {"program": source(CARPENTER, CRASHES), "rounds": 0}, "nothing was mended"


async def test_a_program_that_comes_again_later_ends_it_too() -> None:
    first, second = (program(CARPENTER, CRASHES, ("import json", f"import json  # {i}")) for i in range(2))
    with model(script(program=first, mend=[second, first])) as scripted:
        found = await solve("self_correct", CARPENTER, rounds=6)
    assert scripted.calls == 3
    assert found == {"program": source(CARPENTER, CRASHES, ("import json", "import json  # 1")), "rounds": 1}


async def test_a_program_that_the_cap_cut_off_is_scored_as_that() -> None:
    """Cut within its block at a line that parses: only the model's server knows that there was more to come."""
    whole = program(CARPENTER)
    cut = Response(text=whole[: whole.index("model.optimize()")].rstrip(), finish="length")
    with model([cut]):
        found = dict((await solve("self_correct", CARPENTER, rounds=0)).value)
    assert found["cut_off"] is True
    example = Example(input={}, target=RIGHT[CARPENTER], meta={"objective": "profit"})
    told = await all_figures()(example, found)
    assert "was cut off" in told.text and (told.parts["no_code"], told.parts["crashed"]) == (1.0, 0.0)
    with model(script(program=cut, mend=whole)) as scripted:
        assert await solve("self_correct", CARPENTER) == {"program": source(CARPENTER), "rounds": 1}
    assert "was cut off" in said(scripted.requests[1])


async def test_a_reply_without_a_program_takes_none_away() -> None:
    first = program(CARPENTER, CRASHES)
    with model(script(program=first, mend="It is right as it is, I am sure.")):
        assert await solve("self_correct", CARPENTER, rounds=1) == {"program": source(CARPENTER, CRASHES), "rounds": 1}


# -- self-correction: what the model says ------------------------------------------------------------------------------

WRONG = ("45 * c + 80 * t", "45 * c + 60 * t")
CONTENT = {"analysis": "Nothing is wrong.", "formulation": True, "code": True}
BAD_CODE = {"analysis": "A table brings 80, not 60.", "formulation": True, "code": False}
BAD_MODEL = {"analysis": "The objective lacks the tables.", "formulation": False, "code": True}


async def test_a_judge_who_is_content_ends_it_and_sees_everything_but_the_answer() -> None:
    with model(script(formulate=FORMULATION, program=program(CARPENTER), judge=CONTENT)) as scripted:
        found = await solve("self_correct", CARPENTER, base="five_element", critic="self_judge")
    assert found == {"program": source(CARPENTER), "rounds": 0}
    assert [asks(r) for r in scripted.requests] == ["formulate", "program", "judge"]
    seen = said(scripted.requests[-1])
    assert scripted.requests[-1].json_schema is not None
    assert all(
        part in seen for part in (CARPENTER, "maximize 45 c + 80 t", source(CARPENTER).strip(), '"profit": 2200')
    )


async def test_wrong_code_is_written_anew_with_the_analysis() -> None:
    judgements = [BAD_CODE, CONTENT]
    with model(script(program=program(CARPENTER, WRONG), judge=judgements, mend=program(CARPENTER))) as scripted:
        found = await solve("self_correct", CARPENTER, critic="self_judge")
    assert found == {"program": source(CARPENTER), "rounds": 1}
    assert [asks(r) for r in scripted.requests] == ["program", "judge", "mend", "judge"]
    assert "A table brings 80, not 60." in said(scripted.requests[2])
    assert "(none was written)" in said(scripted.requests[1])


async def test_a_wrong_formulation_is_written_anew_and_the_program_from_it() -> None:
    replies = {
        "formulate": FORMULATION.replace(" + 80 t", ""),
        "reformulate": FORMULATION,
        "program": [program(CARPENTER, ("45 * c + 80 * t", "45 * c")), program(CARPENTER)],
        "judge": [BAD_MODEL, CONTENT],
    }
    with model(script(**replies)) as scripted:
        found = await solve("self_correct", CARPENTER, base="five_element", critic="self_judge")
    assert found == {"program": source(CARPENTER), "rounds": 1}
    assert [asks(r) for r in scripted.requests] == ["formulate", "program", "judge", "reformulate", "program", "judge"]
    assert "The objective lacks the tables." in said(scripted.requests[3])
    assert "maximize 45 c + 80 t" in said(scripted.requests[4])


async def test_a_judge_is_not_believed_who_is_content_with_a_crash() -> None:
    with model(script(program=program(CARPENTER, CRASHES), judge=[CONTENT] * 2, mend=program(CARPENTER))) as scripted:
        found = await solve("self_correct", CARPENTER, critic="self_judge")
    assert found == {"program": source(CARPENTER), "rounds": 1}
    assert "hideOutput() takes at most 1" in said(scripted.requests[2])


@pytest.mark.parametrize("first", [program(CARPENTER), program(CARPENTER, CRASHES)])
async def test_of_a_judge_without_a_verdict_the_run_decides(first: str) -> None:
    fine = {"judge": "I think it is fine.", "repair": "It is fine."}
    with model(script(program=first, mend=program(CARPENTER), **fine)) as scripted:
        found = await solve("self_correct", CARPENTER, critic="self_judge", rounds=1)
    assert [asks(r) for r in scripted.requests][1:3] == ["judge", "repair"]
    assert found == {"program": source(CARPENTER), "rounds": int(first != program(CARPENTER))}


async def test_an_answer_is_not_given_up_for_a_mended_program_that_crashes() -> None:
    with model(script(program=program(CARPENTER), judge=[BAD_CODE] * 2, mend=program(CARPENTER, CRASHES))):
        found = await solve("self_correct", CARPENTER, critic="self_judge", rounds=1)
    assert found == {"program": source(CARPENTER), "rounds": 1}


async def test_a_part_of_an_answer_is_better_than_none() -> None:
    part = (('"profit": ', '"income": '),)
    crashes = [program(CARPENTER, CRASHES, ("import json", f"import json  # {i}")) for i in range(3)]
    with model(script(program=program(CARPENTER, *part), mend=crashes)):
        found = await solve("self_correct", CARPENTER, rounds=2)
    assert found == {"program": source(CARPENTER, *part), "rounds": 2}


# -- self-correction: what a critic of one's own says ------------------------------------------------------------------


async def corrected(replies: Any, by: Any, problem: str = CARPENTER, **settings: Any) -> tuple[Any, ScriptedLLM]:
    """Run ``self_correct`` with a critic."""
    with model(replies) as scripted, Override(settings):
        return await load_graph("self_correct")(problem=problem, names=NAMES[problem], critic=by), scripted


async def test_a_critic_of_ones_own_says_what_is_mended_and_is_not_told_the_answer() -> None:
    seen: list[dict[str, Any]] = []

    @node
    async def too_low(problem: str, formulation: str, program: str, solved: dict[str, Any]) -> str | None:
        """Whether there is more to be had."""
        seen.append({"problem": problem, "formulation": formulation, "program": program, "solved": solved})
        return "A table brings 80, not 60." if solved["values"]["profit"] < 2100 else None

    with Trace():
        found, scripted = await corrected(
            script(program=program(CARPENTER, WRONG), mend=program(CARPENTER)), too_low, critic="self_judge"
        )
    assert found.value == {"program": source(CARPENTER), "rounds": 1}
    assert [asks(r) for r in scripted.requests] == ["program", "mend"], "the parameter's critic is not asked"
    assert "A table brings 80, not 60." in said(scripted.requests[1])
    assert [type(s["solved"]) for s in seen] == [dict, dict]
    assert seen[0] | {"solved": 0} == {
        "problem": CARPENTER, "formulation": "", "program": source(CARPENTER, WRONG).strip(), "solved": 0,
    }  # fmt: skip
    assert set(seen[0]["solved"]) == set(Solved.model_fields)
    assert "2200" not in repr(seen[0]), "the right profit"


@pytest.mark.parametrize(
    ("says", "kinds"),
    [
        (None, ["formulate", "program"]),
        ("A table brings 80.", ["formulate", "program", "mend"]),
        (BAD_MODEL, ["formulate", "program", "reformulate", "program"]),
        (BAD_CODE, ["formulate", "program", "mend"]),
        (CONTENT, ["formulate", "program"]),
    ],
)
async def test_a_critic_says_nothing_or_a_text_or_a_judgement(says: Any, kinds: list[str]) -> None:
    async def critic(problem: Any, formulation: Any, program: Any, solved: Any) -> Any:
        return says

    replies = {"formulate": FORMULATION, "reformulate": FORMULATION, "mend": program(CARPENTER)}
    programs = [program(CARPENTER, WRONG), program(CARPENTER)]
    _, scripted = await corrected(script(**replies, program=programs), critic, base="five_element", rounds=1)
    assert [asks(r) for r in scripted.requests] == kinds


async def test_a_critic_who_says_nothing_of_a_crash_leaves_it_to_the_run() -> None:
    async def silent(problem: Any, formulation: Any, program: Any, solved: Any) -> None:
        return None

    found, _ = await corrected(script(program=program(CARPENTER, CRASHES), mend=program(CARPENTER)), silent)
    assert found == {"program": source(CARPENTER), "rounds": 1}


async def test_what_is_no_critic_is_told_and_so_is_what_is_no_criticism() -> None:
    with pytest.raises(UsageError, match=r"critic is 'self_judge'; give an async function .* one of execution, self_"):
        await corrected([program(CARPENTER)], "self_judge")

    async def number(problem: Any, formulation: Any, program: Any, solved: Any) -> int:
        return 7

    with pytest.raises(UsageError, match="a critic gave 7; it gives None, a text, or a dict"):
        await corrected([program(CARPENTER)], number)


def test_the_critics_that_come_with_the_graph_are_of_the_same_kind() -> None:
    graph = load_graph("self_correct")
    parameter = parameters(graph)["critic"]
    assert tuple(graph.__wrapped__.__globals__["CRITICS"]) == parameter.choices == ("execution", "self_judge")
    assert parameter.default == "execution"

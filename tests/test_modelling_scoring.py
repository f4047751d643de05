"""Scores of programs that solve: every figure, or the optimal value; tolerances; and what is nobody's wrong answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from agentopt import Example, Task, Trace
from agentopt.core import add_op
from agentopt.errors import UnknownName, UsageError
from agentopt.evaluate import use_runner
from agentopt.evaluate.modelling import NO_OPTIMUM, TOLERANCES, all_figures, optimal_value, tolerance
from agentopt.evaluate.modelling.endings import PROMISED
from agentopt.evaluate.programs import needs_runner, preloads
from agentopt.evaluate.sandboxed import SandboxRunner
from agentopt.evaluate.scoring import ScorerError
from agentopt.llm import Session, use_session
from agentopt.llm.types import Request
from agentopt.sandbox import open_sandbox
from agentopt.testing import ScriptedLLM

TABLES = Example(
    id="tables",
    input={"problem": "Tables and chairs ...", "names": ["The tables", "The chairs", "The profit"]},
    target={"The tables": 12.0, "The chairs": 0.5, "The profit": 1250.0},
    meta={"objective": "The profit"},
)
ONE = Example(
    id="one", input={"problem": "p"}, target={"objective": 1250.0}, meta={"labels": "sirl", "printed": "1250"}
)


@pytest.fixture(scope="module", autouse=True)
def place() -> Iterator[None]:
    """A sandbox for all tests; these programs need no solver."""
    with open_sandbox(servers=1) as sandbox, use_runner(SandboxRunner(sandbox)):
        yield


def printing(text: str) -> str:
    return f"```python\nimport json\nprint({text!r})\n```"


@pytest.mark.parametrize(
    ("figures", "parts"),
    [
        ((12.0, 0.5, 1250.0), {"all_keys": 1, "keys": 1, "objective_1e-4": 1, "objective_1e-6": 1, "variables": 1}),
        ((12.0, 0.50005, 1250.00005), {"all_keys": 1, "objective_1e-6": 1, "variables": 1}),
        ((12.0, 0.5003, 1250.0), {"all_keys": 0, "keys": 2 / 3, "objective_1e-6": 1, "variables": 1}),
        ((12.0, 0.51, 1250.1), {"keys": 1 / 3, "all_keys": 0, "objective_1e-4": 1, "objective_1e-6": 0}),
        ((12.0, 0.51, 1250.0), {"variables": 0, "all_keys": 0, "objective_1e-6": 1}),
        ((11.0, 0.5, 1249.0), {"all_keys": 0, "objective_1e-4": 0, "variables": 0}),
    ],
)  # fmt: skip
async def test_parts_of_every_figure(figures: tuple[float, ...], parts: dict[str, float]) -> None:
    text = json.dumps(dict(zip(TABLES.target, figures, strict=True)))  # type: ignore[arg-type]
    said = await all_figures()(TABLES, printing(text))
    assert said.score == parts["all_keys"]
    assert {name: said.parts[name] for name in parts} == pytest.approx(parts)
    assert said.parts["code_pass"] == 1 and said.parts["crashed"] == 0


@pytest.mark.parametrize(
    ("reply", "part"),
    [
        ("I cannot.", "no_code"), ("```python\nprint((", "no_code"), ("```python\n1 / 0\n```", "crashed"),
        ("```python\nwhile True: pass\n```", "timeout"), ("```python\nimport gurobipy\n```", "missing_solver"),
        (printing("nothing"), "no_answer"), (printing('{"The tables": NaN, "The chairs": 1, "The profit": 2}'),
                                            "no_answer"),
        (printing('{"status": "infeasible"}'), "not_optimal"), (printing('{"status": "unbounded"}'), "not_optimal"),
        (42, "no_code"), ({"rounds": 2}, "no_code"),
    ],
)  # fmt: skip
async def test_a_program_without_an_answer_is_wrong_and_told_why(reply: Any, part: str) -> None:
    said = await all_figures(seconds=1.0)(TABLES, reply)
    ended = ("timeout", "not_optimal", "crashed", "no_code", "missing_solver", "no_answer")
    assert said.score == 0 and said.text
    assert [name for name in ended if said.parts[name]] == [part]


def ended_by(finish: str, reply: str) -> Trace:
    """The trace of a program that asked a model, and then a second one about something else."""
    with Trace() as trace:
        add_op("llm", reply, kind="llm", finish=finish)
        add_op("llm", "Fine.", kind="llm", finish="stop")
    return trace


@pytest.mark.parametrize("scorer", [all_figures(), optimal_value()])
@pytest.mark.parametrize(
    "reply", ["```python\nimport json\nprint(json.dumps({}))\nx = 1", "import json\nprint(json.dumps({}))\nx = 1"]
)  # fmt: skip
async def test_what_the_cap_of_tokens_cut_off_is_not_run(scorer: Any, reply: str) -> None:
    example = ONE if isinstance(scorer, optimal_value) else TABLES
    cut = await scorer(example, reply, ended_by("length", reply))
    assert (cut.parts["no_code"], cut.parts["code_pass"]) == (1, 0) and "cut off" in cut.text
    for trace in (None, ended_by("stop", reply)):  # it parses, and nothing says that it was cut
        whole = await scorer(example, reply, trace)
        assert (whole.parts["no_code"], whole.parts["code_pass"]) == (0, 1)


async def test_the_official_protocol_tells_what_was_cut_too() -> None:
    reply, scorer = "```python\nimport json\nx = 1", all_figures(protocol="official")
    assert (await scorer(TABLES, reply, ended_by("length", reply))).parts["no_code"] == 1
    assert (await scorer(TABLES, reply, ended_by("stop", reply))).parts["crashed"] == 1, (
        "as published: all of it is run"
    )


async def test_a_program_that_ends_before_the_cap_is_run() -> None:
    reply = printing('{"objective": 1250}') + "\nThis program prints the"
    assert (await optimal_value()(ONE, reply, ended_by("length", reply))).score == 1


def test_every_library_that_a_prompt_names_is_promised() -> None:
    assert {"pyscipopt", "pyomo", "ortools", "scipy", "highspy"} <= PROMISED.keys()


async def test_a_mended_program_tells_its_rounds() -> None:
    program = 'print({"objective": 1250})'
    said = await optimal_value()(ONE, {"program": program, "rounds": 2})
    assert said.score == 1 and said.parts["rounds"] == 2 and said.parts["executed"] == 1
    assert said.text == "correct (labels sirl, tolerance rel 1e-6)"


async def test_a_problem_without_an_objective_has_no_score_by_it() -> None:
    bare = TABLES.model_copy(update={"meta": {}})
    said = await all_figures()(bare, printing('{"The tables": 12, "The chairs": 0.5, "The profit": 1250}'))
    assert said.score == 1 and "objective_1e-4" not in said.parts and said.parts["variables"] == 1
    assert (await all_figures(headline="objective_1e-4")(bare, printing("{}"))).score is None


async def test_a_world_that_cannot_run_programs_is_no_wrong_answer() -> None:
    sandbox = open_sandbox(servers=1)
    sandbox.close()
    with use_runner(SandboxRunner(sandbox)):
        for scorer, example in ((all_figures(), TABLES), (optimal_value(), ONE)):
            said = await scorer(example, printing("{}"))
            assert isinstance(said, ScorerError) and said.score is None


async def test_the_official_protocol_reads_the_first_block_and_lines_below_the_dashes() -> None:
    right = "print('profit: 3')\nprint('-' * 10)\nprint('Tables:', 12.0)\nprint('Chairs:', 0.5)\nprint('Profit:', 1250)"
    score = all_figures(protocol="official")
    assert (await score(TABLES, f"```python\n{right}\n```\n```python\nprint(1)\n```")).score == 1
    said = await score(
        TABLES, "```python\nprint('-' * 10)\nprint('The problem could not be solved to optimality.')\n```"
    )
    assert (said.score, said.parts["code_pass"], said.parts["not_optimal"]) == (0, 1, 1)
    assert (await score(TABLES, f"```python\n{right}\nraise SystemExit(1)\n```")).parts["code_pass"] == 0
    assert (await score(TABLES, "no code at all")).parts["no_code"] == 1
    assert (await score(TABLES, {"program": right})).score == 1


async def test_the_official_protocol_with_a_reading_model() -> None:
    asked = {"The tables": "12", "The chairs": "0.50000", "The profit": "1,250.00000"}

    def reply(request: Request) -> str:
        value = next(v for k, v in asked.items() if f'"{k}"' in request.messages[-1].content)
        return f"\\boxed{{{value}}}"

    scripted = ScriptedLLM(reply)
    with use_session(Session(scripted, models={"agent": "any"})):
        said = await all_figures(protocol="official", reader="model")(TABLES, "```python\nprint('so and so')\n```")
    assert said.score == 1 and len(scripted.requests) == 3
    with pytest.raises(UsageError, match="official"):
        all_figures(reader="model")


@pytest.mark.parametrize(
    ("name", "value", "label", "printed", "right"),
    [
        ("abs 1e-4", 1.0001, 1.0, "", True), ("abs 1e-4", 1.00011, 1.0, "", False),
        ("abs 1e-4", 1e6 + 0.001, 1e6, "", False), ("rel 1e-4", 1e6 + 99, 1e6, "", True),
        ("rel 1e-6", 1e6 + 1, 1e6, "", True), ("rel 1e-6", 1e6 + 1.1, 1e6, "", False),
        ("rel 1e-4", 0.0, 0.0, "", True), ("rel 1e-4", 1e-3, 0.0, "", False), ("rel 1e-4", -5.0, 5.0, "", False),
        ("variable", 100.1, 100.0, "", True), ("variable", 0.00009, 0.0, "", True), ("variable", 0.2, 0.0, "", False),
        ("mamo", 17.4, 17.0, "17", True), ("mamo", 17.6, 17.0, "17", False), ("mamo", 17.4, 17.0, "17.0", False),
        ("mamo", 2.344, 2.35, "2.35", False), ("mamo", 2.346, 2.35, "2.35", True),
        ("two decimals", 0.333333, 0.33, "", True), ("two decimals", 0.35, 0.33, "", False),
        ("orlm", 104.4, 100.0, "", True), ("orlm", 106.0, 100.0, "", False), ("orlm", 0.4, 0.0, "", True),
        ("rel 1e-4", float("nan"), 1.0, "", False), ("rel 1e-4", float("inf"), 1.0, "", False),
    ],
)  # fmt: skip
def test_tolerances(name: str, value: float, label: float, printed: str, right: bool) -> None:
    assert tolerance(name).right(value, label, printed) is right


def test_an_unknown_tolerance() -> None:
    with pytest.raises(UnknownName, match="rel 1e-6"):
        optimal_value(tolerance="rel 1e-5")
    assert all(known.name == name for name, known in TOLERANCES.items())


async def test_a_problem_without_an_optimum() -> None:
    none = ONE.model_copy(update={"target": {"objective": NO_OPTIMUM}})
    assert (await optimal_value()(none, printing('{"status": "infeasible"}'))).score == 1
    assert (await optimal_value()(none, printing('{"objective": 3}'))).score == 0
    assert (await optimal_value()(none, "no code")).score == 0
    assert (await optimal_value()(none, printing("The problem could not be solved to optimality"))).score == 1
    assert (await optimal_value()(none, printing("No optimal solution found: time limit reached"))).score == 0


async def test_the_original_label_is_scored_beside_the_corrected_one() -> None:
    raw = {"label": 1300.0, "printed": "1300", "tolerance": "mamo"}
    both = ONE.model_copy(update={"meta": {**ONE.meta, "raw": raw}})
    said = await optimal_value()(both, printing('{"objective": 1300.2}'))
    assert (said.score, said.parts["solved_raw"], said.parts["objective_1e-4"]) == (0, 1, 0)
    assert "expected 1250" in said.text


@pytest.mark.parametrize("target", [None, {}, {"a": "x"}, {"a": True}])
async def test_a_target_that_cannot_be_scored_is_the_users_mistake(target: Any) -> None:
    with pytest.raises(UsageError):
        await all_figures()(TABLES.model_copy(update={"target": target}), printing("{}"))
    with pytest.raises(UsageError):
        await optimal_value()(ONE.model_copy(update={"target": target}), printing("{}"))


def test_a_run_opens_their_sandbox_with_the_solvers() -> None:
    for scorer in (all_figures(), optimal_value()):
        assert needs_runner(scorer) and "pyscipopt" in preloads(scorer)
    assert Task("t", [TABLES], all_figures()).scorer is not None

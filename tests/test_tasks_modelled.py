"""The modelled task: the shape of optibench's examples, one seed one set, and what its own programs score."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from agentopt import Task, load_task
from agentopt.errors import UnknownName, UsageError
from agentopt.evaluate.programs import use_runner
from agentopt.evaluate.sandboxed import SandboxRunner
from agentopt.problems import LINEAR, SCENARIOS, Formulation
from agentopt.sandbox import Limits, open_sandbox


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task("modelled", n=46, seed=5, seconds=60.0)


@pytest.fixture(scope="module")
def place() -> Iterator[None]:
    pytest.importorskip("pyscipopt")
    limits = Limits(memory=2 << 30, output=1 << 20, processes=128)
    with open_sandbox(require=["pyscipopt"], limits=limits) as sandbox, use_runner(SandboxRunner(sandbox)):
        yield


def test_examples_are_shaped_as_those_of_optibench(task: Task) -> None:
    for example in task.examples:
        target = example.target
        assert isinstance(example.input, dict) and isinstance(target, dict)
        assert example.input["names"] == list(target)
        assert example.meta["objective"] == list(target)[-1]
        assert example.group == example.meta["type"]
        assert all(isinstance(value, float) for value in target.values())
        f = Formulation.model_validate(example.meta["formulation"])
        if f.is_linear or all(v.whole for v in f.variables):
            assert [v.meaning for v in f.variables] == list(target)[:-1]
        else:
            assert list(target) == [f.objective_meaning]
    assert {e.meta["scenario"] for e in task.examples} == set(SCENARIOS)


def test_another_seed_is_another_set_and_a_set_is_what_its_seed_says(task: Task) -> None:
    again, other = (load_task("modelled", n=46, seed=seed, seconds=60.0) for seed in (5, 6))
    assert again.hash == task.hash != other.hash
    texts = [{str(e.input) for e in t.examples} for t in (task, other)]
    assert not texts[0] & texts[1]


def test_its_own_programs_score_1_and_a_wrong_figure_scores_0(task: Task, place: None) -> None:
    for example in task.examples[:23:4]:
        program = str(example.meta["program"])
        assert asyncio.run(task.ascore(example, {"program": program})).score == 1.0
        wrong = program.replace("print(json.dumps(answer))", "print(json.dumps({k: v + 1 for k, v in answer.items()}))")
        assert asyncio.run(task.ascore(example, {"program": wrong})).score == 0.0


def test_options_choose_what_is_drawn() -> None:
    chosen = load_task("modelled", n=8, kind="linear", level="hard", table="yes")
    assert {e.meta["scenario"] for e in chosen.examples} <= set(LINEAR)
    assert {(e.meta["level"], e.meta["type"]) for e in chosen.examples} == {("hard", "linear-table")}
    named = load_task("modelled", n=8, scenarios="fence, box")
    assert {e.meta["scenario"] for e in named.examples} == {"fence", "box"}
    with pytest.raises(UnknownName, match="did you mean 'fence'"):
        load_task("modelled", scenarios="fense")
    with pytest.raises(UsageError):
        load_task("modelled", n=0)

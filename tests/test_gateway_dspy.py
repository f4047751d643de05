"""A DSPy program behind the gateway: the example of docs/gateway.md, optimized. Needs ``pip install dspy``."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt.core.values import Candidate, Proposal
from agentopt.evaluate import Example, Task
from agentopt.run.files import open_run
from agentopt.testing import StubReply, StubServer

PAGE = Path(__file__).resolve().parents[1] / "docs" / "gateway.md"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("dspy") is None, reason="DSPY IS NOT TESTED: it is not installed (pip install dspy)"
)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The graph of the page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    [block] = re.findall(r"```python\n(import dspy\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / "program.py"
    file.write_text(f"import agentopt\n{block}")
    namespace: dict[str, Any] = {"__name__": "program", "__file__": str(file)}
    exec(compile(file.read_text(), str(file), "exec"), namespace)  # noqa: S102 - a page of ours
    return namespace["program"]


class Careful:
    """An optimizer that suggests one instruction."""

    name = "careful"

    async def ask(self, view: Any, n: int) -> list[Proposal]:
        return [Proposal(candidate=Candidate(values={"instruction": "Answer the question carefully."}))]

    def tell(self, outcomes: Any) -> None: ...

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: Any) -> None: ...


def reply(body: dict[str, Any]) -> StubReply:
    """In the form that DSPy asks for; right when asked carefully, and for every third question."""
    system, user = (str(m["content"]) for m in body["messages"])
    number = int(re.search(r"q(\d+)", user)[1])  # type: ignore[index]
    text = f"right q{number}" if "carefully" in system or number % 3 == 0 else "wrong"
    return StubReply(f"[[ ## answer ## ]]\n{text}\n\n[[ ## completed ## ]]")


def task(n: int) -> Task:
    def same(example: Example, output: Any) -> float:
        return float(output == example.target)

    return Task("questions", [Example(input={"question": f"q{i}"}, target=f"right q{i}") for i in range(n)], same)


OPTIONS: dict[str, Any] = {"runs_dir": "runs", "name": "run", "cache": False}


def test_its_instruction_is_improved(program: Any) -> None:
    with StubServer(reply) as server:
        result = agentopt.optimize(
            program, task=task(60), model=server.model, optimizer=Careful(), steps=1, budget="calls=400", **OPTIONS
        )
        assert result.best is not None
        assert result.best.values == {"instruction": "Answer the question carefully."}
        assert result.improved
        assert result.spend["agent"]["calls"] == server.count
    with open_run("run", "runs") as run:
        scopes = [e.data["address"].split("|")[0] for e in run.events("call.received")]
        assert len(scopes) == len(set(scopes)) == server.count  # one call a cell, and no cell twice
        assert {o.status for o in run.outcomes()} == {"ok"}


def test_the_end_of_the_budget_is_no_answer(program: Any) -> None:
    with StubServer(reply) as server:
        report = agentopt.evaluate(program, task=task(24), model=server.model, split="all", budget="calls=9", **OPTIONS)
        assert server.count == 9
    assert {o.status for o in report.outcomes} <= {"ok"}
    with open_run("run", "runs") as run:
        assert run.status == "budget"


def test_a_failing_provider_is_not_the_programs_fault(program: Any) -> None:
    with StubServer(reply) as server:
        server.fail(StubReply("bad key", status=401), times=1000)
        report = agentopt.evaluate(program, task=task(4), model=server.model, split="all", **OPTIONS)
    assert {o.status for o in report.outcomes} == {"infra_error"}

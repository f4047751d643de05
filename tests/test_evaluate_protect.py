"""The evaluator is what it was, and the candidate really ran: a score is not taken for what it is not."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import agentopt
from agentopt.core.values import Proposal
from agentopt.errors import UsageError
from agentopt.evaluate import Example, Task, evaluator_hash, exact
from agentopt.llm.types import Request
from agentopt.optim.base import ParameterSpec
from agentopt.run.api import optimize_async, resume_async
from agentopt.run.files import open_run
from agentopt.run.sentinel import other_values
from agentopt.testing import ScriptedLLM

EXAMPLES = [Example(input={"question": f"q{i}"}, target=f"right q{i}") for i in range(40)]


@pytest.fixture(autouse=True)
def _outside_any_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def says(request: Request) -> str:
    text = str(request.messages[-1].content)
    question = next(word for word in text.split() if word.startswith("q"))
    return f"right {question}" if "carefully" in text or int(question[1:]) % 3 == 0 else "wrong"


class Careful:
    """Proposes the better text."""

    name = "careful"

    async def ask(self, view: Any, n: int) -> list[Proposal]:
        return [Proposal(candidate=view.baseline.change({"style": "Answer carefully {{question}}"}))]

    def tell(self, outcomes: Any) -> None: ...

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: Any) -> None: ...


STYLE = agentopt.Parameter("Answer {{question}}", name="style")


@agentopt.graph
async def answer(question: str) -> Any:
    return await agentopt.allm(STYLE, question=question)


async def go(folder: Path, graph: Any = answer, scorer: Any = None, llm: Any = None, **options: Any) -> Any:
    fields = {"steps": 1, "runs_dir": str(folder), "cache": False, "name": "run"} | options
    task = Task("t", EXAMPLES, scorer or exact())
    return await optimize_async(graph, task=task, optimizer=Careful(), model=llm or ScriptedLLM(says), **fields)


# -- the scorer ------------------------------------------------------------------------------------------------------


@pytest.fixture
def scorer_file(tmp_path: Path) -> Path:
    path = tmp_path / "judging.py"
    path.write_text("def judge(example, output):\n    return output == example.target\n")
    return path


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("judging", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def at_event(type: str, do: Callable[[], Any]) -> Callable[[Any], None]:
    """A listener that does something at the first event of a type."""
    left = [do]

    def listen(event: Any) -> None:
        if event.type == type and left:
            left.pop()()

    return listen


async def test_an_untouched_scorer_is_no_hindrance(tmp_path: Path, scorer_file: Path) -> None:
    result = await go(tmp_path, scorer=loaded(scorer_file).judge)
    assert result.claim.verdict == "better"


@pytest.mark.parametrize("when", ["step.done", "validation.done"])
async def test_a_scorer_that_changes_on_the_way_ends_without_a_claim(
    tmp_path: Path, scorer_file: Path, when: str
) -> None:
    before = scorer_file.read_text()
    change = at_event(when, lambda: scorer_file.write_text(before + "# easier\n"))
    scorer = loaded(scorer_file).judge
    with pytest.raises(UsageError, match="nothing is claimed"):
        await go(tmp_path, scorer=scorer, on_event=change)
    with open_run(tmp_path / "run") as run:
        assert run.claim() is None
        assert run.outcomes(split="test") == []  # the test examples stay fresh
    task = Task("t", EXAMPLES, scorer)
    with pytest.raises(UsageError, match="its scores are of the old ones"):
        await resume_async("run", graph=answer, task=task, optimizer=Careful(), runs_dir=tmp_path)
    scorer_file.write_text(before)
    llm = ScriptedLLM(says)
    result = await resume_async(
        "run", graph=answer, task=task, optimizer=Careful(), runs_dir=tmp_path, clients={"given/model": llm}
    )
    assert result.claim is not None
    assert result.claim.verdict == "better"
    assert llm.calls == 32  # both candidates on the 16 test examples; all else was paid already


async def test_a_scorer_that_changes_during_the_test_ends_without_a_claim(tmp_path: Path, scorer_file: Path) -> None:
    scorer, before = loaded(scorer_file).judge, scorer_file.read_text()
    calls: list[str] = []

    def judge(example: Example, output: Any) -> Any:
        calls.append(example.id)
        if len(calls) > 85:  # well within the test
            scorer_file.write_text(before + "# easier\n")
        return scorer(example, output)

    with pytest.raises(UsageError, match="nothing is claimed"):
        await go(tmp_path, scorer=functools.wraps(scorer)(judge))
    with open_run(tmp_path / "run") as run:
        assert run.claim() is None
        assert run.outcomes(split="test")


def test_the_hash_of_a_scorer_is_the_same_in_every_process() -> None:
    def judge(example: Example, output: Any, by: Any) -> float:
        return 0.0

    one, two = (functools.partial(judge, by=object()) for _ in range(2))
    assert evaluator_hash(one) == evaluator_hash(two)
    assert evaluator_hash(functools.partial(judge, by=1)) != evaluator_hash(functools.partial(judge, by=2))


# -- the sentinel ----------------------------------------------------------------------------------------------------


async def test_the_sentinel_shows_that_candidates_run_and_costs_no_call(tmp_path: Path) -> None:
    llm = ScriptedLLM(says)
    result = await go(tmp_path, llm=llm)
    assert result.claim.verdict == "better"
    assert not any("sentinel" in str(r.messages) for r in llm.requests)
    with open_run(tmp_path / "run") as run:
        (seen,) = run.events("sentinel")
        assert seen.data == {"examples": 1, "read": ["style"], "unread": [], "changed": True}
        assert seen.seq < next(run.events("noise.done")).seq
        assert not list(run.events("warning"))


async def test_a_program_that_bound_its_prompt_at_import_is_refused(tmp_path: Path) -> None:
    text = STYLE.value

    @agentopt.graph
    async def bound(question: str) -> Any:
        assert STYLE is not None
        return await agentopt.allm(text, question=question)

    llm = ScriptedLLM(says)
    with pytest.raises(
        UsageError, match=r"none of the parameters style was read on 16 examples.*when the file is impo"
    ):
        await go(tmp_path, graph=bound, llm=llm)
    assert llm.calls == 16  # the baseline alone


async def test_a_program_that_keeps_its_prompt_in_a_cache_is_refused(tmp_path: Path) -> None:
    @functools.cache
    def kept() -> str:
        return str(STYLE.value)

    @agentopt.graph
    async def caching(question: str) -> Any:
        assert STYLE is not None
        return await agentopt.allm(kept(), question=question)

    with pytest.raises(UsageError, match="not through a cache"):
        await go(tmp_path, graph=caching)


async def test_parameters_that_are_not_read_or_do_nothing_are_told(tmp_path: Path) -> None:
    idle = agentopt.Parameter(3, name="idle", kind="number", low=1, high=9)
    rare = agentopt.Parameter("x", name="rare", kind="choice", choices=("x", "y"))

    @agentopt.graph
    async def half(question: str) -> Any:
        if question == "no such question":
            return rare + "!"
        return await agentopt.allm(STYLE, question=question)

    @agentopt.graph
    async def without_effect(question: str) -> Any:
        assert idle.value > 0
        return "right " + question

    await go(tmp_path, graph=half)
    with open_run(tmp_path / "run") as run:
        assert [e.data["text"] for e in run.events("warning")] == [
            "parameter rare was not read on 8 examples: to change it changes nothing there"
        ]
    await go(tmp_path, graph=without_effect, name="second", steps=0)
    with open_run(tmp_path / "second") as run:
        assert [e.data["text"] for e in run.events("warning")] == [
            "other values of idle changed neither calls nor outputs of 1 example"
        ]


async def test_a_program_of_several_calls_goes_on_with_the_answers_of_the_baseline(tmp_path: Path) -> None:
    second = agentopt.Parameter("Check {{draft}} for {{question}}", name="second")

    @agentopt.graph
    def two(question: str) -> Any:
        draft = agentopt.llm(STYLE, question=question)
        return agentopt.llm(second, draft=draft, question=question)

    await go(tmp_path, graph=two, steps=0)
    with open_run(tmp_path / "run") as run:
        (seen,) = run.events("sentinel")
        assert (seen.data["read"], seen.data["unread"]) == (["second", "style"], [])


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (ParameterSpec("p", "text", "Say {{x}}"), "Say {{x}}\n(sentinel)"),
        (ParameterSpec("p", "number", 1, low=1, high=5), 5),
        (ParameterSpec("p", "number", 2.5), 3.5),
        (ParameterSpec("p", "choice", "a", choices=("a", "b")), "b"),
        (ParameterSpec("p", "demos", [{"input": 1, "output": 2}]), []),
        (ParameterSpec("p", "choice", "a", choices=("a",)), None),
        (ParameterSpec("p", "json", {"a": 1}), None),
        (ParameterSpec("p", "demos", []), None),
    ],
)
def test_every_kind_gets_another_value_where_there_is_one(spec: ParameterSpec, found: Any) -> None:
    assert other_values({"p": spec}).get("p") == found


def test_values_that_the_parameter_refuses_are_not_taken() -> None:
    short = agentopt.Parameter("abc", name="short", validator=lambda text: len(text) < 5)
    spec = ParameterSpec(**short.spec_dict(), check=short.check)
    assert other_values({"short": spec}) == {"short": "abc "}

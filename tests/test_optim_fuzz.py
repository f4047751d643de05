"""Whatever a model writes: nothing crashes, and nothing is adopted that breaks an invariant."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from agentopt.core.values import Proposal
from agentopt.errors import MalformedAnswer, TruncatedAnswer
from agentopt.llm.structured import parse_json, structured
from agentopt.llm.types import Message, Request, Response, ToolCall, whole
from agentopt.optim.invariants import check
from agentopt.optim.meta import ask_json
from agentopt.testing import FakeView, ScriptedLLM


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).with_name("benchmarks") / "fuzz.py"
    spec = importlib.util.spec_from_file_location("fuzz_benchmark", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules["fuzz_benchmark"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_malformed_answers_crash_nothing_and_break_no_invariant(benchmark: ModuleType) -> None:
    result = benchmark.fuzz(100, 7)
    assert result["wrong"] == []
    assert result["counts"]["adopted"] > 5
    assert set(result["rejected"]) >= {"duplicate", "constraint"}


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("schema", "<answer>", "<result>"),
        ("frozen", "1 to 5", "1 to 9"),
        ("unfinished", "at the end.", "at the"),
        ("form", "Think first", "```Think```"),
        ("length", "Think first", "Think first " * 200),
        ("copied", "Think first", "In the year 1803 a farmer from Kent sold his"),
        ("leak", "Think first", "Rewrite it in other words. Keep its meaning"),
    ],
)
def test_the_second_writing_of_the_invariants_sees_what_a_rule_that_is_off_lets_through(
    benchmark: ModuleType, rule: str, old: str, new: str
) -> None:
    text = benchmark.GOOD.replace(old, new) + "\n\n{{question}}"
    for off in ((), (rule,)):
        view = benchmark.window([], 0, off)
        proposal = Proposal(candidate=view.baseline.change({"instruction": text}))
        assert {v.rule for v in check(proposal, view)} == {rule} - set(off)
        assert rule in benchmark.faults(view, proposal.candidate)


@given(st.text(st.characters(codec=None, categories=None), max_size=40) | st.text("\ud83d\ude00a", max_size=9))
def test_texts_become_whole(text: str) -> None:
    made = whole(text)
    made.encode()
    assert whole(made) == made
    assert Response(text=text).text == made
    assert ToolCall(id="1", name="f", arguments=text).arguments == made


def test_halves_of_a_character_are_joined() -> None:
    assert whole("a\ud83d\ude00b\ud83d") == "a\U0001f600b\ufffd"
    assert parse_json(r'{"a\ud800": ["\ud83d\ude00", "\udc00"]}') == {"a\ufffd": ["\U0001f600", "\ufffd"]}


@pytest.mark.parametrize("text", ["1e999", "[-1e999]", "9" * 400, '{"a": ' + "7" * 5000 + "}", "[" * 700 + "]" * 700])
def test_numbers_beyond_reach_and_bottomless_nests_are_no_json(text: str) -> None:
    with pytest.raises(MalformedAnswer):
        parse_json(text)


class Form(BaseModel):
    n: int


@pytest.mark.parametrize("finish", ["length", "content_filter"])
async def test_an_answer_that_was_cut_is_not_adopted_however_complete_it_looks(finish: Any) -> None:
    cut = Response(text='{"n": 1}', finish=finish)
    request = Request(model="m", messages=(Message(role="user", content="go"),))
    with pytest.raises(TruncatedAnswer, match="cut (at its cap of output tokens|by a content filter)"):
        await structured(ScriptedLLM([cut, cut]), request, Form)
    options: dict[str, Any] = {"path": "p", "temperature": None, "seed": 1, "max_tokens": 9}
    answer = await ask_json(FakeView({}, ScriptedLLM([cut])), request.messages, {}, **options)  # type: ignore[arg-type]
    assert answer.data is None
    assert "cut off" in answer.problem

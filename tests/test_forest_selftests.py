"""Tests that a model writes: which are kept, and that they never run here."""

from __future__ import annotations

import pytest

from agentopt._builtin import shipped_prompt
from agentopt.errors import LLMError
from agentopt.llm.types import Response
from agentopt.optim.forest.selftests import read_tests, write_tests
from agentopt.testing import ScriptedLLM


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ('{"tests": ["assert f(1) == 2", "assert f(1)==2", "assert f(2) == 4, \'twice\'"]}', 2),
        ("```python\nassert f(1) == 2\nassert f(\n    2) == 4\n```", 2),
        ("Tests:\nassert f(1) == 2\nassert f(2 == 4\nassert g(1) == 1", 1),
        ("```python\ndef test_f():\n    assert f(1) == 2\n```", 1),
        ("import os; os.remove('x')", 0),
        ('{"tests": ["f(1)", "assert f", "x = f(1); assert x", "assert True", 3]}', 0),
        ("", 0), ("{", 0), ("[" * 5000, 0), ("assert f(" + "1" * 500 + ")", 0),
    ],
)  # fmt: skip
def test_only_single_asserts_that_call_the_function_are_kept(answer: str, kept: int) -> None:
    tests, rejected = read_tests(answer, "f")
    assert len(tests) == kept and all(test.startswith("assert ") for test in tests)
    assert kept or rejected or "assert" not in answer


async def test_it_asks_until_there_are_enough_and_no_longer() -> None:
    cut = Response(text='{"tests": ["assert f(', finish="length")
    said = [
        {"tests": ["assert f(1) == 2", "assert 1"]},
        "no idea",
        cut,
        {"tests": ["assert f(2) == 4", "assert f(3) == 6"]},
    ]
    llm = ScriptedLLM(said)
    found = await write_tests(llm, shipped_prompt, "Double it.", "f", count=2)
    assert found.tests == ("assert f(1) == 2", "assert f(2) == 4") and found.calls == 4
    assert any("does not call f" in reason for reason in found.rejected) and any("cut off" in r for r in found.rejected)
    assert "assert f(1) == 2" in str(llm.requests[-1].messages), "what is there is not asked for again"
    assert len({r.seed for r in llm.requests}) == 4 and "Write 1 tests" in str(llm.requests[-1].messages)


async def test_tests_of_the_problem_count_and_may_be_enough() -> None:
    llm = ScriptedLLM([])
    found = await write_tests(llm, shipped_prompt, "Double it.", "f", count=1, known=["assert f(5) == 10"])
    assert found.tests == ("assert f(5) == 10",) and llm.calls == 0


async def test_a_model_that_writes_none_ends_and_one_that_fails_goes_up() -> None:
    found = await write_tests(ScriptedLLM(lambda request: "none"), shipped_prompt, "Double it.", "f", calls=3)
    assert found.tests == () and found.calls == 3
    with pytest.raises(LLMError):
        await write_tests(ScriptedLLM(lambda request: LLMError("refused")), shipped_prompt, "Double it.", "f")

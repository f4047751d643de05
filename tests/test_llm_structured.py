"""Answers as pydantic models."""

from __future__ import annotations

import contextlib
import json
from enum import StrEnum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from agentopt.errors import LLMError, MalformedAnswer, TruncatedAnswer
from agentopt.llm.structured import answer_schema, parse_json, structured
from agentopt.llm.types import Address, Message, Request, Response, Usage
from agentopt.llm.wire import strict_enough
from agentopt.testing import ScriptedLLM


class Point(BaseModel):
    x: int
    why: str = ""


REQUEST = Request(model="m", messages=(Message(role="user", content="Where?"),), max_tokens=50)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(st.text(), values, min_size=1, max_size=4) | st.lists(values, min_size=1, max_size=4)


@given(values)
def test_json_is_read_back(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value, ensure_ascii=False, indent=2)) == value


@given(objects, st.sampled_from(["```json\n{}\n```", "Here:\n\n```\n{}\n```\nDone.", "<think>[1] {{a</think>\n{}"]))
def test_json_is_found_in_its_wrapping(value: Any, wrapping: str) -> None:
    text = json.dumps(value)
    if "```" not in text:
        assert parse_json(wrapping.replace("{}", text).replace("{{", "{")) == value


@given(objects, st.text(alphabet="abc .,:!?\n", max_size=30), st.text(alphabet="abc .,:!?\n", max_size=30))
def test_json_is_found_in_prose(value: Any, before: str, after: str) -> None:
    assert parse_json(f"{before}{json.dumps(value)}{after}") == value


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(MalformedAnswer):
        json.dumps(parse_json(text), allow_nan=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}),
        ('{"a": [1, 2,], "b": {"c": 1,},}', {"a": [1, 2], "b": {"c": 1}}),
        ('{"a": ",]", "b": 1,}', {"a": ",]", "b": 1}),
        ('See [1]. {"a": 1, "b": 2} and {"c": 3}', {"a": 1, "b": 2}),
        ('```json\n{"a": 1}', {"a": 1}),
        ('```python\nprint([1])\n```\n```json\n{"answer": 42}\n```', {"answer": 42}),
        ("42", 42),
    ],
)
def test_what_models_write(text: str, value: Any) -> None:
    assert parse_json(text) == value


@pytest.mark.parametrize(
    "text", ["", "no", "{", '{"a": 1', "{'a': 1}", "NaN", '{"a": Infinity}', "[" * 100_000, "{" * 100_000]
)
def test_what_is_not_json(text: str) -> None:
    with pytest.raises(MalformedAnswer):
        parse_json(text)


async def test_a_good_answer_needs_one_call() -> None:
    llm = ScriptedLLM([{"x": 1, "why": "so"}])
    point, response = await structured(llm, REQUEST, Point)
    assert point == Point(x=1, why="so")
    assert response.text == '{"x": 1, "why": "so"}'
    assert llm.requests[0].json_schema == answer_schema(Point)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("It is at one.", "holds no JSON"),
        ('{"x": "one"}', "x: Input should be a valid integer"),
        ("{}", "x: Field required"),
        ("[1]", "does not fit Point"),
        (Response(text='{"x": 1', finish="length"), "cut at its cap"),
        (Response(text='{"x": 1}', finish="length"), "cut at its cap"),
    ],
)
async def test_a_bad_answer_is_repaired_once(bad: Any, told: str) -> None:
    llm = ScriptedLLM([bad, '{"x": 2}'])
    asked = REQUEST.model_copy(update={"address": Address(scope="cell/a", path="solve:0", ordinal=3)})
    point, _ = await structured(llm, asked, Point)
    assert point.x == 2
    first, second = llm.requests
    assert second.messages[: len(first.messages)] == first.messages
    assert second.messages[-2].role == "assistant"
    assert told in str(second.messages[-1].content)
    assert '"required": ["x", "why"]' in str(second.messages[-1].content)
    assert str(second.address) == "cell/a|solve:0/~repair:3|0"
    assert first.address == asked.address


async def test_the_text_of_the_repair_can_be_given() -> None:
    llm = ScriptedLLM(["{{schema}} no", '{"x": 2}'])
    await structured(llm, REQUEST, Point, repair="Wrong ({{error}}). Again!")
    assert llm.requests[1].messages[-1].content == "Wrong (the answer holds no JSON: '{{schema}} no'). Again!"


async def test_nothing_malformed_or_cut_is_adopted() -> None:
    with pytest.raises(MalformedAnswer, match="Field required") as caught:
        await structured(ScriptedLLM(["no", '{"why": 1}', '{"x": 3}']), REQUEST, Point)
    assert caught.value.text == '{"why": 1}'
    with pytest.raises(TruncatedAnswer):
        await structured(ScriptedLLM([Response(text='{"x": 3}', finish="length")] * 2), REQUEST, Point)
    with pytest.raises(LLMError, match="refused"):
        await structured(ScriptedLLM([LLMError("refused")]), REQUEST, Point)


async def test_both_rounds_are_counted() -> None:
    used = Usage(input_tokens=10, output_tokens=5, cached_tokens=2)
    script = [Response(text="no", usage=used, usd=0.5), Response(text='{"x": 1}', usage=used, usd=0.25)]
    _, response = await structured(ScriptedLLM(script), REQUEST, Point)
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usd) == (20, 10, 0.75)
    script = [Response(text="no", usage=used, usd=0.5), Response(text='{"x": 1}')]
    _, response = await structured(ScriptedLLM(script), REQUEST, Point)
    assert (response.usage.reported, response.usd) == (False, None)


def test_schemas_are_closed_so_that_servers_can_constrain() -> None:
    class Kind(StrEnum):
        A = "a"
        B = "b"

    class Part(BaseModel):
        title: str
        default: int = 3

    class Whole(BaseModel):
        kind: Kind
        parts: list[Part] = Field(default_factory=list)
        mode: Literal["x", "y"] | None = None
        properties: int = 1

    schema = answer_schema(Whole)
    assert strict_enough(schema)
    assert schema["required"] == ["kind", "parts", "mode", "properties"]
    part = schema["$defs"]["Part"]  # type: ignore[index,call-overload]
    assert set(part["properties"]) == {"title", "default"}  # type: ignore[index,arg-type,call-overload]

    class Open(BaseModel):
        table: dict[str, int]

    assert not strict_enough(answer_schema(Open))

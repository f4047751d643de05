"""Real small models, through both engines. Skipped with the command that brings the weights where they are missing."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from agentopt.errors import LLMError, MissingDependency, TransientLLMError
from agentopt.llm.types import Message, Request, Tool
from agentopt.serve import local

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}


def client(name: str) -> local.LocalClient:
    try:
        return local.provider(name)
    except MissingDependency as problem:
        if os.environ.get("AGENTOPT_REQUIRE_MODEL") == "1":
            raise
        pytest.skip(str(problem))


@pytest.fixture(scope="module", params=["openvino", "xllamacpp"])
def small(request):
    found = client(f"smollm2-135m?engine={request.param}&max_seqs=8&idle=0&exact=1")
    yield found
    asyncio.run(found.aclose())


@pytest.fixture(scope="module", params=["openvino", "xllamacpp"])
def coder(request):
    found = client(f"qwen2.5-coder-0.5b?engine={request.param}&max_seqs=4&idle=0&exact=1")
    yield found
    asyncio.run(found.aclose())


def ask(text: str, **more) -> Request:
    fields = {"temperature": 0.0, "max_tokens": 24, **more}
    return Request(model="local/x", messages=(Message(role="user", content=text),), **fields)


async def test_answers_with_real_usage(small):
    answer = await small.complete(ask("Say hello.", max_tokens=5))
    assert answer.text
    assert answer.finish == "length"
    assert answer.usage.output_tokens == 5
    assert 10 < answer.usage.input_tokens < 60
    assert answer.usage.reported
    assert answer.usd == 0.0
    assert answer.endpoint.startswith("sha256:b179c9523d0e6a0f+")


async def test_greedy_is_a_function_of_the_request(small):
    questions = [ask(f"Write one line about {thing}.") for thing in ("rivers", "snow", "bread", "an old king")]
    together = await asyncio.gather(*(small.complete(q) for q in questions))
    again = await asyncio.gather(*(small.complete(q) for q in questions))
    alone = [await small.complete(q) for q in questions]
    assert [a.text for a in together] == [a.text for a in again] == [a.text for a in alone]


async def test_seed_decides_the_sample(small):
    def sample(seed: int) -> Request:
        return ask("Write one line about the sea.", temperature=1.0, seed=seed)

    others = asyncio.gather(*(small.complete(sample(i)) for i in range(100, 103)))
    first = await small.complete(sample(1))
    await others
    assert (await small.complete(sample(1))).text == first.text
    assert len({a.text for a in await asyncio.gather(*(small.complete(sample(i)) for i in range(4)))}) > 1


async def test_stream_is_the_answer(small):
    pieces: list[str] = []
    answer = await small.complete(ask("Count from 1 to 9, separated by commas.", on_text=pieces.append))
    assert len(pieces) > 3
    assert "".join(pieces) == answer.text


async def test_stop_texts_end_the_answer_and_are_not_shown(small):
    whole = (await small.complete(ask("Count from 1 to 9.", max_tokens=40))).text
    word = whole.split()[4]
    pieces: list[str] = []
    answer = await small.complete(ask("Count from 1 to 9.", stop=(word, "@@@"), on_text=pieces.append, max_tokens=40))
    assert answer.finish == "stop"
    assert answer.text.rstrip() == whole[: whole.index(word)].rstrip()  # a token may take the space before it along
    assert "".join(pieces) == answer.text


async def test_schema_is_kept(small):
    answer = await small.complete(ask("The largest city of France?", json_schema=SCHEMA, max_tokens=120))
    assert answer.truncated or set(json.loads(answer.text)) == {"city", "people"}


async def test_what_cannot_be_asked_fails_alone(small):
    waiting = asyncio.gather(*(small.complete(ask(f"Say {i}.")) for i in range(3)))
    for bad in (
        ask("x", json_schema={"type": "objekt"}),
        ask("word " * 9000),
    ):
        with pytest.raises(LLMError) as caught:
            await small.complete(bad)
        assert not isinstance(caught.value, TransientLLMError)
        assert "/home/" not in str(caught.value)
    assert all(a.text for a in await waiting)
    assert (await small.complete(ask("Still there?"))).text


async def test_cancelled_request_leaves_the_engine(small):
    task = asyncio.create_task(small.complete(ask("Write a long story.", max_tokens=4000)))
    await small.complete(ask("Hello."))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert small.engine.in_flight == 0
    assert (await small.complete(ask("Hello again."))).text


async def test_crash_is_healed(small):
    task = asyncio.create_task(small.complete(ask("Write a long story.", max_tokens=4000)))
    await small.complete(ask("Hello."))
    os.kill(small.engine.pid, 9)
    with pytest.raises(TransientLLMError):
        await task
    assert (await small.complete(ask("Hello again."))).text


async def test_long_prompt_is_read_to_its_end(coder):
    filler = "The sky is blue and the grass is green. " * 220
    question = f"{filler}\nThe secret word is PELICAN. What is the secret word? Answer with that word only."
    answer = await coder.complete(ask(question, max_tokens=8))
    assert answer.usage.input_tokens > 2100, "more than llama.cpp reads at once"
    assert "PELICAN" in answer.text.upper()


async def test_tool_is_called(coder):
    tool = Tool(
        name="get_weather",
        description="The weather of a city.",
        parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    )
    answer = await coder.complete(
        ask("What is the weather in Paris?", tools=(tool,), tool_choice="required", max_tokens=80)
    )
    assert answer.finish == "tool_calls"
    assert answer.tool_calls[0].name == "get_weather"
    assert "Paris" in json.loads(answer.tool_calls[0].arguments)["city"]


async def test_requests_that_begin_alike_wait_for_the_first_and_are_all_answered(small):
    """They are read one after another where that saves work: the answers of OpenVINO are those of requests alone."""
    start = " ".join(f"Rule {i}: be brief and kind." for i in range(40))
    asked = [
        ask(f"{start}\nName a {x}.", max_tokens=1 + 4 * i) for i, x in enumerate(("river", "bird", "tree", "city"))
    ]
    together = await asyncio.gather(*(small.complete(q) for q in asked))
    alone = [await small.complete(q) for q in asked]
    assert all(a.text for a in together)
    if small.loaded.engine == "openvino":
        assert [a.text for a in together] == [a.text for a in alone]


async def test_those_that_wait_go_on_when_the_first_is_given_up(small):
    start = " ".join(f"Law {i}: be short and warm." for i in range(60))
    first = asyncio.ensure_future(small.complete(ask(f"{start}\nName a river.", max_tokens=16)))
    await asyncio.sleep(0.05)
    others = [
        asyncio.ensure_future(small.complete(ask(f"{start}\nName a {x}.", max_tokens=16))) for x in ("bird", "tree")
    ]
    await asyncio.sleep(0.05)
    first.cancel()
    assert all(answer.text for answer in await asyncio.wait_for(asyncio.gather(*others), 120))

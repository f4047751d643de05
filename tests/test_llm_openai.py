"""OpenAI-compatible endpoints: the real ``openai`` client against a server on loopback."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from agentopt.core.values import Budget
from agentopt.errors import AgentOptError, LLMError, MissingDependency, RateLimited, TransientLLMError, UsageError
from agentopt.llm.ledger import Ledger
from agentopt.llm.meter import Metered
from agentopt.llm.openai_client import OpenAIClient
from agentopt.llm.prices import Price
from agentopt.llm.providers import Provider, resolve
from agentopt.llm.retry import Retrying
from agentopt.llm.types import Address, Image, Message, Request, Text, Tool, ToolCall
from agentopt.testing import StubReply, StubServer

KEY = "sk-verysecret-0123456789"


@pytest.fixture
def server() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server


@pytest.fixture
async def client(server: StubServer) -> AsyncIterator[Provider]:
    client = resolve(server.model)
    yield client
    await client.aclose()


def request(*messages: Message, **fields: Any) -> Request:
    return Request(model="m", messages=messages or (Message(role="user", content="hello"),), **fields)


async def test_an_answer_with_usage_finish_and_identity(server: StubServer, client: Provider) -> None:
    server.reply = lambda body: StubReply(
        "four",
        usage={
            "prompt_tokens": 11,
            "completion_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    )
    response = await client.complete(request())
    assert response.text == "four"
    assert response.finish == "stop"
    assert response.usage.model_dump() == {
        "input_tokens": 11,
        "output_tokens": 7,
        "cached_tokens": 3,
        "reasoning_tokens": 5,
        "reported": True,
    }
    assert response.usd is None
    assert response.endpoint == client.endpoint == "loopback/stub"
    assert response.seconds > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_missing_usage_is_not_zero_usage(server: StubServer, client: Provider, stream: bool) -> None:
    server.reply = lambda body: StubReply("four", usage={})
    response = await client.complete(request(on_text=(lambda piece: None) if stream else None))
    assert not response.usage.reported


@pytest.mark.parametrize("stream", [False, True])
async def test_tokens_that_are_counted_in_the_total_alone_are_paid(server: StubServer, stream: bool) -> None:
    client = resolve(server.model, prices={"stub": Price(input=1e-6, output=1e-5)})
    used = {"prompt_tokens": 20, "completion_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 2000}}
    server.reply = lambda body: StubReply("x", usage={**used, "total_tokens": 2030})
    beside = await client.complete(request(on_text=(lambda piece: None) if stream else None))
    assert (beside.usage.input_tokens, beside.usage.output_tokens) == (20, 2010)
    assert beside.usd == pytest.approx(20e-6 + 2010e-5)
    server.reply = lambda body: StubReply("x", usage={**used, "total_tokens": 7})
    assert (await client.complete(request())).usage.output_tokens == 10
    await client.aclose()


async def test_what_is_sent(server: StubServer, client: Provider) -> None:
    asked = request(
        Message(role="system", content="Be brief."),
        Message(role="user", content=(Text(text="What is this?"), Image(url="data:image/png;base64,AAAA"))),
        Message(role="assistant", tool_calls=(ToolCall(id="1", name="look", arguments="{}"),)),
        Message(role="tool", content="a cat", tool_call_id="1"),
        max_tokens=9,
        temperature=0.0,
        top_p=0.5,
        seed=3,
        stop=("END",),
        tools=(Tool(name="look", description="Look."),),
        tool_choice="look",
        json_schema={"type": "object", "title": "An answer!", "properties": {}, "additionalProperties": False},
        extra={"top_k": 1},
    )
    await client.complete(asked)
    assert server.requests[0].body == {
        "model": "stub",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
            },
            {"role": "tool", "content": "a cat", "tool_call_id": "1"},
        ],
        "max_tokens": 9,
        "temperature": 0.0,
        "top_p": 0.5,
        "seed": 3,
        "stop": ["END"],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "look",
                    "description": "Look.",
                    "parameters": {"type": "object", "properties": {}},
                },
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "An_answer_",
                "schema": {"type": "object", "title": "An answer!", "properties": {}, "additionalProperties": False},
                "strict": True,
            },
        },
        "top_k": 1,
    }


async def test_what_is_not_said_is_not_sent(server: StubServer, client: Provider) -> None:
    await client.complete(request())
    assert set(server.requests[0].body) == {"model", "messages", "max_tokens"}
    assert server.requests[0].key is None


@pytest.mark.parametrize("stream", [False, True])
async def test_tool_calls(server: StubServer, client: Provider, stream: bool) -> None:
    server.reply = lambda body: StubReply(tool_calls=[("add", '{"a": 1, "b": 2}'), ("stop", "{}")])
    response = await client.complete(request(on_text=(lambda piece: None) if stream else None))
    assert response.finish == "tool_calls"
    assert [(c.name, json.loads(c.arguments)) for c in response.tool_calls] == [("add", {"a": 1, "b": 2}), ("stop", {})]
    assert len({c.id for c in response.tool_calls}) == 2


async def test_streaming(server: StubServer, client: Provider) -> None:
    pieces: list[str] = []
    plain = await client.complete(request())
    streamed = await client.complete(request(on_text=pieces.append))
    assert len(pieces) > 1
    assert "".join(pieces) == streamed.text == plain.text
    assert streamed.usage == plain.usage
    assert server.requests[1].body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "kind", "said", "billed"),
    [
        (StubReply(status=429, retry_after=1.5), RateLimited, "too many calls", False),
        (StubReply(status=500, text="oh"), TransientLLMError, "server error 500", True),
        (StubReply(status=503, text="busy", retry_after=1.5), TransientLLMError, "server error 503", True),
        (StubReply(status=408), TransientLLMError, "server error 408", True),
        (StubReply("cut short here", break_after=9), TransientLLMError, "reached|broke off", True),
    ],
)
async def test_faults_worth_another_try(
    server: StubServer,
    client: Provider,
    fault: StubReply,
    kind: type[TransientLLMError],
    said: str,
    billed: bool,
    stream: bool,
) -> None:
    server.fail(fault)
    with pytest.raises(TransientLLMError, match=said) as caught:
        await client.complete(request(on_text=(lambda piece: None) if stream else None))
    assert type(caught.value) is kind
    assert caught.value.retry_after == fault.retry_after
    assert caught.value.billed is billed
    assert server.count == 1, "the openai package must not try again by itself"
    assert (await client.complete(request())).text


async def test_a_stream_that_just_ends_is_not_an_answer(server: StubServer, client: Provider) -> None:
    server.reply = lambda body: StubReply("half an ans", finish="missing")
    with pytest.raises(TransientLLMError, match="without saying why"):
        await client.complete(request(on_text=lambda piece: None))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (StubReply(status=429, code="insufficient_quota"), "quota"),
        (StubReply(status=400, text="bad request"), "refused with 400"),
        (StubReply(status=400, text="too long", code="context_length_exceeded"), "longer than the model's context"),
        (StubReply(status=401, text="no"), "check AGENTOPT_API_KEY"),
    ],
)
async def test_faults_not_worth_another_try(server: StubServer, client: Provider, fault: StubReply, said: str) -> None:
    server.fail(fault)
    with pytest.raises(LLMError, match=said) as caught:
        await client.complete(request())
    assert not isinstance(caught.value, TransientLLMError)


async def test_a_model_that_is_not_served(server: StubServer) -> None:
    with pytest.raises(LLMError, match="'other' does not exist"):
        await resolve(f"{server.url}#other").complete(request())


async def test_no_server() -> None:
    with pytest.raises(TransientLLMError, match="is the server running") as caught:
        await resolve("http://127.0.0.1:1/v1#m").complete(request())
    assert not caught.value.billed
    with pytest.raises(MissingDependency, match="agentopt serve"):
        await resolve("http://127.0.0.1:1/v1").complete(request())


async def test_a_slow_answer_times_out(server: StubServer, client: Provider) -> None:
    server.fail(StubReply(delay=1.0))
    with pytest.raises(TransientLLMError, match="no answer in time") as caught:
        await client.complete(request(timeout=0.1))
    assert caught.value.billed


async def test_the_only_model_is_found() -> None:
    with StubServer(models=["/srv/weights/qwen"]) as server:
        client = resolve(server.url)
        response = await client.complete(request())
        assert server.requests[0].body["model"] == "/srv/weights/qwen"
        assert response.endpoint == client.endpoint == "loopback/qwen"
    with StubServer(models=["a", "b"]) as server, pytest.raises(MissingDependency, match="serves a, b: name one"):
        await resolve(server.url).complete(request())


async def test_idempotency_key(server: StubServer, client: Provider) -> None:
    first, second = Address(scope="cell/a"), Address(scope="cell/b")
    for asked in (
        request(address=first),
        request(address=first),
        request(address=second),
        request(address=first, seed=1),
        request(address=first, idempotency_key="given"),
    ):
        await client.complete(asked)
    keys = [received.key for received in server.requests]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4
    assert keys[4] == "given"


async def test_a_server_without_structured_output_is_asked_without() -> None:
    with StubServer(refuse=["response_format"]) as server:
        client = Retrying(resolve(server.model))
        for _ in range(2):
            assert (await client.complete(request(json_schema={"type": "object"}))).text
        assert ["response_format" in r.body for r in server.requests] == [True, False, False]


def no_max_tokens(body: dict[str, Any]) -> StubReply:
    if "max_tokens" in body:
        return StubReply(status=400, text="'max_tokens' is not supported: use 'max_completion_tokens' instead.")
    return StubReply("fine")


async def test_the_name_of_the_cap_follows_the_server_and_each_try_is_on_the_books() -> None:
    with StubServer(no_max_tokens) as server:
        ledger = Ledger(Budget(calls=9))
        client = Retrying(Metered(resolve(server.model), ledger))
        answers = await asyncio.gather(*(client.complete(request(max_tokens=9)) for _ in range(3)))
        assert [answer.text for answer in answers] == ["fine"] * 3
        assert server.requests[-1].body["max_completion_tokens"] == 9
        assert (await client.complete(request(max_tokens=9))).text == "fine"
        assert ledger.settled["calls"] == len(server.requests) <= 7, "calls side by side do not turn it back"


async def test_a_server_that_takes_neither_name_of_the_cap_is_not_asked_for_ever() -> None:
    said = "use max_tokens, not max_completion_tokens, and not max_tokens either"
    with StubServer(lambda body: StubReply(status=400, text=said)) as server:
        with pytest.raises(LLMError, match="not max_tokens either") as failed:
            await Retrying(resolve(server.model)).complete(request())
        assert failed.value.status == 400
        assert len(server.requests) == 2


async def test_price(server: StubServer) -> None:
    server.reply = lambda body: StubReply("x", usage={"prompt_tokens": 100, "completion_tokens": 10})
    given = {server.model: Price(input=1e-6, output=5e-6)}
    assert (await resolve(server.model, prices=given).complete(request())).usd == pytest.approx(150e-6)
    server.reply = lambda body: StubReply("x", usage={})
    assert (await resolve(server.model, prices=given).complete(request())).usd is None


def test_used_from_one_loop_after_another(server: StubServer) -> None:
    client = resolve(server.model)

    async def many() -> set[str]:
        return {r.text for r in await asyncio.gather(*(client.complete(request()) for _ in range(5)))}

    assert asyncio.run(many()) == asyncio.run(many())
    asyncio.run(client.aclose())


def test_openai_itself(monkeypatch: pytest.MonkeyPatch, server: StubServer) -> None:
    with pytest.raises(MissingDependency, match="export OPENAI_API_KEY"):
        resolve("openai/gpt-5-mini")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert resolve("openai/gpt-5-mini").endpoint == "openai/gpt-5-mini"
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    client = resolve("openai/stub")
    assert asyncio.run(client.complete(request())).endpoint == "loopback/stub"
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    with pytest.raises(UsageError):
        resolve("openai/")


def test_keys_go_only_where_they_belong(monkeypatch: pytest.MonkeyPatch, server: StubServer) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    asyncio.run(resolve(server.model).complete(request()))
    told = json.dumps(server.requests[0].headers)
    assert KEY not in told
    assert "org-mine" not in told


@pytest.mark.parametrize(
    ("model", "endpoint"),
    [
        ("http://localhost:8000/v1#m", "loopback/m"),
        ("http://[::1]:8000/v1#m", "loopback/m"),
        ("http://0.0.0.0:8000/v1#m", "loopback/m"),
        ("https://llm.example.org:8443/v1#org/m", "llm.example.org/org/m"),
        ("https://user:secretpassword@llm.example.org/v1#m", "llm.example.org/m"),
    ],
)
def test_identity(model: str, endpoint: str) -> None:
    assert resolve(model).endpoint == endpoint
    assert request().model_copy(update={"model": model}).payload()["model"] == endpoint


def test_the_same_question_on_another_port_is_the_same() -> None:
    def asked(port: int) -> str:
        return request().model_copy(update={"model": f"http://127.0.0.1:{port}/v1#m"}).hash

    assert asked(8000) == asked(9000)


@pytest.mark.parametrize("model", ["", " m", "http://", "http://host:port/v1#m"])
def test_misshapen_model_strings(model: str) -> None:
    with pytest.raises(UsageError):
        resolve(model)


@pytest.mark.parametrize(
    "fault",
    [
        lambda: StubReply(status=401, text=f"Incorrect API key provided: {KEY}"),
        lambda: StubReply(status=429, text=f"limit of Bearer {KEY}"),
        lambda: StubReply(status=500, text=f"{KEY}"),
        lambda: StubReply(status=418, text=f"key={KEY}&x=1"),
    ],
)
async def test_no_secret_is_told(
    server: StubServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: Callable[[], StubReply],
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("AGENTOPT_API_KEY", KEY)
    client = resolve(server.model)
    asked = request(address=Address(scope="s"))
    response = await client.complete(asked)
    server.fail(fault())
    with pytest.raises(AgentOptError) as caught:
        await client.complete(asked)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}", "else this test shows nothing"
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    told = [
        repr(client),
        str(vars(client)),
        client.endpoint,
        repr(response),
        response.model_dump_json(),
        json.dumps(asked.payload()),
        "".join(traceback.format_exception(error)),
        str(vars(error)),
        str(server.requests[0].key),
        caplog.text,
    ]
    assert not [text for text in told if KEY in text]


def test_a_key_in_a_url_is_not_told() -> None:
    client = resolve("http://:hunter2hunter2@127.0.0.1:1/v1")
    with pytest.raises(MissingDependency) as caught:
        _ = client.endpoint
    assert "hunter2" not in str(caught.value)
    assert isinstance(client, OpenAIClient)
    assert "hunter2" not in str(vars(client))

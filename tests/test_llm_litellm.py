"""litellm against a server on loopback. It takes seconds to import, so these run with ``--slow``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentopt.errors import LLMError, MissingDependency, RateLimited, TransientLLMError, UsageError
from agentopt.llm.prices import Price
from agentopt.llm.providers import resolve
from agentopt.llm.types import Address, Message, Request, Tool
from agentopt.testing import StubReply, StubServer

pytestmark = pytest.mark.slow

MODEL = "hosted_vllm/stub"
KEY = "sk-verysecret-0123456789"
REQUEST = Request(model=MODEL, messages=(Message(role="user", content="hello"),))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubServer]:
    with StubServer() as server:
        monkeypatch.setenv("HOSTED_VLLM_API_BASE", server.url)
        monkeypatch.setenv("HOSTED_VLLM_API_KEY", KEY)
        yield server


async def test_fields_and_prices(server: StubServer) -> None:
    asked = REQUEST.model_copy(
        update={
            "temperature": 0.0,
            "seed": 3,
            "tools": (Tool(name="look"),),
            "json_schema": {"type": "object"},
            "extra": {"top_k": 1},
            "address": Address(scope="s"),
        }
    )
    response = await resolve(MODEL, prices={MODEL: Price(input=1.0, output=0.0)}).complete(asked)
    body = server.requests[0].body
    assert (body["temperature"], body["seed"], body["top_k"]) == (0.0, 3, 1)
    assert body["tools"][0]["function"]["name"] == "look"
    assert body["response_format"]["type"] == "json_schema"
    assert server.requests[0].key
    assert response.usd == response.usage.input_tokens > 0
    assert response.endpoint == MODEL
    assert (await resolve(MODEL).complete(REQUEST)).usd is None


@pytest.mark.parametrize("stream", [False, True])
async def test_tool_calls(server: StubServer, stream: bool) -> None:
    server.reply = lambda body: StubReply(tool_calls=[("add", '{"a": 1, "b": 2}')])
    asked = REQUEST.model_copy(update={"on_text": (lambda piece: None) if stream else None})
    response = await resolve(MODEL).complete(asked)
    assert [(c.name, c.arguments) for c in response.tool_calls] == [("add", '{"a": 1, "b": 2}')]
    assert response.finish == "tool_calls"


async def test_faults_are_told_once_and_without_secrets(server: StubServer) -> None:
    faults: list[tuple[StubReply, type[LLMError]]] = [
        (StubReply(status=429, text=f"key {KEY}", retry_after=2.5), RateLimited),
        (StubReply(status=500, text=KEY), TransientLLMError),
        (StubReply(status=400, text=KEY), LLMError),
        (StubReply(status=401, text=KEY), LLMError),
        (StubReply("cut short here", break_after=9), TransientLLMError),
    ]
    for number, (fault, kind) in enumerate(faults, 1):
        server.fail(fault)
        with pytest.raises(LLMError) as caught:
            await resolve(MODEL).complete(REQUEST)
        assert type(caught.value) is kind, f"{fault}: {caught.value!r}"
        assert KEY not in str(caught.value)
        assert caught.value.__context__ is None
        assert server.count == number, "litellm must not try again by itself"
        if isinstance(caught.value, RateLimited):
            assert caught.value.retry_after == 2.5


async def test_a_slow_answer_times_out(server: StubServer) -> None:
    server.fail(StubReply(delay=1.0))
    with pytest.raises(TransientLLMError, match="no answer in time"):
        await resolve(MODEL).complete(REQUEST.model_copy(update={"timeout": 0.2}))


async def test_a_missing_key_and_a_missing_provider() -> None:
    with pytest.raises(MissingDependency, match="export ANTHROPIC_API_KEY="):
        await resolve("anthropic/claude-sonnet-4-5").complete(REQUEST)
    with pytest.raises(UsageError, match="names no provider"):
        await resolve("no-such-model").complete(REQUEST)

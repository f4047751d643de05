"""The testing kit itself: the scripted model, the stub server, the tripwire."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import urllib.error
import urllib.request
from typing import Any

import pytest

from agentopt.errors import LLMError, TransientLLMError
from agentopt.llm.types import Message, Request, Response
from agentopt.testing import NetworkForbidden, ScriptedLLM, StubReply, StubServer, forbid_network

REQUEST = Request(model="m", messages=(Message(role="user", content="hello"),))


@pytest.mark.parametrize("cap", [False, True])
async def test_half_characters_come_and_go_as_with_a_server(cap: bool) -> None:
    llm = ScriptedLLM(lambda request: f"heard {request.messages[0].content}", cap=cap)
    answer = await llm.complete(Request(model="m", messages=(Message(role="user", content="half \ud83d"),)))
    assert answer.text == "heard half \ufffd" and answer.usage.input_tokens == 2


async def test_a_script_is_used_up_in_order() -> None:
    llm = ScriptedLLM(["a", {"b": 1}, ["c"], Response(text="d"), TransientLLMError("e")])
    assert [(await llm.complete(REQUEST)).text for _ in range(4)] == ["a", '{"b": 1}', '["c"]', "d"]
    with pytest.raises(TransientLLMError):
        await llm.complete(REQUEST)
    with pytest.raises(LLMError, match="this is call 6"):
        await llm.complete(REQUEST)
    assert llm.calls == 6
    assert llm.in_flight == 0


async def test_a_scripted_model_counts_caps_and_hides_usage() -> None:
    llm = ScriptedLLM(lambda request: "é" * 10, cap=True, delay=0.01)
    await asyncio.gather(*(llm.complete(REQUEST) for _ in range(5)))
    assert llm.most_in_flight == 5
    response = await llm.complete(REQUEST.model_copy(update={"max_tokens": 1}))
    assert (response.text, response.finish, response.usage.output_tokens) == ("éé", "length", 1)
    assert not (await ScriptedLLM(["a"], usage=False, usd=None).complete(REQUEST)).usage.reported


def post(server: StubServer, key: str | None = None, **body: Any) -> Any:
    data = json.dumps({"model": "stub", "messages": [{"role": "user", "content": "hi"}], **body}).encode()
    headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
    return urllib.request.urlopen(urllib.request.Request(f"{server.url}/chat/completions", data, headers), timeout=10)


def test_the_stub_answers_by_the_request_alone() -> None:
    with StubServer() as server:
        answers = [json.load(post(server, temperature=t))["choices"][0]["message"]["content"] for t in (0, 0, 1)]
        assert answers[0] == answers[1] != answers[2]
        assert server.count == server.fresh == 3
    with StubServer() as other:
        assert json.load(post(other, temperature=0))["choices"][0]["message"]["content"] == answers[0]


def test_the_stub_honours_idempotency_keys_where_asked() -> None:
    count = iter(range(100))
    with StubServer(lambda body: f"answer {next(count)}", idempotent=True) as server:
        texts = [json.load(post(server, key))["choices"][0]["message"]["content"] for key in ("a", "b", "a", None)]
    assert texts == ["answer 0", "answer 1", "answer 0", "answer 2"]
    assert server.keys == {"a": 2, "b": 1}
    assert (server.count, server.fresh) == (4, 3)


def test_the_stub_misbehaves_as_told() -> None:
    with StubServer() as server:
        server.fail(StubReply(status=429, retry_after=3), times=2)
        for _ in range(2):
            with pytest.raises(urllib.error.HTTPError) as caught:
                post(server)
            assert (caught.value.code, caught.value.headers["Retry-After"]) == (429, "3")
        assert post(server).status == 200
        server.fail(StubReply("a long answer that is cut", break_after=20))
        with pytest.raises(Exception, match="IncompleteRead"):
            post(server).read()
        for wrong in ({"model": "other"},):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                post(server, **wrong)


def test_the_tripwire_lets_loopback_through_and_nothing_else() -> None:
    with StubServer() as server, forbid_network():
        assert post(server).status == 200
    with forbid_network(loopback=False) as attempts, socket.socket() as closed:
        with pytest.raises(NetworkForbidden):
            closed.connect(("127.0.0.1", 9))
        attempts.clear()
    for address in ("198.51.100.7", "example.org"):
        with forbid_network() as attempts:
            with pytest.raises(NetworkForbidden, match=address):
                socket.create_connection((address, 80), timeout=1)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, pytest.raises(NetworkForbidden):
                datagrams.sendto(b"x", (address, 53))
            assert len(attempts) == 2
            attempts.clear()


def test_a_program_that_swallows_errors_does_not_hide_an_attempt() -> None:
    def swallowing() -> None:
        with forbid_network(), contextlib.suppress(BaseException):  # as some libraries do
            socket.create_connection(("198.51.100.7", 80), timeout=1)

    with pytest.raises(NetworkForbidden, match="used 1 times"):
        swallowing()


def test_the_tripwire_is_gone_afterwards() -> None:
    before = socket.socket.connect, socket.getaddrinfo
    with forbid_network():
        assert (socket.socket.connect, socket.getaddrinfo) != before
    assert (socket.socket.connect, socket.getaddrinfo) == before


async def test_asyncio_is_under_the_tripwire_too() -> None:
    with forbid_network() as attempts:
        with pytest.raises(NetworkForbidden):
            await asyncio.open_connection("198.51.100.7", 80)
        attempts.clear()

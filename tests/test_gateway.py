"""The gateway: foreign clients share the run's clients, and keep to their cell, their place and their budget."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentopt
from agentopt.core.values import Budget
from agentopt.errors import BudgetExhausted, LLMError, TransientLLMError, UsageError
from agentopt.llm.context import Session, use_session
from agentopt.llm.gateway import Gateway, lease, shapes
from agentopt.llm.gateway import server as server_of_gateway
from agentopt.llm.ledger import Ledger
from agentopt.llm.stack import Stack
from agentopt.llm.types import Request, Response, ToolCall, Usage
from agentopt.run.calllog import StoreLog
from agentopt.store import Store
from agentopt.testing import ScriptedLLM, StubReply, StubServer

ASK = [{"role": "user", "content": "What is two and two?"}]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@contextmanager
def lent(client: Any, **more: Any) -> Iterator[Any]:
    """A lease over a client."""
    fields = {"models": {"agent": "given/model"}, **more}
    with use_session(Session(client, **fields)), agentopt.gateway() as g:
        yield g


def plain(g: Any, **more: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=g.url, api_key=g.key, **more)


def post(g: Any, body: Any, key: str | None = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """A request by hand; returns status and JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(g.url).port, timeout=30)
    sent = {"Authorization": f"Bearer {g.key if key is None else key}", **(headers or {})}
    connection.request("POST", "/v1/chat/completions", json.dumps(body).encode(), sent)
    answer = connection.getresponse()
    value = json.loads(answer.read())
    connection.close()
    return answer.status, value


class Gated:
    """A client that tells piece by piece, each when it is let."""

    def __init__(self, pieces: list[str]) -> None:
        self.pieces, self.gates = pieces, [asyncio.Event() for _ in pieces]
        self.calls = 0

    def let(self, at: int) -> None:
        agentopt._aio.background_loop().call_soon_threadsafe(self.gates[at].set)

    async def complete(self, request: Request) -> Response:
        self.calls += 1
        for piece, gate in zip(self.pieces, self.gates, strict=True):
            await gate.wait()
            if request.on_text is not None:
                request.on_text(piece)
        return Response(text="".join(self.pieces), usage=Usage(input_tokens=3, output_tokens=2), endpoint="gated")


def until(true: Callable[[], Any], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


# -- what is asked and answered ------------------------------------------------------------------------------------


def test_what_the_client_asks_is_what_the_model_is_asked() -> None:
    llm = ScriptedLLM(['{"n": 4}'])
    tool = {"name": "add", "description": "adds", "parameters": {"type": "object", "properties": {"a": {}}}}
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    picture: Any = {"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}
    called: Any = {"name": "add", "arguments": "{}"}
    with lent(llm, defaults={"max_tokens": 64, "temperature": 0.0}) as g:
        answer = plain(g).chat.completions.create(
            model=g.model,
            messages=[
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Look"}, picture]},
                {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": called}]},
                {"role": "tool", "tool_call_id": "c1", "content": "4"},
            ],
            temperature=0.7, seed=5, stop="END", top_p=0.9, tools=[{"type": "function", "function": tool}],
            tool_choice={"type": "function", "function": {"name": "add"}},
            response_format={"type": "json_schema", "json_schema": {"name": "four", "schema": schema}},
            extra_body={"top_k": 3}, reasoning_effort="low",
        )  # fmt: skip
    assert json.loads(answer.choices[0].message.content or "") == {"n": 4}
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None and answer.usage.total_tokens == answer.usage.prompt_tokens + 2
    asked = llm.requests[0]
    assert [m.role for m in asked.messages] == ["system", "user", "assistant", "tool"]
    assert asked.messages[1].content[1].url == "https://x.org/a.png"  # type: ignore[union-attr]
    assert asked.messages[2].tool_calls == (ToolCall(id="c1", name="add", arguments="{}"),)
    assert (asked.temperature, asked.seed, asked.stop, asked.top_p) == (0.7, 5, ("END",), 0.9)
    assert (asked.max_tokens, asked.tool_choice, asked.tools[0].name) == (64, "add", "add")
    assert asked.json_schema == {"title": "four", **schema}
    assert asked.extra == {"top_k": 3, "reasoning_effort": "low"}
    assert (asked.model, asked.role, asked.address) == ("given/model", "agent", None)


def test_tool_calls_come_back_whole_and_streamed() -> None:
    calls = (ToolCall(id="a", name="add", arguments='{"a": 1}'), ToolCall(id="b", name="add", arguments="{}"))
    with lent(ScriptedLLM([Response(tool_calls=calls, finish="tool_calls")] * 2)) as g:
        whole = plain(g).chat.completions.create(model=g.model, messages=ASK).choices[0]
        got: dict[int, Any] = {}
        for piece in plain(g).chat.completions.create(model=g.model, messages=ASK, stream=True):
            for call in piece.choices[0].delta.tool_calls or ():
                got[call.index] = call
    assert whole.finish_reason == "tool_calls"
    for found in (whole.message.tool_calls or [], [got[0], got[1]]):
        assert [(c.id, c.function.name, c.function.arguments) for c in found] == [
            (c.id, c.name, c.arguments) for c in calls
        ]


def test_several_answers_are_several_calls() -> None:
    llm = ScriptedLLM(lambda request: f"answer {request.repeat}")
    with lent(llm) as g:
        answer = plain(g).chat.completions.create(model=g.model, messages=ASK, n=3, seed=7)
    assert [c.message.content for c in answer.choices] == ["answer 0", "answer 1", "answer 2"]
    assert [c.index for c in answer.choices] == [0, 1, 2]
    assert sorted((r.repeat, r.seed) for r in llm.requests) == [(0, 7), (1, 8), (2, 9)]
    assert answer.usage is not None and answer.usage.completion_tokens == 6


def test_models_are_those_of_the_run_by_names_without_ports_and_keys() -> None:
    models = {"agent": "http://secret@127.0.0.1:81/v1#small", "judge": "openai/large"}
    with lent(ScriptedLLM(lambda r: r.model), models=models) as g:
        assert [m.id for m in plain(g).models.list()] == ["loopback/small", "openai/large"] == g.models
        for name in ("loopback/small", "small", "openai/large", "large"):
            said = plain(g).chat.completions.create(model=name, messages=ASK).choices[0].message.content
            assert said == models["agent" if "small" in name else "judge"]
        with pytest.raises(openai.NotFoundError, match="no model 'other'"):
            plain(g).chat.completions.create(model="other", messages=ASK)


MESSAGE = {"messages": ASK}
BAD: list[Any] = [
    [], "text", {}, {"messages": []}, {"messages": ["hi"]}, {"messages": [{"content": "no role"}]},
    {"messages": [{"role": "robot", "content": "hi"}]}, {"messages": [{"role": "user", "content": 5}]},
    {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
    {"messages": [{"role": "user", "content": "hi", "weight": 1}]},
    {"messages": [{"role": "assistant", "tool_calls": [{"id": "x"}]}]},
    {**MESSAGE, "logprobs": True}, {**MESSAGE, "top_logprobs": 3}, {**MESSAGE, "functions": [{"name": "f"}]},
    {**MESSAGE, "n": 0}, {**MESSAGE, "n": 33}, {**MESSAGE, "n": True}, {**MESSAGE, "n": 2, "stream": True},
    {**MESSAGE, "max_tokens": 0}, {**MESSAGE, "max_tokens": "many"}, {**MESSAGE, "temperature": "hot"},
    {**MESSAGE, "stop": 5}, {**MESSAGE, "tools": {}}, {**MESSAGE, "tools": [{"type": "web_search"}]},
    {**MESSAGE, "response_format": "json"}, {**MESSAGE, "response_format": {"type": "json_schema"}},
]  # fmt: skip


def test_what_cannot_be_served_is_refused_with_the_reason() -> None:
    llm = ScriptedLLM(["never"])
    with lent(llm) as g:
        for body in BAD:
            status, told = post(g, body)
            assert status == 400, body
            assert told["error"]["type"] == "invalid_request_error", body
            assert len(told["error"]["message"]) > 10, body
        assert "logprobs cannot be served" in post(g, {**MESSAGE, "logprobs": True})[1]["error"]["message"]
    assert llm.calls == 0


NAMES = st.sampled_from(["role", "content", "type", "function", "name", "text"]) | st.text(max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(NAMES, x, max_size=3),
)
FIELDS = ["messages", "n", "stop", "tools", "tool_choice", "response_format", "stream_options", "max_tokens", "seed"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4), st.booleans())
def test_no_body_is_more_than_a_bad_request(body: dict[str, Any], with_messages: bool) -> None:
    if with_messages:
        body = {**body, **MESSAGE}
    try:
        made = shapes.requests(body, {**shapes.fields_of(body), "model": "m"})
    except shapes.BadRequest:
        return
    assert all(r.messages for r in made)


def raw(g: Any, body: bytes, **headers: str) -> tuple[int, Any]:
    """A request as it goes over the wire; returns status and JSON."""
    given = {"Host": "localhost", "Authorization": f"Bearer {g.key}", "Connection": "close", **headers}
    if "Transfer-Encoding" not in given:
        given["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    with socket.create_connection(("127.0.0.1", urlsplit(g.url).port or 0), timeout=10) as connection:
        connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, json.loads(answer.read())


def test_a_body_in_chunks_and_a_key_after_any_bearer() -> None:
    body = json.dumps(MESSAGE).encode()
    chunks = [body[:7], body[7:]]
    sent = b"".join(b"%x;note=1\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\nTrailer: x\r\n\r\n"
    with lent(ScriptedLLM(["one", "two", "three"])) as g:
        assert raw(g, sent, **{"Transfer-Encoding": "chunked"})[0] == 200
        assert raw(g, body, Authorization=f"bearer {g.key}")[0] == 200
        assert raw(g, body, Authorization=f"BEARER  {g.key}")[0] == 200
        for wrong, status in ((b"zz\r\n", 411), (b"-5\r\nabcde\r\n", 411), (b"fffffffff\r\n", 413)):
            assert raw(g, wrong, **{"Transfer-Encoding": "chunked"})[0] == status


def test_fields_that_clients_send_back_are_no_reason_to_refuse() -> None:
    turns = [
        {"role": "user", "content": "hi", "name": "bob"},
        {"role": "assistant", "content": "ho", "reasoning_content": "hm"},
        {"role": "user", "content": "and?"},
    ]
    llm = ScriptedLLM(["four"])
    with lent(llm) as g:
        assert post(g, {"messages": turns})[0] == 200
    assert [m.content for m in llm.requests[0].messages] == ["hi", "ho", "and?"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"messages": [{"role": "user", "content": "hi"}], "temperature": NaN}', "NaN"),
        (b'{"messages": [{"role": "user", "content": "hi"}], "top_k": 1e999}', "a number too large"),
        (b'{"messages": [{"role": "user", "content": "\\ud83d"}]}', "\\ud83d is half a character"),
        (b'{"messages": [{"role": "user", "content": "hi"}], "stream": "false"}', "stream must be true or false"),
    ],
)
def test_what_is_no_sound_body_is_refused_with_the_reason(body: bytes, said: str) -> None:
    llm = ScriptedLLM([])
    with lent(llm) as g:
        status, told = raw(g, body)
        assert status == 400
        assert said in told["error"]["message"]
    assert not llm.calls


# -- keys and addresses of the machine -----------------------------------------------------------------------------


def test_a_key_is_good_for_its_block_only() -> None:
    with lent(ScriptedLLM(["four", "five"])) as g:
        assert post(g, MESSAGE)[0] == 200
        assert post(g, MESSAGE, key="wrong")[0] == 401
        assert post(g, MESSAGE, key="")[0] == 401
        assert post(g, MESSAGE, headers={"Host": "evil.example"})[0] == 403
        assert post(g, MESSAGE, headers={"Origin": "https://evil.example"})[0] == 403
    assert post(g, MESSAGE)[0] == 401
    with pytest.raises(openai.AuthenticationError, match="has ended"):
        plain(g).chat.completions.create(model="given/model", messages=ASK)  # type: ignore[arg-type]


def test_it_listens_on_loopback_alone() -> None:
    with lent(ScriptedLLM([])) as g:
        where = urlsplit(g.url)
        assert where.hostname == "127.0.0.1"
        socket.create_connection(("127.0.0.1", where.port or 0), timeout=5).close()
        with pytest.raises(ConnectionRefusedError):  # all of 127/8 is this machine: a wildcard would answer
            socket.create_connection(("127.0.0.2", where.port or 0), timeout=5)


def test_health_needs_no_key_and_tells_nothing() -> None:
    with lent(ScriptedLLM([])) as g:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(g.url).port)
        connection.request("GET", "/health")
        assert json.loads(connection.getresponse().read()) == {"status": "ok"}
        connection.request("GET", "/v1/models")
        assert connection.getresponse().status == 401


def test_keys_and_texts_are_in_no_log_and_in_no_message(caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)  # the client's own

    def faulty() -> None:
        with lent(ScriptedLLM([ValueError("a secret text in a fault"), "four"])) as g:
            assert g.key not in repr(g)
            status, told = post(g, {"messages": [{"role": "user", "content": "a secret text"}]})
            assert (status, "secret" in str(told)) == (500, False)
            assert post(g, MESSAGE)[0] == 200
            status, told = post(g, MESSAGE, key="wrong-key")
            assert (status, "wrong-key" in str(told)) == (401, False)
            keys.append(g.key)

    keys = ["wrong-key"]
    with pytest.raises(ValueError, match="in a fault"):  # the program's side hears of it
        faulty()
    out, err = capfd.readouterr()
    for text in (caplog.text, out, err):
        assert "secret text" not in text
        assert not any(key in text for key in keys)


# -- streams and clients that go away ------------------------------------------------------------------------------


def test_a_stream_passes_pieces_on_as_they_come() -> None:
    client = Gated(["one ", "two ", "three"])
    with lent(client) as g:
        client.let(0)
        stream = plain(g).chat.completions.create(
            model=g.model, messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        assert next(stream).choices[0].delta.content == "one "  # the others are not made yet
        client.let(1)
        assert next(stream).choices[0].delta.content == "two "
        client.let(2)
        rest = list(stream)
    assert rest[0].choices[0].delta.content == "three"
    assert rest[1].choices[0].finish_reason == "stop"
    assert rest[2].usage is not None and rest[2].usage.total_tokens == 5


@contextmanager
def a_run(folder: Path, server: StubServer, **budget: Any) -> Iterator[tuple[Stack, Store, Session]]:
    """A run's stack over a store, in front of a server, as cells see it; served by the background loop."""
    store = Store(folder)
    stack = Stack(Ledger(Budget(**budget)), StoreLog(store), attempts=3)
    session = Session(stack, {"agent": server.model}, {"max_tokens": 50}, "cell/c/e/0", gateway=stack.gateway)
    try:
        yield stack, store, session
    finally:
        agentopt._aio.run_sync(stack.aclose())
        store.close()


def received(store: Store) -> list[Any]:
    return [e.data for e in store.events("call.received")]


def test_a_stream_is_journaled_whole_and_told_from_the_journal(tmp_path: Path) -> None:
    with StubServer(lambda body: "a rather long answer") as server, a_run(tmp_path, server) as (_, store, session):
        for _ in range(2):  # the second time as a resumed run would
            with use_session(session), agentopt.gateway() as g, plain(g) as client:
                pieces = [
                    c.choices[0].delta.content or ""
                    for c in client.chat.completions.create(model=g.model, messages=ASK, stream=True)
                ]
            assert "".join(pieces) == "a rather long answer"
        assert server.count == 1
        assert [d["response"]["text"] for d in received(store)] == ["a rather long answer"]


def test_a_stream_that_broke_off_reaches_the_client_once(tmp_path: Path) -> None:
    with StubServer(lambda body: "a rather long answer") as server, a_run(tmp_path, server) as (_, _, session):
        server.fail(StubReply("a rather long answer", break_after=10))
        with use_session(session), agentopt.gateway() as g, plain(g) as client:
            stream = client.chat.completions.create(model=g.model, messages=ASK, stream=True)
            assert "".join(c.choices[0].delta.content or "" for c in stream) == "a rather long answer"
        assert server.count == 2
        server.fail(StubReply("another beginning", break_after=10))

        def listen() -> None:
            with use_session(session), agentopt.gateway() as g, plain(g) as client:
                turns: Any = [{"role": "user", "content": "else"}]
                list(client.chat.completions.create(model=g.model, messages=turns, stream=True))

        with pytest.raises(LLMError, match="another answer"):
            listen()


def test_a_client_that_leaves_a_stream_does_not_lose_what_is_paid(tmp_path: Path) -> None:
    text = "word " * 400
    with StubServer(lambda body: text) as server, a_run(tmp_path, server) as (_, store, session):
        session = Session(session.client, session.models, {"max_tokens": 4000}, session.scope, gateway=session.gateway)
        with use_session(session), agentopt.gateway() as g, plain(g) as client:
            stream = client.chat.completions.create(model=g.model, messages=ASK, stream=True)
            next(stream)
            stream.close()
            until(lambda: received(store))
            again = client.chat.completions.create(model=g.model, messages=ASK).choices[0].message.content
        assert again == text
        assert server.count == 1
        assert [d["response"]["text"] for d in received(store)] == [text]


def test_a_stream_has_been_delivered_with_the_reason_why_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = server_of_gateway._Handler.event

    def slow(self: Any, value: Any) -> None:
        if value == "[DONE]":
            time.sleep(0.3)
        send(self, value)

    monkeypatch.setattr(server_of_gateway._Handler, "event", slow)
    drawn = iter("abcdef")
    with StubServer(lambda body: next(drawn)) as server, a_run(tmp_path, server) as (_, _, session):
        with use_session(session), agentopt.gateway() as g, plain(g) as client:
            said = []
            for _ in range(2):  # two samples, by a client that leaves as soon as it knows that all is said
                with client.chat.completions.create(model=g.model, messages=ASK, stream=True) as stream:
                    told = ""
                    for chunk in stream:
                        told += chunk.choices[0].delta.content or ""
                        if chunk.choices[0].finish_reason:
                            break
                said.append(told)
        assert said == ["a", "b"]


def test_several_answers_of_which_one_failed_are_not_paid_again(tmp_path: Path) -> None:
    with StubServer(lambda body: f"answer {body['seed']}") as server, a_run(tmp_path, server) as (_, store, session):
        server.fail(StubReply("no", status=400))
        ask: Any = {"model": "loopback/stub", "messages": ASK, "n": 3, "seed": 7}
        with use_session(session), agentopt.gateway() as g, plain(g, max_retries=0) as client:
            with pytest.raises(openai.BadRequestError):
                client.chat.completions.create(**ask)
            again = client.chat.completions.create(**ask)  # on the same connection
            assert [c.message.content for c in again.choices] == ["answer 7", "answer 8", "answer 9"]
            assert server.count == 4
            client.chat.completions.create(**ask)  # these have been delivered: it is asked anew
        assert server.count == 7
        assert len({d["address"] for d in received(store)}) == 6


def test_the_answer_of_a_stream_that_went_on_otherwise_is_given_to_an_equal_request(tmp_path: Path) -> None:
    with StubServer(lambda body: "a rather long answer") as server, a_run(tmp_path, server) as (_, _, session):
        server.fail(StubReply("another beginning", break_after=10))
        with use_session(session), agentopt.gateway() as g, plain(g, max_retries=0) as client:
            with pytest.raises(openai.APIError, match="another answer"):
                list(client.chat.completions.create(model=g.model, messages=ASK, stream=True))
            again = client.chat.completions.create(model=g.model, messages=ASK)
            assert again.choices[0].message.content == "a rather long answer"
        assert server.count == 2


def test_a_client_that_tries_again_pays_once(tmp_path: Path) -> None:
    def slow(body: Any) -> StubReply:
        return StubReply("late", delay=1.5)

    with StubServer(slow) as server, a_run(tmp_path, server) as (stack, store, session):
        with use_session(session), agentopt.gateway() as g, plain(g, timeout=0.4, max_retries=8) as client:
            assert client.chat.completions.create(model=g.model, messages=ASK).choices[0].message.content == "late"
        assert server.count == 1
        assert stack._ledger.settled["calls"] == 1
        assert len(received(store)) == 1


def test_equal_requests_of_clients_that_wait_are_calls_of_their_own(tmp_path: Path) -> None:
    with StubServer(lambda body: StubReply("x", delay=0.2)) as server, a_run(tmp_path, server) as (_, store, session):

        async def ask() -> None:
            with agentopt.gateway() as g:
                async with openai.AsyncOpenAI(base_url=g.url, api_key=g.key) as client:
                    await asyncio.gather(*(client.chat.completions.create(model=g.model, messages=ASK) for _ in "abc"))

        with use_session(session):
            asyncio.run(ask())
        assert server.count == 3
        addresses = sorted(d["address"] for d in received(store))
        assert [a.rpartition("|")[2] for a in addresses] == ["0", "1", "2"]
        assert len({a.rpartition("|")[0] for a in addresses}) == 1
        assert addresses[0].startswith("cell/c/e/0|~gateway:0/")
        with use_session(session), agentopt.gateway() as g:  # another block: it finds the first three in the journal
            for _ in range(4):
                assert post(g, {**MESSAGE, "model": g.model})[0] == 200  # on a connection of its own
        assert server.count == 4


# -- failures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "attempts"), [(400, 1), (401, 1), (404, 1), (429, 3), (503, 3)])
def test_a_providers_error_keeps_its_status_and_is_retried_by_the_run_alone(
    tmp_path: Path, status: int, attempts: int
) -> None:
    with StubServer() as server, a_run(tmp_path, server) as (_, _, session):
        server.fail(StubReply("something about it", status=status, retry_after=0.01), times=20)

        def ask() -> None:
            with use_session(session), agentopt.gateway() as g, plain(g) as client:
                client.chat.completions.create(model=g.model, messages=ASK)

        with pytest.raises(LLMError, match="something about it") as told:
            ask()
        error = told.value.__cause__
        assert isinstance(error, openai.APIStatusError)
        assert error.status_code == told.value.status == status
        assert "something about it" in error.message
        assert error.response.headers["x-should-retry"] == "false"
        assert server.count == attempts


def test_a_failure_that_the_program_deals_with_is_its_own_affair(tmp_path: Path) -> None:
    with StubServer() as server, a_run(tmp_path, server) as (_, _, session):
        server.fail(StubReply("no", status=400))
        with use_session(session), agentopt.gateway() as g, plain(g) as client:
            with pytest.raises(openai.BadRequestError):
                client.chat.completions.create(model=g.model, messages=ASK)
            assert client.chat.completions.create(model=g.model, messages=ASK).choices  # the same call, tried again
        server.fail(StubReply("no", status=400))

        def faulty() -> None:
            with use_session(session), agentopt.gateway() as g, plain(g) as client:
                turns: Any = [{"role": "user", "content": "else"}]
                with pytest.raises(openai.BadRequestError):
                    client.chat.completions.create(model=g.model, messages=turns)
                assert client.chat.completions.create(model=g.model, messages=turns).choices
                raise ValueError("mine")

        with pytest.raises(ValueError, match="mine"):
            faulty()


def test_the_end_of_a_budget_is_told_to_client_and_program(tmp_path: Path) -> None:
    with StubServer() as server, a_run(tmp_path, server, calls=1) as (_, _, session):

        def hiding() -> None:
            with use_session(session), agentopt.gateway() as g, plain(g) as client:
                client.chat.completions.create(model=g.model, messages=ASK)
                with pytest.raises(openai.APIStatusError) as error:  # the program goes on, and hides it
                    client.chat.completions.create(model=g.model, messages=[{"role": "user", "content": "more"}])
                assert (error.value.status_code, error.value.code) == (402, "budget_exhausted")

        with pytest.raises(BudgetExhausted) as end:
            hiding()
        assert end.value.axis == "calls"
        assert server.count == 1


def test_a_price_that_is_not_known_is_told_to_the_program(tmp_path: Path) -> None:
    with StubServer() as server, a_run(tmp_path, server, usd=1.0) as (_, _, session):

        def ask() -> None:
            with use_session(session), agentopt.gateway() as g:
                status, told = post(g, MESSAGE)
                assert (status, told["error"]["type"]) == (400, "invalid_request_error")

        with pytest.raises(UsageError, match="price"):
            ask()
        assert server.count == 0


async def test_a_blocked_event_loop_is_told_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BLOCKED", 0.5)
    session = Session(ScriptedLLM(["never"]), {"agent": "m"}, loop=asyncio.get_running_loop())
    with use_session(session), pytest.raises(LLMError, match="waits without await"), agentopt.gateway() as g:
        plain(g).chat.completions.create(model=g.model, messages=ASK)  # in the loop's own thread
    await asyncio.sleep(0)


def test_the_end_of_a_block_ends_the_calls_under_way() -> None:
    client = Gated(["never"])
    told: list[Any] = []
    with lent(client) as g:
        thread = threading.Thread(target=lambda: told.append(post(g, MESSAGE)))
        thread.start()
        until(lambda: client.calls)
    thread.join(timeout=10)
    assert told[0][0] == 410
    assert told[0][1]["error"]["code"] == "gateway_closed"


def test_the_end_of_a_run_ends_the_calls_under_way_and_charges_them(tmp_path: Path) -> None:
    told: list[Any] = []
    with StubServer(lambda body: StubReply("late", delay=5)) as server:
        with a_run(tmp_path, server) as (stack, store, session), use_session(session):
            block = agentopt.gateway()
            g = block.__enter__()  # a block that is still open when the run ends
            thread = threading.Thread(target=lambda: told.append(post(g, MESSAGE)))
            thread.start()
            until(lambda: server.count)
            begun = time.monotonic()
            agentopt._aio.run_sync(stack.aclose())
            assert time.monotonic() - begun < 4
            assert [e.data["settled"]["calls"] for e in store.events("call.failed")] == [1]
            assert stack._ledger.outstanding["calls"] == 0
            thread.join(timeout=10)
            block.__exit__(None, None, None)
            with pytest.raises(LLMError, match="has ended"), agentopt.gateway():
                pass
        assert told[0][0] in (401, 410)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", urlsplit(g.url).port or 0))


async def test_a_gateway_that_was_never_used_has_nothing_to_close() -> None:
    before = threading.active_count()
    gateway = Gateway()
    await gateway.aclose()
    assert threading.active_count() == before


# -- other processes -----------------------------------------------------------------------------------------------

SCRIPT = """
import openai
client = openai.OpenAI()
turns = [{"role": "user", "content": "hi"}]
answer = client.chat.completions.create(model=client.models.list().data[0].id, messages=turns)
print(answer.choices[0].message.content)
"""
WORKER = "import agentopt; print(agentopt.llm('hello'))"


@pytest.mark.parametrize(("program", "said"), [(SCRIPT, "HI"), (WORKER, "HELLO")], ids=["openai", "agentopt"])
def test_a_process_shares_the_run(program: str, said: str) -> None:
    with lent(ScriptedLLM(lambda r: str(r.messages[-1].content).upper())) as g:
        done = subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, **g.env}, capture_output=True, text=True, check=False
        )
    assert done.stdout.strip() == said, done.stderr


# -- on the graph --------------------------------------------------------------------------------------------------


@agentopt.node
def through(question: str) -> str:
    with agentopt.gateway() as g, plain(g) as client:
        turns: Any = [{"role": "user", "content": question}]
        return client.chat.completions.create(model=g.model, messages=turns).choices[0].message.content or ""


def test_calls_are_on_the_graph_below_their_node() -> None:
    with use_session(Session(ScriptedLLM(["four"]), {"agent": "m"})), agentopt.Trace() as trace:
        trace.output = through("two and two?")
    calls = [r for r in trace.graph.nodes if r.kind == "llm"]
    assert [(r.name, r.value) for r in calls] == [("gateway", "four")]
    assert calls[0].path.startswith("through:0")


def test_a_failed_call_is_on_the_graph_too() -> None:
    with (
        use_session(Session(ScriptedLLM([TransientLLMError("gone")]), {"agent": "m"})),
        agentopt.Trace() as trace,
        pytest.raises(TransientLLMError),
    ):
        through("two and two?")
    assert [r.error for r in trace.graph.nodes if r.name == "gateway"] == ["TransientLLMError: gone"]

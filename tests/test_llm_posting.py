"""Chat completions as plain JSON: what a server may send, what of the environment counts, and silence at the end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from agentopt.errors import LLMError, TransientLLMError
from agentopt.llm.openai_client import OpenAIClient
from agentopt.llm.posting import Posts
from agentopt.llm.types import Message, Request
from agentopt.testing import StubReply, StubServer

ASKED = Request(model="m", messages=(Message(role="user", content="hello"),))
EVENTS = "text/event-stream"


@asynccontextmanager
async def answering(body: bytes, kind: str = "application/json", cut: int = 0) -> AsyncIterator[str]:
    """The URL of a server that answers everything with these bytes, in pieces of three."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if cut >= 0:
            length = f"Content-Length: {len(body) + cut}"
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{length}\r\n\r\n".encode())
            for at in range(0, len(body), 3):
                writer.write(body[at : at + 3])
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def streamed(body: bytes) -> list[Any]:
    async with answering(body, EVENTS) as url:
        posts = Posts(url, "")
        found = [event async for event in posts.stream({}, {}, 5.0)]
        await posts.aclose()
        return found


@pytest.mark.parametrize(
    "body",
    [
        b'data: {"a": 1}\n\ndata: {"a": 2}\n\ndata: [DONE]\n\ndata: {"a": 3}\n\n',
        b': waiting\r\n\r\nevent: chunk\r\ndata:{"a": 1}\r\n\r\nid: 7\r\ndata: {"a":\r\ndata:  2}\r\n\r\n',
    ],
)
async def test_events_in_the_forms_that_servers_use(body: bytes) -> None:
    assert await streamed(body) == [{"a": 1}, {"a": 2}]


async def test_a_large_event() -> None:
    text = "x" * 300_000
    assert await streamed(f'data: {{"a": "{text}"}}\n\n'.encode()) == [{"a": text}]


async def test_an_error_within_a_stream() -> None:
    with pytest.raises(openai.APIError, match="overloaded"):
        await streamed(b'data: {"a": 1}\n\ndata: {"error": {"message": "overloaded"}}\n\n')
    body = b'data: {"choices": [{"delta": {"content": "half"}}]}\n\ndata: {"error": {"message": "overloaded"}}\n\n'
    async with answering(body, EVENTS) as url:
        heard: list[str] = []
        with pytest.raises(TransientLLMError, match="overloaded") as failed:
            await OpenAIClient("m", base_url=url).complete(ASKED.model_copy(update={"on_text": heard.append}))
        assert heard == ["half"]
        assert failed.value.billed


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"<html>hello</html>", "text/html", r"no answer \(str without choices\)"),
        (b'{"detail": "hm"}', "application/json", r"no answer \(Fields without choices\)"),
        (b"[]", "application/json", r"no answer \(list without choices\)"),
        (b'{"choices": [{"mess', "application/json", "the answer cannot be read"),
    ],
)
async def test_answers_that_are_none(body: bytes, kind: str, said: str) -> None:
    async with answering(body, kind) as url:
        with pytest.raises(TransientLLMError, match=said):
            await OpenAIClient("m", base_url=url).complete(ASKED)


@pytest.mark.parametrize("cut", [1, -1])
async def test_an_answer_that_is_cut_short_may_have_been_paid_for(cut: int) -> None:
    async with answering(b'{"choices": []}', cut=cut) as url:
        with pytest.raises(TransientLLMError) as failed:
            await OpenAIClient("m", base_url=url).complete(ASKED)
    assert failed.value.billed


async def test_a_refusal_in_plain_text() -> None:
    refusal = pytest.raises(LLMError, match=r"refused with 400 \(no tools here\)")
    with StubServer(lambda body: StubReply(status=400, text="no tools here")) as server, refusal:
        await OpenAIClient("stub", base_url=server.url).complete(ASKED)


async def test_proxies_are_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody listens there
    with StubServer() as server:
        assert (await OpenAIClient("stub", base_url=server.url).complete(ASKED)).text
    with pytest.raises(TransientLLMError, match="cannot be reached"):
        await OpenAIClient("m", base_url="http://far.example.org/v1").complete(ASKED)


async def test_openai_hears_of_organization_and_project_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    with StubServer() as server:
        await OpenAIClient("stub", base_url=server.url, api_key="k").complete(ASKED)
        assert not server.requests[-1].headers.keys() & {"openai-organization", "openai-project"}
    own = Posts(None, "k")
    assert own._client.organization == "org-mine"
    assert str(own._client.base_url) == "https://api.openai.com/v1/"


def test_connections_that_nobody_closed_end_in_silence() -> None:
    code = (
        "import asyncio, gc, sys\n"
        "from agentopt.llm.openai_client import OpenAIClient\n"
        "from agentopt.llm.types import Message, Request\n"
        "client = OpenAIClient('stub', base_url=sys.argv[1])\n"
        "asked = Request(model='m', messages=(Message(role='user', content='hi'),))\n"
        "for _ in range(2):\n"
        "    asyncio.run(client.complete(asked))\n"
        "    gc.collect()\n"
    )
    with StubServer() as server:
        command = [sys.executable, "-c", code, server.url]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")

"""Which answers runs share: those of equal weights or of one provider, and none of a server that only has a name."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentopt.core.values import Budget
from agentopt.llm.cache import ResponseCache
from agentopt.llm.ledger import Ledger
from agentopt.llm.litellm_client import LiteLLMClient
from agentopt.llm.providers import resolve
from agentopt.llm.stack import Stack
from agentopt.llm.types import Address, Message, Request
from agentopt.serve.endpoint import Endpoint
from agentopt.serve.engine import Engine
from agentopt.testing import StubServer

FAKE = Path(__file__).parent / "data" / "fake_engine.py"


def request(model: str, text: str = "hi", ordinal: int = 0, **fields: object) -> Request:
    address = Address(scope="cell/c/e/0", path="solve:0", ordinal=ordinal)
    turns = (Message(role="user", content=text),)
    return Request.model_validate({"model": model, "messages": turns, "temperature": 0, "address": address, **fields})


async def answers(folder: Path, *requests: Request) -> list[str]:
    """What a run says that uses the workspace's cache."""
    cache = ResponseCache(folder / "responses.sqlite")
    stack = Stack(Ledger(Budget()), cache=cache)
    try:
        return [(await stack.complete(r)).text for r in requests]
    finally:
        await stack.aclose()
        cache.close()


@pytest.mark.parametrize("names", [("m", "m"), ("/runs/finetune-1/final", "/runs/finetune-2/final")])
async def test_servers_that_only_have_a_name_share_nothing(tmp_path: Path, names: tuple[str, str]) -> None:
    one, two = (StubServer(lambda _, t=text: t, models=(name,)) for text, name in zip("AB", names, strict=True))
    with one, two:
        assert await answers(tmp_path, request(one.model), request(one.model)) == ["A", "A"]
        assert one.count == 1, "within a run an equal call is not asked again"
        assert await answers(tmp_path, request(two.model)) == ["B"]
        one.reply = lambda _: "other weights"
        assert await answers(tmp_path, request(one.model)) == ["other weights"]


@pytest.fixture
def serve() -> Iterator[Callable[[str | None], str]]:
    engine = Engine("local/fake", [sys.executable, str(FAKE), "{}"])
    running: list[Endpoint] = []

    def start(fingerprint: str | None) -> str:
        endpoint = Endpoint(engine, "fake", fingerprint=fingerprint)
        threading.Thread(target=endpoint.serve_forever, args=(0.02,), daemon=True).start()
        running.append(endpoint)
        return f"{endpoint.url}#fake"

    yield start
    for endpoint in running:
        endpoint.shutdown()
        endpoint.server_close()
    engine.close()


async def test_a_server_that_tells_its_weights_shares_answers_on_any_port(
    tmp_path: Path, serve: Callable[[str | None], str]
) -> None:
    urls = [serve(told) for told in ("sha256:1+engine+1", "sha256:1+engine+1", "sha256:2+engine+1", None)]
    # the answer of this engine shows the seed, which it draws: equal texts are one answer
    said = [(await answers(tmp_path, request(url, "whole")))[0] for url in urls]
    assert said[0] == said[1]
    assert len(set(said)) == 3


async def test_samples_of_equal_calls_are_drawn_each_and_kept_each(tmp_path: Path) -> None:
    drawn: list[str] = []

    def draw(body: object) -> str:
        drawn.append(f"sample {len(drawn)}")
        return drawn[-1]

    with StubServer(draw, fingerprint="weights") as server:
        three = [request(server.model, ordinal=i, temperature=1.0) for i in range(3)]
        first = await answers(tmp_path, *three)
        assert first == ["sample 0", "sample 1", "sample 2"]
        assert await answers(tmp_path, *three) == first, "another run has the same three, unasked"
        unset = [r.model_copy(update={"temperature": None}) for r in three]
        assert len(set(await answers(tmp_path, *unset))) == 3, "what a server does by itself is to draw"
        greedy = [r.model_copy(update={"temperature": 0.0}) for r in three]
        assert len(set(await answers(tmp_path, *greedy))) == 1
        seeded = [r.model_copy(update={"seed": 7}) for r in three]
        assert len(set(await answers(tmp_path, *seeded))) == 1
        assert server.count == 3 + 3 + 1 + 1


@pytest.mark.parametrize(
    ("model", "shared"),
    [
        ("https://llm.example.org/v1#m", "llm.example.org/v1/m"),
        ("https://key@llm.example.org/other/v1/#m", "llm.example.org/other/v1/m"),
        ("https://llm.example.org:8443/v1#m", None),
        ("http://llm.example.org/v1#m", None),
        ("https://10.0.0.5/v1#m", None),
        ("https://gpu-box/v1#m", None),
        ("http://127.0.0.1:9/v1#m", None),
    ],
)
def test_what_a_model_string_is_shared_as(model: str, shared: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentopt.llm.openai_client.OpenAIClient._listed", lambda self, seconds: [{"id": "m"}])
    client = resolve(model)
    assert client.shared() == shared  # type: ignore[attr-defined]
    asyncio.run(client.aclose())


def test_litellms_providers_and_its_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LiteLLMClient("anthropic/claude").shared() == "anthropic/claude"
    assert LiteLLMClient("ollama/llama3").shared() is None
    monkeypatch.setenv("AZURE_API_BASE", "https://mine.openai.azure.com")
    assert LiteLLMClient("azure/gpt").shared() == "mine.openai.azure.com/gpt"
    monkeypatch.setenv("AZURE_API_BASE", "http://10.0.0.5:8000")
    assert LiteLLMClient("azure/gpt").shared() is None

"""What every ``Client`` keeps: pytest tests to inherit from."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from agentopt._aio import run_sync
from agentopt.errors import LLMError
from agentopt.llm.types import Client, Message, Request, Response

__all__ = ["ClientContract"]


class ClientContract:
    """Inherit, name the subclass ``Test...``, and say how a client is made.

    ::

        class TestMine(ClientContract):
            def make_client(self):
                return MyClient()

    A client that holds servers or engines may be made once and given again each time. Class attributes say what does
    not hold: ``caps = False`` for a client that does not cut answers at ``max_tokens``; ``streams = False`` for one
    that has no ``on_text``.
    """

    model = "test/model"
    """Model string of the requests."""
    caps = True
    """Whether answers are cut at ``max_tokens``."""
    streams = True
    """Whether ``on_text`` is called."""
    prompt = "Count from one to fifty, in words."
    """Something whose answer is longer than one token."""
    max_tokens = 16
    """Cap of the requests."""

    def make_client(self) -> Client:
        """A client, ready to use."""
        raise LLMError(f"{type(self).__name__} does not say how its client is made: define make_client()")

    def request(self, text: str | None = None, **fields: Any) -> Request:
        """A request to the client."""
        given = {"max_tokens": self.max_tokens, "temperature": 0.0, **fields}
        return Request(model=self.model, messages=(Message(role="user", content=text or self.prompt),), **given)

    def test_answers_with_a_response(self) -> None:
        response = run_sync(self.make_client().complete(self.request()))
        assert isinstance(response, Response)
        assert response.text or response.truncated
        assert response.seconds >= 0
        assert response.endpoint
        assert response.usd is None or response.usd >= 0

    def test_usage_is_told_or_marked_as_unknown(self) -> None:
        usage = run_sync(self.make_client().complete(self.request())).usage
        if usage.reported:
            assert usage.input_tokens > 0
            assert usage.output_tokens > 0
            assert usage.cached_tokens <= usage.input_tokens
            assert usage.reasoning_tokens <= usage.output_tokens
        else:
            assert usage.input_tokens == usage.output_tokens == 0

    def test_a_cut_answer_says_so(self) -> None:
        response = run_sync(self.make_client().complete(self.request(max_tokens=1)))
        if self.caps:
            assert response.truncated
            assert not response.usage.reported or response.usage.output_tokens <= 1

    def test_a_response_is_json_and_comes_back(self) -> None:
        response = run_sync(self.make_client().complete(self.request()))
        assert Response.model_validate(json.loads(response.model_dump_json())) == response

    def test_the_identity_has_no_port_address_or_path(self) -> None:
        client = self.make_client()
        response = run_sync(client.complete(self.request()))
        endpoint = getattr(client, "endpoint", response.endpoint)
        assert endpoint == response.endpoint
        assert not re.search(r"127\.0\.0\.1|localhost|\[::1\]|:\d{2,5}(/|$)|://|^/", endpoint)

    def test_the_pieces_of_a_stream_are_the_answer(self) -> None:
        pieces: list[str] = []
        response = run_sync(self.make_client().complete(self.request(on_text=pieces.append)))
        assert not self.streams or "".join(pieces) == response.text

    def test_many_calls_at_once(self) -> None:
        client = self.make_client()

        async def ask() -> list[Response]:
            return await asyncio.gather(*(client.complete(self.request(f"{self.prompt} ({i})")) for i in range(6)))

        assert len([r for r in run_sync(ask()) if isinstance(r, Response)]) == 6

    def test_several_loops_one_after_another(self) -> None:
        client = self.make_client()
        first = asyncio.run(client.complete(self.request()))
        second = run_sync(client.complete(self.request()))
        third = asyncio.run(client.complete(self.request()))
        assert {type(r) for r in (first, second, third)} == {Response}

    def test_a_cancelled_call_does_not_harm_the_next(self) -> None:
        client = self.make_client()

        async def ask() -> Response:
            first = asyncio.ensure_future(client.complete(self.request()))
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            return await client.complete(self.request())

        assert isinstance(run_sync(ask()), Response)

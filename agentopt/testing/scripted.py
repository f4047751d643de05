"""A language model that says what a test wants it to say."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from agentopt.errors import LLMError
from agentopt.llm.types import Request, Response, Usage, whole

__all__ = ["Reply", "ScriptedLLM"]

Reply: TypeAlias = "str | Response | Exception | dict[str, Any] | list[Any]"
"""What a script may answer: a text, a whole response, an exception to raise, or something to send as JSON."""


class ScriptedLLM:
    """A ``Client`` whose answers are a function of the request, or a list that is used up in order.

    Args:
        reply: ``Request -> Reply``, or a list of replies. ``Response`` is sent as it is; a dict or list as JSON text.
        delay: seconds before each answer (they are not blocking).
        usage: whether usage is reported (a token for each four bytes).
        usd: price of every call; None is unknown.
        endpoint: its identity.
        cap: whether answers longer than ``max_tokens`` (four bytes each) are cut, as a real model's are.
        model: its name, for those who ask a client for one.

    ``requests`` are all that came, in order; ``in_flight`` and ``most_in_flight`` count concurrent calls.

    >>> from agentopt._aio import run_sync
    >>> from agentopt.llm.types import Message
    >>> llm = ScriptedLLM(lambda request: request.messages[-1].content.upper())
    >>> run_sync(llm.complete(Request(model="any", messages=(Message(role="user", content="hi"),)))).text
    'HI'
    >>> llm.calls
    1
    """

    def __init__(
        self,
        reply: Callable[[Request], Reply] | Sequence[Reply],
        *,
        delay: float = 0.0,
        usage: bool = True,
        usd: float | None = 0.0,
        endpoint: str = "scripted/llm",
        cap: bool = False,
        model: str = "scripted/llm",
    ) -> None:
        self._script = reply if callable(reply) else None
        self._left: deque[Reply] = deque() if callable(reply) else deque(reply)
        self.delay, self.usage, self.usd, self.endpoint, self.cap, self.model = delay, usage, usd, endpoint, cap, model
        self.requests: list[Request] = []
        self.in_flight = self.most_in_flight = 0
        self.closed = False
        self._lock = threading.Lock()

    @property
    def calls(self) -> int:
        """How many requests came."""
        return len(self.requests)

    async def complete(self, request: Request) -> Response:
        """Answer one request by the script."""
        with self._lock:
            self.requests.append(request)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.delay)
            return await self._stream(request, self._answer(request))
        finally:
            with self._lock:
                self.in_flight -= 1

    async def aclose(self) -> None:
        """Note that it was closed."""
        self.closed = True

    def _answer(self, request: Request) -> Response:
        if self._script is not None:
            reply = self._script(request)
        else:
            with self._lock:
                if not self._left:
                    raise LLMError(f"the script has ended: this is call {self.calls}, and it has no answer for it")
                reply = self._left.popleft()
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Response):
            return reply
        text = reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False)
        text, room = whole(text), 4 * request.max_tokens  # half characters come as a server's do
        cut = self.cap and len(text.encode()) > room
        if cut:
            text = text.encode()[:room].decode(errors="ignore")
        read = sum(len(whole(str(m.content)).encode()) for m in request.messages)
        used = Usage(input_tokens=-(-read // 4), output_tokens=-(-len(text.encode()) // 4))
        return Response(
            text=text,
            finish="length" if cut else "stop",
            usage=used if self.usage else Usage(reported=False),
            usd=self.usd,
            endpoint=self.endpoint,
            seconds=self.delay,
        )

    async def _stream(self, request: Request, response: Response) -> Response:
        if request.on_text is not None:
            for at in range(0, len(response.text), 8):
                request.on_text(response.text[at : at + 8])
                await asyncio.sleep(0)
        return response

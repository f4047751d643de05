"""``local/NAME``: a client of a model that runs on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from typing import Any

from agentopt.errors import LLMError, TransientLLMError
from agentopt.llm.types import Image, Message, Request, Response, ToolCall, Usage
from agentopt.serve.engine import Engine, Result, shared
from agentopt.serve.options import Loaded, parse, resolve

__all__ = ["LocalClient", "provider"]

FINISH = {"stop", "length", "tool_calls"}


def provider(name: str) -> LocalClient:
    """The client of a local model. Weights and engine are looked up now; the engine starts with the first request.

    Args:
        name: ``NAME`` or ``path/to/file.gguf``, with options such as ``?engine=xllamacpp&max_seqs=8``; a leading
            ``local/`` is allowed. Options: ``agentopt.serve.options.Settings``.

    Raises:
        UnknownName: no such model or option; says which was meant.
        MissingDependency: weights or engine are not installed; names the command that brings them. Nothing is
            downloaded here.

    >>> provider("smollm2-135n")
    Traceback (most recent call last):
    agentopt.errors.UnknownName: no local model named 'smollm2-135n'; did you mean 'smollm2-135m'? ...
    """
    return LocalClient(resolve(parse(name)))


class LocalClient:
    """Answers requests from an engine child process, which all clients of the same model and settings share.

    It may be used from several event loops. Cancelling a request drops it in the engine. When the child crashes, its
    requests fail with ``TransientLLMError`` and the next one starts it again.

    Args:
        loaded: what ``options.resolve`` found.
        engine: an engine to use instead of the shared one.
    """

    def __init__(self, loaded: Loaded, engine: Engine | None = None) -> None:
        self.loaded = loaded
        self.endpoint = loaded.endpoint
        """Identity of what answers: weights, engine, version."""
        self._own = engine
        self._engine = engine or shared().acquire(loaded)
        self._closed = False

    @property
    def engine(self) -> Engine:
        """The engine that answers."""
        return self._engine

    async def complete(self, request: Request) -> Response:
        """Answer one request.

        Its timeout is for an engine that makes no step: an engine at work on a long queue is waited for, since asking
        again would only lengthen the queue. Loading the model does not count.

        Raises:
            LLMError: the model cannot take the request, or cannot be loaded.
            TransientLLMError: the engine crashed, or made no step for as long as the timeout.
        """
        if self._closed:
            raise LLMError(f"{self._engine.label}: this client is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        loaded = asyncio.Event()

        def post(call: Callable[..., None], *arguments: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(call, *arguments)

        def settle(result: Result) -> None:
            if not future.done():
                future.set_result(result)

        def show(piece: str) -> None:
            if not future.done() and request.on_text is not None:
                try:
                    request.on_text(piece)
                except Exception as error:  # the listener's own failure: the caller gets it
                    future.set_exception(error)

        message = to_wire(request)
        listen = (lambda piece: post(show, piece)) if request.on_text else None
        ident = self._engine.submit(message, lambda result: post(settle, result), listen)
        try:
            self._engine.when_ready(lambda: post(loaded.set))
            await _either(loaded, future)
            started = time.monotonic()
            result = await self._answer(future, request.timeout)
        except TimeoutError:
            raise TransientLLMError(
                f"{self._engine.label} made no step for {request.timeout:g} seconds, and the request was dropped"
            ) from None
        finally:
            self._engine.cancel(ident)
        if isinstance(result, LLMError):
            raise type(result)(str(result))
        return self._response(result, time.monotonic() - started)

    async def _answer(self, future: asyncio.Future[Result], limit: float | None) -> Result:
        """The end of a request; raises ``TimeoutError`` once the engine has been still for so many seconds."""
        if limit is None:
            return await future
        began = time.monotonic()
        while (left := max(began, self._engine.heard) + limit - time.monotonic()) > 0:
            await asyncio.wait([future], timeout=left)
            if future.done():
                return future.result()
        raise TimeoutError

    async def aclose(self) -> None:
        """Let go of the engine; it ends some seconds after its last client has done so."""
        if not self._closed:
            self._closed = True
            if self._own is None:
                shared().release(self.loaded)

    def _response(self, done: dict[str, Any], seconds: float) -> Response:
        calls = done.get("tool_calls") or ()
        finish = done.get("finish")
        return Response(
            text=done["text"],
            tool_calls=tuple(
                ToolCall(id=c.get("id") or f"call_{i}", name=c["name"], arguments=c["arguments"])
                for i, c in enumerate(calls)
            ),
            finish=finish if finish in FINISH else "unknown",
            usage=Usage(
                input_tokens=done.get("input_tokens", 0),
                output_tokens=done.get("output_tokens", 0),
                cached_tokens=done.get("cached_tokens", 0),
            ),
            usd=0.0,
            endpoint=self.endpoint,
            seconds=seconds,
        )


async def _either(loaded: asyncio.Event, future: asyncio.Future[Result]) -> None:
    """Wait until the model is loaded or the request is over."""
    future.add_done_callback(lambda _: loaded.set())
    await loaded.wait()


def to_wire(request: Request) -> dict[str, Any]:
    """A request as a message to an engine.

    Raises:
        LLMError: it has a picture, or a field that no engine knows.
    """
    message: dict[str, Any] = {
        **request.extra,
        "op": "chat",
        "messages": [_turn(m) for m in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed if request.seed is not None else random.SystemRandom().randrange(2**31),
        "stop": list(request.stop),
    }
    if request.json_schema is not None:
        message["json_schema"] = request.json_schema
    if request.tools:
        message["tools"] = [
            {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}}
            for t in request.tools
        ]
        message["tool_choice"] = request.tool_choice or "auto"
    return message


def _turn(message: Message) -> dict[str, Any]:
    content = message.content
    if not isinstance(content, str):
        if any(isinstance(part, Image) for part in content):
            raise LLMError("local models read no pictures: send text alone, or name a model that sees")
        content = "".join(part.text for part in content if not isinstance(part, Image))
    turn: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        turn["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in message.tool_calls
        ]
    if message.tool_call_id:
        turn["tool_call_id"] = message.tool_call_id
    return turn

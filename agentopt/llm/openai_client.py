"""OpenAI-compatible endpoints (OpenAI itself, vLLM, llama.cpp, ``agentopt serve``)."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from agentopt._aio import PerLoop
from agentopt.core.values import digest
from agentopt.errors import AgentOptError, MissingDependency, RequestAdapted
from agentopt.llm.cache import shared_as
from agentopt.llm.failures import failure
from agentopt.llm.types import Request, Response, Usage, is_loopback
from agentopt.llm.wire import Pieces, chat_fields, read_completion

if TYPE_CHECKING:
    from agentopt.llm.posting import Posts

__all__ = ["OpenAIClient"]

_CAPS = ("max_tokens", "max_completion_tokens")


class OpenAIClient:
    """A client of one model at one OpenAI-compatible endpoint.

    Args:
        model: the model's name there; empty asks the server, which must then serve exactly one.
        base_url: URL that ends in ``/v1``; None is OpenAI's own.
        api_key: the key; it appears in no message, representation or hash.
        key_name: the environment variable that holds the key, for error messages.
        provider: the word for the provider in ``endpoint``.
        price: gives the price in USD of a usage, or None where it is not known.
        timeout: seconds for one attempt, where a request does not say.

    Retries are not made here: a failure worth another try raises ``TransientLLMError``.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        key_name: str = "AGENTOPT_API_KEY",
        provider: str = "openai",
        price: Callable[[Usage], float | None] | None = None,
        timeout: float = 600.0,
    ) -> None:
        self._model, self._base_url, self._provider = model, base_url, provider
        self._key, self._key_name = SecretStr(api_key or ""), key_name
        self._price = price or (lambda usage: None)
        self._timeout = timeout
        self._posts: PerLoop[Posts] = PerLoop(self._connect, lambda posts: posts.aclose())
        self._cap = _CAPS[base_url is None]
        self._refused: set[str] = set()
        self._schemas = True
        self._ready = False

    def __repr__(self) -> str:
        return f"OpenAIClient({self._provider}/{self._model})"

    @property
    def model(self) -> str:
        """The model's name at the endpoint; asks the server (once, blocking) when none was given.

        Raises:
            MissingDependency: no server answers, or it serves more than one model.
        """
        if not self._model:
            self._model = self._only_model()
        return self._model

    @property
    def endpoint(self) -> str:
        """Provider and model: the same on every port and machine."""
        name = self.model
        return f"{self._provider}/{name.rstrip('/').rpartition('/')[2] if name.startswith('/') else name}"

    def shared(self) -> str | None:
        """What answers may be shared under with other runs (see ``shared_as``); asks a server of one's own (blocking).

        ``agentopt serve`` tells weights, engine and version; what other servers list are names, paths and times.
        """
        if self._base_url is None:
            return self.endpoint
        if (known := shared_as(self._base_url, self.model)) is not None:
            return known
        with contextlib.suppress(OSError, HTTPException, ValueError, KeyError, TypeError, StopIteration):
            told = next(entry.get("fingerprint") for entry in self._listed(2) if entry["id"] == self.model)
            return f"served/{told}" if told else None
        return None

    async def complete(self, request: Request) -> Response:
        """Answer one request with one attempt."""
        if not self._ready:  # importing openai takes a second or two: not on the loop, and not on the call's clock
            await asyncio.to_thread(importlib.import_module, "agentopt.llm.posting")
            await asyncio.to_thread(lambda: self.model)
            self._ready = True
        start, cap, schemas = time.perf_counter(), self._cap, self._schemas
        try:
            response = await self._send(request, cap, schemas)
        except Exception as error:
            failed = self._failure(error)
            if getattr(error, "status_code", None) in (400, 422) and self._adapt(request, cap, schemas, str(error)):
                failed = RequestAdapted(str(failed))
        else:
            seconds = time.perf_counter() - start
            usd = self._price(response.usage) if response.usage.reported else None
            return response.model_copy(update={"endpoint": self.endpoint, "seconds": seconds, "usd": usd})
        raise failed  # outside of the handler: the library's own exception holds the request's headers

    async def aclose(self) -> None:
        """Close the connections of every loop."""
        await self._posts.aclose()

    async def _send(self, request: Request, cap: str, schemas: bool) -> Response:
        fields = chat_fields(request, self.model)
        fields[cap] = request.max_tokens
        if not schemas:
            fields.pop("response_format", None)
        fields.update(request.extra)
        key = request.idempotency_key
        if key is None and request.address is not None:
            key = digest([str(request.address), request.hash])
        headers = {"Idempotency-Key": key} if key else {}
        seconds, posts = request.timeout or self._timeout, self._posts.get()
        if request.on_text is None:
            return read_completion(await posts.ask(fields, headers, seconds))
        fields |= {"stream": True, "stream_options": {"include_usage": True}}
        async with contextlib.aclosing(posts.stream(fields, headers, seconds)) as events:
            return await Pieces(request.on_text).read(events)

    def _adapt(self, request: Request, cap: str, schemas: bool, said: str) -> bool:
        """Take note of what a server that refused (at once, unbilled) cannot do; True when asking again is worth it.

        ``cap`` and ``schemas`` are what the attempt was made with: another call may have taken note in between.
        """
        other = next(name for name in _CAPS if name != cap)
        if "max_completion_tokens" in said and (self._cap != cap or other not in self._refused):
            self._refused.add(cap)
            self._cap = other
        elif request.json_schema is not None and schemas and ("response_format" in said or "json_schema" in said):
            self._schemas = False
        else:
            return False
        return True

    def _connect(self) -> Posts:
        from agentopt.llm.posting import Posts

        return Posts(self._base_url, self._key.get_secret_value())

    def _failure(self, error: Exception) -> AgentOptError:
        where = f"{self._provider}/{self._model}" if self._model else self._provider
        return failure(error, where, self._key.get_secret_value(), hint=f"check {self._key_name}")

    def _only_model(self) -> str:
        failed: MissingDependency | None = None
        names: list[str] = []
        try:
            names = [str(entry["id"]) for entry in self._listed(10)]
        except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
            said = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else str(error)
            failed = MissingDependency(
                f"no OpenAI-compatible server answers at {self._base_url} ({said}); `agentopt serve MODEL` starts one"
            )
        if failed is not None:
            raise failed
        if len(names) != 1:
            told = ", ".join(sorted(names)[:10]) or "no model"
            raise MissingDependency(f"{self._base_url} serves {told}: name one, as in {self._base_url}#NAME")
        return names[0]

    def _listed(self, seconds: float) -> list[dict[str, Any]]:
        """What the server lists under ``/models``."""
        url = f"{(self._base_url or '').rstrip('/')}/models"
        headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"} if self._key else {}
        here = is_loopback(urlsplit(url).hostname or "")
        opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if here else []))
        with opener.open(urllib.request.Request(url, headers=headers), timeout=seconds) as answer:
            listed: list[dict[str, Any]] = json.load(answer)["data"]
            return listed

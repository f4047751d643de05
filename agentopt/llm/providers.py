"""From a model string to the client that serves it."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

from agentopt.errors import MissingDependency, UsageError
from agentopt.llm.prices import Price, price_of
from agentopt.llm.types import Client, Request, Response, is_loopback, model_identity

__all__ = ["ByModel", "Provider", "resolve"]

_OPENAI = "https://api.openai.com/v1"


class Provider(Protocol):
    """A ``Client`` of one model at one endpoint, with an identity and connections to close."""

    @property
    def endpoint(self) -> str:
        """Provider and model, or weights sha256 + engine + version. Never a port, a loopback address or a path."""
        ...

    async def complete(self, request: Request) -> Response:
        """Answer one request with one attempt."""
        ...

    async def aclose(self) -> None:
        """Close connections and engines."""
        ...


def resolve(model: str, *, prices: Mapping[str, Price] | None = None) -> Provider:
    """The client of a model string. Nothing is imported or contacted until its first call.

    Args:
        model: ``local/NAME`` (embedded engine), ``openai/NAME`` (needs ``OPENAI_API_KEY``), ``http://host:port/v1``
            with an optional ``#NAME`` (any OpenAI-compatible server; ``AGENTOPT_API_KEY`` is sent where it is set), or
            any litellm name (``anthropic/NAME``, ``hosted_vllm/NAME``, ...).
        prices: prices by model string, before litellm's table.

    Raises:
        UsageError: an empty or misshapen model string.
        MissingDependency: the key, package or weights that it needs are not here.

    >>> resolve("http://127.0.0.1:8000/v1#qwen").endpoint
    'loopback/qwen'
    """
    if not model or model != model.strip():
        raise UsageError(
            f"{model!r} is not a model: write local/NAME, openai/NAME, http://host:port/v1#NAME or a litellm name"
        )
    kind, _, name = model.partition("/")
    if kind == "local":
        serve = importlib.import_module("agentopt.serve.local")
        local: Provider = serve.provider(name)
        return local
    if model.startswith(("http://", "https://")):
        return _endpoint(model, prices)
    if kind == "openai":
        return _openai(model, name, prices)
    from agentopt.llm.litellm_client import LiteLLMClient

    return LiteLLMClient(model, prices=prices)


def _openai(model: str, name: str, prices: Mapping[str, Price] | None) -> Provider:
    from agentopt.llm.openai_client import OpenAIClient

    if not name:
        raise UsageError("'openai/' names no model: write openai/NAME, such as openai/gpt-5-mini")
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        raise MissingDependency(f"{model} needs a key: export OPENAI_API_KEY=...")
    base = (os.environ.get("OPENAI_BASE_URL") or _OPENAI).rstrip("/")
    own = base == _OPENAI
    return OpenAIClient(
        name,
        base_url=None if own else base,
        api_key=key,
        key_name="OPENAI_API_KEY",
        provider="openai" if own else model_identity(base),
        price=lambda usage: price.usd(usage) if (price := price_of(model, prices)) else None,
    )


def _endpoint(model: str, prices: Mapping[str, Price] | None) -> Provider:
    from agentopt.llm.openai_client import OpenAIClient

    url, _, name = model.partition("#")
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise UsageError(f"{model_identity(model)}: the port of the URL is not a number") from None
    if not parts.hostname:
        raise UsageError("a model URL looks like http://host:port/v1#NAME; this one has no host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    base = f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
    key = parts.password or parts.username or os.environ.get("AGENTOPT_API_KEY")
    return OpenAIClient(
        name,
        base_url=base,
        api_key=key,
        key_name="AGENTOPT_API_KEY",
        provider="loopback" if is_loopback(parts.hostname) else parts.hostname,
        price=lambda usage: price.usd(usage) if (price := price_of(model, prices)) else None,
    )


class ByModel:
    """A client that hands each request to the client of its model, made when the model is first asked for.

    Args:
        make: model string to client, such as ``resolve`` or one that wraps what ``resolve`` gives.
    """

    def __init__(self, make: Callable[[str], Client]) -> None:
        self._make = make
        self._clients: dict[str, Client] = {}
        self._lock = threading.Lock()

    def client(self, model: str) -> Client:
        """The client of a model."""
        with self._lock:
            if model not in self._clients:
                self._clients[model] = self._make(model)
            return self._clients[model]

    async def complete(self, request: Request) -> Response:
        """Answer one request by its model's client."""
        return await self.client(request.model).complete(request)

    async def aclose(self) -> None:
        """Close every client that can be closed."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            if (close := getattr(client, "aclose", None)) is not None:
                await close()

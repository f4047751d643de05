"""JSON over HTTP to one address: kept connections, one encode and one decode a request, and server-sent events.

The ``openai`` package spends several times as long on a request as this does, most of it on copying and typing what
``wire`` reads once. It must be imported lazily: ``aiohttp`` takes a while.
"""

from __future__ import annotations

import contextlib
import json
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi

from agentopt.llm.types import is_loopback

__all__ = ["APIError", "Fields", "Posts"]

_KEPT = 4.0
"""Seconds for which an idle connection is kept: less than the 5 after which servers (uvicorn, vLLM) close theirs."""


class Fields(dict[str, Any]):
    """A JSON object whose fields are read as attributes; one that is not there is None.

    >>> usage = json.loads('{"usage": {"total_tokens": 3}}', object_hook=Fields).usage
    >>> usage.total_tokens, usage.prompt_tokens
    (3, None)
    """

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


class APIError(Exception):
    """A server answered with an error; ``failure`` reads it as it reads the class of this name of ``openai``."""

    def __init__(self, text: str, status: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text or f"HTTP {status}")
        self.status_code, self.headers = status, headers
        self.body: Any = None
        with contextlib.suppress(ValueError):
            self.body = json.loads(text)


class Posts:
    """Posts JSON to one URL from one event loop, over as many kept connections as are wanted at once.

    Proxies of the environment are used, but for this machine itself; so are ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``.

    Args:
        url: where to.
        headers: of every request.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(
            connector=_Connector(limit=0, keepalive_timeout=_KEPT, ssl=_tls() if url.startswith("https:") else True),
            headers={"Content-Type": "application/json", **headers},
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=_proxy(url),
        )

    def __del__(self) -> None:
        if (session := getattr(self, "_session", None)) is not None:
            session.detach()  # else it says on stderr that it was not closed, of a loop that has ended as well

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def ask(self, body: Mapping[str, Any], headers: Mapping[str, str], seconds: float) -> Any:
        """The answer, as ``Fields``; its text where it is not JSON. ``seconds`` may pass without a byte of it.

        Raises:
            APIError: the server says that it is an error.
            TimeoutError, aiohttp.ClientError, ValueError: there is no whole answer.
        """
        async with self._send(body, headers, seconds) as answer:
            await _check(answer)
            if not answer.content_type.endswith("json"):
                return await answer.text(errors="replace")
            return json.loads(await answer.read(), object_hook=Fields)

    async def stream(
        self, body: Mapping[str, Any], headers: Mapping[str, str], seconds: float
    ) -> AsyncGenerator[Any, None]:
        """The events of a streamed answer, as they come. Raises what ``ask`` does."""
        async with self._send(body, headers, seconds) as answer:
            await _check(answer)
            async for data in _events(answer.content):
                if data.startswith(b"[DONE]"):
                    return
                event = json.loads(data, object_hook=Fields)
                if isinstance(event, Fields) and event.error:
                    raise APIError(data.decode(errors="replace"))
                yield event

    def _send(self, body: Mapping[str, Any], headers: Mapping[str, str], seconds: float) -> Any:
        limit = aiohttp.ClientTimeout(connect=seconds, sock_read=seconds)
        data = json.dumps(body, allow_nan=False).encode()
        return self._session.post(self._url, data=data, headers=headers, timeout=limit)


class _Connector(aiohttp.TCPConnector):
    def __del__(self, *_: Any) -> None:
        """Say nothing: connections that nobody closed go with their sockets."""


async def _check(answer: aiohttp.ClientResponse) -> None:
    if answer.status >= 400:
        raise APIError(await answer.text(errors="replace"), answer.status, answer.headers)


async def _events(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The data of each server-sent event."""
    data: list[bytes] = []
    rest = b""
    async for piece in content.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        for line in (line.rstrip(b"\r") for line in lines):
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data = []


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        context.load_verify_locations(certifi.where())
    return context


def _proxy(url: str) -> str | None:
    parts = urlsplit(url)
    host, proxies = parts.hostname or "", getproxies()
    return None if is_loopback(host) or proxy_bypass(host) else proxies.get(parts.scheme) or proxies.get("all")

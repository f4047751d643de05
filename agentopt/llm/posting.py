"""The ``openai`` package at its lowest public level, over ``aiohttp``: JSON goes out, and comes back as ``Fields``.

Its typed methods copy every field both ways, and its usual transport looks at every idle connection for each request:
together more than two thirds of the CPU of a call, for what ``wire`` reads once. Errors, streams, proxies and
certificates are the package's own. It must be imported lazily: ``openai`` takes a second or two.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib.parse import urlsplit

import openai

from agentopt.llm.types import is_loopback

__all__ = ["Fields", "Posts", "fields"]

_PATH = "/chat/completions"


class Fields(dict[str, Any]):
    """A JSON object whose fields are read as attributes; one that is not there is None."""

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


def fields(value: Any) -> Any:
    """Parsed JSON with all its objects as ``Fields``.

    >>> answer = fields({"choices": [{"index": 0}]})
    >>> answer.choices[0].index, answer.usage
    (0, None)
    """
    if isinstance(value, dict):
        return Fields({key: fields(item) for key, item in value.items()})
    return [fields(item) for item in value] if isinstance(value, list) else value


def _leave(connector: Any) -> None:
    """Close all connections now; what the rest of ``close`` waits for is of no interest any more."""
    with contextlib.suppress(StopIteration, RuntimeError):
        connector.close().send(None)


class Posts:
    """Chat completions of one server, from the event loop on which it was made.

    Proxies of the environment are used, but for this machine itself.

    Args:
        base_url: where to; None is OpenAI's own, which alone hears of ``OPENAI_ORG_ID`` and ``OPENAI_PROJECT_ID``.
        key: the key.
    """

    def __init__(self, base_url: str | None, key: str) -> None:
        url = base_url or "https://api.openai.com/v1"
        others: Any = {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
        self._loop = asyncio.get_running_loop()
        self._http = openai.DefaultAioHttpClient(trust_env=not is_loopback(urlsplit(url).hostname or ""))
        self._client = openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=url,
            max_retries=0,
            default_headers=None if base_url is None else others,
            http_client=self._http,
        )

    def __del__(self) -> None:
        # A loop that has ended took no leave of its connections: aiohttp would say so on stderr.
        session = getattr(getattr(getattr(self, "_http", None), "_transport", None), "client", None)
        if (connector := getattr(session, "connector", None)) is not None:
            with contextlib.suppress(RuntimeError):
                _leave(connector) if self._loop.is_closed() else self._loop.call_soon_threadsafe(_leave, connector)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ask(self, body: Mapping[str, Any], headers: Mapping[str, str], seconds: float) -> Any:
        """The answer, as ``Fields``; its text where it is not JSON. ``seconds`` may pass without a byte of it.

        Raises:
            openai.APIError, ValueError: there is no whole answer.
        """
        options: Any = {"headers": headers, "timeout": seconds}
        return fields(await self._client.post(_PATH, cast_to=object, body=body, options=options))

    async def stream(
        self, body: Mapping[str, Any], headers: Mapping[str, str], seconds: float
    ) -> AsyncGenerator[Any, None]:
        """The events of a streamed answer, as they come. Raises what ``ask`` does."""
        options: Any = {"headers": headers, "timeout": seconds}
        events: openai.AsyncStream[object] = await self._client.post(
            _PATH, cast_to=object, body=body, options=options, stream=True, stream_cls=openai.AsyncStream[object]
        )
        async with events:
            async for event in events:
                yield fields(event)

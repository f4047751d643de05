"""The response cache: equal requests to the same endpoint are paid once, across runs.

One SQLite file with JSON values. The key is the endpoint's identity (weights and engine for a local model, provider
and name for a remote one; never a port or an address of this machine), the payload with its repeat index, and, where an
answer is drawn at random, the call's place in its cell: several samples of one request stay several samples.

A name does not say which weights a server of one's own has loaded. Its answers are shared with other runs only when it
says so itself (``shared_as``); otherwise a run keeps them to itself.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
import warnings
import zlib
from pathlib import Path
from urllib.parse import urlsplit

from agentopt.core.values import digest
from agentopt.errors import StoreError
from agentopt.llm.types import Client, Request, Response, is_loopback

__all__ = ["MEMORY", "Cache", "ResponseCache", "shared_as"]

MEMORY = ":memory:"
"""Path of a cache that is in no file and ends with its process."""


def shared_as(url: str, model: str) -> str | None:
    """What the answers of an OpenAI-compatible address may be kept under for other runs; None where it does not say.

    A provider on the web is known by its name. What listens at a port, on this machine or without TLS is a server of
    one's own, and may serve other weights under the same name tomorrow.

    >>> shared_as("https://api.example.com/v1", "small")
    'api.example.com/v1/small'
    >>> shared_as("http://127.0.0.1:8000/v1", "small"), shared_as("https://gpu.example.com:8000/v1", "small")
    (None, None)
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    named = "." in host and any(c.isalpha() for c in host.rpartition(".")[2]) and not is_loopback(host)
    return f"{host}{parts.path.rstrip('/')}/{model}" if parts.scheme == "https" and named and not parts.port else None


class ResponseCache:
    """Answers by key in one file, shared by any number of processes.

    Args:
        path: the file; made with its folder when it is not there. ``MEMORY`` is none.
        ttl: seconds after which an answer is too old to be used; None keeps it for ever.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as d:
    ...     cache = ResponseCache(Path(d) / "responses.sqlite")
    ...     cache.put("k", Response(text="hi"))
    ...     answer = cache.get("k").text
    ...     cache.close()
    >>> answer
    'hi'
    """

    def __init__(self, path: str | os.PathLike[str], ttl: float | None = None) -> None:
        self.path, self.ttl = Path(path), ttl
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS responses (key TEXT PRIMARY KEY, time REAL, endpoint TEXT, response BLOB) "
                "WITHOUT ROWID"
            )
        except sqlite3.DatabaseError as error:
            raise StoreError(f"the response cache {path} cannot be used ({error}): `agentopt cache clear`") from error

    def get(self, key: str) -> Response | None:
        """The answer under a key, or None when there is none that is young enough."""
        row = self._db.execute("SELECT time, response FROM responses WHERE key=?", (key,)).fetchone()
        if row is None or (self.ttl is not None and time.time() - row[0] > self.ttl):
            return None
        return Response.model_validate_json(zlib.decompress(row[1]))

    def put(self, key: str, response: Response) -> None:
        """Keep an answer."""
        blob = zlib.compress(response.model_dump_json().encode(), 3)
        self._db.execute(
            "INSERT OR REPLACE INTO responses VALUES (?,?,?,?)", (key, time.time(), response.endpoint, blob)
        )

    def stats(self) -> dict[str, float]:
        """``entries`` and ``bytes``."""
        count, size = self._db.execute("SELECT count(*), coalesce(sum(length(response)), 0) FROM responses").fetchone()
        return {"entries": float(count), "bytes": float(size)}

    def clear(self) -> int:
        """Forget everything; returns how many answers there were."""
        return self._db.execute("DELETE FROM responses").rowcount

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class Cache:
    """Wraps a client: answers from the cache, and lets only one of several equal calls at once through.

    Truncated answers and answers that a content filter cut are not kept. A file that fails on the way (a full disk,
    say) is done without from then on, with one warning: an answer that was paid for does not depend on it.

    Args:
        inner: the next client.
        cache: the file.
        endpoint: identity of what answers.
    """

    def __init__(self, inner: Client, cache: ResponseCache, endpoint: str) -> None:
        self._inner, self._cache, self._endpoint = inner, cache, endpoint
        self._flying: dict[str, asyncio.Future[Response | None]] = {}
        self._usable = True

    def key(self, request: Request) -> str:
        """sha256 of endpoint identity and payload (messages, parameters, repeat index).

        Without a seed and above temperature 0 every call draws for itself: its path and ordinal are in the key, too.
        """
        payload = request.payload()
        payload.pop("model")  # the endpoint says what answers; the name may be an address of this machine
        if request.address is None or request.temperature == 0 or request.seed is not None:
            return digest([self._endpoint, payload])
        return digest([self._endpoint, payload, request.address.path, request.address.ordinal])

    async def complete(self, request: Request) -> Response:
        """Answer from the cache, from an equal call in flight, or by asking."""
        key = self.key(request)
        known = self._get(key)
        while known is None and key in self._flying:
            flight = self._flying[key]
            await asyncio.wait({flight})
            known = flight.result()
        if known is not None:
            if request.on_text is not None and known.text:
                request.on_text(known.text)
            return known.model_copy(update={"cached": True, "usd": 0.0, "seconds": 0.0})
        flight = self._flying[key] = asyncio.get_running_loop().create_future()
        try:
            response = await self._inner.complete(request)
            if response.finish in ("stop", "tool_calls"):
                self._put(key, response)
            flight.set_result(response)
            return response
        finally:
            del self._flying[key]
            if not flight.done():  # it failed: those who waited ask for themselves
                flight.set_result(None)

    def _get(self, key: str) -> Response | None:
        try:
            return self._cache.get(key) if self._usable else None
        except (sqlite3.Error, zlib.error, ValueError) as error:
            self._broken(error)
            return None

    def _put(self, key: str, response: Response) -> None:
        try:
            if self._usable:
                self._cache.put(key, response)
        except sqlite3.Error as error:
            self._broken(error)

    def _broken(self, error: Exception) -> None:
        self._usable = False
        path = self._cache.path
        text = f"the response cache {path} fails ({error}): it is not used any more (`agentopt cache clear`)"
        warnings.warn(text, stacklevel=2)

"""The journal: a call that has been answered is never asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agentopt.llm.meter import CallLog
from agentopt.llm.types import Client, Request, Response

__all__ = ["Journal"]


class Journal:
    """Answers a call from the log when its address has been answered with the same payload; passes it on otherwise.

    The address says where in the run a call stands, so a resumed run finds its answers whatever order they came in;
    where calls that run side by side share a scope, the payload says which of them it is.
    A payload that differs from the journaled one (the program was changed in between) is asked anew and reported.

    Args:
        inner: the next client; it journals what it really sends (``Metered``).
        log: where answers are looked up, and where answers of the response cache are written down.
        on_divergence: called with a request whose journaled payload differs, and that payload's hash.
    """

    def __init__(
        self, inner: Client, log: CallLog, on_divergence: Callable[[Request, str], None] | None = None
    ) -> None:
        self._inner, self._log, self._on_divergence = inner, log, on_divergence

    async def complete(self, request: Request) -> Response:
        """Answer from the journal, or ask."""
        if request.address is None:
            return await self._inner.complete(request)
        known = self._log.lookup(request)
        if known is not None:
            hash_, response = known
            if hash_ == request.hash:
                if request.on_text is not None and response.text:
                    request.on_text(response.text)
                return response
            if self._on_divergence is not None:
                self._on_divergence(request, hash_)
        response = await self._inner.complete(request)
        if response.cached:
            await asyncio.shield(self._log.received(request, 0, response, {}))
        return response

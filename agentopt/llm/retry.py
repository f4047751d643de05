"""Another try for what may go better the next time. The only place where calls are retried."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import tenacity

from agentopt.errors import RequestAdapted, TransientLLMError
from agentopt.llm.types import Client, Request, Response

__all__ = ["Retrying"]


class Retrying:
    """Wraps a client: a ``TransientLLMError`` is tried again, anything else is not.

    Waits grow exponentially with full jitter, and are never shorter than the server's ``retry_after``. A server that
    asks for more than ``patience`` seconds is taken at its word: its error is raised at once.

    Args:
        inner: the client.
        attempts: tries in all, the first included.
        longest: seconds that a wait of our own choice may grow to.
        patience: seconds of ``retry_after`` that are still waited for.
        sleep: waits so many seconds.
        on_retry: told the request, the error, the number of the attempt that failed (from 1) and the seconds waited.

    A streaming request starts again from its beginning: ``on_text`` hears the pieces of both attempts. Where it has a
    method ``restart``, that is called in between.
    """

    def __init__(
        self,
        inner: Client,
        attempts: int = 5,
        *,
        longest: float = 30.0,
        patience: float = 300.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_retry: Callable[[Request, TransientLLMError, int, float], None] | None = None,
    ) -> None:
        self._inner, self._attempts = inner, attempts
        self._patience, self._sleep, self._on_retry = patience, sleep, on_retry
        self._backoff = tenacity.wait_random_exponential(multiplier=0.5, max=longest)

    async def complete(self, request: Request) -> Response:
        """Answer one request; raises the last ``TransientLLMError`` when every attempt failed."""
        try:  # most calls need nothing of what follows
            return await self._inner.complete(request)
        except TransientLLMError as error:
            failed = [error]

        async def attempt() -> Response:
            if failed:
                raise failed.pop()
            return await self._inner.complete(request)

        def told(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if callable(restart := getattr(request.on_text, "restart", None)):
                restart()
            if self._on_retry is not None and isinstance(error, TransientLLMError) and state.next_action is not None:
                self._on_retry(request, error, state.attempt_number, state.next_action.sleep)

        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            retry=tenacity.retry_if_exception(self._worthwhile),
            wait=self._wait,
            sleep=self._sleep,
            before_sleep=told,
            reraise=True,
        )
        response: Response = await retrying(attempt)
        return response

    def _worthwhile(self, error: BaseException) -> bool:
        return isinstance(error, TransientLLMError) and (error.retry_after or 0.0) <= self._patience

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RequestAdapted):
            return 0.0
        asked = error.retry_after if isinstance(error, TransientLLMError) else None
        return max(asked or 0.0, float(self._backoff(state)))

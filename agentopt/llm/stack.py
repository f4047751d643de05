"""The clients of a run, put together: journal, cache, retry, limit, meter, provider.

A request passes, outermost first: the journal (an answered call is not asked again), the cache (an equal call is not
paid again), retries, the limiter of its endpoint, the meter (each attempt reserves, is journaled, settles), and the
provider. Models are told apart by name; each has its own limiter.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping

from agentopt.errors import UsageError
from agentopt.llm.cache import MEMORY, Cache, ResponseCache
from agentopt.llm.gateway import Gateway
from agentopt.llm.journal import Journal
from agentopt.llm.ledger import Ledger
from agentopt.llm.limits import Limited
from agentopt.llm.meter import CallLog, Metered, need_price
from agentopt.llm.prices import Price, given_price, per_token
from agentopt.llm.providers import ByModel, resolve
from agentopt.llm.retry import Retrying
from agentopt.llm.types import Client, Request, Response

__all__ = ["Stack"]


class Stack:
    """One client for every model of a run.

    Args:
        ledger: the run's account.
        log: the run's journal; None keeps none.
        cache: the workspace's response cache; None asks always.
        clients: ready clients by model name (a scripted model, a test server); others are resolved by name.
        max_connections: requests in flight at once, for each model.
        prices: the run's own prices by model string: they reserve and settle, whatever a table or a provider says.
        attempts: tries of one call.
        on_divergence: called when a journaled call is made again with another payload.
    """

    def __init__(
        self,
        ledger: Ledger,
        log: CallLog | None = None,
        cache: ResponseCache | None = None,
        *,
        clients: Mapping[str, Client] | None = None,
        max_connections: int = 16,
        prices: Mapping[str, Price] | None = None,
        attempts: int = 5,
        on_divergence: Callable[[Request, str], None] | None = None,
    ) -> None:
        self._ledger, self._log, self._cache, self._prices, self._attempts = ledger, log, cache, prices, attempts
        self.gateway = Gateway()
        """What the sessions of the run lend its clients' address from; it starts with its first use."""
        self._ready, self._max_connections = dict(clients or {}), max_connections
        self._own: ResponseCache | None = None
        self._calls: dict[object, asyncio.Task[Response]] = {}
        """The calls under way; those of a run by address and payload."""
        self._endpoints: dict[str, str] = {}
        self._providers: list[Client] = []
        self._lanes = ByModel(self._lane)
        self._entry: Client = self._lanes if log is None else Journal(self._lanes, log, on_divergence)

    async def complete(self, request: Request) -> Response:
        """Answer one request. One that is under way already is waited for: the journal has its answer then."""
        key: object = object()
        if self._log is not None and request.address is not None:
            key = str(request.address), request.hash
        while (earlier := self._calls.get(key)) is not None:
            await asyncio.wait({earlier})
        call = self._calls[key] = asyncio.ensure_future(self._entry.complete(request))
        call.add_done_callback(lambda _: self._calls.pop(key))
        return await call

    def endpoint(self, model: str) -> str:
        """Identity of what answers for a model.

        Raises ``UsageError`` for a model that cannot be had, and for one of unknown price under a budget in usd.
        """
        self._lanes.client(model)
        return self._endpoints[model]

    async def aclose(self) -> None:
        """Close the gateway, cut off the calls under way (which is journaled), and close the providers made here."""
        await self.gateway.aclose()
        if calls := list(self._calls.values()):
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
        for provider in self._providers:
            close = getattr(provider, "aclose", None)
            if close is not None:
                done = close()
                if inspect.isawaitable(done):
                    await done
        self._providers.clear()
        if self._own is not None:
            self._own.close()

    def _lane(self, model: str) -> Client:
        if not model:
            raise UsageError("no model is named: give one with --model, AGENTOPT_MODEL or `model` in agentopt.toml")
        provider = self._ready.get(model)
        if provider is None:
            provider = resolve(model)
            self._providers.append(provider)
        endpoint = str(getattr(provider, "endpoint", model))
        given = given_price(model, self._prices)
        own = getattr(provider, "price", None)  # a provider that knows what it costs (a local model: nothing)
        price = per_token(model, self._prices) if given or own is None else own
        if self._ledger.budget.usd is not None:
            need_price(price, model)
        usd = None if given is None else given.usd
        metered = Metered(provider, self._ledger, self._log, lambda _: price, endpoint, usd)
        lane: Client = Retrying(
            Limited(metered, self._max_connections, sleep=self._ledger.pause), self._attempts, sleep=self._ledger.pause
        )
        if self._cache is not None and model not in self._ready:
            shared = provider.shared() if hasattr(provider, "shared") else endpoint
            cache = self._cache
            if shared is None:  # nobody knows which weights answer: for this run alone
                cache = self._own = self._own or ResponseCache(MEMORY)
            lane = Cache(lane, cache, shared or model)
        self._endpoints[model] = endpoint
        return lane

"""The run's store as the journal of its calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from agentopt.core.values import digest
from agentopt.errors import BudgetExhausted
from agentopt.llm.types import Client, Request, Response
from agentopt.store import Store, blob_id

__all__ = ["Refusals", "StoreLog"]


class StoreLog:
    """A ``CallLog`` that keeps calls in a ``Store``: payloads as blobs, answers in the log.

    Args:
        store: the run's store.
        turn: counts completions, in the order in which they are committed.
    """

    def __init__(self, store: Store, turn: Callable[[], int] = int) -> None:
        self._store, self._run, self._turn = store, store.id, turn
        self._left: dict[tuple[str, str], list[str]] = {}
        """Scope and payload hash to the addresses of earlier processes that no call of this one has taken up."""
        self._taken: dict[tuple[str, str], str] = {}
        for address, hash_ in store.journal():
            self._left.setdefault((address.partition("|")[0], hash_), []).append(address)

    def lookup(self, request: Request) -> tuple[str, Response] | None:
        """Payload hash and answer of a call that has been answered, or None."""
        call = self._store.call(self._place(request), request.hash) or self._store.call(str(request.address))
        if call is None or call["state"] != "received":
            return None
        return call["hash"], Response.model_validate(call["response"])

    def attempt(self, request: Request) -> tuple[int, str]:
        """Number of the next attempt and its idempotency key: a call cut off by a crash keeps its key."""
        call = self._store.call(self._place(request), request.hash)
        if call is None:
            return 0, self._key(request, 0)
        number = int(call["attempt"]) + 1
        return number, call["key"] if call["state"] == "sent" else self._key(request, number)

    def _place(self, request: Request) -> str:
        """The address at which the journal has this call.

        It is the call's own, or, where calls that run side by side came in another order before a crash, that of an
        equal payload in the same scope.
        """
        own = str(request.address), request.hash
        if own not in self._taken:
            left = self._left.get((own[0].partition("|")[0], request.hash), [])
            self._taken[own] = own[0] if own[0] in left or not left else left[0]
            if left:
                left.remove(self._taken[own])
        return self._taken[own]

    async def sent(
        self, request: Request, attempt: int, key: str, reserved: Mapping[str, float], endpoint: str
    ) -> None:
        """A call is about to leave; refused with ``StoreError`` when its answer could not be kept (disk full)."""
        self._store.require_room()
        payload = _payload(request)
        data = _head(request, attempt) | {
            "key": key, "reserved": dict(reserved), "payload": blob_id(payload), "endpoint": endpoint,
        }  # fmt: skip
        if (place := self._place(request)) != data["address"]:
            data["instead"] = place  # that was cut off by a crash: this is it, sent again
        await self._store.append("call.sent", data, [payload])

    async def received(self, request: Request, attempt: int, response: Response, settled: Mapping[str, float]) -> None:
        """An answer came."""
        data = _head(request, attempt) | {"response": response.model_dump(mode="json"), "settled": dict(settled)}
        blobs = []
        if response.cached:  # it was never sent: its payload is not in the store yet
            payload = _payload(request)
            data["payload"] = blob_id(payload)
            blobs.append(payload)
        await self._store.append("call.received", data | {"turn": self._turn()}, blobs)

    async def failed(self, request: Request, attempt: int, error: str, settled: Mapping[str, float]) -> None:
        """An attempt failed, or was given up."""
        data = _head(request, attempt) | {"error": error, "settled": dict(settled), "turn": self._turn()}
        await self._store.append("call.failed", data)

    def _key(self, request: Request, attempt: int) -> str:
        return f"agentopt-{digest([self._run, str(request.address), request.hash, attempt])[:32]}"


class Refusals:
    """Wraps the run's clients: a call that the budget does not bear is written down, for it depends on what came first.

    Args:
        inner: the clients.
        store: the run's store.
    """

    def __init__(self, inner: Client, store: Store) -> None:
        self._inner, self._store = inner, store

    async def complete(self, request: Request) -> Response:
        """Answer one request."""
        try:
            return await self._inner.complete(request)
        except BudgetExhausted as end:
            if request.address is not None:
                data = _head(request, 0) | {"axis": end.axis, "message": str(end)}
                await self._store.append("call.refused", data)
            raise


def _payload(request: Request) -> bytes:
    return json.dumps(request.payload(), ensure_ascii=False).encode()


def _head(request: Request, attempt: int) -> dict[str, Any]:
    return {"address": str(request.address), "hash": request.hash, "attempt": attempt, "role": request.role}

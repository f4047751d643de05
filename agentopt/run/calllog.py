"""The run's store as the journal of its calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agentopt.core.values import digest
from agentopt.errors import BudgetExhausted
from agentopt.llm.types import Client, Request, Response
from agentopt.store import Store, blob_id

__all__ = ["Places", "Refusals", "StoreLog"]


class Places:
    """Which journaled call is which, where calls that run side by side came in another order before a crash.

    A call is found at its own address or, where the journal does not have it there, at that of an equal payload in the
    same scope. Each address is given once: a call whose own went to another one takes an address that nobody needs.

    Args:
        left: address and payload hash of the calls of earlier processes.
        moved: address and hash to another place, as earlier processes decided it.

    >>> places = Places([("cell/c/e/0|solve:0|1", "h")], {})
    >>> places.of("cell/c/e/0|solve:0|0", "h"), places.of("cell/c/e/0|solve:0|1", "h")
    ('cell/c/e/0|solve:0|1', 'cell/c/e/0|solve:0|0')
    """

    def __init__(self, left: Iterable[tuple[str, str]], moved: Mapping[tuple[str, str], str]) -> None:
        self._taken = dict(moved)
        self._given = {(place, hash_): own for (own, hash_), place in moved.items()}
        self._left: dict[tuple[str, str], list[str]] = {}
        """Scope and payload hash to the addresses that no call has taken up."""
        for address, hash_ in left:
            if (address, hash_) not in self._given:
                self._left.setdefault((address.partition("|")[0], hash_), []).append(address)

    def __contains__(self, own: tuple[str, str]) -> bool:
        return own in self._taken

    def of(self, address: str, hash_: str) -> str:
        """The address at which a call is journaled."""
        own = address, hash_
        if own not in self._taken:
            left = self._left.get((address.partition("|")[0], hash_), [])
            place = left[0] if left and address not in left else address
            while not left and (taker := self._given.get((place, hash_))) is not None:
                place = taker  # it is not at its own address, so that is free, or given in turn
            if left:
                left.remove(place)
            self._taken[own] = place
            if place != address:
                self._given[place, hash_] = address
        return self._taken[own]


class StoreLog:
    """A ``CallLog`` that keeps calls in a ``Store``: payloads as blobs, answers in the log.

    Args:
        store: the run's store.
        turn: counts completions, in the order in which they are committed.
    """

    def __init__(self, store: Store, turn: Callable[[], int] = int) -> None:
        self._store, self._run, self._turn = store, store.id, turn
        moved = (event.data for event in store.events("call.moved"))
        self._places = Places(store.journal(), {(str(d["address"]), str(d["hash"])): str(d["place"]) for d in moved})

    def lookup(self, request: Request) -> tuple[str, Response] | None:
        """Payload hash and answer of a call that has been answered, or None."""
        call = self._store.call(self._place(request), request.hash)
        if call is None:  # another payload may have been asked here; the same one was taken by another call
            call = self._store.call(str(request.address))
            if call is not None and call["hash"] == request.hash:
                return None
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
        """The address at which the journal has this call; that it is another one than its own is written down."""
        own = str(request.address), request.hash
        known = own in self._places
        place = self._places.of(*own)
        if place != own[0] and not known:
            self._store.post("call.moved", {"address": own[0], "hash": own[1], "place": place})
        return place

    async def sent(
        self, request: Request, attempt: int, key: str, reserved: Mapping[str, float], endpoint: str
    ) -> None:
        """A call is about to leave; refused with ``StoreError`` when its answer could not be kept (disk full)."""
        self._store.require_room()
        payload = _payload(request)
        data = self._head(request, attempt) | {
            "key": key, "reserved": dict(reserved), "payload": blob_id(payload), "endpoint": endpoint,
        }  # fmt: skip
        await self._store.append("call.sent", data, [payload])

    async def received(self, request: Request, attempt: int, response: Response, settled: Mapping[str, float]) -> None:
        """An answer came."""
        data = self._head(request, attempt) | {"response": response.model_dump(mode="json"), "settled": dict(settled)}
        blobs = []
        if response.cached:  # it was never sent: its payload is not in the store yet
            payload = _payload(request)
            data["payload"] = blob_id(payload)
            blobs.append(payload)
        await self._store.append("call.received", data | {"turn": self._turn()}, blobs)

    async def failed(self, request: Request, attempt: int, error: str, settled: Mapping[str, float]) -> None:
        """An attempt failed, or was given up."""
        data = self._head(request, attempt) | {"error": error, "settled": dict(settled), "turn": self._turn()}
        await self._store.append("call.failed", data)

    def _key(self, request: Request, attempt: int) -> str:
        return f"agentopt-{digest([self._run, self._place(request), request.hash, attempt])[:32]}"

    def _head(self, request: Request, attempt: int) -> dict[str, Any]:
        return _head(request, attempt) | {"address": self._place(request)}


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

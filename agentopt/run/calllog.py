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
    """Which journaled call is which, where calls that run side by side come in another order than before.

    A call is found where it was found last, then at its own address, then at that of an equal payload in the same
    scope. In one execution of a scope each address is given once, and nothing is asked anew while the journal has an
    equal payload that nobody has taken up.

    Args:
        left: address and payload hash of journaled calls, the answered ones first.
        moved: address and hash to another place, as it was decided before; the last decision counts.
        note: called with address, hash and place of a decision that differs from the last one.

    >>> places = Places([("cell/c/e/0|solve:0|1", "h")], {})
    >>> places.of("cell/c/e/0|solve:0|0", "h"), places.of("cell/c/e/0|solve:0|1", "h")
    ('cell/c/e/0|solve:0|1', 'cell/c/e/0|solve:0|0')
    """

    def __init__(
        self,
        left: Iterable[tuple[str, str]],
        moved: Mapping[tuple[str, str], str],
        note: Callable[[str, str, str], None] = lambda address, hash_, place: None,
    ) -> None:
        self._moved, self._note = dict(moved), note
        self._taken: dict[tuple[str, str], str] = {}
        self._given: dict[tuple[str, str], str] = {}
        """Place and payload hash to the address of the call that has it."""
        self._left: dict[tuple[str, str], list[str]] = {}
        """Scope and payload hash to the addresses that no call has taken up."""
        for address, hash_ in left:
            self._left.setdefault((_scope(address), hash_), []).append(address)

    def of(self, address: str, hash_: str) -> str:
        """The address at which a call is journaled."""
        own = address, hash_
        if own not in self._taken:
            left = self._left.get((_scope(address), hash_), [])
            place = last = self._moved.get(own, address)
            if left:
                place = place if place in left else left[0]
                left.remove(place)
            else:
                place = place if (place, hash_) not in self._given else address
                while (taker := self._given.get((place, hash_))) is not None:
                    place = taker  # it is not at its own address, so that is free, or given in turn
            self._taken[own], self._given[place, hash_] = place, address
            if place != last:
                self._moved[own] = place
                self._note(address, hash_, place)
        return self._taken[own]

    def again(self, scope: str, left: Iterable[tuple[str, str]]) -> None:
        """The scope, with those below it, is executed once more: what the journal has of it may be taken up again."""
        for own in [own for own in self._taken if _within(_scope(own[0]), scope)]:
            del self._given[self._taken.pop(own), own[1]]
        for key in [key for key in self._left if _within(key[0], scope)]:
            del self._left[key]
        for address, hash_ in left:
            if _within(_scope(address), scope):
                self._left.setdefault((_scope(address), hash_), []).append(address)


def _scope(address: str) -> str:
    return address.partition("|")[0]


def _within(scope: str, outer: str) -> bool:
    return scope == outer or scope.startswith(f"{outer}/")


class StoreLog:
    """A ``CallLog`` that keeps calls in a ``Store``: payloads as blobs, answers in the log.

    Args:
        store: the run's store.
        turn: counts completions, in the order in which they are committed.
    """

    def __init__(self, store: Store, turn: Callable[[], int] = int) -> None:
        self._store, self._run, self._turn = store, store.id, turn
        moved = (event.data for event in store.events("call.moved"))
        last = {(str(d["address"]), str(d["hash"])): str(d["place"]) for d in moved}
        self._places = Places(store.journal(), last, self._moved)

    def again(self, scope: str) -> None:
        """What stands under a scope (a cell, with its judge) is executed once more by this process."""
        self._places.again(scope, self._store.journal(scope))

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
        """The address at which the journal has this call."""
        return self._places.of(str(request.address), request.hash)

    def _moved(self, address: str, hash_: str, place: str) -> None:
        self._store.post("call.moved", {"address": address, "hash": hash_, "place": place})

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

    async def failed(
        self, request: Request, attempt: int, error: str, settled: Mapping[str, float], status: int | None = None
    ) -> None:
        """An attempt failed, or was given up."""
        data = self._head(request, attempt) | {"error": error, "settled": dict(settled), "turn": self._turn()}
        if status is not None:  # whose fault it was depends on it
            data["status"] = status
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

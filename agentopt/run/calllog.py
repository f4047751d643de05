"""The run's store as the journal of its calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agentopt.core.values import digest
from agentopt.llm.types import Address, Request, Response
from agentopt.store import Store, blob_id

__all__ = ["StoreLog"]


class StoreLog:
    """A ``CallLog`` that keeps calls in a ``Store``: payloads as blobs, answers in the log."""

    def __init__(self, store: Store) -> None:
        self._store, self._run = store, store.id

    def lookup(self, address: Address) -> tuple[str, Response] | None:
        """Payload hash and answer of a call that has been answered, or None."""
        call = self._store.call(str(address))
        if call is None or call["state"] != "received":
            return None
        return call["hash"], Response.model_validate(call["response"])

    def attempt(self, address: Address) -> tuple[int, str]:
        """Number of the next attempt and its idempotency key: a call cut off by a crash keeps its key."""
        call = self._store.call(str(address))
        if call is None:
            return 0, self._key(address, 0)
        number = int(call["attempt"]) + 1
        return number, call["key"] if call["state"] == "sent" else self._key(address, number)

    async def sent(
        self, request: Request, attempt: int, key: str, reserved: Mapping[str, float], endpoint: str
    ) -> None:
        """A call is about to leave."""
        payload = _payload(request)
        data = _head(request, attempt) | {
            "key": key, "reserved": dict(reserved), "payload": blob_id(payload), "endpoint": endpoint,
        }  # fmt: skip
        await self._store.append("call.sent", data, [payload])

    async def received(self, request: Request, attempt: int, response: Response, settled: Mapping[str, float]) -> None:
        """An answer came."""
        data = _head(request, attempt) | {"response": response.model_dump(mode="json"), "settled": dict(settled)}
        blobs = []
        if response.cached:  # it was never sent: its payload is not in the store yet
            payload = _payload(request)
            data["payload"] = blob_id(payload)
            blobs.append(payload)
        await self._store.append("call.received", data, blobs)

    async def failed(self, request: Request, attempt: int, error: str, settled: Mapping[str, float]) -> None:
        """An attempt failed, or was given up."""
        await self._store.append("call.failed", _head(request, attempt) | {"error": error, "settled": dict(settled)})

    def _key(self, address: Address, attempt: int) -> str:
        return f"agentopt-{digest([self._run, str(address), attempt])[:32]}"


def _payload(request: Request) -> bytes:
    return json.dumps(request.payload(), ensure_ascii=False).encode()


def _head(request: Request, attempt: int) -> dict[str, Any]:
    return {"address": str(request.address), "hash": request.hash, "attempt": attempt, "role": request.role}

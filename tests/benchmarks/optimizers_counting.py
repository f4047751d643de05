"""Counts calls and tokens by role, and keeps each role to its number of calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, cast

from agentopt.core.values import digest
from agentopt.errors import BudgetExhausted
from agentopt.llm.types import Request, Response

ROLES = ("agent", "optimizer")


class Counts:
    """What a search has used, by role; the clients of one search share it.

    Args:
        limits: calls by role; a role that is not named has no limit.
    """

    def __init__(self, limits: Mapping[str, int] | None = None) -> None:
        self.limits = dict(limits or {})
        self.by_role = {role: {"calls": 0, "input_tokens": 0, "output_tokens": 0, "refused": 0} for role in ROLES}

    def take(self, role: str) -> None:
        """Count a call before it is made.

        Raises:
            BudgetExhausted: the role has had its calls.
        """
        mine = self.by_role[role]
        if mine["calls"] >= self.limits.get(role, 1 << 60):
            mine["refused"] += 1
            raise BudgetExhausted("calls", f"the {role} has had its {self.limits[role]} calls")
        mine["calls"] += 1

    def add(self, role: str, response: Response) -> None:
        """Count what came."""
        self.by_role[role]["input_tokens"] += response.usage.input_tokens
        self.by_role[role]["output_tokens"] += response.usage.output_tokens


def total(parts: Iterable[Counts]) -> Counts:
    """What several accounts have used together."""
    found = Counts()
    for part in parts:
        for role, used in part.by_role.items():
            for name, many in used.items():
                found.by_role[role][name] += many
    return found


Answers = dict[str, "asyncio.Future[Response]"]


class Counted:
    """A client that counts on the account of a role.

    Args:
        client: answers; shared by all searches and closed by whoever made it.
        model: the model to ask for.
        counts: the account.
        role: whose calls these are.
        answers: what was answered at temperature 0, by request: asked again, it is counted again and given from here.
    """

    def __init__(self, client: Any, model: str, counts: Counts, role: str, answers: Answers | None = None) -> None:
        self.client, self.model, self.counts, self.role, self.answers = client, model, counts, role, answers
        self.endpoint = str(getattr(client, "endpoint", model))
        self.price = (0.0, 0.0)

    async def complete(self, request: Request) -> Response:
        """Ask, when the role has a call left."""
        self.counts.take(self.role)
        request = request.model_copy(update={"model": self.model})
        response = await self._answer(request)
        self.counts.add(self.role, response)
        return response

    async def _answer(self, request: Request) -> Response:
        if self.answers is None or request.temperature != 0:
            return cast(Response, await self.client.complete(request))
        key = digest({k: v for k, v in request.payload().items() if k not in ("seed", "repeat")})
        if key not in self.answers:
            self.answers[key] = asyncio.ensure_future(self.client.complete(request))
        coming = self.answers[key]
        try:
            return await asyncio.shield(coming)
        except Exception:
            if self.answers.get(key) is coming:
                del self.answers[key]
            raise


class Clients:
    """The models behind a comparison, each loaded once."""

    def __init__(self, ready: Mapping[str, Any] | None = None) -> None:
        self._ready = dict(ready or {})
        self._made: list[Any] = []
        self._lock = asyncio.Lock()
        self._answers: Answers = {}

    async def get(self, model: str) -> Any:
        """The client of a model."""
        from agentopt.llm.providers import resolve

        async with self._lock:
            if model not in self._ready:
                self._ready[model] = resolve(model)
                self._made.append(self._ready[model])
            return self._ready[model]

    async def counted(self, model: str, counts: Counts, role: str, again: bool = False) -> Counted:
        """A client of a model on the account of a role; ``again``: without what was answered before."""
        return Counted(await self.get(model), model, counts, role, None if again or role != "agent" else self._answers)

    async def aclose(self) -> None:
        """Close what was made here."""
        for client in self._made:
            await client.aclose()

"""One attempt at a call, on the books: reserved, journaled as sent, asked, settled, journaled as received."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from agentopt.core.values import canonical
from agentopt.errors import BudgetExhausted, LLMError, RateLimited, RequestAdapted, TransientLLMError, UsageError
from agentopt.llm.ledger import Amounts, Ledger
from agentopt.llm.types import Client, Request, Response, Usage

__all__ = ["CallLog", "Metered", "Price", "bound", "need_price"]

Price = Callable[[str], "tuple[float, float] | None"]
"""Model name to USD per input token and per output token; None when it is not known."""


class CallLog(Protocol):
    """Where calls are journaled. Every method but ``lookup`` returns after what it was told is on disk."""

    def lookup(self, request: Request) -> tuple[str, Response] | None:
        """Payload hash and answer of a call that has been answered before, or None; an equal payload goes first."""
        ...

    def attempt(self, request: Request) -> tuple[int, str]:
        """Number of the next attempt at a call, and its idempotency key (the same for a call cut off by a crash)."""
        ...

    async def sent(
        self, request: Request, attempt: int, key: str, reserved: Mapping[str, float], endpoint: str
    ) -> None:
        """A call is about to leave."""
        ...

    async def received(self, request: Request, attempt: int, response: Response, settled: Mapping[str, float]) -> None:
        """An answer came."""
        ...

    async def failed(
        self, request: Request, attempt: int, error: str, settled: Mapping[str, float], status: int | None = None
    ) -> None:
        """An attempt failed, or was given up; ``status`` is that of the server's answer, where there was one."""
        ...


def bound(request: Request, price: tuple[float, float] | None) -> Amounts:
    """The most that one attempt may use: what is reserved for it.

    Input tokens are bounded by the UTF-8 bytes of messages, tools and schema (no tokenizer makes more tokens than
    bytes) plus a margin for the chat template; output tokens by ``max_tokens``, or by what ``extra`` says in its place
    under any name that a server reads (``n_predict``, ``max_new_tokens``, ...), and tokens for thinking on top, for
    each of the samples that ``extra`` asks for (``n``, ``best_of``). A cap below 0 is none to a server, and refused.

    >>> from agentopt.llm.types import Message
    >>> request = Request(model="m", messages=(Message(role="user", content="hello"),), max_tokens=10)
    >>> bound(request, (1e-6, 2e-6))["tokens"]
    175.0
    """
    size = sum(
        _size(m.content) + sum(len(c.arguments.encode()) + len(c.name.encode()) for c in m.tool_calls)
        for m in request.messages
    )
    asked: Sequence[Any] = ([t.model_dump(mode="json") for t in request.tools], request.json_schema, request.extra)
    size += sum(len(canonical(part).encode()) for part in asked if part)
    inputs = float(size + 128 + 32 * len(request.messages))
    caps = _given(request.extra, _CAPS)
    if min(caps) < 0:
        raise UsageError(f"a cap of {min(caps):g} tokens in `extra` is none, and no budget bears an answer without end")
    outputs = max(request.max_tokens, *caps) + max(_given(request.extra, _THOUGHTS))
    outputs *= max(1.0, *_given(request.extra, _SAMPLES))
    amounts = {"calls": 1.0, "tokens": inputs + outputs}
    if price is not None:
        amounts["usd"] = inputs * price[0] + outputs * price[1]
    return amounts


def _given(fields: Any, names: Sequence[str]) -> list[float]:
    """The numbers that stand under some names at any depth, as text too, as servers read them; and 0."""
    found = [0.0]
    for name, value in fields.items() if isinstance(fields, dict) else ():
        found += _given(value, names)
        if name in names and isinstance(value, int | float | str):
            with contextlib.suppress(ValueError, OverflowError):
                found.append(float(value))
    return [number for number in found if math.isfinite(number)]


def need_price(price: tuple[float, float] | None, model: str) -> None:
    """Raise ``UsageError`` for a model of unknown price: no budget in usd can be kept with it."""
    if price is None:
        raise UsageError(
            f"the price of {model} is not known, so a budget in usd cannot be kept: set a price "
            "(`[run.prices]` in agentopt.toml) or use a budget in calls or tokens"
        )


def _size(content: str | tuple[Any, ...]) -> int:
    if isinstance(content, str):
        return len(content.encode())
    return sum(len(part.text.encode()) if part.type == "text" else _IMAGE_TOKENS for part in content)


_IMAGE_TOKENS = 48_169
"""The most that a picture is known to be billed as: on gpt-4o-mini 2,833 tokens, and 5,667 for each of up to 8 tiles.

Neither the size of a picture behind a URL nor the model's way of counting is known before the answer, and what is
reserved must not be exceeded.
"""
_CUT = "no answer within the deadline of {0.budget.seconds:g} seconds and its grace of {0.grace:g} seconds"
_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "max_gen_len", "max_length",
         "max_tokens_to_sample", "min_tokens", "n_predict", "num_predict")  # fmt: skip
_THOUGHTS = ("budget_tokens", "thinking_budget", "thinkingBudget", "reasoning_budget")
_SAMPLES = ("n", "best_of")


class Metered:
    """Wraps a provider: each attempt reserves first, is journaled before it leaves, and settles with its answer.

    A provider that bills beyond its cap (hidden reasoning, say) is counted in full, and what it once took on top is
    reserved with every later call.

    Args:
        inner: the provider.
        ledger: the account.
        log: the journal; None keeps none.
        price: what a model costs.
        endpoint: identity of the provider, for the journal.
        usd: the price of a usage, where the run has one of its own: what the provider says of money is not asked then.
    """

    def __init__(
        self,
        inner: Client,
        ledger: Ledger,
        log: CallLog | None = None,
        price: Price | None = None,
        endpoint: str = "",
        usd: Callable[[Usage], float] | None = None,
    ) -> None:
        self._inner, self._ledger, self._log, self._endpoint = inner, ledger, log, endpoint
        self._price, self._usd = price or (lambda model: None), usd
        self._beyond = 0.0

    async def complete(self, request: Request) -> Response:
        """Answer one request; raises ``BudgetExhausted`` before anything is sent when the budget cannot bear it."""
        price = self._price(request.model)
        if self._ledger.budget.usd is not None:
            need_price(price, request.model)
        amounts = bound(request, price)
        amounts["tokens"] += self._beyond
        if price is not None:
            amounts["usd"] += self._beyond * price[1]
        reservation = await self._ledger.reserve(request.role, amounts)
        log = self._log if request.address is not None else None
        attempt, key = 0, ""
        settled: Amounts = {}
        cutoff = asyncio.timeout(self._ledger.cutoff())
        try:
            if log is not None:
                attempt, key = log.attempt(request)
                await log.sent(request, attempt, key, amounts, self._endpoint)
            self._ledger.on_time()  # the journal may have taken its time
            settled = dict(amounts)  # from here on it may be billed
            async with cutoff:
                response = await self._inner.complete(
                    request.model_copy(update={"idempotency_key": key}) if key else request
                )
        except BaseException as error:
            if isinstance(error, LLMError | UsageError) and not getattr(error, "billed", False):
                unreached = isinstance(error, TransientLLMError) and not isinstance(error, RateLimited | RequestAdapted)
                settled = {} if unreached else {"calls": 1.0}  # refused, not worked on: the call itself at most
            try:  # the log first: room that is free in the ledger is free in the log, too
                if log is not None:
                    reason = f"{type(error).__name__}: {error}"
                    await asyncio.shield(log.failed(request, attempt, reason, settled, getattr(error, "status", None)))
            finally:
                self._ledger.settle(reservation, settled)
            if isinstance(error, TimeoutError) and cutoff.expired():
                raise BudgetExhausted("seconds", _CUT.format(self._ledger)) from None
            raise
        usage = response.usage
        if usage.reported and min(usage.input_tokens, usage.output_tokens) >= 0 < usage.input_tokens:
            if self._usd is not None:
                response = response.model_copy(update={"usd": self._usd(usage)})
            elif response.usd is None and price is not None:
                usd = usage.input_tokens * price[0] + usage.output_tokens * price[1]
                response = response.model_copy(update={"usd": usd})
            settled["tokens"] = float(usage.input_tokens + usage.output_tokens)
            if response.usd is not None:
                settled["usd"] = max(0.0, response.usd)
            self._beyond += max(0.0, settled["tokens"] - amounts["tokens"])
        try:
            if log is not None:
                await asyncio.shield(log.received(request, attempt, response, settled))
        finally:
            self._ledger.settle(reservation, settled)
        return response

"""Limits and retries, on a clock of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from agentopt.errors import LLMError, MalformedAnswer, RateLimited, TransientLLMError, UsageError
from agentopt.llm.limits import Limited
from agentopt.llm.retry import Retrying
from agentopt.llm.types import Message, Request, Response
from agentopt.testing import ScriptedLLM

REQUEST = Request(model="m", messages=(Message(role="user", content="hi"),))


class Clock:
    """Time that passes only when someone sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Gate:
    """A client whose calls wait until they are let through."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[Any]] = []
        self.order: list[str] = []

    async def complete(self, request: Request) -> Response:
        turn: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        self.order.append(request.model)
        outcome = await turn
        if isinstance(outcome, Exception):
            raise outcome
        return Response(text="ok")

    async def let(self, outcome: Any = None) -> None:
        self.waiting.pop(0).set_result(outcome)
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def ask(client: Limited, n: int) -> list[asyncio.Task[Response]]:
    return [asyncio.ensure_future(client.complete(REQUEST.model_copy(update={"model": str(i)}))) for i in range(n)]


async def test_never_more_than_the_limit_and_in_order() -> None:
    gate = Gate()
    client = Limited(gate, 3)
    tasks = ask(client, 7)
    await settle()
    assert (client.in_flight, client.waiting, len(gate.waiting)) == (3, 4, 3)
    while gate.waiting:
        assert client.in_flight <= 3
        await gate.let()
    assert gate.order == [str(i) for i in range(7)]
    assert [r.text for r in await asyncio.gather(*tasks)] == ["ok"] * 7
    assert client.in_flight == client.waiting == 0


async def test_a_refusal_halves_the_limit_once_a_round_and_successes_raise_it() -> None:
    gate, clock = Gate(), Clock()
    client = Limited(gate, 8, clock=clock, sleep=clock.sleep)
    tasks = ask(client, 8)
    await settle()
    for _ in range(3):  # three refusals of calls that were under way together
        await gate.let(RateLimited("slow down"))
    assert client.limit == 4
    while gate.waiting:
        await gate.let()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(r, RateLimited) for r in results) == 3
    assert client.limit == 5
    for _ in range(60):
        task = ask(client, 1)[0]
        await settle()
        await gate.let()
        await task
    assert client.limit == 8


async def test_the_limit_never_falls_below_one() -> None:
    client = Limited(ScriptedLLM(lambda request: RateLimited("no")), 4)
    for _ in range(6):
        with pytest.raises(RateLimited):
            await client.complete(REQUEST)
    assert client.limit == 1
    assert client.in_flight == 0


async def test_new_calls_wait_as_long_as_the_server_asks() -> None:
    clock = Clock()
    client = Limited(ScriptedLLM([RateLimited("no", retry_after=7.0), "ok", "ok"]), 4, clock=clock, sleep=clock.sleep)
    with pytest.raises(RateLimited):
        await client.complete(REQUEST)
    assert clock.slept == []
    await client.complete(REQUEST)
    await client.complete(REQUEST)
    assert clock.slept == [7.0]


async def test_other_errors_leave_the_limit_alone() -> None:
    client = Limited(ScriptedLLM([TransientLLMError("down"), LLMError("bad")]), 4)
    for _ in range(2):
        with pytest.raises(LLMError):
            await client.complete(REQUEST)
    assert (client.limit, client.in_flight) == (4, 0)


async def test_cancelled_calls_give_their_place_back() -> None:
    gate = Gate()
    client = Limited(gate, 1)
    first, second, third = ask(client, 3)
    await settle()
    second.cancel()  # while it waits for its turn
    await settle()
    assert (client.in_flight, client.waiting) == (1, 1)
    first.cancel()  # while it is under way: its turn goes to the third
    third_was_given = client.waiting
    await settle()
    assert (third_was_given, client.in_flight, client.waiting) == (1, 1, 0)
    gate.waiting.pop(0)
    await gate.let()
    assert (await third).text == "ok"
    assert client.in_flight == 0


async def test_a_turn_that_was_given_to_a_cancelled_call_is_handed_on() -> None:
    gate = Gate()
    client = Limited(gate, 1)
    _, second, third = ask(client, 3)
    await settle()
    gate.waiting.pop(0).set_result(None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second.cancel()
    await settle()
    gate.waiting = [turn for turn in gate.waiting if not turn.done()]
    await gate.let()
    assert (await third).text == "ok"
    assert (client.in_flight, client.waiting) == (0, 0)


def test_one_limit_for_several_loops() -> None:
    scripted = ScriptedLLM(lambda request: "ok", delay=0.005)
    client = Limited(scripted, 3)

    async def several() -> None:
        await asyncio.gather(*(client.complete(REQUEST) for _ in range(10)))

    threads = [threading.Thread(target=asyncio.run, args=(several(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert scripted.calls == 30
    assert scripted.most_in_flight <= 3
    assert (client.in_flight, client.waiting) == (0, 0)


def test_a_limit_is_at_least_one() -> None:
    with pytest.raises(UsageError):
        Limited(ScriptedLLM([]), 0)


async def test_transient_errors_are_tried_again_and_others_are_not() -> None:
    clock = Clock()
    scripted = ScriptedLLM([TransientLLMError("down"), RateLimited("no"), "ok"])
    assert (await Retrying(scripted, sleep=clock.sleep).complete(REQUEST)).text == "ok"
    assert scripted.calls == 3
    for error in (LLMError("bad"), MalformedAnswer("odd"), UsageError("wrong"), ValueError("bug")):
        scripted = ScriptedLLM([error, "ok"])
        with pytest.raises(type(error)):
            await Retrying(scripted, sleep=clock.sleep).complete(REQUEST)
        assert scripted.calls == 1


async def test_the_last_error_is_told_after_all_attempts() -> None:
    clock = Clock()
    scripted = ScriptedLLM([TransientLLMError(f"down {i}") for i in range(9)])
    with pytest.raises(TransientLLMError, match="down 2"):
        await Retrying(scripted, attempts=3, sleep=clock.sleep).complete(REQUEST)
    assert scripted.calls == 3
    assert len(clock.slept) == 2


async def test_waits_are_jittered_bounded_and_at_least_what_the_server_asks() -> None:
    clock = Clock()
    script = [TransientLLMError("down") for _ in range(40)]
    with pytest.raises(TransientLLMError):
        await Retrying(ScriptedLLM(script), attempts=40, longest=4.0, sleep=clock.sleep).complete(REQUEST)
    assert all(0 <= wait <= 4.0 for wait in clock.slept)
    assert len(set(clock.slept)) > 30
    clock.slept.clear()
    asked = [RateLimited("no", retry_after=17.0), TransientLLMError("down", retry_after=0.0), "ok"]
    await Retrying(ScriptedLLM(asked), sleep=clock.sleep).complete(REQUEST)
    assert clock.slept[0] == 17.0


async def test_a_server_that_asks_for_too_long_is_not_waited_for() -> None:
    clock = Clock()
    scripted = ScriptedLLM([RateLimited("tomorrow", retry_after=86_400.0), "ok"])
    with pytest.raises(RateLimited, match="tomorrow"):
        await Retrying(scripted, sleep=clock.sleep).complete(REQUEST)
    assert clock.slept == []


async def test_retries_are_told() -> None:
    clock = Clock()
    told: list[tuple[str, int]] = []

    def on_retry(request: Request, error: TransientLLMError, attempt: int, seconds: float) -> None:
        told.append((str(error), attempt))
        assert seconds >= 0

    script: list[Any] = [TransientLLMError("a"), TransientLLMError("b"), "ok"]
    await Retrying(ScriptedLLM(script), sleep=clock.sleep, on_retry=on_retry).complete(REQUEST)
    assert told == [("a", 1), ("b", 2)]


async def test_many_calls_against_a_server_that_refuses_above_three() -> None:
    """Retry over limit: all are answered, and the limit settles near what the server bears."""
    clock = Clock()
    under_way = 0

    def overloaded(reply: Callable[[], Response]) -> Response:
        if under_way > 3:
            raise RateLimited("too many", retry_after=0.01)
        return reply()

    class Server:
        async def complete(self, request: Request) -> Response:
            nonlocal under_way
            under_way += 1
            try:
                response = overloaded(lambda: Response(text="ok"))
                await asyncio.sleep(0)
                return response
            finally:
                under_way -= 1

    limited = Limited(Server(), 16, clock=clock, sleep=clock.sleep)
    client = Retrying(limited, attempts=50, sleep=clock.sleep)
    responses = await asyncio.gather(*(client.complete(REQUEST) for _ in range(100)))
    assert len(responses) == 100
    assert limited.limit < 16

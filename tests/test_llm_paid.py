"""Meter, journal and cache: reserved before it is sent, journaled before it is used, never asked twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agentopt.core.values import Budget
from agentopt.errors import BudgetExhausted, LLMError, RateLimited, TransientLLMError, UsageError
from agentopt.llm.cache import Cache, ResponseCache
from agentopt.llm.journal import Journal
from agentopt.llm.ledger import Ledger
from agentopt.llm.meter import Metered, bound
from agentopt.llm.prices import Price
from agentopt.llm.stack import Stack
from agentopt.llm.structured import structured
from agentopt.llm.types import Address, Image, Message, Request, Response, Text, Tool, Usage
from agentopt.run.calllog import StoreLog
from agentopt.store import Store


def ask(text: str = "hi", scope: str | None = "cell/c/e/0", **fields: object) -> Request:
    address = None if scope is None else Address(scope=scope)
    return Request.model_validate(
        {
            "model": "m",
            "messages": (Message(role="user", content=text),),
            "max_tokens": 20,
            "address": address,
            **fields,
        }
    )


class Echo:
    """Answers with what it was asked, and counts."""

    endpoint = "test/echo"

    def __init__(self, usage: Usage | None = None, errors: list[Exception] | None = None, delay: float = 0.0) -> None:
        self.requests: list[Request] = []
        self.usage = Usage(input_tokens=3, output_tokens=2) if usage is None else usage
        self.errors, self.delay = errors or [], delay

    async def complete(self, request: Request) -> Response:
        self.requests.append(request)
        await asyncio.sleep(self.delay)
        if self.errors:
            raise self.errors.pop(0)
        return Response(text=f"re: {request.messages[-1].content}", usage=self.usage, endpoint=self.endpoint)


async def test_an_attempt_is_journaled_before_it_leaves(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        seen: list[str] = []

        class Looks(Echo):
            async def complete(self, request: Request) -> Response:
                seen.extend(e.type for e in store.events())
                return await super().complete(request)

        await Metered(Looks(), Ledger(Budget()), StoreLog(store)).complete(ask())
        assert seen == ["call.sent"]
        assert [e.type for e in store.events()] == ["call.sent", "call.received"]
        assert store.spend() == {"agent": {"calls": 1.0, "tokens": 5.0}}


async def test_an_answer_without_usage_settles_at_the_reservation() -> None:
    ledger = Ledger(Budget())
    await Metered(Echo(Usage(reported=False)), ledger).complete(ask())
    assert ledger.settled["tokens"] == bound(ask(), None)["tokens"]


@pytest.mark.parametrize(
    ("error", "calls", "tokens"),
    [
        (RateLimited("slow down"), 1, 0),
        (LLMError("bad request"), 1, 0),
        (TransientLLMError("connection refused", billed=False), 0, 0),
        (TransientLLMError("broken stream"), 1, None),
    ],
)
async def test_failures_are_settled_by_what_they_may_have_cost(
    error: Exception, calls: int, tokens: int | None
) -> None:
    ledger = Ledger(Budget())
    with pytest.raises(type(error)):
        await Metered(Echo(errors=[error]), ledger).complete(ask())
    assert ledger.settled["calls"] == calls
    assert ledger.settled["tokens"] == (bound(ask(), None)["tokens"] if tokens is None else tokens)
    assert ledger.outstanding["tokens"] == 0


async def test_a_cancelled_call_is_charged_and_journaled(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        ledger, echo = Ledger(Budget()), Echo(delay=30)
        task = asyncio.ensure_future(Metered(echo, ledger, StoreLog(store)).complete(ask()))
        while not echo.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [e.type for e in store.events()] == ["call.sent", "call.failed"]
        assert ledger.settled["tokens"] > 0


async def test_money_with_an_unknown_price_is_refused() -> None:
    echo = Echo()
    with pytest.raises(UsageError, match="price of m is not known"):
        await Metered(echo, Ledger(Budget(usd=1))).complete(ask())
    assert not echo.requests


async def test_money_is_reserved_and_settled() -> None:
    ledger = Ledger(Budget(usd=5))
    response = await Metered(Echo(), ledger, price=lambda m: (0.01, 0.1)).complete(ask())
    assert response.usd == pytest.approx(3 * 0.01 + 2 * 0.1)
    assert ledger.settled["usd"] == pytest.approx(response.usd)
    with pytest.raises(BudgetExhausted):
        await Metered(Echo(), Ledger(Budget(usd=1)), price=lambda m: (0.01, 0.1)).complete(ask("long " * 100))


def test_the_bound_counts_bytes_tools_and_schema() -> None:
    plain = bound(ask("é" * 10), None)["tokens"]
    assert plain == bound(ask("a" * 20), None)["tokens"]
    assert bound(ask("é" * 10, tools=(Tool(name="t", description="d" * 50),)), None)["tokens"] >= plain + 50
    assert bound(ask("é" * 10, json_schema={"x": "y" * 50}), None)["tokens"] >= plain + 50


def test_the_bound_of_a_picture_is_what_the_dearest_model_makes_of_a_large_one() -> None:
    seen = ask().messages[0].model_copy(update={"content": (Text(text="hi"), Image(url="https://x.org/a.png"))})
    more = bound(ask().model_copy(update={"messages": (seen,)}), None)["tokens"] - bound(ask(), None)["tokens"]
    assert more == 2833 + 8 * 5667


@pytest.mark.parametrize(
    ("extra", "outputs"),
    [
        ({}, 20),
        ({"n": 4}, 80),
        ({"best_of": 3, "n": 2}, 60),
        ({"max_tokens": 300}, 300),
        ({"max_completion_tokens": 50, "n": 2}, 100),
        ({"max_tokens": 1, "n": 0}, 20),
        ({"n": "many", "max_tokens": None}, 20),
        ({"n": "8"}, 160),
        ({"n_predict": 300}, 300),
        ({"max_new_tokens": 300, "max_tokens": 30}, 300),
        ({"max_tokens": "300"}, 300),
        ({"options": {"num_predict": 300}}, 300),
        ({"thinking": {"type": "enabled", "budget_tokens": 500}, "n": 2}, 1040),
        ({"thinking_budget": -1, "max_length": "nan"}, 20),
    ],
)
def test_the_bound_counts_every_sample_up_to_its_real_cap(extra: dict[str, Any], outputs: int) -> None:
    plain, made = bound(ask(), (0.0, 1.0)), bound(ask(extra=extra), (0.0, 1.0))
    written = len(json.dumps(extra, separators=(",", ":"))) if extra else 0
    assert made["tokens"] - plain["tokens"] == outputs - 20 + written
    assert made["usd"] == outputs


async def test_an_answer_without_end_is_refused() -> None:
    echo = Echo()
    with pytest.raises(UsageError, match="a cap of -1 tokens"):
        await Metered(echo, Ledger(Budget())).complete(ask(extra={"n_predict": -1}))
    assert not echo.requests


async def test_hidden_tokens_beyond_the_cap_are_counted_reported_and_expected_from_then_on() -> None:
    ledger = Ledger(Budget(tokens=2000))
    client = Metered(Echo(Usage(input_tokens=3, output_tokens=500, reasoning_tokens=480)), ledger)
    plain = bound(ask(), None)["tokens"]
    await client.complete(ask())
    assert ledger.settled["tokens"] == 503
    assert ledger.overruns == [("agent", "tokens", 503 - plain)]
    for _ in range(2):
        await client.complete(ask())
    assert len(ledger.overruns) == 1  # reserved with it from the second call on
    with pytest.raises(BudgetExhausted):
        await client.complete(ask())
    assert ledger.settled["tokens"] <= 2000


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=-5, output_tokens=3), Usage(output_tokens=7)])
async def test_usage_that_cannot_be_is_no_usage(usage: Usage) -> None:
    ledger = Ledger(Budget())
    await Metered(Echo(usage), ledger, price=lambda m: (0.01, 0.01)).complete(ask())
    assert ledger.settled == {**bound(ask(), (0.01, 0.01)), "evaluations": 0.0}


async def test_a_price_below_nothing_earns_nothing() -> None:
    class Generous(Echo):
        async def complete(self, request: Request) -> Response:
            return (await super().complete(request)).model_copy(update={"usd": -4.0})

    ledger = Ledger(Budget(usd=5))
    await Metered(Generous(), ledger, price=lambda m: (0.01, 0.01)).complete(ask())
    assert ledger.settled["usd"] == 0.0


@pytest.mark.parametrize("told", [None, 0.0, 0.00001])
async def test_the_runs_own_price_settles_as_it_reserves(told: float | None) -> None:
    class Tells(Echo):
        price = (0.0, 0.0)

        async def complete(self, request: Request) -> Response:
            return (await super().complete(request)).model_copy(update={"usd": told})

    ledger = Ledger(Budget(usd=50))
    stack = Stack(ledger, clients={"openai/gpt-4o": Tells()}, prices={"gpt-4o": Price(input=0.01, output=0.1)})
    answer = await stack.complete(ask(model="openai/gpt-4o"))
    assert ledger.settled["usd"] == answer.usd == pytest.approx(3 * 0.01 + 2 * 0.1)
    assert not ledger.overruns


async def test_a_provider_without_a_given_price_is_asked_for_its_own() -> None:
    class Free(Echo):
        price = (0.0, 0.0)

    ledger = Ledger(Budget(usd=1))
    await Stack(ledger, clients={"openai/gpt-4o": Free()}).complete(ask(model="openai/gpt-4o"))
    assert ledger.settled["usd"] == 0.0 == ledger.outstanding["usd"]


async def test_a_model_of_unknown_price_is_refused_before_it_is_used() -> None:
    stack = Stack(Ledger(Budget(usd=1)), clients={"m": Echo()})
    with pytest.raises(UsageError, match="price of m is not known"):
        stack.endpoint("m")
    assert Stack(Ledger(Budget(calls=1)), clients={"m": Echo()}).endpoint("m") == "test/echo"


async def test_every_round_of_a_structured_answer_reserves(tmp_path: Path) -> None:
    class Form(BaseModel):
        n: int

    ledger = Ledger(Budget(calls=1))
    with Store(tmp_path) as store:
        stack = Stack(ledger, StoreLog(store), clients={"m": Echo()})
        with pytest.raises(BudgetExhausted):  # the first round is paid, the repair round is not to be had
            await structured(stack, ask(), Form)
        assert [e.type for e in store.events()] == ["call.sent", "call.received"]
    assert ledger.settled["calls"] == 1


async def test_a_streamed_answer_is_reserved_and_settled_like_any_other() -> None:
    class Breaks(Echo):
        async def complete(self, request: Request) -> Response:
            assert request.on_text is not None
            request.on_text("re:")
            raise TransientLLMError("the stream broke off")

    ledger, heard = Ledger(Budget()), []
    await Metered(Echo(), ledger).complete(ask(on_text=heard.append))
    assert ledger.settled["tokens"] == 5
    with pytest.raises(TransientLLMError):
        await Metered(Breaks(), ledger).complete(ask(on_text=heard.append))
    assert ledger.settled["tokens"] == 5 + bound(ask(), None)["tokens"]


async def test_a_call_in_flight_at_the_deadline_has_the_grace_and_no_more(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        ledger = Ledger(Budget(seconds=0.05), grace=0.3)
        slow, slower = (Metered(Echo(delay=d), ledger, StoreLog(store)) for d in (0.1, 5.0))
        answers = await asyncio.gather(
            slow.complete(ask()), slower.complete(ask(scope="cell/c/f/0")), return_exceptions=True
        )
        assert isinstance(answers[0], Response)
        assert isinstance(answers[1], BudgetExhausted)
        assert "grace of 0.3 seconds" in str(answers[1])
        assert sorted(e.type for e in store.events()) == ["call.failed", "call.received", "call.sent", "call.sent"]
        assert ledger.settled["tokens"] == 5 + bound(ask(), None)["tokens"]
        assert not any(ledger.outstanding.values())


async def test_a_call_whose_deadline_passes_while_it_is_journaled_is_not_sent(tmp_path: Path) -> None:
    now = [0.0]

    class SlowLog(StoreLog):
        async def sent(self, *args: Any) -> None:
            await super().sent(*args)
            now[0] = 5.0

    with Store(tmp_path) as store:
        echo, ledger = Echo(), Ledger(Budget(seconds=4), grace=60, clock=lambda: now[0])
        with pytest.raises(BudgetExhausted, match="deadline of 4 seconds"):
            await Metered(echo, ledger, SlowLog(store)).complete(ask())
        assert not echo.requests
        assert [e.type for e in store.events()] == ["call.sent", "call.failed"]
        assert store.spend() == {}
        assert not any(ledger.settled.values()) and not any(ledger.outstanding.values())


async def test_a_retry_that_would_come_after_the_deadline_is_not_waited_for() -> None:
    echo = Echo(errors=[RateLimited("slow down", retry_after=60)])
    with pytest.raises(BudgetExhausted, match="after the deadline"):
        await asyncio.wait_for(Stack(Ledger(Budget(seconds=30)), clients={"m": echo}).complete(ask()), 5)
    assert len(echo.requests) == 1


async def test_an_answered_address_is_not_asked_again(tmp_path: Path) -> None:
    echo = Echo()
    with Store(tmp_path) as store:
        stack = Stack(Ledger(Budget()), StoreLog(store), clients={"m": echo})
        first = await stack.complete(ask())
    with Store(tmp_path) as store:
        stack = Stack(Ledger(Budget(), spent=store.spend()), StoreLog(store), clients={"m": echo})
        assert await stack.complete(ask()) == first
        assert len(echo.requests) == 1
        assert (await stack.complete(ask(scope="cell/c/other/0"))).text == "re: hi"
        assert len(echo.requests) == 2


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_call_that_is_under_way_is_waited_for_and_not_sent_again(tmp_path: Path, cancelled: bool) -> None:
    echo, heard = Echo(delay=0.1), []
    with Store(tmp_path) as store:
        stack = Stack(Ledger(Budget()), StoreLog(store), clients={"m": echo})
        first = asyncio.ensure_future(stack.complete(ask()))
        others = [asyncio.ensure_future(stack.complete(ask(on_text=heard.append))) for _ in range(2)]
        while not echo.requests:
            await asyncio.sleep(0.01)
        if cancelled:
            first.cancel()
        assert [(await other).text for other in others] == ["re: hi"] * 2
        assert heard == ["re: hi"] * 2 if not cancelled else "re: hi" in heard
        assert len(echo.requests) == 1 + cancelled
        assert [e.type for e in store.events()].count("call.received") == 1
        await stack.aclose()


async def test_the_end_of_a_run_cuts_off_and_journals_the_calls_under_way(tmp_path: Path) -> None:
    echo, ledger = Echo(delay=30), Ledger(Budget())
    with Store(tmp_path) as store:
        stack = Stack(ledger, StoreLog(store), clients={"m": echo})
        calls = [asyncio.ensure_future(stack.complete(ask(scope=f"cell/c/{i}/0"))) for i in range(3)]
        while len(echo.requests) < 3:
            await asyncio.sleep(0.01)
        await asyncio.wait_for(stack.aclose(), 5)
        assert [e.type for e in store.events()] == ["call.sent"] * 3 + ["call.failed"] * 3
        assert not any(ledger.outstanding.values())
    assert all(isinstance(e, asyncio.CancelledError) for e in await asyncio.gather(*calls, return_exceptions=True))


async def test_a_changed_payload_is_asked_anew_and_told(tmp_path: Path) -> None:
    echo, told = Echo(), []
    with Store(tmp_path) as store:
        stack = Stack(
            Ledger(Budget()),
            StoreLog(store),
            clients={"m": echo},
            on_divergence=lambda r, h: told.append(str(r.address)),
        )
        await stack.complete(ask("one"))
        assert (await stack.complete(ask("two"))).text == "re: two"
    assert told == ["cell/c/e/0||0"]


async def test_a_call_cut_off_by_a_crash_keeps_its_idempotency_key(tmp_path: Path) -> None:
    echo = Echo()
    with Store(tmp_path) as store:
        log = StoreLog(store)
        request = ask()
        attempt, key = log.attempt(request)
        await log.sent(request, attempt, key, {"calls": 1.0, "tokens": 99.0}, "test/echo")
    with Store(tmp_path) as store:
        await Metered(echo, Ledger(Budget()), StoreLog(store)).complete(ask())
        assert echo.requests[0].idempotency_key == key
        assert store.spend()["agent"] == {"calls": 2.0, "tokens": 104.0}  # charged as reserved, then as used


async def test_every_retry_reserves(tmp_path: Path) -> None:
    echo = Echo(errors=[TransientLLMError("x"), TransientLLMError("y")])
    ledger = Ledger(Budget(calls=2))
    with Store(tmp_path) as store:
        stack = Stack(ledger, StoreLog(store), clients={"m": echo})
        with pytest.raises(BudgetExhausted):
            await stack.complete(ask())
        assert [e.type for e in store.events()] == ["call.sent", "call.failed"] * 2
    assert ledger.settled["calls"] == 2


async def test_retries_of_one_call_get_keys_of_their_own(tmp_path: Path) -> None:
    echo = Echo(errors=[TransientLLMError("x", billed=False)])
    with Store(tmp_path) as store:
        await Stack(Ledger(Budget()), StoreLog(store), clients={"m": echo}).complete(ask())
    keys = [r.idempotency_key for r in echo.requests]
    assert len(set(keys)) == 2


async def test_equal_requests_are_paid_once_across_runs(tmp_path: Path) -> None:
    echo, cache = Echo(), ResponseCache(tmp_path / "c.sqlite")
    client = Cache(echo, cache, "test/echo")
    assert not (await client.complete(ask())).cached
    again = await client.complete(ask(scope="another/run"))
    assert (again.cached, again.usd, len(echo.requests)) == (True, 0.0, 1)
    await client.complete(ask(repeat=1))
    assert len(echo.requests) == 2
    cache.close()


async def test_the_cache_tells_endpoints_apart_but_not_addresses_of_machines(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path / "c.sqlite")
    one, two = Cache(Echo(), cache, "loopback/m"), Cache(Echo(), cache, "openai/m")
    assert one.key(ask(model="http://127.0.0.1:1/v1#m")) == one.key(ask(model="http://127.0.0.1:2/v1#m"))
    assert one.key(ask()) != two.key(ask())
    cache.close()


async def test_several_equal_calls_at_once_make_one(tmp_path: Path) -> None:
    echo, cache = Echo(delay=0.05), ResponseCache(tmp_path / "c.sqlite")
    client = Cache(echo, cache, "test/echo")
    answers = await asyncio.gather(*(client.complete(ask()) for _ in range(8)))
    assert len(echo.requests) == 1
    assert sum(a.cached for a in answers) == 7
    cache.close()


async def test_those_who_waited_for_a_call_that_failed_ask_themselves(tmp_path: Path) -> None:
    echo, cache = Echo(delay=0.02, errors=[LLMError("no")]), ResponseCache(tmp_path / "c.sqlite")
    client = Cache(echo, cache, "test/echo")
    answers = await asyncio.gather(*(client.complete(ask()) for _ in range(3)), return_exceptions=True)
    assert [type(a) for a in answers] == [LLMError, Response, Response]
    assert len(echo.requests) == 2
    cache.close()


async def test_truncated_answers_are_not_cached(tmp_path: Path) -> None:
    class Cut(Echo):
        async def complete(self, request: Request) -> Response:
            return (await super().complete(request)).model_copy(update={"finish": "length"})

    echo, cache = Cut(), ResponseCache(tmp_path / "c.sqlite")
    client = Cache(echo, cache, "test/echo")
    await client.complete(ask())
    await client.complete(ask())
    assert len(echo.requests) == 2
    assert cache.stats()["entries"] == 0
    cache.close()


async def test_a_cached_answer_is_journaled_too(tmp_path: Path) -> None:
    echo, cache = Echo(), ResponseCache(tmp_path / "c.sqlite")
    await Cache(echo, cache, "test/echo").complete(ask())
    with Store(tmp_path / "run") as store:
        client = Journal(Cache(echo, cache, "test/echo"), StoreLog(store))
        await client.complete(ask())
        assert [e.type for e in store.events()] == ["call.received"]
        assert store.spend() == {}
    cache.close()


async def test_streaming_listeners_hear_answers_from_journal_and_cache(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path / "c.sqlite")
    client = Cache(Echo(), cache, "test/echo")
    await client.complete(ask())
    heard: list[str] = []
    await client.complete(ask(on_text=heard.append))
    assert heard == ["re: hi"]
    cache.close()


class Forgetful:
    """A log that fails to write: nothing may be sent then."""

    def lookup(self, request: Request) -> None:
        return None

    def attempt(self, request: Request) -> tuple[int, str]:
        return 0, "k"

    async def sent(
        self, request: Request, attempt: int, key: str, reserved: Mapping[str, float], endpoint: str
    ) -> None:
        raise OSError("disk gone")

    async def received(self, *args: object) -> None: ...

    async def failed(self, *args: object) -> None: ...


async def test_nothing_is_sent_that_could_not_be_journaled() -> None:
    echo, ledger = Echo(), Ledger(Budget())
    with pytest.raises(OSError, match="disk gone"):
        await Metered(echo, ledger, Forgetful()).complete(ask())  # type: ignore[arg-type]
    assert not echo.requests
    assert ledger.outstanding["calls"] == ledger.settled["calls"] == 0

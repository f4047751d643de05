"""The ledger: settled + outstanding stays within the budget, whatever happens in whatever order."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentopt.core.values import Budget
from agentopt.errors import BudgetExhausted, UsageError
from agentopt.llm.ledger import Ledger


async def test_a_reservation_waits_for_room_and_gets_it_in_turn() -> None:
    ledger = Ledger(Budget(tokens=100))
    first = await ledger.reserve("agent", {"tokens": 80})
    order: list[str] = []

    async def later(name: str, amount: float) -> None:
        reservation = await ledger.reserve("agent", {"tokens": amount})
        order.append(name)
        ledger.settle(reservation, {"tokens": 5})

    big, small = asyncio.ensure_future(later("big", 60)), asyncio.ensure_future(later("small", 10))
    await asyncio.sleep(0)
    assert not order  # the small one would fit, but does not overtake
    ledger.settle(first, {"tokens": 20})
    await asyncio.gather(big, small)
    assert order == ["big", "small"]
    assert ledger.settled["tokens"] == 30


async def test_what_can_never_fit_is_refused_at_once() -> None:
    ledger = Ledger(Budget(tokens=100))
    held = await ledger.reserve("agent", {"tokens": 90})
    with pytest.raises(BudgetExhausted) as end:
        await ledger.reserve("agent", {"tokens": 101})
    assert end.value.axis == "tokens"
    ledger.release(held)
    assert ledger.remaining().tokens == 100


async def test_waiting_ends_when_others_spend_the_room() -> None:
    ledger = Ledger(Budget(calls=2))
    one = await ledger.reserve("agent", {"calls": 2})
    waiting = asyncio.ensure_future(ledger.reserve("optimizer", {"calls": 1}))
    await asyncio.sleep(0)
    ledger.settle(one, {"calls": 2})
    with pytest.raises(BudgetExhausted, match="optimizer"):
        await waiting


async def test_a_cancelled_wait_gives_its_place_away() -> None:
    ledger = Ledger(Budget(calls=1))
    one = await ledger.reserve("agent", {"calls": 1})
    waiting = [asyncio.ensure_future(ledger.reserve("agent", {"calls": 1})) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    ledger.release(one)
    assert (await waiting[1]).open
    assert ledger.outstanding["calls"] == 1


async def test_cancelling_just_after_the_grant_leaks_nothing() -> None:
    ledger = Ledger(Budget(calls=1))
    one = await ledger.reserve("agent", {"calls": 1})
    waiting = asyncio.ensure_future(ledger.reserve("agent", {"calls": 1}))
    await asyncio.sleep(0)
    ledger.release(one)  # grants it
    waiting.cancel()  # before it has run
    await asyncio.gather(waiting, return_exceptions=True)
    assert ledger.outstanding["calls"] == 0


async def test_holds_are_kept_for_the_end() -> None:
    ledger = Ledger(Budget(calls=10))
    ledger.hold({"calls": 6})
    for _ in range(4):
        ledger.settle(await ledger.reserve("agent", {"calls": 1}), {"calls": 1})
    with pytest.raises(BudgetExhausted, match="held for the final test"):
        await ledger.reserve("agent", {"calls": 1})
    ledger.hold({})
    assert (await ledger.reserve("agent", {"calls": 6})).open


async def test_a_settlement_beyond_its_reservation_is_reported() -> None:
    ledger = Ledger(Budget(tokens=100))
    ledger.settle(await ledger.reserve("agent", {"tokens": 10}), {"tokens": 25})
    assert ledger.overruns == [("agent", "tokens", 15.0)]
    assert ledger.settled["tokens"] == 25


async def test_the_deadline_counts_the_time_of_earlier_processes() -> None:
    now = [0.0]
    ledger = Ledger(Budget(seconds=10), elapsed=7, clock=lambda: now[0])
    await ledger.reserve("agent", {"calls": 1})
    now[0] = 3.5
    with pytest.raises(BudgetExhausted) as end:
        await ledger.reserve("agent", {"calls": 1})
    assert end.value.axis == "seconds"


async def test_a_clock_that_jumps_back_does_not_give_time() -> None:
    now = [100.0]
    ledger = Ledger(Budget(seconds=10), elapsed=2, clock=lambda: now[0])
    now[0] = 50.0
    assert ledger.elapsed == 2


async def test_spending_of_earlier_processes_counts() -> None:
    ledger = Ledger(Budget(calls=5), spent={"agent": {"calls": 3.0}, "optimizer": {"calls": 1.0}})
    assert ledger.remaining().calls == 1
    ledger.charge("agent", {"calls": 1})
    with pytest.raises(BudgetExhausted):
        await ledger.reserve("agent", {"calls": 1})


async def test_a_reservation_is_settled_once() -> None:
    ledger = Ledger(Budget())
    one = await ledger.reserve("agent", {"calls": 1})
    ledger.settle(one, {"calls": 1})
    with pytest.raises(UsageError, match="twice"):
        ledger.settle(one, {"calls": 1})


@pytest.mark.parametrize("amounts", [{"calls": -1}, {"calls": float("nan")}, {"seconds": 1}, {"usd": float("inf")}])
async def test_amounts_that_make_no_sense_are_refused(amounts: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        await Ledger(Budget()).reserve("agent", amounts)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 200), st.integers(1, 40))
def test_the_invariant_holds_at_every_event(seed: int, tokens: int, workers: int) -> None:
    rng = random.Random(seed)
    ledger = Ledger(Budget(tokens=tokens, calls=rng.randint(1, 60)))

    def check() -> None:
        for axis in ("tokens", "calls"):
            limit = getattr(ledger.budget, axis)
            assert ledger.settled[axis] + ledger.outstanding[axis] <= limit + 1e-9

    async def worker() -> None:
        for _ in range(5):
            want = rng.randint(1, 30)
            try:
                reservation = await asyncio.wait_for(ledger.reserve("agent", {"tokens": want, "calls": 1}), 5)
            except BudgetExhausted:
                return
            finally:
                check()
            for _ in range(rng.randint(0, 3)):
                await asyncio.sleep(0)
            ledger.settle(reservation, {"tokens": rng.randint(0, want), "calls": 1})
            check()

    async def main() -> None:
        await asyncio.gather(*(worker() for _ in range(workers)))
        assert all(v == 0 for v in ledger.outstanding.values())

    asyncio.run(main())


async def test_calls_of_evaluations_under_way_are_not_held_up_by_evaluations_that_wait() -> None:
    ledger = Ledger(Budget(evaluations=5, calls=1000))

    async def cell() -> None:
        evaluation = await ledger.reserve("agent", {"evaluations": 1})
        await asyncio.sleep(0)
        ledger.settle(await ledger.reserve("agent", {"calls": 1}), {"calls": 1})
        ledger.settle(evaluation, {"evaluations": 1})

    ended = await asyncio.wait_for(asyncio.gather(*(cell() for _ in range(16)), return_exceptions=True), 5)
    assert ended.count(None) == 5
    assert {e.axis for e in ended if isinstance(e, BudgetExhausted)} == {"evaluations"}
    assert not any(ledger.outstanding.values())


async def test_others_of_the_same_axis_do_not_overtake_a_large_reservation() -> None:
    ledger = Ledger(Budget(tokens=100))
    first = await ledger.reserve("agent", {"calls": 1, "tokens": 60})
    large = asyncio.ensure_future(ledger.reserve("agent", {"calls": 1, "tokens": 90}))
    await asyncio.sleep(0)
    small = asyncio.ensure_future(ledger.reserve("judge", {"calls": 1, "tokens": 10}))
    other = asyncio.ensure_future(ledger.reserve("agent", {"evaluations": 1}))
    await asyncio.sleep(0)
    assert (large.done(), small.done(), other.done()) == (False, False, True)
    ledger.settle(first, {"calls": 1, "tokens": 5})
    await asyncio.sleep(0)
    assert (large.done(), small.done()) == (True, False)
    ledger.settle(large.result(), {"calls": 1, "tokens": 50})
    assert (await small).open


@pytest.mark.parametrize("role", ["agent", "optimizer", "judge"])
@pytest.mark.parametrize("axis", ["calls", "tokens", "usd", "evaluations"])
async def test_every_axis_binds_every_role(axis: str, role: str) -> None:
    ledger = Ledger(Budget.model_validate({axis: 10}))
    ledger.settle(await ledger.reserve("agent", {axis: 6}), {axis: 6})
    with pytest.raises(BudgetExhausted, match=role) as end:
        await ledger.reserve(role, {axis: 5})
    assert end.value.axis == axis
    ledger.settle(await ledger.reserve(role, {axis: 4}), {axis: 4})
    assert ledger.settled[axis] == 10


@pytest.mark.parametrize("role", ["agent", "optimizer", "judge"])
async def test_a_deadline_binds_every_role(role: str) -> None:
    now = [0.0]
    ledger = Ledger(Budget(seconds=1), clock=lambda: now[0])
    now[0] = 1.0
    with pytest.raises(BudgetExhausted, match="deadline"):
        await ledger.reserve(role, {"calls": 1})


async def test_who_waits_at_the_deadline_is_told_when_the_others_settle() -> None:
    now = [0.0]
    ledger = Ledger(Budget(calls=1, seconds=10), clock=lambda: now[0])
    one = await ledger.reserve("agent", {"calls": 1})
    waiting = asyncio.ensure_future(ledger.reserve("agent", {"calls": 1}))
    await asyncio.sleep(0)
    now[0] = 11.0
    ledger.settle(one, {})
    with pytest.raises(BudgetExhausted) as end:
        await waiting
    assert end.value.axis == "seconds"


async def test_a_pause_that_would_outlast_the_deadline_is_not_begun() -> None:
    now = [0.0]
    ledger = Ledger(Budget(seconds=10), clock=lambda: now[0])
    await ledger.pause(0.001)
    now[0] = 9.0
    with pytest.raises(BudgetExhausted, match=r"in 2\.0 seconds, after the deadline"):
        await ledger.pause(2.0)
    await Ledger(Budget()).pause(0.001)


def test_the_cutoff_is_deadline_and_grace() -> None:
    now = [0.0]
    ledger = Ledger(Budget(seconds=10), grace=5, elapsed=2, clock=lambda: now[0])
    now[0] = 4.0
    assert ledger.cutoff() == 9.0
    now[0] = 40.0
    assert ledger.cutoff() == 0.0
    assert Ledger(Budget(calls=1), grace=5).cutoff() is None
    assert Ledger(Budget(seconds=1)).cutoff() is None

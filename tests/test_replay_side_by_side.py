"""What code asks side by side: which journaled call is which after a crash, and what a replay makes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agentopt.core import Override, Trace, current_path, graph, next_place, node
from agentopt.core.values import Budget
from agentopt.llm.journal import Journal
from agentopt.llm.ledger import Ledger
from agentopt.llm.meter import Metered
from agentopt.llm.types import Address, Message, Request, Response, Usage
from agentopt.run.calllog import StoreLog
from agentopt.store import Store


def call(text: str, ordinal: int) -> Request:
    address = Address(scope="cell/c/e/0", path="solve:0", ordinal=ordinal)
    return Request(model="m", messages=(Message(role="user", content=text),), temperature=1.0, address=address)


async def test_an_answer_is_used_once_whatever_order_equal_calls_come_in_after_a_crash(tmp_path: Path) -> None:
    async def texts(*ordinals: int) -> list[str]:
        with Store(tmp_path) as store:
            log = StoreLog(store)
            journal = Journal(Metered(numbered, Ledger(Budget()), log), log)
            return [(await journal.complete(call("same", n))).text for n in ordinals]

    keys: list[str | None] = []

    class Numbered:
        async def complete(self, request: Request) -> Response:
            keys.append(request.idempotency_key)
            return Response(text=f"answer {len(keys)}", usage=Usage(input_tokens=1, output_tokens=1))

    numbered = Numbered()
    assert await texts(1, 2) == ["answer 1", "answer 2"]
    assert await texts(0, 1, 2) == ["answer 1", "answer 2", "answer 3"]
    assert await texts(2, 1, 0) == ["answer 3", "answer 2", "answer 1"], "as the process before had it"
    anew, known = await texts(3, 0)
    assert known == "answer 1"
    assert anew in ("answer 2", "answer 3"), "nothing is asked while the journal has an equal payload that is free"
    assert len(await texts(0, 1, 2, 3)) == len(set(keys)) == 4


async def test_a_branch_whose_first_call_stands_in_a_handler_counts_for_itself_afterwards() -> None:
    @node
    async def ask(text: str) -> None:
        paths[text] = current_path()

    async def branch(side: str, wait: float) -> None:
        with Override({"tone": side}):
            await ask(f"{side} first")
        await asyncio.sleep(wait)
        await ask(f"{side} second")
        places[side] = next_place("~llm")
        await asyncio.gather(*(ask(f"{side} {n}") for n in (3, 4)))
        with Override({"tone": side}):
            await ask(f"{side} fifth")

    async def outer(side: str, wait: float) -> None:  # tasks of its own, after a handler and nothing else
        with Override({"tone": side}):
            places[f"{side} outer"] = next_place("~llm")
        await asyncio.sleep(wait)
        await asyncio.gather(*(ask(f"{side} inner {n}") for n in (1, 2)))

    @graph
    async def both(slow: str) -> None:
        for code in (branch, outer):
            await asyncio.gather(*(code(side, 0.02 if side == slow else 0.0) for side in ("left", "right")))

    seen = []
    for slow in ("left", "right"):
        paths: dict[str, str] = {}
        places: dict[str, tuple[str, int]] = {}
        with Trace():
            await both(slow)
        seen.append((paths, places))
    assert seen[0] == seen[1]
    assert len(set(seen[0][0].values())) == 14
    assert len(set(seen[0][1].values())) == 4

"""Jobs that others wait for get a server, and what waits for a server or for its turn is not timed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import scipy.stats  # noqa: F401 - its import is not the scorer's work

import agentopt
from agentopt._aio import in_thread, run_sync
from agentopt._clock import Clock, waiting
from agentopt.core import Override, graph, node, trainable
from agentopt.errors import UsageError
from agentopt.evaluate import Example, SplitSpec, Task
from agentopt.evaluate.programs import NEEDS_RUNNER, passes, use_runner
from agentopt.evaluate.sandboxed import SandboxRunner
from agentopt.evaluate.speed import _turn, speed_score
from agentopt.run.api import evaluate_async
from agentopt.sandbox import Job, open_sandbox
from agentopt.sandbox.execution import SandboxExec
from agentopt.sandbox.served import ServedSandbox

arrived, go = asyncio.Event(), asyncio.Event()


@node
async def meet(x: int) -> int:
    arrived.set()
    await go.wait()
    return x


@trainable(allow=[meet])
async def asks(x: int) -> int:
    return await meet(x)


@trainable
def double(x: int) -> int:
    return x + x


@trainable(allow=[double])
def twice(x: int) -> int:
    return double(double(x))


NEW = {"double.code": "def double(x):\n    return 2 * x"}


@graph
async def solve(x: int) -> Any:
    return double(x)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[ServedSandbox]:
    """With one server, which each test has taken by a job of its own."""
    try:
        opened = open_sandbox(servers=1)
    except UsageError as lacking:
        pytest.skip(str(lacking))
    with opened:
        yield opened


async def test_a_loop_that_has_host_functions_to_call_is_not_kept_waiting(sandbox: ServedSandbox) -> None:
    """The only server is taken by a job that waits for this loop, which reads a source and calls its function."""
    with SandboxExec(sandbox, ["asks.code"]):
        waits = asyncio.create_task(asks(1))
        await asyncio.wait_for(arrived.wait(), 60)
        with Override(NEW):
            assert (await solve(3)).value == 6
        go.set()
        assert (await waits).value == 1


def test_a_job_may_call_another_while_all_servers_are_taken(sandbox: ServedSandbox) -> None:
    def again(left: int) -> Any:
        source = "def f(left):\n    return 1 + again(left - 1) if left else 1"
        return sandbox.run_sync(Job(source=source, entry="f", args=[left], allow={"again": again})).value

    assert again(2) == 3
    with SandboxExec(sandbox, ["double.code", "twice.code"]):
        assert twice(3).value == 12


async def test_more_jobs_than_servers_that_each_call_one(sandbox: ServedSandbox) -> None:
    async def inner(x: int) -> Any:
        return (await sandbox.run(Job(source="def g(x): return x", entry="g", args=[x]))).value

    source = "def f(x):\n    return inner(x)"
    jobs = [sandbox.run(Job(source=source, entry="f", args=[i], allow={"inner": inner})) for i in range(6)]
    assert [result.value for result in await asyncio.gather(*jobs)] == list(range(6))


# --- clocks -------------------------------------------------------------------------------------------------------

SECONDS = 2.0
"""A scorer's. What it waits for takes longer than both of its tries together."""
WORD = agentopt.Parameter("def f(x):\n    return x", name="word")
EXAMPLES = [
    Example(id=str(i), input={"x": i}, target={"entry_point": "f"}, meta={"tests": ["assert f(1) == 1"]})
    for i in range(3)
]


@graph
def writes(x: int) -> Any:
    return WORD + ""


async def scored(sandbox: ServedSandbox, scorer: Any, timeout: float = SECONDS) -> list[tuple[str, str | None]]:
    """How scoring a program on each example ended."""
    setattr(scorer, NEEDS_RUNNER, False)  # it is the one of this block
    task = Task("t", EXAMPLES, scorer, split=SplitSpec(search=1, validation=1, test=1))
    with use_runner(SandboxRunner(sandbox)):
        found = await evaluate_async(writes, task=task, split="all", timeout=timeout, progress=False)
    return [(outcome.status, outcome.error) for outcome in found.outcomes]


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def test_waiting_for_the_sandbox_is_not_the_scorers_time(sandbox: ServedSandbox) -> None:
    async def hold() -> None:
        await asyncio.sleep(2.5 * SECONDS)

    held = asyncio.create_task(sandbox.run(Job(source="def f(): hold()", entry="f", allow={"hold": hold})))
    await asyncio.sleep(0)
    assert await scored(sandbox, passes()) == [("ok", None)] * 3
    assert (await held).ok


async def test_waiting_for_its_turn_is_not_the_scorers_time(sandbox: ServedSandbox) -> None:
    scorer = speed_score(WORD.default, "f", lambda example, number: [[1]], pairs=2)
    async with _turn():
        begun = asyncio.create_task(scored(sandbox, scorer))
        await asyncio.sleep(2.5 * SECONDS)
    assert await begun == [("ok", None)] * 3


async def test_a_scorer_that_works_too_long_is_still_stopped(sandbox: ServedSandbox) -> None:
    async def scorer(example: Any, output: Any) -> float:
        await passes()(example, output)
        await asyncio.sleep(600)
        return 1.0

    assert await scored(sandbox, scorer, 0.5) == [("infra_error", "the scorer said nothing within 0.5 seconds")] * 3


async def test_branches_that_wait_together_and_threads() -> None:
    """The clock goes on when the last has done waiting; a wait that outlives it moves nothing."""

    async def wait(seconds: float) -> None:
        with waiting():
            await asyncio.sleep(seconds)

    async with Clock(0.5) as clock:
        await asyncio.gather(wait(0.7), wait(0.1), in_thread(lambda: run_sync(wait(0.8))))
        late = asyncio.create_task(wait(0.5))
        await asyncio.sleep(0)
    await late
    assert not clock.expired()


async def test_a_clock_that_stood_still_goes_on() -> None:
    async def work() -> None:
        async with Clock(0.1):
            with waiting():
                await asyncio.sleep(0.2)
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await work()

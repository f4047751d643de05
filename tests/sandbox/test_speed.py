"""Programs judged by their speed: right first, then beside a reference, in turns; noise is no difference."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from agentopt import load_graph, load_task, parameters
from agentopt.errors import UsageError
from agentopt.evaluate.programs import use_runner
from agentopt.evaluate.sandboxed import LIMITS, SandboxRunner
from agentopt.evaluate.speed import Race, compare_speed, score_of
from agentopt.sandbox import Result, open_sandbox
from agentopt.sandbox.served import ServedSandbox

SLOW = "def f(n):\n    return sum(1 for i in range(n) for j in range(40))"
FAST = "def f(n):\n    return 40 * n"
NAMES = ["primes", "pairs", "window", "medians", "overlaps"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[ServedSandbox]:
    try:
        opened = open_sandbox(limits=LIMITS, servers=1)
    except UsageError as lacking:
        pytest.skip(str(lacking))
    with opened:
        yield opened


def race(sandbox: Any, program: str, reference: str = FAST, size: int = 3000, **more: Any) -> Race:
    def cases(number: int) -> list[list[int]]:
        return [[size + number]]

    return asyncio.run(compare_speed(sandbox, program, reference, "f", cases, pairs=4, **more))


def test_a_faster_program_is_faster_and_a_slower_one_slower(sandbox: ServedSandbox) -> None:
    up, down = race(sandbox, FAST, SLOW), race(sandbox, SLOW, FAST)
    assert up.ratio and down.ratio and up.differs and down.differs and up.low > 1 > down.high
    assert score_of(up).score > 0.6 and score_of(down).score < 0.4


def test_a_program_is_as_fast_as_itself(sandbox: ServedSandbox) -> None:
    """Of many such races few may differ; of twelve, two would be too many for one in twenty."""
    found = [race(sandbox, SLOW, SLOW, 1000) for _ in range(12)]
    assert sum(one.differs for one in found) <= 3
    assert all(one.ratio and 0.4 < one.ratio < 2.5 for one in found)


WRONG = {
    "other result": ("def f(n): return n", "f(3000) returned 3000, expected 120000"),
    "other at one input": ("def f(n): return 40 * n + (n == 3002)", "f(3002) returned 120081, expected 120080"),
    "raises": ("def f(n): return 1 / 0", "ZeroDivisionError"),
    "hangs": ("def f(n):\n    while True: pass", "cpu"),
    "waits": ("import time\ndef f(n):\n    while True: time.sleep(1)", "timeout"),
    "no function": ("x = 1", "NameError"),
    "exits": ("def f(n):\n    import os\n    os._exit(0)", "killed"),
    "sends too few": (
        "def agentopt_all_cases(cases): return []\ndel agentopt_all_cases\ndef f(n): return None",
        "None",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_program_is_not_timed(sandbox: ServedSandbox, kind: str) -> None:
    program, said = WRONG[kind]
    found = race(sandbox, program, seconds=0.5)
    assert found.ratio is None and said in found.wrong
    assert score_of(found).score == 0.0 and said in score_of(found).text


def test_a_clock_that_is_changed_changes_nothing(sandbox: ServedSandbox) -> None:
    cheat = f"import time\ntime.perf_counter = time.process_time = time.time = lambda: 0.0\n{SLOW}"
    found = race(sandbox, cheat)
    assert found.differs and found.high < 1


def test_the_reference_must_work_and_there_must_be_pairs(sandbox: ServedSandbox) -> None:
    with pytest.raises(UsageError, match="reference of f fails on its own cases"):
        race(sandbox, FAST, "def f(n): raise ValueError")
    with pytest.raises(UsageError, match="at least 2"):
        asyncio.run(compare_speed(sandbox, FAST, FAST, "f", lambda i: [[1]], pairs=1))


def test_a_sandbox_that_breaks_down_is_no_fault_of_the_program() -> None:
    class Broken:
        async def run(self, job: Any) -> Result:
            return Result("lost")

    assert race(Broken(), FAST).problem and not race(Broken(), FAST).wrong


@pytest.mark.parametrize("name", NAMES)
async def test_the_five_functions_are_right_and_slower_than_the_expert(sandbox: ServedSandbox, name: str) -> None:
    task = load_task("faster", name=name, n=4, pairs=2)
    graph = load_graph(f"faster_{name}")
    (start,) = (p.value for p in parameters(graph).values())
    with use_runner(SandboxRunner(sandbox)):
        said = await task.ascore(task.examples[0], start)
        broken = await task.ascore(task.examples[0], start.replace("return", "return None #", 1))
    assert said.score is not None and 0 < said.score <= 0.5 and "right on all inputs" in said.text
    assert broken.score == 0.0


def test_values_that_cannot_be_compared_or_shown_are_wrong_and_no_fault_of_the_scorer(sandbox: ServedSandbox) -> None:
    for program in ("import numpy\ndef f(n): return numpy.array([40 * n])", "def f(n): return 10 ** 6000"):
        found = race(sandbox, program)
        assert found.ratio is None and not found.problem and score_of(found).score == 0.0


def test_work_in_processes_of_its_own_is_refused(sandbox: ServedSandbox) -> None:
    """Their time would be nobody's."""
    program = f"import os\n{SLOW}\ng = f\ndef f(n):\n    if os.fork() == 0:\n        os._exit(0)\n    return g(n)"
    found = race(sandbox, program)
    assert found.ratio is None and found.wrong


def test_a_program_that_waits_for_a_processor_is_not_wrong(sandbox: ServedSandbox) -> None:
    """Sleeping stands for a processor that others have: a second on the clock, and next to none of its own time."""
    waits = "import time\ndef f(n):\n    time.sleep(1.0)\n    return 40 * n"
    assert race(sandbox, waits, seconds=0.5).ratio


def test_a_reference_that_a_busy_machine_stops_ends_no_run(sandbox: ServedSandbox) -> None:
    hangs = "def f(n):\n    while True: pass"
    found = race(sandbox, FAST, hangs, seconds=0.3)
    assert "too busy" in found.problem
